/* tests/test_gaussian_bound.c: the bound on the likelihood of images, where it is known. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "diffusion/gaussian_bound.h"
#include "tests/gaussian_process.h"

/* Images of independent numbers from N(0, s^2), and the network that knows it: E(eps | x). */
enum { Y = 2, X = 3, C = 2, NUMBERS = Y * X * C, MOST_IMAGES = 400 };

static const double s2 = .0625, ln2 = 0.69314718055994530942;

typedef struct exact {
    const md_gaussian *p;
    double wrong; /* is added to what is right, times the number of the channel */
    bool unsure;  /* learned variances are those of x_s given x_t; else the small ones */
    int calls;
    int32_t labels; /* sum of the labels seen */
} exact;

/* The variance of x0 given x. */
static double unsure_of(md_level at) {
    double noise2 = at.noise * at.noise;
    return s2 * noise2 / (at.signal * at.signal * s2 + noise2);
}

/* What a network says of the variance of x_{i-1} given x_i. */
static double said(const exact *e, int i) {
    md_level t = md_gaussian_level(e->p, i), s = md_gaussian_level(e->p, i - 1);
    md_transition back = md_gaussian_transition(e->p, t, s);
    double variance = back.small + back.image * back.image * unsure_of(t);
    if (!e->unsure) return -1;
    return 2 * (log(variance) - back.log_small) / (back.log_large - back.log_small) - 1;
}

static mdlm_status predict(void *context, const md_image_query *q, float *out, mdlm_error *err) {
    const float *x = q->x;
    const double *time = q->time;
    const int32_t *label = q->label;
    const int B = q->B;
    exact *e = context;
    (void)err;
    int outputs = md_gaussian_outputs(&e->p->opt);
    for (int b = 0; b < B; b++) {
        int i = 0;
        while (i < e->p->T - 1 && e->p->levels[i].time < time[b]) i++;
        ck_assert_double_eq(e->p->levels[i].time, time[b]);
        md_level at = md_gaussian_level(e->p, i);
        double scale = md_gaussian_input(e->p, at);
        double all = at.signal * at.signal * s2 + at.noise * at.noise;
        double knows = e->p->opt.prediction == MD_PREDICTS_IMAGE ? at.signal * s2 : at.noise;
        float variance = (float)said(e, i);
        for (int k = 0; k < NUMBERS; k++) {
            double right = knows / all * (double)x[b * NUMBERS + k] / scale;
            int o = k / C * C * outputs + k % C;
            out[b * NUMBERS * outputs + o] = (float)(right + e->wrong * (k % C));
            if (outputs == 2) out[b * NUMBERS * outputs + o + C] = variance;
        }
        if (label) e->labels += label[b];
    }
    e->calls++;
    return MDLM_OK;
}

static md_image_denoiser denoiser(exact *e) {
    return (md_image_denoiser){.context = e,
                               .shape = {Y, X, C},
                               .outputs = C * md_gaussian_outputs(&e->p->opt),
                               .classes = 3,
                               .predict = predict};
}

static void draw_images(uint64_t seed, int count, float *images) {
    md_rng rng = {.seed = seed, .stream = MD_STREAM_CORPUS};
    for (int k = 0; k < count * NUMBERS; k++)
        images[k] = (float)(sqrt(s2) * md_normal(rng, 0, (uint32_t)k));
}

static md_bound_report evaluate(exact *e, md_bound_options opt, const float *images, int count,
                                double *bits) {
    md_image_denoiser d = denoiser(e);
    md_bound_batch batch = {.images = images, .count = count};
    md_bound *b = NULL;
    mdlm_error err;
    assert_ok(md_bound_new(e->p, &d, &opt, &b, &err));
    assert_ok(md_bound_add(b, &batch, bits, &err));
    md_bound_report r = md_bound_finish(b);
    md_bound_free(b);
    return r;
}

/* The expectation of the sum of L_i, i >= 1, over images and noise: the error of x0 is its variance
 * given x, and small variances are those of the posterior. */
