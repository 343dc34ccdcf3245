/* tests/test_masked.c: the masked process. */
#include <math.h>
#include <string.h>

#include "diffusion/masked.h"
#include "tests/suite.h"

enum { SCHEDULES = 4 };

static md_masked schedule(int i) {
    return md_masked_process((md_schedule_kind)i);
}

START_TEST(every_schedule_runs_from_visible_to_masked) {
    for (int i = 0; i < SCHEDULES; i++) {
        md_masked p = schedule(i);
        /* The geometric schedule starts at exp(-sigma_min) and ends at exp(-sigma_max). */
        double tolerance = p.kind == MD_SCHEDULE_GEOMETRIC ? 1.001e-4 : 1e-15;
        ck_assert_double_eq_tol(md_masked_alpha(&p, 0), 1, tolerance);
        ck_assert_double_eq_tol(md_masked_alpha(&p, 1), 0, fmin(tolerance, 1e-8));
        for (int n = 0; n < 1000; n++) {
            double a = md_masked_alpha(&p, n / 1000.0), b = md_masked_alpha(&p, (n + 1) / 1000.0);
            ck_assert_msg(a > b && b >= 0 && a <= 1, "schedule %d at %d/1000: %g, %g", i, n, a, b);
        }
    }
}
END_TEST

START_TEST(schedules_have_their_closed_forms) {
    md_masked linear = schedule(MD_SCHEDULE_LINEAR), cosine = schedule(MD_SCHEDULE_COSINE);
    md_masked poly = schedule(MD_SCHEDULE_POLY), geometric = schedule(MD_SCHEDULE_GEOMETRIC);
    poly.power = 3;
    ck_assert_double_eq_tol(md_masked_alpha(&linear, 0.3), 0.7, 1e-15);
    ck_assert_double_eq_tol(md_masked_weight(&linear, 0.25), 4, 1e-15);
    ck_assert_double_eq_tol(md_masked_alpha(&cosine, 1.0 / 3), 0.5, 1e-15);
    ck_assert_double_eq_tol(md_masked_alpha(&poly, 0.5), 0.875, 1e-15);
    ck_assert_double_eq_tol(md_masked_weight(&poly, 0.5), 6, 1e-15);
    /* sigma(1/2) is the geometric mean of 1e-4 and 20. */
    ck_assert_double_eq_tol(md_masked_alpha(&geometric, 0.5), exp(-sqrt(2e-3)), 1e-15);
}
END_TEST

START_TEST(weight_is_the_slope_over_the_masked_fraction) {
    for (int i = 0; i < SCHEDULES; i++) {
        md_masked p = schedule(i);
        for (double t = 0.02; t < 0.99; t += 0.013) {
            /* Error of a central difference: h^2/6 alpha''' and 1e-16/h, near 1e-9 at h = 1e-5. */
            const double h = 1e-5;
            double slope = (md_masked_alpha(&p, t + h) - md_masked_alpha(&p, t - h)) / (2 * h);
            double expected = -slope / (1 - md_masked_alpha(&p, t));
            ck_assert_msg(fabs(md_masked_weight(&p, t) / expected - 1) < 1e-5,
                          "schedule %d at %g: weight %.10g, difference %.10g", i, t,
                          md_masked_weight(&p, t), expected);
        }
    }
}
END_TEST

START_TEST(time_inverts_alpha) {
    for (int i = 0; i < SCHEDULES; i++) {
        md_masked p = schedule(i);
        for (double t = 0.01; t < 1; t += 0.01)
            /* alpha keeps 1e-16 of 1, which is 1e-12 of the least masked fraction here (1e-4). */
            ck_assert_double_eq_tol(md_masked_time(&p, md_masked_alpha(&p, t)), t, 1e-11);
        ck_assert_double_eq_tol(md_masked_time(&p, 1), 0, 1e-15);
        ck_assert_double_eq_tol(md_masked_time(&p, 0), 1, 1e-15);
    }
}
END_TEST

