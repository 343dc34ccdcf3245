/* tests/test_kernels.c: NaN, infinity and extremes in every entry of every set, and the tables.
 * Ordinary numbers are in test_kernels_products.c, test_kernels_fused.c and test_kernels_q8.c. */
#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "tests/kernel_bench.h"

/* --- NaN and infinity ------------------------------------------------------------------------ */

static void check_nan(const bench *b, const char *what, int place, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        if (isnan(x[i])) continue;
        ck_abort_msg("'%s' kernels: a NaN at %d of %d does not reach %s[%d]: %g", b->k->name, place,
                     b->cols, what, i, (double)x[i]);
    }
}

static void check_finite(const bench *b, const char *what, int place, const float *x, int n) {
    for (int i = 0; i < n; i++) {
        if (isfinite(x[i])) continue;
        ck_abort_msg("'%s' kernels: a NaN at %d of %d reaches %s[%d]", b->k->name, place, b->cols,
                     what, i);
    }
}

/* x with a NaN (or another number) at `place`. */
static float *poisoned(bench *b, const float *x, int n, int place, float poison) {
    float *y = copied(b, x, n);
    y[place] = poison;
    return y;
}

static void nan_in_products(bench *b, int place) {
    enum { M = 3, N = 5 };
    int K = b->cols;
    const float *x = filled(b, M * K, ORDINARY), *w = filled(b, N * K, ORDINARY);
    float c[M * N] = {0};
    md_gemm g = {.trans_b = true,
                 .m = M,
                 .n = N,
                 .k = K,
                 .a = x,
                 .lda = K,
                 .b = w,
                 .ldb = K,
                 .c = c,
                 .ldc = N};
    g.a = poisoned(b, x, M * K, K + place, NAN); /* the second row */
    b->k->gemm(&g);
    check_finite(b, "c before its row", place, c, N);
    check_nan(b, "c", place, c + N, N);
    check_finite(b, "c after its row", place, c + 2 * N, N);
    float zero[M * N] = {0}, *none = new_floats(b, M * K);
    memset(none, 0, (size_t)(M * K) * sizeof *none);
    g.a = none;
    g.b = poisoned(b, w, N * K, 4 * K + place, NAN); /* zero times NaN is NaN */
    g.c = zero;
    b->k->gemm(&g);
    for (int i = 0; i < M; i++) {
        check_nan(b, "last column of c", place, zero + i * N + 4, 1);
        check_finite(b, "c", place, zero + i * N, 4);
    }
}

static void nan_in_rows(bench *b, int place) {
    int n = b->cols;
    const float *x = filled(b, n, ORDINARY), *w = filled(b, n, ORDINARY);
    const float *bad = poisoned(b, x, n, place, NAN);
    float *y = new_floats(b, n), *dx = new_floats(b, n), *dw = filled(b, n, ORDINARY), one = 1, r;
    b->k->rms_norm(1, n, 1e-5f, bad, w, y, &r);
    check_nan(b, "y of rms_norm", place, y, n);
    b->k->rms_norm_backward(1, n, x, w, &one, bad, false, dx, dw);
    check_nan(b, "dx of rms_norm", place, dx, n);
    check_nan(b, "dw of rms_norm", place, dw + place, 1);
    b->k->row_dot(1, n, n, x, bad, &r);
    check_nan(b, "row_dot", place, &r, 1);
    for (int again = 0; again < 2; again++) {
        float *s = copied(b, bad, n);
        r = 0;
        if (again)
            b->k->softmax_again(1, n, n, 1, s, &r);
        else
            b->k->softmax(1, n, n, 1, s, &r);
        check_nan(b, again ? "softmax_again" : "softmax", place, again ? s + place : s,
                  again ? 1 : n);
        if (!again) check_nan(b, "lse", place, &r, 1);
    }
    b->k->softmax_backward(1, n, n, 1, x, &one, memcpy(y, bad, (size_t)n * sizeof *y));
    check_nan(b, "dp of softmax", place, y + place, 1);
    float *s = poisoned(b, x, n, place, INFINITY);
    b->k->softmax(1, n, n, 1, s, &r); /* infinity - infinity: not to be taken for certainty */
    check_nan(b, "softmax of +infinity", place, s, n);
}

