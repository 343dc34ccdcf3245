/* sampler/rule_confidence.c: LLaDA's low-confidence remasking, Dream's maskgit_plus: draw a token
 * for every masked position, keep those of the greatest probability, mask the rest again.
 */
#include "sampler/rule.h"

static double confidence(const md_proposal *p) {
    return p->confidence;
}

static void commit_confident(md_block_step *b) {
    md_rule_commit_by_score(b, confidence);
}

const md_rule md_rule_confidence = {
    .name = "confidence",
    .help = "a fixed number of tokens a step, the most confident first (LLaDA low_confidence)",
    .select = md_rule_select_masked,
    .commit = commit_confident,
};
