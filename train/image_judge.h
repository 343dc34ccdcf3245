/* train/image_judge.h: what a classifier says of a set of images: their features, and how many of
 * them show what their labels say.
 *
 *     md_image_judge judge = {0};
 *     MD_TRY(md_image_judge_init(&judge, &classifier, 1000, err));
 *     for (each batch) MD_TRY(md_image_judge_add(&judge, x, label, count, err));
 *     md_frechet_measure(frechet, &judge.features, ...);
 *     accuracy = (double)judge.right / (double)judge.labelled;
 *     md_image_judge_release(&judge);
 */
#ifndef MD_TRAIN_IMAGE_JUDGE_H
#define MD_TRAIN_IMAGE_JUDGE_H

#include "tensor/denoiser.h"
#include "train/features.h"

typedef struct md_image_judge {
    md_features features;    /* of the images so far */
    int64_t labelled, right; /* images with a label, and those whose likeliest class it is */
    const md_image_classifier *classifier;
    int64_t capacity;
    float *rows;  /* [capacity, features] */
    float *x;     /* the images at hand, as bytes have them */
    float *log_p; /* [images, classes] */
    uint8_t *bytes;
} md_image_judge;

/* Room for so many images; the classifier, one of clean images (MD_BUG_IF it is not), outlives it.
 * Release after a failure, too. */
mdlm_status md_image_judge_init(md_image_judge *judge, const md_image_classifier *classifier,
                                int64_t capacity, mdlm_error *err);
void md_image_judge_release(md_image_judge *judge); /* accepts an empty struct */

/* x [count, Y, X, C]; label [count] of the classifier's classes, -1: none; NULL: none has one.
 * Samples are rounded to the bytes that a file would have, as real images are: the features of a
 * picture must not tell how it was kept. */
mdlm_status md_image_judge_add(md_image_judge *judge, const float *x, const int32_t *label,
                               int64_t count, mdlm_error *err);

#endif
