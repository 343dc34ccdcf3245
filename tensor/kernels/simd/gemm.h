/* tensor/kernels/simd/gemm.h: matrix products of one instruction set.
 *
 *     for each KC rows of op(B), for each panel of NR columns: pack the panel
 *         for each MR rows of op(A): MR x NR sums in registers
 *
 * op(A) is read where it lies, one element broadcast at a time; both of its layouts are friendly to
 * that. Every element of C is a sum over k in order with one accumulator per KC block, wherever it
 * falls in a tile: its bits do not depend on how a product is cut into tiles.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_GEMM_H
#define MD_TENSOR_KERNELS_SIMD_GEMM_H

#include "tensor/kernels.h"
#include "tensor/kernels/simd/math.h"

/* Registers: MR x NV sums, NV of B, one of A; 32 registers with AVX-512, 16 with AVX2. */
#if SIMD_LANES == 16
enum { MR = 12 };
#else
enum { MR = 6 };
#endif
enum { NV = 2, NR = NV * SIMD_LANES, KC = 256 };

/* Where a tile of sums goes: c = sums, or c += sums. */
typedef struct micro_out {
    float *c;
    int64_t ldc;
    bool add;
} micro_out;

/* sums[i][j] = sum over p < kc of a[i * row + p * col] * b[p * NR + j], for MR rows, NR columns */
static inline __attribute__((always_inline)) void
micro(int64_t kc, const float *a, int64_t row, int64_t col, const float *b, micro_out out) {
    vf sum[MR][NV] = {0};
    for (int64_t p = 0; p < kc; p++, b += NR, a += col) {
        vf b0 = v_load(b), b1 = v_load(b + SIMD_LANES);
#pragma GCC unroll 16
        for (int i = 0; i < MR; i++) {
            vf x = v_set(a[i * row]);
            sum[i][0] += x * b0;
            sum[i][1] += x * b1;
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < MR; i++) {
        float *c = out.c + i * out.ldc;
        v_store(c, out.add ? v_load(c) + sum[i][0] : sum[i][0]);
        v_store(c + SIMD_LANES, out.add ? v_load(c + SIMD_LANES) + sum[i][1] : sum[i][1]);
    }
}

/* The two layouts apart, so that one of the strides is a constant. */
static __attribute__((noinline)) void micro_rows(int64_t kc, const float *a, int64_t lda,
                                                 const float *b, micro_out out) {
    micro(kc, a, lda, 1, b, out);
}

static __attribute__((noinline)) void micro_columns(int64_t kc, const float *a, int64_t lda,
                                                    const float *b, micro_out out) {
    micro(kc, a, 1, lda, b, out);
}

/* Lanes of the pair (a, b) that form the new a and the new b when halves are exchanged: LOW(l,
 * half) and HIGH(l, half) for lane l. The compiler wants them as constants. */
#define LOW(l, half) ((l) & (half) ? (l) - (half) + SIMD_LANES : (l))
#define HIGH(l, half) ((l) & (half) ? (l) + SIMD_LANES : (l) + (half))
#define LANES_8(f, o, h) \
    f(o, h), f(o + 1, h), f(o + 2, h), f(o + 3, h), f(o + 4, h), f(o + 5, h), f(o + 6, h), \
        f(o + 7, h)
#if SIMD_LANES == 16
#define LANES(f, h) LANES_8(f, 0, h), LANES_8(f, 8, h)
#else
#define LANES(f, h) LANES_8(f, 0, h)
#endif
#define EXCHANGE(v, h) \
    _Pragma("GCC unroll 16") for (int i = 0; i < SIMD_LANES; i++) { \
        if (i & (h)) continue; \
        vf a = v[i], b = v[i + (h)]; \
        v[i] = __builtin_shufflevector(a, b, LANES(LOW, h)); \
        v[i + (h)] = __builtin_shufflevector(a, b, LANES(HIGH, h)); \
    }

/* SIMD_LANES x SIMD_LANES floats transposed, by exchanging halves of growing pieces. */
static inline void transpose(const float *from, int64_t stride, float *to, int64_t to_stride) {
    vf v[SIMD_LANES];
#pragma GCC unroll 16
    for (int i = 0; i < SIMD_LANES; i++) v[i] = v_load(from + i * stride);
    EXCHANGE(v, 1)
    EXCHANGE(v, 2)
    EXCHANGE(v, 4)
#if SIMD_LANES == 16
    EXCHANGE(v, 8)
#endif
#pragma GCC unroll 16
    for (int i = 0; i < SIMD_LANES; i++) v_store(to + i * to_stride, v[i]);
}

/* One panel of op(B) = B^T: n <= NR rows of B, kc of their columns. */
static void pack_rows(const float *b, int64_t ldb, int kc, int n, float *panel) {
    int whole_n = n / SIMD_LANES * SIMD_LANES, whole_k = kc / SIMD_LANES * SIMD_LANES;
    for (int j = 0; j < whole_n; j += SIMD_LANES) {
        for (int p = 0; p < whole_k; p += SIMD_LANES)
            transpose(b + j * ldb + p, ldb, panel + (int64_t)p * NR + j, NR);
    }
    for (int j = 0; j < NR; j++) {
        for (int p = j < whole_n ? whole_k : 0; p < kc; p++)
            panel[(int64_t)p * NR + j] = j < n ? b[j * ldb + p] : 0;
    }
}

/* One panel of op(B) = B: kc rows, n <= NR columns. */
static void pack_columns(const float *b, int64_t ldb, int kc, int n, float *panel) {
    for (int p = 0; p < kc; p++, b += ldb, panel += NR) {
        if (n == NR) {
            memcpy(panel, b, NR * sizeof *panel);
            continue;
        }
        memcpy(panel, b, (size_t)n * sizeof *panel);
        memset(panel + n, 0, (size_t)(NR - n) * sizeof *panel);
    }
}

/* The part of a full tile that lies inside C. */
static void store_part(const float *tile, int rows, int cols, micro_out out) {
    for (int i = 0; i < rows; i++, out.c += out.ldc, tile += NR) {
        for (int j = 0; j < cols; j++) out.c[j] = out.add ? out.c[j] + tile[j] : tile[j];
    }
}

/* The last rows of A, fewer than MR, copied so that the kernel may read MR of them. */
static const float *pad_rows(const md_gemm *g, int i, int k, int kc, float *padded) {
    for (int r = 0; r < MR; r++) {
        for (int p = 0; p < kc; p++) {
            int64_t at =
                g->trans_a ? (int64_t)(k + p) * g->lda + i + r : (int64_t)(i + r) * g->lda + k + p;
            padded[r * KC + p] = i + r < g->m ? g->a[at] : 0;
        }
    }
    return padded;
}

typedef struct gemm_block {
    int k, kc, j, n; /* rows k.. of op(B), columns j.. */
    bool add;
} gemm_block;

static void multiply_panel(const md_gemm *g, const gemm_block *b, const float *panel) {
    float tile[MR * NR] __attribute__((aligned(64))), padded[MR * KC];
    for (int i = 0; i < g->m; i += MR) {
        int rows = g->m - i < MR ? g->m - i : MR;
        bool whole = rows == MR && b->n == NR;
        micro_out c = {g->c + (int64_t)i * g->ldc + b->j, g->ldc, b->add};
        micro_out out = whole ? c : (micro_out){tile, NR, false};
        if (rows < MR) {
            micro_rows(b->kc, pad_rows(g, i, b->k, b->kc, padded), KC, panel, out);
        } else if (g->trans_a) {
            micro_columns(b->kc, g->a + (int64_t)b->k * g->lda + i, g->lda, panel, out);
        } else {
            micro_rows(b->kc, g->a + (int64_t)i * g->lda + b->k, g->lda, panel, out);
        }
        if (!whole) store_part(tile, rows, b->n, c);
    }
}

static void gemm(const md_gemm *g) {
    float panel[KC * NR] __attribute__((aligned(64)));
    for (int64_t i = 0; g->k == 0 && !g->add && i < g->m; i++) /* an empty sum */
        memset(g->c + i * g->ldc, 0, (size_t)g->n * sizeof *g->c);
    for (int k = 0; k < g->k; k += KC) {
        gemm_block b = {.k = k, .kc = g->k - k < KC ? g->k - k : KC, .add = k || g->add};
        for (b.j = 0; b.j < g->n; b.j += NR) {
            b.n = g->n - b.j < NR ? g->n - b.j : NR;
            if (g->trans_b) {
                pack_rows(g->b + (int64_t)b.j * g->ldb + k, g->ldb, b.kc, b.n, panel);
            } else {
                pack_columns(g->b + (int64_t)k * g->ldb + b.j, g->ldb, b.kc, b.n, panel);
            }
            multiply_panel(g, &b, panel);
        }
    }
}

#endif
