/* tensor/ops_image.h: operators on images. As tensor/ops.h says of all: one function each, NULL
 * operands are accepted, results live in the tape's arena, a node is left when the tape records.
 *
 * Images are [B, Y, X, C], channels fastest, so a pixel is a row: md_linear is a 1x1 convolution,
 * md_reshape to [B, Y*X, C] makes tokens for md_attention, and an operator without a gradient keeps
 * an image's bits independent of its batch.
 */
#ifndef MD_TENSOR_OPS_IMAGE_H
#define MD_TENSOR_OPS_IMAGE_H

#include "tensor/ops.h"

/* y[b,i,j,m] = bias[m] + sum over (u,v,c) of x[b, i*stride + u - pad, j*stride + v - pad, c]
 * * w[m,u,v,c], x read as 0 outside. x [B,Y,X,C]; w [M,K,K,C]; bias may be NULL; result
 * [B, (s*Y + 2 pad - K) / stride + 1, .., M]. With `upsample` s = 2 every pixel of x stands for 2x2
 * (nearest), and nothing of that size is laid out; else s = 1. `residual`: NULL or of the result's
 * size, added. */
typedef struct md_conv {
    int stride; /* 1 or 2 */
    int pad;    /* zeros around, < K */
    bool upsample;
    md_tensor *bias, *residual; /* bias [M], or [B, M]: each image has its own */
} md_conv;
md_tensor *md_conv2d(md_tape *tape, md_tensor *x, md_tensor *w, md_conv how);

/* The transpose of md_conv2d's x to y with stride 2: y[b, 2i + u - pad, 2j + v - pad, m] +=
 * x[b,i,j,c] * w[m,u,v,c]; result [B, 2Y, 2X, M]: K = 4 with pad 1, or K = 2 with pad 0. */
md_tensor *md_conv2d_transposed(md_tape *tape, md_tensor *x, md_tensor *w, md_tensor *bias);

/* Per image and group of C / groups channels: y = (x - mean) / sqrt(var + eps) * gain + bias, then
 * silu(y) = y / (1 + exp(-y)) with `silu`. gain, bias [C]. (Wu & He 2018) */
typedef struct md_group_norm_how {
    int groups; /* divides C */
    double eps;
    bool silu;
} md_group_norm_how;
md_tensor *md_group_norm(md_tape *tape, md_tensor *x, md_tensor *gain, md_tensor *bias,
                         md_group_norm_how how);

/* y = silu(x). */
md_tensor *md_silu(md_tape *tape, md_tensor *x);
/* y = x / (1 + exp(-2 u)), u = sqrt(2 / pi) (x + 0.044715 x^3). (GELU by tanh, Hendrycks & Gimpel
 * 2016; of MDLM's networks of text) */
md_tensor *md_gelu(md_tape *tape, md_tensor *x);

/* y[b, .., c] = x[b, .., c] + b[b, c], or + b[c] where b is [C]: a bias, or the embedding of an
 * image's time on each of its pixels. x [B, .., C]. In place where x is spent (md_spent): the
 * result then shares x's data. */
md_tensor *md_add_channels(md_tape *tape, md_tensor *x, md_tensor *b);

/* y[.., 0:C] = a, y[.., C:C+D] = b. */
md_tensor *md_concat(md_tape *tape, md_tensor *a, md_tensor *b);

/* The mean over an image's pixels: x [B,Y,X,C] to [B,1,C], a sequence of one row an image. */
md_tensor *md_mean_pixels(md_tape *tape, md_tensor *x);

/* Layer norm without gain, then moved by what an image's condition says (adaLN, Peebles & Xie
 * 2023): y[b,t] = norm(x[b,t]) * (1 + scale[b]) + shift[b]. x [B,T,C]; scale, shift [B, C]. */
md_tensor *md_modulated_norm(md_tape *tape, md_tensor *x, md_tensor *scale, md_tensor *shift,
                             double eps);
/* y[b,t] = x[b,t] + gate[b] * branch[b,t]. x, branch [B,T,C]; gate [B,C]. */
md_tensor *md_gated_add(md_tape *tape, md_tensor *x, md_tensor *gate, md_tensor *branch);

/* Columns first .. first + count of x [.., C], as a tensor of their own [.., count]. */
md_tensor *md_columns(md_tape *tape, md_tensor *x, int first, int count);

/* Images to tokens and back: [B,Y,X,C] <-> [B, Y/P * X/P, P*P*C], patches row by row, pixels of a
 * patch row by row. P divides Y and X. */
md_tensor *md_patches(md_tape *tape, md_tensor *x, int P);
md_tensor *md_unpatch(md_tape *tape, md_tensor *x, int P, int Y, int X);

/* A loss that was worked out elsewhere: a scalar of this value whose derivative with respect to x
 * is `gradient` [size of x], which is copied. It must be what md_tape_backward is called on. */
md_tensor *md_known_loss(md_tape *tape, md_tensor *x, double value, const md_real *gradient);

#endif
