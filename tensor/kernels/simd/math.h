/* tensor/kernels/simd/math.h: vectors of SIMD_LANES floats and their exponential.
 *
 * Written once with the compiler's vector types; tensor/kernels/avx2 and avx512 include it with
 * their width and are compiled with their flags. Everything is static: no symbol leaves a folder.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_MATH_H
#define MD_TENSOR_KERNELS_SIMD_MATH_H

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#ifndef SIMD_LANES
#error "define SIMD_LANES before including this template"
#endif

#define SIMD_BYTES (SIMD_LANES * 4)
typedef float vf __attribute__((vector_size(SIMD_BYTES)));
typedef int32_t vi __attribute__((vector_size(SIMD_BYTES)));

static inline vf v_load(const float *p) {
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void v_store(float *p, vf v) {
    memcpy(p, &v, sizeof v);
}

/* The bits of x in every lane. */
static inline vf v_set(float x) {
#if SIMD_LANES == 16
    return (vf)_mm512_set1_ps(x);
#else
    return (vf)_mm256_set1_ps(x);
#endif
}

static inline float v_first(vf v) {
    return v[0];
}

/* The first n lanes from memory, the others `rest`; n < SIMD_LANES. */
static inline vf v_load_part(const float *p, int64_t n, float rest) {
    float lanes[SIMD_LANES];
    for (int i = 0; i < SIMD_LANES; i++) lanes[i] = i < n ? p[i] : rest;
    return v_load(lanes);
}

static inline void v_store_part(float *p, vf v, int64_t n) {
    float lanes[SIMD_LANES];
    v_store(lanes, v);
    for (int i = 0; i < n; i++) p[i] = lanes[i];
}

static inline vf v_select(vi mask, vf yes, vf no) {
    return (vf)((mask & (vi)yes) | (~mask & (vi)no));
}

/* To the nearest bf16 number, ties to even; the lower 16 bits are 0. NaN stays NaN. */
static inline vf v_round_bf16(vf x) {
    vi u = (vi)x, even = (u >> 16) & 1, nan = x != x;
    vi rounded = u + 0x7fff + even, quiet = u | 0x400000;
    return (vf)(((nan & quiet) | (~nan & rounded)) & ~0xffff);
}

/* A lane that is NaN in a or in b is NaN. */
static inline vf v_max(vf a, vf b) {
    return v_select((a < b) | (b != b), b, a);
}

/* f(0, x), f(1, x), ... for every lane: the compiler wants the lanes of a shuffle as constants. */
#define LANES_8(f, o, x) \
    f(o, x), f(o + 1, x), f(o + 2, x), f(o + 3, x), f(o + 4, x), f(o + 5, x), f(o + 6, x), \
        f(o + 7, x)
#if SIMD_LANES == 16
#define LANES(f, x) LANES_8(f, 0, x), LANES_8(f, 8, x)
#else
#define LANES(f, x) LANES_8(f, 0, x)
#endif

/* Lane l moved up by `by`, round the end. */
#define ROTATE(l, by) (((l) + (by)) % SIMD_LANES)
#define ROTATED(v, by) __builtin_shufflevector(v, v, LANES(ROTATE, by))

/* In a fixed order: halves are added until one lane is left. */
static inline float v_sum(vf v) {
#if SIMD_LANES == 16
    v += ROTATED(v, 8);
#endif
    v += ROTATED(v, 4);
    v += ROTATED(v, 2);
    return v[0] + v[1];
}

static inline float v_max_lane(vf v) {
#if SIMD_LANES == 16
    v = v_max(v, ROTATED(v, 8));
#endif
    v = v_max(v, ROTATED(v, 4));
    v = v_max(v, ROTATED(v, 2));
    v = v_max(v, ROTATED(v, 1));
    return v_first(v);
}

/* e^x to about one unit in the last place: x = n ln 2 + r, |r| <= ln 2 / 2, a polynomial of degree
 * 6 in r (minimax), times 2^n. Below -87.33 exactly 0, above 88.37 infinity; NaN stays NaN. */
static inline vf v_exp(vf x) {
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to the nearest integer */
    vf n = (x * 1.44269504088896341f + shift) - shift;
    n = v_select(n < -126.0f, v_set(-126.0f), n);
    n = v_select(n > 127.0f, v_set(127.0f), n);
    vf r = x - n * 0.693145751953125f - n * 1.42860682030941723212e-6f;
    vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    vi bits = (__builtin_convertvector(n, vi) + 127) << 23;
    vf y = p * (vf)bits;
    y = v_select(x < -87.33654f, v_set(0.0f), y);
    return v_select(x > 88.37626f, v_set(INFINITY), y);
}

static inline vf v_sigmoid(vf x) {
    return 1.0f / (1.0f + v_exp(-x));
}

#endif
