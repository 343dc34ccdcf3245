/* train/text_task.h: masked-diffusion training of a transformer on a packed corpus, as a task of
 * the training loop.
 *
 * Step n, micro-batch m: some sequences from the loader, one stratified t each, corruption,
 * and the loss  sum over masked of w(t)/(B T) * -log p(x0 | x_t)  with the head applied to masked
 * rows only. Every draw is keyed by (seed, step, sequence in the step), so nothing needs saving.
 */
#ifndef MD_TRAIN_TEXT_TASK_H
#define MD_TRAIN_TEXT_TASK_H

#include "corpora/corpus.h"
#include "diffusion/masked.h"
#include "model/transformer.h"
#include "train/loop.h"

typedef struct md_text_task {
    md_transformer *net;
    const md_tokenizer *tokenizer;
    const md_corpus *corpus; /* NULL: the caller fills `ids`; whole lengths only (benchmarks) */
    md_loader loader;
    md_masked process;
    md_tape *tape;   /* for validation and samples */
    const char *run; /* where model.safetensors goes */
    uint64_t seed;
    int batch, accum, seq_len; /* batch * accum sequences in a step */
    md_transformer_training training;

    /* Set by init: a step runs as `parts` micro-batches of `sequences` each, few enough to stay
     * near the caches and enough to make packing the weights worth while. */
    int sequences, parts;
    /* work space [sequences, seq_len] */
    int32_t *ids, *noisy, *masked, *rows, *target;
    md_real *weight;
} md_text_task;

/* Fills work space and loader; the other fields must be set. Release with md_text_task_release. */
mdlm_status md_text_task_init(md_text_task *t, mdlm_error *err);
void md_text_task_release(md_text_task *t);
md_task md_text_task_view(md_text_task *t);

#endif
