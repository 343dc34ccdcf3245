/* train/run.c: see run.h. */
#include "train/run.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

static const char RUN_FILE[] = "run.json";

/* Said anew by every call, so not taken from an earlier one. */
static const char *const per_call[] = {"resume", "overwrite", "stop_at", "init", NULL};

static bool in_list(const char *const *list, const char *name) {
    for (; *list; list++) {
        if (!strcmp(*list, name)) return true;
    }
    return false;
}

bool md_run_exists(const char *run) {
    char *path = md_path_join(run, RUN_FILE, NULL);
    bool exists = path && md_file_exists(path);
    md_free(path);
    return exists;
}

mdlm_status md_run_check_free(const char *run, bool overwrite, mdlm_error *err) {
    if (!md_file_exists(run)) return MDLM_OK;
    if (!md_is_dir(run)) return md_fail(err, MDLM_WRITE, "'%s' is a file, not a folder", run);
    if (md_run_exists(run)) {
        if (overwrite) return MDLM_OK;
        return md_fail(err, MDLM_USAGE,
                       "'%s' holds a run: go on with --resume, replace it with "
                       "--overwrite, or choose another --run",
                       run);
    }
    md_names names = {0};
    MD_TRY(md_dir_list(run, &names, err));
    bool empty = names.count == 0;
    md_names_release(&names);
    if (empty) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "'%s' is a folder with other files in it: choose another --run",
                   run);
}

mdlm_status md_run_stage(const char *run, char **staging, mdlm_error *err) {
    md_buffer name = {0};
    size_t n = strlen(run);
    while (n > 1 && run[n - 1] == '/') n--;
    mdlm_status status = md_buffer_append(&name, run, n, err);
    if (status == MDLM_OK) status = md_buffer_printf(&name, err, ".new-%ld", (long)getpid());
    if (status == MDLM_OK) status = md_dir_remove(name.data, err);
    if (status == MDLM_OK) status = md_dir_make(name.data, err);
    if (status == MDLM_OK) *staging = md_buffer_take(&name);
    md_buffer_release(&name);
    return status;
}

mdlm_status md_run_publish(const char *staging, const char *run, mdlm_error *err) {
    MD_TRY(md_dir_sync(staging, err));
    if (md_file_exists(run)) MD_TRY(md_dir_remove(run, err));
    if (rename(staging, run) == 0) return MDLM_OK;
    return md_fail_errno(err, MDLM_WRITE, "cannot rename '%s' to '%s'", staging, run);
}

mdlm_status md_run_write(const md_train_request *request, const char *folder, const cJSON *corpus,
                         const char *kernels, int64_t parameters, mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    char *path = md_path_join(folder, RUN_FILE, err);
    cJSON *root = cJSON_CreateObject();
    cJSON *options = request->options ? md_options_to_json(request->options) : cJSON_CreateObject();
    cJSON *copy = cJSON_Duplicate(corpus, true);
    bool ok = path && root && options && copy;
    ok = cJSON_AddStringToObject(root, "program", "mdlm") && ok;
    ok = cJSON_AddStringToObject(root, "version", mdlm_version()) && ok;
    ok = cJSON_AddStringToObject(root, "command", request->command ? request->command : "") && ok;
    ok = cJSON_AddStringToObject(root, "kernels", kernels) && ok;
    ok = cJSON_AddNumberToObject(root, "seed", (double)request->seed) && ok;
    ok = cJSON_AddNumberToObject(root, "parameters", (double)parameters) && ok;
    if (cJSON_AddItemToObject(root, "options", options)) {
        options = NULL;
    } else {
        ok = false;
    }
    if (cJSON_AddItemToObject(root, "corpus", copy)) {
        copy = NULL;
    } else {
        ok = false;
    }
    if (ok) {
        status = md_json_save(path, root, err);
    } else if (path) {
        md_fail(err, MDLM_RUNTIME, "out of memory: cannot describe the run");
    }
    cJSON_Delete(options);
    cJSON_Delete(copy);
    cJSON_Delete(root);
    md_free(path);
    return status;
}

static bool table_has(const md_option *table, const char *name) {
    for (; table->name; table++) {
        if (!strcmp(table->name, name)) return true;
    }
    return false;
}

/* The command line may repeat what shapes model and data, but not change it. */
static mdlm_status check_same(const md_train_request *request, const cJSON *stored,
                              const cJSON *current, mdlm_error *err) {
    const char *name = stored->string;
    if (!table_has(md_model_settings_table, name) && !table_has(md_data_settings_table, name))
        return MDLM_OK;
    if (md_options_origin(request->options, name) != MD_ORIGIN_GIVEN) return MDLM_OK;
    const cJSON *now = cJSON_GetObjectItemCaseSensitive(current, name);
    if (cJSON_Compare(stored, now, true)) return MDLM_OK;
    char *was = cJSON_PrintUnformatted(stored), *is = cJSON_PrintUnformatted(now);
    mdlm_status status = md_fail(err, MDLM_USAGE,
                                 "'%s' was started with %s %s and cannot go on "
                                 "with %s",
                                 request->run, name, was ? was : "?", is ? is : "?");
    cJSON_free(was);
    cJSON_free(is);
    return status;
}

/* The options of an earlier call that this one takes over. */
static mdlm_status take_options(const md_train_request *request, const char *path, cJSON *stored,
                                mdlm_error *err) {
    mdlm_status status = MDLM_OK;
    cJSON *current = md_options_to_json(request->options);
    cJSON *kept = cJSON_CreateObject();
    if (!current || !kept) status = md_fail(err, MDLM_RUNTIME, "out of memory");
    for (const cJSON *item = stored->child; item && status == MDLM_OK; item = item->next) {
        status = check_same(request, item, current, err);
        bool ours = table_has(md_model_settings_table, item->string) ||
                    table_has(md_data_settings_table, item->string) ||
                    table_has(md_training_settings_table, item->string) ||
                    table_has(md_run_settings_table, item->string);
        if (!ours || in_list(per_call, item->string)) continue;
        if (!cJSON_AddItemToObject(kept, item->string, cJSON_Duplicate(item, true)))
            status = md_fail(err, MDLM_RUNTIME, "out of memory");
    }
    if (status == MDLM_OK) status = md_options_from_json(request->options, kept, path, err);
    cJSON_Delete(current);
    cJSON_Delete(kept);
    return status;
}

mdlm_status md_run_read(const md_train_request *request, uint64_t *seed, mdlm_error *err) {
    if (!md_run_exists(request->run)) {
        return md_fail(err, MDLM_USAGE, "there is no run to resume in '%s'", request->run);
    }
    cJSON *root = NULL;
    double value = 0;
    mdlm_status status;
    char *path = md_path_join(request->run, RUN_FILE, err);
    if (!path) return MDLM_RUNTIME;
    MD_GOTO(done, status, md_json_load(path, 16 << 20, &root, err));
    MD_GOTO(done, status, md_json_number(root, "seed", path, &value, err));
    cJSON *stored = cJSON_GetObjectItemCaseSensitive(root, "options");
    if (!cJSON_IsObject(stored)) {
        status = md_fail(err, MDLM_INPUT, "'%s': options is missing or no object", path);
        goto done;
    }
    *seed = (uint64_t)value;
    if (request->options) status = take_options(request, path, stored, err);
done:
    cJSON_Delete(root);
    md_free(path);
    return status;
}
