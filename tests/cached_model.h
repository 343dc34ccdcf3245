/* tests/cached_model.h: a denoiser with caches whose every logit shows what it was computed from.
 *
 * Two layers of hashes, with a network's flow of information and nothing else: the state of a
 * position is a hash of the inputs that it sees, its logits are normal numbers under a hash of the
 * states that it sees. A cache holds inputs and states, so that a stale one of either kind changes
 * every logit that sees it. As in a network, a row of MD_SEES_PAST has the token before it for an
 * input.
 */
#ifndef TESTS_CACHED_MODEL_H
#define TESTS_CACHED_MODEL_H

#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tensor/denoiser.h"

enum { CACHED_V = 6, CACHED_MASK = 5, CACHED_T = 24 };

typedef struct cached_model {
    md_sight sight;
    int block;           /* MD_SEES_BLOCKS */
    int canvases;        /* asked for, with caches or without */
    int cached_canvases; /* with */
    int64_t positions;   /* computed in all */
    int caches;          /* alive */
    int refuse_after;    /* > 0: so many more caches, then none */
} cached_model;

typedef struct cached_state {
    cached_model *model;
    int32_t input[CACHED_T];
    uint64_t state[CACHED_T];
} cached_state;

static inline uint64_t cached_mix(uint64_t hash, uint64_t value) {
    uint64_t x = (hash ^ value) * 0x9e3779b97f4a7c15U + 0x2545f4914f6cdd1dU;
    return x ^ x >> 29;
}

/* Positions [0, this) are what i sees. */
static inline int cached_limit(const cached_model *m, int i, int T) {
    if (m->sight == MD_SEES_PAST) return i + 1;
    if (m->sight == MD_SEES_ALL) return T;
    int end = (i / m->block + 1) * m->block;
    return end < T ? end : T;
}

/* Inputs and states of positions [first, end), with the others as they are. */
static inline void cached_compute(cached_model *m, cached_state *s, const int32_t *ids, int T,
                                  int first, int end) {
    bool past = m->sight == MD_SEES_PAST;
    MD_BUG_IF(T > CACHED_T);
    for (int i = first; i < end; i++)
        s->input[i] = !past ? ids[i] : i == 0 ? CACHED_MASK : ids[i - 1];
    for (int i = first; i < end; i++) {
        uint64_t hash = (uint64_t)i;
        for (int j = 0; j < cached_limit(m, i, T); j++)
            hash = cached_mix(hash, (uint64_t)s->input[j]);
        s->state[i] = hash;
    }
    m->positions += end - first;
}

/* Logits [V] of position i. */
static inline void cached_row(const cached_model *m, const cached_state *s, int T, int i,
                              float *logits) {
    uint64_t hash = (uint64_t)i + 77;
    for (int j = 0; j < cached_limit(m, i, T); j++) hash = cached_mix(hash, s->state[j]);
    md_rng rng = {.seed = hash, .stream = MD_STREAM_CORPUS};
    for (int v = 0; v < CACHED_V; v++)
        logits[v] = v == CACHED_MASK ? 9.0F : (float)(2 * md_normal(rng, 0, (uint32_t)v));
}

static inline mdlm_status cached_predict(void *context, const int32_t *ids, int B, int T,
                                         const int32_t *rows, int count, float *logits,
                                         mdlm_error *err) {
    cached_model *m = context;
    (void)err;
    for (int b = 0, r = 0; b < B; b++) {
        cached_state s = {.model = m};
        cached_compute(m, &s, ids + b * T, T, 0, T);
        for (; r < count && rows[r] / T == b; r++)
            cached_row(m, &s, T, rows[r] % T, logits + r * CACHED_V);
    }
    m->canvases += B;
    return MDLM_OK;
}

/* Row by row: the earlier blocks of `clean`, the own and later ones of `noisy`. */
static inline mdlm_status cached_blocks(void *context, const int32_t *noisy, const int32_t *clean,
                                        int B, int T, const int32_t *rows, int count, float *logits,
                                        mdlm_error *err) {
    cached_model *m = context;
    (void)B;
    for (int r = 0; r < count; r++) {
        int at = rows[r] % T, own = at / m->block * m->block, base = rows[r] - at;
        int32_t ids[CACHED_T];
        for (int j = 0; j < T; j++) ids[j] = j < own ? clean[base + j] : noisy[base + j];
        mdlm_status status = cached_predict(m, ids, 1, T, &at, 1, logits + r * CACHED_V, err);
        if (status != MDLM_OK) return status;
    }
    return MDLM_OK;
}

static inline mdlm_status cached_call(void *context, const md_cached_call *c, mdlm_error *err) {
    cached_model *m = context;
    (void)err;
    for (int b = 0, r = 0; b < c->B; b++) {
        cached_state *s = c->caches[b];
        cached_compute(m, s, c->ids + b * c->T, c->T, c->first, c->end);
        for (; r < c->count && c->rows[r] / c->T == b; r++) {
            int i = c->rows[r] % c->T;
            MD_BUG_IF(i < c->first || i >= c->end);
            cached_row(m, s, c->T, i, c->logits + r * CACHED_V);
        }
    }
    m->canvases += c->B;
    m->cached_canvases += c->B;
    return MDLM_OK;
}

static inline void *cached_new(void *context, int T, mdlm_error *err) {
    cached_model *m = context;
    MD_BUG_IF(T > CACHED_T);
    if (m->refuse_after > 0 && --m->refuse_after == 0) {
        md_fail(err, MDLM_RUNTIME, "out of caches");
        return NULL;
    }
    cached_state *s = md_alloc(1, sizeof *s, err);
    if (!s) return NULL;
    memset(s, 0x55, sizeof *s); /* of what was never computed nothing is right */
    s->model = m;
    m->caches++;
    return s;
}

static inline void cached_free(void *cache) {
    if (cache) ((cached_state *)cache)->model->caches--;
    md_free(cache);
}

static inline md_denoiser cached_denoiser(cached_model *m) {
    return (md_denoiser){.context = m,
                         .vocab = CACHED_V,
                         .mask_id = CACHED_MASK,
                         .sight = m->sight,
                         .block_length = m->sight == MD_SEES_BLOCKS ? m->block : 0,
                         .predict = cached_predict,
                         .predict_blocks = m->sight == MD_SEES_BLOCKS ? cached_blocks : NULL,
                         .cache_new = cached_new,
                         .cache_free = cached_free,
                         .predict_cached = cached_call};
}

#endif
