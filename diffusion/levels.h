/* diffusion/levels.h: the noise levels of masking, for the methods that draw
 * (diffusion/likelihood.h).
 *
 *     double u = md_mask_level_time(seed, draws, unit, k);
 *     md_mask_level level = md_mask_level_of(MD_METHOD_COUNT, u, L);
 *     int l = md_mask_level_draw(&level, rng, sequence, open, masked);
 *     estimate = level.weight * (sum over masked of -log p)
 */
#ifndef MD_DIFFUSION_LEVELS_H
#define MD_DIFFUSION_LEVELS_H

#include "diffusion/likelihood.h"

typedef struct md_mask_level {
    md_method method; /* nelbo or count */
    int open;         /* L: positions that may be masked */
    int count;        /* l of them are masked; nelbo: no matter */
    double share;     /* r: u, or l/L */
    double weight;    /* of the losses of what is masked: 2/u, or L/l */
} md_mask_level;

/* u of draw k of a unit, uniform on (0,1); 0 with probability 2^-53, when nothing is masked. */
double md_mask_level_time(uint64_t seed, int draws, int64_t unit, int k);

md_mask_level md_mask_level_of(md_method method, double u, int open);
/* E r^m over all draws, m = 1..3. */
double md_mask_level_moment(const md_mask_level *level, int m);

/* Chooses from `open` [level->open], ascending positions of a sequence; writes those to mask and
 * returns their number. One draw (rng, sequence, position) each. */
int md_mask_level_draw(const md_mask_level *level, md_rng rng, uint32_t sequence,
                       const int32_t *open, int32_t *masked);

#endif
