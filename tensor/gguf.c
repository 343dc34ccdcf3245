/* tensor/gguf.c: the header of a GGUF file, its tensors and where their data lies; see gguf.h. */
#include "tensor/gguf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/memory.h"
#include "tensor/gguf_internal.h"

enum {
    MAX_ITEMS = 1 << 20, /* tensors or keys: far more than any model has */
    SMALLEST_KEY = 13,   /* bytes in the file: empty key, type, value */
    SMALLEST_TENSOR = 8 + 4 + 8 + 4 + 8,
};

/* ggml's numbers and names. What has no storage cannot be read here, and is named. */
static const struct {
    const char *name;
    const md_storage *storage;
} types[] = {
    [0] = {"f32", &md_storage_f32},
    [1] = {"f16", &md_storage_f16},
    [2] = {"q4_0", NULL},
    [3] = {"q4_1", NULL},
    [6] = {"q5_0", NULL},
    [7] = {"q5_1", NULL},
    [8] = {"q8_0", &md_storage_q8_0},
    [9] = {"q8_1", NULL},
    [10] = {"q2_K", NULL},
    [11] = {"q3_K", NULL},
    [12] = {"q4_K", &md_storage_q4_K},
    [13] = {"q5_K", NULL},
    [14] = {"q6_K", &md_storage_q6_K},
    [15] = {"q8_K", NULL},
    [16] = {"iq2_xxs", NULL},
    [17] = {"iq2_xs", NULL},
    [18] = {"iq3_xxs", NULL},
    [19] = {"iq1_s", NULL},
    [20] = {"iq4_nl", NULL},
    [21] = {"iq3_s", NULL},
    [22] = {"iq2_s", NULL},
    [23] = {"iq4_xs", NULL},
    [24] = {"i8", NULL},
    [25] = {"i16", NULL},
    [26] = {"i32", NULL},
    [27] = {"i64", NULL},
    [28] = {"f64", &md_storage_f64},
    [29] = {"iq1_m", NULL},
    [30] = {"bf16", &md_storage_bf16},
    [34] = {"tq1_0", NULL},
    [35] = {"tq2_0", NULL},
    [39] = {"mxfp4", NULL},
};
enum { TYPES = sizeof types / sizeof *types };

uint32_t md_gguf_number_of(const md_storage *type) {
    uint32_t number = 0;
    while (types[number].storage != type) {
        number++;
        MD_BUG_IF(number == TYPES);
    }
    return number;
}

/* --- taking bytes ----------------------------------------------------------------------------- */

static size_t left(const md_gguf_cursor *c) {
    return (size_t)(c->end - c->at);
}

mdlm_status md_gguf_take(md_gguf_cursor *c, size_t size, const char *what, const uint8_t **out,
                         mdlm_error *err) {
    if (size > left(c)) {
        return md_fail(err, MDLM_INPUT, "'%s' ends within %s: expected %zu bytes, found %zu",
                       c->file->path, what, size, left(c));
    }
    *out = c->at;
    c->at += size;
    return MDLM_OK;
}

mdlm_status md_gguf_take_u32(md_gguf_cursor *c, const char *what, uint32_t *out, mdlm_error *err) {
    const uint8_t *bytes = NULL;
    MD_TRY(md_gguf_take(c, sizeof *out, what, &bytes, err));
    memcpy(out, bytes, sizeof *out);
    return MDLM_OK;
}

mdlm_status md_gguf_take_u64(md_gguf_cursor *c, const char *what, uint64_t *out, mdlm_error *err) {
    const uint8_t *bytes = NULL;
    MD_TRY(md_gguf_take(c, sizeof *out, what, &bytes, err));
    memcpy(out, bytes, sizeof *out);
    return MDLM_OK;
}

mdlm_status md_gguf_take_count(md_gguf_cursor *c, const char *what, size_t smallest, uint64_t *out,
                               mdlm_error *err) {
    uint64_t count = 0;
    MD_TRY(md_gguf_take_u64(c, what, &count, err));
    if (count > left(c) / smallest) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': expected at most %zu items of %s in the bytes left, found %llu",
                       c->file->path, left(c) / smallest, what, (unsigned long long)count);
    }
    *out = count;
    return MDLM_OK;
}

mdlm_status md_gguf_take_string(md_gguf_cursor *c, const char *what, md_gguf_string *out,
                                mdlm_error *err) {
    uint64_t size = 0;
    const uint8_t *bytes = NULL;
    MD_TRY(md_gguf_take_u64(c, what, &size, err));
    if (size > left(c)) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': expected at most %zu bytes in a string of %s, found %llu",
                       c->file->path, left(c), what, (unsigned long long)size);
    }
    MD_TRY(md_gguf_take(c, (size_t)size, what, &bytes, err));
    *out = (md_gguf_string){.bytes = (const char *)bytes, .size = (size_t)size};
    return MDLM_OK;
}

