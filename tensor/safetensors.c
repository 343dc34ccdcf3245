/* tensor/safetensors.c: the reader. See safetensors.h; the writer is safetensors_write.c. */
#include "tensor/safetensors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/file.h"
#include "base/memory.h"

enum { LENGTH_BYTES = 8, MAX_HEADER = 100000000 };

static const double MAX_EXACT = 9007199254740992.0; /* 2^53: JSON numbers are doubles here */

struct md_safetensors {
    char *path;
    md_map map;
    const uint8_t *data; /* behind the header */
    size_t data_size;
    cJSON *header; /* owns the names */
    const cJSON *metadata;
    md_st_entry *entries; /* sorted by name */
    int count;
};

static const md_storage i64 = {.name = "i64", .block = 1, .bytes = 8},
                        i32 = {.name = "i32", .block = 1, .bytes = 4},
                        i16 = {.name = "i16", .block = 1, .bytes = 2},
                        i8 = {.name = "i8", .block = 1, .bytes = 1},
                        u8 = {.name = "u8", .block = 1, .bytes = 1},
                        boolean = {.name = "bool", .block = 1, .bytes = 1};

static const struct {
    const char *name;
    const md_storage *storage;
} dtypes[] = {
    [MD_ST_F64] = {"F64", &md_storage_f64},
    [MD_ST_F32] = {"F32", &md_storage_f32},
    [MD_ST_F16] = {"F16", &md_storage_f16},
    [MD_ST_BF16] = {"BF16", &md_storage_bf16},
    [MD_ST_I64] = {"I64", &i64},
    [MD_ST_I32] = {"I32", &i32},
    [MD_ST_I16] = {"I16", &i16},
    [MD_ST_I8] = {"I8", &i8},
    [MD_ST_U8] = {"U8", &u8},
    [MD_ST_BOOL] = {"BOOL", &boolean},
};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

const md_storage *md_st_dtype_storage(md_st_dtype dtype) {
    MD_BUG_IF((unsigned)dtype >= DTYPES);
    return dtypes[dtype].storage;
}

size_t md_st_dtype_size(md_st_dtype dtype) {
    return md_st_dtype_storage(dtype)->bytes;
}

const char *md_st_dtype_name(md_st_dtype dtype) {
    MD_BUG_IF((unsigned)dtype >= DTYPES);
    return dtypes[dtype].name;
}

/* Messages put the path first and a tensor's name last: names have any length, and what md_fail
 * cuts off should be the end of the name. */

/* What cJSON lets through: bytes that are not UTF-8, control characters, and NUL, plain or escaped,
 * which would cut a name short and make two names one. */
static mdlm_status check_text(const md_safetensors *f, const uint8_t *text, size_t size,
                              mdlm_error *err) {
    for (size_t i = 0; i < size;) {
        utf8proc_int32_t c;
        utf8proc_ssize_t n = utf8proc_iterate(text + i, (utf8proc_ssize_t)(size - i), &c);
        if (n < 1) {
            return md_fail(err, MDLM_INPUT, "'%s': the header is not valid UTF-8 at byte %zu",
                           f->path, LENGTH_BYTES + i);
        }
        bool control = c < 0x20 && c != '\t' && c != '\n' && c != '\r';
        bool escaped = c == '\\' && size - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0;
        if (control || escaped) {
            return md_fail(err, MDLM_INPUT, "'%s': the header has a control character at byte %zu",
                           f->path, LENGTH_BYTES + i);
        }
        /* The character after a backslash does not start an escape, whatever it is. */
        i += (size_t)n + (c == '\\' && i + 1 < size && text[i + 1] == '\\');
    }
    return MDLM_OK;
}

static mdlm_status parse_header(md_safetensors *f, mdlm_error *err) {
    const uint8_t *bytes = f->map.data;
    if (f->map.size < LENGTH_BYTES) {
        return md_fail(err, MDLM_INPUT, "'%s' is too short: expected at least %d bytes, found %zu",
                       f->path, LENGTH_BYTES, f->map.size);
    }
    uint64_t length;
    memcpy(&length, bytes, sizeof length);
    if (length > MAX_HEADER) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': the header is too large: expected at most %d bytes, found %llu",
                       f->path, MAX_HEADER, (unsigned long long)length);
    }
    if (length > f->map.size - LENGTH_BYTES) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': the header of %llu bytes ends past the end of the file of %zu bytes",
                       f->path, (unsigned long long)length, f->map.size);
    }
    MD_TRY(check_text(f, bytes + LENGTH_BYTES, (size_t)length, err));
    MD_TRY(md_json_parse((const char *)bytes + LENGTH_BYTES, (size_t)length, f->path, &f->header,
                         err)); /* refuses duplicate names */
    if (!cJSON_IsObject(f->header)) {
        return md_fail(err, MDLM_INPUT, "'%s': the header is not a JSON object", f->path);
    }
    f->data = bytes + LENGTH_BYTES + length;
    f->data_size = f->map.size - LENGTH_BYTES - (size_t)length;
    return MDLM_OK;
}

