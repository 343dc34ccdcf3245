/* cli/eval_labels.h: `mdlm image-eval` of a classifier: how many images it tells right, and how
 * sure it is, at each of some levels of noise where it is for noisy images.
 *
 *     const md_eval_labels eval = {.cli = cli, .model = &model, .from = &from, .count = 1000, ...};
 *     status = md_eval_labels_run(&eval, err);
 */
#ifndef MD_CLI_EVAL_LABELS_H
#define MD_CLI_EVAL_LABELS_H

#include "cli/eta.h"
#include "cli/eval_images.h"
#include "cli/image_model.h"

typedef struct md_eval_labels {
    const md_cli *cli;
    const md_cli_image_model *model; /* of a classifier */
    const md_eval_images *from;      /* labelled */
    int64_t count;                   /* images to be scored */
    int at_once;
    float *x;         /* work space [at_once, Y, X, C] */
    int32_t *label;   /* [at_once] */
    md_writer *items; /* a line for each image; NULL: none. Committed by the caller */
    md_eta *eta;
} md_eval_labels;

/* Scores and prints. MDLM_INPUT when not one of the images has a label. */
mdlm_status md_eval_labels_run(const md_eval_labels *e, mdlm_error *err);

#endif
