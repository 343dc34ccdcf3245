/* tensor/weights.c: a source of tensors in memory, and what is read from it. The files that it
 * comes from are opened in weights_open.c. */
#include "tensor/weights.h"

#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

struct md_weights {
    char *path;
    md_arena *names;
    md_weight *list; /* sorted by name */
    int count;
    md_weights_holder holder;
};

static int by_name(const void *a, const void *b) {
    const md_weight *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static mdlm_status copy_names(md_weights *w, mdlm_error *err) {
    for (int i = 0; i < w->count; i++) {
        const char *name = md_arena_printf(w->names, "%s", w->list[i].name);
        if (!name)
            return md_fail(err, MDLM_RUNTIME, "out of memory: no room for the tensors of '%s'",
                           w->path);
        w->list[i].name = name;
    }
    return MDLM_OK;
}

/* Where nothing lies in the file, nothing bounds the other dimensions: such a tensor has no rows.
 */
static void measure(md_weight *t) {
    MD_BUG_IF(t->rank < 0 || t->rank > MD_WEIGHT_MAX_RANK);
    bool empty = false;
    for (int i = 0; i < t->rank; i++) empty = empty || t->dim[i] == 0;
    t->rows = !empty;
    t->cols = !empty;
    for (int i = 0; i < t->rank && !empty; i++)
        *(i + 1 < t->rank ? &t->rows : &t->cols) *= t->dim[i];
    MD_BUG_IF(t->cols % t->type->block != 0);
    MD_BUG_IF(t->interleaved_heads && t->rows % (2 * t->interleaved_heads) != 0);
    MD_BUG_IF(t->step && (t->run < 1 || t->run > t->step || t->interleaved_heads));
    t->row_bytes = (size_t)(t->cols / t->type->block) * t->type->bytes;
}

static mdlm_status sort_names(md_weights *w, mdlm_error *err) {
    qsort(w->list, (size_t)w->count, sizeof *w->list, by_name);
    for (int i = 1; i < w->count; i++) {
        const md_weight *a = &w->list[i - 1], *b = &w->list[i];
        if (strcmp(a->name, b->name) == 0)
            return md_fail(err, MDLM_INPUT, "'%s' and '%s' both have the tensor '%s'", a->file,
                           b->file, a->name);
    }
    return MDLM_OK;
}

mdlm_status md_weights_new(const char *path, const md_weight *list, int count,
                           md_weights_holder holder, md_weights **out, mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    md_weights *w = md_alloc(1, sizeof *w, err);
    if (!w) return MDLM_RUNTIME;
    w->path = md_strdup(path, err);
    w->names = w->path ? md_arena_new(err) : NULL;
    w->list = w->names ? md_alloc((size_t)count, sizeof *w->list, err) : NULL;
    if (!w->list) goto done;
    w->count = count;
    if (count > 0) memcpy(w->list, list, (size_t)count * sizeof *list);
    MD_GOTO(done, status, copy_names(w, err));
    for (int i = 0; i < count; i++) measure(&w->list[i]);
    MD_GOTO(done, status, sort_names(w, err));
    w->holder = holder;
    *out = w;
    w = NULL;
done:
    md_weights_close(w);
    return status;
}

void md_weights_close(md_weights *w) {
    if (!w) return;
    if (w->holder.release) w->holder.release(w->holder.context);
    md_arena_free(w->names);
    md_free(w->list);
    md_free(w->path);
    md_free(w);
}

const char *md_weights_path(const md_weights *w) {
    return w->path;
}

int md_weights_count(const md_weights *w) {
    return w->count;
}

const md_weight *md_weights_at(const md_weights *w, int i) {
    MD_BUG_IF(i < 0 || i >= w->count);
    return &w->list[i];
}

const md_weight *md_weights_find(const md_weights *w, const char *name) {
    const md_weight key = {.name = name};
    return bsearch(&key, w->list, (size_t)w->count, sizeof key, by_name);
}

int md_weights_files(const md_weights *w) {
    int files = 0;
    for (int i = 0; i < w->count; i++) {
        int before = 0;
        while (before < i && strcmp(w->list[before].file, w->list[i].file) != 0) before++;
        files += before == i;
    }
    return files;
}

int64_t md_weight_size(const md_weight *w) {
    return w->rows * w->cols;
}

size_t md_weight_bytes(const md_weight *w) {
    return (size_t)w->rows * w->row_bytes;
}

/* Where row r lies. */
static int64_t place_of(const md_weight *w, int64_t r) {
    if (w->step > 0) return r / w->run * w->step + r % w->run;
    if (w->interleaved_heads == 0) return r;
    const int64_t head = w->rows / w->interleaved_heads, half = head / 2, i = r % head;
    return r - i + i % half * 2 + i / half;
}

static const char *row_at(const md_weight *w, int64_t place) {
    return (const char *)w->data + (size_t)place * w->row_bytes;
}

void md_weight_read(const md_weight *w, int64_t first, int64_t n, md_real *out) {
    MD_BUG_IF(!w->type->read || first < 0 || n < 0 || n > w->rows - first);
    if (w->interleaved_heads == 0 && w->step == 0) {
        if (n > 0) w->type->read(row_at(w, first), n * w->cols, out);
        return;
    }
    for (int64_t r = first; r < first + n; r++, out += w->cols)
        w->type->read(row_at(w, place_of(w, r)), w->cols, out);
}

void md_weight_forget(const md_weight *w, int64_t first, int64_t n) {
    MD_BUG_IF(first < 0 || n < 0 || n > w->rows - first);
    if (n == 0) return;
    const int64_t from = w->step > 0 ? place_of(w, first) : first;
    const int64_t to = w->step > 0 ? place_of(w, first + n - 1) + 1 : first + n;
    md_map_forget(row_at(w, from), (size_t)(to - from) * w->row_bytes);
}

mdlm_status md_weight_check(const md_weight *w, const md_tensor *tensor, mdlm_error *err) {
    MD_TRY(md_tensor_check_shape(tensor, w->rank, w->dim, w->file, w->name, err));
    if (w->type->read) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': expected a float dtype, found %s, in tensor '%s'",
                   w->file, w->type->name, w->name);
}