static mdlm_status check_name(const md_gguf *f, const char *what, md_gguf_string name,
                              mdlm_error *err) {
    for (size_t i = 0; i < name.size;) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t n = utf8proc_iterate((const uint8_t *)name.bytes + i,
                                                    (utf8proc_ssize_t)(name.size - i), &c);
        if (n < 1) return md_fail(err, MDLM_INPUT, "'%s': %s is not valid UTF-8", f->path, what);
        if (c < 0x20 || c == 0x7f)
            return md_fail(err, MDLM_INPUT, "'%s': %s has a control character", f->path, what);
        i += (size_t)n;
    }
    return MDLM_OK;
}

mdlm_status md_gguf_take_name(md_gguf_cursor *c, const char *what, size_t longest, const char **out,
                              mdlm_error *err) {
    const md_gguf *f = c->file;
    md_gguf_string name = {0};
    MD_TRY(md_gguf_take_string(c, what, &name, err));
    if (name.size < 1 || name.size > longest) {
        return md_fail(err, MDLM_INPUT, "'%s': expected 1 to %zu bytes in %s, found %zu", f->path,
                       longest, what, name.size);
    }
    MD_TRY(check_name(f, what, name, err));
    char *copy = md_arena_alloc(f->names, name.size + 1);
    if (!copy) return md_fail(err, MDLM_RUNTIME, "out of memory: cannot open '%s'", f->path);
    memcpy(copy, name.bytes, name.size);
    copy[name.size] = 0;
    *out = copy;
    return MDLM_OK;
}

/* --- the header ------------------------------------------------------------------------------- */

static mdlm_status check_version(const md_gguf *f, uint32_t version, mdlm_error *err) {
    if (version == 2 || version == MD_GGUF_VERSION) return MDLM_OK;
    if (version != 0 && (version & 0xffff) == 0) {
        return md_fail(err, MDLM_INPUT, "'%s' is a big-endian file: expected a little-endian one",
                       f->path);
    }
    return md_fail(err, MDLM_INPUT, "'%s': expected version 2 or 3, found %u", f->path, version);
}

static mdlm_status take_items(md_gguf_cursor *c, const char *what, size_t smallest, int *out,
                              mdlm_error *err) {
    uint64_t count = 0;
    MD_TRY(md_gguf_take_count(c, what, smallest, &count, err));
    if (count > MAX_ITEMS) {
        return md_fail(err, MDLM_INPUT, "'%s': expected at most %d items of %s, found %llu",
                       c->file->path, MAX_ITEMS, what, (unsigned long long)count);
    }
    *out = (int)count;
    return MDLM_OK;
}

static mdlm_status read_header(md_gguf_cursor *c, int *tensors, int *keys, mdlm_error *err) {
    const md_gguf *f = c->file;
    const uint8_t *magic = NULL;
    uint32_t version = 0;
    MD_TRY(md_gguf_take(c, strlen(MD_GGUF_MAGIC), "the magic", &magic, err));
    if (memcmp(magic, MD_GGUF_MAGIC, strlen(MD_GGUF_MAGIC)) != 0) {
        return md_fail(err, MDLM_INPUT,
                       "'%s' is no GGUF file: expected 'GGUF' in front, found %02x %02x %02x %02x",
                       f->path, magic[0], magic[1], magic[2], magic[3]);
    }
    MD_TRY(md_gguf_take_u32(c, "the version", &version, err));
    MD_TRY(check_version(f, version, err));
    MD_TRY(take_items(c, "the list of tensors", SMALLEST_TENSOR, tensors, err));
    return take_items(c, "the metadata", SMALLEST_KEY, keys, err);
}

static mdlm_status read_alignment(const md_gguf *f, size_t *out, mdlm_error *err) {
    int64_t value = MD_GGUF_DEFAULT_ALIGNMENT;
    if (md_gguf_has(f, MD_GGUF_ALIGNMENT_KEY))
        MD_TRY(md_gguf_int(f, MD_GGUF_ALIGNMENT_KEY, 1, UINT32_MAX, &value, err));
    if ((value & (value - 1)) != 0) {
        return md_fail(err, MDLM_INPUT, "'%s': the alignment %lld is no power of two", f->path,
                       (long long)value);
    }
    *out = (size_t)value;
    return MDLM_OK;
}

