/* train/objective_ar.c: the autoregressive baseline: -log p(x0_i | x0 before i) of every token, in
 * a causal network, whose row i is computed from the tokens before i. See objective.h. */
#include "train/text_task.h"

static void fill(const md_text_task *t, int64_t step, int micro, md_text_batch *batch) {
    (void)step, (void)micro;
    const double in_step = (double)md_text_task_sequences(t);
    int64_t count = 0;
    for (int b = 0; b < batch->B; b++) {
        for (int j = 0; j < batch->T; j++) {
            int32_t row = (int32_t)(b * batch->T + j);
            if (batch->keep[row]) continue;
            batch->rows[count] = row;
            batch->target[count] = batch->ids[row];
            batch->weight[count++] = (md_real)(1 / (in_step * batch->scored[b]));
        }
    }
    batch->count = count;
}

static md_tensor *hidden(const md_text_task *t, md_tape *tape, const md_text_batch *batch) {
    return md_transformer_hidden(t->net, tape, batch->ids, batch->B, batch->T, &t->training);
}

const md_objective md_objective_ar = {
    .name = "ar", .title = "autoregressive", .sight = MD_SEES_PAST, .fill = fill, .hidden = hidden};
