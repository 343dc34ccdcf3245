/* cli/eval_labels.c: see eval_labels.h. */
#include "cli/eval_labels.h"

#include <math.h>
#include <stdio.h>

#include "base/interval.h"
#include "base/memory.h"
#include "cli/output.h"
#include "train/image_labels.h"

enum { LEVELS = 11 }; /* from the least noise to the most */

typedef struct scoring {
    const md_eval_labels *e;
    int levels; /* 1 of a classifier for clean images */
    int level[LEVELS];
    md_label_score score[LEVELS];
    int *each; /* [at_once] the level of each image of a batch */
    md_label_judge judge;
} scoring;

static void choose_levels(scoring *s) {
    const int T = s->e->model->setup.process.T;
    s->levels = s->e->model->classifier.noisy ? LEVELS : 1;
    for (int i = 0; i < s->levels; i++) s->level[i] = (int)((int64_t)i * (T - 1) / (LEVELS - 1));
}

/* --- scoring --------------------------------------------------------------------------------- */

/* What it said of the images that the judge saw last. */
static mdlm_status write_items(const scoring *s, int64_t first, int count, mdlm_error *err) {
    const md_eval_labels *e = s->e;
    const md_image_setup *setup = &e->model->setup;
    for (int i = 0; e->items && i < count; i++) {
        const float *log_p = s->judge.log_p + (size_t)i * (size_t)setup->config.classes;
        const int32_t label = e->label[i];
        char number[16];
        const int best = md_label_likeliest(log_p, setup->config.classes);
        md_json_line line;
        md_json_begin(&line);
        md_json_put_int(&line, "index", md_eval_images_number(e->from, first + i));
        md_json_put_string(&line, "class",
                           label < 0 ? NULL : md_cli_class_name(setup, label, number));
        md_json_put_string(&line, "told", md_cli_class_name(setup, best, number));
        md_json_put_real(&line, "nats", label < 0 ? NAN : -(double)log_p[label]);
        MD_TRY(md_json_end_in(&line, e->items, err));
    }
    return MDLM_OK;
}

static mdlm_status score_batch(scoring *s, int64_t first, int count, mdlm_error *err) {
    const md_eval_labels *e = s->e;
    const md_label_batch batch = {
        .images = e->x, .labels = e->label, .level = s->each, .count = count, .first = first};
    md_image_loader_read(&e->from->loader, first, count, e->x, e->label);
    for (int l = 0; l < s->levels; l++) {
        const int64_t done = first * s->levels + (int64_t)l * count;
        for (int i = 0; i < count; i++) s->each[i] = s->level[l];
        MD_TRY(md_label_judge_add(&s->judge, &batch, &s->score[l], err));
        if (l == 0) MD_TRY(write_items(s, first, count, err));
        if (md_eta_update(e->eta, done + count, e->count * s->levels))
            return md_fail(err, MDLM_CANCELLED, "stopped");
    }
    return MDLM_OK;
}

static mdlm_status score_all(scoring *s, mdlm_error *err) {
    const md_eval_labels *e = s->e;
    const bool noisy = e->model->classifier.noisy;
    s->judge = (md_label_judge){.classifier = &e->model->classifier,
                                .process = noisy ? &e->model->setup.process : NULL,
                                .seed = (uint64_t)e->cli->common.seed};
    MD_TRY(md_label_judge_init(&s->judge, e->at_once, err));
    s->each = md_alloc((size_t)e->at_once, sizeof *s->each, err);
    if (!s->each) return MDLM_RUNTIME;
    for (int64_t first = 0; first < e->count; first += e->at_once) {
        const int64_t left = e->count - first;
        MD_TRY(score_batch(s, first, left < e->at_once ? (int)left : e->at_once, err));
    }
    if (s->score[0].images > 0) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "not one of the %lld images of '%s' has a class",
                   (long long)e->count, e->from->source);
}

/* --- telling --------------------------------------------------------------------------------- */

static double accuracy_of(const md_label_score *score) {
    return (double)score->right / (double)score->images;
}

