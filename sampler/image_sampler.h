/* sampler/image_sampler.h: the sampling loop for images: from noise to pictures by a Gaussian
 * process.
 *
 *     const md_image_rule *rule = md_image_rule_find("ddim");
 *     md_image_sampler_options opt = md_image_sampler_defaults(rule, &process);
 *     md_image_batch batch = {.x = x, .label = labels, .samples = 64};
 *     status = md_image_sampler_run(&denoiser, &process, &opt, &batch, &work, err);
 *
 * The run visits opt.steps noise levels of the process and then the clean image
 * (diffusion/gaussian_spacing.h), each for opt.level_steps steps. In a step the network is asked
 * once (by heun twice) what it thinks of all images; from that comes the estimate x0, clipped as
 * opt.clip says; the rule says how the image at the next level is made of the image, the estimates
 * and fresh noise (sampler/image_rule.h). Guidance is a denoiser around the network
 * (sampler/image_guide.h). Images made of images: sampler/image_edit.h.
 *
 * Image k is a pure function of the model, the options and (seed, first_index + k): noise is keyed
 * by step, index and element, so neither batch nor threads matter. (Of the index, the low 32 bits.)
 */
#ifndef MD_SAMPLER_IMAGE_SAMPLER_H
#define MD_SAMPLER_IMAGE_SAMPLER_H

#include "base/pool.h"
#include "diffusion/gaussian_predict.h"
#include "diffusion/gaussian_spacing.h"
#include "sampler/loop.h"
#include "tensor/denoiser.h"

typedef struct md_image_rule md_image_rule; /* sampler/image_rule.h */

/* A look at a run, after each step. Arrays are the sampler's, valid during the call. */
typedef struct md_image_step {
    int step, steps; /* steps taken, and of the run (those left out are not counted) */
    int samples;
    md_image_shape shape;
    const float *x;  /* [samples, Y, X, C] images at `level` */
    const float *x0; /* [samples, Y, X, C] what the network last took them for, clipped */
    md_level level;
    int64_t evaluations; /* so far */
} md_image_step;
typedef int (*md_image_step_fn)(void *user, const md_image_step *step);

enum { MD_MOST_RESAMPLINGS = 1000 };

typedef struct md_image_sampler_options {
    const md_image_rule *rule;
    int steps;               /* levels of the whole way from noise to image */
    int level_steps;         /* langevin: steps at each of them; others: 1 */
    md_spacing_kind spacing; /* which levels */
    double eta;              /* ddim: 0 without noise .. 1 as much as ddpm's small variance */
    double step_size;        /* langevin: of a step, in variances of the level's noise, up to 2 */
    md_clip_x0 clip;
    uint64_t seed;
    int64_t first_index; /* >= 0 */
    int start; /* -1: from noise that is drawn. Else from batch.source with the noise of the level
                  `start` (from 0) of the way or, without a source, from batch.x, as noisy as that
                  already; levels before it are left out. A rule that looks back (dpm++) begins
                  there as from noise */
    int jump, resamplings;    /* with batch.repaint: sampler/image_edit.h */
    bool one_noise;           /* every image has the noise of image 0 */
    int batch;                /* at most so many images in a call of the network */
    md_image_step_fn on_step; /* may be NULL; not 0 cancels: MDLM_CANCELLED */
    void *user;
    md_pool *pool; /* NULL: this thread alone */
} md_image_sampler_options;
/* The rule's own number of steps (at most the process's levels) and spacing (a flow's is trailing,
 * that of ve karras), eta 0, step size 1/2, clipping into [-1, 1], seed 1, drawn noise, 10
 * resamplings of 10 steps, 64 images a call. */
md_image_sampler_options md_image_sampler_defaults(const md_image_rule *rule,
                                                   const md_gaussian *process);
/* Steps that a run takes, with a mask (batch.repaint) or without. */
int64_t md_image_sampler_steps(const md_image_sampler_options *opt, bool repaint);

typedef struct md_image_batch {
    float *x;             /* [samples, Y, X, C] of the denoiser's shape: the images */
    const int32_t *label; /* [samples], below the denoiser's classes, -1: of no class; NULL: none */
    const float *given; /* [samples, Y, X, given] as the denoiser wants; NULL where it wants none */
    const float *source;    /* [samples, Y, X, C] images to edit; NULL: none */
    const uint8_t *repaint; /* [samples, Y, X] 0: this pixel is known, it stays the source's; NULL:
                               none is known. Needs a source */
    int samples;
} md_image_batch;

/* The predictions are what process.opt.prediction says, and the variance of ddpm is
 * process.opt.variance: to try another than the model was trained with, change it in a copy.
 *
 * On MDLM_CANCELLED batch.x holds the estimates x0 of the last step, and known pixels; on other
 * failures its contents are unspecified. MDLM_USAGE: steps, level_steps, start, eta, step_size,
 * resamplings, labels out of range, a spacing that the process has not (see there), a learned
 * variance from a model that predicts none; MDLM_NUMERIC: numbers that are not finite. `work` may
 * be NULL. */
mdlm_status md_image_sampler_run(const md_image_denoiser *denoiser, const md_gaussian *process,
                                 const md_image_sampler_options *opt, const md_image_batch *batch,
                                 md_sampler_work *work, mdlm_error *err);
/* Whether a run with these options would be refused, labels aside: before there are any files. */
mdlm_status md_image_sampler_check(const md_image_denoiser *denoiser, const md_gaussian *process,
                                   const md_image_sampler_options *opt, mdlm_error *err);

/* NULL for an unknown name. Names and their order for --help: md_image_rule_names
 * (NULL-terminated).
 */
const md_image_rule *md_image_rule_find(const char *name);
extern const char *const md_image_rule_names[];

#endif
