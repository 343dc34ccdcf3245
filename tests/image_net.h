/* tests/image_net.h: a network for images with weights of which everything matters, and what runs
 * it.
 *
 *     image_net n;
 *     image_net_init(&n, &config, "ref", 2);                kernels (NULL: the best), threads
 *     n.denoiser.predict(n.denoiser.context, ...);          or n.classifier, as the config says
 *     image_net_release(&n);
 */
#ifndef TESTS_IMAGE_NET_H
#define TESTS_IMAGE_NET_H

#include <math.h>

#include "model/image_model.h"
#include "tests/suite.h"

typedef struct image_net {
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_image_model *model;
    md_image_view view;
    md_image_denoiser denoiser;
    md_image_classifier classifier;
} image_net;

/* Adds to weights what leaves none of them zero, as those of a last layer are at first. */
static inline void image_net_shake(md_params *params) {
    for (int p = 0; p < md_params_count(params); p++) {
        md_tensor *t = md_params_tensor(params, p);
        const double scale = 1 / sqrt((double)(md_tensor_size(t) / t->dim[0]));
        const md_rng rng = {.seed = 5, .stream = MD_STREAM_INIT, .step = (uint64_t)p};
        for (int64_t i = 0; i < md_tensor_size(t); i++)
            t->data[i] += (md_real)(scale * md_normal(rng, 0, (uint32_t)i));
    }
}

static inline void image_net_init(image_net *n, const md_image_config *config, const char *set,
                                  int threads) {
    mdlm_error err = {0};
    *n = (image_net){.pool = md_pool_new(threads, &err)};
    assert_ok(md_kernels_init(&n->kernels, set, &err));
    n->tape = md_tape_new(n->pool, &n->kernels, &err);
    ck_assert(n->pool && n->tape);
    assert_ok(md_image_model_new(config, false, &n->model, &err));
    md_image_model_init(n->model, 7);
    image_net_shake(md_image_model_params(n->model));
    n->view = (md_image_view){n->model, n->tape};
    if (md_image_config_classifies(config))
        n->classifier = md_image_model_classifier(&n->view);
    else
        n->denoiser = md_image_model_denoiser(&n->view);
}

static inline void image_net_release(image_net *n) {
    md_image_model_free(n->model);
    md_tape_free(n->tape);
    md_pool_free(n->pool);
}

#endif
