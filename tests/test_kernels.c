/* tests/test_kernels.c: every set of kernels against the plain C one, entry by entry.
 *
 * Sizes are odd, so that vectors have rests; rows have gaps, which must not change; values are
 * ordinary, large, zero and denormal, with -infinity where scores may be masked. Tolerances are
 * bounds on rounding: eps per operation, times the sum of the magnitudes that an element is made of
 * (any order of a sum of n terms stays within n eps of it), plus a few denormals for underflow.
 * Arena memory has poisoned ends under AddressSanitizer: access past a matrix is seen there.
 */
#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "tensor/kernels.h"
#include "tests/suite.h"

static const double EPS = FLT_EPSILON;
/* Exponentials may flush what is below the least normal number to zero. */
static const double TINY = 2 * (double)FLT_MIN;

static const int sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 129};
enum { SIZES = sizeof sizes / sizeof *sizes, ROWS = 3, GAP = 5 };

typedef enum fill_kind { ORDINARY, LARGE, ZERO, DENORMAL, KINDS } fill_kind;
static const char *const kind_names[KINDS] = {"ordinary", "large", "zero", "denormal"};

/* What is being checked, for messages; memory for one check. */
typedef struct bench {
    const md_kernels *k;
    const char *entry;
    int cols;
    fill_kind kind;
    md_arena *arena;
    uint32_t draws;
} bench;

static double random_value(bench *b, int64_t i) {
    md_rng rng = {.seed = 8, .stream = MD_STREAM_NOISE};
    return 4 * md_uniform(rng, b->draws, (uint32_t)i) - 2;
}

static float *new_floats(bench *b, int64_t n) {
    float *x = md_arena_alloc(b->arena, (size_t)n * sizeof *x);
    if (!x) ck_abort_msg("out of memory");
    return x;
}

/* n numbers of this kind; every call draws others. */
static float *filled(bench *b, int64_t n, fill_kind kind) {
    static const double scale[KINDS] = {1, 5e3, 0, 1e-39};
    float *x = new_floats(b, n);
    b->draws++;
    for (int64_t i = 0; i < n; i++) x[i] = (float)(random_value(b, i) * scale[kind]);
    return x;
}

static float *copied(bench *b, const float *from, int64_t n) {
    float *x = new_floats(b, n);
    memcpy(x, from, (size_t)n * sizeof *x);
    return x;
}

static void check_near(const bench *b, const char *what, int64_t i, double found, double expected,
                       double tolerance) {
    bool same =
        isnan(expected) ? isnan(found) : found == expected || fabs(found - expected) <= tolerance;
    if (same) return; /* even an assertion that holds costs a system call */
    ck_abort_msg("'%s' kernels, %s of %d %s columns: %s[%lld] is %.9g, expected %.9g within %.2g",
                 b->k->name, b->entry, b->cols, kind_names[b->kind], what, (long long)i, found,
                 expected, tolerance);
}

static void check_same(const bench *b, const char *what, const float *found, const float *expected,
                       int64_t n) {
    for (int64_t i = 0; i < n; i++)
        check_near(b, what, i, (double)found[i], (double)expected[i], 0);
}

/* Runs `check` for every set but the plain one, every size and kind of numbers. */
static void over_sets(const char *entry, void (*check)(bench *b)) {
    mdlm_error err;
    bench b = {.entry = entry, .arena = md_arena_new(&err)};
    ck_assert(b.arena != NULL);
    for (const char *const *name = md_kernels_names; *name; name++) {
        md_kernels kernels;
        if (md_kernels_init(&kernels, *name, &err) != MDLM_OK) continue; /* another processor's */
        b.k = &kernels;
        for (int i = 0; i < SIZES * KINDS; i++) {
            b.cols = sizes[i / KINDS];
            b.kind = (fill_kind)(i % KINDS);
            check(&b);
            md_arena_rewind(b.arena, (md_arena_mark){0});
        }
    }
    md_arena_free(b.arena);
}

