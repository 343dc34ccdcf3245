/* tests/test_image_classifier.c: an encoder as a classifier: how it begins, what its verdict is
 * made of, and that what it says of an image depends on nothing else. Gradients against differences
 * are in tests/test_grad_image_model.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/image_net.h"
#include "tests/kernel_sets.h"

static const md_image_config encoder = {.backbone = MD_BACKBONE_ENCODER,
                                        .shape = {.Y = 11, .X = 10, .C = 3},
                                        .classes = 4,
                                        .noisy = true,
                                        .base = 16,
                                        .mults = {2, {1, 2}},
                                        .res_blocks = 1,
                                        .attn = {1, {6}}};
enum { CLASSES = 4, FEATURES = 32, SIZE = 11 * 10 * 3, B = 5, MOST = 64 };

typedef struct verdict {
    float log_p[MOST * CLASSES], features[MOST * FEATURES], gradient[MOST * SIZE];
} verdict;

/* Of images first .. first + count - 1, which differ in pixels, times and labels. */
static void classify(image_net *n, int first, int count, verdict *v) {
    mdlm_error err = {0};
    static float x[MOST * SIZE];
    double time[MOST];
    int32_t label[MOST];
    const md_rng rng = {.seed = 9, .stream = MD_STREAM_NOISE};
    for (int b = 0; b < count; b++) {
        md_normal_fill(rng, (uint32_t)(first + b), 0, SIZE, x + (ptrdiff_t)b * SIZE);
        time[b] = 13.0 * (first + b);
        label[b] = (first + b) % (CLASSES + 1) - 1;
    }
    const md_image_query q = {.x = x, .time = time, .label = label, .B = count};
    const md_image_verdict out = {v->log_p, v->features, v->gradient};
    assert_ok(n->classifier.classify(n->classifier.context, &q, &out, &err));
}

/* --- what it says ----------------------------------------------------------------------------- */

/* But for what its head makes of untrained features: within a tenth or so of indifference. */
START_TEST(a_classifier_begins_with_hardly_an_opinion) {
    image_net n;
    static verdict v;
    image_net_init(&n, &encoder, NULL, 1);
    md_image_model_init(n.model, 3);
    classify(&n, 0, B, &v);
    for (int i = 0; i < B * CLASSES; i++)
        ck_assert_float_eq_tol(v.log_p[i], (float)-log(CLASSES), 0.5f);
    image_net_release(&n);
}
END_TEST

START_TEST(probabilities_are_the_softmax_of_the_head_on_the_features) {
    image_net n;
    static verdict v;
    image_net_init(&n, &encoder, "ref", 1);
    classify(&n, 0, B, &v);
    const md_tensor *head = md_image_model_head(n.model);
    ck_assert_int_eq(n.classifier.features, FEATURES);
    ck_assert_int_eq(head->dim[0], CLASSES);
    for (int b = 0; b < B; b++) {
        double logit[CLASSES], sum = 0;
        for (int c = 0; c < CLASSES; c++) {
            logit[c] = 0;
            for (int i = 0; i < FEATURES; i++)
                logit[c] +=
                    (double)head->data[c * FEATURES + i] * (double)v.features[b * FEATURES + i];
            sum += exp(logit[c]);
        }
        for (int c = 0; c < CLASSES; c++) /* sums of 32 products in single precision */
            ck_assert_double_eq_tol((double)v.log_p[b * CLASSES + c], logit[c] - log(sum), 1e-5);
    }
    image_net_release(&n);
}
END_TEST

/* Where SiLU of them would be 0, and with it every gradient. */
START_TEST(an_encoder_lives_with_channels_that_are_far_below_zero) {
    image_net n;
    static verdict v;
    image_net_init(&n, &encoder, NULL, 1);
    md_params *params = md_image_model_params(n.model);
    const int p = md_params_find(params, "mid_block.resnets.1.conv2.bias");
    ck_assert_int_ge(p, 0);
    md_tensor *bias = md_params_tensor(params, p);
    for (int64_t i = 0; i < md_tensor_size(bias); i++) bias->data[i] = -1000;
    classify(&n, 0, B, &v);
    for (int i = 0; i < B * FEATURES; i++) ck_assert_float_gt(fabsf(v.features[i]), 1e-3f);
    image_net_release(&n);
}
END_TEST

