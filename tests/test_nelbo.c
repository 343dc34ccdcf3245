/* tests/test_nelbo.c: the likelihood bound against enumeration, and its error bars against their
 * own spread. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "diffusion/likelihood.h"
#include "tests/suite.h"
#include "tests/table_model.h"

static table_model model;

/* Stands in for the system's, under base/memory.c: fails when `memory_left` reaches 0. */
static int memory_left = -1;

int posix_memalign(void **out, size_t alignment, size_t bytes) {
    if (memory_left >= 0 && memory_left-- == 0) return ENOMEM;
    *out = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    return *out ? 0 : ENOMEM;
}

static double exact_nelbo(const int32_t *ids, const uint8_t *keep) {
    return table_bound(&model, ids, keep, 0, TABLE_T);
}

static md_likelihood_report estimate(const md_likelihood_options *opt,
                                     const md_likelihood_batch *batch) {
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_likelihood sum = {0};
    assert_ok(md_likelihood_add(&sum, &denoiser, opt, batch, NULL, &err));
    return md_likelihood_finish(&sum);
}

static void setup(void) {
    table_init(&model);
}

enum { N = 5 };
static const int32_t text[N * TABLE_T] = {0, 1, 2, 0, 2, 2, 1, 0, 1, 0,
                                          0, 1, 2, 1, 0, 2, 0, 0, 0, 0};

static double exact_total(void) {
    double sum = 0;
    for (int i = 0; i < N; i++) sum += exact_nelbo(text + i * TABLE_T, NULL);
    return sum;
}

START_TEST(the_estimate_agrees_with_enumeration) {
    md_likelihood_options opt = {.draws = 4000, .batch = 64, .seed = 1};
    md_likelihood_batch batch = {.ids = text, .count = N, .T = TABLE_T};
    md_likelihood_report r = estimate(&opt, &batch);
    double exact = exact_total(), z = (r.nats_per_token - exact / (N * TABLE_T)) / r.stderr_mc;
    ck_assert_int_eq(r.tokens, N * TABLE_T);
    ck_assert_double_eq_tol(r.nats, r.nats_per_token * N * TABLE_T, 1e-9);
    ck_assert_msg(fabs(z) < 4, "%g nats, exact %g, z %g", r.nats, exact, z);
    /* And the bar is short enough to tell the weight 2/u from its neighbours. */
    ck_assert_msg(r.stderr_mc < 0.01 * r.nats_per_token, "error bar %g", r.stderr_mc);
}
END_TEST

/* The plain estimate of masked.h under a schedule; `weighted` false leaves out w(t). z-score. */
static double plain_z(md_schedule_kind kind, bool weighted) {
    enum { DRAWS = 40000 };
    const int32_t *ids = text;
    md_masked p = md_masked_process(kind);
    double sum = 0, squares = 0, exact = exact_nelbo(ids, NULL);
    for (int k = 0; k < DRAWS; k++) {
        md_rng rng = {.seed = 1, .stream = MD_STREAM_MASK, .step = (uint64_t)k};
        int32_t noisy[TABLE_T], masked[TABLE_T];
        double x = 0, t = md_masked_stratified(&p, 0.5 / DRAWS, k, DRAWS);
        int count = md_masked_corrupt(rng, 0, md_masked_alpha(&p, t), TABLE_MASK, ids, NULL,
                                      TABLE_T, noisy, masked);
        for (int i = 0; i < count; i++)
            x -= log(table_p(&model, table_code(noisy), masked[i], ids[masked[i]]));
        if (weighted) x *= md_masked_weight(&p, t) * (1 - p.eps);
        sum += x, squares += x * x;
    }
    double mean = sum / DRAWS, variance = squares / DRAWS - mean * mean;
    return (mean - exact) / sqrt(variance / DRAWS);
}

START_TEST(weighted_losses_agree_with_enumeration_under_every_schedule) {
    for (int i = 0; i < 4; i++) {
        double z = plain_z((md_schedule_kind)i, true);
        ck_assert_msg(fabs(z) < 4, "schedule %d: z %g", i, z);
    }
}
END_TEST

