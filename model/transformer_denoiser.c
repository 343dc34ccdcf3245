/* model/transformer_denoiser.c: the network as tensor/denoiser.h wants it. */
#include <math.h>

#include "base/memory.h"
#include "model/transformer_internal.h"

/* Keys and values of one canvas. */
typedef struct kv_cache {
    int T;
    md_real *kv; /* [layers, T, 2 * KV * D] */
} kv_cache;

/* Logits wanted, and where positions of canvases are among hidden states: position t of canvas b
 * in row b * stride + t - first. */
typedef struct wanted {
    const int32_t *rows;
    int count;
    float *logits;
    int T, stride, first;
} wanted;

static mdlm_status check_ids(const md_model_config *c, const int32_t *ids, int64_t count,
                             mdlm_error *err) {
    for (int64_t i = 0; i < count; i++) {
        if (ids[i] >= 0 && ids[i] < c->vocab) continue;
        return md_fail(err, MDLM_USAGE, "token id %d is not in a vocabulary of %d", ids[i],
                       c->vocab);
    }
    return MDLM_OK;
}

/* Of rows of one canvas. */
static mdlm_status canvas_logits(const md_transformer_view *view, md_tensor *hidden,
                                 const int32_t *rows, int count, float *logits, mdlm_error *err) {
    md_tensor *h = md_gather_rows(view->tape, hidden, rows, count);
    md_tensor *y = md_linear(view->tape, h, view->net->head, NULL);
    if (view->net->head_bias) y = md_add_channels(view->tape, md_spent(y), view->net->head_bias);
    if (!y) return md_tape_status(view->tape, err);
    const int64_t scored = md_tensor_cols(y), vocab = view->net->config.vocab;
    const md_real *from = y->data;
    for (int r = 0; r < count; r++, logits += vocab, from += scored) {
        for (int64_t i = 0; i < scored; i++) logits[i] = (float)from[i];
        for (int64_t i = scored; i < vocab; i++) logits[i] = -INFINITY;
    }
    return MDLM_OK;
}

/* One canvas at a time, so that the tiles of its products do not depend on the others. */
static mdlm_status write_logits(const md_transformer_view *view, md_tensor *hidden, const wanted *w,
                                mdlm_error *err) {
    int32_t *at = md_tape_alloc(view->tape, (size_t)w->count, sizeof *at);
    if (!hidden || !at) return md_tape_status(view->tape, err);
    for (int i = 0; i < w->count; i++)
        at[i] = w->rows[i] / w->T * w->stride + w->rows[i] % w->T - w->first;
    for (int first = 0; first < w->count;) {
        int end = first, b = w->rows[first] / w->T;
        while (end < w->count && w->rows[end] / w->T == b) end++;
        md_arena_mark mark = md_tape_mark(view->tape);
        MD_TRY(canvas_logits(view, hidden, at + first, end - first,
                             w->logits + (size_t)first * view->net->config.vocab, err));
        md_tape_rewind(view->tape, mark);
        first = end;
    }
    return MDLM_OK;
}

static mdlm_status predict(void *context, const int32_t *ids, int B, int T, const int32_t *rows,
                           int count, float *logits, mdlm_error *err) {
    const md_transformer_view *view = context;
    MD_TRY(check_ids(&view->net->config, ids, (int64_t)B * T, err));
    md_tape_begin(view->tape, false, (md_rng){0});
    md_tensor *hidden = md_transformer_hidden(view->net, view->tape, ids, B, T, NULL);
    const wanted w = {.rows = rows, .count = count, .logits = logits, .T = T, .stride = T};
    return write_logits(view, hidden, &w, err);
}

static mdlm_status predict_blocks(void *context, const int32_t *noisy, const int32_t *clean, int B,
                                  int T, const int32_t *rows, int count, float *logits,
                                  mdlm_error *err) {
    const md_transformer_view *view = context;
    MD_TRY(check_ids(&view->net->config, noisy, (int64_t)B * T, err));
    MD_TRY(check_ids(&view->net->config, clean, (int64_t)B * T, err));
    md_tape_begin(view->tape, false, (md_rng){0});
    md_tensor *hidden =
        md_transformer_paired_hidden(view->net, view->tape, noisy, clean, B, T, NULL);
    const wanted w = {.rows = rows, .count = count, .logits = logits, .T = T, .stride = 2 * T};
    return write_logits(view, hidden, &w, err);
}

/* --- caches ---------------------------------------------------------------------------------- */

static void cache_free(void *cache) {
    if (!cache) return;
    md_free(((kv_cache *)cache)->kv);
    md_free(cache);
}

static void *cache_new(void *context, int T, mdlm_error *err) {
    const md_transformer_view *view = context;
    const md_model_config *c = &view->net->config;
    size_t row = (size_t)2 * c->kv_heads * (c->dim / c->heads), rows;
    if (!md_size_mul((size_t)T, (size_t)c->layers, &rows)) rows = SIZE_MAX;
    kv_cache *cache = md_alloc(1, sizeof *cache, err);
    if (!cache) return NULL;
    cache->T = T;
    cache->kv = md_alloc(rows, row * sizeof *cache->kv, err);
    if (cache->kv) return cache;
    cache_free(cache);
    return NULL;
}

static mdlm_status predict_cached(void *context, const md_cached_call *call, mdlm_error *err) {
    const md_transformer_view *view = context;
    const md_model_config *c = &view->net->config;
    md_cached_rows rows = {.B = call->B, .T = call->T, .first = call->first, .end = call->end};
    MD_BUG_IF(rows.first < 0 || rows.first >= rows.end || rows.end > rows.T);
    if (c->sight == MD_SEES_ALL && rows.T > c->seq_len)
        return md_fail(err, MDLM_USAGE,
                       "a canvas of %d tokens is longer than the %d positions of this model",
                       rows.T, c->seq_len);
    /* The first row is made from the id before it. */
    int before = (c->sight == MD_SEES_PAST || c->shifted) && rows.first > 0;
    for (int64_t b = 0; b < rows.B; b++)
        MD_TRY(check_ids(c, call->ids + b * rows.T + rows.first - before,
                         rows.end - rows.first + before, err));
    md_tape_begin(view->tape, false, (md_rng){0});
    md_real **kv = md_tape_alloc(view->tape, (size_t)rows.B, sizeof *kv);
    if (!kv) return md_tape_status(view->tape, err);
    for (int b = 0; b < rows.B; b++) {
        const kv_cache *cache = call->caches[b];
        MD_BUG_IF(cache->T != rows.T);
        kv[b] = cache->kv;
    }
    rows.kv = kv;
    md_tensor *hidden = md_transformer_cached_hidden(view->net, view->tape, call->ids, &rows);
    const wanted w = {.rows = call->rows,
                      .count = call->count,
                      .logits = call->logits,
                      .T = rows.T,
                      .stride = rows.end - rows.first,
                      .first = rows.first};
    return write_logits(view, hidden, &w, err);
}

md_denoiser md_transformer_denoiser(md_transformer_view *view) {
    const md_model_config *c = &view->net->config;
    return (md_denoiser){.context = view,
                         .vocab = c->vocab,
                         .mask_id = c->mask_id,
                         .sight = c->sight,
                         .block_length = c->sight == MD_SEES_BLOCKS ? c->block_length : 0,
                         .predict = predict,
                         .predict_blocks = c->sight == MD_SEES_BLOCKS ? predict_blocks : NULL,
                         .cache_new = cache_new,
                         .cache_free = cache_free,
                         .predict_cached = predict_cached};
}
