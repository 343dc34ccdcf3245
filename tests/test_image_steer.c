/* tests/test_image_steer.c: guidance by a classifier moves predictions as its formula says: with
 * Gaussian images, to the law of a class. */
#include "sampler/image_guide.h"
#include "sampler/image_steer.h"
#include "tests/image_law.h"

enum { B = 4, SIZE = 4 * 3 * 2 };
static const md_image_shape shape = {4, 3, 2};
static const int32_t label[B] = {2, -1, 0, 3};

/* Says ln of the ratio of the densities of x_t with a class and without one: numbers are N(mean,
 * sd^2) and N(0, sd^2), so its gradient is signal mean / (signal^2 sd^2 + noise^2). */
typedef struct ratio_classifier {
    const law_model *model;
    md_image_shape shape;
    int calls, fail_at;
} ratio_classifier;

static mdlm_status classify(void *context, const md_image_query *q, const md_image_verdict *out,
                            mdlm_error *err) {
    ratio_classifier *r = context;
    const md_gaussian *p = r->model->process;
    const int size = r->shape.Y * r->shape.X * r->shape.C;
    ck_assert(out->gradient && !out->log_p && !out->features);
    if (++r->calls == r->fail_at) return md_fail(err, MDLM_RUNTIME, "the classifier is gone");
    for (int b = 0; b < q->B; b++) {
        const md_level at = law_level(p, q->time[b]);
        const double variance = pow(at.signal * r->model->sd, 2) + at.noise * at.noise; /* of x_t */
        const double by_noisy = at.signal * law_mean(q->label[b]) / variance;
        for (int i = 0; i < size; i++) /* by what the network is shown */
            out->gradient[b * size + i] =
                q->label[b] < 0 ? 0 : (float)(by_noisy / md_gaussian_input(p, at));
    }
    return MDLM_OK;
}

typedef struct setting {
    md_gaussian p;
    law_model model;
    ratio_classifier ratio;
    md_image_denoiser inner; /* knows no classes */
    md_image_classifier classifier;
    float x[B * SIZE]; /* as the network is shown it */
    double time[B];
} setting;

static void start(setting *s, md_gaussian_options opt, int outputs) {
    *s = (setting){.p = gaussian_of(opt)};
    s->model = (law_model){.process = &s->p, .shape = shape, .outputs = outputs, .sd = 0.3};
    s->ratio = (ratio_classifier){.model = &s->model, .shape = shape};
    s->inner = law_denoiser(&s->model);
    s->inner.classes = 0;
    s->classifier = (md_image_classifier){.context = &s->ratio,
                                          .shape = shape,
                                          .classes = LAW_CLASSES,
                                          .features = 1,
                                          .noisy = true,
                                          .classify = classify};
    for (int b = 0; b < B; b++)
        s->time[b] = md_gaussian_level(&s->p, (b + 1) * (s->p.T / B) - 2).time;
    for (int i = 0; i < B * SIZE; i++) s->x[i] = (float)sin(i);
}

static md_image_query query_of(const setting *s, const int32_t *labels) {
    return (md_image_query){.x = s->x, .time = s->time, .label = labels, .B = B};
}

/* Every process and every prediction it allows. */
static md_gaussian_options kind(int n) {
    static const md_gaussian_options all[] = {
        {.timesteps = 100, .prediction = MD_PREDICTS_NOISE},
        {.timesteps = 100, .prediction = MD_PREDICTS_IMAGE, .schedule = MD_BETA_COSINE},
        {.timesteps = 100, .prediction = MD_PREDICTS_VELOCITY},
        {.timesteps = 100, .prediction = MD_PREDICTS_SCORE},
        {.process = MD_PROCESS_VE, .timesteps = 60, .prediction = MD_PREDICTS_NOISE},
        {.process = MD_PROCESS_VE, .timesteps = 60, .prediction = MD_PREDICTS_IMAGE},
        {.process = MD_PROCESS_FLOW, .timesteps = 100, .prediction = MD_PREDICTS_VELOCITY},
        {.process = MD_PROCESS_FLOW, .timesteps = 100, .prediction = MD_PREDICTS_IMAGE}};
    return all[n];
}
enum { KINDS = 8 };

