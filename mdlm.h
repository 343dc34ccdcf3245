/* mdlm.h: load, fill, score and free a masked-diffusion language model.
 *
 *     mdlm_error err = {0};
 *     mdlm_model *model = NULL;
 *     mdlm_fill_options opt = mdlm_fill_defaults();
 *     mdlm_result *result = NULL;
 *
 *     if (mdlm_load("mdlm-run", NULL, &model, &err) != MDLM_OK) return fail(err.message);
 *     mdlm_span spans[] = {
 *         {.text = "Once upon a time", .text_bytes = 16},    a span keeps its text
 *         {.hole = 64},                                       a hole asks for 64 tokens
 *     };
 *     opt.blocks = 8;
 *     if (mdlm_fill(model, spans, 2, &opt, &result, &err) == MDLM_OK)
 *         fwrite(mdlm_result_sample(result, 0)->text, 1, ..., stdout);
 *     mdlm_result_free(result);
 *     mdlm_free(model);
 *
 * Conventions. Every function that can fail returns a mdlm_status and fills `err` (may be NULL)
 * with one lower-case line; out-parameters are untouched on failure. The library installs no
 * signal handler, prints nothing, and never exits. A model is used by one thread at a time; two
 * models on two threads are fine. Likelihoods are in nats. Text is bytes: any byte string goes in
 * and comes out unchanged, valid UTF-8 or not.
 */
#ifndef MDLM_H
#define MDLM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MDLM_API __attribute__((visibility("default")))
#else
#define MDLM_API
#endif

/* The values are the exit codes of the command line. */
typedef enum mdlm_status {
    MDLM_OK = 0,
    MDLM_RUNTIME = 1,   /* out of memory, internal limits */
    MDLM_USAGE = 2,     /* an option or argument makes no sense */
    MDLM_INPUT = 3,     /* a file is missing, unreadable or malformed */
    MDLM_NUMERIC = 4,   /* non-finite numbers where there must be none */
    MDLM_WRITE = 5,     /* a write failed */
    MDLM_CANCELLED = 6, /* a callback asked to stop; partial results are delivered */
} mdlm_status;

typedef struct mdlm_error {
    mdlm_status status;
    char message[500]; /* one line, lower case, no trailing newline; "" when ok */
} mdlm_error;

typedef struct mdlm_model mdlm_model;   /* weights, tokenizer and work space */
typedef struct mdlm_result mdlm_result; /* samples of one mdlm_fill */

typedef struct mdlm_load_options {
    int threads;         /* 0: one per processor this process may use */
    const char *kernels; /* NULL: the best for this processor */
    /* Operands of matrix products: "f32", "bf16", "q8_0" (8-bit weights and activations with a
     * scale per 32, GGUF's). NULL or "auto": f32; of a model that would take more than 4 GiB then,
     * what most of it is stored in, bf16 for 16 bits and q8_0 for less. */
    const char *dtype;
    const char *weights; /* NULL: the folder's model.safetensors; else this file (a run's
                            checkpoint, say) */
    /* Called while weights are read: bytes so far, and in all. Non-zero cancels: MDLM_CANCELLED.
     * NULL: nobody is told. */
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} mdlm_load_options;

/* What a model is. Strings belong to the model. */
typedef struct mdlm_model_info {
    const char *tokenizer; /* "bytes", "chars" or "bpe" */
    const char *objective; /* what it was trained for: "mdlm" sees the whole canvas, "block" up to
                              the end of a position's block, "ar" what is before a position */
    const char *dtype;     /* that it computes in: "f32", "bf16" or "q8_0" */
    int block_length;      /* of "block"; else 0 */
    int layers, dim, heads, kv_heads, ff, vocab;
    int seq_len; /* tokens that it was trained on; of Dream, the most that it takes */
    int canvas;  /* tokens where nobody says how many: seq_len, of Dream at most 2048 */
    int32_t mask_id, end_of_text_id; /* end_of_text_id is -1 when there is none */
    int64_t parameters;
} mdlm_model_info;

/* Part of a canvas. Either ids, or text, or a hole; exactly one of the three. */
typedef struct mdlm_span {
    const char *text; /* text_bytes bytes, tokenized as they stand */
    size_t text_bytes;
    const int32_t *ids; /* ids_count token ids */
    size_t ids_count;
    int hole; /* > 0: that many masked tokens to fill */
} mdlm_span;

/* One step of the sampler, for showing progress. Arrays are [samples][length], owned by the
 * library, valid during the callback. */
typedef struct mdlm_step {
    int step, steps;     /* 1-based index of this step; planned total, or the most there can be */
    int block, blocks;   /* 0-based block being filled, number of blocks */
    int samples, length; /* canvases, tokens in each (spans included) */
    const int32_t *ids;  /* current canvas; masked positions hold mask_id */
    const float *confidence; /* probability of the token when it was set; 1 for given tokens */
    const uint8_t *settled;  /* 1 where the token will not change any more */
    int64_t evaluations;     /* network evaluations so far, counted in canvases */
} mdlm_step;

