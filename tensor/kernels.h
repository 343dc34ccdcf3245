/* tensor/kernels.h: the seam between operators and machine code.
 *
 * A table of functions on raw pointers. Each works on one thread and on the range that it is given;
 * operators split work into fixed tiles and hand tiles to the pool, so results do not depend on the
 * number of threads. k_ref.c fills every entry in plain C, for float and (MD_REAL_DOUBLE) double;
 * other sets override entries of a copy. A test compares every set with k_ref.
 *
 * Backward kernels either overwrite or accumulate; each says which. Matrices are row-major.
 */
#ifndef MD_TENSOR_KERNELS_H
#define MD_TENSOR_KERNELS_H

#include "base/error.h"
#include "tensor/real.h"

/* What products round their operands to; they sum in f32, and everything else is f32. */
typedef enum md_dtype {
    MD_F32,
    MD_BF16, /* to the nearest, ties to even */
    MD_Q8_0, /* packed products: 8-bit numbers with a scale per 32 (tensor/kernels/q8.h), for
                inference */
} md_dtype;

/* C[m,n] = op(A)[m,k] op(B)[k,n], or C += when `add`; op(X) = X or its transpose. An element of C
 * is a sum over k in order, in parts that begin at multiples of (a divisor of) MD_SUM_BLOCK,
 * wherever it falls in a tile (OpenBLAS's excepted): zeros before and behind change no bit when
 * those before are a multiple of it. */
enum { MD_SUM_BLOCK = 512 };
typedef struct md_gemm {
    bool trans_a, trans_b, add;
    int m, n, k;
    const md_real *a;
    int lda; /* row stride of A as stored */
    const md_real *b;
    int ldb;
    const void *rounded; /* gemm_packed: op(A) as `round_rows` made it, from its first row in this
                            product, in place of a, lda, trans_a; NULL: not used */
    const void *packed;  /* gemm_packed: op(B) as `pack` made it, in place of b, ldb, trans_b */
    int packed_col;      /* and its first column to use, a multiple of `panel` */
    md_real *c;
    int ldc;
} md_gemm;

/* A matrix op(B) [k, n] to be packed once and used for many products. */
typedef struct md_pack {
    bool trans;
    int n, k;
    const md_real *b;
    int ldb;
    int parts;    /* op(B) is so many matrices of k / parts rows on top of each other; 0: one */
    int64_t part; /* from one of them to the next */
    void *to;     /* panels one after another, panel_bytes(k) each */
} md_pack;

/* Pixels of a convolution times its filters. Rows of op(A) are pixels (l, x) of `lines` lines; row
 * (l, x) is `parts` parts of `depth` numbers, part p from a + l * line + x * pixel + p * part: they
 * overlap, and nothing is copied. Steps count numbers. C = op(A) op(B), or C += when `add`. */
typedef struct md_conv_lines {
    int lines, width, parts, depth, cols;
    const void *a; /* as md_kernels.round_rows makes it, or md_real where that is NULL */
    int64_t line, pixel, part;
    const void *packed; /* op(B) [parts * depth, cols] */
    bool add;
    md_real *c; /* [lines * width, cols] */
    int ldc;
} md_conv_lines;

/* The gradient of one tap of the filters: c[m, n] (+)= sum over parts p and their u of
 * a[p * a_part + u * a_step + m] * b[p * b_part + u * b_step + n]. Operands and steps are in units:
 * numbers, or where conv_unit is 2 pairs of rounded ones as pair_rows makes them. Behind b there is
 * room to read `panel` units more. */
typedef struct md_conv_tap {
    int parts, units, rows, cols;
    const void *a, *b;
    int64_t a_step, a_part, b_step, b_part;
    bool add;
    md_real *c;
    int ldc;
} md_conv_tap;

/* Of MD_CHUNK logits l of a row (the last chunk may be shorter), with max their greatest. A row is
 * looked at in chunks so that a draw finds its chunk first, and reads a row once. */
enum { MD_CHUNK = 512 };
typedef struct md_chunk {
    md_real max;  /* -infinity when all are */
    double sum;   /* of exp(scale * (l - max)) */
    double plain; /* of exp(l - max); NaN when a logit is NaN or +infinity */
    double slope; /* of exp(l - max) * (l - max) */
} md_chunk;

