/* model/transformer_forward.c: from ids to hidden states: whole canvases, block diffusion's pairs,
 * and some rows of canvases whose other keys and values are in caches; for LLaDA's blocks and
 * MDLM's. */
#include <string.h>

#include "model/lora_internal.h"
#include "tensor/ops_image.h"

/* How a pass differs from others of the same network. */
typedef struct network_pass {
    md_attention_mask mask;
    md_rope_positions positions;
    const md_cached_rows *cached; /* NULL: everything is computed */
    md_tensor *condition;         /* MDLM's [1, 1, cond_dim]; else NULL */
} network_pass;

/* One block in one pass. */
typedef struct block_call {
    const md_transformer *net;
    int layer;
    double dropout;
    network_pass pass;
} block_call;

static md_tensor *attend(const block_call *call, md_tape *tape, md_tensor *qkv) {
    const md_model_config *c = &call->net->config;
    const md_cached_rows *cached = call->pass.cached;
    const md_attention_shape shape = {.heads = c->heads,
                                      .kv_heads = c->kv_heads,
                                      .head_dim = c->dim / c->heads,
                                      .mask = call->pass.mask};
    if (!cached) return md_attention(tape, qkv, shape);
    md_real **kv = md_tape_alloc(tape, (size_t)cached->B, sizeof *kv);
    int64_t before = (int64_t)call->layer * cached->T * 2 * c->kv_heads * shape.head_dim;
    for (int b = 0; kv && b < cached->B; b++) kv[b] = cached->kv[b] + before;
    const md_attention_cache cache = {.kv = kv, .T = cached->T, .first = cached->first};
    return kv ? md_attention_cached(tape, qkv, shape, &cache) : NULL;
}

/* The products of a block, in the order of md_block_adapters. */
enum product { QKV, ATTN_OUT, GATE_UP, FF_OUT };

/* y = w x, with the adapter's part; + residual. Whether x has another use is for `once` to say. */
static md_tensor *project(const block_call *call, md_tape *tape, md_tensor *x, enum product which,
                          md_tensor *residual) {
    const md_block *k = &call->net->blocks[call->layer];
    md_tensor *const weight[] = {k->qkv, k->attn_out, k->gate_up, k->ff_out};
    md_tensor *y = md_linear(tape, x, weight[which], residual);
    if (!call->net->lora) return y;
    const md_adapter *adapter = &call->net->lora->blocks[call->layer].adapter[which];
    return md_linear(tape, md_linear(tape, x, adapter->a, NULL), adapter->b, y);
}

/* An operand of `project`, which uses it once unless there are adapters. */
static md_tensor *once(const block_call *call, md_tensor *x) {
    return call->net->lora ? x : md_spent(x);
}

/* Rotated queries and keys, and values. */
static md_tensor *project_qkv(const block_call *call, md_tape *tape, md_tensor *n) {
    const md_transformer *net = call->net;
    md_tensor *bias = net->blocks[call->layer].qkv_bias;
    md_tensor *qkv = project(call, tape, n, QKV, NULL);
    if (bias) qkv = md_add_channels(tape, md_spent(qkv), bias);
    return md_rope(tape, qkv, net->config.heads + net->config.kv_heads, &net->rope,
                   call->pass.positions);
}

/* x [B, T, C] to the same shape. */
static md_tensor *block_forward(const void *context, md_tape *tape, md_tensor *x) {
    const block_call *call = context;
    const md_transformer *net = call->net;
    const md_block *k = &net->blocks[call->layer];
    const double dropout = call->dropout;
    const md_model_config *c = &net->config;
    md_tensor *n = once(call, md_rms_norm(tape, x, k->attn_norm, c->norm_eps));
    md_tensor *y = attend(call, tape, project_qkv(call, tape, n));
    bool drop = dropout > 0 && md_tape_recording(tape);
    y = project(call, tape, y, ATTN_OUT, drop ? NULL : x);
    if (drop) y = md_add(tape, md_dropout(tape, y, dropout), x);
    n = once(call, md_rms_norm(tape, y, k->ff_norm, c->norm_eps));
    n = md_spent(project(call, tape, n, GATE_UP, NULL));
    md_tensor *f = once(call, md_swiglu(tape, n));
    f = project(call, tape, f, FF_OUT, drop ? NULL : y);
    return drop ? md_add(tape, md_dropout(tape, f, dropout), y) : f;
}

