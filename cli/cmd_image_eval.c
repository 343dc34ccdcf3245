/* cli/cmd_image_eval.c: `mdlm image-eval`: the bound on the likelihood of images, with its parts
 * and both its errors (diffusion/gaussian_bound.h); samples beside real images (eval_judge.h);
 * classifiers (eval_labels.h) and upscalers (eval_upscale.h). */
#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/eta.h"
#include "cli/eval_images.h"
#include "cli/eval_judge.h"
#include "cli/eval_labels.h"
#include "cli/eval_upscale.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "diffusion/gaussian_bound.h"

#define EVAL_OPTIONS(X) \
    X(INT, vlb_steps, 32, 4, 200000, \
      "evaluations of the network per image, spread over the noise levels by strata; twice the " \
      "model's timesteps measures every level twice") \
    X(INT, num_samples, 0, 1, 1000000000, \
      "images to score, and samples to judge; 1000, or all if there are fewer") \
    X(TEXT, range, "", 0, 0, "A:B: images A to B - 1 of DATA alone") \
    X(TEXT, labels, "", 0, 0, "IDX file of labels; found by its name if not given") \
    X(CHOICE, split, "auto", 0, 0, \
      "auto|all|val|train: part of the images; auto is all, or of the run's own the validation " \
      "part") \
    X(FLAG, class_free, false, 0, 0, \
      "tell a model that knows classes none of them; labels do not matter") \
    X(TEXT, items, "", 0, 0, "write each image's result to this file")

#define JUDGE_OPTIONS(X) \
    X(FLAG, frechet, false, 0, 0, \
      "judge samples beside real images in the features of --classifier: Frechet distance, label " \
      "accuracy, precision, recall, coverage; --num-samples of them") \
    X(TEXT, classifier, "", 0, 0, "run of image-train --task classify") \
    X(TEXT, samples, "", 0, 0, \
      "folder with the images to judge, as image-generate writes them (with the same --class); " \
      "sampled here if not given") \
    X(INT, references, 10000, 6, 1000000, "real images that samples are compared with, at most") \
    X(INT, resamples, 200, 0, 100000, \
      "of the bootstrap that tells how far a distance is to trust") \
    X(FLAG, bound, true, 0, 0, "the bound too; --no-bound: samples alone are judged")

typedef struct eval_options {
    md_cli_image_sampling sampling; /* first, so that its table fits */
    EVAL_OPTIONS(MD_OPTION_FIELD)
    JUDGE_OPTIONS(MD_OPTION_FIELD)
} eval_options;

