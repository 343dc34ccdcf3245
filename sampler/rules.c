/* sampler/rules.c: the list of rules, and what several of them share. See rule.h. */
#include <math.h>
#include <string.h>

#include "sampler/rule.h"

const char *const md_rule_names[] = {
    "ancestral", "first-hitting", "random",     "left",       "confidence",
    "margin",    "entropy",       "origin",     "threshold",  "factor",
    "remdm-cap", "remdm-rescale", "remdm-conf", "remdm-loop", NULL,
};

static const md_rule *const rules[] = {
    &md_rule_ancestral,  &md_rule_first_hitting, &md_rule_random,    &md_rule_left,
    &md_rule_confidence, &md_rule_margin,        &md_rule_entropy,   &md_rule_origin,
    &md_rule_threshold,  &md_rule_factor,        &md_rule_remdm_cap, &md_rule_remdm_rescale,
    &md_rule_remdm_conf, &md_rule_remdm_loop,
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

void md_rule_select_each(md_block_step *b, double stay) {
    for (int j = 0; j < b->length; j++)
        if (b->ids[j] == b->mask_id)
            b->want[j] = md_uniform(b->rng, b->sequence, (uint32_t)j) >= stay;
}

void md_rule_select_masked(md_block_step *b) {
    if (b->quota == 0) return;
    for (int j = 0; j < b->length; j++) b->want[j] = b->ids[j] == b->mask_id;
}

void md_rule_score(md_block_step *b, md_score_fn score) {
    for (int j = 0; j < b->length; j++) {
        if (!b->want[j]) continue;
        b->score[j] = b->proposal[j].late ? -INFINITY : score(&b->proposal[j]);
    }
}

int md_rule_best(const md_block_step *b) {
    int best = -1;
    for (int j = 0; j < b->length; j++) {
        if (b->ids[j] != b->mask_id || !b->want[j]) continue;
        if (best < 0 || b->score[j] > b->score[best]) best = j;
    }
    return best;
}

/* The n greatest of score / T plus Gumbel noise are n draws without replacement from the softmax of
 * score / T (Kool et al. 2019). */
void md_rule_commit_by_score(md_block_step *b, md_score_fn score) {
    const double temperature = b->options->alg_temperature;
    md_rule_score(b, score);
    for (int j = 0; temperature > 0 && j < b->length; j++) {
        if (!b->want[j]) continue;
        double u = md_uniform(b->rng, b->sequence, (uint32_t)j);
        b->score[j] = b->score[j] / temperature - log(-log(u));
    }
    for (int n = b->quota, j; n > 0 && (j = md_rule_best(b)) >= 0; n--)
        b->ids[j] = b->proposal[j].token;
}
