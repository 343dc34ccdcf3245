/* tensor/kernels/k_ref.c: every kernel in plain C, for float and double. The meaning of an entry is
 * its comment in tensor/kernels.h; this file is what the others are compared with. */
#include "tensor/kernels.h"

#include <math.h>
#include <string.h>

#include "tensor/kernels/k_ref_image.h"

#ifdef MD_REAL_DOUBLE
#define EXP exp
#define LOG log
#define SQRT sqrt
#else
#define EXP expf
#define LOG logf
#define SQRT sqrtf
#endif

/* To the nearest bf16 number, ties to even; NaN stays NaN. */
static md_real round_bf16(md_real x) {
    float f = (float)x;
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    u = f != f ? u | 0x400000u : u + 0x7fffu + (u >> 16 & 1);
    u &= 0xffff0000u;
    memcpy(&f, &u, sizeof f);
    return f;
}

static md_real plain(md_real x) {
    return x;
}

typedef md_real (*round_fn)(md_real x);

static md_real a_at(const md_gemm *g, int i, int p) {
    return g->trans_a ? g->a[(int64_t)p * g->lda + i] : g->a[(int64_t)i * g->lda + p];
}

static inline void gemm_row(const md_gemm *g, int i, round_fn round) {
    md_real *c = g->c + (int64_t)i * g->ldc;
    for (int j = 0; j < g->n && !g->add; j++) c[j] = 0;
    if (g->trans_b) {
        for (int j = 0; j < g->n; j++) {
            const md_real *b = g->b + (int64_t)j * g->ldb;
            md_real sum = 0;
            for (int p = 0; p < g->k; p++) sum += round(a_at(g, i, p)) * round(b[p]);
            c[j] += sum;
        }
        return;
    }
    for (int p = 0; p < g->k; p++) {
        const md_real *b = g->b + (int64_t)p * g->ldb;
        md_real a = round(a_at(g, i, p));
        for (int j = 0; j < g->n; j++) c[j] += a * round(b[j]);
    }
}

static void gemm(const md_gemm *g) {
    for (int i = 0; i < g->m; i++) gemm_row(g, i, plain);
}

/* A panel is one column of op(B). */
static size_t panel_bytes(int k) {
    return (size_t)k * sizeof(md_real);
}

static void pack(const md_pack *p, int first, int count) {
    int parts = p->parts ? p->parts : 1, depth = p->k / parts;
    for (int j = first; j < first + count; j++) {
        md_real *to = (md_real *)p->to + (int64_t)j * p->k;
        for (int i = 0; i < p->k; i++) {
            const md_real *b = p->b + i / depth * p->part;
            to[i] = p->trans ? b[(int64_t)j * p->ldb + i % depth] : b[i % depth * p->ldb + j];
        }
    }
}

static md_gemm unpacked(const md_gemm *g) {
    md_gemm plain_gemm = *g;
    plain_gemm.trans_b = true;
    plain_gemm.b = (const md_real *)g->packed + (int64_t)g->packed_col * g->k;
    plain_gemm.ldb = g->k;
    return plain_gemm;
}

static void gemm_packed(const md_gemm *g) {
    md_gemm p = unpacked(g);
    gemm(&p);
}

static void gemm_bf16(const md_gemm *g) {
    for (int i = 0; i < g->m; i++) gemm_row(g, i, round_bf16);
}

static void gemm_packed_bf16(const md_gemm *g) {
    md_gemm p = unpacked(g);
    gemm_bf16(&p);
}

void md_kernels_ref_bf16(md_kernels *table) {
    table->products = "ref";
    table->gemm = gemm_bf16;
    table->gemm_packed = gemm_packed_bf16;
    table->panel = 1;
    table->panel_bytes = panel_bytes;
    table->pack = pack;
}

static void rms_norm(int rows, int C, md_real eps, const md_real *x, const md_real *w, md_real *y,
                     md_real *rstd) {
    for (int r = 0; r < rows; r++, x += C, y += C) {
        md_real sum = 0;
        for (int c = 0; c < C; c++) sum += x[c] * x[c];
        rstd[r] = 1 / SQRT(sum / (md_real)C + eps);
        for (int c = 0; c < C; c++) y[c] = x[c] * rstd[r] * w[c];
    }
}

