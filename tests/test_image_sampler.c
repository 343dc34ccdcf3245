/* tests/test_image_sampler.c: runs of the sampling loop on images: what they compute, that neither
 * batch nor threads matter, how they end. */
#include "base/rng.h"
#include "tests/failing_memory.h"
#include "tests/image_law.h"

/* One number more than the sampler draws at a time. */
static const md_image_shape shape = {19, 9, 3};
enum { SIZE = 19 * 9 * 3, SAMPLES = 7 };

/* --- what a run computes --------------------------------------------------------------------- */

/* One number through a run, in double precision: the loop once more, from rule.h's words. */
static double number_by_hand(const law_model *model, const md_image_sampler_options *opt,
                             uint32_t index, uint32_t place, double mean) {
    const md_gaussian *p = model->process;
    md_level levels[101];
    const int steps = opt->steps * opt->level_steps;
    mdlm_error err;
    md_rng rng = {.seed = opt->seed, .stream = MD_STREAM_NOISE};
    assert_ok(md_image_way_levels(p, opt, levels, &err));
    double x = md_gaussian_start(p, levels[0]) * md_normal(rng, index, place), before = 0;
    for (int i = 0; i < steps; i++) {
        md_image_move move[MD_IMAGE_MOVES];
        const md_image_way way = law_way(p, opt, levels, i);
        int moves = opt->rule->moves(&way, move);
        rng.step = (uint64_t)i + 1;
        for (int n = 0; n < moves; n++) {
            double x0 = law_x0(model, move[n].at, mean, x);
            if (opt->clip.on) x0 = fmin(fmax(x0, -1), 1);
            x = move[n].keep * x + move[n].image * x0 + move[n].before * before +
                (move[n].noise > 0 ? move[n].noise * md_normal(rng, index, place) : 0);
            before = x0;
        }
    }
    return x;
}

/* Some twenty steps round numbers of size 1 to float a few times each, and where there is little
 * image (signal .006) roundings of eps are that much larger in x0. */
static const double rounding = 3e-5;

START_TEST(a_run_is_its_rule_for_every_number) {
    for (int k = 0; k < LAW_KINDS; k++)
        for (int r = 0; md_image_rule_names[r]; r++) {
            md_gaussian p = law_kind(k);
            const int32_t label[SAMPLES] = {-1, 0, 1, 2, 3, -1, 2};
            float x[SAMPLES * SIZE];
            mdlm_error err;
            law_model model = {.process = &p, .shape = shape, .sd = 0.5, .bend = 0.05};
            md_image_denoiser denoiser = law_denoiser(&model);
            md_image_sampler_options opt = law_options(md_image_rule_names[r], &p, 20);
            opt.clip.on = r % 2;
            opt.eta = 0.6;
            opt.seed = 11;
            opt.first_index = 5;
            opt.batch = 3;
            md_image_batch batch = {.x = x, .label = label, .samples = SAMPLES};
            assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
            for (int i = 0; i < SAMPLES * SIZE; i += 5) { /* the last of an image, too */
                double expected = number_by_hand(&model, &opt, 5 + (uint32_t)(i / SIZE),
                                                 (uint32_t)(i % SIZE), law_mean(label[i / SIZE]));
                ck_assert_msg(fabs((double)x[i] - expected) < rounding, "%s of %d: %g, not %g",
                              md_image_rule_names[r], k, (double)x[i], expected);
            }
            md_gaussian_release(&p);
        }
}
END_TEST

/* diffusers' model without a network: x t / (t + 1). */
static mdlm_status toy_predict(void *context, const md_image_query *q, float *out,
                               mdlm_error *err) {
    const float *x = q->x;
    const double *time = q->time;
    const int32_t *label = q->label;
    const int B = q->B;
    const int size = *(const int *)context;
    (void)label, (void)err;
    for (int b = 0; b < B; b++)
        for (int i = b * size; i < (b + 1) * size; i++)
            out[i] = (float)((double)x[i] * time[b] / (time[b] + 1));
    return MDLM_OK;
}

