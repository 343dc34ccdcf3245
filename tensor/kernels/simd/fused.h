/* tensor/kernels/simd/fused.h: the fused kernels of one instruction set, from simd/math.h.
 *
 * Included once by each instruction set's folder. An entry means what tensor/kernels.h says;
 * every one is compared with k_ref.c by tests/test_kernels_fused.c.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_FUSED_H
#define MD_TENSOR_KERNELS_SIMD_FUSED_H

#include "tensor/kernels.h"
#include "tensor/kernels/simd/math.h"

/* Runs `whole` with i at each full vector of n elements, then `part` with i at the rest of
 * n - i < SIMD_LANES elements, if any. */
#define FOR_VECTORS(i, n, whole, part) \
    do { \
        int64_t i = 0; \
        for (; i + SIMD_LANES <= (n); i += SIMD_LANES) whole; \
        if (i < (n)) part; \
    } while (0)

static inline vf at(const float *p, int64_t n) {
    return n >= SIMD_LANES ? v_load(p) : v_load_part(p, n, 0);
}

static inline void put(float *p, vf v, int64_t n) {
    if (n >= SIMD_LANES) {
        v_store(p, v);
    } else {
        v_store_part(p, v, n);
    }
}

/* --- norm ------------------------------------------------------------------------------------ */

static void rms_norm(int rows, int C, float eps, const float *x, const float *w, float *y,
                     float *rstd) {
    for (int r = 0; r < rows; r++, x += C, y += C) {
        vf sum = {0};
        for (int64_t c = 0; c < C; c += SIMD_LANES) {
            vf v = at(x + c, C - c);
            sum += v * v;
        }
        rstd[r] = 1.0f / sqrtf(v_sum(sum) / (float)C + eps);
        for (int64_t c = 0; c < C; c += SIMD_LANES)
            put(y + c, at(x + c, C - c) * rstd[r] * at(w + c, C - c), C - c);
    }
}

/* The row's gradient with respect to x, and its share of the gradient with respect to w. */
static inline void norm_row(int C, const float *x, const float *w, float rstd, const float *dy,
                            bool add, float *dx, float *dw) {
    vf dot = {0};
    for (int64_t c = 0; c < C; c += SIMD_LANES) {
        vf g = at(dy + c, C - c) * at(x + c, C - c);
        dot += g * at(w + c, C - c);
        if (dw) put(dw + c, at(dw + c, C - c) + g * rstd, C - c);
    }
    if (!dx) return;
    float slope = v_sum(dot) * rstd * rstd / (float)C;
    for (int64_t c = 0; c < C; c += SIMD_LANES) {
        int64_t n = C - c;
        vf g = rstd * (at(w + c, n) * at(dy + c, n) - at(x + c, n) * slope);
        put(dx + c, add ? at(dx + c, n) + g : g, n);
    }
}

static void rms_norm_backward(int rows, int C, const float *x, const float *w, const float *rstd,
                              const float *dy, bool add, float *dx, float *dw) {
    for (int r = 0; r < rows; r++, x += C, dy += C) {
        norm_row(C, x, w, rstd[r], dy, add, dx, dw);
        if (dx) dx += C;
    }
}

/* --- SwiGLU ---------------------------------------------------------------------------------- */

static void swiglu(int rows, int F, const float *x, float *y) {
    for (int r = 0; r < rows; r++, x += 2 * (int64_t)F, y += F) {
        for (int64_t i = 0; i < F; i += SIMD_LANES) {
            vf u = at(x + i, F - i);
            put(y + i, u * v_sigmoid(u) * at(x + F + i, F - i), F - i);
        }
    }
}

static void swiglu_backward(int rows, int F, const float *x, const float *dy, bool add, float *dx) {
    for (int r = 0; r < rows; r++, x += 2 * (int64_t)F, dy += F, dx += 2 * (int64_t)F) {
        for (int64_t i = 0; i < F; i += SIMD_LANES) {
            int64_t n = F - i;
            vf u = at(x + i, n), s = v_sigmoid(u), silu = u * s, g = at(dy + i, n);
            vf gate = g * at(x + F + i, n) * (s + silu * (1.0f - s)), up = g * silu;
            put(dx + i, add ? at(dx + i, n) + gate : gate, n);
            put(dx + F + i, add ? at(dx + F + i, n) + up : up, n);
        }
    }
}

/* --- rotary positions ------------------------------------------------------------------------ */

static void rope(int rows, int heads, int D, int stride, const float *cos_, const float *sin_,
                 float sign, float *x) {
    int half = D / 2;
    for (int r = 0; r < rows; r++, x += stride, cos_ += half, sin_ += half) {
        for (int h = 0; h < heads; h++) {
            float *lo = x + (int64_t)h * D, *hi = lo + half;
            for (int64_t i = 0; i < half; i += SIMD_LANES) {
                int64_t n = half - i;
                vf a = at(lo + i, n), b = at(hi + i, n);
                vf c = at(cos_ + i, n), s = sign * at(sin_ + i, n);
                put(lo + i, a * c - b * s, n);
                put(hi + i, b * c + a * s, n);
            }
        }
    }
}

/* --- softmax --------------------------------------------------------------------------------- */

/* NaN is passed over here and found again by the sum of exponentials. */
static inline float row_max(const float *s, int64_t n) {
    vf max = v_set(-INFINITY);
    FOR_VECTORS(i, n, max = v_max(v_load(s + i), max),
                max = v_max(v_load_part(s + i, n - i, -INFINITY), max));
    return v_max_lane(max);
}

