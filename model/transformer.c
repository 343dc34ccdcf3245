/* model/transformer.c: parameters. */
#include "model/transformer_internal.h"

#include <math.h>

#include "base/memory.h"

enum { POSITIONS = 8192 }; /* whose angles are made at first: Dream could take 131072 */

typedef struct builder {
    md_transformer *net;
    mdlm_error *err;
    bool failed;
} builder;

/* Declares a parameter, a vector when cols == 0; returns its index. */
static int declare(builder *b, md_role role, int layer, bool bias, const int64_t dim[2]) {
    char name[MD_NAME_ROOM];
    int index = md_params_count(b->net->params);
    if (b->failed) return index;
    MD_BUG_IF(!md_name_of((md_naming)b->net->config.arch, role, layer, bias, name));
    const bool vector = dim[1] == 0; /* norm gains and biases do not decay */
    unsigned flags = vector ? 0 : MD_PARAM_DECAY;
    if (!vector && md_role_is_inner(role)) flags |= MD_PARAM_ORTHOGONAL;
    if (!md_params_add(b->net->params, name, vector ? 1 : 2, dim, flags, b->err)) b->failed = true;
    return index;
}

static int declare_weight(builder *b, md_role role, int layer, int64_t rows, int64_t cols) {
    return declare(b, role, layer, false, (int64_t[]){rows, cols});
}

static md_tensor *tensor_at(const builder *b, int index) {
    return b->failed ? NULL : md_params_tensor(b->net->params, index);
}

static md_tensor *weight(builder *b, md_role role, int layer, int64_t rows, int64_t cols) {
    return tensor_at(b, declare_weight(b, role, layer, rows, cols));
}

static md_tensor *vector(builder *b, md_role role, int layer, int64_t size) {
    return weight(b, role, layer, size, 0);
}

static md_linear_layer linear(builder *b, md_role role, int layer, int64_t rows, int64_t cols) {
    md_tensor *w = weight(b, role, layer, rows, cols);
    return (md_linear_layer){w, tensor_at(b, declare(b, role, layer, true, (int64_t[]){rows, 0}))};
}

static md_tensor *span(builder *b, int first, int count) {
    md_tensor *t = b->failed ? NULL : md_params_span(b->net->params, first, count, b->err);
    if (!t) b->failed = true;
    return t;
}

/* q, k and v as one product. */
static md_tensor *build_qkv(builder *b, int layer, bool bias) {
    static const md_role roles[] = {MD_ROLE_Q, MD_ROLE_K, MD_ROLE_V};
    const md_model_config *c = &b->net->config;
    const int64_t kv = (int64_t)c->kv_heads * (c->dim / c->heads);
    const int64_t rows[] = {c->dim, kv, kv};
    const int first = md_params_count(b->net->params);
    for (int i = 0; i < 3; i++)
        declare(b, roles[i], layer, bias, (int64_t[]){rows[i], bias ? 0 : c->dim});
    return span(b, first, 3);
}

static void build_block(builder *b, int layer) {
    const md_model_config *c = &b->net->config;
    md_block *k = &b->net->blocks[layer];
    k->attn_norm = vector(b, MD_ROLE_ATTN_NORM, layer, c->dim);
    k->qkv = build_qkv(b, layer, false);
    if (c->qkv_bias) k->qkv_bias = build_qkv(b, layer, true);
    k->attn_out = weight(b, MD_ROLE_ATTN_OUT, layer, c->dim, c->dim);
    k->ff_norm = vector(b, MD_ROLE_FF_NORM, layer, c->dim);
    int gate = declare_weight(b, MD_ROLE_GATE, layer, c->ff, c->dim);
    declare_weight(b, MD_ROLE_UP, layer, c->ff, c->dim);
    k->gate_up = span(b, gate, 2);
    k->ff_out = weight(b, MD_ROLE_DOWN, layer, c->dim, c->ff);
}

static void build_mdlm_block(builder *b, int layer) {
    const md_model_config *c = &b->net->config;
    const int64_t C = c->dim;
    md_block *k = &b->net->blocks[layer];
    k->modulation = linear(b, MD_ROLE_MODULATION, layer, MD_ADALN_PARTS * C, c->cond_dim);
    k->attn_norm = vector(b, MD_ROLE_ATTN_NORM, layer, C);
    k->qkv = weight(b, MD_ROLE_QKV, layer, 3 * C, C);
    k->attn_out = weight(b, MD_ROLE_ATTN_OUT, layer, C, C);
    k->ff_norm = vector(b, MD_ROLE_FF_NORM, layer, C);
    md_linear_layer up = linear(b, MD_ROLE_UP, layer, c->ff, C);
    md_linear_layer down = linear(b, MD_ROLE_DOWN, layer, C, c->ff);
    k->gate_up = up.w, k->up_bias = up.bias;
    k->ff_out = down.w, k->down_bias = down.bias;
}

