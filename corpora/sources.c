/* corpora/sources.c: from the paths that were given to the files to read. */
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/corpora_internal.h"

/* A loop of symbolic links would go on for ever. */
enum { MAX_FOLDER_DEPTH = 64 };

static bool ends_with(const char *text, size_t size, const char *end) {
    size_t n = strlen(end);
    return size >= n && strncasecmp(text + size - n, end, n) == 0;
}

/* Takes `path` over, on failure too. */
static mdlm_status add_file(md_sources *sources, char *path, bool named, mdlm_error *err) {
    if (sources->count == sources->capacity) {
        size_t capacity = sources->capacity ? 2 * sources->capacity : 16;
        md_source *items = md_realloc(sources->items, capacity, sizeof *items, err);
        if (!items) {
            md_free(path);
            return MDLM_RUNTIME;
        }
        sources->items = items;
        sources->capacity = capacity;
    }
    size_t size = strlen(path);
    bool gz = ends_with(path, size, ".gz");
    if (gz) size -= 3;
    sources->items[sources->count++] = (md_source){
        .path = path, .gz = gz, .jsonl = ends_with(path, size, ".jsonl"), .named = named};
    return MDLM_OK;
}

static mdlm_status add_folder(md_sources *sources, const char *folder, int depth, mdlm_error *err);

/* One entry of a folder; takes `path` over. */
static mdlm_status add_entry(md_sources *sources, char *path, int depth, mdlm_error *err) {
    struct stat info;
    mdlm_status status = MDLM_OK;
    if (stat(path, &info) != 0) {
        status = md_fail_errno(err, MDLM_INPUT, "cannot open '%s'", path);
    } else if (S_ISREG(info.st_mode)) {
        return add_file(sources, path, false, err);
    } else if (S_ISDIR(info.st_mode)) {
        status = add_folder(sources, path, depth + 1, err);
    }
    md_free(path);
    return status;
}

static mdlm_status add_folder(md_sources *sources, const char *folder, int depth, mdlm_error *err) {
    if (depth > MAX_FOLDER_DEPTH) {
        return md_fail(err, MDLM_INPUT, "'%s': folders are nested deeper than %d", folder,
                       MAX_FOLDER_DEPTH);
    }
    md_names names = {0};
    MD_TRY(md_dir_list(folder, &names, err));
    mdlm_status status = MDLM_OK;
    for (size_t i = 0; i < names.count && status == MDLM_OK; i++) {
        if (names.items[i][0] == '.') continue;
        char *path = md_path_join(folder, names.items[i], err);
        status = path ? add_entry(sources, path, depth, err) : MDLM_RUNTIME;
    }
    md_names_release(&names);
    return status;
}

mdlm_status md_sources_add(md_sources *sources, const char *path, mdlm_error *err) {
    struct stat info;
    if (stat(path, &info) != 0) return md_fail_errno(err, MDLM_INPUT, "cannot open '%s'", path);
    if (S_ISDIR(info.st_mode)) {
        size_t before = sources->count;
        MD_TRY(add_folder(sources, path, 1, err));
        if (sources->count > before) return MDLM_OK;
        return md_fail(err, MDLM_INPUT, "folder '%s' holds no files", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return md_fail(err, MDLM_INPUT,
                       "'%s' is neither a file nor a folder: it must be read twice", path);
    }
    char *copy = md_strdup(path, err);
    return copy ? add_file(sources, copy, true, err) : MDLM_RUNTIME;
}

void md_sources_release(md_sources *sources) {
    for (size_t i = 0; i < sources->count; i++) md_free(sources->items[i].path);
    md_free(sources->items);
    *sources = (md_sources){0};
}
