/* train/checkpoint_load.c: checking and loading checkpoints. See checkpoint.h. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "tensor/safetensors.h"
#include "train/checkpoint_internal.h"

enum { FILES = MD_CHECKPOINT_FILES, MANIFEST_BYTES = 1 << 16, STATE_BYTES = 1 << 26 };

/* --- what the manifest promises --------------------------------------------------------------- */

static mdlm_status verify_file(const cJSON *entry, const char *manifest, const char *path,
                               mdlm_error *err) {
    int64_t expected = 0, found = 0;
    const char *text = NULL;
    uint64_t hash = 0;
    char digits[24];
    MD_TRY(md_json_int(entry, "bytes", manifest, 0, INT64_MAX, &expected, err));
    MD_TRY(md_json_text(entry, "xxh3", manifest, &text, err));
    MD_TRY(md_file_size(path, &found, err));
    if (found != expected) {
        return md_fail(err, MDLM_INPUT, "'%s' is damaged: expected %lld bytes, found %lld", path,
                       (long long)expected, (long long)found);
    }
    MD_TRY(md_file_hash(path, &hash, err));
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)hash);
    if (strcmp(digits, text) == 0) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s' is damaged: expected hash '%.16s', found '%s'", path,
                   text, digits);
}

static mdlm_status verify_files(const cJSON *files, const char *folder, const char *manifest,
                                bool has[FILES], mdlm_error *err) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, files) {
        int file = 0;
        while (file < FILES && strcmp(md_checkpoint_file[file], entry->string) != 0) file++;
        if (file == FILES) {
            return md_fail(err, MDLM_INPUT, "'%s' lists an unknown file: '%s'", manifest,
                           entry->string);
        }
        char *path = md_path_join(folder, md_checkpoint_file[file], err);
        if (!path) return MDLM_RUNTIME;
        mdlm_status status = verify_file(entry, manifest, path, err);
        md_free(path);
        if (status != MDLM_OK) return status;
        has[file] = true;
    }
    for (int i = 0; i < FILES; i++) {
        if (has[i] || i == MD_CHECKPOINT_EMA) continue;
        return md_fail(err, MDLM_INPUT, "'%s' does not list '%s'", manifest, md_checkpoint_file[i]);
    }
    return MDLM_OK;
}

/* Whether the folder is the checkpoint of `step` and each file is what the manifest says. */
static mdlm_status verify(const char *folder, int64_t step, bool has[FILES], mdlm_error *err) {
    cJSON *json = NULL;
    const char *format = NULL;
    int64_t version = 0, found = 0;
    mdlm_status status = MDLM_RUNTIME;
    char *path = md_path_join(folder, MD_CHECKPOINT_MANIFEST, err);
    if (!path) goto done;
    MD_GOTO(done, status, md_json_load(path, MANIFEST_BYTES, &json, err));
    MD_GOTO(done, status, md_json_text(json, "format", path, &format, err));
    if (strcmp(format, MD_CHECKPOINT_FORMAT) != 0) {
        status = md_fail(err, MDLM_INPUT, "'%s': expected format '%s', found '%s'", path,
                         MD_CHECKPOINT_FORMAT, format);
        goto done;
    }
    MD_GOTO(done, status,
            md_json_int(json, "version", path, MD_CHECKPOINT_VERSION, MD_CHECKPOINT_VERSION,
                        &version, err));
    MD_GOTO(done, status, md_json_int(json, "step", path, step, step, &found, err));
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(json, "files");
    if (!cJSON_IsObject(files)) {
        status = md_fail(err, MDLM_INPUT, "'%s' has no object 'files'", path);
        goto done;
    }
    status = verify_files(files, folder, path, has, err);
done:
    cJSON_Delete(json);
    md_free(path);
    return status;
}

/* --- what training needs of the files --------------------------------------------------------- */

static mdlm_status check_tensor(const char *path, const md_st_entry *e, const md_tensor *t,
                                mdlm_error *err) {
    MD_TRY(md_tensor_check_shape(t, e->rank, e->dim, path, e->name, err));
    if (e->dtype != MD_ST_F32) {
        return md_fail(err, MDLM_INPUT, "'%s': expected F32, found %s, in tensor '%s'", path,
                       md_st_dtype_name(e->dtype), e->name);
    }
    for (int64_t i = 0; i < e->count; i++) {
        float value;
        memcpy(&value, (const char *)e->data + (size_t)i * sizeof value, sizeof value);
        if (isfinite(value)) continue;
        return md_fail(err, MDLM_INPUT, "'%s': expected finite numbers, found %g, in tensor '%s'",
                       path, (double)value, e->name);
    }
    md_map_forget(e->data, (size_t)e->count * sizeof(float)); /* until it is copied */
    return MDLM_OK;
}

