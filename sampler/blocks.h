/* sampler/blocks.h: which positions of a canvas are filled together, and in how many steps.
 *
 *     md_blocks plan = {0};
 *     MD_TRY(md_blocks_init(&plan, &denoiser, &opt, &canvas, err));
 *     for (int i = 0; i < plan.count; i++) ... plan.item[i] ...
 *     md_blocks_release(&plan);
 *
 * By what the denoiser sees:
 *
 *   MD_SEES_ALL     the open positions, in order, are cut into opt->blocks equal parts
 *   MD_SEES_BLOCKS  the denoiser's own blocks, counted from the start of the canvas, those without
 *                   an open position left out
 *   MD_SEES_PAST    every open position is a block: the rule fills it in one step
 *
 * opt->steps are shared by the blocks (sampler/steps.h); a rule with one_token_per_step, and
 * opt->steps 0, take one per open position. A rule that steps until its block is filled may take as
 * many; where tokens are edited, too, twice that.
 */
#ifndef MD_SAMPLER_BLOCKS_H
#define MD_SAMPLER_BLOCKS_H

#include "sampler/rule.h"

typedef struct md_canvas_block {
    int first, length;  /* plan.open[first .. first + length) are its open positions */
    int start, end;     /* where it lies on the canvas: from its first open position to behind its
                           last, or the denoiser's block */
    int steps;          /* for the rule's times and quotas */
    int most_steps;     /* the loop stops here at the latest */
    int64_t first_step; /* most_steps of all blocks before it: draws are counted from here */
} md_canvas_block;

typedef struct md_blocks {
    int open_count, count;
    int32_t *open;         /* [open_count] open positions, ascending */
    md_canvas_block *item; /* [count] */
    int longest;           /* the greatest length of a block */
    int steps;             /* most_steps of all together */
} md_blocks;

/* MDLM_USAGE when the steps or blocks that `opt` asks for do not fit the canvas, or its rule not
 * the denoiser. A canvas with no open position has no block. */
mdlm_status md_blocks_init(md_blocks *plan, const md_denoiser *denoiser,
                           const md_sampler_options *opt, const md_canvas *canvas, mdlm_error *err);
void md_blocks_release(md_blocks *plan); /* accepts an empty struct */

#endif
