/* tensor/op_linear.c: y = x w^T + residual, in tiles of rows and columns. */
#include "tensor/tape_internal.h"

#include <string.h>

/* Sizes of tiles. Fixed by the shape, so that they (and bits) do not depend on the threads. With
 * more than TILES_EACH tiles of columns, it pays to round x once rather than in each. */
enum { COL_TILE = 512, TASKS = 8, GRAD_ROWS = 96, TILES_EACH = 3 };

typedef struct linear_job {
    md_tape *tape;
    const md_kernels *k;
    md_row_tiles tiles;
    int64_t col_tiles;
    int col_tile; /* columns in one */
    int K, M;
    const char *rounded; /* x, or NULL; a row has this many bytes: */
    size_t row_bytes;
    const md_real *x, *w, *residual, *dy;
    const void *packed; /* w^T (forward); w, then x (backward) */
    md_real *y, *dx, *dw;
    bool add;
} linear_job;

static int64_t tile_count(int64_t n, int64_t tile) {
    return (n + tile - 1) / tile;
}

static int tile_size(int64_t n, int64_t tile, int64_t i) {
    int64_t left = n - i * tile;
    return (int)(left < tile ? left : tile);
}

/* Cuts columns, in whole panels: where there are few tiles of rows, into more, to give several
 * threads something to do. */
static void choose_columns(linear_job *j, int cols, int64_t row_tiles) {
    int64_t pieces = tile_count(TASKS, row_tiles), panel = j->k->panel;
    int64_t tile = tile_count(tile_count(cols, pieces), panel) * panel;
    j->col_tile = tile > COL_TILE ? COL_TILE : (int)tile;
    j->col_tiles = tile_count(cols, j->col_tile);
}

static void forward_tile(void *context, int64_t task, int worker) {
    const linear_job *j = context;
    (void)worker;
    int64_t first;
    int rows, cols = tile_size(j->M, j->col_tile, task % j->col_tiles);
    int64_t col = task % j->col_tiles * j->col_tile;
    md_tile_range(&j->tiles, task / j->col_tiles, &first, &rows);
    md_real *y = j->y + first * j->M + col;
    if (j->residual) {
        for (int r = 0; r < rows; r++) {
            int64_t row = (int64_t)r * j->M;
            memcpy(y + row, j->residual + first * j->M + col + row, (size_t)cols * sizeof *y);
        }
    }
    j->k->gemm_packed(
        &(md_gemm){.m = rows,
                   .n = cols,
                   .k = j->K,
                   .a = j->x + first * j->K,
                   .lda = j->K,
                   .rounded = j->rounded ? j->rounded + (size_t)first * j->row_bytes : NULL,
                   .packed = j->packed,
                   .packed_col = (int)col,
                   .add = j->residual,
                   .c = y,
                   .ldc = j->M});
}

/* dx[rows, K tile] = dy[rows, M] w[M, K tile] */
static void input_tile(void *context, int64_t task, int worker) {
    const linear_job *j = context;
    (void)worker;
    int64_t first, col = task % j->col_tiles * j->col_tile;
    int rows, cols = tile_size(j->K, j->col_tile, task % j->col_tiles);
    md_tile_range(&j->tiles, task / j->col_tiles, &first, &rows);
    j->k->gemm_packed(&(md_gemm){.m = rows,
                                 .n = cols,
                                 .k = j->M,
                                 .a = j->dy + first * j->M,
                                 .lda = j->M,
                                 .packed = j->packed,
                                 .packed_col = (int)col,
                                 .add = j->add,
                                 .c = j->dx + first * j->K + col,
                                 .ldc = j->K});
}

