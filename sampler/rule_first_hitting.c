/* sampler/rule_first_hitting.c: the same law as ancestral with infinitely many steps (Zheng et al.
 * 2024, "Masked diffusion models are secretly time-agnostic", section 4).
 *
 * With n masked the next one appears at t u^(1/n), and it is any of them with equal probability.
 * The network does not see the time, so the time is not even drawn.
 */
#include "sampler/rule.h"

static void select_one(md_block_step *b) {
    md_rule_select_uniformly(b, 1);
}

const md_rule md_rule_first_hitting = {
    .name = "first-hitting",
    .help = "one token a step, at a random position: exact, no error of time discretisation",
    .one_token_per_step = true,
    .select = select_one,
};
