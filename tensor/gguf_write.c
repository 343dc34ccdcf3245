/* tensor/gguf_write.c: the writer; see gguf.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"
#include "tensor/gguf_internal.h"

enum { PIECE = 4096 }; /* numbers converted at a time, whole blocks of every type */

typedef struct declaration {
    const char *name;
    const md_storage *type;
    int rank;
    int64_t dim[MD_GGUF_MAX_RANK];
    int64_t count;
    size_t bytes;
} declaration;

struct md_gguf_writer {
    md_arena *names;
    md_buffer metadata;
    uint64_t keys;
    declaration *list;
    int count, capacity;
    md_writer *file; /* from start on */
    int turn;        /* the tensor whose values come next */
    int64_t done;    /* of its values */
};

mdlm_status md_gguf_writer_new(md_gguf_writer **out, mdlm_error *err) {
    md_gguf_writer *w = md_alloc(1, sizeof *w, err);
    if (!w) return MDLM_RUNTIME;
    if (!(w->names = md_arena_new(err))) {
        md_gguf_writer_free(w);
        return MDLM_RUNTIME;
    }
    *out = w;
    return MDLM_OK;
}

void md_gguf_writer_free(md_gguf_writer *w) {
    if (!w) return;
    md_writer_free(w->file);
    md_free(w->list);
    md_buffer_release(&w->metadata);
    md_arena_free(w->names);
    md_free(w);
}

/* --- metadata --------------------------------------------------------------------------------- */

static mdlm_status put_u32(md_buffer *b, uint32_t value, mdlm_error *err) {
    return md_buffer_append(b, &value, sizeof value, err);
}

static mdlm_status put_u64(md_buffer *b, uint64_t value, mdlm_error *err) {
    return md_buffer_append(b, &value, sizeof value, err);
}

static mdlm_status put_string(md_buffer *b, const char *bytes, size_t size, mdlm_error *err) {
    MD_TRY(put_u64(b, size, err));
    return md_buffer_append(b, bytes, size, err);
}

/* A key and the type of its value. */
static mdlm_status put_key(md_gguf_writer *w, const char *key, md_gguf_kind kind, mdlm_error *err) {
    MD_BUG_IF(w->file || !key[0]);
    w->keys++;
    MD_TRY(put_string(&w->metadata, key, strlen(key), err));
    return put_u32(&w->metadata, kind, err);
}

static mdlm_status put_array(md_gguf_writer *w, const char *key, md_gguf_kind kind, size_t count,
                             mdlm_error *err) {
    MD_TRY(put_key(w, key, MD_GGUF_ARRAY, err));
    MD_TRY(put_u32(&w->metadata, kind, err));
    return put_u64(&w->metadata, count, err);
}

mdlm_status md_gguf_put_u32(md_gguf_writer *w, const char *key, uint32_t value, mdlm_error *err) {
    MD_TRY(put_key(w, key, MD_GGUF_U32, err));
    return put_u32(&w->metadata, value, err);
}

mdlm_status md_gguf_put_f32(md_gguf_writer *w, const char *key, float value, mdlm_error *err) {
    MD_TRY(put_key(w, key, MD_GGUF_F32, err));
    return md_buffer_append(&w->metadata, &value, sizeof value, err);
}

mdlm_status md_gguf_put_flag(md_gguf_writer *w, const char *key, bool value, mdlm_error *err) {
    const uint8_t byte = value;
    MD_TRY(put_key(w, key, MD_GGUF_FLAG, err));
    return md_buffer_append(&w->metadata, &byte, sizeof byte, err);
}

mdlm_status md_gguf_put_text(md_gguf_writer *w, const char *key, const char *value,
                             mdlm_error *err) {
    MD_TRY(put_key(w, key, MD_GGUF_STRING, err));
    return put_string(&w->metadata, value, strlen(value), err);
}

mdlm_status md_gguf_put_strings(md_gguf_writer *w, const char *key, const md_gguf_string *values,
                                size_t count, mdlm_error *err) {
    MD_TRY(put_array(w, key, MD_GGUF_STRING, count, err));
    for (size_t i = 0; i < count; i++)
        MD_TRY(put_string(&w->metadata, values[i].bytes, values[i].size, err));
    return MDLM_OK;
}