static bool is_angles(const char *name) {
    static const char tail[] = "rotary_emb.inv_freq";
    const size_t n = strlen(name), size = sizeof tail - 1;
    return n > size && name[n - size - 1] == '.' && !strcmp(name + n - size, tail);
}

mdlm_status md_weights_match(const md_weights *w, const md_params *params, const char *prefix,
                             const md_weight **found, mdlm_error *err) {
    md_buffer name = {0};
    mdlm_status status = MDLM_OK;
    bool *wanted = md_alloc((size_t)w->count, sizeof *wanted, err);
    if (!wanted) return MDLM_RUNTIME;
    for (int i = 0; i < md_params_count(params); i++) {
        md_buffer_clear(&name);
        MD_GOTO(done, status,
                md_buffer_printf(&name, err, "%s%s", prefix, md_params_name(params, i)));
        found[i] = md_weights_find(w, name.data);
        if (!found[i])
            MD_GOTO(done, status,
                    md_fail(err, MDLM_INPUT, "'%s' has no tensor '%s'", w->path, name.data));
        MD_GOTO(done, status, md_weight_check(found[i], md_params_tensor(params, i), err));
        wanted[found[i] - w->list] = true;
    }
    for (int i = 0; i < w->count; i++) {
        if (wanted[i] || is_angles(w->list[i].name)) continue;
        MD_GOTO(done, status,
                md_fail(err, MDLM_INPUT, "'%s' has a tensor that the model does not: '%s'",
                        w->list[i].file, w->list[i].name));
    }
done:
    md_buffer_release(&name);
    md_free(wanted);
    return status;
}

mdlm_status md_weights_fill(const md_weights *weights, const md_params *params, const char *prefix,
                            md_real *values, mdlm_error *err) {
    const int count = md_params_count(params);
    const md_weight **found = md_alloc((size_t)count, sizeof *found, err);
    if (!found) return MDLM_RUNTIME;
    mdlm_status status = md_weights_match(weights, params, prefix, found, err);
    for (int i = 0; i < count && status == MDLM_OK; i++) {
        md_weight_read(found[i], 0, found[i]->rows, values);
        md_weight_forget(found[i], 0, found[i]->rows);
        values += md_weight_size(found[i]);
    }
    md_free(found);
    return status;
}

mdlm_status md_weights_load_params(const char *path, const md_params *params, const char *prefix,
                                   md_real *values, mdlm_error *err) {
    md_weights *weights = NULL;
    MD_TRY(md_weights_open(path, &weights, err));
    mdlm_status status = md_weights_fill(weights, params, prefix, values, err);
    md_weights_close(weights);
    return status;
}
