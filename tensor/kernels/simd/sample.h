/* tensor/kernels/simd/sample.h: what the sampler asks of a row of logits, from simd/math.h.
 *
 * Included once by each instruction set's folder. An entry means what tensor/kernels.h says; it is
 * compared with k_ref.c by tests/test_sampler_rows.c. A chunk is read twice, the second time from
 * the nearest cache, so a row is read once from memory.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_SAMPLE_H
#define MD_TENSOR_KERNELS_SIMD_SAMPLE_H

#include "tensor/kernels.h"
#include "tensor/kernels/simd/math.h"

enum { SAMPLE_GROUP = 4 * SIMD_LANES }; /* what is summed in f32 before it is added in double */
_Static_assert(MD_CHUNK % SAMPLE_GROUP == 0, "a chunk is whole groups");

static inline double v_sum_wide(vd v) {
    for (int half = SIMD_LANES / 4; half > 0; half /= 2)
        for (int i = 0; i < half; i++) v[i] += v[i + half];
    return v[0];
}

/* x = scale * (l - max) is at most 0; what is so low that e^x is 0 stays finite, so that
 * e^x * x is 0 too. NaN stays. */
static inline vf v_not_too_low(vf x) {
    return v_max(v_set(-88.0f), x);
}

static inline float chunk_max(const float *l) {
    vf max[4];
    for (int k = 0; k < 4; k++) max[k] = v_set(-INFINITY);
    for (int i = 0; i < MD_CHUNK; i += SAMPLE_GROUP)
        for (int k = 0; k < 4; k++) max[k] = v_max(v_load(l + i + k * SIMD_LANES), max[k]);
    return v_max_lane(v_max(v_max(max[0], max[1]), v_max(max[2], max[3])));
}

/* One whole chunk. `tempered`: scale is not 1. */
static inline md_chunk sum_chunk(const float *l, float scale, bool tempered) {
    float max = chunk_max(l), shift = max == -INFINITY ? 0.0f : max;
    vd sum = {0}, plain = {0}, slope = {0};
    for (int i = 0; i < MD_CHUNK; i += SAMPLE_GROUP) {
        vf s = {0}, p = {0}, m = {0};
        for (int k = 0; k < 4; k++) {
            vf x = v_load(l + i + k * SIMD_LANES) - shift, low = v_not_too_low(x), w = v_exp(low);
            p += w;
            m += w * low;
            if (tempered) s += v_exp(v_not_too_low(x * scale));
        }
        plain += v_low(p) + v_high(p);
        slope += v_low(m) + v_high(m);
        if (tempered) sum += v_low(s) + v_high(s);
    }
    md_chunk c = {.max = max, .plain = v_sum_wide(plain), .slope = v_sum_wide(slope)};
    c.sum = tempered ? v_sum_wide(sum) : c.plain;
    return c;
}

static void chunk_sums(int V, int32_t banned, float scale, const float *l, md_chunk *chunks) {
    for (int first = 0; first < V; first += MD_CHUNK) {
        float copy[MD_CHUNK];
        const float *from = l + first;
        int n = V - first, ban = banned - first;
        if (n < MD_CHUNK || (ban >= 0 && ban < MD_CHUNK)) {
            for (int i = 0; i < MD_CHUNK; i++) copy[i] = i < n && i != ban ? from[i] : -INFINITY;
            from = copy;
        }
        *chunks++ = scale == 1.0f ? sum_chunk(from, 1.0f, false) : sum_chunk(from, scale, true);
    }
}

static void chunk_weights(int n, float scale, float max, const float *l, float *w) {
    int i = 0;
    for (; i + SIMD_LANES <= n; i += SIMD_LANES)
        v_store(w + i, v_exp(v_not_too_low((v_load(l + i) - max) * scale)));
    if (i == n) return;
    vf x = (v_load_part(l + i, n - i, -INFINITY) - max) * scale;
    v_store_part(w + i, v_exp(v_not_too_low(x)), n - i);
}

static inline void simd_override_sample(md_kernels *table) {
    table->chunk_sums = chunk_sums;
    table->chunk_weights = chunk_weights;
}

#endif
