/* train/evaluate.h: the bound on the likelihood of a text under a model.
 *
 *     md_evaluate_options opt = {.draws = 8, .batch = 16, .seed = 1};
 *     md_evaluation e;
 *     MD_TRY(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, seq_len, tok, &opt, &e, err));
 *
 * The part is scored in non-overlapping windows of seq_len tokens (the last one shorter, its rest
 * padding that is seen and not scored). Reported per token and per byte of text; end-of-text tokens
 * are scored, but are no bytes.
 */
#ifndef MD_TRAIN_EVALUATE_H
#define MD_TRAIN_EVALUATE_H

#include "corpora/corpus.h"
#include "diffusion/likelihood.h"

typedef struct md_evaluate_options {
    int draws; /* noise levels per window */
    int batch; /* canvases per network call; results do not depend on it */
    uint64_t seed;
    int64_t max_windows; /* 0: all; else that many, evenly spread */
    /* Called after every batch with windows done and in total; non-zero cancels. May be NULL. */
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} md_evaluate_options;

typedef struct md_evaluation {
    md_likelihood_report report;
    int64_t bytes;                                   /* of text scored */
    double nats_per_byte, bits_per_byte, perplexity; /* perplexity per token: exp(nats_per_token) */
} md_evaluation;

/* Groups of the error over documents: the document of a window's first token, or, when the part has
 * only one document, each window. MDLM_USAGE for a seq_len, draws or batch below 1; MDLM_INPUT for
 * a part that is empty or without a byte of text, or tokens that are not in the denoiser's
 * vocabulary; MDLM_CANCELLED when on_progress asked for it; MDLM_NUMERIC as md_likelihood_add.
 * `out` is untouched on failure. */
mdlm_status md_evaluate_corpus(const md_denoiser *denoiser, const md_corpus *corpus, md_part part,
                               int seq_len, const md_tokenizer *tok, const md_evaluate_options *opt,
                               md_evaluation *out, mdlm_error *err);

#endif
