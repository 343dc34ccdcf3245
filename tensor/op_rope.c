/* tensor/op_rope.c: rotary positions. */
#include "tensor/tape_internal.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

mdlm_status md_rope_table_init(md_rope_table *table, int positions, int D, double theta,
                               mdlm_error *err) {
    *table = (md_rope_table){.D = D, .theta = theta};
    return md_rope_table_reserve(table, positions, err);
}

mdlm_status md_rope_table_reserve(md_rope_table *table, int positions, mdlm_error *err) {
    int half = table->D / 2;
    if (positions <= table->positions) return MDLM_OK;
    md_real *cos_ = md_alloc((size_t)positions * half, sizeof *cos_, err);
    md_real *sin_ = md_alloc((size_t)positions * half, sizeof *sin_, err);
    if (!cos_ || !sin_) {
        md_free(cos_);
        md_free(sin_);
        return MDLM_RUNTIME;
    }
    for (int i = 0; i < half; i++) {
        double speed = pow(table->theta, -2.0 * i / table->D);
        for (int p = 0; p < positions; p++) {
            cos_[(size_t)p * half + i] = (md_real)cos(p * speed);
            sin_[(size_t)p * half + i] = (md_real)sin(p * speed);
        }
    }
    md_free(table->cos);
    md_free(table->sin);
    table->positions = positions, table->cos = cos_, table->sin = sin_;
    return MDLM_OK;
}

void md_rope_table_release(md_rope_table *table) {
    md_free(table->cos);
    md_free(table->sin);
    *table = (md_rope_table){0};
}

typedef struct rope_job {
    const md_kernels *k;
    const md_rope_table *table;
    int64_t period; /* rows from one row of position `first` to the next */
    int first;
    int heads, stride, tiles; /* tiles: per period */
    md_real sign;
    md_real *x;
} rope_job;

static void rope_tile(void *context, int64_t task, int worker) {
    const rope_job *j = context;
    (void)worker;
    int64_t first = task % j->tiles * MD_ROW_TILE;
    int64_t rows = j->period - first < MD_ROW_TILE ? j->period - first : MD_ROW_TILE;
    int64_t angle = (j->first + first) * (j->table->D / 2);
    md_real *x = j->x + (task / j->tiles * j->period + first) * j->stride;
    j->k->rope((int)rows, j->heads, j->table->D, j->stride, j->table->cos + angle,
               j->table->sin + angle, j->sign, x);
}

typedef struct rope_node {
    md_node node;
    md_tensor *x;
    int heads;
    const md_rope_table *table;
    md_rope_positions at;
} rope_node;

/* Rotates `data`, laid out as n->x, forward or back. */
static void rotate(md_tape *tape, const rope_node *n, md_real sign, md_real *data) {
    int64_t T = n->x->dim[1], period = n->at.period ? n->at.period : T;
    rope_job j = {.k = md_tape_kernels(tape),
                  .table = n->table,
                  .period = period,
                  .first = n->at.first,
                  .heads = n->heads,
                  .stride = (int)n->x->dim[2],
                  .tiles = (int)((period + MD_ROW_TILE - 1) / MD_ROW_TILE),
                  .sign = sign,
                  .x = data};
    int64_t periods = T ? n->x->dim[0] * (T / period) : 0;
    md_tape_parallel(tape, "rope", periods * j.tiles, rope_tile, &j);
}

static void rope_backward(md_tape *tape, md_node *node) {
    rope_node *n = (rope_node *)node;
    rotate(tape, n, -1, node->out->grad);
    md_grad_pass(tape, node->out, n->x);
}

md_tensor *md_rope(md_tape *tape, md_tensor *x, int heads, const md_rope_table *table,
                   md_rope_positions at) {
    if (!x) return NULL;
    MD_BUG_IF(x->rank != 3 || x->dim[2] < (int64_t)heads * table->D || at.first < 0);
    MD_BUG_IF(at.period && x->dim[1] % at.period);
    int64_t end = at.first + (at.period ? at.period : x->dim[1]);
    if (end > table->positions) {
        md_tape_fail(tape, MDLM_USAGE,
                     "a sequence of %lld tokens is longer than the %d positions "
                     "of this model",
                     (long long)end, table->positions);
        return NULL;
    }
    const rope_node call = {.x = x, .heads = heads, .table = table, .at = at};
    rotate(tape, &call, 1, x->data);
    md_tensor *y = md_tape_alloc(tape, 1, sizeof *y);
    if (!y) return NULL;
    *y = (md_tensor){.rank = 3, .data = x->data};
    memcpy(y->dim, x->dim, sizeof y->dim);
    if (md_tape_wants(tape, x)) {
        rope_node *n = md_tape_node(tape, sizeof *n, rope_backward, y);
        if (n) n->x = x, n->heads = heads, n->table = table, n->at = at;
    }
    return y;
}
