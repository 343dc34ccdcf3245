/* tests/test_sampler_rules.c: rules that set a fixed or random number of tokens, against their
 * exactly enumerated laws (tests/sampler_law.h): ancestral, first-hitting, random, left,
 * confidence; and what all rules that go by scores do with end-of-text and forbidden tokens.
 */
#include <math.h>
#include <string.h>

#include "tests/sampler_law.h"

static table_model model;

static void first_hitting_law(const chain *c, int code, double mass, double *next) {
    chain one = *c;
    one.quota = 1;
    random_law(&one, code, mass, next);
}

static void left_law(const chain *c, int code, double mass, double *next) {
    int masked = masked_set(code), set = 0;
    for (int j = 0; j < TABLE_T; j++)
        if (masked >> j & 1 && size_of(set) < c->quota) set |= 1 << j;
    fill_set(c, code, set, mass, next);
}

/* The most confident of the drawn tokens; those that are late after all others. */
static void accept_confident(const chain *c, int code, const int32_t *drawn, double mass,
                             double *next) {
    double score[TABLE_T] = {0};
    int order[TABLE_T], set = 0, masked = masked_set(code);
    for (int j = 0; j < TABLE_T; j++) {
        if (!(masked >> j & 1)) continue;
        score[j] = c->late >> drawn[j] & 1 ? -1 : plain_p(c, code, j, drawn[j]);
    }
    ranking(score, masked, order);
    for (int n = 0; n < quota_at(c, code); n++) set |= 1 << order[n];
    next[with_tokens(code, drawn, set)] += mass;
}

static void confidence_law(const chain *c, int code, double mass, double *next) {
    draw_and_accept(c, code, mass, next, accept_confident);
}

static chain plain(void) {
    return (chain){.model = &model, .power = 1};
}

static md_sampler_options with(const md_rule *rule) {
    md_sampler_options opt = md_sampler_defaults();
    opt.rule = rule;
    return opt;
}

static double one_step(const md_rule *rule, transition_fn law) {
    md_sampler_options opt = with(rule);
    return step_agreement(&opt, law, plain());
}

static double whole_chain(const md_rule *rule, transition_fn law, int steps) {
    md_sampler_options opt = with(rule);
    return chain_agreement(&opt, law, plain(), steps);
}

START_TEST(each_step_has_the_law_of_its_rule) {
    ck_assert_double_gt(one_step(&md_rule_ancestral, ancestral_law), RIGHT);
    ck_assert_double_gt(one_step(&md_rule_first_hitting, first_hitting_law), RIGHT);
    ck_assert_double_gt(one_step(&md_rule_random, random_law), RIGHT);
    ck_assert_double_gt(one_step(&md_rule_left, left_law), RIGHT);
    ck_assert_double_gt(one_step(&md_rule_confidence, confidence_law), RIGHT);
}
END_TEST

START_TEST(ancestral_draws_from_the_law_of_its_chain) {
    double eight[TABLE_CANVASES];
    md_sampler_options opt = with(&md_rule_ancestral);
    ck_assert_double_gt(whole_chain(&md_rule_ancestral, ancestral_law, 8), RIGHT);
    ck_assert_double_gt(whole_chain(&md_rule_ancestral, ancestral_law, 2), RIGHT);
    enumerate(ancestral_law, plain(), 8, eight);
    ck_assert_double_lt(final_agreement(&opt, &model, 2, eight, LAW_BATCHES), WRONG);
}
END_TEST

START_TEST(ancestral_in_one_step_draws_every_token_on_its_own) {
    double law[TABLE_CANVASES];
    enumerate(ancestral_law, plain(), 1, law);
    int32_t ids[TABLE_T];
    for (int code = 0; code < TABLE_CANVASES; code++) { /* the enumeration itself */
        double product = 1;
        table_canvas(code, ids);
        for (int j = 0; j < TABLE_T; j++)
            product *= ids[j] == TABLE_MASK ? 0 : table_p(&model, TABLE_CANVASES - 1, j, ids[j]);
        ck_assert_double_eq_tol(law[code], product, 1e-15);
    }
    ck_assert_double_gt(whole_chain(&md_rule_ancestral, ancestral_law, 1), RIGHT);
}
END_TEST