/* dw[M tile, K tile] += dy[N, M tile]^T x[N, K tile] */
static void weight_tile(void *context, int64_t task, int worker) {
    const linear_job *j = context;
    (void)worker;
    int64_t row = task / j->col_tiles * GRAD_ROWS, col = task % j->col_tiles * j->col_tile;
    j->k->gemm_packed(&(md_gemm){.trans_a = true,
                                 .m = tile_size(j->M, GRAD_ROWS, task / j->col_tiles),
                                 .n = tile_size(j->K, j->col_tile, task % j->col_tiles),
                                 .k = (int)j->tiles.rows,
                                 .a = j->dy + row,
                                 .lda = j->M,
                                 .packed = j->packed,
                                 .packed_col = (int)col,
                                 .add = j->add,
                                 .c = j->dw + row * j->K + col,
                                 .ldc = j->K});
}

static void weight_gradient(md_tape *tape, linear_job *j) {
    int64_t row_tiles = tile_count(j->M, GRAD_ROWS);
    choose_columns(j, j->K, row_tiles);
    md_pack pack = {.n = j->K, .k = (int)j->tiles.rows, .b = j->x, .ldb = j->K};
    j->packed = md_tape_pack(tape, 0, pack);
    if (j->packed) md_tape_parallel(tape, "linear dw", row_tiles * j->col_tiles, weight_tile, j);
}

typedef struct linear_node {
    md_node node;
    md_tensor *x, *w, *residual;
} linear_node;

static void linear_backward(md_tape *tape, md_node *node) {
    linear_node *n = (linear_node *)node;
    linear_job j = {.tape = tape,
                    .k = md_tape_kernels(tape),
                    .tiles = md_tile_rows(tape, n->x),
                    .K = (int)n->w->dim[1],
                    .M = (int)n->w->dim[0],
                    .x = n->x->data,
                    .w = n->w->data,
                    .dy = node->out->grad};
    j.dw = md_grad_begin(tape, n->w, &j.add);
    if (j.dw) weight_gradient(tape, &j);
    j.dx = md_grad_begin(tape, n->x, &j.add); /* may be x itself, which dw has read */
    if (j.dx) j.packed = md_tape_pack(tape, 0, (md_pack){.n = j.K, .k = j.M, .b = j.w, .ldb = j.K});
    if (j.dx && j.packed) {
        choose_columns(&j, j.K, j.tiles.per_group);
        md_tape_parallel(tape, "linear dx", j.tiles.count * j.col_tiles, input_tile, &j);
    }
    md_grad_pass(tape, node->out, n->residual);
}

md_tensor *md_linear(md_tape *tape, md_tensor *x, md_tensor *w, md_tensor *residual) {
    if (!x || !w) return NULL;
    MD_BUG_IF(w->rank != 2 || md_tensor_cols(x) != w->dim[1] || x->rank < 2);
    int64_t dim[MD_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = w->dim[0];
    md_tensor *y = md_tape_tensor(tape, x->rank, dim);
    if (!y) return NULL;
    MD_BUG_IF(residual && md_tensor_size(residual) != md_tensor_size(y));
    linear_job j = {.tape = tape,
                    .k = md_tape_kernels(tape),
                    .tiles = md_tile_rows(tape, x),
                    .K = (int)w->dim[1],
                    .M = (int)w->dim[0],
                    .x = x->data,
                    .w = w->data,
                    .residual = residual ? residual->data : NULL,
                    .y = y->data};
    md_pack pack = {.trans = true, .n = j.M, .k = j.K, .b = j.w, .ldb = j.K};
    j.packed = w->packed ? w->packed : md_tape_pack(tape, 0, pack);
    if (!j.packed) return NULL;
    choose_columns(&j, j.M, j.tiles.per_group);
    if (j.k->round_rows && j.col_tiles > TILES_EACH) {
        j.row_bytes = j.k->rounded_bytes(j.K);
        j.rounded = md_tape_round(tape, x);
        if (!j.rounded) return NULL;
    }
    md_tape_parallel(tape, "linear", j.tiles.count * j.col_tiles, forward_tile, &j);
    if (md_tape_wants(tape, x) || md_tape_wants(tape, w) || md_tape_wants(tape, residual)) {
        linear_node *n = md_tape_node(tape, sizeof *n, linear_backward, y);
        if (n) n->x = x, n->w = w, n->residual = residual;
    }
    return y;
}
