/* tests/test_grad_image_model.c: the gradients of whole networks for images against central
 * differences, in double precision, on a few elements of every parameter. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/image_model.h"
#include "tests/suite.h"

enum { B = 2, ELEMENTS = 2 };

/* A central difference is off by h^2/6 f''' and by 1e-16 |f| / h: below 1e-8 at h = 3e-5, for a
 * loss near 10 whose gradients have norms from 0.1 to 10. */
static const double STEP = 3e-5, TOLERANCE = 2e-6;

typedef struct variant {
    const char *name;
    md_image_config config;
    md_image_training training;
} variant;

#define SMALL_UNET(y, x, c, attention) \
    .backbone = MD_BACKBONE_UNET, .shape = {y, x, c}, .base = 16, .res_blocks = 1, .attn = attention
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
    {"transformer", {SMALL_DIT, .shape = {4, 2, 3}, .classes = 2}, {0.1, false}},
    {"transformer, run again",
     {SMALL_DIT, .shape = {2, 4, 1}, .learned_variance = true},
     {0, true}},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

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

/* The output times fixed numbers, of a labelled image and one without label. */
static md_tensor *loss_of(fixture *f) {
    const md_image_config *c = &f->variant->config;
    const double time[B] = {3, 720};
    const int32_t label[B] = {c->classes - 1, -1};
    const md_image_condition given = {.B = B, .time = time, .label = label};
    md_tape_begin(f->tape, true, (md_rng){.seed = 4, .stream = MD_STREAM_DROPOUT});
    md_tensor *x = md_tape_tensor(f->tape, 4, (int64_t[]){B, c->shape.Y, c->shape.X, c->shape.C});
    for (int64_t i = 0; i < md_tensor_size(x); i++) x->data[i] = draw(0, i);
    md_tensor *y = md_image_model_forward(f->model, f->tape, x, &given, &f->variant->training);
    ck_assert(y != NULL);
    md_real *probe = md_tape_alloc(f->tape, (size_t)md_tensor_size(y), sizeof *probe);
    for (int64_t i = 0; i < md_tensor_size(y); i++) probe[i] = draw(1, i);
    return md_dot_constant(f->tape, y, probe);
}

static double slope_at(fixture *f, md_real *x) {
    double old = *x, value[2];
    for (int side = 0; side < 2; side++) {
        *x = old + (side ? -STEP : STEP);
        value[side] = *loss_of(f)->data;
    }
    *x = old;
    return (value[0] - value[1]) / (2 * STEP);
}

START_TEST(every_parameter_has_the_gradient_of_the_loss) {
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, &variants[_i]);
    md_params *params = md_image_model_params(f.model);
    assert_ok(md_tape_backward(f.tape, loss_of(&f), &err));
    md_params_freeze(params, true); /* the loss is evaluated from now on, not differentiated */
    for (int i = 0; i < md_params_count(params); i++) {
        const md_tensor *t = md_params_tensor(params, i);
        const int64_t size = md_tensor_size(t);
        const md_real *grad = md_params_grads(params) + (t->data - md_params_values(params));
        double difference = 0, total = 0;
        for (int k = 0; k < ELEMENTS && k < size; k++) {
            md_rng rng = {.seed = 6, .stream = MD_STREAM_ORDER, .step = (uint64_t)i};
            const int64_t at = (int64_t)md_permute(rng, (uint64_t)k, (uint64_t)size);
            const double slope = slope_at(&f, t->data + at), d = grad[at] - slope;
            difference += d * d;
            total += slope * slope;
        }
        ck_assert_msg(total > 1e-9, "%s: '%s' does not matter", f.variant->name,
                      md_params_name(params, i));
        ck_assert_msg(sqrt(difference / total) < TOLERANCE, "%s: '%s' is off by %g of its norm",
                      f.variant->name, md_params_name(params, i), sqrt(difference / total));
    }
    fixture_release(&f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gradients of networks for images");
    TCase *tc = tcase_create("differences");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_parameter_has_the_gradient_of_the_loss, 0, VARIANTS);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
