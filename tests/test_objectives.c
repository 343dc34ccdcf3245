/* tests/test_objectives.c: what text models are trained to predict (train/objective.h), noise by
 * block (train/block_noise.h) and its clipping (train/clip.h). */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/likelihood.h"
#include "tests/suite.h"
#include "train/block_noise.h"

static mdlm_error err;

enum { V = 259, MASK = 256 };

/* A task on sequences that come again in every step. */
typedef struct fixture {
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_tokenizer *tokenizer;
    md_text_task task;
    md_task view;
    int kept; /* leading tokens of each sequence that are given */
} fixture;

static int32_t token(int64_t sequence, int j) {
    return (int32_t)((sequence * 7 + j * j * 5 + j) % 11);
}

static mdlm_status read_sequences(void *context, int64_t step, int64_t first, md_text_batch *batch,
                                  mdlm_error *e) {
    const fixture *f = context;
    (void)step, (void)e;
    batch->T = batch->seq_len;
    for (int b = 0; b < batch->B; b++) {
        int64_t sequence = (first + b) % md_text_task_sequences(&f->task);
        batch->scored[b] = batch->T - f->kept;
        batch->lengths[b] = batch->T;
        for (int j = 0; j < batch->T; j++) {
            batch->ids[b * batch->T + j] = token(sequence, j);
            batch->keep[b * batch->T + j] = j < f->kept;
        }
    }
    return MDLM_OK;
}

/* Weights that are large enough for predictions to depend on what is seen. */
static void set_weights(md_transformer *net) {
    md_params *params = md_transformer_params(net);
    for (int64_t i = 0; i < md_params_size(params); i++) {
        double u = md_uniform((md_rng){.seed = 2, .stream = MD_STREAM_INIT}, 0, (uint32_t)i);
        md_params_values(params)[i] = (md_real)(u - 0.4);
    }
}

static void start(fixture *f, const md_objective *objective, int seq_len, int block, int batch) {
    md_model_config config = {.layers = 1,
                              .dim = 16,
                              .heads = 2,
                              .kv_heads = 2,
                              .ff = 24,
                              .vocab = V,
                              .seq_len = seq_len,
                              .rope_theta = 10000,
                              .norm_eps = 1e-5,
                              .mask_id = MASK,
                              .sight = objective->sight,
                              .block_length = block};
    *f = (fixture){.kept = 0};
    assert_ok(md_kernels_init(&f->kernels, NULL, &err));
    f->pool = md_pool_new(1, &err);
    f->tape = md_tape_new(f->pool, &f->kernels, &err);
    ck_assert(f->pool && f->tape);
    assert_ok(md_tokenizer_bytes(&f->tokenizer, &err));
    f->task = (md_text_task){.tokenizer = f->tokenizer,
                             .data = {.context = f, .read = read_sequences, .unit = 1},
                             .objective = objective,
                             .process = md_masked_process(MD_SCHEDULE_POLY),
                             .tape = f->tape,
                             .seed = 5,
                             .batch = batch,
                             .accum = 1,
                             .seq_len = seq_len};
    assert_ok(md_transformer_new(&config, true, &f->task.net, &err));
    set_weights(f->task.net);
    assert_ok(md_text_task_init(&f->task, &err));
    f->view = md_text_task_view(&f->task);
}

static void finish(fixture *f) {
    md_text_task_release(&f->task);
    md_transformer_free(f->task.net);
    md_tokenizer_free(f->tokenizer);
    md_tape_free(f->tape);
    md_pool_free(f->pool);
}

static double loss_of_step(fixture *f, int64_t step) {
    double loss = 0;
    md_rng key = {.step = (uint64_t)step};
    assert_ok(md_task_run(&f->view, f->tape, key, false, &loss, &err));
    return loss;
}

/* Fills the task's batch with micro-batch `micro` of a step. */
static const md_text_batch *fill(fixture *f, int64_t step, int micro) {
    md_text_batch *batch = &f->task.micro;
    int64_t first = ((step - 1) * f->task.parts + micro) * f->task.sequences;
    assert_ok(read_sequences(f, step, first, batch, &err));
    f->task.objective->fill(&f->task, step, micro, batch);
    return batch;
}

/* --- objectives ------------------------------------------------------------------------------- */

