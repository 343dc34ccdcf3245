/* tests/test_frechet.c: the distance between Gaussians against closed forms, and its bootstrap
 * against sets that are drawn again. */
#include "train/frechet.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tests/failing_memory.h"
#include "tests/suite.h"

enum { MOST = 16, ROWS = 400 };

/* Rows of independent normals times sd[k], plus mean[k]. */
static void draw(uint64_t seed, int count, int dim, const double *mean, const double *sd,
                 float *x) {
    const md_rng rng = {.seed = seed, .stream = MD_STREAM_NOISE};
    for (int i = 0; i < count; i++)
        for (int k = 0; k < dim; k++)
            x[i * dim + k] = (float)(mean[k] + sd[k] * md_normal(rng, (uint32_t)i, (uint32_t)k));
}

static double distance(const float *a, int na, const float *b, int nb, int dim) {
    mdlm_error err;
    md_frechet *frechet = NULL;
    md_frechet_report r;
    assert_ok(md_frechet_new(&(md_features){a, na, dim}, NULL, &frechet, &err));
    assert_ok(md_frechet_measure(frechet, &(md_features){b, nb, dim}, &(md_frechet_options){0}, &r,
                                 &err));
    ck_assert(isnan(r.interval.low) && isnan(r.interval.high) && isnan(r.bias));
    md_frechet_free(frechet);
    return r.distance;
}

/* Two rows an axis, at mean -+ reach: covariance 2 reach^2 / (rows - 1), nothing off the
 * diagonal. */
static void cross(int dim, const double *mean, const double *reach, float *x) {
    for (int i = 0; i < 2 * dim; i++)
        for (int k = 0; k < dim; k++)
            x[i * dim + k] = (float)(mean[k] + (i / 2 == k ? (i % 2 ? reach[k] : -reach[k]) : 0));
}

START_TEST(apart_along_the_axes_means_and_deviations_add_up) {
    enum { D = 3 };
    const double m1[D] = {0, 1, -2}, m2[D] = {0.5, 1, 2}, r1[D] = {1, 2, 0.5}, r2[D] = {3, 2, 0};
    float a[2 * D * D], b[2 * D * D];
    double expected = 0;
    cross(D, m1, r1, a);
    cross(D, m2, r2, b);
    for (int k = 0; k < D; k++)
        expected += pow(m1[k] - m2[k], 2) + pow(r1[k] - r2[k], 2) * 2 / (2 * D - 1);
    /* a root of what is 0 but for rounding: see the header */
    ck_assert_double_eq_tol(distance(a, 2 * D, b, 2 * D, D), expected, 1e-6);
    ck_assert_double_eq_tol(distance(b, 2 * D, a, 2 * D, D), expected, 1e-6);
}
END_TEST

/* Mean and covariance of two columns, summed as the definition says. */
static void moments(const float *x, int count, double mean[2], double cov[2][2]) {
    for (int k = 0; k < 2; k++) {
        mean[k] = 0;
        for (int i = 0; i < count; i++) mean[k] += (double)x[i * 2 + k] / count;
    }
    for (int k = 0; k < 2; k++)
        for (int l = 0; l < 2; l++) {
            cov[k][l] = 0;
            for (int i = 0; i < count; i++)
                cov[k][l] += ((double)x[i * 2 + k] - mean[k]) * ((double)x[i * 2 + l] - mean[l]) /
                             (count - 1);
        }
}

/* The eigenvalues l of C1 C2 have tr^2(root) = l1 + l2 + 2 (l1 l2)^1/2. */
static double in_the_plane(const float *a, int na, const float *b, int nb) {
    double m1[2], m2[2], c1[2][2], c2[2][2], sum = 0, trace = 0;
    moments(a, na, m1, c1);
    moments(b, nb, m2, c2);
    for (int k = 0; k < 2; k++) {
        sum += pow(m1[k] - m2[k], 2) + c1[k][k] + c2[k][k];
        for (int l = 0; l < 2; l++) trace += c1[k][l] * c2[l][k];
    }
    const double det =
        (c1[0][0] * c1[1][1] - c1[0][1] * c1[1][0]) * (c2[0][0] * c2[1][1] - c2[0][1] * c2[1][0]);
    return sum - 2 * sqrt(trace + 2 * sqrt(det));
}