mdlm_status md_gguf_put_ints(md_gguf_writer *w, const char *key, const int32_t *values,
                             size_t count, mdlm_error *err) {
    MD_TRY(put_array(w, key, MD_GGUF_I32, count, err));
    return md_buffer_append(&w->metadata, values, count * sizeof *values, err);
}

mdlm_status md_gguf_put_floats(md_gguf_writer *w, const char *key, const float *values,
                               size_t count, mdlm_error *err) {
    MD_TRY(put_array(w, key, MD_GGUF_F32, count, err));
    return md_buffer_append(&w->metadata, values, count * sizeof *values, err);
}

/* --- tensors ---------------------------------------------------------------------------------- */

static mdlm_status measure(declaration *d, const int64_t *dim, mdlm_error *err) {
    size_t count = 1;
    bool fits = true;
    for (int i = 0; i < d->rank; i++) {
        MD_BUG_IF(dim[i] < 1);
        d->dim[i] = dim[i];
        fits = fits && md_size_mul(count, (size_t)dim[i], &count);
    }
    if (d->dim[d->rank - 1] % d->type->block != 0) {
        return md_fail(err, MDLM_USAGE,
                       "rows of %lld are no whole blocks of %d of %s in tensor '%s'",
                       (long long)d->dim[d->rank - 1], d->type->block, d->type->name, d->name);
    }
    if (!fits || count > INT64_MAX ||
        !md_size_mul(count / (size_t)d->type->block, d->type->bytes, &d->bytes))
        return md_fail(err, MDLM_USAGE, "tensor '%s' is too large to write", d->name);
    d->count = (int64_t)count;
    return MDLM_OK;
}

mdlm_status md_gguf_declare(md_gguf_writer *w, const char *name, const md_storage *type, int rank,
                            const int64_t *dim, mdlm_error *err) {
    MD_BUG_IF(w->file || rank < 1 || rank > MD_GGUF_MAX_RANK || !type->write);
    declaration d = {.name = name, .type = type, .rank = rank};
    if (!name[0] || strlen(name) > MD_GGUF_NAME_BYTES) {
        return md_fail(err, MDLM_USAGE, "expected 1 to %d bytes in a tensor's name, found '%s'",
                       MD_GGUF_NAME_BYTES, name);
    }
    MD_TRY(measure(&d, dim, err));
    if (w->count == w->capacity) {
        const int capacity = w->capacity ? 2 * w->capacity : 64;
        declaration *list = md_realloc(w->list, (size_t)capacity, sizeof *list, err);
        if (!list) return MDLM_RUNTIME;
        w->list = list;
        w->capacity = capacity;
    }
    d.name = md_arena_printf(w->names, "%s", name);
    if (!d.name) return md_fail(err, MDLM_RUNTIME, "out of memory: cannot write '%s'", name);
    w->list[w->count++] = d;
    return MDLM_OK;
}

static int by_name(const void *a, const void *b) {
    const char *const *x = a, *const *y = b;
    return strcmp(*x, *y);
}

static mdlm_status check_names(const md_gguf_writer *w, mdlm_error *err) {
    const char **names = md_alloc((size_t)w->count, sizeof *names, err);
    mdlm_status status = MDLM_OK;
    if (!names) return MDLM_RUNTIME;
    for (int i = 0; i < w->count; i++) names[i] = w->list[i].name;
    if (w->count > 0) qsort(names, (size_t)w->count, sizeof *names, by_name);
    for (int i = 1; status == MDLM_OK && i < w->count; i++) {
        if (strcmp(names[i - 1], names[i]) != 0) continue;
        status = md_fail(err, MDLM_USAGE, "two tensors to write have the name '%s'", names[i]);
    }
    md_free(names);
    return status;
}

