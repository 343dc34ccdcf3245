/* tests/test_grad_lora.c: gradients of adapters beside a frozen network against central
 * differences, in double precision. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/lora.h"
#include "tensor/ops.h"
#include "tests/grad_params.h"

enum { B = 2, T = 7, V = 11, MASK = 10, RANK = 2 };

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

static md_tensor *loss_of(void *context) {
    fixture *f = context;
    static const int32_t ids[B * T] = {3, 10, 4, 1, 5, 10, 2, 6, 10, 3, 5, 8, 10, 7};
    static const int32_t rows[] = {1, 5, 8, 12}, target[] = {1, 9, 2, 9};
    static const double weight[] = {1, 2.5, 0.5, 4};
    const md_transformer_training training = {.dropout = f->variant->dropout,
                                              .checkpoint = f->variant->checkpoint};
    const md_cross_entropy_args args = {.target = target, .weight = weight, .banned = MASK};
    md_tape_begin(f->tape, true, (md_rng){.seed = 4, .stream = MD_STREAM_DROPOUT});
    md_tensor *h = md_transformer_hidden(f->net, f->tape, ids, B, T, &training);
    return md_linear_cross_entropy(f->tape, md_gather_rows(f->tape, h, rows, 4),
                                   md_transformer_head(f->net), &args);
}

START_TEST(every_adapter_has_the_gradient_of_the_loss) {
    fixture f;
    fixture_init(&f, &variants[_i]);
    ck_assert(md_params_grads(md_transformer_params(f.net)) == NULL);
    check_param_gradients(&(param_gradients){.name = f.variant->name,
                                             .loss = loss_of,
                                             .context = &f,
                                             .tape = f.tape,
                                             .params = md_lora_params(f.lora),
                                             .elements = 10});
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
