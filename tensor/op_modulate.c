/* tensor/op_modulate.c: what an image's condition moves: layer norm with its scale and shift, a
 * branch with its gate. (adaLN-Zero, Peebles & Xie 2023) */
#include "tensor/ops_image.h"
#include "tensor/tape_internal.h"

#include <string.h>

/* Tiles of rows, each inside an image. */
static md_row_tiles tiles_of(const md_tensor *x) {
    int64_t rows = md_tensor_rows(x), images = x->dim[0];
    return md_tile_groups(rows, images ? rows / images : 0);
}

/* --- layer norm ------------------------------------------------------------------------------ */

typedef struct modulated_job {
    const md_kernels *k;
    md_row_tiles tiles;
    md_modulated_norm_args all; /* of all rows; scale and shift of the first image */
    md_real *parts;             /* [tiles, 2, C]: gradients of scale and shift */
} modulated_job;

static md_modulated_norm_args tile_args(const modulated_job *j, int64_t tile) {
    md_modulated_norm_args a = j->all;
    int64_t first;
    md_tile_range(&j->tiles, tile, &first, &a.rows);
    int64_t image = first / j->tiles.group, at = first * a.C;
    a.x += at, a.scale += image * a.C, a.shift += image * a.C;
    a.mean += first, a.rstd += first;
    if (a.y) a.y += at;
    if (a.dy) a.dy += at;
    if (a.dx) a.dx += at;
    return a;
}

static void forward_tile(void *context, int64_t tile, int worker) {
    const modulated_job *j = context;
    md_modulated_norm_args a = tile_args(j, tile);
    (void)worker;
    j->k->modulated_norm(&a);
}

static void backward_tile(void *context, int64_t tile, int worker) {
    const modulated_job *j = context;
    md_modulated_norm_args a = tile_args(j, tile);
    (void)worker;
    a.dscale = j->parts + tile * 2 * a.C;
    a.dshift = a.dscale + a.C;
    memset(a.dscale, 0, (size_t)(2 * a.C) * sizeof *a.dscale);
    j->k->modulated_norm_backward(&a);
}

typedef struct modulated_node {
    md_node node;
    md_tensor *x, *scale, *shift;
    md_real *mean, *rstd;
    double eps;
} modulated_node;

static modulated_job modulated_job_of(md_tape *tape, const modulated_node *n) {
    return (modulated_job){.k = md_tape_kernels(tape),
                           .tiles = tiles_of(n->x),
                           .all = {.C = (int)md_tensor_cols(n->x),
                                   .eps = (md_real)n->eps,
                                   .x = n->x->data,
                                   .scale = n->scale->data,
                                   .shift = n->shift->data,
                                   .mean = n->mean,
                                   .rstd = n->rstd}};
}

/* The tiles' parts of the gradient of scale or shift, in order. */
static void add_up(md_tape *tape, const modulated_job *j, md_tensor *into, const md_real *parts) {
    bool add;
    md_real *to = md_grad_begin(tape, into, &add);
    if (!to) return;
    int64_t C = j->all.C;
    if (!add) memset(to, 0, (size_t)md_tensor_size(into) * sizeof *to);
    for (int64_t t = 0; t < j->tiles.count; t++)
        j->k->accumulate(C, parts + t * 2 * C, to + t / j->tiles.per_group * C);
}

static void modulated_backward(md_tape *tape, md_node *node) {
    modulated_node *n = (modulated_node *)node;
    modulated_job j = modulated_job_of(tape, n);
    int C = j.all.C;
    j.parts = md_grad_take(tape, j.tiles.count * 2 * C);
    if (!j.parts) return;
    bool in_place = md_tape_wants(tape, n->x) && !n->x->grad;
    j.all.dy = node->out->grad;
    j.all.dx = in_place ? node->out->grad : md_grad_begin(tape, n->x, &j.all.add);
    md_tape_parallel(tape, "modulated norm backward", j.tiles.count, backward_tile, &j);
    add_up(tape, &j, n->scale, j.parts);
    add_up(tape, &j, n->shift, j.parts + C);
    md_grad_give(tape, j.parts);
    if (in_place) md_grad_pass(tape, node->out, n->x);
}

