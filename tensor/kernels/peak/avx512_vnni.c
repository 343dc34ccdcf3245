/* tensor/kernels/peak/avx512_vnni.c: the roof of the 8-bit dot product: each lane adds four
 * products of 8-bit numbers to an integer. */
#include "tensor/kernels/peak.h"

#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
#include <immintrin.h>

#define PEAK_LANES 16
#define PEAK_CHAINS 16
#define PEAK_FLOPS 8
#define MULTIPLY_ADD(sum, x, y) \
    ((vf)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(x), (__m512i)(y)))
#include "tensor/kernels/peak/loop.h"

md_peak_loop md_peak_avx512_vnni(void) {
    return peak_loop;
}
#endif
