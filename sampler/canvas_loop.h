/* sampler/canvas_loop.h: canvases of tokens in the sampling loop (sampler/loop.h).
 *
 *     canvas_loop.c   the run: options, memory, blocks, early stop, trace
 *     canvas_step.c   one step of all samples: select, ask, draw, commit, edit
 */
#ifndef MD_SAMPLER_CANVAS_LOOP_H
#define MD_SAMPLER_CANVAS_LOOP_H

#include "base/arena.h"
#include "sampler/ask.h"
#include "sampler/draw.h"

/* One sample in the block at hand. */
typedef struct md_canvas_sample {
    md_block_step step; /* what the rule sees */
    uint8_t *edit;      /* [Y] visible tokens that are looked at again at this step */
    bool done;          /* its part of the block is finished */
    bool stopped;       /* all later blocks are filled: end-of-text */
    bool had_masked;    /* when this step began */
    int edits;          /* made at this step */
    int extra;          /* steps of this block that began with nothing masked */
} md_canvas_sample;

/* N samples of T tokens, Y those of the longest block; arrays are the arena's. */
typedef struct md_canvas_loop {
    const md_denoiser *denoiser;
    const md_masked *process;
    const md_sampler_options *opt;
    const md_canvas *canvas;
    md_blocks plan;
    const md_canvas_block *block; /* that is being filled */
    int step;                     /* in it, from 0 */
    md_arena *arena;
    md_canvas_sample *samples; /* [N] */
    int32_t *block_ids;        /* [N, Y] */
    uint8_t *want;             /* [N, Y] */
    uint8_t *edit;             /* [N, Y] */
    md_proposal *proposal;     /* [N, Y] */
    int *scratch;              /* [N, 2 Y] */
    double *score;             /* [N, Y] */
    float *set_with;           /* [N, Y] */
    float *confidence;         /* [N, T] */
    uint8_t *settled;          /* [N, T] */
    md_want *wants;            /* [N] */
    int32_t *positions;        /* [N, Y] of wants */
    const float **logits;      /* [N, Y] of wants */
    int *answered;             /* [N] */
    uint8_t *changed;          /* [N] whether this step changed the canvas */
    md_draw *draws;            /* [N, Y] */
    uint8_t *allowed;          /* [V] what a constraint lets one position be */
    md_ask *ask;
    md_drawer *drawer;
    int steps; /* taken in the whole run */
} md_canvas_loop;

static inline int32_t *md_canvas_ids(const md_canvas_loop *r, int k) {
    return r->canvas->ids + (size_t)k * (size_t)r->canvas->length;
}

/* Open positions of the block, ascending. */
static inline const int32_t *md_canvas_open(const md_canvas_loop *r) {
    return r->plan.open + r->block->first;
}

/* One step of every sample that is not done: of the md_canvas_loop `context`. */
mdlm_status md_canvas_step(void *context, mdlm_error *err);

#endif
