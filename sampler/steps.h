/* sampler/steps.h: when a step happens and how many tokens it commits.
 *
 * A block of m masked positions and S steps; step i (0-based) goes from t_i to t_(i+1).
 *
 *   times   linear t_i = 1 - i/S; cosine t_i = cos(pi/2 i/S); Dream's t_i = 1 - (1 - 1e-3) i/S,
 *           which knows no cosine. s is 0 at the last step under all of them.
 *   quota   linear: LLaDA's n_i = floor(m/S) + [i < m mod S]; cosine: by rounding m t_i;
 *           Dream's: floor(masked (1 - s/t)), all that is masked at the last step. Dream computes
 *           in float, and so do we, since floor shows it. Quotas of a block add up to m.
 *   steps   of N steps in all over K blocks, block k takes floor(N/K) + [k < N mod K]; LLaDA's
 *           own code floor(N/K).
 */
#ifndef MD_SAMPLER_STEPS_H
#define MD_SAMPLER_STEPS_H

#include "sampler/rule.h"

/* Steps of block `block` of `blocks`, of `steps` in all. */
int md_steps_of_block(const md_sampler_options *opt, int steps, int block, int blocks);

/* Dream's t_i, i in [0, steps], from 1 to 1e-3; a float, as PyTorch's linspace gives it. */
double md_steps_dream_time(int i, int steps);

/* Fills step, t, s, alpha_t, alpha_s, stay and quota of `b`, whose steps, length and masked are
 * set, for step `step`. The process' alpha applies to the linear or cosine time. */
void md_steps_at(md_block_step *b, const md_masked *process, int step);

#endif
