/* model/encoder.c: the encoder: the way down of a U-Net and its middle, a norm, then the mean over
 * pixels, from which one linear map says the class. See image_model.h. */
#include "base/memory.h"
#include "model/unet_way.h"

typedef struct encoder {
    const md_image_config *config;
    md_embedder embedder; /* noisy; else no layer asks for a condition */
    md_unet_way way;
    md_tensor *gain; /* of the last norm */
    md_linear_layer head;
} encoder;

static void *build(const md_image_config *c, md_builder *b, mdlm_error *err) {
    const int embedding = c->noisy ? 4 * c->base : 0;
    const int features = md_unet_level(c, c->mults.count - 1).C;
    encoder *n = md_alloc(1, sizeof *n + (size_t)md_unet_units(c) * sizeof *n->way.down, err);
    if (!n) return NULL;
    n->config = c;
    n->way = (md_unet_way){.config = c, .down = (md_unet_unit *)(n + 1)};
    if (c->noisy) n->embedder = md_build_embedder(b, c->base, embedding, 0);
    md_build_unet_way(&n->way, b, embedding);
    md_builder_scope(b, "%s", "");
    n->gain = md_build_gain(b, "norm_out", features);
    b->edge = true;
    n->head = md_build_linear_plain(b, "head", features, c->classes, MD_INIT_FAN_IN);
    return n;
}

static md_tensor *forward(const void *net, md_tape *tape, md_tensor *x,
                          const md_image_condition *given, const md_image_pass *options) {
    const encoder *n = net;
    md_tensor **skip = md_tape_alloc(tape, (size_t)n->way.units + 1, sizeof *skip);
    md_image_pass *pass = md_tape_alloc(tape, 1, sizeof *pass);
    if (!skip || !pass) return NULL;
    *pass = *options;
    if (n->config->noisy) pass->condition = md_run_embedder(tape, &n->embedder, given);
    x = md_run_unet_way(tape, &n->way, pass, x, skip);
    /* Without a norm all channels may drift to where SiLU is 0, and nothing is learned any more. A
     * GroupNorm, as a U-Net has it, would take away means that tell the class. */
    return md_mean_pixels(tape, md_silu(tape, md_rms_norm(tape, x, n->gain, 1e-5)));
}

static double products(const void *net) {
    const encoder *n = net;
    return md_embedder_products(&n->embedder) + md_unet_way_products(&n->way) +
           md_weight_products(n->head.w);
}

static md_tensor *head(const void *net) {
    return ((const encoder *)net)->head.w;
}

const md_backbone md_backbone_encoder = {
    .build = build, .forward = forward, .products = products, .head = head};
