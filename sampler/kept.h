/* sampler/kept.h: logits of canvases that a step left as they were, for the next step.
 *
 * The network does not see the time, so what it said of a canvas holds until the canvas changes:
 * draws differ from step to step, logits do not. Nothing is copied for a canvas that changed, so
 * rules that change each canvas that they look at pay nothing.
 *
 *     md_kept_update(kept, &query, changed);            after the rule has committed
 *     const float *row = md_kept_row(kept, k, 17);      at the next step
 */
#ifndef MD_SAMPLER_KEPT_H
#define MD_SAMPLER_KEPT_H

#include "diffusion/query.h"

typedef struct md_kept md_kept;

/* For so many samples; holds at most `limit` numbers, and without memory less: it is no error if
 * something is not kept. NULL on failure; caller frees. */
md_kept *md_kept_new(int samples, int vocab, int64_t limit, mdlm_error *err);
void md_kept_free(md_kept *kept); /* accepts NULL */

/* Forgets samples k with changed[k], and copies the rows of those without that `query`, which has
 * run, holds under the tag k. */
void md_kept_update(md_kept *kept, const md_query *query, const uint8_t *changed);

/* Logits [V] of sample k; NULL when they are not kept. */
const float *md_kept_row(const md_kept *kept, int k, int32_t position);

#endif
