/* tests/test_score_matching.c: implicit score matching: its loss, its gradient, and that it finds
 * the score of a density. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "diffusion/score_matching.h"
#include "tests/suite.h"

enum { D = 3, POINTS = 40, MOST_ROWS = 1 + 2 * 64 };

static double normal(uint32_t sequence, int64_t position) {
    return md_normal((md_rng){.seed = 4, .stream = MD_STREAM_NOISE}, sequence, (uint32_t)position);
}

/* s(x) = A x, whose divergence is the trace: -1.1. */
static const double A[D][D] = {{-1.5, 0.4, 0.2}, {0.3, -0.5, -0.6}, {0.1, 0.5, 0.9}};

static void linear_score(const float *x, int64_t rows, float *score) {
    for (int64_t n = 0; n < rows; n++)
        for (int d = 0; d < D; d++) {
            double sum = 0;
            for (int k = 0; k < D; k++) sum += A[d][k] * (double)x[n * D + k];
            score[n * D + d] = (float)sum;
        }
}

typedef struct example {
    float x[POINTS * D], rows[POINTS * MOST_ROWS * D], score[POINTS * MOST_ROWS * D];
    float gradient[POINTS * MOST_ROWS * D];
} example;

static double loss_of(const md_implicit *m, example *e) {
    for (int i = 0; i < POINTS * D; i++) e->x[i] = (float)normal(1, i);
    md_implicit_points(m, e->x, POINTS, e->rows);
    linear_score(e->rows, (int64_t)POINTS * md_implicit_rows(m), e->score);
    return md_implicit_loss(m, e->score, POINTS, e->gradient);
}

/* Of all points the mean of |s|^2 / 2. */
static double half_square(const example *e) {
    float score[POINTS * D];
    double sum = 0;
    linear_score(e->x, POINTS, score);
    for (int i = 0; i < POINTS * D; i++) sum += (double)score[i] * (double)score[i] / 2;
    return sum / POINTS;
}

/* Rounding of scores of size 1, over 2 h, and there are D of them, cancelling in part. */
static const double rounding = 6e-8 * D / 0.02;

START_TEST(the_loss_is_half_the_square_and_the_divergence) {
    static example e;
    const md_implicit axes = {.D = D, .h = 0.01};
    ck_assert_int_eq(md_implicit_rows(&axes), 7);
    const double loss = loss_of(&axes, &e);
    ck_assert_double_eq_tol(loss - half_square(&e), -1.1, rounding);
    ck_assert_float_eq(e.rows[0], e.x[0]);
    ck_assert_float_eq_tol(e.rows[D], e.x[0] + 0.01F, 1e-6F);
    ck_assert_float_eq_tol(e.rows[2 * D], e.x[0] - 0.01F, 1e-6F);
}
END_TEST

/* v' A v, with v of signs, is the trace plus something of variance sum over i < k of (A_ik +
 * A_ki)^2, .59 here; 40 points of 64 draws each. */
START_TEST(random_directions_have_the_divergence_for_expectation) {
    static example e;
    const md_implicit slices = {.D = D, .slices = 64, .h = 0.01, .rng = {.seed = 2}};
    ck_assert_int_eq(md_implicit_rows(&slices), 129);
    const double loss = loss_of(&slices, &e);
    ck_assert_double_eq_tol(loss - half_square(&e), -1.1, 4 * sqrt(0.59 / (POINTS * 64)));
    ck_assert(memcmp(e.rows + D, e.rows + 3 * D, D * sizeof *e.rows) != 0);
}
END_TEST

/* J is of second order in the score, so differences of any step are exact. */
START_TEST(the_gradient_is_that_of_differences) {
    for (int slices = 0; slices < 5; slices += 4) {
        static example e;
        const md_implicit m = {.D = D, .slices = slices, .h = 0.05, .rng = {.seed = 3}};
        (void)loss_of(&m, &e);
        for (int i = 0; i < POINTS * md_implicit_rows(&m) * D; i += 11) {
            const float kept = e.score[i];
            e.score[i] = kept + 0.5F;
            const double up = md_implicit_loss(&m, e.score, POINTS, NULL);
            e.score[i] = kept - 0.5F;
            const double down = md_implicit_loss(&m, e.score, POINTS, NULL);
            e.score[i] = kept;
            ck_assert_double_eq_tol(up - down, (double)e.gradient[i], 1e-6); /* floats */
        }
    }
}
END_TEST

