/* tests/test_kernels_image.c: what operators on images use, of every set of kernels, against plain
 * C. */
#include "tests/kernel_bench.h"

/* --- SiLU ------------------------------------------------------------------------------------ */

/* u sigmoid(u) keeps a few units in the last place; below -87 sigmoid is a denormal or zero. The
 * slope has 1 - sigmoid, off by eps even where it is 0, times u. */
static void check_silu(bench *b) {
    int n = b->cols;
    const float *x = filled(b, n, b->kind), *dy = filled(b, n, ORDINARY);
    const float *dx0 = filled(b, n, ORDINARY);
    float *y = new_floats(b, n), *y_ref = new_floats(b, n);
    b->k->silu(n, x, y);
    md_kernels_ref.silu(n, x, y_ref);
    for (int i = 0; i < n; i++)
        check_near(b, "y", i, (double)y[i], (double)y_ref[i],
                   8 * EPS * fabs((double)y_ref[i]) + TINY * (1 + fabs((double)x[i])));
    for (int form = 0; form < 3; form++) { /* overwrites, adds, over x */
        float *dx = copied(b, form == 2 ? x : dx0, n), *dx_ref = copied(b, dx0, n);
        b->k->silu_backward(n, form == 2 ? dx : x, dy, form == 1, dx);
        md_kernels_ref.silu_backward(n, x, dy, form == 1, dx_ref);
        for (int i = 0; i < n; i++) {
            double scale = fabs((double)dy[i]) * (1 + fabs((double)x[i]));
            check_near(b, "dx", i, (double)dx[i], (double)dx_ref[i],
                       8 * EPS * (scale + fabs((double)dx0[i])));
        }
    }
}

START_TEST(silu_agrees_with_plain_c) {
    over_sets("silu", check_silu);
}
END_TEST

/* The exponent itself is rounded, and is 87 at most where that is seen: so are its units. */
static void check_gelu(bench *b) {
    const double MOST = 87;
    int n = b->cols;
    const float *x = filled(b, n, b->kind), *dy = filled(b, n, ORDINARY);
    const float *dx0 = filled(b, n, ORDINARY);
    float *y = new_floats(b, n), *y_ref = new_floats(b, n);
    b->k->gelu(n, x, y);
    md_kernels_ref.gelu(n, x, y_ref);
    for (int i = 0; i < n; i++)
        check_near(b, "y", i, (double)y[i], (double)y_ref[i],
                   8 * EPS * MOST * fabs((double)y_ref[i]) + TINY * (1 + fabs((double)x[i])));
    for (int form = 0; form < 3; form++) { /* overwrites, adds, over x */
        float *dx = copied(b, form == 2 ? x : dx0, n), *dx_ref = copied(b, dx0, n);
        b->k->gelu_backward(n, form == 2 ? dx : x, dy, form == 1, dx);
        md_kernels_ref.gelu_backward(n, x, dy, form == 1, dx_ref);
        for (int i = 0; i < n; i++) {
            double scale = fabs((double)dy[i]) * (1 + fabs((double)x[i]));
            check_near(b, "dx", i, (double)dx[i], (double)dx_ref[i],
                       16 * EPS * (scale + fabs((double)dx0[i])));
        }
    }
}

START_TEST(gelu_agrees_with_plain_c) {
    over_sets("gelu", check_gelu);
}
END_TEST

enum { MAX_PIXELS = 9 };
static const int pixels[] = {1, 4, MAX_PIXELS};

/* --- rows ------------------------------------------------------------------------------------ */

static void check_sum_rows(bench *b, int rows, const float *x, const float *y) {
    int C = b->cols, stride = C + GAP;
    float *sum = new_floats(b, C);
    b->k->sum_rows(rows, C, stride, x, y, sum);
    for (int c = 0; c < C; c++) {
        double exact = 0, scale = 0;
        for (int r = 0; r < rows; r++) {
            double v = (double)x[r * stride + c] * (y ? (double)y[r * stride + c] : 1);
            exact += v;
            scale += fabs(v);
        }
        check_near(b, "sum_rows", c, (double)sum[c], exact, 4 * EPS * scale + TINY);
    }
}

