/* sampler/steps.c: see steps.h. */
#include "sampler/steps.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

int md_steps_of_block(const md_sampler_options *opt, int steps, int block, int blocks) {
    bool rest = opt->compat != MD_COMPAT_LLADA && block < steps % blocks;
    return steps / blocks + rest;
}

/* Each half is counted from its own end. */
double md_steps_dream_time(int i, int steps) {
    const float end = 1e-3F, step = (end - 1) / (float)steps;
    float t = i < (steps + 1) / 2 ? 1 + step * (float)i : end - step * (float)(steps - i);
    return (double)t;
}

/* t_i of the grid, without the end: t_S is 0 for the rules. */
static double grid_time(const md_block_step *b, int i) {
    const md_sampler_options *opt = b->options;
    if (i >= b->steps) return 0;
    if (opt->compat == MD_COMPAT_DREAM) return md_steps_dream_time(i, b->steps);
    if (opt->step_schedule == MD_STEPS_COSINE) return cos(pi / 2 * i / b->steps);
    return (double)(b->steps - i) / b->steps;
}

/* Positions that are set when step i begins, of `length`. */
static int set_before(const md_block_step *b, int i) {
    return b->length - (int)lround(b->length * grid_time(b, i));
}

static int quota(const md_block_step *b) {
    const md_sampler_options *opt = b->options;
    bool last = b->step + 1 == b->steps;
    if (opt->compat == MD_COMPAT_DREAM)
        return last ? b->masked : (int)((float)b->masked * (1 - (float)b->s / (float)b->t));
    if (opt->step_schedule == MD_STEPS_COSINE)
        return set_before(b, b->step + 1) - set_before(b, b->step);
    return b->length / b->steps + (b->step < b->length % b->steps);
}

void md_steps_at(md_block_step *b, const md_masked *process, int step) {
    b->step = step;
    b->t = grid_time(b, step);
    b->s = grid_time(b, step + 1);
    b->alpha_t = md_masked_alpha(process, b->t);
    b->alpha_s = b->s > 0 ? md_masked_alpha(process, b->s) : 1;
    b->stay = md_masked_stay(process, b->s, b->t);
    b->quota = quota(b);
}
