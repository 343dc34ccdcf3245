/* tests/test_likelihood.c: every method with every kind of sight, against enumeration; parts and
 * differences of what was measured. The bound of a whole canvas is in test_nelbo.c. */
#include <math.h>
#include <string.h>

#include "diffusion/likelihood.h"
#include "tests/small_net.h"
#include "tests/suite.h"
#include "tests/table_model.h"

enum { N = 5, SEEDS = 300, PAIR = 2 };
static const int32_t text[N * TABLE_T] = {0, 1, 2, 0, 2, 2, 1, 0, 1, 0,
                                          0, 1, 2, 1, 0, 2, 0, 0, 0, 0};
static const md_likelihood_batch all = {.ids = text, .count = N, .T = TABLE_T};
static table_model model;

static void setup(void) {
    table_init(&model);
}

/* --- the table as a model of blocks of two, and as one of the past -----------------------------
 */

static mdlm_status predict_blocks(void *context, const int32_t *noisy, const int32_t *clean, int B,
                                  int T, const int32_t *rows, int count, float *logits,
                                  mdlm_error *err) {
    table_model *m = context;
    (void)err;
    MD_BUG_IF(T != TABLE_T);
    m->calls++;
    m->canvases += B;
    if (B > m->largest) m->largest = B;
    for (int r = 0; r < count; r++) {
        int canvas = rows[r] / T * T, j = rows[r] % T, first = j - j % PAIR;
        int code = table_block_code(clean + canvas, noisy + canvas, first, first + PAIR);
        m->idle += noisy[rows[r]] != TABLE_MASK;
        memcpy(logits + r * (TABLE_V + 1), m->logits[code][j], sizeof m->logits[code][j]);
    }
    return MDLM_OK;
}

static mdlm_status predict_past(void *context, const int32_t *ids, int B, int T,
                                const int32_t *rows, int count, float *logits, mdlm_error *err) {
    table_model *m = context;
    (void)err;
    m->canvases += B;
    if (B > m->largest) m->largest = B;
    for (int r = 0; r < count; r++) {
        const int32_t *canvas = ids + rows[r] / T * T;
        int j = rows[r] % T, code = table_block_code(canvas, canvas, j, j);
        memcpy(logits + r * (TABLE_V + 1), m->logits[code][j], sizeof m->logits[code][j]);
    }
    return MDLM_OK;
}

static md_denoiser denoiser_of(md_sight sight) {
    md_denoiser d = table_denoiser(&model);
    d.sight = sight;
    if (sight == MD_SEES_BLOCKS) d.block_length = PAIR, d.predict_blocks = predict_blocks;
    if (sight == MD_SEES_PAST) d.predict = predict_past;
    return d;
}

/* --- enumerated ------------------------------------------------------------------------------- */

static double exact_bound(md_sight sight, const int32_t *ids, const uint8_t *keep) {
    if (sight == MD_SEES_ALL) return table_bound(&model, ids, keep, 0, TABLE_T);
    return table_bound(&model, ids, keep, 0, PAIR) + table_bound(&model, ids, keep, PAIR, TABLE_T);
}

static double exact_total(md_sight sight) {
    double sum = 0;
    for (int i = 0; i < N; i++) sum += exact_bound(sight, text + i * TABLE_T, NULL);
    return sum;
}

/* -log p from left to right; kept positions are visible all the time. */
static double exact_chain(const int32_t *ids, const uint8_t *keep) {
    double sum = 0;
    for (int j = 0; j < TABLE_T; j++) {
        int32_t canvas[TABLE_T];
        if (keep && keep[j]) continue;
        for (int n = 0; n < TABLE_T; n++)
            canvas[n] = n < j || (keep && keep[n]) ? ids[n] : TABLE_MASK;
        sum -= log(table_p(&model, table_code(canvas), j, ids[j]));
    }
    return sum;
}

static md_likelihood_report estimate(const md_denoiser *d, const md_likelihood_options *opt,
                                     const md_likelihood_batch *batch, double *nats) {
    mdlm_error err = {0};
    md_likelihood sum = {0};
    assert_ok(md_likelihood_add(&sum, d, opt, batch, nats, &err));
    return md_likelihood_finish(&sum);
}

/* --- the methods ------------------------------------------------------------------------------ */

