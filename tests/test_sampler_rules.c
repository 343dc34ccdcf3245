/* tests/test_sampler_rules.c: every rule draws from its exactly enumerated law.
 *
 * The law of a sampler over final sequences comes from dynamic programming over the 4^4 canvases of
 * tests/table_model.h. 100,000 draws with a fixed seed are compared by chi-square: a right rule
 * passes p > 1e-3, and the rules broken on purpose below must fail with p < 1e-6.
 */
#include <math.h>
#include <string.h>

#include "sampler/rule.h"
#include "tests/suite.h"
#include "tests/table_model.h"

enum { BATCH = 1000, BATCHES = 100 };

static table_model model;

/* What a law depends on. */
typedef struct chain {
    int steps;
    double stay;  /* of the step at hand */
    int quota;    /* of the step at hand */
    double power; /* 1 / temperature */
} chain;

typedef void (*transition_fn)(const chain *c, int code, double mass, double *next);

static double tempered(const chain *c, int code, int j, int v) {
    double sum = 0;
    for (int w = 0; w < TABLE_V; w++) sum += pow(table_p(&model, code, j, w), c->power);
    return pow(table_p(&model, code, j, v), c->power) / sum;
}

/* Spreads `mass` over the ways to fill the positions of `set`, each v ~ p given the canvas. */
static void fill_set(const chain *c, int code, int set, double mass, double *next) {
    int32_t ids[TABLE_T], now[TABLE_T];
    table_canvas(code, ids);
    for (int combination = 0; combination < 81; combination++) {
        double p = mass;
        bool valid = true;
        memcpy(now, ids, sizeof now);
        for (int j = 0, rest = combination; j < TABLE_T; j++, rest /= 3) {
            if (set >> j & 1)
                p *= tempered(c, code, j, now[j] = rest % 3);
            else
                valid = valid && rest % 3 == 0;
        }
        if (valid) next[table_code(now)] += p;
    }
}

static int masked_set(int code) {
    int32_t ids[TABLE_T];
    int set = 0;
    table_canvas(code, ids);
    for (int j = 0; j < TABLE_T; j++) set |= (ids[j] == TABLE_MASK) << j;
    return set;
}

static void ancestral_law(const chain *c, int code, double mass, double *next) {
    int masked = masked_set(code);
    for (int set = 0; set < 16; set++) {
        if (set & ~masked) continue;
        int go = __builtin_popcount((unsigned)set);
        int remain = __builtin_popcount((unsigned)masked) - go;
        fill_set(c, code, set, mass * pow(1 - c->stay, go) * pow(c->stay, remain), next);
    }
}

/* All subsets of quota masked positions, equally likely. With quota 1 in every step this averages
 * over the 24 orders. */
static void random_law(const chain *c, int code, double mass, double *next) {
    int masked = masked_set(code), ways = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int set = 0; set < 16; set++) {
            if ((set & ~masked) || __builtin_popcount((unsigned)set) != c->quota) continue;
            if (pass == 0)
                ways++;
            else
                fill_set(c, code, set, mass / ways, next);
        }
    }
}

/* Draws a token for every masked position, keeps the most confident. */
static void confidence_law(const chain *c, int code, double mass, double *next) {
    double *all = calloc(TABLE_CANVASES, sizeof *all);
    fill_set(c, code, masked_set(code), mass, all);
    for (int full = 0; full < TABLE_CANVASES; full++) {
        int32_t ids[TABLE_T], drawn[TABLE_T];
        if (all[full] <= 0) continue;
        table_canvas(code, ids);
        table_canvas(full, drawn);
        for (int n = 0; n < c->quota; n++) {
            int best = -1;
            double most = -1;
            for (int j = 0; j < TABLE_T; j++) {
                if (ids[j] != TABLE_MASK) continue;
                double confidence = table_p(&model, code, j, drawn[j]);
                if (confidence > most) most = confidence, best = j;
            }
            ids[best] = drawn[best];
        }
        next[table_code(ids)] += all[full];
    }
    free(all);
}

