/* train/loop.h: the one training loop: schedule, clipping, EMA, validation, checkpoints, resume.
 *
 * What is trained is a task: it owns the model and the data and knows how to make a loss, to
 * validate, and to publish a model. Text and images are two tasks of this loop.
 */
#ifndef MD_TRAIN_LOOP_H
#define MD_TRAIN_LOOP_H

#include "tensor/optim.h"
#include "train/train.h"

typedef struct md_task {
    void *context;
    md_params *params;
    int micro_batches;      /* in a step: loss is asked for each */
    int64_t items_per_step; /* over all micro-batches; counted in reports */
    double unit;            /* a loss times this is in the unit of reports */
    md_measure measure;     /* what reports call items and losses */

    /* Builds the loss of one micro-batch on the tape (begun, recording). The losses of a step's
     * micro-batches add up to the step's loss. Steps count from 1. */
    mdlm_status (*loss)(void *context, md_tape *tape, int64_t step, int micro, md_tensor **loss,
                        mdlm_error *err);
    /* The validation figure, in the unit of reports, of the weights now in params. `thorough`: for
     * the final report, else on a fixed, smaller part. */
    mdlm_status (*validate)(void *context, bool thorough, double *value, mdlm_error *err);
    /* After a validation during training, with the weights that were validated in params: the task
     * may change what it trains on from here on; what it says goes to `note`. May be NULL. */
    mdlm_status (*adapt)(void *context, md_buffer *note, mdlm_error *err);
    /* Members of a checkpoint's state that a resumed run of this task needs. May be NULL. */
    mdlm_status (*save_state)(void *context, cJSON *state, mdlm_error *err);
    mdlm_status (*load_state)(void *context, const cJSON *state, mdlm_error *err);
    /* Appends a line that shows what the weights now in params generate. May be NULL. */
    mdlm_status (*sample)(void *context, int64_t step, md_buffer *text, mdlm_error *err);
    /* Writes (or reads back) the run's model file: the weights now in params. */
    mdlm_status (*publish)(void *context, mdlm_error *err);
    mdlm_status (*reload)(void *context, mdlm_error *err);
} md_task;

/* The step key.step of a task: all its micro-batches, each with dropout masks of its own; their
 * losses added up in *loss. With `record` the gradients are added to those in the slab. */
mdlm_status md_task_run(const md_task *task, md_tape *tape, md_rng key, bool record, double *loss,
                        mdlm_error *err);

typedef struct md_loop {
    const md_task *task;
    const md_train_request *request; /* run, seed, events */
    const md_loop_settings *set;     /* complete */
    md_pool *pool;
    md_tape *tape;
} md_loop;

/* Runs to the end, a stop or a failure. Resumes when set->resume. */
mdlm_status md_loop_run(const md_loop *loop, md_train_result *result, mdlm_error *err);

#endif
