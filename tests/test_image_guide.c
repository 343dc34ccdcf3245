/* tests/test_image_guide.c: guidance of images is its formula, for whatever the network predicts.
 */
#include "sampler/image_guide.h"
#include "tests/image_law.h"

enum { B = 3, SIZE = 4 * 3 * 2 };
static const md_image_shape shape = {4, 3, 2};
static const int32_t label[B] = {2, -1, 0};

/* The first C numbers of a pixel are predictions, the others say the variance. */
static bool is_prediction(int i) {
    return i % 4 < 2;
}

/* A network whose variance depends on the label, too. */
static mdlm_status predict(void *context, const md_image_query *q, float *out, mdlm_error *err) {
    const int32_t *of = q->label;
    const int count = q->B;
    MD_TRY(law_predict(context, q, out, err));
    for (int i = 0; i < count * 2 * SIZE; i++)
        if (!is_prediction(i)) out[i] = (float)(i + 100 * (of ? of[i / (2 * SIZE)] : -1));
    return MDLM_OK;
}

typedef struct setting {
    md_gaussian p;
    law_model model;
    md_image_denoiser inner;
    float x[B * SIZE];
    double time[B];
    float with[B * 2 * SIZE], without[B * 2 * SIZE];
    md_image_guide guide; /* of guided_by */
} setting;

static mdlm_status ask(const setting *s, const md_image_denoiser *denoiser, const int32_t *labels,
                       float *out, mdlm_error *err) {
    const md_image_query q = {.x = s->x, .time = s->time, .label = labels, .B = B};
    return denoiser->predict(denoiser->context, &q, out, err);
}

static void start(setting *s, md_prediction_kind prediction) {
    mdlm_error err;
    *s = (setting){
        .p = gaussian_of((md_gaussian_options){.timesteps = 100, .prediction = prediction}),
        .time = {3, 50, 99}};
    s->model = (law_model){.process = &s->p, .shape = shape, .outputs = 4, .sd = 0.3, .bend = 0.2};
    s->inner = law_denoiser(&s->model);
    s->inner.predict = predict;
    for (int i = 0; i < B * SIZE; i++) s->x[i] = (float)sin(i);
    assert_ok(ask(s, &s->inner, label, s->with, &err));
    assert_ok(ask(s, &s->inner, NULL, s->without, &err));
    s->model.calls = 0;
}

static void stop(setting *s) {
    md_image_guide_release(&s->guide);
    md_gaussian_release(&s->p);
}

/* Once for a setting. */
static md_image_denoiser guided_by(setting *s, double scale) {
    mdlm_error err;
    assert_ok(md_image_guide_init(&s->guide, &s->inner, scale, &err));
    return md_image_guide_denoiser(&s->guide);
}

START_TEST(guidance_is_its_formula) {
    static const double scales[] = {0, 0.5, 2.5, -1, 1};
    mdlm_error err;
    for (int n = 0; n < 5; n++) {
        setting s;
        float out[B * 2 * SIZE];
        start(&s, MD_PREDICTS_NOISE);
        const md_image_denoiser guided = guided_by(&s, scales[n]);
        ck_assert_int_eq(guided.outputs, 4);
        assert_ok(ask(&s, &guided, label, out, &err));
        ck_assert_int_eq(s.model.calls, scales[n] == 1 ? 1 : 2);
        for (int i = 0; i < B * 2 * SIZE; i++) {
            double u = (double)s.without[i], c = (double)s.with[i];
            bool as_it_was = !is_prediction(i) || label[i / (2 * SIZE)] < 0 || scales[n] == 1;
            if (as_it_was) ck_assert(out[i] == s.with[i]);
            /* three roundings of numbers below 100 */
            else
                ck_assert_double_eq_tol((double)out[i], u + scales[n] * (c - u), 3e-5);
        }
        stop(&s);
    }
}
END_TEST

/* x0 read from the guided output. */
static void guided_images(md_prediction_kind prediction, double *x0) {
    setting s;
    float out[B * 2 * SIZE];
    mdlm_error err;
    start(&s, prediction);
    const md_image_denoiser guided = guided_by(&s, 3);
    assert_ok(ask(&s, &guided, label, out, &err));
    for (int i = 0; i < B * SIZE; i++) {
        md_level at = law_level(&s.p, s.time[i / SIZE]);
        md_reading read = md_prediction_read(&s.p, at, prediction, MD_PREDICTS_IMAGE);
        x0[i] = read.x * (double)s.x[i] + read.out * (double)out[i / 2 * 4 + i % 2];
    }
    stop(&s);
}

