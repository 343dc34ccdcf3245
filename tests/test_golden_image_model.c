/* tests/test_golden_image_model.c: the U-Net and the transformer for images against PyTorch.
 *
 * tests/golden_image_model.py has an independent U-Net and an independent DiT in PyTorch; it wrote
 * tests/data/golden-image-model/ from weights and batches that are repeated here: both come from an
 * integer hash. PyTorch computed in double precision, so what differs is our float rounding: about
 * 1e-6 of the norm of a tensor.
 */
#include <string.h>

#include "model/image_model.h"
#include "tests/golden.h"
#include "tests/hashed.h"
#include "tests/kernel_sets.h"

enum { B = 2, CLASSES = 3, MAX_VALUES = 1024 };
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

typedef struct batch {
    float x[MAX_VALUES], target[MAX_VALUES];
    double time[B];
    int32_t label[B];
    int64_t in, out; /* numbers in all images */
} batch;

typedef struct fixture {
    const variant *variant;
    golden golden;
    md_image_model *model;
    md_params *params;
    batch batch;
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
    *f = (fixture){.variant = v};
    golden_init(&f->golden, "golden-image-model", v->name, kernel_set);
    assert_ok(md_image_model_new(&v->config, true, &f->model, &err));
    f->params = md_image_model_params(f->model);
    fill_weights(f->params);
}

static void fixture_release(fixture *f) {
    md_image_model_free(f->model);
    golden_release(&f->golden);
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

/* --- a batch and its loss --------------------------------------------------------------------- */

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
    md_tape_begin(f->golden.tape, record, (md_rng){0});
    md_tensor *x = md_tape_tensor(f->golden.tape, 4, (int64_t[]){B, s.Y, s.X, s.C});
    memcpy(x->data, b->x, (size_t)b->in * sizeof *x->data);
    md_tensor *y = md_image_model_forward(f->model, f->golden.tape, x, &given, training);
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
    return md_known_loss(f->golden.tape, y, sum / (double)b->out, gradient);
}

/* --- the tests ------------------------------------------------------------------------------- */

static void check_forward(fixture *f) {
    const batch b = batch_of(f, 0);
    for (int record = 0; record < 2; record++)
        golden_close(&f->golden, "output", run(f, &b, record, NULL)->data, b.out, TOLERANCE);
}

START_TEST(the_output_is_that_of_pytorch) {
    with_every_set(check_forward);
}
END_TEST

static void check_denoiser(fixture *f) {
    mdlm_error err = {0};
    const batch b = batch_of(f, 0);
    float out[MAX_VALUES];
    md_image_view view = {.model = f->model, .tape = f->golden.tape};
    const md_image_denoiser d = md_image_model_denoiser(&view);
    assert_ok(d.predict(d.context,
                        &(md_image_query){.x = b.x, .time = b.time, .label = b.label, .B = B}, out,
                        &err));
    golden_close(&f->golden, "output", out, b.out, TOLERANCE);
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
    golden_close(&f->golden, "loss", loss->data, 1, TOLERANCE);
    assert_ok(md_tape_backward(f->golden.tape, loss, &err));
    for (int p = 0; p < md_params_count(f->params); p++) {
        const md_tensor *t = md_params_tensor(f->params, p);
        const char *name = md_params_name(f->params, p);
        double squares = 0, product = 0;
        for (int64_t i = 0; i < md_tensor_size(t); i++) {
            const double g = (double)t->grad[i];
            squares += g * g;
            product += g * unit(name_hash(name) ^ PROBE, (uint32_t)i);
        }
        const cJSON *list = golden_list(&f->golden, name, 2);
        const double expected[] = {cJSON_GetArrayItem(list, 0)->valuedouble,
                                   cJSON_GetArrayItem(list, 1)->valuedouble};
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

static md_tensor *loss_of_step(void *context, uint32_t step) {
    fixture *f = context;
    f->batch = batch_of(f, step);
    return loss_of(f, &f->batch, NULL);
}

static void check_curve(fixture *f) {
    golden_curve(&f->golden, f->params, loss_of_step, f, CURVE_TOLERANCE);
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
