/* tensor/kernels/avx512/avx512.c: kernels for processors with AVX-512 F, BW, DQ and VL. */
#include "tensor/kernels.h"

#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
#define SIMD_LANES 16
#include "tensor/kernels/simd/fused.h"
#include "tensor/kernels/simd/gemm.h"

static void pack(const md_pack *p, int first, int count) {
    pack_panels(p, first, count, false);
}

static void pack_rounded(const md_pack *p, int first, int count) {
    pack_panels(p, first, count, true);
}

static void gemm(const md_gemm *g) {
    multiply(g, false);
}

static void gemm_rounded(const md_gemm *g) {
    multiply(g, true);
}

void md_kernels_avx512(md_kernels *table) {
    table->name = "avx512";
    simd_override(table);
    table->gemm = table->gemm_packed = gemm;
    table->panel = NR;
    table->panel_bytes = panel_bytes;
    table->pack = pack;
}

void md_kernels_avx512_bf16(md_kernels *table) {
    table->gemm = table->gemm_packed = gemm_rounded;
    table->pack = pack_rounded;
}
#endif
