/* tests/test_sampler_cache.c: exact caches change nothing, approximate ones change what they say
 * they do, and the drift says how much. */
#include <math.h>

#include "sampler/cache.h"
#include "tests/cached_model.h"
#include "tests/failing_memory.h"
#include "tests/suite.h"

enum { T = CACHED_T, BLOCK = 4, SAMPLES = 5 };

/* A prompt, and later a given token. */
static const uint8_t given[T] = {1, 1, 1, [9] = 1};

static void lay_out(int32_t *ids, int samples) {
    for (int i = 0; i < samples * T; i++) ids[i] = given[i % T] ? i % T % 3 : CACHED_MASK;
}

static mdlm_status run_with(const md_denoiser *denoiser, const md_sampler_options *opt,
                            int32_t *ids, int samples, md_sampler_work *work, mdlm_error *err) {
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_canvas canvas = {.ids = ids, .given = given, .samples = samples, .length = T};
    lay_out(ids, samples);
    return md_sampler_run(denoiser, &process, opt, &canvas, work, err);
}

static mdlm_status run(cached_model *m, const md_sampler_options *opt, int32_t *ids, int samples,
                       mdlm_error *err) {
    md_denoiser denoiser = cached_denoiser(m);
    md_sampler_work work;
    int before = m->canvases;
    mdlm_status status = run_with(&denoiser, opt, ids, samples, &work, err);
    if (status == MDLM_OK && !opt->drift) ck_assert_int_eq(work.evaluations, m->canvases - before);
    ck_assert_int_eq(m->caches, 0);
    return status;
}

static bool fits(const md_rule *rule, md_sight sight) {
    return sight != MD_SEES_PAST || rule->left_to_right;
}

/* --- exact ----------------------------------------------------------------------------------- */

/* Whatever the rule, the sight and the batch. */
static void check_same(md_cache_kind kind, md_sight sight, const md_rule *rule, double edit) {
    mdlm_error err = {0};
    cached_model m = {.sight = sight, .block = BLOCK};
    md_sampler_options opt = md_sampler_defaults();
    int32_t none[SAMPLES * T], cached[SAMPLES * T], alone[T];
    opt.rule = rule, opt.blocks = 4, opt.steps = 16, opt.seed = 3, opt.edit_threshold = edit;
    opt.cache = MD_CACHE_NONE;
    assert_ok(run(&m, &opt, none, SAMPLES, &err));
    ck_assert_int_eq(m.cached_canvases, 0);
    opt.cache = kind;
    assert_ok(run(&m, &opt, cached, SAMPLES, &err));
    ck_assert_msg(!memcmp(none, cached, sizeof none), "'%s' sight %d", rule->name, (int)sight);
    ck_assert_int_eq(m.cached_canvases > 0, sight != MD_SEES_ALL);
    for (int k = 0; k < SAMPLES; k++) {
        opt.first_index = k;
        assert_ok(run(&m, &opt, alone, 1, &err));
        ck_assert_msg(!memcmp(alone, none + k * T, sizeof alone), "'%s' sight %d alone", rule->name,
                      (int)sight);
    }
}

START_TEST(exact_caches_change_nothing) {
    for (int n = 0; md_rule_names[n]; n++) {
        const md_rule *rule = md_rule_find(md_rule_names[n]);
        for (md_sight sight = MD_SEES_ALL; sight <= MD_SEES_PAST; sight++) {
            if (!fits(rule, sight)) continue;
            check_same(MD_CACHE_EXACT, sight, rule, 0);
            if (sight != MD_SEES_PAST) check_same(MD_CACHE_EXACT, sight, rule, 0.5);
        }
    }
}
END_TEST

START_TEST(where_nothing_later_is_seen_all_caches_are_exact) {
    for (md_sight sight = MD_SEES_BLOCKS; sight <= MD_SEES_PAST; sight++) {
        check_same(MD_CACHE_PREFIX, sight, &md_rule_left, 0);
        check_same(MD_CACHE_DUAL, sight, &md_rule_left, 0);
    }
    check_same(MD_CACHE_DUAL, MD_SEES_BLOCKS, &md_rule_threshold, 0.5);
    check_same(MD_CACHE_PREFIX, MD_SEES_BLOCKS, &md_rule_remdm_cap, 0);
}
END_TEST

static int64_t positions_of(md_sight sight, md_cache_kind kind, const md_rule *rule) {
    mdlm_error err = {0};
    cached_model m = {.sight = sight, .block = BLOCK};
    md_sampler_options opt = md_sampler_defaults();
    int32_t ids[T];
    opt.rule = rule, opt.cache = kind, opt.blocks = 4;
    assert_ok(run(&m, &opt, ids, 1, &err));
    return m.positions;
}