START_TEST(objectives_are_found_by_name_and_by_sight) {
    ck_assert_ptr_eq(md_objective_find("mdlm"), &md_objective_mdlm);
    ck_assert_ptr_eq(md_objective_find("block"), &md_objective_block);
    ck_assert_ptr_eq(md_objective_find("ar"), &md_objective_ar);
    ck_assert_ptr_null(md_objective_find("gpt"));
    ck_assert_ptr_eq(md_objective_for(MD_SEES_PAST), &md_objective_ar);
    ck_assert_ptr_eq(md_objective_for(MD_SEES_BLOCKS), &md_objective_block);
    ck_assert_ptr_eq(md_objective_for(MD_SEES_ALL), &md_objective_mdlm);
}
END_TEST

START_TEST(one_block_is_masked_diffusion) {
    enum { T = 64, B = 32, MICRO = 16 };
    fixture whole, block;
    start(&whole, &md_objective_mdlm, T, 0, B);
    start(&block, &md_objective_block, T, T, B);
    ck_assert_int_eq(whole.task.parts, 2);
    for (int micro = 0; micro < 2; micro++) {
        const md_text_batch *a = fill(&whole, 3, micro), *b = fill(&block, 3, micro);
        ck_assert_int_eq(a->B, MICRO);
        ck_assert_int_gt(a->count, 100);
        ck_assert_int_eq(a->count, b->count);
        ck_assert_mem_eq(a->noisy, b->noisy, sizeof(int32_t) * MICRO * T);
        for (int64_t i = 0; i < a->count; i++) {
            ck_assert_int_eq(b->rows[i], a->rows[i] / T * 2 * T + a->rows[i] % T);
            ck_assert_int_eq(b->target[i], a->target[i]);
            ck_assert(b->weight[i] == a->weight[i]);
        }
    }
    /* The same sums over twice the rows, so in other tiles: float rounding. */
    double a = loss_of_step(&whole, 3), b = loss_of_step(&block, 3);
    ck_assert_double_eq_tol(a, b, 2e-6 * a);
    finish(&whole);
    finish(&block);
}
END_TEST

START_TEST(given_tokens_are_never_hidden_and_have_no_loss) {
    enum { T = 24, B = 8, KEPT = 9 };
    const md_objective *const all[] = {&md_objective_mdlm, &md_objective_block, &md_objective_ar};
    for (int o = 0; o < 3; o++) {
        fixture f;
        const bool blocks = all[o]->sight == MD_SEES_BLOCKS;
        start(&f, all[o], T, blocks ? 8 : 0, B);
        f.kept = KEPT;
        const md_text_batch *batch = fill(&f, 1, 0);
        ck_assert_int_gt(batch->count, 0);
        for (int64_t i = 0; i < batch->count; i++) {
            const int b = batch->rows[i] / (blocks ? 2 * T : T), j = batch->rows[i] % T;
            ck_assert_int_ge(j, KEPT);
            ck_assert_int_eq(batch->target[i], token(b, j));
        }
        for (int i = 0; i < B * T && all[o] != &md_objective_ar; i++) {
            if (i % T < KEPT) ck_assert_int_eq(batch->noisy[i], batch->ids[i]);
        }
        finish(&f);
    }
}
END_TEST

START_TEST(weights_are_a_mean_over_the_tokens_that_count) {
    enum { T = 24, B = 8, KEPT = 9 };
    fixture f;
    start(&f, &md_objective_ar, T, 0, B);
    f.kept = KEPT;
    const md_text_batch *batch = fill(&f, 1, 0);
    double sum = 0;
    for (int64_t i = 0; i < batch->count; i++) sum += (double)batch->weight[i];
    ck_assert_double_eq_tol(sum, 1, 1e-6); /* weights are floats */
    finish(&f);
    start(&f, &md_objective_block, T, 8, B);
    f.kept = KEPT;
    batch = fill(&f, 1, 0);
    md_block_noise noise = md_block_noise_of(&f.task, &f.task.process, 1, 0, batch);
    for (int64_t i = 0; i < batch->count; i++) {
        double t = md_block_noise_time(&noise, batch->rows[i] / (2 * T), batch->rows[i] % T / 8);
        double expected = 2 / t / (B * (T - KEPT));
        ck_assert_double_eq_tol((double)batch->weight[i], expected, 1e-6 * expected);
    }
    finish(&f);
}
END_TEST

