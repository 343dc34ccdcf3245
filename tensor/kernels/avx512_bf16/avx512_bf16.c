/* tensor/kernels/avx512_bf16/avx512_bf16.c: products with the bf16 dot product of AVX512_BF16. */
#include "tensor/kernels.h"

#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
#define SIMD_LANES 16
#define SIMD_BF16_DOT
#include "tensor/kernels/simd/gemm.h"

void md_kernels_avx512_bf16_dot(md_kernels *table) {
    table->products = "avx512_bf16";
    simd_override_bf16(table);
}
#endif
