/* sampler/rule_random.c: LLaDA's random remasking: n_i of the masked positions, all subsets equally
 * likely. LLaDA predicts all and remasks the rest; predicting the n_i alone is the same law.
 */
#include "sampler/rule.h"

static void select_quota(md_block_step *b) {
    md_rule_select_uniformly(b, b->quota);
}

const md_rule md_rule_random = {
    .name = "random",
    .help = "a fixed number of tokens a step, at random positions",
    .select = select_quota,
};
