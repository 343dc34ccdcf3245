/* tensor/kernels/peak/avx512_bf16.c: the roof of the bf16 dot product: each lane adds two products
 * of bf16 numbers to a float. */
#include "tensor/kernels/peak.h"

#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
#include <immintrin.h>

#define PEAK_LANES 16
#define PEAK_CHAINS 16
#define PEAK_FLOPS 4
#define MULTIPLY_ADD(sum, x, y) ((vf)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(y)))
#include "tensor/kernels/peak/loop.h"

md_peak_loop md_peak_avx512_bf16(void) {
    return peak_loop;
}
#endif