START_TEST(a_step_computes_what_it_must_and_no_more) {
    /* Open in the blocks of 4 that the denoiser sees: 1, 4, 3, 4, 4, 4; one token a step. Without
     * a cache a step computes all up to the end of its block. */
    int plain = 1 * 4 + 4 * 8 + 3 * 12 + 4 * 16 + 4 * 20 + 4 * 24;
    ck_assert_int_eq(positions_of(MD_SEES_BLOCKS, MD_CACHE_NONE, &md_rule_left), plain);
    /* With one the block alone, and at its first step once more the one before it, now final. */
    int cached = 1 * 4 + (4 + 4 * 4) + (4 + 3 * 4) + 3 * (4 + 4 * 4);
    ck_assert_int_eq(positions_of(MD_SEES_BLOCKS, MD_CACHE_EXACT, &md_rule_left), cached);
    /* The past: position i needs those up to i; each once. Position 9 is given. */
    plain = 0;
    for (int i = 3; i < T; i++) plain += i == 9 ? 0 : i + 1;
    ck_assert_int_eq(positions_of(MD_SEES_PAST, MD_CACHE_NONE, &md_rule_left), plain);
    ck_assert_int_eq(positions_of(MD_SEES_PAST, MD_CACHE_EXACT, &md_rule_left), T);
    /* All: 20 open positions in 4 blocks of 5 that start at 3, 8, 14 (9 is given) and 19. */
    ck_assert_int_eq(positions_of(MD_SEES_ALL, MD_CACHE_NONE, &md_rule_left), 20 * T);
    ck_assert_int_eq(positions_of(MD_SEES_ALL, MD_CACHE_PREFIX, &md_rule_left),
                     4 * T + 4 * (4 * T - 3 - 8 - 14 - 19));
    ck_assert_int_eq(positions_of(MD_SEES_ALL, MD_CACHE_DUAL, &md_rule_left),
                     4 * T + 4 * (5 + 6 + 5 + 5));
}
END_TEST

/* --- approximate ----------------------------------------------------------------------------- */

/* Fast-dLLM by hand, at temperature 0 with one token a step: the position of the greatest
 * probability in the block takes its most probable token. */
typedef struct by_hand {
    int32_t ids[T];
    md_cache_drift drift;
} by_hand;

static double softmax_of_best(const float *l, int *best) {
    double sum = 0;
    *best = 0;
    for (int v = 1; v < CACHED_MASK; v++)
        if (l[v] > l[*best]) *best = v;
    for (int v = 0; v < CACHED_MASK; v++) sum += exp((double)l[v] - (double)l[*best]);
    return 1 / sum;
}

static double kl(const float *p, const float *q) {
    double sp = 0, sq = 0, d = 0;
    for (int v = 0; v < CACHED_MASK; v++) sp += exp((double)p[v]), sq += exp((double)q[v]);
    for (int v = 0; v < CACHED_MASK; v++)
        d += exp((double)p[v]) / sp * log(exp((double)p[v]) / sp * sq / exp((double)q[v]));
    return d;
}

static void note_drift(cached_model *m, by_hand *h, int i, const float *cached, int best) {
    cached_state fresh = {.model = m};
    float exact[CACHED_V];
    int other;
    cached_compute(m, &fresh, h->ids, T, 0, T);
    cached_row(m, &fresh, T, i, exact);
    softmax_of_best(exact, &other);
    double d = kl(exact, cached);
    h->drift.rows++;
    h->drift.argmax_differs += other != best;
    h->drift.kl_sum += d;
    h->drift.kl_max = fmax(h->drift.kl_max, d);
}

static void step_by_hand(cached_model *m, by_hand *h, const cached_state *s, int start, int end) {
    double most = -1;
    int at = -1, token = -1;
    for (int i = start; i < end; i++) {
        float l[CACHED_V];
        int best;
        if (h->ids[i] != CACHED_MASK) continue;
        cached_row(m, s, T, i, l);
        double p = softmax_of_best(l, &best);
        note_drift(m, h, i, l, best);
        if (p > most) most = p, at = i, token = best;
    }
    h->ids[at] = token;
}

