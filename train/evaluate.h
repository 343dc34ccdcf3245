/* train/evaluate.h: the likelihood of a text under a model, or under two.
 *
 *     md_evaluate_options opt = {.draws = 8, .batch = 16, .seed = 1};
 *     md_evaluation e;
 *     MD_TRY(md_evaluate_corpus(&denoiser, corpus, MD_PART_VAL, seq_len, tok, &opt, &e, err));
 *
 * The part is scored in windows of seq_len tokens (train/windows.h): non-overlapping ones, or, with
 * a smaller stride, windows whose first seq_len - stride tokens are context. The last one may be
 * shorter, its rest padding that is seen and not scored. Reported per token and per byte of text;
 * end-of-text tokens are scored, but are no bytes. Any kind of sight and method will do
 * (diffusion/likelihood.h).
 */
#ifndef MD_TRAIN_EVALUATE_H
#define MD_TRAIN_EVALUATE_H

#include "corpora/corpus.h"
#include "diffusion/likelihood.h"

/* The share of one document, or, when the part has only one document, of one window. */
typedef struct md_evaluate_item {
    bool document;  /* not a window */
    int64_t index;  /* of the document or window in the part */
    int64_t offset; /* of its first scored token in the part */
    int64_t tokens, bytes;
    double nats, stderr_mc; /* of all its tokens; stderr_mc as in md_likelihood_report */
    /* with a second model: */
    double other_nats, diff_nats, diff_stderr_mc; /* diff: this model less the other */
} md_evaluate_item;

typedef struct md_evaluate_options {
    md_method method;
    int draws;  /* noise levels per window, or block of one */
    int batch;  /* canvases per network call; results do not depend on it */
    int stride; /* 0: seq_len */
    uint64_t seed;
    int64_t first;       /* number of the first window: parts of one text should not share masks */
    int64_t max_windows; /* 0: all; else that many, evenly spread */
    /* A second model to score the same windows, of the same tokenizer; may be NULL. */
    const md_denoiser *other;
    /* Called in order for each item; another status than MDLM_OK ends the evaluation with it. May
     * be NULL. */
    mdlm_status (*on_item)(void *user, const md_evaluate_item *item, mdlm_error *err);
    /* Called after every network call with canvases done and in total; non-zero cancels. May be
     * NULL. */
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} md_evaluate_options;

typedef struct md_evaluation {
    md_likelihood_report report;
    int64_t bytes;                                   /* of text scored */
    double nats_per_byte, bits_per_byte, perplexity; /* perplexity per token: exp(nats_per_token) */
    int64_t windows;
    /* with a second model: */
    md_likelihood_report other, difference; /* this model less the other, window by window */
    bool paired; /* both drew the same masks; else the difference's stderr_mc is of both apart */
} md_evaluation;

/* Groups of the error over documents: the document of a window's first scored token, or, when the
 * part has only one document, each window. Items are exact about documents: a window that holds the
 * end of one and the beginning of another has a share in both.
 * MDLM_USAGE for a seq_len, stride, draws or batch out of range; MDLM_INPUT for a part that is
 * empty or without a byte of text, or tokens that are not in the denoiser's vocabulary;
 * MDLM_CANCELLED when on_progress asked for it; MDLM_NUMERIC as md_likelihood_add. `out` is
 * untouched on failure. */
mdlm_status md_evaluate_corpus(const md_denoiser *denoiser, const md_corpus *corpus, md_part part,
                               int seq_len, const md_tokenizer *tok, const md_evaluate_options *opt,
                               md_evaluation *out, mdlm_error *err);

#endif
