/* train/text_task.c: see text_task.h. */
#include "train/text_task.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "sampler/sampler.h"
#include "tensor/ops.h"
#include "tensor/safetensors.h"
#include "train/evaluate.h"

enum {
    MICRO_TOKENS = 1024,
    SAMPLE_TOKENS = 96,
    SAMPLE_STEPS = 48,
    QUICK_WINDOWS = 128,
    QUICK_DRAWS = 2, /* validation during training */
    THOROUGH_WINDOWS = 4096,
    THOROUGH_DRAWS = 4 /* the final report */
};

/* LLaDA cuts 1% of its batches to a random length, so that the model knows short canvases too. */
static const double SHORT_BATCHES = 0.01;

/* The smallest divisor of the batch that has enough tokens. By the shape alone: the order in which
 * gradients are summed must not depend on the machine. */
static int sequences_at_once(const md_text_task *t) {
    int64_t least = 5 * (int64_t)md_transformer_config(t->net)->dim;
    if (least < MICRO_TOKENS) least = MICRO_TOKENS;
    for (int n = 1; n < t->batch; n++)
        if (t->batch % n == 0 && (int64_t)n * t->seq_len >= least) return n;
    return t->batch;
}

mdlm_status md_text_task_init(md_text_task *t, mdlm_error *err) {
    t->sequences = sequences_at_once(t);
    t->parts = t->batch / t->sequences * t->accum;
    size_t n = (size_t)t->sequences * (size_t)t->seq_len;
    if (t->corpus)
        MD_TRY(md_loader_init(&t->loader, t->corpus, MD_PART_TRAIN, t->seq_len, t->seed, err));
    t->ids = md_alloc(n, sizeof *t->ids, err);
    t->noisy = md_alloc(n, sizeof *t->noisy, err);
    t->masked = md_alloc(n, sizeof *t->masked, err);
    t->rows = md_alloc(n, sizeof *t->rows, err);
    t->target = md_alloc(n, sizeof *t->target, err);
    t->weight = md_alloc(n, sizeof *t->weight, err);
    if (t->ids && t->noisy && t->masked && t->rows && t->target && t->weight) return MDLM_OK;
    md_text_task_release(t);
    return MDLM_RUNTIME;
}

void md_text_task_release(md_text_task *t) {
    md_free(t->ids);
    md_free(t->noisy);
    md_free(t->masked);
    md_free(t->rows);
    md_free(t->target);
    md_free(t->weight);
    t->ids = t->noisy = t->masked = t->rows = t->target = NULL;
    t->weight = NULL;
}

/* The length of this step's sequences. */
static int step_length(const md_text_task *t, int64_t step) {
    md_rng rng = {.seed = t->seed, .stream = MD_STREAM_TIME, .step = (uint64_t)step};
    if (!t->corpus || md_uniform(rng, 1, 0) >= SHORT_BATCHES) return t->seq_len;
    return 1 + (int)md_uniform_below(rng, 2, 0, (uint64_t)t->seq_len);
}

/* Corrupts the micro-batch in t->ids [sequences, seq_len], cut to T, into t->noisy [sequences, T];
 * returns the number of masked rows, which fill t->rows, t->target and t->weight. */
static int64_t corrupt(md_text_task *t, int64_t step, int micro, int T) {
    md_rng times = {.seed = t->seed, .stream = MD_STREAM_TIME, .step = (uint64_t)step};
    md_rng masks = {.seed = t->seed, .stream = MD_STREAM_MASK, .step = (uint64_t)step};
    int64_t count = 0, in_step = (int64_t)t->batch * t->accum;
    double u0 = md_uniform(times, 0, 0);
    for (int b = 0; b < t->sequences; b++) {
        int64_t sequence = (int64_t)micro * t->sequences + b;
        int64_t stratum =
            (int64_t)b * t->parts + micro; /* every micro-batch sees all noise levels */
        double time = md_masked_stratified(&t->process, u0, stratum, in_step);
        double weight = md_masked_weight(&t->process, time) / (double)(in_step * T);
        const int32_t *ids = t->ids + (int64_t)b * t->seq_len;
        int n = md_masked_corrupt(masks, (uint32_t)sequence, md_masked_alpha(&t->process, time),
                                  md_tokenizer_mask(t->tokenizer), ids, NULL, T,
                                  t->noisy + (int64_t)b * T, t->masked);
        for (int i = 0; i < n; i++, count++) {
            t->rows[count] = b * T + t->masked[i];
            t->target[count] = ids[t->masked[i]];
            t->weight[count] = (md_real)weight;
        }
    }
    return count;
}

