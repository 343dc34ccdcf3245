/* train/checkpoint.c: the folder of checkpoints, and saving. See checkpoint.h; checking and loading
 * are in checkpoint_load.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/safetensors.h"
#include "train/checkpoint_internal.h"

_Static_assert(sizeof(md_real) == sizeof(float), "slabs are written as they lie in memory");

enum { DIGITS = 15 };

#define TEMPORARY ".tmp-"
#define REPLACED ".old-"
#define NAME "step-"

const char *const md_checkpoint_file[MD_CHECKPOINT_FILES] = {
    [MD_CHECKPOINT_RAW] = "raw.safetensors",
    [MD_CHECKPOINT_EMA] = "ema.safetensors",
    [MD_CHECKPOINT_OPTIMIZER] = "optimizer.safetensors",
    [MD_CHECKPOINT_STATE] = "state.json",
};

int md_checkpoint_slabs(const md_checkpoint *c, md_checkpoint_slab out[MD_CHECKPOINT_SLABS]) {
    md_real *ema = md_optimizer_ema(c->optimizer);
    out[0] = (md_checkpoint_slab){MD_CHECKPOINT_RAW, "", md_params_values(c->params)};
    out[1] = (md_checkpoint_slab){MD_CHECKPOINT_OPTIMIZER, "m.", md_optimizer_first(c->optimizer)};
    out[2] = (md_checkpoint_slab){MD_CHECKPOINT_OPTIMIZER, "v.", md_optimizer_second(c->optimizer)};
    out[3] = (md_checkpoint_slab){MD_CHECKPOINT_EMA, "", ema};
    return ema ? MD_CHECKPOINT_SLABS : MD_CHECKPOINT_SLABS - 1;
}

bool md_checkpoint_holds(const md_checkpoint *c, const md_checkpoint_slab *slab, int i) {
    return slab->values != md_optimizer_second(c->optimizer) ||
           md_optimizer_has_second(c->optimizer, i);
}

/* --- the folder of checkpoints ---------------------------------------------------------------- */

bool md_checkpoint_count(const char *text, int64_t *out) {
    const size_t size = strspn(text, "0123456789");
    if (size == 0 || size > DIGITS || text[size] || (text[0] == '0' && size > 1)) return false;
    *out = strtoll(text, NULL, 10);
    return true;
}

