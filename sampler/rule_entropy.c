/* sampler/rule_entropy.c: Dream's entropy: first the positions of the least entropy, no matter
 * which token was drawn.
 */
#include "sampler/rule.h"

static double negative_entropy(const md_proposal *p) {
    return -p->entropy;
}

static void commit_certain(md_block_step *b) {
    md_rule_commit_by_score(b, negative_entropy);
}

const md_rule md_rule_entropy = {
    .name = "entropy",
    .help = "a fixed number of tokens a step, first where the entropy is least (Dream)",
    .select = md_rule_select_masked,
    .commit = commit_certain,
};
