/* tests/test_grad_image_model.c: the gradients of whole networks for images against central
 * differences, in double precision, on a few elements of every parameter. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/image_model.h"
#include "tests/grad_params.h"

enum { B = 2 };

typedef struct variant {
    const char *name;
    md_image_config config;
    md_image_training training;
} variant;

#define SMALL_UNET(y, x, c, attention) \
    .backbone = MD_BACKBONE_UNET, .shape = {y, x, c}, .base = 16, .res_blocks = 1, .attn = attention
#define SMALL_ENCODER(y, x, c, attention) \
    .backbone = MD_BACKBONE_ENCODER, .shape = {y, x, c}, .base = 16, .res_blocks = 1, \
    .attn = attention, .classes = 3
#define SMALL_DIT \
    .backbone = MD_BACKBONE_DIT, .patch = 2, .layers = 2, .dim = 8, .heads = 2, .ff = 6

static const variant variants[] = {
    {"odd sizes, classes, learned variance",
     {SMALL_UNET(5, 3, 2, {0}), .mults = {2, {1, 2}}, .classes = 2, .learned_variance = true},
     {0, false}},
    {"three levels, attention, dropout",
     {SMALL_UNET(6, 6, 1, ((md_image_list){1, {3}})), .mults = {3, {1, 1, 1}}},
     {0.2, false}},
    {"one level, run again",
     {SMALL_UNET(4, 4, 3, {0}), .mults = {1, {2}}, .classes = 1},
     {0.1, true}},
    {"encoder",
     {SMALL_ENCODER(5, 4, 2, ((md_image_list){1, {3}})), .mults = {2, {1, 2}}, .noisy = true},
     {0.2, false}},
    {"encoder of clean images, run again",
     {SMALL_ENCODER(4, 4, 1, {0}), .mults = {2, {1, 1}}},
     {0, true}},
    {"transformer", {SMALL_DIT, .shape = {4, 2, 3}, .classes = 2}, {0.1, false}},
    {"transformer, run again",
     {SMALL_DIT, .shape = {2, 4, 1}, .learned_variance = true},
     {0, true}},
};
enum { VARIANTS = sizeof variants / sizeof *variants, ENCODERS = 3 /* the first of two */ };

typedef struct fixture {
    const variant *variant;
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_image_model *model;
} fixture;

static double draw(uint32_t what, int64_t i) {
    return 2 * md_uniform((md_rng){.seed = 3, .stream = MD_STREAM_ORDER}, what, (uint32_t)i) - 1;
}

static void fixture_init(fixture *f, const variant *v) {
    mdlm_error err;
    *f = (fixture){.variant = v};
    assert_ok(md_kernels_init(&f->kernels, NULL, &err));
    f->pool = md_pool_new(1, &err);
    f->tape = md_tape_new(f->pool, &f->kernels, &err);
    ck_assert(f->pool && f->tape);
    assert_ok(md_image_model_new(&v->config, true, &f->model, &err));
    /* None is zero, so that every path matters, and sums stay near 1. */
    md_params *params = md_image_model_params(f->model);
    for (int p = 0; p < md_params_count(params); p++) {
        md_tensor *t = md_params_tensor(params, p);
        const int64_t size = md_tensor_size(t);
        const double scale = 3 / sqrt((double)(size / t->dim[0]));
        for (int64_t i = 0; i < size; i++) {
            const double u = draw((uint32_t)p + 2, i);
            t->data[i] = t->rank > 1 ? scale * u : 0.6 + 0.5 * u;
        }
    }
}

static void fixture_release(fixture *f) {
    md_image_model_free(f->model);
    md_tape_free(f->tape);
    md_pool_free(f->pool);
}

/* The output, of an encoder the logits, times fixed numbers; of a labelled image and one without
 * label. */
