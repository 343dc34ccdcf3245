/* tensor/gguf.h: GGUF, the file format of ggml's programs, read and written strictly.
 *
 * Reading:
 *     md_gguf *file = NULL;
 *     int64_t layers;
 *     MD_TRY(md_gguf_open("model.gguf", &file, err));                      maps the file
 *     MD_TRY(md_gguf_int(file, "llada.block_count", 1, 512, &layers, err));
 *     const md_gguf_entry *e = md_gguf_find(file, "token_embd.weight");
 *     e->type->read(e->data, e->count, values);
 *     md_gguf_close(file);
 * Writing, one tensor after the other, so that no model is in memory as a whole:
 *     md_gguf_writer *w = NULL;
 *     MD_TRY(md_gguf_writer_new(&w, err));
 *     MD_TRY(md_gguf_put_text(w, "general.architecture", "llada", err));
 *     MD_TRY(md_gguf_declare(w, "output_norm.weight", &md_storage_f32, 1, (int64_t[]){C}, err));
 *     MD_TRY(md_gguf_start(w, "model.gguf", err));
 *     MD_TRY(md_gguf_append(w, gains, C, err));
 *     MD_TRY(md_gguf_finish(w, err));                                      now it is there
 *     md_gguf_writer_free(w);
 *
 * Format (ggml's docs/gguf.md, versions 2 and 3, little-endian): "GGUF", u32 version, u64 tensors,
 * u64 keys; the keys with their values; name, dimensions (the fastest first), type and offset of
 * each tensor; padding; data. A string is a u64 length and its bytes. Data and every tensor in it
 * start at multiples of "general.alignment" (32 when absent), and tensors follow each other with
 * nothing but that padding between them.
 *
 * Refused, each with its own message (MDLM_INPUT): another magic or version, a file that ends
 * within its header, counts and lengths that the bytes left cannot hold (nothing is allocated
 * before that is known), arrays of arrays, unknown types of values and of tensors, flags that are
 * neither 0 nor 1, names and keys that are empty, too long, listed twice, not UTF-8 or have control
 * characters (a NUL would make two names one), an alignment that is no power of two, dimensions of
 * 0, more than MD_GGUF_MAX_RANK of them or none, products that overflow, rows that are no whole
 * blocks, offsets that are not aligned, holes, overlaps, data past the end, trailing bytes, and one
 * part of a model in several.
 */
#ifndef MD_TENSOR_GGUF_H
#define MD_TENSOR_GGUF_H

#include "base/error.h"
#include "tensor/storage.h"

enum {
    MD_GGUF_MAX_RANK = 4,
    MD_GGUF_NAME_BYTES = 63,   /* of a tensor's name at most, without a NUL: ggml's limit */
    MD_GGUF_KEY_BYTES = 65535, /* of a key at most */
};

typedef struct md_gguf_entry {
    const char *name; /* owned by the file */
    const md_storage *type;
    int rank;
    int64_t dim[MD_GGUF_MAX_RANK]; /* slowest first, as everywhere here: the file's reversed */
    int64_t count;                 /* numbers */
    size_t bytes;
    const void *data; /* in the mapping, at any alignment */
} md_gguf_entry;

typedef struct md_gguf md_gguf;
mdlm_status md_gguf_open(const char *path, md_gguf **out, mdlm_error *err);
void md_gguf_close(md_gguf *file); /* accepts NULL */
/* Whether a file starts with GGUF's magic; false when it cannot be read. */
bool md_gguf_is(const char *path);
const char *md_gguf_path(const md_gguf *file);
int md_gguf_count(const md_gguf *file);                            /* tensors */
const md_gguf_entry *md_gguf_entry_at(const md_gguf *file, int i); /* sorted by name */
/* NULL when there is none. */
const md_gguf_entry *md_gguf_find(const md_gguf *file, const char *name);

/* Metadata. A missing key, or a value of another type or out of range, is MDLM_INPUT, and says so.
 */
bool md_gguf_has(const md_gguf *file, const char *key);
/* An integer of any width. */
mdlm_status md_gguf_int(const md_gguf *file, const char *key, int64_t min, int64_t max,
                        int64_t *out, mdlm_error *err);
/* A finite f32 or f64. */
mdlm_status md_gguf_number(const md_gguf *file, const char *key, double *out, mdlm_error *err);
mdlm_status md_gguf_flag(const md_gguf *file, const char *key, bool *out, mdlm_error *err);
/* A string of at most max_bytes, UTF-8 without NUL; a copy that the caller frees with md_free. */
mdlm_status md_gguf_text(const md_gguf *file, const char *key, size_t max_bytes, char **out,
                         mdlm_error *err);

/* Bytes in the mapping, any bytes, without a NUL at the end. */
typedef struct md_gguf_string {
    const char *bytes;
    size_t size;
} md_gguf_string;
/* Arrays: *out [*count], freed with md_free; the strings lie in the file. */
mdlm_status md_gguf_strings(const md_gguf *file, const char *key, md_gguf_string **out,
                            size_t *count, mdlm_error *err);
mdlm_status md_gguf_ints(const md_gguf *file, const char *key, int32_t **out, size_t *count,
                         mdlm_error *err);
/* Of f32, any values. */
mdlm_status md_gguf_floats(const md_gguf *file, const char *key, float **out, size_t *count,
                           mdlm_error *err);

/* The writer: keys and declarations in any order, then start, the values of all tensors in the
 * order of their declarations, then finish. Nothing is at `path` before that. */
typedef struct md_gguf_writer md_gguf_writer;
mdlm_status md_gguf_writer_new(md_gguf_writer **out, mdlm_error *err);
void md_gguf_writer_free(md_gguf_writer *w); /* accepts NULL; without finish nothing is left */

/* Keys are not checked for being put once: a constant of the program. */
mdlm_status md_gguf_put_u32(md_gguf_writer *w, const char *key, uint32_t value, mdlm_error *err);
mdlm_status md_gguf_put_f32(md_gguf_writer *w, const char *key, float value, mdlm_error *err);
mdlm_status md_gguf_put_flag(md_gguf_writer *w, const char *key, bool value, mdlm_error *err);
mdlm_status md_gguf_put_text(md_gguf_writer *w, const char *key, const char *value,
                             mdlm_error *err);
mdlm_status md_gguf_put_strings(md_gguf_writer *w, const char *key, const md_gguf_string *values,
                                size_t count, mdlm_error *err);
mdlm_status md_gguf_put_ints(md_gguf_writer *w, const char *key, const int32_t *values,
                             size_t count, mdlm_error *err);
mdlm_status md_gguf_put_floats(md_gguf_writer *w, const char *key, const float *values,
                               size_t count, mdlm_error *err);

/* dim: slowest first. `type` is one that can be written. MDLM_USAGE when a name is empty or
 * too long, when two tensors share one, or when rows are no whole blocks. */
mdlm_status md_gguf_declare(md_gguf_writer *w, const char *name, const md_storage *type, int rank,
                            const int64_t *dim, mdlm_error *err);
mdlm_status md_gguf_start(md_gguf_writer *w, const char *path, mdlm_error *err);
/* The next `count` numbers of the tensor in turn, whole blocks and not beyond its end (MD_BUG_IF);
 * MDLM_INPUT, naming the tensor, when one is not finite or too large for its type. */
mdlm_status md_gguf_append(md_gguf_writer *w, const md_real *values, int64_t count,
                           mdlm_error *err);
/* All values must be there (MD_BUG_IF). */
mdlm_status md_gguf_finish(md_gguf_writer *w, mdlm_error *err);

#endif