static double sigma_of(const scoring *s, int l) {
    const md_level at = md_gaussian_level(&s->e->model->setup.process, s->level[l]);
    return at.noise / at.signal;
}

static mdlm_status print_json(const scoring *s, mdlm_error *err) {
    const md_label_score *least = &s->score[0];
    const md_interval share = md_wilson(least->right, least->images);
    md_json_line line;
    md_json_begin(&line);
    md_json_put_real(&line, "accuracy", accuracy_of(least));
    md_json_put_real(&line, "accuracy_low", share.low);
    md_json_put_real(&line, "accuracy_high", share.high);
    md_json_put_real(&line, "loss_nats", md_label_score_nats(least));
    md_json_put_real(&line, "stderr", md_label_score_stderr(least));
    md_json_put_int(&line, "images", least->images);
    md_json_put_int(&line, "classes", s->e->model->classifier.classes);
    md_json_put_string(&line, "source", s->e->from->source);
    md_json_put_string(&line, "split", s->e->from->split);
    md_json_put_string(&line, "weights", s->e->cli->common.weights);
    md_json_put_flag(&line, "noisy", s->e->model->classifier.noisy);
    md_json_open(&line, "levels", '[');
    for (int l = 0; s->e->model->classifier.noisy && l < s->levels; l++) {
        md_json_open(&line, NULL, '{');
        md_json_put_int(&line, "level", s->level[l]);
        md_json_put_real(&line, "noise_to_signal", sigma_of(s, l));
        md_json_put_real(&line, "accuracy", accuracy_of(&s->score[l]));
        md_json_put_real(&line, "loss_nats", md_label_score_nats(&s->score[l]));
        md_json_close(&line, '}');
    }
    md_json_close(&line, ']');
    return md_json_end(&line, err);
}

static mdlm_status print_text(const scoring *s, mdlm_error *err) {
    const md_label_score *least = &s->score[0];
    const md_interval share = md_wilson(least->right, least->images);
    const bool noisy = s->e->model->classifier.noisy;
    char error[32] = "n/a";
    if (least->images > 1) snprintf(error, sizeof error, "%.4f", md_label_score_stderr(least));
    MD_TRY(md_cli_print(err, "accuracy  %6.2f%%   (%.2f to %.2f, 95%%)%s\n",
                        100 * accuracy_of(least), 100 * share.low, 100 * share.high,
                        noisy ? " at the least noise" : ""));
    MD_TRY(md_cli_print(err, "loss      %7.4f   +- %s nats/image\n", md_label_score_nats(least),
                        error));
    MD_TRY(md_cli_print(err, "%lld images\n", (long long)least->images));
    if (!noisy) return MDLM_OK;
    MD_TRY(md_cli_print(err, "\n%8s %14s %10s %12s\n", "level", "noise/signal", "accuracy",
                        "nats/image"));
    for (int l = 0; l < s->levels; l++)
        MD_TRY(md_cli_print(err, "%8d %14.4g %9.2f%% %12.4f\n", s->level[l], sigma_of(s, l),
                            100 * accuracy_of(&s->score[l]), md_label_score_nats(&s->score[l])));
    return MDLM_OK;
}

static void describe(const md_eval_labels *e) {
    const md_cli *cli = e->cli;
    md_cli_note(cli, "classifier %s, %lld%s of %lld images from %s (%s), %d classes, weights %s%s",
                cli->model, (long long)e->count, md_cli_defaulted(cli, "num_samples"),
                (long long)e->from->loader.count, e->from->source, e->from->split,
                e->model->classifier.classes, cli->common.weights,
                md_cli_defaulted(cli, "weights"));
}

mdlm_status md_eval_labels_run(const md_eval_labels *e, mdlm_error *err) {
    scoring s = {.e = e};
    choose_levels(&s);
    describe(e);
    md_eta_begin(e->eta, "telling");
    mdlm_status status = score_all(&s, err);
    md_eta_clear(e->eta);
    if (status == MDLM_OK) status = e->cli->common.json ? print_json(&s, err) : print_text(&s, err);
    md_free(s.each);
    md_label_judge_release(&s.judge);
    return status;
}
