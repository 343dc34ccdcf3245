/* model/image_internal.h: networks for images as the files of model/ see them. */
#ifndef MD_MODEL_IMAGE_INTERNAL_H
#define MD_MODEL_IMAGE_INTERNAL_H

#include "model/image_model.h"

/* One forward pass: what blocks ask for beside their input. */
typedef struct md_image_pass {
    md_tensor *condition; /* silu of the embedding, [B, 1, out]; NULL where no layer asks for it */
    double dropout;       /* 0 without recording */
    bool checkpoint;      /* false without recording */
} md_image_pass;

/* A kind of network. `net` is what `build` gave. */
typedef struct md_backbone {
    /* Declares the parameters; NULL when there is no memory (failures of the builder stick to it).
     * The config is checked and outlives the network. Freed with md_free. */
    void *(*build)(const md_image_config *config, md_builder *b, mdlm_error *err);
    md_tensor *(*forward)(const void *net, md_tape *tape, md_tensor *x,
                          const md_image_condition *given, const md_image_pass *pass);
    double (*products)(const void *net); /* md_image_model_products */
    md_tensor *(*head)(const void *net); /* md_image_model_head; NULL: the network has none */
} md_backbone;
extern const md_backbone md_backbone_unet, md_backbone_dit, md_backbone_encoder;

struct md_image_model {
    md_image_config config;
    const md_backbone *backbone;
    void *net;
    md_params *params;
    unsigned char *init; /* md_init_kind of each parameter */
};

/* Images that go through the network together: enough rows for the products at the smallest level,
 * few enough for their activations to stay near the caches. */
int md_images_at_once(const md_image_config *c);
/* MDLM_USAGE for a label that is not below the classes, and not -1. NULL: fine. */
mdlm_status md_image_check_labels(const md_image_config *c, const int32_t *label, int B,
                                  mdlm_error *err);
/* A tensor with images [B, Y, X, C] of the config's shape and, where it has a factor, what is given
 * beside them. NULL after a failure of the tape. */
md_tensor *md_image_input(md_tape *tape, const md_image_config *c, const md_image_query *q);

/* A part of a network, x to y, as md_checkpoint_fn. */
typedef md_tensor *(*md_part_fn)(const void *context, md_tape *tape, md_tensor *x);
/* Runs it: recording, with or without a checkpoint; else in memory that is given back, so that the
 * result [dim] alone stays. `context` lives as long as the step. */
md_tensor *md_run_part(md_tape *tape, const md_image_pass *pass, md_part_fn fn, const void *context,
                       md_tensor *x, const int64_t dim[4]);

#endif
