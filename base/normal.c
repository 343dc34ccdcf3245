/* base/normal.c: normal draws, one or many. See rng.h.
 *
 * Straight-line arithmetic without tables or branches, so that compilers turn the loop over places
 * into vectors. Nothing is contracted to fused operations, so every width gives the same bits.
 */
#include <math.h>
#include <string.h>

#include "base/philox.h"

static double from_bits(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* The middle of one of 2^52 equal cells of (0,1). */
static double open_unit(uint64_t bits) {
    return from_bits((bits >> 12) | UINT64_C(0x3ff0000000000000)) - (1 - 0x1p-53);
}

/* ln(u) for u in (0,1): u = 2^e m with m in [sqrt(1/2), sqrt(2)), ln(m) = 2 artanh(s) by its series
 * with s = (m - 1) / (m + 1), |s| < .1716. */
static double ln_unit(double u) {
    const uint64_t root_half = UINT64_C(0x3fe6a09e667f3bcd), one = UINT64_C(0x3ff0000000000000);
    uint64_t bits;
    memcpy(&bits, &u, sizeof bits);
    bits += one - root_half;
    /* an integer n below 2^52 is the double 2^52 + n less 2^52 */
    double e = from_bits((bits >> 52) | UINT64_C(0x4330000000000000)) - (0x1p52 + 1023);
    double m = from_bits((bits & UINT64_C(0xfffffffffffff)) + root_half);
    double s = (m - 1) / (m + 1), z = s * s, sum = 2.0 / 19;
    sum = sum * z + 2.0 / 17;
    sum = sum * z + 2.0 / 15;
    sum = sum * z + 2.0 / 13;
    sum = sum * z + 2.0 / 11;
    sum = sum * z + 2.0 / 9;
    sum = sum * z + 2.0 / 7;
    sum = sum * z + 2.0 / 5;
    sum = sum * z + 2.0 / 3;
    return e * 0.6931471805599453 + s * (2 + z * sum);
}

/* cos(2 pi v) = sin(y) with y = 2 pi (|v - 1/2| - 1/4) in [-pi/2, pi/2], by its series. */
static double cos_of_turn(double v) {
    double y = 6.283185307179586 * (fabs(v - 0.5) - 0.25), z = y * y;
    double sum = 1 / 51090942171709440000.0; /* 1/21! */
    sum = sum * z - 1 / 121645100408832000.0;
    sum = sum * z + 1 / 355687428096000.0;
    sum = sum * z - 1 / 1307674368000.0;
    sum = sum * z + 1 / 6227020800.0;
    sum = sum * z - 1 / 39916800.0;
    sum = sum * z + 1 / 362880.0;
    sum = sum * z - 1 / 5040.0;
    sum = sum * z + 1 / 120.0;
    sum = sum * z - 1 / 6.0;
    return y + y * z * sum;
}

/* Box and Muller 1958. */
static inline double normal_at(md_rng rng, uint32_t sequence, uint32_t position) {
    md_philox_block b = md_philox_place(rng, sequence, position);
    double u = open_unit((uint64_t)b.c1 << 32 | b.c0), v = open_unit((uint64_t)b.c3 << 32 | b.c2);
    return sqrt(-2 * ln_unit(u)) * cos_of_turn(v);
}

double md_normal(md_rng rng, uint32_t sequence, uint32_t position) {
    return normal_at(rng, sequence, position);
}

void md_normal_fill(md_rng rng, uint32_t sequence, uint32_t first, int64_t count, float *out) {
    for (int64_t i = 0; i < count; i++)
        out[i] = (float)normal_at(rng, sequence, first + (uint32_t)i);
}
