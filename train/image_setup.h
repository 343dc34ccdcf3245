/* train/image_setup.h: what a folder of a model for images says: the network, the process that it
 * was trained for, and the names of its classes.
 *
 *     md_image_setup setup = {0};
 *     MD_TRY(md_image_setup_load("mdlm-image-run", &setup, err));
 *     MD_TRY(md_image_model_load("mdlm-image-run", NULL, &model, NULL, err));
 *     ... setup.config, setup.process, setup.class_names ...
 *     md_image_setup_release(&setup);
 *
 * config.json has them all: the network's keys (model/image_config.h), "process"
 * (diffusion/gaussian_json.h) and, with classes, "class_names".
 */
#ifndef MD_TRAIN_IMAGE_SETUP_H
#define MD_TRAIN_IMAGE_SETUP_H

#include "base/file.h"
#include "base/json.h"
#include "diffusion/gaussian.h"
#include "model/image_config.h"

typedef struct md_image_setup {
    md_image_config config;
    md_gaussian process;  /* empty, T 0, of a classifier for clean images */
    md_names class_names; /* as many as config.classes */
} md_image_setup;

/* MDLM_INPUT when config.json is missing, malformed, has keys that are not known, or says things
 * that do not fit together. */
mdlm_status md_image_setup_load(const char *folder, md_image_setup *out, mdlm_error *err);
mdlm_status md_image_setup_save(const md_image_setup *setup, const char *folder, mdlm_error *err);
void md_image_setup_release(md_image_setup *setup); /* accepts an empty struct */

/* A learned schedule moves with the weights, so a checkpoint has its own: adds it to the members of
 * a state, or takes it from them (of the file `path`). Nothing with other schedules. */
mdlm_status md_image_setup_put_schedule(const md_image_setup *setup, cJSON *state, mdlm_error *err);
mdlm_status md_image_setup_take_schedule(md_image_setup *setup, const cJSON *state,
                                         const char *path, mdlm_error *err);

/* Copies a list of names; the setup has none before. */
mdlm_status md_image_setup_name(md_image_setup *setup, const char *const *names, int count,
                                mdlm_error *err);

#endif
