/* tests/test_gaussian_predict.c: eps, x0, v and score; clipping and thresholding. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "diffusion/gaussian_predict.h"
#include "tests/gaussian_process.h"

enum { PROCESSES = 3, KINDS = 4, NUMBERS = 7 };

static md_gaussian process(md_process_kind kind) {
    return gaussian_of((md_gaussian_options){.process = kind,
                                             .schedule = MD_BETA_COSINE,
                                             .timesteps = 100,
                                             .prediction = MD_PREDICTS_IMAGE});
}

static float noise(uint32_t k) {
    return (float)md_normal((md_rng){.seed = 3, .stream = MD_STREAM_NOISE}, 0, k);
}

/* What a perfect network says, from the definitions alone. */
static double truth(md_process_kind process, md_prediction_kind kind, md_level at, double x0,
                    double eps) {
    double sigma = at.noise, x = at.signal * x0 + sigma * eps;
    if (kind == MD_PREDICTS_NOISE) return eps;
    if (kind == MD_PREDICTS_IMAGE) return x0;
    if (kind == MD_PREDICTS_SCORE) return -(x - at.signal * x0) / (sigma * sigma);
    if (process == MD_PROCESS_VP) return at.signal * eps - sigma * x0;
    if (process == MD_PROCESS_FLOW) return x0 - eps;
    double skip = .25 / (sigma * sigma + .25); /* EDM eq. 7 with sigma_data 1/2 */
    return (x0 - skip * x) / (sigma * .5 / sqrt(sigma * sigma + .25));
}

START_TEST(every_prediction_is_read_as_every_other) {
    for (int n = 0; n < PROCESSES; n++) {
        md_gaussian p = process((md_process_kind)n);
        for (int i = 1; i < 98; i += 12) {
            md_level at = md_gaussian_level(&p, i);
            for (int from = 0; from < KINDS; from++) {
                for (int to = 0; to < KINDS; to++) {
                    float x[NUMBERS], out[NUMBERS], result[NUMBERS];
                    md_reading how = md_prediction_read(&p, at, (md_prediction_kind)from,
                                                        (md_prediction_kind)to);
                    for (uint32_t k = 0; k < NUMBERS; k++) {
                        double x0 = .5 * (double)noise(k), eps = (double)noise(100 + k);
                        double said = truth(p.opt.process, (md_prediction_kind)from, at, x0, eps);
                        x[k] = (float)(at.signal * x0 + at.noise * eps);
                        out[k] = (float)said;
                    }
                    md_reading_apply(how, x, out, NUMBERS, result);
                    for (uint32_t k = 0; k < NUMBERS; k++) {
                        double x0 = .5 * (double)noise(k), eps = (double)noise(100 + k);
                        double right = truth(p.opt.process, (md_prediction_kind)to, at, x0, eps);
                        /* Inputs are rounded to floats, and scaled by the reading. */
                        double size = fabs(how.x * (double)x[k]) + fabs(how.out * (double)out[k]);
                        ck_assert_msg(fabs((double)result[k] - right) < 2e-7 * (size + fabs(right)),
                                      "%s, level %d, %s as %s: %g, expected %g",
                                      md_process_names[n], i, md_prediction_names[from],
                                      md_prediction_names[to], (double)result[k], right);
                    }
                }
            }
        }
        md_gaussian_release(&p);
    }
}
END_TEST

/* DDPM eq. 11: mu = (x - beta / sqrt(1 - abar) eps) / sqrt(alpha). */
START_TEST(the_mean_of_a_step_is_that_of_predicted_noise) {
    md_gaussian p = process(MD_PROCESS_VP);
    for (int i = 1; i < 99; i += 9) {
        md_level t = md_gaussian_level(&p, i), s = md_gaussian_level(&p, i - 1);
        md_transition back = md_gaussian_transition(&p, t, s);
        md_reading image = md_prediction_read(&p, t, MD_PREDICTS_NOISE, MD_PREDICTS_IMAGE);
        double x = .7, eps = -.4, alpha = t.signal * t.signal / (s.signal * s.signal);
        double mean = back.image * (image.x * x + image.out * eps) + back.noisy * x;
        double expected = (x - (1 - alpha) / t.noise * eps) / sqrt(alpha);
        ck_assert_double_eq_tol(mean, expected, 1e-11 * fabs(expected));
    }
    md_gaussian_release(&p);
}
END_TEST

