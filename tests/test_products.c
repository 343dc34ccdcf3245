/* tests/test_products.c: packed products and products of bf16 operands, for every kernel set that
 * runs here. Plain products of floats are in test_kernels.c. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "tensor/kernels.h"
#include "tests/suite.h"

static mdlm_error err;

/* Odd sizes, whole and broken tiles, more than one block of rows and of k. */
static const int shapes[][3] = {
    {1, 1, 1},   {5, 33, 7},    {12, 32, 16},  {13, 31, 17},  {25, 70, 255},
    {6, 64, 64}, {40, 48, 257}, {270, 40, 20}, {3, 40, 1030}, {17, 1, 2},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, GAP = 3 };

/* To the nearest bf16 number, ties to even, by way of double arithmetic: a reference that shares
 * nothing with the kernels. */
static double to_bf16(float x) {
    int exponent;
    if (x == 0 || !isfinite(x)) return (double)x;
    double fraction = frexp((double)x, &exponent);
    return ldexp(rint(ldexp(fraction, 8)), exponent - 8);
}

static double operand(float x, md_dtype dtype) {
    return dtype == MD_BF16 ? to_bf16(x) : (double)x;
}

typedef struct trial {
    md_arena *arena;
    md_kernels k;
    md_gemm g;
    md_pack pack;
    float *before; /* C */
} trial;

static float *randoms(trial *t, int64_t n, uint32_t number) {
    float *x = md_arena_alloc(t->arena, (size_t)n * sizeof *x);
    md_rng rng = {.seed = 5, .stream = MD_STREAM_NOISE};
    for (int64_t i = 0; i < n; i++) x[i] = (float)md_normal(rng, number, (uint32_t)i);
    return x;
}

/* Random operands; `form` chooses transposes and accumulation. */
static void prepare(trial *t, int m, int n, int k, int form) {
    md_gemm g = {.trans_a = form & 1, .trans_b = form & 2, .add = form & 4, .m = m, .n = n, .k = k};
    g.lda = (g.trans_a ? m : k) + GAP;
    g.ldb = (g.trans_b ? k : n) + GAP;
    g.ldc = n + GAP;
    g.a = randoms(t, (int64_t)(g.trans_a ? k : m) * g.lda, 1);
    g.b = randoms(t, (int64_t)(g.trans_b ? n : k) * g.ldb, 2);
    g.c = randoms(t, (int64_t)m * g.ldc, 3);
    t->before = randoms(t, (int64_t)m * g.ldc, 3);
    t->g = g;
    t->pack = (md_pack){.trans = g.trans_b, .n = n, .k = k, .b = g.b, .ldb = g.ldb};
    size_t panels = (size_t)((n + t->k.panel - 1) / t->k.panel);
    t->pack.to = md_arena_alloc(t->arena, panels * t->k.panel_bytes(k));
    memset(t->pack.to, 0xff, panels * t->k.panel_bytes(k)); /* NaN wherever packing forgets */
    t->k.pack(&t->pack, 0, (int)panels);
}

static double a_at(const md_gemm *g, int i, int p, md_dtype dtype) {
    return operand(g->trans_a ? g->a[p * g->lda + i] : g->a[i * g->lda + p], dtype);
}

static double b_at(const md_gemm *g, int p, int j, md_dtype dtype) {
    return operand(g->trans_b ? g->b[j * g->ldb + p] : g->b[p * g->ldb + j], dtype);
}

/* Columns first .. of C against exact sums; sums of k float products err by at most about k+4 units
 * of the sum of magnitudes. */
static void check(const trial *t, const float *c, int ldc, int first, int columns) {
    const md_gemm *g = &t->g;
    for (int i = 0; i < g->m; i++) {
        for (int j = 0; j < columns; j++) {
            double sum = 0, size = 0;
            for (int p = 0; p < g->k; p++) {
                double x = a_at(g, i, p, t->k.dtype) * b_at(g, p, first + j, t->k.dtype);
                sum += x;
                size += fabs(x);
            }
            double old = g->add ? (double)t->before[i * g->ldc + first + j] : 0;
            double tolerance = (g->k + 4) * (double)FLT_EPSILON * (size + fabs(old)) + 1e-30;
            double found = (double)c[i * ldc + j];
            ck_assert_msg(fabs(found - sum - old) <= tolerance,
                          "%s %d: %dx%dx%d c[%d,%d] is %g, expected %g", t->k.name, (int)t->k.dtype,
                          g->m, g->n, g->k, i, first + j, found, sum + old);
        }
    }
}