/* --- noise by block --------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

START_TEST(levels_are_spread_over_the_blocks_of_a_step) {
    enum { T = 64, BLOCK = 16, K = T / BLOCK, B = 32, N = B * K };
    fixture f;
    start(&f, &md_objective_block, T, BLOCK, B);
    f.task.process.eps = 0; /* strata of exactly 1/N */
    double all[N], sequence[K], across[K] = {0};
    int count = 0;
    for (int micro = 0; micro < f.task.parts; micro++) {
        const md_text_batch *batch = fill(&f, 2, micro);
        md_block_noise noise = md_block_noise_of(&f.task, &f.task.process, 2, micro, batch);
        ck_assert_int_eq(noise.blocks, K);
        for (int b = 0; b < batch->B; b++) {
            for (int k = 0; k < K; k++) {
                sequence[k] = all[count++] = md_block_noise_time(&noise, b, k);
                across[k] += sequence[k] / B;
            }
            qsort(sequence, K, sizeof *sequence, by_value);
            for (int k = 1; k < K; k++) /* evenly over all levels */
                ck_assert_double_eq_tol(sequence[k] - sequence[k - 1], 1.0 / K, 1e-12);
        }
    }
    ck_assert_int_eq(count, N);
    qsort(all, N, sizeof *all, by_value);
    for (int i = 1; i < N; i++) ck_assert_double_eq_tol(all[i] - all[i - 1], 1.0 / N, 1e-12);
    for (int k = 0; k < K; k++) ck_assert_double_eq_tol(across[k], 0.5, 0.05); /* all bands */
    finish(&f);
}
END_TEST

START_TEST(blocks_of_a_step_have_masks_of_their_own) {
    enum { T = 64, BLOCK = 16, B = 8 };
    fixture f;
    start(&f, &md_objective_block, T, BLOCK, B);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    process.eps = 0.5, process.end = 0.5; /* one level: blocks differ by their masks alone */
    f.task.process = process;
    const md_text_batch *batch = fill(&f, 1, 0);
    for (int a = 0; a < B * T / BLOCK; a++) {
        for (int b = 0; b < a; b++) {
            int same = 0;
            for (int j = 0; j < BLOCK; j++)
                same +=
                    (batch->noisy[a * BLOCK + j] == MASK) == (batch->noisy[b * BLOCK + j] == MASK);
            ck_assert_int_lt(same, BLOCK); /* by chance once in 65536 for each of 496 pairs */
        }
    }
    finish(&f);
}
END_TEST

/* --- against the likelihood ------------------------------------------------------------------- */

/* nats per token of the task's sequences */
static md_likelihood_report likelihood(fixture *f, int draws) {
    enum { MOST = 4096 };
    static int32_t ids[MOST];
    const int T = f->task.seq_len, B = f->task.batch;
    ck_assert_int_le(B * T, MOST);
    for (int i = 0; i < B * T; i++) ids[i] = token(i / T, i % T);
    md_transformer_view view = {.net = f->task.net, .tape = f->tape};
    md_denoiser denoiser = md_transformer_denoiser(&view);
    md_likelihood_options opt = {.draws = draws, .batch = 16, .seed = 11};
    md_likelihood_batch batch = {.ids = ids, .count = B, .T = T};
    md_likelihood sum = {0};
    assert_ok(md_likelihood_add(&sum, &denoiser, &opt, &batch, NULL, &err));
    return md_likelihood_finish(&sum);
}

/* Mean and standard error of the losses of steps 1..n; the errors of stratified steps do not depend
 * on each other. */
static double mean_loss(fixture *f, int n, double *error) {
    double sum = 0, squares = 0;
    for (int step = 1; step <= n; step++) {
        double x = loss_of_step(f, step);
        sum += x, squares += x * x;
    }
    *error = sqrt((squares / n - sum / n * (sum / n)) / (n - 1));
    return sum / n;
}

