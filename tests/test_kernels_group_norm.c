/* tests/test_kernels_group_norm.c: group norm of every set of kernels against plain C. */
#include "tests/kernel_bench.h"

enum { MAX_PIXELS = 9, PAD = MD_CHANNEL_PAD };
static const int pixels[] = {1, 4, MAX_PIXELS};
static const float NORM_EPS = 1e-5f;

/* A call, in memory of its own. */
static md_group_norm_args norm_args(bench *b, int rows, int group, bool silu) {
    int C = b->cols, stride = C + GAP, size = rows * stride, room = (C + PAD - 1) / PAD * PAD;
    return (md_group_norm_args){.rows = rows,
                                .C = C,
                                .stride = stride,
                                .group = group,
                                .silu = silu,
                                .eps = NORM_EPS,
                                .x = filled(b, size, b->kind),
                                .gain = filled(b, C, ORDINARY),
                                .bias = filled(b, C, ORDINARY),
                                .y = filled(b, size, ORDINARY),
                                .mean = new_floats(b, C / group),
                                .rstd = new_floats(b, C / group),
                                .sums = (double *)new_floats(b, 4 * room),
                                .factors = new_floats(b, 3 * room),
                                .dy = filled(b, size, ORDINARY),
                                .dx = filled(b, size, ORDINARY),
                                .dgain = new_floats(b, C),
                                .dbias = new_floats(b, C)};
}

/* The same call with results of its own. */
static md_group_norm_args same_call(bench *b, const md_group_norm_args *a) {
    int size = a->rows * a->stride;
    md_group_norm_args t = *a;
    t.y = copied(b, a->y, size), t.dy = copied(b, a->dy, size), t.dx = copied(b, a->dx, size);
    t.mean = copied(b, a->mean, a->C / a->group), t.rstd = copied(b, a->rstd, a->C / a->group);
    t.dgain = new_floats(b, a->C), t.dbias = new_floats(b, a->C);
    return t;
}

/* Magnitudes that roundings of an element are in proportion to. */
typedef struct norm_scale {
    double n;    /* (|x| + |mean|) rstd: of the normalised value before the difference is taken */
    double v;    /* of what goes into silu, whose slope is at most 1.1 */
    double dv;   /* of its gradient: the slope's error is that of v, and eps times 1 + |v| */
    double rstd; /* of its group */
} norm_scale;

static norm_scale scale_at(const md_group_norm_args *a, int r, int c) {
    int at = r * a->stride + c, g = c / a->group;
    norm_scale s = {.rstd = (double)a->rstd[g]};
    s.n = (fabs((double)a->x[at]) + fabs((double)a->mean[g])) * s.rstd;
    s.v = s.n * fabs((double)a->gain[c]) + fabs((double)a->bias[c]);
    s.dv = fabs((double)a->dy[at]) * (1 + s.v);
    return s;
}

static void check_norm(bench *b, int rows, int group, bool silu) {
    md_group_norm_args a = norm_args(b, rows, group, silu), ref = same_call(b, &a);
    const float *gap = copied(b, a.y, rows * a.stride);
    b->k->group_norm(&a);
    md_kernels_ref.group_norm(&ref);
    for (int g = 0; g < a.C / group; g++) {
        double mean = (double)ref.mean[g], rstd = (double)ref.rstd[g];
        check_near(b, "mean", g, (double)a.mean[g], mean, 2 * EPS * fabs(mean));
        check_near(b, "rstd", g, (double)a.rstd[g], rstd, 2 * EPS * rstd);
    }
    for (int i = 0; i < rows * a.stride; i++) {
        int r = i / a.stride, c = i % a.stride;
        bool inside = c < a.C;
        double tolerance = inside ? 8 * EPS * scale_at(&ref, r, c).v + TINY : 0;
        check_near(b, inside ? "y" : "gap of y", i, (double)a.y[i],
                   (double)(inside ? ref.y[i] : gap[i]), tolerance);
    }
}

/* Tolerances of what is summed up over pixels: of dbias, dgain, and their means over a group. */
typedef struct norm_sums {
    double bias, gain;
} norm_sums;