static void select_with_stay_squared(md_block_step *b) {
    b->stay *= b->stay;
    md_rule_ancestral.select(b);
}

START_TEST(ancestral_with_a_wrong_rate_is_caught) {
    const md_rule broken = {.name = "broken", .select = select_with_stay_squared};
    ck_assert_double_lt(one_step(&broken, ancestral_law), WRONG);
    ck_assert_double_lt(whole_chain(&broken, ancestral_law, 8), WRONG);
}
END_TEST

START_TEST(ancestral_follows_the_schedule) {
    /* Under the cosine schedule the first of two steps keeps sin(pi/4) masked, not 1/2. */
    enum { SAMPLES = 20000 };
    static int32_t ids[SAMPLES * TABLE_T];
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_masked process = md_masked_process(MD_SCHEDULE_COSINE);
    md_sampler_options opt = md_sampler_defaults();
    md_canvas canvas = {.ids = ids, .samples = SAMPLES, .length = TABLE_T};
    opt.steps = 2, opt.seed = 5;
    for (int i = 0; i < SAMPLES * TABLE_T; i++) ids[i] = TABLE_MASK;
    assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, NULL, &err));
    /* Rows asked for: each position once, whenever it is unmasked. */
    ck_assert_int_eq(model.rows, SAMPLES * TABLE_T);
    /* Canvases asked for: at step 1 unless all stay, at step 2 unless all went. */
    double stay = sqrt(0.5), expected = SAMPLES * (2 - pow(stay, 4) - pow(1 - stay, 4));
    ck_assert_msg(fabs(model.canvases - expected) < 4 * sqrt(SAMPLES * 0.25), "%d, expected %g",
                  model.canvases, expected);
}
END_TEST

START_TEST(first_hitting_averages_over_all_orders) {
    double law[TABLE_CANVASES], orders[TABLE_CANVASES] = {0};
    enumerate(random_law, plain(), 4, law);
    /* The same, order by order. */
    for (int n = 0, order[4]; n < 256; n++) {
        int used = 0;
        for (int i = 0; i < 4; i++) used |= 1 << (order[i] = n >> (2 * i) & 3);
        if (used != 15) continue;
        for (int code = 0; code < TABLE_CANVASES; code++) {
            int32_t ids[TABLE_T], now[TABLE_T] = {TABLE_MASK, TABLE_MASK, TABLE_MASK, TABLE_MASK};
            double p = 1.0 / 24;
            table_canvas(code, ids);
            if (masked_set(code)) continue;
            for (int i = 0; i < 4; i++) {
                p *= table_p(&model, table_code(now), order[i], ids[order[i]]);
                now[order[i]] = ids[order[i]];
            }
            orders[code] += p;
        }
    }
    for (int code = 0; code < TABLE_CANVASES; code++)
        ck_assert_double_eq_tol(law[code], orders[code], 1e-14);
    md_sampler_options opt = with(&md_rule_first_hitting);
    for (int steps = 0; steps < 2; steps++) /* they do not matter */
        ck_assert_double_gt(final_agreement(&opt, &model, steps, law, LAW_BATCHES), RIGHT);
}
END_TEST

START_TEST(first_hitting_from_the_left_is_caught) {
    md_rule broken = md_rule_left;
    broken.one_token_per_step = true;
    ck_assert_double_lt(one_step(&broken, first_hitting_law), WRONG);
    ck_assert_double_lt(whole_chain(&broken, first_hitting_law, 4), WRONG);
}
END_TEST

START_TEST(random_keeps_every_subset_equally_often) {
    for (int steps = 1; steps <= 4; steps++) {
        double p = whole_chain(&md_rule_random, random_law, steps);
        ck_assert_msg(p > RIGHT, "%d steps: p %g", steps, p);
    }
}
END_TEST

