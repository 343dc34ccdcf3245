/* tests/small_net.h: a network small enough for bits to be compared, and what runs it. */
#ifndef TESTS_SMALL_NET_H
#define TESTS_SMALL_NET_H

#include "model/transformer.h"
#include "tests/suite.h"

enum { SMALL_V = 23, SMALL_MASK = 22, SMALL_C = 40, SMALL_IDS = 1300 };

typedef struct small_net {
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_transformer *net;
    md_params *params;
    int32_t ids[SMALL_IDS]; /* the test's */
} small_net;

/* Grouped K/V heads, sizes that divide into nothing. */
static inline md_model_config small_config(int layers, int seq_len) {
    return (md_model_config){.layers = layers,
                             .dim = SMALL_C,
                             .heads = 4,
                             .kv_heads = 2,
                             .ff = 56,
                             .vocab = SMALL_V,
                             .seq_len = seq_len,
                             .rope_theta = 10000,
                             .norm_eps = 1e-5,
                             .mask_id = SMALL_MASK};
}

/* With s->kernels set; parameters between -0.4 and 0.6. */
static inline void small_net_start(small_net *s, const md_model_config *config, int threads) {
    mdlm_error err;
    s->pool = md_pool_new(threads, &err);
    s->tape = md_tape_new(s->pool, &s->kernels, &err);
    ck_assert(s->pool && s->tape);
    assert_ok(md_transformer_new(config, true, &s->net, &err));
    s->params = md_transformer_params(s->net);
    for (int64_t i = 0; i < md_params_size(s->params); i++) {
        double u = md_uniform((md_rng){.seed = 2, .stream = MD_STREAM_INIT}, 0, (uint32_t)i);
        md_params_values(s->params)[i] = (md_real)(u - 0.4);
    }
}

static inline void small_net_init(small_net *s, const char *set, int threads, int layers,
                                  int seq_len) {
    mdlm_error err;
    *s = (small_net){.pool = NULL};
    const md_model_config config = small_config(layers, seq_len);
    assert_ok(md_kernels_init(&s->kernels, set, &err));
    small_net_start(s, &config, threads);
}

static inline void small_net_release(small_net *s) {
    md_transformer_free(s->net);
    md_tape_free(s->tape);
    md_pool_free(s->pool);
}

#endif
