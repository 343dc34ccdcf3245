/* model/image_config.h: the shape of a network for images, and its config.json.
 *
 *     md_image_config c = {.backbone = MD_BACKBONE_UNET, .shape = {32, 32, 3}, ...};
 *     MD_TRY(md_image_config_check(&c, err));
 *     MD_TRY(md_image_config_save(&c, members, "mdlm-image-run", err));
 *
 * Keys of the file: "model_type" "mdlm_image", backbone, image_height, image_width, channels,
 * learned_variance, classes, "value_range" [-1, 1], "torch_dtype" "float32"; of a U-Net
 * base_channels, channel_mults, res_blocks, attention_resolutions; of a transformer patch_size,
 * layers, dim, heads, ff; of both, where they make images larger, upscale_factor. An encoder has
 * the keys of a U-Net and, in the place of learned_variance, noisy. Two members belong to whoever
 * runs the network: "process", an object (its noise levels, and what the output predicts), which an
 * encoder for clean images lacks, and "class_names", a list of texts. Any other key, and one of
 * another backbone, is refused: a file that says more than is understood would be a model of
 * another kind.
 */
#ifndef MD_MODEL_IMAGE_CONFIG_H
#define MD_MODEL_IMAGE_CONFIG_H

#include "base/json.h"
#include "tensor/denoiser.h"

typedef enum md_backbone_kind {
    MD_BACKBONE_UNET,
    MD_BACKBONE_DIT,
    MD_BACKBONE_ENCODER, /* a classifier */
} md_backbone_kind;
const char *md_backbone_name(md_backbone_kind kind); /* "unet", "dit", "encoder" */
/* False for an unknown name. */
bool md_backbone_find(const char *name, md_backbone_kind *out);

enum { MD_IMAGE_LIST = 8 }; /* most levels of a U-Net, and resolutions with attention */

typedef struct md_image_list {
    int count;
    int item[MD_IMAGE_LIST];
} md_image_list;

/* "1,2,2"; an empty text is an empty list. MDLM_USAGE naming `flag` when it is no list of numbers
 * from 1 to `max`. */
mdlm_status md_image_list_parse(const char *flag, const char *text, int max, md_image_list *out,
                                mdlm_error *err);

typedef struct md_image_config {
    md_backbone_kind backbone;
    md_image_shape shape;
    bool learned_variance; /* 2 C outputs a pixel in place of C; not of an encoder */
    int classes; /* labels are 0 .. classes - 1; 0: the network takes none. Of an encoder, what it
                    tells apart: at least 2 */
    bool noisy;  /* encoder: it is for noisy images, and told how noisy they are */
    int factor;  /* > 1: the network makes images so many times as large on each side, and is given
                    the small one, enlarged, beside x; 0: it does not. Not of an encoder */

    /* U-Net and encoder; 0 for a transformer */
    int base;            /* channels of the first level, a multiple of 8 */
    md_image_list mults; /* of each level, from the full size down, as multiples of base */
    int res_blocks;      /* of each level on the way down; one more on the way up */
    md_image_list attn;  /* sizes of the larger side at which there is attention; the middle has */

    /* transformer (DiT); 0 for a U-Net */
    int patch; /* side of a patch of pixels, divides both sides of an image */
    int layers, dim, heads, ff;
} md_image_config;

int md_image_config_outputs(const md_image_config *c);     /* C or 2 C; 0 of an encoder */
bool md_image_config_classifies(const md_image_config *c); /* an encoder: it draws nothing */
bool md_image_config_noised(const md_image_config *c); /* what it sees has noise, so that there is
                                                          a process: all but a classifier of
                                                          clean images */
int md_image_config_given(const md_image_config *c);   /* C + 1 with a factor, else 0 */

/* MDLM_USAGE naming the flag when a size is out of range or sizes do not fit together. */
mdlm_status md_image_config_check(const md_image_config *c, mdlm_error *err);
bool md_image_config_equal(const md_image_config *a, const md_image_config *b);

/* Reads FOLDER/config.json: MDLM_INPUT when missing, malformed, of another kind of model, or with
 * keys that are not known. *file (unless NULL): all of it, deleted by the caller; its members of
 * others have the types said above, and as many names as there are classes, or none. */
mdlm_status md_image_config_load(const char *folder, md_image_config *out, cJSON **file,
                                 mdlm_error *err);
/* Writes FOLDER/config.json with the members of others, which are copied from an object. */
mdlm_status md_image_config_save(const md_image_config *c, const cJSON *members, const char *folder,
                                 mdlm_error *err);

/* Whether FOLDER/config.json is that of a network for images; false too when it cannot be read. */
bool md_image_config_in(const char *folder);

#endif
