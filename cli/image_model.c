/* cli/image_model.c: see image_model.h. */
#include "cli/image_model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"

/* What a checkpoint says beside its weights. */
static mdlm_status take_state(md_cli_image_model *m, const char *weights, mdlm_error *err) {
    enum { LARGEST = 1 << 26 };
    mdlm_status status = MDLM_RUNTIME;
    cJSON *state = NULL;
    char *folder = md_strndup(weights, (size_t)(strrchr(weights, '/') - weights), err);
    char *path = folder ? md_path_join(folder, "state.json", err) : NULL;
    if (path) status = md_json_load(path, LARGEST, &state, err);
    if (status == MDLM_OK) status = md_image_setup_take_schedule(&m->setup, state, path, err);
    cJSON_Delete(state);
    md_free(path);
    md_free(folder);
    return status;
}

static mdlm_status load_network(const md_cli *cli, md_cli_image_model *m, mdlm_error *err) {
    char *weights = NULL;
    MD_TRY(md_cli_weights(cli, &weights, err));
    mdlm_status status = md_image_model_load(cli->model, weights, &m->net, NULL, err);
    if (status == MDLM_OK && weights) status = take_state(m, weights, err);
    md_free(weights);
    return status;
}

static mdlm_status open_setup(const md_cli *cli, md_cli_image_model *m, mdlm_error *err) {
    if (!*cli->common.model && !md_is_dir(cli->model))
        return md_fail(err, MDLM_INPUT,
                       "there is no run in '%s': make one with `mdlm image-train`, or name a model "
                       "with --model",
                       cli->model);
    if (strcmp(cli->common.dtype, "q8_0") == 0)
        return md_fail(err, MDLM_USAGE, "--dtype q8_0 is for text: expected f32 or bf16");
    return md_image_setup_load(cli->model, &m->setup, err);
}

/* The network is there, and what runs it. */
static void open_view(md_cli_image_model *m) {
    m->view = (md_image_view){.model = m->net, .tape = m->tape};
    if (md_image_config_classifies(&m->setup.config))
        m->classifier = md_image_model_classifier(&m->view);
    else
        m->denoiser = md_image_model_denoiser(&m->view);
}

static mdlm_status open_network(const md_cli *cli, md_cli_image_model *m, mdlm_error *err) {
    MD_TRY(load_network(cli, m, err));
    MD_TRY(md_kernels_init(&m->kernels, cli->kernels, err));
    const bool automatic = !strcmp(cli->common.dtype, "auto");
    MD_TRY(md_kernels_set_dtype(&m->kernels, automatic ? "f32" : cli->common.dtype, err));
    if (!(m->pool = md_pool_new(cli->threads, err))) return MDLM_RUNTIME;
    if (!(m->tape = md_tape_new(m->pool, &m->kernels, err))) return MDLM_RUNTIME;
    open_view(m);
    return MDLM_OK;
}

mdlm_status md_cli_image_load_any(const md_cli *cli, md_cli_image_model *m, mdlm_error *err) {
    MD_TRY(open_setup(cli, m, err));
    return open_network(cli, m, err);
}

mdlm_status md_cli_image_load(const md_cli *cli, md_cli_image_model *m, mdlm_error *err) {
    MD_TRY(open_setup(cli, m, err));
    if (!md_image_config_classifies(&m->setup.config)) return open_network(cli, m, err);
    return md_fail(
        err, MDLM_USAGE,
        "'%s' holds a classifier, which draws nothing: `mdlm image-eval` measures it, and "
        "--classifier lets it guide another model",
        cli->model);
}

void md_cli_image_release(md_cli_image_model *m) {
    if (!m->beside) {
        md_tape_free(m->tape);
        md_pool_free(m->pool);
    }
    md_image_model_free(m->net);
    md_image_setup_release(&m->setup);
}

/* --- another beside it ----------------------------------------------------------------------- */

mdlm_status md_cli_image_load_beside(md_cli_image_model *m, const char *option, const char *folder,
                                     md_cli_image_fits *fits, const md_cli_image_model *model,
                                     mdlm_error *err) {
    if (!md_is_dir(folder))
        return md_fail(err, MDLM_INPUT, "%s '%s': there is no such folder", option, folder);
    MD_TRY(md_image_setup_load(folder, &m->setup, err));
    MD_TRY(fits(folder, &m->setup, &model->setup, err));
    MD_TRY(md_image_model_load(folder, NULL, &m->net, NULL, err));
    m->beside = true;
    m->pool = model->pool;
    m->tape = model->tape;
    open_view(m);
    return MDLM_OK;
}

