/* tensor/params.c: see params.h. */
#include "tensor/params.h"

#include <stdio.h>
#include <string.h>

#include "base/arena.h"
#include "base/memory.h"

typedef struct param {
    const char *name;
    md_tensor *tensor;
    int64_t offset; /* of its first element in the slab */
    unsigned flags;
} param;

typedef struct span {
    md_tensor *tensor;
    int64_t offset;
    int first, count; /* parameters */
} span;

struct md_params {
    md_arena *arena; /* names and tensors: they stay where they are while the lists below grow */
    param *list;
    span *spans;
    int count, span_count;
    int64_t size;
    bool sealed, frozen;
    md_real *values, *grads;
    md_real *vectors; /* in place of both: values of vectors alone */
};

md_params *md_params_new(mdlm_error *err) {
    md_params *params = md_alloc(1, sizeof *params, err);
    if (!params) return NULL;
    params->arena = md_arena_new(err);
    if (!params->arena) {
        md_params_free(params);
        return NULL;
    }
    return params;
}

void md_params_free(md_params *params) {
    if (!params) return;
    md_arena_free(params->arena);
    md_free(params->list);
    md_free(params->spans);
    md_free(params->values);
    md_free(params->grads);
    md_free(params->vectors);
    md_free(params);
}

/* Elements of the tensor when the slab with it still fits the address space. */
static mdlm_status count_elements(const md_params *params, const char *name, int rank,
                                  const int64_t *dim, mdlm_error *err) {
    size_t count = 1, total, bytes;
    bool fits = true;
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 1) {
            return md_fail(err, MDLM_USAGE,
                           "dimension %d of parameter '%s' must be at least 1, found %lld", i, name,
                           (long long)dim[i]);
        }
        fits = fits && md_size_mul(count, (size_t)dim[i], &count);
    }
    fits = fits && md_size_add((size_t)params->size, count, &total) &&
           md_size_mul(total, sizeof(md_real), &bytes) && bytes <= PTRDIFF_MAX;
    if (fits) return MDLM_OK;
    return md_fail(err, MDLM_RUNTIME, "parameter '%s' makes the model too large for this machine",
                   name);
}

static md_tensor *new_tensor(md_params *params, int rank, const int64_t *dim, mdlm_error *err) {
    md_tensor *t = md_arena_alloc(params->arena, sizeof *t);
    if (!t) {
        md_fail(err, MDLM_RUNTIME, "out of memory: no room for another parameter");
        return NULL;
    }
    *t = (md_tensor){.rank = rank, .is_param = true};
    for (int i = 0; i < MD_MAX_RANK; i++) t->dim[i] = i < rank ? dim[i] : 1;
    return t;
}

static void bind(const md_params *params, md_tensor *t, int64_t offset) {
    t->data = params->values + offset;
    t->grad = params->grads ? params->grads + offset : NULL;
    t->needs_grad = params->grads && !params->frozen;
}

static void bind_span(const md_params *params, const span *s) {
    if (!params->vectors)
        bind(params, s->tensor, s->offset);
    else
        s->tensor->data = params->list[s->first].tensor->data; /* NULL for matrices */
}

md_tensor *md_params_add(md_params *params, const char *name, int rank, const int64_t *dim,
                         unsigned flags, mdlm_error *err) {
    MD_BUG_IF(params->sealed);
    MD_BUG_IF(rank < 1 || rank > MD_MAX_RANK);
    MD_BUG_IF((flags & MD_PARAM_ORTHOGONAL) && rank < 2);
    MD_BUG_IF(md_params_find(params, name) >= 0);
    if (count_elements(params, name, rank, dim, err) != MDLM_OK) return NULL;
    param *list = md_realloc(params->list, (size_t)params->count + 1, sizeof *list, err);
    if (!list) return NULL;
    params->list = list;
    const char *copy = md_arena_printf(params->arena, "%s", name);
    if (!copy) {
        md_fail(err, MDLM_RUNTIME, "out of memory: no room for the name '%s'", name);
        return NULL;
    }
    md_tensor *t = new_tensor(params, rank, dim, err);
    if (!t) return NULL;
    list[params->count++] =
        (param){.name = copy, .tensor = t, .offset = params->size, .flags = flags};
    params->size += md_tensor_size(t);
    return t;
}

mdlm_status md_params_seal(md_params *params, bool gradients, mdlm_error *err) {
    MD_BUG_IF(params->sealed);
    md_real *grads = NULL;
    md_real *values = md_alloc((size_t)params->size, sizeof *values, err);
    if (!values) return MDLM_RUNTIME;
    if (gradients && !(grads = md_alloc((size_t)params->size, sizeof *grads, err))) {
        md_free(values);
        return MDLM_RUNTIME;
    }
    params->values = values;
    params->grads = grads;
    params->sealed = true;
    md_params_freeze(params, params->frozen);
    return MDLM_OK;
}

