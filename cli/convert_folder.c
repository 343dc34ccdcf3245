/* cli/convert_folder.c: a model as a Hugging Face folder; see convert.h. */
#include <string.h>

#include "api/gguf_tokenizer.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/convert.h"
#include "model/lora.h"
#include "tensor/safetensors.h"
#include "train/run_folder.h"

enum {
    CONFIG_BYTES = 1 << 20,
    TOKENIZER_BYTES = 256 << 20,
    ROOM = 1 << 18, /* numbers in memory at once, or one row */
};

/* Taken over byte for byte, those that are there. */
static const char *const tokenizer_files[] = {
    "tokenizer.json",          "vocab.json",        "merges.txt",          "tokenizer_config.json",
    "special_tokens_map.json", "added_tokens.json", "chat_template.jinja", NULL};

static mdlm_status copy_file(const char *from, const char *to, mdlm_error *err) {
    char *bytes = NULL;
    size_t size;
    MD_TRY(md_file_read(from, TOKENIZER_BYTES, &bytes, &size, err));
    mdlm_status status = md_file_write(to, bytes, size, err);
    md_free(bytes);
    return status;
}

static mdlm_status copy_tokenizer(const char *home, const char *folder, mdlm_error *err) {
    mdlm_status status = MDLM_OK;
    for (const char *const *name = tokenizer_files; status == MDLM_OK && *name; name++) {
        char *from = md_path_join(home, *name, err), *to = md_path_join(folder, *name, err);
        if (!from || !to) status = MDLM_RUNTIME;
        if (status == MDLM_OK && md_file_exists(from)) status = copy_file(from, to, err);
        md_free(from);
        md_free(to);
    }
    return status;
}

/* One in a GGUF file becomes files. That it can be read, and fits the model, is known before the
 * weights are copied. */
static mdlm_status write_tokenizer(const md_conversion *c, const char *folder, mdlm_error *err) {
    const md_model_config *config = md_model_stream_config(c->model);
    md_tokenizer *tok = NULL;
    char *home = NULL;
    mdlm_status status;
    MD_TRY(md_model_tokenizer(c->in, config, &tok, err));
    if (md_gguf_is(c->in)) {
        status = md_tokenizer_save(tok, folder, config->seq_len, err);
    } else {
        status = md_lora_home(c->in, *tokenizer_files, &home, err);
        if (status == MDLM_OK) status = copy_tokenizer(home, folder, err);
    }
    md_tokenizer_free(tok);
    md_free(home);
    return status;
}

/* Puts the type of the stored weights into config.json. */
static mdlm_status name_dtype(const char *path, const char *dtype, mdlm_error *err) {
    cJSON *root = NULL;
    MD_TRY(md_json_load(path, CONFIG_BYTES, &root, err));
    cJSON *name = cJSON_CreateString(dtype);
    mdlm_status status = MDLM_RUNTIME;
    if (name && cJSON_ReplaceItemInObjectCaseSensitive(root, "torch_dtype", name)) {
        status = md_json_save(path, root, err);
    } else {
        cJSON_Delete(name);
        md_fail(err, MDLM_RUNTIME, "out of memory: cannot write '%s'", path);
    }
    cJSON_Delete(root);
    return status;
}

/* --- weights ---------------------------------------------------------------------------------- */

/* What is copied, and memory for some rows of it as numbers and as they are stored. */
typedef struct copying {
    const md_conversion *c;
    const md_st_source *list;
    const md_storage *type;
    md_real *rows;
    char *stored;
} copying;

