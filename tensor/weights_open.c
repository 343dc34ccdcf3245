/* tensor/weights_open.c: sources of tensors in safetensors files, one or as many as an index names;
 * see weights.h. */
#include "tensor/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "tensor/safetensors.h"

#define WHOLE "model.safetensors"
#define INDEX "model.safetensors.index.json"

enum { INDEX_BYTES = 64 << 20 };

/* The files of a source, and where. */
typedef struct shards {
    md_safetensors **files;
    char **paths;
    int count;
} shards;

static void shards_free(void *context) {
    shards *s = context;
    if (!s) return;
    for (int i = 0; s->files && i < s->count; i++) md_safetensors_close(s->files[i]);
    for (int i = 0; s->paths && i < s->count; i++) md_free(s->paths[i]);
    md_free(s->files);
    md_free(s->paths);
    md_free(s);
}

static shards *shards_new(int count, mdlm_error *err) {
    shards *s = md_alloc(1, sizeof *s, err);
    if (!s) return NULL;
    s->count = count;
    s->files = md_alloc((size_t)count, sizeof *s->files, err);
    s->paths = s->files ? md_alloc((size_t)count, sizeof *s->paths, err) : NULL;
    if (s->paths) return s;
    shards_free(s);
    return NULL;
}

_Static_assert((int)MD_ST_MAX_RANK == (int)MD_WEIGHT_MAX_RANK, "shapes are copied");

/* Gives the files, all open, to a source. */
static mdlm_status adopt(const char *path, shards *s, md_weights **out, mdlm_error *err) {
    int count = 0, filled = 0;
    for (int i = 0; i < s->count; i++) count += md_safetensors_count(s->files[i]);
    md_weight *list = md_alloc((size_t)count, sizeof *list, err);
    if (!list) return MDLM_RUNTIME;
    for (int i = 0; i < s->count; i++) {
        for (int j = 0; j < md_safetensors_count(s->files[i]); j++) {
            const md_st_entry *e = md_safetensors_entry(s->files[i], j);
            md_weight *w = &list[filled++];
            *w = (md_weight){.name = e->name,
                             .file = s->paths[i],
                             .type = md_st_dtype_storage(e->dtype),
                             .rank = e->rank,
                             .data = e->data};
            memcpy(w->dim, e->dim, sizeof w->dim);
        }
    }
    const md_weights_holder holder = {.context = s, .release = shards_free};
    mdlm_status status = md_weights_new(path, list, count, holder, out, err);
    md_free(list);
    return status;
}

static mdlm_status open_file(const char *path, md_weights **out, mdlm_error *err) {
    shards *s = shards_new(1, err);
    if (!s) return MDLM_RUNTIME;
    mdlm_status status = MDLM_RUNTIME;
    if (!(s->paths[0] = md_strdup(path, err))) goto failed;
    MD_GOTO(failed, status, md_safetensors_open(path, &s->files[0], err));
    MD_GOTO(failed, status, adopt(path, s, out, err));
    return MDLM_OK;
failed:
    shards_free(s);
    return status;
}

/* --- an index --------------------------------------------------------------------------------- */

/* A member of the weight_map. */
typedef struct mapped {
    const char *tensor, *file;
} mapped;

typedef struct index_map {
    const char *path;
    cJSON *root; /* owns the names */
    mapped *list;
    int count;
} index_map;

static int by_tensor(const void *a, const void *b) {
    return strcmp(((const mapped *)a)->tensor, ((const mapped *)b)->tensor);
}

static int by_file(const void *a, const void *b) {
    return strcmp(((const mapped *)a)->file, ((const mapped *)b)->file);
}

/* A name that leads nowhere but into the folder. */
static bool plain_name(const char *name) {
    return *name && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strpbrk(name, "/\\");
}

static mdlm_status read_index(const char *path, index_map *map, mdlm_error *err) {
    map->path = path;
    MD_TRY(md_json_load(path, INDEX_BYTES, &map->root, err)); /* refuses a tensor named twice */
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(map->root, "weight_map"), *item;
    if (!cJSON_IsObject(object))
        return md_fail(err, MDLM_INPUT, "'%s' has no object \"weight_map\"", path);
    map->list = md_alloc((size_t)cJSON_GetArraySize(object), sizeof *map->list, err);
    if (!map->list) return MDLM_RUNTIME;
    cJSON_ArrayForEach(item, object) {
        if (!cJSON_IsString(item))
            return md_fail(err, MDLM_INPUT, "'%s': expected the name of a file for tensor '%s'",
                           path, item->string);
        if (!plain_name(item->valuestring))
            return md_fail(err, MDLM_INPUT,
                           "'%s': expected a plain file name, found '%s', for tensor '%s'", path,
                           item->valuestring, item->string);
        map->list[map->count++] = (mapped){.tensor = item->string, .file = item->valuestring};
    }
    return MDLM_OK;
}