/* With n = x rstd: dx = rstd (w dy - n mean(w dy n)), dw = sum dy n. */
static void rms_norm_backward(int rows, int C, const md_real *x, const md_real *w,
                              const md_real *rstd, const md_real *dy, bool add, md_real *dx,
                              md_real *dw) {
    for (int r = 0; r < rows; r++, x += C, dy += C) {
        md_real dot = 0;
        for (int c = 0; c < C; c++) dot += w[c] * dy[c] * x[c];
        md_real slope = dot * rstd[r] * rstd[r] / (md_real)C;
        if (dx) {
            for (int c = 0; c < C; c++) {
                md_real g = rstd[r] * (w[c] * dy[c] - x[c] * slope);
                dx[c] = add ? dx[c] + g : g;
            }
            dx += C;
        }
        for (int c = 0; dw && c < C; c++) dw[c] += dy[c] * x[c] * rstd[r];
    }
}

static md_real sigmoid(md_real u) {
    return 1 / (1 + EXP(-u));
}

static void swiglu(int rows, int F, const md_real *x, md_real *y) {
    for (int r = 0; r < rows; r++, x += 2 * F, y += F) {
        for (int i = 0; i < F; i++) y[i] = x[i] * sigmoid(x[i]) * x[F + i];
    }
}

static void swiglu_backward(int rows, int F, const md_real *x, const md_real *dy, bool add,
                            md_real *dx) {
    for (int r = 0; r < rows; r++, x += 2 * F, dy += F, dx += 2 * F) {
        for (int i = 0; i < F; i++) {
            md_real s = sigmoid(x[i]), silu = x[i] * s;
            md_real gate = dy[i] * x[F + i] * (s + silu * (1 - s)), up = dy[i] * silu;
            dx[i] = add ? dx[i] + gate : gate;
            dx[F + i] = add ? dx[F + i] + up : up;
        }
    }
}

static void rope(int rows, int heads, int D, int stride, const md_real *cos_, const md_real *sin_,
                 md_real sign, md_real *x) {
    int half = D / 2;
    for (int r = 0; r < rows; r++, x += stride, cos_ += half, sin_ += half) {
        for (int h = 0; h < heads; h++) {
            md_real *lo = x + (int64_t)h * D, *hi = lo + half;
            for (int i = 0; i < half; i++) {
                md_real a = lo[i], b = hi[i], s = sign * sin_[i];
                lo[i] = a * cos_[i] - b * s;
                hi[i] = b * cos_[i] + a * s;
            }
        }
    }
}

static void softmax(int rows, int cols, int stride, md_real scale, md_real *s, md_real *lse) {
    for (int r = 0; r < rows; r++, s += stride) {
        md_real max = s[0], sum = 0;
        for (int c = 1; c < cols; c++) max = s[c] > max ? s[c] : max;
        for (int c = 0; c < cols; c++) sum += s[c] = EXP(scale * (s[c] - max));
        lse[r] = scale * max + LOG(sum);
        for (int c = 0; c < cols; c++) s[c] /= sum;
    }
}

static void softmax_again(int rows, int cols, int stride, md_real scale, md_real *s,
                          const md_real *lse) {
    for (int r = 0; r < rows; r++, s += stride) {
        for (int c = 0; c < cols; c++) s[c] = EXP(scale * s[c] - lse[r]);
    }
}

static void softmax_backward(int rows, int cols, int stride, md_real scale, const md_real *p,
                             const md_real *delta, md_real *dp) {
    for (int r = 0; r < rows; r++, p += stride, dp += stride) {
        for (int c = 0; c < cols; c++) dp[c] = scale * p[c] * (dp[c] - delta[r]);
    }
}

static void row_dot(int rows, int n, int stride, const md_real *a, const md_real *b,
                    md_real *delta) {
    for (int r = 0; r < rows; r++, a += stride, b += stride) {
        md_real sum = 0;
        for (int i = 0; i < n; i++) sum += a[i] * b[i];
        delta[r] = sum;
    }
}

