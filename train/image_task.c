/* train/image_task.c: see image_task.h. */
#include "train/image_task.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "diffusion/gaussian_bound.h"
#include "diffusion/gaussian_schedule.h"
#include "tensor/ops_image.h"
#include "tensor/safetensors.h"
#include "tensor/weights.h"
#include "train/image_upscale.h"

/* Pixels of a micro-batch, at most; images validated on, in training and in the end. */
enum { MICRO_PIXELS = 8192, VAL_IMAGES = 128, VAL_THOROUGH = 512 };

static int64_t pixels_of(const md_image_task *t) {
    return (int64_t)t->setup->config.shape.Y * t->setup->config.shape.X;
}

static int64_t values_of(const md_image_task *t) {
    return pixels_of(t) * t->setup->config.shape.C;
}

static int64_t outputs_of(const md_image_task *t) {
    return pixels_of(t) * md_image_config_outputs(&t->setup->config);
}

/* Of what an upscaler is given; 0 of others. */
static int64_t given_of(const md_image_task *t) {
    return pixels_of(t) * md_image_config_given(&t->setup->config);
}

static bool classifies(const md_image_task *t) {
    return md_image_config_classifies(&t->setup->config);
}

/* Of a classifier for clean images, which has no process. */
static const md_time_draw CLEAN = {.index = -1, .weight = 1};

static bool is_clean(const md_image_task *t) {
    return !md_image_config_noised(&t->setup->config);
}

int64_t md_image_task_images(const md_image_task *t) {
    return (int64_t)t->batch * t->accum;
}

/* The largest divisor of the batch that is small enough. By the shape alone: the order in which
 * gradients are summed must not depend on the machine. */
static int images_at_once(const md_image_task *t) {
    for (int n = t->batch; n > 1; n--)
        if (t->batch % n == 0 && n * pixels_of(t) <= MICRO_PIXELS) return n;
    return 1;
}

mdlm_status md_image_task_init(md_image_task *t, mdlm_error *err) {
    md_image_micro *b = &t->micro;
    t->images = images_at_once(t);
    t->parts = t->batch / t->images * t->accum;
    const size_t n = (size_t)t->images, step = (size_t)md_image_task_images(t);
    const size_t values = (size_t)values_of(t), outputs = (size_t)outputs_of(t);
    b->image = md_alloc(n, values * sizeof *b->image, err);
    b->noise = md_alloc(n, values * sizeof *b->noise, err);
    b->noisy = md_alloc(n, values * sizeof *b->noisy, err);
    b->gradient = md_alloc(n, outputs * sizeof *b->gradient, err);
    b->small = md_alloc(n, (size_t)given_of(t) * sizeof *b->small, err);
    b->given = md_alloc(n, (size_t)given_of(t) * sizeof *b->given, err);
    b->time = md_alloc(n, sizeof *b->time, err);
    b->label = md_alloc(n, sizeof *b->label, err);
    b->draw = md_alloc(n, sizeof *b->draw, err);
    b->loss = md_alloc(n, sizeof *b->loss, err);
    t->level = md_alloc(step, sizeof *t->level, err);
    t->lost = md_alloc(step, sizeof *t->lost, err);
    bool complete = b->image && b->noise && b->noisy && b->gradient && b->time && b->label &&
                    b->draw && b->loss && b->small && b->given && t->level && t->lost;
    return complete ? MDLM_OK : MDLM_RUNTIME;
}

void md_image_task_release(md_image_task *t) {
    md_image_micro *b = &t->micro;
    md_free(b->image);
    md_free(b->noise);
    md_free(b->noisy);
    md_free(b->gradient);
    md_free(b->small);
    md_free(b->given);
    md_free(b->time);
    md_free(b->label);
    md_free(b->draw);
    md_free(b->loss);
    md_free(t->level);
    md_free(t->lost);
}

/* --- noising and judging, an image at a time -------------------------------------------------- */

typedef struct image_job {
    md_image_task *task;
    md_rng noise;                  /* of image `first` and those after it */
    const md_image_loader *loader; /* of example `example` and those after it */
    int64_t first, example;
    const float *out;
    float *gradient; /* NULL: not wanted */
    double share;    /* of an image in the loss */
} image_job;

static md_level level_of(const md_image_task *t, int i) {
    return md_gaussian_level(&t->setup->process, t->micro.draw[i].index);
}