/* --- products -------------------------------------------------------------------------------- */

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

/* --- norm and SwiGLU ------------------------------------------------------------------------- */

static void check_rms_norm(bench *b) {
    int C = b->cols, size = ROWS * C;
    const float *x = filled(b, size, b->kind), *w = filled(b, C, ORDINARY);
    float *y = new_floats(b, size), *rstd = new_floats(b, ROWS);
    float *y_ref = new_floats(b, size), *rstd_ref = new_floats(b, ROWS);
    b->k->rms_norm(ROWS, C, 1e-5f, x, w, y, rstd);
    md_kernels_ref.rms_norm(ROWS, C, 1e-5f, x, w, y_ref, rstd_ref);
    for (int i = 0; i < size; i++) {
        double expected = (double)y_ref[i];
        check_near(b, "y", i, (double)y[i], expected, (C + 8) * EPS * fabs(expected) + TINY);
    }
    for (int r = 0; r < ROWS; r++) {
        double expected = (double)rstd_ref[r];
        check_near(b, "rstd", r, (double)rstd[r], expected, (C + 8) * EPS * expected);
    }
}

START_TEST(rms_norm_agrees_with_plain_c) {
    over_sets("rms_norm", check_rms_norm);
}
END_TEST

static void check_rms_norm_backward(bench *b) {
    int C = b->cols, size = ROWS * C;
    const float *x = filled(b, size, b->kind), *w = filled(b, C, ORDINARY);
    const float *dy = filled(b, size, ORDINARY);
    float *y = new_floats(b, size), *rstd = new_floats(b, ROWS);
    const float *dx0 = filled(b, size, ORDINARY), *dw0 = filled(b, C, ORDINARY);
    md_kernels_ref.rms_norm(ROWS, C, 1e-5f, x, w, y, rstd);
    for (int form = 0; form < 4; form++) { /* add or not; without dx; without dw */
        float *dx = form == 2 ? NULL : copied(b, dx0, size), *dw = copied(b, dw0, C);
        float *dx_ref = copied(b, dx0, size), *dw_ref = copied(b, dw0, C);
        b->k->rms_norm_backward(ROWS, C, x, w, rstd, dy, form == 1, dx, form == 3 ? NULL : dw);
        md_kernels_ref.rms_norm_backward(ROWS, C, x, w, rstd, dy, form == 1, dx_ref, dw_ref);
        for (int i = 0; dx && i < size; i++) {
            double s = (double)rstd[i / C], sum = 0;
            for (int c = 0, at0 = i / C * C; c < C; c++)
                sum += fabs((double)w[c] * (double)dy[at0 + c] * (double)x[at0 + c]);
            double scale = fabs((double)w[i % C] * (double)dy[i]);
            scale += fabs((double)x[i]) * sum * s * s / C;
            check_near(b, "dx", i, (double)dx[i], (double)dx_ref[i],
                       (C + 8) * EPS * (s * scale + fabs((double)dx0[i])));
        }
        for (int c = 0; form != 3 && c < C; c++) {
            double scale = fabs((double)dw0[c]);
            for (int r = 0; r < ROWS; r++)
                scale += fabs((double)dy[r * C + c] * (double)x[r * C + c] * (double)rstd[r]);
            check_near(b, "dw", c, (double)dw[c], (double)dw_ref[c], 8 * EPS * scale + TINY);
        }
        if (form == 3) check_same(b, "dw", dw, dw0, C);
    }
}

START_TEST(rms_norm_backward_agrees_with_plain_c) {
    over_sets("rms_norm_backward", check_rms_norm_backward);
}
END_TEST

