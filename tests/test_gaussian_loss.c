/* tests/test_gaussian_loss.c: losses of a noisy image, their gradients, terms of the bound. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "diffusion/gaussian_loss.h"
#include "tests/gaussian_process.h"

enum { PIXELS = 3, C = 2, NUMBERS = PIXELS * C, LOSSES = 6, PREDICTIONS = 4, VARIANCES = 3 };

static const double ln2 = 0.69314718055994530942;

/* An image, its noise, and what a network might say of it. */
typedef struct example {
    float image[NUMBERS], noise[NUMBERS], noisy[NUMBERS], out[2 * NUMBERS], gradient[2 * NUMBERS];
    md_noisy_image z;
    int outputs;
} example;

static double normal(uint32_t k) {
    return md_normal((md_rng){.seed = 9, .stream = MD_STREAM_NOISE}, 0, k);
}

/* The output is right but for `miss` of what is predicted. */
static void make(example *e, const md_gaussian *p, int index, double miss) {
    md_level at = md_gaussian_level(p, index);
    md_prediction_kind kind = p->opt.prediction;
    memset(e, 0, sizeof *e);
    e->outputs = md_gaussian_outputs(&p->opt);
    for (uint32_t k = 0; k < NUMBERS; k++) {
        e->image[k] = k == 0 ? -1 : k == 1 ? 1 : (float)(rint(normal(k) * 60 + 127.5) / 127.5 - 1);
        e->noise[k] = (float)normal(100 + k);
    }
    md_gaussian_corrupt(p, index, e->image, e->noise, NUMBERS, e->noisy);
    md_reading how = md_prediction_read(p, at, MD_PREDICTS_IMAGE, kind);
    if (kind == MD_PREDICTS_NOISE) how = (md_reading){0};
    for (int k = 0; k < PIXELS; k++) {
        for (int c = 0; c < C; c++) {
            int i = k * C + c, o = (k * e->outputs) * C + c;
            double right = kind == MD_PREDICTS_NOISE
                               ? (double)e->noise[i]
                               : how.x * (double)e->noisy[i] + how.out * (double)e->image[i];
            e->out[o] = (float)(right + miss * normal(200 + (uint32_t)i));
            if (e->outputs == 2) e->out[o + C] = (float)(normal(300 + (uint32_t)i) / 2);
        }
    }
    e->z = (md_noisy_image){.index = index,
                            .pixels = PIXELS,
                            .C = C,
                            .image = e->image,
                            .noise = e->noise,
                            .noisy = e->noisy,
                            .out = e->out};
}

/* x0 that number i of the output says. */
static double guess(const md_gaussian *p, const example *e, int i) {
    md_level at = md_gaussian_level(p, e->z.index);
    md_reading how = md_prediction_read(p, at, p->opt.prediction, MD_PREDICTS_IMAGE);
    int o = i / C * C * e->outputs + i % C;
    return how.x * (double)e->noisy[i] + how.out * (double)e->out[o];
}

static double said(const example *e, int i) {
    return e->outputs == 2 ? (double)e->out[i / C * 2 * C + C + i % C] : 0;
}

/* L_i by its definition, with md_normal_divergence and md_decoder_bits, which have golden values.
 */
static double term(const md_gaussian *p, const example *e) {
    int i = e->z.index;
    md_level t = md_gaussian_level(p, i), s = md_gaussian_level(p, i - 1);
    md_transition back = md_gaussian_transition(p, t, s);
    double bits = 0;
    for (int k = 0; k < NUMBERS; k++) {
        double l = md_gaussian_log_variance(p, &back, said(e, k)), x = (double)e->noisy[k];
        double x0 = (double)e->image[k], right = back.image * x0 + back.noisy * x;
        double mean = back.image * guess(p, e, k) + back.noisy * x;
        bits += i == 0 ? md_decoder_bits(x0, mean, l)
                       : md_normal_divergence(right, log(back.small), mean, l);
    }
    return bits / NUMBERS;
}

/* Mean squared error of x0. */
static double image_error(const md_gaussian *p, const example *e) {
    double sum = 0;
    for (int k = 0; k < NUMBERS; k++) {
        double off = guess(p, e, k) - (double)e->image[k];
        sum += off * off / NUMBERS;
    }
    return sum;
}

/* --- golden values --------------------------------------------------------------------------- */