static void nan_in_pairs(bench *b, int place) {
    int n = b->cols;
    const float *x = filled(b, 2 * n, ORDINARY), *dy = filled(b, n, ORDINARY);
    float *y = new_floats(b, n), *dx = new_floats(b, 2 * n);
    for (int side = 0; side < 2; side++) {
        const float *bad = poisoned(b, x, 2 * n, side * n + place, NAN);
        b->k->swiglu(1, n, bad, y);
        check_nan(b, "y of swiglu", place, y + place, 1);
        b->k->swiglu_backward(1, n, bad, dy, false, dx);
        check_nan(b, "dx of swiglu", place, dx + place, 1);
        float *turned = copied(b, bad, 2 * n);
        b->k->rope(1, 1, 2 * n, 2 * n, dy, dy, 1, turned);
        check_nan(b, "low half of rope", place, turned + place, 1);
        check_nan(b, "high half of rope", place, turned + n + place, 1);
    }
    b->k->swiglu_backward(1, n, x, poisoned(b, dy, n, place, NAN), false, dx);
    check_nan(b, "dx of swiglu", place, dx + place, 1);
    check_nan(b, "dx of swiglu", place, dx + n + place, 1);
}

static void nan_in_losses(bench *b, int place) {
    int V = b->cols, banned = (place + 1) % V;
    int32_t target = (place + 2) % V;
    const float *z = filled(b, V, ORDINARY), weight = 1;
    for (int gradient = 0; gradient < 2; gradient++) {
        float loss = 0, *bad = poisoned(b, z, V, place, NAN);
        b->k->cross_entropy(1, V, banned, &target, &weight, gradient, bad, &loss);
        check_nan(b, "loss", place, &loss, 1);
        for (int v = 0; gradient && v < V; v++) {
            if (v != banned) check_nan(b, "gradient of logits", place, bad + v, 1);
        }
        bad = poisoned(b, z, V, banned, NAN); /* what is banned does not count */
        b->k->cross_entropy(1, V, banned, &target, &weight, gradient, bad, &loss);
        check_finite(b, "loss", banned, &loss, 1);
        if (gradient) check_finite(b, "gradient of logits", banned, bad, V);
    }
}

static void nan_in_flat_loops(bench *b, int place) {
    int n = b->cols;
    const float *x = filled(b, n, ORDINARY), *bad = poisoned(b, x, n, place, NAN);
    float *y = new_floats(b, n), *into = copied(b, x, n);
    b->k->add(n, x, bad, y);
    check_nan(b, "add", place, y + place, 1);
    b->k->accumulate(n, bad, into);
    check_nan(b, "accumulate", place, into + place, 1);
    float squares = (float)b->k->sum_squares(n, bad);
    check_nan(b, "sum_squares", place, &squares, 1);
    adamw_state s = {copied(b, x, n), copied(b, x, n), copied(b, x, n), copied(b, bad, n),
                     copied(b, x, n)};
    for (int i = 0; i < n; i++) s.v[i] = fabsf(s.v[i]);
    md_adamw_args args = adamw_args(&s, true, 0.1f);
    b->k->adamw(n, &args);
    check_nan(b, "w", place, s.w + place, 1);
    check_nan(b, "ema", place, s.ema + place, 1);
    for (int i = 0; i < n; i++) {
        if (i != place) check_finite(b, "w", place, s.w + i, 1);
    }
}

static void nan_at_every_place(bench *b) {
    static void (*const checks[])(bench * b, int place) = {
        nan_in_products, nan_in_rows, nan_in_pairs, nan_in_losses, nan_in_flat_loops};
    md_arena_mark mark = md_arena_save(b->arena);
    if (b->kind != ORDINARY || b->cols < 3) return;
    for (int place = 0; place < b->cols; place++) {
        for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
            checks[i](b, place);
            md_arena_rewind(b->arena, mark);
        }
    }
}

START_TEST(a_nan_is_never_masked) {
    over_sets("NaN", nan_at_every_place);
}
END_TEST

/* --- extremes that a formula without care does not survive ----------------------------------- */

