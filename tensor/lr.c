/* tensor/lr.c: the learning-rate schedule. See optim.h. */
#include <math.h>

#include "tensor/optim.h"

static const double WSD_DECAY = 0.2; /* the share of the training over which WSD goes down */

/* How much of the way from the peak down to the floor is left, in [0,1]. */
static double height(md_lr_kind kind, double progress) {
    switch (kind) {
    case MD_LR_COSINE: return 0.5 * (1 + cos(M_PI * progress));
    case MD_LR_LINEAR: return 1 - progress;
    case MD_LR_CONSTANT: return 1;
    case MD_LR_WSD: return fmin(1, (1 - progress) / WSD_DECAY);
    }
    MD_BUG_IF(true);
}

double md_lr_at(const md_lr_schedule *schedule, int64_t step, double progress) {
    if (step < 0) step = 0;
    if (step <= schedule->warmup && schedule->warmup > 0) {
        return schedule->peak * (double)step / (double)schedule->warmup;
    }
    /* A time budget is overrun by the length of the last step. */
    const double share = fmin(1, fmax(0, progress));
    const double left = height(schedule->kind, share);
    return schedule->peak * (schedule->floor + (1 - schedule->floor) * left);
}