md_tensor *md_modulated_norm(md_tape *tape, md_tensor *x, md_tensor *scale, md_tensor *shift,
                             double eps) {
    if (!x || !scale || !shift) return NULL;
    int64_t rows = md_tensor_rows(x), moved = x->dim[0] * md_tensor_cols(x);
    MD_BUG_IF(x->rank < 2 || md_tensor_size(scale) != moved || md_tensor_size(shift) != moved);
    md_tensor *y = md_tape_tensor(tape, x->rank, x->dim);
    md_real *mean = md_tape_alloc(tape, (size_t)rows, sizeof *mean);
    md_real *rstd = md_tape_alloc(tape, (size_t)rows, sizeof *rstd);
    if (!y || !mean || !rstd) return NULL;
    const modulated_node call = {
        .x = x, .scale = scale, .shift = shift, .mean = mean, .rstd = rstd, .eps = eps};
    modulated_job j = modulated_job_of(tape, &call);
    j.all.y = y->data;
    md_tape_parallel(tape, "modulated norm", j.tiles.count, forward_tile, &j);
    if (md_tape_wants(tape, x) || md_tape_wants(tape, scale) || md_tape_wants(tape, shift)) {
        modulated_node *n = md_tape_node(tape, sizeof *n, modulated_backward, y);
        if (n) n->x = x, n->scale = scale, n->shift = shift, n->mean = mean, n->rstd = rstd;
        if (n) n->eps = eps;
    }
    return y;
}

/* --- gate ------------------------------------------------------------------------------------ */

typedef struct gate_job {
    const md_kernels *k;
    md_row_tiles tiles;
    md_channel_blocks blocks;
    int C;
    const md_real *x, *gate, *branch, *dy; /* x NULL: 0 */
    md_real *y;
    md_real *dgate; /* [images, C] */
} gate_job;

static void gate_tile(void *context, int64_t tile, int worker) {
    const gate_job *j = context;
    int64_t first;
    int rows;
    (void)worker;
    md_tile_range(&j->tiles, tile, &first, &rows);
    int64_t at = first * j->C;
    j->k->gate_rows(rows, j->C, j->x ? j->x + at : NULL, j->gate + first / j->tiles.group * j->C,
                    j->branch + at, j->y + at);
}

static void gate_gradient(void *context, int64_t task, int worker) {
    const gate_job *j = context;
    int64_t image = task / j->blocks.count, rows = j->tiles.group;
    int first = (int)(task % j->blocks.count) * j->blocks.width;
    int width = j->C - first < j->blocks.width ? j->C - first : j->blocks.width;
    int64_t at = image * rows * j->C + first;
    (void)worker;
    j->k->sum_rows((int)rows, width, j->C, j->dy + at, j->branch + at,
                   j->dgate + image * j->C + first);
}

typedef struct gate_node {
    md_node node;
    md_tensor *x, *gate, *branch;
} gate_node;

static gate_job gate_job_of(md_tape *tape, const gate_node *n) {
    int C = (int)md_tensor_cols(n->x);
    return (gate_job){.k = md_tape_kernels(tape),
                      .tiles = tiles_of(n->x),
                      .blocks = md_block_channels(n->x->dim[0], C, 1),
                      .C = C,
                      .x = n->x->data,
                      .gate = n->gate->data,
                      .branch = n->branch->data};
}

static void gate_backward(md_tape *tape, md_node *node) {
    gate_node *n = (gate_node *)node;
    gate_job j = gate_job_of(tape, n);
    int64_t images = n->x->dim[0], size = md_tensor_size(n->gate);
    bool add;
    md_real *dgate = md_grad_begin(tape, n->gate, &add);
    j.dy = node->out->grad;
    if (dgate) {
        j.dgate = add ? md_grad_take(tape, size) : dgate;
        if (!j.dgate) return;
        md_tape_parallel(tape, "gate backward", images * j.blocks.count, gate_gradient, &j);
        if (add) j.k->accumulate(size, j.dgate, dgate);
        if (add) md_grad_give(tape, j.dgate);
    }
    md_real *dbranch = md_grad_begin(tape, n->branch, &add);
    if (dbranch) {
        j.x = add ? dbranch : NULL, j.branch = j.dy, j.y = dbranch;
        md_tape_parallel(tape, "gate backward", j.tiles.count, gate_tile, &j);
    }
    md_grad_pass(tape, node->out, n->x);
}

md_tensor *md_gated_add(md_tape *tape, md_tensor *x, md_tensor *gate, md_tensor *branch) {
    if (!x || !gate || !branch) return NULL;
    MD_BUG_IF(x->rank < 2 || md_tensor_size(branch) != md_tensor_size(x));
    MD_BUG_IF(md_tensor_size(gate) != x->dim[0] * md_tensor_cols(x));
    md_tensor *y = md_tape_tensor(tape, x->rank, x->dim);
    if (!y) return NULL;
    const gate_node call = {.x = x, .gate = gate, .branch = branch};
    gate_job j = gate_job_of(tape, &call);
    j.y = y->data;
    md_tape_parallel(tape, "gate", j.tiles.count, gate_tile, &j);
    if (md_tape_wants(tape, x) || md_tape_wants(tape, gate) || md_tape_wants(tape, branch)) {
        gate_node *n = md_tape_node(tape, sizeof *n, gate_backward, y);
        if (n) n->x = x, n->gate = gate, n->branch = branch;
    }
    return y;
}