/* --- MDLM's blocks ---------------------------------------------------------------------------- */

/* What the noise level says to every block. MDLM's networks run without it: it is always 0. */
static md_tensor *condition_of(const md_transformer *net, md_tape *tape) {
    md_tensor *t = md_tape_tensor(tape, 3, (int64_t[]){1, 1, MD_SIGMA_FREQUENCIES});
    if (!t) return NULL;
    md_time_sinusoids(0, MD_SIGMA_FREQUENCIES, t->data);
    t = md_silu(tape, md_run_linear(tape, &net->sigma_in, t));
    return md_silu(tape, md_run_linear(tape, &net->sigma_out, t));
}

/* The i-th C columns of a modulation, [1, 1, C]. */
static md_tensor *part_of(md_tape *tape, md_tensor *modulation, int i, int C) {
    return md_columns(tape, modulation, i * C, C);
}

/* Layer norm with a gain, then (1 + scale) and shift: in all, norm(x) * (1 + s) + shift with
 * 1 + s = gain (1 + scale). Parts `first` and `first` + 1 of the modulation are shift and scale. */
static md_tensor *adaptive_norm(md_tape *tape, md_tensor *x, md_tensor *gain, md_tensor *modulation,
                                int first) {
    static const double EPS = 1e-5;
    const int64_t C = gain->dim[0];
    md_tensor *less = md_tape_tensor(tape, 1, &C);
    if (!less || !x || !modulation) return NULL;
    for (int64_t c = 0; c < C; c++) less->data[c] = -1;
    less = md_reshape(tape, md_add(tape, gain, less), 3, (int64_t[]){1, 1, C});
    md_tensor *shift = part_of(tape, modulation, first, (int)C);
    md_tensor *s = md_gated_add(tape, less, gain, part_of(tape, modulation, first + 1, (int)C));
    /* All rows are moved alike: one sequence of them. */
    md_tensor *rows = md_reshape(tape, x, 3, (int64_t[]){1, md_tensor_rows(x), C});
    return md_reshape(tape, md_modulated_norm(tape, rows, s, shift, EPS), x->rank, x->dim);
}

/* x + gate * branch, the gate that of all rows. */
static md_tensor *add_gated(md_tape *tape, md_tensor *x, md_tensor *gate, md_tensor *branch) {
    if (!x || !gate || !branch) return NULL;
    const int64_t dim[3] = {1, md_tensor_rows(x), md_tensor_cols(x)};
    md_tensor *y =
        md_gated_add(tape, md_reshape(tape, x, 3, dim), gate, md_reshape(tape, branch, 3, dim));
    return md_reshape(tape, y, x->rank, x->dim);
}

/* x [B, T, C] to the same shape. */
static md_tensor *mdlm_block_forward(const void *context, md_tape *tape, md_tensor *x) {
    const block_call *call = context;
    const md_transformer *net = call->net;
    const md_block *k = &net->blocks[call->layer];
    const int C = net->config.dim;
    md_tensor *m = md_run_linear(tape, &k->modulation, call->pass.condition);
    md_tensor *h = adaptive_norm(tape, x, k->attn_norm, m, 0);
    h = attend(call, tape, project_qkv(call, tape, h));
    h = project(call, tape, h, ATTN_OUT, NULL);
    x = add_gated(tape, x, part_of(tape, m, 2, C), md_dropout(tape, h, call->dropout));
    h = adaptive_norm(tape, x, k->ff_norm, m, 3);
    h = md_add_channels(tape, md_spent(project(call, tape, h, GATE_UP, NULL)), k->up_bias);
    h = project(call, tape, md_gelu(tape, h), FF_OUT, NULL);
    h = md_add_channels(tape, md_spent(h), k->down_bias);
    return add_gated(tape, x, part_of(tape, m, 5, C), md_dropout(tape, h, call->dropout));
}

/* --- all blocks ------------------------------------------------------------------------------- */

