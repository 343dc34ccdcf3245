/* train/image_plan.h: sensible defaults from the shape and the number of the images.
 *
 *     MD_TRY(md_image_plan_process(&settings, options, &process_options, &loss, &times, err));
 *     ... open the images ...
 *     MD_TRY(md_image_plan_network(&settings, options, shape, classes, &config, err));
 *     md_image_plan_training(&settings, options, count);
 *
 * Every setting that was left open, or "auto", gets a value, recorded as chosen in the options
 * (which may be NULL).
 */
#ifndef MD_TRAIN_IMAGE_PLAN_H
#define MD_TRAIN_IMAGE_PLAN_H

#include "base/buffer.h"
#include "corpora/images.h"
#include "diffusion/gaussian_loss.h"
#include "diffusion/gaussian_times.h"
#include "train/image_settings.h"
#include "train/image_setup.h"

/* What is predicted, lost and drawn. */
typedef struct md_image_aim {
    bool classify; /* then the process says how images are noised, if they are, and no more */
    md_gaussian_options process;
    md_loss_kind loss;
    md_times_kind times;
} md_image_aim;

/* Needs no images: mistakes are found before any file is read. MDLM_USAGE when settings do not fit
 * together (T too small for the schedule, zero SNR with eps, a loss of another process, ...). */
mdlm_status md_image_plan_aim(md_image_settings *s, md_options *o, md_image_aim *out,
                              mdlm_error *err);

/* The network for these images. MDLM_USAGE when sizes do not fit together, or options are of the
 * other backbone. */
mdlm_status md_image_plan_network(md_image_settings *s, md_options *o, md_image_shape shape,
                                  int classes, md_image_config *out, mdlm_error *err);

/* Steps or time, batch, learning rate, warm-up, intervals. */
void md_image_plan_training(md_image_settings *s, md_options *o, const md_image_config *config);

/* Images kept for validation of `count` >= 2: at least one, and at least one is left. */
int64_t md_image_plan_held(const md_image_settings *s, int64_t count);

/* Several lines for people: images, model, process, length, and where each setting came from. */
mdlm_status md_image_plan_describe(const md_image_settings *s, const md_options *o,
                                   const md_images *images, int64_t parameters, md_buffer *out,
                                   mdlm_error *err);

#endif
