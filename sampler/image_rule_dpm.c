/* sampler/image_rule_dpm.c: DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): in lambda = -ln(sigma),
 * sigma = noise / signal, the estimate is taken to change on a line through this one and the one
 * before:
 *
 *     x' = (n'/n) x + (s' - s n'/n) D,   D = (1 + 1/(2r)) x0 - 1/(2r) x0_before
 *
 * where r is the step before over this one, in lambda. The first step and the last, whose lambda
 * has no end, are of first order: ddim's. From noise alone the step is as long as any, so the one
 * after it is of first order, too. */
#include <math.h>

#include "sampler/image_rule.h"

/* lambda of b less that of a. */
static double distance(md_level a, md_level b) {
    return log(a.noise / a.signal) - log(b.noise / b.signal);
}

static int moves(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    move[0] = md_image_move_along(way->from, way->to, 0);
    if (way->first || way->to.noise <= 0) return 1;
    double half = 0.5 * distance(way->from, way->to) / distance(way->before, way->from);
    move[0].before = -half * move[0].image;
    move[0].image -= move[0].before;
    return 1;
}

const md_image_rule md_image_rule_dpm = {
    .name = "dpm++",
    .help = "DPM-Solver++(2M): second order from one evaluation a step",
    .steps = 25,
    .moves = moves,
};
