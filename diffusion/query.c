/* diffusion/query.c: see query.h. */
#include "diffusion/query.h"

#include <string.h>

#include "base/memory.h"

mdlm_status md_query_init(md_query *q, const md_denoiser *denoiser, int T, int most,
                          mdlm_error *err) {
    MD_BUG_IF(T < 1 || most < 1);
    size_t tokens = 0;
    *q = (md_query){.denoiser = denoiser, .T = T, .longest = T, .capacity = most};
    if (q->capacity > INT32_MAX / T) q->capacity = INT32_MAX / T; /* rows are 32-bit */
    if (!md_size_mul((size_t)q->capacity, (size_t)T, &tokens))
        return md_fail(err, MDLM_RUNTIME, "%d canvases of %d tokens are too many", most, T);
    q->ids = md_alloc(tokens, sizeof *q->ids, err);
    q->rows = q->ids ? md_alloc(tokens, sizeof *q->rows, err) : NULL;
    q->tag = q->rows ? md_alloc((size_t)q->capacity, sizeof *q->tag, err) : NULL;
    q->caches = q->tag ? md_alloc((size_t)q->capacity, sizeof *q->caches, err) : NULL;
    if (q->caches) return MDLM_OK;
    md_query_release(q);
    return MDLM_RUNTIME;
}

mdlm_status md_query_pair(md_query *q, mdlm_error *err) {
    MD_BUG_IF(!q->denoiser->predict_blocks || q->clean || q->canvases > 0);
    q->clean = md_alloc((size_t)q->capacity * (size_t)q->longest, sizeof *q->clean, err);
    return q->clean ? MDLM_OK : MDLM_RUNTIME;
}

void md_query_release(md_query *q) {
    md_free(q->ids);
    md_free(q->clean);
    md_free(q->rows);
    md_free(q->tag);
    md_free(q->caches);
    md_free(q->logits);
    *q = (md_query){0};
}

void md_query_begin(md_query *q, int T) {
    MD_BUG_IF(q->canvases > 0 || T < 1 || T > q->longest);
    q->T = T;
    q->first = q->end = 0;
}

void md_query_begin_cached(md_query *q, int T, int first, int end) {
    MD_BUG_IF(first < 0 || first >= end || end > T);
    md_query_begin(q, T);
    q->first = first;
    q->end = end;
}

bool md_query_fits(const md_query *q, int count) {
    if (q->canvases == 0) return true;
    int64_t logits = ((int64_t)q->count + count) * q->denoiser->vocab;
    return q->canvases < q->capacity && logits <= MD_QUERY_LOGITS;
}

static void add(md_query *q, const int32_t *ids, const int32_t *positions, int count, int64_t tag) {
    MD_BUG_IF(count < 1 || count > q->T || !md_query_fits(q, count));
    memcpy(q->ids + (size_t)q->canvases * (size_t)q->T, ids, (size_t)q->T * sizeof *ids);
    for (int i = 0; i < count; i++) q->rows[q->count++] = q->canvases * q->T + positions[i];
    q->tag[q->canvases++] = tag;
}

void md_query_add(md_query *q, const int32_t *ids, const int32_t *positions, int count,
                  int64_t tag) {
    MD_BUG_IF(q->clean || q->end > 0);
    add(q, ids, positions, count, tag);
}

void md_query_add_cached(md_query *q, const int32_t *ids, const int32_t *positions, int count,
                         int64_t tag, void *cache) {
    MD_BUG_IF(q->end == 0);
    add(q, ids, positions, count, tag);
    q->caches[q->canvases - 1] = cache;
}

void md_query_add_paired(md_query *q, const int32_t *noisy, const int32_t *clean,
                         const int32_t *positions, int count, int64_t tag) {
    MD_BUG_IF(!q->clean);
    add(q, noisy, positions, count, tag);
    memcpy(q->clean + (size_t)(q->canvases - 1) * (size_t)q->T, clean,
           (size_t)q->T * sizeof *clean);
}

static mdlm_status make_room(md_query *q, mdlm_error *err) {
    size_t need = 0;
    if (!md_size_mul((size_t)q->count, (size_t)q->denoiser->vocab, &need))
        return md_fail(err, MDLM_RUNTIME, "%d rows of logits are too many", q->count);
    return md_reserve_floats(&q->logits, &q->logits_capacity, need, err);
}

static mdlm_status run_cached(md_query *q, mdlm_error *err) {
    md_cached_call call = {.caches = q->caches,
                           .ids = q->ids,
                           .B = q->canvases,
                           .T = q->T,
                           .first = q->first,
                           .end = q->end,
                           .rows = q->rows,
                           .count = q->count,
                           .logits = q->logits};
    return q->denoiser->predict_cached(q->denoiser->context, &call, err);
}

mdlm_status md_query_run(md_query *q, mdlm_error *err) {
    const md_denoiser *d = q->denoiser;
    if (q->canvases == 0) return MDLM_OK;
    MD_TRY(make_room(q, err));
    if (q->end > 0) return run_cached(q, err);
    if (q->clean)
        return d->predict_blocks(d->context, q->ids, q->clean, q->canvases, q->T, q->rows, q->count,
                                 q->logits, err);
    return d->predict(d->context, q->ids, q->canvases, q->T, q->rows, q->count, q->logits, err);
}

void md_query_clear(md_query *q) {
    q->canvases = 0;
    q->count = 0;
}
