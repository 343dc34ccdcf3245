/* tests/small_net.h: a network small enough for bits to be compared, for any set of kernels. */
#ifndef TESTS_SMALL_NET_H
#define TESTS_SMALL_NET_H

#include "model/transformer.h"
#include "tests/suite.h"

enum { SMALL_V = 23, SMALL_MASK = 22, SMALL_C = 40 };

/* Grouped K/V heads, sizes that divide into nothing; parameters between -0.4 and 0.6. */
static inline md_transformer *new_small_net(int layers, int seq_len) {
    mdlm_error err;
    md_transformer *net = NULL;
    md_model_config config = {.layers = layers,
                              .dim = SMALL_C,
                              .heads = 4,
                              .kv_heads = 2,
                              .ff = 56,
                              .vocab = SMALL_V,
                              .seq_len = seq_len,
                              .rope_theta = 10000,
                              .norm_eps = 1e-5,
                              .mask_id = SMALL_MASK};
    assert_ok(md_transformer_new(&config, true, &net, &err));
    md_params *params = md_transformer_params(net);
    for (int64_t i = 0; i < md_params_size(params); i++) {
        double u = md_uniform((md_rng){.seed = 2, .stream = MD_STREAM_INIT}, 0, (uint32_t)i);
        md_params_values(params)[i] = (md_real)(u - 0.4);
    }
    return net;
}

#endif
