/* sampler/ask.c: see ask.h. */
#include "sampler/ask.h"

#include "base/memory.h"
#include "sampler/kept.h"

struct md_ask {
    const md_denoiser *denoiser;
    int samples;
    const md_canvas_block *block;
    md_query query; /* of the last call */
    md_kept *kept;
    md_cache *cache;
    md_cache_drift *drift; /* NULL: not wanted */
    md_query exact;        /* for the drift */
    int64_t evaluations;
};

static mdlm_status prepare(md_ask *a, const md_sampler_options *opt, int T, mdlm_error *err) {
    int64_t keep = opt->cache == MD_CACHE_NONE ? 0 : opt->keep_logits;
    MD_TRY(md_cache_new(a->denoiser, opt->cache, a->samples, T, &a->cache, err));
    if (!(a->kept = md_kept_new(a->samples, a->denoiser->vocab, keep, err))) return MDLM_RUNTIME;
    MD_TRY(md_query_init(&a->query, a->denoiser, T, a->samples, err));
    if (a->drift) MD_TRY(md_query_init(&a->exact, a->denoiser, T, 1, err));
    return MDLM_OK;
}

mdlm_status md_ask_new(const md_denoiser *denoiser, const md_sampler_options *opt,
                       const md_canvas *canvas, md_ask **out, mdlm_error *err) {
    md_ask *a = md_alloc(1, sizeof *a, err);
    if (!a) return MDLM_RUNTIME;
    *a = (md_ask){.denoiser = denoiser, .samples = canvas->samples, .drift = opt->drift};
    mdlm_status status = prepare(a, opt, canvas->length, err);
    if (status == MDLM_OK) {
        *out = a;
    } else {
        md_ask_free(a);
    }
    return status;
}

void md_ask_free(md_ask *a) {
    if (!a) return;
    md_query_release(&a->exact);
    md_query_release(&a->query);
    md_kept_free(a->kept);
    md_cache_free(a->cache);
    md_free(a);
}

void md_ask_start_block(md_ask *a, const md_canvas_block *block) {
    a->block = block;
    md_cache_start_block(a->cache);
}

static bool same(const md_span *a, const md_span *b) {
    return a->T == b->T && a->first == b->first && a->end == b->end && a->cached == b->cached;
}

/* Adds sample k to the call, whose span is that of the first in it. */
static bool add(md_ask *a, int k, const md_want *w, md_span *span) {
    md_query *q = &a->query;
    md_span own = md_cache_span(a->cache, k, a->block);
    if (q->canvases == 0) {
        *span = own;
        if (own.cached) {
            md_query_begin_cached(q, own.T, own.first, own.end);
        } else {
            md_query_begin(q, own.T);
        }
    }
    if (!same(span, &own) || !md_query_fits(q, w->count)) return false;
    if (own.cached) {
        md_query_add_cached(q, w->ids, w->positions, w->count, k, md_cache_of(a->cache, k));
    } else {
        md_query_add(q, w->ids, w->positions, w->count, k);
    }
    return true;
}

/* One canvas at a time: this is a check, not a way to sample. */
static mdlm_status measure_drift(md_ask *a, const md_want *w, mdlm_error *err) {
    md_query *q = &a->exact;
    bool all = a->denoiser->sight == MD_SEES_ALL;
    int V = a->denoiser->vocab;
    md_query_clear(q);
    md_query_begin(q, all ? q->longest : a->block->end);
    md_query_add(q, w->ids, w->positions, w->count, 0);
    MD_TRY(md_query_run(q, err));
    for (int i = 0; i < w->count; i++)
        md_cache_drift_add(a->drift, q->logits + (size_t)i * (size_t)V, w->logits[i], V,
                           a->denoiser->mask_id);
    return MDLM_OK;
}

/* Points at what is kept; false when something is not. */
static bool recall(const md_ask *a, int k, const md_want *w) {
    for (int i = 0; i < w->count; i++)
        if (!(w->logits[i] = md_kept_row(a->kept, k, w->positions[i]))) return false;
    return true;
}

static mdlm_status run(md_ask *a, md_want *want, mdlm_error *err) {
    md_query *q = &a->query;
    MD_TRY(md_query_run(q, err));
    a->evaluations += q->canvases;
    for (int canvas = 0, n = 0; canvas < q->canvases; canvas++) {
        int k = (int)q->tag[canvas];
        for (int i = 0; i < want[k].count; i++, n++)
            want[k].logits[i] = q->logits + (size_t)n * (size_t)a->denoiser->vocab;
        md_cache_computed(a->cache, k, a->block);
    }
    return MDLM_OK;
}

mdlm_status md_ask_next(md_ask *a, md_want *want, int *answered, int *count, mdlm_error *err) {
    md_span span = {0};
    *count = 0;
    md_query_clear(&a->query);
    for (int k = 0; k < a->samples; k++) {
        if (!want[k].pending) continue;
        if (!recall(a, k, &want[k]) && !add(a, k, &want[k], &span)) continue;
        want[k].pending = false;
        answered[(*count)++] = k;
    }
    MD_TRY(run(a, want, err));
    for (int i = 0; a->drift && i < *count; i++) MD_TRY(measure_drift(a, &want[answered[i]], err));
    return MDLM_OK;
}

void md_ask_changed(md_ask *a, const uint8_t *changed) {
    md_kept_update(a->kept, &a->query, changed);
}

int64_t md_ask_evaluations(const md_ask *a) {
    return a->evaluations;
}