static md_checkpoint_fn forward_of(const md_transformer *net) {
    return net->config.arch == MD_ARCH_MDLM ? mdlm_block_forward : block_forward;
}

static md_tensor *record_blocks(const md_transformer *net, md_tape *tape, md_tensor *x,
                                network_pass pass, const md_transformer_training *training) {
    const size_t layers = (size_t)net->config.layers;
    block_call *calls = md_tape_alloc(tape, layers, sizeof *calls); /* backward reads them, too */
    for (size_t i = 0; calls && i < layers; i++) {
        calls[i] = (block_call){net, (int)i, training ? training->dropout : 0, pass};
        x = training && training->checkpoint ? md_checkpoint(tape, forward_of(net), &calls[i], x)
                                             : forward_of(net)(&calls[i], tape, x);
    }
    return calls ? x : NULL;
}

/* In place, in memory of one block. */
static md_tensor *run_blocks(const md_transformer *net, md_tape *tape, md_tensor *x,
                             network_pass pass) {
    for (int i = 0; i < net->config.layers; i++) {
        const block_call call = {net, i, 0, pass};
        md_arena_mark mark = md_tape_mark(tape);
        md_tensor *y = forward_of(net)(&call, tape, x);
        if (!y) return NULL;
        memcpy(x->data, y->data, (size_t)md_tensor_size(x) * sizeof *x->data);
        md_tape_rewind(tape, mark);
    }
    return x;
}

/* Rows of the embedding [count, C]. */
static md_tensor *embed(const md_transformer *net, md_tape *tape, const int32_t *ids,
                        int64_t count) {
    if (!net->embedding_rows) return md_embedding(tape, net->embedding, ids, count);
    md_tensor *x = md_tape_matrix(tape, count, net->config.dim);
    for (int64_t i = 0; x && i < count; i++)
        md_weight_read(net->embedding_rows, ids[i], 1, x->data + i * net->config.dim);
    return x;
}

/* What the row of the position before says of each position; of position 0, its own. x [B, n, C];
 * with `extra`, its first row lies before the positions that are wanted: the result has n - 1. */
static md_tensor *shift_rows(md_tape *tape, md_tensor *x, bool extra) {
    if (!x) return NULL;
    const int64_t B = x->dim[0], n = x->dim[1], count = n - extra;
    int32_t *row = md_tape_alloc(tape, (size_t)(B * count), sizeof *row);
    for (int64_t i = 0; row && i < B * count; i++) {
        const int64_t at = i % count;
        row[i] = (int32_t)(i / count * n + (extra || at == 0 ? at : at - 1));
    }
    if (!row) return NULL;
    const int64_t dim[3] = {B, count, x->dim[2]};
    return md_reshape(tape, md_gather_rows(tape, x, row, B * count), 3, dim);
}

static md_tensor *final_norm(const md_transformer *net, md_tape *tape, md_tensor *x,
                             md_tensor *condition) {
    if (net->config.arch != MD_ARCH_MDLM)
        return md_rms_norm(tape, x, net->final_norm, net->config.norm_eps);
    return adaptive_norm(tape, x, net->final_norm, md_run_linear(tape, &net->modulation, condition),
                         0);
}

/* Hidden states of the input tokens [B, rows]. */
static md_tensor *hidden_of(md_transformer *net, md_tape *tape, const int32_t *input,
                            const int64_t size[2], network_pass pass,
                            const md_transformer_training *training) {
    const int64_t dim[3] = {size[0], size[1], net->config.dim};
    const bool extra = pass.cached && pass.positions.first < pass.cached->wanted;
    if (!input) return NULL;
    if (net->config.arch == MD_ARCH_MDLM) pass.condition = condition_of(net, tape);
    md_tensor *x = embed(net, tape, input, size[0] * size[1]);
    x = md_reshape(tape, x, 3, dim);
    x = md_tape_recording(tape) ? record_blocks(net, tape, x, pass, training)
                                : run_blocks(net, tape, x, pass);
    if (net->config.shifted) x = shift_rows(tape, x, extra);
    return final_norm(net, tape, x, pass.condition);
}

