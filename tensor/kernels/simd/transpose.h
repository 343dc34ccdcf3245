/* tensor/kernels/simd/transpose.h: shuffles of whole vectors. */
#ifndef MD_TENSOR_KERNELS_SIMD_TRANSPOSE_H
#define MD_TENSOR_KERNELS_SIMD_TRANSPOSE_H

#include "tensor/kernels/simd/math.h"

/* Lanes of the pair (a, b) that form the new a and the new b when pieces of `half` lanes are
 * exchanged. */
#define EXCHANGE_LOW(l, half) ((l) & (half) ? (l) - (half) + SIMD_LANES : (l))
#define EXCHANGE_HIGH(l, half) ((l) & (half) ? (l) + SIMD_LANES : (l) + (half))
#define EXCHANGE(v, half) \
    _Pragma("GCC unroll 16") for (int i = 0; i < SIMD_LANES; i++) { \
        if (i & (half)) continue; \
        vf a = v[i], b = v[i + (half)]; \
        v[i] = __builtin_shufflevector(a, b, LANES(EXCHANGE_LOW, half)); \
        v[i + (half)] = __builtin_shufflevector(a, b, LANES(EXCHANGE_HIGH, half)); \
    }

/* SIMD_LANES vectors as a square matrix, transposed by exchanging growing pieces. */
static inline __attribute__((always_inline)) void v_transpose(vf v[SIMD_LANES]) {
    EXCHANGE(v, 1)
    EXCHANGE(v, 2)
    EXCHANGE(v, 4)
#if SIMD_LANES == 16
    EXCHANGE(v, 8)
#endif
}

#endif
