/* tensor/op_pointwise.c: SwiGLU, SiLU, GELU, sum, dropout. */
#include "tensor/ops_image.h"
#include "tensor/tape_internal.h"

#include <string.h>

typedef struct swiglu_job {
    const md_kernels *k;
    md_row_tiles tiles;
    int F;
    const md_real *x, *dy;
    md_real *y, *dx;
    bool add;
} swiglu_job;

static void swiglu_tile(void *context, int64_t tile, int worker) {
    const swiglu_job *j = context;
    int64_t first;
    int rows;
    (void)worker;
    md_tile_range(&j->tiles, tile, &first, &rows);
    const md_real *x = j->x + first * 2 * j->F;
    if (j->dx) {
        j->k->swiglu_backward(rows, j->F, x, j->dy + first * j->F, j->add,
                              j->dx + first * 2 * j->F);
    } else {
        j->k->swiglu(rows, j->F, x, j->y + first * j->F);
    }
}

typedef struct unary_node {
    md_node node;
    md_tensor *x;
} unary_node;

static void swiglu_backward(md_tape *tape, md_node *node) {
    md_tensor *x = ((unary_node *)node)->x;
    swiglu_job j = {.k = md_tape_kernels(tape),
                    .tiles = md_tile_rows(tape, x),
                    .F = (int)md_tensor_cols(node->out),
                    .x = x->data,
                    .dy = node->out->grad};
    j.dx = md_grad_begin(tape, x, &j.add);
    if (j.dx) md_tape_parallel(tape, "swiglu backward", j.tiles.count, swiglu_tile, &j);
}

md_tensor *md_swiglu(md_tape *tape, md_tensor *x) {
    if (!x) return NULL;
    MD_BUG_IF(md_tensor_cols(x) % 2);
    int64_t dim[MD_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] /= 2;
    md_tensor *y = md_tape_tensor(tape, x->rank, dim);
    if (!y) return NULL;
    swiglu_job j = {.k = md_tape_kernels(tape),
                    .tiles = md_tile_rows(tape, x),
                    .F = (int)md_tensor_cols(y),
                    .x = x->data,
                    .y = y->data};
    md_tape_parallel(tape, "swiglu", j.tiles.count, swiglu_tile, &j);
    if (md_tape_wants(tape, x)) {
        unary_node *n = md_tape_node(tape, sizeof *n, swiglu_backward, y);
        if (n) n->x = x;
    }
    return y;
}

/* Functions of one number, SiLU and GELU. */
typedef struct curve {
    const char *name, *backward_name;
    void (*forward)(int64_t n, const md_real *x, md_real *y);
    void (*backward)(int64_t n, const md_real *x, const md_real *dy, bool add, md_real *dx);
} curve;

typedef struct curve_job {
    curve of;
    int64_t size;
    const md_real *x, *dy;
    md_real *y, *dx;
    bool add;
} curve_job;

static void curve_tile(void *context, int64_t tile, int worker) {
    const curve_job *j = context;
    int64_t first = tile * MD_FLAT_TILE, left = j->size - first;
    int64_t n = left < MD_FLAT_TILE ? left : MD_FLAT_TILE;
    (void)worker;
    if (j->dx) {
        j->of.backward(n, j->x + first, j->dy + first, j->add, j->dx + first);
    } else {
        j->of.forward(n, j->x + first, j->y + first);
    }
}

typedef struct curve_node {
    md_node node;
    md_tensor *x;
    curve of;
} curve_node;

static void curve_backward(md_tape *tape, md_node *node) {
    const curve_node *n = (curve_node *)node;
    md_tensor *x = n->x;
    curve_job j = {.of = n->of, .size = md_tensor_size(x), .x = x->data, .dy = node->out->grad};
    j.dx = md_grad_begin(tape, x, &j.add);
    if (!j.dx) return;
    md_tape_parallel(tape, n->of.backward_name, (j.size + MD_FLAT_TILE - 1) / MD_FLAT_TILE,
                     curve_tile, &j);
}

static md_tensor *follow(md_tape *tape, curve of, md_tensor *x) {
    md_tensor *y = x ? md_tape_tensor(tape, x->rank, x->dim) : NULL;
    if (!y) return NULL;
    curve_job j = {.of = of, .size = md_tensor_size(x), .x = x->data, .y = y->data};
    md_tape_parallel(tape, of.name, (j.size + MD_FLAT_TILE - 1) / MD_FLAT_TILE, curve_tile, &j);
    if (md_tape_wants(tape, x)) {
        curve_node *n = md_tape_node(tape, sizeof *n, curve_backward, y);
        if (n) n->x = x, n->of = of;
    }
    return y;
}

md_tensor *md_silu(md_tape *tape, md_tensor *x) {
    const md_kernels *k = md_tape_kernels(tape);
    return follow(tape, (curve){"silu", "silu backward", k->silu, k->silu_backward}, x);
}

md_tensor *md_gelu(md_tape *tape, md_tensor *x) {
    const md_kernels *k = md_tape_kernels(tape);
    return follow(tape, (curve){"gelu", "gelu backward", k->gelu, k->gelu_backward}, x);
}