/* One part of several has tensors of the others nowhere. */
static mdlm_status check_whole(const md_gguf *f, mdlm_error *err) {
    int64_t parts = 0;
    if (!md_gguf_has(f, "split.count")) return MDLM_OK;
    MD_TRY(md_gguf_int(f, "split.count", 0, UINT16_MAX, &parts, err));
    if (parts <= 1) return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "'%s' is one of the %lld parts of a model: merge them first (llama-gguf-split "
                   "--merge)",
                   f->path, (long long)parts);
}

/* --- tensors ---------------------------------------------------------------------------------- */

static mdlm_status read_shape(md_gguf_cursor *c, md_gguf_entry *e, mdlm_error *err) {
    const char *path = c->file->path;
    uint32_t rank = 0;
    size_t count = 1;
    MD_TRY(md_gguf_take_u32(c, "the list of tensors", &rank, err));
    if (rank < 1 || rank > MD_GGUF_MAX_RANK) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': expected 1 to %d dimensions, found %u, in tensor '%s'", path,
                       MD_GGUF_MAX_RANK, rank, e->name);
    }
    e->rank = (int)rank;
    for (int i = e->rank; i-- > 0;) {
        uint64_t extent = 0;
        MD_TRY(md_gguf_take_u64(c, "the list of tensors", &extent, err));
        if (extent == 0) {
            return md_fail(err, MDLM_INPUT, "'%s': a dimension is 0 in tensor '%s'", path, e->name);
        }
        if (extent > INT64_MAX || !md_size_mul(count, (size_t)extent, &count) ||
            count > INT64_MAX) {
            return md_fail(err, MDLM_INPUT,
                           "'%s': the product of the dimensions overflows in tensor '%s'", path,
                           e->name);
        }
        e->dim[i] = (int64_t)extent;
    }
    e->count = (int64_t)count;
    return MDLM_OK;
}

/* Sets type and bytes. */
static mdlm_status read_type(md_gguf_cursor *c, md_gguf_entry *e, mdlm_error *err) {
    const char *path = c->file->path;
    uint32_t number = 0;
    MD_TRY(md_gguf_take_u32(c, "the list of tensors", &number, err));
    if (number >= TYPES || !types[number].name) {
        return md_fail(err, MDLM_INPUT, "'%s': unknown type %u in tensor '%s'", path, number,
                       e->name);
    }
    e->type = types[number].storage;
    if (!e->type) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': type %s is not supported (f32, f16, bf16, f64, q8_0, q4_K, q6_K are) "
                       "in tensor '%s'",
                       path, types[number].name, e->name);
    }
    const int64_t row = e->dim[e->rank - 1];
    if (row % e->type->block != 0) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': rows of %lld are no whole blocks of %d of %s in tensor '%s'", path,
                       (long long)row, e->type->block, e->type->name, e->name);
    }
    if (!md_size_mul((size_t)(e->count / e->type->block), e->type->bytes, &e->bytes)) {
        return md_fail(err, MDLM_INPUT, "'%s': the size overflows in tensor '%s'", path, e->name);
    }
    return MDLM_OK;
}

/* Offsets as the file has them, beside the entries while these are read. */
static mdlm_status read_entries(md_gguf *f, md_gguf_cursor *c, uint64_t *offsets, mdlm_error *err) {
    for (int i = 0; i < f->count; i++) {
        md_gguf_entry *e = &f->entries[i];
        MD_TRY(md_gguf_take_name(c, "a tensor's name", MD_GGUF_NAME_BYTES, &e->name, err));
        MD_TRY(read_shape(c, e, err));
        MD_TRY(read_type(c, e, err));
        MD_TRY(md_gguf_take_u64(c, "the list of tensors", &offsets[i], err));
    }
    return MDLM_OK;
}

/* Where a tensor may begin, and must. */
static mdlm_status check_offset(const md_gguf *f, const md_gguf_entry *e, uint64_t offset,
                                size_t expected, mdlm_error *err) {
    if (offset == expected) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': %s: expected offset %zu, found %llu, in tensor '%s'",
                   f->path, offset > expected ? "hole" : "overlap", expected,
                   (unsigned long long)offset, e->name);
}

