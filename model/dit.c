/* model/dit.c: a transformer on patches whose norms and branches follow the condition (DiT, Peebles
 * & Xie 2023). See image_model.h. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "model/image_internal.h"

static const double NORM_EPS = 1e-6; /* DiT's */
enum { FREQUENCIES = 256 };          /* of the time's sinusoids */

/* Parts of a block's modulation, in DiT's order: columns of [B, 6 C]. */
enum { SHIFT_ATTN, SCALE_ATTN, GATE_ATTN, SHIFT_MLP, SCALE_MLP, GATE_MLP, MODULATIONS };

typedef struct dit_block {
    md_linear_layer qkv, attn_out, gate_up, ff_out, modulation;
} dit_block;

typedef struct dit {
    const md_image_config *config;
    md_embedder embedder;
    md_linear_layer patches, final_modulation, final_out;
    dit_block *blocks;
    md_real *positions; /* [tokens, C], fixed */
} dit;

static int tokens_of(const md_image_config *c) {
    return c->shape.Y / c->patch * (c->shape.X / c->patch);
}

/* The first half of a row says where the patch is in y, the second where it is in x. */
static void fill_positions(const md_image_config *c, md_real *to) {
    const int half = c->dim / 2;
    for (int y = 0; y < c->shape.Y / c->patch; y++) {
        for (int x = 0; x < c->shape.X / c->patch; x++, to += c->dim) {
            md_time_sinusoids(y, half, to);
            md_time_sinusoids(x, half, to + half);
        }
    }
}

static dit_block build_block(const md_image_config *c, md_builder *b, int i) {
    dit_block k;
    md_builder_scope(b, "blocks.%d", i);
    k.modulation =
        md_build_linear(b, "adaLN_modulation", c->dim, MODULATIONS * c->dim, MD_INIT_ZERO);
    k.qkv = md_build_linear_plain(b, "attn.qkv", c->dim, 3 * c->dim, MD_INIT_FAN_IN);
    k.attn_out = md_build_linear_plain(b, "attn.proj", c->dim, c->dim, MD_INIT_FAN_IN);
    k.gate_up = md_build_linear_plain(b, "mlp.gate_up", c->dim, 2 * c->ff, MD_INIT_FAN_IN);
    k.ff_out = md_build_linear_plain(b, "mlp.out", c->ff, c->dim, MD_INIT_FAN_IN);
    return k;
}

static void *build(const md_image_config *c, md_builder *b, mdlm_error *err) {
    const size_t position = (size_t)tokens_of(c) * (size_t)c->dim;
    const size_t blocks = (size_t)c->layers * sizeof(dit_block);
    dit *n = md_alloc(1, sizeof *n + blocks + position * sizeof(md_real), err);
    if (!n) return NULL;
    n->config = c;
    n->blocks = (dit_block *)(n + 1);
    n->positions = (md_real *)(n->blocks + c->layers);
    fill_positions(c, n->positions);
    const int pixel = c->patch * c->patch;
    n->embedder = md_build_embedder(b, FREQUENCIES, c->dim, c->classes);
    md_builder_scope(b, "%s", "");
    b->edge = true;
    n->patches = md_build_linear(b, "x_embedder", pixel * (c->shape.C + md_image_config_given(c)),
                                 c->dim, MD_INIT_FAN_IN);
    b->edge = false;
    for (int i = 0; i < c->layers; i++) n->blocks[i] = build_block(c, b, i);
    md_builder_scope(b, "final_layer");
    n->final_modulation = md_build_linear(b, "adaLN_modulation", c->dim, 2 * c->dim, MD_INIT_ZERO);
    b->edge = true;
    n->final_out =
        md_build_linear(b, "linear", c->dim, pixel * md_image_config_outputs(c), MD_INIT_ZERO);
    return n;
}

/* --- running ---------------------------------------------------------------------------------- */

typedef struct block_call {
    const dit *net;
    const dit_block *block;
    const md_image_pass *pass;
} block_call;

/* [B, parts * C] of the condition, as vectors of an image each. */
static md_tensor *modulation(md_tape *tape, const md_linear_layer *layer, md_tensor *condition) {
    md_tensor *m = md_run_linear(tape, layer, condition);
    return m ? md_reshape(tape, m, 2, (int64_t[]){m->dim[0], m->dim[2]}) : NULL;
}

