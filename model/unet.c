/* model/unet.c: the U-Net: levels of residual blocks on the way down, the middle, and the way up.
 * See image_model.h. */
#include <string.h>

#include "base/memory.h"
#include "model/unet_blocks.h"

/* What the way down leaves, one skip each, and what the way up takes, one skip each. */
typedef struct unit {
    int Y, X, C; /* of the result */
    bool has_res, attends, up;
    md_res_block res; /* way down: not of a change of size */
    md_pixel_attention attention;
    md_conv_layer resample; /* stride 2, or after `up` of the last unit of a level */
} unit;

typedef struct unet {
    const md_image_config *config;
    md_embedder embedder;
    md_conv_layer in, out;
    md_norm_layer out_norm;
    md_res_block middle[2];
    md_pixel_attention middle_attention;
    int units; /* each way: what the way down leaves beside conv_in is one less than the way up
                  takes */
    unit *down, *up;
} unet;

static int half(int size) {
    return (size + 1) / 2;
}

/* The size of a level. */
static md_image_shape shape_at(const md_image_config *c, int level) {
    md_image_shape s = c->shape;
    for (int l = 0; l < level; l++) s.Y = half(s.Y), s.X = half(s.X);
    s.C = c->base * c->mults.item[level];
    return s;
}

static bool attends_at(const md_image_config *c, md_image_shape s) {
    const int side = s.Y > s.X ? s.Y : s.X;
    for (int i = 0; i < c->attn.count; i++)
        if (c->attn.item[i] == side) return true;
    return false;
}

static md_conv_layer build_resample(md_builder *b, int channels) {
    return md_build_conv(b, "conv", (md_conv_size){channels, channels, 3}, MD_INIT_FAN_IN);
}

/* A residual block and, at some sizes, attention: number `index` of block `block` of a way. */
static unit build_unit(const md_image_config *c, md_builder *b, const char *way, int block,
                       int index, md_image_shape s, int in) {
    unit u = {.Y = s.Y, .X = s.X, .C = s.C, .has_res = true, .attends = attends_at(c, s)};
    md_builder_scope(b, "%s_blocks.%d.resnets.%d", way, block, index);
    u.res = md_build_res_block(b, in, s.C, 4 * c->base);
    md_builder_scope(b, "%s_blocks.%d.attentions.%d", way, block, index);
    if (u.attends) u.attention = md_build_pixel_attention(b, s.C);
    return u;
}

static void build_down(unet *n, md_builder *b) {
    const md_image_config *c = n->config;
    int channels = c->base;
    unit *u = n->down;
    for (int l = 0; l < c->mults.count; l++) {
        const md_image_shape s = shape_at(c, l);
        for (int j = 0; j < c->res_blocks; j++, channels = s.C)
            *u++ = build_unit(c, b, "down", l, j, s, channels);
        if (l + 1 == c->mults.count) break;
        md_builder_scope(b, "down_blocks.%d.downsamplers.0", l);
        *u++ = (unit){half(s.Y), half(s.X), s.C, .resample = build_resample(b, s.C)};
    }
}

static void build_middle(unet *n, md_builder *b) {
    const md_image_config *c = n->config;
    const int channels = shape_at(c, c->mults.count - 1).C;
    for (int i = 0; i < 2; i++) {
        md_builder_scope(b, "mid_block.resnets.%d", i);
        n->middle[i] = md_build_res_block(b, channels, channels, 4 * c->base);
    }
    md_builder_scope(b, "mid_block.attentions.0");
    n->middle_attention = md_build_pixel_attention(b, channels);
}

/* Channels of skip `i`: 0 is conv_in's. */
static int skip_channels(const unet *n, int i) {
    return i ? n->down[i - 1].C : n->config->base;
}

static void build_up(unet *n, md_builder *b) {
    const md_image_config *c = n->config;
    const int levels = c->mults.count;
    int channels = shape_at(c, levels - 1).C, skip = n->units;
    unit *u = n->up;
    for (int l = levels - 1; l >= 0; l--) {
        const md_image_shape s = shape_at(c, l);
        for (int j = 0; j <= c->res_blocks; j++, channels = s.C) {
            const int in = channels + skip_channels(n, --skip);
            *u++ = build_unit(c, b, "up", levels - 1 - l, j, s, in);
        }
        if (l == 0) break;
        const md_image_shape above = shape_at(c, l - 1);
        md_builder_scope(b, "up_blocks.%d.upsamplers.0", levels - 1 - l);
        u[-1].up = true;
        u[-1].Y = above.Y;
        u[-1].X = above.X;
        u[-1].resample = build_resample(b, s.C);
    }
}

static void *build(const md_image_config *c, md_builder *b, mdlm_error *err) {
    const int units = c->mults.count * (c->res_blocks + 1);
    unet *n = md_alloc(1, sizeof *n + 2 * (size_t)units * sizeof *n->down, err);
    if (!n) return NULL;
    n->config = c;
    n->units = units;
    n->down = (unit *)(n + 1);
    n->up = n->down + units;
    n->embedder = md_build_embedder(b, c->base, 4 * c->base, c->classes);
    md_builder_scope(b, "%s", "");
    b->edge = true;
    n->in = md_build_conv(b, "conv_in", (md_conv_size){c->shape.C, c->base, 3}, MD_INIT_FAN_IN);
    b->edge = false;
    build_down(n, b);
    build_middle(n, b);
    build_up(n, b);
    md_builder_scope(b, "%s", "");
    n->out_norm = md_build_norm(b, "conv_norm_out", n->up[units - 1].C);
    const md_conv_size last = {n->up[units - 1].C, md_image_config_outputs(c), 3};
    b->edge = true;
    n->out = md_build_conv(b, "conv_out", last, MD_INIT_ZERO);
    return n;
}