/* Calls `fn` for every set, dtype, shape and form. */
static void everywhere(void (*fn)(trial *t)) {
    static const char *const dtypes[] = {"f32", "bf16"};
    trial t = {.arena = md_arena_new(&err)};
    for (const char *const *name = md_kernels_names; *name; name++) {
        for (int d = 0; d < 2; d++) {
            if (md_kernels_init(&t.k, *name, &err) != MDLM_OK) continue; /* another processor's */
            assert_ok(md_kernels_set_dtype(&t.k, dtypes[d], &err));
            for (int i = 0; i < SHAPES * 8; i++) {
                prepare(&t, shapes[i / 8][0], shapes[i / 8][1], shapes[i / 8][2], i % 8);
                fn(&t);
                md_arena_rewind(t.arena, (md_arena_mark){0});
            }
        }
    }
    md_arena_free(t.arena);
}

static void plain_product(trial *t) {
    t->k.gemm(&t->g);
    check(t, t->g.c, t->g.ldc, 0, t->g.n);
}

START_TEST(products_of_either_operand_type_agree_with_exact_ones) {
    everywhere(plain_product);
}
END_TEST

/* From the second panel on, as column tiles do. */
static void packed_product(trial *t) {
    md_gemm g = t->g;
    g.packed = t->pack.to;
    g.b = NULL;
    t->k.gemm_packed(&g);
    check(t, g.c, g.ldc, 0, g.n);
    int first = t->k.panel;
    if (first >= g.n) return;
    memcpy(g.c, t->before, (size_t)(g.m * g.ldc) * sizeof *g.c);
    g.packed_col = first;
    g.n -= first;
    g.c += first;
    t->k.gemm_packed(&g);
    check(t, g.c, g.ldc, first, g.n);
}

START_TEST(packed_products_agree_with_exact_ones) {
    everywhere(packed_product);
}
END_TEST

/* Nothing outside of the m x n elements of C is written. */
static void gaps_survive(trial *t) {
    t->k.gemm(&t->g);
    for (int i = 0; i < t->g.m; i++) {
        for (int j = t->g.n; j < t->g.ldc; j++) {
            int64_t place = (int64_t)i * t->g.ldc + j;
            ck_assert(t->g.c[place] == t->before[place]);
        }
    }
}

START_TEST(products_write_nothing_between_rows) {
    everywhere(gaps_survive);
}
END_TEST

/* Our own sets promise this (simd/gemm.h, plain C by nature); OpenBLAS does not. */
static void cut_product(trial *t) {
    md_gemm g = t->g;
    if (!strcmp(t->k.name, "openblas") || g.add || g.m < 4 || g.n < 4) return;
    t->k.gemm(&g);
    int row = g.m / 3, col = g.n / 2, rows = g.m - row, cols = g.n - col;
    md_gemm part = g;
    part.m = rows;
    part.n = cols;
    part.a += g.trans_a ? row : (int64_t)row * g.lda;
    part.b += g.trans_b ? (int64_t)col * g.ldb : col;
    part.c = md_arena_alloc(t->arena, (size_t)(rows * g.ldc) * sizeof *part.c);
    t->k.gemm(&part);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++)
            ck_assert(part.c[i * g.ldc + j] == g.c[(row + i) * g.ldc + col + j]);
    }
}

START_TEST(the_bits_of_an_element_do_not_depend_on_the_tile) {
    everywhere(cut_product);
}
END_TEST

static void poisoned_product(trial *t) {
    md_gemm g = t->g;
    const float poisons[] = {NAN, INFINITY};
    for (int i = 0; i < 2; i++) {
        float *a = (float *)g.a, keep = a[0];
        a[0] = poisons[i]; /* the first element of op(A), whatever its layout */
        t->k.gemm(&g);
        a[0] = keep;
        for (int j = 0; j < g.n; j++) ck_assert(!isfinite(g.c[j]));
        for (int j = g.ldc; g.m > 1 && j < g.ldc + g.n; j++) ck_assert(isfinite(g.c[j]));
    }
}

START_TEST(what_is_not_finite_stays_in_its_row_and_is_not_lost) {
    everywhere(poisoned_product);
}
END_TEST

START_TEST(an_unknown_operand_type_is_refused) {
    md_kernels k;
    assert_ok(md_kernels_init(&k, NULL, &err));
    assert_fails(md_kernels_set_dtype(&k, "f8", &err), MDLM_USAGE, "'f8'");
    assert_ok(md_kernels_set_dtype(&k, "bf16", &err));
    ck_assert_int_eq(k.dtype, MD_BF16);
    assert_ok(md_kernels_set_dtype(&k, "f32", &err));
    ck_assert_int_eq(k.dtype, MD_F32);
}
END_TEST

int main(void) {
    Suite *s = suite_create("products");
    suite_case(s, products_of_either_operand_type_agree_with_exact_ones);
    suite_case(s, packed_products_agree_with_exact_ones);
    suite_case(s, products_write_nothing_between_rows);
    suite_case(s, the_bits_of_an_element_do_not_depend_on_the_tile);
    suite_case(s, what_is_not_finite_stays_in_its_row_and_is_not_lost);
    suite_case(s, an_unknown_operand_type_is_refused);
    return suite_run(s);
}