/* Neighbours only: (0,1), (1,2), (2,3), (3,0), a common way to pick "two of four". */
static void select_neighbours(md_block_step *b) {
    int masked[TABLE_T];
    if (b->masked == 0) return;
    md_rule_masked(b, masked);
    int first = (int)md_uniform_below(b->rng, b->sequence, 0, (uint64_t)b->masked);
    for (int i = 0; i < b->quota; i++) b->want[masked[(first + i) % b->masked]] = 1;
}

START_TEST(random_subsets_that_are_not_uniform_are_caught) {
    const md_rule broken = {.name = "broken", .select = select_neighbours};
    ck_assert_double_lt(one_step(&broken, random_law), WRONG);
    ck_assert_double_lt(whole_chain(&broken, random_law, 2), WRONG);
}
END_TEST

START_TEST(left_goes_from_left_to_right) {
    for (int steps = 1; steps <= 4; steps++) {
        double p = whole_chain(&md_rule_left, left_law, steps);
        ck_assert_msg(p > RIGHT, "%d steps: p %g", steps, p);
    }
    /* One at a time it is the product of conditionals. */
    double law[TABLE_CANVASES];
    int32_t ids[TABLE_T], now[TABLE_T];
    enumerate(left_law, plain(), 4, law);
    for (int code = 0; code < TABLE_CANVASES; code++) {
        double product = masked_set(code) ? 0 : 1;
        table_canvas(code, ids);
        for (int j = 0; j < TABLE_T && product > 0; j++) {
            for (int i = 0; i < TABLE_T; i++) now[i] = i < j ? ids[i] : TABLE_MASK;
            product *= table_p(&model, table_code(now), j, ids[j]);
        }
        ck_assert_double_eq_tol(law[code], product, 1e-15);
    }
}
END_TEST

static void select_rightmost(md_block_step *b) {
    for (int j = b->length - 1, n = 0; j >= 0 && n < b->quota; j--)
        if (b->ids[j] == b->mask_id) b->want[j] = 1, n++;
}

START_TEST(left_from_the_right_is_caught) {
    const md_rule broken = {.name = "broken", .select = select_rightmost};
    ck_assert_double_lt(one_step(&broken, left_law), WRONG);
    ck_assert_double_lt(whole_chain(&broken, left_law, 3), WRONG);
}
END_TEST

START_TEST(confidence_keeps_the_most_confident_draws) {
    for (int steps = 1; steps <= 4; steps++) {
        double p = whole_chain(&md_rule_confidence, confidence_law, steps);
        ck_assert_msg(p > RIGHT, "%d steps: p %g", steps, p);
    }
}
END_TEST

START_TEST(confidence_is_that_of_the_distribution_before_temperature) {
    md_sampler_options opt = with(&md_rule_confidence);
    chain sharp = plain();
    sharp.power = 1 / 0.6, opt.temperature = 0.6;
    ck_assert_double_gt(step_agreement(&opt, confidence_law, sharp), RIGHT);
    ck_assert_double_gt(chain_agreement(&opt, confidence_law, sharp, 3), RIGHT);
    ck_assert_double_lt(chain_agreement(&opt, confidence_law, plain(), 3), WRONG);
}
END_TEST

static void commit_least_confident(md_block_step *b) {
    md_proposal turned[TABLE_T];
    const md_proposal *proposal = b->proposal;
    for (int j = 0; j < b->length; j++) {
        turned[j] = (md_proposal){.token = -1};
        if (!b->want[j]) continue;
        turned[j] = proposal[j];
        turned[j].confidence = -proposal[j].confidence;
    }
    b->proposal = turned;
    md_rule_confidence.commit(b);
    b->proposal = proposal;
}

START_TEST(confidence_upside_down_is_caught) {
    const md_rule broken = {
        .name = "broken", .select = md_rule_confidence.select, .commit = commit_least_confident};
    ck_assert_double_lt(one_step(&broken, confidence_law), WRONG);
    ck_assert_double_lt(whole_chain(&broken, confidence_law, 4), WRONG);
}
END_TEST

