/* train/image_train.h: train a network for images into a run folder.
 *
 *     md_train_request request = {.options = options, .run = "mdlm-image-run", ...};
 *     md_train_result result;
 *     status = md_train_images(&request, &settings, &result, err);
 *
 * One path at most: a set of images (corpora/images.h), `shapes` if there is none. The run folder
 * holds config.json (train/image_setup.h), model.safetensors (EMA weights of the best validation),
 * run.json, metrics.jsonl, loss.svg, checkpoints/step-N/ and samples/step-N.png, grids of what the
 * averaged weights draw. The images stay where they are: a run that is resumed reads them again,
 * and they must be the same.
 *
 * Errors, stops and exact resuming are those of md_train_text (train/train.h).
 */
#ifndef MD_TRAIN_IMAGE_TRAIN_H
#define MD_TRAIN_IMAGE_TRAIN_H

#include "train/image_settings.h"
#include "train/train.h"

mdlm_status md_train_images(const md_train_request *request, md_image_settings *settings,
                            md_train_result *result, mdlm_error *err);

#endif
