/* sampler/rule_ancestral.c: the reverse of the masking process (MDLM eq. 6, MD4 eq. 3).
 *
 * From t to s < t a masked token stays masked with probability (1 - alpha_s) / (1 - alpha_t), s/t
 * for the linear schedule, and takes v ~ p otherwise, each on its own. The choice does not look at
 * p, so only tokens that are unmasked are predicted; at s = 0 all are.
 */
#include "sampler/rule.h"

static void select_unmasked(md_block_step *b) {
    md_rule_select_each(b, b->stay);
}

const md_rule md_rule_ancestral = {
    .name = "ancestral",
    .help = "each token is unmasked on its own as time runs from 1 to 0",
    .select = select_unmasked,
};
