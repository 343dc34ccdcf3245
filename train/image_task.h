/* train/image_task.h: training of a network on images, as a task of the training loop: one that
 * takes noise off them, or one that tells which class they show.
 *
 * Step n: the loader says which images, the times (diffusion/gaussian_times.h) which noise level
 * each gets, spread evenly over the step; images are noised, the network runs, and the loss of each
 * with its gradient comes from diffusion/gaussian_loss.h. Every draw is keyed by (seed, step, place
 * in the step): nothing needs saving but what is learned of the losses themselves (loss-aware
 * levels, a learned schedule).
 *
 * Validation is the same loss on images that training does not see, of levels spread evenly over
 * the chain and noise that is always the same, so that its curve is smooth; with the loss vlb the
 * bound itself (diffusion/gaussian_bound.h).
 *
 * An upscaler is shown a small image beside the noisy one (train/image_upscale.h), with noise whose
 * deviation is drawn evenly up to `augment`.
 *
 * A classifier (an encoder) learns from images that are noised in the same way, or from clean ones:
 * its loss is -ln p(label | image, level) (train/image_classify.c).
 */
#ifndef MD_TRAIN_IMAGE_TASK_H
#define MD_TRAIN_IMAGE_TASK_H

#include "corpora/images.h"
#include "diffusion/gaussian_loss.h"
#include "diffusion/gaussian_times.h"
#include "model/image_model.h"
#include "train/image_setup.h"
#include "train/loop.h"

typedef struct md_image_micro {
    float *image, *noise, *noisy; /* [images, Y, X, C] */
    float *gradient;              /* [images, Y, X, outputs] */
    float *small, *given;         /* of an upscaler: [images, small], [images, Y, X, given] */
    double *time;
    int32_t *label;
    md_time_draw *draw;
    md_image_loss *loss;
} md_image_micro;

typedef struct md_image_task {
    md_image_model *model;
    md_image_setup *setup; /* its process is trained, too, when it is learned */
    md_times *times;
    md_loss_kind loss;           /* not of a classifier */
    md_image_loader train, held; /* what is trained on, and what is validated on */
    md_pool *pool;
    md_tape *tape;   /* for validation and samples */
    const char *run; /* where model.safetensors goes */
    uint64_t seed;
    int batch, accum; /* batch * accum images in a step */
    double class_drop;
    double augment; /* most noise on the small images of an upscaler */
    md_image_training training;

    /* Set by init: a step runs as `parts` micro-batches of `images` each, few enough to stay near
     * the caches. */
    int images, parts;
    md_image_micro micro; /* work space */
    int *level;           /* [batch * accum] of the step's images, and what they lost */
    double *lost;
} md_image_task;

/* Fills work space; the other fields must be set. Release with md_image_task_release. */
mdlm_status md_image_task_init(md_image_task *t, mdlm_error *err);
void md_image_task_release(md_image_task *t);
md_task md_image_task_view(md_image_task *t);

/* Draws a grid of images with the weights that are there, always of the same noise, a row of each
 * class in turn, into RUN/samples/step-N.png; appends its path to `text`. The task's `sample`. */
mdlm_status md_image_task_sample(md_image_task *t, int64_t step, md_buffer *text, mdlm_error *err);

/* Images in a step. */
int64_t md_image_task_images(const md_image_task *t);

/* For train/image_task.c, of a classifier; every image has a label. The loss of the micro-batch:
 * `share` times the sum over its first n images of -ln p(label), of features [n,1,F]. NULL after a
 * failure of the tape. */
md_tensor *md_image_task_label_loss(md_image_task *t, md_tape *tape, md_tensor *features, int n,
                                    double share);
/* The mean over `count` images of the part that is held out, from the first again, each at the
 * level that val_level says. */
mdlm_status md_image_task_val_labels(md_image_task *t, int64_t count, double *value,
                                     mdlm_error *err);
int md_image_task_val_level(const md_image_task *t, int64_t k, int64_t count);
/* Says how many of the images that are held out it tells right, at the least noise. The task's
 * `sample`. */
mdlm_status md_image_task_say_labels(md_image_task *t, md_buffer *text, mdlm_error *err);

#endif
