/* train/image_train.c: see image_train.h. */
#include "train/image_train.h"

#include <string.h>

#include "base/memory.h"
#include "train/image_data.h"
#include "train/image_plan.h"
#include "train/image_task.h"
#include "train/session.h"

static const char DEFAULT_IMAGES[] = "shapes";

/* Everything that one training on images holds. */
typedef struct image_session {
    md_session run;
    md_image_settings *set;
    mdlm_error *err;
    md_image_data images;
    md_image_aim aim;
    md_image_setup setup;
    md_times times;
    md_image_model *model;
    md_image_task task;
} image_session;

static void release(image_session *s) {
    md_image_task_release(&s->task);
    md_image_model_free(s->model);
    md_times_release(&s->times);
    md_image_setup_release(&s->setup);
    md_image_data_release(&s->images);
    md_session_end(&s->run);
}

/* --- images ----------------------------------------------------------------------------------- */

static mdlm_status open_images(image_session *s, const char *name) {
    char *path = md_image_data_path(name, s->err);
    if (!path) return MDLM_RUNTIME;
    mdlm_status status = md_image_data_open(path, s->set, s->run.request.seed, &s->images, s->err);
    md_free(path);
    return status;
}

/* A resumed run goes on with what it has; the command line may name it again. */
static mdlm_status check_same(image_session *s, const cJSON *images) {
    const char *source;
    if (s->run.request.path_count == 0) return MDLM_OK;
    MD_TRY(md_json_text(images, "source", "run.json", &source, s->err));
    char *path = md_image_data_path(s->run.request.paths[0], s->err);
    if (!path) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    if (strcmp(path, source))
        status = md_fail(s->err, MDLM_USAGE, "'%s' was started on other images than '%s'",
                         s->run.request.run, s->run.request.paths[0]);
    md_free(path);
    return status;
}

/* A classifier has nothing to learn from an image without a class. */
static mdlm_status check_labels(image_session *s) {
    const md_images *set = s->images.set;
    const int64_t count = md_images_count(set);
    int64_t without = 0;
    if (!s->aim.classify) return MDLM_OK;
    for (int64_t i = 0; i < count; i++) without += md_images_label(set, i) < 0;
    if (without == 0) return MDLM_OK;
    return md_fail(s->err, MDLM_INPUT,
                   "--task classify needs the class of every image: %lld of %lld have none",
                   (long long)without, (long long)count);
}

/* --- a new run -------------------------------------------------------------------------------- */

/* What config.json will say. */
static mdlm_status make_setup(image_session *s) {
    md_image_setup *setup = &s->setup;
    const bool upscale = !strcmp(s->set->task, "upscale");
    const int classes = upscale ? 0 : md_images_classes(s->images.set);
    const char **names = md_alloc((size_t)classes, sizeof *names, s->err);
    if (!names) return MDLM_RUNTIME;
    for (int i = 0; i < classes; i++) names[i] = md_images_class_name(s->images.set, i);
    mdlm_status status = md_image_setup_name(setup, names, classes, s->err);
    md_free(names);
    MD_TRY(status);
    const md_images_shape shape = md_images_get_shape(s->images.set);
    MD_TRY(md_image_plan_network(s->set, s->run.request.options,
                                 (md_image_shape){shape.Y, shape.X, shape.C}, classes,
                                 &setup->config, s->err));
    if (!md_image_config_noised(&setup->config)) return MDLM_OK;
    return md_gaussian_init(&setup->process, &s->aim.process, s->err);
}

static mdlm_status take_weights(image_session *s, const char *folder) {
    md_image_model *from = NULL;
    MD_TRY(md_image_model_load(folder, NULL, &from, NULL, s->err));
    mdlm_status status = MDLM_OK;
    md_params *to = md_image_model_params(s->model), *weights = md_image_model_params(from);
    if (md_image_config_equal(md_image_model_config(from), &s->setup.config)) {
        memcpy(md_params_values(to), md_params_values(weights),
               (size_t)md_params_size(to) * sizeof(md_real));
    } else {
        status = md_fail(s->err, MDLM_USAGE,
                         "--init '%s' holds a network of another shape: the options of the network "
                         "must be its own, and the images of its size",
                         folder);
    }
    md_image_model_free(from);
    return status;
}

