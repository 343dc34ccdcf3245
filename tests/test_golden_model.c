/* tests/test_golden_model.c: the transformer against PyTorch.
 *
 * tests/golden_model.py is an independent LLaDA in PyTorch; it wrote tests/data/golden-model/ from
 * weights and batches that are repeated here: both come from an integer hash. PyTorch computed in
 * double precision, so what differs is our float rounding: about 1e-6 of the norm of a tensor.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "model/transformer.h"
#include "tensor/ops.h"
#include "tensor/optim.h"
#include "tests/hashed.h"
#include "tests/kernel_sets.h"

enum { V = 11, MASK = 10, C = 16, LAYERS = 2, FF = 24, T = 9, B = 3, N = B * T, STEPS = 10 };
enum { WEIGHTS = 0, IDS = 1000, MASKED = 2000, ROW_WEIGHTS = 3000 }; /* streams of the hash */

static const double TOLERANCE = 1e-5; /* ten times what float rounding makes of two layers */
/* Adam divides by the gradient's own size, so rounding of the smallest elements grows with time. */
static const double CURVE_TOLERANCE = 1e-4;

typedef struct variant {
    const char *name;
    int heads, kv_heads;
    bool tied;
} variant;

static const variant variants[] = {{"grouped", 4, 2, false}, {"tied", 2, 2, true}};
enum { VARIANTS = sizeof variants / sizeof *variants };

typedef struct batch {
    int32_t ids[N], rows[N], target[N];
    md_real weight[N];
    int count; /* masked rows */
} batch;

static batch batch_of(uint32_t step) {
    batch b = {.count = 0};
    for (uint32_t i = 0; i < N; i++) {
        int32_t clean = (int32_t)(hash32(IDS + step, i) % MASK);
        bool masked = hash32(MASKED + step, i) % 5 < 3;
        b.ids[i] = masked ? MASK : clean;
        if (!masked) continue;
        b.rows[b.count] = (int32_t)i;
        b.target[b.count] = clean;
        b.weight[b.count++] = (md_real)(2 + hash32(ROW_WEIGHTS + step, i) % 8) / 128;
    }
    return b;
}

/* --- a network with a set of kernels, and the numbers that PyTorch found ---------------------- */

typedef struct fixture {
    const variant *variant;
    const char *kernel_set;
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_transformer *net;
    md_params *params;
    cJSON *golden;
} fixture;

static void fixture_init(fixture *f, const variant *v, const char *kernel_set) {
    mdlm_error err;
    *f = (fixture){.variant = v, .kernel_set = kernel_set};
    md_model_config config = {.layers = LAYERS,
                              .dim = C,
                              .heads = v->heads,
                              .kv_heads = v->kv_heads,
                              .ff = FF,
                              .vocab = V,
                              .seq_len = T,
                              .rope_theta = 10000,
                              .norm_eps = 1e-5,
                              .tied = v->tied,
                              .mask_id = MASK};
    assert_ok(md_kernels_init(&f->kernels, kernel_set, &err));
    f->pool = md_pool_new(2, &err);
    f->tape = md_tape_new(f->pool, &f->kernels, &err);
    ck_assert(f->pool && f->tape);
    assert_ok(md_transformer_new(&config, true, &f->net, &err));
    f->params = md_transformer_params(f->net);
    for (int s = 0; s < md_params_count(f->params); s++) {
        md_tensor *t = md_params_tensor(f->params, s);
        for (int64_t i = 0; i < md_tensor_size(t); i++) {
            double u = unit((uint32_t)(WEIGHTS + s), (uint32_t)i);
            t->data[i] = (md_real)(t->rank == 1 ? 1 + 0.5 * u : u);
        }
    }
    char path[256];
    snprintf(path, sizeof path, TEST_DATA "/golden-model/%s.json", v->name);
    assert_ok(md_json_load(path, 1 << 20, &f->golden, &err));
}

static void fixture_release(fixture *f) {
    cJSON_Delete(f->golden);
    md_transformer_free(f->net);
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

/* The norm of the difference over the norm of what PyTorch found. */
static void check_close(const fixture *f, const char *key, const md_real *found, int64_t count,
                        double tolerance) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(f->golden, key), *item;
    ck_assert_msg(cJSON_IsArray(list) && cJSON_GetArraySize(list) == count,
                  "%s: '%s' has %d numbers, expected %lld", f->variant->name, key,
                  cJSON_GetArraySize(list), (long long)count);
    double difference = 0, total = 0;
    int64_t i = 0;
    cJSON_ArrayForEach(item, list) {
        double expected = item->valuedouble, d = (double)found[i++] - expected;
        difference += d * d;
        total += expected * expected;
    }
    double error = sqrt(difference / total);
    ck_assert_msg(error < tolerance, "%s, '%s' kernels: '%s' is off by %g of its norm",
                  f->variant->name, f->kernel_set, key, error);
}