static mdlm_status check_metadata(md_safetensors *f, mdlm_error *err) {
    f->metadata = cJSON_GetObjectItemCaseSensitive(f->header, "__metadata__");
    if (!f->metadata) return MDLM_OK;
    bool strings = cJSON_IsObject(f->metadata);
    const cJSON *item;
    cJSON_ArrayForEach(item, f->metadata) strings = strings && cJSON_IsString(item);
    if (strings) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': __metadata__ is not an object of strings", f->path);
}

/* A tensor of the header while it is read: where it stands, for messages. */
typedef struct place {
    const md_safetensors *file;
    const cJSON *tensor;
} place;

static mdlm_status malformed(place at, const char *what, mdlm_error *err) {
    return md_fail(err, MDLM_INPUT, "'%s': %s in tensor '%s'", at.file->path, what,
                   at.tensor->string);
}

static mdlm_status read_extent(place at, const cJSON *number, const char *what, int64_t *out,
                               mdlm_error *err) {
    const double value = cJSON_IsNumber(number) ? number->valuedouble : NAN;
    const char *fault = NULL;
    if (!cJSON_IsNumber(number))
        fault = "is not a number";
    else if (value < 0)
        fault = "is negative";
    else if (!(value <= MAX_EXACT))
        fault = "is too large";
    else if (value != floor(value))
        fault = "is not an integer";
    if (fault) {
        return md_fail(err, MDLM_INPUT, "'%s': %s %s in tensor '%s'", at.file->path, what, fault,
                       at.tensor->string);
    }
    *out = (int64_t)value;
    return MDLM_OK;
}

static mdlm_status read_dtype(place at, md_st_entry *e, mdlm_error *err) {
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(at.tensor, "dtype");
    if (!cJSON_IsString(dtype)) return malformed(at, "the dtype is missing or not a string", err);
    for (int i = 0; i < DTYPES; i++) {
        if (strcmp(dtypes[i].name, dtype->valuestring) != 0) continue;
        e->dtype = (md_st_dtype)i;
        return MDLM_OK;
    }
    return md_fail(err, MDLM_INPUT, "'%s': unknown dtype '%s' in tensor '%s'", at.file->path,
                   dtype->valuestring, at.tensor->string);
}

/* Sets rank, dim and count, and the bytes that the shape asks for. */
static mdlm_status read_shape(place at, md_st_entry *e, size_t *bytes, mdlm_error *err) {
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(at.tensor, "shape");
    if (!cJSON_IsArray(shape)) return malformed(at, "the shape is missing or not an array", err);
    size_t count = 1, total;
    bool fits = true;
    const cJSON *number;
    cJSON_ArrayForEach(number, shape) {
        if (e->rank == MD_ST_MAX_RANK) {
            return md_fail(err, MDLM_INPUT,
                           "'%s': the shape has more than %d dimensions in tensor '%s'",
                           at.file->path, MD_ST_MAX_RANK, at.tensor->string);
        }
        int64_t extent = 0;
        MD_TRY(read_extent(at, number, "a dimension", &extent, err));
        fits = fits && md_size_mul(count, (size_t)extent, &count);
        e->dim[e->rank++] = extent;
    }
    if (!fits || !md_size_mul(count, md_st_dtype_size(e->dtype), &total)) {
        return malformed(at, "the product of the shape overflows", err);
    }
    e->count = (int64_t)count;
    *bytes = total;
    return MDLM_OK;
}

static mdlm_status read_offsets(place at, md_st_entry *e, size_t bytes, mdlm_error *err) {
    const md_safetensors *f = at.file;
    const cJSON *pair = cJSON_GetObjectItemCaseSensitive(at.tensor, "data_offsets");
    if (!cJSON_IsArray(pair) || cJSON_GetArraySize(pair) != 2) {
        return malformed(at, "data_offsets is missing or not a pair", err);
    }
    int64_t begin = 0, end = 0;
    MD_TRY(read_extent(at, pair->child, "an offset", &begin, err));
    MD_TRY(read_extent(at, pair->child->next, "an offset", &end, err));
    if (begin > end) return malformed(at, "the data ends before it begins", err);
    if ((uint64_t)end > f->data_size) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': the data ends at %lld, past the file's %zu bytes of data, in tensor "
                       "'%s'",
                       f->path, (long long)end, f->data_size, e->name);
    }
    if ((size_t)(end - begin) != bytes) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': the shape asks for %zu bytes, the offsets for %lld, in tensor '%s'",
                       f->path, bytes, (long long)(end - begin), e->name);
    }
    e->data = f->data + begin;
    return MDLM_OK;
}

