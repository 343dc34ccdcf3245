/* train/objective_mdlm.c: masked diffusion (MDLM eq. 10): a bidirectional network, one stratified
 * noise level t a sequence, and w(t)/T * -log p(x0 | x_t) at its masked tokens. See objective.h. */
#include "train/text_task.h"

static void fill(const md_text_task *t, int64_t step, int micro, md_text_batch *batch) {
    const int T = batch->T;
    md_rng times = {.seed = t->seed, .stream = MD_STREAM_TIME, .step = (uint64_t)step};
    md_rng masks = {.seed = t->seed, .stream = MD_STREAM_MASK, .step = (uint64_t)step};
    int64_t in_step = md_text_task_sequences(t), count = 0;
    double u0 = md_uniform(times, 0, 0);
    for (int b = 0; b < batch->B; b++) {
        int64_t sequence = (int64_t)micro * batch->B + b;
        int64_t stratum = (int64_t)b * t->parts + micro; /* a micro-batch sees all noise levels */
        double time = md_masked_stratified(&t->process, u0, stratum, in_step);
        double weight = t->process.scale * md_masked_weight(&t->process, time) /
                        (double)(in_step * batch->scored[b]);
        const int64_t start = (int64_t)b * T;
        int32_t *masked = batch->rows + count;
        int n = md_masked_corrupt(masks, (uint32_t)sequence, md_masked_alpha(&t->process, time),
                                  md_tokenizer_mask(t->tokenizer), batch->ids + start,
                                  batch->keep + start, T, batch->noisy + start, masked);
        for (int i = 0; i < n; i++, count++) {
            masked[i] += (int32_t)start;
            batch->target[count] = batch->ids[masked[i]];
            batch->weight[count] = (md_real)weight;
        }
    }
    batch->count = count;
}

static md_tensor *hidden(const md_text_task *t, md_tape *tape, const md_text_batch *batch) {
    md_transformer_training training = t->training;
    training.lengths = batch->lengths;
    return md_transformer_hidden(t->net, tape, batch->noisy, batch->B, batch->T, &training);
}

const md_objective md_objective_mdlm = {.name = "mdlm",
                                        .title = "masked diffusion",
                                        .sight = MD_SEES_ALL,
                                        .short_batches = true,
                                        .fill = fill,
                                        .hidden = hidden};