START_TEST(unweighted_losses_do_not_pass_for_the_bound) {
    /* |z| = 4.9 is a p-value of 1e-6. */
    for (int i = 0; i < 4; i++) ck_assert(fabs(plain_z((md_schedule_kind)i, false)) > 4.9);
}
END_TEST

/* Mean and variance of z over seeds. */
static void spread_of_z(md_likelihood_options opt, const md_likelihood_batch *batch, double exact,
                        double *mean, double *variance) {
    enum { SEEDS = 300 };
    double sum = 0, squares = 0;
    for (int s = 0; s < SEEDS; s++) {
        opt.seed = 1000 + (uint64_t)s;
        md_likelihood_report r = estimate(&opt, batch);
        double z = (r.nats - exact) / (r.stderr_mc * (double)r.tokens);
        sum += z, squares += z * z;
    }
    *mean = sum / SEEDS;
    *variance = squares / SEEDS - *mean * *mean;
}

/* 300 seeds: the mean of z has the deviation 0.06, its variance 0.08; bounds are four of these. */
START_TEST(the_error_of_masks_is_calibrated_over_seeds) {
    md_likelihood_options opt = {.draws = 32, .batch = 64};
    md_likelihood_batch batch = {.ids = text, .count = N, .T = TABLE_T};
    double mean, variance;
    spread_of_z(opt, &batch, exact_total(), &mean, &variance);
    ck_assert_msg(fabs(mean) < 0.24 && variance > 0.68 && variance < 1.33,
                  "z: mean %g, variance %g", mean, variance);
}
END_TEST

START_TEST(the_error_of_masks_is_calibrated_for_one_short_text) {
    md_likelihood_options opt = {.draws = 64, .batch = 64};
    md_likelihood_batch batch = {.ids = text, .count = 1, .T = TABLE_T};
    double mean, variance;
    spread_of_z(opt, &batch, exact_nelbo(text, NULL), &mean, &variance);
    ck_assert_msg(fabs(mean) < 0.24 && variance > 0.68 && variance < 1.33,
                  "z: mean %g, variance %g", mean, variance);
}
END_TEST

/* Every token costs level + slope * (masked share of the canvas) nats: all spread is in times and
 * counts, and x is a curve in u, so times that miss its mean show. With n ~ Binomial(T, p) masked
 * the bound is the integral of E[n (level + slope n / T)] / p, T level + slope (T + 1) / 2. */
typedef struct curve {
    double level, slope;
} curve;

static mdlm_status curve_predict(void *context, const int32_t *ids, int B, int T,
                                 const int32_t *rows, int count, float *logits, mdlm_error *err) {
    const curve *c = context;
    (void)err;
    for (int b = 0, i = 0; b < B; b++) {
        int masked = 0;
        for (int j = 0; j < T; j++) masked += ids[b * T + j] == 2;
        double loss = c->level + c->slope * masked / T;
        for (; i < count && rows[i] / T == b; i++) {
            logits[3 * i] = (float)-loss;
            logits[3 * i + 1] = (float)log1p(-exp(-loss));
            logits[3 * i + 2] = 9.0F;
        }
    }
    return MDLM_OK;
}

/* Mean over seeds of the squared error bar, over the mean squared error: 1 when the bar is right,
 * for any number of draws. */
static double calibration(curve c, int T, int draws) {
    enum { SEEDS = 400 };
    static int32_t ids[2048]; /* zeros */
    mdlm_error err = {0};
    md_denoiser denoiser = {.context = &c, .vocab = 3, .mask_id = 2, .predict = curve_predict};
    double claimed = 0, squares = 0, exact = T * c.level + c.slope * (T + 1) / 2;
    for (int s = 0; s < SEEDS; s++) {
        md_likelihood_options opt = {.draws = draws, .batch = 64, .seed = (uint64_t)s};
        md_likelihood_batch batch = {.ids = ids, .count = 1, .T = T};
        md_likelihood sum = {0};
        assert_ok(md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err));
        md_likelihood_report r = md_likelihood_finish(&sum);
        claimed += r.stderr_mc * r.stderr_mc * T * T;
        squares += (r.nats - exact) * (r.nats - exact);
    }
    return claimed / squares;
}

