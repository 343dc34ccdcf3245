/* corpora/images_internal.h: what the readers of sets of images share.
 *
 *     images.c         a path -> the reader that knows it; what a set says
 *     images_build.c   pictures -> a set: range, shape, bytes, classes
 *     images_idx.c     IDX
 *     images_cifar.c   CIFAR-10
 *     images_folder.c  PNG and JPEG
 *     image_loader.c   training examples in a reproducible order
 *
 * A reader finds out how many images there are, and of which shape. md_images_select chooses those
 * of the range; md_images_reserve makes room; md_images_put takes them one after the other,
 * set->labels (if md_images_label_room made it) their labels, and md_images_name_classes says what
 * labels mean.
 */
#ifndef MD_CORPORA_IMAGES_INTERNAL_H
#define MD_CORPORA_IMAGES_INTERNAL_H

#include "corpora/images.h"
#include "corpora/picture.h"

#define MD_CAPTIONS_FILE "captions.jsonl" /* `mdlm corpus shapes` writes it beside pictures */

struct md_images {
    const char *format; /* constant text */
    md_images_shape shape;
    int64_t first, count; /* the range */
    uint8_t *bytes;       /* [count, Y, X, C]; NULL: drawn (corpora/shapes.h) */
    int32_t *labels;      /* [count], -1: none; NULL: none at all, or drawn */
    int32_t *meaning;     /* label of the set -> label of the model; NULL: the same */
    char **names;         /* [classes] */
    int classes;
    uint64_t seed;   /* of what is drawn */
    char *labels_at; /* the file of labels; NULL: none */
    char *note;      /* NULL: nothing to say */
    cJSON *json;
    uint64_t hash;
};

/* A set being read. */
typedef struct md_image_build {
    const char *path;
    const md_images_options *opt;
    md_images *set;
} md_image_build;

/* Settles which of the `total` images belong to the set. MDLM_INPUT when the range is not a part of
 * them. Also checks the other options: MDLM_USAGE. */
mdlm_status md_images_select(const md_image_build *b, int64_t total, mdlm_error *err);
/* Settles the shape, from that of the images as they are (any C), and makes room for bytes. */
mdlm_status md_images_reserve(const md_image_build *b, md_images_shape native, mdlm_error *err);
void md_images_settle_shape(const md_image_build *b, md_images_shape native); /* without room */
/* The picture becomes image k of the set, fitted and converted as the options ask; it then has the
 * shape of the set (MD_BUG_IF). Its pixels may change; they stay the caller's. */
mdlm_status md_images_put(const md_image_build *b, int64_t k, md_picture *picture, mdlm_error *err);
mdlm_status md_images_label_room(const md_image_build *b, mdlm_error *err);

/* What the labels 0 .. classes-1 of this set mean: `names`, NULL: numbers. MDLM_INPUT when a model
 * (the options) does not know one of them. Labels are all set by then. */
mdlm_status md_images_name_classes(const md_image_build *b, const char *const *names, int classes,
                                   mdlm_error *err);

mdlm_status md_images_read_idx(const md_image_build *b, mdlm_error *err);
mdlm_status md_images_read_cifar(const md_image_build *b, mdlm_error *err); /* file or folder */
mdlm_status md_images_read_folder(const md_image_build *b, mdlm_error *err);
mdlm_status md_images_read_picture(const md_image_build *b, mdlm_error *err); /* a set of one */
/* Whether a folder holds data_batch_*.bin. */
mdlm_status md_images_is_cifar_folder(const char *path, bool *out, mdlm_error *err);

#endif