static void check_rows(bench *b) {
    int C = b->cols, most = MAX_PIXELS * (C + GAP);
    const float *x = filled(b, most, b->kind), *other = filled(b, most, b->kind);
    const float *by = filled(b, C, ORDINARY);
    for (int i = 0; i < 3; i++) {
        int rows = pixels[i], n = rows * C;
        float *y = new_floats(b, n), *sum = new_floats(b, n), *gated = new_floats(b, n);
        float *over = copied(b, x, n);
        for (int e = 0; e < n; e++) sum[e] = x[e] + by[e % C];
        b->k->add_row(rows, C, x, by, y);
        b->k->add_row(rows, C, over, by, over);
        check_same(b, "y of add_row", y, sum, n); /* one operation: the same bits */
        check_same(b, "y of add_row over x", over, sum, n);
        check_sum_rows(b, rows, x, NULL);
        check_sum_rows(b, rows, x, other);
        for (int form = 0; form < 3; form++) { /* of x, without, over x */
            const float *from = form == 1 ? NULL : form == 2 ? (over = copied(b, x, n)) : x;
            float *to = form == 2 ? over : gated;
            b->k->gate_rows(rows, C, from, by, other, to);
            for (int e = 0; e < n; e++) {
                double product = (double)by[e % C] * (double)other[e],
                       sum_of = form == 1 ? 0 : (double)x[e];
                check_near(b, "y of gate_rows", e, (double)to[e], sum_of + product,
                           EPS * (fabs(sum_of) + fabs(product)) + TINY);
            }
        }
    }
}

START_TEST(sums_over_rows_and_of_rows_agree_with_plain_c) {
    over_sets("add_row, sum_rows, gate_rows", check_rows);
}
END_TEST

static void check_columns(bench *b) {
    enum { ROWS_MOVED = 4 };
    int cols = b->cols, from_stride = cols + GAP, to_stride = cols + 2 * GAP;
    const float *from = filled(b, ROWS_MOVED * from_stride, b->kind);
    const float *before = filled(b, ROWS_MOVED * to_stride, ORDINARY);
    for (int add = 0; add < 2; add++) {
        float *to = copied(b, before, ROWS_MOVED * to_stride);
        float *expected = copied(b, before, ROWS_MOVED * to_stride);
        for (int r = 0; r < ROWS_MOVED; r++) {
            for (int c = 0; c < cols; c++) {
                float *e = expected + r * to_stride + c;
                *e = from[r * from_stride + c] + (add ? *e : 0);
            }
        }
        b->k->columns(&(md_columns_args){.rows = ROWS_MOVED,
                                         .cols = cols,
                                         .from_stride = from_stride,
                                         .to_stride = to_stride,
                                         .from = from,
                                         .to = to,
                                         .add = add});
        check_same(b, "columns", to, expected, ROWS_MOVED * to_stride);
    }
}

START_TEST(columns_move_and_their_neighbours_stay) {
    over_sets("columns", check_columns);
}
END_TEST

/* --- modulated norm -------------------------------------------------------------------------- */

static md_modulated_norm_args modulated_args(bench *b) {
    int C = b->cols, size = ROWS * C;
    return (md_modulated_norm_args){.rows = ROWS,
                                    .C = C,
                                    .eps = 1e-5f,
                                    .x = filled(b, size, b->kind),
                                    .scale = filled(b, C, ORDINARY),
                                    .shift = filled(b, C, ORDINARY),
                                    .y = new_floats(b, size),
                                    .mean = new_floats(b, ROWS),
                                    .rstd = new_floats(b, ROWS),
                                    .dy = filled(b, size, ORDINARY)};
}

