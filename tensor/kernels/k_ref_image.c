/* tensor/kernels/k_ref_image.c: what operators on images use, in plain C; see k_ref.c. */
#include "tensor/kernels/k_ref_image.h"

#include <math.h>

#ifdef MD_REAL_DOUBLE
#define EXP exp
#else
#define EXP expf
#endif

static md_real sigmoid(md_real u) {
    return 1 / (1 + EXP(-u));
}

/* Of silu at u. */
static md_real slope(md_real u) {
    md_real s = sigmoid(u);
    return s + u * s * (1 - s);
}

void md_ref_silu(int64_t n, const md_real *x, md_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] = x[i] * sigmoid(x[i]);
}

void md_ref_silu_backward(int64_t n, const md_real *x, const md_real *dy, bool add, md_real *dx) {
    for (int64_t i = 0; i < n; i++) {
        md_real g = dy[i] * slope(x[i]);
        dx[i] = add ? dx[i] + g : g;
    }
}

/* gelu(x) = x sigmoid(2 u), 2 u = x (GELU_LINEAR + GELU_CUBIC x^2): 2 sqrt(2 / pi), and 0.044715
 * of it. Above GELU_MOST, x^2 says nothing new. */
static const md_real GELU_LINEAR = (md_real)1.5957691216057308;
static const md_real GELU_CUBIC = (md_real)0.07135481627159922;
static const md_real GELU_MOST = (md_real)1e3;

static md_real gelu_square(md_real x) {
    return x * x > GELU_MOST ? GELU_MOST : x * x;
}

void md_ref_gelu(int64_t n, const md_real *x, md_real *y) {
    for (int64_t i = 0; i < n; i++)
        y[i] = x[i] * sigmoid(x[i] * (GELU_LINEAR + GELU_CUBIC * gelu_square(x[i])));
}

void md_ref_gelu_backward(int64_t n, const md_real *x, const md_real *dy, bool add, md_real *dx) {
    for (int64_t i = 0; i < n; i++) {
        const md_real square = gelu_square(x[i]);
        md_real s = sigmoid(x[i] * (GELU_LINEAR + GELU_CUBIC * square));
        md_real g = dy[i] * (s + x[i] * s * (1 - s) * (GELU_LINEAR + 3 * GELU_CUBIC * square));
        dx[i] = add ? dx[i] + g : g;
    }
}

/* The sum over a group, whose first element is x[0], of (x - from)^power, power 1 or 2. */
static double moment(const md_group_norm_args *a, const md_real *x, double from, int power) {
    double sum = 0;
    for (int r = 0; r < a->rows; r++, x += a->stride) {
        for (int c = 0; c < a->group; c++) {
            double d = (double)x[c] - from;
            sum += power == 2 ? d * d : d;
        }
    }
    return sum;
}

/* What goes into silu, of one element. */
static md_real moved(const md_group_norm_args *a, int64_t at, int c) {
    int g = c / a->group;
    return (a->x[at] - a->mean[g]) * a->rstd[g] * a->gain[c] + a->bias[c];
}

void md_ref_group_norm(const md_group_norm_args *a) {
    double n = (double)a->rows * a->group;
    for (int g = 0; g < a->C / a->group; g++) {
        const md_real *x = a->x + (int64_t)g * a->group;
        double mean = moment(a, x, 0, 1) / n;
        a->mean[g] = (md_real)mean;
        a->rstd[g] = (md_real)(1 / sqrt(moment(a, x, mean, 2) / n + (double)a->eps));
    }
    for (int r = 0; r < a->rows; r++) {
        for (int c = 0; c < a->C; c++) {
            int64_t at = (int64_t)r * a->stride + c;
            md_real v = moved(a, at, c);
            a->y[at] = a->silu ? v * sigmoid(v) : v;
        }
    }
}

/* dy becomes dv, the gradient of v = n gain + bias; dbias = sum dv, dgain = sum dv n. */
static void before_silu(const md_group_norm_args *a, int c) {
    int g = c / a->group;
    double dgain = 0, dbias = 0;
    for (int r = 0; r < a->rows; r++) {
        int64_t at = (int64_t)r * a->stride + c;
        md_real n = (a->x[at] - a->mean[g]) * a->rstd[g];
        if (a->silu) a->dy[at] *= slope(moved(a, at, c));
        dbias += (double)a->dy[at];
        dgain += (double)a->dy[at] * (double)n;
    }
    a->dbias[c] = (md_real)dbias;
    a->dgain[c] = (md_real)dgain;
}

