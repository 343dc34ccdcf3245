/* tests/test_grad_model.c: the gradient of a whole transformer's loss against central differences,
 * in double precision, on a few elements of every parameter. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "model/transformer.h"
#include "tensor/ops.h"
#include "tests/grad_params.h"

enum { B = 2, T = 7, V = 11, MASK = 10 };

static const char *const WTE = MD_LLADA_PREFIX "wte.weight";

typedef struct variant {
    const char *name;
    int heads, kv_heads;
    bool tied;
    double dropout;
    md_sight sight; /* by blocks: the network of pairs */
    bool checkpoint;
    bool qkv_bias, shifted;
} variant;

static const variant variants[] = {
    {"as many key heads as query heads", .heads = 3, .kv_heads = 3},
    {"grouped heads, tied", .heads = 6, .kv_heads = 2, .tied = true},
    {"one key head, dropout", .heads = 2, .kv_heads = 1, .dropout = 0.2},
    {"autoregressive", .heads = 3, .kv_heads = 3, .sight = MD_SEES_PAST},
    {"noisy and clean blocks", .heads = 6, .kv_heads = 2, .sight = MD_SEES_BLOCKS},
    {"noisy and clean blocks, checkpoints", .heads = 3, .kv_heads = 1, .tied = true, .dropout = 0.1,
     .sight = MD_SEES_BLOCKS, .checkpoint = true},
    {"biases, shifted", .heads = 6, .kv_heads = 2, .qkv_bias = true, .shifted = true},
    {"biases, shifted, tied, checkpoints", .heads = 2, .kv_heads = 1, .tied = true, .dropout = 0.1,
     .checkpoint = true, .qkv_bias = true, .shifted = true},
};
enum { VARIANTS = sizeof variants / sizeof *variants };

typedef struct fixture {
    const variant *variant;
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_transformer *net;
} fixture;

static void fixture_init(fixture *f, const variant *v) {
    mdlm_error err;
    *f = (fixture){.variant = v};
    md_model_config config = {.layers = 2,
                              .dim = 12,
                              .heads = v->heads,
                              .kv_heads = v->kv_heads,
                              .ff = 10,
                              .vocab = V,
                              .seq_len = T + 1,
                              .rope_theta = 100,
                              .norm_eps = 1e-5,
                              .tied = v->tied,
                              .mask_id = MASK,
                              .sight = v->sight,
                              .block_length = 2,
                              .qkv_bias = v->qkv_bias,
                              .shifted = v->shifted};
    assert_ok(md_kernels_init(&f->kernels, NULL, &err));
    f->pool = md_pool_new(1, &err);
    f->tape = md_tape_new(f->pool, &f->kernels, &err);
    ck_assert(f->pool && f->tape);
    assert_ok(md_transformer_new(&config, true, &f->net, &err));
    /* Larger weights than those of an untrained network, so that every path matters. */
    md_params *params = md_transformer_params(f->net);
    for (int64_t i = 0; i < md_params_size(params); i++) {
        double u = md_uniform((md_rng){.seed = 2, .stream = MD_STREAM_INIT}, 0, (uint32_t)i);
        md_params_values(params)[i] = 1.4 * u - 0.5;
    }
}

static void fixture_release(fixture *f) {
    md_transformer_free(f->net);
    md_tape_free(f->tape);
    md_pool_free(f->pool);
}

/* Masked canvases: the loss looks at the masked rows only, with uneven weights. */
static md_tensor *loss_of(void *context) {
    fixture *f = context;
    static const int32_t clean[B * T] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7};
    static const int32_t masked[] = {1, 2, 6, 7, 10, 13};
    enum { N = sizeof masked / sizeof *masked };
    const bool paired = f->variant->sight == MD_SEES_BLOCKS;
    static const double weight[N] = {1, 1, 2.5, 0.5, 0.5, 4};
    int32_t ids[B * T], rows[N], target[N];
    memcpy(ids, clean, sizeof ids);
    for (int i = 0; i < N; i++) {
        ids[masked[i]] = MASK;
        target[i] = clean[masked[i]];
        rows[i] = masked[i] + (paired ? masked[i] / T * T : 0); /* noisy ones of each sequence */
    }
    const md_transformer_training training = {.dropout = f->variant->dropout,
                                              .checkpoint = f->variant->checkpoint};
    md_tape_begin(f->tape, true, (md_rng){.seed = 4, .stream = MD_STREAM_DROPOUT});
    md_tensor *h = paired
                       ? md_transformer_paired_hidden(f->net, f->tape, ids, clean, B, T, &training)
                       : md_transformer_hidden(f->net, f->tape, ids, B, T, &training);
    md_cross_entropy_args args = {.target = target, .weight = weight, .banned = MASK};
    return md_linear_cross_entropy(f->tape, md_gather_rows(f->tape, h, rows, N),
                                   md_transformer_head(f->net), &args);
}

START_TEST(every_parameter_has_the_gradient_of_the_loss) {
    fixture f;
    fixture_init(&f, &variants[_i]);
    check_param_gradients(&(param_gradients){.name = f.variant->name,
                                             .loss = loss_of,
                                             .context = &f,
                                             .tape = f.tape,
                                             .params = md_transformer_params(f.net),
                                             .elements = 12});
    fixture_release(&f);
}
END_TEST

START_TEST(a_frozen_network_gathers_no_gradients) {
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, &variants[_i]);
    md_params *params = md_transformer_params(f.net);
    md_params_freeze(params, true);
    assert_ok(md_tape_backward(f.tape, loss_of(&f), &err));
    for (int64_t i = 0; i < md_params_size(params); i++) ck_assert(md_params_grads(params)[i] == 0);
    fixture_release(&f);
}
END_TEST

/* Only the masked rows count, and the embedding of an id that is nowhere has no gradient. */
START_TEST(an_embedding_that_is_not_used_has_no_gradient) {
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, &variants[0]);
    md_params *params = md_transformer_params(f.net);
    assert_ok(md_tape_backward(f.tape, loss_of(&f), &err));
    const md_tensor *w = md_params_tensor(params, md_params_find(params, WTE));
    const int unseen = 0, seen = 9;
    double sum = 0;
    for (int c = 0; c < w->dim[1]; c++) {
        ck_assert(w->grad[unseen * w->dim[1] + c] == 0);
        sum += fabs(w->grad[seen * w->dim[1] + c]);
    }
    ck_assert(sum > 0);
    fixture_release(&f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gradients of the transformer");
    TCase *tc = tcase_create("differences");
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, every_parameter_has_the_gradient_of_the_loss, 0, VARIANTS);
    tcase_add_loop_test(tc, a_frozen_network_gathers_no_gradients, 0, VARIANTS);
    suite_add_tcase(s, tc);
    suite_case(s, an_embedding_that_is_not_used_has_no_gradient);
    return suite_run(s);
}
