/* base/philox.h: the generator under rng.h, in line for loops over many places. */
#ifndef MD_BASE_PHILOX_H
#define MD_BASE_PHILOX_H

#include "base/rng.h"

enum { MD_PHILOX_ROUNDS = 10 };

/* A place's 128 bits, and what they are made of. */
typedef struct md_philox_block {
    uint32_t c0, c1, c2, c3;
} md_philox_block;

static inline md_philox_block md_philox_rounds(md_philox_block b, uint32_t k0, uint32_t k1) {
    const uint64_t multiplier0 = 0xd2511f53u, multiplier1 = 0xcd9e8d57u;
    for (int round = 0; round < MD_PHILOX_ROUNDS; round++) {
        uint64_t p0 = multiplier0 * b.c0, p1 = multiplier1 * b.c2;
        b.c0 = (uint32_t)(p1 >> 32) ^ b.c1 ^ k0;
        b.c1 = (uint32_t)p1;
        b.c2 = (uint32_t)(p0 >> 32) ^ b.c3 ^ k1;
        b.c3 = (uint32_t)p0;
        k0 += 0x9e3779b9u; /* the golden ratio, and below sqrt(3) - 1 */
        k1 += 0xbb67ae85u;
    }
    return b;
}

static inline md_philox_block md_philox_place(md_rng rng, uint32_t sequence, uint32_t position) {
    uint32_t high = (rng.stream & 0xffu) | ((uint32_t)(rng.step >> 32) << 8);
    md_philox_block b = {position, sequence, (uint32_t)rng.step, high};
    return md_philox_rounds(b, (uint32_t)rng.seed, (uint32_t)(rng.seed >> 32));
}

#endif
