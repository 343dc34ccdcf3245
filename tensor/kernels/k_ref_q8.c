/* tensor/kernels/k_ref_q8.c: products of 8-bit numbers in plain C; see q8.h. */
#include "tensor/kernels/q8.h"

#include <string.h>

#include "tensor/kernels.h"

#ifdef MD_REAL_DOUBLE
#define FMA fma
#else
#define FMA fmaf
#endif

/* max|x|; NaN when there is one, whose bits compare above those of all numbers. */
static float largest_of(const float x[MD_Q8_BLOCK]) {
    uint32_t largest = 0;
    float as_float;
    for (int i = 0; i < MD_Q8_BLOCK; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7fffffffU;
        largest = bits > largest ? bits : largest;
    }
    memcpy(&as_float, &largest, sizeof as_float);
    return as_float;
}

/* x >= 0 to IEEE half precision, ties to even: 11 significant bits, of which none is below 2^-24,
 * the last bit of a float beside 1/2. NaN beyond its range. */
static float to_half(float x) {
    uint32_t u;
    if (x < 0x1p-14F) return (x + 0.5F) - 0.5F;
    memcpy(&u, &x, sizeof u);
    u = (u + 0xfffU + (u >> 13 & 1)) & ~0x1fffU;
    memcpy(&x, &u, sizeof x);
    return x <= 65504 ? x : NAN;
}

/* Without the multiplication in it, so that no compiler can fuse the two. */
static int8_t round_away(float x) {
    int whole = (int)x;
    float rest = x - (float)whole;
    return (int8_t)(whole + (rest >= 0.5F) - (rest <= -0.5F));
}

float md_q8_weights(const float x[MD_Q8_BLOCK], int8_t q[MD_Q8_BLOCK]) {
    float scale = q8_scale(largest_of(x)), inverse = q8_inverse(scale), y[MD_Q8_BLOCK];
    if (isnan(scale)) {
        memset(q, 0, MD_Q8_BLOCK);
        return scale;
    }
    for (int i = 0; i < MD_Q8_BLOCK; i++) y[i] = x[i] * inverse;
    for (int i = 0; i < MD_Q8_BLOCK; i++) q[i] = round_away(y[i]);
    return to_half(scale);
}

static float quantise_activations(const float x[MD_Q8_BLOCK], int8_t q[MD_Q8_BLOCK]) {
    float scale = q8_scale(largest_of(x)), inverse = q8_inverse(scale);
    for (int i = 0; i < MD_Q8_BLOCK; i++)
        q[i] = isnan(scale) ? (int8_t)0 : (int8_t)rintf(x[i] * inverse);
    return scale;
}

/* --- entries of the table: a panel is one column of op(B), a run of blocks -------------------- */

typedef struct block {
    float scale;
    int8_t q[MD_Q8_BLOCK];
} block;

static int blocks_in(int k) {
    return (k + MD_Q8_BLOCK - 1) / MD_Q8_BLOCK;
}

static size_t panel_bytes(int k) {
    return (size_t)blocks_in(k) * sizeof(block);
}

/* 32 numbers that are `step` apart, zeros after the first `count`. */
static void gather(const md_real *from, int64_t step, int count, float x[MD_Q8_BLOCK]) {
    for (int i = 0; i < MD_Q8_BLOCK; i++) x[i] = i < count ? (float)from[i * step] : 0;
}

static void pack(const md_pack *p, int first, int count) {
    block *to = (block *)p->to + (int64_t)first * blocks_in(p->k);
    int64_t step = p->trans ? 1 : p->ldb;
    for (int j = first; j < first + count; j++) {
        const md_real *column = p->b + (p->trans ? (int64_t)j * p->ldb : j);
        for (int k = 0; k < p->k; k += MD_Q8_BLOCK, to++) {
            float x[MD_Q8_BLOCK];
            gather(column + k * step, step, p->k - k, x);
            to->scale = md_q8_weights(x, to->q);
        }
    }
}

static void multiply_row_block(const md_gemm *g, int k, const block *a, md_real *c) {
    int stride = blocks_in(g->k);
    const block *b = (const block *)g->packed + (int64_t)g->packed_col * stride + k / MD_Q8_BLOCK;
    for (int j = 0; j < g->n; j++, b += stride) {
        int32_t sum = 0;
        for (int i = 0; i < MD_Q8_BLOCK; i++) sum += a->q[i] * b->q[i];
        c[j] = FMA((md_real)sum, a->scale * b->scale, c[j]);
    }
}

static void gemm_packed(const md_gemm *g) {
    int64_t step = g->trans_a ? g->lda : 1;
    for (int i = 0; i < g->m; i++) {
        const md_real *row = g->a + (g->trans_a ? i : (int64_t)i * g->lda);
        md_real *c = g->c + (int64_t)i * g->ldc;
        for (int j = 0; j < g->n && !g->add; j++) c[j] = 0;
        for (int k = 0; k < g->k; k += MD_Q8_BLOCK) {
            float x[MD_Q8_BLOCK];
            block a;
            gather(row + k * step, step, g->k - k, x);
            a.scale = quantise_activations(x, a.q);
            multiply_row_block(g, k, &a, c);
        }
    }
}

void md_kernels_ref_q8(md_kernels *table) {
    table->products = "ref";
    table->gemm_packed = gemm_packed;
    table->panel = 1;
    table->panel_bytes = panel_bytes;
    table->pack = pack;
}
