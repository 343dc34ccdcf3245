/* train/image_upscale.h: what a network that makes images larger is shown beside the noisy image
 * (Saharia et al. 2021; the noise: Ho et al. 2022, "Cascaded diffusion models").
 *
 *     md_upscale_given g = {.low = low, .shape = {16, 16, 3}, .factor = 2, .augment = 0.1,
 *                           .noise = {.seed = 1, .stream = MD_STREAM_AUGMENT}, .sequence = k};
 *     md_upscale_give(&g, given);                                       [32, 32, 4]
 *
 * The small image gets normal noise of deviation `augment` and is enlarged (corpora/resample.h);
 * one channel more says `augment` in every pixel. So a network learns how far to trust what it is
 * shown, and when the small image is itself a sample, a little noise hides what is wrong with it.
 *
 * Pairs to learn from are images and their means (md_shrink).
 */
#ifndef MD_TRAIN_IMAGE_UPSCALE_H
#define MD_TRAIN_IMAGE_UPSCALE_H

#include "base/rng.h"
#include "corpora/resample.h"

typedef struct md_upscale_given {
    float *low;            /* [Y, X, C]; gets the noise */
    md_images_shape shape; /* of low */
    int factor;
    double augment; /* 0: no noise */
    md_rng noise;   /* at positions from 0 */
    uint32_t sequence;
} md_upscale_given;

/* out [factor Y, factor X, C + 1]. */
void md_upscale_give(const md_upscale_given *g, float *out);

#endif