static mdlm_status loss(void *context, md_tape *tape, int64_t step, int micro, md_tensor **out,
                        mdlm_error *err) {
    md_text_task *t = context;
    int64_t first = ((step - 1) * t->parts + micro) * t->sequences;
    int T = step_length(t, step);
    if (t->corpus) md_loader_read(&t->loader, first, t->sequences, t->ids);
    int64_t count = corrupt(t, step, micro, T);
    md_tensor *h = md_transformer_hidden(t->net, tape, t->noisy, t->sequences, T, &t->training);
    h = md_gather_rows(tape, h, t->rows, count);
    md_cross_entropy_args args = {
        .target = t->target, .weight = t->weight, .banned = md_tokenizer_mask(t->tokenizer)};
    *out = md_linear_cross_entropy(tape, h, md_transformer_head(t->net), &args);
    return md_tape_status(tape, err);
}

static mdlm_status validate(void *context, bool thorough, double *value, mdlm_error *err) {
    md_text_task *t = context;
    md_transformer_view view = {.net = t->net, .tape = t->tape};
    md_denoiser denoiser = md_transformer_denoiser(&view);
    /* Fixed masks: the same seed whatever the run's, so that curves can be compared. */
    md_evaluate_options o = {.draws = thorough ? THOROUGH_DRAWS : QUICK_DRAWS,
                             .batch = 16,
                             .seed = 7,
                             .max_windows = thorough ? THOROUGH_WINDOWS : QUICK_WINDOWS};
    md_evaluation e;
    MD_TRY(md_evaluate_corpus(&denoiser, t->corpus, MD_PART_VAL, t->seq_len, t->tokenizer, &o, &e,
                              err));
    *value = e.nats_per_byte;
    return MDLM_OK;
}

static mdlm_status sample(void *context, int64_t step, md_buffer *text, mdlm_error *err) {
    md_text_task *t = context;
    int32_t ids[SAMPLE_TOKENS];
    uint8_t given[SAMPLE_TOKENS] = {0};
    int length = t->seq_len < SAMPLE_TOKENS ? t->seq_len : SAMPLE_TOKENS;
    for (int i = 0; i < length; i++) ids[i] = md_tokenizer_mask(t->tokenizer);
    md_transformer_view view = {.net = t->net, .tape = t->tape};
    md_denoiser denoiser = md_transformer_denoiser(&view);
    md_sampler_options o = md_sampler_defaults();
    o.kernels = md_tape_kernels(t->tape);
    o.steps = length < SAMPLE_STEPS ? length : SAMPLE_STEPS;
    o.seed = t->seed;
    o.first_index = step; /* another one each time */
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_canvas canvas = {.ids = ids, .given = given, .samples = 1, .length = length};
    MD_TRY(md_sampler_run(&denoiser, &process, &o, &canvas, NULL, err));
    size_t first = text->size;
    MD_TRY(md_tokenizer_decode(t->tokenizer, ids, (size_t)length, text, err));
    for (size_t i = first; i < text->size; i++) {
        if (text->data[i] == '\n') text->data[i] = ' '; /* it is shown as a line */
    }
    return MDLM_OK;
}

static char *model_path(const md_text_task *t, mdlm_error *err) {
    return md_path_join(t->run, "model.safetensors", err);
}

static mdlm_status publish(void *context, mdlm_error *err) {
    md_text_task *t = context;
    char *path = model_path(t, err);
    if (!path) return MDLM_RUNTIME;
    md_params *params = md_transformer_params(t->net);
    mdlm_status status =
        md_safetensors_write_params(path, params, "", md_params_values(params), err);
    md_free(path);
    return status;
}

static mdlm_status reload(void *context, mdlm_error *err) {
    md_text_task *t = context;
    char *path = model_path(t, err);
    if (!path) return MDLM_RUNTIME;
    md_params *params = md_transformer_params(t->net);
    mdlm_status status =
        md_safetensors_load_params(path, params, "", md_params_values(params), err);
    md_free(path);
    return status;
}

md_task md_text_task_view(md_text_task *t) {
    md_part_stats train = {0};
    if (t->corpus) train = md_corpus_get_stats(t->corpus).train;
    double per_byte = train.bytes > 0 ? (double)train.tokens / (double)train.bytes : 1;
    return (md_task){.context = t,
                     .params = md_transformer_params(t->net),
                     .micro_batches = t->parts,
                     .tokens_per_step = (int64_t)t->batch * t->accum * t->seq_len,
                     .unit = per_byte,
                     .unit_name = "nats per byte",
                     .loss = loss,
                     .validate = validate,
                     .sample = sample,
                     .publish = publish,
                     .reload = reload};
}
