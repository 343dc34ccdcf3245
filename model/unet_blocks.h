/* model/unet_blocks.h: the parts of a U-Net: residual blocks, attention, changes of size. */
#ifndef MD_MODEL_UNET_BLOCKS_H
#define MD_MODEL_UNET_BLOCKS_H

#include "model/image_internal.h"

typedef struct md_res_block {
    md_norm_layer norm1, norm2;
    md_conv_layer conv1, conv2, shortcut; /* shortcut.w NULL: channels stay */
    md_linear_layer time;                 /* .w NULL: nothing is told */
} md_res_block;

typedef struct md_pixel_attention {
    md_norm_layer norm;
    md_conv_layer qkv, out;
} md_pixel_attention;

/* Under the builder's scope. `embedding`: channels of the condition; 0: there is none. */
md_res_block md_build_res_block(md_builder *b, int in, int out, int embedding);
md_pixel_attention md_build_pixel_attention(md_builder *b, int channels);

/* x [B,Y,X,in] to [B,Y,X,out]. */
md_tensor *md_run_res_block(md_tape *tape, const md_res_block *r, const md_image_pass *pass,
                            md_tensor *x);
/* x [B,Y,X,C], each pixel sees all of its image. */
md_tensor *md_run_pixel_attention(md_tape *tape, const md_pixel_attention *a, md_tensor *x);

/* Multiply-adds of an image. */
double md_res_block_products(const md_res_block *r, double pixels);
double md_pixel_attention_products(const md_pixel_attention *a, double pixels);

/* The first Y rows and X columns. */
md_tensor *md_crop(md_tape *tape, md_tensor *x, int Y, int X);

#endif
