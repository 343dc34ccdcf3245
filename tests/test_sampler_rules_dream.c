/* tests/test_sampler_rules_dream.c: Dream's rules, margin, entropy, origin, and positions drawn by
 * score (alg-temp), against their exactly enumerated laws (tests/sampler_law.h).
 */
#include <math.h>
#include <string.h>

#include "tests/sampler_law.h"

static table_model model;

/* What scores are of: all that could be drawn, or in Dream's way what it is drawn from. */
static double scored_p(const chain *c, int code, int j, int v) {
    return c->dream ? drawn_p(c, code, j, v) : plain_p(c, code, j, v);
}

typedef double (*score_fn)(const chain *c, int code, int j, int v);

static double margin(const chain *c, int code, int j, int v) {
    double first = 0, second = 0;
    (void)v;
    for (int w = 0; w < TABLE_V; w++) {
        double p = scored_p(c, code, j, w);
        second = fmax(second, fmin(p, first));
        first = fmax(p, first);
    }
    return first - second;
}

static double negative_entropy(const chain *c, int code, int j, int v) {
    double sum = 0;
    (void)v;
    for (int w = 0; w < TABLE_V; w++) {
        double p = scored_p(c, code, j, w);
        if (p > 0) sum += p * log(p);
    }
    return sum;
}

/* Positions one after the other without replacement, by weight e^(score / T); at T = 0 the
 * greatest. `set` holds those drawn so far. */
static void draw_positions(const chain *c, int code, const int32_t *drawn, const double *score,
                           int set, double mass, double *next) {
    int left = masked_set(code) & ~set, order[TABLE_T];
    double sum = 0;
    if (size_of(set) == quota_at(c, code)) {
        next[with_tokens(code, drawn, set)] += mass;
        return;
    }
    ranking(score, left, order);
    if (c->alg_temperature == 0) {
        draw_positions(c, code, drawn, score, set | 1 << order[0], mass, next);
        return;
    }
    for (int j = 0; j < TABLE_T; j++)
        if (left >> j & 1) sum += exp(score[j] / c->alg_temperature);
    if (sum == 0) { /* all are late */
        draw_positions(c, code, drawn, score, set | 1 << order[0], mass, next);
        return;
    }
    for (int j = 0; j < TABLE_T; j++) {
        if (!(left >> j & 1)) continue;
        double share = exp(score[j] / c->alg_temperature) / sum;
        draw_positions(c, code, drawn, score, set | 1 << j, mass * share, next);
    }
}

static void accept_by(score_fn score, const chain *c, int code, const int32_t *drawn, double mass,
                      double *next) {
    double of[TABLE_T] = {0};
    for (int j = 0; j < TABLE_T; j++)
        if (masked_set(code) >> j & 1)
            of[j] = c->late >> drawn[j] & 1 ? -INFINITY : score(c, code, j, drawn[j]);
    draw_positions(c, code, drawn, of, 0, mass, next);
}

static void accept_by_confidence(const chain *c, int code, const int32_t *drawn, double mass,
                                 double *next) {
    accept_by(scored_p, c, code, drawn, mass, next);
}

static void accept_by_margin(const chain *c, int code, const int32_t *drawn, double mass,
                             double *next) {
    accept_by(margin, c, code, drawn, mass, next);
}

static void accept_by_entropy(const chain *c, int code, const int32_t *drawn, double mass,
                              double *next) {
    accept_by(negative_entropy, c, code, drawn, mass, next);
}

static void confidence_law(const chain *c, int code, double mass, double *next) {
    draw_and_accept(c, code, mass, next, accept_by_confidence);
}

static void margin_law(const chain *c, int code, double mass, double *next) {
    draw_and_accept(c, code, mass, next, accept_by_margin);
}

static void entropy_law(const chain *c, int code, double mass, double *next) {
    draw_and_accept(c, code, mass, next, accept_by_entropy);
}

static void origin_law(const chain *c, int code, double mass, double *next) {
    chain dream = *c;
    dream.dream = true;
    set_moment(&dream, c->step, c->steps);
    ancestral_law(&dream, code, mass, next);
}