static md_tensor *loss_of(fixture *f, const batch *b, md_real *row_loss) {
    md_tape_begin(f->tape, true, (md_rng){0});
    md_tensor *h = md_transformer_hidden(f->net, f->tape, b->ids, B, T, NULL);
    md_cross_entropy_args args = {
        .target = b->target, .weight = b->weight, .banned = MASK, .row_loss = row_loss};
    return md_linear_cross_entropy(f->tape, md_gather_rows(f->tape, h, b->rows, b->count),
                                   md_transformer_head(f->net), &args);
}

/* --- the tests ------------------------------------------------------------------------------- */

static void check_forward(fixture *f) {
    batch b = batch_of(0);
    for (int record = 0; record < 2; record++) {
        md_tape_begin(f->tape, record, (md_rng){0});
        md_tensor *h = md_transformer_hidden(f->net, f->tape, b.ids, B, T, NULL);
        ck_assert(h != NULL);
        md_tensor *logits = md_linear(f->tape, h, md_transformer_head(f->net), NULL);
        check_close(f, "hidden", h->data, N * C, TOLERANCE);
        check_close(f, "logits", logits->data, N * V, TOLERANCE);
    }
}

START_TEST(hidden_states_and_logits_are_those_of_pytorch) {
    with_every_set(check_forward);
}
END_TEST

static void check_denoiser(fixture *f) {
    mdlm_error err = {0};
    batch b = batch_of(0);
    int32_t rows[N];
    float logits[N * V];
    md_transformer_view view = {.net = f->net, .tape = f->tape};
    md_denoiser d = md_transformer_denoiser(&view);
    for (int i = 0; i < N; i++) rows[i] = i;
    assert_ok(d.predict(d.context, b.ids, B, T, rows, N, logits, &err));
    check_close(f, "logits", logits, N * V, TOLERANCE);
}

START_TEST(the_denoiser_gives_the_logits_of_pytorch) {
    with_every_set(check_denoiser);
}
END_TEST

static void check_gradients(fixture *f) {
    mdlm_error err = {0};
    batch b = batch_of(0);
    md_real row_loss[N];
    md_tensor *loss = loss_of(f, &b, row_loss);
    assert_ok(md_tape_backward(f->tape, loss, &err));
    check_close(f, "row_loss", row_loss, b.count, TOLERANCE);
    check_close(f, "loss", loss->data, 1, TOLERANCE);
    for (int i = 0; i < md_params_count(f->params); i++) {
        const md_tensor *t = md_params_tensor(f->params, i);
        check_close(f, md_params_name(f->params, i), t->grad, md_tensor_size(t), TOLERANCE);
    }
}

START_TEST(loss_and_all_gradients_are_those_of_pytorch) {
    with_every_set(check_gradients);
}
END_TEST

static void check_curve(fixture *f) {
    mdlm_error err = {0};
    md_optimizer_options options = md_optimizer_defaults();
    md_optimizer *optimizer = md_optimizer_new(f->params, &f->kernels, &options, &err);
    md_real curve[STEPS], norm[STEPS];
    ck_assert(optimizer != NULL);
    for (uint32_t step = 0; step < STEPS; step++) {
        batch b = batch_of(step);
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

static void check_sensitivity(fixture *f) {
    mdlm_error err = {0};
    batch b = batch_of(0);
    assert_ok(md_tape_backward(f->tape, loss_of(f, &b, NULL), &err));
    const cJSON *item;
    int numbers = 0;
    for (int i = 0; i < md_params_count(f->params); i++) {
        const cJSON *list =
            cJSON_GetObjectItemCaseSensitive(f->golden, md_params_name(f->params, i));
        double total = 0;
        cJSON_ArrayForEach(item, list) {
            total += item->valuedouble * item->valuedouble;
            numbers++;
        }
        ck_assert_msg(sqrt(total) > 1e-3, "%s: the gradient of '%s' is next to nothing",
                      f->variant->name, md_params_name(f->params, i));
    }
    ck_assert_int_eq(numbers, md_params_size(f->params));
}

/* A comparison with zeros would prove nothing. */
START_TEST(every_golden_gradient_is_worth_comparing) {
    with_every_set(check_sensitivity);
}
END_TEST

int main(void) {
    Suite *s = suite_create("the transformer against PyTorch");
    suite_case(s, hidden_states_and_logits_are_those_of_pytorch);
    suite_case(s, the_denoiser_gives_the_logits_of_pytorch);
    suite_case(s, loss_and_all_gradients_are_those_of_pytorch);
    suite_case(s, ten_steps_of_adamw_follow_pytorch);
    suite_case(s, every_golden_gradient_is_worth_comparing);
    name_skipped_sets();
    return suite_run(s);
}