/* Zeros up to the next multiple of the alignment; `size` bytes are there. */
static mdlm_status pad(md_writer *file, size_t size, mdlm_error *err) {
    static const char zeros[MD_GGUF_DEFAULT_ALIGNMENT];
    const size_t over = size % MD_GGUF_DEFAULT_ALIGNMENT;
    return md_writer_write(file, zeros, over ? MD_GGUF_DEFAULT_ALIGNMENT - over : 0, err);
}

static mdlm_status list_tensors(const md_gguf_writer *w, md_buffer *b, mdlm_error *err) {
    size_t offset = 0;
    for (int i = 0; i < w->count; i++) {
        const declaration *d = &w->list[i];
        MD_TRY(put_string(b, d->name, strlen(d->name), err));
        MD_TRY(put_u32(b, (uint32_t)d->rank, err));
        for (int k = d->rank; k-- > 0;) MD_TRY(put_u64(b, (uint64_t)d->dim[k], err));
        MD_TRY(put_u32(b, md_gguf_number_of(d->type), err));
        MD_TRY(put_u64(b, offset, err));
        if (!md_size_add(offset, d->bytes, &offset) ||
            !md_size_align(offset, MD_GGUF_DEFAULT_ALIGNMENT, &offset))
            return md_fail(err, MDLM_USAGE, "the tensors are too large for one file");
    }
    return MDLM_OK;
}

static mdlm_status write_header(md_gguf_writer *w, md_buffer *b, mdlm_error *err) {
    MD_TRY(md_buffer_text(b, MD_GGUF_MAGIC, err));
    MD_TRY(put_u32(b, MD_GGUF_VERSION, err));
    MD_TRY(put_u64(b, (uint64_t)w->count, err));
    MD_TRY(put_u64(b, w->keys, err));
    MD_TRY(md_buffer_append(b, w->metadata.data, w->metadata.size, err));
    MD_TRY(list_tensors(w, b, err));
    MD_TRY(md_writer_write(w->file, b->data, b->size, err));
    return pad(w->file, b->size, err);
}

mdlm_status md_gguf_start(md_gguf_writer *w, const char *path, mdlm_error *err) {
    md_buffer header = {0};
    MD_BUG_IF(w->file);
    MD_TRY(check_names(w, err));
    MD_TRY(md_writer_open(path, &w->file, err));
    mdlm_status status = write_header(w, &header, err);
    md_buffer_release(&header);
    return status;
}

/* One that overflows becomes infinite where it is rounded, and makes a block of q8_0 NaN. */
static mdlm_status check_stored(const declaration *d, const uint8_t *bytes, int count,
                                mdlm_error *err) {
    md_real back[PIECE];
    bool finite = true;
    d->type->read(bytes, count, back);
    for (int i = 0; i < count; i++) finite &= isfinite(back[i]) != 0;
    if (finite) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "a value is not finite or too large for %s in tensor '%s'",
                   d->type->name, d->name);
}

mdlm_status md_gguf_append(md_gguf_writer *w, const md_real *values, int64_t count,
                           mdlm_error *err) {
    MD_BUG_IF(!w->file || w->turn == w->count);
    const declaration *d = &w->list[w->turn];
    uint8_t bytes[PIECE * sizeof(float)];
    MD_BUG_IF(count < 0 || count > d->count - w->done);
    for (int64_t i = 0; i < count; i += PIECE) {
        const int n = count - i < PIECE ? (int)(count - i) : PIECE;
        MD_BUG_IF(n % d->type->block != 0);
        d->type->write(values + i, n, bytes);
        MD_TRY(check_stored(d, bytes, n, err));
        const size_t size = (size_t)(n / d->type->block) * d->type->bytes;
        MD_TRY(md_writer_write(w->file, bytes, size, err));
    }
    w->done += count;
    if (w->done < d->count) return MDLM_OK;
    w->turn++;
    w->done = 0;
    return pad(w->file, d->bytes, err);
}

mdlm_status md_gguf_finish(md_gguf_writer *w, mdlm_error *err) {
    MD_BUG_IF(!w->file || w->turn < w->count);
    return md_writer_commit(w->file, err);
}