static norm_sums sums_over(const md_group_norm_args *before, int first, int end, bool gained) {
    norm_sums s = {0};
    for (int r = 0; r < before->rows; r++) {
        for (int c = first; c < end; c++) {
            norm_scale at = scale_at(before, r, c);
            double weight = gained ? fabs((double)before->gain[c]) : 1;
            s.bias += weight * at.dv;
            s.gain += weight * at.dv * at.n;
        }
    }
    return s;
}

/* `before`: the call with its dy still as it was. */
static void check_input_gradient(bench *b, const md_group_norm_args *a,
                                 const md_group_norm_args *ref, const md_group_norm_args *before) {
    double count = (double)a->rows * a->group;
    for (int i = 0; i < a->rows * a->stride; i++) {
        int r = i / a->stride, c = i % a->stride, first = c / a->group * a->group;
        if (c >= a->C) {
            check_near(b, "gap of dx", i, (double)a->dx[i], (double)before->dx[i], 0);
            continue;
        }
        norm_scale at = scale_at(before, r, c);
        norm_sums all = sums_over(before, first, first + a->group, true);
        double scale = fabs((double)a->gain[c]) * at.dv + all.bias / count;
        scale = at.rstd * (scale + at.n * all.gain / count) + fabs((double)before->dx[i]);
        check_near(b, "dx", i, (double)a->dx[i], (double)ref->dx[i], 16 * EPS * scale + TINY);
    }
}

static void check_norm_backward(bench *b, int rows, int group, bool silu) {
    md_group_norm_args before = norm_args(b, rows, group, silu);
    md_kernels_ref.group_norm(&before);
    for (int form = 0; form < 4; form++) { /* overwrites, adds, over dy, without dx */
        md_group_norm_args a = same_call(b, &before), ref = same_call(b, &before);
        a.add = ref.add = form == 1;
        if (form == 2) a.dx = a.dy, memcpy(a.dy, before.dy, (size_t)rows * a.stride * sizeof *a.dy);
        if (form == 3) a.dx = NULL;
        b->k->group_norm_backward(&a);
        md_kernels_ref.group_norm_backward(&ref);
        for (int c = 0; c < a.C; c++) {
            norm_sums s = sums_over(&before, c, c + 1, false);
            check_near(b, "dbias", c, (double)a.dbias[c], (double)ref.dbias[c],
                       8 * EPS * s.bias + TINY);
            check_near(b, "dgain", c, (double)a.dgain[c], (double)ref.dgain[c],
                       8 * EPS * s.gain + TINY);
        }
        if (form == 2) continue; /* its gaps are those of dy */
        if (a.dx) check_input_gradient(b, &a, &ref, &before);
    }
}

/* Groups of one channel, of all, and of the least divisor between. */
static void over_groups(bench *b, void (*check)(bench *b, int rows, int group, bool silu)) {
    int C = b->cols, least = 2;
    while (least < C && C % least) least++;
    md_arena_mark mark = md_arena_save(b->arena);
    for (int i = 0; i < 3 * 3 * 2; i++) {
        const int groups[] = {1, least < C ? least : C, C};
        check(b, pixels[i / 6], groups[i / 2 % 3], i % 2);
        md_arena_rewind(b->arena, mark);
    }
}

static void check_norms(bench *b) {
    over_groups(b, check_norm);
}

START_TEST(group_norm_agrees_with_plain_c) {
    over_sets("group_norm", check_norms);
}
END_TEST

static void check_norms_backward(bench *b) {
    over_groups(b, check_norm_backward);
}

START_TEST(group_norm_backward_agrees_with_plain_c) {
    over_sets("group_norm_backward", check_norms_backward);
}
END_TEST

/* Far from zero a float's mean square says nothing about the variance. */
static void check_offset(bench *b) {
    if (b->kind != ORDINARY || b->cols < 2) return;
    md_group_norm_args a = norm_args(b, MAX_PIXELS, b->cols, false), ref = same_call(b, &a);
    float *x = copied(b, a.x, a.rows * a.stride);
    for (int i = 0; i < a.rows * a.stride; i++) x[i] = 10000 + x[i] / 64;
    a.x = ref.x = x;
    b->k->group_norm(&a);
    md_kernels_ref.group_norm(&ref);
    /* Squares of 1e4 have 1e-16 of error each in double precision, variances are near 1e-4. */
    double rstd = (double)ref.rstd[0];
    check_near(b, "rstd", 0, (double)a.rstd[0], rstd, 1e-4 * rstd);
}