/* One step of AdamW on a range; see tensor/optim.h. */
typedef struct md_adamw_args {
    md_real *w, *m, *v, *grad; /* grad is read, then zeroed */
    md_real *ema;              /* NULL: no average */
    md_real lr, beta1, beta2, eps, decay;
    md_real grad_scale;               /* from clipping */
    md_real correction1, correction2; /* 1 - beta^n */
    md_real ema_decay;
} md_adamw_args;

/* Group norm of one image, or of whole groups of its channels: with n = (x - mean) rstd over the
 * pixels and channels of a group, y = n gain + bias, then silu(y) with `silu`. A channel's bits do
 * not depend on which groups it comes with. */
enum { MD_CHANNEL_PAD = 16 };
typedef struct md_group_norm_args {
    int rows, C; /* pixels; channels */
    int stride;  /* from a pixel to the next, in x, y, dy and dx */
    int group;   /* channels of one, divides C */
    bool silu;
    md_real eps;
    const md_real *x, *gain, *bias; /* gain, bias [C] */
    md_real *y;
    md_real *mean, *rstd; /* [C / group]: results; operands of the backward pass */
    double *sums;         /* room for 2 C, with C rounded up to a multiple of MD_CHANNEL_PAD */
    md_real *factors;     /* room for 3 C, likewise */
    /* Of the backward pass alone. */
    md_real *dy;            /* becomes the gradient of n gain + bias */
    bool add;               /* dx accumulates */
    md_real *dx;            /* may be dy when it does not accumulate; NULL: not wanted */
    md_real *dgain, *dbias; /* [C], overwritten */
} md_group_norm_args;

/* Layer norm of rows of C, moved: with n = (x - mean) rstd over a row, y = n (1 + scale) + shift.
 */
typedef struct md_modulated_norm_args {
    int rows, C;
    md_real eps;
    const md_real *x, *scale, *shift; /* scale, shift [C] */
    md_real *y;
    md_real *mean, *rstd; /* [rows]: results; operands of the backward pass */
    /* Of the backward pass alone. */
    const md_real *dy;
    bool add;                 /* dx accumulates */
    md_real *dx;              /* may be dy when it does not accumulate; NULL: not wanted */
    md_real *dscale, *dshift; /* [C], accumulate; NULL: not wanted */
} md_modulated_norm_args;

/* Columns of a matrix that become, or are added to, columns of another. */
typedef struct md_columns_args {
    int rows, cols;
    int from_stride, to_stride;
    const md_real *from;
    md_real *to;
    bool add;
} md_columns_args;

/* Winograd's F(2x2, 3x3): of a 3x3 convolution 2x2 results at a time, by 16 products in place of
 * 36 (Lavin & Gray 2015). A transform of a square of vectors of C numbers, C a multiple of
 * MD_TILE_CHANNELS: entry (i, j) from `from` + i * from_line + j * from_pixel, likewise to. What
 * products take is rounded where they round. */
enum { MD_TILE_CHANNELS = 16 };
typedef enum md_tile_kind {
    MD_TILE_INPUT,           /* 4x4 pixels, V = B' d B, as conv_lines reads op(A) */
    MD_TILE_INPUT_TAP,       /* the same, as conv_tap reads b */
    MD_TILE_GRADIENT_TAP,    /* 2x2 pixels of dy, A dy A', 4x4: what the gradients of the products
                                are, as conv_tap reads a */
    MD_TILE_FILTER,          /* 3x3 taps, U = G g G', 4x4 */
    MD_TILE_OUTPUT,          /* 4x4 products, y = A' m A, 2x2 pixels */
    MD_TILE_FILTER_GRADIENT, /* 4x4 gradients of U, G' du G, 3x3 */
} md_tile_kind;
typedef struct md_tile {
    int C;
    const md_real *from;
    int64_t from_line, from_pixel; /* in numbers */
    void *to;                      /* md_real; rounded numbers; or pairs */
    int64_t to_line, to_pixel;     /* in what lies there */
    int rows, cols;                /* OUTPUT, GRADIENT_TAP: pixels of the 2x2 that are there */
    bool add;                      /* OUTPUT: accumulates */
    const struct md_tile *second; /* TAP with conv_unit 2: the other of the pair, whose `from`, rows
                                     and cols are used; NULL: zeros */
} md_tile;

