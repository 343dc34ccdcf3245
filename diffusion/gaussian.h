/* diffusion/gaussian.h: Gaussian diffusion: noise levels, and how to go from one to another.
 *
 *     md_gaussian p = {0};
 *     md_gaussian_options opt = {.schedule = MD_BETA_COSINE, .timesteps = 1000};
 *     MD_TRY(md_gaussian_init(&p, &opt, err));
 *     md_level t = md_gaussian_level(&p, 499), s = md_gaussian_level(&p, 498);
 *     md_transition back = md_gaussian_transition(&p, t, s);
 *     x_t = t.signal * x0 + t.noise * eps
 *     x_s = back.image * x0 + back.noisy * x_t + sqrt(back.small) * z
 *     md_gaussian_release(&p);
 *
 * A level is a pair: how much of the image and how much of the noise there is. Variance-preserving
 * chains (DDPM), variance-exploding ones and straight flows differ in their pairs alone; the rules
 * in sampler/ see levels and nothing else.
 *
 *     process   signal          noise            time told to the network
 *     vp        sqrt(abar_i)    sqrt(1-abar_i)   i, 0 .. T-1                    (DDPM eq. 4)
 *     ve        1               sigma_i          ln(sigma) / 4                  (EDM, table 1)
 *     flow      t = 1-noise     (i+1) / T        1000 (1 - t)                   (arXiv 2511.13720)
 *
 * Levels are numbered 0 (least noise) .. T-1 (most); -1 is the clean image (signal 1, noise 0).
 * sigma_i runs from .002 to 80 by EDM eq. 5 with rho 7, backwards. alpha_i = 1 - beta_i is of one
 * step and abar_i the product of alpha_0 .. alpha_i. snr = (signal/noise)^2; lambda = ln(snr).
 *
 * What lies beside: gaussian_schedule.h (the tables of beta, the learned one), gaussian_spacing.h
 * (which levels a sampler visits), gaussian_predict.h (eps, x0, v and score; clipping),
 * gaussian_loss.h, gaussian_times.h (which levels training draws), gaussian_bound.h (bits/dim).
 *
 * Papers: DDPM = Ho et al. 2020 (2006.11239); Improved DDPM = Nichol & Dhariwal 2021 (2102.09672);
 * VDM = Kingma et al. 2021 (2107.00630); EDM = Karras et al. 2022 (2206.00364); zero SNR = Lin et
 * al. 2023 (2305.08891).
 */
#ifndef MD_DIFFUSION_GAUSSIAN_H
#define MD_DIFFUSION_GAUSSIAN_H

#include "base/error.h"

typedef enum md_process_kind { MD_PROCESS_VP, MD_PROCESS_VE, MD_PROCESS_FLOW } md_process_kind;

/* Of vp. The first and the third are scaled by 1000/T, so that any T ends in noise. */
typedef enum md_beta_schedule {
    MD_BETA_LINEAR,        /* linspace(.1/T, 20/T) */
    MD_BETA_COSINE,        /* Improved DDPM eq. 17, beta at most .999 */
    MD_BETA_SCALED_LINEAR, /* linspace(sqrt(.00085), sqrt(.012))^2 (latent diffusion) */
    MD_BETA_SIGMOID,       /* abar a falling sigmoid from -3 to 3 (Jabri et al. 2022) */
    MD_BETA_LEARNED,       /* a monotone lambda that training moves: gaussian_schedule.h */
} md_beta_schedule;

/* What the network's output says; gaussian_predict.h. */
typedef enum md_prediction_kind {
    MD_PREDICTS_NOISE,    /* eps */
    MD_PREDICTS_IMAGE,    /* x0 */
    MD_PREDICTS_VELOCITY, /* vp: v = signal * eps - noise * x0; flow: v = x0 - eps; ve: EDM's F */
    MD_PREDICTS_SCORE,    /* -eps / noise */
} md_prediction_kind;

typedef enum md_variance_kind {
    MD_VARIANCE_SMALL,   /* beta~: right where the data are one point (DDPM 3.2) */
    MD_VARIANCE_LARGE,   /* beta: right where the data are N(0, I) */
    MD_VARIANCE_LEARNED, /* a mixture of their logarithms (Improved DDPM eq. 15) */
} md_variance_kind;

