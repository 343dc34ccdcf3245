/* model/unet.c: the U-Net: levels of residual blocks on the way down, the middle, and the way up.
 * See image_model.h. */
#include "base/memory.h"
#include "model/unet_way.h"

typedef struct unet {
    const md_image_config *config;
    md_embedder embedder;
    md_unet_way way; /* down, and the middle; it leaves as many skips as the way up takes */
    int units;       /* on the way up */
    md_unet_unit *up;
    md_norm_layer out_norm;
    md_conv_layer out;
} unet;

/* Channels of skip `i`: 0 is conv_in's. */
static int skip_channels(const unet *n, int i) {
    return i ? n->way.down[i - 1].C : n->config->base;
}

static void build_up(unet *n, md_builder *b) {
    const md_image_config *c = n->config;
    const int levels = c->mults.count;
    int channels = md_unet_level(c, levels - 1).C, skip = n->units;
    md_unet_unit *u = n->up;
    for (int l = levels - 1; l >= 0; l--) {
        const md_image_shape s = md_unet_level(c, l);
        for (int j = 0; j <= c->res_blocks; j++, channels = s.C) {
            const int in = channels + skip_channels(n, --skip);
            const md_unet_place at = {"up", levels - 1 - l, j, s, in};
            *u++ = md_build_unet_unit(c, b, at, 4 * c->base);
        }
        if (l == 0) break;
        const md_image_shape above = md_unet_level(c, l - 1);
        md_builder_scope(b, "up_blocks.%d.upsamplers.0", levels - 1 - l);
        u[-1].up = true;
        u[-1].Y = above.Y;
        u[-1].X = above.X;
        u[-1].resample = md_build_resample(b, s.C);
    }
}

static void *build(const md_image_config *c, md_builder *b, mdlm_error *err) {
    const int units = md_unet_units(c) + 1;
    unet *n = md_alloc(1, sizeof *n + (2 * (size_t)units - 1) * sizeof *n->up, err);
    if (!n) return NULL;
    n->config = c;
    n->units = units;
    n->up = (md_unet_unit *)(n + 1);
    n->way = (md_unet_way){.config = c, .down = n->up + units};
    n->embedder = md_build_embedder(b, c->base, 4 * c->base, c->classes);
    md_build_unet_way(&n->way, b, 4 * c->base);
    build_up(n, b);
    md_builder_scope(b, "%s", "");
    n->out_norm = md_build_norm(b, "conv_norm_out", n->up[units - 1].C);
    const md_conv_size last = {n->up[units - 1].C, md_image_config_outputs(c), 3};
    b->edge = true;
    n->out = md_build_conv(b, "conv_out", last, MD_INIT_ZERO);
    return n;
}

static md_tensor *forward(const void *net, md_tape *tape, md_tensor *x,
                          const md_image_condition *given, const md_image_pass *options) {
    static const md_conv SAME = {.stride = 1, .pad = 1};
    const unet *n = net;
    md_tensor **skip = md_tape_alloc(tape, (size_t)n->units, sizeof *skip);
    md_image_pass *pass = md_tape_alloc(tape, 1, sizeof *pass);
    if (!skip || !pass) return NULL;
    *pass = *options;
    pass->condition = md_run_embedder(tape, &n->embedder, given);
    x = md_run_unet_way(tape, &n->way, pass, x, skip);
    for (int i = 0; i < n->units; i++)
        x = md_run_unet_unit(tape, &n->up[i], pass, x, skip[n->units - 1 - i]);
    return md_run_conv(tape, &n->out, md_run_norm(tape, &n->out_norm, x, true), SAME);
}

static double products(const void *net) {
    const unet *n = net;
    const md_image_shape all = n->config->shape;
    double sum = md_embedder_products(&n->embedder) + md_unet_way_products(&n->way) +
                 (double)all.Y * all.X * md_weight_products(n->out.w);
    for (int i = 0; i < n->units; i++) sum += md_unet_unit_products(&n->up[i]);
    return sum;
}

const md_backbone md_backbone_unet = {.build = build, .forward = forward, .products = products};