static void build(builder *b) {
    md_transformer *net = b->net;
    const md_model_config *c = &net->config;
    const bool mdlm = c->arch == MD_ARCH_MDLM;
    const int64_t C = c->dim, scored = c->vocab - c->unscored;
    net->embedding = weight(b, MD_ROLE_EMBEDDING, -1, c->vocab, C);
    if (mdlm) net->sigma_in = linear(b, MD_ROLE_SIGMA_IN, -1, c->cond_dim, MD_SIGMA_FREQUENCIES);
    if (mdlm) net->sigma_out = linear(b, MD_ROLE_SIGMA_OUT, -1, c->cond_dim, c->cond_dim);
    for (int i = 0; i < c->layers; i++) (mdlm ? build_mdlm_block : build_block)(b, i);
    if (mdlm) net->modulation = linear(b, MD_ROLE_FINAL_MODULATION, -1, 2 * C, c->cond_dim);
    net->final_norm = vector(b, MD_ROLE_FINAL_NORM, -1, C);
    net->head = c->tied ? net->embedding : weight(b, MD_ROLE_HEAD, -1, scored, C);
    if (mdlm)
        net->head_bias = tensor_at(b, declare(b, MD_ROLE_HEAD, -1, true, (int64_t[]){scored, 0}));
}

/* What the loss does not know: a bias of the head, ids without a row of it. */
static mdlm_status check_trainable(const md_model_config *c, mdlm_error *err) {
    if (c->arch != MD_ARCH_MDLM && c->unscored == 0) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "networks of %s's kind can be used, but not trained: start from another one",
                   md_arch_name(c->arch));
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
    if (!net->params || !net->blocks) goto done;
    builder b = {.net = net, .err = err};
    build(&b);
    if (b.failed) goto done;
    const int positions = config->seq_len < POSITIONS ? config->seq_len : POSITIONS;
    MD_GOTO(done, status,
            md_rope_table_init(&net->rope, positions, config->dim / config->heads,
                               config->rope_theta, err));
    *out = net;
    net = NULL;
done:
    md_transformer_free(net);
    return status;
}

mdlm_status md_transformer_seal(md_transformer *net, bool gradients, mdlm_error *err) {
    if (gradients) MD_TRY(check_trainable(&net->config, err));
    return md_params_seal(net->params, gradients, err);
}

mdlm_status md_transformer_new(const md_model_config *config, bool gradients, md_transformer **out,
                               mdlm_error *err) {
    md_transformer *net = NULL;
    MD_TRY(md_transformer_declare(config, &net, err));
    mdlm_status status = md_transformer_seal(net, gradients, err);
    if (status == MDLM_OK)
        *out = net;
    else
        md_transformer_free(net);
    return status;
}

void md_transformer_free(md_transformer *net) {
    if (!net) return;
    for (int i = 0; net->packed && i < md_params_count(net->params); i++) md_free(net->packed[i]);
    md_free(net->packed);
    md_weights_close(net->files);
    md_rope_table_release(&net->rope);
    md_params_free(net->params);
    md_free(net->blocks);
    md_free(net);
}

/* How far from 0 a parameter begins; matrices alone. */
static double deviation(const md_model_config *c, md_role role) {
    const bool into_residual = role == MD_ROLE_ATTN_OUT || role == MD_ROLE_DOWN;
    return into_residual ? 0.02 / sqrt(2.0 * c->layers) : 0.02;
}

void md_transformer_init(md_transformer *net, uint64_t seed) {
    const md_model_config *config = &net->config;
    for (int i = 0; i < md_params_count(net->params); i++) {
        md_tensor *t = md_params_tensor(net->params, i);
        const char *name = md_params_name(net->params, i);
        md_rng rng = {.seed = seed, .stream = MD_STREAM_INIT, .step = (uint64_t)i};
        md_role role;
        int layer;
        bool bias;
        MD_BUG_IF(!md_name_parse((md_naming)config->arch, name, &role, &layer, &bias));
        double std = deviation(config, role), constant = bias ? 0 : 1;
        int64_t rows = md_tensor_rows(t), cols = md_tensor_cols(t);
        for (int64_t r = 0; r < rows; r++) {
            for (int64_t c = 0; c < cols; c++) {
                double z = t->rank == 1 ? constant : std * md_normal(rng, (uint32_t)r, (uint32_t)c);
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
