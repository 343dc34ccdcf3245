/* tensor/safetensors_write.c: the writer. See safetensors.h; the reader is safetensors.c. */
#include "tensor/safetensors.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "tensor/storage.h"

enum { HEADER_ALIGNMENT = 8, MAX_HEADER = 100000000 };

typedef struct piece {
    const md_st_source *source;
    size_t bytes;
} piece;

static int by_name(const void *a, const void *b) {
    const piece *x = a, *y = b;
    return strcmp(x->source->name, y->source->name);
}

/* Large elements first: then every tensor is aligned for its type, as the header is to 8. */
static int by_size_and_name(const void *a, const void *b) {
    const piece *x = a, *y = b;
    const size_t m = md_st_dtype_size(x->source->dtype), n = md_st_dtype_size(y->source->dtype);
    if (m != n) return m > n ? -1 : 1;
    return by_name(a, b);
}

static mdlm_status measure(const md_st_source *source, size_t *bytes, mdlm_error *err) {
    MD_BUG_IF(source->rank < 0 || source->rank > MD_ST_MAX_RANK);
    size_t product = md_st_dtype_size(source->dtype);
    for (int i = 0; i < source->rank; i++) {
        MD_BUG_IF(source->dim[i] < 0);
        if (!md_size_mul(product, (size_t)source->dim[i], &product)) {
            return md_fail(err, MDLM_RUNTIME, "tensor '%s' is too large to write", source->name);
        }
    }
    *bytes = product;
    return MDLM_OK;
}

/* Fills `pieces` in the order of the file. */
static mdlm_status arrange(const md_st_source *list, int count, piece *pieces, mdlm_error *err) {
    for (int i = 0; i < count; i++) {
        pieces[i].source = &list[i];
        MD_TRY(measure(&list[i], &pieces[i].bytes, err));
    }
    qsort(pieces, (size_t)count, sizeof *pieces, by_name);
    for (int i = 0; i < count; i++) {
        const char *name = pieces[i].source->name;
        if (i > 0 && strcmp(pieces[i - 1].source->name, name) == 0) {
            return md_fail(err, MDLM_USAGE, "two tensors to write have the name '%s'", name);
        }
        if (strcmp(name, "__metadata__") == 0) {
            return md_fail(err, MDLM_USAGE, "'%s' cannot be the name of a tensor", name);
        }
    }
    qsort(pieces, (size_t)count, sizeof *pieces, by_size_and_name);
    return MDLM_OK;
}

static mdlm_status append_json(md_buffer *out, const cJSON *value, mdlm_error *err) {
    char *text = value ? cJSON_PrintUnformatted(value) : NULL;
    if (!text) return md_fail(err, MDLM_RUNTIME, "out of memory: cannot write a header");
    mdlm_status status = md_buffer_text(out, text, err);
    cJSON_free(text);
    return status;
}

static mdlm_status append_quoted(md_buffer *out, const char *text, mdlm_error *err) {
    cJSON *string = cJSON_CreateStringReference(text);
    mdlm_status status = append_json(out, string, err);
    cJSON_Delete(string);
    return status;
}

static mdlm_status append_tensor(md_buffer *out, const piece *p, size_t begin, mdlm_error *err) {
    const md_st_source *s = p->source;
    MD_TRY(append_quoted(out, s->name, err));
    MD_TRY(
        md_buffer_printf(out, err, ":{\"dtype\":\"%s\",\"shape\":[", md_st_dtype_name(s->dtype)));
    for (int i = 0; i < s->rank; i++) {
        MD_TRY(md_buffer_printf(out, err, "%s%lld", i ? "," : "", (long long)s->dim[i]));
    }
    return md_buffer_printf(out, err, "],\"data_offsets\":[%zu,%zu]}", begin, begin + p->bytes);
}

static mdlm_status build_header(const piece *pieces, int count, const cJSON *metadata,
                                md_buffer *out, mdlm_error *err) {
    const char *comma = "";
    size_t begin = 0, end;
    MD_TRY(md_buffer_text(out, "{", err));
    if (metadata) {
        MD_TRY(md_buffer_text(out, "\"__metadata__\":", err));
        MD_TRY(append_json(out, metadata, err));
        comma = ",";
    }
    for (int i = 0; i < count; i++, begin = end, comma = ",") {
        if (!md_size_add(begin, pieces[i].bytes, &end)) {
            return md_fail(err, MDLM_RUNTIME, "the tensors are too large for one file");
        }
        MD_TRY(md_buffer_text(out, comma, err));
        MD_TRY(append_tensor(out, &pieces[i], begin, err));
    }
    MD_TRY(md_buffer_text(out, "}", err));
    while (out->size % HEADER_ALIGNMENT != 0) MD_TRY(md_buffer_text(out, " ", err));
    if (out->size <= MAX_HEADER) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "the header is too large: expected at most %d bytes, found %zu",
                   MAX_HEADER, out->size);
}

static mdlm_status write_file(md_writer *w, const md_buffer *header, const piece *pieces, int count,
                              const md_st_filler *filler, mdlm_error *err) {
    const uint64_t length = header->size; /* little-endian hosts only: see safetensors.c */
    MD_TRY(md_writer_write(w, &length, sizeof length, err));
    MD_TRY(md_writer_write(w, header->data, header->size, err));
    for (int i = 0; i < count; i++) MD_TRY(filler->fill(filler->context, pieces[i].source, w, err));
    return md_writer_commit(w, err);
}

