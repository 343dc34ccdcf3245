/* tensor/op_loss.c: losses whose gradients are known on the way forward: one that was worked out
 * elsewhere; output projection and weighted cross-entropy in one.
 *
 * Logits [N, V] never exist as a whole: rows go through in chunks of at most LOGITS elements. With
 * a tape, each chunk's logits become their own gradient, which is spent on dh and dw at once; what
 * is left for backward is to hand dh on.
 */
#include "tensor/ops_image.h"
#include "tensor/tape_internal.h"

#include <string.h>

enum { CE_ROWS = 128, CE_COLS = 48 };
static const int64_t LOGITS = 1 << 22;

typedef struct known_node {
    md_node node;
    md_tensor *x;
    const md_real *gradient;
} known_node;

static void known_backward(md_tape *tape, md_node *node) {
    known_node *n = (known_node *)node;
    bool add;
    MD_BUG_IF(*node->out->grad != 1); /* the loss must be the root */
    md_real *dx = md_grad_begin(tape, n->x, &add);
    if (dx) md_grad_add(tape, md_tensor_size(n->x), n->gradient, add, dx);
}

md_tensor *md_known_loss(md_tape *tape, md_tensor *x, double value, const md_real *gradient) {
    md_tensor *y = x ? md_tape_matrix(tape, 1, 1) : NULL;
    if (!y) return NULL;
    *y->data = (md_real)value;
    if (!md_tape_wants(tape, x)) return y;
    size_t size = (size_t)md_tensor_size(x);
    md_real *copy = md_tape_alloc(tape, size, sizeof *copy);
    known_node *n = copy ? md_tape_node(tape, sizeof *n, known_backward, y) : NULL;
    if (!n) return NULL;
    memcpy(copy, gradient, size * sizeof *copy);
    n->x = x, n->gradient = copy;
    return y;
}

/* --- cross-entropy --------------------------------------------------------------------------- */

typedef struct ce_job {
    const md_kernels *k;
    int64_t first, rows; /* the current chunk */
    int C, V;
    const md_real *h, *w;
    const void *packed, *packed_back; /* w^T and w */
    const void *packed_h;             /* the chunk of h */
    const md_cross_entropy_args *args;
    md_real *logits; /* [rows, V] */
    md_real *loss;   /* [N] */
    md_real *dh, *dw;
    bool record, add_dw;
} ce_job;

static void row_tile(void *context, int64_t tile, int worker) {
    const ce_job *j = context;
    (void)worker;
    int64_t inside = tile * CE_ROWS, row = j->first + inside;
    int rows = (int)(j->rows - inside < CE_ROWS ? j->rows - inside : CE_ROWS);
    md_real *logits = j->logits + inside * j->V;
    j->k->gemm_packed(&(md_gemm){.m = rows,
                                 .n = j->V,
                                 .k = j->C,
                                 .a = j->h + row * j->C,
                                 .lda = j->C,
                                 .packed = j->packed,
                                 .c = logits,
                                 .ldc = j->V});
    j->k->cross_entropy(rows, j->V, j->args->banned, j->args->target + row, j->args->weight + row,
                        j->record, logits, j->loss + row);
    if (!j->dh) return;
    j->k->gemm_packed(&(md_gemm){.m = rows,
                                 .n = j->C,
                                 .k = j->V,
                                 .a = logits,
                                 .lda = j->V,
                                 .packed = j->packed_back,
                                 .c = j->dh + row * j->C,
                                 .ldc = j->C});
}

/* dw[V tile, C] += dlogits[rows, V tile]^T h[rows, C] */
static void weight_tile(void *context, int64_t tile, int worker) {
    const ce_job *j = context;
    (void)worker;
    int64_t v = tile * CE_COLS;
    j->k->gemm_packed(&(md_gemm){.trans_a = true,
                                 .m = (int)(j->V - v < CE_COLS ? j->V - v : CE_COLS),
                                 .n = j->C,
                                 .k = (int)j->rows,
                                 .a = j->logits + v,
                                 .lda = j->V,
                                 .packed = j->packed_h,
                                 .add = j->add_dw,
                                 .c = j->dw + v * j->C,
                                 .ldc = j->C});
}

static void run_chunks(md_tape *tape, ce_job *j, int64_t N, int64_t chunk) {
    for (j->first = 0; j->first < N; j->first += chunk) {
        j->rows = N - j->first < chunk ? N - j->first : chunk;
        md_tape_parallel(tape, "head, loss", (j->rows + CE_ROWS - 1) / CE_ROWS, row_tile, j);
        if (!j->dw) continue;
        md_pack pack = {.n = j->C, .k = (int)j->rows, .b = j->h + j->first * j->C, .ldb = j->C};
        j->packed_h = md_tape_pack(tape, 2, pack);
        if (!j->packed_h) return;
        md_tape_parallel(tape, "head dw", (j->V + CE_COLS - 1) / CE_COLS, weight_tile, j);
        j->add_dw = true;
    }
}

static int64_t chunk_rows(int64_t N, int64_t V) {
    int64_t rows = LOGITS / V / CE_ROWS * CE_ROWS;
    if (rows < CE_ROWS) rows = CE_ROWS;
    return rows < N ? rows : N;
}

md_tensor *md_linear_cross_entropy(md_tape *tape, md_tensor *h, md_tensor *w,
                                   const md_cross_entropy_args *args) {
    if (!h || !w) return NULL;
    int64_t N = md_tensor_rows(h), chunk = chunk_rows(N, w->dim[0]);
    MD_BUG_IF(w->rank != 2 || w->dim[1] != md_tensor_cols(h));
    ce_job j = {.k = md_tape_kernels(tape),
                .C = (int)w->dim[1],
                .V = (int)w->dim[0],
                .h = h->data,
                .w = w->data,
                .args = args};
    j.record = md_tape_wants(tape, h) || md_tape_wants(tape, w);
    md_tensor *y = md_tape_matrix(tape, 1, 1);
    j.logits = md_tape_alloc(tape, (size_t)(chunk * j.V), sizeof *j.logits);
    j.loss = args->row_loss ? args->row_loss : md_tape_alloc(tape, (size_t)N, sizeof *j.loss);
    if (md_tape_wants(tape, h)) j.dh = md_tape_alloc(tape, (size_t)(N * j.C), sizeof *j.dh);
    if (!y || md_tape_status(tape, NULL) != MDLM_OK) return NULL;
    if (md_tape_wants(tape, w)) j.dw = md_grad_begin(tape, w, &j.add_dw);
    md_pack forward = {.trans = true, .n = j.V, .k = j.C, .b = j.w, .ldb = j.C};
    j.packed = md_tape_pack(tape, 0, forward);
    if (j.dh)
        j.packed_back = md_tape_pack(tape, 1, (md_pack){.n = j.C, .k = j.V, .b = j.w, .ldb = j.C});
    if (!j.packed || (j.dh && !j.packed_back)) return NULL;
    run_chunks(tape, &j, N, chunk);
    double sum = 0;
    for (int64_t n = 0; n < N; n++) sum += (double)args->weight[n] * (double)j.loss[n];
    *y->data = (md_real)sum;
    if (j.record) {
        known_node *n = md_tape_node(tape, sizeof *n, known_backward, y);
        if (n) n->x = h, n->gradient = j.dh;
    }
    return y;
}