static const struct {
    const md_rule *rule;
    transition_fn law;
} scored[] = {
    {&md_rule_confidence, confidence_law},
    {&md_rule_margin, margin_law},
    {&md_rule_entropy, entropy_law},
};
enum { SCORED = sizeof scored / sizeof *scored };

static md_sampler_options with(const md_rule *rule) {
    md_sampler_options opt = md_sampler_defaults();
    opt.rule = rule;
    return opt;
}

START_TEST(the_best_by_margin_and_by_entropy_are_set) {
    for (int i = 0; i < SCORED; i++) {
        md_sampler_options opt = with(scored[i].rule);
        const chain c = {.model = &model, .power = 1};
        ck_assert_double_gt(step_agreement(&opt, scored[i].law, c), RIGHT);
        for (int steps = 1; steps <= 4; steps++) {
            double p = chain_agreement(&opt, scored[i].law, c, steps);
            ck_assert_msg(p > RIGHT, "%s, %d steps: p %g", opt.rule->name, steps, p);
        }
    }
}
END_TEST

START_TEST(one_score_in_the_place_of_another_is_caught) {
    for (int i = 0; i < SCORED * SCORED; i++) {
        const md_sampler_options opt = with(scored[i % SCORED].rule);
        const chain c = {.model = &model, .power = 1};
        if (i % SCORED == i / SCORED) continue;
        ck_assert_double_lt(step_agreement(&opt, scored[i / SCORED].law, c), WRONG);
        ck_assert_double_lt(chain_agreement(&opt, scored[i / SCORED].law, c, 4), WRONG);
    }
}
END_TEST

/* Commits the highest entropy first, as llama.cpp does. */
static double entropy(const md_proposal *p) {
    return p->entropy;
}

static void commit_uncertain(md_block_step *b) {
    md_rule_commit_by_score(b, entropy);
}

START_TEST(the_most_uncertain_first_is_caught) {
    const md_rule broken = {
        .name = "broken", .select = md_rule_select_masked, .commit = commit_uncertain};
    const md_sampler_options opt = with(&broken);
    const chain c = {.model = &model, .power = 1};
    ck_assert_double_lt(step_agreement(&opt, entropy_law, c), WRONG);
    ck_assert_double_lt(chain_agreement(&opt, entropy_law, c, 4), WRONG);
}
END_TEST

START_TEST(alg_temperature_draws_positions_without_replacement) {
    for (int i = 0; i < SCORED; i++) {
        md_sampler_options opt = with(scored[i].rule);
        opt.alg_temperature = 0.3;
        const chain c = {.model = &model, .power = 1, .alg_temperature = 0.3};
        ck_assert_double_gt(step_agreement(&opt, scored[i].law, c), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, scored[i].law, c, 4), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, scored[i].law, c, 2), RIGHT);
        opt.alg_temperature = 0.2;
        ck_assert_double_lt(step_agreement(&opt, scored[i].law, c), WRONG);
        ck_assert_double_lt(chain_agreement(&opt, scored[i].law, c, 2), WRONG);
    }
}
END_TEST

/* Adds uniform noise where Gumbel's belongs. */
static void commit_with_uniform_noise(md_block_step *b) {
    md_rule_score(b, entropy);
    for (int j = 0; j < b->length; j++)
        if (b->want[j])
            b->score[j] = -b->score[j] / b->options->alg_temperature +
                          md_uniform(b->rng, b->sequence, (uint32_t)j);
    for (int n = b->quota, j; n > 0 && (j = md_rule_best(b)) >= 0; n--)
        b->ids[j] = b->proposal[j].token;
}

START_TEST(other_noise_than_gumbels_is_caught) {
    const md_rule broken = {
        .name = "broken", .select = md_rule_select_masked, .commit = commit_with_uniform_noise};
    md_sampler_options opt = with(&broken);
    opt.alg_temperature = 0.3;
    const chain c = {.model = &model, .power = 1, .alg_temperature = 0.3};
    ck_assert_double_lt(step_agreement(&opt, entropy_law, c), WRONG);
    ck_assert_double_lt(chain_agreement(&opt, entropy_law, c, 2), WRONG);
}
END_TEST

