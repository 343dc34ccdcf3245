/* sampler/ask.h: logits for some positions of each of many canvases, from the network or from what
 * is known of them.
 *
 *     md_ask *ask = NULL;
 *     MD_TRY(md_ask_new(&denoiser, &opt, &canvas, &ask, err));
 *     md_ask_start_block(ask, block);
 *     for (each step) {
 *         for (each sample k that wants some) want[k] = (md_want){.pending = true, ...};
 *         do {
 *             status = md_ask_next(ask, want, answered, &count, err);
 *             ... use want[answered[0 .. count-1]].logits, change canvases, note which ...
 *             md_ask_changed(ask, changed);
 *         } while (count > 0);
 *     }
 *     md_ask_free(ask);
 *
 * The network does not see the time, so what it said of a canvas holds until the canvas changes
 * (sampler/kept.h), and a canvas is asked for again only then. Others go together into calls by
 * what must be computed of them (sampler/cache.h). Nothing that is answered for a sample depends on
 * the other samples.
 */
#ifndef MD_SAMPLER_ASK_H
#define MD_SAMPLER_ASK_H

#include "sampler/cache.h"

typedef struct md_want {
    const int32_t *ids;       /* the canvas [T] */
    const int32_t *positions; /* [count], ascending, at least one, in the block */
    int count;
    bool pending;         /* cleared by the answer */
    const float **logits; /* [count], written: each [V], valid until md_ask_changed */
} md_want;

typedef struct md_ask md_ask;

/* For canvases like these, with the cache, drift and keep_logits of `opt`; fails as md_cache_new
 * does. The denoiser must outlive it; caller frees *out. */
mdlm_status md_ask_new(const md_denoiser *denoiser, const md_sampler_options *opt,
                       const md_canvas *canvas, md_ask **out, mdlm_error *err);
void md_ask_free(md_ask *ask); /* accepts NULL */

void md_ask_start_block(md_ask *ask,
                        const md_canvas_block *block); /* which must outlive its steps */

/* Answers some of the samples that are pending in want [samples], in one call at most. Writes which
 * to answered [samples], ascending, and how many; none when nothing is pending. */
mdlm_status md_ask_next(md_ask *ask, md_want *want, int *answered, int *count, mdlm_error *err);
/* Forgets what is known of samples k with changed[k], and keeps what the last call said of those
 * without. A sample that is still pending must not have changed. */
void md_ask_changed(md_ask *ask, const uint8_t *changed);

/* Canvases that were computed, in full or in part; those for the drift alone are not counted. */
int64_t md_ask_evaluations(const md_ask *ask);

#endif