/* Image i of the micro-batch, made small, as an upscaler is given it. */
static void give_small(const image_job *j, int64_t i) {
    md_image_task *t = j->task;
    md_upscale_given g = md_upscale_of(&t->setup->config);
    g.low = t->micro.small + i * given_of(t);
    g.noise = (md_rng){.seed = t->seed, .stream = MD_STREAM_AUGMENT, .step = j->noise.step};
    g.sequence = (uint32_t)(j->first + i);
    /* behind the noise of the pixels */
    g.augment = t->augment * md_uniform(g.noise, g.sequence, (uint32_t)values_of(t));
    md_upscale_give_shrunk(&g, t->micro.image + i * values_of(t), t->micro.given + i * given_of(t));
}

/* micro.draw[i] is set; index -1: the image stays as it is. */
static void noise_image(void *context, int64_t i, int worker) {
    const image_job *j = context;
    md_image_task *t = j->task;
    md_image_micro *b = &t->micro;
    const int64_t size = values_of(t), at = i * size;
    (void)worker;
    md_image_loader_read(j->loader, j->example + i, 1, b->image + at, b->label + i);
    if (b->draw[i].index >= 0)
        md_normal_fill(j->noise, (uint32_t)(j->first + i), 0, size, b->noise + at);
    md_gaussian_corrupt(&t->setup->process, b->draw[i].index, b->image + at, b->noise + at, size,
                        b->noisy + at);
    b->time[i] = level_of(t, (int)i).time;
    if (given_of(t) > 0) give_small(j, i);
    if (t->setup->config.classes == 0) b->label[i] = -1; /* whatever the images say */
}

static void judge_image(void *context, int64_t i, int worker) {
    const image_job *j = context;
    md_image_task *t = j->task;
    md_image_micro *b = &t->micro;
    const int64_t at = i * values_of(t);
    const md_noisy_image z = {.index = b->draw[i].index,
                              .pixels = pixels_of(t),
                              .C = t->setup->config.shape.C,
                              .image = b->image + at,
                              .noise = b->noise + at,
                              .noisy = b->noisy + at,
                              .out = j->out + i * outputs_of(t)};
    float *gradient = j->gradient ? j->gradient + i * outputs_of(t) : NULL;
    (void)worker;
    b->loss[i] =
        md_gaussian_loss(&t->setup->process, t->loss, &z, j->share * b->draw[i].weight, gradient);
}

/* The network's output for the first n of the micro-batch. */
static md_tensor *run_network(md_image_task *t, md_tape *tape, int n) {
    const md_image_shape s = t->setup->config.shape;
    const md_image_condition given = {.B = n, .time = t->micro.time, .label = t->micro.label};
    const int more = md_image_config_given(&t->setup->config), all = s.C + more;
    md_tensor *x = md_tape_tensor(tape, 4, (int64_t[]){n, s.Y, s.X, all});
    for (int64_t p = 0; x && p < n * pixels_of(t); p++) {
        const int i = (int)(p / pixels_of(t));
        const float scale = (float)md_gaussian_input(&t->setup->process, level_of(t, i));
        md_real *to = x->data + p * all;
        for (int k = 0; k < s.C; k++) to[k] = scale * t->micro.noisy[p * s.C + k];
        for (int k = 0; k < more; k++) to[s.C + k] = t->micro.given[p * more + k];
    }
    return md_image_model_forward(t->model, tape, x, &given, &t->training);
}

/* --- a step ----------------------------------------------------------------------------------- */

/* Levels of the images `first` .. of the step, and who loses the label. */
static void draw_levels(md_image_task *t, int64_t step, int64_t first) {
    const md_rng time = {.seed = t->seed, .stream = MD_STREAM_TIME, .step = (uint64_t)step};
    for (int i = 0; i < t->images; i++)
        t->micro.draw[i] =
            is_clean(t) ? CLEAN : md_times_draw(t->times, time, first + i, md_image_task_images(t));
}

static void drop_labels(md_image_task *t, int64_t step, int64_t first) {
    const md_rng drop = {.seed = t->seed, .stream = MD_STREAM_LABEL, .step = (uint64_t)step};
    for (int i = 0; i < t->images; i++)
        if (md_uniform(drop, (uint32_t)(first + i), 0) < t->class_drop) t->micro.label[i] = -1;
}

