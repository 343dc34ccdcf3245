/* train/image_upscale.h: what a network that makes images larger is shown beside the noisy image
 * (Saharia et al. 2021; the noise: Ho et al. 2022, "Cascaded diffusion models").
 *
 *     md_upscale_given g = md_upscale_of(&config);                      16x16 to 32x32, say
 *     g.low = low;
 *     g.augment = 0.1, g.noise = (md_rng){.seed = 1, .stream = MD_STREAM_AUGMENT}, g.sequence = k;
 *     md_upscale_give(&g, given);                                       [32, 32, 4]
 *
 * The small image gets normal noise of deviation `augment` and is enlarged (corpora/resample.h);
 * one channel more says `augment` in every pixel. So a network learns how far to trust what it is
 * shown, and when the small image is itself a sample, a little noise hides what is wrong with it.
 *
 * Pairs to learn from, and to be judged by, are images and their means (md_shrink).
 */
#ifndef MD_TRAIN_IMAGE_UPSCALE_H
#define MD_TRAIN_IMAGE_UPSCALE_H

#include "base/rng.h"
#include "corpora/resample.h"
#include "model/image_config.h"

typedef struct md_upscale_given {
    float *low;            /* [Y, X, C]; gets the noise */
    md_images_shape shape; /* of low */
    int factor;
    double augment; /* 0: no noise */
    md_rng noise;   /* at positions from 0 */
    uint32_t sequence;
} md_upscale_given;

/* Shape and factor of a network that makes images larger; the rest is 0, for the caller to set. */
md_upscale_given md_upscale_of(const md_image_config *config);

/* out [factor Y, factor X, C + 1]. */
void md_upscale_give(const md_upscale_given *g, float *out);
/* The same of an image [factor Y, factor X, C] that is made small first, into g->low, which may be
 * the image itself. */
void md_upscale_give_shrunk(const md_upscale_given *g, const float *image, float *out);

#endif
