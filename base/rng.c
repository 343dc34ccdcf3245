/* base/rng.c: see rng.h. */
#include "base/rng.h"

#include <math.h>

#include "base/error.h"

enum { PHILOX_ROUNDS = 10, FEISTEL_ROUNDS = 8 };

__extension__ typedef unsigned __int128 wide;

void md_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    const uint64_t multiplier0 = 0xd2511f53u, multiplier1 = 0xcd9e8d57u;
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < PHILOX_ROUNDS; round++) {
        uint64_t p0 = multiplier0 * c0, p1 = multiplier1 * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9e3779b9u; /* the golden ratio, and below sqrt(3) - 1 */
        k1 += 0xbb67ae85u;
    }
    out[0] = c0, out[1] = c1, out[2] = c2, out[3] = c3;
}

void md_rng_bits(md_rng rng, uint32_t sequence, uint32_t position, uint32_t out[4]) {
    uint32_t high = (rng.stream & 0xffu) | ((uint32_t)(rng.step >> 32) << 8);
    uint32_t counter[4] = {position, sequence, (uint32_t)rng.step, high};
    uint32_t key[2] = {(uint32_t)rng.seed, (uint32_t)(rng.seed >> 32)};
    md_philox(counter, key, out);
}

static uint64_t join(uint32_t low, uint32_t high) {
    return (uint64_t)high << 32 | low;
}

/* The middle of one of 2^53 equal cells. The sum rounds to even, so the last cell would give 1. */
static double unit(uint64_t bits) {
    double u = ((double)(bits >> 11) + 0.5) * 0x1p-53;
    return u < 1 ? u : 1 - 0x1p-53;
}

double md_uniform(md_rng rng, uint32_t sequence, uint32_t position) {
    uint32_t bits[4];
    md_rng_bits(rng, sequence, position, bits);
    return unit(join(bits[0], bits[1]));
}

uint64_t md_uniform_below(md_rng rng, uint32_t sequence, uint32_t position, uint64_t n) {
    MD_BUG_IF(n == 0);
    uint32_t bits[4];
    md_rng_bits(rng, sequence, position, bits);
    return (uint64_t)((wide)join(bits[0], bits[1]) * n >> 64);
}

double md_normal(md_rng rng, uint32_t sequence, uint32_t position) {
    const double two_pi = 6.283185307179586;
    uint32_t bits[4];
    md_rng_bits(rng, sequence, position, bits);
    double radius = sqrt(-2 * log(unit(join(bits[0], bits[1]))));
    return radius * cos(two_pi * unit(join(bits[2], bits[3])));
}

/* A permutation of [0, 4^half). */
static uint64_t feistel(md_rng rng, uint64_t value, unsigned half) {
    uint32_t mask = (uint32_t)((UINT64_C(1) << half) - 1);
    uint32_t left = (uint32_t)(value >> half) & mask, right = (uint32_t)value & mask;
    for (uint32_t round = 0; round < FEISTEL_ROUNDS; round++) {
        uint32_t bits[4];
        md_rng_bits(rng, round, right, bits);
        uint32_t next = left ^ (bits[0] & mask);
        left = right;
        right = next;
    }
    return (uint64_t)left << half | right;
}

/* A permutation of a larger set, followed along its cycle until it comes back below n, is a
 * permutation of [0, n). The larger set has fewer than 4n items, so the walk is short. */
uint64_t md_permute(md_rng rng, uint64_t i, uint64_t n) {
    MD_BUG_IF(n == 0 || i >= n);
    unsigned half = 1;
    while (half < 32 && n - 1 >= UINT64_C(1) << (2 * half)) half++;
    do i = feistel(rng, i, half);
    while (i >= n);
    return i;
}
