/* tests/test_score.c: what score matching, denoising and diffusion have to do with each other: the
 * losses that are one, and the samplers of variance-preserving and -exploding processes that are.
 */
#include "base/rng.h"
#include "diffusion/gaussian_loss.h"
#include "tests/image_law.h"

static double normal(uint32_t sequence, int64_t position) {
    return md_normal((md_rng){.seed = 6, .stream = MD_STREAM_NOISE}, sequence, (uint32_t)position);
}

/* --- losses that are one ---------------------------------------------------------------------- */

enum { NUMBERS = 12 };

/* An image, its noise, and a network's word on the noise. */
typedef struct example {
    float image[NUMBERS], noise[NUMBERS], noisy[NUMBERS], eps[NUMBERS], out[NUMBERS];
    float gradient[NUMBERS];
    md_noisy_image z;
} example;

/* The network says the same, in the words of the process. */
static void make(example *e, const md_gaussian *p, int index) {
    const md_level at = md_gaussian_level(p, index);
    for (int i = 0; i < NUMBERS; i++) {
        e->image[i] = (float)tanh(normal(0, i));
        e->noise[i] = (float)normal(1, i);
        e->eps[i] = e->noise[i] + 0.3F * (float)normal(2, i);
    }
    md_gaussian_corrupt(p, index, e->image, e->noise, NUMBERS, e->noisy);
    md_reading_apply(md_prediction_read(p, at, MD_PREDICTS_NOISE, p->opt.prediction), e->noisy,
                     e->eps, NUMBERS, e->out);
    e->z = (md_noisy_image){.index = index,
                            .pixels = NUMBERS,
                            .C = 1,
                            .image = e->image,
                            .noise = e->noise,
                            .noisy = e->noisy,
                            .out = e->out};
}

/* lambda |s - grad log q(x | x0)|^2 with lambda = noise^2, by its definition: q is normal with mean
 * signal * x0, so the gradient is -(x - signal x0) / noise^2. */
static double matched(const example *e, md_level at) {
    double sum = 0;
    for (int i = 0; i < NUMBERS; i++) {
        const double score = -(double)e->eps[i] / at.noise;
        const double aim =
            -((double)e->noisy[i] - at.signal * (double)e->image[i]) / (at.noise * at.noise);
        sum += at.noise * at.noise * (score - aim) * (score - aim);
    }
    return sum / NUMBERS;
}

static md_gaussian chain(md_process_kind kind, md_prediction_kind prediction) {
    return gaussian_of((md_gaussian_options){
        .process = kind, .schedule = MD_BETA_COSINE, .timesteps = 100, .prediction = prediction});
}

/* noisy is rounded to floats: 6e-8 of it over the noise, which is .01 and more, beside .3. */
static const double rounding = 1e-4;

START_TEST(the_loss_of_ddpm_is_denoising_score_matching) {
    static const int levels[] = {20, 50, 90};
    for (int k = 0; k < 3; k++) {
        md_gaussian eps = chain(MD_PROCESS_VP, MD_PREDICTS_NOISE);
        md_gaussian score = chain(MD_PROCESS_VP, MD_PREDICTS_SCORE);
        const md_level at = md_gaussian_level(&eps, levels[k]);
        example a, b;
        make(&a, &eps, levels[k]);
        make(&b, &score, levels[k]);
        const double ddpm = md_gaussian_loss(&eps, MD_LOSS_SIMPLE, &a.z, 1, a.gradient).value;
        const double dsm = md_gaussian_loss(&score, MD_LOSS_SCORE, &b.z, 1, b.gradient).value;
        ck_assert_double_eq_tol(ddpm, matched(&a, at), rounding * ddpm);
        ck_assert_double_eq_tol(ddpm, dsm, 1e-6 * ddpm);
        /* score = -eps / noise, so d/d eps = -d/d score / noise */
        for (int i = 0; i < NUMBERS; i++)
            ck_assert_double_eq_tol((double)a.gradient[i], -(double)b.gradient[i] / at.noise,
                                    1e-6 * fabs((double)a.gradient[i]) + 1e-7);
        /* without the weight they differ by 1 / noise^2 */
        const double plain = md_gaussian_loss(&score, MD_LOSS_SIMPLE, &b.z, 1, NULL).value;
        ck_assert_double_eq_tol(plain * at.noise * at.noise, dsm, 1e-6 * dsm);
        md_gaussian_release(&eps);
        md_gaussian_release(&score);
    }
}
END_TEST