static double exact_terms(const md_gaussian *p) {
    double nats = 0;
    for (int i = 1; i < p->T; i++) {
        md_level t = md_gaussian_level(p, i), s = md_gaussian_level(p, i - 1);
        md_transition back = md_gaussian_transition(p, t, s);
        nats += back.image * back.image * unsure_of(t) / (2 * back.small);
    }
    return nats / ln2;
}

static double exact_prior(const md_gaussian *p) {
    md_level last = p->levels[p->T - 1];
    double a = last.signal * last.signal, v = pow(md_gaussian_start(p, last), 2);
    double noise2 = last.noise * last.noise;
    return ((noise2 + a * s2) / v - 1 - log(noise2 / v)) / 2 / ln2;
}

/* --- values ---------------------------------------------------------------------------------- */

static const md_gaussian_options all_processes[] = {
    {.timesteps = 200},
    {.schedule = MD_BETA_COSINE, .timesteps = 100, .prediction = MD_PREDICTS_IMAGE},
    {.schedule = MD_BETA_COSINE, .timesteps = 100, .variance = MD_VARIANCE_LEARNED},
    {.schedule = MD_BETA_LEARNED, .timesteps = 100},
    {.process = MD_PROCESS_VE, .timesteps = 50},
    {.process = MD_PROCESS_FLOW, .timesteps = 50, .prediction = MD_PREDICTS_IMAGE},
};
enum { PROCESSES = sizeof all_processes / sizeof *all_processes };

START_TEST(the_terms_of_gaussian_data_are_what_they_are_known_to_be) {
    static float images[MOST_IMAGES * NUMBERS];
    draw_images(1, MOST_IMAGES, images);
    for (int n = 0; n < PROCESSES; n++) {
        md_gaussian p = gaussian_of(all_processes[n]);
        exact e = {.p = &p};
        md_bound_options opt = {.steps = 40, .batch = 64, .seed = 3};
        md_bound_report r = evaluate(&e, opt, images, MOST_IMAGES, NULL);
        double terms = exact_terms(&p), prior = exact_prior(&p);
        double sample = md_gaussian_prior(&p, images, MOST_IMAGES * NUMBERS);
        /* stderr_data is that of the sum of all parts, and more than that of the terms alone. */
        ck_assert_msg(fabs(r.terms - terms) < 4 * r.stderr_data, "process %d: %g +- %g, exact %g",
                      n, r.terms, r.stderr_data, terms);
        ck_assert_double_eq_tol(r.prior, sample, 1e-12); /* rounding of divergences near 0 */
        /* The prior is linear in the squares, whose mean of 4800 is known to 2%. */
        ck_assert_msg(fabs(r.prior - prior) <= .08 * prior + 1e-12,
                      "process %d: prior %g, exact %g", n, r.prior, prior);
        ck_assert_double_eq_tol(r.bits_per_dim, r.prior + r.decoder + r.terms, 1e-14);
        ck_assert_int_eq(r.evaluations, 40 * MOST_IMAGES);
        ck_assert_int_eq(r.images, MOST_IMAGES);
        md_gaussian_release(&p);
    }
}
END_TEST

/* What the bound loses because level 0 is that of a point, and the likelihood that of a bin: about
 * the divergence of N(x0, v) from the mean of N(x, v) over the bin, v the noise of level 0 as seen
 * from x0, the latter taken for a normal of its variance. */
static double lost_to_bins(md_level at) {
    double v = at.noise * at.noise / at.signal / at.signal, bin2 = pow(2.0 / 255, 2) / 12;
    return md_normal_divergence(0, log(v), 0, log(v + bin2));
}

/* With the variances that x_s has given x_t the chain is the true one, backwards, and the bound of
 * each image is its likelihood, here that of N(0, s^2) in bins: for any process and any number of
 * levels, unless a part is missing or wrong. */
