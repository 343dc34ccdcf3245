/* diffusion/gaussian_bound.h: the bound on the likelihood of images, in bits per dimension.
 *
 *     md_bound_options opt = {.steps = 100, .batch = 64, .seed = 1, .clip = true};
 *     md_bound *bound = NULL;
 *     MD_TRY(md_bound_new(&p, &denoiser, &opt, &bound, err));
 *     for (each batch of images)
 *         MD_TRY(md_bound_add(bound, &batch, NULL, err));
 *     md_bound_report r = md_bound_finish(bound);
 *     printf("%.4f +- %.4f bits/dim\n", r.bits_per_dim, r.stderr_data);
 *     md_bound_free(bound);
 *
 *     -log2 p(x0) <= prior + sum over i = 1 .. T-1 of E L_i + E L_0      (DDPM eq. 5, as bits/dim)
 *
 * with the terms of gaussian_loss.h, and E over the noise that is put on the image. The prior is
 * exact. The sum of T terms is estimated from `steps` evaluations of the network per image: the
 * levels are cut into strata, level 0 (the decoder) one of its own, and each stratum has two
 * independent draws of a level and of noise. The estimate of a stratum is the mean of L_i / q_i
 * over its two draws, q_i the probability of level i in it: unbiased whatever q is. It is chosen
 * for little variance: L_i is about (eps_hat - eps)^2 (lambda_{i-1} - lambda_i) / 2, and the error
 * of the noise fades with the image, so q_i ~ signal_i (lambda_{i-1} - lambda_i), a tenth of it
 * spread evenly; strata have the same sum of q. With steps = 2T every term is measured twice.
 *
 * Two errors. Half the difference of the two draws of a stratum has, squared, the variance of their
 * mean for expectation, with nothing assumed: its sum over strata and images gives stderr_mc, the
 * error as an estimate of the bound on these images (compare models on the same images by it; with
 * the same seed they have the same noise, too). stderr_data is the deviation of images from their
 * mean over the root of their number: the error as an estimate for the population that they are a
 * sample of. It holds the draws' part, too.
 *
 * Draws are keyed by (seed, draw, number of the image): the same bits for any batch, any cut of the
 * images into calls, and any number of threads.
 */
#ifndef MD_DIFFUSION_GAUSSIAN_BOUND_H
#define MD_DIFFUSION_GAUSSIAN_BOUND_H

#include "base/pool.h"
#include "diffusion/gaussian_loss.h"
#include "tensor/denoiser.h"

typedef struct md_bound_options {
    int steps; /* evaluations per image, at least 4; an odd number counts as the next, more than 2T
                  as 2T */
    int batch; /* images per network call at most */
    uint64_t seed;
    bool clip;     /* the network's x0, to [-1, 1] */
    md_pool *pool; /* for noise and terms; NULL: the caller's thread */
    /* Called after every network call with the evaluations so far; non-zero cancels:
     * MDLM_CANCELLED. May be NULL. */
    int (*on_call)(void *user, int64_t evaluations);
    void *user;
} md_bound_options;

typedef struct md_bound_batch {
    const float *images;   /* [count, Y, X, C], in [-1, 1] */
    const int32_t *labels; /* [count]; NULL: none */
    int count;
    int64_t first; /* number of the first image in the whole evaluation: keys draws */
} md_bound_batch;

typedef struct md_bound md_bound;

/* p and the denoiser must outlive the bound. MDLM_USAGE: steps below 4, batch below
 * 1, or outputs of the denoiser that are not those of the process. Caller frees. */
mdlm_status md_bound_new(const md_gaussian *p, const md_image_denoiser *denoiser,
                         const md_bound_options *opt, md_bound **out, mdlm_error *err);
void md_bound_free(md_bound *b); /* accepts NULL */

/* Adds images; `bits` [count], unless NULL, receives the bound of each. MDLM_INPUT for a label that
 * the denoiser does not know; MDLM_NUMERIC when a bound is not finite. After a failure the bound is
 * good for nothing but to be freed. */
mdlm_status md_bound_add(md_bound *b, const md_bound_batch *batch, double *bits, mdlm_error *err);

typedef struct md_bound_report {
    double bits_per_dim;
    double stderr_data; /* NaN with fewer than 2 images */
    double stderr_mc;
    double prior, decoder, terms; /* the parts, whose sum is bits_per_dim: of x_T, of level 0, of
                                     all other levels */
    int64_t images, evaluations;
} md_bound_report;
md_bound_report md_bound_finish(const md_bound *b); /* all zero without images */

/* Where the bits are: the strata, from level 0 on, owned by b. */
typedef struct md_stratum {
    int first, end; /* levels [first, end) */
    double bits;    /* sum over images of the estimate of its terms */
} md_stratum;
const md_stratum *md_bound_strata(const md_bound *b, int *count);

#endif
