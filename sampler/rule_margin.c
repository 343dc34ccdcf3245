/* sampler/rule_margin.c: Dream's topk_margin: first the positions where the most probable token is
 * the furthest ahead of the next (Kim et al. 2025, "Train for the worst, plan for the best"), no
 * matter which token was drawn.
 */
#include "sampler/rule.h"

static double margin(const md_proposal *p) {
    return p->margin;
}

static void commit_clear(md_block_step *b) {
    md_rule_commit_by_score(b, margin);
}

const md_rule md_rule_margin = {
    .name = "margin",
    .help = "a fixed number of tokens a step, first where p of the best two differs most (Dream)",
    .select = md_rule_select_masked,
    .commit = commit_clear,
};
