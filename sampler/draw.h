/* sampler/draw.h: one token from each of some rows of logits.
 *
 *     md_drawer *drawer = md_drawer_new(vocab, mask_id, &options, err);
 *     md_draw draws[] = {{.logits = row, .u = u, .proposal = &proposal}, ...};
 *     int done = md_drawer_draw(drawer, draws, count);
 *     if (done < count) ... row `done` is no distribution
 *     md_drawer_free(drawer);
 *
 * p(v) is proportional to exp(l_v / temperature) over v other than the mask, cut to the top_k most
 * probable, of those to the smallest set of the most probable whose share reaches top_p (ties by
 * the lower id), and inverted at the uniform u. The law is that of arg-max e^l / (-ln u)^T
 * (Gumbel-max) at the price of one uniform.
 *
 * Precision. u has 53 bits and all that is cumulated is double, so that nothing cuts the tail off:
 * a uniform in float32 would lose what has less than 1e-8, and so lower the temperature. A weight
 * itself is a float32 exponential, off by 1e-7 (1 + |l - max| / temperature) of its value: no
 * number of draws that a computer can make sees that. What has less than 1e-38 of the weight of
 * the most probable token has none.
 *
 * What may not be drawn (options->allowed, end-of-text under MD_END_FORBID, a draw's own set) is as
 * the mask is: no part of any distribution, at any temperature, and its logit is not looked at.
 * End-of-text under MD_END_LATE is drawn as others are and keeps its confidence, but the proposal
 * says `late`: rules that go by scores set it after all others.
 *
 * Confidence, entropy and margin are of the softmax of the logits, whatever the temperature. With
 * MD_COMPAT_DREAM and a temperature above 0 they are of what the token is drawn from, tempered and
 * cut (Dream's sample_tokens).
 *
 * A row is read once (sampler/truncate.h: some of it again for top_k and top_p). Rows are drawn in
 * parallel, each on its own: the same bits for any number of threads and any set of rows.
 */
#ifndef MD_SAMPLER_DRAW_H
#define MD_SAMPLER_DRAW_H

#include "sampler/rule.h"

typedef struct md_drawer md_drawer; /* options and work space */

/* Temperature, top_k and top_p of `opt`, which must be in range; its compat, end-of-text and
 * allowed tokens; its kernels, its pool and its `allowed`, which outlive the drawer. Draws may have
 * sets of their own if one of `allowed`, MD_END_FORBID and `constraint` is used. NULL on failure;
 * caller frees. */
md_drawer *md_drawer_new(int vocab, int32_t mask_id, const md_sampler_options *opt,
                         mdlm_error *err);
void md_drawer_free(md_drawer *drawer); /* accepts NULL */

typedef struct md_draw {
    const float *logits;    /* [V] */
    double u;               /* in (0,1) */
    const uint8_t *allowed; /* [V] 1: may be drawn; of what the options allow; NULL: all that */
    md_proposal *proposal;  /* written, unless the row is no distribution */
    bool drawn;             /* written */
    bool none_allowed; /* written: not drawn, since no token that may be drawn has a probability */
} md_draw;

/* `count` when all are drawn, or the lowest index of a row that is no distribution: a logit of what
 * may be drawn is NaN or +infinity, or all are -infinity. At temperature 0 the most probable
 * token, the lower id of equals. */
int md_drawer_draw(md_drawer *drawer, md_draw *draws, int count);

#endif