static void cross_entropy(int rows, int V, int32_t banned, const int32_t *target,
                          const md_real *weight, bool gradient, md_real *logits, md_real *loss) {
    for (int r = 0; r < rows; r++, logits += V) {
        if (banned >= 0) logits[banned] = -INFINITY;
        md_real max = -INFINITY, sum = 0, of_target = logits[target[r]];
        for (int v = 0; v < V; v++) max = logits[v] > max ? logits[v] : max;
        for (int v = 0; v < V; v++) sum += EXP(logits[v] - max);
        loss[r] = max + LOG(sum) - of_target;
        if (!gradient) continue;
        md_real scale = weight[r] / sum;
        for (int v = 0; v < V; v++) logits[v] = EXP(logits[v] - max) * scale;
        logits[target[r]] -= weight[r];
    }
}

static md_chunk sum_chunk(int n, int ban, md_real scale, const md_real *l) {
    md_chunk c = {.max = -INFINITY};
    for (int i = 0; i < n; i++)
        if (i != ban && l[i] > c.max) c.max = l[i];
    md_real shift = c.max == -INFINITY ? 0 : c.max;
    for (int i = 0; i < n; i++) {
        if (i == ban) continue;
        md_real x = l[i] - shift, w = EXP(x);
        c.sum += (double)EXP(scale * x);
        c.plain += (double)w;
        if (w > 0) c.slope += (double)(w * x);
    }
    return c;
}

static void chunk_sums(int V, int32_t banned, md_real scale, const md_real *logits,
                       md_chunk *chunks) {
    for (int first = 0; first < V; first += MD_CHUNK) {
        int n = V - first < MD_CHUNK ? V - first : MD_CHUNK;
        *chunks++ = sum_chunk(n, banned - first, scale, logits + first);
    }
}

static void chunk_weights(int n, md_real scale, md_real max, const md_real *l, md_real *w) {
    for (int i = 0; i < n; i++) w[i] = EXP(scale * (l[i] - max));
}

static void add(int64_t n, const md_real *a, const md_real *b, md_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

static void accumulate(int64_t n, const md_real *x, md_real *y) {
    for (int64_t i = 0; i < n; i++) y[i] += x[i];
}

static double sum_squares(int64_t n, const md_real *x) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
    return sum;
}

static void adamw(int64_t n, const md_adamw_args *a) {
    for (int64_t i = 0; i < n; i++) {
        md_real g = a->grad[i] * a->grad_scale;
        a->m[i] = a->beta1 * a->m[i] + (1 - a->beta1) * g;
        a->v[i] = a->beta2 * a->v[i] + (1 - a->beta2) * g * g;
        md_real step = a->m[i] / a->correction1 / (SQRT(a->v[i] / a->correction2) + a->eps);
        a->w[i] -= a->lr * (step + a->decay * a->w[i]);
        a->grad[i] = 0;
        if (a->ema) a->ema[i] = a->ema_decay * a->ema[i] + (1 - a->ema_decay) * a->w[i];
    }
}

const md_kernels md_kernels_ref = {
    .name = "ref",
    .gemm = gemm,
    .panel = 1,
    .panel_bytes = panel_bytes,
    .pack = pack,
    .gemm_packed = gemm_packed,
    .rms_norm = rms_norm,
    .rms_norm_backward = rms_norm_backward,
    .swiglu = swiglu,
    .swiglu_backward = swiglu_backward,
    .rope = rope,
    .softmax = softmax,
    .softmax_again = softmax_again,
    .softmax_backward = softmax_backward,
    .row_dot = row_dot,
    .cross_entropy = cross_entropy,
    .chunk_sums = chunk_sums,
    .chunk_weights = chunk_weights,
    .silu = md_ref_silu,
    .silu_backward = md_ref_silu_backward,
    .gelu = md_ref_gelu,
    .gelu_backward = md_ref_gelu_backward,
    .group_norm = md_ref_group_norm,
    .group_norm_backward = md_ref_group_norm_backward,
    .add_row = md_ref_add_row,
    .sum_rows = md_ref_sum_rows,
    .gate_rows = md_ref_gate_rows,
    .modulated_norm = md_ref_modulated_norm,
    .modulated_norm_backward = md_ref_modulated_norm_backward,
    .columns = md_ref_columns,
    .add = add,
    .accumulate = accumulate,
    .sum_squares = sum_squares,
    .adamw = adamw,
};
