/* tests/test_golden_model.c: the transformer against PyTorch.
 *
 * tests/golden_model.py is an independent LLaDA in PyTorch; it wrote tests/data/golden-model/ from
 * weights and batches that are repeated here: both come from an integer hash. PyTorch computed in
 * double precision, so what differs is our float rounding: about 1e-6 of the norm of a tensor.
 */
#include "model/transformer.h"
#include "tensor/ops.h"
#include "tests/golden.h"
#include "tests/hashed.h"
#include "tests/kernel_sets.h"

enum { V = 11, MASK = 10, C = 16, LAYERS = 2, FF = 24, T = 9, B = 3, N = B * T };
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
    golden golden;
    md_transformer *net;
    md_params *params;
    batch batch;
} fixture;

static void fixture_init(fixture *f, const variant *v, const char *kernel_set) {
    mdlm_error err;
    *f = (fixture){.variant = v};
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
    golden_init(&f->golden, "golden-model", v->name, kernel_set);
    assert_ok(md_transformer_new(&config, true, &f->net, &err));
    f->params = md_transformer_params(f->net);
    for (int s = 0; s < md_params_count(f->params); s++) {
        md_tensor *t = md_params_tensor(f->params, s);
        for (int64_t i = 0; i < md_tensor_size(t); i++) {
            double u = unit((uint32_t)(WEIGHTS + s), (uint32_t)i);
            t->data[i] = (md_real)(t->rank == 1 ? 1 + 0.5 * u : u);
        }
    }
}

static void fixture_release(fixture *f) {
    md_transformer_free(f->net);
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

static md_tensor *loss_of(fixture *f, const batch *b, md_real *row_loss) {
    md_tape_begin(f->golden.tape, true, (md_rng){0});
    md_tensor *h = md_transformer_hidden(f->net, f->golden.tape, b->ids, B, T, NULL);
    md_cross_entropy_args args = {
        .target = b->target, .weight = b->weight, .banned = MASK, .row_loss = row_loss};
    return md_linear_cross_entropy(f->golden.tape,
                                   md_gather_rows(f->golden.tape, h, b->rows, b->count),
                                   md_transformer_head(f->net), &args);
}

/* --- the tests ------------------------------------------------------------------------------- */

static void check_forward(fixture *f) {
    batch b = batch_of(0);
    for (int record = 0; record < 2; record++) {
        md_tape_begin(f->golden.tape, record, (md_rng){0});
        md_tensor *h = md_transformer_hidden(f->net, f->golden.tape, b.ids, B, T, NULL);
        ck_assert(h != NULL);
        md_tensor *logits = md_linear(f->golden.tape, h, md_transformer_head(f->net), NULL);
        golden_close(&f->golden, "hidden", h->data, N * C, TOLERANCE);
        golden_close(&f->golden, "logits", logits->data, N * V, TOLERANCE);
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
    md_transformer_view view = {.net = f->net, .tape = f->golden.tape};
    md_denoiser d = md_transformer_denoiser(&view);
    for (int i = 0; i < N; i++) rows[i] = i;
    assert_ok(d.predict(d.context, b.ids, B, T, rows, N, logits, &err));
    golden_close(&f->golden, "logits", logits, N * V, TOLERANCE);
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
    assert_ok(md_tape_backward(f->golden.tape, loss, &err));
    golden_close(&f->golden, "row_loss", row_loss, b.count, TOLERANCE);
    golden_close(&f->golden, "loss", loss->data, 1, TOLERANCE);
    for (int i = 0; i < md_params_count(f->params); i++) {
        const md_tensor *t = md_params_tensor(f->params, i);
        golden_close(&f->golden, md_params_name(f->params, i), t->grad, md_tensor_size(t),
                     TOLERANCE);
    }
}

START_TEST(loss_and_all_gradients_are_those_of_pytorch) {
    with_every_set(check_gradients);
}
END_TEST

static md_tensor *loss_of_step(void *context, uint32_t step) {
    fixture *f = context;
    f->batch = batch_of(step);
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

static void check_sensitivity(fixture *f) {
    mdlm_error err = {0};
    batch b = batch_of(0);
    assert_ok(md_tape_backward(f->golden.tape, loss_of(f, &b, NULL), &err));
    const cJSON *item;
    int numbers = 0;
    for (int i = 0; i < md_params_count(f->params); i++) {
        const cJSON *list =
            cJSON_GetObjectItemCaseSensitive(f->golden.numbers, md_params_name(f->params, i));
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