mdlm_status md_params_seal_vectors(md_params *params, mdlm_error *err) {
    MD_BUG_IF(params->sealed);
    int64_t size = 0;
    for (int i = 0; i < params->count; i++) {
        const md_tensor *t = params->list[i].tensor;
        if (t->rank == 1) size += md_tensor_size(t);
    }
    params->vectors = md_alloc((size_t)size, sizeof *params->vectors, err);
    if (!params->vectors) return MDLM_RUNTIME;
    md_real *next = params->vectors;
    for (int i = 0; i < params->count; i++) {
        md_tensor *t = params->list[i].tensor;
        if (t->rank != 1) continue;
        t->data = next;
        next += md_tensor_size(t);
    }
    params->sealed = true;
    for (int i = 0; i < params->span_count; i++) bind_span(params, &params->spans[i]);
    return MDLM_OK;
}

int md_params_count(const md_params *params) {
    return params->count;
}

static const param *item(const md_params *params, int i) {
    MD_BUG_IF(i < 0 || i >= params->count);
    return &params->list[i];
}

const char *md_params_name(const md_params *params, int i) {
    return item(params, i)->name;
}

md_tensor *md_params_tensor(const md_params *params, int i) {
    return item(params, i)->tensor;
}

unsigned md_params_flags(const md_params *params, int i) {
    return item(params, i)->flags;
}

int md_params_find(const md_params *params, const char *name) {
    for (int i = 0; i < params->count; i++) {
        if (strcmp(params->list[i].name, name) == 0) return i;
    }
    return -1;
}

int64_t md_params_size(const md_params *params) {
    return params->size;
}

md_real *md_params_values(const md_params *params) {
    return params->values;
}

md_real *md_params_grads(const md_params *params) {
    return params->grads;
}

md_tensor *md_params_span(md_params *params, int first, int count, mdlm_error *err) {
    MD_BUG_IF(first < 0 || count < 1 || first > params->count - count);
    const bool vectors = params->list[first].tensor->rank == 1;
    const int64_t cols = md_tensor_cols(params->list[first].tensor);
    int64_t rows = 0;
    for (int i = first; i < first + count; i++) {
        const md_tensor *t = params->list[i].tensor;
        MD_BUG_IF(vectors ? t->rank != 1 : md_tensor_cols(t) != cols);
        rows += vectors ? t->dim[0] : md_tensor_rows(t);
    }
    span *spans = md_realloc(params->spans, (size_t)params->span_count + 1, sizeof *spans, err);
    if (!spans) return NULL;
    params->spans = spans;
    md_tensor *t = new_tensor(params, vectors ? 1 : 2, (int64_t[]){rows, cols}, err);
    if (!t) return NULL;
    const int64_t offset = params->list[first].offset;
    spans[params->span_count++] =
        (span){.tensor = t, .offset = offset, .first = first, .count = count};
    if (params->sealed) bind_span(params, &spans[params->span_count - 1]);
    return t;
}

md_tensor *md_params_whole(const md_params *params, int first, int *count) {
    for (int i = 0; i < params->span_count; i++) {
        const span *s = &params->spans[i];
        if (s->first != first) continue;
        *count = s->count;
        return s->tensor;
    }
    *count = 1;
    return md_params_tensor(params, first);
}

void md_params_freeze(md_params *params, bool frozen) {
    params->frozen = frozen;
    if (!params->sealed || params->vectors) return; /* sealing applies the flag; no gradients */
    for (int i = 0; i < params->count; i++) {
        bind(params, params->list[i].tensor, params->list[i].offset);
    }
    for (int i = 0; i < params->span_count; i++) bind_span(params, &params->spans[i]);
}

enum { SHAPE_TEXT = 200 }; /* eight dimensions */

/* "[3, 4]" */
static const char *shape_text(int rank, const int64_t *dim, char out[SHAPE_TEXT]) {
    int used = snprintf(out, SHAPE_TEXT, "[");
    for (int i = 0; i < rank; i++) {
        used += snprintf(out + used, (size_t)(SHAPE_TEXT - used), "%s%lld", i ? ", " : "",
                         (long long)dim[i]);
    }
    snprintf(out + used, (size_t)(SHAPE_TEXT - used), "]");
    return out;
}

mdlm_status md_tensor_check_shape(const md_tensor *t, int rank, const int64_t *dim,
                                  const char *file, const char *name, mdlm_error *err) {
    MD_BUG_IF(rank > 8);
    bool same = rank == t->rank;
    for (int i = 0; same && i < rank; i++) same = dim[i] == t->dim[i];
    if (same) return MDLM_OK;
    char expected[SHAPE_TEXT], found[SHAPE_TEXT];
    return md_fail(err, MDLM_INPUT, "'%s': expected shape %s, found %s, in tensor '%s'", file,
                   shape_text(t->rank, t->dim, expected), shape_text(rank, dim, found), name);
}
