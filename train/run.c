/* train/run.c: see run.h. */
#include "train/run.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/run_folder.h"

static const char RUN_FILE[] = "run.json";

/* Said anew by every call, so not taken from an earlier one. */
static const char *const per_call[] = {"resume", "overwrite", "stop_at", "init", NULL};

mdlm_status md_run_write(const md_run_kind *kind, const md_train_request *request,
                         const char *folder, const md_run_facts *facts, mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    char *path = md_path_join(folder, RUN_FILE, err);
    cJSON *root = cJSON_CreateObject();
    cJSON *options = request->options ? md_options_to_json(request->options) : cJSON_CreateObject();
    cJSON *copy = cJSON_Duplicate(facts->data, true);
    bool ok = path && root && options && copy;
    ok = cJSON_AddStringToObject(root, "program", "mdlm") && ok;
    ok = cJSON_AddStringToObject(root, "version", mdlm_version()) && ok;
    ok = cJSON_AddStringToObject(root, "command", request->command ? request->command : "") && ok;
    ok = cJSON_AddStringToObject(root, "kernels", facts->kernels) && ok;
    ok = cJSON_AddNumberToObject(root, "seed", (double)request->seed) && ok;
    ok = cJSON_AddNumberToObject(root, "parameters", (double)facts->parameters) && ok;
    if (cJSON_AddItemToObject(root, "options", options)) {
        options = NULL;
    } else {
        ok = false;
    }
    if (cJSON_AddItemToObject(root, kind->data, copy)) {
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

static bool tables_have(const md_option *const *tables, const char *name) {
    for (; *tables; tables++) {
        for (const md_option *row = *tables; row->name; row++) {
            if (!strcmp(row->name, name)) return true;
        }
    }
    return false;
}

/* The command line may repeat what shapes model, data and state, but not change it. */
static mdlm_status check_same(const md_run_kind *kind, const md_train_request *request,
                              const cJSON *stored, const cJSON *current, mdlm_error *err) {
    const char *name = stored->string;
    if (!tables_have(kind->shape, name) && !md_word_listed(name, kind->state)) return MDLM_OK;
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
static mdlm_status take_options(const md_run_kind *kind, const md_train_request *request,
                                const char *path, cJSON *stored, mdlm_error *err) {
    mdlm_status status = MDLM_OK;
    cJSON *current = md_options_to_json(request->options);
    cJSON *kept = cJSON_CreateObject();
    if (!current || !kept) status = md_fail(err, MDLM_RUNTIME, "out of memory");
    for (const cJSON *item = stored->child; item && status == MDLM_OK; item = item->next) {
        status = check_same(kind, request, item, current, err);
        bool ours = tables_have(kind->tables, item->string);
        if (!ours || md_word_listed(item->string, per_call)) continue;
        if (!cJSON_AddItemToObject(kept, item->string, cJSON_Duplicate(item, true)))
            status = md_fail(err, MDLM_RUNTIME, "out of memory");
    }
    if (status == MDLM_OK) status = md_options_from_json(request->options, kept, path, err);
    cJSON_Delete(current);
    cJSON_Delete(kept);
    return status;
}

mdlm_status md_run_read(const md_run_kind *kind, const md_train_request *request, uint64_t *seed,
                        cJSON **data, mdlm_error *err) {
    if (!md_run_exists(request->run)) {
        return md_fail(err, MDLM_USAGE, "there is no run to resume in '%s'", request->run);
    }
    cJSON *root = NULL;
    double value = 0;
    mdlm_status status;
    char *path = md_path_join(request->run, RUN_FILE, err);
    if (!path) return MDLM_RUNTIME;
    MD_GOTO(done, status, md_json_load(path, 16 << 20, &root, err));
    cJSON *trained_on = cJSON_GetObjectItemCaseSensitive(root, kind->data);
    if (!cJSON_IsObject(trained_on)) {
        status =
            md_fail(err, MDLM_USAGE, "'%s' holds no run of mdlm %s", request->run, kind->command);
        goto done;
    }
    MD_GOTO(done, status, md_json_number(root, "seed", path, &value, err));
    cJSON *stored = cJSON_GetObjectItemCaseSensitive(root, "options");
    if (!cJSON_IsObject(stored)) {
        status = md_fail(err, MDLM_INPUT, "'%s': options is missing or no object", path);
        goto done;
    }
    if (request->seed_given && request->seed != (uint64_t)value) {
        status =
            md_fail(err, MDLM_USAGE, "'%s' was started with seed %.0f and cannot go on with %llu",
                    request->run, value, (unsigned long long)request->seed);
        goto done;
    }
    *seed = (uint64_t)value;
    if (request->options) status = take_options(kind, request, path, stored, err);
    if (status == MDLM_OK && data) *data = cJSON_DetachItemViaPointer(root, trained_on);
done:
    cJSON_Delete(root);
    md_free(path);
    return status;
}

/* Whether `path` is a source of the corpus, or a folder of sources. */
static bool is_source(const cJSON *sources, const char *path) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    const cJSON *source;
    cJSON_ArrayForEach(source, sources) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(source, "path");
        if (!cJSON_IsString(item) || strncmp(item->valuestring, path, n)) continue;
        char next = item->valuestring[n];
        if (next == 0 || next == '/') return true;
    }
    return false;
}

mdlm_status md_run_check_sources(const md_train_request *request, const cJSON *sources,
                                 mdlm_error *err) {
    for (size_t i = 0; i < request->path_count; i++) {
        if (is_source(sources, request->paths[i])) continue;
        return md_fail(err, MDLM_USAGE, "'%s' was started on another corpus than '%s'",
                       request->run, request->paths[i]);
    }
    return MDLM_OK;
}
