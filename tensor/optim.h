/* tensor/optim.h: AdamW with clipping and EMA, and the learning-rate schedule.
 *
 *     md_adamw *opt = md_adamw_new(params, md_tape_kernels(tape), &options, err);
 *     md_adamw_info info;
 *     MD_TRY(md_adamw_step(opt, lr, pool, &info, err));   uses and then zeroes the gradients
 *
 * AdamW (Loshchilov & Hutter 2019): m = b1 m + (1-b1) g; v = b2 v + (1-b2) g^2;
 * w -= lr (m^ / (sqrt(v^) + eps) + decay w), with bias-corrected m^, v^. Gradients are first scaled
 * by min(1, grad_clip / ||g||). The norm is summed over fixed chunks in double precision, in order,
 * so the result does not depend on the number of threads.
 *
 * EMA: e = d e + (1-d) w with d = min(ema, (1 + n) / (10 + n)), n the number of steps, this one
 * included: warmed up, so that early averages do not remember the initial weights.
 */
#ifndef MD_TENSOR_OPTIM_H
#define MD_TENSOR_OPTIM_H

#include "tensor/params.h"

typedef struct md_adamw_options {
    double beta1, beta2, eps;
    double weight_decay; /* on parameters that decay */
    double grad_clip;    /* on the global norm; 0: off */
    double ema;          /* decay per step; 0: no average is kept */
} md_adamw_options;
md_adamw_options md_adamw_defaults(void); /* .9 .95 1e-8 .1 1 .999 */

typedef struct md_adamw md_adamw;
/* For parameters that are sealed with gradients. The average starts as a copy of their values:
 * initialise them (or load them) before. Parameters and kernel table outlive the optimizer. NULL on
 * failure; caller frees. */
md_adamw *md_adamw_new(md_params *params, const md_kernels *kernels, const md_adamw_options *opt,
                       mdlm_error *err);
void md_adamw_free(md_adamw *opt); /* accepts NULL */

typedef struct md_adamw_info {
    double grad_norm; /* before clipping */
} md_adamw_info;

/* One step; `pool` and `info` may be NULL. MDLM_NUMERIC, with nothing changed but the gradients
 * zeroed, when the norm of the gradient is not finite. */
mdlm_status md_adamw_step(md_adamw *opt, double lr, md_pool *pool, md_adamw_info *info,
                          mdlm_error *err);

/* State for checkpoints: arrays as long as the slab, owned by the optimizer. */
int64_t md_adamw_steps(const md_adamw *opt);
void md_adamw_set_steps(md_adamw *opt, int64_t steps);
md_real *md_adamw_first(md_adamw *opt);  /* m */
md_real *md_adamw_second(md_adamw *opt); /* v */
md_real *md_adamw_ema(md_adamw *opt);    /* NULL when there is no average */

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