START_TEST(with_the_true_variances_the_bound_is_the_likelihood) {
    static float images[MOST_IMAGES * NUMBERS];
    draw_images(1, MOST_IMAGES, images);
    double likelihood = 0;
    for (int k = 0; k < MOST_IMAGES * NUMBERS; k++)
        likelihood += md_decoder_bits((double)images[k], 0, log(s2)) / (MOST_IMAGES * NUMBERS);
    for (int n = 0; n < PROCESSES; n++) {
        md_gaussian_options o = all_processes[n];
        o.variance = MD_VARIANCE_LEARNED;
        md_gaussian p = gaussian_of(o);
        exact e = {.p = &p, .unsure = true};
        md_bound_options opt = {.steps = 100, .batch = 100, .seed = 3};
        md_bound_report r = evaluate(&e, opt, images, MOST_IMAGES, NULL);
        double expected = likelihood + lost_to_bins(p.levels[0]);
        /* A fifth of the loss for taking a mean of normals for a normal, and 1e-4 for the prior's
         * difference from the law of x_T. */
        double slack = 4 * r.stderr_mc + (expected - likelihood) / 5 + 1e-4;
        ck_assert_msg(fabs(r.bits_per_dim - expected) < slack,
                      "process %d: bound %g +- %g, expected %g", n, r.bits_per_dim, r.stderr_mc,
                      expected);
        ck_assert_msg(r.stderr_mc < .02, "process %d: error %g", n, r.stderr_mc);
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(twice_as_many_steps_as_levels_measure_every_term_twice) {
    float images[NUMBERS];
    draw_images(2, 1, images);
    md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 30});
    exact e = {.p = &p, .wrong = .1};
    md_image_denoiser d = denoiser(&e);
    md_bound_options opt = {.steps = 1000, .batch = 1, .seed = 4};
    md_bound_batch batch = {.images = images, .count = 1};
    md_bound *b = NULL;
    mdlm_error err;
    int count;
    assert_ok(md_bound_new(&p, &d, &opt, &b, &err));
    assert_ok(md_bound_add(b, &batch, NULL, &err));
    const md_stratum *strata = md_bound_strata(b, &count);
    ck_assert_int_eq(count, 30);
    ck_assert_int_eq(e.calls, 60);
    for (int k = 0; k < count; k++) {
        double bits = 0;
        ck_assert(strata[k].first == k && strata[k].end == k + 1);
        for (int j = 2 * k; j < 2 * k + 2; j++) { /* by hand, with the same noise */
            float x[NUMBERS], out[NUMBERS];
            md_rng rng = {4, MD_STREAM_EVAL_NOISE, (uint64_t)j};
            md_normal_fill(rng, 0, 0, NUMBERS, x);
            md_gaussian_corrupt(&p, k, images, x, NUMBERS, x);
            assert_ok(predict(&e, &(md_image_query){.x = x, .time = &p.levels[k].time, .B = 1}, out,
                              &err));
            md_noisy_image z = {
                .index = k, .pixels = Y * X, .C = C, .image = images, .noisy = x, .out = out};
            bits += md_gaussian_term(&p, &z, false) / 2;
        }
        ck_assert_double_eq_tol(strata[k].bits, bits, 1e-14 * fabs(bits));
    }
    md_bound_free(b);
    md_gaussian_release(&p);
}
END_TEST

START_TEST(strata_cover_all_levels_whatever_their_number) {
    for (int n = 0; n < PROCESSES; n++) {
        md_gaussian p = gaussian_of(all_processes[n]);
        exact e = {.p = &p};
        md_image_denoiser d = denoiser(&e);
        for (int steps = 4; steps <= 2 * p.T + 2; steps += 1 + steps / 5) {
            md_bound_options opt = {.steps = steps, .batch = 1};
            md_bound *b = NULL;
            mdlm_error err;
            int count, at = 1;
            assert_ok(md_bound_new(&p, &d, &opt, &b, &err));
            const md_stratum *strata = md_bound_strata(b, &count);
            ck_assert_int_eq(count, steps < 2 * p.T ? (steps + 1) / 2 : p.T);
            ck_assert(strata[0].first == 0 && strata[0].end == 1);
            for (int k = 1; k < count; k++) {
                ck_assert(strata[k].first == at && strata[k].end > at);
                at = strata[k].end;
            }
            ck_assert_int_eq(at, p.T);
            md_bound_free(b);
        }
        md_gaussian_release(&p);
    }
}
END_TEST

/* --- errors ---------------------------------------------------------------------------------- */

