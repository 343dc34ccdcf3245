/* sampler/image_rule_langevin.c: annealed Langevin dynamics (Song & Ermon 2019, algorithm 1): some
 * steps at each level, which the next level takes over as they are, in the coordinates x / signal.
 * A step of size alpha = step_size n^2 at a level with noise n is
 *
 *     x' = x + alpha/2 score + sqrt(alpha (1 - step_size/4)) z,    score = -(x - s x0) / n^2
 *
 * Without the factor beside alpha this is the method of books, whose steps, being finite, leave
 * 1 / (1 - step_size/4) times the noise that belongs beside an image. With it the noise is right
 * whatever the size, and a step is ddim's from a level to itself: all of s x0 stays, eps shrinks to
 * 1 - step_size/2, and fresh noise makes up for it. As step_size goes to 0 they are one.
 *
 * The step to the clean image is the estimate itself. From noise alone, which says nothing of the
 * image in any coordinates, it goes along the line. */
#include <math.h>

#include "sampler/image_rule.h"

static int moves(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    const md_level from = way->from, to = way->to;
    const double half = way->options->step_size / 2, kept = 1 - half;
    const bool stays = to.noise == from.noise;
    if (to.noise <= 0 || (from.signal <= 0 && !stays)) {
        move[0] = md_image_move_along(from, to, 0);
        return 1;
    }
    const double scale = stays ? 1 : to.signal / from.signal;
    move[0] = (md_image_move){.at = from,
                              .keep = scale * kept,
                              .image = scale * half * from.signal,
                              .noise = scale * from.noise * sqrt((1 - kept) * (1 + kept))};
    return 1;
}

const md_image_rule md_image_rule_langevin = {
    .name = "langevin",
    .help = "annealed: some steps of --step-size at each level, by the score alone",
    .steps = 50,
    .level_steps = 5,
    .karras = true,
    .moves = moves,
};