START_TEST(count_agrees_with_enumeration) {
    md_denoiser d = denoiser_of(MD_SEES_ALL);
    md_likelihood_options opt = {.method = MD_METHOD_COUNT, .draws = 4000, .batch = 64, .seed = 1};
    md_likelihood_report r = estimate(&d, &opt, &all, NULL);
    double exact = exact_total(MD_SEES_ALL);
    double z = (r.nats - exact) / (r.stderr_mc * (double)r.tokens);
    ck_assert_msg(fabs(z) < 4, "%g nats, exact %g, z %g", r.nats, exact, z);
    /* Short enough to tell the weight L/l from its neighbours. */
    ck_assert_msg(r.stderr_mc < 0.005 * r.nats_per_token, "error bar %g", r.stderr_mc);
    ck_assert_int_eq(model.canvases, N * 4000); /* every draw masks something */
    ck_assert_int_eq(model.idle, 0);
}
END_TEST

/* Mean and variance of z over seeds. 300 seeds: the mean has the deviation 0.06, the variance 0.08;
 * bounds are four of these. */
static void assert_calibrated(md_sight sight, md_method method, int draws, int texts) {
    md_denoiser d = denoiser_of(sight);
    double sum = 0, squares = 0, exact = 0;
    md_likelihood_batch batch = {.ids = text, .count = texts, .T = TABLE_T};
    for (int i = 0; i < texts; i++) exact += exact_bound(sight, text + i * TABLE_T, NULL);
    for (int s = 0; s < SEEDS; s++) {
        md_likelihood_options opt = {
            .method = method, .draws = draws, .batch = 64, .seed = 1000 + (uint64_t)s};
        md_likelihood_report r = estimate(&d, &opt, &batch, NULL);
        double z = (r.nats - exact) / (r.stderr_mc * (double)r.tokens);
        sum += z, squares += z * z;
    }
    double mean = sum / SEEDS, variance = squares / SEEDS - mean * mean;
    ck_assert_msg(fabs(mean) < 0.24 && variance > 0.68 && variance < 1.33,
                  "sight %d, method %d, %d draws, %d texts: z: mean %g, variance %g", sight, method,
                  draws, texts, mean, variance);
}

START_TEST(the_error_of_count_is_calibrated_over_seeds) {
    assert_calibrated(MD_SEES_ALL, MD_METHOD_COUNT, 32, N);
    assert_calibrated(MD_SEES_ALL, MD_METHOD_COUNT, 64, 1);
}
END_TEST

/* A token costs more the more is masked, and something that depends on the canvas like chance. */
static mdlm_status rough_predict(void *context, const int32_t *ids, int B, int T,
                                 const int32_t *rows, int count, float *logits, mdlm_error *err) {
    (void)context, (void)err;
    for (int b = 0, r = 0; b < B; b++) {
        uint32_t hash = 0, masked = 0;
        for (int j = 0; j < T; j++) {
            hash = hash * 31 + (uint32_t)ids[b * T + j];
            masked += ids[b * T + j] == TABLE_MASK;
        }
        for (; r < count && rows[r] / T == b; r++) {
            double chance = md_uniform((md_rng){.seed = hash}, 0, (uint32_t)(rows[r] % T));
            double loss = 0.5 + 2.0 * masked / T + chance;
            for (int v = 0; v < TABLE_V; v++)
                logits[r * (TABLE_V + 1) + v] = (float)log(-expm1(-loss) / (TABLE_V - 1));
            logits[r * (TABLE_V + 1)] = (float)-loss; /* every text is zeros */
            logits[r * (TABLE_V + 1) + TABLE_MASK] = 9;
        }
    }
    return MDLM_OK;
}

/* Mean over seeds of the squared error bar, over the mean squared error. The truth is the mean over
 * seeds, good enough beside 300 of them. They know a mean of squares to 8%, and the bars' few
 * degrees of freedom are many by the number of texts. */