typedef struct add_job {
    const md_kernels *k;
    int64_t size;
    const md_real *a, *b;
    md_real *y;
} add_job;

static void add_tile(void *context, int64_t tile, int worker) {
    const add_job *j = context;
    int64_t first = tile * MD_FLAT_TILE, left = j->size - first;
    (void)worker;
    j->k->add(left < MD_FLAT_TILE ? left : MD_FLAT_TILE, j->a + first, j->b + first, j->y + first);
}

typedef struct add_node {
    md_node node;
    md_tensor *a, *b;
} add_node;

static void add_backward(md_tape *tape, md_node *node) {
    add_node *n = (add_node *)node;
    int64_t size = md_tensor_size(node->out);
    bool add;
    md_real *da = md_grad_begin(tape, n->a, &add);
    if (da) md_grad_add(tape, size, node->out->grad, add, da);
    md_grad_pass(tape, node->out, n->b);
}

md_tensor *md_add(md_tape *tape, md_tensor *a, md_tensor *b) {
    if (!a || !b) return NULL;
    MD_BUG_IF(md_tensor_size(a) != md_tensor_size(b));
    md_tensor *y = md_tape_tensor(tape, a->rank, a->dim);
    if (!y) return NULL;
    add_job j = {.k = md_tape_kernels(tape),
                 .size = md_tensor_size(y),
                 .a = a->data,
                 .b = b->data,
                 .y = y->data};
    md_tape_parallel(tape, "add", (j.size + MD_FLAT_TILE - 1) / MD_FLAT_TILE, add_tile, &j);
    if (md_tape_wants(tape, a) || md_tape_wants(tape, b)) {
        add_node *n = md_tape_node(tape, sizeof *n, add_backward, y);
        if (n) n->a = a, n->b = b;
    }
    return y;
}

/* A row's mask is drawn again in backward: nothing is stored. Four elements share one counter. */
typedef struct dropout_job {
    md_rng rng;
    uint32_t index; /* of this operator in the step */
    int64_t C;
    uint32_t threshold; /* drop when the 32-bit draw is below */
    md_real scale;
    const md_real *from;
    md_real *to;
    bool add;
} dropout_job;

enum { DROPOUT_ROWS = 64, DROPOUT_COLUMN_BITS = 20 };

static void dropout_row(const dropout_job *j, int64_t row) {
    const md_real *from = j->from + row * j->C;
    md_real *to = j->to + row * j->C;
    uint32_t bits[4];
    for (int64_t c = 0; c < j->C; c++) {
        uint32_t place = (j->index << DROPOUT_COLUMN_BITS) + (uint32_t)(c / 4);
        if (c % 4 == 0) md_rng_bits(j->rng, (uint32_t)row, place, bits);
        md_real v = bits[c % 4] < j->threshold ? 0 : from[c] * j->scale;
        to[c] = j->add ? to[c] + v : v;
    }
}

typedef struct dropout_node {
    md_node node;
    md_tensor *x;
    dropout_job job;
    int64_t rows;
} dropout_node;

typedef struct dropout_run {
    const dropout_job *job;
    int64_t rows;
} dropout_run;

static void dropout_tile(void *context, int64_t tile, int worker) {
    const dropout_run *run = context;
    (void)worker;
    int64_t end = (tile + 1) * DROPOUT_ROWS;
    if (end > run->rows) end = run->rows;
    for (int64_t r = tile * DROPOUT_ROWS; r < end; r++) dropout_row(run->job, r);
}

static void dropout_apply(md_tape *tape, const dropout_job *job, int64_t rows) {
    dropout_run run = {.job = job, .rows = rows};
    md_tape_parallel(tape, "dropout", (rows + DROPOUT_ROWS - 1) / DROPOUT_ROWS, dropout_tile, &run);
}

static void dropout_backward(md_tape *tape, md_node *node) {
    dropout_node *n = (dropout_node *)node;
    n->job.from = node->out->grad;
    n->job.to = md_grad_begin(tape, n->x, &n->job.add);
    if (n->job.to) dropout_apply(tape, &n->job, n->rows);
}

md_tensor *md_dropout(md_tape *tape, md_tensor *x, double p) {
    if (!x || p <= 0 || !md_tape_recording(tape)) return x;
    MD_BUG_IF(p >= 1 || md_tensor_cols(x) / 4 >= 1 << DROPOUT_COLUMN_BITS);
    md_tensor *y = md_tape_tensor(tape, x->rank, x->dim);
    if (!y) return NULL;
    dropout_job j = {.C = md_tensor_cols(x),
                     .threshold = (uint32_t)(p * 4294967296.0),
                     .scale = (md_real)(1 / (1 - p)),
                     .from = x->data,
                     .to = y->data};
    j.rng = md_tape_next_dropout(tape, &j.index);
    dropout_apply(tape, &j, md_tensor_rows(x));
    if (md_tape_wants(tape, x)) {
        dropout_node *n = md_tape_node(tape, sizeof *n, dropout_backward, y);
        if (n) n->x = x, n->job = j, n->rows = md_tensor_rows(x);
    }
    return y;
}
