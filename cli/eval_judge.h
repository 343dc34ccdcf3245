/* cli/eval_judge.h: how `mdlm image-eval --frechet` judges samples: beside real images, in the
 * features of a classifier.
 *
 *     md_eval_judge judge = {.cli = cli, .model = &model, .from = &from, .choice = choice};
 *     MD_TRY(md_eval_judge_open(&judge, err));             everything is checked here
 *     MD_TRY(md_eval_judge_run(&judge, &eta, err));        samples, and measures
 *     MD_TRY(md_eval_judge_print(&judge, err));            or md_eval_judge_put, as JSON
 *     md_eval_judge_release(&judge);
 *
 * The real images are cut in two, always in the same way: the last of the mixed order (train/
 * image_data.h), as many as there are samples or half of all, stand in the samples' place for the
 * floor; the rest, or as many as asked for, is the reference. Samples get the labels of those last
 * ones unless --class says others.
 */
#ifndef MD_CLI_EVAL_JUDGE_H
#define MD_CLI_EVAL_JUDGE_H

#include "cli/eta.h"
#include "cli/eval_images.h"
#include "cli/image_sampling.h"
#include "cli/output.h"
#include "train/coverage.h"
#include "train/frechet.h"
#include "train/image_judge.h"

typedef struct md_eval_judge_choice {
    const char *classifier; /* run */
    const char *samples;    /* folder of images; "": they are sampled */
    int64_t count;          /* of samples; 0: 1000, or all that the folder has */
    int64_t references;     /* at most */
    int resamples;          /* of the bootstrap */
    const md_cli_image_sampling *sampling;
} md_eval_judge_choice;

/* What is said of samples, and of real images in their place. */
typedef struct md_eval_verdict {
    md_image_judge judge;
    md_frechet_report frechet;
    md_coverage coverage;
} md_eval_verdict;

typedef struct md_eval_judge {
    const md_cli *cli;
    md_cli_image_model *model;
    const md_eval_images *from;
    md_eval_judge_choice choice;
    /* Set by open and run: */
    int64_t count, floor_count, references;
    md_cli_image_sampler sampler;
    md_cli_image_model classifier;
    md_images *folder; /* NULL: sampled */
    md_image_loader real, stand_in;
    md_image_judge reference;
    md_eval_verdict samples, floor;
    int32_t *label;  /* [floor_count] of the real images in the samples' place */
    float *x;        /* [a batch, Y, X, C] */
    int32_t *wanted; /* [a batch] */
    md_eta *eta;
    int64_t done;
} md_eval_judge;

/* MDLM_USAGE and MDLM_INPUT before anything is computed: a classifier of another size, too few
 * images. Release after a failure, too. */
mdlm_status md_eval_judge_open(md_eval_judge *j, mdlm_error *err);
void md_eval_judge_release(md_eval_judge *j); /* accepts an empty struct */
mdlm_status md_eval_judge_run(md_eval_judge *j, md_eta *eta, mdlm_error *err);

mdlm_status md_eval_judge_print(const md_eval_judge *j, mdlm_error *err);
void md_eval_judge_put(const md_eval_judge *j, md_json_line *line);

#endif
