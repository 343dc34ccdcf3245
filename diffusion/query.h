/* diffusion/query.h: collects canvases, then asks a denoiser for some of their rows in one call.
 *
 *     md_query q = {0};
 *     MD_GOTO(done, status, md_query_init(&q, denoiser, T, most, err));
 *     for (each canvas) {
 *         if (!md_query_fits(&q, count)) MD_GOTO(done, status, answer(&q, err));
 *         md_query_add(&q, ids, positions, count, tag);
 *     }
 *     MD_GOTO(done, status, answer(&q, err));       md_query_run, use q.logits, md_query_clear
 *     done: md_query_release(&q);
 *
 * Since a row's logits do not depend on the other canvases of its call, how canvases are cut into
 * calls never changes a result: a call holds as many as the caller allows and as keep its logits
 * below MD_QUERY_LOGITS numbers (one canvas always goes through).
 */
#ifndef MD_DIFFUSION_QUERY_H
#define MD_DIFFUSION_QUERY_H

#include "tensor/denoiser.h"

enum { MD_QUERY_LOGITS = 1 << 26 }; /* 256 MiB of logits in a call */

typedef struct md_query {
    const md_denoiser *denoiser;
    int T, capacity; /* tokens of a canvas; canvases in a call at most */
    int longest;     /* T at most */
    int first, end;  /* positions that a cached call computes; end 0: the call is not cached */
    int canvases;    /* collected so far */
    int count;       /* rows collected so far */
    int32_t *ids;    /* [canvases, T] */
    int32_t *clean;  /* [canvases, T] for predict_blocks; NULL: predict is asked */
    void **caches;   /* [canvases] of a cached call */
    int64_t *tag;    /* [canvases] the caller's name of each */
    int32_t *rows;   /* [count] canvas * T + position, ascending */
    float *logits;   /* [count, V] after md_query_run */
    size_t logits_capacity;
} md_query;

/* Room for up to `most` canvases of T tokens, which calls have unless md_query_begin says
 * otherwise. The denoiser must outlive the query. */
mdlm_status md_query_init(md_query *q, const md_denoiser *denoiser, int T, int most,
                          mdlm_error *err);
/* From now on predict_blocks is asked, which the denoiser must have (MD_BUG_IF): canvases come in
 * pairs, noisy and clean, through md_query_add_paired alone. */
mdlm_status md_query_pair(md_query *q, mdlm_error *err);
void md_query_release(md_query *q); /* accepts an empty struct */

/* What the next call is, of an empty query: canvases of T tokens, at most as many as init said...
 */
void md_query_begin(md_query *q, int T);
/* ... of which only positions [first, end) are computed and the others taken from caches (see
 * md_cached_call). All canvases are then added with md_query_add_cached. */
void md_query_begin_cached(md_query *q, int T, int first, int end);

/* Whether a canvas with `count` wanted rows can be added. Always true for an empty query. */
bool md_query_fits(const md_query *q, int count);
/* Copies a canvas [T] and the wanted positions (ascending, at least one). */
void md_query_add(md_query *q, const int32_t *ids, const int32_t *positions, int count,
                  int64_t tag);
void md_query_add_paired(md_query *q, const int32_t *noisy, const int32_t *clean,
                         const int32_t *positions, int count, int64_t tag);
void md_query_add_cached(md_query *q, const int32_t *ids, const int32_t *positions, int count,
                         int64_t tag, void *cache);
/* Asks the denoiser; no call when nothing was added. */
mdlm_status md_query_run(md_query *q, mdlm_error *err);
void md_query_clear(md_query *q); /* empty again, memory kept */

#endif
