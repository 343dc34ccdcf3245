/* sampler/rules.c: the list of rules, and what several of them share. See rule.h. */
#include <string.h>

#include "sampler/rule.h"

const char *const md_rule_names[] = {"ancestral", "first-hitting", "random", "confidence", NULL};

static const md_rule *const rules[] = {
    &md_rule_ancestral,
    &md_rule_first_hitting,
    &md_rule_random,
    &md_rule_confidence,
};

const md_rule *md_rule_find(const char *name) {
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(name, rules[i]->name) == 0) return rules[i];
    return NULL;
}

void md_rule_masked(const md_block_step *b, int *out) {
    int n = 0;
    for (int j = 0; j < b->length; j++)
        if (b->ids[j] == b->mask_id) out[n++] = j;
}

/* The first n places of a Fisher-Yates shuffle. */
void md_rule_select_uniformly(md_block_step *b, int n) {
    int *left = b->scratch;
    md_rule_masked(b, left);
    for (int i = 0; i < n && i < b->masked; i++) {
        int remaining = b->masked - i;
        int pick = (int)md_uniform_below(b->rng, b->sequence, (uint32_t)i, (uint64_t)remaining);
        b->want[left[pick]] = 1;
        left[pick] = left[remaining - 1];
    }
}