/* dx = rstd (gain dv - mean(gain dv) - n mean(gain dv n)), means over the group. */
static void input_gradient(const md_group_norm_args *a, int g) {
    double plain = 0, slant = 0, n = (double)a->rows * a->group;
    int first = g * a->group, end = first + a->group;
    for (int c = first; c < end; c++) {
        plain += (double)a->gain[c] * (double)a->dbias[c] / n;
        slant += (double)a->gain[c] * (double)a->dgain[c] / n;
    }
    for (int r = 0; r < a->rows; r++) {
        for (int c = first; c < end; c++) {
            int64_t at = (int64_t)r * a->stride + c;
            md_real normal = (a->x[at] - a->mean[g]) * a->rstd[g];
            md_real d =
                a->rstd[g] * (a->gain[c] * a->dy[at] - (md_real)plain - normal * (md_real)slant);
            a->dx[at] = a->add ? a->dx[at] + d : d;
        }
    }
}

void md_ref_group_norm_backward(const md_group_norm_args *a) {
    for (int c = 0; c < a->C; c++) before_silu(a, c);
    for (int g = 0; a->dx && g < a->C / a->group; g++) input_gradient(a, g);
}

void md_ref_add_row(int rows, int C, const md_real *x, const md_real *b, md_real *y) {
    for (int r = 0; r < rows; r++, x += C, y += C) {
        for (int c = 0; c < C; c++) y[c] = x[c] + b[c];
    }
}

void md_ref_sum_rows(int rows, int C, int stride, const md_real *x, const md_real *y,
                     md_real *sum) {
    for (int c = 0; c < C; c++) {
        double exact = 0;
        for (int r = 0; r < rows; r++) {
            int64_t at = (int64_t)r * stride + c;
            exact += (double)x[at] * (y ? (double)y[at] : 1);
        }
        sum[c] = (md_real)exact;
    }
}

void md_ref_gate_rows(int rows, int C, const md_real *x, const md_real *gate, const md_real *branch,
                      md_real *y) {
    for (int64_t i = 0; i < (int64_t)rows * C; i++) y[i] = (x ? x[i] : 0) + gate[i % C] * branch[i];
}

void md_ref_modulated_norm(const md_modulated_norm_args *a) {
    for (int r = 0; r < a->rows; r++) {
        const md_real *x = a->x + (int64_t)r * a->C;
        md_real *y = a->y + (int64_t)r * a->C;
        double mean = 0, square = 0;
        for (int c = 0; c < a->C; c++) mean += (double)x[c] / a->C;
        for (int c = 0; c < a->C; c++) square += ((double)x[c] - mean) * ((double)x[c] - mean);
        a->mean[r] = (md_real)mean;
        a->rstd[r] = (md_real)(1 / sqrt(square / a->C + (double)a->eps));
        for (int c = 0; c < a->C; c++)
            y[c] = (x[c] - a->mean[r]) * a->rstd[r] * (1 + a->scale[c]) + a->shift[c];
    }
}

/* With g = dy (1 + scale): dx = rstd (g - mean(g) - n mean(g n)), dscale += dy n, dshift += dy. */
void md_ref_modulated_norm_backward(const md_modulated_norm_args *a) {
    for (int r = 0; r < a->rows; r++) {
        const int64_t start = (int64_t)r * a->C;
        const md_real *x = a->x + start, *dy = a->dy + start;
        md_real plain = 0, slant = 0, rstd = a->rstd[r];
        for (int c = 0; c < a->C; c++) {
            md_real n = (x[c] - a->mean[r]) * rstd, g = dy[c] * (1 + a->scale[c]);
            plain += g / (md_real)a->C;
            slant += g * n / (md_real)a->C;
            if (a->dscale) a->dscale[c] += dy[c] * n;
            if (a->dshift) a->dshift[c] += dy[c];
        }
        for (int c = 0; a->dx && c < a->C; c++) {
            md_real n = (x[c] - a->mean[r]) * rstd, g = dy[c] * (1 + a->scale[c]);
            md_real d = rstd * (g - plain - n * slant);
            a->dx[start + c] = a->add ? a->dx[start + c] + d : d;
        }
    }
}

void md_ref_columns(const md_columns_args *a) {
    const md_real *from = a->from;
    md_real *to = a->to;
    for (int r = 0; r < a->rows; r++, from += a->from_stride, to += a->to_stride) {
        for (int c = 0; c < a->cols; c++) to[c] = a->add ? to[c] + from[c] : from[c];
    }
}
