/* sampler/guide.c: see guide.h. */
#include "sampler/guide.h"

#include <string.h>

#include "base/memory.h"

/* Two caches of the inner denoiser's: of the canvas, and of the canvas without its prompt. */
typedef struct pair {
    const md_denoiser *inner;
    void *with, *without;
} pair;

mdlm_status md_guide_init(md_guide *g, const md_denoiser *inner, double scale,
                          const uint8_t *prompt, int T, mdlm_error *err) {
    MD_BUG_IF(T < 1);
    *g = (md_guide){.inner = inner, .scale = scale, .T = T};
    g->prompt = md_alloc((size_t)T, sizeof *g->prompt, err);
    if (!g->prompt) return MDLM_RUNTIME;
    memcpy(g->prompt, prompt, (size_t)T);
    return MDLM_OK;
}

void md_guide_release(md_guide *g) {
    md_free(g->prompt);
    md_free(g->ids);
    md_free(g->logits);
    md_free(g->caches);
    *g = (md_guide){0};
}

/* At least a * b items at *array. */
static mdlm_status grow(void **array, size_t *capacity, size_t a, size_t b, size_t size,
                        mdlm_error *err) {
    size_t need;
    if (!md_size_mul(a, b, &need)) need = SIZE_MAX;
    if (need <= *capacity) return MDLM_OK;
    void *grown = md_realloc(*array, need, size, err);
    if (!grown) return MDLM_RUNTIME;
    *array = grown;
    *capacity = need;
    return MDLM_OK;
}

static mdlm_status make_room(md_guide *g, size_t tokens, int count, mdlm_error *err) {
    void *ids = g->ids, *logits = g->logits;
    mdlm_status status = grow(&ids, &g->ids_capacity, tokens, 1, sizeof *g->ids, err);
    if (status == MDLM_OK)
        status = grow(&logits, &g->logits_capacity, (size_t)count, (size_t)g->inner->vocab,
                      sizeof *g->logits, err);
    g->ids = ids;
    g->logits = logits;
    return status;
}

/* Copies canvases [B, T] without their prompt to `to`. */
static void mask_prompt(const md_guide *g, const int32_t *ids, int B, int T, int32_t *to) {
    MD_BUG_IF(T > g->T);
    for (int b = 0; b < B; b++)
        for (int j = 0; j < T; j++, ids++) *to++ = g->prompt[j] ? g->inner->mask_id : *ids;
}

/* logits [count, V] holds l_c; equal ones stay, infinities too. */
static void guide(const md_guide *g, float *logits, int count) {
    size_t size = (size_t)count * (size_t)g->inner->vocab;
    const float scale = (float)g->scale;
    for (size_t i = 0; i < size; i++)
        if (logits[i] != g->logits[i])
            logits[i] = g->logits[i] + scale * (logits[i] - g->logits[i]);
}

static mdlm_status predict(void *context, const int32_t *ids, int B, int T, const int32_t *rows,
                           int count, float *logits, mdlm_error *err) {
    md_guide *g = context;
    const md_denoiser *d = g->inner;
    MD_TRY(make_room(g, (size_t)B * (size_t)T, count, err));
    mask_prompt(g, ids, B, T, g->ids);
    MD_TRY(d->predict(d->context, ids, B, T, rows, count, logits, err));
    MD_TRY(d->predict(d->context, g->ids, B, T, rows, count, g->logits, err));
    guide(g, logits, count);
    return MDLM_OK;
}

static mdlm_status predict_blocks(void *context, const int32_t *noisy, const int32_t *clean, int B,
                                  int T, const int32_t *rows, int count, float *logits,
                                  mdlm_error *err) {
    md_guide *g = context;
    const md_denoiser *d = g->inner;
    size_t tokens = (size_t)B * (size_t)T;
    MD_TRY(make_room(g, 2 * tokens, count, err));
    mask_prompt(g, noisy, B, T, g->ids);
    mask_prompt(g, clean, B, T, g->ids + tokens);
    MD_TRY(d->predict_blocks(d->context, noisy, clean, B, T, rows, count, logits, err));
    MD_TRY(
        d->predict_blocks(d->context, g->ids, g->ids + tokens, B, T, rows, count, g->logits, err));
    guide(g, logits, count);
    return MDLM_OK;
}

/* --- caches ---------------------------------------------------------------------------------- */

static void cache_free(void *cache) {
    pair *p = cache;
    if (!p) return;
    p->inner->cache_free(p->with);
    p->inner->cache_free(p->without);
    md_free(p);
}

static void *cache_new(void *context, int T, mdlm_error *err) {
    const md_denoiser *d = ((md_guide *)context)->inner;
    pair *p = md_alloc(1, sizeof *p, err);
    if (!p) return NULL;
    *p = (pair){.inner = d, .with = d->cache_new(d->context, T, err)};
    if (p->with) p->without = d->cache_new(d->context, T, err);
    if (p->without) return p;
    cache_free(p);
    return NULL;
}

static mdlm_status predict_cached(void *context, const md_cached_call *call, mdlm_error *err) {
    md_guide *g = context;
    const md_denoiser *d = g->inner;
    md_cached_call inner = *call;
    void *caches = g->caches;
    MD_TRY(make_room(g, (size_t)call->B * (size_t)call->T, call->count, err));
    MD_TRY(grow(&caches, &g->caches_capacity, (size_t)call->B, 1, sizeof *g->caches, err));
    g->caches = caches;
    inner.caches = g->caches;
    for (int b = 0; b < call->B; b++) g->caches[b] = ((pair *)call->caches[b])->with;
    MD_TRY(d->predict_cached(d->context, &inner, err));
    mask_prompt(g, call->ids, call->B, call->T, g->ids);
    for (int b = 0; b < call->B; b++) g->caches[b] = ((pair *)call->caches[b])->without;
    inner.ids = g->ids;
    inner.logits = g->logits;
    MD_TRY(d->predict_cached(d->context, &inner, err));
    guide(g, call->logits, call->count);
    return MDLM_OK;
}

md_denoiser md_guide_denoiser(md_guide *g) {
    md_denoiser guided = *g->inner;
    guided.context = g;
    guided.predict = predict;
    if (guided.predict_blocks) guided.predict_blocks = predict_blocks;
    if (guided.predict_cached) {
        guided.cache_new = cache_new;
        guided.cache_free = cache_free;
        guided.predict_cached = predict_cached;
    }
    return guided;
}