static double toy_sum(md_prediction_kind prediction, md_spacing_kind spacing) {
    enum { ALL = 768 };
    int size = ALL / 4;
    float x[ALL];
    double sum = 0;
    mdlm_error err;
    md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 1000, .prediction = prediction});
    md_image_denoiser denoiser = {
        .context = &size, .shape = {8, 8, 3}, .outputs = 3, .predict = toy_predict};
    md_image_sampler_options opt = law_options("ddim", &p, 10);
    opt.spacing = spacing;
    opt.clip.on = true;
    opt.start = 0;
    for (int i = 0; i < ALL; i++) x[i] = (float)i / ALL;
    md_image_batch batch = {.x = x, .samples = 4};
    assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    for (int i = 0; i < ALL; i++) sum += fabs((double)x[i]);
    md_gaussian_release(&p);
    return sum;
}

/* diffusers' own numbers, to the digits that they print. */
START_TEST(loops_without_noise_give_their_published_sums) {
    ck_assert_double_eq_tol(toy_sum(MD_PREDICTS_NOISE, MD_SPACING_LEADING), 172.0067, 3e-4);
    ck_assert_double_eq_tol(toy_sum(MD_PREDICTS_VELOCITY, MD_SPACING_LEADING), 52.5302, 3e-4);
    ck_assert_double_gt(fabs(toy_sum(MD_PREDICTS_NOISE, MD_SPACING_TRAILING) - 172.0067), 1);
    ck_assert_double_gt(fabs(toy_sum(MD_PREDICTS_VELOCITY, MD_SPACING_TRAILING) - 52.5302), 1);
}
END_TEST

/* Mean and variance of what is sampled, beside what the rule's factors say. */
START_TEST(samples_have_the_variance_of_their_rule) {
    enum { N = 64, ALL = 16 * 16 * N };
    static float x[ALL];
    static const char *const rules[] = {"ddpm", "ddim", "dpm++", "langevin"};
    const md_image_shape plane = {16, 16, 1};
    mdlm_error err;
    for (int r = 0; r < 4; r++) {
        md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 1000});
        law_model model = {.process = &p, .shape = plane, .sd = 0.5};
        md_image_denoiser denoiser = law_denoiser(&model);
        md_image_sampler_options opt = law_options(rules[r], &p, 50);
        md_image_batch batch = {.x = x, .samples = N};
        double mean = 0, square = 0, expected = law_variance(&p, &opt, 0.25);
        assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
        for (int i = 0; i < ALL; i++) mean += (double)x[i] / ALL;
        for (int i = 0; i < ALL; i++) square += pow((double)x[i] - mean, 2) / ALL;
        /* four standard errors of 16384 numbers */
        ck_assert_double_eq_tol(mean, 0, 4 * 0.5 / sqrt(ALL));
        ck_assert_double_eq_tol(square / expected, 1, 4 * sqrt(2.0 / ALL));
        md_gaussian_release(&p);
    }
}
END_TEST

/* What the network says of the variance, from -1 to 1, goes from small to large. */
START_TEST(learned_variances_lie_between_small_and_large) {
    static const double said[] = {-1, 0, 1};
    md_gaussian_options how = {.timesteps = 100};
    float x[3][SIZE], fixed[2][SIZE];
    mdlm_error err;
    for (int i = 0; i < 3; i++) {
        how.variance = MD_VARIANCE_LEARNED;
        md_gaussian p = gaussian_of(how);
        law_model model = {.process = &p, .shape = shape, .outputs = 6, .sd = 0.5, .said = said[i]};
        md_image_denoiser denoiser = law_denoiser(&model);
        md_image_sampler_options opt = law_options("ddpm", &p, 30);
        md_image_batch batch = {.x = x[i], .samples = 1};
        assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
        for (int kind_of = 0; kind_of < 2 && i == 1;
             kind_of++) { /* and without being listened to */
            p.opt.variance = kind_of == 0 ? MD_VARIANCE_SMALL : MD_VARIANCE_LARGE;
            batch.x = fixed[kind_of];
            assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
        }
        md_gaussian_release(&p);
    }
    for (int i = 0; i < SIZE; i++) { /* the same but for a logarithm and its exponential */
        ck_assert_float_eq_tol(x[0][i], fixed[0][i], 1e-5F);
        ck_assert_float_eq_tol(x[2][i], fixed[1][i], 1e-5F);
        ck_assert(fabsf(x[1][i] - x[0][i]) > 1e-5F && fabsf(x[1][i] - x[2][i]) > 1e-5F);
    }
}
END_TEST

