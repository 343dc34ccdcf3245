/* tensor/kernels/peak/loop.h: one loop of multiply-adds, compiled for each instruction set.
 *
 *     #define PEAK_LANES 16        floats in a register
 *     #define PEAK_CHAINS 16       sums in registers: at least latency x units, and two operands
 *     #define PEAK_FLOPS 2         of a multiply-add, per lane
 *     #define MULTIPLY_ADD(sum, x, y) ((sum) * (x) + (y))
 *     #include "tensor/kernels/peak/loop.h"
 */
#include "tensor/kernels/peak.h"

typedef float vf __attribute__((vector_size(PEAK_LANES * 4)));

static float peak_run(int64_t rounds, float a, float b) {
    vf sum[PEAK_CHAINS], x = (vf){0} + a, y = (vf){0} + b, all = {0};
#pragma GCC unroll 16
    for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = x * (float)i;
    while (rounds-- > 0) {
#pragma GCC unroll 16
        for (int i = 0; i < PEAK_CHAINS; i++) sum[i] = MULTIPLY_ADD(sum[i], x, y);
    }
#pragma GCC unroll 16
    for (int i = 0; i < PEAK_CHAINS; i++) all += sum[i];
    return all[0];
}

static const md_peak_loop peak_loop = {peak_run, PEAK_FLOPS *PEAK_LANES *PEAK_CHAINS};
