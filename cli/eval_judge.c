/* cli/eval_judge.c: see eval_judge.h. What is printed: eval_judge_report.c. */
#include "cli/eval_judge.h"

#include <string.h>

#include "base/memory.h"

enum { AT_ONCE = 64, USUAL = 1000 };

/* --- before the work -------------------------------------------------------------------------- */

static mdlm_status load_classifier(md_eval_judge *j, mdlm_error *err) {
    const char *path = j->choice.classifier;
    if (!*path)
        return md_fail(err, MDLM_USAGE,
                       "--frechet needs --classifier RUN to compare images by: `mdlm image-train "
                       "--task classify --no-noisy` makes one");
    MD_TRY(md_cli_classifier_load(&j->classifier, path, j->model, err));
    if (!j->classifier.classifier.noisy) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "--classifier '%s' is for noisy images, to guide by: expected one that `mdlm "
                   "image-train --task classify --no-noisy` made",
                   path);
}

/* Images that were made before, each of the class that --class says in turn where their folder
 * tells none. */
static mdlm_status open_folder(md_eval_judge *j, mdlm_error *err) {
    static const char *const idle[] = {"sampler",  "steps",   "spacing",        "eta",
                                       "variance", "clip_x0", "guidance_scale", NULL};
    const md_image_shape m = j->model->setup.config.shape;
    md_images_options opt = md_images_defaults();
    MD_TRY(md_options_refuse(j->cli->options, idle, "images that are sampled, not --samples", err));
    opt.channels = m.C;
    if (j->model->setup.config.classes > 0) {
        opt.class_names = (const char *const *)j->model->setup.class_names.items;
        opt.classes = j->model->setup.config.classes;
    }
    MD_TRY(md_images_open(j->choice.samples, &opt, &j->folder, err));
    const md_images_shape s = md_images_get_shape(j->folder);
    if (s.Y == m.Y && s.X == m.X && s.C == m.C) return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "--samples '%s' has images of %dx%dx%d: the model's are %dx%dx%d",
                   j->choice.samples, s.X, s.Y, s.C, m.X, m.Y, m.C);
}

static mdlm_status choose_counts(md_eval_judge *j, mdlm_error *err) {
    const int64_t real = md_images_count(j->from->data.set);
    const int64_t made = j->folder ? md_images_count(j->folder) : USUAL;
    j->count = j->choice.count > 0 ? j->choice.count : made;
    if (j->folder && j->count > made)
        return md_fail(err, MDLM_USAGE, "--num-samples %lld: '%s' has %lld images",
                       (long long)j->count, j->choice.samples, (long long)made);
    j->floor_count = j->count < real / 2 ? j->count : real / 2;
    j->references = real - j->floor_count;
    if (j->references > j->choice.references) j->references = j->choice.references;
    const int64_t least = MD_COVERAGE_NEIGHBOURS + 1;
    if (j->count < least || j->references < least || j->floor_count < least)
        return md_fail(err, MDLM_USAGE,
                       "--frechet: %lld samples and %lld real images are too few: expected at "
                       "least %lld and twice as many",
                       (long long)j->count, (long long)real, (long long)least);
    if (j->floor_count < j->count)
        md_cli_note(
            j->cli,
            "note: there are %lld real images, so the floor is of %lld of them, not of %lld",
            (long long)real, (long long)j->floor_count, (long long)j->count);
    return MDLM_OK;
}

static mdlm_status announce(const md_eval_judge *j, mdlm_error *err) {
    md_buffer how = {0};
    mdlm_status status = j->folder ? md_buffer_printf(&how, err, "from '%s'", j->choice.samples)
                                   : md_cli_image_sampler_describe(j->cli, j->choice.sampling,
                                                                   &j->sampler, &how, err);
    if (status == MDLM_OK)
        md_cli_note(j->cli, "%lld samples, %s; beside %lld images of '%s', by '%s'",
                    (long long)j->count, how.data, (long long)(j->references + j->floor_count),
                    j->from->source, j->choice.classifier);
    md_buffer_release(&how);
    return status;
}

static mdlm_status make_room(md_eval_judge *j, mdlm_error *err) {
    const md_image_shape s = j->classifier.classifier.shape;
    const size_t size = (size_t)s.Y * (size_t)s.X * (size_t)s.C;
    j->x = md_alloc(AT_ONCE, size * sizeof *j->x, err);
    j->wanted = md_alloc(AT_ONCE, sizeof *j->wanted, err);
    j->label = md_alloc((size_t)j->floor_count, sizeof *j->label, err);
    if (!j->x || !j->wanted || !j->label) return MDLM_RUNTIME;
    MD_TRY(md_image_judge_init(&j->reference, &j->classifier.classifier, j->references, err));
    MD_TRY(md_image_judge_init(&j->samples.judge, &j->classifier.classifier, j->count, err));
    return md_image_judge_init(&j->floor.judge, &j->classifier.classifier, j->floor_count, err);
}

mdlm_status md_eval_judge_open(md_eval_judge *j, mdlm_error *err) {
    const uint64_t seed = (uint64_t)j->cli->common.seed;
    MD_TRY(load_classifier(j, err));
    MD_TRY(md_cli_image_sampler_init(j->cli, j->choice.sampling, j->model, NULL, &j->sampler, err));
    if (*j->choice.samples) MD_TRY(open_folder(j, err));
    MD_TRY(choose_counts(j, err));
    const md_image_loader all = md_image_data_part(&j->from->data, MD_IMAGES_ALL, seed);
    j->real = j->stand_in = all;
    j->real.count = j->references;
    j->stand_in.first = all.count - j->floor_count;
    j->stand_in.count = j->floor_count;
    MD_TRY(announce(j, err));
    return make_room(j, err);
}

