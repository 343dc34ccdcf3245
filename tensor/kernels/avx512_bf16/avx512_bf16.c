/* tensor/kernels/avx512_bf16/avx512_bf16.c: products with the bf16 dot product of AVX512_BF16. */
#include "tensor/kernels.h"

#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
#define SIMD_LANES 16
#define SIMD_BF16_DOT
#include "tensor/kernels/simd/gemm.h"

static void pack(const md_pack *p, int first, int count) {
    pack_panels(p, first, count, true);
}

static void gemm(const md_gemm *g) {
    multiply(g, true);
}

void md_kernels_avx512_bf16_dot(md_kernels *table) {
    table->gemm = table->gemm_packed = gemm;
    table->panel = NR;
    table->panel_bytes = panel_bytes;
    table->pack = pack;
}
#endif
