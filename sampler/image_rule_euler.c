/* sampler/image_rule_euler.c: Euler's method for the probability flow: along a flow's own lines,
 * for chains in the coordinates x / signal and sigma = noise / signal. Both are the same step. */
#include "sampler/image_rule.h"

static int moves(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    move[0] = md_image_move_along(way->from, way->to, 0);
    return 1;
}

const md_image_rule md_image_rule_euler = {
    .name = "euler",
    .help = "the probability flow, first order",
    .steps = 50,
    .karras = true,
    .moves = moves,
};
