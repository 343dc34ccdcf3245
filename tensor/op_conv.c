/* tensor/op_conv.c: convolution of images. */
#include <string.h>

#include "tensor/conv_internal.h"

static md_conv_shape shape_of(const md_tensor *x, const md_tensor *w, md_conv how) {
    MD_BUG_IF(x->rank != 4 || w->rank != 4 || w->dim[3] != x->dim[3] || w->dim[1] != w->dim[2]);
    md_conv_shape s = {.B = (int)x->dim[0],
                       .Y = (int)x->dim[1],
                       .X = (int)x->dim[2],
                       .C = (int)x->dim[3],
                       .M = (int)w->dim[0],
                       .K = (int)w->dim[1],
                       .stride = how.stride,
                       .pad = how.pad,
                       .scale = how.upsample ? 2 : 1};
    int Y = s.Y * s.scale + 2 * s.pad - s.K, X = s.X * s.scale + 2 * s.pad - s.K;
    MD_BUG_IF(how.stride < 1 || how.stride > 2 || how.pad < 0 || how.pad >= s.K || Y < 0 || X < 0);
    s.Yo = Y / s.stride + 1;
    s.Xo = X / s.stride + 1;
    return s;
}

void md_conv_chunk(const md_conv_job *j, int64_t chunk, int *first, int *end) {
    *first = (int)(chunk * j->shape.B / j->chunks);
    *end = (int)((chunk + 1) * j->shape.B / j->chunks);
}

bool md_conv_begin(const md_conv_job *j, int64_t row, int64_t rows) {
    size_t M = (size_t)j->shape.M;
    const md_real *residual = j->residual ? j->residual + row * j->shape.M : NULL, *bias = j->bias;
    md_real *y = j->y + row * j->shape.M;
    if (bias && j->bias_each) bias += row / md_conv_pixels_out(&j->shape) * j->shape.M;
    if (residual) memcpy(y, residual, (size_t)rows * M * sizeof *y);
    for (int64_t r = 0; bias && r < rows; r++, y += M) {
        if (residual) {
            j->k->accumulate((int64_t)M, bias, y);
        } else {
            memcpy(y, bias, M * sizeof *y);
        }
    }
    return bias || residual;
}

/* --- gradients of weights -------------------------------------------------------------------- */

/* db[m] of one image. */
static void bias_image(void *context, int64_t image, int worker) {
    const md_conv_job *j = context;
    const md_conv_shape *s = &j->shape;
    int64_t pixels = md_conv_pixels_out(s);
    const md_real *dy = j->dy + image * pixels * s->M;
    md_real *db = j->partial + image * s->M;
    (void)worker;
    memset(db, 0, (size_t)s->M * sizeof *db);
    for (int64_t p = 0; p < pixels; p++, dy += s->M) j->k->accumulate(s->M, dy, db);
}

static void bias_gradient(md_conv_job *j, md_tensor *bias) {
    const int64_t M = j->shape.M, size = md_tensor_size(bias);
    bool add;
    md_real *db = md_grad_begin(j->tape, bias, &add);
    j->partial = db ? md_grad_take(j->tape, j->shape.B * M) : NULL;
    if (!j->partial) return;
    md_tape_parallel(j->tape, "conv bias", j->shape.B, bias_image, j);
    if (!add) memset(db, 0, (size_t)size * sizeof *db);
    for (int64_t i = 0; i < j->shape.B; i++)
        j->k->accumulate(M, j->partial + i * M, j->bias_each ? db + i * M : db);
    md_grad_give(j->tape, j->partial);
}

typedef struct reduction {
    const md_conv_job *j;
    md_real *to;
    bool add;
} reduction;

enum { REDUCE_TILE = 16384 };