/* --- running ---------------------------------------------------------------------------------- */

static const md_conv SAME = {.stride = 1, .pad = 1};
static const md_conv HALVE = {.stride = 2, .pad = 1};
static const md_conv DOUBLE = {.stride = 1, .pad = 1, .upsample = true};

/* One unit in one pass. */
typedef struct unit_call {
    const unit *unit;
    const md_image_pass *pass;
    md_tensor *skip; /* NULL on the way down */
} unit_call;

static md_tensor *run_unit(const void *context, md_tape *tape, md_tensor *x) {
    const unit_call *call = context;
    const unit *u = call->unit;
    if (!u->has_res) return md_run_conv(tape, &u->resample, x, HALVE);
    if (call->skip) x = md_concat(tape, x, call->skip);
    x = md_run_res_block(tape, &u->res, call->pass, x);
    if (u->attends) x = md_run_pixel_attention(tape, &u->attention, x);
    if (!u->up) return x;
    return md_crop(tape, md_run_conv(tape, &u->resample, x, DOUBLE), u->Y, u->X);
}

typedef struct middle_call {
    const unet *net;
    const md_image_pass *pass;
} middle_call;

static md_tensor *run_middle(const void *context, md_tape *tape, md_tensor *x) {
    const middle_call *call = context;
    const unet *n = call->net;
    x = md_run_res_block(tape, &n->middle[0], call->pass, x);
    x = md_run_pixel_attention(tape, &n->middle_attention, x);
    return md_run_res_block(tape, &n->middle[1], call->pass, x);
}

static md_tensor *run_way(md_tape *tape, const unit_call *call, md_tensor *x) {
    if (!x) return NULL;
    const unit *u = call->unit;
    return md_run_part(tape, call->pass, run_unit, call, x,
                       (int64_t[]){x->dim[0], u->Y, u->X, u->C});
}

static md_tensor *forward(const void *net, md_tape *tape, md_tensor *x,
                          const md_image_condition *given, const md_image_pass *options) {
    const unet *n = net;
    md_tensor **skip = md_tape_alloc(tape, (size_t)n->units, sizeof *skip);
    unit_call *calls = md_tape_alloc(tape, 2 * (size_t)n->units, sizeof *calls);
    md_image_pass *pass = md_tape_alloc(tape, 1, sizeof *pass);
    middle_call *middle = md_tape_alloc(tape, 1, sizeof *middle);
    if (!skip || !calls || !pass || !middle) return NULL;
    *pass = *options;
    *middle = (middle_call){n, pass};
    pass->condition = md_run_embedder(tape, &n->embedder, given);
    x = md_run_conv(tape, &n->in, x, SAME);
    int left = 0;
    skip[left++] = x;
    for (int i = 0; i + 1 < n->units; i++, calls++) {
        *calls = (unit_call){&n->down[i], pass, NULL};
        skip[left++] = x = run_way(tape, calls, x);
    }
    if (!x) return NULL;
    x = md_run_part(tape, pass, run_middle, middle, x, x->dim);
    for (int i = 0; i < n->units; i++, calls++) {
        *calls = (unit_call){&n->up[i], pass, skip[--left]};
        x = run_way(tape, calls, x);
    }
    return md_run_conv(tape, &n->out, md_run_norm(tape, &n->out_norm, x, true), SAME);
}

/* --- arithmetic ------------------------------------------------------------------------------- */

static double unit_products(const unit *u) {
    const double result = (double)u->Y * u->X, resampled = md_weight_products(u->resample.w);
    if (!u->has_res) return result * resampled;
    const double pixels = u->up ? (double)half(u->Y) * half(u->X) : result;
    const double attention = u->attends ? md_pixel_attention_products(&u->attention, pixels) : 0;
    return md_res_block_products(&u->res, pixels) + attention + (u->up ? result * resampled : 0);
}

static double products(const void *net) {
    const unet *n = net;
    const md_image_shape all = n->config->shape;
    const md_image_shape least = shape_at(n->config, n->config->mults.count - 1);
    const double ends = md_weight_products(n->in.w) + md_weight_products(n->out.w);
    const double middle = (double)least.Y * least.X;
    double sum = md_embedder_products(&n->embedder) + (double)all.Y * all.X * ends +
                 md_pixel_attention_products(&n->middle_attention, middle);
    for (int i = 0; i < 2; i++) sum += md_res_block_products(&n->middle[i], middle);
    for (int i = 0; i + 1 < n->units; i++) sum += unit_products(&n->down[i]);
    for (int i = 0; i < n->units; i++) sum += unit_products(&n->up[i]);
    return sum;
}

const md_backbone md_backbone_unet = {.build = build, .forward = forward, .products = products};