/* s = exp(scale * s - shift); returns the sum. */
static inline float row_exp(float *s, int64_t n, float scale, float shift) {
    vf sum = {0};
    for (int64_t i = 0; i < n; i += SIMD_LANES) {
        vf v = n - i >= SIMD_LANES ? v_load(s + i) : v_load_part(s + i, n - i, -INFINITY);
        v = v_exp(v * scale - shift);
        sum += v;
        put(s + i, v, n - i);
    }
    return v_sum(sum);
}

static inline void row_scale(float *s, int64_t n, float by) {
    for (int64_t i = 0; i < n; i += SIMD_LANES) put(s + i, at(s + i, n - i) * by, n - i);
}

static void softmax(int rows, int cols, int stride, float scale, float *s, float *lse) {
    float sum[SIMD_LANES] = {0};
    for (int r = 0; r < rows; r++, s += stride) {
        int lane = r % SIMD_LANES;
        lse[r] = scale * row_max(s, cols);
        sum[lane] = row_exp(s, cols, scale, lse[r]);
        row_scale(s, cols, 1.0f / sum[lane]);
        if (lane < SIMD_LANES - 1 && r < rows - 1) continue;
        float *first = lse + r - lane; /* logarithms of many rows at once */
        put(first, at(first, lane + 1) + v_log(v_load(sum)), lane + 1);
    }
}

static void softmax_again(int rows, int cols, int stride, float scale, float *s, const float *lse) {
    for (int r = 0; r < rows; r++, s += stride) row_exp(s, cols, scale, lse[r]);
}

static void softmax_backward(int rows, int cols, int stride, float scale, const float *p,
                             const float *delta, float *dp) {
    for (int r = 0; r < rows; r++, p += stride, dp += stride) {
        for (int64_t i = 0; i < cols; i += SIMD_LANES) {
            int64_t n = cols - i;
            put(dp + i, scale * at(p + i, n) * (at(dp + i, n) - delta[r]), n);
        }
    }
}

static void row_dot(int rows, int n, int stride, const float *a, const float *b, float *delta) {
    for (int r = 0; r < rows; r++, a += stride, b += stride) {
        vf sum = {0};
        for (int64_t i = 0; i < n; i += SIMD_LANES) sum += at(a + i, n - i) * at(b + i, n - i);
        delta[r] = v_sum(sum);
    }
}

static inline float row_exp_sum(const float *s, int64_t n, float shift) {
    vf sum = {0};
    for (int64_t i = 0; i < n; i += SIMD_LANES) {
        vf v = n - i >= SIMD_LANES ? v_load(s + i) : v_load_part(s + i, n - i, -INFINITY);
        sum += v_exp(v - shift);
    }
    return v_sum(sum);
}

static void cross_entropy(int rows, int V, int32_t banned, const int32_t *target,
                          const float *weight, bool gradient, float *logits, float *loss) {
    for (int r = 0; r < rows; r++, logits += V) {
        if (banned >= 0) logits[banned] = -INFINITY;
        float of_target = logits[target[r]], max = row_max(logits, V);
        float sum = gradient ? row_exp(logits, V, 1.0f, max) : row_exp_sum(logits, V, max);
        loss[r] = max + logf(sum) - of_target;
        if (!gradient) continue;
        row_scale(logits, V, weight[r] / sum);
        logits[target[r]] -= weight[r];
    }
}

/* --- flat loops ------------------------------------------------------------------------------ */

static void add(int64_t n, const float *a, const float *b, float *y) {
    for (int64_t i = 0; i < n; i += SIMD_LANES)
        put(y + i, at(a + i, n - i) + at(b + i, n - i), n - i);
}

static void accumulate(int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i += SIMD_LANES)
        put(y + i, at(y + i, n - i) + at(x + i, n - i), n - i);
}

/* In double precision, eight partial sums. */
static double sum_squares(int64_t n, const float *x) {
    double part[8] = {0};
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int k = 0; k < 8; k++) part[k] += (double)x[i + k] * (double)x[i + k];
    }
    for (; i < n; i++) part[i % 8] += (double)x[i] * (double)x[i];
    return ((part[0] + part[4]) + (part[1] + part[5])) +
           ((part[2] + part[6]) + (part[3] + part[7]));
}

static inline void adamw_vector(const md_adamw_args *a, int64_t i, int64_t n) {
    vf g = at(a->grad + i, n) * a->grad_scale, w = at(a->w + i, n);
    vf m = a->beta1 * at(a->m + i, n) + (1.0f - a->beta1) * g;
    vf v = a->beta2 * at(a->v + i, n) + (1.0f - a->beta2) * g * g, root = v / a->correction2;
    for (int k = 0; k < SIMD_LANES; k++) root[k] = sqrtf(root[k]);
    w -= a->lr * (m / a->correction1 / (root + a->eps) + a->decay * w);
    put(a->m + i, m, n);
    put(a->v + i, v, n);
    put(a->w + i, w, n);
    put(a->grad + i, (vf){0}, n);
    if (a->ema) put(a->ema + i, a->ema_decay * at(a->ema + i, n) + (1.0f - a->ema_decay) * w, n);
}

static void adamw(int64_t n, const md_adamw_args *a) {
    for (int64_t i = 0; i < n; i += SIMD_LANES) adamw_vector(a, i, n - i);
}

static inline void simd_override_fused(md_kernels *table) {
    table->rms_norm = rms_norm;
    table->rms_norm_backward = rms_norm_backward;
    table->swiglu = swiglu;
    table->swiglu_backward = swiglu_backward;
    table->rope = rope;
    table->softmax = softmax;
    table->softmax_again = softmax_again;
    table->softmax_backward = softmax_backward;
    table->row_dot = row_dot;
    table->cross_entropy = cross_entropy;
    table->add = add;
    table->accumulate = accumulate;
    table->sum_squares = sum_squares;
    table->adamw = adamw;
}

#endif
