/* tensor/op_rows.c: operators that pick or regroup rows: embedding, gather, reshape; and a probe
 * for tests. */
#include "tensor/tape_internal.h"

#include <string.h>

/* Columns are split over workers in backward, so rows that meet add up in a fixed order. */
enum { COLUMN_TILE = 64 };

typedef struct rows_node {
    md_node node;
    md_tensor *x;
    const int32_t *rows;
    int64_t count;
} rows_node;

typedef struct scatter_job {
    const rows_node *n;
    const md_real *dy;
    md_real *dx;
    int64_t C;
} scatter_job;

static void scatter_tile(void *context, int64_t tile, int worker) {
    const scatter_job *j = context;
    (void)worker;
    int64_t c0 = tile * COLUMN_TILE, c1 = c0 + COLUMN_TILE < j->C ? c0 + COLUMN_TILE : j->C;
    for (int64_t i = 0; i < j->n->count; i++) {
        const md_real *dy = j->dy + i * j->C;
        md_real *dx = j->dx + (int64_t)j->n->rows[i] * j->C;
        for (int64_t c = c0; c < c1; c++) dx[c] += dy[c];
    }
}

static void rows_backward(md_tape *tape, md_node *node) {
    rows_node *n = (rows_node *)node;
    bool add;
    md_real *dx = md_grad_begin(tape, n->x, &add);
    if (!dx) return;
    if (!add) memset(dx, 0, (size_t)md_tensor_size(n->x) * sizeof *dx);
    scatter_job j = {.n = n, .dy = node->out->grad, .dx = dx, .C = md_tensor_cols(n->x)};
    md_tape_parallel(tape, "embedding backward", (j.C + COLUMN_TILE - 1) / COLUMN_TILE,
                     scatter_tile, &j);
}

static md_tensor *pick_rows(md_tape *tape, md_tensor *x, const int32_t *rows, int64_t count) {
    if (!x) return NULL;
    int64_t N = md_tensor_rows(x), C = md_tensor_cols(x);
    md_tensor *y = md_tape_matrix(tape, count, C);
    int32_t *copy = md_tape_alloc(tape, (size_t)count, sizeof *copy);
    if (!y || !copy) return NULL;
    memcpy(copy, rows, (size_t)count * sizeof *copy);
    for (int64_t i = 0; i < count; i++) {
        MD_BUG_IF(rows[i] < 0 || rows[i] >= N);
        memcpy(y->data + i * C, x->data + rows[i] * C, (size_t)C * sizeof *y->data);
    }
    if (md_tape_wants(tape, x)) {
        rows_node *n = md_tape_node(tape, sizeof *n, rows_backward, y);
        if (n) n->x = x, n->rows = copy, n->count = count;
    }
    return y;
}

md_tensor *md_embedding(md_tape *tape, md_tensor *w, const int32_t *ids, int64_t count) {
    return pick_rows(tape, w, ids, count);
}

md_tensor *md_gather_rows(md_tape *tape, md_tensor *x, const int32_t *rows, int64_t count) {
    return pick_rows(tape, x, rows, count);
}

typedef struct dot_node {
    md_node node;
    md_tensor *a;
    const md_real *b;
} dot_node;

static void dot_backward(md_tape *tape, md_node *node) {
    dot_node *n = (dot_node *)node;
    bool add;
    md_real *da = md_grad_begin(tape, n->a, &add), dy = *node->out->grad;
    int64_t size = md_tensor_size(n->a);
    for (int64_t i = 0; da && i < size; i++) da[i] = (add ? da[i] : 0) + dy * n->b[i];
}

md_tensor *md_dot_constant(md_tape *tape, md_tensor *a, const md_real *b) {
    md_tensor *y = a ? md_tape_matrix(tape, 1, 1) : NULL;
    if (!y) return NULL;
    int64_t size = md_tensor_size(a);
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += (double)a->data[i] * (double)b[i];
    *y->data = (md_real)sum;
    if (md_tape_wants(tape, a)) {
        dot_node *n = md_tape_node(tape, sizeof *n, dot_backward, y);
        if (n) n->a = a, n->b = b;
    }
    return y;
}

/* --- views ---------------------------------------------------------------------------------- */

md_tensor *md_spent(md_tensor *x) {
    if (x) x->spent = true;
    return x;
}

typedef struct reshape_node {
    md_node node;
    md_tensor *x;
} reshape_node;

static void reshape_backward(md_tape *tape, md_node *node) {
    md_grad_pass(tape, node->out, ((reshape_node *)node)->x);
}

md_tensor *md_reshape(md_tape *tape, md_tensor *x, int rank, const int64_t *dim) {
    md_tensor *y = x ? md_tape_alloc(tape, 1, sizeof *y) : NULL;
    if (!y) return NULL;
    *y = (md_tensor){.rank = rank, .data = x->data};
    for (int i = 0; i < MD_MAX_RANK; i++) y->dim[i] = i < rank ? dim[i] : 1;
    MD_BUG_IF(md_tensor_size(y) != md_tensor_size(x));
    if (md_tape_wants(tape, x)) {
        reshape_node *n = md_tape_node(tape, sizeof *n, reshape_backward, y);
        if (n) n->x = x;
    }
    return y;
}