static mdlm_status check_classifier(const char *folder, const md_image_setup *c,
                                    const md_image_setup *model, mdlm_error *err) {
    const md_image_shape a = c->config.shape, b = model->config.shape;
    if (!md_image_config_classifies(&c->config))
        return md_fail(err, MDLM_USAGE,
                       "--classifier '%s' holds no classifier: `mdlm image-train --task classify` "
                       "makes one",
                       folder);
    if (a.Y != b.Y || a.X != b.X || a.C != b.C)
        return md_fail(
            err, MDLM_USAGE,
            "--classifier '%s' is for images of %dx%dx%d: those of the model are %dx%dx%d", folder,
            a.X, a.Y, a.C, b.X, b.Y, b.C);
    bool same = c->config.classes == model->config.classes;
    for (size_t i = 0; same && i < c->class_names.count; i++)
        same = strcmp(c->class_names.items[i], model->class_names.items[i]) == 0;
    if (same || model->config.classes == 0) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "--classifier '%s' tells other classes apart than those of the model", folder);
}

mdlm_status md_cli_classifier_load(md_cli_image_model *c, const char *folder,
                                   const md_cli_image_model *model, mdlm_error *err) {
    return md_cli_image_load_beside(c, "--classifier", folder, check_classifier, model, err);
}

/* --- classes --------------------------------------------------------------------------------- */

const char *md_cli_class_name(const md_image_setup *setup, int32_t label, char number[16]) {
    if (label < 0) return "none";
    if ((size_t)label < setup->class_names.count) return setup->class_names.items[label];
    snprintf(number, 16, "%d", label);
    return number;
}

/* -2: there is no such class. */
static int32_t find_class(const md_image_setup *setup, const char *word) {
    char *end = NULL;
    if (strcmp(word, "none") == 0) return -1;
    for (size_t i = 0; i < setup->class_names.count; i++)
        if (strcmp(word, setup->class_names.items[i]) == 0) return (int32_t)i;
    long number = strtol(word, &end, 10);
    bool known = *word && !*end && number >= 0 && number < setup->config.classes;
    return known ? (int32_t)number : -2;
}

static mdlm_status refuse_class(const md_image_setup *setup, const char *word, mdlm_error *err) {
    char first[16], last[16];
    const int classes = setup->config.classes;
    if (classes == 0)
        return md_fail(err, MDLM_USAGE, "--class '%.60s': the model was trained without classes",
                       word);
    const char *near =
        md_suggest(word, (const char *const *)setup->class_names.items, setup->class_names.count);
    if (near)
        return md_fail(err, MDLM_USAGE, "--class '%.60s' is not known; did you mean '%s'?", word,
                       near);
    return md_fail(err, MDLM_USAGE,
                   "--class '%.60s' is not known: expected one of the %d from '%s' to '%s', its "
                   "number from 0, all, or none",
                   word, classes, md_cli_class_name(setup, 0, first),
                   md_cli_class_name(setup, classes - 1, last));
}

/* Words of `list` are cut apart in place. */
static mdlm_status parse_list(const md_image_setup *setup, char *list, int32_t *out, int *count,
                              mdlm_error *err) {
    for (char *word = list; word;) {
        char *comma = strchr(word, ',');
        if (comma) *comma = 0;
        int32_t label = find_class(setup, word);
        if (label < -1) return refuse_class(setup, word, err);
        out[(*count)++] = label;
        word = comma ? comma + 1 : NULL;
    }
    return MDLM_OK;
}

mdlm_status md_cli_classes_parse(const md_image_setup *setup, const char *text, int32_t **out,
                                 int *count, mdlm_error *err) {
    const bool all = strcmp(text, "all") == 0 && setup->config.classes > 0;
    const size_t most = all ? (size_t)setup->config.classes : strlen(text) + 1;
    int32_t *labels = md_alloc(most, sizeof *labels, err);
    char *list = md_strdup(text, err);
    int found = 0;
    mdlm_status status = labels && list ? MDLM_OK : MDLM_RUNTIME;
    if (status == MDLM_OK && all)
        for (; found < setup->config.classes; found++) labels[found] = found;
    else if (status == MDLM_OK)
        status = parse_list(setup, list, labels, &found, err);
    md_free(list);
    if (status == MDLM_OK) {
        *out = labels;
        *count = found;
    } else {
        md_free(labels);
    }
    return status;
}