/* x0 + scale noise^2 / signal g is, of these densities, E[x0 | x] of images around scale * mean. */
START_TEST(a_steered_prediction_is_that_of_the_class) {
    static const double scales[] = {1, 2.5, -1, 0};
    for (int n = 0; n < KINDS; n++)
        for (int k = 0; k < 4; k++)
            for (int outputs = 2; outputs <= 4; outputs += 2) {
                setting s;
                md_image_steer steer;
                float out[B * 2 * SIZE];
                mdlm_error err;
                start(&s, kind(n), outputs);
                s.model.said = 0.7;
                assert_ok(
                    md_image_steer_init(&steer, &s.inner, &s.classifier, &s.p, scales[k], &err));
                md_image_denoiser steered = md_image_steer_denoiser(&steer);
                ck_assert_int_eq(steered.outputs, outputs);
                ck_assert_int_eq(steered.classes, LAW_CLASSES);
                const md_image_query q = query_of(&s, label);
                assert_ok(steered.predict(steered.context, &q, out, &err));
                ck_assert_int_eq(s.ratio.calls, scales[k] != 0);
                for (int i = 0; i < B * SIZE; i++) {
                    const md_level at = law_level(&s.p, s.time[i / SIZE]);
                    const double x = (double)s.x[i] / md_gaussian_input(&s.p, at);
                    const double mean = scales[k] * law_mean(label[i / SIZE]);
                    const double x0 = law_x0(&s.model, at, mean, x);
                    const md_reading read =
                        md_prediction_read(&s.p, at, s.p.opt.prediction, MD_PREDICTS_IMAGE);
                    const float *said = out + (i / 2 * outputs + i % 2);
                    const double got = read.x * x + read.out * (double)*said;
                    /* roundings of the prediction and of x, as they count in x0 */
                    const double size = 1 + fabs(read.x * x) + fabs(read.out * (double)*said);
                    ck_assert_msg(fabs(got - x0) < 1e-6 * size, "%d, scale %g: %g, not %g", n,
                                  scales[k], got, x0);
                    if (outputs == 4) ck_assert(said[2] == 0.7F);
                }
                md_image_steer_release(&steer);
                md_gaussian_release(&s.p);
            }
}
END_TEST

START_TEST(images_without_labels_are_not_steered) {
    setting s;
    md_image_steer steer;
    static const int32_t none[B] = {-1, -1, -1, -1};
    float out[B * SIZE], plain[B * SIZE];
    mdlm_error err;
    start(&s, kind(0), 2);
    assert_ok(md_image_steer_init(&steer, &s.inner, &s.classifier, &s.p, 3, &err));
    md_image_denoiser steered = md_image_steer_denoiser(&steer);
    md_image_query q = query_of(&s, NULL);
    assert_ok(s.inner.predict(s.inner.context, &q, plain, &err));
    assert_ok(steered.predict(steered.context, &q, out, &err));
    ck_assert_mem_eq(out, plain, sizeof out);
    q.label = none;
    assert_ok(steered.predict(steered.context, &q, out, &err));
    ck_assert_mem_eq(out, plain, sizeof out);
    ck_assert_int_eq(s.ratio.calls, 0);
    q.label = label; /* of which image 1 has none */
    assert_ok(steered.predict(steered.context, &q, out, &err));
    ck_assert_mem_eq(out + SIZE, plain + SIZE, SIZE * sizeof *out);
    ck_assert(memcmp(out, plain, SIZE * sizeof *out) != 0);
    md_image_steer_release(&steer);
    md_gaussian_release(&s.p);
}
END_TEST

