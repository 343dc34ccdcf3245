/* tensor/kernels/simd/group_norm.h: group norm of one instruction set, with SiLU behind it.
 *
 * Sums are of four pixels in float and of these in double precision. Lanes are channels, so a
 * channel's bits do not depend on those beside it.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_GROUP_NORM_H
#define MD_TENSOR_KERNELS_SIMD_GROUP_NORM_H

#include "tensor/kernels/simd/fused.h"

/* Rows that are read together: what is summed of them goes on in double precision. */
enum { SUM_ROWS = 4 };

/* Inlined where `rows`, `with_silu`, `add` or n == SIMD_LANES are constants, for which it is
 * compiled. What a loop needs of a struct is passed by value: for all that the compiler knows, a
 * vector could be stored over it. */
#define UNROLLED static inline __attribute__((always_inline))

static inline void vd_accumulate(double *sum, vd v) {
    vd old;
    memcpy(&old, sum, sizeof old);
    old += v;
    memcpy(sum, &old, sizeof old);
}

/* Of silu at u with s = sigmoid(u). */
static inline vf silu_slope(vf u, vf s) {
    return s + u * s * (1.0f - s);
}

/* The rooms for sums and factors hold rows of this length: vectors are whole there. */
static inline int64_t padded(int64_t C) {
    return (C + SIMD_LANES - 1) / SIMD_LANES * SIMD_LANES;
}

/* Adds some pixels and their squares to the sums of n channels. */
UNROLLED void add_moments(int rows, int64_t stride, const float *x, int64_t n, double *sum,
                          double *square) {
    vd low = {0}, high = {0}, low2 = {0}, high2 = {0};
    for (int r = 0; r < rows; r++, x += stride) {
        vf v = at(x, n);
        vd l = v_low(v), h = v_high(v);
        low += l, high += h;
        low2 += l * l, high2 += h * h;
    }
    vd_accumulate(sum, low);
    vd_accumulate(sum + SIMD_HALF, high);
    vd_accumulate(square, low2);
    vd_accumulate(square + SIMD_HALF, high2);
}

UNROLLED void add_pixels(md_group_norm_args a, int first, int rows) {
    int64_t C = a.C, stride = a.stride;
    const float *x = a.x + first * stride;
    double *sum = a.sums, *square = sum + padded(C);
    FOR_VECTORS(c, C, add_moments(rows, stride, x + c, SIMD_LANES, sum + c, square + c),
                add_moments(rows, stride, x + c, C - c, sum + c, square + c));
}

UNROLLED void add_all_pixels(md_group_norm_args a) {
    int r = 0;
    memset(a.sums, 0, (size_t)(2 * padded(a.C)) * sizeof *a.sums);
    for (; r + SUM_ROWS <= a.rows; r += SUM_ROWS) add_pixels(a, r, SUM_ROWS);
    for (; r < a.rows; r++) add_pixels(a, r, 1);
}

static void group_moments(const md_group_norm_args *a) {
    const double *sum = a->sums, *square = sum + padded(a->C);
    const double n = (double)a->rows * a->group;
    for (int g = 0; g < a->C / a->group; g++, sum += a->group, square += a->group) {
        double s = 0, q = 0;
        for (int c = 0; c < a->group; c++) s += sum[c], q += square[c];
        double mean = s / n, variance = q / n - mean * mean;
        if (variance < 0) variance = 0;
        a->mean[g] = (float)mean;
        a->rstd[g] = (float)(1 / sqrt(variance + (double)a->eps));
    }
}

/* scale and shift of every channel: v = x scale + shift. */
static void group_factors(const md_group_norm_args *a, float *scale, float *shift) {
    for (int g = 0, c = 0; c < a->C; g++) {
        for (int end = c + a->group; c < end; c++) {
            scale[c] = a->rstd[g] * a->gain[c];
            shift[c] = a->bias[c] - a->mean[g] * scale[c];
        }
    }
}

UNROLLED void norm_vector(const float *x, const float *scale, const float *shift, bool with_silu,
                          int64_t n, float *y) {
    vf v = v_fma(at(x, n), v_load(scale), v_load(shift));
    put(y, with_silu ? v * v_sigmoid(v) : v, n);
}

UNROLLED void norm_pixels(md_group_norm_args a, bool with_silu) {
    int64_t C = a.C;
    const float *scale = a.factors, *shift = scale + padded(C), *x = a.x;
    float *y = a.y;
    for (int r = 0; r < a.rows; r++, x += a.stride, y += a.stride)
        FOR_VECTORS(c, C, norm_vector(x + c, scale + c, shift + c, with_silu, SIMD_LANES, y + c),
                    norm_vector(x + c, scale + c, shift + c, with_silu, C - c, y + c));
}

