/* tensor/kernels/q8.h: numbers of GGUF's q8_0: blocks of 32 neighbours in k share a scale.
 *
 *     scale = max|x| / 127,  q = round(x / scale),  x ~ q * scale
 *
 * Weights are quantised once, as ggml's quantize_row_q8_0_ref does: q is rounded with the exact
 * scale, halves away from zero, and the scale that is kept is rounded to IEEE half precision, ties
 * to even. Activations are quantised as they come: halves to even, and the scale stays f32. The sum
 * over a block is an exact integer, and
 *
 *     c = fma(sum, scale_a * scale_b, c)        for the blocks in order of k,
 *
 * from 0, or from what C holds: every set of kernels computes the same bits.
 *
 * A block with NaN or infinity, or of weights whose scale no half can hold (beyond 127 x 65504),
 * has the scale NaN: whatever it touches becomes NaN. A block whose magnitudes are all below 2^-119
 * is one of zeros: the reciprocal of its scale would be infinite. Weights vanish earlier, below 127
 * x 2^-25, because no half is smaller.
 */
#ifndef MD_TENSOR_KERNELS_Q8_H
#define MD_TENSOR_KERNELS_Q8_H

#include <float.h>
#include <math.h>
#include <stdint.h>

enum { MD_Q8_BLOCK = 32 };

/* The exact scale of a block with this max|x|, which may be NaN or infinite. */
static inline float q8_scale(float largest) {
    if (!(largest <= FLT_MAX)) return NAN;
    return largest < 0x1p-119F ? 0 : largest / 127;
}

/* What numbers are multiplied by before they are rounded; 0 when there is nothing to round. */
static inline float q8_inverse(float scale) {
    return scale > 0 ? 1 / scale : 0;
}

/* Quantises the block of weights x; returns the scale as a half holds it. */
float md_q8_weights(const float x[MD_Q8_BLOCK], int8_t q[MD_Q8_BLOCK]);

#endif