START_TEST(noise_alone_is_not_steered) {
    setting s;
    md_image_steer steer;
    float out[B * SIZE], plain[B * SIZE];
    mdlm_error err;
    start(&s, (md_gaussian_options){.timesteps = 100, .zero_snr = true, .prediction = 2}, 2);
    for (int b = 0; b < B; b++) s.time[b] = 99;
    assert_ok(md_image_steer_init(&steer, &s.inner, &s.classifier, &s.p, 3, &err));
    md_image_denoiser steered = md_image_steer_denoiser(&steer);
    md_image_query q = query_of(&s, label);
    assert_ok(steered.predict(steered.context, &q, out, &err));
    q.label = NULL;
    assert_ok(s.inner.predict(s.inner.context, &q, plain, &err));
    ck_assert_mem_eq(out, plain, sizeof out);
    md_image_steer_release(&steer);
    md_gaussian_release(&s.p);
}
END_TEST

/* A network that knows the classes: mean from its label, and once more from the classifier. */
START_TEST(labels_and_a_classifier_guide_together) {
    setting s;
    md_image_steer steer;
    md_image_guide guide;
    float out[B * SIZE];
    mdlm_error err;
    for (int guided = 0; guided < 2; guided++) {
        start(&s, kind(0), 2);
        s.inner.classes = LAW_CLASSES;
        assert_ok(md_image_guide_init(&guide, &s.inner, guided ? 0 : 1, &err));
        const md_image_denoiser inner = md_image_guide_denoiser(&guide);
        assert_ok(md_image_steer_init(&steer, &inner, &s.classifier, &s.p, 1.5, &err));
        md_image_denoiser steered = md_image_steer_denoiser(&steer);
        const md_image_query q = query_of(&s, label);
        assert_ok(steered.predict(steered.context, &q, out, &err));
        for (int i = 0; i < B * SIZE; i++) {
            const md_level at = law_level(&s.p, s.time[i / SIZE]);
            const double mean = (guided ? 1.5 : 2.5) * law_mean(label[i / SIZE]);
            const double x0 = law_x0(&s.model, at, mean, (double)s.x[i]);
            const double eps = ((double)s.x[i] - at.signal * x0) / at.noise;
            /* eps of the levels near 0 is that much larger */
            ck_assert_double_eq_tol((double)out[i], eps, 2e-6 * (1 + 1 / at.noise));
        }
        md_image_steer_release(&steer);
        md_image_guide_release(&guide);
        md_gaussian_release(&s.p);
    }
}
END_TEST

/* Data N(0, sd^2) steered to a class of mean m: samples are N(scale * m, sd^2), by any rule. */
START_TEST(steered_samples_go_to_their_class_by_every_rule) {
    enum { N = 400, ALL = N * 16 };
    static const char *const rules[] = {"ddpm", "ddim", "dpm++", "heun"};
    static float x[ALL];
    static int32_t class[N];
    for (int r = 0; r < 4; r++)
        for (int scale = 0; scale <= 2; scale++) {
            setting s;
            md_image_steer steer;
            mdlm_error err;
            double mean = 0, square = 0;
            start(&s, (md_gaussian_options){.timesteps = 400}, 1);
            s.model.shape = s.ratio.shape = s.inner.shape = s.classifier.shape =
                (md_image_shape){4, 4, 1};
            for (int k = 0; k < N; k++) class[k] = 2; /* mean 1/2 */
            assert_ok(md_image_steer_init(&steer, &s.inner, &s.classifier, &s.p, scale, &err));
            md_image_denoiser steered = md_image_steer_denoiser(&steer);
            md_image_sampler_options opt =
                md_image_sampler_defaults(md_image_rule_find(rules[r]), &s.p);
            opt.clip.on = false;
            opt.steps = 100;
            const md_image_batch batch = {.x = x, .label = class, .samples = N};
            assert_ok(md_image_sampler_run(&steered, &s.p, &opt, &batch, NULL, &err));
            for (int i = 0; i < ALL; i++) mean += (double)x[i] / ALL;
            for (int i = 0; i < ALL; i++) square += pow((double)x[i] - mean, 2) / ALL;
            /* four standard errors, and 1% for a hundred steps instead of infinitely many */
            ck_assert_double_eq_tol(mean, scale * 0.5, 4 * 0.3 / sqrt(ALL) + 0.01 * scale);
            ck_assert_double_eq_tol(square / law_variance(&s.p, &opt, 0.09), 1,
                                    4 * sqrt(2.0 / ALL));
            md_image_steer_release(&steer);
            md_gaussian_release(&s.p);
        }
}
END_TEST