START_TEST(the_mean_loss_of_block_diffusion_is_its_bound) {
    enum { T = 12, BLOCK = 4, B = 8, STEPS = 1500 };
    for (int kind = 0; kind < 2; kind++) {
        fixture f;
        double error;
        start(&f, &md_objective_block, T, BLOCK, B);
        f.task.process = md_masked_process(kind == 0 ? MD_SCHEDULE_POLY : MD_SCHEDULE_COSINE);
        /* t is drawn from [eps, 1], where all but eps^2 of the integral lies */
        double mean = (1 - f.task.process.eps) * mean_loss(&f, STEPS, &error);
        md_likelihood_report r = likelihood(&f, 256);
        double spread = hypot(error, r.stderr_mc);
        ck_assert_double_lt(spread, 0.02 * mean); /* sharp enough to tell */
        ck_assert_msg(fabs(mean - r.nats_per_token) < 4 * spread, "%g +- %g, expected %g +- %g",
                      mean, error, r.nats_per_token, r.stderr_mc);
        finish(&f);
    }
}
END_TEST

START_TEST(a_clipped_loss_does_not_depend_on_the_schedule) {
    enum { T = 12, BLOCK = 4, B = 8, STEPS = 1500 };
    const md_schedule_kind kinds[] = {MD_SCHEDULE_LINEAR, MD_SCHEDULE_POLY, MD_SCHEDULE_COSINE};
    double mean[3], error[3];
    for (int i = 0; i < 3; i++) {
        fixture f;
        start(&f, &md_objective_block, T, BLOCK, B);
        f.task.process = md_masked_process(kinds[i]);
        md_text_task_clip(&f.task, (md_clip){0.3, 0.8});
        mean[i] = mean_loss(&f, STEPS, &error[i]);
        ck_assert_double_lt(error[i], 0.01 * mean[i]);
        finish(&f);
    }
    for (int i = 1; i < 3; i++) {
        ck_assert_msg(fabs(mean[i] - mean[0]) < 4 * hypot(error[i], error[0]),
                      "%g +- %g, with the linear schedule %g +- %g", mean[i], error[i], mean[0],
                      error[0]);
    }
}
END_TEST

START_TEST(clipped_levels_lie_between_the_bounds) {
    enum { T = 64, BLOCK = 16, B = 32 };
    fixture f;
    start(&f, &md_objective_block, T, BLOCK, B);
    md_text_task_clip(&f.task, (md_clip){0.3, 0.8});
    const md_text_batch *batch = fill(&f, 1, 0);
    md_block_noise noise = md_block_noise_of(&f.task, &f.task.process, 1, 0, batch);
    double least = 1, most = 0;
    for (int b = 0; b < batch->B; b++) {
        for (int k = 0; k < T / BLOCK; k++) {
            double share = 1 - md_masked_alpha(&f.task.process, md_block_noise_time(&noise, b, k));
            least = fmin(least, share), most = fmax(most, share);
        }
    }
    ck_assert_double_ge(least, 0.3);
    ck_assert_double_le(most, 0.8);
    ck_assert_double_lt(least, 0.33); /* 128 levels reach near the bounds */
    ck_assert_double_gt(most, 0.77);
    finish(&f);
}
END_TEST

START_TEST(the_autoregressive_loss_is_the_likelihood) {
    enum { T = 20, B = 6 };
    fixture f;
    start(&f, &md_objective_ar, T, 0, B);
    md_likelihood_report r = likelihood(&f, 1);
    ck_assert_double_eq(r.stderr_mc, 0);
    double loss = loss_of_step(&f, 1);
    ck_assert_double_eq_tol(loss, r.nats_per_token, 2e-6 * loss); /* sums in float */
    ck_assert_double_eq(loss, loss_of_step(&f, 2));               /* nothing is drawn */
    finish(&f);
}
END_TEST

/* --- clips ------------------------------------------------------------------------------------ */

enum { LOSSES = 4000 };

/* Losses whose estimate x = loss / share is `trend` plus noise of a width that goes by the share.
 */
static void make_losses(md_level_loss *losses, double (*trend)(double), double (*width)(double)) {
    md_rng rng = {.seed = 3, .stream = MD_STREAM_EVAL_MASK};
    for (int i = 0; i < LOSSES; i++) {
        double share = md_uniform(rng, 0, (uint32_t)i);
        double x = trend(share) + width(share) * md_normal(rng, 1, (uint32_t)i);
        losses[i] = (md_level_loss){.share = share, .loss = share * x};
    }
}