/* What is not wanted changes nothing of the rest. */
START_TEST(parts_of_a_verdict_can_be_left_out) {
    image_net n;
    mdlm_error err = {0};
    static verdict all;
    static float x[SIZE], log_p[CLASSES], features[FEATURES];
    const double time = 0;
    image_net_init(&n, &encoder, NULL, 1);
    classify(&n, 0, 1, &all);
    md_normal_fill((md_rng){.seed = 9, .stream = MD_STREAM_NOISE}, 0, 0, SIZE, x);
    const md_image_query q = {.x = x, .time = &time, .B = 1};
    const md_image_verdict one = {.log_p = log_p}, other = {.features = features};
    assert_ok(n.classifier.classify(n.classifier.context, &q, &one, &err));
    assert_ok(n.classifier.classify(n.classifier.context, &q, &other, &err));
    ck_assert(!memcmp(log_p, all.log_p, sizeof log_p));
    ck_assert(!memcmp(features, all.features, sizeof features));
    image_net_release(&n);
}
END_TEST

/* --- what that depends on --------------------------------------------------------------------- */

static void check_independence(const char *set) {
    image_net one, two;
    static verdict together, again, alone;
    image_net_init(&one, &encoder, set, 1);
    image_net_init(&two, &encoder, set, 3);
    classify(&one, 0, B, &together);
    classify(&two, 0, B, &again);
    ck_assert(!memcmp(together.log_p, again.log_p, B * CLASSES * sizeof(float)));
    ck_assert(!memcmp(together.features, again.features, B * FEATURES * sizeof(float)));
    ck_assert(!memcmp(together.gradient, again.gradient, B * SIZE * sizeof(float)));
    for (int b = 0; b < B; b++) {
        classify(&two, b, 1, &alone);
        const bool same =
            !memcmp(alone.log_p, together.log_p + b * CLASSES, CLASSES * sizeof(float)) &&
            !memcmp(alone.features, together.features + b * FEATURES, FEATURES * sizeof(float)) &&
            !memcmp(alone.gradient, together.gradient + b * SIZE, SIZE * sizeof(float));
        ck_assert_msg(same, "'%s' kernels: image %d has other bits in a batch", set, b);
    }
    image_net_release(&two);
    image_net_release(&one);
}

START_TEST(a_verdict_depends_on_no_other_image_and_on_no_thread) {
    md_kernels kernels;
    for (int set = 0; next_kernels(&set, "f32", &kernels);) check_independence(kernels.name);
}
END_TEST

/* More than go through the network at once, which is 14 of 32x32 and more. */
START_TEST(so_does_one_of_many) {
    md_image_config large = encoder;
    large.shape = (md_image_shape){32, 32, 1};
    large.attn.count = 0;
    image_net n;
    enum { MANY = 18, PIXELS = 1024 };
    mdlm_error err = {0};
    static float x[MANY * PIXELS], many[MANY * PIXELS], few[3 * PIXELS];
    double time[MANY];
    int32_t label[MANY];
    image_net_init(&n, &large, NULL, 2);
    for (int b = 0; b < MANY; b++) time[b] = b, label[b] = b % CLASSES;
    md_normal_fill((md_rng){.seed = 2, .stream = MD_STREAM_NOISE}, 0, 0, MANY * PIXELS, x);
    const md_image_query all = {.x = x, .time = time, .label = label, .B = MANY};
    const md_image_query last = {
        .x = x + 15 * PIXELS, .time = time + 15, .label = label + 15, .B = 3};
    assert_ok(n.classifier.classify(n.classifier.context, &all,
                                    &(md_image_verdict){.gradient = many}, &err));
    assert_ok(n.classifier.classify(n.classifier.context, &last,
                                    &(md_image_verdict){.gradient = few}, &err));
    ck_assert(!memcmp(few, many + 15 * PIXELS, sizeof few));
    image_net_release(&n);
}
END_TEST

/* A gradient is that of the probability of its own label, and leaves log_p as it is. */
START_TEST(an_image_of_no_class_has_no_gradient) {
    image_net n;
    static verdict v;
    image_net_init(&n, &encoder, NULL, 1);
    classify(&n, 0, B, &v); /* of which the first has label -1 */
    double none = 0, some = 0;
    for (int i = 0; i < SIZE; i++) none += fabs((double)v.gradient[i]);
    for (int i = SIZE; i < 2 * SIZE; i++) some += fabs((double)v.gradient[i]);
    ck_assert(none == 0);
    ck_assert(some > 0);
    image_net_release(&n);
}
END_TEST

