/* tests/test_kernels_products.c: matrix products of every set, plain, packed and of rounded rows,
 * in f32 and bf16, against exact ones. Those of 8-bit numbers are in test_kernels_q8.c. */
#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/kernel_bench.h"

static mdlm_error err;

/* --- products of floats of every kind -------------------------------------------------------- */

typedef struct product {
    md_gemm g;
    const float *c0; /* C before */
} product;

static double at(const float *x, bool trans, int ld, int i, int j) {
    return (double)(trans ? x[(int64_t)j * ld + i] : x[(int64_t)i * ld + j]);
}

/* The exact value and how far rounding may be from it. */
static double exact_product(const product *p, int i, int j, double *tolerance) {
    const md_gemm *g = &p->g;
    double sum = 0, size = 0;
    for (int k = 0; k < g->k; k++) {
        double x = at(g->a, g->trans_a, g->lda, i, k) * at(g->b, g->trans_b, g->ldb, k, j);
        sum += x;
        size += fabs(x);
    }
    double old = g->add ? (double)p->c0[(int64_t)i * g->ldc + j] : 0;
    *tolerance = (g->k + 4) * (EPS * (size + fabs(old)) + (double)FLT_TRUE_MIN);
    return sum + old;
}

static void check_product(bench *b, const md_gemm *shape) {
    product p = {.g = *shape};
    md_gemm *g = &p.g;
    int a_rows = g->trans_a ? g->k : g->m, b_rows = g->trans_b ? g->n : g->k;
    g->lda = (g->trans_a ? g->m : g->k) + GAP;
    g->ldb = (g->trans_b ? g->k : g->n) + GAP;
    g->ldc = g->n + GAP;
    g->a = filled(b, (int64_t)a_rows * g->lda, b->kind);
    g->b = filled(b, (int64_t)b_rows * g->ldb, ORDINARY);
    g->c = filled(b, (int64_t)g->m * g->ldc, b->kind);
    for (int i = 0; !g->add && i < g->m * g->ldc; i++) g->c[i] = NAN; /* not read */
    p.c0 = copied(b, g->c, (int64_t)g->m * g->ldc);
    b->k->gemm(g);
    for (int i = 0; i < g->m; i++) {
        for (int j = 0; j < g->ldc; j++) {
            int64_t place = (int64_t)i * g->ldc + j;
            double tolerance = 0, expected = (double)p.c0[place];
            if (j < g->n) expected = exact_product(&p, i, j, &tolerance);
            check_near(b, j < g->n ? "c" : "gap of c", place, (double)g->c[place], expected,
                       tolerance);
        }
    }
}

static void check_gemm(bench *b) {
    static const int others[][2] = {{1, 1}, {1, 19}, {17, 1}, {5, 33}, {130, 6}};
    md_arena_mark mark = md_arena_save(b->arena);
    for (int i = 0; i < 5 * 8; i++) {
        int size = i / 8, form = i % 8, turn = (b->cols + size) % 3;
        int m = others[size][0], n = others[size][1], k = b->cols;
        md_gemm g = {.trans_a = form & 1, .trans_b = form & 2, .add = form & 4};
        g.m = turn == 0 ? m : turn == 1 ? k : n;
        g.n = turn == 0 ? n : turn == 1 ? m : k;
        g.k = turn == 0 ? k : turn == 1 ? n : m;
        check_product(b, &g);
        md_arena_rewind(b->arena, mark);
    }
}

START_TEST(products_agree_with_exact_ones) {
    over_sets("gemm", check_gemm);
}
END_TEST

/* Kernels cut long sums into blocks; without any terms a sum is zero. */
static void check_long_gemm(bench *b) {
    static const int lengths[] = {0, 255, 256, 257, 700};
    md_arena_mark mark = md_arena_save(b->arena);
    if (b->kind != ORDINARY) return;
    for (int i = 0; i < 5 * 8; i++) {
        int form = i % 8;
        md_gemm g = {.trans_a = form & 1,
                     .trans_b = form & 2,
                     .add = form & 4,
                     .m = 14,
                     .n = b->cols,
                     .k = lengths[i / 8]};
        check_product(b, &g);
        md_arena_rewind(b->arena, mark);
    }
}