/* u sigmoid(u) keeps a few units in the last place; below -87 it is a denormal or zero. */
static void check_swiglu(bench *b) {
    int F = b->cols, size = ROWS * F;
    const float *x = filled(b, 2 * size, b->kind);
    float *y = new_floats(b, size), *y_ref = new_floats(b, size);
    b->k->swiglu(ROWS, F, x, y);
    md_kernels_ref.swiglu(ROWS, F, x, y_ref);
    for (int i = 0; i < size; i++) {
        const float *u = x + i / F * 2 * F + i % F;
        double tolerance =
            8 * EPS * fabs((double)y_ref[i]) + TINY * (1 + fabs((double)u[0] * (double)u[F]));
        check_near(b, "y", i, (double)y[i], (double)y_ref[i], tolerance);
    }
}

START_TEST(swiglu_agrees_with_plain_c) {
    over_sets("swiglu", check_swiglu);
}
END_TEST

static void check_swiglu_backward(bench *b) {
    int F = b->cols, size = ROWS * F;
    const float *x = filled(b, 2 * size, b->kind), *dy = filled(b, size, ORDINARY);
    const float *dx0 = filled(b, 2 * size, ORDINARY);
    for (int add = 0; add < 2; add++) {
        float *dx = copied(b, dx0, 2 * size), *dx_ref = copied(b, dx0, 2 * size);
        b->k->swiglu_backward(ROWS, F, x, dy, add, dx);
        md_kernels_ref.swiglu_backward(ROWS, F, x, dy, add, dx_ref);
        for (int i = 0; i < 2 * size; i++) {
            int r = i / (2 * F), c = i % (2 * F) % F;
            double u = (double)x[r * 2 * F + c], up = (double)x[r * 2 * F + F + c];
            /* s + u s (1 - s): 1 - s is off by eps even where it is 0, times u. */
            double scale = fabs((double)dy[r * F + c]) * (1 + fabs(u)) * (1 + fabs(up));
            check_near(b, "dx", i, (double)dx[i], (double)dx_ref[i],
                       8 * EPS * (scale + (add ? fabs((double)dx0[i]) : 0)));
        }
    }
}

START_TEST(swiglu_backward_agrees_with_plain_c) {
    over_sets("swiglu_backward", check_swiglu_backward);
}
END_TEST

/* --- attention ------------------------------------------------------------------------------- */

static void check_rope(bench *b) {
    int half = b->cols, D = 2 * half, heads = 2, stride = heads * D + GAP, size = ROWS * stride;
    const float *cos_ = filled(b, ROWS * half, ORDINARY), *sin_ = filled(b, ROWS * half, ORDINARY);
    const float *x0 = filled(b, size, b->kind);
    for (int form = 0; form < 2; form++) {
        float sign = form ? -1 : 1, *x = copied(b, x0, size), *x_ref = copied(b, x0, size);
        b->k->rope(ROWS, heads, D, stride, cos_, sin_, sign, x);
        md_kernels_ref.rope(ROWS, heads, D, stride, cos_, sin_, sign, x_ref);
        for (int i = 0; i < size; i++) {
            int c = i % stride, pair = c % D < half ? i + half : i - half;
            bool turned = c < heads * D; /* the angles here are below 2 in size */
            double scale = turned ? 2 * (fabs((double)x0[i]) + fabs((double)x0[pair])) : 0;
            check_near(b, turned ? "x" : "gap of x", i, (double)x[i], (double)x_ref[i],
                       2 * EPS * scale + (turned ? 4 * (double)FLT_TRUE_MIN : 0));
        }
    }
}

START_TEST(rope_agrees_with_plain_c) {
    over_sets("rope", check_rope);
}
END_TEST

/* Scores, every fifth masked when `masked`; the first of a row never is. *largest: of scale * s. */
static float *scores(bench *b, int stride, bool masked, double scale, double *largest) {
    float *s = filled(b, ROWS * stride, b->kind);
    *largest = 0;
    for (int i = 0; i < ROWS * stride; i++) {
        *largest = fmax(*largest, fabs(scale * (double)s[i]));
        if (masked && i % stride % 5 == 3) s[i] = -INFINITY;
    }
    return s;
}