static by_hand fill_by_hand(md_cache_kind kind) {
    static const int starts[] = {3, 8, 14, 19}, ends[] = {8, 14, 19, 24};
    cached_model m = {.sight = MD_SEES_ALL};
    by_hand h = {.drift = {0}};
    lay_out(h.ids, 1);
    for (int b = 0; b < 4; b++) {
        cached_state s = {.model = &m};
        for (int step = 0; step < 5; step++) {
            int first = step == 0 ? 0 : starts[b];
            int end = step > 0 && kind == MD_CACHE_DUAL ? ends[b] : T;
            cached_compute(&m, &s, h.ids, T, first, end);
            step_by_hand(&m, &h, &s, starts[b], ends[b]);
        }
    }
    return h;
}

static void check_by_hand(md_cache_kind kind, int32_t *out) {
    mdlm_error err = {0};
    cached_model m = {.sight = MD_SEES_ALL};
    md_sampler_options opt = md_sampler_defaults();
    md_cache_drift drift = {0};
    by_hand expected = fill_by_hand(kind);
    opt.rule = &md_rule_confidence, opt.temperature = 0, opt.blocks = 4, opt.cache = kind;
    assert_ok(run(&m, &opt, out, 1, &err));
    ck_assert_int_eq(memcmp(out, expected.ids, sizeof expected.ids), 0);
    int32_t again[T];
    opt.drift = &drift;
    assert_ok(run(&m, &opt, again, 1, &err)); /* to look at it changes nothing */
    ck_assert_int_eq(memcmp(out, again, sizeof again), 0);
    ck_assert_int_eq(drift.rows, expected.drift.rows);
    ck_assert_int_eq(drift.argmax_differs, expected.drift.argmax_differs);
    ck_assert_int_gt(drift.argmax_differs, 0);
    /* both in double precision, of some 300 rows */
    ck_assert_double_eq_tol(drift.kl_sum, expected.drift.kl_sum, 1e-10);
    ck_assert_double_eq_tol(drift.kl_max, expected.drift.kl_max, 1e-12);
}

START_TEST(approximate_caches_do_what_fast_dllm_does) {
    int32_t prefix[T], dual[T], none[T];
    mdlm_error err = {0};
    cached_model m = {.sight = MD_SEES_ALL};
    md_sampler_options opt = md_sampler_defaults();
    check_by_hand(MD_CACHE_PREFIX, prefix);
    check_by_hand(MD_CACHE_DUAL, dual);
    opt.rule = &md_rule_confidence, opt.temperature = 0, opt.blocks = 4, opt.cache = MD_CACHE_NONE;
    assert_ok(run(&m, &opt, none, 1, &err));
    ck_assert(memcmp(prefix, dual, sizeof dual) && memcmp(prefix, none, sizeof none));
}
END_TEST

START_TEST(a_sample_does_not_depend_on_its_batch_with_any_cache) {
    for (int n = 0; md_rule_names[n]; n++) {
        for (md_cache_kind kind = MD_CACHE_PREFIX; kind <= MD_CACHE_DUAL; kind++) {
            mdlm_error err = {0};
            cached_model m = {.sight = MD_SEES_ALL};
            md_sampler_options opt = md_sampler_defaults();
            int32_t together[SAMPLES * T], alone[T];
            opt.rule = md_rule_find(md_rule_names[n]), opt.cache = kind;
            opt.blocks = 5, opt.steps = 13, opt.edit_threshold = 0.6;
            assert_ok(run(&m, &opt, together, SAMPLES, &err));
            for (int k = 0; k < SAMPLES; k++) {
                opt.first_index = k;
                assert_ok(run(&m, &opt, alone, 1, &err));
                ck_assert_msg(!memcmp(alone, together + k * T, sizeof alone), "'%s'",
                              md_rule_names[n]);
            }
        }
    }
}
END_TEST

START_TEST(exact_caches_do_not_drift) {
    for (md_sight sight = MD_SEES_ALL; sight <= MD_SEES_PAST; sight++) {
        for (md_cache_kind kind = MD_CACHE_NONE; kind <= MD_CACHE_EXACT; kind++) {
            mdlm_error err = {0};
            cached_model m = {.sight = sight, .block = BLOCK};
            md_sampler_options opt = md_sampler_defaults();
            md_cache_drift drift = {0};
            int32_t ids[SAMPLES * T];
            opt.rule = sight == MD_SEES_PAST ? &md_rule_left : &md_rule_ancestral;
            opt.steps = 40, opt.cache = kind, opt.drift = &drift;
            assert_ok(run(&m, &opt, ids, SAMPLES, &err));
            ck_assert_int_eq(drift.rows, SAMPLES * 20);
            ck_assert(drift.argmax_differs == 0 && drift.kl_sum == 0 && drift.kl_max == 0);
        }
    }
}
END_TEST

