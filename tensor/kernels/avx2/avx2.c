/* tensor/kernels/avx2/avx2.c: kernels for processors with AVX2 and FMA. */
#include "tensor/kernels.h"

#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
#define SIMD_LANES 8
#include "tensor/kernels/simd/fused.h"
#include "tensor/kernels/simd/gemm.h"
#include "tensor/kernels/simd/image.h"
#include "tensor/kernels/simd/q8.h"
#include "tensor/kernels/simd/sample.h"

void md_kernels_avx2(md_kernels *table) {
    table->name = "avx2";
    simd_override_fused(table);
    simd_override_products(table);
    simd_override_sample(table);
    simd_override_image(table);
}

void md_kernels_avx2_bf16(md_kernels *table) {
    table->products = "avx2";
    simd_override_bf16(table);
}

void md_kernels_avx2_q8(md_kernels *table) {
    table->products = "avx2";
    simd_override_q8(table);
}
#endif