static md_tensor *attend(md_tape *tape, const block_call *call, md_tensor *x) {
    const md_image_config *c = call->net->config;
    const md_attention_shape shape = {
        .heads = c->heads, .kv_heads = c->heads, .head_dim = c->dim / c->heads};
    md_tensor *qkv = md_run_linear(tape, &call->block->qkv, x);
    if (!qkv) return NULL;
    return md_run_linear(tape, &call->block->attn_out, md_attention(tape, qkv, shape));
}

static md_tensor *run_block(const void *context, md_tape *tape, md_tensor *x) {
    const block_call *call = context;
    const dit_block *k = call->block;
    const int C = call->net->config->dim;
    const double dropout = call->pass->dropout;
    md_tensor *m = modulation(tape, &k->modulation, call->pass->condition), *part[MODULATIONS];
    for (int i = 0; i < MODULATIONS; i++) part[i] = md_columns(tape, m, i * C, C);
    md_tensor *h = md_modulated_norm(tape, x, part[SCALE_ATTN], part[SHIFT_ATTN], NORM_EPS);
    h = md_dropout(tape, attend(tape, call, h), dropout);
    x = md_gated_add(tape, x, part[GATE_ATTN], h);
    h = md_modulated_norm(tape, x, part[SCALE_MLP], part[SHIFT_MLP], NORM_EPS);
    h = md_swiglu(tape, md_run_linear(tape, &k->gate_up, h));
    h = md_dropout(tape, md_run_linear(tape, &k->ff_out, h), dropout);
    return md_gated_add(tape, x, part[GATE_MLP], h);
}

/* Patches as tokens, with their positions added. */
static md_tensor *embed_patches(const dit *n, md_tape *tape, md_tensor *x) {
    const md_image_config *c = n->config;
    md_tensor *p = md_patches(tape, x, c->patch);
    if (!p) return NULL;
    const int64_t image = (int64_t)tokens_of(c) * c->dim;
    md_tensor *at = md_tape_tensor(tape, 3, (int64_t[]){p->dim[0], p->dim[1], c->dim});
    for (int64_t b = 0; at && b < p->dim[0]; b++)
        memcpy(at->data + b * image, n->positions, (size_t)image * sizeof *at->data);
    if (!at) return NULL;
    return md_add_channels(tape, md_linear(tape, p, n->patches.w, at), n->patches.bias);
}

static md_tensor *forward(const void *net, md_tape *tape, md_tensor *x,
                          const md_image_condition *given, const md_image_pass *options) {
    const dit *n = net;
    const md_image_config *c = n->config;
    block_call *calls = md_tape_alloc(tape, (size_t)c->layers, sizeof *calls);
    md_image_pass *pass = md_tape_alloc(tape, 1, sizeof *pass);
    if (!calls || !pass) return NULL;
    *pass = *options;
    pass->condition = md_run_embedder(tape, &n->embedder, given);
    x = embed_patches(n, tape, x);
    for (int i = 0; x && i < c->layers; i++) {
        calls[i] = (block_call){n, &n->blocks[i], pass};
        x = md_run_part(tape, pass, run_block, &calls[i], x, x->dim);
    }
    md_tensor *m = modulation(tape, &n->final_modulation, pass->condition);
    md_tensor *shift = md_columns(tape, m, 0, c->dim), *scale = md_columns(tape, m, c->dim, c->dim);
    x = md_modulated_norm(tape, x, scale, shift, NORM_EPS);
    x = md_run_linear(tape, &n->final_out, x);
    return md_unpatch(tape, x, c->patch, c->shape.Y, c->shape.X);
}

static double products(const void *net) {
    const dit *n = net;
    const md_image_config *c = n->config;
    const double tokens = tokens_of(c), attention = 2 * tokens * tokens * c->dim;
    double sum = md_embedder_products(&n->embedder) + md_weight_products(n->final_modulation.w) +
                 tokens * (md_weight_products(n->patches.w) + md_weight_products(n->final_out.w));
    for (int i = 0; i < c->layers; i++) {
        const dit_block *k = &n->blocks[i];
        const double linear = md_weight_products(k->qkv.w) + md_weight_products(k->attn_out.w) +
                              md_weight_products(k->gate_up.w) + md_weight_products(k->ff_out.w);
        sum += md_weight_products(k->modulation.w) + tokens * linear + attention;
    }
    return sum;
}

const md_backbone md_backbone_dit = {.build = build, .forward = forward, .products = products};
