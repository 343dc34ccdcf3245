/* corpora/resample.h: images of a model's numbers made smaller, and larger again: pairs to learn
 * super-resolution from, and what it has to beat.
 *
 *     md_shrink(x, (md_images_shape){32, 32, 3}, 2, low);                  [16, 16, 3]
 *     md_enlarge(low, (md_images_shape){16, 16, 3}, 2, again);             [32, 32, 3]
 *
 * Sides of enlarged images are `factor` times as long; one image is [Y, X, C], C fastest.
 */
#ifndef MD_CORPORA_RESAMPLE_H
#define MD_CORPORA_RESAMPLE_H

#include "corpora/images.h"

/* Each new pixel is the mean of the factor x factor pixels it covers. Both sides of `shape` (of x)
 * are multiples of the factor: MD_BUG_IF. */
void md_shrink(const float *x, md_images_shape shape, int factor, float *out);

/* Bicubic interpolation (Keys 1981, a = -1/2, as Pillow has it) between the centres of the pixels;
 * at the borders the weights that fall outside are left out. Numbers may leave the range of those
 * of x a little: they are not clipped. `shape` is that of x. */
void md_enlarge(const float *x, md_images_shape shape, int factor, float *out);

/* Peak signal-to-noise ratio in decibels of images with values in [-1, 1], x clipped to that:
 * 10 log10 (4 / mean squared error), at most 100. */
double md_psnr(const float *x, const float *truth, size_t count);

#endif
