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
typedef double vd __attribute__((vector_size(SIMD_BYTES)));
enum { SIMD_HALF = SIMD_LANES / 2 };

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

#if SIMD_LANES == 16
/* The first n lanes. */
static inline __mmask16 v_first_lanes(int64_t n) {
    return (__mmask16)((1u << n) - 1);
}
#else
static inline __m256i v_first_lanes(int64_t n) {
    const vi lane = {0, 1, 2, 3, 4, 5, 6, 7};
    return (__m256i)(lane < (int32_t)n);
}
#endif

/* The first n lanes from memory, the others `rest`; n <= SIMD_LANES. */
static inline vf v_load_part(const float *p, int64_t n, float rest) {
#if SIMD_LANES == 16
    return (vf)_mm512_mask_loadu_ps((__m512)v_set(rest), v_first_lanes(n), p);
#else
    __m256 v = _mm256_maskload_ps(p, v_first_lanes(n));
    return (vf)_mm256_blendv_ps((__m256)v_set(rest), v, (__m256)v_first_lanes(n));
#endif
}

static inline void v_store_part(float *p, vf v, int64_t n) {
#if SIMD_LANES == 16
    _mm512_mask_storeu_ps(p, v_first_lanes(n), (__m512)v);
#else
    _mm256_maskstore_ps(p, v_first_lanes(n), (__m256)v);
#endif
}

/* Per lane, x < bound ? yes : no; no for NaN. */
static inline vf v_if_less(vf x, float bound, vf yes, vf no) {
#if SIMD_LANES == 16
    __mmask16 less = _mm512_cmp_ps_mask((__m512)x, _mm512_set1_ps(bound), _CMP_LT_OQ);
    return (vf)_mm512_mask_blend_ps(less, (__m512)no, (__m512)yes);
#else
    __m256 less = _mm256_cmp_ps((__m256)x, _mm256_set1_ps(bound), _CMP_LT_OQ);
    return (vf)_mm256_blendv_ps((__m256)no, (__m256)yes, less);
#endif
}

static inline vi vi_set(int32_t x) {
    return (vi){0} + x;
}

static inline vi vi_max(vi a, vi b) {
#if SIMD_LANES == 16
    return (vi)_mm512_max_epi32((__m512i)a, (__m512i)b);
#else
    return (vi)_mm256_max_epi32((__m256i)a, (__m256i)b);
#endif
}

/* To the nearest, ties to even; what is not a number becomes some integer. */
static inline vi v_nearest(vf x) {
#if SIMD_LANES == 16
    return (vi)_mm512_cvtps_epi32((__m512)x);
#else
    return (vi)_mm256_cvtps_epi32((__m256)x);
#endif
}

/* a * b + c, rounded once whatever the compiler contracts. */
static inline vf v_fma(vf a, vf b, vf c) {
#if SIMD_LANES == 16
    return (vf)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#else
    return (vf)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#endif
}

/* A NaN in x is passed over, one in `most` stays. */
static inline vf v_max(vf x, vf most) {
#if SIMD_LANES == 16
    return (vf)_mm512_max_ps((__m512)x, (__m512)most);
#else
    return (vf)_mm256_max_ps((__m256)x, (__m256)most);
#endif
}

/* A NaN in x stays. */
static inline vf v_min(float most, vf x) {
#if SIMD_LANES == 16
    return (vf)_mm512_min_ps(_mm512_set1_ps(most), (__m512)x);
#else
    return (vf)_mm256_min_ps(_mm256_set1_ps(most), (__m256)x);
#endif
}

