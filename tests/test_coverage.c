/* tests/test_coverage.c: precision, recall and coverage where they can be counted by hand, and what
 * a classifier says of images. */
#include "train/coverage.h"

#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "tests/failing_memory.h"
#include "tests/suite.h"
#include "train/image_judge.h"

static md_coverage measure(const float *real, int n, const float *samples, int m, int dim, int k) {
    mdlm_error err;
    md_coverage c;
    assert_ok(md_coverage_measure(&(md_features){real, n, dim}, &(md_features){samples, m, dim}, k,
                                  NULL, &c, &err));
    return c;
}

START_TEST(a_few_numbers_are_counted_by_hand) {
    /* balls of the real ones: 0 -+ 1, 1 -+ 1, 3 -+ 2, 8 -+ 5 */
    const float real[] = {0, 1, 3, 8};
    /* balls of the samples: 2 -+ 2, 4 -+ 2, 20 -+ 16 */
    const float samples[] = {2, 4, 20};
    const md_coverage c = measure(real, 4, samples, 3, 1, 1);
    ck_assert_double_eq_tol(c.precision, 2 / 3.0, 1e-15); /* all but 20 */
    ck_assert_double_eq_tol(c.recall, 1, 1e-15);          /* 0 at the edge */
    ck_assert_double_eq_tol(c.coverage, 3 / 4.0, 1e-15);  /* all but 0; 1 at the edge */
    /* with two neighbours: 0 -+ 3, 1 -+ 2, 3 -+ 3, 8 -+ 7; 2 -+ 18, 4 -+ 16, 20 -+ 18 */
    const md_coverage two = measure(real, 4, samples, 3, 1, 2);
    ck_assert_double_eq_tol(two.precision, 2 / 3.0, 1e-15);
    ck_assert_double_eq_tol(two.recall, 1, 1e-15);
    ck_assert_double_eq_tol(two.coverage, 1, 1e-15);
}
END_TEST

enum { N = 300, D = 19 }; /* D: not a multiple of what is summed at a time */

static void draw(uint64_t seed, double mean, float *x) {
    const md_rng rng = {.seed = seed, .stream = MD_STREAM_NOISE};
    md_normal_fill(rng, 0, 0, N * D, x);
    for (int i = 0; i < N * D; i++) x[i] += (float)mean;
}

START_TEST(equal_sets_cover_each_other_and_distant_ones_nothing) {
    float a[N * D], b[N * D];
    draw(1, 0, a);
    draw(2, 100, b);
    const md_coverage same = measure(a, N, a, N, D, 3), none = measure(a, N, b, N, D, 3);
    ck_assert(same.precision == 1 && same.recall == 1 && same.coverage == 1);
    ck_assert(none.precision == 0 && none.recall == 0 && none.coverage == 0);
}
END_TEST

START_TEST(samples_that_are_all_one_real_image_are_precise_and_cover_nothing_else) {
    float a[N * D], b[N * D];
    draw(1, 0, a);
    for (int i = 0; i < N; i++) memcpy(b + i * D, a + 7 * D, D * sizeof *b);
    const md_coverage c = measure(a, N, b, N, D, 5);
    ck_assert(c.precision == 1);
    ck_assert_double_eq_tol(c.recall, 1.0 / N, 1e-15);
    ck_assert_double_lt(c.coverage, 0.2);
}
END_TEST

START_TEST(a_few_distant_samples_raise_recall_and_not_coverage) {
    float a[N * D], b[N * D];
    draw(1, 0, a);
    draw(2, 100, b);
    for (int k = 0; k < D; k++) b[k] = -1000; /* its ball holds everything */
    const md_coverage c = measure(a, N, b, N, D, 5);
    ck_assert(c.precision == 0 && c.recall == 1 && c.coverage == 0);
}
END_TEST

START_TEST(sets_of_one_law_have_the_coverage_that_neighbours_allow) {
    mdlm_error err;
    float a[N * D], b[N * D];
    md_pool *pool = md_pool_new(3, &err);
    draw(1, 0, a);
    draw(2, 0, b);
    for (int k = 1; k <= 5; k += 2) {
        const md_coverage c = measure(a, N, b, N, D, k);
        const double expected = 1 - pow(0.5, k);
        /* three standard deviations, were the balls independent; they overlap */
        ck_assert_double_eq_tol(c.coverage, expected, 6 * sqrt(expected * (1 - expected) / N));
        md_coverage again;
        assert_ok(md_coverage_measure(&(md_features){a, N, D}, &(md_features){b, N, D}, k, pool,
                                      &again, &err));
        ck_assert(memcmp(&c, &again, sizeof c) == 0);
    }
    md_pool_free(pool);
}
END_TEST

