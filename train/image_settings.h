/* train/image_settings.h: everything a training on images can be told, as tables (base/options.h).
 *
 * 0, or "auto", where the bounds exclude it means "chosen from the images": train/image_plan.c
 * decides, and the decision is printed before training starts.
 */
#ifndef MD_TRAIN_IMAGE_SETTINGS_H
#define MD_TRAIN_IMAGE_SETTINGS_H

#include "train/loop_settings.h"

#define MD_IMAGE_DATA_SETTINGS(X) \
    X(TEXT, labels, "", 0, 0, "IDX file of labels; found by its name if not given") \
    X(TEXT, range, "", 0, 0, "A:B: images A to B - 1 alone; the others are free for a test") \
    X(INT, image_size, 0, 1, 4096, \
      "pixels of a side: images are resized and cut to it; as they are if not given") \
    X(INT, channels, 0, 1, 4, "1 grey, 3 RGB, 4 RGBA; as the images are if not given") \
    X(FLAG, flip, false, 0, 0, "mirror half of the images from left to right") \
    X(REAL, val_fraction, 0.1, 0, 0.9, "share of the images kept for validation")

/* Without those whose names a transformer for text has, too. */
#define MD_IMAGE_SHAPE_SETTINGS(X) \
    X(CHOICE, backbone, "unet", 0, 0, "unet|dit: convolutions, or a transformer on patches") \
    X(INT, base_channels, 0, 8, 65536, "unet: channels at the full size; a multiple of 8") \
    X(TEXT, channel_mults, "auto", 0, 0, \
      "unet: channels of each level as multiples of those, each level half the size of the one " \
      "before, as in 1,2,2") \
    X(INT, res_blocks, 2, 1, 512, "unet: residual blocks of a level; one more on the way up") \
    X(TEXT, attn_res, "auto", 0, 0, \
      "unet: sizes at which pixels attend to each other, as in 16,8; none: in the middle alone") \
    X(INT, patch_size, 0, 1, 4096, "dit: pixels of a patch's side")

#define MD_IMAGE_NETWORK_SETTINGS(X) \
    MD_IMAGE_SHAPE_SETTINGS(X) \
    X(INT, layers, 0, 1, 512, "dit: blocks") \
    X(INT, dim, 0, 4, 65536, "dit: channels") \
    X(INT, heads, 0, 1, 1024, "dit: attention heads") \
    X(INT, ff, 0, 4, 262144, "dit: inner width of the feed-forward part") \
    X(REAL, dropout, 0, 0, 0.9, "dropout in the blocks")

#define MD_IMAGE_PROCESS_SETTINGS(X) \
    X(CHOICE, task, "generate", 0, 0, \
      "generate|classify|upscale: draw images, tell which class they show (for guidance and " \
      "evaluation), or make small ones larger") \
    X(INT, factor, 2, 2, 16, "upscale: how many times as large") \
    X(REAL, augment, 0.1, 0, 1, \
      "upscale: most noise on the small images, which lets the model know what to do with " \
      "imperfect ones") \
    X(FLAG, noisy, true, 0, 0, \
      "classify: images at every level of noise, as guidance needs; --no-noisy: clean ones " \
      "alone, as evaluation does") \
    X(CHOICE, process, "auto", 0, 0, \
      "auto|vp|ve|flow: image fades as noise rises (DDPM); noise is added; straight from noise " \
      "to image; auto: flow, or vp where another option is of vp alone") \
    X(INT, timesteps, 1000, 2, 100000, "noise levels") \
    X(CHOICE, noise_schedule, "auto", 0, 0, \
      "auto|linear|cosine|scaled-linear|sigmoid|learned: where vp's levels lie; auto: cosine, or " \
      "learned with the loss vlb") \
    X(FLAG, zero_snr, false, 0, 0, "vp: the last level is noise alone") \
    X(CHOICE, prediction, "auto", 0, 0, \
      "auto|eps=epsilon|x0=sample|v=v_prediction: what the network says: the noise, the image, " \
      "or " \
      "the velocity") \
    X(CHOICE, variance, "auto", 0, 0, \
      "auto|small=fixed_small|large=fixed_large|learned=learned_range: of a step back") \
    X(CHOICE, loss, "auto", 0, 0, \
      "auto|simple|hybrid|vlb|min-snr|v|score: squared error; with learned variances; the bound " \
      "in bits per dimension; the error weighted by level; the error of the velocity; of the " \
      "score, weighted by the noise (denoising score matching)") \
    X(CHOICE, timestep_sampling, "auto", 0, 0, \
      "auto|uniform|loss-aware|logit-normal: which levels training sees") \
    X(REAL, class_drop, 0.1, 0, 1, \
      "share of the images whose label is kept from the network, so " \
      "that it can be guided")

typedef struct md_image_settings {
    MD_IMAGE_DATA_SETTINGS(MD_OPTION_FIELD)
    MD_IMAGE_NETWORK_SETTINGS(MD_OPTION_FIELD)
    MD_IMAGE_PROCESS_SETTINGS(MD_OPTION_FIELD)
    md_loop_settings loop;
} md_image_settings;

/* All of md_image_settings. */
extern const md_option md_image_data_table[];
extern const md_option md_image_network_table[];
extern const md_option md_image_process_table[];
extern const md_option md_image_loop_table[];
extern const md_option md_image_run_table[];

#endif