/* Of points of N(0, 1/4) and s = -c x, J = c^2 m - c, m the mean of x^2 / 2, is least where c is 1
 * over their variance; there it is -c/2, minus half the square of the score. */
START_TEST(the_loss_is_least_at_the_score_of_the_density) {
    enum { N = 1000 };
    const md_implicit m = {.D = 1, .h = 0.01};
    float x[N], rows[3 * N], score[3 * N];
    double variance = 0;
    for (int i = 0; i < N; i++) x[i] = (float)(normal(5, i) / 2);
    for (int i = 0; i < N; i++) variance += (double)x[i] * (double)x[i] / N;
    md_implicit_points(&m, x, N, rows);
    for (int k = -1; k <= 1; k++) {
        const double c = (1 + 0.1 * k) / variance;
        for (int i = 0; i < 3 * N; i++) score[i] = (float)(-c * (double)rows[i]);
        const double expected = c * c * variance / 2 - c; /* 1/variance (-1/2 + k^2/200) */
        ck_assert_double_eq_tol(md_implicit_loss(&m, score, N, NULL), expected, 1e-4);
        ck_assert_double_eq_tol(expected * variance, -0.5 + 0.005 * k * k, 1e-9);
    }
    /* four standard errors of the variance of N numbers */
    ck_assert_double_eq_tol(variance, 0.25, 4 * 0.25 * sqrt(2.0 / N));
}
END_TEST

/* s = W x of points of a normal distribution with covariance S: descent ends at W = -S^-1. */
START_TEST(descent_finds_the_score_of_correlated_numbers) {
    enum { N = 400, ROWS = 5 * N };
    const md_implicit m = {.D = 2, .h = 0.05};
    static float x[2 * N], rows[2 * ROWS], score[2 * ROWS], gradient[2 * ROWS];
    double S[2][2] = {{0}}, W[2][2] = {{0}};
    for (int n = 0; n < N; n++) {
        x[2 * n] = (float)normal(6, 2 * n);
        x[2 * n + 1] = 0.6F * x[2 * n] + 0.5F * (float)normal(6, 2 * n + 1);
        for (int i = 0; i < 4; i++)
            S[i / 2][i % 2] += (double)x[2 * n + i / 2] * (double)x[2 * n + i % 2] / N;
    }
    md_implicit_points(&m, x, N, rows);
    for (int step = 0; step < 200; step++) {
        for (int i = 0; i < 2 * ROWS; i++)
            score[i] = (float)(W[i % 2][0] * (double)rows[i - i % 2] +
                               W[i % 2][1] * (double)rows[i - i % 2 + 1]);
        (void)md_implicit_loss(&m, score, N, gradient);
        for (int i = 0; i < 2 * ROWS; i++)
            for (int k = 0; k < 2; k++)
                W[i % 2][k] -= 0.5 * (double)gradient[i] * (double)rows[i - i % 2 + k];
    }
    const double det = S[0][0] * S[1][1] - S[0][1] * S[1][0];
    /* rounding of scores over 2 h, averaged; 200 steps at rates from .09 on leave e^-18 */
    ck_assert_double_eq_tol(W[0][0], -S[1][1] / det, 1e-4);
    ck_assert_double_eq_tol(W[1][1], -S[0][0] / det, 1e-4);
    ck_assert_double_eq_tol(W[0][1], S[0][1] / det, 1e-4);
    ck_assert_double_eq_tol(W[1][0], S[1][0] / det, 1e-4);
}
END_TEST

int main(void) {
    Suite *s = suite_create("score matching");
    suite_case(s, the_loss_is_half_the_square_and_the_divergence);
    suite_case(s, random_directions_have_the_divergence_for_expectation);
    suite_case(s, the_gradient_is_that_of_differences);
    suite_case(s, the_loss_is_least_at_the_score_of_the_density);
    suite_case(s, descent_finds_the_score_of_correlated_numbers);
    return suite_run(s);
}