START_TEST(stay_is_the_ratio_of_masked_fractions) {
    for (int i = 0; i < SCHEDULES; i++) {
        md_masked p = schedule(i);
        for (double t = 0.1; t <= 1; t += 0.1) {
            double s = 0.7 * t;
            double expected = (1 - md_masked_alpha(&p, s)) / (1 - md_masked_alpha(&p, t));
            ck_assert_double_eq_tol(md_masked_stay(&p, s, t), expected, 1e-11);
            ck_assert_double_eq(md_masked_stay(&p, 0, t), 0);
        }
    }
    md_masked linear = schedule(MD_SCHEDULE_LINEAR);
    ck_assert_double_eq_tol(md_masked_stay(&linear, 1e-300, 4e-300), 0.25, 1e-15);
}
END_TEST

/* Whatever the schedule, a set of l masked tokens of L has the weight
 * integral of w (1-alpha)^l alpha^(L-l) dt = B(l, L-l+1) = (l-1)! (L-l)! / L!. */
START_TEST(the_bound_does_not_depend_on_the_schedule) {
    const int L = 5, n = 200000;
    for (int i = 0; i < SCHEDULES; i++) {
        md_masked p = schedule(i);
        for (int l = 1; l <= L; l++) {
            double sum = 0, exact = exp(lgamma(l) + lgamma(L - l + 1) - lgamma(L + 1));
            for (int k = 0; k < n; k++) {
                double t = (k + 0.5) / n, a = md_masked_alpha(&p, t);
                sum += md_masked_weight(&p, t) * pow(1 - a, l) * pow(a, L - l) / n;
            }
            /* The geometric schedule lacks what lies below a masked fraction of 1e-4. */
            ck_assert_msg(fabs(sum - exact) < 1.1e-4, "schedule %d, l %d: %g, exact %g", i, l, sum,
                          exact);
        }
    }
}
END_TEST

START_TEST(times_of_a_batch_are_evenly_spread_above_eps) {
    md_masked p = schedule(MD_SCHEDULE_LINEAR);
    enum { N = 16 };
    int cell[N] = {0};
    for (int i = 0; i < N; i++) {
        double t = md_masked_stratified(&p, 0.987, i, N);
        ck_assert(t >= p.eps && t < 1);
        cell[(int)((t - p.eps) / (1 - p.eps) * N)]++;
    }
    for (int i = 0; i < N; i++) ck_assert_int_eq(cell[i], 1);
    ck_assert_double_eq_tol(md_masked_stratified(&p, 0.5, 3, 4), 0.001 + 0.999 * 0.25, 1e-15);
}
END_TEST

START_TEST(schedules_are_found_by_name) {
    mdlm_error err = {0};
    md_masked p;
    assert_ok(md_masked_from_name("linear", &p, &err));
    ck_assert_int_eq(p.kind, MD_SCHEDULE_LINEAR);
    assert_ok(md_masked_from_name("geometric", &p, &err));
    ck_assert_int_eq(p.kind, MD_SCHEDULE_GEOMETRIC);
    ck_assert_double_eq(p.sigma_max, 20);
    assert_fails(md_masked_from_name("cosin", &p, &err), MDLM_USAGE, "'cosin'");
    ck_assert_int_eq(p.kind, MD_SCHEDULE_GEOMETRIC);
}
END_TEST

enum { LONG = 20000, MASK = 99 };

START_TEST(masked_corruption_keeps_the_prompt) {
    static int32_t ids[LONG], noisy[LONG], masked[LONG];
    static uint8_t keep[LONG];
    md_rng rng = {.seed = 3, .stream = MD_STREAM_MASK};
    for (int j = 0; j < LONG; j++) ids[j] = j % 50, keep[j] = j % 3 == 0;
    int count = md_masked_corrupt(rng, 1, 0.0, MASK, ids, keep, LONG, noisy, masked);
    ck_assert_int_eq(count, LONG - (LONG + 2) / 3);
    for (int j = 0; j < LONG; j++) ck_assert_int_eq(noisy[j], keep[j] ? ids[j] : MASK);
    count = md_masked_corrupt(rng, 1, 0.5, MASK, ids, keep, LONG, noisy, masked);
    for (int j = 0, n = 0; j < LONG; j++) {
        bool hidden = n < count && masked[n] == j;
        ck_assert_int_eq(noisy[j], hidden ? MASK : ids[j]);
        ck_assert(!(hidden && keep[j]));
        n += hidden;
    }
    ck_assert_int_eq(md_masked_corrupt(rng, 1, 1.0, MASK, ids, NULL, LONG, noisy, masked), 0);
}
END_TEST