START_TEST(time_matters_to_a_classifier_of_noisy_images_alone) {
    for (int noisy = 0; noisy < 2; noisy++) {
        md_image_config c = encoder;
        image_net n;
        mdlm_error err = {0};
        static float x[SIZE], a[CLASSES], b[CLASSES];
        const double time[2] = {10, 700};
        c.noisy = noisy;
        image_net_init(&n, &c, NULL, 1);
        ck_assert(n.classifier.noisy == c.noisy);
        ck_assert((md_params_find(md_image_model_params(n.model), "time_embedding.linear_1.bias") >=
                   0) == c.noisy);
        md_normal_fill((md_rng){.seed = 2, .stream = MD_STREAM_NOISE}, 0, 0, SIZE, x);
        md_image_query q = {.x = x, .time = noisy ? time : NULL, .B = 1};
        assert_ok(
            n.classifier.classify(n.classifier.context, &q, &(md_image_verdict){.log_p = a}, &err));
        q.time = time + 1;
        assert_ok(
            n.classifier.classify(n.classifier.context, &q, &(md_image_verdict){.log_p = b}, &err));
        ck_assert((memcmp(a, b, sizeof a) == 0) == !noisy);
        image_net_release(&n);
    }
}
END_TEST

START_TEST(a_label_that_is_no_class_is_refused) {
    image_net n;
    mdlm_error err = {0};
    static float x[2 * SIZE], gradient[2 * SIZE];
    const double time[2] = {1, 1};
    const int32_t label[2] = {0, CLASSES};
    image_net_init(&n, &encoder, NULL, 1);
    const md_image_query q = {.x = x, .time = time, .label = label, .B = 2};
    assert_fails(n.classifier.classify(n.classifier.context, &q,
                                       &(md_image_verdict){.gradient = gradient}, &err),
                 MDLM_USAGE, "class 4 is not one of this model: expected 0 to 3");
    image_net_release(&n);
}
END_TEST

/* By hand: 16 frequencies to 64 to 64; at 11x10 conv_in of 3 x 9 to 16 and a block of 2 x 16 x 9 x
 * 16 with 64 x 16 of time; at 6x5 a halving of 16 x 9 x 16, a block of 16 to 32 (9 x 16 x 32 + 9 x
 * 32 x 32 + 16 x 32, time 64 x 32) and, as in the middle, attention of 4 x 32 x 32 + 2 x 30 x 32 a
 * pixel; two blocks of 2 x 9 x 32 x 32 with 64 x 32 of time; the head. */
START_TEST(products_are_those_of_every_layer) {
    image_net n;
    image_net_init(&n, &encoder, NULL, 1);
    const double embedder = 16 * 64 + 64 * 64;
    const double high = 110 * (3 * 9 * 16 + 2 * 9 * 16 * 16) + 64 * 16;
    const double attention = 30 * (4 * 32 * 32 + 2 * 30 * 32);
    const double low =
        30 * (9 * 16 * 16 + 9 * 16 * 32 + 9 * 32 * 32 + 16 * 32) + 64 * 32 + attention;
    const double middle = 2 * (30 * 2 * 9 * 32 * 32 + 64 * 32) + attention;
    ck_assert_double_eq(md_image_model_products(n.model),
                        embedder + high + low + middle + 32 * CLASSES);
    image_net_release(&n);
}
END_TEST

int main(void) {
    Suite *s = suite_create("classifiers of images");
    suite_case(s, a_classifier_begins_with_hardly_an_opinion);
    suite_case(s, probabilities_are_the_softmax_of_the_head_on_the_features);
    suite_case(s, an_encoder_lives_with_channels_that_are_far_below_zero);
    suite_case(s, parts_of_a_verdict_can_be_left_out);
    suite_case(s, a_verdict_depends_on_no_other_image_and_on_no_thread);
    suite_case(s, so_does_one_of_many);
    suite_case(s, an_image_of_no_class_has_no_gradient);
    suite_case(s, time_matters_to_a_classifier_of_noisy_images_alone);
    suite_case(s, a_label_that_is_no_class_is_refused);
    suite_case(s, products_are_those_of_every_layer);
    name_skipped_sets();
    return suite_run(s);
}