static void check_extremes(bench *b) {
    int n = b->cols;
    if (b->kind != LARGE) return;
    float *s = new_floats(b, n), lse, loss, weight = 1, sum = 0;
    int32_t target = n - 1;
    for (int i = 0; i < n; i++) s[i] = i == n / 2 ? 3e38f : -3e38f;
    float *z = copied(b, s, n);
    b->k->softmax(1, n, n, 0.125f, s, &lse);
    for (int i = 0; i < n; i++) check_near(b, "softmax", i, (double)s[i], i == n / 2, 0);
    z[n - 1] = 1e30f;
    b->k->cross_entropy(1, n,
                        n == 1           ? -1
                        : n / 2 == n - 1 ? 0
                                         : n / 2,
                        &target, &weight, true, z, &loss);
    check_near(b, "loss of a certain token", 0, (double)loss, 0, 0);
    for (int i = 0; i < n; i++) check_near(b, "gradient", i, (double)z[i], 0, 0);
    for (int i = 0; i < n; i++) s[i] = 100; /* exp(100) is not a float */
    b->k->softmax(1, n, n, 1, s, &lse);
    for (int i = 0; i < n; i++) sum += s[i];
    check_near(b, "sum of equal scores", 0, (double)sum, 1, n * EPS);
    check_near(b, "lse", 0, (double)lse, 100 + log(n), 100 * EPS);
}

START_TEST(large_scores_neither_overflow_nor_vanish) {
    over_sets("extremes", check_extremes);
}
END_TEST

/* --- exponential, logarithm and sigmoid: by the entries that are made of them ----------------- */

static const float awkward[] = {0,      -0.0F,   1e-39F,  -1e-39F,  FLT_MIN,   -FLT_MIN, 1e-10F,
                                0.5F,   -0.5F,   1,       -1,       17,        -17,      -86.9F,
                                -87.1F, -87.33F, -87.34F, -88,      -88.8F,    -103,     -104,
                                -150,   87,      88.37F,  88.38F,   88.72F,    88.73F,   1e4F,
                                -1e4F,  3e3F,    -3e3F,   INFINITY, -INFINITY, NAN};
enum { AWKWARD = sizeof awkward / sizeof *awkward };

/* n numbers from the list, the first of them number `first`. */
static float *awkward_from(bench *b, int first, int n) {
    float *x = new_floats(b, n);
    for (int i = 0; i < n; i++) x[i] = awkward[(first + i) % AWKWARD];
    return x;
}

/* Two units in the last place. What is below the least normal number may be zero, and what is above
 * e^88.376, short of the greatest, infinite. */
static void check_exponential(bench *b, const float *x, int n) {
    float *y = copied(b, x, n), lse = 0;
    b->k->softmax_again(1, n, n, 1, y, &lse);
    for (int i = 0; i < n; i++) {
        double expected = exp((double)x[i]);
        if (x[i] > 88.37626f && isinf(y[i])) expected = INFINITY;
        if (expected > (double)FLT_MAX) expected = INFINITY;
        check_near(b, "exponential", i, (double)y[i], expected, 2 * EPS * expected + TINY);
    }
}

static void check_exponentials(bench *b) {
    enum { N = 20011 };
    md_arena_mark mark = md_arena_save(b->arena);
    if (b->kind != ORDINARY) return;
    for (int first = 0; first < AWKWARD; first++) {
        check_exponential(b, awkward_from(b, first, b->cols), b->cols);
        md_arena_rewind(b->arena, mark);
    }
    if (b->cols > 1) return;
    float *x = new_floats(b, N);
    for (int i = 0; i < N; i++) x[i] = 91.0F * (float)(2 * i - N) / N;
    check_exponential(b, x, N);
}

START_TEST(exponentials_are_right_at_the_ends_of_their_range) {
    over_sets("softmax_again", check_exponentials);
}
END_TEST

/* Rows of 0 and -t: the logarithm of 1 + e^-t, a sum that is rounded by eps. Sets take logarithms
 * of many rows at once: any number of rows. */
