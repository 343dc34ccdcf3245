/* cli/extent.h: how many tokens to write, and in how many blocks.
 *
 *     md_extent_wish wish = {.length = opt->length, .blocks = opt->blocks, ...};
 *     md_extent extent;
 *     status = md_extent_plan(&wish, mdlm_info(model), used, &extent, err);
 */
#ifndef MD_CLI_EXTENT_H
#define MD_CLI_EXTENT_H

#include "mdlm.h"

/* What the user said. */
typedef struct md_extent_wish {
    int64_t length;       /* --length: new tokens; 0: what fits the canvas (mdlm_model_info) */
    bool scattered;       /* the new tokens are holes in a text, `length` in all */
    int64_t blocks;       /* --blocks */
    bool blocks_given;    /* by the user */
    int64_t block_length; /* --block-length; 0: not given */
} md_extent_wish;

typedef struct md_extent {
    int length;
    int blocks; /* of a scattered text in a model's own blocks: 1, as nobody counts them */
} md_extent;

/* `used`: tokens before the new ones; those that fill a canvas open a second one, if the model
 * takes it. After a prompt, whose tokens nobody counts, a length that nobody chose is rounded down
 * to whole blocks. A model trained for "block" has blocks of its own, aligned to the start of the
 * canvas: what the user says of blocks must be what it does. One trained for "ar" has none: 1,
 * whatever the user says. MDLM_USAGE, naming the nearest that works, when the numbers do not go
 * together. */
mdlm_status md_extent_plan(const md_extent_wish *wish, mdlm_model_info info, size_t used,
                           md_extent *out, mdlm_error *err);

#endif