START_TEST(long_and_empty_sums_agree_with_exact_ones) {
    over_sets("long gemm", check_long_gemm);
}
END_TEST

/* --- products of either operand type, packed or not ------------------------------------------ */

/* Odd sizes, whole and broken tiles, more than one block of rows and of k. */
static const int shapes[][3] = {
    {1, 1, 1},   {5, 33, 7},    {12, 32, 16},  {13, 31, 17},  {25, 70, 255},
    {6, 64, 64}, {40, 48, 257}, {270, 40, 20}, {3, 40, 1030}, {17, 1, 2},
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

/* To the nearest bf16 number, ties to even, by way of double arithmetic: a reference that shares
 * nothing with the kernels. */
static double to_bf16(float x) {
    int exponent;
    if (x == 0 || !isfinite(x)) return (double)x;
    double fraction = frexp((double)x, &exponent);
    return ldexp(rint(ldexp(fraction, 8)), exponent - 8);
}

typedef struct trial {
    md_arena *arena;
    md_kernels k;
    md_gemm g;
    md_pack pack;
    float *before;        /* C */
    const float *ra, *rb; /* A and B as the products round them */
} trial;

static float *randoms(trial *t, int64_t n, uint32_t number) {
    float *x = md_arena_alloc(t->arena, (size_t)n * sizeof *x);
    md_rng rng = {.seed = 5, .stream = MD_STREAM_NOISE};
    for (int64_t i = 0; i < n; i++) x[i] = (float)md_normal(rng, number, (uint32_t)i);
    return x;
}

static const float *rounded(trial *t, const float *x, int64_t n) {
    float *y = md_arena_alloc(t->arena, (size_t)n * sizeof *y);
    for (int64_t i = 0; i < n; i++) y[i] = t->k.dtype == MD_BF16 ? (float)to_bf16(x[i]) : x[i];
    return y;
}

/* Random operands; `form` chooses transposes and accumulation. */
static void prepare(trial *t, int m, int n, int k, int form) {
    md_gemm g = {.trans_a = form & 1, .trans_b = form & 2, .add = form & 4, .m = m, .n = n, .k = k};
    g.lda = (g.trans_a ? m : k) + GAP;
    g.ldb = (g.trans_b ? k : n) + GAP;
    g.ldc = n + GAP;
    int64_t a_size = (int64_t)(g.trans_a ? k : m) * g.lda;
    int64_t b_size = (int64_t)(g.trans_b ? n : k) * g.ldb;
    g.a = randoms(t, a_size, 1);
    g.b = randoms(t, b_size, 2);
    t->ra = rounded(t, g.a, a_size);
    t->rb = rounded(t, g.b, b_size);
    g.c = randoms(t, (int64_t)m * g.ldc, 3);
    t->before = randoms(t, (int64_t)m * g.ldc, 3);
    t->g = g;
    t->pack = (md_pack){.trans = g.trans_b, .n = n, .k = k, .b = g.b, .ldb = g.ldb};
    size_t panels = (size_t)((n + t->k.panel - 1) / t->k.panel);
    t->pack.to = md_arena_alloc(t->arena, panels * t->k.panel_bytes(k));
    memset(t->pack.to, 0xff, panels * t->k.panel_bytes(k)); /* NaN wherever packing forgets */
    t->k.pack(&t->pack, 0, (int)panels);
}

/* Columns first .. of C against exact sums; sums of k float products err by at most about k+4 units
 * of the sum of magnitudes. */
static void check(const trial *t, const float *c, int ldc, int first, int columns) {
    const md_gemm *g = &t->g;
    for (int i = 0; i < g->m; i++) {
        for (int j = 0; j < columns; j++) {
            double sum = 0, size = 0;
            for (int p = 0; p < g->k; p++) {
                double x = at(t->ra, g->trans_a, g->lda, i, p) *
                           at(t->rb, g->trans_b, g->ldb, p, first + j);
                sum += x;
                size += fabs(x);
            }
            double old = g->add ? (double)t->before[i * g->ldc + first + j] : 0;
            double tolerance = (g->k + 4) * (double)FLT_EPSILON * (size + fabs(old)) + 1e-30;
            double found = (double)c[i * ldc + j];
            if (fabs(found - sum - old) <= tolerance) continue;
            ck_abort_msg("%s, %s products: %dx%dx%d c[%d,%d] is %g, expected %g", t->k.name,
                         t->k.products, g->m, g->n, g->k, i, first + j, found, sum + old);
        }
    }
}

/* Calls `fn` for every set, dtype, shape and form. */
static void everywhere(void (*fn)(trial *t)) {
    static const char *const dtypes[] = {"f32", "bf16"};
    trial t = {.arena = md_arena_new(&err)};
    for (int d = 0; d < 2; d++) {
        for (int set = 0; next_kernels(&set, dtypes[d], &t.k);) {
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
            if (t->g.c[place] == t->before[place]) continue;
            ck_abort_msg("%s, %s products write to row %d, column %d of %d", t->k.name,
                         t->k.products, i, j, t->g.n);
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
        size_t bytes = (size_t)cols * sizeof *g.c;
        const float *whole = g.c + (int64_t)(row + i) * g.ldc + col;
        if (memcmp(part.c + (int64_t)i * g.ldc, whole, bytes) != 0)
            ck_abort_msg("%s, %s products: %dx%dx%d row %d of a part", t->k.name, t->k.products,
                         g.m, g.n, g.k, i);
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
        for (int row = 0; row < 2 && row < g.m; row++) {
            for (int j = row * g.ldc; j < row * g.ldc + g.n; j++)
                if ((isfinite(g.c[j]) != 0) == (row == 0))
                    ck_abort_msg("%s, %s products: %g in the first row, and %g in row %d",
                                 t->k.name, t->k.products, (double)poisons[i], (double)g.c[j], row);
        }
    }
}

START_TEST(what_is_not_finite_stays_in_its_row_and_is_not_lost) {
    everywhere(poisoned_product);
}
END_TEST

/* --- rows that were rounded before ----------------------------------------------------------- */

/* The rows of A in memory that is NaN where nothing is written, behind the last one too; rounded in
 * two parts, as threads do. */
static char *rounded_rows(trial *t) {
    const md_gemm *g = &t->g;
    size_t row = t->k.rounded_bytes(g->k), bytes = row * (size_t)(g->m + t->k.row_slack);
    char *rows = md_arena_alloc(t->arena, bytes);
    int half = g->m / 2;
    memset(rows, 0xff, bytes);
    t->k.round_rows(half, g->k, g->a, g->lda, rows);
    t->k.round_rows(g->m - half, g->k, g->a + (int64_t)half * g->lda, g->lda,
                    rows + (size_t)half * row);
    return rows;
}

/* Rows `first` .. of C, columns from `col` on. */
static void check_rounded(trial *t, const char *rows, int first, int col) {
    md_gemm g = t->g;
    float *c = md_arena_alloc(t->arena, (size_t)(g.m * g.ldc) * sizeof *c);
    memcpy(c, t->before, (size_t)(g.m * g.ldc) * sizeof *c);
    g.a = g.b = NULL;
    g.rounded = rows + (size_t)first * t->k.rounded_bytes(g.k);
    g.packed = t->pack.to;
    g.packed_col = col;
    g.m -= first;
    g.n -= col;
    g.c = c + (int64_t)first * g.ldc + col;
    t->k.gemm_packed(&g);
    for (int i = 0; i < t->g.m; i++) {
        for (int j = 0; j < g.ldc; j++) {
            int64_t place = (int64_t)i * g.ldc + j;
            bool inside = i >= first && j >= col && j < t->g.n;
            float expected = (inside ? t->g.c : t->before)[place];
            if (c[place] == expected) continue;
            ck_abort_msg("%s, %s products: %dx%dx%d rounded from row %d, column %d: c[%d,%d] is "
                         "%.9g, expected %.9g",
                         t->k.name, t->k.products, t->g.m, t->g.n, g.k, first, col, i, j,
                         (double)c[place], (double)expected);
        }
    }
}

static void rounded_product(trial *t) {
    md_gemm g = t->g;
    bool rounds = t->k.dtype == MD_BF16 && strcmp(t->k.products, "ref") != 0;
    ck_assert(rounds == (t->k.round_rows != NULL));
    if (!rounds || g.trans_a) return;
    g.packed = t->pack.to;
    t->k.gemm_packed(&g);
    check(t, g.c, g.ldc, 0, g.n);
    const char *rows = rounded_rows(t);
    const int firsts[] = {0, 1, g.m / 3, g.m - 1};
    for (int i = 0; i < 4; i++)
        if (firsts[i] < g.m) check_rounded(t, rows, firsts[i], 0);
    if (t->k.panel < g.n) check_rounded(t, rows, g.m / 3, t->k.panel);
}

START_TEST(rows_rounded_before_give_the_same_bits) {
    everywhere(rounded_product);
}
END_TEST

/* Ties to even, what becomes infinite, the least normal number, NaNs with a low payload alone, and
 * the largest integers that NaNs are. */
static float awkward(int i) {
    const float values[] = {0x1.01p0F,     0x1.03p0F,   -0x1.01p0F, -0x1.03p0F, 0x1.010002p0F,
                            0x1.00fffep0F, 0x1.fep127F, FLT_MAX,    -FLT_MAX,   0x1.fefffep127F,
                            INFINITY,      -INFINITY,   FLT_MIN,    0};
    enum { VALUES = sizeof values / sizeof *values };
    if (i < VALUES) return values[i];
    static const uint32_t nans[] = {0x7f800001, 0x7fffffff, 0xffffffff};
    float x;
    memcpy(&x, &nans[i - VALUES], sizeof x);
    return x;
}
enum { AWKWARD = 17 };

/* One term a sum, the other operand 1: the products are what rounding makes of the values. */
START_TEST(operands_are_rounded_alike_at_ties_and_ends) {
    md_kernels k;
    const float one = 1;
    float a[AWKWARD], c[3][AWKWARD], packed[64];
    char rows[64 * sizeof(float)];
    for (int i = 0; i < AWKWARD; i++) a[i] = awkward(i);
    for (int set = 0; next_kernels(&set, "bf16", &k);) {
        md_gemm g = {.m = AWKWARD, .n = 1, .k = 1, .lda = 1, .ldb = 1, .ldc = 1};
        ck_assert_uint_le(k.panel_bytes(1), sizeof packed);
        k.pack(&(md_pack){.n = 1, .k = 1, .b = &one, .ldb = 1, .to = packed}, 0, 1);
        g.a = a, g.b = &one, g.c = c[0];
        k.gemm(&g);
        g.packed = packed, g.c = c[1];
        k.gemm_packed(&g);
        if (k.round_rows) {
            ck_assert_uint_le((size_t)(AWKWARD + k.row_slack) * k.rounded_bytes(1), sizeof rows);
            memset(rows, 0xff, sizeof rows);
            k.round_rows(AWKWARD, 1, a, 1, rows);
            g.rounded = rows;
        }
        g.c = c[2];
        k.gemm_packed(&g);
        for (int i = 0; i < 3 * AWKWARD; i++) {
            float found = c[i / AWKWARD][i % AWKWARD], expected = (float)to_bf16(a[i % AWKWARD]);
            ck_assert_msg(found == expected || (isnan(found) && isnan(expected)),
                          "%s, %s products: %a becomes %a, expected %a", k.name, k.products,
                          (double)a[i % AWKWARD], (double)found, (double)expected);
        }
    }
}
END_TEST

/* --- the choice of an operand type ----------------------------------------------------------- */

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
    openblas_set_num_threads(1); /* as the command line does */
    suite_case(s, products_agree_with_exact_ones);
    suite_case(s, long_and_empty_sums_agree_with_exact_ones);
    suite_case(s, products_of_either_operand_type_agree_with_exact_ones);
    suite_case(s, packed_products_agree_with_exact_ones);
    suite_case(s, products_write_nothing_between_rows);
    suite_case(s, the_bits_of_an_element_do_not_depend_on_the_tile);
    suite_case(s, what_is_not_finite_stays_in_its_row_and_is_not_lost);
    suite_case(s, rows_rounded_before_give_the_same_bits);
    suite_case(s, operands_are_rounded_alike_at_ties_and_ends);
    suite_case(s, an_unknown_operand_type_is_refused);
    name_skipped_sets();
    return suite_run(s);
}
