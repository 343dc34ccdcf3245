/* diffusion/score_matching.h: implicit score matching: the score of a density from points of it
 * alone, without noise and without a density (Hyvarinen 2005).
 *
 *     md_implicit m = {.D = 2, .h = 0.01};
 *     md_implicit_points(&m, x, N, rows);                       rows [N, md_implicit_rows(&m), D]
 *     ... score = what the network says of every row ...
 *     loss = md_implicit_loss(&m, score, N, gradient);
 *
 *     J = E [ |s(x)|^2 / 2 + div s(x) ] = E |s(x) - grad log p(x)|^2 / 2 - E |grad log p(x)|^2 / 2
 *
 * so J has its minimum, -E |grad log p|^2 / 2, at the score, though nobody knows the score. The
 * divergence wants derivatives of the network by its input, and training those by its weights;
 * instead of second derivatives there are central differences, each along a direction v:
 *
 *     v' (grad s) v = v' (s(x + h v) - s(x - h v)) / 2h + O(h^2)
 *
 * along the D axes, whose sum is the divergence, or, where D is large, along `slices` directions
 * with coordinates +-1 drawn for each point, whose mean has it for expectation (sliced score
 * matching, Song et al. 2019; the directions are Hutchinson's).
 *
 * Denoising score matching, which needs one row a point but learns the score of noised data, is the
 * loss `score` of gaussian_loss.h.
 */
#ifndef MD_DIFFUSION_SCORE_MATCHING_H
#define MD_DIFFUSION_SCORE_MATCHING_H

#include <stdint.h>

#include "base/rng.h"

typedef struct md_implicit {
    int D;      /* numbers of a point */
    int slices; /* directions of a point; 0: the axes */
    double h;   /* > 0: as small as the rounding of scores, over h, allows */
    md_rng rng; /* of directions, keyed by (point, slice * D + number) */
} md_implicit;

/* Rows that the network is asked for each point: the point, then both ends of each difference. */
int md_implicit_rows(const md_implicit *m);

/* x [N, D]; rows [N, md_implicit_rows, D]. */
void md_implicit_points(const md_implicit *m, const float *x, int64_t N, float *rows);

/* J, the mean over points; `score` [N, md_implicit_rows, D], of the rows of md_implicit_points.
 * `gradient` [as score] is overwritten with d J / d score; NULL: not wanted. Sums are in double, in
 * the order of the points. */
double md_implicit_loss(const md_implicit *m, const float *score, int64_t N, float *gradient);

#endif
