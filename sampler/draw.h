/* sampler/draw.h: one token from one row of logits.
 *
 *     md_drawer *drawer = md_drawer_new(vocab, mask_id, &options, err);
 *     if (!md_drawer_draw(drawer, logits, u, &proposal)) ... not a distribution
 *     md_drawer_free(drawer);
 *
 * All in double precision: p(v) is proportional to exp(l_v / temperature) over v other than the
 * mask, cut to the top_k most probable, of those to the smallest set of the most probable whose
 * share reaches top_p (ties by the lower id), and inverted at the uniform u. The law is that of
 * arg-max e^l / (-ln u)^T (Gumbel-max) at the price of one uniform. Noise in float32 would lose the
 * tail and so lower the temperature.
 */
#ifndef MD_SAMPLER_DRAW_H
#define MD_SAMPLER_DRAW_H

#include "sampler/rule.h"

typedef struct md_drawer md_drawer; /* options and work space of one thread */

/* Temperature, top_k and top_p of `opt`, which must be in range. NULL on failure; caller frees. */
md_drawer *md_drawer_new(int vocab, int32_t mask_id, const md_sampler_options *opt,
                         mdlm_error *err);
void md_drawer_free(md_drawer *drawer); /* accepts NULL */

/* False, with *out untouched, when a logit other than the mask's is NaN or +infinity, or all are
 * -infinity. At temperature 0 the most probable token, the lower id of equals. */
bool md_drawer_draw(md_drawer *drawer, const float *logits, double u, md_proposal *out);

#endif
