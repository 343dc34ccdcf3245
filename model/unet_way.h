/* model/unet_way.h: levels of residual blocks: the way down and the middle, which a U-Net and an
 * encoder have in common, and the units that a way is made of.
 *
 *     md_unet_way way = {.config = config, .down = units};          [md_unet_units(config)]
 *     md_build_unet_way(&way, b, 4 * config->base);                 conv_in, down, middle
 *     x = md_run_unet_way(tape, &way, pass, x, skip);
 */
#ifndef MD_MODEL_UNET_WAY_H
#define MD_MODEL_UNET_WAY_H

#include "model/unet_blocks.h"

/* What the way down leaves, one skip each, and what the way up takes, one skip each. */
typedef struct md_unet_unit {
    int Y, X, C; /* of the result */
    bool has_res, attends, up;
    md_res_block res; /* way down: not of a change of size */
    md_pixel_attention attention;
    md_conv_layer resample; /* stride 2, or after `up` of the last unit of a level */
} md_unet_unit;

typedef struct md_unet_way {
    const md_image_config *config;
    int units; /* set by build, of the way down beside conv_in */
    md_unet_unit *down;
    md_conv_layer in;
    md_res_block middle[2];
    md_pixel_attention middle_attention;
} md_unet_way;

/* Sizes and channels of a level. */
md_image_shape md_unet_level(const md_image_config *c, int level);
int md_unet_units(const md_image_config *c);

/* A residual block and, at some sizes, attention, under the builder's scope. */
typedef struct md_unet_place {
    const char *way; /* "down": down_blocks.BLOCK.resnets.INDEX */
    int block, index;
    md_image_shape shape; /* of the result */
    int in;               /* channels */
} md_unet_place;
md_unet_unit md_build_unet_unit(const md_image_config *c, md_builder *b, md_unet_place at,
                                int embedding);
md_conv_layer md_build_resample(md_builder *b, int channels);
void md_build_unet_way(md_unet_way *w, md_builder *b, int embedding);

/* x with a unit's skip (NULL on the way down) behind its channels, through the unit. */
md_tensor *md_run_unet_unit(md_tape *tape, const md_unet_unit *u, const md_image_pass *pass,
                            md_tensor *x, md_tensor *skip);
/* `pass` lives as long as the step. skip [units + 1]: what conv_in and each unit give. */
md_tensor *md_run_unet_way(md_tape *tape, const md_unet_way *w, const md_image_pass *pass,
                           md_tensor *x, md_tensor **skip);

/* Multiply-adds of an image. */
double md_unet_unit_products(const md_unet_unit *u);
double md_unet_way_products(const md_unet_way *w);

#endif
