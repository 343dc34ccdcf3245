/* train/block_noise.h: noise levels and masks of block diffusion, block by block.
 *
 *     md_block_noise noise = md_block_noise_of(task, &task->process, step, micro, &batch);
 *     batch.count = 0;
 *     for (b...) for (k < noise.blocks) md_block_noise_hide(&noise, b, k, &batch);
 *
 * Times are low-discrepancy over the sequences and blocks of a step (BD3-LM section 5.1; MD4): of N
 * = sequences x blocks strata each is used once, those of a sequence lie evenly over all levels,
 * and so do those of one block over the sequences. With one block they are the times of `mdlm`, and
 * the masks, too.
 */
#ifndef MD_TRAIN_BLOCK_NOISE_H
#define MD_TRAIN_BLOCK_NOISE_H

#include "train/text_task.h"

typedef struct md_block_noise {
    const md_text_task *task;
    const md_masked *process;
    int64_t step;
    int micro;
    int length, blocks; /* of a sequence; the last block may be shorter */
    double u0;
} md_block_noise;

md_block_noise md_block_noise_of(const md_text_task *task, const md_masked *process, int64_t step,
                                 int micro, const md_text_batch *batch);
/* The noise level of block k of sequence b of the micro-batch. */
double md_block_noise_time(const md_block_noise *n, int b, int k);
/* Writes the block's part of batch->noisy and appends its masked tokens to rows (of hidden states
 * [B, 2T, C], noisy rows first), target and weight. Returns their number. */
int md_block_noise_hide(const md_block_noise *n, int b, int k, md_text_batch *batch);

#endif