static md_tensor *loss_of(void *context) {
    fixture *f = context;
    const md_image_config *c = &f->variant->config;
    const double time[B] = {3, 720};
    const int32_t label[B] = {c->classes - 1, -1};
    const md_image_condition given = {.B = B, .time = time, .label = label};
    md_tape_begin(f->tape, true, (md_rng){.seed = 4, .stream = MD_STREAM_DROPOUT});
    md_tensor *x = md_tape_tensor(f->tape, 4, (int64_t[]){B, c->shape.Y, c->shape.X, c->shape.C});
    for (int64_t i = 0; i < md_tensor_size(x); i++) x->data[i] = draw(0, i);
    md_tensor *y = md_image_model_forward(f->model, f->tape, x, &given, &f->variant->training);
    md_tensor *head = md_image_model_head(f->model);
    if (head) y = md_linear(f->tape, y, head, NULL);
    ck_assert(y != NULL);
    md_real *probe = md_tape_alloc(f->tape, (size_t)md_tensor_size(y), sizeof *probe);
    for (int64_t i = 0; i < md_tensor_size(y); i++) probe[i] = draw(1, i);
    return md_dot_constant(f->tape, y, probe);
}

START_TEST(every_parameter_has_the_gradient_of_the_loss) {
    fixture f;
    fixture_init(&f, &variants[_i]);
    check_param_gradients(&(param_gradients){.name = f.variant->name,
                                             .loss = loss_of,
                                             .context = &f,
                                             .tape = f.tape,
                                             .params = md_image_model_params(f.model),
                                             .elements = 4});
    fixture_release(&f);
}
END_TEST

/* --- by the image ----------------------------------------------------------------------------- */

/* ln p(label | image) of images [B, Y, X, C], added up, in double precision. */
static double log_likelihood(fixture *f, const double *image, const double *time,
                             const int32_t *label) {
    const md_image_shape s = f->variant->config.shape;
    const md_image_condition given = {.B = B, .time = time};
    const md_real weight[B] = {-1, -1};
    const md_cross_entropy_args args = {.target = label, .weight = weight, .banned = -1};
    md_tape_begin(f->tape, false, (md_rng){0});
    md_tensor *x = md_tape_tensor(f->tape, 4, (int64_t[]){B, s.Y, s.X, s.C});
    memcpy(x->data, image, (size_t)md_tensor_size(x) * sizeof *image);
    md_tensor *h = md_image_model_forward(f->model, f->tape, x, &given, NULL);
    const md_tensor *sum =
        md_linear_cross_entropy(f->tape, h, md_image_model_head(f->model), &args);
    ck_assert(sum != NULL);
    return *sum->data;
}

/* What guidance climbs. Central differences are off by 1e-9 or so; the classifier's answer is
 * rounded to single precision, 6e-8 of itself. The images are exact in single precision. */
START_TEST(a_classifier_climbs_the_probability_of_the_label) {
    fixture f;
    mdlm_error err = {0};
    enum { MOST = 128 };
    const double step = 1e-4, time[B] = {3, 720};
    const int32_t label[B] = {2, 0};
    double image[MOST], difference = 0, total = 0;
    float x[MOST], gradient[MOST];
    fixture_init(&f, &variants[_i]);
    md_params_freeze(md_image_model_params(f.model), true);
    const md_image_shape s = variants[_i].config.shape;
    const int size = B * s.Y * s.X * s.C;
    ck_assert_int_le(size, MOST);
    for (int i = 0; i < size; i++) image[i] = (double)(x[i] = (float)draw(0, i));
    md_image_view view = {f.model, f.tape};
    const md_image_classifier classifier = md_image_model_classifier(&view);
    const md_image_query q = {.x = x, .time = time, .label = label, .B = B};
    const md_image_verdict out = {.gradient = gradient};
    assert_ok(classifier.classify(classifier.context, &q, &out, &err));
    for (int i = 0; i < size; i++) {
        const double old = image[i];
        image[i] = old + step;
        const double more = log_likelihood(&f, image, time, label);
        image[i] = old - step;
        const double slope = (more - log_likelihood(&f, image, time, label)) / (2 * step);
        image[i] = old;
        difference += pow((double)gradient[i] - slope, 2);
        total += slope * slope;
    }
    ck_assert_double_gt(total, 1e-6);
    ck_assert_double_lt(sqrt(difference / total), 1e-6);
    fixture_release(&f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gradients of networks for images");
    TCase *tc = tcase_create("differences");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_parameter_has_the_gradient_of_the_loss, 0, VARIANTS);
    tcase_add_loop_test(tc, a_classifier_climbs_the_probability_of_the_label, ENCODERS,
                        ENCODERS + 2);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