START_TEST(the_error_of_count_is_calibrated_with_few_draws) {
    enum { T = 32, TEXTS = 24 };
    static const int32_t zeros[TEXTS * T];
    static const int draws[] = {2, 3, 4, 8};
    int32_t lengths[TEXTS];
    for (int i = 0; i < TEXTS; i++) lengths[i] = i % 8 ? T : T - i;
    md_denoiser d = denoiser_of(MD_SEES_ALL);
    d.predict = rough_predict;
    for (int n = 0; n < 4; n++) {
        double sum = 0, squares = 0, claimed = 0;
        for (int s = 0; s < SEEDS; s++) {
            md_likelihood_batch batch = {.ids = zeros, .count = TEXTS, .T = T, .lengths = lengths};
            md_likelihood_options opt = {
                .method = MD_METHOD_COUNT, .draws = draws[n], .batch = 64, .seed = (uint64_t)s};
            md_likelihood_report r = estimate(&d, &opt, &batch, NULL);
            sum += r.nats_per_token;
            squares += r.nats_per_token * r.nats_per_token;
            claimed += r.stderr_mc * r.stderr_mc;
        }
        double ratio = claimed / (squares - sum * sum / SEEDS);
        ck_assert_msg(ratio > 0.65 && ratio < 1.5, "%d draws: ratio %g", draws[n], ratio);
    }
}
END_TEST

START_TEST(blocks_with_noise_of_their_own_agree_with_enumeration) {
    assert_calibrated(MD_SEES_BLOCKS, MD_METHOD_NELBO, 32, N);
    assert_calibrated(MD_SEES_BLOCKS, MD_METHOD_COUNT, 32, N);
    assert_calibrated(MD_SEES_BLOCKS, MD_METHOD_NELBO, 64, 1);
    ck_assert_int_eq(model.idle, 0);
}
END_TEST

START_TEST(one_call_serves_all_blocks_of_a_sequence) {
    md_denoiser d = denoiser_of(MD_SEES_BLOCKS);
    md_likelihood_options opt = {.method = MD_METHOD_COUNT, .draws = 8, .batch = 1, .seed = 1};
    estimate(&d, &opt, &all, NULL);
    ck_assert_int_eq(model.canvases, N * 8);
    opt.method = MD_METHOD_CHAIN;
    estimate(&d, &opt, &all, NULL);
    ck_assert_int_eq(model.canvases, N * 8 + N * PAIR);
}
END_TEST

/* Sums of a few logarithms in double precision, of logits in float: 1e-12 is far above either. */
START_TEST(the_chain_equals_the_enumerated_value) {
    double nats[N];
    md_denoiser d = denoiser_of(MD_SEES_ALL);
    md_likelihood_options opt = {.method = MD_METHOD_CHAIN, .draws = 8, .batch = 7};
    md_likelihood_report r = estimate(&d, &opt, &all, nats);
    for (int i = 0; i < N; i++)
        ck_assert_double_eq_tol(nats[i], exact_chain(text + i * TABLE_T, NULL), 1e-12);
    ck_assert_double_eq(r.stderr_mc, 0);
    ck_assert_double_gt(r.stderr_data, 0);
    ck_assert_int_eq(model.canvases, N * TABLE_T);
    ck_assert_int_eq(r.tokens, N * TABLE_T);
}
END_TEST

START_TEST(the_chain_sees_kept_and_padding_and_scores_the_rest) {
    const uint8_t keep[TABLE_T] = {0, 1, 0, 0}, both[TABLE_T] = {0, 1, 0, 1};
    const int32_t length = 3;
    double nats;
    md_denoiser d = denoiser_of(MD_SEES_ALL);
    md_likelihood_options opt = {.method = MD_METHOD_CHAIN, .draws = 8, .batch = 7};
    md_likelihood_batch batch = {.ids = text, .count = 1, .T = TABLE_T, .keep = keep};
    estimate(&d, &opt, &batch, &nats);
    ck_assert_double_eq_tol(nats, exact_chain(text, keep), 1e-12);
    batch.lengths = &length;
    ck_assert_int_eq(estimate(&d, &opt, &batch, &nats).tokens, 2);
    ck_assert_double_eq_tol(nats, exact_chain(text, both), 1e-12);
}
END_TEST

START_TEST(the_chain_of_blocks_is_that_of_the_left_to_right_order) {
    double nats[N];
    md_denoiser d = denoiser_of(MD_SEES_BLOCKS);
    md_likelihood_options opt = {.method = MD_METHOD_CHAIN, .draws = 8, .batch = 3};
    estimate(&d, &opt, &all, nats);
    /* What follows is masked in the chain and unseen by blocks: the same canvases of the table. */
    for (int i = 0; i < N; i++)
        ck_assert_double_eq_tol(nats[i], exact_chain(text + i * TABLE_T, NULL), 1e-12);
}
END_TEST