/* Through x0 the mean of DDPM's step moves by scale * beta / sqrt(alpha) * g. */
START_TEST(the_mean_of_a_ddpm_step_moves_by_its_variance_times_the_gradient) {
    md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 1000});
    for (int i = 1; i < 1000; i += 111) {
        const md_level t = md_gaussian_level(&p, i), s = md_gaussian_level(&p, i - 1);
        const md_transition back = md_gaussian_transition(&p, t, s);
        const double beta = 1 - pow(t.signal / s.signal, 2);
        const double moved = back.image * t.noise * t.noise / t.signal;
        ck_assert_double_eq_tol(moved, beta / sqrt(1 - beta), 1e-12);
        ck_assert_double_eq_tol(back.large, beta, 1e-12);
    }
    md_gaussian_release(&p);
}
END_TEST

START_TEST(classifiers_that_do_not_fit_are_refused) {
    setting s;
    md_image_steer steer = {0};
    mdlm_error err;
    start(&s, kind(0), 2);
#define REFUSED(scale, text) \
    assert_fails(md_image_steer_init(&steer, &s.inner, &s.classifier, &s.p, scale, &err), \
                 MDLM_USAGE, text)
    REFUSED((double)NAN, "--classifier-scale nan: expected a number");
    REFUSED((double)INFINITY, "expected a number");
    s.classifier.shape.X = 8;
    REFUSED(1, "the classifier is of images 8x4 of 2 channels: expected 3x4 of 2");
    s.classifier.shape = (md_image_shape){4, 3, 1};
    REFUSED(1, "3x4 of 1 channels: expected 3x4 of 2");
    s.classifier.shape = shape;
    s.inner.classes = 3;
    REFUSED(1, "the classifier knows 4 classes: expected 3");
    s.inner.classes = 4;
    s.classifier.noisy = false;
    REFUSED(1, "the classifier has learned from clean images");
#undef REFUSED
    s.classifier.noisy = true;
    assert_ok(md_image_steer_init(&steer, &s.inner, &s.classifier, &s.p, -2, &err));
    md_image_steer_release(&steer);
    md_gaussian_release(&s.p);
}
END_TEST

START_TEST(a_steer_fails_as_its_networks_do) {
    for (int n = 0; n < 2; n++) {
        setting s;
        md_image_steer steer;
        float out[B * SIZE];
        mdlm_error err;
        start(&s, kind(0), 2);
        if (n == 0) s.model.fail_at = 1;
        if (n == 1) s.ratio.fail_at = 1;
        assert_ok(md_image_steer_init(&steer, &s.inner, &s.classifier, &s.p, 1, &err));
        md_image_denoiser steered = md_image_steer_denoiser(&steer);
        const md_image_query q = query_of(&s, label);
        assert_fails(steered.predict(steered.context, &q, out, &err), MDLM_RUNTIME,
                     n == 0 ? "the network is gone" : "the classifier is gone");
        md_image_steer_release(&steer);
        md_gaussian_release(&s.p);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("image steer");
    suite_case(s, a_steered_prediction_is_that_of_the_class);
    suite_case(s, images_without_labels_are_not_steered);
    suite_case(s, noise_alone_is_not_steered);
    suite_case(s, labels_and_a_classifier_guide_together);
    suite_case(s, steered_samples_go_to_their_class_by_every_rule);
    suite_case(s, the_mean_of_a_ddpm_step_moves_by_its_variance_times_the_gradient);
    suite_case(s, classifiers_that_do_not_fit_are_refused);
    suite_case(s, a_steer_fails_as_its_networks_do);
    return suite_run(s);
}