/* (|x| + |mean|) rstd, what a normalised value is before the difference is taken. */
static double size_of_normal(const md_modulated_norm_args *a, int i) {
    int r = i / a->C;
    return (fabs((double)a->x[i]) + fabs((double)a->mean[r])) * (double)a->rstd[r];
}

static void check_modulated(bench *b) {
    md_modulated_norm_args a = modulated_args(b), ref = a;
    int C = a.C, size = ROWS * C;
    ref.y = new_floats(b, size), ref.mean = new_floats(b, ROWS), ref.rstd = new_floats(b, ROWS);
    b->k->modulated_norm(&a);
    md_kernels_ref.modulated_norm(&ref);
    for (int r = 0; r < ROWS; r++) {
        double mean = 0;
        for (int c = 0; c < C; c++) mean += fabs((double)a.x[r * C + c]) / C;
        check_near(b, "mean", r, (double)a.mean[r], (double)ref.mean[r], (C + 2) * EPS * mean);
        /* A mean off by d moves the variance by d^2 alone. */
        check_near(b, "rstd", r, (double)a.rstd[r], (double)ref.rstd[r],
                   (C + 8) * EPS * (double)ref.rstd[r]);
    }
    for (int i = 0; i < size; i++) {
        double moved = (1 + fabs((double)a.scale[i % C])) * size_of_normal(&ref, i);
        check_near(b, "y", i, (double)a.y[i], (double)ref.y[i],
                   (C + 8) * EPS * (moved + fabs((double)a.shift[i % C])) + TINY);
    }
}

START_TEST(modulated_norm_agrees_with_plain_c) {
    over_sets("modulated_norm", check_modulated);
}
END_TEST

/* Of the call `a` as it was before, from x, dy and dx0. */
static void check_modulated_dx(bench *b, const md_modulated_norm_args *a,
                               const md_modulated_norm_args *call,
                               const md_modulated_norm_args *ref, const float *dx0) {
    int C = a->C;
    for (int i = 0; i < ROWS * C; i++) {
        double plain = 0, slant = 0, n = size_of_normal(a, i);
        for (int c = 0, at0 = i / C * C; c < C; c++) {
            double g = fabs((double)a->dy[at0 + c]) * (1 + fabs((double)a->scale[c]));
            plain += g / C, slant += g * size_of_normal(a, at0 + c) / C;
        }
        double g = fabs((double)a->dy[i]) * (1 + fabs((double)a->scale[i % C]));
        double scale = (double)a->rstd[i / C] * (g + plain + n * slant);
        check_near(b, "dx", i, (double)call->dx[i], (double)ref->dx[i],
                   (C + 8) * EPS * (scale + fabs((double)dx0[i])) + TINY);
    }
}

static void check_modulated_backward(bench *b) {
    md_modulated_norm_args a = modulated_args(b);
    int C = a.C, size = ROWS * C;
    const float *dx0 = filled(b, size, ORDINARY), *moves = filled(b, 2 * C, ORDINARY);
    md_kernels_ref.modulated_norm(&a);
    for (int form = 0; form < 4;
         form++) { /* overwrites, adds, over dy, only dx or only the others */
        md_modulated_norm_args ref = a;
        a.add = ref.add = form == 1;
        a.dx = form == 3 ? NULL : copied(b, dx0, size), ref.dx = copied(b, dx0, size);
        float *d = copied(b, moves, 2 * C), *d_ref = copied(b, moves, 2 * C);
        a.dscale = d, a.dshift = form == 2 ? NULL : d + C;
        ref.dscale = d_ref, ref.dshift = d_ref + C;
        md_modulated_norm_args call = a;
        if (form == 2) call.dy = call.dx = copied(b, a.dy, size);
        b->k->modulated_norm_backward(&call);
        md_kernels_ref.modulated_norm_backward(&ref);
        if (call.dx) check_modulated_dx(b, &a, &call, &ref, dx0);
        for (int c = 0; c < C; c++) {
            double scale = fabs((double)moves[c]), shift = fabs((double)moves[C + c]);
            for (int i = c; i < size; i += C) {
                shift += fabs((double)a.dy[i]);
                scale += fabs((double)a.dy[i]) * size_of_normal(&a, i);
            }
            check_near(b, "dscale", c, (double)d[c], (double)d_ref[c], 8 * EPS * scale + TINY);
            check_near(b, "dshift", c, (double)d[C + c], (double)(form == 2 ? moves : d_ref)[C + c],
                       form == 2 ? 0 : 8 * EPS * shift);
        }
    }
}