/* Angles up to T; beyond its trained length a network that sees all has none. False on failure. */
static bool reach(md_transformer *net, md_tape *tape, int T) {
    mdlm_error err;
    const bool bounded = net->config.sight == MD_SEES_ALL;
    if (T <= net->rope.positions || (bounded && T > net->config.seq_len)) return true;
    if (md_rope_table_reserve(&net->rope, T, &err) == MDLM_OK) return true;
    md_tape_fail(tape, err.status, "%s", err.message);
    return false;
}

static md_attention_mask mask_of(const md_model_config *c, md_mask_kind kind) {
    if (c->sight == MD_SEES_ALL) return (md_attention_mask){.kind = MD_MASK_NONE};
    return (md_attention_mask){.kind = kind,
                               .block = c->sight == MD_SEES_PAST ? 1 : c->block_length,
                               .window = c->seq_len};
}

/* What goes in at positions [first, end) of canvases ids [B, T]: the ids themselves, or, where a
 * position sees the past alone, those before them. */
static const int32_t *input_of(const md_transformer *net, md_tape *tape, const int32_t *ids,
                               const md_cached_rows *rows) {
    const size_t T = (size_t)rows->T, first = (size_t)rows->first, n = (size_t)rows->end - first;
    const bool past = net->config.sight == MD_SEES_PAST;
    if (!past && n == T) return ids;
    int32_t *input = md_tape_alloc(tape, (size_t)rows->B * n, sizeof *input);
    for (size_t b = 0; input && b < (size_t)rows->B; b++) {
        for (size_t i = 0; i < n; i++) {
            size_t at = b * T + first + i;
            bool start = past && first + i == 0;
            input[b * n + i] = start ? net->config.mask_id : ids[at - past];
        }
    }
    return input;
}

md_tensor *md_transformer_hidden(md_transformer *net, md_tape *tape, const int32_t *ids, int B,
                                 int T, const md_transformer_training *training) {
    const md_cached_rows all = {.B = B, .T = T, .end = T};
    network_pass whole = {.mask = mask_of(&net->config, MD_MASK_BLOCKS)};
    if (training && net->config.sight == MD_SEES_ALL) whole.mask.lengths = training->lengths;
    if (!reach(net, tape, T)) return NULL;
    const int32_t *input = input_of(net, tape, ids, &all);
    return hidden_of(net, tape, input, (int64_t[]){B, T}, whole, training);
}

md_tensor *md_transformer_paired_hidden(md_transformer *net, md_tape *tape, const int32_t *noisy,
                                        const int32_t *clean, int B, int T,
                                        const md_transformer_training *training) {
    const network_pass paired = {.mask = mask_of(&net->config, MD_MASK_PAIRED),
                                 .positions = {.period = T}};
    const size_t n = (size_t)T;
    MD_BUG_IF(net->config.sight != MD_SEES_BLOCKS);
    if (!reach(net, tape, T)) return NULL;
    int32_t *input = md_tape_alloc(tape, 2 * n * (size_t)B, sizeof *input);
    for (size_t b = 0; input && b < (size_t)B; b++) {
        memcpy(input + 2 * b * n, noisy + b * n, n * sizeof *input);
        memcpy(input + (2 * b + 1) * n, clean + b * n, n * sizeof *input);
    }
    return hidden_of(net, tape, input, (int64_t[]){B, 2 * (int64_t)T}, paired, training);
}

md_tensor *md_transformer_cached_hidden(md_transformer *net, md_tape *tape, const int32_t *ids,
                                        const md_cached_rows *rows) {
    md_cached_rows computed = *rows; /* where logits are shifted, the position before as well */
    computed.wanted = rows->first;
    if (net->config.shifted && computed.first > 0) computed.first--;
    const network_pass cached = {.mask = mask_of(&net->config, MD_MASK_BLOCKS),
                                 .positions = {.first = computed.first},
                                 .cached = &computed};
    if (!reach(net, tape, rows->T)) return NULL;
    const int32_t *input = input_of(net, tape, ids, &computed);
    const int64_t size[2] = {rows->B, rows->end - computed.first};
    return hidden_of(net, tape, input, size, cached, NULL);
}
