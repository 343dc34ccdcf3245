/* base/rng.c: see rng.h. */
#include "base/rng.h"

#include "base/error.h"
#include "base/philox.h"

enum { FEISTEL_ROUNDS = 8 };

__extension__ typedef unsigned __int128 wide;

void md_philox(const uint32_t counter[4], const uint32_t key[2], uint32_t out[4]) {
    md_philox_block b = {counter[0], counter[1], counter[2], counter[3]};
    b = md_philox_rounds(b, key[0], key[1]);
    out[0] = b.c0, out[1] = b.c1, out[2] = b.c2, out[3] = b.c3;
}

void md_rng_bits(md_rng rng, uint32_t sequence, uint32_t position, uint32_t out[4]) {
    md_philox_block b = md_philox_place(rng, sequence, position);
    out[0] = b.c0, out[1] = b.c1, out[2] = b.c2, out[3] = b.c3;
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
