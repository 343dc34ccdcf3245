/* tensor/conv_internal.h: what the files of convolution share.
 *
 *     op_conv.c        the operator: shapes, forward, the order of backward
 *     conv_columns.c   pixels and their neighbours as rows of a matrix, and back: any convolution
 *                      as a product, by every set of kernels
 *     conv_border.c    lines with zeros around
 *     conv_lines.c     products that read neighbours where they lie, where the set has them
 *     conv_tiles.c     3x3 convolutions by Winograd's tiles, likewise
 */
#ifndef MD_TENSOR_CONV_INTERNAL_H
#define MD_TENSOR_CONV_INTERNAL_H

#include "tensor/ops_image.h"
#include "tensor/tape_internal.h"

typedef struct md_conv_shape {
    int B, Y, X, C;  /* of x */
    int M, K;        /* filters, and their size */
    int stride, pad; /* zeros before the first pixel */
    int scale;       /* 2: every pixel of x stands for 2x2; else 1 */
    int Yo, Xo;      /* of the result */
} md_conv_shape;

static inline int64_t md_conv_pixels_in(const md_conv_shape *s) {
    return (int64_t)s->Y * s->X;
}
static inline int64_t md_conv_pixels_out(const md_conv_shape *s) {
    return (int64_t)s->Yo * s->Xo;
}
/* Weights of one filter. */
static inline int md_conv_taps(const md_conv_shape *s) {
    return s->K * s->K * s->C;
}

/* One convolution, forward or backward. What is NULL is not there, or not wanted. */
typedef struct md_conv_job {
    md_tape *tape;
    const md_kernels *k;
    md_conv_shape shape;
    const md_real *x, *w, *bias, *residual, *dy;
    bool bias_each; /* bias [B, M], else [M] */
    md_real *y;
    md_real *dx;
    bool add_dx;
    md_real *partial; /* [chunks, M * taps]: gradients of w by images of a chunk */
    int chunks;
    const void *packed; /* filters: forward those of md_tensor.packed, where there are */
} md_conv_job;

/* Images of a chunk: gradients of weights are sums over a chunk's images, and chunks are added up
 * in order; so bits depend on the batch alone. */
void md_conv_chunk(const md_conv_job *j, int64_t chunk, int *first, int *end);

/* y of every image, or the gradients that are wanted; false when out of memory (the tape says so).
 */
bool md_conv_columns_forward(md_conv_job *j);
bool md_conv_columns_dx(md_conv_job *j);
bool md_conv_columns_dw(md_conv_job *j);
/* The same, by columns where the kernels or the shape have no lines. */
bool md_conv_lines_forward(md_conv_job *j);
bool md_conv_lines_dx(md_conv_job *j);
bool md_conv_lines_dw(md_conv_job *j);

/* 3x3, stride 1, borders of 1, whole vectors of channels, by kernels that have tiles. */
bool md_conv_has_tiles(const md_conv_job *j);
bool md_conv_tiles_forward(md_conv_job *j);
bool md_conv_tiles_dx(md_conv_job *j);
bool md_conv_tiles_dw(md_conv_job *j);

/* dx [Y, X, C] of one image from that of its doubled pixels, [2Y, 2X, C]. */
void md_conv_fold(const md_conv_job *j, const md_real *fine, md_real *dx);

/* Lines of an image with zeros around it, rounded as the products of k want; k NULL: as they are.
 */
typedef struct md_bordered {
    int lines, width, channels;
    char *data;   /* numbers of `size` bytes */
    int64_t line; /* numbers in one */
    size_t size;
} md_bordered;
typedef struct md_border_source {
    const md_real *image; /* [Y, X, C] */
    int Y, X, C, scale;
    int top, left; /* zeros before */
} md_border_source;
md_bordered md_bordered_at(const md_kernels *k, int lines, int width, int channels, void *data);
/* All its lines, from line `first` of the (doubled) image with its border on. */
void md_bordered_fill(const md_kernels *k, const md_border_source *s, int first, md_bordered *b);

/* Puts what a product is added to, bias and residual, into `rows` rows of y from `row` on; false:
 * there is none. */
bool md_conv_begin(const md_conv_job *j, int64_t row, int64_t rows);

#endif