static mdlm_status read_entries(md_safetensors *f, mdlm_error *err) {
    const int members = cJSON_GetArraySize(f->header);
    f->entries = md_alloc((size_t)members, sizeof *f->entries, err);
    if (!f->entries) return MDLM_RUNTIME;
    const cJSON *tensor;
    cJSON_ArrayForEach(tensor, f->header) {
        if (tensor == f->metadata) continue;
        const place at = {.file = f, .tensor = tensor};
        if (!cJSON_IsObject(tensor)) return malformed(at, "no object", err);
        md_st_entry *e = &f->entries[f->count++];
        size_t bytes = 0;
        e->name = tensor->string;
        MD_TRY(read_dtype(at, e, err));
        MD_TRY(read_shape(at, e, &bytes, err));
        MD_TRY(read_offsets(at, e, bytes, err));
    }
    return MDLM_OK;
}

static size_t entry_bytes(const md_st_entry *e) {
    return (size_t)e->count * md_st_dtype_size(e->dtype);
}

static int by_place(const void *a, const void *b) {
    const md_st_entry *x = a, *y = b;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    if (p != q) return p < q ? -1 : 1;
    /* Empty tensors share their place with the next one. */
    size_t m = entry_bytes(x), n = entry_bytes(y);
    return (m > n) - (m < n);
}

static int by_name(const void *a, const void *b) {
    const md_st_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Every byte of the data belongs to exactly one tensor. */
static mdlm_status check_cover(md_safetensors *f, mdlm_error *err) {
    qsort(f->entries, (size_t)f->count, sizeof *f->entries, by_place);
    size_t covered = 0;
    for (int i = 0; i < f->count; i++) {
        const md_st_entry *e = &f->entries[i];
        const size_t begin = (size_t)((const uint8_t *)e->data - f->data);
        if (begin != covered) {
            return md_fail(err, MDLM_INPUT, "'%s': %s at byte %zu of the data, before tensor '%s'",
                           f->path, begin > covered ? "hole" : "overlap",
                           begin > covered ? covered : begin, e->name);
        }
        covered += entry_bytes(e);
    }
    if (covered < f->data_size) {
        return md_fail(err, MDLM_INPUT, "'%s': %zu trailing bytes after the last tensor", f->path,
                       f->data_size - covered);
    }
    qsort(f->entries, (size_t)f->count, sizeof *f->entries, by_name);
    return MDLM_OK;
}

mdlm_status md_safetensors_open(const char *path, md_safetensors **out, mdlm_error *err) {
    md_safetensors *f = md_alloc(1, sizeof *f, err);
    if (!f) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    f->path = md_strdup(path, err);
    if (!f->path) {
        status = MDLM_RUNTIME;
        goto done;
    }
    MD_GOTO(done, status, md_map_open(path, &f->map, err));
    MD_GOTO(done, status, parse_header(f, err));
    MD_GOTO(done, status, check_metadata(f, err));
    MD_GOTO(done, status, read_entries(f, err));
    MD_GOTO(done, status, check_cover(f, err));
    *out = f, f = NULL;
done:
    md_safetensors_close(f);
    return status;
}

void md_safetensors_close(md_safetensors *file) {
    if (!file) return;
    md_free(file->entries);
    cJSON_Delete(file->header);
    md_map_release(&file->map);
    md_free(file->path);
    md_free(file);
}

int md_safetensors_count(const md_safetensors *file) {
    return file->count;
}

const md_st_entry *md_safetensors_entry(const md_safetensors *file, int i) {
    MD_BUG_IF(i < 0 || i >= file->count);
    return &file->entries[i];
}

const md_st_entry *md_safetensors_find(const md_safetensors *file, const char *name) {
    const md_st_entry key = {.name = name};
    return bsearch(&key, file->entries, (size_t)file->count, sizeof key, by_name);
}

const cJSON *md_safetensors_metadata(const md_safetensors *file) {
    return file->metadata;
}

mdlm_status md_safetensors_read(const md_safetensors *file, const md_st_entry *entry, md_real *out,
                                mdlm_error *err) {
    const md_storage *type = md_st_dtype_storage(entry->dtype);
    if (!type->read) {
        return md_fail(err, MDLM_INPUT, "'%s': expected a float dtype, found %s, in tensor '%s'",
                       file->path, type->name, entry->name);
    }
    type->read(entry->data, entry->count, out);
    md_map_forget(entry->data, entry_bytes(entry));
    return MDLM_OK;
}
