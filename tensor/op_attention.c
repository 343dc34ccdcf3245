/* tensor/op_attention.c: rotary positions and scaled dot-product attention.
 *
 * One task per sequence and key/value head, so that the gradients of a shared key head add up in
 * order. Scores of MD_QUERY_TILE query rows exist at a time, in the worker's scratch.
 */
#include "tensor/tape_internal.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

enum { MD_QUERY_TILE = 128 };

/* --- rotary position embedding --------------------------------------------------------------- */

mdlm_status md_rope_table_init(md_rope_table *table, int positions, int D, double theta,
                               mdlm_error *err) {
    int half = D / 2;
    md_real *cos_ = md_alloc((size_t)positions * half, sizeof *cos_, err);
    md_real *sin_ = md_alloc((size_t)positions * half, sizeof *sin_, err);
    if (!cos_ || !sin_) {
        md_free(cos_);
        md_free(sin_);
        return MDLM_RUNTIME;
    }
    for (int p = 0; p < positions; p++) {
        for (int i = 0; i < half; i++) {
            double angle = p * pow(theta, -2.0 * i / D);
            cos_[(size_t)p * half + i] = (md_real)cos(angle);
            sin_[(size_t)p * half + i] = (md_real)sin(angle);
        }
    }
    *table = (md_rope_table){.positions = positions, .D = D, .cos = cos_, .sin = sin_};
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
    int64_t T;
    int heads, stride, tiles; /* tiles: per sequence */
    md_real sign;
    md_real *x;
} rope_job;

static void rope_tile(void *context, int64_t task, int worker) {
    const rope_job *j = context;
    (void)worker;
    int64_t first = task % j->tiles * MD_ROW_TILE;
    int64_t rows = j->T - first < MD_ROW_TILE ? j->T - first : MD_ROW_TILE;
    int64_t angle = first * (j->table->D / 2);
    md_real *x = j->x + (task / j->tiles * j->T + first) * j->stride;
    j->k->rope((int)rows, j->heads, j->table->D, j->stride, j->table->cos + angle,
               j->table->sin + angle, j->sign, x);
}

static void rope_apply(md_tape *tape, rope_job *j, int64_t B) {
    j->k = md_tape_kernels(tape);
    j->tiles = (int)((j->T + MD_ROW_TILE - 1) / MD_ROW_TILE);
    md_tape_parallel(tape, "rope", B * j->tiles, rope_tile, j);
}

typedef struct rope_node {
    md_node node;
    md_tensor *x;
    int heads;
    const md_rope_table *table;
} rope_node;

static void rope_backward(md_tape *tape, md_node *node) {
    rope_node *n = (rope_node *)node;
    rope_job j = {.table = n->table,
                  .T = n->x->dim[1],
                  .heads = n->heads,
                  .stride = (int)n->x->dim[2],
                  .sign = -1,
                  .x = node->out->grad};
    rope_apply(tape, &j, n->x->dim[0]);
    md_grad_pass(tape, node->out, n->x);
}

md_tensor *md_rope(md_tape *tape, md_tensor *x, int heads, const md_rope_table *table) {
    if (!x) return NULL;
    MD_BUG_IF(x->rank != 3 || x->dim[2] < (int64_t)heads * table->D);
    if (x->dim[1] > table->positions) {
        md_tape_fail(tape, MDLM_USAGE,
                     "a sequence of %lld tokens is longer than the %d positions "
                     "of this model",
                     (long long)x->dim[1], table->positions);
        return NULL;
    }
    rope_job j = {.table = table,
                  .T = x->dim[1],
                  .heads = heads,
                  .stride = (int)x->dim[2],
                  .sign = 1,
                  .x = x->data};
    rope_apply(tape, &j, x->dim[0]);
    md_tensor *y = md_tape_alloc(tape, 1, sizeof *y);
    if (!y) return NULL;
    *y = (md_tensor){.rank = 3, .data = x->data};
    memcpy(y->dim, x->dim, sizeof y->dim);
    if (md_tape_wants(tape, x)) {
        rope_node *n = md_tape_node(tape, sizeof *n, rope_backward, y);
        if (n) n->x = x, n->heads = heads, n->table = table;
    }
    return y;
}

/* --- attention ------------------------------------------------------------------------------- */