static mdlm_status make_network(image_session *s) {
    MD_TRY(md_image_model_new(&s->setup.config, true, &s->model, s->err));
    if (*s->set->loop.init) return take_weights(s, s->set->loop.init);
    md_image_model_init(s->model, s->run.request.seed);
    return MDLM_OK;
}

static mdlm_status announce(image_session *s) {
    md_buffer text = {0};
    mdlm_status status =
        md_image_plan_describe(s->set, s->run.request.options, s->images.set,
                               md_params_size(md_image_model_params(s->model)), &text, s->err);
    if (status == MDLM_OK) status = md_session_say(&s->run, MD_EVENT_PLAN, text.data);
    md_buffer_release(&text);
    return status;
}

static mdlm_status write_run(image_session *s, const char *folder) {
    return md_session_write_run(&s->run, folder, md_images_json(s->images.set),
                                md_params_size(md_image_model_params(s->model)));
}

static mdlm_status start_run(image_session *s) {
    const md_train_request *request = &s->run.request;
    MD_BUG_IF(request->path_count > 1);
    MD_TRY(md_image_plan_aim(s->set, request->options, &s->aim, s->err));
    MD_TRY(md_session_stage(&s->run));
    MD_TRY(open_images(s, request->path_count ? request->paths[0] : DEFAULT_IMAGES));
    MD_TRY(check_labels(s));
    MD_TRY(make_setup(s));
    md_image_plan_training(s->set, request->options, &s->setup.config);
    MD_TRY(make_network(s));
    MD_TRY(announce(s));
    MD_TRY(md_image_setup_save(&s->setup, s->run.staging, s->err));
    MD_TRY(write_run(s, s->run.staging));
    return md_session_publish(&s->run);
}

/* --- an earlier run --------------------------------------------------------------------------- */

static mdlm_status reopen_run(image_session *s) {
    md_image_record record = {0};
    MD_TRY(md_session_reopen(&s->run, &record.images));
    mdlm_status status = check_same(s, record.images);
    record.set = *s->set; /* now the run's */
    record.seed = s->run.request.seed;
    if (status == MDLM_OK)
        status = md_image_data_reopen(&record, s->run.request.run, &s->images, s->err);
    md_image_record_release(&record);
    MD_TRY(status);
    MD_TRY(md_image_plan_aim(s->set, s->run.request.options, &s->aim, s->err));
    MD_TRY(md_image_setup_load(s->run.request.run, &s->setup, s->err));
    md_image_plan_training(s->set, s->run.request.options, &s->setup.config);
    MD_TRY(md_image_model_new(&s->setup.config, true, &s->model, s->err));
    MD_TRY(announce(s));
    return write_run(s, s->run.request.run); /* what this call changed holds for the next one too */
}

/* --- both ------------------------------------------------------------------------------------- */

static mdlm_status make_task(image_session *s) {
    const md_image_settings *set = s->set;
    const uint64_t seed = s->run.request.seed;
    if (md_image_config_noised(&s->setup.config))
        MD_TRY(md_times_init(&s->times, s->aim.times, &s->setup.process, s->err));
    s->task = (md_image_task){
        .model = s->model,
        .setup = &s->setup,
        .times = &s->times,
        .loss = s->aim.loss,
        .pool = s->run.pool,
        .tape = s->run.tape,
        .run = s->run.request.run,
        .seed = seed,
        .batch = (int)set->loop.batch_size,
        .accum = (int)set->loop.accum,
        .class_drop = set->class_drop,
        .augment = set->augment,
        .training = {.dropout = set->dropout, .checkpoint = set->loop.checkpoint_activations}};
    s->task.train = md_image_data_part(&s->images, MD_IMAGES_TRAINED, seed);
    s->task.held = md_image_data_part(&s->images, MD_IMAGES_HELD, seed);
    s->task.train.flip = set->flip;
    return md_image_task_init(&s->task, s->err);
}

static mdlm_status train(image_session *s, md_train_result *result) {
    MD_TRY(s->set->loop.resume ? reopen_run(s) : start_run(s));
    MD_TRY(make_task(s));
    const md_task task = md_image_task_view(&s->task);
    return md_session_loop(&s->run, &task, result);
}

mdlm_status md_train_images(const md_train_request *request, md_image_settings *settings,
                            md_train_result *result, mdlm_error *err) {
    image_session s = {.set = settings};
    md_session_begin(&s.run, &md_image_run, request, &settings->loop, err);
    s.err = s.run.err;
    mdlm_status status = train(&s, result);
    release(&s);
    return status;
}