/* x_ve = x_vp / signal, sigma = noise / signal: eps is the same, the score scales by the signal. */
START_TEST(scores_of_vp_and_ve_are_one_in_two_coordinates) {
    md_gaussian vp = process(MD_PROCESS_VP), ve = process(MD_PROCESS_VE);
    for (int i = 0; i < 99; i += 7) {
        md_level at = md_gaussian_level(&vp, i);
        md_level other = md_gaussian_level_at(&ve, at.noise / at.signal);
        md_reading a = md_prediction_read(&vp, at, MD_PREDICTS_NOISE, MD_PREDICTS_SCORE);
        md_reading b = md_prediction_read(&ve, other, MD_PREDICTS_NOISE, MD_PREDICTS_SCORE);
        ck_assert_double_eq_tol(a.out * at.signal, b.out, 1e-12 * fabs(b.out));
        ck_assert(a.x == 0 && b.x == 0);
    }
    md_gaussian_release(&vp);
    md_gaussian_release(&ve);
}
END_TEST

START_TEST(edm_scales_are_those_of_its_table) {
    md_edm edm = md_edm_scales(.5, .5);
    ck_assert_double_eq_tol(edm.skip, .5, 1e-15);
    ck_assert_double_eq_tol(edm.out, .35355339059327, 1e-13);
    ck_assert_double_eq_tol(edm.in, 1.41421356237310, 1e-13);
    ck_assert_double_eq_tol(edm.noise, -.17328679513999, 1e-13);
    for (double sigma = .002; sigma < 100; sigma *= 3) { /* unit variance in and out (EDM, B.6) */
        edm = md_edm_scales(sigma, .7);
        ck_assert_double_eq_tol(edm.in * edm.in * (sigma * sigma + .49), 1, 1e-13);
        double miss = (1 - edm.skip) * (1 - edm.skip) * .49 + edm.skip * edm.skip * sigma * sigma;
        ck_assert_double_eq_tol(miss, edm.out * edm.out, 1e-13 * miss);
    }
}
END_TEST

START_TEST(an_output_splits_into_prediction_and_variance) {
    float out[12], prediction[6], said[6];
    for (int k = 0; k < 12; k++) out[k] = (float)k;
    md_prediction_split(out, 2, 3, prediction, said);
    for (int k = 0; k < 6; k++) {
        ck_assert_float_eq(prediction[k], (float)(k % 3 + 6 * (k / 3)));
        ck_assert_float_eq(said[k], prediction[k] + 3);
    }
}
END_TEST

static int by_size(const void *a, const void *b) {
    float x = fabsf(*(const float *)a), y = fabsf(*(const float *)b);
    return (x > y) - (x < y);
}

/* Against a sorted copy: numpy's default quantile. */
START_TEST(dynamic_thresholding_divides_by_the_quantile) {
    static const int64_t counts[] = {1, 2, 3, 201, 784, 3072};
    static const double quantiles[] = {.5, .9, .995, 1};
    for (int c = 0; c < 6; c++) {
        for (int n = 0; n < 4; n++) {
            float x[3072], sorted[3072];
            int64_t count = counts[c];
            for (int64_t k = 0; k < count; k++) x[k] = 3 * noise((uint32_t)k);
            x[0] = 1.5F; /* so that one at least is out of range */
            memcpy(sorted, x, sizeof x);
            qsort(sorted, (size_t)count, sizeof *sorted, by_size);
            double place = quantiles[n] * (double)(count - 1);
            int64_t low = (int64_t)place, high = low + (low + 1 < count);
            double a = fabs((double)sorted[low]), b = fabs((double)sorted[high]);
            double s = fmax(a + (b - a) * (place - (double)low), 1), most = n == 2 ? 2.5 : INFINITY;
            s = fmin(s, most);
            md_clip_x0 clip = {.on = true, .quantile = quantiles[n], .most = most};
            float got[3072];
            memcpy(got, x, sizeof x);
            md_clip_x0_apply(&clip, got, count);
            for (int64_t k = 0; k < count; k++) {
                double expected = fmax(fmin((double)x[k], s), -s) / s;
                ck_assert_double_eq_tol((double)got[k], expected, 2e-7); /* floats */
            }
        }
    }
}
END_TEST