START_TEST(divergence_of_normals_has_its_published_value) {
    double bits = md_normal_divergence(.3, -1, -.2, .5);
    ck_assert_double_eq_tol(bits, .631008, 5e-7);
    ck_assert_double_eq_tol(bits * ln2, .437381, 5e-7);
    ck_assert_double_eq(md_normal_divergence(.3, -1, .3, -1), 0);
}
END_TEST

START_TEST(decoder_has_its_published_bits) {
    md_gaussian p = gaussian_chain(MD_BETA_LINEAR), cosine = gaussian_chain(MD_BETA_COSINE);
    md_level clean = md_gaussian_level(&p, -1);
    double l = md_gaussian_transition(&p, p.levels[0], clean).log_small;
    const double expected[] = {1.30538, 1.49044, 2.04615};
    for (int k = 0; k < 3; k++) {
        ck_assert_double_eq_tol(md_decoder_bits(.1, .1 + k / 255.0, l), expected[k], 5e-6);
        ck_assert_double_eq_tol(md_decoder_bits(.1, .1 - k / 255.0, l), expected[k], 5e-6);
    }
    /* What a perfect mean still pays on MNIST, 81% of whose pixels are at an end of the range. */
    ck_assert_double_eq_tol(md_decoder_bits(-1, -1, l), .510, 5e-4);
    double paid = .81 * md_decoder_bits(1, 1, l) + .19 * md_decoder_bits(0, 0, l);
    ck_assert_double_eq_tol(paid, .66, 5e-3);
    l = md_gaussian_transition(&cosine, cosine.levels[0], clean).log_small;
    paid = .81 * md_decoder_bits(1, 1, l) + .19 * md_decoder_bits(0, 0, l);
    ck_assert_double_eq_tol(paid, .40, 5e-3);
    md_gaussian_release(&p);
    md_gaussian_release(&cosine);
}
END_TEST

START_TEST(decoder_gives_probabilities) {
    const double logs[] = {-10, -6, 0, 3}, means[] = {-1.2, -.997, .3, 1};
    for (int n = 0; n < 4; n++) {
        for (int m = 0; m < 4; m++) {
            double sum = 0;
            for (int k = 0; k < 256; k++)
                sum += exp2(-md_decoder_bits(k / 127.5 - 1, means[m], logs[n]));
            ck_assert_double_eq_tol(sum, 1, 256e-12); /* none below 1e-12 */
        }
    }
    ck_assert_double_eq_tol(md_decoder_bits(-1, 1, -10), 12 * log2(10), 1e-9); /* the floor */
    for (int side = -1; side <= 1; side += 2) { /* far out, about 2e-12: both tails alike */
        double bits = md_decoder_bits(side * .1, side * -.39, -5.3);
        ck_assert_double_eq_tol(bits, md_decoder_bits(.1, -.39, -5.3), 1e-9);
        ck_assert(bits > 36 && bits < 39.5);
    }
    ck_assert(isnan(md_decoder_bits(0, NAN, 0)));
}
END_TEST

START_TEST(prior_has_its_published_value) {
    md_gaussian p = gaussian_chain(MD_BETA_LINEAR);
    const float ends[4] = {-1, 1, 1, -1};
    ck_assert_double_eq_tol(md_gaussian_prior(&p, ends, 4), 2.91129e-5, 5e-11);
    md_gaussian_release(&p);
    p = gaussian_of((md_gaussian_options){
        .process = MD_PROCESS_FLOW, .timesteps = 10, .prediction = MD_PREDICTS_IMAGE});
    ck_assert_double_eq(md_gaussian_prior(&p, ends, 4), 0); /* noise alone */
    md_gaussian_release(&p);
    p = gaussian_of((md_gaussian_options){.process = MD_PROCESS_VE, .timesteps = 10});
    ck_assert_double_eq_tol(md_gaussian_prior(&p, ends, 4), .5 / 6400 / ln2, 1e-15);
    md_gaussian_release(&p);
}
END_TEST

START_TEST(min_snr_weights_have_their_published_values) {
    const double snr = 8.71045;
    for (int kind = 0; kind < 3; kind++) {
        md_gaussian p = gaussian_of(
            (md_gaussian_options){.timesteps = 1000, .prediction = (md_prediction_kind)kind});
        double expected[] = {5 / snr, 5, 5 / (snr + 1)};
        example e;
        make(&e, &p, 99, .3);
        double simple = md_gaussian_loss(&p, MD_LOSS_SIMPLE, &e.z, 1, NULL).value;
        double weighted = md_gaussian_loss(&p, MD_LOSS_MIN_SNR, &e.z, 1, NULL).value;
        ck_assert_double_eq_tol(weighted / simple, expected[kind], 5e-6);
        make(&e, &p, 500, .3); /* where snr < 5: e of x0 times snr is e of eps */
        md_image_loss late = md_gaussian_loss(&p, MD_LOSS_MIN_SNR, &e.z, 1, NULL);
        ck_assert_double_eq_tol(late.value, late.noise_error, 1e-6 * late.value);
        md_gaussian_release(&p);
    }
}
END_TEST