void md_eval_judge_release(md_eval_judge *j) {
    md_image_judge_release(&j->reference);
    md_image_judge_release(&j->samples.judge);
    md_image_judge_release(&j->floor.judge);
    md_images_free(j->folder);
    md_free(j->label);
    md_free(j->wanted);
    md_free(j->x);
    md_cli_image_release(&j->classifier);
    md_cli_image_sampler_release(&j->sampler);
}

/* --- images ----------------------------------------------------------------------------------- */

static mdlm_status cancelled(mdlm_error *err) {
    return md_fail(err, MDLM_CANCELLED, "cancelled");
}

/* Real images, or those of the folder, of which there are `count`. */
static mdlm_status read_images(md_eval_judge *j, const md_image_loader *from, int32_t *label,
                               md_image_judge *judge, mdlm_error *err) {
    for (int64_t first = 0; first < from->count; first += AT_ONCE) {
        const int64_t left = from->count - first;
        const int count = left < AT_ONCE ? (int)left : AT_ONCE;
        md_image_loader_read(from, first, count, j->x, j->wanted);
        if (!j->from->labelled)
            for (int i = 0; i < count; i++) j->wanted[i] = -1;
        if (label) memcpy(label + first, j->wanted, (size_t)count * sizeof *label);
        MD_TRY(md_image_judge_add(judge, j->x, j->wanted, count, err));
        if (md_eta_update(j->eta, first + count, from->count)) return cancelled(err);
    }
    return MDLM_OK;
}

static void want_labels(md_eval_judge *j, int64_t first, int count) {
    const bool theirs = !*j->choice.sampling->class && j->from->labelled && !j->folder;
    md_cli_image_sampler_labels(&j->sampler, first, count, j->wanted);
    for (int i = 0; theirs && i < count; i++) j->wanted[i] = j->label[(first + i) % j->floor_count];
}

static int on_step(void *user, const md_image_step *step) {
    const md_eval_judge *j = user;
    const int64_t now = j->done * step->steps + (int64_t)step->step * step->samples;
    return md_eta_update(j->eta, now, j->count * step->steps);
}

/* Samples first .. first + count - 1, into j->x; their labels into j->wanted. */
static mdlm_status sample(md_eval_judge *j, int64_t first, int count, mdlm_error *err) {
    const md_cli_image_sampler *s = &j->sampler;
    md_image_sampler_options opt = s->options;
    const md_image_batch batch = {.x = j->x, .label = j->wanted, .samples = count};
    opt.first_index = j->done = first;
    opt.on_step = on_step;
    opt.user = j;
    want_labels(j, first, count);
    return md_image_sampler_run(&s->denoiser, &s->process, &opt, &batch, NULL, err);
}

/* The same from the folder. */
static int read_folder(md_eval_judge *j, int64_t first, int count) {
    const md_image_shape s = j->classifier.classifier.shape;
    const size_t size = (size_t)s.Y * (size_t)s.X * (size_t)s.C;
    want_labels(j, first, count);
    for (int i = 0; i < count; i++) {
        md_images_read(j->folder, first + i, j->x + (size_t)i * size);
        if (md_images_classes(j->folder) > 0) j->wanted[i] = md_images_label(j->folder, first + i);
    }
    return md_eta_update(j->eta, first + count, j->count);
}

static mdlm_status take_samples(md_eval_judge *j, mdlm_error *err) {
    for (int64_t first = 0; first < j->count; first += AT_ONCE) {
        const int64_t left = j->count - first;
        const int count = left < AT_ONCE ? (int)left : AT_ONCE;
        if (!j->folder)
            MD_TRY(sample(j, first, count, err));
        else if (read_folder(j, first, count))
            return cancelled(err);
        MD_TRY(md_image_judge_add(&j->samples.judge, j->x, j->wanted, count, err));
    }
    return MDLM_OK;
}

/* --- measures --------------------------------------------------------------------------------- */

static mdlm_status measure(md_eval_judge *j, const md_frechet *frechet, md_eval_verdict *v,
                           mdlm_error *err) {
    const md_frechet_options opt = {.resamples = j->choice.resamples,
                                    .seed = (uint64_t)j->cli->common.seed,
                                    .on_progress = md_eta_update,
                                    .user = j->eta};
    md_features real = j->reference.features;
    if (real.count > j->count) real.count = j->count;
    MD_TRY(md_frechet_measure(frechet, &v->judge.features, &opt, &v->frechet, err));
    return md_coverage_measure(&real, &v->judge.features, MD_COVERAGE_NEIGHBOURS, j->model->pool,
                               &v->coverage, err);
}

mdlm_status md_eval_judge_run(md_eval_judge *j, md_eta *eta, mdlm_error *err) {
    md_frechet *frechet = NULL;
    j->eta = eta;
    md_eta_begin(eta, "looking at real images");
    MD_TRY(read_images(j, &j->real, NULL, &j->reference, err));
    MD_TRY(read_images(j, &j->stand_in, j->label, &j->floor.judge, err));
    md_eta_clear(eta);
    md_eta_begin(eta, j->folder ? "looking at samples" : "denoising");
    MD_TRY(take_samples(j, err));
    md_eta_clear(eta);
    md_eta_begin(eta, "bootstrap");
    mdlm_status status = md_frechet_new(&j->reference.features, j->model->pool, &frechet, err);
    if (status == MDLM_OK) status = measure(j, frechet, &j->samples, err);
    if (status == MDLM_OK) status = measure(j, frechet, &j->floor, err);
    md_frechet_free(frechet);
    md_eta_clear(eta);
    return status;
}