START_TEST(drift_is_the_divergence_without_the_mask) {
    const float exact[] = {1, 2, 9, -1, -INFINITY}, cached[] = {2, 1, -7, -1, 3};
    md_cache_drift drift = {.rows = 4, .argmax_differs = 1, .kl_sum = 10, .kl_max = 0.25};
    double p[] = {exp(1), exp(2), 0, exp(-1), 0}, q[] = {exp(2), exp(1), 0, exp(-1), exp(3)};
    double sp = p[0] + p[1] + p[3], sq = q[0] + q[1] + q[3] + q[4], expected = 0;
    for (int v = 0; v < 4; v++)
        if (v != 2) expected += p[v] / sp * log(p[v] / sp / (q[v] / sq));
    md_cache_drift_add(&drift, exact, cached, 5, 2);
    ck_assert(drift.rows == 5 && drift.argmax_differs == 2);
    ck_assert_double_eq_tol(drift.kl_sum, 10 + expected, 1e-14);
    ck_assert_double_eq_tol(drift.kl_max, expected, 1e-14);
    md_cache_drift_add(&drift, exact, exact, 5, 2);
    ck_assert(drift.rows == 6 && drift.argmax_differs == 2);
    ck_assert_double_eq_tol(drift.kl_sum, 10 + expected, 1e-14);
}
END_TEST

/* --- errors ---------------------------------------------------------------------------------- */

START_TEST(a_model_without_caches_can_do_without) {
    mdlm_error err = {0};
    for (md_sight sight = MD_SEES_ALL; sight <= MD_SEES_PAST; sight++) {
        cached_model m = {.sight = sight, .block = BLOCK};
        md_denoiser denoiser = cached_denoiser(&m);
        md_sampler_options opt = md_sampler_defaults();
        int32_t ids[T], expected[T];
        opt.rule = &md_rule_left;
        assert_ok(run(&m, &opt, expected, 1, &err));
        denoiser.cache_new = NULL, denoiser.cache_free = NULL, denoiser.predict_cached = NULL;
        assert_ok(run_with(&denoiser, &opt, ids, 1, NULL, &err));
        ck_assert_int_eq(memcmp(ids, expected, sizeof ids), 0);
        opt.cache = MD_CACHE_PREFIX;
        assert_fails(run_with(&denoiser, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--cache prefix");
        opt.cache = MD_CACHE_DUAL;
        assert_fails(run_with(&denoiser, &opt, ids, 1, NULL, &err), MDLM_USAGE,
                     "--cache dual: this model keeps no keys and values");
    }
}
END_TEST

START_TEST(too_little_memory_for_caches_is_a_clear_error) {
    mdlm_error err = {0};
    for (int left = 1; left <= SAMPLES; left++) {
        cached_model m = {.sight = MD_SEES_ALL, .refuse_after = left};
        md_sampler_options opt = md_sampler_defaults();
        int32_t ids[SAMPLES * T];
        opt.cache = MD_CACHE_DUAL;
        assert_fails(run(&m, &opt, ids, SAMPLES, &err), MDLM_RUNTIME,
                     "keys and values of 5 samples of 24 tokens");
    }
}
END_TEST

START_TEST(a_failing_allocation_is_reported_with_caches_and_drift) {
    mdlm_error err = {0};
    cached_model m = {.sight = MD_SEES_ALL};
    md_sampler_options opt = md_sampler_defaults();
    md_cache_drift drift = {0};
    int32_t ids[2 * T];
    int failures = 0;
    opt.cache = MD_CACHE_DUAL, opt.drift = &drift;
    for (;; failures++) {
        memory_left = failures;
        mdlm_status status = run(&m, &opt, ids, 2, &err);
        if (status == MDLM_OK) break;
        ck_assert_int_eq(status, MDLM_RUNTIME);
    }
    memory_left = -1;
    ck_assert_int_ge(failures, 15);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sampler caches");
    suite_case(s, exact_caches_change_nothing);
    suite_case(s, where_nothing_later_is_seen_all_caches_are_exact);
    suite_case(s, a_step_computes_what_it_must_and_no_more);
    suite_case(s, approximate_caches_do_what_fast_dllm_does);
    suite_case(s, a_sample_does_not_depend_on_its_batch_with_any_cache);
    suite_case(s, exact_caches_do_not_drift);
    suite_case(s, drift_is_the_divergence_without_the_mask);
    suite_case(s, a_model_without_caches_can_do_without);
    suite_case(s, too_little_memory_for_caches_is_a_clear_error);
    suite_case(s, a_failing_allocation_is_reported_with_caches_and_drift);
    return suite_run(s);
}