/* One checkpoint while it is loaded. */
typedef struct source {
    char *path[FILES];
    md_safetensors *tensors[FILES]; /* NULL for state.json and for what is not there */
    cJSON *state;
    int64_t optimizer_steps;
} source;

static void source_release(source *s) {
    for (int i = 0; i < FILES; i++) {
        md_safetensors_close(s->tensors[i]);
        md_free(s->path[i]);
    }
    cJSON_Delete(s->state);
}

/* The tensor of parameter i in a slab; NULL when there is none (*failed: no memory). */
static const md_st_entry *find_tensor(const md_safetensors *file, const char *prefix,
                                      const char *name, md_buffer *full, bool *failed) {
    md_buffer_clear(full);
    *failed = md_buffer_printf(full, NULL, "%s%s", prefix, name) != MDLM_OK;
    return *failed ? NULL : md_safetensors_find(file, full->data);
}

/* Checks the tensors of a slab, or, with `copy`, brings them home. */
static mdlm_status visit_slab(const source *s, const md_checkpoint *c,
                              const md_checkpoint_slab *slab, bool copy, mdlm_error *err) {
    const md_params *params = c->params;
    const md_safetensors *file = s->tensors[slab->file];
    const char *path = s->path[slab->file];
    md_real *values = slab->values;
    md_buffer full = {0};
    mdlm_status status = MDLM_OK;
    for (int i = 0; i < md_params_count(params) && status == MDLM_OK; i++) {
        bool failed;
        const md_tensor *t = md_params_tensor(params, i);
        md_real *to = values;
        values += md_tensor_size(t);
        if (!md_checkpoint_holds(c, slab, i)) continue;
        const md_st_entry *e =
            find_tensor(file, slab->prefix, md_params_name(params, i), &full, &failed);
        if (failed) {
            status = md_fail(err, MDLM_RUNTIME, "out of memory: cannot read '%s'", path);
        } else if (!e) {
            status = md_fail(err, MDLM_INPUT, "'%s' has no tensor '%s'", path, full.data);
        } else if (copy) {
            status = md_safetensors_read(file, e, to, err);
        } else {
            status = check_tensor(path, e, t, err);
        }
    }
    md_buffer_release(&full);
    return status;
}

static mdlm_status read_steps(source *s, mdlm_error *err) {
    const cJSON *metadata = md_safetensors_metadata(s->tensors[MD_CHECKPOINT_OPTIMIZER]);
    const char *path = s->path[MD_CHECKPOINT_OPTIMIZER], *text = NULL;
    if (!metadata) return md_fail(err, MDLM_INPUT, "'%s' has no metadata", path);
    MD_TRY(md_json_text(metadata, MD_CHECKPOINT_STEPS, path, &text, err));
    if (md_checkpoint_count(text, &s->optimizer_steps)) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': '%s' is not a count: '%s'", path, MD_CHECKPOINT_STEPS,
                   text);
}

static mdlm_status open_files(source *s, const char *folder, const bool has[FILES],
                              mdlm_error *err) {
    for (int i = 0; i < FILES; i++) {
        if (!(s->path[i] = md_path_join(folder, md_checkpoint_file[i], err))) return MDLM_RUNTIME;
        if (i == MD_CHECKPOINT_STATE || !has[i]) continue;
        MD_TRY(md_safetensors_open(s->path[i], &s->tensors[i], err));
    }
    const char *path = s->path[MD_CHECKPOINT_STATE];
    MD_TRY(md_json_load(path, STATE_BYTES, &s->state, err));
    if (!cJSON_IsObject(s->state)) {
        return md_fail(err, MDLM_INPUT, "'%s' is not a JSON object", path);
    }
    return read_steps(s, err);
}

