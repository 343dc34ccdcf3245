/* tensor/kernels/peak/avx512.c: the roof of AVX-512. */
#include "tensor/kernels/peak.h"

#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
#define PEAK_LANES 16
#define PEAK_CHAINS 16
#define PEAK_FLOPS 2
#define MULTIPLY_ADD(sum, x, y) ((sum) * (x) + (y))
#include "tensor/kernels/peak/loop.h"

md_peak_loop md_peak_avx512(void) {
    return peak_loop;
}
#endif
