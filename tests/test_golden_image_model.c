/* tests/test_golden_image_model.c: the U-Net and the transformer for images against PyTorch.
 *
 * tests/golden_image_model.py has an independent U-Net and an independent DiT in PyTorch; it wrote
 * tests/data/golden-image-model/ from weights and batches that are repeated here: both come from an
 * integer hash. PyTorch computed in double precision, so what differs is our float rounding: about
 * 1e-6 of the norm of a tensor.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/image_model.h"
#include "tensor/optim.h"
#include "tests/hashed.h"
#include "tests/kernel_sets.h"

enum { B = 2, CLASSES = 3, STEPS = 10, MAX_VALUES = 1024 };
enum { IMAGES = 1000, TARGETS = 2000, PROBE = 0x5EED }; /* streams of the hash */

/* Rounding through a dozen layers with norms between them; a wrong formula is off by 1e-2. */
static const double TOLERANCE = 3e-5;
/* Adam divides by the gradient's own size, so rounding of the smallest elements grows with time. */
static const double CURVE_TOLERANCE = 5e-4;

typedef struct variant {
    const char *name;
    md_image_config config;
} variant;

static const variant variants[] = {
    {"unet",
     {.backbone = MD_BACKBONE_UNET,
      .shape = {.Y = 7, .X = 6, .C = 2},
      .learned_variance = true,
      .classes = CLASSES,
      .base = 16,
      .mults = {2, {1, 2}},
      .res_blocks = 1,
      .attn = {1, {4}}}},
    {"dit",
     {.backbone = MD_BACKBONE_DIT,
      .shape = {.Y = 4, .X = 6, .C = 1},
      .classes = CLASSES,
      .patch = 2,
      .layers = 2,
      .dim = 16,
      .heads = 2,
      .ff = 12}},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

/* --- a network with a set of kernels, and the numbers that PyTorch found ---------------------- */

typedef struct fixture {
    const variant *variant;
    const char *kernel_set;
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_image_model *model;
    md_params *params;
    cJSON *golden;
} fixture;

static void fill_weights(md_params *params) {
    for (int p = 0; p < md_params_count(params); p++) {
        md_tensor *t = md_params_tensor(params, p);
        const char *name = md_params_name(params, p);
        const int64_t size = md_tensor_size(t);
        const double scale = 2 / sqrt((double)(size / t->dim[0]));
        const bool gain = strstr(name, "norm") && strstr(name, ".weight");
        for (int64_t i = 0; i < size; i++) {
            double u = unit(name_hash(name), (uint32_t)i);
            t->data[i] = (md_real)(t->rank > 1 ? u * scale : u * 0.5 + gain);
        }
    }
}

static void fixture_init(fixture *f, const variant *v, const char *kernel_set) {
    mdlm_error err;
    *f = (fixture){.variant = v, .kernel_set = kernel_set};
    assert_ok(md_kernels_init(&f->kernels, kernel_set, &err));
    f->pool = md_pool_new(2, &err);
    f->tape = md_tape_new(f->pool, &f->kernels, &err);
    ck_assert(f->pool && f->tape);
    assert_ok(md_image_model_new(&v->config, true, &f->model, &err));
    f->params = md_image_model_params(f->model);
    fill_weights(f->params);
    char path[256];
    snprintf(path, sizeof path, TEST_DATA "/golden-image-model/%s.json", v->name);
    assert_ok(md_json_load(path, 1 << 20, &f->golden, &err));
}

static void fixture_release(fixture *f) {
    cJSON_Delete(f->golden);
    md_image_model_free(f->model);
    md_tape_free(f->tape);
    md_pool_free(f->pool);
}

/* Calls `check` on every variant with every set of kernels that runs here. */
static void with_every_set(void (*check)(fixture *f)) {
    md_kernels kernels;
    for (int set = 0; next_kernels(&set, "f32", &kernels);) {
        for (int i = 0; i < VARIANTS; i++) {
            fixture f;
            fixture_init(&f, &variants[i], kernels.name);
            check(&f);
            fixture_release(&f);
        }
    }
}

/* The numbers of a key, as many as are expected. */
static const double *golden(const fixture *f, const char *key, int64_t count) {
    static double values[MAX_VALUES];
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(f->golden, key), *item;
    ck_assert_msg(cJSON_IsArray(list) && cJSON_GetArraySize(list) == count && count <= MAX_VALUES,
                  "%s: '%s' has %d numbers, expected %lld", f->variant->name, key,
                  cJSON_GetArraySize(list), (long long)count);
    int i = 0;
    cJSON_ArrayForEach(item, list) values[i++] = item->valuedouble;
    return values;
}

/* The norm of the difference over the norm of what PyTorch found. */
static void check_close(const fixture *f, const char *key, const md_real *found, int64_t count,
                        double tolerance) {
    const double *expected = golden(f, key, count);
    double difference = 0, total = 0;
    for (int64_t i = 0; i < count; i++) {
        const double d = (double)found[i] - expected[i];
        difference += d * d;
        total += expected[i] * expected[i];
    }
    const double error = sqrt(difference / total);
    ck_assert_msg(error < tolerance, "%s, '%s' kernels: '%s' is off by %g of its norm",
                  f->variant->name, f->kernel_set, key, error);
}

/* --- a batch and its loss --------------------------------------------------------------------- */

typedef struct batch {
    float x[MAX_VALUES], target[MAX_VALUES];
    double time[B];
    int32_t label[B];
    int64_t in, out; /* numbers in all images */
} batch;

static batch batch_of(const fixture *f, uint32_t step) {
    const md_image_config *c = &f->variant->config;
    const int64_t pixels = (int64_t)B * c->shape.Y * c->shape.X;
    batch b = {.time = {37 * step % 1000, 811 * (step + 1) % 1000},
               .label = {-1, (int32_t)(step % CLASSES)},
               .in = pixels * c->shape.C,
               .out = pixels * md_image_config_outputs(c)};
    for (int64_t i = 0; i < b.in; i++) b.x[i] = (float)(2 * unit(IMAGES + step, (uint32_t)i));
    for (int64_t i = 0; i < b.out; i++)
        b.target[i] = (float)(2 * unit(TARGETS + step, (uint32_t)i));
    return b;
}

static md_tensor *run(fixture *f, const batch *b, bool record, const md_image_training *training) {
    const md_image_shape s = f->variant->config.shape;
    const md_image_condition given = {.B = B, .time = b->time, .label = b->label};
    md_tape_begin(f->tape, record, (md_rng){0});
    md_tensor *x = md_tape_tensor(f->tape, 4, (int64_t[]){B, s.Y, s.X, s.C});
    memcpy(x->data, b->x, (size_t)b->in * sizeof *x->data);
    md_tensor *y = md_image_model_forward(f->model, f->tape, x, &given, training);
    ck_assert(y != NULL);
    ck_assert_int_eq(md_tensor_size(y), b->out);
    return y;
}

/* Mean squared error. */
static md_tensor *loss_of(fixture *f, const batch *b, const md_image_training *training) {
    md_real gradient[MAX_VALUES];
    md_tensor *y = run(f, b, true, training);
    double sum = 0;
    for (int64_t i = 0; i < b->out; i++) {
        const double d = (double)y->data[i] - (double)b->target[i];
        sum += d * d;
        gradient[i] = (md_real)(2 * d / (double)b->out);
    }
    return md_known_loss(f->tape, y, sum / (double)b->out, gradient);
}

/* --- the tests ------------------------------------------------------------------------------- */

static void check_forward(fixture *f) {
    const batch b = batch_of(f, 0);
    for (int record = 0; record < 2; record++)
        check_close(f, "output", run(f, &b, record, NULL)->data, b.out, TOLERANCE);
}

START_TEST(the_output_is_that_of_pytorch) {
    with_every_set(check_forward);
}
END_TEST

static void check_denoiser(fixture *f) {
    mdlm_error err = {0};
    const batch b = batch_of(f, 0);
    float out[MAX_VALUES];
    md_image_view view = {.model = f->model, .tape = f->tape};
    const md_image_denoiser d = md_image_model_denoiser(&view);
    assert_ok(d.predict(d.context, b.x, b.time, b.label, B, out, &err));
    check_close(f, "output", out, b.out, TOLERANCE);
}

START_TEST(the_denoiser_gives_the_output_of_pytorch) {
    with_every_set(check_denoiser);
}
END_TEST

/* Of each gradient its norm, and its product with a vector. */
static void check_gradients_with(fixture *f, const md_image_training *training) {
    mdlm_error err = {0};
    const batch b = batch_of(f, 0);
    md_tensor *loss = loss_of(f, &b, training);
    check_close(f, "loss", loss->data, 1, TOLERANCE);
    assert_ok(md_tape_backward(f->tape, loss, &err));
    for (int p = 0; p < md_params_count(f->params); p++) {
        const md_tensor *t = md_params_tensor(f->params, p);
        const char *name = md_params_name(f->params, p);
        double squares = 0, product = 0;
        for (int64_t i = 0; i < md_tensor_size(t); i++) {
            const double g = (double)t->grad[i];
            squares += g * g;
            product += g * unit(name_hash(name) ^ PROBE, (uint32_t)i);
        }
        const double *expected = golden(f, name, 2);
        const double room = TOLERANCE * expected[0];
        ck_assert_msg(expected[0] > 1e-6, "%s: '%s' does not matter", f->variant->name, name);
        ck_assert_msg(fabs(sqrt(squares) - expected[0]) < room, "%s, '%s': norm %g, expected %g",
                      f->variant->name, name, sqrt(squares), expected[0]);
        ck_assert_msg(fabs(product - expected[1]) < room, "%s, '%s': product %g, expected %g",
                      f->variant->name, name, product, expected[1]);
    }
}

static void check_gradients(fixture *f) {
    check_gradients_with(f, NULL);
}

START_TEST(loss_and_all_gradients_are_those_of_pytorch) {
    with_every_set(check_gradients);
}
END_TEST

static void check_checkpoints(fixture *f) {
    check_gradients_with(f, &(md_image_training){.checkpoint = true});
}

START_TEST(so_they_are_where_blocks_run_again) {
    with_every_set(check_checkpoints);
}
END_TEST

static void check_curve(fixture *f) {
    mdlm_error err = {0};
    md_optimizer_options options = md_optimizer_defaults();
    md_optimizer *optimizer = md_optimizer_new(f->params, &f->kernels, &options, &err);
    md_real curve[STEPS], norm[STEPS];
    ck_assert(optimizer != NULL);
    for (uint32_t step = 0; step < STEPS; step++) {
        const batch b = batch_of(f, step);
        md_optimizer_info info;
        md_tensor *loss = loss_of(f, &b, NULL);
        assert_ok(md_tape_backward(f->tape, loss, &err));
        curve[step] = *loss->data;
        assert_ok(md_optimizer_step(optimizer, 0.01, f->pool, &info, &err));
        norm[step] = (md_real)info.grad_norm;
    }
    check_close(f, "loss_curve", curve, STEPS, CURVE_TOLERANCE);
    check_close(f, "norm_curve", norm, STEPS, CURVE_TOLERANCE);
    md_optimizer_free(optimizer);
}

/* Norms lie above and below 1, so that some steps are clipped and some are not. */
START_TEST(ten_steps_of_adamw_follow_pytorch) {
    with_every_set(check_curve);
}
END_TEST

/* Dimension 8, t = 10: values that others publish for guided-diffusion's order. */
START_TEST(the_time_embedding_has_the_known_values) {
    static const double expected[8] = {-0.839072, 0.540302, 0.995004, 0.999950,
                                       -0.544021, 0.841471, 0.099833, 0.010000};
    md_real found[8];
    md_time_sinusoids(10, 8, found);
    for (int i = 0; i < 8; i++) ck_assert_double_eq_tol((double)found[i], expected[i], 5e-7);
}
END_TEST

int main(void) {
    Suite *s = suite_create("networks for images against PyTorch");
    suite_case(s, the_output_is_that_of_pytorch);
    suite_case(s, the_denoiser_gives_the_output_of_pytorch);
    suite_case(s, loss_and_all_gradients_are_those_of_pytorch);
    suite_case(s, so_they_are_where_blocks_run_again);
    suite_case(s, ten_steps_of_adamw_follow_pytorch);
    suite_case(s, the_time_embedding_has_the_known_values);
    name_skipped_sets();
    return suite_run(s);
}