static void check_softmax(bench *b) {
    int stride = b->cols + GAP, size = ROWS * stride;
    for (int masked = 0; masked < 2; masked++) {
        double largest;
        const float scale = 0.25f, *s0 = scores(b, stride, masked, 0.25, &largest);
        float *s = copied(b, s0, size), *s_ref = copied(b, s0, size), lse[ROWS], lse_ref[ROWS];
        b->k->softmax(ROWS, b->cols, stride, scale, s, lse);
        md_kernels_ref.softmax(ROWS, b->cols, stride, scale, s_ref, lse_ref);
        /* An exponent of size x is rounded by eps x, which is the result's relative error. */
        double relative = EPS * (b->cols + 8 + 4 * largest);
        for (int i = 0; i < size; i++) {
            double expected = (double)s_ref[i];
            bool inside = i % stride < b->cols;
            check_near(b, inside ? "s" : "gap of s", i, (double)s[i], expected,
                       inside ? relative * expected + TINY : 0);
            if (inside && isinf(s0[i])) check_near(b, "masked s", i, (double)s[i], 0, 0);
        }
        for (int r = 0; r < ROWS; r++)
            check_near(b, "lse", r, (double)lse[r], (double)lse_ref[r], relative);
    }
}

START_TEST(softmax_agrees_with_plain_c) {
    over_sets("softmax", check_softmax);
}
END_TEST

static void check_softmax_again(bench *b) {
    int stride = b->cols + GAP, size = ROWS * stride;
    for (int masked = 0; masked < 2; masked++) {
        double largest;
        const float scale = 0.25f, *s0 = scores(b, stride, masked, 0.25, &largest);
        float *s = copied(b, s0, size), *s_ref = copied(b, s0, size), lse[ROWS];
        md_kernels_ref.softmax(ROWS, b->cols, stride, scale, copied(b, s0, size), lse);
        b->k->softmax_again(ROWS, b->cols, stride, scale, s, lse);
        md_kernels_ref.softmax_again(ROWS, b->cols, stride, scale, s_ref, lse);
        double relative = EPS * (8 + 8 * largest);
        for (int i = 0; i < size; i++) {
            double expected = (double)s_ref[i];
            bool inside = i % stride < b->cols;
            check_near(b, inside ? "s" : "gap of s", i, (double)s[i], expected,
                       inside ? relative * expected + TINY : 0);
        }
    }
}

START_TEST(softmax_again_agrees_with_plain_c) {
    over_sets("softmax_again", check_softmax_again);
}
END_TEST

static void check_softmax_backward(bench *b) {
    int stride = b->cols + GAP, size = ROWS * stride;
    const float *p = filled(b, size, ORDINARY), *delta = filled(b, ROWS, ORDINARY);
    const float *dp0 = filled(b, size, b->kind), scale = 0.3f;
    float *dp = copied(b, dp0, size), *dp_ref = copied(b, dp0, size);
    b->k->softmax_backward(ROWS, b->cols, stride, scale, p, delta, dp);
    md_kernels_ref.softmax_backward(ROWS, b->cols, stride, scale, p, delta, dp_ref);
    for (int i = 0; i < size; i++) {
        bool inside = i % stride < b->cols;
        double size_of = fabs((double)dp0[i]) + fabs((double)delta[i / stride]);
        double tolerance = 4 * EPS * fabs((double)(scale * p[i])) * size_of;
        check_near(b, inside ? "dp" : "gap of dp", i, (double)dp[i], (double)dp_ref[i],
                   inside ? tolerance : 0);
    }
}

START_TEST(softmax_backward_agrees_with_plain_c) {
    over_sets("softmax_backward", check_softmax_backward);
}
END_TEST

