/* tensor/kernels/simd/gemm.h: matrix products of one instruction set.
 *
 *     for each KC rows of op(B), for each panel of NR columns (packed now, or packed before):
 *         for each MR rows of op(A): MR x NR sums in registers
 *
 * Operands are read in units of 32 bits: one float, or, with SIMD_BF16_DOT, two bf16 numbers that
 * are neighbours in k. Floats of op(A) are read where they lie, one broadcast at a time; both of
 * its layouts are friendly to that. To round it or to pair it up, a block of op(A) is copied first.
 *
 * Every element of C is a sum over k in order with one accumulator per KC block, wherever it falls
 * in a tile: its bits do not depend on how a product is cut into tiles.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_GEMM_H
#define MD_TENSOR_KERNELS_SIMD_GEMM_H

#include "tensor/kernels.h"
#include "tensor/kernels/simd/math.h"
#include "tensor/kernels/simd/transpose.h"

#ifdef SIMD_BF16_DOT
enum { UNIT = 2 }; /* numbers in a unit */
#define MULTIPLY_ADD(sum, x, y) ((vf)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(x), (__m512bh)(y)))

/* Lane l: lo[l] and hi[l] as bf16, to the nearest, lo in the lower half. */
static inline vf v_pair(vf lo, vf hi) {
    static const short order[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                    8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh((__m512)hi, (__m512)lo);
    return (vf)_mm512_permutexvar_epi16(_mm512_loadu_si512(order), both);
}
#else
enum { UNIT = 1 };
#define MULTIPLY_ADD(sum, x, y) ((sum) + (x) * (y))
#endif

/* Registers: MR x 2 sums, two of B, one of A; of 32 with AVX-512, of 16 with AVX2. */
#if SIMD_LANES == 16
enum { MR = 12 };
#else
enum { MR = 6 };
#endif
enum { NR = 2 * SIMD_LANES, KU = 256, KC = KU * UNIT, MC = 264, LINE = 64 };
_Static_assert((int)MD_SUM_BLOCK % (int)KC == 0, "see tensor/kernels.h");

/* Where a tile of sums goes: c = sums, or c += sums. */
typedef struct micro_out {
    float *c;
    int64_t ldc;
    bool add;
    const char *next; /* so many lines as there are units: read soon */
} micro_out;

/* sums[i][j] = sum over u < units of a[i * row + u * col] * b[u * NR + j], MR rows, NR columns */
static inline __attribute__((always_inline)) void
micro(int64_t units, const float *a, int64_t row, int64_t col, const float *b, micro_out out) {
    const char *next = out.next;
    vf sum[MR][2] = {0};
    for (int i = 0; out.add && i < MR; i++) { /* they are needed at the end */
        __builtin_prefetch(out.c + i * out.ldc, 1);
        __builtin_prefetch(out.c + i * out.ldc + SIMD_LANES, 1);
    }
    for (int64_t u = 0; u < units; u++, b += NR, a += col) {
        vf b0 = v_load(b), b1 = v_load(b + SIMD_LANES);
        __builtin_prefetch(next + u * LINE, 0, 2);
#pragma GCC unroll 16
        for (int i = 0; i < MR; i++) {
            vf x = v_set(a[i * row]);
            sum[i][0] = MULTIPLY_ADD(sum[i][0], x, b0);
            sum[i][1] = MULTIPLY_ADD(sum[i][1], x, b1);
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
static __attribute__((noinline)) void micro_rows(int64_t units, const float *a, int64_t lda,
                                                 const float *b, micro_out out) {
    micro(units, a, lda, 1, b, out);
}

static __attribute__((noinline)) void micro_columns(int64_t units, const float *a, int64_t lda,
                                                    const float *b, micro_out out) {
    micro(units, a, 1, lda, b, out);
}

#include "tensor/kernels/simd/conv.h"
#include "tensor/kernels/simd/tiles.h"

/* --- packing op(B) --------------------------------------------------------------------------- */

/* The units of x[0 .. UNIT * SIMD_LANES) in order. */
static inline vf units_along(const float *x, bool rounded) {
#ifdef SIMD_BF16_DOT
    (void)rounded;
    return (vf)_mm512_cvtne2ps_pbh((__m512)v_load(x + SIMD_LANES), (__m512)v_load(x));
#else
    return rounded ? v_round_bf16(v_load(x)) : v_load(x);
#endif
}

/* The units of columns 0 .. SIMD_LANES of `deep` <= UNIT rows that are ld apart. */
static inline vf units_across(const float *x, int64_t ld, int deep, bool rounded) {
#ifdef SIMD_BF16_DOT
    (void)rounded;
    vf next = deep > 1 ? v_load(x + ld) : (vf){0};
    return v_pair(v_load(x), next);
#else
    (void)ld, (void)deep;
    return rounded ? v_round_bf16(v_load(x)) : v_load(x);
#endif
}

/* One unit, from `deep` numbers that are `step` apart. */
static inline float unit_of(const float *x, int64_t step, int deep, bool rounded) {
    float pair[2] = {x[0], deep > 1 ? x[step] : 0};
#ifdef SIMD_BF16_DOT
    (void)rounded;
    return v_first(v_pair(v_set(pair[0]), v_set(pair[1])));
#else
    return rounded ? v_first(v_round_bf16(v_set(pair[0]))) : pair[0];
#endif
}

static inline int deep_at(int k, int kc) {
    return kc - k < UNIT ? kc - k : UNIT;
}

/* One panel of op(B) = B^T: n <= NR rows of B, kc of their columns. */
static void pack_rows(const float *b, int64_t ldb, int kc, int n, bool rounded, float *panel) {
    int whole_n = n / SIMD_LANES * SIMD_LANES, step = UNIT * SIMD_LANES;
    int whole_k = kc / step * step;
    for (int j = 0; j < whole_n; j += SIMD_LANES) {
        for (int p = 0; p < whole_k; p += step) {
            vf v[SIMD_LANES];
#pragma GCC unroll 16
            for (int r = 0; r < SIMD_LANES; r++) v[r] = units_along(b + (j + r) * ldb + p, rounded);
            v_transpose(v);
            float *to = panel + (int64_t)(p / UNIT) * NR + j;
#pragma GCC unroll 16
            for (int r = 0; r < SIMD_LANES; r++) v_store(to + r * NR, v[r]);
        }
    }
    for (int j = 0; j < NR; j++) {
        for (int p = j < whole_n ? whole_k : 0; p < kc; p += UNIT) {
            const float *x = b + j * ldb + p;
            panel[(int64_t)(p / UNIT) * NR + j] =
                j < n ? unit_of(x, 1, deep_at(p, kc), rounded) : 0;
        }
    }
}

/* One panel of op(B) = B: kc rows, n <= NR columns. */
static void pack_columns(const float *b, int64_t ldb, int kc, int n, bool rounded, float *panel) {
    int whole = n / SIMD_LANES * SIMD_LANES;
    for (int p = 0; p < kc; p += UNIT, b += UNIT * ldb, panel += NR) {
        int deep = deep_at(p, kc);
        for (int j = 0; j < whole; j += SIMD_LANES)
            v_store(panel + j, units_across(b + j, ldb, deep, rounded));
        for (int j = whole; j < NR; j++) panel[j] = j < n ? unit_of(b + j, ldb, deep, rounded) : 0;
    }
}

static int units_in(int k) {
    return (k + UNIT - 1) / UNIT;
}

static size_t panel_bytes(int k) {
    return (size_t)units_in(k) * NR * sizeof(float);
}

/* Rows k .. k+kc of a panel of op(B), one part, from column j. */
static void pack_block(const md_pack *p, int j, int k, int kc, bool rounded, float *to) {
    int n = p->n - j < NR ? p->n - j : NR;
    if (p->trans) {
        pack_rows(p->b + (int64_t)j * p->ldb + k, p->ldb, kc, n, rounded, to);
    } else {
        pack_columns(p->b + (int64_t)k * p->ldb + j, p->ldb, kc, n, rounded, to);
    }
}

static inline void pack_panels(const md_pack *p, int first, int count, bool rounded) {
    int parts = p->parts ? p->parts : 1;
    md_pack part = *p;
    part.k = p->k / parts;
    for (int i = first; i < first + count; i++) {
        float *to = (float *)p->to + (int64_t)i * units_in(p->k) * NR;
        part.b = p->b;
        for (int q = 0; q < parts; q++, part.b += p->part, to += (int64_t)units_in(part.k) * NR) {
            for (int k = 0; k < part.k; k += KC) {
                int kc = part.k - k < KC ? part.k - k : KC;
                pack_block(&part, i * NR, k, kc, rounded, to + (int64_t)(k / UNIT) * NR);
            }
        }
    }
}

/* --- op(A) ----------------------------------------------------------------------------------- */

/* Rows of op(A) as the micro kernel reads them. */
typedef struct a_rows {
    const float *a;
    int64_t stride; /* of rows, or of columns when `columns` */
    bool columns;
} a_rows;

/* k numbers of a row in units. */
static inline void units_of_row(const float *a, int k, bool rounded, float *to) {
    int step = UNIT * SIMD_LANES, whole = k / step * step;
    for (int p = 0; p < whole; p += step) v_store(to + p / UNIT, units_along(a + p, rounded));
    for (int p = whole; p < k; p += UNIT) to[p / UNIT] = unit_of(a + p, 1, deep_at(p, k), rounded);
}

/* A block of op(A) in units, rows padded with zeros to a multiple of MR. */
static a_rows copy_rows(const md_gemm *g, int i, int rows, int k, int kc, bool rounded,
                        float *block) {
    for (int r = 0; r < rows; r++)
        units_of_row(g->a + (int64_t)(i + r) * g->lda + k, kc, rounded, block + (int64_t)r * KU);
    for (int r = rows; r % MR; r++)
        memset(block + (int64_t)r * KU, 0, (size_t)units_in(kc) * sizeof *block);
    return (a_rows){block, KU, false};
}

static a_rows copy_columns(const md_gemm *g, int i, int rows, int k, int kc, bool rounded,
                           float *block) {
    int whole = rows / SIMD_LANES * SIMD_LANES, padded = (rows + MR - 1) / MR * MR;
    for (int p = 0; p < kc; p += UNIT) {
        const float *a = g->a + (int64_t)(k + p) * g->lda + i;
        float *to = block + (int64_t)(p / UNIT) * MC;
        int deep = deep_at(p, kc);
        for (int r = 0; r < whole; r += SIMD_LANES)
            v_store(to + r, units_across(a + r, g->lda, deep, rounded));
        for (int r = whole; r < padded; r++)
            to[r] = r < rows ? unit_of(a + r, g->lda, deep, rounded) : 0;
    }
    return (a_rows){block, MC, true};
}

static a_rows copy_block(const md_gemm *g, int i, int rows, int k, int kc, bool rounded,
                         float *block) {
    return g->trans_a ? copy_columns(g, i, rows, k, kc, rounded, block)
                      : copy_rows(g, i, rows, k, kc, rounded, block);
}

/* --- the product ----------------------------------------------------------------------------- */

/* What is left of the product: this block of op(A) times this panel. */
typedef struct block_product {
    a_rows a;
    int rows, cols, units;
    const float *panel, *next; /* this one, and the one after it */
    micro_out out;
} block_product;

static inline void one_tile(const block_product *b, a_rows a, int i, micro_out out) {
    const float *from = a.a + i * (a.columns ? 1 : a.stride);
    if (a.columns) {
        micro_columns(b->units, from, a.stride, b->panel, out);
    } else {
        micro_rows(b->units, from, a.stride, b->panel, out);
    }
}

/* The part of a full tile that lies inside C. */
static void store_part(const float *tile, int rows, int cols, micro_out out) {
    for (int i = 0; i < rows; i++, out.c += out.ldc, tile += NR) {
        for (int j = 0; j < cols; j++) out.c[j] = out.add ? out.c[j] + tile[j] : tile[j];
    }
}

/* The part of the next panel that a tile asks for, so that it is there when it is its turn. Where
 * few rows meet many columns, weights would else be waited for most of the time. */
static const char *ahead(const block_product *b, int tile) {
    int64_t part = (int64_t)b->units * LINE,
            panel = (int64_t)b->units * NR * (int64_t)sizeof(float);
    return (const char *)b->next + tile * part % panel;
}

/* `tail`: the rows from the last whole tile on, padded. */
static void multiply_panel(const block_product *b, a_rows tail) {
    float tile[MR * NR] __attribute__((aligned(64)));
    for (int i = 0; i < b->rows; i += MR) {
        int rows = b->rows - i < MR ? b->rows - i : MR;
        bool whole = rows == MR && b->cols == NR;
        const char *next = ahead(b, i / MR);
        micro_out c = {b->out.c + i * b->out.ldc, b->out.ldc, b->out.add, next};
        micro_out out = whole ? c : (micro_out){tile, NR, false, next};
        if (rows < MR) {
            one_tile(b, tail, 0, out);
        } else {
            one_tile(b, b->a, i, out);
        }
        if (!whole) store_part(tile, rows, b->cols, c);
    }
}

/* All columns for one block of op(A) and one block of k. */
static inline void multiply_block(const md_gemm *g, int i, int k, bool rounded) {
    float panel[KU * NR] __attribute__((aligned(64))), copy[MC * KU] __attribute__((aligned(64)));
    int kc = g->k - k < KC ? g->k - k : KC, rows = g->m - i < MC ? g->m - i : MC;
    int whole = rows / MR * MR;
    block_product b = {.rows = rows, .units = units_in(kc), .panel = panel};
    a_rows tail = {0};
    if (g->rounded) {
        int64_t stride = units_in(g->k);
        b.a = (a_rows){(const float *)g->rounded + i * stride + k / UNIT, stride, false};
        tail = b.a;
        tail.a += whole * stride;
    } else if (rounded || UNIT > 1) {
        tail = b.a = copy_block(g, i, rows, k, kc, rounded, copy);
        tail.a += whole * (tail.columns ? 1 : tail.stride);
    } else {
        int64_t at = g->trans_a ? (int64_t)k * g->lda + i : (int64_t)i * g->lda + k;
        b.a = (a_rows){g->a + at, g->lda, g->trans_a};
        if (whole < rows) tail = copy_block(g, i + whole, rows - whole, k, kc, false, copy);
    }
    md_pack source = {.trans = g->trans_b, .n = g->n, .k = g->k, .b = g->b, .ldb = g->ldb};
    const float *packed = g->packed;
    for (int j = 0; j < g->n; j += NR) {
        b.cols = g->n - j < NR ? g->n - j : NR;
        b.out = (micro_out){g->c + (int64_t)i * g->ldc + j, g->ldc, k || g->add, NULL};
        if (packed) {
            int64_t first = (int64_t)(g->packed_col + j) * units_in(g->k);
            b.panel = packed + first + (int64_t)(k / UNIT) * NR;
            b.next = b.panel + (j + NR < g->n ? units_in(g->k) * NR : 0);
        } else {
            pack_block(&source, j, k, kc, rounded, panel);
            b.next = panel;
        }
        multiply_panel(&b, tail);
    }
}

static inline void multiply(const md_gemm *g, bool rounded) {
    for (int64_t i = 0; g->k == 0 && !g->add && i < g->m; i++) /* an empty sum */
        memset(g->c + i * g->ldc, 0, (size_t)g->n * sizeof *g->c);
    for (int k = 0; k < g->k; k += KC) {
        for (int i = 0; i < g->m; i += MC) multiply_block(g, i, k, rounded);
    }
}

/* --- entries of the table -------------------------------------------------------------------- */

static void gemm_rounded(const md_gemm *g) {
    multiply(g, true);
}

static void round_rows(int rows, int k, const float *a, int lda, void *to) {
    for (int r = 0; r < rows; r++)
        units_of_row(a + (int64_t)r * lda, k, true, (float *)to + (int64_t)r * units_in(k));
}

static size_t rounded_bytes(int k) {
    return (size_t)units_in(k) * sizeof(float);
}

static void pack_rounded(const md_pack *p, int first, int count) {
    pack_panels(p, first, count, true);
}

#ifndef SIMD_BF16_DOT
static void gemm(const md_gemm *g) {
    multiply(g, false);
}

static void pack(const md_pack *p, int first, int count) {
    pack_panels(p, first, count, false);
}

static inline void simd_override_products(md_kernels *table) {
    table->gemm = table->gemm_packed = gemm;
    table->conv_unit = UNIT;
    table->conv_lines = conv_lines;
    table->conv_tap = conv_tap;
    table->tile = tile_transform;
    table->tile_least = MD_TILE_CHANNELS;
    table->panel = NR;
    table->panel_bytes = panel_bytes;
    table->pack = pack;
}
#endif

static inline void simd_override_bf16(md_kernels *table) {
    table->gemm = table->gemm_packed = gemm_rounded;
    table->conv_unit = UNIT;
    table->conv_lines = conv_lines;
    table->conv_tap = conv_tap;
#ifdef SIMD_BF16_DOT
    table->pair_rows = pair_rows;
    table->tile = tile_transform;
    table->tile_least = 4 * MD_TILE_CHANNELS; /* below, dot products outrun the transforms */
#else
    table->tile = NULL; /* it would have to round */
#endif
    table->panel = NR;
    table->panel_bytes = panel_bytes;
    table->pack = pack_rounded;
    table->round_rows = round_rows;
    table->rounded_bytes = rounded_bytes;
    table->row_slack = MR;
}

#endif