/* What the whole step has lost moves the levels of the next. */
static void learn_levels(md_image_task *t) {
    md_times_observe(t->times, t->level, t->lost, md_image_task_images(t));
    md_gaussian_place(&t->setup->process);
}

static mdlm_status loss(void *context, md_tape *tape, int64_t step, int micro, md_tensor **out,
                        mdlm_error *err) {
    md_image_task *t = context;
    const int64_t all = md_image_task_images(t), first = (int64_t)micro * t->images;
    image_job job = {.task = t,
                     .noise = {.seed = t->seed, .stream = MD_STREAM_NOISE, .step = (uint64_t)step},
                     .loader = &t->train,
                     .first = first,
                     .example = (step - 1) * all + first,
                     .gradient = t->micro.gradient,
                     .share = 1 / (double)all};
    draw_levels(t, step, first);
    md_pool_run(t->pool, "noise", t->images, noise_image, &job);
    if (!classifies(t)) drop_labels(t, step, first);
    md_tensor *y = run_network(t, tape, t->images);
    if (!y) return md_tape_status(tape, err);
    if (classifies(t)) {
        *out = md_image_task_label_loss(t, tape, y, t->images, job.share);
        return md_tape_status(tape, err);
    }
    job.out = y->data;
    md_pool_run(t->pool, "image loss", t->images, judge_image, &job);
    double sum = 0;
    for (int i = 0; i < t->images; i++) {
        sum += job.share * t->micro.draw[i].weight * t->micro.loss[i].value;
        t->level[first + i] = t->micro.draw[i].index;
        t->lost[first + i] = t->micro.loss[i].value;
        md_gaussian_observe(&t->setup->process, t->micro.draw[i].index,
                            t->micro.loss[i].noise_error);
    }
    if (micro + 1 == t->parts) learn_levels(t);
    *out = md_known_loss(tape, y, sum, t->micro.gradient);
    return md_tape_status(tape, err);
}

/* --- validation ------------------------------------------------------------------------------- */

/* The level of draw k of `count`: as training draws them, or evenly where it draws by what it has
 * lost. */
static md_time_draw val_draw(const md_image_task *t, int64_t k, int64_t count) {
    const md_rng rng = {.seed = t->seed, .stream = MD_STREAM_EVAL_TIME};
    if (t->times->kind != MD_TIMES_LOSS_AWARE) return md_times_draw(t->times, rng, k, count);
    const double u = ((double)k + 0.5) / (double)count;
    return (md_time_draw){.index = (int)(u * t->setup->process.T), .weight = 1};
}

int md_image_task_val_level(const md_image_task *t, int64_t k, int64_t count) {
    return is_clean(t) ? CLEAN.index : val_draw(t, k, count).index;
}

/* Draws first .. of `count`, each of the next image that is held out, from the first again. */
static mdlm_status validate_some(md_image_task *t, int64_t first, int n, int64_t count, double *sum,
                                 mdlm_error *err) {
    image_job job = {.task = t,
                     .noise = {.seed = t->seed, .stream = MD_STREAM_EVAL_NOISE},
                     .loader = &t->held,
                     .first = first,
                     .example = first};
    for (int i = 0; i < n; i++) t->micro.draw[i] = val_draw(t, first + i, count);
    md_pool_run(t->pool, "noise", n, noise_image, &job);
    md_tape_begin(t->tape, false, (md_rng){0});
    md_tensor *y = run_network(t, t->tape, n);
    if (!y) return md_tape_status(t->tape, err);
    job.out = y->data;
    md_pool_run(t->pool, "image loss", n, judge_image, &job);
    for (int i = 0; i < n; i++) *sum += t->micro.loss[i].value;
    return MDLM_OK;
}