/* A tensor of the list is the parameter of its index. */
static mdlm_status fill(void *context, const md_st_source *source, md_writer *file,
                        mdlm_error *err) {
    const copying *k = context;
    const int i = (int)(source - k->list);
    const md_params *params = md_model_stream_params(k->c->model);
    const int64_t cols = md_tensor_cols(md_params_tensor(params, i));
    const int64_t rows = md_tensor_rows(md_params_tensor(params, i));
    const int64_t piece = cols < ROOM ? ROOM / cols : 1;
    for (int64_t at = 0; at < rows; at += piece) {
        const int64_t n = piece < rows - at ? piece : rows - at;
        md_model_stream_rows(k->c->model, i, at, n, k->rows);
        k->type->write(k->rows, n * cols, k->stored);
        MD_TRY(md_writer_write(file, k->stored, (size_t)(n * cols) * k->type->bytes, err));
    }
    return md_stream_tell(&k->c->watch, i + 1, md_params_count(params), err);
}

static mdlm_status write_list(copying *k, md_st_source *list, const char *path, mdlm_error *err) {
    const md_params *params = md_model_stream_params(k->c->model);
    const md_st_filler filler = {.fill = fill, .context = k};
    const int count = md_params_count(params);
    cJSON *metadata = cJSON_CreateObject(); /* some loaders insist on it */
    mdlm_status status = MDLM_RUNTIME;
    for (int i = 0; i < count; i++) {
        const md_tensor *t = md_params_tensor(params, i);
        list[i] = (md_st_source){.name = md_params_name(params, i),
                                 .dtype = k->type == &md_storage_bf16 ? MD_ST_BF16 : MD_ST_F32,
                                 .rank = t->rank};
        memcpy(list[i].dim, t->dim, (size_t)t->rank * sizeof t->dim[0]);
    }
    k->list = list;
    if (cJSON_AddStringToObject(metadata, "format", "pt")) {
        status = md_safetensors_write_filled(path, list, count, metadata, &filler, err);
    } else {
        md_fail(err, MDLM_RUNTIME, "out of memory: cannot write '%s'", path);
    }
    cJSON_Delete(metadata);
    return status;
}

static mdlm_status write_weights(const md_conversion *c, const char *path, mdlm_error *err) {
    const md_params *params = md_model_stream_params(c->model);
    const int count = md_params_count(params);
    copying k = {.c = c, .type = strcmp(c->dtype, "bf16") ? &md_storage_f32 : &md_storage_bf16};
    size_t room = ROOM;
    mdlm_status status = MDLM_RUNTIME;
    for (int i = 0; i < count; i++) {
        const size_t cols = (size_t)md_tensor_cols(md_params_tensor(params, i));
        room = cols > room ? cols : room;
    }
    md_st_source *list = md_alloc((size_t)count, sizeof *list, err);
    k.rows = list ? md_alloc(room, sizeof *k.rows, err) : NULL;
    k.stored = k.rows ? md_alloc(room, k.type->bytes, err) : NULL;
    if (k.stored) status = write_list(&k, list, path, err);
    md_free(k.stored);
    md_free(k.rows);
    md_free(list);
    return status;
}

static mdlm_status write_model(const md_conversion *c, const char *folder, mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    char *config = md_path_join(folder, "config.json", err);
    char *weights = md_path_join(folder, "model.safetensors", err);
    if (!config || !weights) goto done;
    MD_GOTO(done, status, md_model_config_save(md_model_stream_config(c->model), folder, err));
    if (!strcmp(c->dtype, "bf16")) MD_GOTO(done, status, name_dtype(config, "bfloat16", err));
    status = write_weights(c, weights, err);
done:
    md_free(config);
    md_free(weights);
    return status;
}

/* Everything goes into a folder beside, which is renamed when it is complete. */
mdlm_status md_convert_to_folder(const md_conversion *c, mdlm_error *err) {
    char *staging = NULL, *aside = NULL;
    MD_TRY(md_run_stage(c->out, &staging, err));
    mdlm_status status = write_tokenizer(c, staging, err);
    if (status == MDLM_OK) status = write_model(c, staging, err);
    if (status == MDLM_OK) status = md_run_publish(staging, c->out, &aside, err);
    if (status != MDLM_OK) md_dir_remove(staging, NULL);
    md_free(staging);
    md_free(aside);
    return status;
}
