/* cli/eval_upscale.h: `mdlm image-eval` of a model that makes images larger: how near it comes to
 * images that were made smaller, beside bicubic interpolation (corpora/resample.h).
 *
 *     md_eval_upscale eval = {.cli = cli, .model = &model, .from = &from, .count = 1000, ...};
 *     status = md_eval_upscale_run(&eval, err);
 */
#ifndef MD_CLI_EVAL_UPSCALE_H
#define MD_CLI_EVAL_UPSCALE_H

#include "cli/eta.h"
#include "cli/eval_images.h"
#include "cli/image_sampling.h"

typedef struct md_eval_upscale {
    const md_cli *cli;
    md_cli_image_model *model; /* of an upscaler */
    const md_eval_images *from;
    const md_cli_image_sampling *sampling;
    int64_t count; /* images to be scored */
    md_eta *eta;
} md_eval_upscale;

/* Samples and prints: PSNR in decibels, the mean over images. */
mdlm_status md_eval_upscale_run(const md_eval_upscale *e, mdlm_error *err);

#endif