START_TEST(modulated_norm_backward_agrees_with_plain_c) {
    over_sets("modulated_norm_backward", check_modulated_backward);
}
END_TEST

/* --- NaN ------------------------------------------------------------------------------------- */

static void nan_in_flat(bench *b, int place) {
    int n = b->cols;
    float *x = filled(b, n, ORDINARY), *y = new_floats(b, n), *dy = filled(b, n, ORDINARY);
    float *bad = copied(b, x, n), *dx = new_floats(b, n);
    bad[place] = NAN;
    b->k->silu(n, bad, y);
    b->k->silu_backward(n, bad, dy, false, dx);
    for (int i = 0; i < n; i++) {
        check_reach(b, "silu", y, i, i == place);
        check_reach(b, "dx of silu", dx, i, i == place);
    }
    b->k->gelu(n, bad, y);
    b->k->gelu_backward(n, bad, dy, false, dx);
    for (int i = 0; i < n; i++) {
        check_reach(b, "gelu", y, i, i == place);
        check_reach(b, "dx of gelu", dx, i, i == place);
    }
    b->k->add_row(1, n, x, bad, y);
    b->k->sum_rows(1, n, n, bad, x, dx);
    for (int i = 0; i < n; i++) {
        check_reach(b, "add_row", y, i, i == place);
        check_reach(b, "sum_rows", dx, i, i == place);
    }
    b->k->gate_rows(1, n, NULL, x, bad, y);
    for (int i = 0; i < n; i++) check_reach(b, "gate_rows", y, i, i == place);
}

static void nan_in_modulated(bench *b, int place) {
    for (int form = 0; form < 2; form++) { /* in x, in dy */
        md_modulated_norm_args a = modulated_args(b);
        int size = ROWS * a.C, row = a.C + place;
        float *x = copied(b, a.x, size), *dy = copied(b, a.dy, size);
        a.dx = new_floats(b, size);
        (form ? dy : x)[row] = NAN;
        a.x = x, a.dy = dy;
        b->k->modulated_norm(&a);
        b->k->modulated_norm_backward(&a);
        for (int i = 0; i < size; i++) {
            check_reach(b, "y of modulated_norm", a.y, i, !form && i / a.C == 1);
            check_reach(b, "dx of modulated_norm", a.dx, i, i / a.C == 1);
        }
    }
}

static void nan_at_every_place(bench *b) {
    md_arena_mark mark = md_arena_save(b->arena);
    if (b->kind != ORDINARY) return;
    for (int place = 0; place < b->cols; place++) {
        nan_in_flat(b, place);
        nan_in_modulated(b, place);
        md_arena_rewind(b->arena, mark);
    }
}

START_TEST(a_nan_stays_in_its_channel_or_row) {
    over_sets("NaN", nan_at_every_place);
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernels of images");
    suite_case(s, silu_agrees_with_plain_c);
    suite_case(s, gelu_agrees_with_plain_c);
    suite_case(s, sums_over_rows_and_of_rows_agree_with_plain_c);
    suite_case(s, columns_move_and_their_neighbours_stay);
    suite_case(s, modulated_norm_agrees_with_plain_c);
    suite_case(s, modulated_norm_backward_agrees_with_plain_c);
    suite_case(s, a_nan_stays_in_its_channel_or_row);
    name_skipped_sets();
    return suite_run(s);
}
