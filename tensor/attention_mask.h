/* tensor/attention_mask.h: which keys a row of attention sees, as ranges. No mask is ever laid out.
 *
 * Keys that a row sees form at most two ranges, both of which move forward with the row. So what
 * the rows of a tile see together lies in two ranges as well (md_keys_of_tile), which products run
 * over; what a row of the tile does not see is taken out of its scores.
 */
#ifndef MD_TENSOR_ATTENTION_MASK_H
#define MD_TENSOR_ATTENTION_MASK_H

#include "tensor/ops.h"

typedef struct md_key_range {
    int first, end;
} md_key_range;

enum { MD_KEY_RANGES = 2 };

/* A range may be empty; the second is, unless the mask is paired. */
typedef struct md_keys {
    md_key_range range[MD_KEY_RANGES];
} md_keys;

/* Of row `row` of T. */
md_keys md_keys_of_row(md_attention_mask mask, int T, int row);

/* The first row after `row` that sees other keys, or T. */
int md_keys_change(md_attention_mask mask, int T, int row);

/* The end of a tile of at most `most` rows that begins with row `first` of `end`. */
int md_keys_tile_end(md_attention_mask mask, int T, int first, int end, int most);

/* All that rows [first, end) of a tile see, and with a window some keys before: ranges begin where
 * products begin a sum (MD_SUM_BLOCK), so that a row's bits do not depend on its tile. */
md_keys md_keys_of_tile(md_attention_mask mask, int T, int first, int end);

#endif
