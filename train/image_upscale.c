/* train/image_upscale.c: see image_upscale.h. */
#include "train/image_upscale.h"

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
