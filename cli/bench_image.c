/* cli/bench_image.c: steps of the task that `mdlm image-train` runs, and the network as sampling
 * asks it. See bench.h. */
#include "base/memory.h"
#include "cli/bench.h"
#include "train/image_task.h"

static const int timesteps = 1000;

typedef struct trainer {
    const md_bench *bench;
    md_images *images;
    md_image_setup setup;
    md_times times;
    md_image_model *model;
    md_image_task image;
    md_task task;
    md_optimizer *optimizer;
    int64_t step;
    /* forward, of MD_BENCH_IMAGES */
    md_image_view view;
    md_image_denoiser denoiser;
    float *x, *out;
    double time[MD_BENCH_IMAGES];
} trainer;

static mdlm_status time_step(void *context, mdlm_error *err) {
    const double rate = 1e-4;
    trainer *t = context;
    double loss;
    const md_rng dropout = {
        .seed = t->bench->seed, .stream = MD_STREAM_DROPOUT, .step = (uint64_t)++t->step};
    MD_TRY(md_task_run(&t->task, t->bench->tape, dropout, true, &loss, err));
    return md_optimizer_step(t->optimizer, rate, t->bench->pool, NULL, err);
}

static mdlm_status time_forward(void *context, mdlm_error *err) {
    trainer *t = context;
    const md_image_query query = {.x = t->x, .time = t->time, .B = MD_BENCH_IMAGES};
    return t->denoiser.predict(t->denoiser.context, &query, t->out, err);
}

static mdlm_status prepare_task(trainer *t, mdlm_error *err) {
    const md_bench *b = t->bench;
    const md_image_shape s = b->image->shape;
    const md_gaussian_options process = {.schedule = MD_BETA_COSINE, .timesteps = timesteps};
    MD_TRY(md_images_noise((md_images_shape){s.Y, s.X, s.C}, b->batch, b->seed, &t->images, err));
    t->setup.config = *b->image;
    MD_TRY(md_gaussian_init(&t->setup.process, &process, err));
    MD_TRY(md_times_init(&t->times, MD_TIMES_UNIFORM, &t->setup.process, err));
    t->image = (md_image_task){.model = t->model,
                               .setup = &t->setup,
                               .times = &t->times,
                               .pool = b->pool,
                               .tape = b->tape,
                               .seed = b->seed,
                               .batch = b->batch,
                               .accum = 1,
                               .training = {.dropout = b->dropout, .checkpoint = b->checkpoint}};
    MD_TRY(md_image_loader_init(&t->image.train, t->images, 0, b->batch, b->seed, err));
    MD_TRY(md_image_task_init(&t->image, err));
    t->task = md_image_task_view(&t->image);
    return MDLM_OK;
}

static mdlm_status prepare_forward(trainer *t, mdlm_error *err) {
    const md_image_shape s = t->bench->image->shape;
    const size_t image = (size_t)s.Y * (size_t)s.X * (size_t)s.C;
    t->view = (md_image_view){.model = t->model, .tape = t->bench->tape};
    t->denoiser = md_image_model_denoiser(&t->view);
    t->x = md_alloc(MD_BENCH_IMAGES, image * sizeof *t->x, err);
    t->out = md_alloc(MD_BENCH_IMAGES, image * sizeof *t->out, err);
    if (!t->x || !t->out) return MDLM_RUNTIME;
    const md_rng noise = {.seed = t->bench->seed, .stream = MD_STREAM_NOISE};
    for (int i = 0; i < MD_BENCH_IMAGES; i++) {
        md_normal_fill(noise, (uint32_t)i, 0, (int64_t)image, t->x + (size_t)i * image);
        t->time[i] = 10;
    }
    return MDLM_OK;
}

static mdlm_status prepare(trainer *t, mdlm_error *err) {
    const md_bench *b = t->bench;
    md_optimizer_options options = md_optimizer_defaults();
    options.kind = b->optimizer;
    options.ema = b->ema;
    MD_TRY(md_image_model_new(b->image, true, &t->model, err));
    md_image_model_init(t->model, b->seed);
    MD_TRY(prepare_task(t, err));
    MD_TRY(prepare_forward(t, err));
    t->optimizer = md_optimizer_new(t->task.params, md_tape_kernels(b->tape), &options, err);
    return t->optimizer ? MDLM_OK : MDLM_RUNTIME;
}

static void release(trainer *t) {
    md_optimizer_free(t->optimizer);
    md_free(t->x);
    md_free(t->out);
    md_image_task_release(&t->image);
    md_image_model_free(t->model);
    md_times_release(&t->times);
    md_image_setup_release(&t->setup);
    md_images_free(t->images);
}

mdlm_status md_bench_image(const md_bench *bench, md_bench_result *out, mdlm_error *err) {
    trainer t = {.bench = bench};
    md_bench_result r = {.items = bench->batch};
    mdlm_status status;
    MD_GOTO(done, status, prepare(&t, err));
    r.parameters = md_params_size(t.task.params);
    /* Backward is two products for each of forward's, each of a multiplication and an addition. */
    r.flops = 3 * 2 * md_image_model_products(t.model) * bench->batch;
    MD_GOTO(done, status, md_bench_steps(bench, time_step, &t, &r, err));
    MD_GOTO(done, status, md_bench_time(bench, time_forward, &t, &r.forward, err));
    *out = r;
done:
    release(&t);
    return status;
}
