/* cli/bench.h: what `mdlm bench` measures: steps of training on text or images, and of sampling, at
 * any shape, on random data.
 *
 *     md_bench bench = {.config = &config, .pool = pool, .tape = tape, .batch = 16, ...};
 *     md_bench_result result;
 *     MD_TRY(md_bench_train(&bench, &result, err));
 *
 * Times are of the wall clock, in seconds; a floating-point multiply-add counts as two operations.
 */
#ifndef MD_CLI_BENCH_H
#define MD_CLI_BENCH_H

#include "base/pool.h"
#include "cli/output.h"
#include "model/image_model.h"
#include "model/transformer.h"
#include "sampler/sampler.h"
#include "tensor/optim.h"

enum { MD_BENCH_IMAGES = 16 }; /* of image's forward: what sampling sends through at once */

typedef struct md_bench {
    const md_model_config *config; /* train, generate: complete and checked */
    const md_image_config *image;  /* image: the same */
    md_pool *pool;
    md_tape *tape;
    uint64_t seed;
    int repeat;       /* timed repetitions; 0: 10, or what fits 20 seconds */
    bool profile;     /* fill the result's jobs */
    int batch;        /* sequences or images of a training step, or canvases of a sampling step */
    int block_length; /* generate: rows of a canvas whose logits are asked for */
    md_cache_kind cache;         /* generate: NONE, PREFIX or DUAL, filled when steps are timed */
    md_optimizer_kind optimizer; /* train, image */
    double ema;                  /* train, image: of the optimizer's options */
    double dropout;              /* train, image */
    bool checkpoint;             /* train, image: activations are computed again in backward */
} md_bench;

typedef struct md_bench_times {
    double median, lowest, highest, total;
    int count;
} md_bench_times;

typedef struct md_bench_result {
    int64_t parameters;
    int64_t positions; /* train, generate: tokens that a step sends through the network */
    int64_t items;     /* tokens or images that a step trains on, or tokens that it fills in */
    double flops;      /* of a step, by the conventions in cli/cmd_bench.c */
    md_bench_times step, forward;
    md_pool_time job[MD_POOL_NAMES]; /* of all timed steps together */
    int jobs;
} md_bench_result;

/* step: corruption, forward, loss, backward, optimizer. forward: corruption, forward and loss,
 * without a tape. */
mdlm_status md_bench_train(const md_bench *bench, md_bench_result *out, mdlm_error *err);
/* step: forward, logits of a block, and a draw from each. forward: the same without the draws. */
mdlm_status md_bench_generate(const md_bench *bench, md_bench_result *out, mdlm_error *err);
/* step: noise, forward, loss, backward, optimizer. forward: the network on MD_BENCH_IMAGES images,
 * as sampling asks it. */
mdlm_status md_bench_image(const md_bench *bench, md_bench_result *out, mdlm_error *err);

/* Calls `fn` once or twice to warm up, then bench->repeat times with a clock. */
typedef mdlm_status (*md_bench_fn)(void *context, mdlm_error *err);
mdlm_status md_bench_time(const md_bench *bench, md_bench_fn fn, void *context, md_bench_times *out,
                          mdlm_error *err);
/* The same for the steps of a result, whose profile it takes as well. */
mdlm_status md_bench_steps(const md_bench *bench, md_bench_fn fn, void *context,
                           md_bench_result *out, mdlm_error *err);

/* Time in each kind of job, longest first, and outside of jobs: a JSON array, or a table. */
void md_bench_put_profile(md_json_line *line, const md_bench_result *r);
mdlm_status md_bench_print_profile(const md_bench_result *r, mdlm_error *err);

/* Random ids other than the mask. */
void md_bench_ids(const md_bench *bench, int32_t *ids, int64_t count);
/* Parameters in matrices that multiply every position: all but the embedding, which is looked up;
 * a tied one is the head as well. */
int64_t md_bench_multiplied(const md_model_config *config);

#endif