/* 400 squares know their mean to 7%, the few degrees of freedom of each bar add as much again. */
START_TEST(the_error_of_masks_is_calibrated_for_one_long_text) {
    const int draws[] = {4, 5, 6, 7, 8, 16, 64};
    for (int i = 0; i < 7; i++) {
        double ratio = calibration((curve){.level = log(2)}, 512, draws[i]);
        ck_assert_msg(ratio > 0.7 && ratio < 1.4, "%d draws: ratio %g", draws[i], ratio);
    }
}
END_TEST

START_TEST(the_error_of_masks_is_calibrated_when_the_loss_grows_with_the_masks) {
    const int draws[] = {8, 9, 16, 32};
    for (int i = 0; i < 4; i++) {
        double ratio = calibration((curve){.level = 0.8, .slope = 2.2}, 2048, draws[i]);
        ck_assert_msg(ratio > 0.7 && ratio < 1.5, "%d draws: ratio %g", draws[i], ratio);
    }
}
END_TEST

START_TEST(the_error_of_masks_is_not_too_small_with_very_few_draws) {
    for (int draws = 2; draws < 8; draws++) {
        double ratio = calibration((curve){.level = 0.8, .slope = 2.2}, 512, draws);
        ck_assert_msg(ratio > 0.7, "%d draws: ratio %g", draws, ratio);
    }
}
END_TEST

START_TEST(four_times_the_draws_halve_the_error) {
    md_likelihood_options opt = {.draws = 500, .batch = 64, .seed = 4};
    md_likelihood_batch batch = {.ids = text, .count = N, .T = TABLE_T};
    double once = estimate(&opt, &batch).stderr_mc;
    opt.draws *= 4;
    double ratio = once / estimate(&opt, &batch).stderr_mc;
    /* 2500 draws know a standard deviation to about 3%. */
    ck_assert_msg(ratio > 1.75 && ratio < 2.25, "ratio %g", ratio);
    opt.draws = 1;
    ck_assert(isnan(estimate(&opt, &batch).stderr_mc));
}
END_TEST

/* Sequences of two batches, in order. */
static md_likelihood_report in_parts(const md_likelihood_options *opt, int cut, double *nats) {
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_likelihood sum = {0};
    md_likelihood_batch a = {.ids = text, .count = cut, .T = TABLE_T};
    md_likelihood_batch b = {
        .ids = text + cut * TABLE_T, .count = N - cut, .T = TABLE_T, .first = cut};
    assert_ok(md_likelihood_add(&sum, &denoiser, opt, &a, nats, &err));
    assert_ok(md_likelihood_add(&sum, &denoiser, opt, &b, nats + cut, &err));
    return md_likelihood_finish(&sum);
}

START_TEST(results_are_the_same_bits_for_any_batch) {
    double first[N], again[N];
    md_likelihood_options opt = {.draws = 9, .batch = 1, .seed = 3};
    md_likelihood_report one = in_parts(&opt, 2, first);
    ck_assert_int_eq(model.largest, 1);
    const int batches[] = {3, 7, 1000};
    for (int i = 0; i < 3; i++) {
        opt.batch = batches[i];
        md_likelihood_report other = in_parts(&opt, i, again);
        ck_assert_int_eq(memcmp(&one, &other, sizeof one), 0);
        ck_assert_int_eq(memcmp(first, again, sizeof first), 0);
    }
    ck_assert_int_gt(model.largest, 7);
    opt.seed++;
    md_likelihood_report other = in_parts(&opt, 2, again);
    ck_assert_double_ne(one.nats, other.nats);
}
END_TEST