/* --- clipping -------------------------------------------------------------------------------- */

/* One step to the clean image: what comes out is the estimate. */
static void one_step(const md_clip_x0 *clip, double spread, float *x) {
    md_gaussian p =
        gaussian_of((md_gaussian_options){.timesteps = 100, .zero_snr = true, .prediction = 1});
    law_model model = {.process = &p, .shape = shape, .sd = 0, .bend = spread};
    md_image_denoiser denoiser = law_denoiser(&model);
    md_image_sampler_options opt = law_options("ddim", &p, 1);
    mdlm_error err;
    opt.clip = *clip;
    md_image_batch batch = {.x = x, .samples = 2};
    assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    md_gaussian_release(&p);
}

START_TEST(estimates_are_clipped_as_asked) {
    float plain[2 * SIZE], x[2 * SIZE];
    int outside = 0, changed = 0;
    one_step(&(md_clip_x0){.on = false}, 2.5, plain);
    one_step(&(md_clip_x0){.on = true}, 2.5, x);
    for (int i = 0; i < 2 * SIZE; i++) {
        outside += fabsf(plain[i]) > 1;
        ck_assert(x[i] == fminf(fmaxf(plain[i], -1), 1));
    }
    ck_assert_int_gt(outside, SIZE / 2);
    const md_clip_x0 dynamic = {.on = true, .quantile = 0.9, .most = 10};
    one_step(&dynamic, 2.5, x);
    for (int k = 0; k < 2; k++) { /* each image by its own numbers */
        md_clip_x0_apply(&dynamic, plain + k * SIZE, SIZE);
        for (int i = k * SIZE; i < (k + 1) * SIZE; i++) {
            ck_assert(x[i] == plain[i] && fabsf(x[i]) <= 1);
            changed += fabsf(x[i]) < 1;
        }
    }
    ck_assert_int_gt(changed, SIZE); /* not all are at the bounds, as they would be without */
}
END_TEST

/* --- same seed, same image ------------------------------------------------------------------- */

typedef struct cut {
    int batch, threads;
    int first, samples; /* of the SAMPLES images */
} cut;

static void sample(const char *rule, md_gaussian *p, cut how, float *x) {
    static const int32_t label[SAMPLES] = {-1, 0, 1, 2, 3, -1, 2};
    mdlm_error err;
    law_model model = {.process = p, .shape = shape, .sd = 0.4, .bend = 0.1};
    md_image_denoiser denoiser = law_denoiser(&model);
    md_image_sampler_options opt = law_options(rule, p, 12);
    opt.eta = 0.5;
    opt.clip = (md_clip_x0){.on = true, .quantile = 0.9, .most = 3};
    opt.batch = how.batch;
    opt.first_index = how.first;
    opt.pool = md_pool_new(how.threads, &err);
    md_image_batch batch = {
        .x = x + how.first * SIZE, .label = label + how.first, .samples = how.samples};
    assert_ok(md_image_sampler_run(&denoiser, p, &opt, &batch, NULL, &err));
    ck_assert_int_eq(model.most, how.batch < how.samples ? how.batch : how.samples);
    md_pool_free(opt.pool);
}

