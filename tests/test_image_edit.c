/* tests/test_image_edit.c: images made of images: what stays, what changes, and that what is
 * repainted has the law of such pixels beside those that are known. */
#include "base/rng.h"
#include "sampler/image_edit.h"
#include "tests/image_law.h"

/* One number more than the sampler draws at a time. */
static const md_image_shape shape = {19, 9, 3};
enum { PIXELS = 19 * 9, SIZE = PIXELS * 3, SAMPLES = 5 };

/* Sources and masks that differ from image to image; with about a third known. */
typedef struct given {
    float source[SAMPLES * SIZE];
    uint8_t repaint[SAMPLES * PIXELS];
} given;

static void fill(given *g) {
    for (int i = 0; i < SAMPLES * SIZE; i++) g->source[i] = (float)sin(0.7 * i);
    for (int i = 0; i < SAMPLES * PIXELS; i++) g->repaint[i] = i * 7 % 11 < 7;
}

static int known_changes(const given *g, const float *x) {
    int changes = 0;
    for (int i = 0; i < SAMPLES * SIZE; i++) changes += !g->repaint[i / 3] && x[i] != g->source[i];
    return changes;
}

/* --- image to image -------------------------------------------------------------------------- */

START_TEST(strength_is_the_share_of_the_steps_that_is_left) {
    ck_assert_int_eq(md_image_edit_start(50, 1), 0);
    ck_assert_int_eq(md_image_edit_start(50, 0.5), 25);
    ck_assert_int_eq(md_image_edit_start(50, 0.9), 5);
    ck_assert_int_eq(md_image_edit_start(50, 1e-9), 49);
    ck_assert_int_eq(md_image_edit_start(1, 0.2), 0);
}
END_TEST

START_TEST(a_run_from_a_source_is_one_from_it_with_noise) {
    for (int k = 0; k < LAW_KINDS; k++) {
        given g;
        float x[SAMPLES * SIZE], by_hand[SAMPLES * SIZE];
        mdlm_error err;
        md_gaussian p = law_kind(k);
        law_model model = {.process = &p, .shape = shape, .sd = 0.5, .bend = 0.1};
        md_image_denoiser denoiser = law_denoiser(&model);
        md_image_sampler_options opt = law_options("ddpm", &p, 12);
        md_level levels[13];
        const md_rng rng = {.seed = opt.seed, .stream = MD_STREAM_NOISE};
        fill(&g);
        opt.start = 5;
        opt.first_index = 2;
        assert_ok(md_gaussian_spacing(&p, opt.spacing, 12, levels, &err));
        for (int i = 0; i < SAMPLES * SIZE; i++) {
            float z = (float)md_normal(rng, (uint32_t)(2 + i / SIZE), (uint32_t)(i % SIZE));
            by_hand[i] = (float)levels[5].noise * z;
            by_hand[i] += (float)(levels[5].signal * (double)g.source[i]);
        }
        md_image_batch batch = {.x = by_hand, .samples = SAMPLES};
        assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
        batch = (md_image_batch){.x = x, .source = g.source, .samples = SAMPLES};
        assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
        ck_assert_mem_eq(x, by_hand, sizeof x);
        md_gaussian_release(&p);
    }
}
END_TEST

/* Data N(0, sd^2): what comes out is a draw of x0 given x_t, whose mean is fraction * signal times
 * the source. */
START_TEST(less_of_the_source_is_left_the_greater_the_strength) {
    enum { N = 60, NUMBERS = N * SIZE };
    static float x[NUMBERS], source[NUMBERS];
    static const double strengths[] = {0.1, 0.3, 0.5, 0.7, 1};
    mdlm_error err;
    md_gaussian p =
        gaussian_of((md_gaussian_options){.timesteps = 100, .schedule = MD_BETA_COSINE});
    law_model model = {.process = &p, .shape = shape, .sd = 0.5};
    md_image_denoiser denoiser = law_denoiser(&model);
    double before = 0;
    for (int i = 0; i < NUMBERS; i++) source[i] = i % 2 ? 0.8F : -0.8F;
    for (int n = 0; n < 5; n++) {
        md_image_sampler_options opt = law_options("ddpm", &p, 100);
        const md_image_batch batch = {.x = x, .source = source, .samples = N};
        double left = 0;
        opt.start = md_image_edit_start(100, strengths[n]);
        assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
        for (int i = 0; i < NUMBERS; i++) left += (double)x[i] / (double)source[i] / NUMBERS;
        md_level from = md_gaussian_level(&p, 99 - opt.start);
        /* four standard errors of numbers whose spread is at most sd, over .8 */
        ck_assert_double_eq_tol(left, law_fraction(from, 0.25) * from.signal,
                                4 * 0.5 / 0.8 / sqrt(NUMBERS));
        const double distance = md_image_edit_distance(x, source, NUMBERS);
        ck_assert_double_gt(distance, before);
        before = distance;
    }
    md_gaussian_release(&p);
}
END_TEST

