/* tensor/kernels/simd/q8.h: products of 8-bit numbers (see q8.h above) of one instruction set.
 *
 *     for each KC rows of packed op(B), for each MC rows of op(A): quantise them, once, unless
 *     round_rows did;
 *         for each panel of NR columns, for each MR rows: MR x NR sums in registers
 *
 * Numbers are read in units of 32 bits, neighbours in k. With SIMD_VNNI a unit is four 8-bit ones,
 * and its dot product adds to the sum: unsigned times signed, so weights are stored as q + 128 and
 * sums start from -128 times the sum of the activations of the block. Without, a unit is two 16-bit
 * ones; weights are widened as they are loaded. Both sums are exact, so their bits are the same.
 *
 * Names begin with q8 because a folder includes gemm.h beside this.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_Q8_H
#define MD_TENSOR_KERNELS_SIMD_Q8_H

#include "tensor/kernels.h"
#include "tensor/kernels/q8.h"
#include "tensor/kernels/simd/math.h"

/* Registers: as many sums of a block as of all, one scale or unit of A, two of B. */
enum {
#ifdef SIMD_VNNI
    Q8_DEPTH = 4, /* numbers in a unit */
#else
    Q8_DEPTH = 2,
#endif
#if SIMD_LANES == 16
    Q8_MR = 6,
#else
    Q8_MR = 3,
#endif
    Q8_NR = 2 * SIMD_LANES,
    Q8_UNITS = MD_Q8_BLOCK / Q8_DEPTH, /* in a block */
    Q8_VECTORS = MD_Q8_BLOCK / SIMD_LANES,
    Q8_KC = 768,
    Q8_MC = 264, /* a multiple of MR: behind the last row there is room for a whole tile */
    Q8_BLOCKS = Q8_KC / MD_Q8_BLOCK
};

/* A block of k of a row of op(A); those of a row lie one after another. */
typedef struct q8_row {
    int32_t unit[Q8_UNITS];
    float scale;
    int32_t bias;
} q8_row;

/* Rows of op(A), so many blocks apart. */
typedef struct q8_rows {
    const q8_row *first;
    int64_t stride;
} q8_rows;

/* A block of k of a panel of op(B). */
typedef struct q8_columns {
    float scale[Q8_NR];
    int8_t unit[Q8_UNITS][Q8_NR][Q8_DEPTH]; /* with SIMD_VNNI the bits of q + 128 */
} q8_columns;

/* Where a tile goes: c += sums. */
typedef struct q8_out {
    float *c;
    int64_t ldc;
} q8_out;

/* --- what differs ---------------------------------------------------------------------------- */

/* sum + the dot product of units of weights and of activations, in every lane; a vector of units
 * from memory; and integers of -127 .. 127 as units. */
#if defined SIMD_VNNI
static inline vi q8_dot(vi sum, vi b, vi a) {
    return (vi)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)b, (__m512i)a);
}

static inline vi q8_load(const int8_t *unit) {
    return (vi)_mm512_loadu_si512(unit);
}

static inline void q8_narrow(vi x, void *to) {
    _mm_storeu_si128(to, _mm512_cvtepi32_epi8((__m512i)x));
}
#elif SIMD_LANES == 16
static inline vi q8_dot(vi sum, vi b, vi a) {
    return sum + (vi)_mm512_madd_epi16((__m512i)b, (__m512i)a);
}

static inline vi q8_load(const int8_t *unit) {
    return (vi)_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)unit));
}

static inline void q8_narrow(vi x, void *to) {
    _mm256_storeu_si256(to, _mm512_cvtepi32_epi16((__m512i)x));
}
#else
static inline vi q8_dot(vi sum, vi b, vi a) {
    return sum + (vi)_mm256_madd_epi16((__m256i)b, (__m256i)a);
}

static inline vi q8_load(const int8_t *unit) {
    return (vi)_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)unit));
}

static inline void q8_narrow(vi x, void *to) {
    __m256i both = _mm256_packs_epi32((__m256i)x, (__m256i)x); /* halves apart */
    _mm_storeu_si128(to, _mm256_castsi256_si128(_mm256_permute4x64_epi64(both, 0x08)));
}
#endif

static inline int q8_blocks_in(int k) {
    return (k + MD_Q8_BLOCK - 1) / MD_Q8_BLOCK;
}

/* --- quantising op(A) ------------------------------------------------------------------------ */

/* max|x| of a block. As integers, magnitudes keep their order, and NaN comes out on top. */
static inline float q8_largest(const float *x) {
    vi largest = {0};
    for (int v = 0; v < Q8_VECTORS; v++)
        largest = vi_max(largest, (vi)v_load(x + v * SIMD_LANES) & 0x7fffffff);
    return v_first((vf)vi_max_lane(largest));
}

