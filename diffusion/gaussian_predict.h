/* diffusion/gaussian_predict.h: what a network's output says: eps, x0, v and score; clipping.
 *
 *     md_prediction_split(out, pixels, C, prediction, said);             with learned variances
 *     md_guess(&p, at, &clip, x, prediction, pixels * C, x0, eps);       what samplers want
 *
 *     md_reading how = md_prediction_read(&p, at, MD_PREDICTS_NOISE, MD_PREDICTS_SCORE);
 *     md_reading_apply(how, x, eps, count, score);
 *
 * All functions are of one image, [count] numbers, and have no state: call them from any task.
 * Each number comes out the same however an image is cut, but for the quantile of clipping.
 *
 * x = signal * x0 + noise * eps, so any two of x0, eps and x give the third, and
 *
 *     vp     v = signal * eps - noise * x0         x0 = signal * x - noise * v
 *     flow   v = x0 - eps                          x0 = x + noise * v
 *     ve     x0 = c_skip * x + c_out * v           v is the output of EDM's preconditioned network
 *     all    score = -eps / noise                  x0 = (x + noise^2 * score) / signal
 */
#ifndef MD_DIFFUSION_GAUSSIAN_PREDICT_H
#define MD_DIFFUSION_GAUSSIAN_PREDICT_H

#include "diffusion/gaussian.h"

/* x * (the noisy image) + out * (the network's output). */
typedef struct md_reading {
    double x, out;
} md_reading;

/* How an output of kind `from` is read as one of kind `to`. Where signal is 0, eps and score say
 * nothing of the image; where noise is 0, no image says anything of the noise (both: MD_BUG_IF). */
md_reading md_prediction_read(const md_gaussian *p, md_level at, md_prediction_kind from,
                              md_prediction_kind to);
/* result [count], which may be x or out. */
void md_reading_apply(md_reading how, const float *x, const float *out, int64_t count,
                      float *result);

/* out [pixels, 2C] to prediction [pixels, C] and what it says of the variance [pixels, C]. */
void md_prediction_split(const float *out, int64_t pixels, int C, float *prediction, float *said);

/* x0 is brought into the range of images: into [-1, 1]; or, dynamic thresholding (Imagen 2.3): with
 * s the `quantile` of |x0| (linear between order statistics), at least 1 and at most `most`, into
 * [-s, s], then divided by s. */
typedef struct md_clip_x0 {
    bool on;
    double quantile; /* 0: no dynamic thresholding; .995 is usual */
    double most;     /* >= 1; infinity: Imagen */
} md_clip_x0;
void md_clip_x0_apply(const md_clip_x0 *clip, float *x0, int64_t count);

/* x0, clipped, and the eps that goes with it: where something clips, eps is derived again from the
 * clipped x0, (x - signal * x0) / noise. x0, eps [count]; neither may overlap x or prediction. */
void md_guess(const md_gaussian *p, md_level at, const md_clip_x0 *clip, const float *x,
              const float *prediction, int64_t count, float *x0, float *eps);

/* EDM, table 1: D(x, sigma) = skip * x + out * F(in * x, noise). sigma_data is that of the images:
 * 1/2. */
typedef struct md_edm {
    double skip, out, in, noise;
} md_edm;
md_edm md_edm_scales(double sigma, double sigma_data);
#define MD_EDM_SIGMA_DATA 0.5

#endif
