/* model/unet_way.c: see unet_way.h. */
#include "model/unet_way.h"

static int half(int size) {
    return (size + 1) / 2;
}

md_image_shape md_unet_level(const md_image_config *c, int level) {
    md_image_shape s = c->shape;
    for (int l = 0; l < level; l++) s.Y = half(s.Y), s.X = half(s.X);
    s.C = c->base * c->mults.item[level];
    return s;
}

static md_image_shape least_level(const md_image_config *c) {
    return md_unet_level(c, c->mults.count - 1);
}

int md_unet_units(const md_image_config *c) {
    return c->mults.count * (c->res_blocks + 1) - 1;
}

static bool attends_at(const md_image_config *c, md_image_shape s) {
    const int side = s.Y > s.X ? s.Y : s.X;
    for (int i = 0; i < c->attn.count; i++)
        if (c->attn.item[i] == side) return true;
    return false;
}

/* --- declaring -------------------------------------------------------------------------------- */

md_conv_layer md_build_resample(md_builder *b, int channels) {
    return md_build_conv(b, "conv", (md_conv_size){channels, channels, 3}, MD_INIT_FAN_IN);
}

md_unet_unit md_build_unet_unit(const md_image_config *c, md_builder *b, md_unet_place at,
                                int embedding) {
    const md_image_shape s = at.shape;
    md_unet_unit u = {.Y = s.Y, .X = s.X, .C = s.C, .has_res = true, .attends = attends_at(c, s)};
    md_builder_scope(b, "%s_blocks.%d.resnets.%d", at.way, at.block, at.index);
    u.res = md_build_res_block(b, at.in, s.C, embedding);
    md_builder_scope(b, "%s_blocks.%d.attentions.%d", at.way, at.block, at.index);
    if (u.attends) u.attention = md_build_pixel_attention(b, s.C);
    return u;
}

static void build_down(md_unet_way *w, md_builder *b, int embedding) {
    const md_image_config *c = w->config;
    int channels = c->base;
    md_unet_unit *u = w->down;
    for (int l = 0; l < c->mults.count; l++) {
        const md_image_shape s = md_unet_level(c, l);
        for (int j = 0; j < c->res_blocks; j++, channels = s.C) {
            const md_unet_place at = {"down", l, j, s, channels};
            *u++ = md_build_unet_unit(c, b, at, embedding);
        }
        if (l + 1 == c->mults.count) break;
        md_builder_scope(b, "down_blocks.%d.downsamplers.0", l);
        *u++ = (md_unet_unit){half(s.Y), half(s.X), s.C, .resample = md_build_resample(b, s.C)};
    }
}

static void build_middle(md_unet_way *w, md_builder *b, int embedding) {
    const int channels = least_level(w->config).C;
    for (int i = 0; i < 2; i++) {
        md_builder_scope(b, "mid_block.resnets.%d", i);
        w->middle[i] = md_build_res_block(b, channels, channels, embedding);
    }
    md_builder_scope(b, "mid_block.attentions.0");
    w->middle_attention = md_build_pixel_attention(b, channels);
}

void md_build_unet_way(md_unet_way *w, md_builder *b, int embedding) {
    const md_image_config *c = w->config;
    w->units = md_unet_units(c);
    md_builder_scope(b, "%s", "");
    b->edge = true;
    const md_conv_size first = {c->shape.C + md_image_config_given(c), c->base, 3};
    w->in = md_build_conv(b, "conv_in", first, MD_INIT_FAN_IN);
    b->edge = false;
    build_down(w, b, embedding);
    build_middle(w, b, embedding);
}

/* --- running ---------------------------------------------------------------------------------- */

static const md_conv SAME = {.stride = 1, .pad = 1};
static const md_conv HALVE = {.stride = 2, .pad = 1};
static const md_conv DOUBLE = {.stride = 1, .pad = 1, .upsample = true};

/* One unit in one pass. */
typedef struct unit_call {
    const md_unet_unit *unit;
    const md_image_pass *pass;
    md_tensor *skip; /* NULL on the way down */
} unit_call;

static md_tensor *run_unit(const void *context, md_tape *tape, md_tensor *x) {
    const unit_call *call = context;
    const md_unet_unit *u = call->unit;
    if (!u->has_res) return md_run_conv(tape, &u->resample, x, HALVE);
    if (call->skip) x = md_concat(tape, x, call->skip);
    x = md_run_res_block(tape, &u->res, call->pass, x);
    if (u->attends) x = md_run_pixel_attention(tape, &u->attention, x);
    if (!u->up) return x;
    return md_crop(tape, md_run_conv(tape, &u->resample, x, DOUBLE), u->Y, u->X);
}

md_tensor *md_run_unet_unit(md_tape *tape, const md_unet_unit *u, const md_image_pass *pass,
                            md_tensor *x, md_tensor *skip) {
    unit_call *call = x ? md_tape_alloc(tape, 1, sizeof *call) : NULL;
    if (!call) return NULL;
    *call = (unit_call){u, pass, skip};
    return md_run_part(tape, pass, run_unit, call, x, (int64_t[]){x->dim[0], u->Y, u->X, u->C});
}

typedef struct middle_call {
    const md_unet_way *way;
    const md_image_pass *pass;
} middle_call;

static md_tensor *run_middle(const void *context, md_tape *tape, md_tensor *x) {
    const middle_call *call = context;
    const md_unet_way *w = call->way;
    x = md_run_res_block(tape, &w->middle[0], call->pass, x);
    x = md_run_pixel_attention(tape, &w->middle_attention, x);
    return md_run_res_block(tape, &w->middle[1], call->pass, x);
}

md_tensor *md_run_unet_way(md_tape *tape, const md_unet_way *w, const md_image_pass *pass,
                           md_tensor *x, md_tensor **skip) {
    middle_call *middle = md_tape_alloc(tape, 1, sizeof *middle);
    if (!middle) return NULL;
    *middle = (middle_call){w, pass};
    *skip++ = x = md_run_conv(tape, &w->in, x, SAME);
    for (int i = 0; i < w->units; i++)
        *skip++ = x = md_run_unet_unit(tape, &w->down[i], pass, x, NULL);
    return x ? md_run_part(tape, pass, run_middle, middle, x, x->dim) : NULL;
}

/* --- arithmetic ------------------------------------------------------------------------------- */

double md_unet_unit_products(const md_unet_unit *u) {
    const double result = (double)u->Y * u->X, resampled = md_weight_products(u->resample.w);
    if (!u->has_res) return result * resampled;
    const double pixels = u->up ? (double)half(u->Y) * half(u->X) : result;
    const double attention = u->attends ? md_pixel_attention_products(&u->attention, pixels) : 0;
    return md_res_block_products(&u->res, pixels) + attention + (u->up ? result * resampled : 0);
}

double md_unet_way_products(const md_unet_way *w) {
    const md_image_shape all = w->config->shape, least = least_level(w->config);
    const double middle = (double)least.Y * least.X;
    double sum = (double)all.Y * all.X * md_weight_products(w->in.w) +
                 md_pixel_attention_products(&w->middle_attention, middle);
    for (int i = 0; i < 2; i++) sum += md_res_block_products(&w->middle[i], middle);
    for (int i = 0; i < w->units; i++) sum += md_unet_unit_products(&w->down[i]);
    return sum;
}
