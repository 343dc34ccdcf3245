/* sampler/rule_confidence.c: LLaDA's low-confidence remasking: draw a token for every masked
 * position, keep the n_i of the highest confidence (the lower position of equals), mask the rest
 * again.
 */
#include "sampler/rule.h"

static void select_masked(md_block_step *b) {
    if (b->quota == 0) return;
    for (int j = 0; j < b->length; j++) b->want[j] = b->ids[j] == b->mask_id;
}

/* The best that are still masked, one after the other: a block is short. */
static void commit_best(md_block_step *b) {
    for (int n = b->quota; n > 0; n--) {
        int best = -1;
        for (int j = 0; j < b->length; j++) {
            if (b->ids[j] != b->mask_id || !b->want[j]) continue;
            if (best < 0 || b->proposal[j].confidence > b->proposal[best].confidence) best = j;
        }
        if (best < 0) return;
        b->ids[best] = b->proposal[best].token;
    }
}

const md_rule md_rule_confidence = {
    .name = "confidence",
    .help = "a fixed number of tokens a step, the most confident first (LLaDA low_confidence)",
    .select = select_masked,
    .commit = commit_best,
};
