/* sampler/cache.h: the denoiser's keys and values between the steps of a run: which positions of a
 * canvas a call must compute, and which it may take from before.
 *
 *     md_cache *cache = NULL;
 *     MD_TRY(md_cache_new(&denoiser, MD_CACHE_DUAL, samples, T, &cache, err));
 *     for (each block) {
 *         md_cache_start_block(cache);
 *         for (each step) {
 *             md_span span = md_cache_span(cache, k, block);       what to compute of sample k
 *             ... predict_cached with md_cache_of(cache, k) ...    or predict, if not span.cached
 *             md_cache_computed(cache, k, block);
 *         }
 *     }
 *     md_cache_free(cache);
 *
 * Spans, for a canvas of T positions and a block [start, end):
 *
 *   MD_SEES_ALL     the first call in a block computes everything; later ones [start, T) with
 *                   MD_CACHE_PREFIX, [start, end) with MD_CACHE_DUAL (Fast-dLLM). What is not
 *                   computed is as old as the block: approximate.
 *   MD_SEES_BLOCKS  from the first position that was not final when it was computed, to `end`: in
 *                   later calls of a block, this block alone. Exact, whatever the kind.
 *   MD_SEES_PAST    the same, to the one position that is filled. Exact.
 *
 * No cache of keys and values (MD_CACHE_NONE; MD_CACHE_EXACT where there is no exact one): from 0
 * to as far as a position of the block sees, so that text of any length costs what it must.
 */
#ifndef MD_SAMPLER_CACHE_H
#define MD_SAMPLER_CACHE_H

#include "sampler/blocks.h"

typedef struct md_cache md_cache;

typedef struct md_span {
    int T;          /* length of the call's canvases */
    int first, end; /* positions to compute */
    bool cached;    /* with predict_cached */
} md_span;

/* One cache of the denoiser's per sample, for canvases of T tokens. MDLM_USAGE for MD_CACHE_PREFIX
 * and MD_CACHE_DUAL with a denoiser that has no caches. The denoiser must outlive it; caller frees
 * *out. */
mdlm_status md_cache_new(const md_denoiser *denoiser, md_cache_kind kind, int samples, int T,
                         md_cache **out, mdlm_error *err);
void md_cache_free(md_cache *cache); /* accepts NULL */

void md_cache_start_block(md_cache *cache);
md_span md_cache_span(const md_cache *cache, int k, const md_canvas_block *block);
/* The denoiser's cache of sample k; NULL where spans are not cached. */
void *md_cache_of(const md_cache *cache, int k);
/* Sample k's span of this block has been computed. */
void md_cache_computed(md_cache *cache, int k, const md_canvas_block *block);

/* Adds the difference between two rows of logits [V], both without the mask's. */
void md_cache_drift_add(md_cache_drift *drift, const float *exact, const float *cached, int V,
                        int32_t mask_id);

#endif
