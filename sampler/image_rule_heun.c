/* sampler/image_rule_heun.c: Heun's method (Karras et al. 2022, algorithm 1 without churn): Euler's
 * step, then again with the mean of the slopes at both ends; Euler alone to the clean image.
 *
 * The slope is that of x along a flow's line, dx = x0 ds + eps dn, and for chains that of x /
 * signal in sigma, which is eps. Written for x, with c = 1 for lines and s'/s for chains:
 *
 *     x' = c x + (s' - c s) (x0 + x0')/2 + (n' - c n) (eps + eps')/2
 *
 * Euler's point y = s' x0 + n' eps has the same eps beside x0, and eps' = (y - s' x0') / n', so
 *
 *     x' = y + w (x0' - x0),   w = ((s' - c s) - (n' - c n) s'/n') / 2
 *
 * From noise alone (s = 0), where a chain has no sigma, it goes along the line. */
#include "sampler/image_rule.h"

static int moves(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    const md_level s = way->from, t = way->to;
    const bool line = way->process->opt.process == MD_PROCESS_FLOW || s.signal <= 0;
    const double c = line ? 1 : t.signal / s.signal;
    move[0] = md_image_move_along(s, t, 0);
    if (t.noise <= 0) return 1;
    double w = 0.5 * ((t.signal - c * s.signal) - (t.noise - c * s.noise) * t.signal / t.noise);
    move[1] = (md_image_move){.at = t, .keep = 1, .image = w, .before = -w};
    return 2;
}

const md_image_rule md_image_rule_heun = {
    .name = "heun",
    .help = "the probability flow, second order: two evaluations a step",
    .steps = 18,
    .karras = true,
    .moves = moves,
};
