/* train/text_task.c: see text_task.h. */
#include "train/text_task.h"

#include "base/file.h"
#include "base/memory.h"
#include "sampler/sampler.h"
#include "tensor/ops.h"
#include "tensor/safetensors.h"
#include "tensor/weights.h"

static const char CLIP_KEY[] = "noise_clip";
enum { MICRO_TOKENS = 1024, SAMPLE_TOKENS = 96, SAMPLE_STEPS = 48 };

static int usual_length(const md_text_task *t) {
    return t->data.usual_length > 0 ? t->data.usual_length : t->seq_len;
}

/* The smallest divisor of the batch that has enough tokens. By the shape alone: the order in which
 * gradients are summed must not depend on the machine. */
static int sequences_at_once(const md_text_task *t) {
    int64_t least = 5 * (int64_t)md_transformer_config(t->net)->dim, usual = usual_length(t);
    if (least < MICRO_TOKENS) least = MICRO_TOKENS;
    for (int n = 1; n < t->batch; n++)
        if (t->batch % n == 0 && (int64_t)n * usual >= least) return n;
    return t->batch;
}

void md_text_task_clip(md_text_task *t, md_clip clip) {
    t->clip = clip;
    md_masked_clip(&t->process, clip.low, clip.high);
}

int64_t md_text_task_sequences(const md_text_task *t) {
    return (int64_t)t->batch * t->accum;
}

mdlm_status md_text_task_init(md_text_task *t, mdlm_error *err) {
    t->sequences = sequences_at_once(t);
    t->parts = t->batch / t->sequences * t->accum;
    mdlm_status status = md_text_batch_init(&t->micro, t->sequences, t->seq_len, err);
    if (status != MDLM_OK) md_text_batch_release(&t->micro);
    return status;
}

void md_text_task_release(md_text_task *t) {
    md_text_batch_release(&t->micro);
}

static mdlm_status loss(void *context, md_tape *tape, int64_t step, int micro, md_tensor **out,
                        mdlm_error *err) {
    md_text_task *t = context;
    md_text_batch *batch = &t->micro;
    int64_t first = ((step - 1) * t->parts + micro) * t->sequences;
    MD_TRY(t->data.read(t->data.context, step, first, batch, err));
    t->objective->fill(t, step, micro, batch);
    md_tensor *h = t->objective->hidden(t, tape, batch);
    h = md_gather_rows(tape, h, batch->rows, batch->count);
    md_cross_entropy_args args = {.target = batch->target,
                                  .weight = batch->weight,
                                  .banned = md_tokenizer_mask(t->tokenizer)};
    *out = md_linear_cross_entropy(tape, h, md_transformer_head(t->net), &args);
    return md_tape_status(tape, err);
}

static mdlm_status validate(void *context, bool thorough, double *value, mdlm_error *err) {
    md_text_task *t = context;
    md_transformer_view view = {.net = t->net, .tape = t->tape};
    md_denoiser denoiser = md_transformer_denoiser(&view);
    return t->data.validate(t->data.context, &denoiser, thorough, value, err);
}

static mdlm_status adapt(void *context, md_buffer *note, mdlm_error *err) {
    md_text_task *t = context;
    if (!t->clip_auto) return MDLM_OK;
    md_transformer_view view = {.net = t->net, .tape = t->tape};
    md_denoiser denoiser = md_transformer_denoiser(&view);
    md_clip best;
    MD_TRY(md_clip_measure(t, &denoiser, &best, err));
    if (best.low == t->clip.low && best.high == t->clip.high) return MDLM_OK;
    md_text_task_clip(t, best);
    return md_buffer_printf(note, err,
                            "masked shares are now drawn from %g to %g, where the loss of blocks "
                            "is nearest to the bound",
                            best.low, best.high);
}

static mdlm_status save_state(void *context, cJSON *state, mdlm_error *err) {
    const md_text_task *t = context;
    const double clip[2] = {t->clip.low, t->clip.high};
    cJSON *pair = cJSON_CreateDoubleArray(clip, 2);
    if (cJSON_AddItemToObject(state, CLIP_KEY, pair)) return MDLM_OK;
    cJSON_Delete(pair);
    return md_fail(err, MDLM_RUNTIME, "out of memory: cannot save");
}

