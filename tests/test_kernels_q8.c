/* tests/test_kernels_q8.c: products of 8-bit numbers, for every kernel set that runs here. What
 * they make of a network is in test_q8_model.c. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "tensor/kernels/q8.h"
#include "tests/kernel_sets.h"

static mdlm_error err;

/* Odd sizes, whole and broken tiles and blocks, more than one stretch of rows and of k. */
static const int shapes[][3] = {
    {1, 1, 1},    {5, 33, 7},   {6, 32, 32},   {12, 64, 64},  {13, 31, 33},
    {7, 70, 255}, {270, 40, 9}, {3, 40, 1030}, {8, 35, 1536}, {17, 1, 31},
};
enum { SHAPES = sizeof shapes / sizeof *shapes, GAP = 3 };

START_TEST(the_operand_type_changes_packed_products_and_can_be_taken_back) {
    md_kernels k, plain;
    assert_ok(md_kernels_init(&k, NULL, &err));
    plain = k;
    assert_ok(md_kernels_set_dtype(&k, "q8_0", &err));
    ck_assert_int_eq(k.dtype, MD_Q8_0);
    ck_assert(k.gemm_packed != plain.gemm_packed && k.pack != plain.pack);
    ck_assert_str_eq(plain.products, plain.name);
    /* A scale per 32 bytes: what this is for. */
    ck_assert_uint_le(k.panel_bytes(256), (size_t)k.panel * 256 * 9 / 8);
    assert_ok(md_kernels_set_dtype(&k, "f32", &err));
    ck_assert_int_eq(k.dtype, MD_F32);
    ck_assert(k.gemm_packed == plain.gemm_packed && k.gemm == plain.gemm);
    ck_assert_str_eq(k.products, plain.name);
    assert_fails(md_kernels_set_dtype(&k, "q4_0", &err), MDLM_USAGE, "'q4_0'");
}
END_TEST

/* In a block with 1000, an 8-bit 1 is lost. */
START_TEST(products_that_are_not_packed_stay_those_of_floats) {
    md_kernels k;
    for (int i = 0; next_kernels(&i, "q8_0", &k);) {
        float a[2] = {1000, 1}, b[2] = {0, 1}, packed[64 * 32], c[2];
        md_gemm g = {.m = 1, .n = 1, .k = 2, .a = a, .lda = 2, .b = b, .ldb = 1, .c = c, .ldc = 1};
        k.gemm(&g);
        ck_assert(c[0] == 1);
        ck_assert_uint_le(k.panel_bytes(2), sizeof packed);
        k.pack(&(md_pack){.n = 1, .k = 2, .b = b, .ldb = 1, .to = packed}, 0, 1);
        g.packed = packed;
        k.gemm_packed(&g);
        ck_assert(c[0] == 0);
    }
}
END_TEST

/* --- quantisation ---------------------------------------------------------------------------- */

/* To IEEE half precision by way of double arithmetic: shares nothing with the kernels. */
static double to_half(double x) {
    int exponent;
    (void)frexp(x, &exponent);
    if (exponent < -13) exponent = -13;
    double half = ldexp(rint(ldexp(x, 11 - exponent)), exponent - 11);
    return half < 65536 ? half : NAN;
}

START_TEST(weights_are_quantised_as_ggml_does) {
    float x[32] = {127, .5F, -.5F, 1.5F, 2.5F, -2.5F, -126.5F, .49999997F, -.49999997F, 1, -0.0F};
    const int8_t expected[32] = {127, 1, -1, 2, 3, -3, -127, 0, 0, 1, 0};
    int8_t q[32];
    ck_assert(md_q8_weights(x, q) == 1); /* halves go away from zero */
    ck_assert_mem_eq(q, expected, 32);
    const float scales[][2] = {
        /* exact, and as a half: ties to even, the smallest, what is below, and beyond */
        {1 + 0x1p-11F, 1},
        {1 + 0x3p-11F, 1 + 0x1p-9F},
        {1 + 0x1.8p-11F, 1 + 0x1p-10F},
        {0x1p-24F, 0x1p-24F},
        {0x1p-25F, 0},
        {0x3p-25F, 0x1p-23F},
        {0x1.ffcp-15F, 0x1p-14F},
        {65504, 65504},
        {65519, 65504},
        {65520, NAN},
        {1e30F, NAN},
        {INFINITY, NAN},
        {NAN, NAN},
        {0, 0},
        {0x1p-149F, 0},
    };
    for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
        memset(x, 0, sizeof x);
        x[5] = -127 * scales[i][0];
        float found = md_q8_weights(x, q), half = scales[i][1];
        ck_assert_msg(isnan(half) ? isnan(found) : found == half, "scale %g became %g, expected %g",
                      (double)scales[i][0], (double)found, (double)half);
        if (half > 0) ck_assert_int_eq(q[5], -127);
        if (scales[i][0] < FLT_MIN) ck_assert_int_eq(q[5], 0);
    }
}
END_TEST

