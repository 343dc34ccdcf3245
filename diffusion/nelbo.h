/* diffusion/nelbo.h: the negative evidence lower bound of text, with its standard errors.
 *
 *     md_nelbo sum = {0};
 *     for (each batch of sequences)
 *         MD_TRY(md_nelbo_add(&sum, denoiser, &opt, &batch, NULL, err));
 *     md_nelbo_report report = md_nelbo_finish(&sum);
 *     printf("%.4f +- %.4f nats per token\n", report.nats_per_token, report.stderr_mc);
 *
 * The bound does not depend on the schedule (diffusion/masked.h), so none is asked for. Written
 * over the masked fraction p it is the integral over p in (0,1) of
 *
 *     (1/p) * E[ sum over masked of -log p(x0_i | x_p) ].
 *
 * Draw k of K of sequence i takes u uniform on (0,1), p = u^2, masks each token with probability
 * p, and gives
 *
 *     x_ik = (2/u) * sum over masked of -log p(x0_i | x_p),
 *
 * the weight 1/p divided by the density 1/(2 sqrt p) of p. It is unbiased for the whole integral:
 * no part near p = 0 is cut off or clamped. Drawing p itself uniformly would be unbiased too, but
 * of infinite variance (the integral of L/p); 1/(2 sqrt p) is the density of least variance when
 * the loss of a masked token does not depend on p, and x has the same variance at every small u.
 *
 * Times. u_ik = 1 - |1 - 2v|, v = (k + frac(u0 + i g)) / K, with g the golden ratio and one uniform
 * u0 for the whole evaluation: uniform for each draw, stratified over the draws of a sequence, in
 * antithetic pairs (u, 1-u) when K is even, which integrate the part linear in u exactly, and
 * evenly offset over sequences, whatever their number.
 *
 * Standard error of masks. Even spreading removes the variance that u explains, so the naive
 * variance over draws would overstate the error. We regress x on (u, u^2, u^3), times the tokens
 * of the sequence, with one intercept per sequence, and report the residual variance, corrected
 * for its degrees of freedom. With N(K-1) < 7 of them there are fewer regressors, with N(K-1) < 3
 * none, which errs on the large side. Evenly spread times still miss the mean of the fitted curve
 * by an amount that is known; its square is added, which matters for a few draws of one long text.
 * Four times the draws halve the error.
 * Standard error of documents: of the ratio estimator sum(nats)/sum(tokens) over groups.
 *
 * Masks are keyed by (seed, draw, sequence number, position), times by (seed, draw, draws,
 * sequence number). Sums run in the order of (sequence, draw), so results are the same bits for
 * any opt->batch and however sequences are cut into batches.
 */
#ifndef MD_DIFFUSION_NELBO_H
#define MD_DIFFUSION_NELBO_H

#include "diffusion/masked.h"

typedef struct md_nelbo_options {
    int draws; /* K: noise levels per sequence, the same for a whole evaluation; even is best;
                  at least 2 for an error bar */
    int batch; /* canvases per network call at most; results do not depend on it */
    uint64_t seed;
} md_nelbo_options;

/* Sequences of one length. */
typedef struct md_nelbo_batch {
    const int32_t *ids; /* [count, T] */
    int count, T;
    int64_t first;          /* number of the first sequence in the whole evaluation: keys draws */
    const int32_t *lengths; /* [count] leading tokens that are real; NULL: all T. The rest is
                               visible padding that is not scored. */
    const uint8_t *keep;    /* [count, T] 1: always visible and not scored (a prompt), so that the
                               bound is on log p(rest | kept); NULL: none */
    const int64_t *group;   /* [count] document of each sequence, non-decreasing over the whole
                               evaluation; NULL: each sequence is its own group */
} md_nelbo_batch;

/* Running sums; initialise with {0}. */
typedef struct md_nelbo {
    double nats; /* sum over sequences of the mean over draws */
    int64_t tokens, sequences, draws;
    int64_t dof;                   /* sum over sequences of draws - 1 */
    double sxx, sbx[3], sbb[3][3]; /* within-sequence sums of products of x and of
                                      tokens (u, u^2, u^3), scaled so that sxx is the naive
                                      variance of `nats` */
    double miss[3];                /* sum over sequences of tokens (mean u^m - 1/(m+1)), m = 1..3 */
    int64_t group;                 /* the open group and its sums */
    double group_nats;
    int64_t group_tokens;
    bool group_open;
    int64_t groups; /* closed groups: sums for the ratio estimator */
    double gxx, gxn, gnn;
} md_nelbo;

/* Adds a batch; network calls are split to at most opt->batch canvases, and a draw that masks
 * nothing costs none. Per-sequence results, mean over draws in nats, go to `nats` [count] unless
 * NULL. MDLM_USAGE for draws or batch below 1; MDLM_INPUT when a scored token is the mask or not in
 * the vocabulary; MDLM_NUMERIC when a log-probability is not finite. `sum` and `nats` are untouched
 * on failure. */
mdlm_status md_nelbo_add(md_nelbo *sum, const md_denoiser *denoiser, const md_nelbo_options *opt,
                         const md_nelbo_batch *batch, double *nats, mdlm_error *err);

typedef struct md_nelbo_report {
    double nats_per_token;
    double stderr_mc;   /* masks and times; nats per token; 0 with fewer than 2 draws */
    double stderr_data; /* documents; nats per token; 0 with fewer than 2 groups */
    double nats;        /* total */
    int64_t tokens, sequences, groups;
} md_nelbo_report;
/* All zero when no token was scored. */
md_nelbo_report md_nelbo_finish(const md_nelbo *sum);

#endif