/* Whole blocks of a row, at most KC. */
static void q8_quantise_row(const float *x, int blocks, q8_row *to) {
    float scale[Q8_BLOCKS], inverse[Q8_BLOCKS];
    for (int b = 0; b < blocks; b++) scale[b] = q8_largest(x + b * MD_Q8_BLOCK);
    for (int b = 0; b < blocks; b++) {
        scale[b] = q8_scale(scale[b]);
        inverse[b] = q8_inverse(scale[b]);
    }
    for (int b = 0; b < blocks; b++, x += MD_Q8_BLOCK) {
        vi sum = {0};
        for (int v = 0; v < Q8_VECTORS; v++) {
            vi q = v_nearest(v_load(x + v * SIMD_LANES) * inverse[b]);
            q8_narrow(q, &to[b].unit[v * SIMD_LANES / Q8_DEPTH]);
            sum += q;
        }
        to[b].scale = scale[b];
        if (Q8_DEPTH == 4) to[b].bias = (int32_t)(0 - 128 * vi_sum(sum));
    }
}

/* Row i of op(A) from k on, padded with zeros to whole blocks: where it lies, or copied to room. */
static const float *q8_padded_row(const md_gemm *g, int i, int k, int kc, float *room) {
    int padded = q8_blocks_in(kc) * MD_Q8_BLOCK;
    const float *row = g->a + (g->trans_a ? (int64_t)k * g->lda + i : (int64_t)i * g->lda + k);
    if (!g->trans_a && padded == kc) return row;
    int64_t step = g->trans_a ? g->lda : 1;
    for (int p = 0; p < padded; p++) room[p] = p < kc ? row[p * step] : 0;
    return room;
}

static void q8_quantise(const md_gemm *g, int i, int rows, int k, int kc, q8_row *to) {
    float room[Q8_KC];
    int blocks = q8_blocks_in(kc);
    for (int r = i; r < i + rows; r++, to += blocks)
        q8_quantise_row(q8_padded_row(g, r, k, kc, room), blocks, to);
}

/* --- the product ----------------------------------------------------------------------------- */

