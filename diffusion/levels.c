/* diffusion/levels.c: see levels.h. */
#include "diffusion/levels.h"

#include <math.h>

static const double golden = 0.61803398874989484820;

double md_mask_level_time(uint64_t seed, int draws, int64_t unit, int k) {
    md_rng rng = {.seed = seed, .stream = MD_STREAM_EVAL_TIME};
    double offset = md_uniform(rng, 0, 0) + golden * (double)unit;
    double v = (k + offset - floor(offset)) / draws;
    return 1.0 - fabs(1.0 - 2.0 * v);
}

md_mask_level md_mask_level_of(md_method method, double u, int open) {
    md_mask_level level = {.method = method, .open = open};
    if (method == MD_METHOD_NELBO) {
        level.share = u;
        level.weight = u > 0 ? 2.0 / u : 0;
        return level;
    }
    level.count = 1 + (int)(u * open);
    if (level.count > open) level.count = open; /* u = 1 */
    level.share = (double)level.count / open;
    level.weight = 1.0 / level.share;
    return level;
}

double md_mask_level_moment(const md_mask_level *level, int m) {
    double L = level->open;
    if (level->method == MD_METHOD_NELBO) return 1.0 / (m + 1);
    switch (m) { /* sums of the powers of 1..L, over L^(m+1) */
    case 1: return (L + 1) / (2 * L);
    case 2: return (L + 1) * (2 * L + 1) / (6 * L * L);
    default: return (L + 1) * (L + 1) / (4 * L * L);
    }
}

/* nelbo: each with probability u^2. count: by selection sampling (Knuth, algorithm 3.4.2 S), every
 * subset of l equally likely. */
int md_mask_level_draw(const md_mask_level *level, md_rng rng, uint32_t sequence,
                       const int32_t *open, int32_t *masked) {
    bool nelbo = level->method == MD_METHOD_NELBO;
    double visible = 1.0 - level->share * level->share;
    int count = 0;
    for (int n = 0; n < level->open; n++) {
        double draw = md_uniform(rng, sequence, (uint32_t)open[n]);
        bool hide =
            nelbo ? draw >= visible : draw * (level->open - n) < (double)(level->count - count);
        if (hide) masked[count++] = open[n];
    }
    return count;
}
