/* tensor/kernels/simd/image.h: what operators on images use, of one instruction set.
 *
 * Included once by each instruction set's folder. An entry means what tensor/kernels.h says; every
 * one is compared with k_ref_image.c by tests/test_kernels_image.c.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_IMAGE_H
#define MD_TENSOR_KERNELS_SIMD_IMAGE_H

#include "tensor/kernels/simd/group_norm.h"

/* --- SiLU ------------------------------------------------------------------------------------ */

static void silu(int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i += SIMD_LANES) {
        vf u = at(x + i, n - i);
        put(y + i, u * v_sigmoid(u), n - i);
    }
}

static void silu_backward(int64_t n, const float *x, const float *dy, bool add, float *dx) {
    for (int64_t i = 0; i < n; i += SIMD_LANES) {
        vf u = at(x + i, n - i), g = at(dy + i, n - i) * silu_slope(u, v_sigmoid(u));
        put(dx + i, add ? at(dx + i, n - i) + g : g, n - i);
    }
}

/* --- GELU ------------------------------------------------------------------------------------ */

/* 2 u = x (GELU_LINEAR + GELU_CUBIC x^2): 2 sqrt(2 / pi), and 0.044715 of it. Above GELU_MOST,
 * x^2 says nothing new. */
#define GELU_LINEAR 1.5957691216057308f
#define GELU_CUBIC 0.07135481627159922f
#define GELU_MOST 1e3f

static void gelu(int64_t n, const float *x, float *y) {
    for (int64_t i = 0; i < n; i += SIMD_LANES) {
        vf u = at(x + i, n - i), square = v_min(GELU_MOST, u * u);
        put(y + i, u * v_sigmoid(u * (GELU_LINEAR + GELU_CUBIC * square)), n - i);
    }
}

static void gelu_backward(int64_t n, const float *x, const float *dy, bool add, float *dx) {
    for (int64_t i = 0; i < n; i += SIMD_LANES) {
        vf u = at(x + i, n - i), square = v_min(GELU_MOST, u * u);
        vf s = v_sigmoid(u * (GELU_LINEAR + GELU_CUBIC * square));
        vf slope = s + u * s * (1.0f - s) * (GELU_LINEAR + 3 * GELU_CUBIC * square);
        vf g = at(dy + i, n - i) * slope;
        put(dx + i, add ? at(dx + i, n - i) + g : g, n - i);
    }
}

/* --- rows ------------------------------------------------------------------------------------ */

static void add_row(int rows, int C, const float *x, const float *b, float *y) {
    for (int r = 0; r < rows; r++, x += C, y += C)
        for (int64_t c = 0; c < C; c += SIMD_LANES)
            put(y + c, at(x + c, C - c) + at(b + c, C - c), C - c);
}

UNROLLED void sum_vector(int rows, int64_t stride, const float *x, const float *y, int64_t n,
                         float *to) {
    vd low = {0}, high = {0};
    for (int r = 0; r < rows;) {
        int end = rows - r < SUM_ROWS ? rows : r + SUM_ROWS;
        vf some = {0};
        for (; r < end; r++, x += stride) {
            some = y ? v_fma(at(x, n), at(y, n), some) : some + at(x, n);
            if (y) y += stride;
        }
        low += v_low(some), high += v_high(some);
    }
    float sum[SIMD_LANES];
    for (int i = 0; i < SIMD_HALF; i++) sum[i] = (float)low[i], sum[i + SIMD_HALF] = (float)high[i];
    put(to, v_load(sum), n);
}

static void sum_rows(int rows, int C, int stride, const float *x, const float *y, float *to) {
    if (y) {
        FOR_VECTORS(c, C, sum_vector(rows, stride, x + c, y + c, SIMD_LANES, to + c),
                    sum_vector(rows, stride, x + c, y + c, C - c, to + c));
    } else {
        FOR_VECTORS(c, C, sum_vector(rows, stride, x + c, NULL, SIMD_LANES, to + c),
                    sum_vector(rows, stride, x + c, NULL, C - c, to + c));
    }
}

UNROLLED void move_columns(md_columns_args a, bool add) {
    for (int r = 0; r < a.rows; r++, a.from += a.from_stride, a.to += a.to_stride) {
        for (int64_t c = 0; c < a.cols; c += SIMD_LANES) {
            int64_t n = a.cols - c;
            vf v = at(a.from + c, n);
            put(a.to + c, add ? at(a.to + c, n) + v : v, n);
        }
    }
}