/* The law over canvases after all steps, from all masked. */
static void enumerate(transition_fn transition, chain c, double *law) {
    double now[TABLE_CANVASES] = {0};
    now[TABLE_CANVASES - 1] = 1;
    for (int i = 0; i < c.steps; i++) {
        double next[TABLE_CANVASES] = {0};
        c.stay = (double)(c.steps - i - 1) / (c.steps - i);
        c.quota = TABLE_T / c.steps + (i < TABLE_T % c.steps);
        for (int code = 0; code < TABLE_CANVASES; code++)
            if (now[code] > 0) transition(&c, code, now[code], next);
        memcpy(now, next, sizeof now);
    }
    memcpy(law, now, sizeof now);
}

/* p-value of the sampler's draws against a law. */
static double agreement(const md_rule *rule, int steps, double temperature, const double *law) {
    static int32_t ids[BATCH * TABLE_T];
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = md_sampler_defaults();
    int count[TABLE_CANVASES] = {0};
    double total = 0;
    opt.rule = rule, opt.steps = steps, opt.seed = 77, opt.temperature = temperature;
    for (int code = 0; code < TABLE_CANVASES; code++) total += law[code];
    ck_assert_double_eq_tol(total, 1, 1e-12);
    for (int b = 0; b < BATCHES; b++) {
        md_canvas canvas = {.ids = ids, .samples = BATCH, .length = TABLE_T};
        for (int i = 0; i < BATCH * TABLE_T; i++) ids[i] = TABLE_MASK;
        opt.first_index = (int64_t)b * BATCH;
        assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, NULL, &err));
        for (int k = 0; k < BATCH; k++) count[table_code(ids + k * TABLE_T)]++;
    }
    return chi_square_test(count, law, TABLE_CANVASES);
}

START_TEST(ancestral_draws_from_the_law_of_its_chain) {
    double law[TABLE_CANVASES], coarse[TABLE_CANVASES];
    enumerate(ancestral_law, (chain){.steps = 8, .power = 1}, law);
    enumerate(ancestral_law, (chain){.steps = 2, .power = 1}, coarse);
    ck_assert_double_gt(agreement(&md_rule_ancestral, 8, 1, law), 1e-3);
    ck_assert_double_gt(agreement(&md_rule_ancestral, 2, 1, coarse), 1e-3);
    ck_assert_double_lt(agreement(&md_rule_ancestral, 2, 1, law), 1e-6);
}
END_TEST

START_TEST(ancestral_in_one_step_draws_every_token_on_its_own) {
    double law[TABLE_CANVASES];
    enumerate(ancestral_law, (chain){.steps = 1, .power = 1}, law);
    int32_t ids[TABLE_T];
    for (int code = 0; code < TABLE_CANVASES; code++) { /* the enumeration itself */
        double product = 1;
        table_canvas(code, ids);
        for (int j = 0; j < TABLE_T; j++)
            product *= ids[j] == TABLE_MASK ? 0 : table_p(&model, TABLE_CANVASES - 1, j, ids[j]);
        ck_assert_double_eq_tol(law[code], product, 1e-15);
    }
    ck_assert_double_gt(agreement(&md_rule_ancestral, 1, 1, law), 1e-3);
}
END_TEST

static void select_with_stay_squared(md_block_step *b) {
    b->stay *= b->stay;
    md_rule_ancestral.select(b);
}

START_TEST(ancestral_with_a_wrong_rate_is_caught) {
    const md_rule broken = {.name = "broken", .select = select_with_stay_squared};
    double law[TABLE_CANVASES];
    enumerate(ancestral_law, (chain){.steps = 8, .power = 1}, law);
    ck_assert_double_lt(agreement(&broken, 8, 1, law), 1e-6);
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
    enumerate(random_law, (chain){.steps = 4, .power = 1}, law);
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
    ck_assert_double_gt(agreement(&md_rule_first_hitting, 0, 1, law), 1e-3);
    ck_assert_double_gt(agreement(&md_rule_first_hitting, 1, 1, law), 1e-3); /* steps ignored */
}
END_TEST