START_TEST(guidance_is_the_same_for_every_kind_of_prediction) {
    double image[B * SIZE], other[B * SIZE];
    guided_images(MD_PREDICTS_IMAGE, image);
    for (md_prediction_kind kind = MD_PREDICTS_NOISE; kind <= MD_PREDICTS_SCORE; kind++) {
        guided_images(kind, other);
        for (int i = 0; i < B * SIZE; i++) /* roundings of eps, times noise / signal = 150 */
            ck_assert_double_eq_tol(other[i], image[i], 1e-4);
    }
}
END_TEST

START_TEST(images_without_labels_are_not_guided) {
    setting s;
    float out[B * 2 * SIZE];
    mdlm_error err;
    start(&s, MD_PREDICTS_NOISE);
    const md_image_denoiser guided = guided_by(&s, 3);
    assert_ok(ask(&s, &guided, NULL, out, &err));
    ck_assert_int_eq(s.model.calls, 1);
    ck_assert_mem_eq(out, s.without, sizeof out);
    stop(&s);
}
END_TEST

/* Data N(m, sd^2) of a class, m = 0 without: at eta 0 and many steps, scale s samples N(s m, ..).
 */
START_TEST(guided_samples_go_past_their_class) {
    enum { N = 500 };
    const md_image_shape one = {4, 4, 1};
    static float x[N * 16];
    static int32_t class[N];
    for (int scale = 1; scale <= 3; scale++) {
        md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 200});
        law_model model = {.process = &p, .shape = one, .sd = 0.2};
        md_image_denoiser inner = law_denoiser(&model);
        md_image_guide guide;
        md_sampler_work work;
        mdlm_error err;
        double mean = 0;
        for (int k = 0; k < N; k++) class[k] = 2; /* mean 1/2 */
        assert_ok(md_image_guide_init(&guide, &inner, scale, &err));
        md_image_denoiser guided = md_image_guide_denoiser(&guide);
        md_image_sampler_options opt = md_image_sampler_defaults(&md_image_rule_dpm, &p);
        opt.clip.on = false;
        md_image_batch batch = {.x = x, .label = class, .samples = N};
        assert_ok(md_image_sampler_run(&guided, &p, &opt, &batch, &work, &err));
        for (int i = 0; i < N * 16; i++) mean += (double)x[i] / (N * 16);
        /* the first level is not quite noise alone, and 25 steps are not many: within 2% */
        ck_assert_double_eq_tol(mean, scale * 0.5, 0.02 * scale);
        ck_assert_int_eq(work.evaluations, opt.steps * N); /* a guided one counts as one */
        ck_assert_int_eq(model.images, scale == 1 ? opt.steps * N : 2 * opt.steps * N);
        md_image_guide_release(&guide);
        md_gaussian_release(&p);
    }
}
END_TEST

START_TEST(guidance_that_makes_no_sense_is_refused) {
    setting s;
    mdlm_error err;
    start(&s, MD_PREDICTS_NOISE);
    assert_fails(md_image_guide_init(&s.guide, &s.inner, (double)NAN, &err), MDLM_USAGE,
                 "--guidance-scale nan: expected a number");
    assert_fails(md_image_guide_init(&s.guide, &s.inner, (double)INFINITY, &err), MDLM_USAGE,
                 "expected a number");
    s.inner.classes = 0;
    assert_fails(md_image_guide_init(&s.guide, &s.inner, 2, &err), MDLM_USAGE,
                 "--guidance-scale 2: the model was trained without classes");
    assert_ok(md_image_guide_init(&s.guide, &s.inner, 1, &err));
    stop(&s);
}
END_TEST

START_TEST(a_guide_fails_as_its_network_does) {
    for (int call = 1; call <= 2; call++) {
        setting s;
        float out[B * 2 * SIZE];
        mdlm_error err;
        start(&s, MD_PREDICTS_NOISE);
        s.model.fail_at = call;
        const md_image_denoiser guided = guided_by(&s, 2);
        assert_fails(ask(&s, &guided, label, out, &err), MDLM_RUNTIME, "the network is gone");
        stop(&s);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("image guide");
    suite_case(s, guidance_is_its_formula);
    suite_case(s, guidance_is_the_same_for_every_kind_of_prediction);
    suite_case(s, images_without_labels_are_not_guided);
    suite_case(s, guided_samples_go_past_their_class);
    suite_case(s, guidance_that_makes_no_sense_is_refused);
    suite_case(s, a_guide_fails_as_its_network_does);
    return suite_run(s);
}