START_TEST(an_image_depends_neither_on_its_batch_nor_on_threads) {
    for (int r = 0; md_image_rule_names[r]; r++) {
        const char *rule = md_image_rule_names[r];
        float whole[SAMPLES * SIZE], cut_up[SAMPLES * SIZE];
        md_gaussian p = law_kind(r % LAW_KINDS);
        sample(rule, &p, (cut){16, 1, 0, SAMPLES}, whole);
        sample(rule, &p, (cut){3, 2, 0, SAMPLES}, cut_up);
        ck_assert_mem_eq(whole, cut_up, sizeof whole);
        memset(cut_up, 0, sizeof cut_up);
        sample(rule, &p, (cut){1, 3, 0, 2}, cut_up);
        sample(rule, &p, (cut){2, 1, 2, SAMPLES - 2}, cut_up);
        ck_assert_mem_eq(whole, cut_up, sizeof whole);
        for (int k = 1; k < SAMPLES; k++)
            ck_assert(memcmp(whole, whole + k * SIZE, SIZE * sizeof *whole) != 0);
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(another_seed_gives_another_image) {
    float x[2][SIZE];
    mdlm_error err;
    md_gaussian p = law_kind(0);
    law_model model = {.process = &p, .shape = shape, .sd = 0.5};
    md_image_denoiser denoiser = law_denoiser(&model);
    md_image_sampler_options opt = law_options("ddim", &p, 5);
    for (int i = 0; i < 2; i++) {
        md_image_batch batch = {.x = x[i], .samples = 1};
        opt.seed = (uint64_t)i << 40;
        assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    }
    ck_assert(memcmp(x[0], x[1], sizeof x[0]) != 0);
    md_gaussian_release(&p);
}
END_TEST

/* --- the trace ------------------------------------------------------------------------------- */

typedef struct watcher {
    int calls, stop_at;
    int level_steps; /* 0: 1 */
    int64_t evaluations;
    int keep_at; /* copy x after this step */
    float kept[SAMPLES * SIZE], last_x0[SAMPLES * SIZE];
    double noise; /* of the last level */
} watcher;

static int watch(void *user, const md_image_step *step) {
    watcher *w = user;
    ck_assert_int_eq(step->step, ++w->calls);
    ck_assert_int_eq(step->samples, SAMPLES);
    ck_assert(w->calls == 1 || step->level.noise < w->noise ||
              (step->level.noise == w->noise && w->calls % w->level_steps != 0));
    ck_assert_int_gt(step->evaluations, w->evaluations);
    w->evaluations = step->evaluations;
    w->noise = step->level.noise;
    if (step->step == w->keep_at) memcpy(w->kept, step->x, sizeof w->kept);
    memcpy(w->last_x0, step->x0, sizeof w->last_x0);
    return step->step == w->stop_at;
}

/* Runs `rule` through 8 levels from level `start` on. */
static mdlm_status watched(const char *rule, int start, watcher *w, float *x, md_sampler_work *work,
                           mdlm_error *err) {
    md_gaussian p = law_kind(0);
    law_model model = {.process = &p, .shape = shape, .sd = 0.5, .bend = 0.1};
    md_image_denoiser denoiser = law_denoiser(&model);
    md_image_sampler_options opt = law_options(rule, &p, 8);
    opt.start = start;
    opt.eta = 1;
    if (w->level_steps > 0) opt.level_steps = w->level_steps;
    w->level_steps = opt.level_steps;
    opt.on_step = watch;
    opt.user = w;
    md_image_batch batch = {.x = x, .samples = SAMPLES};
    mdlm_status status = md_image_sampler_run(&denoiser, &p, &opt, &batch, work, err);
    ck_assert_int_eq(work->evaluations, model.images);
    md_gaussian_release(&p);
    return status;
}

START_TEST(every_step_is_shown_and_counted) {
    mdlm_error err;
    md_sampler_work work;
    watcher w = {0};
    float x[SAMPLES * SIZE];
    assert_ok(watched("ddim", -1, &w, x, &work, &err));
    ck_assert_int_eq(w.calls, 8);
    ck_assert_int_eq(work.steps, 8);
    ck_assert_int_eq(work.evaluations, 8 * SAMPLES);
    ck_assert(w.noise == 0);
    ck_assert_mem_eq(x, w.last_x0, sizeof x); /* the clean image is the last estimate */
    w = (watcher){0};
    assert_ok(watched("heun", -1, &w, x, &work, &err));
    ck_assert_int_eq(work.steps, 8);
    ck_assert_int_eq(work.evaluations, 15 * SAMPLES);
}
END_TEST

START_TEST(a_run_can_be_cancelled) {
    mdlm_error err;
    md_sampler_work work;
    watcher w = {.stop_at = 3};
    float x[SAMPLES * SIZE];
    assert_fails(watched("ddpm", -1, &w, x, &work, &err), MDLM_CANCELLED,
                 "cancelled after step 3 of 8");
    ck_assert_int_eq(w.calls, 3);
    ck_assert_int_eq(work.steps, 3);
    ck_assert_int_eq(work.evaluations, 3 * SAMPLES);
    ck_assert_mem_eq(x, w.last_x0, sizeof x); /* what they might have become */
}
END_TEST

START_TEST(a_run_goes_on_from_images_of_any_step) {
    mdlm_error err;
    md_sampler_work work;
    float whole[SAMPLES * SIZE], x[SAMPLES * SIZE];
    for (int start = 1; start < 8; start += 3) {
        watcher w = {.keep_at = start}, rest = {0};
        assert_ok(watched("ddim", -1, &w, whole, &work, &err));
        memcpy(x, w.kept, sizeof x);
        assert_ok(watched("ddim", start, &rest, x, &work, &err));
        ck_assert_int_eq(work.steps, 8 - start);
        ck_assert_int_eq(rest.calls, 8 - start);
        ck_assert_mem_eq(x, whole, sizeof x);
    }
}
END_TEST

START_TEST(langevin_dynamics_stay_at_each_level_and_go_on_from_any) {
    mdlm_error err;
    md_sampler_work work;
    float whole[SAMPLES * SIZE], x[SAMPLES * SIZE];
    watcher w = {.level_steps = 3, .keep_at = 2 * 3}, rest = {.level_steps = 3};
    assert_ok(watched("langevin", -1, &w, whole, &work, &err));
    ck_assert_int_eq(work.steps, 8 * 3);
    ck_assert_int_eq(work.evaluations, 8 * 3 * SAMPLES);
    memcpy(x, w.kept, sizeof x);
    assert_ok(watched("langevin", 2, &rest, x, &work, &err));
    ck_assert_int_eq(work.steps, 6 * 3);
    ck_assert_mem_eq(x, whole, sizeof x);
}
END_TEST

/* --- how runs fail --------------------------------------------------------------------------- */

typedef struct attempt {
    md_gaussian p;
    law_model model;
    md_image_sampler_options opt;
    int32_t label[2];
    float x[2 * SIZE];
} attempt;

static attempt right(void) {
    attempt a = {.p = law_kind(0), .label = {-1, 3}};
    a.model = (law_model){.shape = shape, .sd = 0.5};
    a.opt = law_options("ddpm", &a.p, 4);
    return a;
}

static mdlm_status try(attempt *a, mdlm_error *err) {
    a->model.process = &a->p;
    md_image_denoiser denoiser = law_denoiser(&a->model);
    md_image_batch batch = {.x = a->x, .label = a->label, .samples = 2};
    mdlm_status status = md_image_sampler_run(&denoiser, &a->p, &a->opt, &batch, NULL, err);
    md_gaussian_release(&a->p);
    return status;
}

/* What can be said without labels. */
static mdlm_status check(attempt *a, mdlm_error *err) {
    a->model.process = &a->p;
    md_image_denoiser denoiser = law_denoiser(&a->model);
    return md_image_sampler_check(&denoiser, &a->p, &a->opt, err);
}

START_TEST(options_that_make_no_sense_are_refused_before_any_evaluation) {
    mdlm_error err;
    attempt a = right();
    assert_ok(check(&a, &err));
    assert_ok(try(&a, &err));
#define REFUSED(change, text) \
    do { \
        a = right(); \
        change; \
        if (a.label[0] == -1 && a.label[1] == 3) assert_fails(check(&a, &err), MDLM_USAGE, text); \
        assert_fails(try(&a, &err), MDLM_USAGE, text); \
        ck_assert_int_eq(a.model.calls, 0); \
    } while (0)
    REFUSED(a.opt.steps = 201, "201 sampling steps of a process of 200 timesteps");
    REFUSED(a.opt.steps = 0, "0 sampling steps: expected at least 1");
    REFUSED(a.opt.steps = -3, "expected at least 1");
    REFUSED(a.opt.start = 4, "start at step 4: expected one of 0 to 3");
    REFUSED(a.opt.start = -2, "start at step -2");
    REFUSED(a.opt.eta = 1.5, "--eta 1.5: expected from 0 to 1");
    REFUSED(a.opt.eta = (double)NAN, "--eta");
    REFUSED(a.opt.step_size = 0, "--step-size 0: expected more than 0, up to 2");
    REFUSED(a.opt.step_size = (double)NAN, "--step-size");
    REFUSED(a.opt.level_steps = 2, "2 steps at a level: expected 1 with 'ddpm'");
    REFUSED((a.opt.rule = &md_image_rule_langevin, a.opt.level_steps = 0),
            "0 steps at each of 4 levels: expected from 1 to 25000");
    REFUSED((a.opt.rule = &md_image_rule_langevin, a.opt.level_steps = 25001), "to 25000");
    REFUSED(a.opt.first_index = -1, "--first-index -1");
    REFUSED(a.label[1] = 4, "class 4: expected from 0 to 3");
    REFUSED(a.label[0] = -2, "class -2");
    REFUSED(a.p.opt.variance = MD_VARIANCE_LEARNED, "variance 'learned': the model predicts none");
#undef REFUSED
    a = right(); /* which does not matter to the others */
    a.p.opt.variance = MD_VARIANCE_LEARNED;
    a.opt.rule = &md_image_rule_ddim;
    assert_ok(try(&a, &err));
}
END_TEST

START_TEST(a_failing_network_ends_the_run) {
    mdlm_error err;
    attempt a = right();
    a.model.fail_at = 3;
    assert_fails(try(&a, &err), MDLM_RUNTIME, "the network is gone");
    ck_assert_int_eq(a.model.calls, 3);
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_an_error) {
    mdlm_error err;
    attempt a = right();
    a.opt.first_index = 40;
    a.model.nan_at = 2;
    assert_fails(try(&a, &err), MDLM_NUMERIC, "image 41 at step 2: its numbers are not finite");
    a = right();
    a.model.nan_at = 4;
    a.opt.clip.on = true;
    assert_fails(try(&a, &err), MDLM_NUMERIC, "image 1 at step 4");
}
END_TEST

START_TEST(every_failing_allocation_is_an_error) {
    mdlm_error err;
    int failed = 0;
    for (;; failed++) {
        attempt a = right();
        a.model.outputs = 6; /* with variances, for the most memory */
        memory_left = failed;
        mdlm_status status = try(&a, &err);
        bool reached = memory_left < 0;
        memory_left = -1;
        if (!reached) break;
        ck_assert_int_eq(status, MDLM_RUNTIME);
    }
    ck_assert_int_eq(failed, 9);
}
END_TEST

int main(void) {
    Suite *s = suite_create("image sampler");
    suite_case(s, a_run_is_its_rule_for_every_number);
    suite_case(s, loops_without_noise_give_their_published_sums);
    suite_case(s, samples_have_the_variance_of_their_rule);
    suite_case(s, learned_variances_lie_between_small_and_large);
    suite_case(s, estimates_are_clipped_as_asked);
    suite_case(s, an_image_depends_neither_on_its_batch_nor_on_threads);
    suite_case(s, another_seed_gives_another_image);
    suite_case(s, every_step_is_shown_and_counted);
    suite_case(s, a_run_can_be_cancelled);
    suite_case(s, a_run_goes_on_from_images_of_any_step);
    suite_case(s, langevin_dynamics_stay_at_each_level_and_go_on_from_any);
    suite_case(s, options_that_make_no_sense_are_refused_before_any_evaluation);
    suite_case(s, a_failing_network_ends_the_run);
    suite_case(s, numbers_that_are_not_finite_are_an_error);
    suite_case(s, every_failing_allocation_is_an_error);
    return suite_run(s);
}