/* A run from before there were clips has none. */
static mdlm_status load_state(void *context, const cJSON *state, mdlm_error *err) {
    md_text_task *t = context;
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(state, CLIP_KEY);
    if (!pair || !t->clip_auto) return MDLM_OK;
    const cJSON *low = cJSON_GetArrayItem(pair, 0), *high = cJSON_GetArrayItem(pair, 1);
    md_clip clip = {-1, -1};
    if (cJSON_IsNumber(low) && cJSON_IsNumber(high))
        clip = (md_clip){low->valuedouble, high->valuedouble};
    if (!(clip.low >= 0 && clip.low < clip.high && clip.high <= 1))
        return md_fail(err, MDLM_INPUT, "'state.json': %s is not a pair of masked shares",
                       CLIP_KEY);
    md_text_task_clip(t, clip);
    return MDLM_OK;
}

static mdlm_status sample(void *context, int64_t step, md_buffer *text, mdlm_error *err) {
    md_text_task *t = context;
    int32_t ids[SAMPLE_TOKENS];
    uint8_t given[SAMPLE_TOKENS] = {0};
    int length = t->seq_len < SAMPLE_TOKENS ? t->seq_len : SAMPLE_TOKENS, asked = 0;
    if (t->data.ask) length = t->data.ask(t->data.context, step, ids, SAMPLE_TOKENS, &asked);
    if (length == 0) return MDLM_OK;
    for (int i = 0; i < length; i++) {
        given[i] = i < asked;
        if (!given[i]) ids[i] = md_tokenizer_mask(t->tokenizer);
    }
    md_transformer_view view = {.net = t->net, .tape = t->tape};
    md_denoiser denoiser = md_transformer_denoiser(&view);
    md_sampler_options o = md_sampler_defaults();
    o.kernels = md_tape_kernels(t->tape);
    o.steps = length < SAMPLE_STEPS ? length : SAMPLE_STEPS;
    if (denoiser.sight == MD_SEES_PAST) {
        o.rule = md_rule_find("left");
        o.steps = length;
    }
    o.seed = t->seed;
    o.first_index = step; /* another one each time */
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_canvas canvas = {.ids = ids, .given = given, .samples = 1, .length = length};
    MD_TRY(md_sampler_run(&denoiser, &process, &o, &canvas, NULL, err));
    size_t first = text->size;
    int end = asked; /* an answer is over at end-of-text; other text goes on */
    while (end < length && (!t->data.ask || ids[end] != md_tokenizer_end_of_text(t->tokenizer)))
        end++;
    MD_TRY(md_tokenizer_decode(t->tokenizer, ids, (size_t)end, text, err));
    for (size_t i = first; i < text->size; i++) {
        if (text->data[i] == '\n') text->data[i] = ' '; /* it is shown as a line */
    }
    return MDLM_OK;
}

static md_params *trained_params(const md_text_task *t) {
    return t->lora ? md_lora_params(t->lora) : md_transformer_params(t->net);
}

static char *model_path(const md_text_task *t, mdlm_error *err) {
    return md_path_join(t->run, "model.safetensors", err);
}

static mdlm_status publish(void *context, mdlm_error *err) {
    md_text_task *t = context;
    if (t->lora) return md_lora_save(t->lora, t->run, t->base, err);
    char *path = model_path(t, err);
    if (!path) return MDLM_RUNTIME;
    md_params *params = trained_params(t);
    mdlm_status status =
        md_safetensors_write_params(path, params, "", md_params_values(params), err);
    md_free(path);
    return status;
}

static mdlm_status reload(void *context, mdlm_error *err) {
    md_text_task *t = context;
    if (t->lora) return md_lora_read(t->lora, t->run, err);
    char *path = model_path(t, err);
    if (!path) return MDLM_RUNTIME;
    md_params *params = trained_params(t);
    mdlm_status status = md_weights_load_params(path, params, "", md_params_values(params), err);
    md_free(path);
    return status;
}

md_task md_text_task_view(md_text_task *t) {
    return (md_task){.context = t,
                     .params = trained_params(t),
                     .micro_batches = t->parts,
                     .items_per_step = md_text_task_sequences(t) * usual_length(t),
                     .unit = t->data.unit,
                     .measure = {.items = "tokens", .loss = "nelbo", .per = t->data.per},
                     .loss = loss,
                     .validate = validate,
                     .adapt = adapt,
                     .save_state = save_state,
                     .load_state = load_state,
                     .sample = sample,
                     .publish = publish,
                     .reload = reload};
}
