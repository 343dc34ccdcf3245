/* cli/cmd_image_generate.c: `mdlm image-generate`: images from noise, or from images, and larger
 * ones from small ones. */

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/eta.h"
#include "cli/film.h"
#include "cli/image_editing.h"
#include "cli/image_files.h"
#include "cli/image_upscale.h"
#include "cli/output.h"
#include "cli/preview.h"
#include "cli/signals.h"

enum { AT_ONCE = 64 }; /* images in a run of the sampler; an image does not depend on the others */

#define IMAGE_OPTIONS(X) \
    X(INT, num_samples, 16, 1, 1000000, "images to make") \
    X(TEXT, out, "samples.png", 0, 0, \
      "PNG file with all images in a grid; a folder, or a name that ends with '/': a file an " \
      "image") \
    X(INT, first_index, 0, 0, 4000000000, \
      "number of the first image: an image depends on seed and number") \
    X(INT, columns, 0, 1, 1000, "images in a row of the grid; near-square if not given") \
    X(INT, zoom, 1, 1, 64, "each pixel becomes so many a side") \
    X(TEXT, frames, "", 0, 0, \
      "folder for pictures of the denoising of the first images: moments, an animation, a strip") \
    X(FLAG, show, false, 0, 0, "show the images on stdout even off a terminal")

#define STEERING_OPTIONS(X) \
    X(TEXT, classifier, "", 0, 0, \
      "run of image-train --task classify, of noisy images: its gradient guides each image " \
      "to its class, also where the model knows no classes") \
    X(REAL, classifier_scale, 1, 0, 1000, "how much its gradient counts; 0: off")

typedef struct image_options {
    md_cli_image_editing editing; /* first, so that its tables fit */
    IMAGE_OPTIONS(MD_OPTION_FIELD)
    STEERING_OPTIONS(MD_OPTION_FIELD)
    MD_CLI_UPSCALE_OPTIONS(MD_OPTION_FIELD)
} image_options;