/* Gives every tensor its data: one behind the other, each at a multiple of the alignment. */
static mdlm_status place_entries(md_gguf *f, md_gguf_cursor *c, const uint64_t *offsets,
                                 size_t alignment, mdlm_error *err) {
    const uint8_t *start = f->map.data;
    size_t at = (size_t)(c->at - start), end = at;
    const bool fits = md_size_align(at, alignment, &at);
    const size_t room = fits && at < f->map.size ? f->map.size - at : 0;
    size_t expected = 0;
    for (int i = 0; i < f->count; i++) {
        md_gguf_entry *e = &f->entries[i];
        if (offsets[i] % alignment != 0) {
            return md_fail(err, MDLM_INPUT,
                           "'%s': offset %llu is no multiple of the alignment %zu in tensor '%s'",
                           f->path, (unsigned long long)offsets[i], alignment, e->name);
        }
        MD_TRY(check_offset(f, e, offsets[i], expected, err));
        if (expected > room || e->bytes > room - expected) {
            return md_fail(err, MDLM_INPUT,
                           "'%s': %zu bytes at %zu of the data end past its %zu bytes in tensor "
                           "'%s'",
                           f->path, e->bytes, expected, room, e->name);
        }
        e->data = start + at + expected;
        end = at + expected + e->bytes;
        /* Cannot wrap: the alignment fits 32 bits and the data are in memory. */
        MD_BUG_IF(!md_size_align(expected + e->bytes, alignment, &expected));
    }
    /* The padding of the last one may be there or not. */
    if (f->count > 0) at += expected;
    if (at < end) at = end;
    if (f->map.size > at) {
        return md_fail(err, MDLM_INPUT, "'%s': %zu trailing bytes after the last tensor", f->path,
                       f->map.size - at);
    }
    return MDLM_OK;
}

static int by_name(const void *a, const void *b) {
    const md_gguf_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static mdlm_status sort_entries(md_gguf *f, mdlm_error *err) {
    if (f->count > 0) qsort(f->entries, (size_t)f->count, sizeof *f->entries, by_name);
    for (int i = 1; i < f->count; i++) {
        if (strcmp(f->entries[i - 1].name, f->entries[i].name) != 0) continue;
        return md_fail(err, MDLM_INPUT, "'%s': two tensors have the name '%s'", f->path,
                       f->entries[i].name);
    }
    return MDLM_OK;
}

static mdlm_status read_tensors(md_gguf *f, md_gguf_cursor *c, mdlm_error *err) {
    size_t alignment = 0;
    uint64_t *offsets = NULL;
    mdlm_status status = MDLM_RUNTIME;
    f->entries = md_alloc((size_t)f->count, sizeof *f->entries, err);
    if (!f->entries) goto done;
    if (!(offsets = md_alloc((size_t)f->count, sizeof *offsets, err))) goto done;
    MD_GOTO(done, status, read_alignment(f, &alignment, err));
    MD_GOTO(done, status, read_entries(f, c, offsets, err));
    MD_GOTO(done, status, place_entries(f, c, offsets, alignment, err));
    status = sort_entries(f, err);
done:
    md_free(offsets);
    return status;
}

mdlm_status md_gguf_open(const char *path, md_gguf **out, mdlm_error *err) {
    md_gguf *f = md_alloc(1, sizeof *f, err);
    if (!f) return MDLM_RUNTIME;
    mdlm_status status = MDLM_RUNTIME;
    int keys = 0;
    if (!(f->path = md_strdup(path, err))) goto done;
    if (!(f->names = md_arena_new(err))) goto done;
    MD_GOTO(done, status, md_map_open(path, &f->map, err));
    const uint8_t *start = f->map.size > 0 ? f->map.data : (const uint8_t *)"";
    md_gguf_cursor c = {.file = f, .at = start, .end = start + f->map.size};
    MD_GOTO(done, status, read_header(&c, &f->count, &keys, err));
    MD_GOTO(done, status, md_gguf_read_metadata(f, &c, keys, err));
    MD_GOTO(done, status, check_whole(f, err));
    MD_GOTO(done, status, read_tensors(f, &c, err));
    *out = f, f = NULL;
done:
    md_gguf_close(f);
    return status;
}

void md_gguf_close(md_gguf *file) {
    if (!file) return;
    md_free(file->entries);
    md_free(file->values);
    md_arena_free(file->names);
    md_map_release(&file->map);
    md_free(file->path);
    md_free(file);
}

bool md_gguf_is(const char *path) {
    char magic[sizeof MD_GGUF_MAGIC - 1] = {0};
    md_map map;
    mdlm_error ignored;
    if (md_map_open(path, &map, &ignored) != MDLM_OK) return false;
    if (map.size >= sizeof magic) memcpy(magic, map.data, sizeof magic);
    md_map_release(&map);
    return memcmp(magic, MD_GGUF_MAGIC, sizeof magic) == 0;
}

const char *md_gguf_path(const md_gguf *file) {
    return file->path;
}

int md_gguf_count(const md_gguf *file) {
    return file->count;
}

const md_gguf_entry *md_gguf_entry_at(const md_gguf *file, int i) {
    MD_BUG_IF(i < 0 || i >= file->count);
    return &file->entries[i];
}

const md_gguf_entry *md_gguf_find(const md_gguf *file, const char *name) {
    const md_gguf_entry key = {.name = name};
    return bsearch(&key, file->entries, (size_t)file->count, sizeof key, by_name);
}
