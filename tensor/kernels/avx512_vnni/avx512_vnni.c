/* tensor/kernels/avx512_vnni/avx512_vnni.c: products with the 8-bit dot product of AVX512_VNNI. */
#include "tensor/kernels.h"

#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
#define SIMD_LANES 16
#define SIMD_VNNI
#include "tensor/kernels/simd/q8.h"

void md_kernels_avx512_vnni_q8(md_kernels *table) {
    table->products = "avx512_vnni";
    simd_override_q8(table);
}
#endif