static bool has_prefix(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

void md_checkpoint_list_release(md_checkpoint_list *list) {
    md_free(list->folder);
    md_names_release(&list->names);
    md_free(list->items);
    *list = (md_checkpoint_list){0};
}

static int newest_first(const void *a, const void *b) {
    const md_checkpoint_item *x = a, *y = b;
    if (x->step != y->step) return x->step > y->step ? -1 : 1;
    return (int)x->replaced - (int)y->replaced;
}

mdlm_status md_checkpoint_list_fill(md_checkpoint_list *list, const char *run, mdlm_error *err) {
    if (!(list->folder = md_path_join(run, "checkpoints", err))) return MDLM_RUNTIME;
    if (!md_file_exists(list->folder)) return MDLM_OK;
    MD_TRY(md_dir_list(list->folder, &list->names, err));
    const size_t count = list->names.count;
    if (!(list->items = md_alloc(count, sizeof *list->items, err))) return MDLM_RUNTIME;
    for (size_t i = 0; i < count; i++) {
        md_checkpoint_item item = {.name = list->names.items[i]};
        item.replaced = has_prefix(item.name, REPLACED);
        const char *rest = item.name + (item.replaced ? strlen(REPLACED) : 0);
        if (!has_prefix(rest, NAME)) continue;
        if (!md_checkpoint_count(rest + strlen(NAME), &item.step)) continue;
        list->items[list->count++] = item;
    }
    qsort(list->items, list->count, sizeof *list->items, newest_first);
    return MDLM_OK;
}

/* Best effort: what cannot be removed now costs space only, and the next save tries again. A
 * training must not end because a reader on another machine holds an old file. */
static void remove_from(const char *folder, const char *name) {
    char *path = md_path_join(folder, name, NULL);
    if (path) (void)md_dir_remove(path, NULL);
    md_free(path);
}

static void remove_leftovers(const char *folder) {
    md_names names = {0};
    (void)md_dir_list(folder, &names, NULL);
    for (size_t i = 0; i < names.count; i++) {
        if (has_prefix(names.items[i], TEMPORARY)) remove_from(folder, names.items[i]);
    }
    md_names_release(&names);
}

/* Later steps than the one just saved are of a training that was lost: it went on from an earlier
 * checkpoint, since they could not be loaded. Kept, they would push out sound ones. */
static void remove_old(const char *run, int64_t saved, int keep) {
    md_checkpoint_list l = {0};
    if (md_checkpoint_list_fill(&l, run, NULL) == MDLM_OK) {
        int kept = 0;
        for (size_t i = 0; i < l.count; i++) {
            const md_checkpoint_item *item = &l.items[i];
            if (!item->replaced && item->step <= saved && kept++ < keep) continue;
            remove_from(l.folder, item->name);
        }
    }
    md_checkpoint_list_release(&l);
}

/* --- saving ----------------------------------------------------------------------------------- */

static mdlm_status check_finite(const md_checkpoint *c, const md_checkpoint_slab *s,
                                mdlm_error *err) {
    const md_real *values = s->values;
    for (int i = 0; i < md_params_count(c->params); i++) {
        const int64_t n = md_tensor_size(md_params_tensor(c->params, i));
        for (int64_t j = 0; j < n && md_checkpoint_holds(c, s, i); j++) {
            if (isfinite(values[j])) continue;
            return md_fail(err, MDLM_NUMERIC,
                           "step %lld is not saved: expected finite numbers, found %g in %s '%s%s'",
                           (long long)c->step, (double)values[j], md_checkpoint_file[s->file],
                           s->prefix, md_params_name(c->params, i));
        }
        values += n;
    }
    return MDLM_OK;
}

/* m.NAME and v.NAME of the parameters, `*count` in all. Names live in the arena. */
static mdlm_status list_moments(const md_checkpoint *c, md_arena *arena, md_st_source *list,
                                int *count, mdlm_error *err) {
    md_checkpoint_slab slabs[MD_CHECKPOINT_SLABS];
    const int slab_count = md_checkpoint_slabs(c, slabs);
    *count = 0;
    for (int s = 0; s < slab_count; s++) {
        if (slabs[s].file != MD_CHECKPOINT_OPTIMIZER) continue;
        const md_real *values = slabs[s].values;
        for (int i = 0; i < md_params_count(c->params); i++) {
            const md_tensor *t = md_params_tensor(c->params, i);
            md_st_source source = {.dtype = MD_ST_F32, .rank = t->rank, .data = values};
            values += md_tensor_size(t);
            if (!md_checkpoint_holds(c, &slabs[s], i)) continue;
            source.name =
                md_arena_printf(arena, "%s%s", slabs[s].prefix, md_params_name(c->params, i));
            if (!source.name)
                return md_fail(err, MDLM_RUNTIME, "out of memory: cannot name a tensor");
            memcpy(source.dim, t->dim, (size_t)t->rank * sizeof t->dim[0]);
            list[(*count)++] = source;
        }
    }
    return MDLM_OK;
}

static mdlm_status write_optimizer(const md_checkpoint *c, const char *path, mdlm_error *err) {
    int count = 2 * md_params_count(c->params); /* at most */
    char steps[32];
    snprintf(steps, sizeof steps, "%lld", (long long)md_optimizer_steps(c->optimizer));
    mdlm_status status = MDLM_RUNTIME;
    md_st_source *list = NULL;
    cJSON *metadata = cJSON_CreateObject();
    md_arena *arena = md_arena_new(err);
    if (!arena || !(list = md_alloc((size_t)count, sizeof *list, err))) goto done;
    if (!cJSON_AddStringToObject(metadata, MD_CHECKPOINT_STEPS, steps)) {
        status = md_fail(err, MDLM_RUNTIME, "out of memory: cannot write '%s'", path);
        goto done;
    }
    MD_GOTO(done, status, list_moments(c, arena, list, &count, err));
    status = md_safetensors_write(path, list, count, metadata, err);
done:
    md_free(list);
    md_arena_free(arena);
    cJSON_Delete(metadata);
    return status;
}

static mdlm_status write_file(const md_checkpoint *c, int file, const char *path, mdlm_error *err) {
    switch (file) {
    case MD_CHECKPOINT_RAW:
        return md_safetensors_write_params(path, c->params, "", md_params_values(c->params), err);
    case MD_CHECKPOINT_EMA:
        return md_safetensors_write_params(path, c->params, "", md_optimizer_ema(c->optimizer),
                                           err);
    case MD_CHECKPOINT_OPTIMIZER: return write_optimizer(c, path, err);
    default: return md_json_save(path, c->state, err);
    }
}

/* Adds "name": {"bytes": .., "xxh3": ".."} to the manifest's files. */
static mdlm_status add_to_manifest(cJSON *files, const char *name, const char *path,
                                   mdlm_error *err) {
    int64_t bytes = 0;
    uint64_t hash = 0;
    char digits[24];
    MD_TRY(md_file_size(path, &bytes, err));
    MD_TRY(md_file_hash(path, &hash, err));
    snprintf(digits, sizeof digits, "%016llx", (unsigned long long)hash);
    cJSON *entry = cJSON_AddObjectToObject(files, name);
    if (cJSON_AddNumberToObject(entry, "bytes", (double)bytes) &&
        cJSON_AddStringToObject(entry, "xxh3", digits)) {
        return MDLM_OK;
    }
    return md_fail(err, MDLM_RUNTIME, "out of memory: cannot list '%s'", path);
}

static mdlm_status new_manifest(int64_t step, cJSON **out, cJSON **files, mdlm_error *err) {
    cJSON *manifest = cJSON_CreateObject();
    if (cJSON_AddStringToObject(manifest, "format", MD_CHECKPOINT_FORMAT) &&
        cJSON_AddNumberToObject(manifest, "version", MD_CHECKPOINT_VERSION) &&
        cJSON_AddNumberToObject(manifest, "step", (double)step) &&
        (*files = cJSON_AddObjectToObject(manifest, "files"))) {
        *out = manifest;
        return MDLM_OK;
    }
    cJSON_Delete(manifest);
    return md_fail(err, MDLM_RUNTIME, "out of memory: cannot save step %lld", (long long)step);
}

/* Each file is synced as it is written; the manifest comes last. */
static mdlm_status write_files(const md_checkpoint *c, const char *folder, mdlm_error *err) {
    char *path = NULL;
    cJSON *manifest = NULL, *files = NULL;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, new_manifest(c->step, &manifest, &files, err));
    for (int i = 0; i < MD_CHECKPOINT_FILES; i++) {
        const char *name = md_checkpoint_file[i];
        if (i == MD_CHECKPOINT_EMA && !md_optimizer_ema(c->optimizer)) continue;
        md_free(path);
        path = md_path_join(folder, name, err);
        MD_GOTO(done, status, path ? write_file(c, i, path, err) : MDLM_RUNTIME);
        MD_GOTO(done, status, add_to_manifest(files, name, path, err));
    }
    md_free(path);
    path = md_path_join(folder, MD_CHECKPOINT_MANIFEST, err);
    MD_GOTO(done, status, path ? md_json_save(path, manifest, err) : MDLM_RUNTIME);
    status = md_dir_sync(folder, err);
done:
    md_free(path);
    cJSON_Delete(manifest);
    return status;
}

