/* model/transformer.c: parameters and forward pass. */
#include "model/transformer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/ops.h"

/* q, k, v lie side by side in the slab, and so do gate and up: one product each. */
typedef struct block {
    md_tensor *attn_norm, *qkv, *attn_out, *ff_norm, *gate_up, *ff_out;
} block;

struct md_transformer {
    md_model_config config;
    md_params *params;
    block *blocks;
    md_tensor *embedding, *final_norm, *head;
    md_rope_table rope;
    void **packed; /* [packed_count] weights for inference, see md_transformer_pack */
    int packed_count;
};

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

static void build_block(builder *b, int layer) {
    const md_model_config *c = &b->net->config;
    block *k = &b->net->blocks[layer];
    int64_t kv = (int64_t)c->kv_heads * (c->dim / c->heads);
    k->attn_norm = param(b, layer, "attn_norm", c->dim, 0);
    int q = declare(b, layer, "q_proj", c->dim, c->dim);
    declare(b, layer, "k_proj", kv, c->dim);
    declare(b, layer, "v_proj", kv, c->dim);
    k->qkv = span(b, q, 3);
    k->attn_out = param(b, layer, "attn_out", c->dim, c->dim);
    k->ff_norm = param(b, layer, "ff_norm", c->dim, 0);
    int gate = declare(b, layer, "ff_proj", c->ff, c->dim);
    declare(b, layer, "up_proj", c->ff, c->dim);
    k->gate_up = span(b, gate, 2);
    k->ff_out = param(b, layer, "ff_out", c->dim, c->ff);
}

mdlm_status md_transformer_new(const md_model_config *config, bool gradients, md_transformer **out,
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
    net->embedding = param(&b, -1, "wte", config->vocab, config->dim);
    for (int i = 0; i < config->layers; i++) build_block(&b, i);
    net->final_norm = param(&b, -1, "ln_f", config->dim, 0);
    net->head = config->tied ? net->embedding : param(&b, -1, "ff_out", config->vocab, config->dim);
    if (b.failed) goto done;
    MD_GOTO(done, status, md_params_seal(net->params, gradients, err));
    MD_GOTO(done, status,
            md_rope_table_init(&net->rope, config->seq_len, config->dim / config->heads,
                               config->rope_theta, err));
    *out = net;
    net = NULL;
done:
    md_transformer_free(net);
    return status;
}