/* Every tensor is checked before the first one is copied: a failure changes nothing. */
static mdlm_status check_contents(const source *s, const md_checkpoint *c, mdlm_error *err) {
    md_checkpoint_slab slabs[MD_CHECKPOINT_SLABS];
    const int slab_count = md_checkpoint_slabs(c, slabs), params = md_params_count(c->params);
    int expected[FILES] = {0};
    for (int i = 0; i < slab_count; i++) {
        MD_TRY(visit_slab(s, c, &slabs[i], false, err));
        for (int j = 0; j < params; j++)
            expected[slabs[i].file] += md_checkpoint_holds(c, &slabs[i], j);
    }
    for (int i = 0; i < FILES; i++) {
        if (!s->tensors[i]) continue;
        const int found = md_safetensors_count(s->tensors[i]);
        if (found == expected[i]) continue;
        return md_fail(err, MDLM_INPUT, "'%s': expected %d tensors, found %d", s->path[i],
                       expected[i], found);
    }
    return MDLM_OK;
}

static mdlm_status load_folder(md_checkpoint *c, const char *folder, int64_t step,
                               mdlm_error *err) {
    source s = {0};
    bool has[FILES] = {false};
    md_checkpoint_slab slabs[MD_CHECKPOINT_SLABS];
    const int slab_count = md_checkpoint_slabs(c, slabs);
    const bool average = md_optimizer_ema(c->optimizer) != NULL;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, verify(folder, step, has, err));
    if (has[MD_CHECKPOINT_EMA] != average) {
        status = md_fail(err, MDLM_INPUT, "'%s': expected %s average of the weights, found %s",
                         folder, average ? "an" : "no", average ? "none" : "one");
        goto done;
    }
    MD_GOTO(done, status, open_files(&s, folder, has, err));
    MD_GOTO(done, status, check_contents(&s, c, err));
    for (int i = 0; i < slab_count; i++) {
        MD_GOTO(done, status, visit_slab(&s, c, &slabs[i], true, err));
    }
    md_optimizer_set_steps(c->optimizer, s.optimizer_steps);
    c->step = step;
    c->state = s.state, s.state = NULL;
done:
    source_release(&s);
    return status;
}

/* --- the newest sound one --------------------------------------------------------------------- */

/* Loads into `c`, or only verifies when it is NULL. */
static mdlm_status try_item(md_checkpoint *c, const char *folder, int64_t step, mdlm_error *err) {
    bool has[FILES] = {false};
    return c ? load_folder(c, folder, step, err) : verify(folder, step, has, err);
}

/* Walks from the newest to the oldest until one is sound: *path is its folder, and `passed` tells
 * about the ones before it. */
static mdlm_status find_sound(md_checkpoint *c, const char *run, char **path, md_buffer *passed,
                              mdlm_error *err) {
    md_checkpoint_list list = {0};
    mdlm_error reason = {0};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_checkpoint_list_fill(&list, run, err));
    if (list.count == 0) {
        status = md_fail(err, MDLM_USAGE, "there is no checkpoint in '%s'", list.folder);
    }
    for (size_t i = 0; i < list.count; i++) {
        reason = (mdlm_error){0};
        char *folder = md_path_join(list.folder, list.items[i].name, err);
        status = folder ? try_item(c, folder, list.items[i].step, &reason) : MDLM_RUNTIME;
        if (status == MDLM_OK) *path = folder, folder = NULL;
        md_free(folder);
        if (status == MDLM_OK) goto done;
        if (status != MDLM_INPUT) {
            if (reason.message[0]) md_fail(err, status, "%s", reason.message);
            goto done;
        }
        MD_GOTO(done, status,
                md_buffer_printf(passed, err, "%s%s: %s", passed->size ? "; " : "",
                                 list.items[i].name, reason.message));
        status = MDLM_INPUT;
    }
    if (status == MDLM_INPUT) {
        md_fail(err, status, "no checkpoint in '%s' is sound: %s", list.folder, passed->data);
    }
done:
    md_checkpoint_list_release(&list);
    return status;
}

mdlm_status md_checkpoint_load(md_checkpoint *c, const char *run, char **note, mdlm_error *err) {
    md_buffer passed = {0};
    char *path = NULL;
    mdlm_status status = find_sound(c, run, &path, &passed, err);
    if (status == MDLM_OK && note) *note = md_buffer_take(&passed);
    md_free(path);
    md_buffer_release(&passed);
    return status;
}

mdlm_status md_checkpoint_newest(const char *run, char **path, mdlm_error *err) {
    md_buffer passed = {0};
    mdlm_status status = find_sound(NULL, run, path, &passed, err);
    md_buffer_release(&passed);
    return status;
}