static void check_logarithms(bench *b) {
    int rows = b->cols;
    if (b->kind != ORDINARY) return;
    for (int columns = 1; columns <= 3; columns++) {
        float *s = new_floats(b, rows * columns), *lse = new_floats(b, rows);
        for (int r = 0; r < rows; r++)
            for (int c = 0; c < columns; c++) s[r * columns + c] = -(float)(c * r) / 7;
        b->k->softmax(rows, columns, columns, 1, s, lse);
        for (int r = 0; r < rows; r++) {
            double sum = 0;
            for (int c = 0; c < columns; c++) sum += exp((double)(-(float)(c * r) / 7));
            check_near(b, "lse", r, (double)lse[r], log(sum), 3 * EPS);
        }
    }
}

START_TEST(logarithms_are_right_for_any_number_of_rows) {
    over_sets("softmax", check_logarithms);
}
END_TEST

/* What is not finite in plain C is not in any set, and NaN where an operand is. */
static void check_infinite(const bench *b, const char *what, int i, float found, bool nan) {
    if (nan ? isnan(found) : !isfinite(found)) return;
    ck_abort_msg("'%s' kernels: %s of %g is %g", b->k->name, what, (double)awkward[i],
                 (double)found);
}

/* u sigmoid(u) up and its gradient for gates u from the list. Sigmoid is off by a denormal where it
 * is one, times u; 1 - sigmoid by eps even where it is 0, times u. */
static void check_gate(bench *b, int first, float up) {
    int n = b->cols;
    float *x = new_floats(b, 2 * n), *y = new_floats(b, n), *dx = new_floats(b, 2 * n);
    float *dy = new_floats(b, n), *y_ref = new_floats(b, n), *dx_ref = new_floats(b, 2 * n);
    memcpy(x, awkward_from(b, first, n), (size_t)n * sizeof *x);
    for (int i = 0; i < n; i++) x[n + i] = up, dy[i] = 1.5F;
    b->k->swiglu(1, n, x, y);
    b->k->swiglu_backward(1, n, x, dy, false, dx);
    md_kernels_ref.swiglu(1, n, x, y_ref);
    md_kernels_ref.swiglu_backward(1, n, x, dy, false, dx_ref);
    for (int i = 0; i < n; i++) {
        double u = (double)x[i], size = fabs((double)up), sigmoid = 1 / (1 + exp(-u));
        if (!isfinite(x[i]) || !isfinite(up)) {
            bool nan = isnan(x[i]) || isnan(up);
            check_infinite(b, "swiglu", (first + i) % AWKWARD, y[i], nan);
            if (!isfinite(dx_ref[i]))
                check_infinite(b, "its gradient", (first + i) % AWKWARD, dx[i], nan);
            continue;
        }
        double slope = sigmoid + u * sigmoid * (1 - sigmoid), each = 1 + fabs(u);
        check_near(b, "y", i, (double)y[i], u * sigmoid * (double)up,
                   8 * EPS * fabs((double)y_ref[i]) + TINY * (1 + each * size));
        check_near(b, "gate gradient", i, (double)dx[i], 1.5 * (double)up * slope,
                   1.5 * (8 * EPS * size * each + TINY));
        check_near(b, "up gradient", i, (double)dx[n + i], 1.5 * u * sigmoid,
                   1.5 * (8 * EPS * fabs(u * sigmoid) + TINY * each));
    }
}

static void check_gates(bench *b) {
    static const float ups[] = {1, -3, 0, 1e-39F, 1e30F, INFINITY, -INFINITY, NAN};
    md_arena_mark mark = md_arena_save(b->arena);
    if (b->kind != ORDINARY) return;
    for (int i = 0; i < AWKWARD * 8; i++) {
        check_gate(b, i / 8, ups[i % 8]);
        md_arena_rewind(b->arena, mark);
    }
}

START_TEST(gates_are_right_at_the_ends_of_their_range) {
    over_sets("swiglu", check_gates);
}
END_TEST

