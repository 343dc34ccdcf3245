/* cli/image_model.h: a model for images, ready to be asked; for every command that has one.
 *
 *     md_cli_image_model m = {0};
 *     MD_TRY(md_cli_image_load(cli, &m, err));        --model, --weights, --dtype, --threads
 *     ... m.denoiser, m.setup.process, m.pool ...
 *     md_cli_image_release(&m);
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
    md_image_denoiser denoiser; /* valid while the struct stays where it is */
} md_cli_image_model;

/* MDLM_INPUT with advice when there is nothing at that place. Release also after a failure. */
mdlm_status md_cli_image_load(const md_cli *cli, md_cli_image_model *out, mdlm_error *err);
void md_cli_image_release(md_cli_image_model *m);

/* What a label is called: its name, or "3" (in `number`) where classes have none; "none" of -1. */
const char *md_cli_class_name(const md_image_setup *setup, int32_t label, char number[16]);

/* Labels that are named one after the other, "circle,3", by name or number; "all": every class;
 * "none": -1. MDLM_USAGE for what is neither. *out [*count] is freed with md_free. */
mdlm_status md_cli_classes_parse(const md_image_setup *setup, const char *text, int32_t **out,
                                 int *count, mdlm_error *err);

#endif