/* Over 200 seeds the estimates of the same images scatter as stderr_mc says, about the sum of all
 * terms measured often. The deviation of 200 is known to 5%: 4 of it; the mean of as many, to a
 * 14th of stderr_mc. */
START_TEST(estimates_of_the_same_images_scatter_as_stated) {
    enum { SEEDS = 200, IMAGES = 8 };
    float images[IMAGES * NUMBERS];
    draw_images(3, IMAGES, images);
    md_gaussian p = gaussian_of((md_gaussian_options){.schedule = MD_BETA_COSINE, .timesteps = 60});
    exact e = {.p = &p, .wrong = .1};
    for (int steps = 4; steps <= 24; steps += 20) {
        double sum = 0, squares = 0, stated = 0, exhaustive = 0;
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            md_bound_options opt = {.steps = steps, .batch = IMAGES, .seed = seed};
            md_bound_report r = evaluate(&e, opt, images, IMAGES, NULL);
            sum += r.bits_per_dim / SEEDS, squares += r.bits_per_dim * r.bits_per_dim / SEEDS;
            stated += r.stderr_mc * r.stderr_mc / SEEDS;
        }
        for (uint64_t seed = 1000; seed < 1020; seed++) {
            md_bound_options opt = {.steps = 120, .batch = IMAGES, .seed = seed};
            exhaustive += evaluate(&e, opt, images, IMAGES, NULL).bits_per_dim / 20;
        }
        double scatter = sqrt(squares - sum * sum), error = sqrt(stated);
        ck_assert_msg(fabs(scatter / error - 1) < .2, "%d steps: scatter %g, stated %g", steps,
                      scatter, error);
        ck_assert_msg(fabs(sum - exhaustive) < .35 * error,
                      "%d steps: mean %g +- %g, exhaustive %g", steps, sum, error / sqrt(SEEDS),
                      exhaustive);
    }
    md_gaussian_release(&p);
}
END_TEST

/* Over 200 sets of images estimates scatter as stderr_data says. */
START_TEST(estimates_of_other_images_scatter_as_stated) {
    enum { SETS = 200, IMAGES = 20 };
    float images[IMAGES * NUMBERS];
    md_gaussian p = gaussian_of((md_gaussian_options){.schedule = MD_BETA_COSINE, .timesteps = 60});
    exact e = {.p = &p};
    double sum = 0, squares = 0, stated = 0;
    for (uint64_t set = 0; set < SETS; set++) {
        draw_images(100 + set, IMAGES, images);
        md_bound_options opt = {.steps = 8, .batch = IMAGES, .seed = set};
        md_bound_report r = evaluate(&e, opt, images, IMAGES, NULL);
        ck_assert(r.stderr_data > 0 && r.stderr_mc > 0);
        sum += r.bits_per_dim / SETS, squares += r.bits_per_dim * r.bits_per_dim / SETS;
        stated += r.stderr_data * r.stderr_data / SETS;
    }
    double scatter = sqrt(squares - sum * sum), error = sqrt(stated);
    ck_assert_msg(fabs(scatter / error - 1) < .2, "scatter %g, stated %g", scatter, error);
    md_gaussian_release(&p);
}
END_TEST

/* --- calls ----------------------------------------------------------------------------------- */