START_TEST(correlated_features_have_the_closed_form_of_the_plane) {
    static const int counts[] = {3, 40, 300}; /* the last in two pieces */
    float a[2 * ROWS], b[2 * ROWS];
    draw(1, ROWS, 2, (double[]){0, 3}, (double[]){1, 0.2}, a);
    draw(2, ROWS, 2, (double[]){1, 2}, (double[]){0.3, 2}, b);
    for (int i = 0; i < ROWS; i++) {
        a[2 * i + 1] += 0.8F * a[2 * i];
        b[2 * i + 1] -= 2 * b[2 * i];
    }
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++) /* sums of a few hundred products, in double precision */
            ck_assert_double_eq_tol(distance(a, counts[i], b, counts[k], 2),
                                    in_the_plane(a, counts[i], b, counts[k]), 1e-10);
}
END_TEST

START_TEST(a_set_has_no_distance_to_itself_even_with_fewer_images_than_features) {
    float x[8 * MOST];
    double mean[MOST] = {0}, sd[MOST];
    for (int k = 0; k < MOST; k++) sd[k] = 1;
    draw(3, 8, MOST, mean, sd, x);
    ck_assert_double_le(distance(x, 8, x, 8, MOST), 1e-6 * MOST); /* see the header */
}
END_TEST

static md_frechet_report measured(const float *a, int na, const float *b, int nb, int dim,
                                  uint64_t seed, md_pool *pool) {
    mdlm_error err;
    md_frechet *frechet = NULL;
    md_frechet_report r;
    const md_frechet_options opt = {.resamples = 100, .seed = seed};
    assert_ok(md_frechet_new(&(md_features){a, na, dim}, pool, &frechet, &err));
    assert_ok(md_frechet_measure(frechet, &(md_features){b, nb, dim}, &opt, &r, &err));
    md_frechet_free(frechet);
    return r;
}

START_TEST(the_bootstrap_has_the_same_bits_for_any_number_of_threads) {
    mdlm_error err;
    float a[100 * 5], b[60 * 5];
    const double mean[5] = {0}, sd[5] = {1, 1, 2, 1, 1};
    draw(4, 100, 5, mean, sd, a);
    draw(5, 60, 5, mean, sd, b);
    const md_frechet_report alone = measured(a, 100, b, 60, 5, 7, NULL);
    for (int threads = 1; threads <= 3; threads += 2) {
        md_pool *pool = md_pool_new(threads, &err);
        const md_frechet_report r = measured(a, 100, b, 60, 5, 7, pool);
        ck_assert(memcmp(&r, &alone, sizeof r) == 0);
        md_pool_free(pool);
    }
    ck_assert(measured(a, 100, b, 60, 5, 8, NULL).bias != alone.bias);
}
END_TEST

/* Sets of the same law at different places: what the bootstrap says of one of them, against many.
 */
START_TEST(intervals_hold_the_mean_distance_and_bias_is_what_more_images_would_take_away) {
    enum { SETS = 60, N = 100, D = 12 };
    double zero[D] = {0}, one[D], off[D], truth = 0;
    for (int k = 0; k < D; k++) {
        one[k] = 1;
        off[k] = k < 3 ? 0.4 : 0;
        truth += off[k] * off[k];
    }
    static float reference[20000 * D];
    float x[N * D];
    md_frechet_report r[SETS];
    double mean = 0, bias = 0, width = 0, squares = 0;
    int held = 0;
    draw(6, 20000, D, zero, one, reference);
    for (int i = 0; i < SETS; i++) {
        draw(100 + (uint64_t)i, N, D, off, one, x);
        r[i] = measured(reference, 20000, x, N, D, (uint64_t)i, NULL);
        mean += r[i].distance / SETS;
        bias += r[i].bias / SETS;
    }
    for (int i = 0; i < SETS; i++) {
        held += r[i].interval.low <= mean && mean <= r[i].interval.high;
        width += (r[i].interval.high - r[i].interval.low) / SETS;
        squares += pow(r[i].distance - mean, 2) / (SETS - 1);
    }
    ck_assert_int_ge(held, 52); /* 57 on average, and fewer than 52 for one seed in a hundred */
    /* The deviation of 60 distances is known to 9%. Intervals are too wide, if anything: resampled
     * sets have fewer images that differ, so their covariances vary more. */
    ck_assert_double_ge(width, 2 * 1.96 * sqrt(squares));
    ck_assert_double_le(width, 1.6 * 2 * 1.96 * sqrt(squares));
    /* the standard error of either mean is less than a twentieth */
    ck_assert_double_eq_tol(bias, mean - truth, 0.15 * (mean - truth));
}
END_TEST