START_TEST(a_model_of_the_past_is_exact_in_one_evaluation_whatever_the_method) {
    md_denoiser d = denoiser_of(MD_SEES_PAST);
    for (int method = 0; method < 3; method++) {
        double nats[N];
        md_likelihood_options opt = {.method = (md_method)method, .draws = 8, .batch = 3};
        model.canvases = 0;
        md_likelihood_report r = estimate(&d, &opt, &all, nats);
        for (int i = 0; i < N; i++)
            ck_assert_double_eq_tol(nats[i], exact_chain(text + i * TABLE_T, NULL), 1e-12);
        ck_assert_double_eq(r.stderr_mc, 0);
        ck_assert_int_eq(model.canvases, N);
    }
}
END_TEST

/* Mean squared error over seeds, times evaluations: what an answer of a given error costs. */
static double cost(const md_denoiser *d, md_method method, int draws,
                   const md_likelihood_batch *batch, double exact) {
    enum { RUNS = 200 };
    double squares = 0;
    model.canvases = 0;
    for (int s = 0; s < RUNS; s++) {
        md_likelihood_options opt = {
            .method = method, .draws = draws, .batch = 64, .seed = (uint64_t)s};
        double gap = estimate(d, &opt, batch, NULL).nats - exact;
        squares += gap * gap;
    }
    return squares / RUNS * model.canvases / RUNS;
}

/* 200 squares know their mean to 10%, so two of them their ratio to 14%: the bounds are ten times
 * that away from 1. */
START_TEST(count_costs_less_than_nelbo_for_the_same_error) {
    for (int sight = 0; sight < 2; sight++) {
        md_denoiser d = denoiser_of((md_sight)sight);
        double exact = exact_total((md_sight)sight);
        double nelbo = cost(&d, MD_METHOD_NELBO, 16, &all, exact);
        double count = cost(&d, MD_METHOD_COUNT, 16, &all, exact);
        ck_assert_msg(count < 0.5 * nelbo, "sight %d: count %g, nelbo %g", sight, count, nelbo);
    }
}
END_TEST

START_TEST(count_has_the_smaller_error_on_a_network) {
    enum { T = 24, TEXTS = 4 };
    small_net s;
    small_net_init(&s, "ref", 1, 1, T);
    md_transformer_view view = {.net = s.net, .tape = s.tape};
    md_denoiser d = md_transformer_denoiser(&view);
    for (int i = 0; i < TEXTS * T; i++) s.ids[i] = (i * i * 7 + i) % (SMALL_V - 1);
    md_likelihood_batch batch = {.ids = s.ids, .count = TEXTS, .T = T};
    md_likelihood_options opt = {.draws = 64, .batch = 16, .seed = 5};
    md_likelihood_report nelbo = estimate(&d, &opt, &batch, NULL);
    opt.method = MD_METHOD_COUNT;
    md_likelihood_report count = estimate(&d, &opt, &batch, NULL);
    double gap = count.nats_per_token - nelbo.nats_per_token;
    ck_assert_msg(fabs(gap) < 4 * hypot(count.stderr_mc, nelbo.stderr_mc),
                  "count %g +- %g, nelbo %g +- %g", count.nats_per_token, count.stderr_mc,
                  nelbo.nats_per_token, nelbo.stderr_mc);
    /* 256 draws know an error to 5%; hardly a draw of 24 tokens masks none, so draws are work. */
    ck_assert_msg(count.stderr_mc < 0.8 * nelbo.stderr_mc, "count %g, nelbo %g", count.stderr_mc,
                  nelbo.stderr_mc);
    small_net_release(&s);
}
END_TEST

