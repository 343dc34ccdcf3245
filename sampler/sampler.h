/* sampler/sampler.h: one loop that fills masked canvases, one small file per stepping rule.
 *
 *     md_sampler_options opt = md_sampler_defaults();
 *     md_canvas canvas = {.ids = ids, .given = given, .samples = 4, .length = 96};
 *     status = md_sampler_run(&denoiser, &process, &opt, &canvas, &work, err);
 *
 * The loop: for each block, left to right; for each step, let the rule name the positions whose
 * prediction it needs, ask the denoiser for those rows (not of a canvas of which none is needed, or
 * of which they are known since it did not change), draw a proposal for each, let the rule commit
 * some of them, edit what stood there (sampler/edit.h), show the trace. Positions after the block
 * stay masked; given positions never change. Sample k of a batch depends on (seed, first_index + k)
 * only (of the index, the low 32 bits), not on its neighbours, on threads, or on an exact cache.
 *
 * Blocks divide the open (not given) positions of the canvas, in order of position, into equal
 * parts. Where the denoiser sees by blocks (MD_SEES_BLOCKS) they are the denoiser's own, aligned to
 * the start of the canvas, those without an open position left out; with MD_SEES_PAST every open
 * position is one, so one token is set a step: `blocks` is ignored (sampler/blocks.h). The rule
 * must then go from left to right (MDLM_USAGE otherwise).
 */
#ifndef MD_SAMPLER_SAMPLER_H
#define MD_SAMPLER_SAMPLER_H

#include "base/pool.h"
#include "diffusion/masked.h"
#include "sampler/loop.h"
#include "tensor/denoiser.h"
#include "tensor/kernels.h"

typedef struct md_rule md_rule;             /* sampler/rule.h */
typedef struct md_constraint md_constraint; /* sampler/constraint.h */

/* How the masked share falls over the N steps of a block: t_i = 1 - i/N, or cos(pi/2 i/N), which
 * commits few tokens at first and more later (MaskGIT). */
typedef enum md_step_schedule { MD_STEPS_LINEAR, MD_STEPS_COSINE } md_step_schedule;

/* Whose published rounding to follow where conventions differ (sampler/steps.h). */
typedef enum md_compat { MD_COMPAT_NONE, MD_COMPAT_LLADA, MD_COMPAT_DREAM } md_compat;

/* What is kept between steps. */
typedef enum md_cache_kind {
    MD_CACHE_NONE,   /* nothing */
    MD_CACHE_EXACT,  /* logits of unchanged canvases; keys and values of finished blocks where the
                        model sees no further than its block: the same result as NONE */
    MD_CACHE_PREFIX, /* Fast-dLLM: keys and values before the block, as they were when it began */
    MD_CACHE_DUAL,   /* and after it: a step computes the block alone. Both approximate where the
                        model sees all (sampler/cache.h), and else the same as EXACT; MDLM_USAGE
                        for a denoiser without caches */
} md_cache_kind;

/* What end-of-text may do; at every temperature. */
typedef enum md_end_kind {
    MD_END_KEEP,   /* a token like others */
    MD_END_STOP,   /* what is open after a finished block that holds it is filled with it, without
                      the network: in each sample on its own, unless a constraint forbids it */
    MD_END_FORBID, /* never drawn */
    MD_END_LATE,   /* its confidence counts as 0, so rules that go by confidence set it last */
} md_end_kind;

/* How far cached logits were from those of the whole canvas; initialise with {0}. Of the rows that
 * draws were made from, p exact and q cached, both softmax without the mask. */
typedef struct md_cache_drift {
    int64_t rows, argmax_differs;
    double kl_sum, kl_max; /* KL(p || q), nats */
} md_cache_drift;

typedef struct md_sampler_options {
    const md_rule *rule;
    int steps;          /* in total, shared equally by blocks (the first blocks take the rest);
                           0: one per open position. At least one per block. Rules with
                           one_token_per_step or until_filled ignore it, and so does MD_SEES_PAST */
    int blocks;         /* must divide the number of open positions (the error names the nearest) */
    double temperature; /* 0: arg-max; see sampler/draw.h for the precision */
    int top_k;          /* 0: off */
    double top_p;       /* (0,1]; 1: off. Order: temperature, top_k, top_p (of what top_k left) */
    uint64_t seed;
    int64_t first_index;  /* >= 0 */
    mdlm_step_fn on_step; /* may be NULL; non-zero cancels: MDLM_CANCELLED */
    void *user;
    const md_kernels *kernels; /* for the draws; plain C by default */
    md_pool *pool;             /* for the draws; NULL: this thread alone */
    /* rules; those that a rule does not use do not matter */
    double threshold;       /* threshold: commit from this confidence on, in [0,1] */
    double factor;          /* factor: Fast-dLLM's f > 0 */
    double eta;             /* remdm-*: in [0,1]; negative: the rule's default */
    double alg_temperature; /* confidence, margin, entropy: positions are drawn from the softmax of
                               scores over this; 0: the best */
    double edit_threshold;  /* in (0,1): a token of the block is rewritten when another has more
                               than this probability (LLaDA 2.1); 0: off */
    md_step_schedule step_schedule;
    md_compat compat;
    /* end-of-text and constraints */
    md_end_kind end_of_text;
    int32_t end_of_text_id;    /* -1: the model has none */
    const uint8_t *allowed;    /* [V] 1: may be drawn; NULL: all. At least one (MD_BUG_IF) */
    md_constraint *constraint; /* NULL: none */
    md_cache_kind cache;
    md_cache_drift *drift; /* not NULL: compute every row without a cache as well, and add up the
                              difference; 0 for exact ones. Draws are made from the cache's */
    int64_t keep_logits; /* so many numbers at most are kept of canvases that a step did not change
                            (4 bytes each); less means more evaluations, never another result */
} md_sampler_options;
/* ancestral, 1 block, temperature 1, threshold 0.9, factor 1, eta -1, linear steps, end-of-text
 * kept, cache exact, kernels ref, 256 MiB of logits kept */
md_sampler_options md_sampler_defaults(void);

/* What is filled. All samples share `given` and length. */
typedef struct md_canvas {
    int32_t *ids;         /* [samples, length]; open positions must hold the mask (MD_BUG_IF) */
    const uint8_t *given; /* [length] 1: prompt or fixed text, never changed; NULL: none */
    int samples, length;
} md_canvas;

/* Fills the canvas in place; a canvas with no open position needs no step. On MDLM_CANCELLED the
 * canvas is partly filled and `work` says how far. On other failures its contents are unspecified.
 * MDLM_USAGE for options out of range, before any evaluation when nothing satisfies the constraint,
 * and when no token that may stand at a position has a probability; MDLM_NUMERIC for logits that
 * are no distribution (NaN, +infinity, all -infinity). `work` may be NULL. */
mdlm_status md_sampler_run(const md_denoiser *denoiser, const md_masked *process,
                           const md_sampler_options *opt, const md_canvas *canvas,
                           md_sampler_work *work, mdlm_error *err);

/* NULL for an unknown name. Names and their order for --help: md_rule_names (NULL-terminated).
 * Aliases (low_confidence, ...) belong to the options table of the command line. */
const md_rule *md_rule_find(const char *name);
extern const char *const md_rule_names[];

#endif