/* A tile += the blocks of MR rows times those of a panel. */
static __attribute__((noinline)) void q8_micro(int blocks, q8_rows rows, const q8_columns *b,
                                               q8_out out) {
    const q8_row *a = rows.first;
    vf sum[Q8_MR][2];
#pragma GCC unroll 16
    for (int i = 0; i < Q8_MR; i++) {
        sum[i][0] = v_load(out.c + i * out.ldc);
        sum[i][1] = v_load(out.c + i * out.ldc + SIMD_LANES);
    }
    for (; blocks > 0; blocks--, a++, b++) {
        vi dot[Q8_MR][2];
#pragma GCC unroll 16
        for (int i = 0; i < Q8_MR; i++)
            dot[i][0] = dot[i][1] = vi_set(Q8_DEPTH == 4 ? a[i * rows.stride].bias : 0);
        for (int u = 0; u < Q8_UNITS; u++) {
            vi b0 = q8_load(b->unit[u][0]), b1 = q8_load(b->unit[u][SIMD_LANES]);
#pragma GCC unroll 16
            for (int i = 0; i < Q8_MR; i++) {
                vi x = vi_set(a[i * rows.stride].unit[u]);
                dot[i][0] = q8_dot(dot[i][0], b0, x);
                dot[i][1] = q8_dot(dot[i][1], b1, x);
            }
        }
        vf s0 = v_load(b->scale), s1 = v_load(b->scale + SIMD_LANES);
#pragma GCC unroll 16
        for (int i = 0; i < Q8_MR; i++) {
            vf s = v_set(a[i * rows.stride].scale);
            sum[i][0] = v_fma(__builtin_convertvector(dot[i][0], vf), s * s0, sum[i][0]);
            sum[i][1] = v_fma(__builtin_convertvector(dot[i][1], vf), s * s1, sum[i][1]);
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < Q8_MR; i++) {
        v_store(out.c + i * out.ldc, sum[i][0]);
        v_store(out.c + i * out.ldc + SIMD_LANES, sum[i][1]);
    }
}

static void q8_copy(const float *from, int64_t from_stride, float *to, int64_t to_stride, int rows,
                    int cols) {
    for (int i = 0; i < rows; i++)
        memcpy(to + i * to_stride, from + i * from_stride, (size_t)cols * sizeof *to);
}

/* What is left of the product: these rows times this panel. */
typedef struct q8_part {
    q8_rows a;
    const q8_columns *b;
    int blocks, rows, cols;
    q8_out out;
} q8_part;

/* A tile that is cut off by C's edge is computed in full beside it; what it makes of memory behind
 * the last row goes nowhere. */
static void q8_multiply_panel(q8_part p) {
    float tile[Q8_MR * Q8_NR] __attribute__((aligned(64))) = {0};
    for (int i = 0; i < p.rows; i += Q8_MR) {
        int height = p.rows - i < Q8_MR ? p.rows - i : Q8_MR;
        if (height == Q8_MR && p.cols == Q8_NR) {
            q8_micro(p.blocks, p.a, p.b, p.out);
        } else {
            q8_copy(p.out.c, p.out.ldc, tile, Q8_NR, height, p.cols);
            q8_micro(p.blocks, p.a, p.b, (q8_out){tile, Q8_NR});
            q8_copy(tile, Q8_NR, p.out.c, p.out.ldc, height, p.cols);
        }
        p.a.first += Q8_MR * p.a.stride;
        p.out.c += Q8_MR * p.out.ldc;
    }
}

/* All columns for one block of op(A). */
static void q8_multiply_block(const md_gemm *g, int i, int k) {
    q8_row a[Q8_MC * Q8_BLOCKS] __attribute__((aligned(64)));
    int kc = g->k - k < Q8_KC ? g->k - k : Q8_KC, rows = g->m - i < Q8_MC ? g->m - i : Q8_MC;
    int64_t stride = q8_blocks_in(g->k), block = k / MD_Q8_BLOCK;
    q8_part p = {.rows = rows, .blocks = q8_blocks_in(kc)};
    if (g->rounded) {
        p.a = (q8_rows){(const q8_row *)g->rounded + i * stride + block, stride};
    } else {
        q8_quantise(g, i, rows, k, kc, a);
        p.a = (q8_rows){a, p.blocks};
    }
    p.b = (const q8_columns *)g->packed + g->packed_col / Q8_NR * stride + block;
    for (int j = 0; j < g->n; j += Q8_NR, p.b += stride) {
        p.cols = g->n - j < Q8_NR ? g->n - j : Q8_NR;
        p.out = (q8_out){g->c + (int64_t)i * g->ldc + j, g->ldc};
        q8_multiply_panel(p);
    }
}

/* --- entries of the table -------------------------------------------------------------------- */

static void q8_gemm_packed(const md_gemm *g) {
    for (int64_t i = 0; !g->add && i < g->m; i++)
        memset(g->c + i * g->ldc, 0, (size_t)g->n * sizeof *g->c);
    for (int k = 0; k < g->k; k += Q8_KC) {
        for (int i = 0; i < g->m; i += Q8_MC) q8_multiply_block(g, i, k);
    }
}

static size_t q8_rounded_bytes(int k) {
    return (size_t)q8_blocks_in(k) * sizeof(q8_row);
}

static void q8_round_rows(int rows, int k, const float *a, int lda, void *to) {
    const md_gemm g = {.a = a, .lda = lda};
    float room[Q8_KC];
    q8_row *block = to;
    for (int r = 0; r < rows; r++) {
        for (int p = 0; p < k; p += Q8_KC) {
            int kc = k - p < Q8_KC ? k - p : Q8_KC, blocks = q8_blocks_in(kc);
            q8_quantise_row(q8_padded_row(&g, r, p, kc, room), blocks, block);
            block += blocks;
        }
    }
}

static size_t q8_panel_bytes(int k) {
    return (size_t)q8_blocks_in(k) * sizeof(q8_columns);
}

/* Column j of a block of a panel, from numbers that are `step` apart, zeros after `count`. */
static void q8_pack_column(const float *from, int64_t step, int count, int j, q8_columns *to) {
    float x[MD_Q8_BLOCK];
    int8_t q[MD_Q8_BLOCK];
    if (count > MD_Q8_BLOCK) count = MD_Q8_BLOCK;
    for (int p = 0; p < count; p++) x[p] = from[p * step];
    for (int p = count; p < MD_Q8_BLOCK; p++) x[p] = 0;
    to->scale[j] = md_q8_weights(x, q);
    for (int p = 0; p < MD_Q8_BLOCK; p++) q[p] ^= Q8_DEPTH == 4 ? -128 : 0; /* the bits of +128 */
    for (int u = 0; u < Q8_UNITS; u++) memcpy(to->unit[u][j], q + u * Q8_DEPTH, Q8_DEPTH);
}

/* Columns that are not there stay as they are: nobody reads what comes of them. */
static void q8_pack(const md_pack *p, int first, int count) {
    int blocks = q8_blocks_in(p->k), last = (first + count) * Q8_NR;
    int64_t step = p->trans ? 1 : p->ldb;
    q8_columns *to = (q8_columns *)p->to + (int64_t)first * blocks;
    for (int j = first * Q8_NR; j < last && j < p->n; j++) {
        const float *column = p->b + (p->trans ? (int64_t)j * p->ldb : j);
        q8_columns *panel = to + (int64_t)(j / Q8_NR - first) * blocks;
        for (int k = 0; k < p->k; k += MD_Q8_BLOCK)
            q8_pack_column(column + k * step, step, p->k - k, j % Q8_NR, panel++);
    }
}

static inline void simd_override_q8(md_kernels *table) {
    table->gemm_packed = q8_gemm_packed;
    table->panel = Q8_NR;
    table->panel_bytes = q8_panel_bytes;
    table->pack = q8_pack;
    table->round_rows = q8_round_rows;
    table->rounded_bytes = q8_rounded_bytes;
    table->row_slack = Q8_MR;
    table->conv_lines = NULL;
}

#endif
