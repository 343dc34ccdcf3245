/* model/unet_blocks.c: see unet_blocks.h. */
#include "model/unet_blocks.h"

static const md_conv SAME = {.stride = 1, .pad = 1}; /* of side 3 */
static const md_conv POINT = {.stride = 1};          /* of side 1 */

md_res_block md_build_res_block(md_builder *b, int in, int out, int embedding) {
    md_res_block r = {.norm1 = md_build_norm(b, "norm1", in)};
    r.conv1 = md_build_conv(b, "conv1", (md_conv_size){in, out, 3}, MD_INIT_FAN_IN);
    if (embedding > 0) r.time = md_build_linear(b, "time_emb_proj", embedding, out, MD_INIT_FAN_IN);
    r.norm2 = md_build_norm(b, "norm2", out);
    r.conv2 = md_build_conv(b, "conv2", (md_conv_size){out, out, 3}, MD_INIT_ZERO);
    if (in == out) return r;
    r.shortcut = md_build_conv(b, "conv_shortcut", (md_conv_size){in, out, 1}, MD_INIT_FAN_IN);
    return r;
}

/* The bias of conv1. What an image is told is the same on all of its pixels: a bias of its own. */
static md_tensor *told_bias(md_tape *tape, const md_res_block *r, const md_image_pass *pass) {
    if (!r->time.w) return r->conv1.bias;
    md_tensor *t = md_run_linear(tape, &r->time, pass->condition);
    if (t) t = md_reshape(tape, t, 2, (int64_t[]){t->dim[0], t->dim[2]});
    return md_add_channels(tape, t, r->conv1.bias);
}

md_tensor *md_run_res_block(md_tape *tape, const md_res_block *r, const md_image_pass *pass,
                            md_tensor *x) {
    md_conv first = SAME;
    first.bias = told_bias(tape, r, pass);
    if (!first.bias) return NULL;
    md_tensor *h = md_run_conv(tape, &r->conv1, md_run_norm(tape, &r->norm1, x, true), first);
    h = md_dropout(tape, md_run_norm(tape, &r->norm2, h, true), pass->dropout);
    md_conv last = SAME;
    last.residual = r->shortcut.w ? md_run_conv(tape, &r->shortcut, x, POINT) : x;
    return last.residual ? md_run_conv(tape, &r->conv2, h, last) : NULL;
}

md_pixel_attention md_build_pixel_attention(md_builder *b, int channels) {
    md_pixel_attention a = {.norm = md_build_norm(b, "group_norm", channels)};
    a.qkv = md_build_conv(b, "qkv", (md_conv_size){channels, 3 * channels, 1}, MD_INIT_FAN_IN);
    a.out = md_build_conv(b, "to_out", (md_conv_size){channels, channels, 1}, MD_INIT_ZERO);
    return a;
}

md_tensor *md_run_pixel_attention(md_tape *tape, const md_pixel_attention *a, md_tensor *x) {
    if (!x) return NULL;
    const int64_t B = x->dim[0], pixels = x->dim[1] * x->dim[2], C = x->dim[3];
    const md_attention_shape one = {.heads = 1, .kv_heads = 1, .head_dim = (int)C};
    md_tensor *qkv = md_run_conv(tape, &a->qkv, md_run_norm(tape, &a->norm, x, false), POINT);
    qkv = md_reshape(tape, qkv, 3, (int64_t[]){B, pixels, 3 * C});
    md_tensor *y = qkv ? md_attention(tape, qkv, one) : NULL;
    md_conv out = POINT;
    out.residual = x;
    return md_run_conv(tape, &a->out, md_reshape(tape, y, 4, x->dim), out);
}

double md_res_block_products(const md_res_block *r, double pixels) {
    const double convolved = md_weight_products(r->conv1.w) + md_weight_products(r->conv2.w) +
                             md_weight_products(r->shortcut.w);
    return pixels * convolved + md_weight_products(r->time.w);
}

double md_pixel_attention_products(const md_pixel_attention *a, double pixels) {
    const double channels = (double)a->out.w->dim[0]; /* scores, and sums of values by them */
    return pixels * (md_weight_products(a->qkv.w) + md_weight_products(a->out.w)) +
           2 * pixels * pixels * channels;
}

/* A pixel is a row, so this is a choice of rows. */
md_tensor *md_crop(md_tape *tape, md_tensor *x, int Y, int X) {
    if (!x || (x->dim[1] == Y && x->dim[2] == X)) return x;
    MD_BUG_IF(Y > x->dim[1] || X > x->dim[2]);
    const int64_t B = x->dim[0], count = B * Y * X;
    int32_t *row = md_tape_alloc(tape, (size_t)count, sizeof *row), *next = row;
    if (!row) return NULL;
    for (int64_t b = 0; b < B; b++) {
        for (int64_t i = 0; i < Y; i++) {
            const int64_t first = (b * x->dim[1] + i) * x->dim[2];
            for (int64_t j = 0; j < X; j++) *next++ = (int32_t)(first + j);
        }
    }
    md_tensor *y = md_gather_rows(tape, x, row, count);
    return md_reshape(tape, y, 4, (int64_t[]){B, Y, X, x->dim[3]});
}
