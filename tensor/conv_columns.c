/* tensor/conv_columns.c: a convolution as a product with the matrix of columns: row (i, j) of it
 * holds the K x K x C numbers of x that output pixel (i, j) sees, in the order of a filter. The
 * matrix exists for a tile of rows at a time, in a worker's scratch. */
#include <string.h>

#include "tensor/conv_internal.h"

/* What the K taps of line u see of output pixel (i, j): a line of x, or none, and from where on. */
typedef struct view {
    const md_conv_shape *s;
    int line;  /* of x; -1: outside */
    int start; /* scaled column of tap 0; may be outside */
} view;

static view view_of(const md_conv_shape *s, int64_t pixel, int u) {
    int i = (int)(pixel / s->Xo), j = (int)(pixel % s->Xo);
    int line = i * s->stride + u - s->pad;
    bool inside = line >= 0 && line < s->Y * s->scale;
    return (view){s, inside ? line / s->scale : -1, j * s->stride - s->pad};
}

/* Offset in x of what tap v sees, or -1. */
static int64_t tap_offset(const view *a, int v) {
    int column = a->start + v;
    if (a->line < 0 || column < 0 || column >= a->s->X * a->s->scale) return -1;
    return ((int64_t)a->line * a->s->X + column / a->s->scale) * a->s->C;
}

static bool whole_line(const view *a) {
    return a->s->scale == 1 && a->line >= 0 && a->start >= 0 && a->start + a->s->K <= a->s->X;
}

static void gather(const md_conv_shape *s, const md_real *x, int64_t first, int rows,
                   md_real *col) {
    const size_t C = (size_t)s->C, size = sizeof *x;
    for (int64_t p = first; p < first + rows; p++) {
        for (int u = 0; u < s->K; u++, col += s->K * s->C) {
            view a = view_of(s, p, u);
            if (whole_line(&a)) {
                memcpy(col, x + tap_offset(&a, 0), (size_t)s->K * C * size);
                continue;
            }
            for (int v = 0; v < s->K; v++) {
                int64_t at = tap_offset(&a, v);
                if (at < 0) {
                    memset(col + v * s->C, 0, C * size);
                } else {
                    memcpy(col + v * s->C, x + at, C * size);
                }
            }
        }
    }
}

static void scatter(const md_conv_job *job, const md_real *col, int64_t first, int rows,
                    md_real *dx) {
    const md_conv_shape *s = &job->shape;
    for (int64_t p = first; p < first + rows; p++) {
        for (int u = 0; u < s->K; u++, col += s->K * s->C) {
            view a = view_of(s, p, u);
            if (whole_line(&a)) {
                job->k->accumulate(s->K * s->C, col, dx + tap_offset(&a, 0));
                continue;
            }
            for (int v = 0; v < s->K; v++) {
                int64_t at = tap_offset(&a, v);
                if (at >= 0) job->k->accumulate(s->C, col + v * s->C, dx + at);
            }
        }
    }
}

/* --- tiles ----------------------------------------------------------------------------------- */

static int64_t tiles_of(const md_conv_shape *s) {
    return (md_conv_pixels_out(s) + MD_ROW_TILE - 1) / MD_ROW_TILE;
}

static int tile_rows(const md_conv_shape *s, int64_t tile, int64_t *first) {
    int64_t left = md_conv_pixels_out(s) - tile * MD_ROW_TILE;
    *first = tile * MD_ROW_TILE;
    return (int)(left < MD_ROW_TILE ? left : MD_ROW_TILE);
}

static bool reserve(const md_conv_job *j) {
    return md_tape_reserve(j->tape, (int64_t)MD_ROW_TILE * md_conv_taps(&j->shape));
}