static inline vf v_round(vf x) {
#if SIMD_LANES == 16
    return (vf)_mm512_roundscale_ps((__m512)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
    return (vf)_mm256_round_ps((__m256)x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#endif
}

/* x * 2^n for a whole n between -126 and 127; anything for others. */
static inline vf v_scale(vf x, vf n) {
#if SIMD_LANES == 16
    return (vf)_mm512_scalef_ps((__m512)x, (__m512)n);
#else
    return x * (vf)((v_nearest(n) + 127) << 23);
#endif
}

/* 1/x to about one unit in the last place, x in [1, 2^127]. */
static inline vf v_inverse(vf x) {
#if SIMD_LANES == 16
    vf y = (vf)_mm512_rcp14_ps((__m512)x);
    return y * (2.0f - x * y);
#else
    return 1.0f / x;
#endif
}

/* To the nearest bf16 number, ties to even; the lower 16 bits are 0. NaN stays NaN, and nothing is
 * added to it: there may be no larger integer. */
static inline vf v_round_bf16(vf x) {
    vi u = (vi)x, even = (u >> 16) & 1, nan = x != x;
    return (vf)(((u + (~nan & (0x7fff + even))) | (nan & 0x400000)) & ~0xffff);
}

/* The first and the other half of the lanes in double precision. */
static inline vd v_low(vf x) {
#if SIMD_LANES == 16
    return (vd)_mm512_cvtps_pd(_mm512_castps512_ps256((__m512)x));
#else
    return (vd)_mm256_cvtps_pd(_mm256_castps256_ps128((__m256)x));
#endif
}

static inline vd v_high(vf x) {
#if SIMD_LANES == 16
    return (vd)_mm512_cvtps_pd(_mm512_extractf32x8_ps((__m512)x, 1));
#else
    return (vd)_mm256_cvtps_pd(_mm256_extractf128_ps((__m256)x, 1));
#endif
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

/* Combines halves in a fixed order until two lanes are left. */
#if SIMD_LANES == 16
#define FOLD(v, combine) \
    v = combine(v, ROTATED(v, 8)), v = combine(v, ROTATED(v, 4)), v = combine(v, ROTATED(v, 2))
#else
#define FOLD(v, combine) v = combine(v, ROTATED(v, 4)), v = combine(v, ROTATED(v, 2))
#endif
#define ADD(a, b) ((a) + (b))

static inline float v_sum(vf v) {
    FOLD(v, ADD);
    return v[0] + v[1];
}

/* Unsigned: sums of what was not a number may wrap. */
static inline uint32_t vi_sum(vi v) {
    FOLD(v, ADD);
    return (uint32_t)v[0] + (uint32_t)v[1];
}

static inline float v_max_lane(vf v) {
    FOLD(v, v_max);
    return v_first(v_max(v, ROTATED(v, 1)));
}

static inline vi vi_max_lane(vi v) {
    FOLD(v, vi_max);
    return vi_max(v, ROTATED(v, 1));
}

/* e^x of |x| <= 87.3 to about one unit in the last place: x = n ln 2 + r, |r| <= ln 2 / 2, a
 * polynomial of degree 6 in r (minimax), times 2^n. NaN stays NaN. */
static inline vf v_exp_inside(vf x) {
    vf n = v_round(x * 1.44269504088896341f);
    vf r = x - n * 0.693145751953125f - n * 1.42860682030941723212e-6f;
    vf p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    return v_scale(p, n);
}

/* The same of any x: below -87.33 exactly 0, above 88.37 infinity. */
static inline vf v_exp(vf x) {
    vf y = v_if_less(x, -87.33654f, v_set(0.0f), v_exp_inside(x));
    return v_if_less(-x, -88.37626f, v_set(INFINITY), y);
}

/* ln x of a positive normal x to about one unit in the last place: x = 2^e (1 + f) with 1 + f in
 * [0.71, 1.42), f - f^2/2 + f^3 times a polynomial of degree 8 (minimax). NaN and infinity give
 * NaN. */
static inline vf v_log(vf x) {
    vi bits = (vi)x - 0x3f3504f3; /* sqrt(1/2) */
    vf e = __builtin_convertvector(bits >> 23, vf);
    vf f = (vf)((bits & 0x7fffff) + 0x3f3504f3) - 1.0f, z = f * f;
    vf p = f * 7.0376836292e-2f - 1.1514610310e-1f;
    p = p * f + 1.1676998740e-1f;
    p = p * f - 1.2420140846e-1f;
    p = p * f + 1.4249322787e-1f;
    p = p * f - 1.6668057665e-1f;
    p = p * f + 2.0000714765e-1f;
    p = p * f - 2.4999993993e-1f;
    p = p * f + 3.3333331174e-1f;
    vf y = p * f * z - e * 2.12194440e-4f - z * 0.5f;
    return f + y + e * 0.693359375f + (x - x);
}

static inline vf v_sigmoid(vf x) {
    return v_inverse(1.0f + v_exp_inside(v_min(87.0f, v_max(v_set(-87.0f), -x))));
}

#endif
