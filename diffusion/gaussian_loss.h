/* diffusion/gaussian_loss.h: losses of one noisy image, with their gradients; terms of the bound.
 *
 *     md_noisy_image z = {.index = i, .pixels = Y * X, .C = C, .image = x0, .noise = eps,
 *                         .noisy = x, .out = out};
 *     md_gaussian_corrupt(&p, i, x0, eps, pixels * C, x);                the forward step
 *     ... out = the network's output for x at time md_gaussian_level(&p, i).time ...
 *     md_image_loss l = md_gaussian_loss(&p, MD_LOSS_SIMPLE, &z, weight / B, gradient);
 *     total += weight / B * l.value;                      in the order of images, then
 * md_known_loss
 *
 * All of it is per image, without state, so images are tasks of a pool. Arithmetic and sums are in
 * double. With e the error of what the network predicts (eps, x0, v: its own kind), per dimension,
 * the mean over the image's pixels and channels:
 *
 *     simple    e^2                                                      (DDPM eq. 14)
 *     min-snr   e^2 m / snr for eps, e^2 m for x0, e^2 m / (snr + 1) for v, m = min(snr, 5): e of
 *               x0 squared, times m, for all               (Hang et al. 2023, 2303.09556)
 *     v         the squared error of v, whatever is predicted. For x0: e^2 / max(noise, .05)^2,
 *               that is e^2 / (1 - t)^2 with flow and e^2 / (1 - abar) with vp; .05 is the floor of
 *               arXiv 2511.13720. For eps with vp: e^2 / abar
 *     score     the squared error of the score, times noise^2, whatever is predicted: denoising
 *               score matching with lambda(sigma) = sigma^2 (Song & Ermon 2019, eq. 5; Vincent
 *               2011). That is the squared error of eps: for eps it is simple, DDPM's loss. With ve
 *               simple of v is EDM's loss, whose lambda is sigma^2 (1 + 4 sigma^2)
 *     hybrid    simple + T/1000 L_i, of which L_i moves the variances alone     (Improved DDPM 3.1)
 *     vlb       T L_i: its mean over i is the bound, the prior aside
 *
 * L_i is in bits per dimension (a bit is ln 2 nats): of level 0, -log2 of the likelihood of the
 * image under the decoder, a Gaussian integrated over the bin x0 +- 1/255, open beyond +- .999, at
 * least 1e-12 (where it is that small, the gradient is 0); of others, the divergence of q(x_{i-1} |
 * x_i, x0) from the network's Gaussian (DDPM eq. 5, 13). Variances are those of p->opt.variance.
 * Where they are learned, every loss but vlb has the second part of hybrid, or nothing would train
 * them. So simple is hybrid then, and hybrid is refused without learned variances.
 */
#ifndef MD_DIFFUSION_GAUSSIAN_LOSS_H
#define MD_DIFFUSION_GAUSSIAN_LOSS_H

#include "diffusion/gaussian_predict.h"

typedef enum md_loss_kind {
    MD_LOSS_SIMPLE,
    MD_LOSS_HYBRID,
    MD_LOSS_VLB,
    MD_LOSS_MIN_SNR,
    MD_LOSS_V,
    MD_LOSS_SCORE,
} md_loss_kind;
extern const char *const md_loss_names[]; /* by value, ended by NULL */

/* MDLM_USAGE: hybrid without learned variances. */
mdlm_status md_loss_check(const md_gaussian_options *opt, md_loss_kind kind, mdlm_error *err);

/* Numbers that the network has for each channel of a pixel: 1, or 2 with learned variances. */
int md_gaussian_outputs(const md_gaussian_options *opt);

/* x = signal * x0 + noise * eps (DDPM eq. 4), each [count]; x may be x0 or eps. */
void md_gaussian_corrupt(const md_gaussian *p, int index, const float *x0, const float *eps,
                         int64_t count, float *x);

typedef struct md_noisy_image {
    int index; /* of the level, 0 .. T-1 */
    int64_t pixels;
    int C;
    const float *image, *noise, *noisy; /* [pixels, C] x0, eps, x */
    const float *out;                   /* [pixels, C], or [pixels, 2C] with learned variances */
} md_noisy_image;

typedef struct md_image_loss {
    double value;
    double noise_error; /* mean of (eps_hat - eps)^2, of any prediction: what compares models, and
                           what the learned schedule goes by */
} md_image_loss;

/* `gradient` [as out] is overwritten with weight * d value / d out; NULL: not wanted. */
md_image_loss md_gaussian_loss(const md_gaussian *p, md_loss_kind kind, const md_noisy_image *z,
                               double weight, float *gradient);

/* L_i in bits per dimension as an evaluation wants it: x0 is clipped to [-1, 1] first where `clip`
 * says so. z->noise is not read. */
double md_gaussian_term(const md_gaussian *p, const md_noisy_image *z, bool clip);

/* KL(q(x_T | x0) || p(x_T)) in bits per dimension, with p(x_T) = N(0, 1), or N(0, sigma^2) with ve.
 */
double md_gaussian_prior(const md_gaussian *p, const float *image, int64_t count);

/* KL(N(m1, e^l1) || N(m2, e^l2)) in bits. */
double md_normal_divergence(double m1, double l1, double m2, double l2);
/* -log2 of the decoder's likelihood of x0 for mean m and ln variance l. */
double md_decoder_bits(double x0, double m, double l);

#endif
