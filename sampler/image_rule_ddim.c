/* sampler/image_rule_ddim.c: with eta 0 a straight way without noise, with eta 1 ddpm's small
 * variance (Song et al. 2021, eq. 12 and 16). */
#include <math.h>

#include "sampler/image_rule.h"

static int moves(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    const md_transition back = md_gaussian_transition(way->process, way->from, way->to);
    move[0] = md_image_move_along(way->from, way->to, way->options->eta * sqrt(back.small));
    return 1;
}

const md_image_rule md_image_rule_ddim = {
    .name = "ddim",
    .help = "few steps; --eta: 0 without noise, 1 ddpm's small variance",
    .steps = 50,
    .moves = moves,
};