START_TEST(the_score_loss_is_the_error_of_the_noise_whatever_is_predicted) {
    for (int process = 0; process < 2; process++)
        for (int kind = 0; kind < 4; kind++) {
            md_gaussian p = chain((md_process_kind)process, (md_prediction_kind)kind);
            example e;
            make(&e, &p, 60);
            const md_image_loss l = md_gaussian_loss(&p, MD_LOSS_SCORE, &e.z, 1, NULL);
            ck_assert_double_eq_tol(l.value, matched(&e, md_gaussian_level(&p, 60)),
                                    rounding * l.value);
            ck_assert_double_eq_tol(l.value, l.noise_error, 1e-9 * l.value);
            md_gaussian_release(&p);
        }
}
END_TEST

/* EDM's own weights, as a lambda of the score: sigma^2 (1 + sigma^2 / sigma_data^2). */
START_TEST(the_loss_of_edm_is_denoising_score_matching_with_its_own_weights) {
    md_gaussian p = chain(MD_PROCESS_VE, MD_PREDICTS_VELOCITY);
    for (int i = 30; i < 100; i += 23) {
        const double sigma = md_gaussian_level(&p, i).noise;
        example e;
        make(&e, &p, i);
        const double edm = md_gaussian_loss(&p, MD_LOSS_SIMPLE, &e.z, 1, NULL).value;
        const double dsm = md_gaussian_loss(&p, MD_LOSS_SCORE, &e.z, 1, NULL).value;
        ck_assert_double_eq_tol(edm, dsm * (1 + sigma * sigma / 0.25), 1e-6 * edm);
    }
    md_gaussian_release(&p);
}
END_TEST

/* --- samplers that are one -------------------------------------------------------------------- */

static const md_image_rule *const rules[] = {&md_image_rule_ddpm,  &md_image_rule_ddim,
                                             &md_image_rule_dpm,   &md_image_rule_heun,
                                             &md_image_rule_euler, &md_image_rule_langevin};
enum { RULES = sizeof rules / sizeof *rules, STEPS = 9, SIZE = 5 * 4 * 2, SAMPLES = 3 };
static const double sigmas[STEPS + 1] = {80, 40, 21, 9, 4, 1.7, 0.8, 0.3, 0.05, 0};

/* The moves of step i through levels of these sigmas; the last is clean. */
static int moves_of(const md_image_rule *rule, const md_gaussian *p, int i, md_image_move *move) {
    md_image_sampler_options opt = md_image_sampler_defaults(rule, p);
    opt.eta = 0.7;
    md_level level[3];
    for (int n = 0; n < 3; n++) level[n] = md_gaussian_level_at(p, sigmas[i > 0 ? i - 1 + n : n]);
    const md_image_way first = {p, &opt, true, level[0], level[0], level[1]};
    const md_image_way later = {p, &opt, false, level[0], level[1], level[2]};
    return rule->moves(i > 0 ? &later : &first, move);
}

/* x_ve = x_vp / signal, sigma = noise / signal: divided by the signal where they arrive, and times
 * that where they come from, the factors of both processes are the same, the variances too. So are
 * the samples, whatever the network says of x0. */
