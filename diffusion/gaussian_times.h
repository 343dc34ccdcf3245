/* diffusion/gaussian_times.h: which noise levels a training step sees.
 *
 *     md_times times = {0};
 *     MD_TRY(md_times_init(&times, MD_TIMES_LOSS_AWARE, &p, err));
 *     md_time_draw draw = md_times_draw(&times, rng, b, B);        of image b of a batch of B
 *     ... loss at level draw.index, counted draw.weight times ...
 *     MD_TRY(md_times_observe(&times, index, value, B)) ...        after the step, in their order
 *     md_times_release(&times);
 *
 * A level is the one where the running sum of probabilities passes u. Within a batch u is spread
 * evenly, u_b = (b + u_0) / B with one uniform u_0 for the step (VDM, appendix I.1): each draw has
 * the right law by itself, and a batch as a whole sees all parts of the chain, with less variance.
 * Who draws how many images at a time does not matter.
 *
 *     uniform      p = 1/T
 *     loss-aware   p ~ .001/T + .999 sqrt(mean of L^2 over the last 10 losses at the level), once
 *                  each level has been seen 10 times, and 1/T before (Improved DDPM eq. 18): the
 *                  density of least variance. weight = 1/(T p), so that the mean stays that of
 *                  uniform draws. For the loss vlb, whose size varies much over levels
 *     logit-normal ln(noise/signal) ~ N(.8, .8^2), of the levels where they lie at first: arXiv
 *                  2511.13720 has it for flows, and it serves chains as well: most draws are where
 *                  an image takes shape. weight 1: another objective, not a better estimate
 */
#ifndef MD_DIFFUSION_GAUSSIAN_TIMES_H
#define MD_DIFFUSION_GAUSSIAN_TIMES_H

#include "base/json.h"
#include "base/rng.h"
#include "diffusion/gaussian.h"

typedef enum md_times_kind {
    MD_TIMES_UNIFORM,
    MD_TIMES_LOSS_AWARE,
    MD_TIMES_LOGIT_NORMAL,
} md_times_kind;
extern const char *const md_times_names[]; /* by value, ended by NULL */

enum { MD_TIMES_PAST = 10 };

typedef struct md_times {
    md_times_kind kind;
    int T;
    double *sum;  /* [T] of probabilities up to and with a level; the last is 1 */
    double *past; /* loss-aware: [T, 1 + MD_TIMES_PAST], for each level how many losses are known,
                     then those, the oldest first; NULL for others */
    int unknown;  /* levels with fewer than MD_TIMES_PAST losses */
} md_times;

/* p is not kept. */
mdlm_status md_times_init(md_times *t, md_times_kind kind, const md_gaussian *p, mdlm_error *err);
void md_times_release(md_times *t); /* accepts an empty struct */

typedef struct md_time_draw {
    int index;
    double weight;
} md_time_draw;
/* One uniform, (rng, 0, 0): rng.step is the training step. 0 <= b < B. */
md_time_draw md_times_draw(const md_times *t, md_rng rng, int64_t b, int64_t B);

/* Losses of a step (value of md_image_loss, unweighted) at levels index [count]. No-op unless
 * loss-aware; a loss that is not finite is passed over. */
void md_times_observe(md_times *t, const int *index, const double *loss, int64_t count);

/* Puts what was seen into `state`, which md_json_save saves, as the member "losses_by_level", and
 * takes it from there, so that a resumed training draws the same. No-op unless loss-aware.
 * MDLM_INPUT naming `file` when the numbers are not those of T levels; t is then unchanged. */
mdlm_status md_times_save(const md_times *t, cJSON *state, mdlm_error *err);
mdlm_status md_times_load(md_times *t, const cJSON *state, const char *file, mdlm_error *err);

#endif