static void reduce_tile(void *context, int64_t tile, int worker) {
    const reduction *r = context;
    const md_conv_shape *s = &r->j->shape;
    int64_t part = (int64_t)s->M * md_conv_taps(s), first = tile * REDUCE_TILE;
    int64_t n = part - first < REDUCE_TILE ? part - first : REDUCE_TILE;
    const md_real *from = r->j->partial + first;
    (void)worker;
    for (int c = 0; c < r->j->chunks; c++, from += part) {
        if (c == 0 && !r->add) {
            memcpy(r->to + first, from, (size_t)n * sizeof *from);
        } else {
            r->j->k->accumulate(n, from, r->to + first);
        }
    }
}

/* Many chunks keep many threads busy, but each adds up a copy of the weights' gradient. */
static int chunks_of(const md_conv_shape *s) {
    int64_t weights = (int64_t)s->M * md_conv_taps(s);
    int chunks = weights > 65536 ? 4 : 8;
    return s->B < chunks ? s->B : chunks;
}

static void weight_gradient(md_conv_job *j, md_tensor *w) {
    const int64_t size = md_tensor_size(w);
    reduction r = {.j = j};
    r.to = md_grad_begin(j->tape, w, &r.add);
    if (!r.to) return;
    j->chunks = chunks_of(&j->shape);
    j->partial = md_grad_take(j->tape, j->chunks * size);
    if (!j->partial) return;
    if (md_conv_lines_dw(j))
        md_tape_parallel(j->tape, "conv dw", (size + REDUCE_TILE - 1) / REDUCE_TILE, reduce_tile,
                         &r);
    md_grad_give(j->tape, j->partial);
}

/* --- the operator ---------------------------------------------------------------------------- */

typedef struct conv_node {
    md_node node;
    md_conv_shape shape;
    md_tensor *x, *w, *bias, *residual;
} conv_node;

static void conv_backward(md_tape *tape, md_node *node) {
    conv_node *n = (conv_node *)node;
    md_conv_job j = {.tape = tape,
                     .k = md_tape_kernels(tape),
                     .shape = n->shape,
                     .x = n->x->data,
                     .w = n->w->data,
                     .dy = node->out->grad};
    weight_gradient(&j, n->w);
    if (n->bias) j.bias_each = n->bias->rank == 2, bias_gradient(&j, n->bias);
    j.dx = md_grad_begin(tape, n->x, &j.add_dx);
    if (j.dx) md_conv_lines_dx(&j);
    md_grad_pass(tape, node->out, n->residual);
}

md_tensor *md_conv2d(md_tape *tape, md_tensor *x, md_tensor *w, md_conv how) {
    if (!x || !w) return NULL;
    md_conv_shape s = shape_of(x, w, how);
    md_tensor *bias = how.bias, *residual = how.residual;
    md_tensor *y = md_tape_tensor(tape, 4, (int64_t[]){s.B, s.Yo, s.Xo, s.M});
    if (!y) return NULL;
    MD_BUG_IF(bias && md_tensor_cols(bias) != s.M);
    MD_BUG_IF(bias && bias->rank == 2 && bias->dim[0] != s.B);
    MD_BUG_IF(residual && md_tensor_size(residual) != md_tensor_size(y));
    md_conv_job j = {.tape = tape,
                     .k = md_tape_kernels(tape),
                     .shape = s,
                     .x = x->data,
                     .w = w->data,
                     .packed = w->packed,
                     .bias = bias ? bias->data : NULL,
                     .bias_each = bias && bias->rank == 2,
                     .residual = residual ? residual->data : NULL,
                     .y = y->data};
    if (!md_conv_lines_forward(&j)) return NULL;
    if (md_tape_wants(tape, x) || md_tape_wants(tape, w) || md_tape_wants(tape, bias) ||
        md_tape_wants(tape, residual)) {
        conv_node *n = md_tape_node(tape, sizeof *n, conv_backward, y);
        if (n) n->shape = s, n->x = x, n->w = w, n->bias = bias, n->residual = residual;
    }
    return y;
}