static void index_release(index_map *map) {
    cJSON_Delete(map->root);
    md_free(map->list);
}

/* Every file that the map names, once. */
static mdlm_status open_shards(const char *folder, index_map *map, shards **out, mdlm_error *err) {
    int files = 0;
    qsort(map->list, (size_t)map->count, sizeof *map->list, by_file);
    for (int i = 0; i < map->count; i++)
        files += i == 0 || by_file(&map->list[i - 1], &map->list[i]);
    shards *s = shards_new(files, err);
    if (!s) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    for (int i = 0, n = 0; i < map->count && status == MDLM_OK; i++) {
        if (i > 0 && by_file(&map->list[i - 1], &map->list[i]) == 0) continue;
        char *path = s->paths[n] = md_path_join(folder, map->list[i].file, err);
        if (!path)
            status = MDLM_RUNTIME;
        else if (!md_dir_has(folder, map->list[i].file))
            status = md_fail(err, MDLM_INPUT, "'%s' names the file '%s', which is not there",
                             map->path, map->list[i].file);
        else
            status = md_safetensors_open(path, &s->files[n++], err);
    }
    if (status == MDLM_OK)
        *out = s;
    else
        shards_free(s);
    return status;
}

static const char *file_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The index and the files agree, tensor by tensor. */
static mdlm_status check_index(index_map *map, const md_weights *weights, mdlm_error *err) {
    const int count = md_weights_count(weights);
    qsort(map->list, (size_t)map->count, sizeof *map->list, by_tensor);
    for (int i = 0, j = 0; i < map->count || j < count;) {
        const mapped *m = i < map->count ? &map->list[i] : NULL;
        const md_weight *w = j < count ? md_weights_at(weights, j) : NULL;
        const int order = !m ? 1 : !w ? -1 : strcmp(m->tensor, w->name);
        if (order < 0)
            return md_fail(err, MDLM_INPUT, "'%s': '%s' has no tensor '%s'", map->path, m->file,
                           m->tensor);
        if (order > 0)
            return md_fail(err, MDLM_INPUT, "'%s' does not have tensor '%s' of '%s'", map->path,
                           w->name, w->file);
        if (strcmp(m->file, file_name(w->file)) != 0)
            return md_fail(err, MDLM_INPUT, "'%s': expected tensor '%s' in '%s', found it in '%s'",
                           map->path, m->tensor, m->file, file_name(w->file));
        i++, j++;
    }
    return MDLM_OK;
}

static mdlm_status open_index(const char *folder, const char *path, md_weights **out,
                              mdlm_error *err) {
    index_map map = {0};
    shards *s = NULL;
    md_weights *weights = NULL;
    mdlm_status status;
    MD_GOTO(done, status, read_index(path, &map, err));
    MD_GOTO(done, status, open_shards(folder, &map, &s, err));
    MD_GOTO(done, status, adopt(folder, s, &weights, err));
    s = NULL; /* the source's now */
    MD_GOTO(done, status, check_index(&map, weights, err));
    *out = weights;
    weights = NULL;
done:
    md_weights_close(weights);
    shards_free(s);
    index_release(&map);
    return status;
}

bool md_weights_in(const char *folder) {
    return md_dir_has(folder, WHOLE) || md_dir_has(folder, INDEX);
}

mdlm_status md_weights_open(const char *path, md_weights **out, mdlm_error *err) {
    if (!md_is_dir(path)) return open_file(path, out, err);
    const bool index = !md_dir_has(path, WHOLE) && md_dir_has(path, INDEX);
    char *file = md_path_join(path, index ? INDEX : WHOLE, err);
    if (!file) return MDLM_RUNTIME;
    mdlm_status status = index ? open_index(path, file, out, err) : open_file(file, out, err);
    md_free(file);
    return status;
}
