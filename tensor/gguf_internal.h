/* tensor/gguf_internal.h: what the files of the GGUF reader and writer share.
 *
 *   gguf.c            the header, tensors and where their data lies
 *   gguf_metadata.c   keys and values
 *   gguf_write.c      the writer
 */
#ifndef MD_TENSOR_GGUF_INTERNAL_H
#define MD_TENSOR_GGUF_INTERNAL_H

#include "base/arena.h"
#include "base/file.h"
#include "tensor/gguf.h"

#define MD_GGUF_MAGIC "GGUF"
#define MD_GGUF_ALIGNMENT_KEY "general.alignment"
enum { MD_GGUF_VERSION = 3, MD_GGUF_DEFAULT_ALIGNMENT = 32 };

/* Types of values, by their numbers in files. */
typedef enum md_gguf_kind {
    MD_GGUF_U8,
    MD_GGUF_I8,
    MD_GGUF_U16,
    MD_GGUF_I16,
    MD_GGUF_U32,
    MD_GGUF_I32,
    MD_GGUF_F32,
    MD_GGUF_FLAG,
    MD_GGUF_STRING,
    MD_GGUF_ARRAY,
    MD_GGUF_U64,
    MD_GGUF_I64,
    MD_GGUF_F64,
} md_gguf_kind;
enum { MD_GGUF_KINDS = MD_GGUF_F64 + 1 };

typedef struct md_gguf_value {
    const char *key;
    md_gguf_kind kind; /* of an array: of its items */
    bool is_array;
    uint64_t count;      /* items; 1 when it is no array */
    const uint8_t *data; /* of the first item; each is known to lie in the file */
} md_gguf_value;

struct md_gguf {
    char *path;
    md_map map;
    md_arena *names;
    md_gguf_value *values; /* sorted by key */
    int value_count;
    md_gguf_entry *entries; /* sorted by name */
    int count;
};

/* Where reading stands in the header, and what it is reading, for messages. */
typedef struct md_gguf_cursor {
    const md_gguf *file;
    const uint8_t *at, *end;
} md_gguf_cursor;

/* The next bytes; MDLM_INPUT, with *out untouched, when the file ends before. `what` names what
 * they belong to. */
mdlm_status md_gguf_take(md_gguf_cursor *c, size_t size, const char *what, const uint8_t **out,
                         mdlm_error *err);
mdlm_status md_gguf_take_u32(md_gguf_cursor *c, const char *what, uint32_t *out, mdlm_error *err);
mdlm_status md_gguf_take_u64(md_gguf_cursor *c, const char *what, uint64_t *out, mdlm_error *err);
mdlm_status md_gguf_take_string(md_gguf_cursor *c, const char *what, md_gguf_string *out,
                                mdlm_error *err);
/* A number of things of at least `smallest` bytes each, no more than the bytes left can hold. */
mdlm_status md_gguf_take_count(md_gguf_cursor *c, const char *what, size_t smallest, uint64_t *out,
                               mdlm_error *err);
/* A key or a tensor's name: 1 to `longest` bytes of UTF-8 without control characters; a copy that
 * the file owns. */
mdlm_status md_gguf_take_name(md_gguf_cursor *c, const char *what, size_t longest, const char **out,
                              mdlm_error *err);

/* Reads `count` keys with their values into file->values. */
mdlm_status md_gguf_read_metadata(md_gguf *file, md_gguf_cursor *c, int count, mdlm_error *err);

/* ggml's number of a type. */
uint32_t md_gguf_number_of(const md_storage *type);

#endif
