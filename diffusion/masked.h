/* diffusion/masked.h: the masked (absorbing-state) process and its likelihood bound.
 *
 * Time t in [0,1]; alpha(t) is the probability that a token is still visible, falling from
 * alpha(0) = 1 to alpha(1) = 0. Each token becomes the mask independently with probability
 * 1 - alpha(t). The bound
 *
 *     -log p(x0) <= E_t [ w(t) * sum over masked i of -log p(x0_i | x_t) ],
 *     w(t) = -alpha'(t) / (1 - alpha(t))                      (MDLM eq. 10, MD4 eq. 4, LLaDA eq. 3)
 *
 * is 1/t-weighted cross-entropy for the linear schedule alpha = 1 - t. Substituting the masked
 * fraction 1 - alpha for t shows that its value does not depend on the schedule; the variance of
 * its estimates does.
 *
 *     md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
 *     double t = md_masked_stratified(&process, u0, i, n);
 *     double keep = md_masked_alpha(&process, t), weight = md_masked_weight(&process, t);
 */
#ifndef MD_DIFFUSION_MASKED_H
#define MD_DIFFUSION_MASKED_H

#include "base/rng.h"
#include "tensor/denoiser.h"

typedef enum md_schedule_kind {
    MD_SCHEDULE_LINEAR,    /* alpha = 1 - t */
    MD_SCHEDULE_COSINE,    /* alpha = 1 - cos(pi/2 (1 - t)) = 1 - sin(pi/2 t) */
    MD_SCHEDULE_POLY,      /* alpha = 1 - t^power */
    MD_SCHEDULE_GEOMETRIC, /* alpha = exp(-sigma(t)), sigma = sigma_min^(1-t) sigma_max^t: runs
                              from 1 - sigma_min to exp(-sigma_max), near enough to 1 and 0 */
} md_schedule_kind;

typedef struct md_masked {
    md_schedule_kind kind;
    double power;                /* poly: 2 unless set */
    double sigma_min, sigma_max; /* geometric: 1e-4 and 20 unless set */
    double eps, end;             /* training draws t from [eps, end]: 1e-3 (LLaDA) and 1 */
    double scale;                /* training multiplies the weight: 1 unless clipped */
} md_masked;

md_masked md_masked_process(md_schedule_kind kind);
/* MDLM_USAGE for an unknown name; names: linear, cosine, poly, geometric. */
mdlm_status md_masked_from_name(const char *name, md_masked *out, mdlm_error *err);

double md_masked_alpha(const md_masked *p, double t);  /* in [0,1], decreasing */
double md_masked_weight(const md_masked *p, double t); /* -alpha'/(1-alpha), t > 0 */
/* The t at which alpha(t) = alpha: inverse of md_masked_alpha, clamped to [0,1]. */
double md_masked_time(const md_masked *p, double alpha);
/* Probability that a token masked at t is still masked at s < t: (1-alpha_s)/(1-alpha_t), computed
 * without cancellation. Exactly 0 at s = 0 under every schedule: x_0 has no masks. */
double md_masked_stay(const md_masked *p, double s, double t);

/* Clipped noise levels (BD3-LM section 5.3): training draws masked shares p = 1 - alpha from [low,
 * high] alone, 0 <= low < high <= 1, under the same schedule. With `scale` the mean of the weighted
 * loss is that of (1/p) * (loss at p) over p uniform on [low, high], whatever the schedule: for [0,
 * 1] the bound, else a training loss that is none. Times, weights and sampling stay as they are. */
void md_masked_clip(md_masked *p, double low, double high);

/* Low-discrepancy times for a training batch (MD4): t_i = eps + (end-eps) * frac(u0 + i/n), one
 * uniform u0 for a batch of n. */
double md_masked_stratified(const md_masked *p, double u0, int64_t i, int64_t n);

/* Masks tokens of one sequence: position j becomes mask_id when the draw (rng, sequence, j) is at
 * least alpha. `keep` (may be NULL) marks positions that are never masked (a prompt). Writes
 * noisy [T]; returns the number of masked positions and their indices in `masked` [T]. */
int md_masked_corrupt(md_rng rng, uint32_t sequence, double alpha, int32_t mask_id,
                      const int32_t *ids, const uint8_t *keep, int T, int32_t *noisy,
                      int32_t *masked);

/* SUBS: log-probability of `target` under one row of logits [V] with the mask's logit taken as
 * -infinity; in double precision. -infinity for the mask itself; NaN when a logit other than the
 * mask's is NaN or +infinity, or when all are -infinity. */
double md_log_prob(const float *logits, int V, int32_t mask_id, int32_t target);

#endif
