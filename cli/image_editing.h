/* cli/image_editing.h: the options of making images from images: what to repaint, what to start
 * from, what to lead from one to the other.
 *
 *     typedef struct generate_options {
 *         md_cli_image_editing editing;           first, so that its tables fit the struct
 *         GENERATE_OPTIONS(MD_OPTION_FIELD)
 *     } generate_options;
 *     ...
 *     md_cli_image_sampling how = md_cli_image_editing_sampling(&opt->editing);
 *     MD_TRY(md_cli_image_sampler_init(cli, &how, &model, NULL, &sampler, err));
 *     md_cli_image_edit edit = {.total = 16};
 *     MD_TRY(md_cli_image_edit_init(cli, &opt->editing, shape, &sampler.options, &edit, err));
 *     MD_TRY(md_cli_image_edit_take(&edit, first, count, &batch, err));
 *     status = md_image_sampler_run(...);
 *     md_cli_image_edit_release(&edit);
 *
 * Sources are what `image-train` takes: a picture, a folder, a file of images; images are made of
 * theirs in turn. Those to start from are cut and resized; those to repaint stay as they are, so
 * they and the mask must have the model's size.
 */
#ifndef MD_CLI_IMAGE_EDITING_H
#define MD_CLI_IMAGE_EDITING_H

#include "cli/image_sampling.h"
#include "cli/output.h"
#include "corpora/images.h"

#define MD_CLI_IMAGE_EDITING_OPTIONS(X) \
    X(TEXT, init_image, "", 0, 0, \
      "image to start from, or a folder or file of them, taken in turn: as much of it changes as " \
      "--strength says") \
    X(REAL, strength, 0.6, 0.01, 1, \
      "share of the steps that are taken, from a source with as much noise: 1: all, little is " \
      "left of it") \
    X(TEXT, interpolate, "", 0, 0, \
      "A.png,B.png: images that lead from one to the other: mixtures, made images by --strength") \
    X(TEXT, inpaint, "", 0, 0, \
      "image of which a part is painted anew, or a folder or file of them, taken in turn; with " \
      "--strength what is there already counts") \
    X(TEXT, mask, "", 0, 0, \
      "picture of the same size, or several, taken in turn: white is painted anew, black stays " \
      "as it is to the bit") \
    X(INT, resamplings, 10, 1, MD_MOST_RESAMPLINGS, \
      "--inpaint: how often each stretch of steps is gone through, so that parts agree; 1: once") \
    X(INT, jump, 10, 1, 100000, "--inpaint: steps in such a stretch")

typedef struct md_cli_image_editing {
    md_cli_image_sampling sampling; /* first, so that its table fits */
    MD_CLI_IMAGE_EDITING_OPTIONS(MD_OPTION_FIELD)
} md_cli_image_editing;
extern const md_option md_cli_image_editing_table[];

/* Options of sampling, where an image made of another has no class if none is given. */
md_cli_image_sampling md_cli_image_editing_sampling(const md_cli_image_editing *opt);

typedef struct md_cli_image_edit {
    int64_t total;       /* images to make; the caller's */
    int64_t first_index; /* number of the first; the caller's */
    const md_cli_image_editing *opt;
    md_image_shape shape;
    size_t size;       /* numbers of an image */
    md_images *source; /* NULL: nothing is edited */
    md_images *other;  /* where an interpolation leads */
    md_images *mask;   /* white where to repaint; NULL: nothing is repainted */
    int steps;         /* that a run takes */
    float *sources;    /* [.., Y, X, C] of the batch at hand, and their masks */
    uint8_t *masks;
    int capacity;                       /* images that there is room for */
    double seam, seam_before, distance; /* sums over images that were measured */
    int64_t measured;
} md_cli_image_edit;

/* Into a struct that is empty but for what is the caller's; sets what `sampler` should do.
 * MDLM_USAGE for options that contradict each other or change nothing; MDLM_INPUT for pictures that
 * cannot be read, or of another size. Release after a failure, too. */
mdlm_status md_cli_image_edit_init(const md_cli *cli, const md_cli_image_editing *opt,
                                   md_image_shape shape, md_image_sampler_options *sampler,
                                   md_cli_image_edit *out, mdlm_error *err);
void md_cli_image_edit_release(md_cli_image_edit *e); /* accepts an empty struct */

/* Sources of images first .. first + count - 1 of `total`, and masks, into a batch; they stay the
 * edit's. */
mdlm_status md_cli_image_edit_take(md_cli_image_edit *e, int64_t first, int count,
                                   md_image_batch *batch, mdlm_error *err);

/* What became of image i of the batch: {"distance"} from its source, root of the mean square in
 * [-1, 1], and of one with a mask {"seam", "seam_source"} (md_image_edit_seam). Without a source,
 * nothing; line NULL: for the report alone. */
void md_cli_image_edit_measure(md_cli_image_edit *e, const md_image_batch *batch, int i,
                               md_json_line *line);

/* What is done to what, in words, appended; and, after it, how well. Without a source, nothing. */
mdlm_status md_cli_image_edit_describe(const md_cli *cli, const md_cli_image_edit *e,
                                       md_buffer *out, mdlm_error *err);
void md_cli_image_edit_report(const md_cli *cli, const md_cli_image_edit *e);

#endif
