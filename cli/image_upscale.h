/* cli/image_upscale.h: small images that a model makes larger: pictures of the user's, or what
 * another model has just sampled (a cascade).
 *
 *     md_cli_upscale up = {0};
 *     MD_TRY(md_cli_upscale_open(&up, &model.setup.config, "small.png", err));
 *     MD_TRY(md_cli_upscale_init(&up, &model.setup.config, &choice, err));
 *     batch.given = md_cli_upscale_files(&up, first, count);      or md_cli_upscale_samples
 *     md_cli_upscale_release(&up);
 */
#ifndef MD_CLI_IMAGE_UPSCALE_H
#define MD_CLI_IMAGE_UPSCALE_H

#include "cli/image_sampling.h"
#include "train/image_upscale.h"

#define MD_CLI_UPSCALE_OPTIONS(X) \
    X(TEXT, upscale, "", 0, 0, \
      "picture to make larger, or a folder or file of them, taken in turn; the model is one of " \
      "image-train --task upscale") \
    X(TEXT, upscaler, "", 0, 0, "run of such a model, which makes the images larger: a cascade") \
    X(INT, upscaler_steps, 0, 1, 100000, \
      "noise levels that it visits; the sampler's usual number if not given") \
    X(REAL, augment, 0, 0, 1, \
      "noise on small images, which hides what is wrong with them; not more than in training")

typedef struct md_cli_upscale {
    md_images *set;         /* the pictures; NULL: none were opened */
    md_upscale_given small; /* one of them, and its noise */
    int most;
    float *given; /* [most, Y, X, C + 1] */
} md_cli_upscale;

typedef struct md_cli_upscale_choice {
    double augment; /* deviation of the noise that small images get */
    uint64_t seed;
    int most; /* images at once */
} md_cli_upscale_choice;

/* The pictures, before init: PNG, JPEG or what else image-train takes. MDLM_USAGE when they are not
 * of the size that the model makes larger. */
mdlm_status md_cli_upscale_open(md_cli_upscale *up, const md_image_config *config, const char *path,
                                mdlm_error *err);
/* Room for what is shown; the config is an upscaler's. Release after a failure, too. */
mdlm_status md_cli_upscale_init(md_cli_upscale *up, const md_image_config *config,
                                const md_cli_upscale_choice *choice, mdlm_error *err);
void md_cli_upscale_release(md_cli_upscale *up); /* accepts an empty struct */
/* What the network is shown for images first .. first + count - 1, count <= most; valid until the
 * next call. Of the pictures, in turn; */
const float *md_cli_upscale_files(md_cli_upscale *up, int64_t first, int count);
/* of small images x [count, small]. */
const float *md_cli_upscale_samples(md_cli_upscale *up, const float *x, int64_t first, int count);

/* --- a second model --------------------------------------------------------------------------- */

typedef struct md_cli_cascade {
    md_cli_image_model model;
    md_cli_image_sampler sampler;
    md_cli_upscale small;
    float *x; /* [most, Y, X, C] what came of a run */
} md_cli_cascade;

/* Into an empty struct: the model of --upscaler FOLDER, for the images of `base`, which outlives
 * it. MDLM_USAGE when it makes nothing larger, or images of another size. Release after a failure,
 * too. */
mdlm_status md_cli_cascade_init(md_cli_cascade *c, const md_cli *cli, const char *folder,
                                const md_cli_image_sampling *how, const md_cli_image_model *base,
                                const md_cli_upscale_choice *choice, mdlm_error *err);
void md_cli_cascade_release(md_cli_cascade *c); /* accepts an empty struct */
/* The images of a batch of the first model, larger, into c->x. Of `opt` first_index, on_step and
 * user count. */
mdlm_status md_cli_cascade_run(md_cli_cascade *c, const md_image_batch *from,
                               const md_image_sampler_options *opt, md_sampler_work *work,
                               mdlm_error *err);

#endif