#define MD_OPTION_STRUCT image_options
static const md_option table[] = {IMAGE_OPTIONS(MD_OPTION_ROW){0}};
static const md_option steering_table[] = {STEERING_OPTIONS(MD_OPTION_ROW){0}};
static const md_option upscale_table[] = {MD_CLI_UPSCALE_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

typedef struct job {
    md_cli *cli;
    const image_options *opt;
    md_cli_image_sampling sampling; /* the options */
    md_cli_image_model model;
    md_cli_image_model classifier; /* of --classifier */
    md_cli_image_sampler sampler;
    md_cli_image_edit edit;
    md_cli_upscale upscale; /* what the model makes larger; empty: it does not */
    md_cli_cascade cascade; /* what makes its images larger; empty: nothing */
    int64_t total;          /* images to make */
    float *x;               /* [AT_ONCE, Y, X, C] */
    int32_t *label;         /* [AT_ONCE] */
    md_image_files files;
    md_film *film; /* until the first images are saved; NULL: not asked for */
    md_eta eta;
    int64_t done;     /* images before those at hand */
    int steps_before; /* of a run at hand: of other models; and of all of them */
    int steps_all;
    mdlm_status status; /* of the callback, and why */
    mdlm_error error;
} job;

/* --- before the work -------------------------------------------------------------------------- */

static mdlm_status refuse_idle(const job *j, mdlm_error *err) {
    static const char *const grid[] = {"columns", NULL};
    if (!md_image_files_folder(j->opt->out)) return MDLM_OK;
    return md_options_refuse(j->cli->options, grid, "a grid, not for a folder", err);
}

/* Options of sampling, and a classifier that guides where one is asked for. */
static mdlm_status open_sampler(job *j, mdlm_error *err) {
    static const char *const scale[] = {"classifier_scale", NULL};
    const image_options *opt = j->opt;
    const bool guides = *opt->classifier;
    const md_cli_image_steering steering = {
        .run = opt->classifier, .by = &j->classifier, .scale = opt->classifier_scale};
    j->sampling = md_cli_image_editing_sampling(&opt->editing);
    if (guides) {
        MD_TRY(md_cli_classifier_load(&j->classifier, opt->classifier, &j->model, err));
    } else {
        MD_TRY(md_options_refuse(j->cli->options, scale, "--classifier", err));
    }
    MD_TRY(md_cli_image_sampler_init(j->cli, &j->sampling, &j->model, guides ? &steering : NULL,
                                     &j->sampler, err));
    return md_cli_image_edit_init(j->cli, &opt->editing, j->model.setup.config.shape,
                                  &j->sampler.options, &j->edit, err);
}

static int at_once(const job *j) {
    return j->total < AT_ONCE ? (int)j->total : AT_ONCE;
}

static md_cli_upscale_choice choice_of(const job *j) {
    return (md_cli_upscale_choice){
        .augment = j->opt->augment, .seed = (uint64_t)j->cli->common.seed, .most = at_once(j)};
}

/* Pictures for a model that makes them larger: an image of each, unless more are asked for. */
static mdlm_status open_pictures(job *j, mdlm_error *err) {
    static const char *const editing[] = {"init_image", "interpolate", "inpaint", NULL};
    const md_image_config *config = &j->model.setup.config;
    const char *path = j->opt->upscale;
    if (config->factor == 0 && !*path) return MDLM_OK;
    if (config->factor == 0)
        return md_fail(err, MDLM_USAGE,
                       "--upscale '%s': the model of '%s' makes nothing larger; `mdlm image-train "
                       "--task upscale` makes one that does",
                       path, j->cli->model);
    if (!*path)
        return md_fail(err, MDLM_USAGE,
                       "'%s' makes small images larger: name one with --upscale, or the model that "
                       "draws them with --model, and this one with --upscaler",
                       j->cli->model);
    MD_TRY(md_options_refuse(j->cli->options, editing, "models that draw from noise alone", err));
    MD_TRY(md_cli_upscale_open(&j->upscale, config, path, err));
    if (md_options_origin(j->cli->options, "num_samples") == MD_ORIGIN_DEFAULT)
        j->total = md_images_count(j->upscale.set);
    const md_cli_upscale_choice choice = choice_of(j);
    return md_cli_upscale_init(&j->upscale, config, &choice, err);
}

static mdlm_status open_cascade(job *j, mdlm_error *err) {
    static const char *const idle[] = {"upscaler_steps", NULL}, *const noise[] = {"augment", NULL};
    const char *folder = j->opt->upscaler;
    if (!*folder) MD_TRY(md_options_refuse(j->cli->options, idle, "--upscaler", err));
    if (!*folder && !j->upscale.set)
        MD_TRY(md_options_refuse(j->cli->options, noise, "--upscale and --upscaler", err));
    j->steps_all = j->edit.steps;
    if (!*folder) return MDLM_OK;
    md_cli_image_sampling how = j->sampling;
    const md_cli_upscale_choice choice = choice_of(j);
    how.steps = j->opt->upscaler_steps;
    MD_TRY(md_cli_cascade_init(&j->cascade, j->cli, folder, &how, &j->model, &choice, err));
    j->steps_all += j->cascade.sampler.options.steps;
    return MDLM_OK;
}

static bool cascades(const job *j) {
    return j->cascade.x != NULL;
}

/* Of the images that come out. */
static md_image_shape shape_of(const job *j) {
    return (cascades(j) ? &j->cascade.model : &j->model)->setup.config.shape;
}

static md_grid grid_of(const job *j, md_image_shape s) {
    return (md_grid){
        .Y = s.Y, .X = s.X, .C = s.C, .columns = (int)j->opt->columns, .scale = (int)j->opt->zoom};
}

static mdlm_status open_files(job *j, mdlm_error *err) {
    const md_image_shape s = j->model.setup.config.shape;
    const md_grid grid = grid_of(j, s); /* of what is sampled first */
    const size_t size = (size_t)s.Y * (size_t)s.X * (size_t)s.C;
    if (!(j->x = md_alloc((size_t)at_once(j), size * sizeof *j->x, err))) return MDLM_RUNTIME;
    if (!(j->label = md_alloc(AT_ONCE, sizeof *j->label, err))) return MDLM_RUNTIME;
    if (*j->opt->frames) MD_TRY(md_film_check(grid, at_once(j), j->edit.steps, err));
    MD_TRY(md_image_files_open(&j->files, j->opt->out, grid_of(j, shape_of(j)), j->total, err));
    j->files.first = j->opt->first_index;
    if (*j->opt->frames) MD_TRY(md_film_open(j->opt->frames, grid, at_once(j), &j->film, err));
    return MDLM_OK;
}

static mdlm_status announce(const job *j, mdlm_error *err) {
    const md_image_shape s = shape_of(j);
    md_buffer how = {0};
    mdlm_status status =
        md_cli_image_sampler_describe(j->cli, &j->sampling, &j->sampler, &how, err);
    if (status == MDLM_OK && *j->opt->classifier)
        status = md_buffer_printf(&how, err, ", classifier '%s', scale %g%s", j->opt->classifier,
                                  j->opt->classifier_scale,
                                  md_cli_defaulted(j->cli, "classifier_scale"));
    if (status == MDLM_OK) status = md_cli_image_edit_describe(j->cli, &j->edit, &how, err);
    if (status == MDLM_OK && cascades(j))
        status = md_buffer_printf(&how, err, "; made larger by '%s', steps %d", j->opt->upscaler,
                                  j->cascade.sampler.options.steps);
    if (status == MDLM_OK)
        md_cli_note(j->cli, "%s: %lld images %dx%d%s, %s", j->cli->model, (long long)j->total, s.X,
                    s.Y, md_cli_defaulted(j->cli, "num_samples"), how.data);
    md_buffer_release(&how);
    return status;
}

/* --- sampling --------------------------------------------------------------------------------- */

static int on_step(void *user, const md_image_step *step) {
    job *j = user;
    const int64_t now =
        j->done * j->steps_all + (int64_t)(j->steps_before + step->step) * step->samples;
    if (j->film && j->steps_before == 0) j->status = md_film_look(j->film, step, &j->error);
    if (j->status != MDLM_OK) return 1;
    return md_eta_update(&j->eta, now, j->total * j->steps_all);
}

/* What came of a run. */
typedef struct result {
    const md_image_batch *batch;
    md_sampler_work work;
    double seconds;
} result;

/* Of image i of the batch. */
static mdlm_status print_json(job *j, const result *r, int i, mdlm_error *err) {
    const int64_t index = j->opt->first_index + j->done + i;
    const int32_t label = j->label[i];
    const int count = r->batch->samples;
    char number[16];
    md_buffer path = {0};
    md_json_line line;
    mdlm_status status = md_image_files_name(&j->files, index, &path, err);
    if (status == MDLM_OK) {
        md_json_begin(&line);
        md_json_put_int(&line, "index", index);
        md_json_put_string(&line, "class",
                           label < 0 ? NULL : md_cli_class_name(j->sampler.named, label, number));
        md_json_put_int(&line, "label", label);
        md_json_put_string(&line, "file", path.data);
        md_json_put_int(&line, "steps", r->work.steps);
        md_json_put_int(&line, "evaluations", r->work.evaluations / count);
        md_json_put_real(&line, "seconds", r->seconds);
        md_json_put_real(&line, "images_per_second", count / r->seconds);
        md_cli_image_edit_measure(&j->edit, r->batch, i, &line);
        status = md_json_end(&line, err);
    }
    md_buffer_release(&path);
    return status;
}

static mdlm_status keep(job *j, const result *r, mdlm_error *err) {
    const bool json = j->cli->common.json;
    MD_TRY(
        md_image_files_add(&j->files, cascades(j) ? j->cascade.x : j->x, r->batch->samples, err));
    if (j->film) MD_TRY(md_film_save(j->film, err));
    md_film_free(j->film);
    j->film = NULL;
    for (int i = 0; json && i < r->batch->samples; i++) MD_TRY(print_json(j, r, i, err));
    for (int i = 0; !json && i < r->batch->samples; i++)
        md_cli_image_edit_measure(&j->edit, r->batch, i, NULL);
    return MDLM_OK;
}

/* Images of the batch, larger. */
static mdlm_status enlarge(job *j, int64_t first, result *r, mdlm_error *err) {
    md_sampler_work work = {0};
    md_image_sampler_options opt = {.first_index = first, .on_step = on_step, .user = j};
    j->steps_before = r->work.steps;
    mdlm_status status = md_cli_cascade_run(&j->cascade, r->batch, &opt, &work, err);
    j->steps_before = 0;
    r->work.steps += work.steps;
    r->work.evaluations += work.evaluations;
    return status;
}

/* Cancelled images are what the network last took them for, and kept; small ones are not. */
static mdlm_status sample(job *j, int64_t first, int count, mdlm_error *err) {
    const md_cli_image_sampler *s = &j->sampler;
    md_image_sampler_options opt = s->options;
    md_image_batch batch = {.x = j->x, .label = j->label, .samples = count};
    result made = {.batch = &batch};
    opt.first_index = j->opt->first_index + first;
    opt.on_step = on_step;
    opt.user = j;
    j->done = first;
    md_cli_image_sampler_labels(s, opt.first_index, count, j->label);
    MD_TRY(md_cli_image_edit_take(&j->edit, first, count, &batch, err));
    if (j->upscale.set) batch.given = md_cli_upscale_files(&j->upscale, opt.first_index, count);
    const double start = md_now();
    mdlm_status status =
        md_image_sampler_run(&s->denoiser, &s->process, &opt, &batch, &made.work, err);
    if (status != MDLM_OK && cascades(j) && j->status == MDLM_OK) return status;
    if (status == MDLM_OK && cascades(j)) status = enlarge(j, opt.first_index, &made, err);
    if (status == MDLM_CANCELLED && j->status != MDLM_OK)
        return md_fail(err, j->status, "%s", j->error.message);
    if (status != MDLM_OK && status != MDLM_CANCELLED) return status;
    made.seconds = md_now() - start;
    mdlm_status kept = keep(j, &made, err);
    if (kept == MDLM_OK && status == MDLM_CANCELLED && err) err->message[0] = 0;
    return kept == MDLM_OK ? status : kept;
}

static mdlm_status sample_all(job *j, mdlm_error *err) {
    mdlm_status status = MDLM_OK;
    j->eta = md_eta_start(j->cli->common.quiet);
    md_eta_begin(&j->eta, "denoising");
    for (int64_t first = 0; status == MDLM_OK && first < j->total; first += AT_ONCE) {
        int64_t left = j->total - first;
        status = sample(j, first, (int)(left < AT_ONCE ? left : AT_ONCE), err);
    }
    md_eta_clear(&j->eta);
    return status;
}

/* On a terminal, unless told to be quiet; anywhere with --show. */
static mdlm_status show(const job *j, mdlm_error *err) {
    enum { COLUMNS = 80 };
    const md_cli_common *c = &j->cli->common;
    bool shown = false;
    if (j->files.folder || c->json) return MDLM_OK;
    if (!c->quiet || j->opt->show) MD_TRY(md_preview_show(&j->files.picture, &shown, err));
    if (shown || !j->opt->show) return MDLM_OK;
    md_buffer text = {0};
    mdlm_status status =
        md_preview_encode(MD_PREVIEW_BLOCKS, &j->files.picture, COLUMNS, &text, err);
    if (status == MDLM_OK) status = md_cli_write(text.data, text.size, err);
    md_buffer_release(&text);
    return status;
}

static mdlm_status finish(job *j, double seconds, mdlm_error *err) {
    char time[MD_SHORT_TEXT];
    MD_TRY(md_image_files_close(&j->files, err));
    if (j->files.count == 0) return MDLM_OK;
    MD_TRY(show(j, err));
    md_duration_text(seconds, time);
    md_cli_note(j->cli, "%lld images in '%s' after %s%s%s%s", (long long)j->files.count,
                j->opt->out, time, *j->opt->frames ? ", their denoising in '" : "", j->opt->frames,
                *j->opt->frames ? "'" : "");
    md_cli_image_edit_report(j->cli, &j->edit);
    return MDLM_OK;
}

static mdlm_status work(job *j, mdlm_error *err) {
    const double start = md_now();
    MD_TRY(md_cli_image_load(j->cli, &j->model, err));
    MD_TRY(open_sampler(j, err));
    MD_TRY(refuse_idle(j, err));
    MD_TRY(open_pictures(j, err));
    MD_TRY(open_cascade(j, err));
    MD_TRY(open_files(j, err));
    md_cli_signals_catch();
    MD_TRY(announce(j, err));
    md_cli_image_sampler_warn(j->cli, &j->sampler);
    mdlm_status status = sample_all(j, err);
    if (status != MDLM_OK && status != MDLM_CANCELLED) return status;
    mdlm_status finished = finish(j, md_now() - start, err);
    return finished == MDLM_OK ? status : finished;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const image_options *opt = cli->settings;
    job j = {.cli = cli,
             .opt = opt,
             .total = opt->num_samples,
             .edit = {.total = opt->num_samples, .first_index = opt->first_index}};
    mdlm_status status = work(&j, err);
    md_film_free(j.film);
    md_image_files_release(&j.files);
    md_cli_image_edit_release(&j.edit);
    md_cli_cascade_release(&j.cascade);
    md_cli_upscale_release(&j.upscale);
    md_cli_image_sampler_release(&j.sampler);
    md_cli_image_release(&j.classifier);
    md_cli_image_release(&j.model);
    md_free(j.label);
    md_free(j.x);
    return status;
}

static const md_cli_section sections[] = {{"Images", table},
                                          {"Sampling", md_cli_image_sampling_table},
                                          {"Guidance by a classifier", steering_table},
                                          {"Images from images", md_cli_image_editing_table},
                                          {"Larger images", upscale_table},
                                          {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"-n", "num_samples"}, {"-o", "out"}, {"--cfg-scale", "guidance_scale"}, {NULL, NULL}};

const md_command md_cmd_image_generate = {
    .name = "image-generate",
    .arguments = "",
    .summary =
        "Make images from noise or from images: a PNG grid or single images, shown on terminals.",
    .examples = "  mdlm image-generate                                  16 images in samples.png\n"
                "  mdlm image-generate --num-samples 64 --out grid.png  a grid of 8 by 8\n"
                "  mdlm image-generate --out images/ -n 1000            a file for each\n"
                "  mdlm image-generate --class circle --guidance-scale 3\n"
                "  mdlm image-generate --sampler dpm++                  fewer steps\n"
                "  mdlm image-generate -n 8 --frames film               watch them appear\n"
                "  mdlm image-generate --classifier guide-run --classifier-scale 2\n"
                "  mdlm image-generate --init-image cat.png --strength 0.5\n"
                "  mdlm image-generate --inpaint cat.png --mask hole.png\n"
                "  mdlm image-generate --interpolate cat.png,dog.png    from one to the other\n"
                "  mdlm image-generate --run upscaler --upscale small.png\n"
                "  mdlm image-generate --upscaler upscaler              draw, and make larger\n",
    .notes =
        "An image depends on the model, --seed and its number, not on how many are made at\n"
        "once. Files of the same names are replaced. Ctrl-C saves what there is. Scale 1 is the\n"
        "plain model of the class, larger scales follow the class more closely and vary less.\n",
    .settings_size = sizeof(image_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .of_images = true,
    .run = run,
};