START_TEST(quantised_weights_follow_the_formula_at_every_size) {
    md_rng rng = {.seed = 9, .stream = MD_STREAM_NOISE};
    for (uint32_t block = 0; block < 2000; block++) {
        float x[32], largest = 0;
        int8_t q[32];
        for (uint32_t i = 0; i < 32; i++) {
            x[i] = ldexpf((float)md_normal(rng, block, i), (int)(block % 48) - 30);
            largest = fmaxf(largest, fabsf(x[i]));
        }
        float d = largest / 127, inverse = 1 / d, scale = md_q8_weights(x, q);
        ck_assert((double)scale == to_half((double)d) || isnan(to_half((double)d)));
        for (int i = 0; i < 32; i++) ck_assert_int_eq(q[i], (int)roundf(x[i] * inverse));
    }
}
END_TEST

/* --- products -------------------------------------------------------------------------------- */

typedef struct trial {
    md_arena *arena;
    md_kernels k;
    md_gemm g;     /* packed */
    float *b;      /* op(B), ldb as in g */
    float *before; /* C */
} trial;

static float *randoms(trial *t, int64_t n, uint32_t number) {
    float *x = md_arena_alloc(t->arena, (size_t)n * sizeof *x);
    md_rng rng = {.seed = 5, .stream = MD_STREAM_NOISE};
    for (int64_t i = 0; i < n; i++) x[i] = (float)md_normal(rng, number, (uint32_t)i);
    return x;
}

static void *pack(trial *t) {
    const md_gemm *g = &t->g;
    md_pack p = {.trans = g->trans_b, .n = g->n, .k = g->k, .b = t->b, .ldb = g->ldb};
    size_t panels = (size_t)((g->n + t->k.panel - 1) / t->k.panel);
    size_t bytes = panels * t->k.panel_bytes(g->k);
    p.to = md_arena_alloc(t->arena, bytes);
    memset(p.to, 0xff, bytes); /* NaN wherever packing forgets a scale */
    t->k.pack(&p, 0, 1);
    t->k.pack(&p, 1, (int)panels - 1);
    return p.to;
}

/* Random operands; `form` chooses transposes and accumulation. */
static void prepare(trial *t, const int shape[3], int form) {
    int m = shape[0], n = shape[1], k = shape[2];
    md_gemm g = {.trans_a = form & 1, .trans_b = form & 2, .add = form & 4, .m = m, .n = n, .k = k};
    g.lda = (g.trans_a ? m : k) + GAP;
    g.ldb = (g.trans_b ? k : n) + GAP;
    g.ldc = n + GAP;
    g.a = randoms(t, (int64_t)(g.trans_a ? k : m) * g.lda, 1);
    t->b = randoms(t, (int64_t)(g.trans_b ? n : k) * g.ldb, 2);
    g.c = randoms(t, (int64_t)m * g.ldc, 3);
    t->before = randoms(t, (int64_t)m * g.ldc, 3);
    t->g = g;
    t->g.packed = pack(t);
}

static const float *b_at(const trial *t, int p, int j) {
    return t->b + (t->g.trans_b ? (int64_t)j * t->g.ldb + p : (int64_t)p * t->g.ldb + j);
}

static const float *a_at(const trial *t, int i, int p) {
    return t->g.a + (t->g.trans_a ? (int64_t)p * t->g.lda + i : (int64_t)i * t->g.lda + p);
}

/* Calls `fn` for every set, shape and form. */
static void everywhere(void (*fn)(trial *t)) {
    trial t = {.arena = md_arena_new(&err)};
    for (int set = 0; next_kernels(&set, "q8_0", &t.k);) {
        for (int i = 0; i < SHAPES * 8; i++) {
            prepare(&t, shapes[i / 8], i % 8);
            fn(&t);
            md_arena_rewind(t.arena, (md_arena_mark){0});
        }
    }
    md_arena_free(t.arena);
}

/* Blocks of a row of op(A) or of a column of op(B) as numbers: q, then its scale. */
static void quantise(const float *x[32], int count, bool weights, double q[32], double *scale) {
    float largest = 0;
    for (int i = 0; i < count; i++) largest = fmaxf(largest, fabsf(*x[i]));
    float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
    for (int i = 0; i < count; i++)
        q[i] = (double)(weights ? roundf(*x[i] * inverse) : rintf(*x[i] * inverse));
    *scale = weights ? to_half((double)d) : (double)d;
}

