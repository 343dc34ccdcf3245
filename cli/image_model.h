/* cli/image_model.h: a model for images, ready to be asked; for every command that has one.
 *
 *     md_cli_image_model m = {0};
 *     MD_TRY(md_cli_image_load(cli, &m, err));        --model, --weights, --dtype, --threads
 *     ... m.denoiser, m.setup.process, m.pool ...
 *     md_cli_image_release(&m);
 *
 * and a classifier beside it, which guides it or judges what it draws:
 *
 *     md_cli_classifier c = {0};
 *     MD_TRY(md_cli_classifier_load(&c, "classifier-run", &m, err));
 *     ... c.classifier, c.setup.process ...
 *     md_cli_classifier_release(&c);                  before the model
 */
#ifndef MD_CLI_IMAGE_MODEL_H
#define MD_CLI_IMAGE_MODEL_H

#include "cli/common.h"
#include "model/image_model.h"
#include "train/image_setup.h"

typedef struct md_cli_image_model {
    md_image_setup setup;
    md_image_model *net;
    md_kernels kernels;
    md_pool *pool;
    md_tape *tape;
    md_image_view view;
    /* Valid while the struct stays where it is. One of them is there. */
    md_image_denoiser denoiser;
    md_image_classifier classifier; /* .classify NULL: this model draws */
} md_cli_image_model;

/* A model that draws. MDLM_INPUT with advice when there is nothing at that place, MDLM_USAGE for a
 * classifier. Release also after a failure. */
mdlm_status md_cli_image_load(const md_cli *cli, md_cli_image_model *out, mdlm_error *err);
/* The same of any model for images. */
mdlm_status md_cli_image_load_any(const md_cli *cli, md_cli_image_model *out, mdlm_error *err);
void md_cli_image_release(md_cli_image_model *m);

typedef struct md_cli_classifier {
    md_image_setup setup;
    md_image_model *net;
    md_image_view view;
    md_image_classifier classifier; /* valid while the struct stays where it is */
} md_cli_classifier;

/* The classifier of --classifier, run on the tape of the model that it goes with. MDLM_USAGE when
 * the folder's model is none, or is for images of another shape, or, where the model has classes,
 * tells others apart. Release also after a failure. */
mdlm_status md_cli_classifier_load(md_cli_classifier *out, const char *folder,
                                   const md_cli_image_model *model, mdlm_error *err);
void md_cli_classifier_release(md_cli_classifier *c);

/* What a label is called: its name, or "3" (in `number`) where classes have none; "none" of -1. */
const char *md_cli_class_name(const md_image_setup *setup, int32_t label, char number[16]);

/* Labels that are named one after the other, "circle,3", by name or number; "all": every class;
 * "none": -1. MDLM_USAGE for what is neither. *out [*count] is freed with md_free. */
mdlm_status md_cli_classes_parse(const md_image_setup *setup, const char *text, int32_t **out,
                                 int *count, mdlm_error *err);

#endif