/* Names by value, each list ended by NULL: vp ve flow · linear cosine scaled-linear sigmoid learned
 * · eps x0 v score · small large learned. */
extern const char *const md_process_names[];
extern const char *const md_beta_schedule_names[];
extern const char *const md_prediction_names[];
extern const char *const md_variance_names[];
/* The value of a name in such a list; -1 for none. */
int md_name_value(const char *const *names, const char *name);

typedef struct md_level {
    double signal, noise;
    double time; /* what the network is told */
} md_level;

enum { MD_LEAST_TIMESTEPS = 2, MD_MOST_TIMESTEPS = 100000, MD_KNOTS = 32 };

/* The options table of the command line fills it; see train/image_settings.h. */
typedef struct md_gaussian_options {
    md_process_kind process;
    md_beta_schedule schedule; /* vp */
    int timesteps;             /* T */
    bool zero_snr;             /* vp: the last level is noise alone */
    md_prediction_kind prediction;
    md_variance_kind variance;
} md_gaussian_options;

typedef struct md_gaussian {
    md_gaussian_options opt;
    int T;
    md_level *levels;      /* [T] */
    double *lambda;        /* [T] ln(signal^2 / noise^2), falling; -infinity for noise alone */
    double rate[MD_KNOTS]; /* MD_BETA_LEARNED: see gaussian_schedule.h; else 0 */
} md_gaussian;

/* Errors are MDLM_USAGE: T outside MD_LEAST_TIMESTEPS .. MD_MOST_TIMESTEPS; a schedule whose beta
 * would reach 1 (linear with T <= 20); zero_snr, or a flow, with a prediction of eps or score,
 * which says nothing about the image where there is none; zero_snr without a schedule of betas. */
mdlm_status md_gaussian_init(md_gaussian *p, const md_gaussian_options *opt, mdlm_error *err);
void md_gaussian_release(md_gaussian *p); /* accepts an empty struct */

md_level md_gaussian_level(const md_gaussian *p, int i); /* -1 .. T-1 */

/* The level of ratio sigma = noise / signal >= 0 (the sigma of EDM, x_ve = x / signal), between
 * levels, too: vp's time is then interpolated in ln(sigma) and held at 0 and T-1 outside. */
md_level md_gaussian_level_at(const md_gaussian *p, double sigma);

/* The level of which a network is told `time`, between levels, too: vp is then interpolated in
 * ln(sigma) and, outside, held at levels 0 and T-1. */
md_level md_gaussian_level_told(const md_gaussian *p, double time);

/* The noise that sampling starts from has this standard deviation: 1, or sigma with ve. */
double md_gaussian_start(const md_gaussian *p, md_level level);

/* What the network's input is multiplied by: EDM's c_in with ve, else 1. */
double md_gaussian_input(const md_gaussian *p, md_level level);

/* q(x_s | x_t, x0) = N(image * x0 + noisy * x_t, small) for any two levels, s with less noise than
 * t; between neighbours these are DDPM eq. 6-7, between others the chain that visits those alone
 * (beta' = 1 - abar_t / abar_s). `large` is the variance of x_s given x_t for data N(0, I): beta'.
 *
 * Where s is clean, `small` is 0 and a sampler adds no noise. A decoder without variance would give
 * a likelihood of 0, so log_small is then that of the transition from level 1 to level 0, as in
 * DDPM's code (ln beta~_1), or of half the noise of level 0 where that is more. A chain that skips
 * levels has another: log_small between its last two levels. */
typedef struct md_transition {
    double image, noisy;
    double small, large; /* variances */
    double log_small, log_large;
} md_transition;
md_transition md_gaussian_transition(const md_gaussian *p, md_level t, md_level s);

/* ln of the variance that the reverse step has by opt.variance: log_small; log_large (log_small
 * where s is clean); or f * log_large + (1 - f) * log_small with f = (said + 1) / 2 for what the
 * network says, in [-1, 1] where it is not extrapolating (Improved DDPM eq. 15). */
double md_gaussian_log_variance(const md_gaussian *p, const md_transition *back, double said);

#endif