static void columns(const md_columns_args *a) {
    if (a->add) {
        move_columns(*a, true);
    } else {
        move_columns(*a, false);
    }
}

/* --- what an image's condition moves --------------------------------------------------------- */

static void gate_rows(int rows, int C, const float *x, const float *gate, const float *branch,
                      float *y) {
    for (int r = 0; r < rows; r++, branch += C, y += C) {
        for (int64_t c = 0; c < C; c += SIMD_LANES) {
            int64_t n = C - c;
            put(y + c, v_fma(at(gate + c, n), at(branch + c, n), x ? at(x + c, n) : v_set(0)), n);
        }
        if (x) x += C;
    }
}

/* Of a row: sums in float of a hundred or so in each lane. */
static inline float row_mean(const float *x, int C) {
    vf sum = {0};
    for (int64_t c = 0; c < C; c += SIMD_LANES) sum += at(x + c, C - c);
    return v_sum(sum) / (float)C;
}

static inline float row_variance(const float *x, int C, float mean) {
    vf sum = {0};
    for (int64_t c = 0; c < C; c += SIMD_LANES) {
        int64_t n = C - c;
        vf d = (n >= SIMD_LANES ? v_load(x + c) : v_load_part(x + c, n, mean)) - mean;
        sum += d * d;
    }
    return v_sum(sum) / (float)C;
}

static void modulated_norm(const md_modulated_norm_args *args) {
    const md_modulated_norm_args a = *args;
    const float *x = a.x;
    float *y = a.y;
    for (int r = 0; r < a.rows; r++, x += a.C, y += a.C) {
        float mean = row_mean(x, a.C), rstd = 1 / sqrtf(row_variance(x, a.C, mean) + a.eps);
        a.mean[r] = mean, a.rstd[r] = rstd;
        for (int64_t c = 0; c < a.C; c += SIMD_LANES) {
            int64_t n = a.C - c;
            vf normal = (at(x + c, n) - mean) * rstd;
            put(y + c, v_fma(normal, 1.0f + at(a.scale + c, n), at(a.shift + c, n)), n);
        }
    }
}

/* One row's gradients, whose dy, x and dx begin at `start`. */
static inline void modulated_row(md_modulated_norm_args a, int64_t start, float mean, float rstd) {
    const float *x = a.x + start, *dy = a.dy + start;
    vf plain = {0}, slant = {0};
    for (int64_t c = 0; c < a.C; c += SIMD_LANES) {
        int64_t n = a.C - c;
        vf d = at(dy + c, n), normal = (at(x + c, n) - mean) * rstd;
        vf g = d * (1.0f + at(a.scale + c, n));
        plain += g;
        slant += g * normal;
        if (a.dscale) put(a.dscale + c, v_fma(d, normal, at(a.dscale + c, n)), n);
        if (a.dshift) put(a.dshift + c, at(a.dshift + c, n) + d, n);
    }
    if (!a.dx) return;
    float offset = v_sum(plain) / (float)a.C, slope = v_sum(slant) / (float)a.C;
    for (int64_t c = 0; c < a.C; c += SIMD_LANES) {
        int64_t n = a.C - c;
        vf normal = (at(x + c, n) - mean) * rstd, g = at(dy + c, n) * (1.0f + at(a.scale + c, n));
        vf d = rstd * (g - offset - normal * slope);
        put(a.dx + start + c, a.add ? at(a.dx + start + c, n) + d : d, n);
    }
}

static void modulated_norm_backward(const md_modulated_norm_args *a) {
    for (int r = 0; r < a->rows; r++) modulated_row(*a, (int64_t)r * a->C, a->mean[r], a->rstd[r]);
}

static inline void simd_override_image(md_kernels *table) {
    table->silu = silu;
    table->silu_backward = silu_backward;
    table->gelu = gelu;
    table->gelu_backward = gelu_backward;
    table->group_norm = group_norm;
    table->group_norm_backward = group_norm_backward;
    table->add_row = add_row;
    table->sum_rows = sum_rows;
    table->columns = columns;
    table->gate_rows = gate_rows;
    table->modulated_norm = modulated_norm;
    table->modulated_norm_backward = modulated_norm_backward;
}

#endif