static void group_norm(const md_group_norm_args *a) {
    add_all_pixels(*a);
    group_moments(a);
    group_factors(a, a->factors, a->factors + padded(a->C));
    if (a->silu) {
        norm_pixels(*a, true);
    } else {
        norm_pixels(*a, false);
    }
}

/* Of some pixels and n channels from c on, dy becomes the gradient dv of v; adds it, and it times
 * x - mean, to the sums. */
UNROLLED void before_silu(md_group_norm_args a, bool with_silu, int first, int rows, int64_t c,
                          int64_t n) {
    const int64_t pad = padded(a.C), start = (int64_t)first * a.stride + c;
    const float *x = a.x + start, *factors = a.factors + c;
    float *dy = a.dy + start;
    double *sum = a.sums + c, *slanted = sum + pad;
    vf scale = v_load(factors), shift = v_load(factors + pad), mean = v_load(factors + 2 * pad);
    vf plain = {0}, slant = {0};
    for (int r = 0; r < rows; r++, x += a.stride, dy += a.stride) {
        vf u = at(x, n), g = at(dy, n);
        if (with_silu) {
            vf v = v_fma(u, scale, shift);
            g *= silu_slope(v, v_sigmoid(v));
            put(dy, g, n);
        }
        plain += g;
        slant = v_fma(g, u - mean, slant);
    }
    vd_accumulate(sum, v_low(plain));
    vd_accumulate(sum + SIMD_HALF, v_high(plain));
    vd_accumulate(slanted, v_low(slant));
    vd_accumulate(slanted + SIMD_HALF, v_high(slant));
}

UNROLLED void pixels_before_silu(md_group_norm_args a, bool with_silu, int first, int rows) {
    int64_t C = a.C;
    FOR_VECTORS(c, C, before_silu(a, with_silu, first, rows, c, SIMD_LANES),
                before_silu(a, with_silu, first, rows, c, C - c));
}

UNROLLED void all_before_silu(md_group_norm_args a, bool with_silu) {
    int r = 0;
    memset(a.sums, 0, (size_t)(2 * padded(a.C)) * sizeof *a.sums);
    for (; r + SUM_ROWS <= a.rows; r += SUM_ROWS) pixels_before_silu(a, with_silu, r, SUM_ROWS);
    for (; r < a.rows; r++) pixels_before_silu(a, with_silu, r, 1);
}

/* From the sums of dv and dv (x - mean): gradients of gain and bias, and what dx is made of,
 * dx = dv scale + x slope + offset. */
static void backward_factors(const md_group_norm_args *a) {
    int64_t pad = padded(a->C);
    const double *plain = a->sums, *slant = plain + pad;
    float *slope = a->factors + pad, *offset = slope + pad;
    double n = (double)a->rows * a->group;
    for (int g = 0; g < a->C / a->group; g++) {
        double rstd = (double)a->rstd[g], mean = (double)a->mean[g], p = 0, s = 0;
        int first = g * a->group, end = first + a->group;
        for (int c = first; c < end; c++) {
            a->dbias[c] = (float)plain[c];
            a->dgain[c] = (float)(slant[c] * rstd);
            p += (double)a->gain[c] * plain[c];
            s += (double)a->gain[c] * slant[c];
        }
        double by = -s / n * rstd * rstd * rstd;
        for (int c = first; c < end; c++) {
            slope[c] = (float)by;
            offset[c] = (float)(-rstd * p / n - mean * by);
        }
    }
}

UNROLLED void gradient_vector(md_group_norm_args a, bool add, int64_t start, int64_t c, int64_t n) {
    const int64_t pad = padded(a.C);
    const float *scale = a.factors + c, *slope = scale + pad, *offset = slope + pad;
    float *dx = a.dx + start + c;
    vf d = v_fma(at(a.x + start + c, n), v_load(slope), v_load(offset));
    d = v_fma(at(a.dy + start + c, n), v_load(scale), d);
    put(dx, add ? at(dx, n) + d : d, n);
}

UNROLLED void input_gradient(md_group_norm_args a, bool add) {
    int64_t C = a.C, start = 0;
    for (int r = 0; r < a.rows; r++, start += a.stride)
        FOR_VECTORS(c, C, gradient_vector(a, add, start, c, SIMD_LANES),
                    gradient_vector(a, add, start, c, C - c));
}

static void group_norm_backward(const md_group_norm_args *a) {
    int64_t pad = padded(a->C);
    group_factors(a, a->factors, a->factors + pad);
    for (int c = 0; c < a->C; c++) a->factors[2 * pad + c] = a->mean[c / a->group];
    if (a->silu) {
        all_before_silu(*a, true);
    } else {
        all_before_silu(*a, false);
    }
    backward_factors(a);
    if (a->dx && a->add) input_gradient(*a, true);
    if (a->dx && !a->add) input_gradient(*a, false);
}

#endif
