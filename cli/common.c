/* cli/common.c: see common.h. */
#include "cli/common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/eta.h"
#include "model/image_config.h"
#include "train/checkpoint.h"

#define MD_OPTION_STRUCT md_cli_common
const md_option md_cli_model_table[] = {MD_CLI_MODEL_OPTIONS(MD_OPTION_ROW){0}};
const md_option md_cli_common_table[] = {MD_CLI_COMMON_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

mdlm_status md_cli_weights(const md_cli *cli, char **path, mdlm_error *err) {
    const char *name = cli->common.weights;
    char *folder = NULL;
    if (!strcmp(name, "best")) return MDLM_OK;
    MD_TRY(md_checkpoint_newest(cli->model, &folder, err));
    bool raw = !strcmp(name, "raw");
    char *file = md_path_join(folder, raw ? "raw.safetensors" : "ema.safetensors", err);
    md_free(folder);
    if (!file) return MDLM_RUNTIME;
    if (raw || md_file_exists(file)) {
        *path = file;
        return MDLM_OK;
    }
    md_free(file);
    return md_fail(err, MDLM_INPUT,
                   "'%s' was trained with --ema 0 and keeps no averaged weights: see --weights raw",
                   cli->model);
}

/* Unless somebody chose it. */
static void note_dtype(const md_cli *cli, const char *dtype) {
    if (strcmp(cli->common.dtype, "auto") || !strcmp(dtype, "f32")) return;
    md_cli_note(cli, "'%s' takes over 4 GiB in f32: computed in %s (--dtype auto)", cli->model,
                dtype);
}

mdlm_status md_cli_load(const md_cli *cli, mdlm_model **out, mdlm_error *err) {
    if (!*cli->common.model && !md_is_dir(cli->model)) {
        return md_fail(err, MDLM_INPUT,
                       "there is no run in '%s': make one with `mdlm train corpus.txt`, or name a "
                       "model with --model",
                       cli->model);
    }
    if (md_image_config_in(cli->model))
        return md_fail(err, MDLM_INPUT,
                       "'%s' is a model of images: see `mdlm image-generate --help`", cli->model);
    char *weights = NULL;
    md_eta eta = md_eta_start(cli->common.quiet);
    MD_TRY(md_cli_weights(cli, &weights, err));
    mdlm_load_options opt = {.threads = cli->threads,
                             .kernels = cli->kernels,
                             .dtype = cli->common.dtype,
                             .weights = weights,
                             .on_progress = md_eta_update,
                             .user = &eta};
    md_eta_begin(&eta, "loading");
    mdlm_status status = mdlm_load(cli->model, &opt, out, err);
    md_eta_clear(&eta);
    md_free(weights);
    if (status == MDLM_OK) note_dtype(cli, mdlm_info(*out).dtype);
    return status;
}

const char *md_cli_argument(const md_cli *cli) {
    if (md_options_positional_count(cli->options) == 0) return NULL;
    return md_options_positional(cli->options, 0);
}

void md_cli_note(const md_cli *cli, const char *format, ...) {
    if (cli->common.quiet) return;
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

const char *md_cli_defaulted(const md_cli *cli, const char *name) {
    return md_options_origin(cli->options, name) == MD_ORIGIN_DEFAULT ? " (default)" : "";
}

mdlm_status md_cli_quote(md_buffer *out, const char *word, mdlm_error *err) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-+=./:,@%";
    if (*word && !word[strspn(word, plain)]) return md_buffer_text(out, word, err);
    MD_TRY(md_buffer_text(out, "'", err));
    for (; *word; word++) {
        if (*word == '\'')
            MD_TRY(md_buffer_text(out, "'\\''", err));
        else
            MD_TRY(md_buffer_append(out, word, 1, err));
    }
    return md_buffer_text(out, "'", err);
}

mdlm_status md_cli_command_line(const md_cli *cli, md_buffer *out, mdlm_error *err) {
    MD_TRY(md_buffer_text(out, "mdlm", err));
    for (int i = 1; i < cli->argc; i++) {
        MD_TRY(md_buffer_text(out, " ", err));
        MD_TRY(md_cli_quote(out, cli->argv[i], err));
    }
    return MDLM_OK;
}

const char *md_cli_default_run(const md_cli *cli) {
    return cli->command->of_images ? MD_CLI_DEFAULT_IMAGE_RUN : MD_CLI_DEFAULT_RUN;
}

mdlm_status md_cli_run_flag(const md_cli *cli, md_buffer *out, mdlm_error *err) {
    if (strcmp(cli->run, md_cli_default_run(cli)) == 0) return MDLM_OK;
    MD_TRY(md_buffer_text(out, " --run ", err));
    return md_cli_quote(out, cli->run, err);
}

mdlm_status md_cli_ids_parse(const char *text, size_t size, int vocab, md_ids *ids,
                             mdlm_error *err) {
    static const char between[] = " \t\r\n,";
    const char *c = text, *end = c + size;
    for (c += strspn(c, between); c < end; c += strspn(c, between)) {
        size_t length = strcspn(c, between);
        char *after = NULL;
        errno = 0;
        long id = strtol(c, &after, 10);
        if (errno || after != c + length || length == 0) {
            int shown = length < 40 ? (int)length : 40;
            return md_fail(err, MDLM_INPUT, "'%.*s' is not a token id", shown, c);
        }
        if (id < 0 || id >= vocab) {
            return md_fail(err, MDLM_INPUT,
                           "token id %ld is not in the vocabulary: expected 0 to %d", id,
                           vocab - 1);
        }
        MD_TRY(md_ids_push(ids, (int32_t)id, err));
        c += length;
    }
    return MDLM_OK;
}

mdlm_status md_cli_read(const char *path, md_buffer *out, mdlm_error *err) {
    bool standard = strcmp(path, "-") == 0;
    FILE *file = standard ? stdin : fopen(path, "rb");
    if (!file) return md_fail_errno(err, MDLM_INPUT, "cannot open '%s'", path);
    char piece[1 << 16];
    size_t count;
    mdlm_status status = MDLM_OK;
    errno = 0;
    while (status == MDLM_OK && (count = fread(piece, 1, sizeof piece, file)) > 0) {
        status = md_buffer_append(out, piece, count, err);
        errno = 0;
    }
    if (status == MDLM_OK && ferror(file)) {
        status = md_fail_errno(err, MDLM_INPUT, "cannot read '%s'", standard ? "stdin" : path);
    }
    if (!standard) fclose(file);
    return status;
}