/* --- from one image to another --------------------------------------------------------------- */

START_TEST(a_mixture_goes_from_one_image_to_the_other) {
    const float a[2] = {0.3F, -1}, b[2] = {0, 0.7F};
    float out[2];
    md_image_edit_mix(a, b, 0, 2, out);
    ck_assert_mem_eq(out, a, sizeof a);
    md_image_edit_mix(a, b, 1, 2, out);
    ck_assert_mem_eq(out, b, sizeof b);
    md_image_edit_mix(a, b, 0.25, 2, out);
    ck_assert(fabsf(out[0] - 0.225F) < 1e-7F && fabsf(out[1] + 0.575F) < 1e-7F);
}
END_TEST

START_TEST(with_one_noise_images_differ_by_their_sources_alone) {
    given g;
    float x[SAMPLES * SIZE];
    mdlm_error err;
    md_gaussian p = law_kind(0);
    law_model model = {.process = &p, .shape = shape, .sd = 0.5, .bend = 0.1};
    md_image_denoiser denoiser = law_denoiser(&model);
    md_image_sampler_options opt = law_options("ddpm", &p, 8);
    fill(&g);
    memcpy(g.source + 3 * SIZE, g.source, SIZE * sizeof *x);
    opt.start = 3;
    opt.one_noise = true;
    const md_image_batch batch = {.x = x, .source = g.source, .samples = SAMPLES};
    assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    ck_assert_mem_eq(x, x + 3 * SIZE, SIZE * sizeof *x);
    ck_assert(memcmp(x, x + SIZE, SIZE * sizeof *x) != 0);
    opt.one_noise = false;
    assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    ck_assert(memcmp(x, x + 3 * SIZE, SIZE * sizeof *x) != 0);
    md_gaussian_release(&p);
}
END_TEST

/* --- inpainting ------------------------------------------------------------------------------ */

static void check_known(int kind, const char *rule, int start) {
    given g;
    float x[SAMPLES * SIZE];
    mdlm_error err;
    md_gaussian p = law_kind(kind);
    law_model model = {.process = &p, .shape = shape, .sd = 0.5, .bend = 0.1};
    md_image_denoiser denoiser = law_denoiser(&model);
    md_image_sampler_options opt = law_options(rule, &p, 9);
    fill(&g);
    opt.start = start;
    opt.jump = 2;
    opt.resamplings = 2;
    const md_image_batch batch = {
        .x = x, .source = g.source, .repaint = g.repaint, .samples = SAMPLES};
    assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    ck_assert_int_eq(known_changes(&g, x), 0);
    for (int i = 0; i < SAMPLES * SIZE; i++) ck_assert(!g.repaint[i / 3] || x[i] != g.source[i]);
    md_gaussian_release(&p);
}

START_TEST(known_pixels_come_back_to_the_bit) {
    for (int k = 0; k < LAW_KINDS; k++)
        for (int r = 0; md_image_rule_names[r]; r++)
            for (int start = -1; start < 4; start += 4)
                check_known(k, md_image_rule_names[r], start);
}
END_TEST

