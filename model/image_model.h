/* model/image_model.h: networks that predict from a noisy image: a U-Net, or a transformer on
 * patches; and an encoder, which says what an image shows.
 *
 *     md_image_model *model = NULL;
 *     MD_TRY(md_image_model_new(&config, true, &model, err));
 *     md_image_model_init(model, seed);
 *     md_tensor *y = md_image_model_forward(model, tape, x, &given, NULL);     [B,Y,X,C or 2C]
 *
 * The U-Net is that of DDPM (Ho et al. 2020, appendix B) with SiLU and GroupNorm of 8 groups:
 *
 *     conv_in, then from the full size down: res_blocks ResBlocks a level, and between levels a
 *     convolution of stride 2; ResBlock, attention, ResBlock in the middle; then up again with one
 *     ResBlock more a level, each given what the way down left (a skip), and between levels nearest
 *     upsampling and a convolution; GroupNorm, SiLU, conv_out
 *     ResBlock   h = conv1(silu(norm1 x)) + time_emb_proj(silu(t)), y = conv2(silu(norm2 h)) + x
 *                (conv_shortcut x where channels change)
 *     attention  y = x + to_out(attention(qkv(norm x))), one head, at the sizes of config.attn
 *
 * An odd size halves to the next larger one (7 to 4), and on the way up the last row or column too
 * many is cut off: any size will do.
 *
 * The transformer is DiT (Peebles & Xie 2023): patches, fixed 2-D sinusoids as positions, blocks
 * whose norms are moved and whose branches are gated by the condition (adaLN-zero), SwiGLU.
 *
 * Both are told time and, with classes, a label (model/layers.h, md_image_condition). ResBlocks,
 * transformer blocks and the output begin as zero; the encoder's head does not.
 *
 * The encoder is the U-Net's way down and its middle, then RMSNorm of each pixel, SiLU and the mean
 * over pixels: the features, of which one linear map without bias, the head, makes a logit for each
 * class (as Dhariwal & Nichol 2021, 4.1, but for attention pooling and GroupNorm, with which it
 * learns more slowly). It is told the time when it is for noisy images, else nothing.
 */
#ifndef MD_MODEL_IMAGE_MODEL_H
#define MD_MODEL_IMAGE_MODEL_H

#include "model/image_config.h"
#include "model/layers.h"

typedef struct md_image_model md_image_model;

/* Parameters are zero; `gradients`: allocate them. The config is checked. Caller frees *out. */
mdlm_status md_image_model_new(const md_image_config *config, bool gradients, md_image_model **out,
                               mdlm_error *err);
void md_image_model_free(md_image_model *model); /* accepts NULL */
void md_image_model_init(md_image_model *model, uint64_t seed);
const md_image_config *md_image_model_config(const md_image_model *model);
md_params *md_image_model_params(md_image_model *model);

typedef struct md_image_training {
    double dropout;  /* in ResBlocks before conv2, on the branches of a transformer */
    bool checkpoint; /* keep what lies between blocks only, and run each again in backward */
} md_image_training;

/* x [B,Y,X,C + md_image_config_given] to [B,Y,X,C or 2C]: of each pixel the noisy image, then what
 * is given, to which the network adds what it says (so it begins as bicubic interpolation, where it
 * predicts the image); of an encoder, to features [B,1,F]. `given` is read during the
 * call alone. Without recording, memory is that of one
 * block and of the skips, and `training` (may be NULL) does not matter. */
md_tensor *md_image_model_forward(md_image_model *model, md_tape *tape, md_tensor *x,
                                  const md_image_condition *given,
                                  const md_image_training *training);

/* The head [classes, F] of an encoder; NULL of others. */
md_tensor *md_image_model_head(const md_image_model *model);

/* Multiply-adds that one image takes on its way forward: of convolutions, as their definition has
 * them, of linear maps and of attention. */
double md_image_model_products(const md_image_model *model);

/* The network as a denoiser, or, an encoder, as a classifier. The tape must outlive it and not be
 * recording elsewhere. Images are sent through the network a few at a time. */
typedef struct md_image_view {
    md_image_model *model;
    md_tape *tape;
} md_image_view;
md_image_denoiser md_image_model_denoiser(md_image_view *view);
/* For gradients the parameters are frozen (loaded, or md_params_freeze): MD_BUG_IF they are not. */
md_image_classifier md_image_model_classifier(md_image_view *view);

/* Reads a folder's config.json and model.safetensors, or the weights in another file of the same
 * names when `weights` is not NULL. *file as md_image_config_load. */
mdlm_status md_image_model_load(const char *folder, const char *weights, md_image_model **out,
                                cJSON **file, mdlm_error *err);

#endif
