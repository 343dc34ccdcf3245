/* sampler/rule_origin.c: Dream's origin: each masked position on its own with probability 1 - s/t,
 * all at the last step. It is ancestral sampling of the linear schedule on Dream's times, which end
 * at 1e-3, whatever the step schedule and the noise schedule are.
 */
#include "sampler/steps.h"

static void select_unmasked(md_block_step *b) {
    double t = md_steps_dream_time(b->step, b->steps);
    double s = md_steps_dream_time(b->step + 1, b->steps);
    md_rule_select_each(b, b->step + 1 < b->steps ? s / t : 0);
}

const md_rule md_rule_origin = {
    .name = "origin",
    .help = "each token is unmasked on its own with probability 1 - s/t (Dream)",
    .select = select_unmasked,
};
