/* tensor/storage.h: numbers as files store them, and as md_real.
 *
 *     const md_storage *s = &md_storage_bf16;
 *     s->read(bytes, 4096, values);                values[i] = the number at 2 * i
 *
 * A type is a row of constants. Numbers lie in blocks (of one, or of the numbers that share a
 * scale), little-endian and at any alignment. A format that has types of its own declares more.
 */
#ifndef MD_TENSOR_STORAGE_H
#define MD_TENSOR_STORAGE_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/real.h"

typedef struct md_storage {
    const char *name; /* "bf16", as --dtype spells it */
    int block;        /* numbers in a block */
    size_t bytes;     /* of a block */
    /* n numbers, a multiple of block, to out [n]. What md_real can hold is exact. NULL for what are
     * no real numbers. */
    void (*read)(const void *data, int64_t n, md_real *out);
} md_storage;

extern const md_storage md_storage_f64, md_storage_f32, md_storage_f16, md_storage_bf16;

#endif
