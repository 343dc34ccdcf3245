/* cli/image_upscale.c: see image_upscale.h. */
#include "cli/image_upscale.h"

#include <string.h>

#include "base/memory.h"

/* --- what a model is shown ------------------------------------------------------------------- */

static size_t small_size(const md_cli_upscale *up) {
    const md_images_shape s = up->small.shape;
    return (size_t)s.Y * (size_t)s.X * (size_t)s.C;
}

/* Of what is shown for one image. */
static size_t given_size(const md_cli_upscale *up) {
    const size_t factor = (size_t)up->small.factor, C = (size_t)up->small.shape.C;
    return small_size(up) / C * factor * factor * (C + 1);
}

mdlm_status md_cli_upscale_init(md_cli_upscale *up, const md_image_config *c,
                                const md_cli_upscale_choice *choice, mdlm_error *err) {
    up->small = md_upscale_of(c);
    up->small.augment = choice->augment;
    up->small.noise = (md_rng){.seed = choice->seed, .stream = MD_STREAM_AUGMENT};
    up->most = choice->most;
    up->small.low = md_alloc(small_size(up), sizeof *up->small.low, err);
    up->given = md_alloc((size_t)up->most, given_size(up) * sizeof *up->given, err);
    return up->small.low && up->given ? MDLM_OK : MDLM_RUNTIME;
}

void md_cli_upscale_release(md_cli_upscale *up) {
    md_images_free(up->set);
    md_free(up->small.low);
    md_free(up->given);
    *up = (md_cli_upscale){0};
}

mdlm_status md_cli_upscale_open(md_cli_upscale *up, const md_image_config *c, const char *path,
                                mdlm_error *err) {
    md_images_options opt = md_images_defaults();
    const md_images_shape w = md_upscale_of(c).shape;
    opt.channels = w.C;
    MD_TRY(md_images_open(path, &opt, &up->set, err));
    const md_images_shape s = md_images_get_shape(up->set);
    if (s.Y == w.Y && s.X == w.X) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "--upscale '%s' is %dx%d: the model makes %dx%d of %dx%d", path,
                   s.X, s.Y, c->shape.X, c->shape.Y, w.X, w.Y);
}

/* Image `number`, which is in small.low, at place i. */
static void give(md_cli_upscale *up, int64_t number, int i) {
    up->small.sequence = (uint32_t)number;
    md_upscale_give(&up->small, up->given + (size_t)i * given_size(up));
}

const float *md_cli_upscale_files(md_cli_upscale *up, int64_t first, int count) {
    MD_BUG_IF(!up->set || count > up->most);
    for (int i = 0; i < count; i++) {
        md_images_read(up->set, (first + i) % md_images_count(up->set), up->small.low);
        give(up, first + i, i);
    }
    return up->given;
}

const float *md_cli_upscale_samples(md_cli_upscale *up, const float *x, int64_t first, int count) {
    MD_BUG_IF(count > up->most);
    for (int i = 0; i < count; i++) {
        memcpy(up->small.low, x + (size_t)i * small_size(up),
               small_size(up) * sizeof *up->small.low);
        give(up, first + i, i);
    }
    return up->given;
}

/* --- a second model --------------------------------------------------------------------------- */

static mdlm_status check_upscaler(const char *folder, const md_image_setup *own,
                                  const md_image_setup *model, mdlm_error *err) {
    const md_image_config *c = &own->config;
    const md_image_shape s = c->shape, b = model->config.shape;
    if (c->factor == 0)
        return md_fail(err, MDLM_USAGE,
                       "--upscaler '%s' makes nothing larger: `mdlm image-train --task upscale` "
                       "makes one that does",
                       folder);
    if (s.Y == b.Y * c->factor && s.X == b.X * c->factor && s.C == b.C) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "--upscaler '%s' makes %dx%dx%d of %dx%dx%d: images of the model are %dx%dx%d",
                   folder, s.X, s.Y, s.C, s.X / c->factor, s.Y / c->factor, s.C, b.X, b.Y, b.C);
}

mdlm_status md_cli_cascade_init(md_cli_cascade *c, const md_cli *cli, const char *folder,
                                const md_cli_image_sampling *how, const md_cli_image_model *base,
                                const md_cli_upscale_choice *choice, mdlm_error *err) {
    md_cli_image_sampling own = *how;
    own.class = ""; /* the small image tells */
    own.guidance_scale = 1;
    MD_TRY(md_cli_image_load_beside(&c->model, "--upscaler", folder, check_upscaler, base, err));
    MD_TRY(md_cli_image_sampler_init(cli, &own, &c->model, NULL, &c->sampler, err));
    c->sampler.options.seed = ~c->sampler.options.seed; /* noise of its own, of no other --seed */
    MD_TRY(md_cli_upscale_init(&c->small, &c->model.setup.config, choice, err));
    const md_image_shape s = c->model.setup.config.shape;
    const size_t size = (size_t)s.Y * (size_t)s.X * (size_t)s.C;
    c->x = md_alloc((size_t)choice->most, size * sizeof *c->x, err);
    return c->x ? MDLM_OK : MDLM_RUNTIME;
}

void md_cli_cascade_release(md_cli_cascade *c) {
    md_free(c->x);
    md_cli_upscale_release(&c->small);
    md_cli_image_sampler_release(&c->sampler);
    md_cli_image_release(&c->model);
    *c = (md_cli_cascade){0};
}

mdlm_status md_cli_cascade_run(md_cli_cascade *c, const md_image_batch *from,
                               const md_image_sampler_options *opt, md_sampler_work *work,
                               mdlm_error *err) {
    md_image_sampler_options own = c->sampler.options;
    const md_image_batch batch = {
        .x = c->x,
        .given = md_cli_upscale_samples(&c->small, from->x, opt->first_index, from->samples),
        .samples = from->samples};
    own.first_index = opt->first_index;
    own.on_step = opt->on_step;
    own.user = opt->user;
    return md_image_sampler_run(&c->sampler.denoiser, &c->sampler.process, &own, &batch, work, err);
}