START_TEST(samplers_of_both_processes_are_one_in_the_coordinates_of_either) {
    for (int variance = 0; variance < 2; variance++)
        for (int r = 0; r < RULES; r++) {
            md_gaussian vp = chain(MD_PROCESS_VP, MD_PREDICTS_NOISE);
            md_gaussian ve = chain(MD_PROCESS_VE, MD_PREDICTS_NOISE);
            vp.opt.variance = ve.opt.variance = (md_variance_kind)variance;
            for (int i = 0; i < STEPS; i++) {
                md_image_move a[MD_IMAGE_MOVES], b[MD_IMAGE_MOVES];
                const int moves = moves_of(rules[r], &vp, i, a);
                ck_assert_int_eq(moves, moves_of(rules[r], &ve, i, b));
                const double to = md_gaussian_level_at(&vp, sigmas[i + 1]).signal;
                double from = md_gaussian_level_at(&vp, sigmas[i]).signal;
                for (int n = 0; n < moves; n++) {
                    ck_assert_double_eq_tol(a[n].keep * from / to, b[n].keep, 1e-9);
                    ck_assert_double_eq_tol(a[n].image / to, b[n].image, 1e-9);
                    ck_assert_double_eq_tol(a[n].before / to, b[n].before, 1e-9);
                    ck_assert_double_eq_tol(a[n].noise / to, b[n].noise, 1e-9 * (1 + b[n].noise));
                    from = to; /* a second move starts where the first has arrived */
                }
            }
            md_gaussian_release(&vp);
            md_gaussian_release(&ve);
        }
}
END_TEST

/* What a network says of images whose law is known in the coordinates x / signal and sigma, where
 * it does not depend on the process: x0. Times are numbers of levels. */
static mdlm_status predict(void *context, const md_image_query *q, float *out, mdlm_error *err) {
    const md_gaussian *p = context;
    (void)err;
    for (int b = 0; b < q->B; b++) {
        const md_level at = md_gaussian_level(p, (int)q->time[b]);
        const double sigma = at.noise / at.signal, scale = md_gaussian_input(p, at) * at.signal;
        for (int i = b * SIZE; i < (b + 1) * SIZE; i++) {
            const double x = (double)q->x[i] / scale;
            out[i] = (float)(x / (1 + 4 * sigma * sigma) + 0.1 * sin(3 * x));
        }
    }
    return MDLM_OK;
}

/* Images from noise x / signal, by levels of the same sigmas for both. */
static void run(const md_image_rule *rule, md_process_kind kind, float *x) {
    mdlm_error err;
    md_gaussian p = gaussian_of((md_gaussian_options){
        .process = kind, .schedule = MD_BETA_COSINE, .timesteps = STEPS, .prediction = 1});
    const md_image_denoiser denoiser = {
        .context = &p, .shape = {5, 4, 2}, .outputs = 2, .predict = predict};
    md_image_sampler_options opt = md_image_sampler_defaults(rule, &p);
    const md_image_batch batch = {.x = x, .samples = SAMPLES};
    for (int i = 0; i < STEPS; i++) {
        p.levels[i] = md_gaussian_level_at(&p, sigmas[STEPS - 1 - i]);
        p.levels[i].time = i;
    }
    for (int i = 0; i < SAMPLES * SIZE; i++)
        x[i] = (float)(p.levels[STEPS - 1].signal * sigmas[0] * normal(3, i));
    opt.spacing = MD_SPACING_TRAILING;
    opt.steps = STEPS;
    opt.start = 0;
    opt.eta = 0.7;
    assert_ok(md_image_sampler_run(&denoiser, &p, &opt, &batch, NULL, &err));
    md_gaussian_release(&p);
}

START_TEST(runs_of_both_processes_end_in_the_same_images) {
    for (int r = 0; r < RULES; r++) {
        float vp[SAMPLES * SIZE], ve[SAMPLES * SIZE];
        run(rules[r], MD_PROCESS_VP, vp);
        run(rules[r], MD_PROCESS_VE, ve);
        /* x is rounded to floats at 80 and below */
        for (int i = 0; i < SAMPLES * SIZE; i++) ck_assert_float_eq_tol(vp[i], ve[i], 3e-5F);
        for (int i = 1; i < SAMPLES * SIZE; i++) ck_assert(vp[i] != vp[0]);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("score");
    suite_case(s, the_loss_of_ddpm_is_denoising_score_matching);
    suite_case(s, the_score_loss_is_the_error_of_the_noise_whatever_is_predicted);
    suite_case(s, the_loss_of_edm_is_denoising_score_matching_with_its_own_weights);
    suite_case(s, samplers_of_both_processes_are_one_in_the_coordinates_of_either);
    suite_case(s, runs_of_both_processes_end_in_the_same_images);
    return suite_run(s);
}
