/* sampler/loop.h: the one sampling loop.
 *
 *     for each block:                          one alone, or parts of a text from left to right
 *         start_block
 *         until all samples are done with it:
 *             step                             of every sample that is not
 *             finish                           who is done now
 *             show                             what there is; may cancel
 *
 * What a step is belongs to those that run in it: canvases of tokens (sampler/canvas_loop.c) and
 * images (sampler/image_loop.c).
 *
 *     const md_sampling loop = {.context = &run, .blocks = 1, .steps = 50, .step = step, ...};
 *     status = md_sampling_run(&loop, &run.steps, err);
 */
#ifndef MD_SAMPLER_LOOP_H
#define MD_SAMPLER_LOOP_H

#include "base/error.h"

typedef struct md_sampling {
    void *context;
    int blocks;
    int steps; /* in all, or the most that there can be: for show and messages */
    /* How many samples have something to do in this block (from 0); with none it is over. */
    int (*start_block)(void *context, int block);
    mdlm_status (*step)(void *context, mdlm_error *err);
    /* How many samples are not done with the block. */
    int (*finish)(void *context);
    /* After step `step`, counted from 1 over all blocks; not 0: cancel. */
    int (*show)(void *context, int step, int steps);
} md_sampling;

/* What a run took. */
typedef struct md_sampler_work {
    int steps;           /* steps taken: by the slowest sample, where they differ */
    int64_t evaluations; /* network evaluations made, counted in samples, in full or in part; those
                            for the drift of a cache are not counted */
} md_sampler_work;

/* Counts steps that were taken in *steps, which starts at 0; a step may read it. MDLM_CANCELLED
 * when `show` says so; a failed step ends the run with its status. */
mdlm_status md_sampling_run(const md_sampling *loop, int *steps, mdlm_error *err);

#endif