/* Return non-zero to cancel: mdlm_fill then returns MDLM_CANCELLED with the partial canvas. */
typedef int (*mdlm_step_fn)(void *user, const mdlm_step *step);

/* Start from mdlm_fill_defaults(): a zeroed struct is not the default. Words that are NULL stand
 * for the first one listed. Options that a sampler does not use do not matter. */
typedef struct mdlm_fill_options {
    /* "ancestral", "first-hitting", "random", "left", "confidence", "margin", "entropy", "origin",
     * "threshold", "factor", "remdm-cap", "remdm-rescale", "remdm-conf", "remdm-loop"; NULL:
     * "ancestral", but "left" for a model trained for "ar", which can do no other */
    const char *sampler;
    int steps;                 /* in total, shared equally by blocks; 0: one per token to fill */
    const char *step_schedule; /* "linear", "cosine": few tokens at first, more later */
    int blocks; /* semi-autoregressive blocks; must divide the tokens to fill. A model trained for
                   "block" has its own, one for "ar" has none: they ignore this */
    double temperature;     /* 0: the most probable token; 1: the model's distribution */
    int top_k;              /* 0: off */
    double top_p;           /* 1: off */
    double threshold;       /* "threshold": a token is set from this confidence on */
    double factor;          /* "factor": larger sets more tokens at once */
    double eta;             /* "remdm-*": how much is masked again; negative: the paper's value */
    double alg_temperature; /* "confidence", "margin", "entropy": positions are drawn from the
                               softmax of scores over this; 0: the best are taken */
    double edit_threshold;  /* a token of the block is rewritten where another has more than this
                               probability; 0: never */
    double guidance_scale;  /* l_u + scale (l - l_u), where l_u sees no given token; 1: off */
    const char *compat;     /* "none", "llada", "dream": whose rounding to follow */
    const char *cache;      /* "exact", "none", "prefix", "dual"; the last two are approximate for a
                               model that sees the whole canvas */
    bool verify_cache;      /* compute everything without the cache too: mdlm_result_drift */
    /* "keep", "stop": texts end at the first end-of-text in a hole, "forbid", "late": set last by
     * samplers that go by confidence */
    const char *end_of_text;
    /* Ids that may be drawn (NULL: all) and that may not; the second list wins. */
    const int32_t *allowed, *forbidden;
    size_t allowed_count, forbidden_count;
    /* A regular expression (tokenizer/regex.h) that the text from the first hole on, or with
     * regex_whole all of it, given parts included, matches from end to end; NULL: none. MDLM_USAGE
     * when no text of so many tokens can. */
    const char *regex;
    bool regex_whole;
    int samples;         /* canvases filled in one batch */
    int64_t first_index; /* index of the first: sample k depends on (seed, k) alone */
    uint64_t seed;
    mdlm_step_fn on_step; /* may be NULL */
    void *user;
} mdlm_fill_options;

/* What a hole was filled with. */
typedef struct mdlm_hole {
    int start, length; /* positions of the canvas */
    const char *text;  /* within the sample's new_text: not NUL-terminated */
    size_t text_bytes;
} mdlm_hole;

/* One filled canvas. Owned by the result. Texts end before the first end-of-text in a hole when
 * that was asked for; ids never do. */
typedef struct mdlm_sample {
    int64_t index;      /* first_index + position in the batch */
    const int32_t *ids; /* the whole canvas, `length` ids */
    int length;
    const char *text; /* the whole canvas: given text byte for byte, the rest decoded; also
                         NUL-terminated */
    size_t text_bytes;
    const int32_t *new_ids; /* the ids of the holes alone, in order */
    int new_length;
    const char *new_text; /* the holes' ids decoded together; also NUL-terminated */
    size_t new_text_bytes;
    const mdlm_hole *holes; /* one for each hole of the spans, and for each run of masks in ids */
    int hole_count;
} mdlm_sample;

/* How far what a cache gave was from the logits of the whole canvas, over all rows that tokens
 * were drawn from. */
typedef struct mdlm_drift {
    bool exact; /* the cache promises the same result as none */
    int64_t rows, argmax_differs;
    double kl_mean, kl_max; /* KL(without || with), nats */
} mdlm_drift;

/* Start from mdlm_score_defaults(). */
typedef struct mdlm_score_options {
    const char *method; /* NULL or "nelbo": a bound by independent masking; "count": the same bound
                           with exactly l positions masked, which varies less; "chain": -log p from
                           left to right, one evaluation a token, nothing drawn. A model trained for
                           "ar" gives -log p by each */
    int draws;          /* noise levels per text (the mean is reported); at least 2 for an error */
    uint64_t seed;
    int64_t index;         /* number of the text, from 0: masks depend on (seed, index) */
    double guidance_scale; /* 1: off; else logits are pushed away from those without the prompt, and
                              the result ranks responses, but bounds no likelihood */
    bool
        chat; /* as a model is fine-tuned: the prompt is a user's message, by the chat template (see
                 mdlm_tokenize_chat), and the response is followed by end-of-text, which counts */
} mdlm_score_options;