typedef struct attention_job {
    md_tape *tape;
    const md_kernels *k;
    md_attention_shape shape;
    int T, stride, width; /* stride of a qkv row, width of an output row */
    md_real scale;
    const md_real *qkv, *y, *dy;
    md_real *out, *dqkv;
    md_real *lse; /* [B, H, T] */
    bool add;
} attention_job;

/* Where one task's key/value head lies. */
typedef struct kv_place {
    int64_t row; /* first row of the sequence */
    int kv, first_head, heads;
    int64_t b;
} kv_place;

static kv_place place_of(const attention_job *j, int64_t task) {
    int share = j->shape.heads / j->shape.kv_heads;
    kv_place p = {.b = task / j->shape.kv_heads, .kv = (int)(task % j->shape.kv_heads)};
    p.row = p.b * j->T;
    p.first_head = p.kv * share;
    p.heads = share;
    return p;
}

static int64_t key_column(const attention_job *j, int kv) {
    return (int64_t)(j->shape.heads + kv) * j->shape.head_dim;
}

static int64_t value_column(const attention_job *j, int kv) {
    return (int64_t)(j->shape.heads + j->shape.kv_heads + kv) * j->shape.head_dim;
}

/* scores[rows, T] = q k^T */
static void scores_of(const attention_job *j, const md_real *q, const md_real *k, int rows,
                      md_real *scores) {
    j->k->gemm(&(md_gemm){.trans_b = true,
                          .m = rows,
                          .n = j->T,
                          .k = j->shape.head_dim,
                          .a = q,
                          .lda = j->stride,
                          .b = k,
                          .ldb = j->stride,
                          .c = scores,
                          .ldc = j->T});
}

static void forward_task(void *context, int64_t task, int worker) {
    const attention_job *j = context;
    kv_place p = place_of(j, task);
    md_real *scores = md_tape_scratch(j->tape, worker);
    const md_real *base = j->qkv + p.row * j->stride;
    const md_real *key = base + key_column(j, p.kv), *value = base + value_column(j, p.kv);
    int D = j->shape.head_dim;
    for (int h = p.first_head; h < p.first_head + p.heads; h++) {
        for (int t = 0; t < j->T; t += MD_QUERY_TILE) {
            int rows = j->T - t < MD_QUERY_TILE ? j->T - t : MD_QUERY_TILE;
            md_real *lse = j->lse + (p.b * j->shape.heads + h) * j->T + t;
            scores_of(j, base + (int64_t)t * j->stride + (int64_t)h * D, key, rows, scores);
            j->k->softmax(rows, j->T, j->T, j->scale, scores, lse);
            j->k->gemm(&(md_gemm){.m = rows,
                                  .n = D,
                                  .k = j->T,
                                  .a = scores,
                                  .lda = j->T,
                                  .b = value,
                                  .ldb = j->stride,
                                  .c = j->out + (p.row + t) * j->width + (int64_t)h * D,
                                  .ldc = j->width});
        }
    }
}

/* What the backward pass of one tile of query rows needs. */
typedef struct query_tile {
    int rows;
    bool first; /* the first contribution to this key head's gradients */
    const md_real *q, *k, *v, *y, *dy, *lse;
    md_real *dq, *dk, *dv;
    md_real *p, *dp, *delta; /* scratch: [rows, T] twice, [rows] */
} query_tile;

static void backward_tile(const attention_job *j, const query_tile *t) {
    int T = j->T, D = j->shape.head_dim, S = j->stride;
    bool add = j->add || !t->first;
    j->k->row_dot(t->rows, D, j->width, t->dy, t->y, t->delta);
    scores_of(j, t->q, t->k, t->rows, t->p);
    j->k->softmax_again(t->rows, T, T, j->scale, t->p, t->lse);
    j->k->gemm(&(md_gemm){.trans_a = true,
                          .m = T,
                          .n = D,
                          .k = t->rows,
                          .a = t->p,
                          .lda = T,
                          .b = t->dy,
                          .ldb = j->width,
                          .add = add,
                          .c = t->dv,
                          .ldc = S});
    j->k->gemm(&(md_gemm){.trans_b = true,
                          .m = t->rows,
                          .n = T,
                          .k = D,
                          .a = t->dy,
                          .lda = j->width,
                          .b = t->v,
                          .ldb = S,
                          .c = t->dp,
                          .ldc = T});
    j->k->softmax_backward(t->rows, T, T, j->scale, t->p, t->delta, t->dp);
    j->k->gemm(&(md_gemm){.m = t->rows,
                          .n = D,
                          .k = T,
                          .a = t->dp,
                          .lda = T,
                          .b = t->k,
                          .ldb = S,
                          .add = j->add,
                          .c = t->dq,
                          .ldc = S});
    j->k->gemm(&(md_gemm){.trans_a = true,
                          .m = T,
                          .n = D,
                          .k = t->rows,
                          .a = t->dp,
                          .lda = T,
                          .b = t->q,
                          .ldb = S,
                          .add = add,
                          .c = t->dk,
                          .ldc = S});
}

