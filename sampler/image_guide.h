/* sampler/image_guide.h: classifier-free guidance, as a denoiser around another (Ho & Salimans
 * 2022).
 *
 *     out = out_u + scale * (out_c - out_u)
 *
 * out_c is what the network predicts of the images with their labels, out_u without. Scale 1 is the
 * plain conditional model and costs one evaluation (others two, which the sampler counts as one), 0
 * forgets the labels; the paper's w, and what some programs call the scale, is scale - 1. At one
 * noisy image eps, x0, v and score are each a line through the others, so it does not matter which
 * of them the network predicts. What it says of the variance is said with the label. Images without
 * a label (-1) are not guided.
 *
 *     md_image_guide guide;
 *     MD_TRY(md_image_guide_init(&guide, &denoiser, 3.0, err));
 *     md_image_denoiser guided = md_image_guide_denoiser(&guide);      valid as long as guide
 *     md_image_guide_release(&guide);
 *
 * Other guidance (by a classifier's gradient, say) is a denoiser of the same kind, and they nest.
 */
#ifndef MD_SAMPLER_IMAGE_GUIDE_H
#define MD_SAMPLER_IMAGE_GUIDE_H

#include "tensor/denoiser.h"

typedef struct md_image_guide {
    const md_image_denoiser *inner;
    double scale;
    float *out;      /* out_u, grown as calls need it */
    size_t capacity; /* numbers in it */
} md_image_guide;

/* The inner denoiser must outlive the guide. MDLM_USAGE: a scale that is not finite; another than 1
 * for a model without classes. */
mdlm_status md_image_guide_init(md_image_guide *guide, const md_image_denoiser *inner, double scale,
                                mdlm_error *err);
void md_image_guide_release(md_image_guide *guide); /* accepts an empty struct */
md_image_denoiser md_image_guide_denoiser(md_image_guide *guide);

#endif
