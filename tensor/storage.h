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
    /* The other way, to the nearest, ties to even; NaN stays NaN. NULL for types that this program
     * does not write. */
    void (*write)(const md_real *values, int64_t n, void *data);
} md_storage;

extern const md_storage md_storage_f64, md_storage_f32, md_storage_f16, md_storage_bf16;

/* Those of GGUF (ggml's block_q8_0, block_q4_K, block_q6_K), in which neighbours share scales:
 *
 *   type   numbers  bytes  a block                                              a number
 *   q8_0   32       34     f16 d; 32 x int8 q                                   d q
 *   q4_K   256      144    f16 d, dmin; 8 pairs s, m of 6 bits; 256 x 4 bits q  (d s) q - (dmin m)
 *   q6_K   256      210    256 x 4 low bits of q, 2 high; 16 x int8 s; f16 d    (d s) (q - 32)
 *
 * s and m of q4_K belong to 32 neighbours, s of q6_K to 16. q8_0 is written as kernels/q8.h
 * quantises weights, ggml's reference: what no scale can hold makes the whole block NaN. */
extern const md_storage md_storage_q8_0, md_storage_q4_K, md_storage_q6_K;

#endif