START_TEST(draws_that_mask_nothing_cost_no_evaluation) {
    md_likelihood_options opt = {.draws = 200, .batch = 16, .seed = 8};
    md_likelihood_batch batch = {.ids = text, .count = N, .T = TABLE_T};
    estimate(&opt, &batch);
    /* Nothing is masked with probability E (1 - u^2)^4 = 128/315. */
    double expected = N * 200 * (1 - 128.0 / 315);
    ck_assert_msg(fabs(model.canvases - expected) < 4 * sqrt(N * 200 * 0.25), "%d, expected %g",
                  model.canvases, expected);
    ck_assert_int_eq(model.idle, 0);
    ck_assert_int_le(model.largest, 16);
}
END_TEST

START_TEST(a_kept_prompt_gives_the_conditional_bound) {
    const uint8_t keep[N * TABLE_T] = {0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 1};
    md_likelihood_options opt = {.draws = 4000, .batch = 64, .seed = 2};
    md_likelihood_batch batch = {.ids = text, .count = N, .T = TABLE_T, .keep = keep};
    md_likelihood_report r = estimate(&opt, &batch);
    double exact = 0;
    for (int i = 0; i < N - 1; i++) exact += exact_nelbo(text + i * TABLE_T, keep);
    ck_assert_int_eq(r.tokens, 8);
    ck_assert_int_eq(r.groups, 4); /* the last sequence has nothing to score */
    ck_assert_msg(fabs(r.nats - exact) < 4 * 8 * r.stderr_mc, "%g, exact %g", r.nats, exact);
    ck_assert_msg(r.stderr_mc < 0.02 * r.nats_per_token, "error bar %g", r.stderr_mc);
}
END_TEST

START_TEST(padding_is_visible_and_not_scored) {
    const int32_t lengths[N] = {2, 2, 2, 2, 2};
    const uint8_t keep[TABLE_T] = {0, 0, 1, 1};
    md_likelihood_options opt = {.draws = 4000, .batch = 64, .seed = 2};
    md_likelihood_batch batch = {.ids = text, .count = N, .T = TABLE_T, .lengths = lengths};
    md_likelihood_report r = estimate(&opt, &batch);
    double exact = 0;
    for (int i = 0; i < N; i++) exact += exact_nelbo(text + i * TABLE_T, keep);
    ck_assert_int_eq(r.tokens, 10);
    ck_assert_msg(fabs(r.nats - exact) < 4 * 10 * r.stderr_mc, "%g, exact %g", r.nats, exact);
}
END_TEST

START_TEST(the_error_of_documents_is_that_of_the_ratio) {
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_likelihood_options opt = {.draws = 8, .batch = 4, .seed = 6};
    const int64_t groups[N] = {7, 7, 8, 9, 9};
    const int32_t lengths[N] = {4, 3, 4, 4, 1};
    double x[3] = {0}, n[3] = {7, 4, 5}, nats[N];
    md_likelihood sum = {0};
    for (int i = 0; i < N; i++) { /* a document may go on in the next batch */
        md_likelihood_batch batch = {.ids = text + i * TABLE_T,
                                     .count = 1,
                                     .T = TABLE_T,
                                     .first = i,
                                     .lengths = lengths + i,
                                     .group = groups + i};
        assert_ok(md_likelihood_add(&sum, &denoiser, &opt, &batch, nats + i, &err));
        x[groups[i] - 7] += nats[i];
    }
    double ratio = (x[0] + x[1] + x[2]) / 16, squares = 0;
    for (int g = 0; g < 3; g++) squares += (x[g] - ratio * n[g]) * (x[g] - ratio * n[g]);
    md_likelihood_report r = md_likelihood_finish(&sum);
    ck_assert_int_eq(r.groups, 3);
    ck_assert_int_eq(r.sequences, N);
    ck_assert_double_eq_tol(r.nats_per_token, ratio, 1e-12);
    ck_assert_double_eq_tol(r.stderr_data, sqrt(squares * 3 / 2) / 16, 1e-12);
    md_likelihood_report again = md_likelihood_finish(&sum); /* asking changes nothing */
    ck_assert_int_eq(memcmp(&r, &again, sizeof r), 0);
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_reported) {
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_likelihood_options opt = {.draws = 8, .batch = 4, .seed = 6};
    md_likelihood_batch batch = {.ids = text, .count = 1, .T = TABLE_T};
    md_likelihood sum = {0}, before = {0};
    model.poison = NAN;
    assert_fails(md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err), MDLM_NUMERIC,
                 "finite");
    model.poison = -INFINITY;
    assert_fails(md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err), MDLM_NUMERIC,
                 "finite");
    ck_assert_int_eq(memcmp(&sum, &before, sizeof sum), 0);
}
END_TEST

