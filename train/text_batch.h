/* train/text_batch.h: the text of one micro-batch, and where it comes from.
 *
 * A training step on text goes through three hands. A data source (md_sequences: packed text, or
 * prompts with answers) reads the sequences and says which tokens count. An objective
 * (train/objective.h) decides what is hidden from the network and which of its rows have a loss.
 * The task (train/text_task.h) runs the network on the result.
 *
 *     md_text_batch batch;
 *     MD_TRY(md_text_batch_init(&batch, sequences, seq_len, err));
 *     MD_TRY(data->read(data->context, step, first, &batch, err));   ids, keep, scored, lengths, T
 *     objective->fill(task, step, micro, &batch);                    noisy, rows, target, weight
 *     md_text_batch_release(&batch);
 */
#ifndef MD_TRAIN_TEXT_BATCH_H
#define MD_TRAIN_TEXT_BATCH_H

#include "tensor/denoiser.h"
#include "tensor/real.h"

typedef struct md_text_batch {
    int B, T;    /* sequences, and tokens of each; T <= seq_len may change from step to step */
    int seq_len; /* what there is room for */

    /* the data source's */
    int32_t *ids;    /* [B, T] */
    uint8_t *keep;   /* [B, T] 1: prompt or padding, never hidden and without a loss */
    int32_t *scored; /* [B] >= 1: tokens that the loss of a sequence is a mean over: T for packed
                        text, the answer's length for fine-tuning */

    int32_t *lengths; /* [B] tokens of each sequence; the rest is padding, which no row sees
                         where rows see everything (elsewhere it comes after all that counts) */

    /* the objective's */
    int32_t *noisy;  /* [B, T] what the network sees */
    int64_t count;   /* rows with a loss, at most B T */
    int32_t *rows;   /* [count] of the hidden states that the objective's `hidden` returns */
    int32_t *target; /* [count] */
    md_real *weight; /* [count] of -log p(target) in the loss */
} md_text_batch;

/* Room for B sequences of up to seq_len tokens; release after a failure is allowed, too. */
mdlm_status md_text_batch_init(md_text_batch *batch, int B, int seq_len, mdlm_error *err);
void md_text_batch_release(md_text_batch *batch);

/* Text to train on, and to judge by. */
typedef struct md_sequences {
    void *context;
    /* Sequences first .. first + B - 1 of the whole training (a pure function of that number and
     * of `step`, which counts from 1) into ids, keep, scored, lengths and T. */
    mdlm_status (*read)(void *context, int64_t step, int64_t first, md_text_batch *batch,
                        mdlm_error *err);
    /* What md_task.validate reports of a model, in nats per token times `unit`. NULL: nothing. */
    mdlm_status (*validate)(void *context, const md_denoiser *model, bool thorough, double *value,
                            mdlm_error *err);
    /* A canvas to show what the model writes: the ids that stand at its beginning, their number in
     * *given; returns its length, 0 when it is longer than `room`. NULL: an empty canvas. */
    int (*ask)(void *context, int64_t number, int32_t *ids, int room, int *given);
    int usual_length; /* tokens of a sequence on average; 0: seq_len */
    double unit;      /* nats per token of training times this are in the unit of reports */
    const char *per;  /* nats per what: "byte", "answer token" */
} md_sequences;

#endif
