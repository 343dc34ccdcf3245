/* sampler/rule_left.c: from left to right, the order of an autoregressive model: the first quota of
 * the masked positions.
 */
#include "sampler/rule.h"

static void select_leftmost(md_block_step *b) {
    for (int j = 0, n = 0; j < b->length && n < b->quota; j++)
        if (b->ids[j] == b->mask_id) b->want[j] = 1, n++;
}

const md_rule md_rule_left = {
    .name = "left",
    .help = "a fixed number of tokens a step, from left to right (autoregressive order)",
    .left_to_right = true,
    .select = select_leftmost,
};