static void backward_task(void *context, int64_t task, int worker) {
    const attention_job *j = context;
    kv_place p = place_of(j, task);
    int64_t base = p.row * j->stride, key = base + key_column(j, p.kv);
    int64_t value = base + value_column(j, p.kv), area = (int64_t)MD_QUERY_TILE * j->T;
    md_real *scratch = md_tape_scratch(j->tape, worker);
    for (int h = p.first_head; h < p.first_head + p.heads; h++) {
        for (int t = 0; t < j->T; t += MD_QUERY_TILE) {
            int64_t query = base + (int64_t)t * j->stride + (int64_t)h * j->shape.head_dim;
            int64_t row = (p.row + t) * j->width + (int64_t)h * j->shape.head_dim;
            query_tile tile = {
                .rows = j->T - t < MD_QUERY_TILE ? j->T - t : MD_QUERY_TILE,
                .first = h == p.first_head && t == 0,
                .q = j->qkv + query,
                .k = j->qkv + key,
                .v = j->qkv + value,
                .y = j->y + row,
                .dy = j->dy + row,
                .lse = j->lse + (p.b * j->shape.heads + h) * j->T + t,
                .dq = j->dqkv + query,
                .dk = j->dqkv + key,
                .dv = j->dqkv + value,
                .p = scratch,
                .dp = scratch + area,
                .delta = scratch + 2 * area,
            };
            backward_tile(j, &tile);
        }
    }
}

typedef struct attention_node {
    md_node node;
    md_tensor *qkv;
    md_attention_shape shape;
    md_real *lse;
} attention_node;

static attention_job job_of(md_tape *tape, const md_tensor *qkv, md_attention_shape shape) {
    return (attention_job){.tape = tape,
                           .k = md_tape_kernels(tape),
                           .shape = shape,
                           .T = (int)qkv->dim[1],
                           .stride = (int)qkv->dim[2],
                           .width = shape.heads * shape.head_dim,
                           .scale = (md_real)(1 / sqrt(shape.head_dim)),
                           .qkv = qkv->data};
}

static void attention_backward(md_tape *tape, md_node *node) {
    attention_node *n = (attention_node *)node;
    attention_job j = job_of(tape, n->qkv, n->shape);
    j.y = node->out->data;
    j.dy = node->out->grad;
    j.lse = n->lse;
    j.dqkv = md_grad_begin(tape, n->qkv, &j.add);
    int64_t need = (int64_t)MD_QUERY_TILE * (2 * (int64_t)j.T + 1);
    if (!j.dqkv || !md_tape_reserve(tape, need)) return;
    md_tape_parallel(tape, "attention backward", n->qkv->dim[0] * n->shape.kv_heads, backward_task,
                     &j);
}

md_tensor *md_attention(md_tape *tape, md_tensor *qkv, md_attention_shape shape) {
    if (!qkv) return NULL;
    MD_BUG_IF(qkv->rank != 3 || shape.heads % shape.kv_heads ||
              qkv->dim[2] != (int64_t)(shape.heads + 2 * shape.kv_heads) * shape.head_dim);
    int64_t B = qkv->dim[0], T = qkv->dim[1];
    attention_job j = job_of(tape, qkv, shape);
    md_tensor *y = md_tape_tensor(tape, 3, (int64_t[]){B, T, j.width});
    j.lse = md_tape_alloc(tape, (size_t)(B * shape.heads * T), sizeof *j.lse);
    if (!y || !j.lse || !md_tape_reserve(tape, MD_QUERY_TILE * T)) return NULL;
    j.out = y->data;
    md_tape_parallel(tape, "attention", B * shape.kv_heads, forward_task, &j);
    if (md_tape_wants(tape, qkv)) {
        attention_node *n = md_tape_node(tape, sizeof *n, attention_backward, y);
        if (n) n->qkv = qkv, n->shape = shape, n->lse = j.lse;
    }
    return y;
}
