/* tensor/optim.h: AdamW and Muon with clipping and EMA, and the learning-rate schedule.
 *
 *     md_optimizer *opt = md_optimizer_new(params, md_tape_kernels(tape), &options, err);
 *     md_optimizer_info info;
 *     MD_TRY(md_optimizer_step(opt, lr, pool, &info, err));   uses and then zeroes the gradients
 *
 * Gradients are first scaled by min(1, grad_clip / ||g||). The norm is summed over fixed chunks in
 * double precision, in order, so the result does not depend on the number of threads.
 *
 * AdamW (Loshchilov & Hutter 2019): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
 * w -= lr (m^ / (sqrt(v^) + eps) + decay w), with bias-corrected m^, v^.
 *
 * Muon (Jordan et al. 2024): orthogonalised momentum for the parameters with MD_PARAM_ORTHOGONAL,
 * the formulas are in muon.h; AdamW for all others. Every parameter is a matrix of its own: q, k
 * and v, gate and up are orthogonalised apart although they lie side by side. As two tall matrices
 * their products cost a third less, and they learn more slowly (4 layers of 128, 300 steps of
 * Shakespeare: 2.58 nats per byte in place of 2.46).
 *
 * EMA: e = d e + (1-d) w with d = min(ema, (1 + n) / (10 + n)), n the number of steps, this one
 * included: warmed up, so that early averages do not remember the initial weights.
 */
#ifndef MD_TENSOR_OPTIM_H
#define MD_TENSOR_OPTIM_H

#include "tensor/params.h"

typedef enum md_optimizer_kind {
    MD_OPTIMIZER_ADAMW,
    MD_OPTIMIZER_MUON,
} md_optimizer_kind;

typedef struct md_optimizer_options {
    md_optimizer_kind kind;
    double beta1, beta2, eps; /* AdamW */
    double weight_decay;      /* on parameters that decay */
    double grad_clip;         /* on the global norm; 0: off */
    double ema;               /* decay per step; 0: no average is kept */
    double muon_lr;           /* learning rate of Muon's matrices, as a multiple of the step's */
    double muon_momentum;
} md_optimizer_options;
md_optimizer_options md_optimizer_defaults(void); /* AdamW; .9 .95 1e-8 .1 1 .999 5 .95 */

typedef struct md_optimizer md_optimizer;
/* For parameters that are sealed with gradients. The average starts as a copy of their values:
 * initialise them (or load them) before. Parameters and kernel table outlive the optimizer. NULL on
 * failure; caller frees. */
md_optimizer *md_optimizer_new(md_params *params, const md_kernels *kernels,
                               const md_optimizer_options *opt, mdlm_error *err);
void md_optimizer_free(md_optimizer *opt); /* accepts NULL */

typedef struct md_optimizer_info {
    double grad_norm; /* before clipping */
} md_optimizer_info;

/* One step; `pool` and `info` may be NULL. MDLM_NUMERIC, with nothing changed but the gradients
 * zeroed, when the norm of the gradient is not finite. */
mdlm_status md_optimizer_step(md_optimizer *opt, double lr, md_pool *pool, md_optimizer_info *info,
                              mdlm_error *err);

/* State for checkpoints: arrays as long as the slab, owned by the optimizer. */
int64_t md_optimizer_steps(const md_optimizer *opt);
void md_optimizer_set_steps(md_optimizer *opt, int64_t steps);
md_real *md_optimizer_first(md_optimizer *opt);  /* m; Muon's momentum */
md_real *md_optimizer_second(md_optimizer *opt); /* v; zero for Muon's matrices: no real memory */
md_real *md_optimizer_ema(md_optimizer *opt);    /* NULL when there is no average */
/* Whether parameter i has a v, that is, whether it is not one of Muon's matrices. */
bool md_optimizer_has_second(const md_optimizer *opt, int i);

/* Learning rate at `progress` in [0,1] of the training (a share of the steps or of the time
 * budget): linear warm-up over the first `warmup` steps (1-based), then by kind. */
typedef enum md_lr_kind {
    MD_LR_COSINE, /* down to `floor` x peak */
    MD_LR_LINEAR,
    MD_LR_CONSTANT,
    MD_LR_WSD, /* constant, then linear down over the last fifth */
} md_lr_kind;
typedef struct md_lr_schedule {
    md_lr_kind kind;
    double peak, floor; /* floor as a fraction of the peak: 0.02 */
    int64_t warmup;     /* steps */
} md_lr_schedule;
double md_lr_at(const md_lr_schedule *schedule, int64_t step, double progress);

#endif