static void check_row_dot(bench *b) {
    int stride = b->cols + GAP, size = ROWS * stride;
    const float *x = filled(b, size, b->kind), *y = filled(b, size, ORDINARY);
    float delta[ROWS];
    b->k->row_dot(ROWS, b->cols, stride, x, y, delta);
    for (int r = 0; r < ROWS; r++) {
        double sum = 0, scale = 0;
        for (int c = 0; c < b->cols; c++) {
            double v = (double)x[r * stride + c] * (double)y[r * stride + c];
            sum += v;
            scale += fabs(v);
        }
        check_near(b, "delta", r, (double)delta[r], sum,
                   (b->cols + 4) * (EPS * scale + (double)FLT_TRUE_MIN));
    }
}

START_TEST(row_dot_agrees_with_the_exact_sum) {
    over_sets("row_dot", check_row_dot);
}
END_TEST

/* --- cross-entropy --------------------------------------------------------------------------- */

static void check_cross_entropy_form(bench *b, int32_t banned, bool gradient) {
    int V = b->cols, size = ROWS * V;
    double largest;
    const float *z0 = scores(b, V, false, 1, &largest), weight[ROWS] = {1, 0, 2.5f};
    float *z = copied(b, z0, size), *z_ref = copied(b, z0, size), loss[ROWS], loss_ref[ROWS];
    int32_t target[ROWS];
    for (int r = 0; r < ROWS; r++) {
        target[r] = (r * 5 + 1) % V;
        if (target[r] == banned) target[r] = (target[r] + 1) % V;
    }
    b->k->cross_entropy(ROWS, V, banned, target, weight, gradient, z, loss);
    md_kernels_ref.cross_entropy(ROWS, V, banned, target, weight, gradient, z_ref, loss_ref);
    double tolerance = EPS * (V + 8 + 4 * largest);
    for (int r = 0; r < ROWS; r++) {
        check_near(b, "loss", r, (double)loss[r], (double)loss_ref[r], tolerance);
    }
    for (int i = 0; gradient && i < size; i++) {
        double exact = i % V == banned ? 0 : tolerance * (double)weight[i / V];
        check_near(b, "gradient", i, (double)z[i], (double)z_ref[i], exact);
        if (i % V == banned) check_near(b, "banned gradient", i, (double)z[i], 0, 0);
    }
}

static void check_cross_entropy(bench *b) {
    check_cross_entropy_form(b, -1, false);
    check_cross_entropy_form(b, -1, true);
    if (b->cols < 2) return; /* nothing would be left */
    check_cross_entropy_form(b, 0, true);
    check_cross_entropy_form(b, b->cols / 2, false);
    check_cross_entropy_form(b, b->cols - 1, true);
}

START_TEST(cross_entropy_agrees_with_plain_c) {
    over_sets("cross_entropy", check_cross_entropy);
}
END_TEST

/* --- flat loops ------------------------------------------------------------------------------ */

static void check_sums(bench *b) {
    int n = b->cols;
    const float *x = filled(b, n, b->kind), *y = filled(b, n, b->kind);
    float *sum = new_floats(b, n), *into = copied(b, y, n), *expected = new_floats(b, n);
    for (int i = 0; i < n; i++) expected[i] = x[i] + y[i];
    b->k->add(n, x, y, sum);
    b->k->accumulate(n, x, into);
    check_same(b, "y of add", sum, expected, n); /* one operation: the same bits */
    check_same(b, "y of accumulate", into, expected, n);
    double found = b->k->sum_squares(n, x), squares = 0;
    for (int i = 0; i < n; i++) squares += (double)x[i] * (double)x[i];
    check_near(b, "sum_squares", 0, found, squares, n * DBL_EPSILON * squares);
}

START_TEST(sums_agree_with_plain_c) {
    over_sets("add, accumulate, sum_squares", check_sums);
}
END_TEST

typedef struct adamw_state {
    float *w, *m, *v, *grad, *ema;
} adamw_state;

static adamw_state adamw_copy(bench *b, const adamw_state *s, int n) {
    return (adamw_state){copied(b, s->w, n), copied(b, s->m, n), copied(b, s->v, n),
                         copied(b, s->grad, n), copied(b, s->ema, n)};
}

