/* tests/test_kernels_fused.c: norm, SwiGLU, attention, cross-entropy and flat loops of every set
 * against the plain C ones. */
#include <float.h>
#include <math.h>

#include "tests/kernel_bench.h"

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

static adamw_state adamw_copy(bench *b, const adamw_state *s, int n) {
    return (adamw_state){copied(b, s->w, n), copied(b, s->m, n), copied(b, s->v, n),
                         copied(b, s->grad, n), copied(b, s->ema, n)};
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

int main(void) {
    Suite *s = suite_create("fused kernels");
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
    name_skipped_sets();
    return suite_run(s);
}
