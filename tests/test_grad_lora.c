/* tests/test_grad_lora.c: gradients of adapters beside a frozen network against central
 * differences, in double precision. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/lora.h"
#include "tensor/ops.h"
#include "tests/suite.h"

enum { B = 2, T = 7, V = 11, MASK = 10, RANK = 2, ELEMENTS = 10 };

/* As in test_grad_model.c. */
static const double STEP = 3e-5, TOLERANCE = 1e-6;

typedef struct variant {
    const char *name;
    double dropout;
    bool checkpoint;
} variant;

static const variant variants[] = {{"plain", 0, false}, {"dropout, checkpoints", 0.1, true}};
enum { VARIANTS = sizeof variants / sizeof *variants };

typedef struct fixture {
    const variant *variant;
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_transformer *net;
    md_lora *lora;
} fixture;

static void fill(md_params *params, uint64_t seed) {
    for (int64_t i = 0; i < md_params_size(params); i++) {
        double u = md_uniform((md_rng){.seed = seed, .stream = MD_STREAM_INIT}, 0, (uint32_t)i);
        md_params_values(params)[i] = 1.4 * u - 0.5;
    }
}

static void fixture_init(fixture *f, const variant *v) {
    mdlm_error err;
    const md_model_config config = {.layers = 2,
                                    .dim = 12,
                                    .heads = 6,
                                    .kv_heads = 2,
                                    .ff = 10,
                                    .vocab = V,
                                    .seq_len = T,
                                    .rope_theta = 100,
                                    .norm_eps = 1e-5,
                                    .mask_id = MASK};
    *f = (fixture){.variant = v};
    assert_ok(md_kernels_init(&f->kernels, NULL, &err));
    f->pool = md_pool_new(1, &err);
    f->tape = md_tape_new(f->pool, &f->kernels, &err);
    ck_assert(f->pool && f->tape);
    assert_ok(md_transformer_new(&config, false, &f->net, &err));
    assert_ok(md_lora_new(f->net, RANK, true, &f->lora, &err));
    fill(md_transformer_params(f->net), 2);
    fill(md_lora_params(f->lora), 3);
    md_transformer_set_lora(f->net, f->lora);
}

static void fixture_release(fixture *f) {
    md_lora_free(f->lora);
    md_transformer_free(f->net);
    md_tape_free(f->tape);
    md_pool_free(f->pool);
}

static md_tensor *loss_of(fixture *f, bool record) {
    static const int32_t ids[B * T] = {3, 10, 4, 1, 5, 10, 2, 6, 10, 3, 5, 8, 10, 7};
    static const int32_t rows[] = {1, 5, 8, 12}, target[] = {1, 9, 2, 9};
    static const double weight[] = {1, 2.5, 0.5, 4};
    const md_transformer_training training = {.dropout = f->variant->dropout,
                                              .checkpoint = f->variant->checkpoint};
    const md_cross_entropy_args args = {.target = target, .weight = weight, .banned = MASK};
    md_tape_begin(f->tape, record, (md_rng){.seed = 4, .stream = MD_STREAM_DROPOUT});
    md_tensor *h = md_transformer_hidden(f->net, f->tape, ids, B, T, &training);
    return md_linear_cross_entropy(f->tape, md_gather_rows(f->tape, h, rows, 4),
                                   md_transformer_head(f->net), &args);
}

static double slope_at(fixture *f, md_real *x) {
    double old = *x, value[2];
    for (int side = 0; side < 2; side++) {
        *x = old + (side ? -STEP : STEP);
        value[side] = *loss_of(f, true)->data; /* with its dropout */
    }
    *x = old;
    return (value[0] - value[1]) / (2 * STEP);
}

START_TEST(every_adapter_has_the_gradient_of_the_loss) {
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, &variants[_i]);
    md_params *params = md_lora_params(f.lora);
    ck_assert(md_params_grads(md_transformer_params(f.net)) == NULL);
    assert_ok(md_tape_backward(f.tape, loss_of(&f, true), &err));
    for (int i = 0; i < md_params_count(params); i++) {
        const md_tensor *t = md_params_tensor(params, i);
        int64_t size = md_tensor_size(t);
        const md_real *grad = md_params_grads(params) + (t->data - md_params_values(params));
        double difference = 0, total = 0;
        for (int k = 0; k < ELEMENTS && k < size; k++) {
            md_rng rng = {.seed = 6, .stream = MD_STREAM_ORDER, .step = (uint64_t)i};
            int64_t at = (int64_t)md_permute(rng, (uint64_t)k, (uint64_t)size);
            double slope = slope_at(&f, t->data + at), d = grad[at] - slope;
            difference += d * d;
            total += slope * slope;
        }
        const char *name = md_params_name(params, i);
        ck_assert_msg(total > 1e-6, "%s: '%s' does not matter", f.variant->name, name);
        ck_assert_msg(sqrt(difference / total) < TOLERANCE, "%s: '%s' is off by %g of its norm",
                      f.variant->name, name, sqrt(difference / total));
    }
    fixture_release(&f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gradients of adapters");
    TCase *tc = tcase_create("differences");
    tcase_add_loop_test(tc, every_adapter_has_the_gradient_of_the_loss, 0, VARIANTS);
    suite_add_tcase(s, tc);
    return suite_run(s);
}