typedef struct md_kernels {
    const char *name;
    md_dtype dtype;       /* of the products' operands */
    const char *products; /* what multiplies them: a set, "avx512_bf16" or "avx512_vnni" */

    void (*gemm)(const md_gemm *g);
    /* Packed products: op(B) in panels of `panel` columns, in the layout that this set reads
     * fastest. n is rounded up to whole panels. Packs panels first .. first+count-1. */
    int panel;
    size_t (*panel_bytes)(int k);
    void (*pack)(const md_pack *p, int first, int count);
    void (*gemm_packed)(const md_gemm *g);
    /* Where a set rounds operands: rows of A [rows, k] rounded once for several products, in
     * rounded_bytes(k) each; `row_slack` more must be readable behind them. Else NULL. */
    void (*round_rows)(int rows, int k, const md_real *a, int lda, void *to);
    size_t (*rounded_bytes)(int k);
    int row_slack;

    /* Convolutions that read pixels where they lie; NULL where a set leaves them to gemm_packed.
     * With conv_unit 2, depths and channels are even. */
    int conv_unit;
    void (*conv_lines)(const md_conv_lines *g);
    void (*conv_tap)(const md_conv_tap *g);
    void (*tile)(md_tile_kind kind, const md_tile *t);
    int tile_least; /* channels from which tiles are faster */
    /* Rounded rows of n numbers in pairs, conv_unit 2: to[i * n + c] = rows (i * pair, i * pair +
     * next) of column c, steps in numbers. */
    void (*pair_rows)(int pairs, int n, const void *rows, int64_t pair, int64_t next, void *to);

    /* y = x * rstd * w, rstd = 1/sqrt(mean(x^2) + eps), per row of C. */
    void (*rms_norm)(int rows, int C, md_real eps, const md_real *x, const md_real *w, md_real *y,
                     md_real *rstd);
    /* dx (+)= gradient (accumulates when `add`); dw [C] accumulates; dx or dw may be NULL. */
    void (*rms_norm_backward)(int rows, int C, const md_real *x, const md_real *w,
                              const md_real *rstd, const md_real *dy, bool add, md_real *dx,
                              md_real *dw);

    /* y[F] = silu(x[0:F]) * x[F:2F], per row. */
    void (*swiglu)(int rows, int F, const md_real *x, md_real *y);
    /* dx may be x itself when it does not accumulate. */
    void (*swiglu_backward)(int rows, int F, const md_real *x, const md_real *dy, bool add,
                            md_real *dx);

    /* Rotates `heads` heads of size D at the start of each row of `stride` elements by the angles
     * of its position, rotate-half pairs (i, i + D/2); cos, sin [positions, D/2]. `sign` -1 rotates
     * back. In place. */
    void (*rope)(int rows, int heads, int D, int stride, const md_real *cos, const md_real *sin,
                 md_real sign, md_real *x);

    /* Rows of `cols` scores: s = exp(scale*s - lse), lse = log sum exp(scale * s). */
    void (*softmax)(int rows, int cols, int stride, md_real scale, md_real *s, md_real *lse);
    /* s = exp(scale * s - lse) with a known lse. */
    void (*softmax_again)(int rows, int cols, int stride, md_real scale, md_real *s,
                          const md_real *lse);
    /* ds = scale * p * (dp - delta), in place over dp; delta [rows] = sum of dy * y. */
    void (*softmax_backward)(int rows, int cols, int stride, md_real scale, const md_real *p,
                             const md_real *delta, md_real *dp);
    /* delta[r] = sum over n of a[r,n] * b[r,n], rows `stride` apart. */
    void (*row_dot)(int rows, int n, int stride, const md_real *a, const md_real *b,
                    md_real *delta);

    /* Cross-entropy of rows of V logits with the banned id at -infinity: loss[r] = -log p(target).
     * With `gradient`, logits become weight[r] * (p - onehot(target)), 0 at the banned id. A banned
     * id of -1 bans none. */
    void (*cross_entropy)(int rows, int V, int32_t banned, const int32_t *target,
                          const md_real *weight, bool gradient, md_real *logits, md_real *loss);

    /* Of one row of V logits, its ceil(V / MD_CHUNK) chunks. The banned id counts as -infinity, -1
     * bans none; scale is a finite normal number above 0. */
    void (*chunk_sums)(int V, int32_t banned, md_real scale, const md_real *logits,
                       md_chunk *chunks);
    /* w = exp(scale * (l - max)) for l up to a finite max; 0 where l is -infinity. */
    void (*chunk_weights)(int n, md_real scale, md_real max, const md_real *l, md_real *w);

    /* y = silu(x) = x / (1 + exp(-x)). */
    void (*silu)(int64_t n, const md_real *x, md_real *y);
    /* dx may be x itself when it does not accumulate. */
    void (*silu_backward)(int64_t n, const md_real *x, const md_real *dy, bool add, md_real *dx);
    /* y = gelu(x) = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3). */
    void (*gelu)(int64_t n, const md_real *x, md_real *y);
    /* dx may be x itself when it does not accumulate. */
    void (*gelu_backward)(int64_t n, const md_real *x, const md_real *dy, bool add, md_real *dx);
    void (*group_norm)(const md_group_norm_args *a);
    void (*group_norm_backward)(const md_group_norm_args *a);
    /* y[r] = x[r] + b, b [C]; y may be x. */
    void (*add_row)(int rows, int C, const md_real *x, const md_real *b, md_real *y);
    /* sum[c] = sum over r of x[r,c] y[r,c], in double precision; y NULL: of x. Rows lie `stride`
     * apart. */
    void (*sum_rows)(int rows, int C, int stride, const md_real *x, const md_real *y, md_real *sum);
    /* y[r] = x[r] + gate branch[r], gate [C]; x NULL: 0. y may be x or branch. */
    void (*gate_rows)(int rows, int C, const md_real *x, const md_real *gate, const md_real *branch,
                      md_real *y);
    void (*modulated_norm)(const md_modulated_norm_args *a);
    void (*modulated_norm_backward)(const md_modulated_norm_args *a);
    void (*columns)(const md_columns_args *a);

    void (*add)(int64_t n, const md_real *a, const md_real *b, md_real *y); /* y = a + b */
    void (*accumulate)(int64_t n, const md_real *x, md_real *y);            /* y += x */
    double (*sum_squares)(int64_t n, const md_real *x);
    void (*adamw)(int64_t n, const md_adamw_args *args);
} md_kernels;