static double level(double share) {
    (void)share;
    return 2;
}
static double slope(double share) {
    return 3 * share;
}
static double steep(double share) {
    return 100 * share;
}
static double little_masked(double share) {
    return share < 0.3 ? 5 : 1;
}
static double ends(double share) {
    return share < 0.45 || share > 0.95 ? 5 : 1;
}
static double much_masked(double share) {
    return share > 0.5 ? 5 : 1;
}
static double even(double share) {
    return 1 + 0.2 * fabs(share - 0.5);
}

static void assert_clip(md_clip clip, double low, double high) {
    ck_assert_msg(clip.low == low && clip.high == high, "%g,%g: expected %g,%g", clip.low,
                  clip.high, low, high);
}

START_TEST(the_clip_of_least_variance_is_chosen) {
    static md_level_loss losses[LOSSES];
    md_masked p = md_masked_process(MD_SCHEDULE_LINEAR);
    make_losses(losses, level, ends);
    assert_clip(md_clip_choose(&p, losses, LOSSES, 1), 0.45, 0.95);
    make_losses(losses, level, much_masked);
    assert_clip(md_clip_choose(&p, losses, LOSSES, 1), 0, 0.5);
    make_losses(losses, level, even);
    assert_clip(md_clip_choose(&p, losses, LOSSES, 1), 0.3, 0.8);
    assert_clip(md_clip_choose(&p, losses, 15, 1), 0, 1); /* too few to tell */
}
END_TEST

/* x = 3 share: the means under [0,1], [0.3,0.8] and [0.45,0.95] are 1.5, 1.65 and 2.1, their
 * variances 13, 8.2 and 1: with more blocks to average over, the square of the bias, 0, 0.02 and
 * 0.36, counts for more. */
START_TEST(a_clip_far_off_the_bound_is_not_chosen) {
    static md_level_loss losses[LOSSES];
    md_masked p = md_masked_process(MD_SCHEDULE_LINEAR);
    make_losses(losses, slope, ends);
    assert_clip(md_clip_choose(&p, losses, LOSSES, 1), 0.45, 0.95);
    assert_clip(md_clip_choose(&p, losses, LOSSES, 50), 0.3, 0.8);
    assert_clip(md_clip_choose(&p, losses, LOSSES, 1000000), 0, 1);
}
END_TEST

START_TEST(mean_and_variance_under_a_clip_are_those_of_the_estimates) {
    static md_level_loss losses[LOSSES];
    md_masked p = md_masked_process(MD_SCHEDULE_LINEAR);
    const md_clip clip = {0.3, 0.8};
    md_clip_moments m;
    make_losses(losses, steep, little_masked);
    md_clip_choose(&p, losses, LOSSES, 1); /* sorts */
    /* Of 4000 normal draws of width 1: 3 sigma of the mean squared difference of neighbours are
     * below 0.15 in half of them, and of the mean 0.07; the trend adds (100/4000)^2 / 2. */
    ck_assert(md_clip_measured(&p, clip, losses, LOSSES, &m));
    ck_assert_double_eq_tol(m.variance, 1, 0.15);
    ck_assert_double_eq_tol(m.mean, 55, 0.1);
    ck_assert(md_clip_measured(&p, (md_clip){0, 1}, losses, LOSSES, &m));
    ck_assert_double_eq_tol(m.variance, 0.3 * 25 + 0.7, 1.5);
    ck_assert(!md_clip_measured(&p, clip, losses, 15, &m));
    /* The same losses under the schedule p = t^2, w = 2/t: x = 2 sqrt(p) loss / p, of variance
     * 4 p, and t is uniform: over p in (0.3, 0.8) its mean, times scale^2, is
     * 4/3 (t1^3 - t0^3)/(t1 - t0) ((t1 - t0)/0.5)^2 = 0.976. The mean does not change. */
    p = md_masked_process(MD_SCHEDULE_POLY);
    ck_assert(md_clip_measured(&p, clip, losses, LOSSES, &m));
    ck_assert_double_eq_tol(m.variance, 0.976, 0.15);
    ck_assert_double_eq_tol(m.mean, 55, 0.1);
}
END_TEST

