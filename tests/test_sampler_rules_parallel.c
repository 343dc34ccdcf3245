/* tests/test_sampler_rules_parallel.c: Fast-dLLM's rules, threshold and factor, against their
 * exactly enumerated laws (tests/sampler_law.h).
 */
#include <math.h>
#include <string.h>

#include "tests/sampler_law.h"

static table_model model;

/* Of the drawn tokens, ranked by confidence: at a rank from the second on, whether it goes. */
typedef bool (*goes_fn)(const chain *c, double confidence, int rank);

static bool reaches_threshold(const chain *c, double confidence, int rank) {
    (void)rank;
    return confidence >= c->threshold;
}

static bool reaches_factor(const chain *c, double confidence, int rank) {
    return confidence >= 1 - c->factor / (rank + 1);
}

static void accept_while(goes_fn goes, const chain *c, int code, const int32_t *drawn, double mass,
                         double *next) {
    double score[TABLE_T] = {0};
    int order[TABLE_T], set = 0, masked = masked_set(code);
    for (int j = 0; j < TABLE_T; j++)
        if (masked >> j & 1) score[j] = plain_p(c, code, j, drawn[j]);
    int count = ranking(score, masked, order);
    for (int n = 0; n < count && (n == 0 || goes(c, score[order[n]], n + 1)); n++)
        set |= 1 << order[n];
    next[with_tokens(code, drawn, set)] += mass;
}

static void accept_threshold(const chain *c, int code, const int32_t *drawn, double mass,
                             double *next) {
    accept_while(reaches_threshold, c, code, drawn, mass, next);
}

static void accept_factor(const chain *c, int code, const int32_t *drawn, double mass,
                          double *next) {
    accept_while(reaches_factor, c, code, drawn, mass, next);
}

static void threshold_law(const chain *c, int code, double mass, double *next) {
    draw_and_accept(c, code, mass, next, accept_threshold);
}

static void factor_law(const chain *c, int code, double mass, double *next) {
    draw_and_accept(c, code, mass, next, accept_factor);
}

static md_sampler_options with(const md_rule *rule) {
    md_sampler_options opt = md_sampler_defaults();
    opt.rule = rule;
    return opt;
}

START_TEST(threshold_sets_all_that_are_confident) {
    const double thresholds[] = {0, 0.4, 0.6, 0.9, 1};
    for (int i = 0; i < 5; i++) {
        md_sampler_options opt = with(&md_rule_threshold);
        chain c = {.model = &model, .power = 1};
        opt.threshold = c.threshold = thresholds[i];
        ck_assert_double_gt(step_agreement(&opt, threshold_law, c), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, threshold_law, c, TABLE_T), RIGHT);
    }
}
END_TEST

START_TEST(factor_sets_as_many_as_are_confident_together) {
    const double factors[] = {0.2, 0.8, 1, 1.5, 5};
    for (int i = 0; i < 5; i++) {
        md_sampler_options opt = with(&md_rule_factor);
        chain c = {.model = &model, .power = 1};
        opt.factor = c.factor = factors[i];
        ck_assert_double_gt(step_agreement(&opt, factor_law, c), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, factor_law, c, TABLE_T), RIGHT);
    }
}
END_TEST

START_TEST(temperature_draws_and_does_not_change_confidence) {
    md_sampler_options opt = with(&md_rule_threshold);
    chain c = {.model = &model, .power = 1 / 0.7, .threshold = 0.6, .factor = 1};
    opt.temperature = 0.7, opt.threshold = 0.6;
    ck_assert_double_gt(chain_agreement(&opt, threshold_law, c, TABLE_T), RIGHT);
    opt.rule = &md_rule_factor;
    ck_assert_double_gt(chain_agreement(&opt, factor_law, c, TABLE_T), RIGHT);
    opt.temperature = 1;
    ck_assert_double_lt(chain_agreement(&opt, factor_law, c, TABLE_T), WRONG);
}
END_TEST

/* --- broken on purpose ----------------------------------------------------------------------- */

static double confidence(const md_proposal *p) {
    return p->confidence;
}

/* The best alone. */
static void commit_one(md_block_step *b) {
    md_rule_score(b, confidence);
    int best = md_rule_best(b);
    if (best >= 0) b->ids[best] = b->proposal[best].token;
}

/* Two when none reaches the threshold. */
static void commit_two(md_block_step *b) {
    md_rule_threshold.commit(b);
    int masked = 0;
    for (int j = 0; j < b->length; j++) masked += b->ids[j] == b->mask_id;
    if (masked == b->masked - 1) commit_one(b);
}

/* 1 - f / r. */
static void commit_with_another_rank(md_block_step *b) {
    md_rule_score(b, confidence);
    for (int rank = 1, j; (j = md_rule_best(b)) >= 0; rank++) {
        if (rank > 1 && b->score[j] < 1 - b->options->factor / rank) return;
        b->ids[j] = b->proposal[j].token;
    }
}

START_TEST(rules_that_set_too_few_or_too_many_are_caught) {
    const md_rule *like = &md_rule_threshold;
    const struct {
        void (*commit)(md_block_step *b);
        transition_fn law;
    } broken[] = {{commit_one, threshold_law},
                  {commit_two, threshold_law},
                  {commit_one, factor_law},
                  {commit_with_another_rank, factor_law}};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        const md_rule rule = {.name = "broken",
                              .until_filled = true,
                              .select = like->select,
                              .commit = broken[i].commit};
        const chain c = {.model = &model, .power = 1, .threshold = 0.6, .factor = 1};
        md_sampler_options opt = with(&rule);
        opt.threshold = 0.6, opt.factor = 1;
        ck_assert_double_lt(step_agreement(&opt, broken[i].law, c), WRONG);
        ck_assert_double_lt(chain_agreement(&opt, broken[i].law, c, TABLE_T), WRONG);
    }
}
END_TEST

int main(void) {
    table_init(&model);
    Suite *s = suite_create("sampler rules of Fast-dLLM");
    suite_case(s, threshold_sets_all_that_are_confident);
    suite_case(s, factor_sets_as_many_as_are_confident_together);
    suite_case(s, temperature_draws_and_does_not_change_confidence);
    suite_case(s, rules_that_set_too_few_or_too_many_are_caught);
    return suite_run(s);
}
