/* train/image_upscale.c: see image_upscale.h. */
#include "train/image_upscale.h"

md_upscale_given md_upscale_of(const md_image_config *c) {
    return (md_upscale_given){.shape = {c->shape.Y / c->factor, c->shape.X / c->factor, c->shape.C},
                              .factor = c->factor};
}

void md_upscale_give(const md_upscale_given *g, float *out) {
    const size_t C = (size_t)g->shape.C, low = (size_t)g->shape.Y * (size_t)g->shape.X;
    const size_t high = low * (size_t)g->factor * (size_t)g->factor;
    for (size_t i = 0; g->augment > 0 && i < low * C; i++)
        g->low[i] += (float)(g->augment * md_normal(g->noise, g->sequence, (uint32_t)i));
    md_enlarge(g->low, g->shape, g->factor, out);
    for (size_t i = high; i-- > 0;) { /* from the last pixel on, as each moves away */
        out[i * (C + 1) + C] = (float)g->augment;
        for (size_t c = C; c-- > 0;) out[i * (C + 1) + c] = out[i * C + c];
    }
}

void md_upscale_give_shrunk(const md_upscale_given *g, const float *image, float *out) {
    const md_images_shape high = {g->shape.Y * g->factor, g->shape.X * g->factor, g->shape.C};
    md_shrink(image, high, g->factor, g->low);
    md_upscale_give(g, out);
}