/* Of a source whose hidden pixels are others. */
START_TEST(pixels_that_are_repainted_do_not_matter) {
    given g;
    float x[2][SAMPLES * SIZE];
    mdlm_error err;
    md_gaussian p = law_kind(0);
    law_model model = {.process = &p, .shape = shape, .sd = 0.5, .bend = 0.1};
    md_image_denoiser denoiser = law_denoiser(&model);
    const md_image_sampler_options opt = law_options("ddim", &p, 15);
    fill(&g);
    for (int n = 0; n < 2; n++) {
        const md_image_batch batch = {
            .x = x[n], .source = g.source, .repaint = g.repaint, .samples = SAMPLES};
        assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
        for (int i = 0; i < SAMPLES * SIZE; i++)
            if (g.repaint[i / 3]) g.source[i] = 0.25F;
    }
    ck_assert_mem_eq(x[0], x[1], sizeof x[0]);
    md_gaussian_release(&p);
}
END_TEST

/* The levels at which a network is asked. */
typedef struct journal {
    law_model model;
    int count;
    int time[4000];
} journal;

static mdlm_status note_time(void *context, const md_image_query *q, float *out, mdlm_error *err) {
    journal *j = context;
    ck_assert_int_lt(j->count, 4000);
    j->time[j->count++] = (int)q->time[0];
    return law_predict(&j->model, q, out, err);
}

/* The schedule of RePaint's code: t goes down; having come to t, a multiple of `jump` that is less
 * than T - jump, it goes up again by `jump`, resamplings - 1 times. */
static int schedule_of_the_paper(int T, int jump, int resamplings, int *asked) {
    int left[500], count = 0, t = T - 1;
    for (int i = 0; i < T; i++) left[i] = i % jump == 0 && i < T - jump ? resamplings - 1 : 0;
    while (t >= 0) {
        if (left[t] > 0) {
            left[t]--;
            t += jump;
        }
        asked[count++] = t--;
    }
    return count;
}

START_TEST(steps_are_repeated_as_in_the_paper) {
    static const int cases[][4] = {/* T, jump, resamplings, steps by hand */
                                   {7, 2, 3, 7 + 3 * 2 * 2},
                                   {20, 10, 4, 20 + 10 * 3},
                                   {21, 10, 2, 21 + 2 * 10},
                                   {9, 1, 2, 9 + 8},
                                   {8, 9, 5, 8},
                                   {250, 10, 10, 250 + 24 * 9 * 10},
                                   {30, 5, 1, 30}};
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        const int T = cases[n][0], jump = cases[n][1], resamplings = cases[n][2];
        static journal j;
        static int asked[4000];
        float x[2], source[2] = {0.5F, -0.5F};
        const uint8_t repaint[2] = {0, 1};
        mdlm_error err;
        md_sampler_work work;
        md_gaussian p =
            gaussian_of((md_gaussian_options){.timesteps = T, .schedule = MD_BETA_COSINE});
        j = (journal){.model = {.process = &p, .shape = {1, 2, 1}, .sd = 0.5}};
        md_image_denoiser denoiser = law_denoiser(&j.model);
        denoiser.context = &j;
        denoiser.predict = note_time;
        md_image_sampler_options opt = law_options("ddpm", &p, T);
        opt.jump = jump;
        opt.resamplings = resamplings;
        const md_image_batch batch = {.x = x, .source = source, .repaint = repaint, .samples = 1};
        assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, &work, &err));
        ck_assert_int_eq(schedule_of_the_paper(T, jump, resamplings, asked), j.count);
        ck_assert_int_eq(work.steps, j.count);
        ck_assert_int_eq(cases[n][3], j.count);
        ck_assert_mem_eq(asked, j.time, (size_t)j.count * sizeof *asked);
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(noise_that_is_added_leads_from_level_to_level) {
    md_gaussian p = law_kind(0);
    for (int from = -1; from < 199; from += 40) {
        md_level s = md_gaussian_level(&p, from), t = md_gaussian_level(&p, from + 40);
        md_image_noising how = md_image_noising_of(s, t);
        ck_assert_double_eq_tol(how.keep * s.signal, t.signal, 1e-15);
        ck_assert_double_eq_tol(pow(how.keep * s.noise, 2) + pow(how.noise, 2), t.noise * t.noise,
                                1e-14);
    }
    md_gaussian_release(&p);
}
END_TEST

/* Two pixels of N(0, sd^2) that correlate: their sum and their difference do not. */
typedef struct pair_model {
    const md_gaussian *process;
    double sd, correlation;
} pair_model;

