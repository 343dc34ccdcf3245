/* diffusion/gaussian.h: Gaussian diffusion: noise levels, the kernel, the posterior, conversions
 * between predictions.
 *
 *     md_gaussian p;
 *     MD_TRY(md_gaussian_init(&p, &(md_gaussian_options){.timesteps = 1000, ...}, err));
 *     md_level at = md_gaussian_level(&p, i);           x_t = at.signal * x0 + at.noise * eps
 *     md_prediction how = md_gaussian_convert(...);
 *     md_gaussian_release(&p);
 *
 * A level is a pair: how much of the image and how much of the noise there is. Variance-preserving
 * chains (DDPM), variance-exploding ones and straight flows differ in their pairs alone; the rules
 * in sampler/ see levels and nothing else.
 *
 *     process   signal          noise            time told to the network
 *     vp        sqrt(abar_i)    sqrt(1-abar_i)   i, 0 .. T-1                    (DDPM eq. 4)
 *     ve        1               sigma            ln(sigma) / 4                  (EDM, table 1)
 *     flow      t               1 - t            1000 (1 - t)                   (arXiv 2511.13720)
 */
#ifndef MD_DIFFUSION_GAUSSIAN_H
#define MD_DIFFUSION_GAUSSIAN_H

#include "base/error.h"
#include "base/rng.h"

typedef enum md_process_kind { MD_PROCESS_VP, MD_PROCESS_VE, MD_PROCESS_FLOW } md_process_kind;
typedef enum md_beta_schedule {
    MD_BETA_LINEAR, /* linspace(.1/T, 20/T) */
    MD_BETA_COSINE,
    MD_BETA_SCALED_LINEAR,
    MD_BETA_SIGMOID,
    MD_BETA_LEARNED, /* a monotone log-SNR that training moves (VDM) */
} md_beta_schedule;
/* What the network's output says: eps, x0, or v = signal * eps - noise * x0 (vp), and with flow
 * v = x0 - eps. */
typedef enum md_prediction_kind {
    MD_PREDICTS_NOISE,
    MD_PREDICTS_IMAGE,
    MD_PREDICTS_VELOCITY
} md_prediction_kind;
typedef enum md_variance_kind {
    MD_VARIANCE_SMALL, /* beta~ */
    MD_VARIANCE_LARGE, /* beta */
    MD_VARIANCE_LEARNED,
} md_variance_kind;

typedef struct md_level {
    double signal, noise;
    double time; /* what the network is told */
} md_level;

/* The options table of the command line fills it; see train/image_settings.h. */
typedef struct md_gaussian_options {
    md_process_kind process;
    md_beta_schedule schedule;
    int timesteps; /* T */
    bool zero_snr;
    md_prediction_kind prediction;
    md_variance_kind variance;
} md_gaussian_options;

#endif
