/* tensor/op_norm.c: RMSNorm. */
#include "tensor/tape_internal.h"

#include <string.h>

typedef struct norm_job {
    const md_kernels *k;
    md_row_tiles tiles;
    int C;
    md_real eps;
    const md_real *x, *w, *dy;
    md_real *y, *rstd, *dx;
    md_real *partial; /* [tiles, C]: gradient of w, one row a tile, added up in order */
    bool add;
} norm_job;

static void forward_tile(void *context, int64_t tile, int worker) {
    const norm_job *j = context;
    int64_t first;
    int rows;
    (void)worker;
    md_tile_range(&j->tiles, tile, &first, &rows);
    j->k->rms_norm(rows, j->C, j->eps, j->x + first * j->C, j->w, j->y + first * j->C,
                   j->rstd + first);
}

static void backward_tile(void *context, int64_t tile, int worker) {
    const norm_job *j = context;
    int64_t first;
    int rows;
    (void)worker;
    md_tile_range(&j->tiles, tile, &first, &rows);
    md_real *dw = j->partial ? j->partial + tile * j->C : NULL;
    if (dw) memset(dw, 0, (size_t)j->C * sizeof *dw);
    j->k->rms_norm_backward(rows, j->C, j->x + first * j->C, j->w, j->rstd + first,
                            j->dy + first * j->C, j->add, j->dx ? j->dx + first * j->C : NULL, dw);
}

typedef struct norm_node {
    md_node node;
    md_tensor *x, *w;
    md_real *rstd;
} norm_node;

static void norm_backward(md_tape *tape, md_node *node) {
    norm_node *n = (norm_node *)node;
    norm_job j = {.k = md_tape_kernels(tape),
                  .tiles = md_tile_rows(tape, n->x),
                  .C = (int)md_tensor_cols(n->x),
                  .x = n->x->data,
                  .w = n->w->data,
                  .rstd = n->rstd,
                  .dy = node->out->grad};
    bool add_w;
    md_real *dw = md_grad_begin(tape, n->w, &add_w);
    if (dw) j.partial = md_tape_alloc(tape, (size_t)(j.tiles.count * j.C), sizeof *j.partial);
    j.dx = md_grad_begin(tape, n->x, &j.add);
    if (!j.dx && !j.partial) return;
    md_tape_parallel(tape, "norm backward", j.tiles.count, backward_tile, &j);
    if (!j.partial) return;
    if (!add_w) memset(dw, 0, (size_t)j.C * sizeof *dw);
    for (int64_t t = 0; t < j.tiles.count; t++) j.k->accumulate(j.C, j.partial + t * j.C, dw);
}

md_tensor *md_rms_norm(md_tape *tape, md_tensor *x, md_tensor *w, double eps) {
    if (!x || !w) return NULL;
    MD_BUG_IF(w->rank != 1 || md_tensor_cols(x) != w->dim[0]);
    md_tensor *y = md_tape_tensor(tape, x->rank, x->dim);
    md_real *rstd = md_tape_alloc(tape, (size_t)md_tensor_rows(x), sizeof *rstd);
    if (!y || !rstd) return NULL;
    norm_job j = {.k = md_tape_kernels(tape),
                  .tiles = md_tile_rows(tape, x),
                  .C = (int)w->dim[0],
                  .eps = (md_real)eps,
                  .x = x->data,
                  .w = w->data,
                  .y = y->data,
                  .rstd = rstd};
    md_tape_parallel(tape, "norm", j.tiles.count, forward_tile, &j);
    if (md_tape_wants(tape, x) || md_tape_wants(tape, w)) {
        norm_node *n = md_tape_node(tape, sizeof *n, norm_backward, y);
        if (n) n->x = x, n->w = w, n->rstd = rstd;
    }
    return y;
}