START_TEST(a_quantile_is_exact_to_the_last_bit) {
    float above = nextafterf(1.5F, 2), x[3] = {above, 1.5F, 3};
    md_clip_x0_apply(&(md_clip_x0){.on = true, .quantile = .5, .most = 9}, x, 3);
    ck_assert(x[0] == 1 && x[1] < 1 && x[2] == 1);
}
END_TEST

START_TEST(images_in_range_are_left_alone) {
    float x[3] = {-1, .25F, 1}, y[3];
    memcpy(y, x, sizeof x);
    md_clip_x0_apply(&(md_clip_x0){.on = true}, y, 3);
    md_clip_x0_apply(&(md_clip_x0){.on = true, .quantile = .995, .most = 2}, y, 3);
    ck_assert_mem_eq(x, y, sizeof x);
    y[0] = -7, y[1] = NAN, y[2] = INFINITY;
    md_clip_x0_apply(&(md_clip_x0){.on = false}, y, 3);
    ck_assert_float_eq(y[0], -7);
    md_clip_x0_apply(&(md_clip_x0){.on = true}, y, 3);
    ck_assert(y[0] == -1 && isnan(y[1]) && y[2] == 1); /* what is no number is not hidden */
}
END_TEST

START_TEST(a_clipped_guess_keeps_x_together) {
    for (int n = 0; n < PROCESSES; n++) {
        md_gaussian p = process((md_process_kind)n);
        md_level at = md_gaussian_level(&p, 60);
        float x[NUMBERS], out[NUMBERS], x0[NUMBERS], eps[NUMBERS], free_x0[NUMBERS];
        for (int kind = 0; kind < KINDS; kind++) {
            p.opt.prediction = (md_prediction_kind)kind;
            for (uint32_t k = 0; k < NUMBERS; k++) x[k] = noise(k), out[k] = 3 * noise(50 + k);
            for (int on = 0; on < 2; on++) {
                md_guess(&p, at, &(md_clip_x0){.on = on != 0}, x, out, NUMBERS, x0, eps);
                if (!on) memcpy(free_x0, x0, sizeof x0);
                for (int k = 0; k < NUMBERS; k++) {
                    double both = at.signal * (double)x0[k] + at.noise * (double)eps[k];
                    double size = fabs(at.signal * (double)x0[k]) + 1; /* floats */
                    ck_assert_double_eq_tol(both, (double)x[k], 3e-7 * size);
                    double inside = fmax(fmin((double)free_x0[k], 1), -1);
                    if (on) ck_assert_double_eq((double)x0[k], inside);
                }
            }
        }
        md_gaussian_release(&p);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("gaussian predictions");
    suite_case(s, every_prediction_is_read_as_every_other);
    suite_case(s, the_mean_of_a_step_is_that_of_predicted_noise);
    suite_case(s, scores_of_vp_and_ve_are_one_in_two_coordinates);
    suite_case(s, edm_scales_are_those_of_its_table);
    suite_case(s, an_output_splits_into_prediction_and_variance);
    suite_case(s, dynamic_thresholding_divides_by_the_quantile);
    suite_case(s, a_quantile_is_exact_to_the_last_bit);
    suite_case(s, images_in_range_are_left_alone);
    suite_case(s, a_clipped_guess_keeps_x_together);
    return suite_run(s);
}