START_TEST(results_are_the_same_bits_for_any_batch_and_cut) {
    for (int sight = 0; sight < 3; sight++) {
        for (int method = 0; method < 3; method++) {
            mdlm_error err = {0};
            md_denoiser d = denoiser_of((md_sight)sight);
            md_likelihood_options opt = {
                .method = (md_method)method, .draws = 9, .batch = 1, .seed = 3};
            double first[N], again[N];
            model.largest = 0;
            md_likelihood_report one = estimate(&d, &opt, &all, first);
            ck_assert_int_eq(model.largest, 1);
            for (int cut = 1; cut < N; cut++) {
                md_likelihood sum = {0};
                md_likelihood_batch a = {.ids = text, .count = cut, .T = TABLE_T};
                md_likelihood_batch b = {
                    .ids = text + cut * TABLE_T, .count = N - cut, .T = TABLE_T, .first = cut};
                opt.batch = 2 * cut + 1;
                assert_ok(md_likelihood_add(&sum, &d, &opt, &a, again, &err));
                assert_ok(md_likelihood_add(&sum, &d, &opt, &b, again + cut, &err));
                md_likelihood_report other = md_likelihood_finish(&sum);
                ck_assert_int_eq(memcmp(&one, &other, sizeof one), 0);
                ck_assert_int_eq(memcmp(first, again, sizeof first), 0);
            }
            ck_assert_int_gt(model.largest, 1);
        }
    }
}
END_TEST

/* --- parts and differences ---------------------------------------------------------------------
 */

START_TEST(parts_of_sequences_add_up_to_the_whole) {
    for (int sight = 0; sight < 2; sight++) {
        mdlm_error err = {0};
        md_denoiser d = denoiser_of((md_sight)sight);
        md_likelihood_options opt = {.method = MD_METHOD_COUNT, .draws = 6, .batch = 8, .seed = 4};
        double nats[N];
        md_losses losses;
        md_likelihood parts = {0};
        estimate(&d, &opt, &all, nats);
        assert_ok(md_losses_measure(&losses, &d, &opt, &all, &err));
        for (int i = 0; i < N; i++) {
            double sum = md_losses_fold(&losses, i, 0, 1, &parts);
            sum += md_losses_fold(&losses, i, 1, 3, &parts);
            sum += md_losses_fold(&losses, i, 3, TABLE_T, &parts);
            ck_assert_double_eq_tol(sum, nats[i], 1e-12); /* sums in another order */
        }
        md_likelihood_report r = md_likelihood_finish(&parts);
        ck_assert_int_eq(r.tokens, N * TABLE_T);
        ck_assert_int_eq(r.groups, N);
        md_losses_release(&losses);
    }
}
END_TEST

/* Another table: the first with its logits halved, so that both lose where the text is unlikely. */
static table_model flat;

static void make_flat(void) {
    flat = model;
    for (int c = 0; c < TABLE_CANVASES; c++)
        for (int n = 0; n < TABLE_T * (TABLE_V + 1); n++)
            flat.logits[c][n / (TABLE_V + 1)][n % (TABLE_V + 1)] *= 0.8F;
}

static md_likelihood_report difference(md_likelihood_options opt, bool *paired) {
    mdlm_error err = {0};
    md_denoiser one = table_denoiser(&model), other = table_denoiser(&flat);
    md_losses a, b;
    md_likelihood sum = {0};
    assert_ok(md_losses_measure(&a, &one, &opt, &all, &err));
    assert_ok(md_losses_measure(&b, &other, &opt, &all, &err));
    *paired = md_losses_subtract(&a, &b);
    for (int i = 0; i < N; i++) md_losses_fold(&a, i, 0, TABLE_T, &sum);
    md_losses_release(&a);
    md_losses_release(&b);
    return md_likelihood_finish(&sum);
}

START_TEST(the_error_of_a_paired_difference_is_calibrated_and_smaller) {
    double sum = 0, squares = 0, exact = exact_total(MD_SEES_ALL), apart = 0, together = 0;
    make_flat();
    for (int i = 0; i < N; i++) exact -= table_bound(&flat, text + i * TABLE_T, NULL, 0, TABLE_T);
    for (int s = 0; s < SEEDS; s++) {
        bool paired;
        md_denoiser d = table_denoiser(&model);
        md_likelihood_options opt = {.draws = 32, .batch = 64, .seed = (uint64_t)s};
        md_likelihood_report r = difference(opt, &paired);
        ck_assert(paired);
        double z = (r.nats - exact) / (r.stderr_mc * (double)r.tokens);
        sum += z, squares += z * z;
        together += r.stderr_mc / SEEDS;
        apart += estimate(&d, &opt, &all, NULL).stderr_mc / SEEDS;
    }
    double mean = sum / SEEDS, variance = squares / SEEDS - mean * mean;
    ck_assert_msg(fabs(mean) < 0.24 && variance > 0.68 && variance < 1.33,
                  "z: mean %g, variance %g", mean, variance);
    /* Alone, each has about the error `apart`; of independent masks it would be 1.4 of that. */
    ck_assert_msg(together < 0.5 * apart, "paired %g, alone %g", together, apart);
}
END_TEST

