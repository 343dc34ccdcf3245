/* cli/image_sampling.h: the options of sampling images, for every command that makes some.
 *
 *     typedef struct eval_options {
 *         md_cli_image_sampling sampling;           first, so that its table fits the struct
 *         EVAL_OPTIONS(MD_OPTION_FIELD)
 *     } eval_options;
 *     static const md_cli_section sections[] = {{"Evaluation", table},
 *                                               {"Sampling", md_cli_image_sampling_table},
 *                                               {NULL, NULL}};
 *     ...
 *     md_cli_image_sampler s = {0};
 *     MD_TRY(md_cli_image_sampler_init(cli, &opt->sampling, &model, NULL, &s, err));
 *     md_cli_image_sampler_labels(&s, first, count, label);
 *     md_image_sampler_options o = s.options;
 *     o.first_index = first;
 *     status = md_image_sampler_run(&s.denoiser, &s.process, &o, &batch, &work, err);
 *     md_cli_image_sampler_release(&s);
 */
#ifndef MD_CLI_IMAGE_SAMPLING_H
#define MD_CLI_IMAGE_SAMPLING_H

#include "cli/image_model.h"
#include "sampler/image_guide.h"
#include "sampler/image_sampler.h"
#include "sampler/image_steer.h"

#define MD_CLI_IMAGE_SAMPLING_OPTIONS(X) \
    X(TEXT, class, "", 0, 0, \
      "classes in turn, by name or number, as in circle,3; all; none; all of them if not given") \
    X(CHOICE, sampler, "auto", 0, 0, \
      "auto|ddpm|ddim|dpm++=dpm=dpmpp_2m|heun|euler|langevin: ancestral; with as much noise as " \
      "--eta says; second order with one evaluation a step; with two; first order; annealed " \
      "Langevin dynamics; auto: ddpm, or ddim with --eta") \
    X(INT, steps, 0, 1, 100000, \
      "noise levels visited; ddpm 250, ddim, euler and langevin 50, dpm++ 25, heun 18 if not " \
      "given") \
    X(INT, level_steps, 5, 1, 100000, "langevin: steps at each level") \
    X(REAL, step_size, 0.2, 1e-6, 2, \
      "langevin: of a step, as a multiple of the variance of the level's noise") \
    X(CHOICE, spacing, "auto", 0, 0, \
      "auto|leading|linspace|trailing|karras: which levels; auto: trailing, but karras for heun, " \
      "euler, langevin and variance-exploding models") \
    X(REAL, eta, 0, 0, 1, "ddim: 0 without noise .. 1 as much as ddpm with --variance small") \
    X(CHOICE, variance, "auto", 0, 0, \
      "auto|small=fixed_small|large=fixed_large|learned=learned_range: of ddpm's noise; auto: " \
      "what the model was trained with") \
    X(CHOICE, clip_x0, "static", 0, 0, \
      "static=on=true|dynamic|none=off=false: the estimate of the image into [-1, 1]; by its " \
      ".995 quantile (for high guidance scales); as it is") \
    X(REAL, guidance_scale, 1, 0, 100, "how much more the class counts; 1: off")

typedef struct md_cli_image_sampling {
    MD_CLI_IMAGE_SAMPLING_OPTIONS(MD_OPTION_FIELD)
} md_cli_image_sampling;
extern const md_option md_cli_image_sampling_table[];

/* A classifier that guides. */
typedef struct md_cli_image_steering {
    const char *run; /* for messages */
    const md_cli_image_model *by;
    double scale;
} md_cli_image_steering;

/* What the options come to with a model. */
typedef struct md_cli_image_sampler {
    md_gaussian process; /* the model's, with the variance asked for; owns nothing */
    md_image_sampler_options options;
    md_image_guide guide;
    md_image_steer steer;
    md_image_denoiser guided;    /* without the classifier */
    md_image_denoiser denoiser;  /* with all guidance; valid while the struct stays where it is */
    const md_image_setup *named; /* says what classes are called: the model's, or where that has
                                    none the classifier's */
    int32_t *classes;            /* taken in turn */
    int class_count;
} md_cli_image_sampler;

/* Into an empty struct; the model and what `steering` points to (NULL: no classifier guides)
 * outlive it. MDLM_USAGE for options that do not fit the model or each other, before anything is
 * sampled. Release after a failure, too. */
mdlm_status md_cli_image_sampler_init(const md_cli *cli, const md_cli_image_sampling *opt,
                                      md_cli_image_model *model,
                                      const md_cli_image_steering *steering,
                                      md_cli_image_sampler *out, mdlm_error *err);
void md_cli_image_sampler_release(md_cli_image_sampler *s); /* accepts an empty struct */

/* Classes of images first .. first + count - 1 (numbers as in md_image_sampler_options). */
void md_cli_image_sampler_labels(const md_cli_image_sampler *s, int64_t first, int count,
                                 int32_t *label);

/* "sampler ddim, steps 50 (default), ..., seed 1 (default)", appended. */
mdlm_status md_cli_image_sampler_describe(const md_cli *cli, const md_cli_image_sampling *opt,
                                          const md_cli_image_sampler *s, md_buffer *out,
                                          mdlm_error *err);
/* Says on stderr where guidance and images of no class cannot be expected to go well. */
void md_cli_image_sampler_warn(const md_cli *cli, const md_cli_image_sampler *s);

#endif
