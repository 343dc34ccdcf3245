/* train/packed_text.c: see packed_text.h. */
#include "train/packed_text.h"

#include <string.h>

#include "train/evaluate.h"

enum {
    QUICK_WINDOWS = 128,
    QUICK_DRAWS = 2, /* validation during training */
    THOROUGH_WINDOWS = 4096,
    THOROUGH_DRAWS = 4 /* the final report */
};

static const double SHORT_BATCHES = 0.01;

mdlm_status md_packed_text_init(md_packed_text *text, const md_corpus *corpus,
                                const md_tokenizer *tokenizer, int seq_len, uint64_t seed,
                                mdlm_error *err) {
    *text = (md_packed_text){.corpus = corpus, .tokenizer = tokenizer};
    return md_loader_init(&text->loader, corpus, MD_PART_TRAIN, seq_len, seed, err);
}

/* The length of this step's sequences. */
static int step_length(const md_packed_text *p, int64_t step) {
    md_rng rng = {.seed = p->loader.seed, .stream = MD_STREAM_TIME, .step = (uint64_t)step};
    int seq_len = p->loader.seq_len;
    if (!p->short_batches || md_uniform(rng, 1, 0) >= SHORT_BATCHES) return seq_len;
    return 1 + (int)md_uniform_below(rng, 2, 0, (uint64_t)seq_len);
}

static mdlm_status read_sequences(void *context, int64_t step, int64_t first, md_text_batch *batch,
                                  mdlm_error *err) {
    const md_packed_text *p = context;
    (void)err;
    const int T = batch->T = step_length(p, step);
    for (int b = 0; b < batch->B; b++) {
        md_corpus_read(p->corpus, MD_PART_TRAIN, md_loader_offset(&p->loader, first + b),
                       batch->ids + (int64_t)b * T, T);
        batch->scored[b] = batch->lengths[b] = T;
    }
    memset(batch->keep, 0, (size_t)batch->B * (size_t)T);
    return MDLM_OK;
}

static mdlm_status validate(void *context, const md_denoiser *model, bool thorough, double *value,
                            mdlm_error *err) {
    const md_packed_text *p = context;
    /* Fixed masks: the same seed whatever the run's, so that curves can be compared. */
    md_evaluate_options o = {.draws = thorough ? THOROUGH_DRAWS : QUICK_DRAWS,
                             .batch = 16,
                             .seed = 7,
                             .max_windows = thorough ? THOROUGH_WINDOWS : QUICK_WINDOWS};
    md_evaluation e;
    MD_TRY(md_evaluate_corpus(model, p->corpus, MD_PART_VAL, p->loader.seq_len, p->tokenizer, &o,
                              &e, err));
    *value = e.nats_per_byte;
    return MDLM_OK;
}

md_sequences md_packed_text_sequences(md_packed_text *p) {
    md_part_stats train = md_corpus_get_stats(p->corpus).train;
    return (md_sequences){.context = p,
                          .read = read_sequences,
                          .validate = validate,
                          .unit = train.bytes > 0 ? (double)train.tokens / (double)train.bytes : 1,
                          .per = "byte"};
}
