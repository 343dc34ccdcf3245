/* train/image_data.h: the images of a run: those it is trained on, and those it only validates on.
 *
 *     md_image_data data = {0};
 *     MD_TRY(md_image_data_open("photos", &settings, seed, &data, err));
 *     loader = md_image_data_part(&data, MD_IMAGES_HELD, seed);
 *     md_image_data_release(&data);
 *
 * The parts are of the images in a mixed order, always the same one, so that a folder sorted by
 * class has all of them in both. A run keeps no images: its run.json says where they are, and what
 * they were.
 */
#ifndef MD_TRAIN_IMAGE_DATA_H
#define MD_TRAIN_IMAGE_DATA_H

#include "corpora/images.h"
#include "train/image_settings.h"
#include "train/run.h"

/* What run.json of `mdlm image-train` holds. */
extern const md_run_kind md_image_run;

/* What to call images: the absolute path of a file or a folder, else (`shapes`) the name. NULL: no
 * memory; caller frees. */
char *md_image_data_path(const char *name, mdlm_error *err);

typedef struct md_image_data {
    md_images *set;
    int64_t held; /* kept for validation; at least 1, and less than all */
} md_image_data;

/* Of the settings those about images count. MDLM_INPUT for a single image, too. Caller releases
 * *out. */
mdlm_status md_image_data_open(const char *path, const md_image_settings *set, uint64_t seed,
                               md_image_data *out, mdlm_error *err);
void md_image_data_release(md_image_data *data); /* accepts an empty struct */

typedef enum md_image_part { MD_IMAGES_ALL, MD_IMAGES_TRAINED, MD_IMAGES_HELD } md_image_part;
/* Examples of a part, each once a pass. */
md_image_loader md_image_data_part(const md_image_data *data, md_image_part part, uint64_t seed);

/* What a run says of its images. */
typedef struct md_image_record {
    md_image_settings set;
    uint64_t seed;
    cJSON *images;       /* md_images_json */
    md_options *options; /* keeps the texts of `set`; may be NULL */
} md_image_record;

/* From RUN/run.json into an empty struct. MDLM_USAGE when that is no run of image-train. Caller
 * releases *out, after a failure, too. */
mdlm_status md_image_record_load(const char *run, md_image_record *out, mdlm_error *err);
void md_image_record_release(md_image_record *record); /* accepts an empty struct */

/* The images of RUN again. MDLM_INPUT when they have changed. */
mdlm_status md_image_data_reopen(const md_image_record *record, const char *run, md_image_data *out,
                                 mdlm_error *err);

#endif