/* Adds block k .. of element (i, j) to sum[0] and its magnitude to sum[1]. */
static void add_block(const trial *t, int i, int j, int k, double sum[2]) {
    const float *a[32], *b[32];
    double qa[32], qb[32], sa, sb, dot = 0;
    int count = t->g.k - k < 32 ? t->g.k - k : 32;
    for (int p = 0; p < count; p++) a[p] = a_at(t, i, k + p), b[p] = b_at(t, k + p, j);
    quantise(a, count, false, qa, &sa);
    quantise(b, count, true, qb, &sb);
    for (int p = 0; p < count; p++) dot += qa[p] * qb[p];
    sum[0] += dot * sa * sb;
    sum[1] += fabs(dot * sa * sb);
}

/* One rounding of the product of scales and one of the sum per block, of partial sums that are at
 * most the sum of magnitudes. */
static void agrees(trial *t) {
    const md_gemm *g = &t->g;
    int blocks = (g->k + 31) / 32;
    t->k.gemm_packed(g);
    for (int i = 0; i<g->m; i += g->m> 20 ? 13 : 1) {
        for (int j = 0; j < g->n; j++) {
            double old = g->add ? (double)t->before[i * g->ldc + j] : 0;
            double sum[2] = {old, fabs(old)}, found = (double)g->c[i * g->ldc + j];
            for (int k = 0; k < g->k; k += 32) add_block(t, i, j, k, sum);
            ck_assert_msg(fabs(found - sum[0]) <= (blocks + 1) * (double)FLT_EPSILON * sum[1],
                          "%s: %dx%dx%d c[%d,%d] is %g, expected %g", t->k.products, g->m, g->n,
                          g->k, i, j, found, sum[0]);
        }
    }
}

START_TEST(products_agree_with_exact_sums_of_quantised_numbers) {
    everywhere(agrees);
}
END_TEST

/* c of the same product by plain C. */
static float *plain_c(trial *t) {
    trial plain = *t;
    assert_ok(md_kernels_init(&plain.k, "ref", &err));
    assert_ok(md_kernels_set_dtype(&plain.k, "q8_0", &err));
    plain.g.packed = pack(&plain);
    plain.g.c = randoms(t, (int64_t)t->g.m * t->g.ldc, 3);
    plain.k.gemm_packed(&plain.g);
    return plain.g.c;
}

/* tensor/kernels/q8.h promises the same bits; whatever lies between rows stays. NaNs are not told
 * apart. */
static void same_bits(trial *t) {
    const float *expected = plain_c(t);
    t->k.gemm_packed(&t->g);
    for (int64_t i = 0; i < (int64_t)t->g.m * t->g.ldc; i++) {
        float x = t->g.c[i], y = expected[i];
        ck_assert_msg(memcmp(&x, &y, sizeof x) == 0 || (isnan(x) && isnan(y)),
                      "%s: %dx%dx%d element %lld is %.9g, plain C has %.9g", t->k.products, t->g.m,
                      t->g.n, t->g.k, (long long)i, (double)x, (double)y);
    }
}

START_TEST(every_set_computes_the_bits_of_plain_c) {
    everywhere(same_bits);
}
END_TEST

/* Rows from a third on, quantised before the product. */
static void rounded_before(trial *t) {
    md_gemm g = t->g;
    if (!t->k.round_rows || g.trans_a) return;
    t->k.gemm_packed(&t->g);
    size_t bytes = t->k.rounded_bytes(g.k);
    char *rows = md_arena_alloc(t->arena, (size_t)(g.m + t->k.row_slack) * bytes);
    memset(rows, 0xff, (size_t)(g.m + t->k.row_slack) * bytes); /* behind the last row too */
    t->k.round_rows(g.m, g.k, g.a, g.lda, rows);
    int row = g.m / 3;
    g.m -= row;
    g.a = NULL;
    g.rounded = rows + (size_t)row * bytes;
    g.c = t->before + (int64_t)row * g.ldc;
    t->k.gemm_packed(&g);
    for (int i = 0; i < g.m; i++)
        ck_assert_mem_eq(g.c + i * g.ldc, t->g.c + (row + i) * g.ldc, (size_t)g.n * sizeof(float));
}

START_TEST(rows_quantised_before_give_the_same_bits) {
    everywhere(rounded_before);
}
END_TEST

static void keeps_gaps(trial *t) {
    t->k.gemm_packed(&t->g);
    for (int i = 0; i < t->g.m; i++) {
        for (int j = t->g.n; j < t->g.ldc; j++)
            ck_assert(t->g.c[i * t->g.ldc + j] == t->before[i * t->g.ldc + j]);
    }
}

START_TEST(products_write_nothing_between_rows) {
    everywhere(keeps_gaps);
}
END_TEST

