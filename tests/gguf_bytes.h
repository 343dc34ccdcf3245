/* tests/gguf_bytes.h: GGUF files byte by byte, right ones and wrong ones, written without the code
 * that is tested.
 *
 *     gguf_bytes b = {0};
 *     gguf_bytes_header(&b, 3, 1, 0);                 version, tensors, keys
 *     gguf_bytes_tensor(&b, "x", (gguf_tensor){.type = 0, .rank = 1, .dim = {8}, .offset = 0});
 *     gguf_bytes_pad(&b);
 *     gguf_bytes_zeros(&b, 32);
 *     gguf_bytes_save(&b, path);                      and releases
 */
#ifndef TESTS_GGUF_BYTES_H
#define TESTS_GGUF_BYTES_H

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/gguf.h"

typedef struct gguf_bytes {
    uint8_t *data;
    size_t size;
} gguf_bytes;

static inline void gguf_bytes_put(gguf_bytes *b, const void *bytes, size_t size) {
    b->data = realloc(b->data, b->size + size + 1);
    if (size > 0) memcpy(b->data + b->size, bytes, size);
    b->size += size;
}

static inline void gguf_bytes_zeros(gguf_bytes *b, size_t size) {
    for (size_t i = 0; i < size; i++) gguf_bytes_put(b, "", 1);
}

static inline void gguf_bytes_pad(gguf_bytes *b) {
    while (b->size % 32 != 0) gguf_bytes_put(b, "", 1);
}

static inline void gguf_bytes_u32(gguf_bytes *b, uint32_t value) {
    gguf_bytes_put(b, &value, 4);
}

static inline void gguf_bytes_u64(gguf_bytes *b, uint64_t value) {
    gguf_bytes_put(b, &value, 8);
}

static inline void gguf_bytes_string(gguf_bytes *b, const char *bytes, size_t size) {
    gguf_bytes_u64(b, size);
    gguf_bytes_put(b, bytes, size);
}

static inline void gguf_bytes_header(gguf_bytes *b, uint32_t version, uint64_t tensors,
                                     uint64_t keys) {
    gguf_bytes_put(b, "GGUF", 4);
    gguf_bytes_u32(b, version);
    gguf_bytes_u64(b, tensors);
    gguf_bytes_u64(b, keys);
}

/* A key and the number of its value's type; the value follows. */
static inline void gguf_bytes_key(gguf_bytes *b, const char *key, uint32_t kind) {
    gguf_bytes_string(b, key, strlen(key));
    gguf_bytes_u32(b, kind);
}

static inline void gguf_bytes_u32_key(gguf_bytes *b, const char *key, uint32_t value) {
    gguf_bytes_key(b, key, 4);
    gguf_bytes_u32(b, value);
}

static inline void gguf_bytes_f32(gguf_bytes *b, const char *key, float value) {
    gguf_bytes_key(b, key, 6);
    gguf_bytes_put(b, &value, 4);
}

static inline void gguf_bytes_flag(gguf_bytes *b, const char *key, uint8_t value) {
    gguf_bytes_key(b, key, 7);
    gguf_bytes_put(b, &value, 1);
}

static inline void gguf_bytes_text(gguf_bytes *b, const char *key, const char *value) {
    gguf_bytes_key(b, key, 8);
    gguf_bytes_string(b, value, strlen(value));
}

/* The items follow. */
static inline void gguf_bytes_array(gguf_bytes *b, const char *key, uint32_t kind, uint64_t count) {
    gguf_bytes_key(b, key, 9);
    gguf_bytes_u32(b, kind);
    gguf_bytes_u64(b, count);
}

static inline void gguf_bytes_texts(gguf_bytes *b, const char *key, const char *const *texts,
                                    size_t count) {
    gguf_bytes_array(b, key, 8, count);
    for (size_t i = 0; i < count; i++) gguf_bytes_string(b, texts[i], strlen(texts[i]));
}

typedef struct gguf_tensor {
    uint32_t type, rank;
    uint64_t dim[5]; /* as the file has them: fastest first */
    uint64_t offset;
} gguf_tensor;

static inline void gguf_bytes_tensor(gguf_bytes *b, const char *name, gguf_tensor t) {
    gguf_bytes_string(b, name, strlen(name));
    gguf_bytes_u32(b, t.rank);
    for (uint32_t i = 0; i < t.rank && i < 5; i++) gguf_bytes_u64(b, t.dim[i]);
    gguf_bytes_u32(b, t.type);
    gguf_bytes_u64(b, t.offset);
}

/* A file with one of each kind of value and two tensors: a [2, 3] of f32, b [4] of bf16. */
static inline void gguf_bytes_whole(gguf_bytes *b) {
    static const char *const texts[] = {"one", "", "three"};
    gguf_bytes_header(b, 3, 2, 5);
    gguf_bytes_text(b, "name", "example");
    gguf_bytes_u32_key(b, "layers", 7);
    gguf_bytes_flag(b, "flag", 1);
    gguf_bytes_f32(b, "eps", 0.5F);
    gguf_bytes_texts(b, "words", texts, 3);
    gguf_bytes_tensor(b, "a", (gguf_tensor){.type = 0, .rank = 2, .dim = {3, 2}, .offset = 0});
    gguf_bytes_tensor(b, "b", (gguf_tensor){.type = 30, .rank = 1, .dim = {4}, .offset = 32});
    gguf_bytes_pad(b);
    gguf_bytes_put(b, (const float[]){1, 2, 3, 4, 5, 6}, 24);
    gguf_bytes_pad(b);
    gguf_bytes_put(b, (const uint16_t[]){0x3f80, 0xc000, 0, 0x3f00}, 8);
}

/* Not md_file_write: thousands of files need no fsync. */
static inline void gguf_bytes_save_part(const gguf_bytes *b, const char *path, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(b->data, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

static inline void gguf_bytes_save(gguf_bytes *b, const char *path) {
    gguf_bytes_save_part(b, path, b->size);
    free(b->data);
    *b = (gguf_bytes){0};
}

#endif