/* The bound, each image by a few levels of all parts of the chain. */
static mdlm_status validate_bound(md_image_task *t, bool thorough, double *value, mdlm_error *err) {
    enum { STEPS = 16 };
    md_image_view view = {.model = t->model, .tape = t->tape};
    const md_image_denoiser denoiser = md_image_model_denoiser(&view);
    const md_bound_options opt = {
        .steps = STEPS, .batch = t->images, .seed = t->seed, .clip = true, .pool = t->pool};
    const int64_t count = (thorough ? VAL_THOROUGH : VAL_IMAGES) / STEPS;
    md_bound *bound = NULL;
    MD_TRY(md_bound_new(&t->setup->process, &denoiser, &opt, &bound, err));
    mdlm_status status = MDLM_OK;
    for (int64_t first = 0; first < count && status == MDLM_OK; first += t->images) {
        const int64_t left = count - first;
        const md_bound_batch batch = {.images = t->micro.image,
                                      .labels = t->micro.label,
                                      .count = left < t->images ? (int)left : t->images,
                                      .first = first};
        md_image_loader_read(&t->held, first, batch.count, t->micro.image, t->micro.label);
        status = md_bound_add(bound, &batch, NULL, err);
    }
    if (status == MDLM_OK) *value = md_bound_finish(bound).bits_per_dim;
    md_bound_free(bound);
    return status;
}

static mdlm_status validate(void *context, bool thorough, double *value, mdlm_error *err) {
    md_image_task *t = context;
    const int64_t count = thorough ? VAL_THOROUGH : VAL_IMAGES;
    double sum = 0;
    if (classifies(t)) return md_image_task_val_labels(t, VAL_THOROUGH, value, err);
    if (t->loss == MD_LOSS_VLB) return validate_bound(t, thorough, value, err);
    for (int64_t first = 0; first < count; first += t->images) {
        const int64_t left = count - first;
        MD_TRY(validate_some(t, first, left < t->images ? (int)left : t->images, count, &sum, err));
    }
    *value = sum / (double)count;
    return MDLM_OK;
}

/* --- state and files -------------------------------------------------------------------------- */

static mdlm_status save_state(void *context, cJSON *state, mdlm_error *err) {
    const md_image_task *t = context;
    MD_TRY(md_times_save(t->times, state, err));
    return md_image_setup_put_schedule(t->setup, state, err);
}

static mdlm_status load_state(void *context, const cJSON *state, mdlm_error *err) {
    md_image_task *t = context;
    MD_TRY(md_times_load(t->times, state, "state.json", err));
    return md_image_setup_take_schedule(t->setup, state, "state.json", err);
}

static char *model_path(const md_image_task *t, mdlm_error *err) {
    return md_path_join(t->run, "model.safetensors", err);
}

/* A learned schedule is a part of the model, in its config.json. */
static mdlm_status publish(void *context, mdlm_error *err) {
    md_image_task *t = context;
    if (t->setup->process.opt.schedule == MD_BETA_LEARNED)
        MD_TRY(md_image_setup_save(t->setup, t->run, err));
    char *path = model_path(t, err);
    if (!path) return MDLM_RUNTIME;
    md_params *params = md_image_model_params(t->model);
    mdlm_status status =
        md_safetensors_write_params(path, params, "", md_params_values(params), err);
    md_free(path);
    return status;
}

static mdlm_status reload(void *context, mdlm_error *err) {
    md_image_task *t = context;
    char *path = model_path(t, err);
    if (!path) return MDLM_RUNTIME;
    md_params *params = md_image_model_params(t->model);
    mdlm_status status = md_weights_load_params(path, params, "", md_params_values(params), err);
    md_free(path);
    if (status != MDLM_OK || t->setup->process.opt.schedule != MD_BETA_LEARNED) return status;
    md_image_setup saved = {0};
    status = md_image_setup_load(t->run, &saved, err);
    if (status == MDLM_OK)
        status = md_gaussian_set_rates(&t->setup->process, saved.process.rate, err);
    md_image_setup_release(&saved);
    return status;
}

static mdlm_status sample(void *context, int64_t step, md_buffer *text, mdlm_error *err) {
    if (classifies(context)) return md_image_task_say_labels(context, text, err);
    return md_image_task_sample(context, step, text, err);
}

md_task md_image_task_view(md_image_task *t) {
    const bool bits = !classifies(t) && t->loss == MD_LOSS_VLB;
    const char *per = classifies(t) ? "image" : bits ? "dim" : NULL;
    return (md_task){.context = t,
                     .params = md_image_model_params(t->model),
                     .micro_batches = t->parts,
                     .items_per_step = md_image_task_images(t),
                     .unit = 1,
                     .measure = {.items = "images", .loss = "loss", .per = per, .bits = bits},
                     .loss = loss,
                     .validate = validate,
                     .save_state = save_state,
                     .load_state = load_state,
                     .sample = sample,
                     .publish = publish,
                     .reload = reload};
}
