/* train/image_samples.c: the grids that show how a training on images goes. See image_task.h. */
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/picture.h"
#include "sampler/image_sampler.h"
#include "train/image_task.h"
#include "train/image_upscale.h"

/* Few images and few steps: a look, not a judgement. */
enum { IMAGES = 16, STEPS = 20 };

static md_grid grid_of(const md_image_task *t) {
    const md_image_shape s = t->setup->config.shape;
    const int larger = s.Y > s.X ? s.Y : s.X;
    return (md_grid){.Y = s.Y, .X = s.X, .C = s.C, .scale = larger < 48 ? 96 / larger : 1};
}

/* Fewer where they are so large that their grid would be too large. */
static int count_of(const md_image_task *t) {
    int count = IMAGES;
    while (count > 1 && md_picture_grid_check(count, grid_of(t), NULL) != MDLM_OK) count /= 4;
    return count;
}

/* Images that training does not see, made small, as an upscaler is given them; x is lost. Too small
 * a task for the pool. */
static void give_small(const md_image_task *t, float *x, float *given) {
    const md_image_shape s = t->setup->config.shape;
    const size_t pixels = (size_t)s.Y * (size_t)s.X, C = (size_t)s.C;
    md_upscale_given g = md_upscale_of(&t->setup->config);
    g.low = x; /* where those are that are done */
    md_image_loader_read(&t->held, 0, count_of(t), x, NULL);
    for (size_t i = 0; i < (size_t)count_of(t); i++)
        md_upscale_give_shrunk(&g, x + i * pixels * C, given + i * pixels * (C + 1));
}

static mdlm_status draw(md_image_task *t, float *x, float *given, mdlm_error *err) {
    md_image_view view = {.model = t->model, .tape = t->tape};
    const md_image_denoiser denoiser = md_image_model_denoiser(&view);
    const md_gaussian *process = &t->setup->process;
    md_image_sampler_options opt = md_image_sampler_defaults(md_image_rule_find("dpm++"), process);
    int32_t label[IMAGES];
    for (int i = 0; i < IMAGES; i++) label[i] = denoiser.classes > 0 ? i % denoiser.classes : -1;
    if (denoiser.given > 0) give_small(t, x, given);
    const md_image_batch batch = {
        .x = x, .label = label, .given = denoiser.given ? given : NULL, .samples = count_of(t)};
    opt.steps = process->T < STEPS ? process->T : STEPS;
    opt.seed = t->seed;
    opt.pool = t->pool;
    return md_image_sampler_run(&denoiser, process, &opt, &batch, NULL, err);
}

static mdlm_status save(md_image_task *t, const float *x, const char *path, mdlm_error *err) {
    md_picture grid = {0};
    mdlm_status status = md_picture_grid(x, count_of(t), grid_of(t), &grid, err);
    if (status == MDLM_OK) status = md_picture_save(&grid, path, err);
    md_picture_release(&grid);
    return status;
}

mdlm_status md_image_task_sample(md_image_task *t, int64_t step, md_buffer *text, mdlm_error *err) {
    const md_image_shape s = t->setup->config.shape;
    const size_t values = (size_t)s.Y * (size_t)s.X * (size_t)s.C;
    char name[64];
    snprintf(name, sizeof name, "step-%lld.png", (long long)step);
    const size_t shown = values / (size_t)s.C * (size_t)md_image_config_given(&t->setup->config);
    float *x = md_alloc((size_t)count_of(t), values * sizeof *x, err);
    float *given = md_alloc((size_t)count_of(t), shown * sizeof *given, err);
    char *folder = md_path_join(t->run, "samples", err), *path = NULL;
    mdlm_status status = MDLM_RUNTIME;
    if (!x || !given || !folder || !(path = md_path_join(folder, name, err))) goto done;
    MD_GOTO(done, status, draw(t, x, given, err));
    MD_GOTO(done, status, md_dir_make(folder, err));
    MD_GOTO(done, status, save(t, x, path, err));
    status = md_buffer_text(text, path, err);
done:
    md_free(path);
    md_free(folder);
    md_free(given);
    md_free(x);
    return status;
}