#define MD_OPTION_STRUCT eval_options
static const md_option table[] = {EVAL_OPTIONS(MD_OPTION_ROW){0}};
static const md_option judge_table[] = {JUDGE_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

enum { USUAL_IMAGES = 1000, PIXELS = 1 << 16 }; /* the second: of images that are scored at once */

typedef struct job {
    const md_cli *cli;
    const eval_options *opt;
    md_cli_image_model model;
    md_eval_images from;
    int64_t count; /* images to be scored */
    int at_once;
    float *x;        /* [at_once, Y, X, C] */
    int32_t *label;  /* [at_once] */
    double *bits;    /* [at_once] */
    md_bound *bound; /* NULL: not asked for */
    md_writer *items;
    md_eval_judge judge;
    md_eta eta;
} job;

/* --- opening ---------------------------------------------------------------------------------- */

static mdlm_status make_room(job *j, mdlm_error *err) {
    const md_image_shape s = j->model.setup.config.shape;
    const size_t pixels = (size_t)s.Y * (size_t)s.X;
    j->at_once = pixels < PIXELS ? (int)(PIXELS / pixels) : 1;
    const size_t n = (size_t)j->at_once;
    j->x = md_alloc(n, pixels * (size_t)s.C * sizeof *j->x, err);
    j->label = md_alloc(n, sizeof *j->label, err);
    j->bits = md_alloc(n, sizeof *j->bits, err);
    return j->x && j->label && j->bits ? MDLM_OK : MDLM_RUNTIME;
}

static void choose_count(job *j) {
    const int64_t all = j->from.loader.count;
    j->count = j->opt->num_samples > 0 ? j->opt->num_samples : USUAL_IMAGES;
    if (j->count > all && j->opt->num_samples > 0)
        md_cli_note(j->cli, "note: there are %lld images", (long long)all);
    if (j->count > all) j->count = all;
}

static int on_call(void *user, int64_t evaluations) {
    job *j = user;
    int strata;
    (void)md_bound_strata(j->bound, &strata);
    return md_eta_update(&j->eta, evaluations, 2 * strata * j->count);
}

static mdlm_status open_bound(job *j, mdlm_error *err) {
    const md_bound_options opt = {.steps = (int)j->opt->vlb_steps,
                                  .batch = j->at_once,
                                  .seed = (uint64_t)j->cli->common.seed,
                                  .clip = true,
                                  .pool = j->model.pool,
                                  .on_call = on_call,
                                  .user = j};
    return md_bound_new(&j->model.setup.process, &j->model.denoiser, &opt, &j->bound, err);
}

static bool is_upscaler(const job *j) {
    return j->model.setup.config.factor > 0;
}

/* What is of no use for this kind of model, without --frechet, or without the bound. */
static mdlm_status refuse_idle(const job *j, mdlm_error *err) {
    static const char *const drawing[] = {"vlb_steps", "class_free", "frechet", NULL};
    static const char *const judging[] = {"classifier", "samples", "references",
                                          "resamples",  "bound",   NULL};
    static const char *const bound[] = {"vlb_steps", "items", "split", NULL};
    static const char *const items[] = {"items", NULL};
    const md_options *o = j->cli->options;
    if (j->model.classifier.classify || is_upscaler(j))
        MD_TRY(md_options_refuse(o, drawing, "models that draw from noise alone", err));
    if (is_upscaler(j)) MD_TRY(md_options_refuse(o, items, "bounds and classifiers", err));
    if (!j->opt->frechet) MD_TRY(md_options_refuse(o, judging, "--frechet", err));
    if (!j->opt->bound) MD_TRY(md_options_refuse(o, bound, "the bound", err));
    for (const md_option *s = md_cli_image_sampling_table; s->name; s++)
        if (!j->opt->frechet && !is_upscaler(j))
            MD_TRY(md_options_refuse(o, (const char *const[]){s->name, NULL}, "--frechet", err));
    return MDLM_OK;
}

static mdlm_status open_judge(job *j, mdlm_error *err) {
    const eval_options *o = j->opt;
    j->judge = (md_eval_judge){.cli = j->cli,
                               .model = &j->model,
                               .from = &j->from,
                               .choice = {.classifier = o->classifier,
                                          .samples = o->samples,
                                          .count = o->num_samples,
                                          .references = o->references,
                                          .resamples = (int)o->resamples,
                                          .sampling = &o->sampling}};
    return md_eval_judge_open(&j->judge, err);
}

static mdlm_status open_all(job *j, mdlm_error *err) {
    const eval_options *o = j->opt;
    const md_eval_images_choice choice = {.labels = o->labels,
                                          .range = o->range,
                                          .split = o->bound ? o->split : "all",
                                          .class_free = o->class_free};
    MD_TRY(md_cli_image_load_any(j->cli, &j->model, err));
    MD_TRY(refuse_idle(j, err));
    MD_TRY(md_eval_images_open(&j->from, j->cli, &j->model.setup, &choice, err));
    if (o->frechet) MD_TRY(open_judge(j, err));
    if (!o->bound) return MDLM_OK;
    if (*o->items) MD_TRY(md_writer_open(o->items, &j->items, err));
    choose_count(j);
    return make_room(j, err);
}

static const char *classes_text(const job *j) {
    if (j->from.labelled) return "told their classes";
    if (j->model.setup.config.classes == 0) return "of a model without classes";
    return j->opt->class_free ? "told no classes" : "told no classes, as they have no labels";
}

static void describe(const job *j) {
    const md_cli *cli = j->cli;
    const md_image_shape s = j->model.setup.config.shape;
    int strata;
    (void)md_bound_strata(j->bound, &strata);
    md_cli_note(cli,
                "%s: %lld of %lld images%s of '%s', split %s, %dx%d, %d channel%s, %s, %d "
                "evaluations each%s, weights %s%s, seed %lld%s",
                cli->model, (long long)j->count, (long long)j->from.loader.count,
                md_cli_defaulted(cli, "num_samples"), j->from.source, j->from.split, s.X, s.Y, s.C,
                s.C == 1 ? "" : "s", classes_text(j), 2 * strata,
                md_cli_defaulted(cli, "vlb_steps"), cli->common.weights,
                md_cli_defaulted(cli, "weights"), (long long)cli->common.seed,
                md_cli_defaulted(cli, "seed"));
    if (j->model.setup.process.opt.process == MD_PROCESS_FLOW)
        md_cli_note(cli,
                    "note: this is the bound of the flow's levels as a chain, which a flow is not "
                    "trained for: at the finest ones it may be far from tight");
}

/* --- scoring ---------------------------------------------------------------------------------- */

static mdlm_status write_items(const job *j, int64_t first, int count, mdlm_error *err) {
    for (int i = 0; j->items && i < count; i++) {
        char number[16];
        const int32_t label = j->from.labelled ? j->label[i] : -1;
        md_json_line line;
        md_json_begin(&line);
        md_json_put_int(&line, "index", md_eval_images_number(&j->from, first + i));
        md_json_put_string(&line, "class",
                           label < 0 ? NULL : md_cli_class_name(&j->model.setup, label, number));
        md_json_put_real(&line, "bits_per_dim", j->bits[i]);
        MD_TRY(md_json_end_in(&line, j->items, err));
    }
    return MDLM_OK;
}

static mdlm_status score_all(job *j, mdlm_error *err) {
    for (int64_t first = 0; first < j->count; first += j->at_once) {
        const int64_t left = j->count - first;
        const int count = left < j->at_once ? (int)left : j->at_once;
        const md_bound_batch batch = {.images = j->x,
                                      .labels = j->from.labelled ? j->label : NULL,
                                      .count = count,
                                      .first = first};
        md_image_loader_read(&j->from.loader, first, count, j->x, j->label);
        MD_TRY(md_bound_add(j->bound, &batch, j->bits, err));
        MD_TRY(write_items(j, first, count, err));
    }
    return MDLM_OK;
}

static mdlm_status score(job *j, md_bound_report *report, mdlm_error *err) {
    MD_TRY(open_bound(j, err));
    describe(j);
    md_eta_begin(&j->eta, "scoring");
    MD_TRY(score_all(j, err));
    md_eta_clear(&j->eta);
    if (j->items) MD_TRY(md_writer_commit(j->items, err));
    *report = md_bound_finish(j->bound);
    return MDLM_OK;
}

/* --- telling ---------------------------------------------------------------------------------- */

static void put_bound(const job *j, const md_bound_report *r, md_json_line *line) {
    int count;
    const md_stratum *strata = md_bound_strata(j->bound, &count);
    md_json_put_real(line, "bits_per_dim", r->bits_per_dim);
    md_json_put_real(line, "stderr", r->stderr_data);
    md_json_put_real(line, "stderr_mc", r->stderr_mc);
    md_json_put_real(line, "stderr_data", r->stderr_data);
    md_json_put_real(line, "prior", r->prior);
    md_json_put_real(line, "decoder", r->decoder);
    md_json_put_real(line, "vlb_terms", r->terms);
    md_json_put_int(line, "images", r->images);
    md_json_put_int(line, "evaluations", r->evaluations);
    md_json_put_int(line, "vlb_steps", 2 * count);
    md_json_put_flag(line, "classes", j->from.labelled);
    md_json_open(line, "strata", '[');
    for (int i = 0; i < count; i++) {
        md_json_open(line, NULL, '{');
        md_json_put_int(line, "first", strata[i].first);
        md_json_put_int(line, "end", strata[i].end);
        md_json_put_real(line, "bits", strata[i].bits / (double)r->images);
        md_json_close(line, '}');
    }
    md_json_close(line, ']');
}

static mdlm_status print_json(const job *j, const md_bound_report *r, mdlm_error *err) {
    md_json_line line;
    md_json_begin(&line);
    if (j->bound) put_bound(j, r, &line);
    if (j->opt->frechet) md_eval_judge_put(&j->judge, &line);
    md_json_put_string(&line, "source", j->from.source);
    md_json_put_string(&line, "split", j->from.split);
    md_json_put_string(&line, "weights", j->cli->common.weights);
    return md_json_end(&line, err);
}

static mdlm_status print_text(const job *j, const md_bound_report *r, mdlm_error *err) {
    const int levels = j->model.setup.process.T;
    char data[32] = "n/a";
    if (isfinite(r->stderr_data)) snprintf(data, sizeof data, "%.4f", r->stderr_data);
    MD_TRY(md_cli_print(err, "%-20s %-12s %s\n", "", "+- images", "+- draws"));
    MD_TRY(md_cli_print(err, "%-11s %8.4f %-12s %.4f\n", "bits/dim", r->bits_per_dim, data,
                        r->stderr_mc));
    MD_TRY(md_cli_print(err, "%-11s %8.4f   from the least noise to the pixels\n", "decoder",
                        r->decoder));
    MD_TRY(md_cli_print(err, "%-11s %8.4f   of the %d levels of noise above\n", "terms", r->terms,
                        levels - 1));
    MD_TRY(md_cli_print(err, "%-11s %8.4f   of the noise that sampling begins with\n", "prior",
                        r->prior));
    return md_cli_print(err,
                        "%lld images, %lld evaluations: an upper bound on -log2 p, per pixel and "
                        "channel\n+- images: as an estimate for others of their kind, which more "
                        "images make smaller\n+- draws: for these images, which a larger "
                        "--vlb-steps makes smaller\n",
                        (long long)r->images, (long long)r->evaluations);
}

/* Of a classifier: how many it tells right. */
static mdlm_status evaluate_labels(job *j, mdlm_error *err) {
    const md_eval_labels eval = {.cli = j->cli,
                                 .model = &j->model,
                                 .from = &j->from,
                                 .count = j->count,
                                 .at_once = j->at_once,
                                 .x = j->x,
                                 .label = j->label,
                                 .items = j->items,
                                 .eta = &j->eta};
    MD_TRY(md_eval_labels_run(&eval, err));
    return j->items ? md_writer_commit(j->items, err) : MDLM_OK;
}

/* Of a model that makes images larger: how near it comes to what they were. */
static mdlm_status evaluate_upscaler(job *j, mdlm_error *err) {
    const md_eval_upscale eval = {.cli = j->cli,
                                  .model = &j->model,
                                  .from = &j->from,
                                  .sampling = &j->opt->sampling,
                                  .count = j->count,
                                  .eta = &j->eta};
    return md_eval_upscale_run(&eval, err);
}

static mdlm_status evaluate(job *j, mdlm_error *err) {
    const eval_options *o = j->opt;
    md_bound_report report = {0};
    MD_TRY(open_all(j, err));
    if (j->model.classifier.classify) return evaluate_labels(j, err);
    if (is_upscaler(j)) return evaluate_upscaler(j, err);
    if (o->bound) MD_TRY(score(j, &report, err));
    if (o->frechet) MD_TRY(md_eval_judge_run(&j->judge, &j->eta, err));
    if (j->cli->common.json) return print_json(j, &report, err);
    if (o->bound) MD_TRY(print_text(j, &report, err));
    return o->frechet ? md_eval_judge_print(&j->judge, err) : MDLM_OK;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    job j = {.cli = cli, .opt = cli->settings, .eta = md_eta_start(cli->common.quiet)};
    md_cli_signals_catch();
    mdlm_status status = evaluate(&j, err);
    md_eta_clear(&j.eta);
    md_writer_free(j.items);
    md_bound_free(j.bound);
    md_free(j.bits);
    md_free(j.label);
    md_free(j.x);
    md_eval_judge_release(&j.judge);
    md_eval_images_release(&j.from);
    md_cli_image_release(&j.model);
    return status;
}

static const md_cli_section sections[] = {{"Evaluation", table},
                                          {"Judging samples", judge_table},
                                          {"Sampling", md_cli_image_sampling_table},
                                          {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"-n", "num_samples"}, {"--cfg-scale", "guidance_scale"}, {NULL, NULL}};

const md_command md_cmd_image_eval = {
    .name = "image-eval",
    .arguments = "[DATA]",
    .summary =
        "Bound the likelihood of images, judge samples beside them, or measure a classifier.",
    .examples =
        "  mdlm image-eval                           the validation part of the run's images\n"
        "  mdlm image-eval t10k-images-idx3-ubyte.gz --range 9000:10000   what it never saw\n"
        "  mdlm image-eval photos/ -n 200 --vlb-steps 1000   fewer images, each more exactly\n"
        "  mdlm image-eval --class-free              without telling it the classes\n"
        "  mdlm image-eval --frechet --classifier judge/   samples beside real images, too\n"
        "  mdlm image-eval --frechet --classifier judge/ --no-bound --sampler ddim --steps 50\n"
        "  mdlm image-eval --run classifier-run      of a classifier: how many it tells right\n"
        "  mdlm image-eval --run upscaler-run        of one that enlarges: PSNR beside bicubic\n"
        "  mdlm image-eval --weights raw --json      the last weights, not averaged\n",
    .notes = "The bound is the sum of three parts: of the prior, of the decoder, and of the steps\n"
             "between, of which --vlb-steps are drawn. DATA is what image-train takes. Images are\n"
             "taken in a mixed order. --items writes JSON lines: index (in DATA), class and\n"
             "bits_per_dim; of a classifier index, class, told and nats, -ln p(class).\n"
             "--frechet compares with all of DATA, of which a part that is kept apart stands in\n"
             "the samples' place for the floor; distances of one classifier and one number of\n"
             "samples can be compared.\n",
    .settings_size = sizeof(eval_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .of_images = true,
    .max_positional = 1,
    .run = run,
};