/* Rows from a third on, columns from the second panel on. */
static void cut(trial *t) {
    md_gemm part = t->g;
    int row = t->g.m / 3, col = t->g.n > t->k.panel ? t->k.panel : 0;
    t->k.gemm_packed(&t->g);
    part.m -= row;
    part.n -= col;
    part.packed_col = col;
    part.a = a_at(t, row, 0);
    part.c = t->before + (int64_t)row * t->g.ldc + col;
    t->k.gemm_packed(&part);
    for (int i = 0; i < part.m; i++)
        ck_assert_mem_eq(part.c + i * part.ldc, t->g.c + (row + i) * t->g.ldc + col,
                         (size_t)part.n * sizeof(float));
}

START_TEST(the_bits_of_an_element_do_not_depend_on_the_tile) {
    everywhere(cut);
}
END_TEST

/* Blocks of zeros, of denormals, of huge numbers, one that dwarfs its block; halves. */
static void extreme(trial *t) {
    const float values[] = {0, -0.0F, 1e30F, -3e38F, 1e-40F, 0x1p-120F, 1e6F, 2e7F, .5F, 1};
    float *a = (float *)t->g.a;
    int stride_a = t->g.trans_a ? t->g.lda : 1, stride_b = t->g.trans_b ? 1 : t->g.ldb;
    for (int p = 0; p < t->g.k; p++) {
        bool whole = p / 32 % 2 == 0; /* else one number of the block */
        if (whole || p % 32 == 7) a[p * stride_a] = values[p / 32 % 10];
        if (whole || p % 32 == 9) t->b[p * stride_b] = values[(p / 32 + 3) % 10];
    }
    t->g.packed = pack(t);
    same_bits(t);
}

START_TEST(extremes_have_the_bits_of_plain_c) {
    everywhere(extreme);
}
END_TEST

static void poisoned(trial *t) {
    const float poisons[] = {NAN, INFINITY, -INFINITY};
    float *a = (float *)t->g.a, *b = t->b, *c = t->g.c;
    int ldc = t->g.ldc;
    for (int i = 0; i < 3; i++) {
        float a0 = a[0], b0 = b[0];
        a[0] = poisons[i];
        t->k.gemm_packed(&t->g);
        a[0] = a0;
        for (int j = 0; j < t->g.n; j++) ck_assert(isnan(c[j]));
        for (int j = ldc; t->g.m > 1 && j < ldc + t->g.n; j++) ck_assert(isfinite(c[j]));
        memcpy(c, t->before, (size_t)t->g.m * (size_t)ldc * sizeof *c);
        b[0] = poisons[i];
        t->g.packed = pack(t);
        b[0] = b0;
        t->k.gemm_packed(&t->g);
        for (int r = 0; r < t->g.m; r++) {
            ck_assert(isnan(c[r * ldc]));
            for (int j = 1; j < t->g.n; j++) ck_assert(isfinite(c[r * ldc + j]));
        }
        memcpy(c, t->before, (size_t)t->g.m * (size_t)ldc * sizeof *c);
        t->g.packed = pack(t);
    }
}

START_TEST(what_is_not_finite_makes_its_row_or_column_nan_and_no_other) {
    everywhere(poisoned);
}
END_TEST

/* Without a block there is nothing to add to. */
START_TEST(an_empty_sum_is_zero) {
    md_kernels k;
    for (int i = 0; next_kernels(&i, "q8_0", &k);) {
        float c[4] = {1, 2, 3, 4};
        k.gemm_packed(&(md_gemm){.m = 2, .n = 1, .c = c, .ldc = 2});
        ck_assert(c[0] == 0 && c[1] == 2 && c[2] == 0 && c[3] == 4);
        k.gemm_packed(&(md_gemm){.m = 2, .n = 1, .c = c, .ldc = 2, .add = true});
        ck_assert(c[0] == 0 && c[1] == 2);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("8-bit products");
    suite_case(s, the_operand_type_changes_packed_products_and_can_be_taken_back);
    suite_case(s, products_that_are_not_packed_stay_those_of_floats);
    suite_case(s, weights_are_quantised_as_ggml_does);
    suite_case(s, quantised_weights_follow_the_formula_at_every_size);
    suite_case(s, products_agree_with_exact_sums_of_quantised_numbers);
    suite_case(s, every_set_computes_the_bits_of_plain_c);
    suite_case(s, rows_quantised_before_give_the_same_bits);
    suite_case(s, products_write_nothing_between_rows);
    suite_case(s, the_bits_of_an_element_do_not_depend_on_the_tile);
    suite_case(s, extremes_have_the_bits_of_plain_c);
    suite_case(s, what_is_not_finite_makes_its_row_or_column_nan_and_no_other);
    suite_case(s, an_empty_sum_is_zero);
    name_skipped_sets();
    return suite_run(s);
}
