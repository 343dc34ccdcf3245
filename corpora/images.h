/* corpora/images.h: sets of images with labels to train on.
 *
 *     md_images_options opt = md_images_defaults();
 *     opt.end = 9000;                                                    --range 0:9000
 *     md_images *set = NULL;
 *     MD_TRY(md_images_open("t10k-images-idx3-ubyte.gz", &opt, &set, err));
 *     md_image_loader loader;
 *     MD_TRY(md_image_loader_init(&loader, set, 0, md_images_count(set), seed, err));
 *     md_image_loader_read(&loader, n, B, x, labels);                    x [B, Y, X, C] in [-1, 1]
 *     md_images_free(set);
 *
 * What a path can be:
 *   `shapes`     (no file of this name) drawn on demand: image i is a pure function of (seed, i);
 *                there is always another one (corpora/shapes.h)
 *   IDX          as MNIST comes, `.gz` or not: bytes [N, Y, X] or [N, Y, X, C]; labels in a file
 *                beside it: "images-idx3" in its name becomes "labels-idx1"
 *   CIFAR-10     binary batches `.bin` of 3073 bytes an image, one file, or the folder of
 *                data_batch_*.bin (test_batch.bin there is for evaluation: name it)
 *   PNG, JPEG    a file is a set of one; a folder holds every image below it, sorted by name. The
 *                folders in it that hold images are the classes, sorted; images outside of them
 * have no class. Files that are no images are skipped and counted. All images have one shape [Y, X,
 * C]: see image_size and channels below. They are kept as bytes in memory, decoded and fitted once.
 *
 * Errors are MDLM_INPUT and name the file: sizes that contradict each other or the length of the
 * file, counts of labels that do not match, labels out of range, damaged or oversized pictures,
 * folders without an image, images of two sizes where image_size is not given. corpora/README.md
 * lists the messages.
 */
#ifndef MD_CORPORA_IMAGES_H
#define MD_CORPORA_IMAGES_H

#include "base/buffer.h"
#include "base/json.h"

typedef struct md_images_options {
    const char *labels; /* IDX: the file of labels; NULL or "": found by name, or none. Other
                           formats refuse it: MDLM_USAGE */
    int64_t first, end; /* images [first, end) of those there are; end -1: to the last */
    int image_size;     /* Y = X: resized and cut to it (md_picture_fit); 0: as they are */
    int channels;       /* 1 grey, 3 RGB, 4 RGBA; 0: 1 when all are grey, else 3 */
    uint64_t seed;      /* of `shapes` */
    /* What labels mean to a model: `classes` names. A set that knows names (a folder, `shapes`)
     * gets its labels by them, others must have labels below `classes`. 0: as the set says. */
    const char *const *class_names; /* NULL: "0", "1", ... */
    int classes;
} md_images_options;
md_images_options md_images_defaults(void); /* everything, as it is; seed 1 */

/* "A:B" (A < B), "A:" or ":B" into first and end. MDLM_USAGE otherwise. */
mdlm_status md_images_range(const char *text, md_images_options *opt, mdlm_error *err);

typedef struct md_images md_images;
/* One image is [Y, X, C]; models, which this folder does not know, say md_image_shape. */
typedef struct md_images_shape {
    int Y, X, C;
} md_images_shape;

/* Caller frees *out. */
mdlm_status md_images_open(const char *path, const md_images_options *opt, md_images **out,
                           mdlm_error *err);
/* `count` >= 1 images of random bytes, without labels: to measure with. Caller frees *out. */
mdlm_status md_images_noise(md_images_shape shape, int64_t count, uint64_t seed, md_images **out,
                            mdlm_error *err);
void md_images_free(md_images *set); /* accepts NULL */

int64_t md_images_count(const md_images *set); /* >= 1 */
md_images_shape md_images_get_shape(const md_images *set);
/* Number of classes; 0 when nothing has a label. */
int md_images_classes(const md_images *set);
const char *md_images_class_name(const md_images *set, int label); /* owned by the set */
/* Label of image i, -1: none. */
int32_t md_images_label(const md_images *set, int64_t i);
/* "a small red circle at the top left" of `shapes`, else the name of the class, else nothing:
 * appended to `out`. */
mdlm_status md_images_caption(const md_images *set, int64_t i, md_buffer *out, mdlm_error *err);
/* Bytes [Y, X, C] of image i, and the same as numbers in [-1, 1] (corpora/picture.h). Calls from
 * several threads at once are fine. */
void md_images_bytes(const md_images *set, int64_t i, uint8_t *out);
void md_images_read(const md_images *set, int64_t i, float *out);

/* What a run should remember, {"source", "format", "range", "count", "shape", "classes", "hash"};
 * owned by the set. The hash (XXH3 64) is of shape, bytes and labels. */
const cJSON *md_images_json(const md_images *set);
uint64_t md_images_hash(const md_images *set);
/* What the user should know, one line: files that were skipped; "" when there is nothing. */
const char *md_images_note(const md_images *set);

/* Training examples: pass p over images [first, first + count) of a set is a permutation of them
 * keyed by (seed, p). Example number n (0, 1, 2, ... over the whole training) is a pure function of
 * (seed, n): order resumes for free. */
typedef struct md_image_loader {
    const md_images *set;
    int64_t first, count;
    uint64_t seed;
    /* Off after init: */
    bool flip; /* half of the examples are mirrored left to right (MD_STREAM_FLIP) */
    bool
        mixed; /* the range is of the images in a mixed order, always the same one
                  (MD_STREAM_SPLIT): parts of a set that is sorted by class then have all of them */
} md_image_loader;
/* MDLM_INPUT when the range is empty or not inside the set. */
mdlm_status md_image_loader_init(md_image_loader *loader, const md_images *set, int64_t first,
                                 int64_t count, uint64_t seed, mdlm_error *err);
int64_t md_image_loader_index(const md_image_loader *loader, int64_t n);
/* Examples first .. first+count-1: x [count, Y, X, C], labels [count] (may be NULL). */
void md_image_loader_read(const md_image_loader *loader, int64_t first, int count, float *x,
                          int32_t *labels);

#endif