/* A bound on a conditional likelihood: log p(response | prompt) >= -nelbo, or = (see method). */
typedef struct mdlm_score_result {
    double nelbo;     /* nats, for the whole response */
    double stderr_mc; /* Monte Carlo standard error of nelbo, nats; 0 where nothing is drawn, NaN
                         for one draw */
    int tokens;       /* tokens of the response */
} mdlm_score_result;

/* Loads a run folder or a Hugging Face model folder. `opt` may be NULL. Caller frees *out. */
MDLM_API mdlm_status mdlm_load(const char *path, const mdlm_load_options *opt, mdlm_model **out,
                               mdlm_error *err);
MDLM_API void mdlm_free(mdlm_model *model); /* accepts NULL */
MDLM_API mdlm_model_info mdlm_info(const mdlm_model *model);

/* Text to ids. *out is a malloc'd array that the caller frees with mdlm_ids_free. */
MDLM_API mdlm_status mdlm_tokenize(const mdlm_model *model, const char *text, size_t bytes,
                                   int32_t **out, size_t *count, mdlm_error *err);
MDLM_API void mdlm_ids_free(int32_t *ids);
/* Ids to text, NUL-terminated; masks and other special tokens decode to nothing. The caller frees
 * *out with mdlm_text_free. */
MDLM_API mdlm_status mdlm_detokenize(const mdlm_model *model, const int32_t *ids, size_t count,
                                     char **out, size_t *bytes, mdlm_error *err);
MDLM_API void mdlm_text_free(char *text);

/* One turn of a conversation. */
typedef struct mdlm_message {
    const char *role; /* "system", "user", "assistant" */
    const char *text; /* text_bytes bytes */
    size_t text_bytes;
} mdlm_message;

/* The prompt for the assistant's next turn, by the model's chat template (a plain one, the text and
 * a line feed, if it has none: see mdlm_has_chat_template). Special tokens come from the template
 * alone, whatever the messages spell. Freed with mdlm_ids_free. MDLM_INPUT for a template that asks
 * for what is not supported, or refuses the messages. */
MDLM_API mdlm_status mdlm_tokenize_chat(const mdlm_model *model, const mdlm_message *messages,
                                        size_t count, int32_t **out, size_t *ids, mdlm_error *err);
MDLM_API bool mdlm_has_chat_template(const mdlm_model *model);

/* Fills the holes of the canvas that the spans make up, `samples` times. With MDLM_CANCELLED the
 * partial canvases are delivered all the same. Caller frees *out. */
MDLM_API mdlm_fill_options mdlm_fill_defaults(void);
MDLM_API mdlm_status mdlm_fill(mdlm_model *model, const mdlm_span *spans, size_t count,
                               const mdlm_fill_options *opt, mdlm_result **out, mdlm_error *err);
MDLM_API int mdlm_result_count(const mdlm_result *result);
MDLM_API const mdlm_sample *mdlm_result_sample(const mdlm_result *result, int i);
/* Steps taken, and network evaluations counted in canvases (an unchanged canvas is not evaluated
 * again, so there may be fewer). */
MDLM_API void mdlm_result_work(const mdlm_result *result, int *steps, int64_t *evaluations);
/* False, with *out untouched, unless verify_cache was asked for. */
MDLM_API bool mdlm_result_drift(const mdlm_result *result, mdlm_drift *out);
MDLM_API void mdlm_result_free(mdlm_result *result); /* accepts NULL */

/* Bounds -log p(response | prompt): the response masked, the prompt always visible. Prompt and
 * response together must fit seq_len. */
MDLM_API mdlm_score_options mdlm_score_defaults(void);
MDLM_API mdlm_status mdlm_score(mdlm_model *model, const char *prompt, size_t prompt_bytes,
                                const char *response, size_t response_bytes,
                                const mdlm_score_options *opt, mdlm_score_result *out,
                                mdlm_error *err);

/* The network's logits for each position of a canvas, logits[count][vocab], as they are: the mask's
 * own, which no sampler uses, included. count must be in 1 .. seq_len (more where the objective is
 * "block" or "ar"), ids in the vocabulary (MDLM_USAGE). */
MDLM_API mdlm_status mdlm_logits(mdlm_model *model, const int32_t *ids, size_t count, float *logits,
                                 mdlm_error *err);

MDLM_API const char *mdlm_version(void); /* "0.1.0" */

#ifdef __cplusplus
}
#endif
#endif
