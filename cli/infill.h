/* cli/infill.h: a text with holes, as `--infill` takes it.
 *
 *     To [MASK*5] or not              a hole of 5 tokens between two texts
 *     [MASK]                          a hole of one
 *     \[MASK]  \[MASK*5]              the text "[MASK]", "[MASK*5]"
 *     \\[MASK]                        a backslash, then a hole
 *
 * Of n backslashes right before "[MASK]" or "[MASK*", n/2 are text, rounded down, and an odd n
 * makes the bracket text. Anything else, backslashes and "[MASKED]" among it, is text as it stands.
 * "[MASK*3-12]" is reserved for holes of unknown length.
 *
 *     md_infill infill = {0};
 *     status = md_infill_parse(text, seq_len, &infill, err);
 *     ... infill.spans, infill.count: for mdlm_fill ...
 *     md_infill_release(&infill);
 */
#ifndef MD_CLI_INFILL_H
#define MD_CLI_INFILL_H

#include "base/buffer.h"

typedef struct md_infill {
    mdlm_span *spans; /* texts point into `text` */
    size_t count;
    int holes; /* tokens of all holes */
    md_buffer text;
} md_infill;

/* MDLM_USAGE without a hole, or for a malformed, reserved or empty one, or one of more than
 * `longest` tokens. Release also after a failure. */
mdlm_status md_infill_parse(const char *text, int longest, md_infill *out, mdlm_error *err);
void md_infill_release(md_infill *infill); /* accepts an empty struct */

#endif