static mdlm_status pair_predict(void *context, const md_image_query *q, float *out,
                                mdlm_error *err) {
    const pair_model *m = context;
    const double variance = m->sd * m->sd;
    (void)err;
    for (int b = 0; b < q->B; b++) {
        const md_level at = law_level(m->process, q->time[b]);
        const double x = (double)q->x[2 * b], y = (double)q->x[2 * b + 1];
        const double sum = law_fraction(at, variance * (1 + m->correlation)) * (x + y) / 2;
        const double rest = law_fraction(at, variance * (1 - m->correlation)) * (x - y) / 2;
        out[2 * b] = (float)law_prediction(m->process, at, sum + rest, x);
        out[2 * b + 1] = (float)law_prediction(m->process, at, sum - rest, y);
    }
    return MDLM_OK;
}

typedef struct moments {
    double mean, variance;
} moments;

/* Of the second pixel where the first is known. */
static moments repainted(double known, int resamplings, int jump) {
    enum { N = 4000 };
    static float x[2 * N], source[2 * N];
    static uint8_t repaint[2 * N];
    mdlm_error err;
    md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 50, .schedule = MD_BETA_COSINE});
    pair_model model = {.process = &p, .sd = 0.5, .correlation = 0.9};
    const md_image_denoiser denoiser = {
        .context = &model, .shape = {1, 2, 1}, .outputs = 1, .predict = pair_predict};
    md_image_sampler_options opt = law_options("ddpm", &p, 50);
    moments m = {0};
    for (int i = 0; i < 2 * N; i++) source[i] = (float)known, repaint[i] = i % 2 == 1;
    opt.jump = jump;
    opt.resamplings = resamplings;
    const md_image_batch batch = {.x = x, .source = source, .repaint = repaint, .samples = N};
    assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    for (int k = 0; k < N; k++) m.mean += (double)x[2 * k + 1] / N;
    for (int k = 0; k < N; k++) m.variance += pow((double)x[2 * k + 1] - m.mean, 2) / N;
    md_gaussian_release(&p);
    return m;
}

/* Once down, the mean falls short by a third. Repeats bring it near, not there: at each level known
 * pixels get noise that knows nothing of the others. Shorter jumps come nearer. */
START_TEST(resampling_brings_the_law_of_pixels_beside_known_ones) {
    const double known = 0.8, mean = 0.9 * known, sd = 0.5 * sqrt(1 - 0.81);
    const moments once = repainted(known, 1, 5), many = repainted(known, 10, 5);
    const moments near = repainted(known, 10, 1);
    ck_assert_double_lt(once.mean, 0.75 * mean);
    ck_assert_double_lt(fabs(many.mean - mean), 0.1 * mean);
    ck_assert_double_lt(fabs(near.mean - mean), 0.7 * fabs(many.mean - mean));
    ck_assert_double_gt(sqrt(once.variance), 1.1 * sd);
    ck_assert_double_eq_tol(sqrt(many.variance), sd, 0.05 * sd);
}
END_TEST

/* --- same seed, same image ------------------------------------------------------------------- */

typedef struct cut {
    int batch, threads;
    int first, samples; /* of the SAMPLES images */
} cut;

static void sample(cut how, const given *g, float *x) {
    mdlm_error err;
    md_gaussian p = law_kind(0);
    law_model model = {.process = &p, .shape = shape, .sd = 0.4, .bend = 0.1};
    md_image_denoiser denoiser = law_denoiser(&model);
    md_image_sampler_options opt = law_options("ddpm", &p, 12);
    opt.jump = 3;
    opt.resamplings = 3;
    opt.batch = how.batch;
    opt.first_index = how.first;
    opt.pool = md_pool_new(how.threads, &err);
    const md_image_batch batch = {.x = x + how.first * SIZE,
                                  .source = g->source + how.first * SIZE,
                                  .repaint = g->repaint + how.first * PIXELS,
                                  .samples = how.samples};
    assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    md_pool_free(opt.pool);
    md_gaussian_release(&p);
}

START_TEST(a_repainted_image_depends_neither_on_its_batch_nor_on_threads) {
    given g;
    float whole[SAMPLES * SIZE], cut_up[SAMPLES * SIZE];
    fill(&g);
    sample((cut){16, 1, 0, SAMPLES}, &g, whole);
    sample((cut){2, 3, 0, 2}, &g, cut_up);
    sample((cut){1, 2, 2, SAMPLES - 2}, &g, cut_up);
    ck_assert_mem_eq(whole, cut_up, sizeof whole);
}
END_TEST

