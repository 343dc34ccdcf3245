/* diffusion/likelihood.h: the likelihood of text under a denoiser, with its standard errors.
 *
 *     md_likelihood sum = {0};
 *     md_likelihood_options opt = {.method = MD_METHOD_COUNT, .draws = 8, .batch = 16, .seed = 1};
 *     for (each batch of sequences)
 *         MD_TRY(md_likelihood_add(&sum, denoiser, &opt, &batch, NULL, err));
 *     md_likelihood_report report = md_likelihood_finish(&sum);
 *     printf("%.4f +- %.4f nats per token\n", report.nats_per_token, report.stderr_mc);
 *
 * Three methods. What they score is the scored positions of a unit, L of them: a whole sequence, or
 * one block of it where the denoiser sees by blocks (MD_SEES_BLOCKS: one network call serves all
 * blocks of a sequence, each with noise of its own and the earlier blocks clean).
 *
 *   nelbo  The bound of diffusion/masked.h; it does not depend on the schedule, so none is asked
 *          for. Over the masked share p it is the integral over p in (0,1) of
 *              (1/p) * E[ sum over masked of -log p(x0_i | x_p) ].
 *          A draw takes u uniform on (0,1), p = u^2, masks each position with probability p, and
 *          gives x = (2/u) * (sum over masked), the weight 1/p divided by the density 1/(2 sqrt p)
 *          of p. It is unbiased for the whole integral: no part near p = 0 is cut off. Uniform p
 *          would be unbiased too, but of infinite variance (the integral of L/p); 1/(2 sqrt p) is
 *          the density of least variance when the loss of a masked token does not depend on p.
 *   count  LLaDA's estimate of the same bound: l uniform on 1..L, exactly l positions masked
 *          without replacement, x = (L/l) * (sum over masked). How many are masked no longer
 *          varies by itself: less variance for the same work.
 *   chain  -log p in the order from left to right, each position with those after it masked: L
 *          evaluations, or as many as a block is long. Exact for that order; nothing is drawn.
 *
 * A denoiser that sees the past alone (MD_SEES_PAST) gives -log p exactly, in one evaluation of a
 * sequence, whatever the method.
 *
 * Times. Draw k of K of unit n has u = 1 - |1 - 2v|, v = (k + frac(u0 + n g)) / K, with g the
 * golden ratio and one uniform u0 for the whole evaluation: uniform for each draw, stratified over
 * the draws of a unit, in antithetic pairs (u, 1-u) when K is even, which integrate the part linear
 * in u exactly, and evenly offset over units, whatever their number. `count` has l = 1 + floor(L
 * u).
 *
 * Standard error of masks. Even spreading removes the variance that the noise level r (u, or l/L)
 * explains, so the naive variance over draws would overstate the error. We regress x on an
 * intercept and a multiple of r of each unit's own and, common to all units, on polynomials of
 * degrees 2 and 3 in r times the tokens of the unit, and report the residual variance, corrected
 * for its degrees of freedom. With fewer than 4 draws the multiple of r is common, too, which errs
 * on the large side for short units; with few degrees of freedom in all there are fewer regressors,
 * down to none. Evenly spread times still miss the mean of the fitted curve by an amount that is
 * known; its square is added, which matters for a few draws of one long text. Four times the draws
 * halve the error.
 * Standard error of documents: of the ratio estimator sum(nats)/sum(tokens) over groups.
 *
 * Masks are keyed by (seed, draw, sequence number, position), times by (seed, draw, draws, unit).
 * Sums run in the order of (sequence, unit, draw), so results are the same bits for any opt->batch
 * and however sequences are cut into batches.
 */
#ifndef MD_DIFFUSION_LIKELIHOOD_H
#define MD_DIFFUSION_LIKELIHOOD_H

#include "diffusion/masked.h"

typedef enum md_method { MD_METHOD_NELBO, MD_METHOD_COUNT, MD_METHOD_CHAIN } md_method;
/* MDLM_USAGE for an unknown name; names: nelbo, count, chain. */
mdlm_status md_method_from_name(const char *name, md_method *out, mdlm_error *err);

typedef struct md_likelihood_options {
    md_method method;
    int draws; /* K: noise levels per unit, the same for a whole evaluation; even is best; at least
                  2 for an error bar. No matter where nothing is drawn */
    int batch; /* canvases per network call at most; results do not depend on it */
    uint64_t seed;
    /* Called after every network call with the canvases dealt with so far; non-zero cancels:
     * MDLM_CANCELLED. May be NULL. */
    int (*on_call)(void *user, int64_t canvases);
    void *user;
} md_likelihood_options;