static md_adamw_args adamw_args(const adamw_state *s, bool ema, float decay) {
    return (md_adamw_args){.w = s->w,
                           .m = s->m,
                           .v = s->v,
                           .grad = s->grad,
                           .ema = ema ? s->ema : NULL,
                           .lr = 0.01f,
                           .beta1 = 0.9f,
                           .beta2 = 0.95f,
                           .eps = 1e-8f,
                           .decay = decay,
                           .grad_scale = 0.7f,
                           .correction1 = 0.19f,
                           .correction2 = 0.0975f,
                           .ema_decay = 0.99f};
}

static void check_adamw(bench *b) {
    int n = b->cols;
    adamw_state old = {filled(b, n, ORDINARY), filled(b, n, b->kind), filled(b, n, b->kind),
                       filled(b, n, b->kind), filled(b, n, ORDINARY)};
    for (int i = 0; i < n; i++) old.v[i] = fabsf(old.v[i]);
    for (int form = 0; form < 2; form++) {
        adamw_state s = adamw_copy(b, &old, n), ref = adamw_copy(b, &old, n);
        md_adamw_args args = adamw_args(&s, form, form ? 0.1f : 0);
        md_adamw_args args_ref = adamw_args(&ref, form, args.decay);
        b->k->adamw(n, &args);
        md_kernels_ref.adamw(n, &args_ref);
        for (int i = 0; i < n; i++) {
            double g = fabs((double)old.grad[i]), w = fabs((double)old.w[i]);
            double m = 4 * EPS * (fabs((double)old.m[i]) + g) + TINY;
            double v = 4 * EPS * ((double)old.v[i] + g * g) + TINY;
            /* The step is m / sqrt(v): their errors, relative to it, and a few roundings more. */
            double root = sqrt((double)ref.v[i] / 0.0975) + 1e-8;
            double relative = 16 * EPS + 0.5 * v / 0.0975 / root / root;
            double step = (m + fabs((double)ref.m[i]) * relative) / 0.19 / root;
            double moved = 4 * EPS * w + 0.01 * step;
            check_near(b, "m", i, (double)s.m[i], (double)ref.m[i], m);
            check_near(b, "v", i, (double)s.v[i], (double)ref.v[i], v);
            check_near(b, "w", i, (double)s.w[i], (double)ref.w[i], moved);
            check_near(b, "ema", i, (double)s.ema[i], (double)ref.ema[i],
                       form ? moved + 4 * EPS * (w + fabs((double)old.ema[i])) : 0);
            check_near(b, "grad", i, (double)s.grad[i], 0, 0);
        }
    }
}

START_TEST(adamw_agrees_with_plain_c) {
    over_sets("adamw", check_adamw);
}
END_TEST

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
    suite_case(s, products_agree_with_exact_ones);
    suite_case(s, long_and_empty_sums_agree_with_exact_ones);
    suite_case(s, rms_norm_agrees_with_plain_c);
    suite_case(s, rms_norm_backward_agrees_with_plain_c);
    suite_case(s, swiglu_agrees_with_plain_c);
    suite_case(s, swiglu_backward_agrees_with_plain_c);
    suite_case(s, rope_agrees_with_plain_c);
    suite_case(s, softmax_agrees_with_plain_c);
    suite_case(s, softmax_again_agrees_with_plain_c);
    suite_case(s, softmax_backward_agrees_with_plain_c);
    suite_case(s, row_dot_agrees_with_the_exact_sum);
    suite_case(s, cross_entropy_agrees_with_plain_c);
    suite_case(s, sums_agree_with_plain_c);
    suite_case(s, adamw_agrees_with_plain_c);
    suite_case(s, a_nan_is_never_masked);
    suite_case(s, large_scores_neither_overflow_nor_vanish);
    suite_case(s, every_set_that_runs_here_is_complete_and_has_its_name);
    suite_case(s, an_unknown_set_is_refused);
    return suite_run(s);
}