static int stop(void *user, int64_t done, int64_t total) {
    (void)done;
    ck_assert_int_eq(total, 50);
    return ++*(int *)user == 2;
}

START_TEST(what_cannot_be_measured_is_refused) {
    mdlm_error err;
    float x[4 * 2] = {0, 1, 2, 3, 5, 4, 1, 1};
    md_frechet *frechet = NULL;
    md_frechet_report r = {.distance = -1};
    int calls = 0;
    assert_fails(md_frechet_new(&(md_features){x, 1, 2}, NULL, &frechet, &err), MDLM_INPUT,
                 "at least 2 images");
    assert_ok(md_frechet_new(&(md_features){x, 4, 2}, NULL, &frechet, &err));
    const md_frechet_options opt = {.resamples = 50, .on_progress = stop, .user = &calls};
    assert_fails(md_frechet_measure(frechet, &(md_features){x, 4, 2}, &opt, &r, &err),
                 MDLM_CANCELLED, "");
    x[5] = NAN;
    assert_fails(md_frechet_measure(frechet, &(md_features){x, 4, 2}, &opt, &r, &err), MDLM_NUMERIC,
                 "image 2");
    ck_assert(r.distance == -1);
    md_frechet_free(frechet);
    assert_fails(md_frechet_new(&(md_features){x, 4, 2}, NULL, &frechet, &err), MDLM_NUMERIC,
                 "not finite");
}
END_TEST

static mdlm_status try(const md_features *f, md_frechet_report *r, mdlm_error *err) {
    md_frechet *frechet = NULL;
    MD_TRY(md_frechet_new(f, NULL, &frechet, err));
    mdlm_status status =
        md_frechet_measure(frechet, f, &(md_frechet_options){.resamples = 3}, r, err);
    md_frechet_free(frechet);
    return status;
}

START_TEST(every_failing_allocation_is_an_error) {
    mdlm_error err;
    const float x[4 * 2] = {0, 1, 2, 3, 5, 4, 1, 1};
    int failed = 0;
    for (;; failed++) {
        md_frechet_report r;
        memory_left = failed;
        mdlm_status status = try(&(md_features){x, 4, 2}, &r, &err);
        const bool reached = memory_left < 0;
        memory_left = -1;
        if (!reached) break;
        ck_assert_int_eq(status, MDLM_RUNTIME);
    }
    ck_assert_int_eq(failed, 3 + 8 + 2 + 8); /* the reference and its work space, the samples' */
}
END_TEST

int main(void) {
    Suite *s = suite_create("frechet");
    suite_case(s, apart_along_the_axes_means_and_deviations_add_up);
    suite_case(s, correlated_features_have_the_closed_form_of_the_plane);
    suite_case(s, a_set_has_no_distance_to_itself_even_with_fewer_images_than_features);
    suite_case(s, the_bootstrap_has_the_same_bits_for_any_number_of_threads);
    suite_case(s, intervals_hold_the_mean_distance_and_bias_is_what_more_images_would_take_away);
    suite_case(s, what_cannot_be_measured_is_refused);
    suite_case(s, every_failing_allocation_is_an_error);
    return suite_run(s);
}