START_TEST(small_alg_temperatures_take_the_best) {
    md_sampler_options opt = with(&md_rule_margin);
    const chain c = {.model = &model, .power = 1};
    opt.alg_temperature = 1e-300;
    ck_assert_double_gt(step_agreement(&opt, margin_law, c), RIGHT);
}
END_TEST

START_TEST(late_end_of_text_comes_last_by_any_score) {
    for (int i = 0; i < 2 * SCORED; i++) {
        md_sampler_options opt = with(scored[i / 2].rule);
        chain c = {.model = &model, .power = 1, .late = 1 << 1};
        opt.end_of_text = MD_END_LATE, opt.end_of_text_id = 1;
        opt.alg_temperature = c.alg_temperature = i % 2 * 0.3;
        ck_assert_double_gt(step_agreement(&opt, scored[i / 2].law, c), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, scored[i / 2].law, c, 3), RIGHT);
        opt.end_of_text = MD_END_KEEP;
        ck_assert_double_lt(chain_agreement(&opt, scored[i / 2].law, c, 3), WRONG);
    }
}
END_TEST

START_TEST(dream_scores_what_is_drawn_from_on_its_own_grid) {
    for (int i = 0; i < SCORED; i++) {
        md_sampler_options opt = with(scored[i].rule);
        opt.compat = MD_COMPAT_DREAM, opt.temperature = 2, opt.top_k = 2;
        chain c = {.model = &model, .power = 0.5, .top_k = 2, .dream = true};
        ck_assert_double_gt(step_agreement(&opt, scored[i].law, c), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, scored[i].law, c, 3), RIGHT);
        opt.alg_temperature = c.alg_temperature = 0.2;
        ck_assert_double_gt(step_agreement(&opt, scored[i].law, c), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, scored[i].law, c, 3), RIGHT);
        opt.compat = MD_COMPAT_NONE;
        ck_assert_double_lt(chain_agreement(&opt, scored[i].law, c, 3), WRONG);
    }
}
END_TEST

START_TEST(origin_has_the_law_of_its_chain) {
    const md_sampler_options opt = with(&md_rule_origin);
    const chain c = {.model = &model, .power = 1};
    ck_assert_double_gt(step_agreement(&opt, origin_law, c), RIGHT);
    for (int steps = 1; steps <= 8; steps *= 2)
        ck_assert_double_gt(chain_agreement(&opt, origin_law, c, steps), RIGHT);
}
END_TEST

/* Goes from the next time on. */
static void select_late(md_block_step *b) {
    if (b->step + 1 < b->steps) b->step++;
    md_rule_origin.select(b);
}

START_TEST(origin_at_other_times_is_caught) {
    const md_rule broken = {.name = "broken", .select = select_late};
    const md_sampler_options opt = with(&broken);
    const chain c = {.model = &model, .power = 1};
    ck_assert_double_lt(step_agreement(&opt, origin_law, c), WRONG);
    ck_assert_double_lt(chain_agreement(&opt, origin_law, c, 4), WRONG);
}
END_TEST

int main(void) {
    table_init(&model);
    Suite *s = suite_create("sampler rules of Dream");
    suite_case(s, the_best_by_margin_and_by_entropy_are_set);
    suite_case(s, one_score_in_the_place_of_another_is_caught);
    suite_case(s, the_most_uncertain_first_is_caught);
    suite_case(s, alg_temperature_draws_positions_without_replacement);
    suite_case(s, other_noise_than_gumbels_is_caught);
    suite_case(s, small_alg_temperatures_take_the_best);
    suite_case(s, late_end_of_text_comes_last_by_any_score);
    suite_case(s, dream_scores_what_is_drawn_from_on_its_own_grid);
    suite_case(s, origin_has_the_law_of_its_chain);
    suite_case(s, origin_at_other_times_is_caught);
    return suite_run(s);
}
