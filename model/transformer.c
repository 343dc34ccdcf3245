/* model/transformer.c: parameters. */
#include "model/transformer_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

typedef struct builder {
    md_transformer *net;
    mdlm_error *err;
    bool failed;
} builder;

/* Declares PREFIX "blocks.N.NAME.weight", or PREFIX "NAME.weight" when layer < 0; returns its
 * index. */
static int declare(builder *b, int layer, const char *name, int64_t rows, int64_t cols) {
    char full[96];
    int index = md_params_count(b->net->params);
    if (b->failed) return index;
    if (layer < 0) {
        snprintf(full, sizeof full, MD_LLADA_PREFIX "%s.weight", name);
    } else {
        snprintf(full, sizeof full, MD_LLADA_PREFIX "blocks.%d.%s.weight", layer, name);
    }
    int64_t dim[2] = {rows, cols};
    bool gain = cols == 0; /* a vector: norm gains do not decay */
    unsigned flags = gain ? 0 : MD_PARAM_DECAY | (layer < 0 ? 0 : MD_PARAM_ORTHOGONAL);
    if (!md_params_add(b->net->params, full, gain ? 1 : 2, dim, flags, b->err)) b->failed = true;
    return index;
}

static md_tensor *param(builder *b, int layer, const char *name, int64_t rows, int64_t cols) {
    int index = declare(b, layer, name, rows, cols);
    return b->failed ? NULL : md_params_tensor(b->net->params, index);
}

static md_tensor *span(builder *b, int first, int count) {
    md_tensor *t = b->failed ? NULL : md_params_span(b->net->params, first, count, b->err);
    if (!t) b->failed = true;
    return t;
}

/* Says that w is the weight of a product. */
static md_tensor *product(builder *b, md_tensor *w) {
    if (!b->failed) b->net->products[b->net->product_count++] = w;
    return w;
}

enum { BLOCK_PRODUCTS = 4 };

static void build_block(builder *b, int layer) {
    const md_model_config *c = &b->net->config;
    md_block *k = &b->net->blocks[layer];
    int64_t kv = (int64_t)c->kv_heads * (c->dim / c->heads);
    k->attn_norm = param(b, layer, "attn_norm", c->dim, 0);
    int q = declare(b, layer, "q_proj", c->dim, c->dim);
    declare(b, layer, "k_proj", kv, c->dim);
    declare(b, layer, "v_proj", kv, c->dim);
    k->qkv = product(b, span(b, q, 3));
    k->attn_out = product(b, param(b, layer, "attn_out", c->dim, c->dim));
    k->ff_norm = param(b, layer, "ff_norm", c->dim, 0);
    int gate = declare(b, layer, "ff_proj", c->ff, c->dim);
    declare(b, layer, "up_proj", c->ff, c->dim);
    k->gate_up = product(b, span(b, gate, 2));
    k->ff_out = product(b, param(b, layer, "ff_out", c->dim, c->ff));
}

mdlm_status md_transformer_declare(const md_model_config *config, md_transformer **out,
                                   mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    MD_TRY(md_model_config_check(config, err));
    md_transformer *net = md_alloc(1, sizeof *net, err);
    if (!net) return MDLM_RUNTIME;
    net->config = *config;
    net->params = md_params_new(err);
    net->blocks = md_alloc((size_t)config->layers, sizeof *net->blocks, err);
    net->products =
        md_alloc((size_t)config->layers * BLOCK_PRODUCTS + 1, sizeof *net->products, err);
    if (!net->params || !net->blocks || !net->products) goto done;
    builder b = {.net = net, .err = err};
    net->embedding = param(&b, -1, "wte", config->vocab, config->dim);
    for (int i = 0; i < config->layers; i++) build_block(&b, i);
    net->final_norm = param(&b, -1, "ln_f", config->dim, 0);
    net->head = config->tied ? net->embedding : param(&b, -1, "ff_out", config->vocab, config->dim);
    product(&b, net->head);
    if (b.failed) goto done;
    MD_GOTO(done, status,
            md_rope_table_init(&net->rope, config->seq_len, config->dim / config->heads,
                               config->rope_theta, err));
    *out = net;
    net = NULL;
done:
    md_transformer_free(net);
    return status;
}

mdlm_status md_transformer_new(const md_model_config *config, bool gradients, md_transformer **out,
                               mdlm_error *err) {
    md_transformer *net = NULL;
    MD_TRY(md_transformer_declare(config, &net, err));
    mdlm_status status = md_params_seal(net->params, gradients, err);
    if (status == MDLM_OK)
        *out = net;
    else
        md_transformer_free(net);
    return status;
}

void md_transformer_free(md_transformer *net) {
    if (!net) return;
    for (int i = 0; net->packed && i < net->product_count; i++) md_free(net->packed[i]);
    md_free(net->packed);
    md_weights_close(net->files);
    md_rope_table_release(&net->rope);
    md_params_free(net->params);
    md_free(net->blocks);
    md_free(net->products);
    md_free(net);
}

static bool ends_with(const char *name, const char *tail) {
    size_t n = strlen(name), m = strlen(tail);
    return n >= m && !strcmp(name + n - m, tail);
}

void md_transformer_init(md_transformer *net, uint64_t seed) {
    double residual = 1 / sqrt(2.0 * net->config.layers);
    for (int i = 0; i < md_params_count(net->params); i++) {
        md_tensor *t = md_params_tensor(net->params, i);
        const char *name = md_params_name(net->params, i);
        md_rng rng = {.seed = seed, .stream = MD_STREAM_INIT, .step = (uint64_t)i};
        bool into_residual = strstr(name, ".blocks.") && (ends_with(name, ".attn_out.weight") ||
                                                          ends_with(name, ".ff_out.weight"));
        double std = 0.02 * (into_residual ? residual : 1);
        int64_t rows = md_tensor_rows(t), cols = md_tensor_cols(t);
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t c = 0; c < cols; c++) {
                double z = t->rank == 1 ? 1 : std * md_normal(rng, (uint32_t)r, (uint32_t)c);
                t->data[r * cols + c] = (md_real)z;
            }
        }
    }
}

const md_model_config *md_transformer_config(const md_transformer *net) {
    return &net->config;
}

md_params *md_transformer_params(md_transformer *net) {
    return net->params;
}

md_tensor *md_transformer_head(md_transformer *net) {
    return net->head;
}