START_TEST(masked_corruption_has_the_rate_of_the_schedule) {
    static int32_t ids[LONG], noisy[LONG], masked[LONG];
    for (int i = 0; i < 9; i++) {
        double p = 0.1 * (i + 1);
        md_rng rng = {.seed = 5, .stream = MD_STREAM_MASK, .step = (uint64_t)i};
        int count = md_masked_corrupt(rng, 2, 1 - p, MASK, ids, NULL, LONG, noisy, masked);
        double sigma = sqrt(LONG * p * (1 - p));
        ck_assert_msg(fabs(count - LONG * p) < 4 * sigma, "rate %g: %d of %d", p, count, LONG);
    }
}
END_TEST

START_TEST(masked_corruption_is_a_function_of_its_key) {
    enum { T = 64 };
    int32_t ids[T] = {0}, first[T], again[T], masked[T];
    md_rng rng = {.seed = 7, .stream = MD_STREAM_MASK, .step = 11};
    md_masked_corrupt(rng, 5, 0.5, MASK, ids, NULL, T, first, masked);
    md_masked_corrupt(rng, 6, 0.5, MASK, ids, NULL, T, again, masked);
    ck_assert_int_ne(memcmp(first, again, sizeof first), 0);
    md_masked_corrupt(rng, 5, 0.5, MASK, ids, NULL, T, again, masked);
    ck_assert_int_eq(memcmp(first, again, sizeof first), 0);
    /* A longer sequence begins the same, and fewer masks are a subset. */
    md_masked_corrupt(rng, 5, 0.5, MASK, ids, NULL, T / 2, again, masked);
    ck_assert_int_eq(memcmp(first, again, sizeof first / 2), 0);
    md_masked_corrupt(rng, 5, 0.8, MASK, ids, NULL, T, again, masked);
    for (int j = 0; j < T; j++) ck_assert(again[j] != MASK || first[j] == MASK);
}
END_TEST

START_TEST(log_prob_leaves_out_the_mask) {
    const float logits[4] = {1.0F, 60.0F, 2.0F, 0.5F};
    double sum = exp(1.0) + exp(2.0) + exp(0.5);
    ck_assert_double_eq_tol(md_log_prob(logits, 4, 1, 2), 2 - log(sum), 1e-14);
    ck_assert_double_eq_tol(md_log_prob(logits, 4, 1, 3), 0.5 - log(sum), 1e-14);
    ck_assert(md_log_prob(logits, 4, 1, 1) == -INFINITY);
}
END_TEST

START_TEST(log_prob_is_exact_for_extreme_logits) {
    const float far[3] = {-2000.0F, 1000.0F, 0.0F}; /* exp of any would over- or underflow */
    ck_assert_double_eq(md_log_prob(far, 3, 2, 0), -3000);
    ck_assert_double_eq(md_log_prob(far, 3, 2, 1), 0);
    const float nan_row[3] = {0.0F, NAN, 1.0F}, inf_row[3] = {0.0F, INFINITY, 1.0F};
    ck_assert(isnan(md_log_prob(nan_row, 3, 2, 0)));
    ck_assert(isnan(md_log_prob(inf_row, 3, 2, 1)));
}
END_TEST

int main(void) {
    Suite *s = suite_create("masked");
    suite_case(s, every_schedule_runs_from_visible_to_masked);
    suite_case(s, schedules_have_their_closed_forms);
    suite_case(s, weight_is_the_slope_over_the_masked_fraction);
    suite_case(s, time_inverts_alpha);
    suite_case(s, stay_is_the_ratio_of_masked_fractions);
    suite_case(s, the_bound_does_not_depend_on_the_schedule);
    suite_case(s, times_of_a_batch_are_evenly_spread_above_eps);
    suite_case(s, schedules_are_found_by_name);
    suite_case(s, masked_corruption_keeps_the_prompt);
    suite_case(s, masked_corruption_has_the_rate_of_the_schedule);
    suite_case(s, masked_corruption_is_a_function_of_its_key);
    suite_case(s, log_prob_leaves_out_the_mask);
    suite_case(s, log_prob_is_exact_for_extreme_logits);
    return suite_run(s);
}