START_TEST(clips_are_read_from_text) {
    bool automatic;
    md_clip clip;
    assert_ok(md_clip_parse("auto", &automatic, &clip, &err));
    ck_assert(automatic);
    assert_clip(clip, 0, 1);
    assert_ok(md_clip_parse("off", &automatic, &clip, &err));
    ck_assert(!automatic);
    assert_clip(clip, 0, 1);
    assert_ok(md_clip_parse(".45,0.95", &automatic, &clip, &err));
    ck_assert(!automatic);
    assert_clip(clip, 0.45, 0.95);
    const char *const wrong[] = {"",        "0.3",      "0.3,",    ",0.8",        "0.8,0.3",
                                 "0.3,0.3", "-0.1,0.5", "0.5,1.1", "0.3,0.8,0.9", "0.3;0.8",
                                 "nan,1",   "0,nan",    "on"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_fails(md_clip_parse(wrong[i], &automatic, &clip, &err), MDLM_USAGE, "--noise-clip");
    assert_clip(clip, 0.45, 0.95);
}
END_TEST

START_TEST(a_clip_is_measured_the_same_every_time) {
    enum { T = 16, BLOCK = 4, B = 8 };
    fixture f;
    start(&f, &md_objective_block, T, BLOCK, B);
    f.task.clip_auto = true;
    f.kept = 3;
    md_clip first = {0, 0}, again = {0, 0};
    md_transformer_view view = {.net = f.task.net, .tape = f.tape};
    md_denoiser denoiser = md_transformer_denoiser(&view);
    assert_ok(md_clip_measure(&f.task, &denoiser, &first, &err));
    md_text_task_clip(&f.task, (md_clip){0.45, 0.95}); /* what is in use does not matter */
    assert_ok(md_clip_measure(&f.task, &denoiser, &again, &err));
    assert_clip(again, first.low, first.high);
    finish(&f);
}
END_TEST

START_TEST(the_clip_is_part_of_the_state) {
    enum { T = 16, BLOCK = 4, B = 8 };
    fixture f;
    start(&f, &md_objective_block, T, BLOCK, B);
    cJSON *state = cJSON_CreateObject(), *wrong = cJSON_Parse("{\"noise_clip\":[0.8,0.3]}");
    f.task.clip_auto = true;
    md_text_task_clip(&f.task, (md_clip){0.3, 0.8});
    assert_ok(f.view.save_state(f.view.context, state, &err));
    md_masked chosen = f.task.process;
    md_text_task_clip(&f.task, md_clips[0]);
    ck_assert(chosen.end != f.task.process.end);
    assert_ok(f.view.load_state(f.view.context, state, &err));
    assert_clip(f.task.clip, 0.3, 0.8);
    ck_assert(chosen.eps == f.task.process.eps && chosen.end == f.task.process.end);
    assert_fails(f.view.load_state(f.view.context, wrong, &err), MDLM_INPUT, "noise_clip");
    assert_clip(f.task.clip, 0.3, 0.8);
    cJSON_Delete(state);
    cJSON_Delete(wrong);
    finish(&f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("objectives");
    suite_case(s, objectives_are_found_by_name_and_by_sight);
    suite_case(s, one_block_is_masked_diffusion);
    suite_case(s, given_tokens_are_never_hidden_and_have_no_loss);
    suite_case(s, weights_are_a_mean_over_the_tokens_that_count);
    suite_case(s, levels_are_spread_over_the_blocks_of_a_step);
    suite_case(s, blocks_of_a_step_have_masks_of_their_own);
    suite_case(s, the_mean_loss_of_block_diffusion_is_its_bound);
    suite_case(s, a_clipped_loss_does_not_depend_on_the_schedule);
    suite_case(s, clipped_levels_lie_between_the_bounds);
    suite_case(s, the_autoregressive_loss_is_the_likelihood);
    suite_case(s, the_clip_of_least_variance_is_chosen);
    suite_case(s, a_clip_far_off_the_bound_is_not_chosen);
    suite_case(s, mean_and_variance_under_a_clip_are_those_of_the_estimates);
    suite_case(s, clips_are_read_from_text);
    suite_case(s, a_clip_is_measured_the_same_every_time);
    suite_case(s, the_clip_is_part_of_the_state);
    return suite_run(s);
}
