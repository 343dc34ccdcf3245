/* tests/hashed.h: numbers that a script in another language can make again: what golden values were
 * computed from. */
#ifndef TESTS_HASHED_H
#define TESTS_HASHED_H

#include <stdint.h>

/* lowbias32 (Wellons) of a counter. */
static inline uint32_t hash32(uint32_t stream, uint32_t i) {
    uint32_t x = i + stream * 0x9E3779B9u;
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    return x ^ x >> 16;
}

/* In [-1/2, 1/2), a multiple of 2^-24: exact in float. */
static inline double unit(uint32_t stream, uint32_t i) {
    return (hash32(stream, i) >> 8) / 16777216.0 - 0.5;
}

/* A stream for every name: FNV-1a. */
static inline uint32_t name_hash(const char *name) {
    uint32_t h = 2166136261u;
    for (; *name; name++) h = (h ^ (unsigned char)*name) * 16777619u;
    return h;
}

#endif
