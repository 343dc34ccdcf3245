/* train/objective.h: what a text model is trained to predict, and from what.
 *
 *     const md_objective *o = md_objective_find("mdlm");
 *     o->fill(task, step, micro, &batch);
 *     md_tensor *h = o->hidden(task, tape, &batch);     the rows batch.rows of h have a loss
 *
 * The loss of a step is  sum over rows of weight * -log p(target),  a mean over its sequences of
 * (1/scored) * (an estimate of the sequence's -log p, or of a bound on it, in nats): so losses of
 * all objectives are in nats per token and can be compared.
 *
 * Recipe for an objective: a file objective_NAME.c with a `const md_objective md_objective_NAME`, a
 * line in objective.c, the name in train/settings.h.
 */
#ifndef MD_TRAIN_OBJECTIVE_H
#define MD_TRAIN_OBJECTIVE_H

#include "tensor/tensor.h"
#include "train/text_batch.h"

struct md_text_task;

typedef struct md_objective {
    const char *name;
    const char *title; /* "block diffusion" */
    md_sight sight;    /* of the network that it trains */
    /* Whether LLaDA's cut of 1% of the steps to a random length teaches it something. */
    bool short_batches;
    /* From ids, keep, scored to noisy, rows, target, weight, count. Draws are keyed by the task's
     * seed, the step and the number of the sequence in the step. */
    void (*fill)(const struct md_text_task *task, int64_t step, int micro, md_text_batch *batch);
    /* Hidden states that batch->rows index. */
    md_tensor *(*hidden)(const struct md_text_task *task, md_tape *tape,
                         const md_text_batch *batch);
} md_objective;

/* Masked diffusion: one noise level a sequence, weight w(t) (diffusion/masked.h). */
extern const md_objective md_objective_mdlm;
/* Block diffusion (BD3-LM): a noise level for every block, each predicted from the text before it.
 * `hidden` runs the network on noisy and clean text at once. Clipped noise levels: train/clip.h. */
extern const md_objective md_objective_block;
/* The autoregressive baseline: every token from those before it; the loss is the likelihood. */
extern const md_objective md_objective_ar;

/* NULL for an unknown name. */
const md_objective *md_objective_find(const char *name);
/* The one that trains networks of this sight. */
const md_objective *md_objective_for(md_sight sight);

#endif