static int stop_at_once(void *user, const md_image_step *step) {
    *(int *)user = step->steps;
    return step->step == 4;
}

START_TEST(of_a_cancelled_run_known_pixels_are_kept) {
    given g;
    float x[SAMPLES * SIZE];
    int steps = 0;
    mdlm_error err;
    md_gaussian p = law_kind(0);
    law_model model = {.process = &p, .shape = shape, .sd = 0.4};
    md_image_denoiser denoiser = law_denoiser(&model);
    md_image_sampler_options opt = law_options("ddpm", &p, 8);
    fill(&g);
    opt.jump = 2;
    opt.resamplings = 2;
    opt.on_step = stop_at_once;
    opt.user = &steps;
    const md_image_batch batch = {
        .x = x, .source = g.source, .repaint = g.repaint, .samples = SAMPLES};
    assert_fails(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err), MDLM_CANCELLED,
                 "cancelled after step 4 of 14");
    ck_assert_int_eq(steps, 14);
    ck_assert_int_eq(known_changes(&g, x), 0);
    md_gaussian_release(&p);
}
END_TEST

START_TEST(repeats_that_make_no_sense_are_refused) {
    static const int bad[][2] = {{0, 5}, {5, 0}, {-1, 1}, {1, 1001}};
    md_gaussian p = law_kind(0);
    law_model model = {.process = &p, .shape = shape, .sd = 0.4};
    md_image_denoiser denoiser = law_denoiser(&model);
    mdlm_error err;
    for (int n = 0; n < 4; n++) {
        md_image_sampler_options opt = law_options("ddpm", &p, 8);
        opt.jump = bad[n][0];
        opt.resamplings = bad[n][1];
        assert_fails(md_image_sampler_check(&denoiser, &p, &opt, &err), MDLM_USAGE,
                     "expected from 1 to 1000, of at least 1");
    }
    md_gaussian_release(&p);
}
END_TEST

/* --- measures -------------------------------------------------------------------------------- */

START_TEST(a_seam_is_the_mean_difference_across_the_border) {
    const md_image_shape two = {2, 3, 2};
    /* 0 1 | 5      beside each other: 1|5, 2|7 in both channels; above: none */
    /* 0 2 | 7 */
    const float x[] = {0, 0, 1, 1, 5, 5, 0, 0, 2, 2, 7, 8};
    const uint8_t right[] = {0, 0, 1, 0, 0, 1}, corner[] = {0, 0, 1, 0, 0, 0},
                  all[6] = {1, 1, 1, 1, 1, 1};
    ck_assert_double_eq_tol(md_image_edit_seam(two, x, right), (4 + 4 + 5 + 6) / 4.0, 1e-12);
    ck_assert_double_eq_tol(md_image_edit_seam(two, x, corner), (4 + 4 + 2 + 3) / 4.0, 1e-12);
    ck_assert(md_image_edit_seam(two, x, all) == 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("image edit");
    suite_case(s, strength_is_the_share_of_the_steps_that_is_left);
    suite_case(s, a_run_from_a_source_is_one_from_it_with_noise);
    suite_case(s, less_of_the_source_is_left_the_greater_the_strength);
    suite_case(s, a_mixture_goes_from_one_image_to_the_other);
    suite_case(s, with_one_noise_images_differ_by_their_sources_alone);
    suite_case(s, known_pixels_come_back_to_the_bit);
    suite_case(s, pixels_that_are_repainted_do_not_matter);
    suite_case(s, steps_are_repeated_as_in_the_paper);
    suite_case(s, noise_that_is_added_leads_from_level_to_level);
    suite_case(s, resampling_brings_the_law_of_pixels_beside_known_ones);
    suite_case(s, a_repainted_image_depends_neither_on_its_batch_nor_on_threads);
    suite_case(s, of_a_cancelled_run_known_pixels_are_kept);
    suite_case(s, repeats_that_make_no_sense_are_refused);
    suite_case(s, a_seam_is_the_mean_difference_across_the_border);
    return suite_run(s);
}