START_TEST(a_difference_of_other_draws_is_that_of_the_means) {
    mdlm_error err = {0};
    md_denoiser one = denoiser_of(MD_SEES_ALL), other = denoiser_of(MD_SEES_PAST);
    md_likelihood_options opt = {.draws = 5, .batch = 64, .seed = 2};
    double a_nats[N], b_nats[N];
    md_losses a, b;
    md_likelihood sum = {0};
    estimate(&one, &opt, &all, a_nats);
    estimate(&other, &opt, &all, b_nats);
    assert_ok(md_losses_measure(&a, &one, &opt, &all, &err));
    assert_ok(md_losses_measure(&b, &other, &opt, &all, &err));
    ck_assert(!md_losses_subtract(&a, &b));
    for (int i = 0; i < N; i++) /* sums in another order */
        ck_assert_double_eq_tol(md_losses_fold(&a, i, 0, TABLE_T, &sum), a_nats[i] - b_nats[i],
                                1e-12);
    md_losses_release(&a);
    md_losses_release(&b);
}
END_TEST

static int stop_at_third(void *user, int64_t canvases) {
    int64_t *seen = user;
    *seen = canvases;
    return canvases >= 3;
}

START_TEST(a_measurement_can_be_cancelled_between_calls) {
    mdlm_error err = {0};
    int64_t seen = 0;
    md_denoiser d = denoiser_of(MD_SEES_ALL);
    md_likelihood_options opt = {
        .method = MD_METHOD_CHAIN, .draws = 1, .batch = 1, .on_call = stop_at_third, .user = &seen};
    md_likelihood sum = {0}, before = {0};
    assert_fails(md_likelihood_add(&sum, &d, &opt, &all, NULL, &err), MDLM_CANCELLED, "3 canvases");
    ck_assert_int_eq(seen, 3);
    ck_assert_int_eq(memcmp(&sum, &before, sizeof sum), 0);
}
END_TEST

START_TEST(methods_have_names) {
    mdlm_error err = {0};
    md_method method = MD_METHOD_NELBO;
    assert_ok(md_method_from_name("chain", &method, &err));
    ck_assert_int_eq(method, MD_METHOD_CHAIN);
    assert_ok(md_method_from_name("count", &method, &err));
    ck_assert_int_eq(method, MD_METHOD_COUNT);
    assert_fails(md_method_from_name("elbo", &method, &err), MDLM_USAGE, "expected nelbo, count");
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
    Suite *s = suite_create("likelihood");
    add_case(s, count_agrees_with_enumeration);
    add_case(s, the_error_of_count_is_calibrated_over_seeds);
    add_case(s, the_error_of_count_is_calibrated_with_few_draws);
    add_case(s, blocks_with_noise_of_their_own_agree_with_enumeration);
    add_case(s, one_call_serves_all_blocks_of_a_sequence);
    add_case(s, the_chain_equals_the_enumerated_value);
    add_case(s, the_chain_sees_kept_and_padding_and_scores_the_rest);
    add_case(s, the_chain_of_blocks_is_that_of_the_left_to_right_order);
    add_case(s, a_model_of_the_past_is_exact_in_one_evaluation_whatever_the_method);
    add_case(s, count_costs_less_than_nelbo_for_the_same_error);
    add_case(s, count_has_the_smaller_error_on_a_network);
    add_case(s, results_are_the_same_bits_for_any_batch_and_cut);
    add_case(s, parts_of_sequences_add_up_to_the_whole);
    add_case(s, the_error_of_a_paired_difference_is_calibrated_and_smaller);
    add_case(s, a_difference_of_other_draws_is_that_of_the_means);
    add_case(s, a_measurement_can_be_cancelled_between_calls);
    add_case(s, methods_have_names);
    return suite_run(s);
}