/* Fills a table with the set `name`: the plain C one, overridden in the order of md_kernels_names
 * up to it: "ref" plain C; "openblas" its products; "avx2", "avx512" all kernels for that
 * instruction set. NULL: everything that this build and processor run. MDLM_USAGE when there is no
 * such set here. */
mdlm_status md_kernels_init(md_kernels *table, const char *name, mdlm_error *err);
extern const char *const md_kernels_names[]; /* NULL-terminated, best last */

/* Changes the products of a table to another operand type: "f32", "bf16" (the processor's bf16 dot
 * products where it has them, else f32 products of rounded operands), "q8_0" (of packed products
 * alone: 8-bit dot products where it has them, else 16-bit ones of the same numbers, and the same
 * bits). Under q8_0 `gemm`, attention's, is bf16's where that is a dot product, else f32's.
 * MDLM_USAGE for another name. */
mdlm_status md_kernels_set_dtype(md_kernels *table, const char *dtype, mdlm_error *err);

/* The dtype of training where nobody chose: "bf16" when it has instructions of its own here. */
const char *md_kernels_fast_dtype(const md_kernels *table);

extern const md_kernels md_kernels_ref;
/* Overrides of a table; not in the double build. */
void md_kernels_ref_bf16(md_kernels *table);
void md_kernels_ref_q8(md_kernels *table);
void md_kernels_openblas(md_kernels *table);
void md_kernels_avx2(md_kernels *table);
void md_kernels_avx2_bf16(md_kernels *table);
void md_kernels_avx2_q8(md_kernels *table);
void md_kernels_avx512(md_kernels *table);
void md_kernels_avx512_bf16(md_kernels *table);     /* rounded operands */
void md_kernels_avx512_bf16_dot(md_kernels *table); /* AVX512_BF16 */
void md_kernels_avx512_q8(md_kernels *table);       /* 16-bit products */
void md_kernels_avx512_vnni_q8(md_kernels *table);  /* AVX512_VNNI */

#endif