static void forward_tile(void *context, int64_t task, int worker) {
    const md_conv_job *j = context;
    const md_conv_shape *s = &j->shape;
    int64_t first, image = task / tiles_of(s);
    int rows = tile_rows(s, task % tiles_of(s), &first), taps = md_conv_taps(s);
    md_real *col = md_tape_scratch(j->tape, worker);
    int64_t at = (image * md_conv_pixels_out(s) + first) * s->M;
    gather(s, j->x + image * md_conv_pixels_in(s) * s->C, first, rows, col);
    j->k->gemm_packed(
        &(md_gemm){.m = rows,
                   .n = s->M,
                   .k = taps,
                   .a = col,
                   .lda = taps,
                   .packed = j->packed,
                   .add = md_conv_begin(j, image * md_conv_pixels_out(s) + first, rows),
                   .c = j->y + at,
                   .ldc = s->M});
}

bool md_conv_columns_forward(md_conv_job *j) {
    const md_conv_shape *s = &j->shape;
    int taps = md_conv_taps(s);
    md_pack pack = {.trans = true, .n = s->M, .k = taps, .b = j->w, .ldb = taps};
    if (!j->packed) j->packed = md_tape_pack(j->tape, 0, pack);
    if (!j->packed || !reserve(j)) return false;
    md_tape_parallel(j->tape, "conv", s->B * tiles_of(s), forward_tile, j);
    return true;
}

/* Columns of the gradient, dy w, added up where they came from. */
static void dx_image(void *context, int64_t image, int worker) {
    const md_conv_job *j = context;
    const md_conv_shape *s = &j->shape;
    int taps = md_conv_taps(s);
    int64_t size = md_conv_pixels_in(s) * s->C;
    md_real *col = md_tape_scratch(j->tape, worker), *dx = j->dx + image * size;
    if (!j->add_dx) memset(dx, 0, (size_t)size * sizeof *dx);
    for (int64_t tile = 0; tile < tiles_of(s); tile++) {
        int64_t first;
        int rows = tile_rows(s, tile, &first);
        j->k->gemm_packed(&(md_gemm){.m = rows,
                                     .n = taps,
                                     .k = s->M,
                                     .a = j->dy + (image * md_conv_pixels_out(s) + first) * s->M,
                                     .lda = s->M,
                                     .packed = j->packed,
                                     .c = col,
                                     .ldc = taps});
        scatter(j, col, first, rows, dx);
    }
}

bool md_conv_columns_dx(md_conv_job *j) {
    int taps = md_conv_taps(&j->shape);
    j->packed =
        md_tape_pack(j->tape, 0, (md_pack){.n = taps, .k = j->shape.M, .b = j->w, .ldb = taps});
    if (!j->packed || !reserve(j)) return false;
    md_tape_parallel(j->tape, "conv dx", j->shape.B, dx_image, j);
    return true;
}

static void dw_chunk(void *context, int64_t chunk, int worker) {
    const md_conv_job *j = context;
    const md_conv_shape *s = &j->shape;
    int first_image, end, taps = md_conv_taps(s);
    md_real *col = md_tape_scratch(j->tape, worker);
    md_real *dw = j->partial + chunk * s->M * taps;
    md_conv_chunk(j, chunk, &first_image, &end);
    for (int image = first_image; image < end; image++) {
        for (int64_t tile = 0; tile < tiles_of(s); tile++) {
            int64_t first;
            int rows = tile_rows(s, tile, &first);
            gather(s, j->x + image * md_conv_pixels_in(s) * s->C, first, rows, col);
            j->k->gemm(&(md_gemm){.trans_a = true,
                                  .m = s->M,
                                  .n = taps,
                                  .k = rows,
                                  .a = j->dy + (image * md_conv_pixels_out(s) + first) * s->M,
                                  .lda = s->M,
                                  .b = col,
                                  .ldb = taps,
                                  .add = image > first_image || tile > 0,
                                  .c = dw,
                                  .ldc = taps});
        }
    }
}

bool md_conv_columns_dw(md_conv_job *j) {
    if (!reserve(j)) return false;
    md_tape_parallel(j->tape, "conv dw", j->chunks, dw_chunk, j);
    return true;
}
