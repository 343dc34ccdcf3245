/* tests/image_training.h: a training on a few small images as a task of the loop, with plain C
 * kernels.
 *
 *     training t;
 *     training_init(&t, 2);                                 threads
 *     ... t.set, t.setup.config, t.setup.process, t.times ...                 are the test's
 *     training_start(&t, &(md_image_task){.batch = 8, .accum = 1});
 *     double loss = training_step(&t, 1);                   and gradients
 *     training_release(&t);
 */
#ifndef TESTS_IMAGE_TRAINING_H
#define TESTS_IMAGE_TRAINING_H

#include <math.h>

#include "tests/image_net.h"
#include "train/image_settings.h"
#include "train/image_task.h"

enum { TRAINING_SIDE = 8, TRAINING_IMAGES = 400, TRAINING_HELD = 40 /* the last of them */ };

typedef struct training {
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_images *set; /* of TRAINING_IMAGES */
    md_image_setup setup;
    md_times times;
    md_image_model *model;
    md_image_task task;
    md_task view;
} training;

static inline void training_init(training *t, int threads) {
    mdlm_error err = {0};
    *t = (training){.pool = md_pool_new(threads, &err)};
    assert_ok(md_kernels_init(&t->kernels, "ref", &err));
    t->tape = md_tape_new(t->pool, &t->kernels, &err);
    ck_assert(t->pool && t->tape);
}

/* Of `how` loss, batch, accum and class_drop count. */
static inline void training_start(training *t, const md_image_task *how) {
    mdlm_error err = {0};
    assert_ok(md_image_model_new(&t->setup.config, true, &t->model, &err));
    md_image_model_init(t->model, 3);
    t->task = (md_image_task){.model = t->model,
                              .setup = &t->setup,
                              .times = &t->times,
                              .loss = how->loss,
                              .pool = t->pool,
                              .tape = t->tape,
                              .seed = 5,
                              .batch = how->batch,
                              .accum = how->accum,
                              .class_drop = how->class_drop};
    const int64_t trained = TRAINING_IMAGES - TRAINING_HELD;
    assert_ok(md_image_loader_init(&t->task.train, t->set, 0, trained, 5, &err));
    assert_ok(md_image_loader_init(&t->task.held, t->set, trained, TRAINING_HELD, 5, &err));
    t->task.train.mixed = t->task.held.mixed = true;
    assert_ok(md_image_task_init(&t->task, &err));
    t->view = md_image_task_view(&t->task);
}

static inline void training_release(training *t) {
    md_image_task_release(&t->task);
    md_image_model_free(t->model);
    md_times_release(&t->times);
    md_image_setup_release(&t->setup);
    md_images_free(t->set);
    md_tape_free(t->tape);
    md_pool_free(t->pool);
}

/* Leaves no zeros in the last layer, so that what the network says means something. */
static inline void training_shake(training *t) {
    image_net_shake(md_image_model_params(t->model));
}

/* The loss of a step, and its gradients in the slab. */
static inline double training_step(training *t, int64_t step) {
    mdlm_error err = {0};
    double loss;
    const md_rng key = {.seed = 5, .stream = MD_STREAM_DROPOUT, .step = (uint64_t)step};
    assert_ok(md_task_run(&t->view, t->tape, key, true, &loss, &err));
    return loss;
}

/* Of the last steps' gradients, as a share of the norm of a's. */
static inline double training_difference(const training *a, const training *b) {
    const md_params *p = md_image_model_params(a->model), *q = md_image_model_params(b->model);
    double difference = 0, total = 0;
    for (int64_t i = 0; i < md_params_size(p); i++) {
        const double x = (double)md_params_grads(p)[i], y = (double)md_params_grads(q)[i];
        difference += (x - y) * (x - y);
        total += x * x;
    }
    return sqrt(difference / total);
}

/* What image-train has without options, for plans. */
static inline md_image_settings training_settings(const char *task) {
    return (md_image_settings){.task = task,
                               .noisy = true,
                               .backbone = "unet",
                               .channel_mults = "auto",
                               .res_blocks = 2,
                               .attn_res = "auto",
                               .process = "auto",
                               .timesteps = 1000,
                               .noise_schedule = "auto",
                               .prediction = "auto",
                               .variance = "auto",
                               .loss = "auto",
                               .timestep_sampling = "auto",
                               .val_fraction = 0.1,
                               .loop = {.optimizer = "adamw", .accum = 1}};
}

#endif
