/* cli/image_model.h: a model for images, ready to be asked; for every command that has one.
 *
 *     md_cli_image_model m = {0};
 *     MD_TRY(md_cli_image_load(cli, &m, err));        --model, --weights, --dtype, --threads
 *     ... m.denoiser, m.setup.process, m.pool ...
 *     md_cli_image_release(&m);
 *
 * and another beside it, such as a classifier, which guides it or judges what it draws:
 *
 *     md_cli_image_model c = {0};
 *     MD_TRY(md_cli_classifier_load(&c, "classifier-run", &m, err));
 *     ... c.classifier, c.setup.process ...
 *     md_cli_image_release(&c);
 */
#ifndef MD_CLI_IMAGE_MODEL_H
#define MD_CLI_IMAGE_MODEL_H

#include "cli/common.h"
#include "model/image_model.h"
#include "train/image_setup.h"

typedef struct md_cli_image_model {
    md_image_setup setup;
    md_image_model *net;
    md_kernels kernels; /* of the tape; unset beside another model */
    md_pool *pool;
    md_tape *tape;
    bool beside; /* pool and tape are those of the model that it goes with */
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

/* MDLM_USAGE unless a model, `own` of `folder`, fits the one that it goes with. */
typedef mdlm_status md_cli_image_fits(const char *folder, const md_image_setup *own,
                                      const md_image_setup *model, mdlm_error *err);

/* The model in the folder that `option`, "--classifier", names, run on the pool and the tape of
 * `model`, which outlives it. MDLM_INPUT when there is no such folder; what does not fit is refused
 * before its weights are read. Release also after a failure. */
mdlm_status md_cli_image_load_beside(md_cli_image_model *out, const char *option,
                                     const char *folder, md_cli_image_fits *fits,
                                     const md_cli_image_model *model, mdlm_error *err);

/* That of --classifier. MDLM_USAGE when the folder's model is none, or is for images of another
 * shape, or, where the model has classes, tells others apart. */
mdlm_status md_cli_classifier_load(md_cli_image_model *out, const char *folder,
                                   const md_cli_image_model *model, mdlm_error *err);

/* What a label is called: its name, or "3" (in `number`) where classes have none; "none" of -1. */
const char *md_cli_class_name(const md_image_setup *setup, int32_t label, char number[16]);

/* Labels that are named one after the other, "circle,3", by name or number; "all": every class;
 * "none": -1. MDLM_USAGE for what is neither. *out [*count] is freed with md_free. */
mdlm_status md_cli_classes_parse(const md_image_setup *setup, const char *text, int32_t **out,
                                 int *count, mdlm_error *err);

#endif
