/* train/text_task.h: training of a transformer on text, as a task of the training loop.
 *
 * Step n, micro-batch m: the data source reads some sequences, the objective decides which rows
 * have a loss and what the network sees (train/text_batch.h, train/objective.h), and the head is
 * applied to the rows with a loss only. Every draw is keyed by (seed, step, sequence in the step),
 * so nothing needs saving.
 */
#ifndef MD_TRAIN_TEXT_TASK_H
#define MD_TRAIN_TEXT_TASK_H

#include "diffusion/masked.h"
#include "model/lora.h"
#include "model/transformer.h"
#include "tokenizer/tokenizer.h"
#include "train/clip.h"
#include "train/loop.h"
#include "train/objective.h"

typedef struct md_text_task {
    md_transformer *net;
    md_lora *lora;    /* NULL, or what is trained in the network's place, and set in it */
    const char *base; /* with adapters: the folder of the network */
    const md_tokenizer *tokenizer;
    md_sequences data;
    const md_objective *objective;
    md_masked process; /* clipped as `clip` says */
    bool clip_auto;    /* measure and choose the clip after each validation */
    md_clip clip;
    md_tape *tape;   /* for validation and samples */
    const char *run; /* where model.safetensors goes */
    uint64_t seed;
    int batch, accum, seq_len; /* batch * accum sequences in a step */
    md_transformer_training training;

    /* Set by init: a step runs as `parts` micro-batches of `sequences` each, few enough to stay
     * near the caches and enough to make packing the weights worth while. */
    int sequences, parts;
    md_text_batch micro; /* work space */
} md_text_task;

/* Fills work space; the other fields must be set. Release with md_text_task_release. */
mdlm_status md_text_task_init(md_text_task *t, mdlm_error *err);
void md_text_task_release(md_text_task *t);
md_task md_text_task_view(md_text_task *t);

/* Sets clip and process. */
void md_text_task_clip(md_text_task *t, md_clip clip);

/* Sequences in a step. */
int64_t md_text_task_sequences(const md_text_task *t);

#endif