START_TEST(a_set_needs_more_images_than_neighbours) {
    mdlm_error err;
    float a[N * D] = {0};
    md_coverage c;
    const md_features few = {a, 5, D}, many = {a, N, D};
    assert_fails(md_coverage_measure(&few, &many, 5, NULL, &c, &err), MDLM_INPUT,
                 "5 images: 5 neighbours need at least 6");
    assert_fails(md_coverage_measure(&many, &few, 5, NULL, &c, &err), MDLM_INPUT, "5 images");
}
END_TEST

START_TEST(every_failing_allocation_is_an_error) {
    mdlm_error err;
    float a[N * D] = {0};
    const md_features f = {a, N, D};
    int failed = 0;
    for (;; failed++) {
        md_coverage c;
        memory_left = failed;
        mdlm_status status = md_coverage_measure(&f, &f, 1, NULL, &c, &err);
        const bool reached = memory_left < 0;
        memory_left = -1;
        if (!reached) break;
        ck_assert_int_eq(status, MDLM_RUNTIME);
    }
    ck_assert_int_eq(failed, 6); /* three of each set */
}
END_TEST

/* --- a classifier ----------------------------------------------------------------------------- */

enum { CLASSES = 3, FEATURES = 2 };

/* Images of two pixels: the features are the pixels, and the class is how bright the first is. */
static mdlm_status classify(void *context, const md_image_query *q, const md_image_verdict *out,
                            mdlm_error *err) {
    (void)err;
    ++*(int *)context;
    ck_assert_int_le(q->B, 64);
    ck_assert_ptr_null(out->gradient);
    for (int i = 0; i < q->B; i++) {
        const float *x = q->x + 2 * i;
        const int shown = x[0] < -0.5F ? 0 : x[0] < 0.5F ? 1 : 2;
        for (int c = 0; out->log_p && c < CLASSES; c++)
            out->log_p[i * CLASSES + c] = c == shown ? -0.1F : -3;
        memcpy(out->features + i * FEATURES, x, sizeof *x * FEATURES);
    }
    return MDLM_OK;
}

static md_image_classifier table(int *calls) {
    return (md_image_classifier){.context = calls,
                                 .shape = {1, 2, 1},
                                 .classes = CLASSES,
                                 .features = FEATURES,
                                 .classify = classify};
}

START_TEST(a_classifier_says_which_images_show_their_class_and_gives_their_features) {
    enum { COUNT = 150 };
    mdlm_error err;
    int calls = 0;
    const md_image_classifier classifier = table(&calls);
    md_image_judge judge = {0};
    float x[2 * COUNT];
    int32_t label[COUNT];
    for (int i = 0; i < COUNT; i++) {
        x[2 * i] = (float)(i % 3 - 1); /* 0 lies between two bytes */
        x[2 * i + 1] = (float)i / COUNT;
        label[i] = i % 5 == 4 ? -1 : i % 2; /* right for i % 6 in 0, 1 */
    }
    assert_ok(md_image_judge_init(&judge, &classifier, COUNT + 1, &err));
    assert_ok(md_image_judge_add(&judge, x, label, 100, &err));
    assert_ok(md_image_judge_add(&judge, x + 200, label + 100, 50, &err));
    assert_ok(md_image_judge_add(&judge, x, NULL, 1, &err));
    ck_assert_int_eq(calls, 4);
    ck_assert_int_eq(judge.features.count, COUNT + 1);
    ck_assert_int_eq(judge.features.dim, FEATURES);
    int64_t right = 0, labelled = 0;
    for (int i = 0; i < COUNT; i++) {
        labelled += i % 5 != 4;
        right += i % 5 != 4 && i % 6 < 2;
        for (int k = 2 * i; k < 2 * i + 2; k++) { /* the nearest byte; they are 2/255 apart */
            const float byte = (judge.features.x[k] + 1) * 127.5F;
            ck_assert_float_eq_tol(byte, roundf(byte), 1e-4F);
            ck_assert_float_eq_tol(judge.features.x[k], x[k], 1 / 255.0F + 1e-6F);
        }
    }
    ck_assert_int_eq(judge.labelled, labelled);
    ck_assert_int_eq(judge.right, right);
    md_image_judge_release(&judge);
}
END_TEST

int main(void) {
    Suite *s = suite_create("coverage");
    suite_case(s, a_few_numbers_are_counted_by_hand);
    suite_case(s, equal_sets_cover_each_other_and_distant_ones_nothing);
    suite_case(s, samples_that_are_all_one_real_image_are_precise_and_cover_nothing_else);
    suite_case(s, a_few_distant_samples_raise_recall_and_not_coverage);
    suite_case(s, sets_of_one_law_have_the_coverage_that_neighbours_allow);
    suite_case(s, a_set_needs_more_images_than_neighbours);
    suite_case(s, every_failing_allocation_is_an_error);
    suite_case(s, a_classifier_says_which_images_show_their_class_and_gives_their_features);
    return suite_run(s);
}