/* Paths of one save. */
typedef struct places {
    char *folder, *temporary, *replaced, *final;
} places;

static mdlm_status name_places(const char *run, int64_t step, places *p, mdlm_error *err) {
    char name[64];
    if (!(p->folder = md_path_join(run, "checkpoints", err))) return MDLM_RUNTIME;
    snprintf(name, sizeof name, TEMPORARY NAME "%lld", (long long)step);
    if (!(p->temporary = md_path_join(p->folder, name, err))) return MDLM_RUNTIME;
    snprintf(name, sizeof name, REPLACED NAME "%lld", (long long)step);
    if (!(p->replaced = md_path_join(p->folder, name, err))) return MDLM_RUNTIME;
    snprintf(name, sizeof name, NAME "%lld", (long long)step);
    if (!(p->final = md_path_join(p->folder, name, err))) return MDLM_RUNTIME;
    return MDLM_OK;
}

static void release_places(places *p) {
    md_free(p->folder);
    md_free(p->temporary);
    md_free(p->replaced);
    md_free(p->final);
}

/* A folder cannot be renamed over another, so a checkpoint of the same step steps aside first. A
 * crash between the two renames leaves it as .old-step-N, which loading accepts. */
static mdlm_status publish(const places *p, mdlm_error *err) {
    const bool replace = md_file_exists(p->final);
    if (replace) {
        MD_TRY(md_dir_remove(p->replaced, err));
        if (rename(p->final, p->replaced) != 0)
            return md_fail_errno(err, MDLM_WRITE, "cannot replace '%s'", p->final);
    }
    if (rename(p->temporary, p->final) != 0) {
        mdlm_status status = md_fail_errno(err, MDLM_WRITE, "cannot write '%s'", p->final);
        if (replace) (void)rename(p->replaced, p->final);
        return status;
    }
    return md_dir_sync(p->folder, err);
}

static mdlm_status save_into(const md_checkpoint *c, const char *run, const places *p,
                             mdlm_error *err) {
    MD_TRY(md_dir_make(p->folder, err));
    MD_TRY(md_dir_sync(run, err));
    remove_leftovers(p->folder);
    MD_TRY(md_dir_make(p->temporary, err));
    MD_TRY(write_files(c, p->temporary, err));
    return publish(p, err);
}

mdlm_status md_checkpoint_save(const md_checkpoint *c, const char *run, int keep, char **path,
                               mdlm_error *err) {
    MD_BUG_IF(keep < 1 || c->step < 0 || !cJSON_IsObject(c->state));
    md_checkpoint_slab slabs[MD_CHECKPOINT_SLABS];
    const int slab_count = md_checkpoint_slabs(c, slabs);
    for (int i = 0; i < slab_count; i++) MD_TRY(check_finite(c, &slabs[i], err));
    places p = {0};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, name_places(run, c->step, &p, err));
    status = save_into(c, run, &p, err);
    if (status == MDLM_INPUT) { /* a file just written that cannot be read back */
        status = MDLM_WRITE;
        if (err) err->status = status;
    }
    if (status != MDLM_OK) {
        (void)md_dir_remove(p.temporary, NULL);
        goto done;
    }
    remove_old(run, c->step, keep);
    if (path) *path = p.final, p.final = NULL;
done:
    release_places(&p);
    return status;
}
