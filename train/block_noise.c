/* train/block_noise.c: see block_noise.h. */
#include "train/block_noise.h"

md_block_noise md_block_noise_of(const md_text_task *task, const md_masked *process, int64_t step,
                                 int micro, const md_text_batch *batch) {
    md_rng times = {.seed = task->seed, .stream = MD_STREAM_TIME, .step = (uint64_t)step};
    int length = md_transformer_config(task->net)->block_length;
    return (md_block_noise){.task = task,
                            .process = process,
                            .step = step,
                            .micro = micro,
                            .length = length,
                            .blocks = (batch->T + length - 1) / length,
                            .u0 = md_uniform(times, 0, 0)};
}

/* Bands of levels go round: block k of one sequence is in band k, of the next in k + 1, ... */
double md_block_noise_time(const md_block_noise *n, int b, int k) {
    const md_text_task *t = n->task;
    int64_t in_step = md_text_task_sequences(t), stratum = (int64_t)b * t->parts + n->micro;
    int64_t band = (k + stratum) % n->blocks;
    return md_masked_stratified(n->process, n->u0, band * in_step + stratum, in_step * n->blocks);
}

int md_block_noise_hide(const md_block_noise *n, int b, int k, md_text_batch *batch) {
    const md_text_task *t = n->task;
    const int T = batch->T, first = k * n->length;
    const int length = first + n->length < T ? n->length : T - first;
    const double time = md_block_noise_time(n, b, k);
    const double per_token = n->process->scale * md_masked_weight(n->process, time) /
                             (double)(md_text_task_sequences(t) * batch->scored[b]);
    const int64_t start = (int64_t)b * T + first;
    const int32_t *ids = batch->ids + start;
    int32_t *masked = batch->rows + batch->count;
    /* A place for every block of every sequence of the step, however long this micro-batch is. */
    int64_t places = (batch->seq_len + n->length - 1) / n->length;
    int64_t place = ((int64_t)n->micro * batch->B + b) * places + k;
    md_rng masks = {.seed = t->seed, .stream = MD_STREAM_MASK, .step = (uint64_t)n->step};
    int count = md_masked_corrupt(masks, (uint32_t)place, md_masked_alpha(n->process, time),
                                  md_tokenizer_mask(t->tokenizer), ids, batch->keep + start, length,
                                  batch->noisy + start, masked);
    for (int i = 0; i < count; i++) {
        batch->target[batch->count] = ids[masked[i]];
        batch->weight[batch->count++] = (md_real)per_token;
        masked[i] += (int32_t)((int64_t)b * 2 * T + first);
    }
    return count;
}