START_TEST(late_end_of_text_is_set_last_at_every_temperature) {
    md_sampler_options opt = with(&md_rule_confidence);
    chain c = plain();
    opt.end_of_text = MD_END_LATE, opt.end_of_text_id = 1, c.late = 1 << 1;
    ck_assert_double_lt(chain_agreement(&opt, confidence_law, plain(), 3), WRONG);
    for (int i = 0; i < 3; i++) {
        opt.temperature = (double[]){1, 0.4, 2}[i], c.power = 1 / opt.temperature;
        ck_assert_double_gt(step_agreement(&opt, confidence_law, c), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, confidence_law, c, 3), RIGHT);
    }
}
END_TEST

START_TEST(forbidden_tokens_have_no_part_in_any_rule) {
    const uint8_t allowed[TABLE_V + 1] = {1, 0, 1, 1};
    for (int way = 0; way < 2; way++) {
        md_sampler_options opt = with(&md_rule_confidence);
        chain c = plain();
        c.banned = 1 << 1;
        if (way == 0) opt.allowed = allowed;
        if (way == 1) opt.end_of_text = MD_END_FORBID, opt.end_of_text_id = 1;
        ck_assert_double_gt(step_agreement(&opt, confidence_law, c), RIGHT);
        ck_assert_double_gt(chain_agreement(&opt, confidence_law, c, 3), RIGHT);
        opt.rule = &md_rule_ancestral, opt.temperature = 0.7, c.power = 1 / 0.7;
        ck_assert_double_gt(chain_agreement(&opt, ancestral_law, c, 3), RIGHT);
    }
}
END_TEST

START_TEST(equal_confidence_goes_to_the_lower_position) {
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = md_sampler_defaults();
    memset(model.logits, 0, sizeof model.logits);
    int32_t ids[TABLE_T] = {TABLE_MASK, TABLE_MASK, TABLE_MASK, TABLE_MASK};
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    opt.rule = &md_rule_confidence, opt.steps = 2, opt.temperature = 0;
    assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, NULL, &err));
    ck_assert_int_eq(model.seen[table_code((int32_t[]){0, 0, TABLE_MASK, TABLE_MASK})], 1);
}
END_TEST

START_TEST(rules_are_found_by_name) {
    int n = 0;
    for (; md_rule_names[n]; n++) {
        const md_rule *rule = md_rule_find(md_rule_names[n]);
        ck_assert_ptr_nonnull(rule);
        ck_assert_str_eq(rule->name, md_rule_names[n]);
        ck_assert_ptr_nonnull(rule->help);
    }
    ck_assert_int_eq(n, 14);
    ck_assert_ptr_null(md_rule_find("ancestra"));
    ck_assert_ptr_null(md_rule_find(""));
}
END_TEST

static void setup(void) {
    table_init(&model);
}

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}
#define add_case(s, test) add(s, #test, test)

int main(void) {
    Suite *s = suite_create("sampler rules");
    add_case(s, rules_are_found_by_name);
    add_case(s, each_step_has_the_law_of_its_rule);
    add_case(s, ancestral_draws_from_the_law_of_its_chain);
    add_case(s, ancestral_in_one_step_draws_every_token_on_its_own);
    add_case(s, ancestral_with_a_wrong_rate_is_caught);
    add_case(s, ancestral_follows_the_schedule);
    add_case(s, first_hitting_averages_over_all_orders);
    add_case(s, first_hitting_from_the_left_is_caught);
    add_case(s, random_keeps_every_subset_equally_often);
    add_case(s, random_subsets_that_are_not_uniform_are_caught);
    add_case(s, left_goes_from_left_to_right);
    add_case(s, left_from_the_right_is_caught);
    add_case(s, confidence_keeps_the_most_confident_draws);
    add_case(s, confidence_is_that_of_the_distribution_before_temperature);
    add_case(s, confidence_upside_down_is_caught);
    add_case(s, late_end_of_text_is_set_last_at_every_temperature);
    add_case(s, forbidden_tokens_have_no_part_in_any_rule);
    add_case(s, equal_confidence_goes_to_the_lower_position);
    return suite_run(s);
}
