/* sampler/rule_parallel.c: Fast-dLLM's two rules (Wu et al. 2025, section 3.3): as many tokens a
 * step as the network is confident of, and always the best one, so that each step commits.
 *
 * threshold: all of confidence at least tau. factor: ranked by confidence c_(1) >= c_(2) >= ...,
 * the first one, then rank r as long as c_(r) >= 1 - f / (r + 1): that many tokens may be set at
 * once and the arg-max of the product of marginals still be that of the joint law.
 */
#include "sampler/rule.h"

static double confidence(const md_proposal *p) {
    return p->confidence;
}

static void select_all(md_block_step *b) {
    for (int j = 0; j < b->length; j++) b->want[j] = b->ids[j] == b->mask_id;
}

/* Commits in the order of confidence as long as `accepts` takes the score of rank r = 2, 3, ... */
static void commit_while(md_block_step *b, bool (*accepts)(const md_block_step *b, double, int)) {
    md_rule_score(b, confidence);
    for (int rank = 1;; rank++) {
        int j = md_rule_best(b);
        if (j < 0 || (rank > 1 && !accepts(b, b->score[j], rank))) return;
        b->ids[j] = b->proposal[j].token;
    }
}

static bool reaches_threshold(const md_block_step *b, double score, int rank) {
    (void)rank;
    return score >= b->options->threshold;
}

static bool reaches_factor(const md_block_step *b, double score, int rank) {
    return score >= 1 - b->options->factor / (rank + 1);
}

static void commit_threshold(md_block_step *b) {
    commit_while(b, reaches_threshold);
}

static void commit_factor(md_block_step *b) {
    commit_while(b, reaches_factor);
}

const md_rule md_rule_threshold = {
    .name = "threshold",
    .help = "all tokens of confidence --threshold at least, and always the best (Fast-dLLM)",
    .until_filled = true,
    .select = select_all,
    .commit = commit_threshold,
};

const md_rule md_rule_factor = {
    .name = "factor",
    .help = "the more tokens a step the more confident they all are, by --factor (Fast-dLLM)",
    .until_filled = true,
    .select = select_all,
    .commit = commit_factor,
};