static void select_leftmost(md_block_step *b) {
    for (int j = 0; j < b->length; j++) {
        if (b->ids[j] != b->mask_id) continue;
        b->want[j] = 1;
        return;
    }
}

START_TEST(first_hitting_from_the_left_is_caught) {
    const md_rule broken = {
        .name = "broken", .one_token_per_step = true, .select = select_leftmost};
    double law[TABLE_CANVASES];
    enumerate(random_law, (chain){.steps = 4, .power = 1}, law);
    ck_assert_double_lt(agreement(&broken, 0, 1, law), 1e-6);
}
END_TEST

START_TEST(random_keeps_every_subset_equally_often) {
    for (int steps = 1; steps <= 4; steps++) {
        double law[TABLE_CANVASES];
        enumerate(random_law, (chain){.steps = steps, .power = 1}, law);
        double p = agreement(&md_rule_random, steps, 1, law);
        ck_assert_msg(p > 1e-3, "%d steps: p %g", steps, p);
    }
}
END_TEST

/* Neighbours only: (0,1), (1,2), (2,3), (3,0), a common way to pick "two of four". */
static void select_neighbours(md_block_step *b) {
    int masked[TABLE_T];
    md_rule_masked(b, masked);
    int first = (int)md_uniform_below(b->rng, b->sequence, 0, (uint64_t)b->masked);
    for (int i = 0; i < b->quota; i++) b->want[masked[(first + i) % b->masked]] = 1;
}

START_TEST(random_subsets_that_are_not_uniform_are_caught) {
    const md_rule broken = {.name = "broken", .select = select_neighbours};
    double law[TABLE_CANVASES];
    enumerate(random_law, (chain){.steps = 2, .power = 1}, law);
    ck_assert_double_lt(agreement(&broken, 2, 1, law), 1e-6);
}
END_TEST

START_TEST(confidence_keeps_the_most_confident_draws) {
    for (int steps = 1; steps <= 4; steps++) {
        double law[TABLE_CANVASES];
        enumerate(confidence_law, (chain){.steps = steps, .power = 1}, law);
        double p = agreement(&md_rule_confidence, steps, 1, law);
        ck_assert_msg(p > 1e-3, "%d steps: p %g", steps, p);
    }
}
END_TEST

START_TEST(confidence_is_that_of_the_distribution_before_temperature) {
    double law[TABLE_CANVASES];
    enumerate(confidence_law, (chain){.steps = 3, .power = 1 / 0.6}, law);
    ck_assert_double_gt(agreement(&md_rule_confidence, 3, 0.6, law), 1e-3);
    ck_assert_double_lt(agreement(&md_rule_confidence, 3, 1, law), 1e-6);
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
    double law[TABLE_CANVASES];
    enumerate(confidence_law, (chain){.steps = 4, .power = 1}, law);
    ck_assert_double_lt(agreement(&broken, 4, 1, law), 1e-6);
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
    add_case(s, ancestral_draws_from_the_law_of_its_chain);
    add_case(s, ancestral_in_one_step_draws_every_token_on_its_own);
    add_case(s, ancestral_with_a_wrong_rate_is_caught);
    add_case(s, ancestral_follows_the_schedule);
    add_case(s, first_hitting_averages_over_all_orders);
    add_case(s, first_hitting_from_the_left_is_caught);
    add_case(s, random_keeps_every_subset_equally_often);
    add_case(s, random_subsets_that_are_not_uniform_are_caught);
    add_case(s, confidence_keeps_the_most_confident_draws);
    add_case(s, confidence_is_that_of_the_distribution_before_temperature);
    add_case(s, confidence_upside_down_is_caught);
    add_case(s, equal_confidence_goes_to_the_lower_position);
    return suite_run(s);
}