/* One row of scores: exact probabilities, to the rounding of an exponent as large as the scores. */
static void check_scores(bench *b, const float *x) {
    int n = b->cols;
    float *s = copied(b, x, n), lse;
    double max = -INFINITY, sum = 0, size = 0;
    for (int i = 0; i < n; i++) {
        max = fmax(max, (double)x[i]);
        if (isfinite(x[i])) size = fmax(size, fabs((double)x[i]));
    }
    for (int i = 0; i < n; i++) sum += exp((double)x[i] - max); /* NaN when all are -infinity */
    b->k->softmax(1, n, n, 1, s, &lse);
    double relative = EPS * (n + 8 + 4 * size);
    for (int i = 0; i < n; i++) {
        double expected = exp((double)x[i] - max) / sum;
        check_near(b, "softmax", i, (double)s[i], expected, relative * expected + TINY);
    }
    check_near(b, "lse", 0, (double)lse, max + log(sum), relative);
}

static void check_awkward_scores(bench *b) {
    int n = b->cols;
    md_arena_mark mark = md_arena_save(b->arena);
    if (b->kind != ORDINARY) return;
    for (int first = 0; first < AWKWARD; first++) {
        float *x = awkward_from(b, first, n), same = x[0] < INFINITY ? x[0] : 0;
        for (int i = 0; i < n; i++)
            if (!(x[i] < INFINITY)) x[i] = 0; /* a_nan_is_never_masked has these */
        check_scores(b, x);
        for (int i = 0; i < n; i++) x[i] = i == n / 2 ? same : -INFINITY;
        check_scores(b, x);
        for (int i = 0; i < n; i++) x[i] = same;
        check_scores(b, x);
        md_arena_rewind(b->arena, mark);
    }
}

START_TEST(scores_at_the_ends_of_their_range_have_exact_probabilities) {
    over_sets("softmax", check_awkward_scores);
}
END_TEST

/* --- the tables ------------------------------------------------------------------------------ */

START_TEST(every_set_that_runs_here_is_complete_and_has_its_name) {
    mdlm_error err = {0};
    md_kernels best, last = md_kernels_ref;
    int found = 0;
    for (const char *const *name = md_kernels_names; *name; name++) {
        md_kernels k;
        if (md_kernels_init(&k, *name, &err) != MDLM_OK) {
            ck_assert_int_eq(err.status, MDLM_USAGE);
            continue;
        }
        last = k;
        found++;
        ck_assert_str_eq(k.name, *name);
        ck_assert(k.gemm && k.rms_norm && k.rms_norm_backward && k.swiglu && k.swiglu_backward);
        ck_assert(k.rope && k.softmax && k.softmax_again && k.softmax_backward && k.row_dot);
        ck_assert(k.cross_entropy && k.add && k.accumulate && k.sum_squares && k.adamw);
        ck_assert(k.chunk_sums && k.chunk_weights);
        ck_assert(k.silu && k.silu_backward && k.gelu && k.gelu_backward && k.group_norm &&
                  k.group_norm_backward);
        ck_assert(k.add_row && k.sum_rows && k.gate_rows && k.columns);
        ck_assert(k.modulated_norm && k.modulated_norm_backward);
    }
    ck_assert_int_ge(found, 2); /* plain C and OpenBLAS run everywhere */
    assert_ok(md_kernels_init(&best, NULL, &err));
    ck_assert_str_eq(best.name, last.name);
    ck_assert(best.gemm != md_kernels_ref.gemm);
}
END_TEST

START_TEST(an_unknown_set_is_refused) {
    mdlm_error err = {0};
    md_kernels k = {.name = "untouched"};
    assert_fails(md_kernels_init(&k, "abacus", &err), MDLM_USAGE, "'abacus'");
    assert_fails(md_kernels_init(&k, "", &err), MDLM_USAGE, "''");
    ck_assert_str_eq(k.name, "untouched");
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernels");
    openblas_set_num_threads(1); /* as the command line does */
    suite_case(s, a_nan_is_never_masked);
    suite_case(s, large_scores_neither_overflow_nor_vanish);
    suite_case(s, exponentials_are_right_at_the_ends_of_their_range);
    suite_case(s, logarithms_are_right_for_any_number_of_rows);
    suite_case(s, gates_are_right_at_the_ends_of_their_range);
    suite_case(s, scores_at_the_ends_of_their_range_have_exact_probabilities);
    suite_case(s, every_set_that_runs_here_is_complete_and_has_its_name);
    suite_case(s, an_unknown_set_is_refused);
    name_skipped_sets();
    return suite_run(s);
}