START_TEST(a_failing_allocation_leaves_the_sums_alone) {
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_likelihood_options opt = {.draws = 8, .batch = 4};
    md_likelihood_batch batch = {.ids = text, .count = N, .T = TABLE_T};
    md_likelihood sum = {0}, before = {0};
    int failures = 0;
    for (;; failures++) {
        memory_left = failures;
        mdlm_status status = md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err);
        if (status == MDLM_OK) break;
        ck_assert_int_eq(status, MDLM_RUNTIME);
        ck_assert_int_eq(memcmp(&sum, &before, sizeof sum), 0);
    }
    memory_left = -1;
    ck_assert_int_ge(failures, 5);
    ck_assert_int_eq(sum.sequences, N);
}
END_TEST

START_TEST(senseless_requests_are_refused) {
    mdlm_error err = {0};
    md_denoiser denoiser = table_denoiser(&model);
    md_likelihood_options opt = {.draws = 0, .batch = 4};
    const int32_t masked[TABLE_T] = {0, TABLE_MASK, 0, 0}, unknown[TABLE_T] = {0, 0, 9, 0};
    md_likelihood_batch batch = {.ids = text, .count = 1, .T = TABLE_T};
    md_likelihood sum = {0};
    assert_fails(md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err), MDLM_USAGE, "draws");
    opt = (md_likelihood_options){.draws = 2};
    assert_fails(md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err), MDLM_USAGE, "batch");
    opt.batch = 1;
    batch.ids = masked;
    assert_fails(md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err), MDLM_INPUT, "mask");
    batch.ids = unknown;
    assert_fails(md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err), MDLM_INPUT, "id 9");
    ck_assert_int_eq(model.calls, 0);
    ck_assert_int_eq(md_likelihood_finish(&sum).tokens, 0);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}
#define add_case(s, test) add(s, #test, test)

int main(void) {
    Suite *s = suite_create("nelbo");
    add_case(s, the_estimate_agrees_with_enumeration);
    add_case(s, weighted_losses_agree_with_enumeration_under_every_schedule);
    add_case(s, unweighted_losses_do_not_pass_for_the_bound);
    add_case(s, the_error_of_masks_is_calibrated_over_seeds);
    add_case(s, the_error_of_masks_is_calibrated_for_one_short_text);
    add_case(s, the_error_of_masks_is_calibrated_for_one_long_text);
    add_case(s, the_error_of_masks_is_calibrated_when_the_loss_grows_with_the_masks);
    add_case(s, the_error_of_masks_is_not_too_small_with_very_few_draws);
    add_case(s, four_times_the_draws_halve_the_error);
    add_case(s, results_are_the_same_bits_for_any_batch);
    add_case(s, draws_that_mask_nothing_cost_no_evaluation);
    add_case(s, a_kept_prompt_gives_the_conditional_bound);
    add_case(s, padding_is_visible_and_not_scored);
    add_case(s, the_error_of_documents_is_that_of_the_ratio);
    add_case(s, numbers_that_are_not_finite_are_reported);
    add_case(s, a_failing_allocation_leaves_the_sums_alone);
    add_case(s, senseless_requests_are_refused);
    return suite_run(s);
}
