/* sampler/image_steer.c: see image_steer.h. */
#include "sampler/image_steer.h"

#include <math.h>

#include "base/memory.h"
#include "diffusion/gaussian_predict.h"

mdlm_status md_image_steer_init(md_image_steer *steer, const md_image_denoiser *inner,
                                const md_image_classifier *classifier, const md_gaussian *process,
                                double scale, mdlm_error *err) {
    const md_image_shape s = inner->shape, c = classifier->shape;
    if (!isfinite(scale))
        return md_fail(err, MDLM_USAGE, "--classifier-scale %g: expected a number", scale);
    if (c.Y != s.Y || c.X != s.X || c.C != s.C)
        return md_fail(err, MDLM_USAGE,
                       "the classifier is of images %dx%d of %d channels: expected %dx%d of %d, as "
                       "the model makes",
                       c.X, c.Y, c.C, s.X, s.Y, s.C);
    if (!classifier->noisy)
        return md_fail(err, MDLM_USAGE,
                       "the classifier has learned from clean images: expected one of noisy "
                       "images, as `mdlm image-train --task classify --noisy` makes");
    if (inner->classes > 0 && inner->classes != classifier->classes)
        return md_fail(err, MDLM_USAGE,
                       "the classifier knows %d classes: expected %d, as the model",
                       classifier->classes, inner->classes);
    *steer = (md_image_steer){
        .inner = inner, .classifier = classifier, .process = process, .scale = scale};
    return MDLM_OK;
}

void md_image_steer_release(md_image_steer *steer) {
    md_free(steer->gradient);
    *steer = (md_image_steer){0};
}

/* What a prediction changes by for each unit of the gradient by the network's input. */
static float factor_of(const md_image_steer *s, double time) {
    const md_gaussian *p = s->process;
    const md_level at = md_gaussian_level_told(p, time);
    if (at.signal <= 0) return 0;
    const md_reading image = md_prediction_read(p, at, p->opt.prediction, MD_PREDICTS_IMAGE);
    const double by_image = at.noise * at.noise / at.signal / image.out;
    return (float)(s->scale * by_image * md_gaussian_input(p, at));
}

static bool any_label(const md_image_query *q) {
    for (int b = 0; q->label && b < q->B; b++)
        if (q->label[b] >= 0) return true;
    return false;
}

static mdlm_status predict(void *context, const md_image_query *q, float *out, mdlm_error *err) {
    md_image_steer *s = context;
    const md_image_denoiser *d = s->inner;
    const size_t pixels = (size_t)d->shape.Y * (size_t)d->shape.X;
    const size_t C = (size_t)d->shape.C, width = (size_t)d->outputs;
    md_image_query own = *q;
    if (d->classes == 0) own.label = NULL;
    MD_TRY(d->predict(d->context, &own, out, err));
    if (s->scale == 0 || !any_label(q)) return MDLM_OK;
    MD_TRY(md_reserve_floats(&s->gradient, &s->capacity, (size_t)q->B * pixels * C, err));
    const md_image_verdict wanted = {.gradient = s->gradient};
    MD_TRY(s->classifier->classify(s->classifier->context, q, &wanted, err));
    for (size_t b = 0; b < (size_t)q->B; b++) {
        const float factor = q->label[b] < 0 ? 0 : factor_of(s, q->time[b]);
        if (factor == 0) continue;
        for (size_t p = b * pixels; p < (b + 1) * pixels; p++)
            for (size_t c = 0; c < C; c++) out[p * width + c] += factor * s->gradient[p * C + c];
    }
    return MDLM_OK;
}

md_image_denoiser md_image_steer_denoiser(md_image_steer *s) {
    md_image_denoiser steered = *s->inner;
    steered.context = s;
    steered.classes = s->classifier->classes;
    steered.predict = predict;
    return steered;
}
