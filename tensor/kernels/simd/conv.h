/* tensor/kernels/simd/conv.h: products that read a convolution's pixels where they lie. A part of
 * gemm.h, which has MULTIPLY_ADD, UNIT, MR and NR.
 *
 *     for each panel of NR columns, for each line:
 *         for each 1 .. MR pixels of it: pixels x NR sums in registers, over all parts
 *
 * There is one kernel for each number of pixels, since lines of 7, 14 or 28 do not divide by MR: a
 * line is cut into as few pieces as there must be, all about as long.
 */
#ifndef MD_TENSOR_KERNELS_SIMD_CONV_H
#define MD_TENSOR_KERNELS_SIMD_CONV_H

/* What a tile of sums is made of: sums[i][j] = sum over p < parts and u < units of
 * a[p * a_part + u * a_step + i * a_row] * b[p * b_part + u * b_step + j]. All steps in units. */
typedef struct conv_tile {
    int parts, units;
    const float *a, *b;
    int64_t a_row, a_step, a_part, b_step, b_part;
    float *c;
    int64_t ldc;
    int cols; /* of C; 1 .. NR */
    bool add;
} conv_tile;

static inline void store_columns(float *c, vf sum, int cols, bool add) {
    if (cols >= SIMD_LANES) {
        v_store(c, add ? v_load(c) + sum : sum);
    } else if (cols > 0) {
        v_store_part(c, add ? v_load_part(c, cols, 0) + sum : sum, cols);
    }
}

static inline __attribute__((always_inline)) void conv_micro(const conv_tile *t, const int rows,
                                                             const int wide) {
    vf sum[MR][2] = {0};
    for (int p = 0; p < t->parts; p++) {
        const float *a = t->a + p * t->a_part, *b = t->b + p * t->b_part;
        for (int u = 0; u < t->units; u++, a += t->a_step, b += t->b_step) {
            vf b0 = v_load(b), b1 = wide ? v_load(b + SIMD_LANES) : b0;
#pragma GCC unroll 16
            for (int i = 0; i < rows; i++) {
                vf x = v_set(a[i * t->a_row]);
                sum[i][0] = MULTIPLY_ADD(sum[i][0], x, b0);
                if (wide) sum[i][1] = MULTIPLY_ADD(sum[i][1], x, b1);
            }
        }
    }
#pragma GCC unroll 16
    for (int i = 0; i < rows; i++) {
        float *c = t->c + i * t->ldc;
        store_columns(c, sum[i][0], t->cols, t->add);
        if (wide) store_columns(c + SIMD_LANES, sum[i][1], t->cols - SIMD_LANES, t->add);
    }
}

/* Pixels of op(A) next to each other in memory's other direction: each layout with its constants.
 */
#define CONV_KERNELS(rows) \
    static __attribute__((noinline)) void lines_##rows(const conv_tile *tile) { \
        conv_tile t = *tile; \
        t.a_step = 1, t.b_step = NR; \
        if (t.cols > SIMD_LANES) \
            conv_micro(&t, rows, 1); \
        else \
            conv_micro(&t, rows, 0); \
    } \
    static __attribute__((noinline)) void tap_##rows(const conv_tile *tile) { \
        conv_tile t = *tile; \
        t.a_row = 1; \
        if (t.cols > SIMD_LANES) \
            conv_micro(&t, rows, 1); \
        else \
            conv_micro(&t, rows, 0); \
    }
CONV_KERNELS(1)
CONV_KERNELS(2)
CONV_KERNELS(3)
CONV_KERNELS(4)
CONV_KERNELS(5)
CONV_KERNELS(6)
#if SIMD_LANES == 16
CONV_KERNELS(7)
CONV_KERNELS(8)
CONV_KERNELS(9)
CONV_KERNELS(10)
CONV_KERNELS(11)
CONV_KERNELS(12)
#endif
#undef CONV_KERNELS

typedef void (*conv_kernel)(const conv_tile *tile);
#if SIMD_LANES == 16
static const conv_kernel lines_kernel[MR + 1] = {NULL,     lines_1,  lines_2, lines_3, lines_4,
                                                 lines_5,  lines_6,  lines_7, lines_8, lines_9,
                                                 lines_10, lines_11, lines_12};
static const conv_kernel tap_kernel[MR + 1] = {NULL,  tap_1, tap_2, tap_3,  tap_4,  tap_5, tap_6,
                                               tap_7, tap_8, tap_9, tap_10, tap_11, tap_12};
#else
static const conv_kernel lines_kernel[MR + 1] = {NULL,    lines_1, lines_2, lines_3,
                                                 lines_4, lines_5, lines_6};
static const conv_kernel tap_kernel[MR + 1] = {NULL, tap_1, tap_2, tap_3, tap_4, tap_5, tap_6};
#endif

/* Where piece i of `pieces` equal ones of n begins. */
static inline int piece(int n, int pieces, int i) {
    return (int)((int64_t)n * i / pieces);
}

static void conv_lines(const md_conv_lines *g) {
    int units = g->depth / UNIT, pieces = (g->width + MR - 1) / MR;
    conv_tile t = {.parts = g->parts,
                   .units = units,
                   .a_row = g->pixel / UNIT,
                   .a_part = g->part / UNIT,
                   .b_part = (int64_t)units * NR,
                   .ldc = g->ldc,
                   .add = g->add};
    for (int j = 0; j < g->cols; j += NR) {
        t.cols = g->cols - j < NR ? g->cols - j : NR;
        t.b = (const float *)g->packed + (int64_t)j * g->parts * units;
        for (int l = 0; l < g->lines; l++) {
            for (int i = 0; i < pieces; i++) {
                int first = piece(g->width, pieces, i), end = piece(g->width, pieces, i + 1);
                t.a = (const float *)g->a + l * (g->line / UNIT) + first * t.a_row;
                t.c = g->c + ((int64_t)l * g->width + first) * g->ldc + j;
                lines_kernel[end - first](&t);
            }
        }
    }
}

static void conv_tap(const md_conv_tap *g) {
    int pieces = (g->rows + MR - 1) / MR;
    conv_tile t = {.parts = g->parts,
                   .units = g->units,
                   .a_step = g->a_step,
                   .a_part = g->a_part,
                   .b_step = g->b_step,
                   .b_part = g->b_part,
                   .ldc = g->ldc,
                   .add = g->add};
    for (int j = 0; j < g->cols; j += NR) {
        t.cols = g->cols - j < NR ? g->cols - j : NR;
        t.b = (const float *)g->b + j;
        for (int i = 0; i < pieces; i++) {
            int first = piece(g->rows, pieces, i), end = piece(g->rows, pieces, i + 1);
            t.a = (const float *)g->a + first;
            t.c = g->c + (int64_t)first * g->ldc + j;
            tap_kernel[end - first](&t);
        }
    }
}

#ifdef SIMD_BF16_DOT
static void pair_rows(int pairs, int n, const void *rows, int64_t pair, int64_t next, void *to) {
    const uint16_t *from = rows;
    uint32_t *unit = to;
    for (int i = 0; i < pairs; i++, from += pair, unit += n)
        for (int c = 0; c < n; c++) unit[c] = from[c] | (uint32_t)from[next + c] << 16;
}
#endif

#endif