/* Sequences of one length. */
typedef struct md_likelihood_batch {
    const int32_t *ids; /* [count, T] */
    int count, T;
    int64_t first;          /* number of the first sequence in the whole evaluation: keys draws */
    const int32_t *lengths; /* [count] leading tokens that are real; NULL: all T. The rest is
                               visible padding that is not scored. */
    const uint8_t *keep;    /* [count, T] 1: always visible and not scored (a prompt), so that what
                               is measured is log p(rest | kept); NULL: none */
    const int64_t *group;   /* [count] document of each sequence, non-decreasing over the whole
                               evaluation; NULL: each sequence is its own group */
} md_likelihood_batch;

/* Sums of products within units of x and b, tokens times the Legendre polynomials in r of degrees 1
 * to 3, scaled to the variance of `nats`. */
typedef struct md_scatter {
    double xx, bx[3], bb[3][3];
    double reach; /* how much the first of b varies within units */
    int64_t dof;
} md_scatter;

/* Running sums; initialise with {0}. */
typedef struct md_likelihood {
    double nats; /* sum over sequences of the mean over draws */
    int64_t tokens, sequences;
    int64_t drawn;       /* units whose noise was drawn */
    md_scatter centred;  /* about the means of a unit */
    md_scatter straight; /* about a straight line in r of each unit; draws >= 4 */
    double miss[3];      /* sum over units of the mean of b less that of all draws */
    int64_t group;       /* the open group and its sums */
    double group_nats;
    int64_t group_tokens;
    bool group_open;
    int64_t groups; /* closed groups: sums for the ratio estimator */
    double gxx, gxn, gnn;
} md_likelihood;

/* Adds a batch; network calls are split to at most opt->batch canvases, and a draw that masks
 * nothing costs none. Per-sequence results, mean over draws in nats, go to `nats` [count] unless
 * NULL. MDLM_USAGE for draws or batch below 1; MDLM_INPUT when a scored token is the mask or not in
 * the vocabulary; MDLM_NUMERIC when a log-probability is not finite. `sum` is untouched on
 * failure. */
mdlm_status md_likelihood_add(md_likelihood *sum, const md_denoiser *denoiser,
                              const md_likelihood_options *opt, const md_likelihood_batch *batch,
                              double *nats, mdlm_error *err);

typedef struct md_likelihood_report {
    double nats_per_token;
    double stderr_mc;   /* masks and times; nats per token; 0 where nothing was drawn, NaN with
                           fewer than 2 draws */
    double stderr_data; /* documents; nats per token; NaN with fewer than 2 groups. Groups differ by
                           their masks, too, so this error holds both */
    double nats;        /* total */
    int64_t tokens, sequences, groups;
} md_likelihood_report;
/* All zero when no token was scored. */
md_likelihood_report md_likelihood_finish(const md_likelihood *sum);

/* The two halves of md_likelihood_add, for those who want more than its sums: parts of sequences,
 * or differences.
 *
 *     md_losses a = {0}, b = {0};
 *     MD_GOTO(done, status, md_losses_measure(&a, one, &opt, &batch, err));
 *     MD_GOTO(done, status, md_losses_measure(&b, other, &opt, &batch, err));
 *     paired = md_losses_subtract(&a, &b);
 *     for (int i = 0; i < batch.count; i++) md_losses_fold(&a, i, 0, batch.T, &sum);
 *     done: md_losses_release(&a), md_losses_release(&b);
 */
typedef struct md_losses {
    md_likelihood_batch batch; /* must outlive the losses */
    md_likelihood_options opt;
    int draws; /* K; 1 where nothing is drawn */
    bool exact;
    int unit;     /* positions of a unit: the block length, or T */
    double *loss; /* [count, draws, T] weighted -log p; 0 where a draw did not mask: the sum over
                     a unit's positions is x */
} md_losses;

/* Status as md_likelihood_add; `out` is empty on failure. 8 bytes for each (draw, token). */
mdlm_status md_losses_measure(md_losses *out, const md_denoiser *denoiser,
                              const md_likelihood_options *opt, const md_likelihood_batch *batch,
                              mdlm_error *err);
void md_losses_release(md_losses *losses); /* accepts an empty struct */
mdlm_status md_losses_copy(md_losses *out, const md_losses *losses, mdlm_error *err);
/* The number of a unit in the whole evaluation (levels.h: it keys its times); `first` is its first
 * position in sequence i. */
int64_t md_losses_unit(const md_losses *losses, int i, int first);
/* a - b, of the same batch. True when both drew the same masks, so that `a` then holds paired
 * differences by draw; else those of the means over draws, exact as far as `a` knows: their
 * stderr_mc is hypot of the two. */
bool md_losses_subtract(md_losses *a, const md_losses *b);
/* Adds the positions [first, end) of sequence i to `sum`; returns their nats, mean over draws. */
double md_losses_fold(const md_losses *losses, int i, int first, int end, md_likelihood *sum);

#endif
