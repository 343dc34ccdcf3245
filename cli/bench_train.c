/* cli/bench_train.c: steps of the task that `mdlm train` runs. See bench.h. */
#include "cli/bench.h"
#include "train/text_task.h"

typedef struct trainer {
    const md_bench *bench;
    md_text_task text;
    md_task task;
    md_optimizer *optimizer;
    int64_t step;
} trainer;

/* The next step, with gradients or without. */
static mdlm_status run_step(trainer *t, bool record, mdlm_error *err) {
    double loss;
    md_rng dropout = {
        .seed = t->bench->seed, .stream = MD_STREAM_DROPOUT, .step = (uint64_t)++t->step};
    return md_task_run(&t->task, t->bench->tape, dropout, record, &loss, err);
}

static mdlm_status time_step(void *context, mdlm_error *err) {
    const double rate = 1e-3;
    trainer *t = context;
    MD_TRY(run_step(t, true, err));
    return md_optimizer_step(t->optimizer, rate, t->bench->pool, NULL, err);
}

static mdlm_status time_forward(void *context, mdlm_error *err) {
    return run_step(context, false, err);
}

/* Every micro-batch of every step is what prepare has put there. */
static mdlm_status keep_sequences(void *context, int64_t step, int64_t first, md_text_batch *batch,
                                  mdlm_error *err) {
    (void)context, (void)step, (void)first, (void)batch, (void)err;
    return MDLM_OK;
}

static void fill_batch(const md_bench *b, md_text_batch *batch) {
    md_bench_ids(b, batch->ids, (int64_t)batch->B * batch->T);
    for (int i = 0; i < batch->B; i++) batch->scored[i] = batch->lengths[i] = batch->T;
}

static mdlm_status prepare(trainer *t, md_tokenizer **tokenizer, mdlm_error *err) {
    const md_bench *b = t->bench;
    md_optimizer_options options = md_optimizer_defaults();
    options.kind = b->optimizer;
    options.ema = b->ema;
    MD_TRY(md_tokenizer_bytes(tokenizer, err)); /* for its mask */
    MD_TRY(md_transformer_new(b->config, true, &t->text.net, err));
    md_transformer_init(t->text.net, b->seed);
    t->text.tokenizer = *tokenizer;
    t->text.data = (md_sequences){.read = keep_sequences, .unit = 1};
    t->text.objective = &md_objective_mdlm;
    t->text.process = md_masked_process(MD_SCHEDULE_LINEAR);
    t->text.tape = b->tape;
    t->text.seed = b->seed;
    t->text.batch = b->batch;
    t->text.accum = 1;
    t->text.seq_len = b->config->seq_len;
    t->text.training =
        (md_transformer_training){.dropout = b->dropout, .checkpoint = b->checkpoint};
    MD_TRY(md_text_task_init(&t->text, err));
    t->task = md_text_task_view(&t->text);
    fill_batch(b, &t->text.micro);
    t->optimizer = md_optimizer_new(t->task.params, md_tape_kernels(b->tape), &options, err);
    return t->optimizer ? MDLM_OK : MDLM_RUNTIME;
}

/* Backward is two products for each of forward's; attention's products count in full. */
static double step_flops(const md_model_config *c, int64_t tokens) {
    double attention = 12.0 * c->layers * c->dim * c->seq_len;
    return (6.0 * (double)md_bench_multiplied(c) + attention) * (double)tokens;
}

mdlm_status md_bench_train(const md_bench *bench, md_bench_result *out, mdlm_error *err) {
    trainer t = {.bench = bench};
    md_tokenizer *tokenizer = NULL;
    mdlm_status status;
    md_bench_result r = {.parameters = md_model_config_parameters(bench->config)};
    r.positions = r.items = (int64_t)bench->batch * bench->config->seq_len;
    r.flops = step_flops(bench->config, r.items);
    MD_GOTO(done, status, prepare(&t, &tokenizer, err));
    MD_GOTO(done, status, md_bench_steps(bench, time_step, &t, &r, err));
    MD_GOTO(done, status, md_bench_time(bench, time_forward, &t, &r.forward, err));
    *out = r;
done:
    md_optimizer_free(t.optimizer);
    md_text_task_release(&t.text);
    md_transformer_free(t.text.net);
    md_tokenizer_free(tokenizer);
    return status;
}
