/* tensor/kernels/peak.h: the most that this processor's multiply-add units do: the roof over every
 * product, for benchmarks.
 *
 *     double roof = md_peak_flops(pool, MD_BF16, 0.3);    FLOP/s of all threads of the pool
 *
 * Independent chains of multiply-adds in registers, no memory, in the widest instructions that run
 * here: AVX-512 or AVX2 FMA, or plain C; for bf16 the dot product of AVX512_BF16, for q8_0 that of
 * AVX512_VNNI. Without that, bf16 products are f32 ones of rounded operands, q8_0's are 16-bit ones
 * that take as many instructions, and f32's roof is theirs.
 */
#ifndef MD_TENSOR_KERNELS_PEAK_H
#define MD_TENSOR_KERNELS_PEAK_H

#include "base/pool.h"
#include "tensor/kernels.h"

/* The best of several slices within about `seconds`; a multiply-add counts as two. */
double md_peak_flops(md_pool *pool, md_dtype dtype, double seconds);

/* Runs `rounds` rounds; the sum of the chains, so that no compiler can leave the work out. */
typedef float (*md_peak_fn)(int64_t rounds, float a, float b);
typedef struct md_peak_loop {
    md_peak_fn run;
    double flops; /* of a round */
} md_peak_loop;

md_peak_loop md_peak_avx2(void);
md_peak_loop md_peak_avx512(void);
md_peak_loop md_peak_avx512_bf16(void);
md_peak_loop md_peak_avx512_vnni(void);

#endif
