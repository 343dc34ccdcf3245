/* sampler/cache.c: see cache.h. */
#include "sampler/cache.h"

#include <math.h>

#include "base/memory.h"

struct md_cache {
    const md_denoiser *denoiser;
    md_cache_kind kind;
    int samples, T;
    void **of; /* [samples] the denoiser's caches; NULL: none */
    int *held; /* [samples] so many positions from the start need not be computed again;
                  MD_SEES_ALL: whether the sample's cache was filled in this block */
};

static bool keeps(const md_denoiser *denoiser, md_cache_kind kind) {
    if (!denoiser->predict_cached || kind == MD_CACHE_NONE) return false;
    return kind != MD_CACHE_EXACT || denoiser->sight != MD_SEES_ALL;
}

static mdlm_status allocate(md_cache *c, mdlm_error *err) {
    const md_denoiser *d = c->denoiser;
    if (!(c->held = md_alloc((size_t)c->samples, sizeof *c->held, err))) return MDLM_RUNTIME;
    if (!(c->of = md_alloc((size_t)c->samples, sizeof *c->of, err))) return MDLM_RUNTIME;
    for (int k = 0; k < c->samples; k++) {
        if ((c->of[k] = d->cache_new(d->context, c->T, err))) continue;
        return md_fail(err, MDLM_RUNTIME,
                       "out of memory for the keys and values of %d samples of %d tokens: expected "
                       "fewer samples, or --cache none",
                       c->samples, c->T);
    }
    return MDLM_OK;
}

mdlm_status md_cache_new(const md_denoiser *denoiser, md_cache_kind kind, int samples, int T,
                         md_cache **out, mdlm_error *err) {
    if (!denoiser->predict_cached && (kind == MD_CACHE_PREFIX || kind == MD_CACHE_DUAL))
        return md_fail(err, MDLM_USAGE, "--cache %s: this model keeps no keys and values",
                       kind == MD_CACHE_PREFIX ? "prefix" : "dual");
    md_cache *c = md_alloc(1, sizeof *c, err);
    if (!c) return MDLM_RUNTIME;
    *c = (md_cache){.denoiser = denoiser, .kind = kind, .samples = samples, .T = T};
    mdlm_status status = keeps(denoiser, kind) ? allocate(c, err) : MDLM_OK;
    if (status == MDLM_OK) {
        *out = c;
    } else {
        md_cache_free(c);
    }
    return status;
}

void md_cache_free(md_cache *c) {
    if (!c) return;
    for (int k = 0; c->of && k < c->samples; k++) c->denoiser->cache_free(c->of[k]);
    md_free(c->of);
    md_free(c->held);
    md_free(c);
}

void md_cache_start_block(md_cache *c) {
    if (!c->of || c->denoiser->sight != MD_SEES_ALL) return;
    for (int k = 0; k < c->samples; k++) c->held[k] = 0;
}

md_span md_cache_span(const md_cache *c, int k, const md_canvas_block *block) {
    bool all = c->denoiser->sight == MD_SEES_ALL;
    int sees = all ? c->T : block->end;
    if (!c->of) return (md_span){.T = sees, .end = sees};
    md_span span = {.T = c->T, .first = c->held[k], .end = sees, .cached = true};
    if (all && c->held[k]) {
        span.first = block->start;
        if (c->kind == MD_CACHE_DUAL) span.end = block->end;
    }
    return span;
}

void *md_cache_of(const md_cache *c, int k) {
    return c->of ? c->of[k] : NULL;
}

/* A row of MD_SEES_PAST is computed from the tokens before it, which are final; one of
 * MD_SEES_BLOCKS from its block, which is not yet. */
void md_cache_computed(md_cache *c, int k, const md_canvas_block *block) {
    if (!c->of) return;
    switch (c->denoiser->sight) {
    case MD_SEES_ALL: c->held[k] = 1; break;
    case MD_SEES_BLOCKS: c->held[k] = block->start; break;
    case MD_SEES_PAST: c->held[k] = block->end; break;
    }
}

/* --- drift ----------------------------------------------------------------------------------- */

typedef struct peak {
    int best;      /* the lower id of equals */
    double normal; /* ln sum exp l */
} peak;

static peak find_peak(const float *l, int V, int32_t mask_id) {
    peak p = {.best = -1};
    double sum = 0;
    for (int v = 0; v < V; v++)
        if (v != mask_id && (p.best < 0 || l[v] > l[p.best])) p.best = v;
    for (int v = 0; v < V; v++)
        if (v != mask_id) sum += exp((double)l[v] - (double)l[p.best]);
    p.normal = (double)l[p.best] + log(sum);
    return p;
}

void md_cache_drift_add(md_cache_drift *drift, const float *exact, const float *cached, int V,
                        int32_t mask_id) {
    peak p = find_peak(exact, V, mask_id), q = find_peak(cached, V, mask_id);
    double kl = 0;
    for (int v = 0; v < V; v++) {
        double log_p = (double)exact[v] - p.normal, log_q = (double)cached[v] - q.normal;
        if (v != mask_id && exp(log_p) > 0) kl += exp(log_p) * (log_p - log_q);
    }
    kl = fmax(kl, 0); /* of rounding */
    drift->rows++;
    drift->argmax_differs += p.best != q.best;
    drift->kl_sum += kl;
    drift->kl_max = fmax(drift->kl_max, kl);
}
