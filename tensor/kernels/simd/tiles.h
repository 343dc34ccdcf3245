/* tensor/kernels/simd/tiles.h: Winograd's transforms F(2x2, 3x3) of squares of vectors, see
 * md_kernels.tile. A part of gemm.h. Each is the same function of one dimension over the columns,
 * then over the rows, of a square. */
#ifndef MD_TENSOR_KERNELS_SIMD_TILES_H
#define MD_TENSOR_KERNELS_SIMD_TILES_H

/* Line 0 of a square of at most 4, `step` apart: from, to. */
typedef void (*tile_line)(const vf *from, vf *to, int step);

static inline __attribute__((always_inline)) void tile_input(const vf *d, vf *t, int step) {
    vf d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];
    t[0] = d0 - d2;
    t[step] = d1 + d2;
    t[2 * step] = d2 - d1;
    t[3 * step] = d1 - d3;
}

static inline __attribute__((always_inline)) void tile_output(const vf *m, vf *y, int step) {
    vf m0 = m[0], m1 = m[step], m2 = m[2 * step], m3 = m[3 * step];
    y[0] = m0 + m1 + m2;
    y[step] = m1 - m2 - m3;
}

static inline __attribute__((always_inline)) void tile_gradient(const vf *y, vf *m, int step) {
    vf y0 = y[0], y1 = y[step];
    m[0] = y0;
    m[step] = y0 + y1;
    m[2 * step] = y0 - y1;
    m[3 * step] = -y1;
}

static inline __attribute__((always_inline)) void tile_filter(const vf *g, vf *u, int step) {
    vf g0 = g[0], g1 = g[step], g2 = g[2 * step];
    u[0] = g0;
    u[step] = (g0 + g1 + g2) * v_set(0.5F);
    u[2 * step] = (g0 - g1 + g2) * v_set(0.5F);
    u[3 * step] = g2;
}

static inline __attribute__((always_inline)) void tile_filter_gradient(const vf *u, vf *g,
                                                                       int step) {
    vf u0 = u[0], u3 = u[3 * step];
    vf sum = (u[step] + u[2 * step]) * v_set(0.5F), less = (u[step] - u[2 * step]) * v_set(0.5F);
    g[0] = u0 + sum;
    g[step] = less;
    g[2 * step] = sum + u3;
}

/* A square of `in` x `in` vectors from t->from + c, of which only t->rows and t->cols are there. */
static inline __attribute__((always_inline)) void load_square(const md_tile *t, int c, const int in,
                                                              const bool cut, vf *a) {
#pragma GCC unroll 4
    for (int i = 0; i < in; i++)
#pragma GCC unroll 4
        for (int j = 0; j < in; j++) {
            bool there = !cut || (i < t->rows && j < t->cols);
            a[4 * i + j] =
                there ? v_load(t->from + i * t->from_line + j * t->from_pixel + c) : (vf){0};
        }
}

static inline __attribute__((always_inline)) void both_ways(tile_line line, const int in,
                                                            const int out, vf *a) {
    vf b[16];
#pragma GCC unroll 4
    for (int j = 0; j < in; j++) line(a + j, b + j, 4);
#pragma GCC unroll 4
    for (int i = 0; i < out; i++) line(b + 4 * i, a + 4 * i, 1);
}

/* Floats to floats. */
static inline __attribute__((always_inline)) void transform(const md_tile *t, tile_line line,
                                                            const int in, const int out,
                                                            const bool cut_in, const bool cut_out) {
    for (int c = 0; c < t->C; c += SIMD_LANES) {
        vf a[16];
        load_square(t, c, in, cut_in, a);
        both_ways(line, in, out, a);
#pragma GCC unroll 4
        for (int i = 0; i < out; i++)
#pragma GCC unroll 4
            for (int j = 0; j < out; j++) {
                float *to = (float *)t->to + i * t->to_line + j * t->to_pixel + c;
                if (cut_out && (i >= t->rows || j >= t->cols)) continue;
                v_store(to, cut_out && t->add ? v_load(to) + a[4 * i + j] : a[4 * i + j]);
            }
    }
}

#ifdef SIMD_BF16_DOT
/* To rounded numbers. */
static void input_rounded(const md_tile *t) {
    for (int c = 0; c < t->C; c += SIMD_LANES) {
        vf a[16];
        load_square(t, c, 4, false, a);
        both_ways(tile_input, 4, 4, a);
#pragma GCC unroll 16
        for (int p = 0; p < 16; p++) {
            uint16_t *to = (uint16_t *)t->to + p / 4 * t->to_line + p % 4 * t->to_pixel + c;
            _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh((__m512)a[p]));
        }
    }
}

/* To pairs with those of the second tile. */
static inline __attribute__((always_inline)) void paired(const md_tile *t, tile_line line,
                                                         const int in, const bool cut) {
    for (int c = 0; c < t->C; c += SIMD_LANES) {
        vf a[16], b[16] = {0};
        load_square(t, c, in, cut, a);
        both_ways(line, in, 4, a);
        if (t->second) {
            load_square(t->second, c, in, cut, b);
            both_ways(line, in, 4, b);
        }
#pragma GCC unroll 16
        for (int p = 0; p < 16; p++) {
            float *to = (float *)t->to + p / 4 * t->to_line + p % 4 * t->to_pixel + c;
            v_store(to, v_pair(a[p], b[p]));
        }
    }
}
#endif

static void tile_transform(md_tile_kind kind, const md_tile *t) {
    switch (kind) {
#ifdef SIMD_BF16_DOT
    case MD_TILE_INPUT: input_rounded(t); break;
    case MD_TILE_INPUT_TAP: paired(t, tile_input, 4, false); break;
    case MD_TILE_GRADIENT_TAP: paired(t, tile_gradient, 2, true); break;
#else
    case MD_TILE_INPUT:
    case MD_TILE_INPUT_TAP: transform(t, tile_input, 4, 4, false, false); break;
    case MD_TILE_GRADIENT_TAP: transform(t, tile_gradient, 2, 4, true, false); break;
#endif
    case MD_TILE_OUTPUT: transform(t, tile_output, 4, 2, false, true); break;
    case MD_TILE_FILTER: transform(t, tile_filter, 3, 4, false, false); break;
    case MD_TILE_FILTER_GRADIENT: transform(t, tile_filter_gradient, 4, 3, false, false); break;
    }
}

#endif