/* --- values ---------------------------------------------------------------------------------- */

START_TEST(simple_is_the_error_of_what_is_predicted) {
    for (int kind = 0; kind < PREDICTIONS; kind++) {
        md_gaussian p = gaussian_of((md_gaussian_options){
            .schedule = MD_BETA_COSINE, .timesteps = 100, .prediction = (md_prediction_kind)kind});
        for (int i = 0; i < 95; i += 19) {
            example e;
            make(&e, &p, i, .2);
            md_level at = md_gaussian_level(&p, i);
            double per_out = md_prediction_read(&p, at, p.opt.prediction, MD_PREDICTS_IMAGE).out;
            double off = image_error(&p, &e), snr = at.signal * at.signal / at.noise / at.noise;
            md_image_loss l = md_gaussian_loss(&p, MD_LOSS_SIMPLE, &e.z, 1, NULL);
            /* The rounding of x to floats, beside an error of x0 of .2 per_out. */
            double relative = 2e-6 / fabs(per_out);
            ck_assert_double_eq_tol(l.value, off / (per_out * per_out), relative * l.value);
            ck_assert_double_eq_tol(l.noise_error, off * snr, relative * l.noise_error);
        }
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(the_v_loss_is_the_error_of_v_whatever_is_predicted) {
    for (int flow = 0; flow < 2; flow++) {
        for (int kind = flow ? 1 : 0; kind < 3; kind++) {
            md_gaussian p =
                gaussian_of((md_gaussian_options){.process = flow ? MD_PROCESS_FLOW : MD_PROCESS_VP,
                                                  .timesteps = 1000,
                                                  .prediction = (md_prediction_kind)kind});
            for (int i = 150; i < 1000; i += 333) { /* above the floor of the noise */
                example e;
                make(&e, &p, i, .2);
                double b = md_gaussian_level(&p, i).noise;
                double expected = image_error(&p, &e) / (b * b); /* both 1/(1-abar) and 1/(1-t)^2 */
                double value = md_gaussian_loss(&p, MD_LOSS_V, &e.z, 1, NULL).value;
                ck_assert_double_eq_tol(value, expected, 1e-4 * expected);
            }
            example e;
            make(&e, &p, 0, .2); /* below it x0 alone is held back */
            double b = kind == MD_PREDICTS_IMAGE ? .05 : md_gaussian_level(&p, 0).noise;
            double value = md_gaussian_loss(&p, MD_LOSS_V, &e.z, 1, NULL).value;
            double expected = image_error(&p, &e) / (b * b);
            ck_assert_double_eq_tol(value, expected, 1e-3 * expected);
            md_gaussian_release(&p);
        }
    }
}
END_TEST

static const int some_levels[] = {0, 1, 40, 998};

START_TEST(vlb_is_the_term_of_the_bound_times_the_levels) {
    for (int variance = 0; variance < VARIANCES; variance++) {
        for (int kind = 0; kind < PREDICTIONS; kind++) {
            md_gaussian p =
                gaussian_of((md_gaussian_options){.schedule = MD_BETA_COSINE,
                                                  .timesteps = 1000,
                                                  .prediction = (md_prediction_kind)kind,
                                                  .variance = (md_variance_kind)variance});
            for (int n = 0; n < 4; n++) {
                example e;
                make(&e, &p, some_levels[n], .1);
                double bits = term(&p, &e);
                md_image_loss l = md_gaussian_loss(&p, MD_LOSS_VLB, &e.z, 1, NULL);
                ck_assert_double_eq_tol(l.value, 1000 * bits, 1e-9 * 1000 * bits);
                ck_assert_double_eq_tol(md_gaussian_term(&p, &e.z, false), bits, 1e-9 * bits);
                if (variance != MD_VARIANCE_LEARNED) continue;
                md_image_loss hybrid = md_gaussian_loss(&p, MD_LOSS_HYBRID, &e.z, 1, NULL);
                md_image_loss simple = md_gaussian_loss(&p, MD_LOSS_SIMPLE, &e.z, 1, NULL);
                p.opt.variance = MD_VARIANCE_SMALL;
                example plain;
                make(&plain, &p, some_levels[n], .1);
                md_image_loss fixed = md_gaussian_loss(&p, MD_LOSS_SIMPLE, &plain.z, 1, NULL);
                p.opt.variance = MD_VARIANCE_LEARNED;
                ck_assert_double_eq_tol(hybrid.value, fixed.value + bits, 1e-9 * hybrid.value);
                ck_assert_double_eq(simple.value, hybrid.value);
            }
            md_gaussian_release(&p);
        }
    }
}
END_TEST

START_TEST(an_evaluated_term_clips_x0) {
    md_gaussian p = gaussian_of((md_gaussian_options){
        .schedule = MD_BETA_COSINE, .timesteps = 100, .prediction = MD_PREDICTS_IMAGE});
    example e, inside;
    make(&e, &p, 30, 2);
    inside = e;
    inside.z.out = inside.out, inside.z.image = inside.image, inside.z.noisy = inside.noisy;
    for (int k = 0; k < NUMBERS; k++) inside.out[k] = fminf(fmaxf(e.out[k], -1), 1);
    ck_assert(md_gaussian_term(&p, &e.z, false) > md_gaussian_term(&p, &e.z, true));
    ck_assert_double_eq(md_gaussian_term(&p, &e.z, true), md_gaussian_term(&p, &inside.z, false));
    e.out[0] = NAN;
    ck_assert(isnan(md_gaussian_term(&p, &e.z, true)));
    md_gaussian_release(&p);
}
END_TEST

START_TEST(hybrid_without_learned_variances_is_refused) {
    mdlm_error err;
    md_gaussian_options opt = {.variance = MD_VARIANCE_LARGE};
    assert_fails(md_loss_check(&opt, MD_LOSS_HYBRID, &err), MDLM_USAGE, "not for 'large'");
    assert_ok(md_loss_check(&opt, MD_LOSS_VLB, &err));
    opt.variance = MD_VARIANCE_LEARNED;
    assert_ok(md_loss_check(&opt, MD_LOSS_HYBRID, &err));
    ck_assert_int_eq(md_name_value(md_loss_names, "min-snr"), MD_LOSS_MIN_SNR);
}
END_TEST

/* --- gradients ------------------------------------------------------------------------------- */

/* Of the number o of the output: what the loss says, and by a central difference. Its step is
 * 2^-19, whose square over that of the narrowest decoder (.0014) leaves 2e-6 of the gradient; the
 * rounding of values, over the step, leaves 1e-10 of them. */
static void check_number(const md_gaussian *p, md_loss_kind loss, example *e, int o,
                         double largest) {
    float kept = e->out[o], h = fmaxf(fabsf(kept), 1) / (1 << 19);
    float high = kept + h, low = kept - h;
    e->out[o] = high;
    double up = md_gaussian_loss(p, loss, &e->z, 1, NULL).value;
    e->out[o] = low;
    double down = md_gaussian_loss(p, loss, &e->z, 1, NULL).value;
    e->out[o] = kept;
    double slope = (up - down) / ((double)high - (double)low), got = (double)e->gradient[o];
    ck_assert_msg(fabs(slope - got) <= 1e-5 * largest + 1e-9 * fabs(up),
                  "%s, %s, %s, %s, level %d, number %d: %.9g, by differences %.9g",
                  md_process_names[p->opt.process], md_loss_names[loss],
                  md_prediction_names[p->opt.prediction], md_variance_names[p->opt.variance],
                  e->z.index, o, got, slope);
}

static void check_gradient(md_gaussian *p, md_loss_kind loss, int index) {
    example e;
    double largest = 0;
    make(&e, p, index, .3 * (index > 0 ? 1 : p->levels[0].noise));
    (void)md_gaussian_loss(p, loss, &e.z, 1, e.gradient);
    for (int o = 0; o < NUMBERS * e.outputs; o++)
        largest = fmax(largest, fabs((double)e.gradient[o]));
    ck_assert(largest > 0);
    bool stops = e.outputs == 2 && loss != MD_LOSS_VLB; /* the bound moves variances alone */
    for (int o = 0; o < NUMBERS * e.outputs; o++)
        if (!stops || o / C % 2 == 1) check_number(p, loss, &e, o, largest);
    if (!stops) return;

    example plain; /* the prediction's gradient is that of fixed variances */
    p->opt.variance = MD_VARIANCE_SMALL;
    make(&plain, p, index, .3 * (index > 0 ? 1 : p->levels[0].noise));
    (void)md_gaussian_loss(p, loss, &plain.z, 1, plain.gradient);
    for (int k = 0; k < NUMBERS; k++)
        ck_assert_float_eq(plain.gradient[k], e.gradient[k / C * 2 * C + k % C]);
    for (int k = 0; k < NUMBERS; k++) check_number(p, loss, &plain, k, largest);
    p->opt.variance = MD_VARIANCE_LEARNED;
}

START_TEST(every_gradient_is_that_of_differences) {
    static const md_process_kind processes[] = {MD_PROCESS_VP, MD_PROCESS_VE, MD_PROCESS_FLOW};
    static const int levels[] = {0, 1, 20, 98};
    for (int n = 0; n < 3; n++) {
        for (int kind = 0; kind < PREDICTIONS; kind++) {
            bool of_noise = kind == MD_PREDICTS_NOISE || kind == MD_PREDICTS_SCORE;
            if (processes[n] == MD_PROCESS_FLOW && of_noise) continue;
            for (int variance = 0; variance < VARIANCES; variance++) {
                md_gaussian p =
                    gaussian_of((md_gaussian_options){.process = processes[n],
                                                      .schedule = MD_BETA_COSINE,
                                                      .timesteps = 100,
                                                      .prediction = (md_prediction_kind)kind,
                                                      .variance = (md_variance_kind)variance});
                for (int loss = 0; loss < LOSSES; loss++) {
                    bool fixed = variance != MD_VARIANCE_LEARNED;
                    if (fixed && loss == MD_LOSS_HYBRID) continue;
                    for (int i = 0; i < 4; i++) check_gradient(&p, (md_loss_kind)loss, levels[i]);
                }
                md_gaussian_release(&p);
            }
        }
    }
}
END_TEST

START_TEST(a_weight_scales_the_gradient_and_not_the_value) {
    md_gaussian p =
        gaussian_of((md_gaussian_options){.timesteps = 100, .variance = MD_VARIANCE_LEARNED});
    float once[2 * NUMBERS];
    example e;
    make(&e, &p, 20, .3);
    double value = md_gaussian_loss(&p, MD_LOSS_VLB, &e.z, 1, once).value;
    ck_assert_double_eq(md_gaussian_loss(&p, MD_LOSS_VLB, &e.z, 8, e.gradient).value, value);
    for (int k = 0; k < 2 * NUMBERS; k++) ck_assert_float_eq(e.gradient[k], 8 * once[k]);
    md_gaussian_release(&p);
}
END_TEST

/* Levels of noise alone: x0 and v still have losses, and eps has no error there. */
START_TEST(losses_at_noise_alone_are_finite) {
    for (int n = 0; n < 4; n++) {
        md_gaussian_options opt = {.timesteps = 50,
                                   .schedule = MD_BETA_COSINE,
                                   .prediction = n % 2 ? MD_PREDICTS_VELOCITY : MD_PREDICTS_IMAGE};
        opt.process = n < 2 ? MD_PROCESS_FLOW : MD_PROCESS_VP;
        opt.zero_snr = n >= 2;
        md_gaussian p = gaussian_of(opt);
        for (int loss = 0; loss < LOSSES; loss++) {
            if (loss == MD_LOSS_HYBRID) continue;
            example e;
            make(&e, &p, 49, .3);
            md_image_loss l = md_gaussian_loss(&p, (md_loss_kind)loss, &e.z, 1, e.gradient);
            ck_assert(isfinite(l.value) && l.noise_error == 0);
            for (int k = 0; k < NUMBERS; k++) ck_assert(isfinite((double)e.gradient[k]));
        }
        md_gaussian_release(&p);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("gaussian losses");
    suite_case(s, divergence_of_normals_has_its_published_value);
    suite_case(s, decoder_has_its_published_bits);
    suite_case(s, decoder_gives_probabilities);
    suite_case(s, prior_has_its_published_value);
    suite_case(s, min_snr_weights_have_their_published_values);
    suite_case(s, simple_is_the_error_of_what_is_predicted);
    suite_case(s, the_v_loss_is_the_error_of_v_whatever_is_predicted);
    suite_case(s, vlb_is_the_term_of_the_bound_times_the_levels);
    suite_case(s, an_evaluated_term_clips_x0);
    suite_case(s, hybrid_without_learned_variances_is_refused);
    suite_case(s, every_gradient_is_that_of_differences);
    suite_case(s, a_weight_scales_the_gradient_and_not_the_value);
    suite_case(s, losses_at_noise_alone_are_finite);
    return suite_run(s);
}
