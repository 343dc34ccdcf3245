/* sampler/image_guide.c: see image_guide.h. */
#include "sampler/image_guide.h"

#include <math.h>

#include "base/memory.h"

mdlm_status md_image_guide_init(md_image_guide *g, const md_image_denoiser *inner, double scale,
                                mdlm_error *err) {
    if (!isfinite(scale))
        return md_fail(err, MDLM_USAGE, "--guidance-scale %g: expected a number", scale);
    if (scale != 1 && inner->classes == 0)
        return md_fail(err, MDLM_USAGE,
                       "--guidance-scale %g: the model was trained without classes, so there is "
                       "nothing to guide it to",
                       scale);
    *g = (md_image_guide){.inner = inner, .scale = scale};
    return MDLM_OK;
}

void md_image_guide_release(md_image_guide *g) {
    md_free(g->out);
    *g = (md_image_guide){0};
}

static mdlm_status predict(void *context, const md_image_query *q, float *out, mdlm_error *err) {
    md_image_guide *g = context;
    const md_image_denoiser *d = g->inner;
    const size_t pixels = (size_t)q->B * (size_t)d->shape.Y * (size_t)d->shape.X;
    const size_t width = (size_t)d->outputs, C = (size_t)d->shape.C;
    const float scale = (float)g->scale;
    MD_TRY(d->predict(d->context, q, out, err));
    if (!q->label || g->scale == 1) return MDLM_OK;
    MD_TRY(md_reserve_floats(&g->out, &g->capacity, pixels * width, err));
    md_image_query free = *q;
    free.label = NULL;
    MD_TRY(d->predict(d->context, &free, g->out, err));
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = p * width; c < p * width + C; c++)
            out[c] = g->out[c] + scale * (out[c] - g->out[c]);
    return MDLM_OK;
}

md_image_denoiser md_image_guide_denoiser(md_image_guide *g) {
    md_image_denoiser guided = *g->inner;
    guided.context = g;
    guided.predict = predict;
    return guided;
}