mdlm_status md_safetensors_write_filled(const char *path, const md_st_source *list, int count,
                                        const cJSON *metadata, const md_st_filler *filler,
                                        mdlm_error *err) {
    const cJSON *item;
    MD_BUG_IF(metadata && !cJSON_IsObject(metadata));
    cJSON_ArrayForEach(item, metadata) MD_BUG_IF(!cJSON_IsString(item));
    md_buffer header = {0};
    md_writer *w = NULL;
    mdlm_status status = MDLM_OK;
    piece *pieces = md_alloc((size_t)count, sizeof *pieces, err);
    if (!pieces) return MDLM_RUNTIME;
    MD_GOTO(done, status, arrange(list, count, pieces, err));
    MD_GOTO(done, status, build_header(pieces, count, metadata, &header, err));
    MD_GOTO(done, status, md_writer_open(path, &w, err));
    MD_GOTO(done, status, write_file(w, &header, pieces, count, filler, err));
done:
    md_writer_free(w);
    md_buffer_release(&header);
    md_free(pieces);
    return status;
}

/* A tensor whose data are in memory. */
static mdlm_status fill_from_memory(void *context, const md_st_source *source, md_writer *file,
                                    mdlm_error *err) {
    size_t bytes = 0;
    (void)context;
    MD_TRY(measure(source, &bytes, err));
    return md_writer_write(file, source->data, bytes, err);
}

mdlm_status md_safetensors_write(const char *path, const md_st_source *list, int count,
                                 const cJSON *metadata, mdlm_error *err) {
    const md_st_filler filler = {.fill = fill_from_memory};
    return md_safetensors_write_filled(path, list, count, metadata, &filler, err);
}

/* The values as the file has them: themselves, or a copy that the caller frees. */
static const void *stored_values(const md_real *values, int64_t n, md_st_dtype dtype, void **copy,
                                 mdlm_error *err) {
    if (dtype == MD_ST_F32 && sizeof(md_real) == sizeof(float)) return values;
    *copy = md_alloc((size_t)n, md_st_dtype_size(dtype), err);
    if (*copy) (dtype == MD_ST_BF16 ? md_storage_bf16 : md_storage_f32).write(values, n, *copy);
    return *copy;
}

/* What stands in a file of parameters: values [md_params_size] of this type. */
typedef struct stored_params {
    const md_params *params;
    const char *prefix;
    md_st_dtype dtype;
    const char *values;
} stored_params;

/* `names` keeps the prefixed names alive. */
static mdlm_status list_params(const stored_params *p, char **names, md_st_source *list,
                               mdlm_error *err) {
    const char *values = p->values;
    for (int i = 0; i < md_params_count(p->params); i++) {
        const md_tensor *t = md_params_tensor(p->params, i);
        md_buffer name = {0};
        MD_TRY(md_buffer_printf(&name, err, "%s%s", p->prefix, md_params_name(p->params, i)));
        names[i] = md_buffer_take(&name);
        list[i] = (md_st_source){.name = names[i], .dtype = p->dtype, .rank = t->rank};
        memcpy(list[i].dim, t->dim, (size_t)t->rank * sizeof t->dim[0]);
        list[i].data = values;
        values += (size_t)md_tensor_size(t) * md_st_dtype_size(p->dtype);
    }
    return MDLM_OK;
}

mdlm_status md_safetensors_write_params(const char *path, const md_params *params,
                                        const char *prefix, const md_real *values,
                                        mdlm_error *err) {
    return md_safetensors_write_params_as(path, params, prefix, values, MD_ST_F32, err);
}

mdlm_status md_safetensors_write_params_as(const char *path, const md_params *params,
                                           const char *prefix, const md_real *values,
                                           md_st_dtype dtype, mdlm_error *err) {
    MD_BUG_IF(dtype != MD_ST_F32 && dtype != MD_ST_BF16);
    const int count = md_params_count(params);
    stored_params p = {.params = params, .prefix = prefix, .dtype = dtype};
    void *copy = NULL;
    mdlm_status status = MDLM_RUNTIME;
    md_st_source *list = NULL;
    cJSON *metadata = cJSON_CreateObject(); /* some loaders insist on it */
    char **names = md_alloc((size_t)count, sizeof *names, err);
    if (!names) goto done;
    if (!(list = md_alloc((size_t)count, sizeof *list, err))) goto done;
    p.values = stored_values(values, md_params_size(params), dtype, &copy, err);
    if (!p.values) goto done;
    MD_GOTO(done, status, list_params(&p, names, list, err));
    if (cJSON_AddStringToObject(metadata, "format", "pt")) {
        status = md_safetensors_write(path, list, count, metadata, err);
    } else {
        status = md_fail(err, MDLM_RUNTIME, "out of memory: cannot write '%s'", path);
    }
done:
    cJSON_Delete(metadata);
    for (int i = 0; names && i < count; i++) md_free(names[i]);
    md_free(names);
    md_free(list);
    md_free(copy);
    return status;
}
