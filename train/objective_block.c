/* train/objective_block.c: block diffusion (BD3-LM eq. 8). Blocks of a sequence are predicted from
 * the clean text before them, each with a noise level of its own:
 *
 *     1/T * sum over blocks of  w(t_k) * sum over masked i of block k of -log p(x0_i | x_t in k, x0
 *     before k)
 *
 * See objective.h. */
#include "train/block_noise.h"

static void fill(const md_text_task *t, int64_t step, int micro, md_text_batch *batch) {
    md_block_noise noise = md_block_noise_of(t, &t->process, step, micro, batch);
    batch->count = 0;
    for (int b = 0; b < batch->B; b++)
        for (int k = 0; k < noise.blocks; k++) md_block_noise_hide(&noise, b, k, batch);
}

static md_tensor *hidden(const md_text_task *t, md_tape *tape, const md_text_batch *batch) {
    return md_transformer_paired_hidden(t->net, tape, batch->noisy, batch->ids, batch->B, batch->T,
                                        &t->training);
}

const md_objective md_objective_block = {.name = "block",
                                         .title = "block diffusion",
                                         .sight = MD_SEES_BLOCKS,
                                         .fill = fill,
                                         .hidden = hidden};