void md_transformer_free(md_transformer *net) {
    if (!net) return;
    for (int i = 0; i < net->packed_count; i++) md_free(net->packed[i]);
    md_free(net->packed);
    md_rope_table_release(&net->rope);
    md_params_free(net->params);
    md_free(net->blocks);
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

/* One block in one pass. */
typedef struct block_call {
    const md_transformer *net;
    const block *block;
    double dropout;
} block_call;

/* x [B, T, C] to the same shape. */
static md_tensor *block_forward(const void *context, md_tape *tape, md_tensor *x) {
    const block_call *call = context;
    const md_transformer *net = call->net;
    const block *k = call->block;
    const double dropout = call->dropout;
    const md_model_config *c = &net->config;
    md_attention_shape shape = {c->heads, c->kv_heads, c->dim / c->heads};
    md_tensor *n = md_spent(md_rms_norm(tape, x, k->attn_norm, c->norm_eps));
    md_tensor *qkv = md_linear(tape, n, k->qkv, NULL);
    qkv = md_rope(tape, qkv, c->heads + c->kv_heads, &net->rope);
    md_tensor *y = md_attention(tape, qkv, shape);
    bool drop = dropout > 0 && md_tape_recording(tape);
    y = md_linear(tape, y, k->attn_out, drop ? NULL : x);
    if (drop) y = md_add(tape, md_dropout(tape, y, dropout), x);
    n = md_spent(md_rms_norm(tape, y, k->ff_norm, c->norm_eps));
    md_tensor *f = md_spent(md_swiglu(tape, md_spent(md_linear(tape, n, k->gate_up, NULL))));
    f = md_linear(tape, f, k->ff_out, drop ? NULL : y);
    return drop ? md_add(tape, md_dropout(tape, f, dropout), y) : f;
}

static md_tensor *record_blocks(const md_transformer *net, md_tape *tape, md_tensor *x,
                                const md_transformer_training *training) {
    const size_t layers = (size_t)net->config.layers;
    block_call *calls = md_tape_alloc(tape, layers, sizeof *calls); /* backward reads them, too */
    for (size_t i = 0; calls && i < layers; i++) {
        calls[i] = (block_call){net, &net->blocks[i], training ? training->dropout : 0};
        x = training && training->checkpoint ? md_checkpoint(tape, block_forward, &calls[i], x)
                                             : block_forward(&calls[i], tape, x);
    }
    return calls ? x : NULL;
}

/* In place, in memory of one block. */
static md_tensor *run_blocks(const md_transformer *net, md_tape *tape, md_tensor *x) {
    for (int i = 0; i < net->config.layers; i++) {
        const block_call call = {net, &net->blocks[i], 0};
        md_arena_mark mark = md_tape_mark(tape);
        md_tensor *y = block_forward(&call, tape, x);
        if (!y) return NULL;
        memcpy(x->data, y->data, (size_t)md_tensor_size(x) * sizeof *x->data);
        md_tape_rewind(tape, mark);
    }
    return x;
}

md_tensor *md_transformer_hidden(md_transformer *net, md_tape *tape, const int32_t *ids, int B,
                                 int T, const md_transformer_training *training) {
    int64_t dim[3] = {B, T, net->config.dim};
    md_tensor *x = md_embedding(tape, net->embedding, ids, (int64_t)B * T);
    x = md_reshape(tape, x, 3, dim);
    x = md_tape_recording(tape) ? record_blocks(net, tape, x, training) : run_blocks(net, tape, x);
    return md_rms_norm(tape, x, net->final_norm, net->config.norm_eps);
}

/* --- packed weights --------------------------------------------------------------------------- */

static mdlm_status pack_weight(md_transformer *net, md_tensor *w, const md_kernels *k,
                               mdlm_error *err) {
    md_pack p = {.trans = true,
                 .n = (int)w->dim[0],
                 .k = (int)w->dim[1],
                 .b = w->data,
                 .ldb = (int)w->dim[1]};
    int panels = (p.n + k->panel - 1) / k->panel;
    p.to = md_alloc((size_t)panels, k->panel_bytes(p.k), err);
    if (!p.to) return MDLM_RUNTIME;
    k->pack(&p, 0, panels);
    net->packed[net->packed_count++] = p.to;
    w->packed = p.to;
    return MDLM_OK;
}

mdlm_status md_transformer_pack(md_transformer *net, const md_kernels *k, mdlm_error *err) {
    MD_BUG_IF(net->packed);
    net->packed = md_alloc((size_t)net->config.layers * 4 + 1, sizeof *net->packed, err);
    if (!net->packed) return MDLM_RUNTIME;
    for (int i = 0; i < net->config.layers; i++) {
        block *b = &net->blocks[i];
        md_tensor *weights[] = {b->qkv, b->attn_out, b->gate_up, b->ff_out};
        for (int j = 0; j < 4; j++) MD_TRY(pack_weight(net, weights[j], k, err));
    }
    return pack_weight(net, net->head, k, err);
}

/* --- denoiser -------------------------------------------------------------------------------- */

/* One canvas at a time, so that the tiles of its products do not depend on the others. */
static mdlm_status canvas_logits(const md_transformer_view *view, md_tensor *hidden,
                                 const int32_t *rows, int count, float *logits, mdlm_error *err) {
    md_tensor *h = md_gather_rows(view->tape, hidden, rows, count);
    md_tensor *y = md_linear(view->tape, h, view->net->head, NULL);
    if (!y) return md_tape_status(view->tape, err);
    int64_t size = md_tensor_size(y);
    for (int64_t i = 0; i < size; i++) logits[i] = (float)y->data[i];
    return MDLM_OK;
}

static mdlm_status predict(void *context, const int32_t *ids, int B, int T, const int32_t *rows,
                           int count, float *logits, mdlm_error *err) {
    const md_transformer_view *view = context;
    const md_model_config *c = &view->net->config;
    for (int64_t i = 0; i < (int64_t)B * T; i++) {
        if (ids[i] >= 0 && ids[i] < c->vocab) continue;
        return md_fail(err, MDLM_USAGE, "token id %d is not in a vocabulary of %d", ids[i],
                       c->vocab);
    }
    md_tape_begin(view->tape, false, (md_rng){0});
    md_tensor *hidden = md_transformer_hidden(view->net, view->tape, ids, B, T, NULL);
    if (!hidden) return md_tape_status(view->tape, err);
    for (int first = 0; first < count;) {
        int end = first, b = rows[first] / T;
        while (end < count && rows[end] / T == b) end++;
        md_arena_mark mark = md_tape_mark(view->tape);
        MD_TRY(canvas_logits(view, hidden, rows + first, end - first,
                             logits + (size_t)first * c->vocab, err));
        md_tape_rewind(view->tape, mark);
        first = end;
    }
    return MDLM_OK;
}

md_denoiser md_transformer_denoiser(md_transformer_view *view) {
    return (md_denoiser){.context = view,
                         .vocab = view->net->config.vocab,
                         .mask_id = view->net->config.mask_id,
                         .sight = view->net->config.sight,
                         .block_length = view->net->config.block_length,
                         .predict = predict};
}