START_TEST(results_do_not_depend_on_batches_calls_and_threads) {
    enum { IMAGES = 23 };
    float images[IMAGES * NUMBERS];
    double bits[2][IMAGES];
    md_bound_report r[2];
    mdlm_error err;
    draw_images(5, IMAGES, images);
    md_gaussian p =
        gaussian_of((md_gaussian_options){.timesteps = 100, .variance = MD_VARIANCE_LEARNED});
    exact e = {.p = &p};
    md_bound_options opt = {.steps = 11, .batch = IMAGES, .seed = 6, .clip = true};
    r[0] = evaluate(&e, opt, images, IMAGES, bits[0]);
    opt.batch = 4;
    opt.pool = md_pool_new(2, &err);
    ck_assert_ptr_nonnull(opt.pool);
    md_image_denoiser d = denoiser(&e);
    md_bound *b = NULL;
    assert_ok(md_bound_new(&p, &d, &opt, &b, &err));
    for (int first = 0; first < IMAGES; first += 10) {
        md_bound_batch batch = {.images = images + first * NUMBERS,
                                .count = first + 10 < IMAGES ? 10 : IMAGES - first,
                                .first = first};
        assert_ok(md_bound_add(b, &batch, bits[1] + first, &err));
    }
    r[1] = md_bound_finish(b);
    ck_assert_mem_eq(&r[0], &r[1], sizeof *r);
    ck_assert_mem_eq(bits[0], bits[1], sizeof *bits);
    double mean = 0;
    for (int k = 0; k < IMAGES; k++) mean += bits[0][k] / IMAGES;
    ck_assert_double_eq_tol(mean, r[0].bits_per_dim, 1e-12); /* rounding */
    md_bound_free(b);
    md_pool_free(opt.pool);
    md_gaussian_release(&p);
}
END_TEST

static int cancel_later(void *user, int64_t evaluations) {
    *(int64_t *)user = evaluations;
    return evaluations >= 4;
}

START_TEST(what_is_wrong_is_said) {
    float images[2 * NUMBERS];
    draw_images(7, 2, images);
    md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 100});
    exact e = {.p = &p};
    md_image_denoiser d = denoiser(&e);
    md_bound_options opt = {.steps = 3, .batch = 2};
    md_bound *b = NULL;
    mdlm_error err;
    assert_fails(md_bound_new(&p, &d, &opt, &b, &err), MDLM_USAGE, "expected at least 4");
    opt.steps = 4, opt.batch = 0;
    assert_fails(md_bound_new(&p, &d, &opt, &b, &err), MDLM_USAGE, "batches of 0 images");
    opt.batch = 2, d.outputs = 4;
    assert_fails(md_bound_new(&p, &d, &opt, &b, &err), MDLM_USAGE,
                 "4 numbers of a pixel: expected 2, with variances 'small'");
    ck_assert_ptr_null(b);
    d.outputs = 2;
    assert_ok(md_bound_new(&p, &d, &opt, &b, &err));
    ck_assert_double_eq(md_bound_finish(b).bits_per_dim, 0); /* of nothing */
    const int32_t labels[] = {2, 3};
    md_bound_batch batch = {.images = images, .labels = labels, .count = 2, .first = 7};
    assert_fails(md_bound_add(b, &batch, NULL, &err), MDLM_INPUT,
                 "image 8 is of class 3: expected 0 to 2");
    batch.count = 1; /* and labels reach the network: 4 draws of class 2 */
    assert_ok(md_bound_add(b, &batch, NULL, &err));
    ck_assert_int_eq(e.labels, 8);
    ck_assert(isnan(md_bound_finish(b).stderr_data)); /* of one image */
    batch = (md_bound_batch){.images = images, .count = 2};
    e.wrong = NAN;
    assert_fails(md_bound_add(b, &batch, NULL, &err), MDLM_NUMERIC, "image 0");
    md_bound_free(b);
    e.wrong = 0;
    int64_t seen = 0;
    opt.on_call = cancel_later, opt.user = &seen;
    assert_ok(md_bound_new(&p, &d, &opt, &b, &err));
    assert_fails(md_bound_add(b, &batch, NULL, &err), MDLM_CANCELLED, "cancelled");
    ck_assert_int_eq(seen, 4);
    md_bound_free(b);
    md_bound_free(NULL);
    md_gaussian_release(&p);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gaussian bound");
    suite_case(s, the_terms_of_gaussian_data_are_what_they_are_known_to_be);
    suite_case(s, with_the_true_variances_the_bound_is_the_likelihood);
    suite_case(s, twice_as_many_steps_as_levels_measure_every_term_twice);
    suite_case(s, strata_cover_all_levels_whatever_their_number);
    suite_case(s, estimates_of_the_same_images_scatter_as_stated);
    suite_case(s, estimates_of_other_images_scatter_as_stated);
    suite_case(s, results_do_not_depend_on_batches_calls_and_threads);
    suite_case(s, what_is_wrong_is_said);
    return suite_run(s);
}
