/* cli/eval_images.h: which images `mdlm image-eval` scores.
 *
 *     md_eval_images from = {0};
 *     MD_GOTO(done, status, md_eval_images_open(&from, cli, &setup, &choice, err));
 *     md_image_loader_read(&from.loader, first, count, x, labels);
 *     done: md_eval_images_release(&from);
 */
#ifndef MD_CLI_EVAL_IMAGES_H
#define MD_CLI_EVAL_IMAGES_H

#include "cli/common.h"
#include "train/image_data.h"
#include "train/image_setup.h"

typedef struct md_eval_images_choice {
    const char *labels, *range, *split; /* as the options of these names */
    bool class_free;                    /* labels do not matter, and may be any */
} md_eval_images_choice;

typedef struct md_eval_images {
    md_image_data data;
    md_image_loader loader; /* what is to be scored, loader.count images in a mixed order */
    const char *source;     /* where they come from; the struct's own */
    const char *split;      /* "val", "train" or "all" */
    bool labelled;          /* labels mean classes of the model */
    bool own;               /* from where the run's own came from */
    char *path;
    md_image_record record;
} md_eval_images;

/* The positional argument, or what the run of cli->model was trained on. `split` "auto" means the
 * validation part where these are the run's own images, all of them, which is said on stderr, else
 * everything. MDLM_INPUT when images are not of the model's shape. Release after a failure, too. */
mdlm_status md_eval_images_open(md_eval_images *out, const md_cli *cli, const md_image_setup *setup,
                                const md_eval_images_choice *choice, mdlm_error *err);
void md_eval_images_release(md_eval_images *from); /* accepts an empty struct */

/* The number of example n in its source. */
int64_t md_eval_images_number(const md_eval_images *from, int64_t n);

#endif
