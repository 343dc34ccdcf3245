/* sampler/image_rule_ddpm.c: ancestral sampling: a draw from the posterior with the estimate in the
 * image's place (Ho et al. 2020, algorithm 2; with levels left out, Nichol & Dhariwal 2021, section
 * 4). No noise is added on the way to the clean image. */
#include <math.h>

#include "sampler/image_rule.h"

static int moves(const md_image_way *way, md_image_move move[MD_IMAGE_MOVES]) {
    const md_transition back = md_gaussian_transition(way->process, way->from, way->to);
    const md_variance_kind variance = way->process->opt.variance;
    const bool last = way->to.noise <= 0;
    move[0] = (md_image_move){
        .at = way->from,
        .keep = back.noisy,
        .image = back.image,
        .noise = last ? 0 : sqrt(variance == MD_VARIANCE_LARGE ? back.large : back.small),
        .learned = variance == MD_VARIANCE_LEARNED && !last,
        .back = back,
    };
    return 1;
}

const md_image_rule md_image_rule_ddpm = {
    .name = "ddpm",
    .help = "ancestral: fresh noise at every step",
    .steps = 250,
    .moves = moves,
};