START_TEST(group_norm_measures_small_deviations_far_from_zero) {
    over_sets("group_norm", check_offset);
}
END_TEST

/* Rounding must not make a variance of nothing negative. */
static void check_constant(bench *b) {
    if (b->kind != ORDINARY) return;
    md_group_norm_args a = norm_args(b, MAX_PIXELS, b->cols, true);
    int size = a.rows * a.stride;
    for (int i = 0; i < 20; i++) {
        float *x = new_floats(b, size);
        for (int e = 0; e < size; e++) x[e] = 1e7f * (1 + (float)i / 7);
        a.x = x;
        b->k->group_norm(&a);
        b->k->group_norm_backward(&a);
        for (int e = 0; e < size; e++) {
            if (isfinite(a.y[e]) && isfinite(a.dx[e])) continue;
            ck_abort_msg("'%s' kernels: %g becomes %g, gradient %g", b->k->name, (double)x[e],
                         (double)a.y[e], (double)a.dx[e]);
        }
    }
}

START_TEST(group_norm_of_a_constant_image_is_finite) {
    over_sets("group_norm", check_constant);
}
END_TEST

/* Three groups at once and one by one. */
static void check_apart(bench *b) {
    int group = b->cols, C = 3 * group;
    b->cols = C;
    md_group_norm_args a = norm_args(b, MAX_PIXELS, group, true);
    b->cols = group;
    md_group_norm_args whole = same_call(b, &a), parts = same_call(b, &a);
    b->k->group_norm(&whole);
    b->k->group_norm_backward(&whole);
    for (int g = 0; g < 3; g++) {
        md_group_norm_args one = parts;
        int first = g * group;
        one.C = group;
        one.x += first, one.gain += first, one.bias += first, one.y += first, one.dy += first;
        one.dx += first, one.dgain += first, one.dbias += first, one.mean += g, one.rstd += g;
        b->k->group_norm(&one);
        b->k->group_norm_backward(&one);
    }
    check_same(b, "y", parts.y, whole.y, (int64_t)a.rows * a.stride);
    check_same(b, "dx", parts.dx, whole.dx, (int64_t)a.rows * a.stride);
    check_same(b, "dgain", parts.dgain, whole.dgain, C);
    check_same(b, "dbias", parts.dbias, whole.dbias, C);
}

START_TEST(a_group_has_the_same_bits_alone_and_beside_others) {
    over_sets("group_norm", check_apart);
}
END_TEST

static void nan_in_norm(bench *b, int place) {
    int group = b->cols % 3 ? 1 : b->cols / 3;
    for (int form = 0; form < 2; form++) { /* in x, in dy */
        md_group_norm_args a = norm_args(b, 2, group, true);
        float *x = copied(b, a.x, 2 * a.stride);
        *(form ? a.dy + place : x + place) = NAN;
        a.x = x;
        b->k->group_norm(&a);
        b->k->group_norm_backward(&a);
        for (int i = 0; i < 2 * a.stride; i++) {
            bool same_group = i % a.stride / group == place / group;
            if (i % a.stride >= a.C) continue;
            check_reach(b, "y", a.y, i, !form && same_group);
            check_reach(b, "dx", a.dx, i, same_group);
        }
        check_reach(b, "dgain", a.dgain, place, true);
    }
}

static void nan_at_every_place(bench *b) {
    md_arena_mark mark = md_arena_save(b->arena);
    if (b->kind != ORDINARY) return;
    for (int place = 0; place < b->cols; place++) {
        nan_in_norm(b, place);
        md_arena_rewind(b->arena, mark);
    }
}

START_TEST(a_nan_stays_in_its_group) {
    over_sets("NaN", nan_at_every_place);
}
END_TEST

int main(void) {
    Suite *s = suite_create("kernels of group norm");
    suite_case(s, group_norm_agrees_with_plain_c);
    suite_case(s, group_norm_backward_agrees_with_plain_c);
    suite_case(s, group_norm_measures_small_deviations_far_from_zero);
    suite_case(s, group_norm_of_a_constant_image_is_finite);
    suite_case(s, a_group_has_the_same_bits_alone_and_beside_others);
    suite_case(s, a_nan_stays_in_its_group);
    name_skipped_sets();
    return suite_run(s);
}
