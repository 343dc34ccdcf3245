/* tensor/op_attention.c: scaled dot-product attention.
 *
 * One task per sequence and key/value head, so that the gradients of a shared key head add up in
 * order. Scores of QUERY_TILE query rows exist at a time, in the worker's scratch: one column per
 * key that any row of the tile sees, the two ranges of attention_mask.h side by side.
 */
#include "tensor/attention_mask.h"
#include "tensor/tape_internal.h"

#include <math.h>
#include <string.h>

enum { QUERY_TILE = 128 };

typedef struct attention_job {
    md_tape *tape;
    const md_kernels *k;
    md_attention_shape shape;
    int T, first, rows; /* keys of a sequence; rows [first, first + rows) of it ask */
    int stride, width;  /* of a row of qkv, of a row of the output */
    md_real scale;
    const md_real *qkv, *y, *dy; /* `rows` to a sequence */
    md_real *const *caches;      /* keys and values, in place of those in qkv; NULL: none */
    md_real *out, *dqkv;
    md_real *lse; /* [B, H, rows] */
    bool add;
} attention_job;

/* One task's key/value head of a sequence. */
typedef struct head_group {
    int64_t b;
    int kv, first_head, end_head;
    const md_real *k, *v; /* the first key and value */
    int kv_stride;
    int64_t k_column, v_column; /* in a row of qkv */
} head_group;

static head_group group_of(const attention_job *j, int64_t task) {
    int D = j->shape.head_dim, share = j->shape.heads / j->shape.kv_heads;
    head_group g = {.b = task / j->shape.kv_heads, .kv = (int)(task % j->shape.kv_heads)};
    g.first_head = g.kv * share;
    g.end_head = g.first_head + share;
    g.k_column = (int64_t)(j->shape.heads + g.kv) * D;
    g.v_column = g.k_column + (int64_t)j->shape.kv_heads * D;
    if (j->caches) {
        g.k = j->caches[g.b] + (int64_t)g.kv * D;
        g.v = g.k + (int64_t)j->shape.kv_heads * D;
        g.kv_stride = 2 * j->shape.kv_heads * D;
    } else {
        const md_real *base = j->qkv + g.b * j->rows * j->stride;
        g.k = base + g.k_column;
        g.v = base + g.v_column;
        g.kv_stride = j->stride;
    }
    return g;
}

/* Query rows of one head whose scores exist together. */
typedef struct query_tile {
    int first, rows; /* of the sequence */
    int seen;        /* keys of the sequence that are no padding */
    md_keys keys;
    int cols, range_cols[MD_KEY_RANGES];
    const md_real *q;
    int64_t out; /* where its part of the output begins */
    md_real *lse;
} query_tile;

static query_tile tile_at(const attention_job *j, const head_group *g, int h, int first) {
    int end = md_keys_tile_end(j->shape.mask, j->T, first, j->first + j->rows, QUERY_TILE);
    int64_t at = first - j->first, row = g->b * j->rows + at, column = h * j->shape.head_dim;
    const int32_t *lengths = j->shape.mask.lengths;
    int seen = lengths ? lengths[g->b] : j->T;
    query_tile t = {.first = first,
                    .rows = end - first,
                    .seen = seen,
                    .keys = md_keys_of_tile(j->shape.mask, seen, first, end),
                    .q = j->qkv + row * j->stride + column,
                    .out = row * j->width + column,
                    .lse = j->lse + (g->b * j->shape.heads + h) * j->rows + at};
    for (int i = 0; i < MD_KEY_RANGES; i++)
        t.cols += t.range_cols[i] = t.keys.range[i].end - t.keys.range[i].first;
    return t;
}

/* to[rows, cols] = a k^T over the keys (or values) of the tile. */
static void times_keys(const attention_job *j, const query_tile *t, md_gemm g, md_real *to) {
    const md_real *keys = g.b;
    g.trans_b = true, g.m = t->rows, g.k = j->shape.head_dim, g.ldc = t->cols;
    for (int i = 0, column = 0; i < MD_KEY_RANGES; column += t->range_cols[i++]) {
        if (t->range_cols[i] == 0) continue;
        g.n = t->range_cols[i];
        g.b = keys + (int64_t)t->keys.range[i].first * g.ldb;
        g.c = to + column;
        j->k->gemm(&g);
    }
}

/* g.c[rows, D] = p v over the keys of the tile. */
static void weigh_values(const attention_job *j, const query_tile *t, md_gemm g) {
    const md_real *values = g.b, *p = g.a;
    g.m = t->rows, g.n = j->shape.head_dim, g.lda = t->cols;
    for (int i = 0, column = 0; i < MD_KEY_RANGES; column += t->range_cols[i++]) {
        if (t->range_cols[i] == 0) continue;
        g.k = t->range_cols[i];
        g.a = p + column;
        g.b = values + (int64_t)t->keys.range[i].first * g.ldb;
        j->k->gemm(&g);
        g.add = true;
    }
}

/* The columns of a tile that some rows of it see: [first, end) without [gap, gap_end). */
typedef struct seen_columns {
    int rows; /* how many see the same */
    int first, gap, gap_end, end;
} seen_columns;

static seen_columns columns_seen(const attention_job *j, const query_tile *t, int row) {
    int change = md_keys_change(j->shape.mask, j->T, t->first + row), left = t->rows - row;
    const md_keys of_row = md_keys_of_row(j->shape.mask, t->seen, t->first + row);
    const md_key_range *seen = of_row.range, *all = t->keys.range;
    seen_columns c = {.rows = change - t->first - row < left ? change - t->first - row : left,
                      .first = seen[0].first - all[0].first,
                      .gap = seen[0].end - all[0].first};
    c.gap_end = c.end = c.gap;
    if (seen[1].end > seen[1].first) {
        c.gap_end = t->range_cols[0] + seen[1].first - all[1].first;
        c.end = t->range_cols[0] + seen[1].end - all[1].first;
    }
    return c;
}

/* Columns [first, end) of `rows` rows of a tile become `value`. */
static void fill_columns(md_real *s, int rows, int stride, int first, int end, md_real value) {
    for (int r = 0; r < rows && first < end; r++, s += stride)
        for (int c = first; c < end; c++) s[c] = value;
}

static void zero_unseen(md_real *s, const seen_columns *c, int cols) {
    fill_columns(s, c->rows, cols, 0, c->first, 0);
    fill_columns(s, c->rows, cols, c->end, cols, 0);
}

/* Scores to probabilities, exact zeros where a row does not see; `again` with a known lse. */
static void softmax_seen(const attention_job *j, const query_tile *t, bool again, md_real *s) {
    seen_columns c;
    for (int r = 0; r < t->rows; r += c.rows, s += (int64_t)c.rows * t->cols) {
        c = columns_seen(j, t, r);
        fill_columns(s, c.rows, t->cols, c.gap, c.gap_end, (md_real)-INFINITY);
        if (again) {
            j->k->softmax_again(c.rows, c.end - c.first, t->cols, j->scale, s + c.first,
                                t->lse + r);
        } else {
            j->k->softmax(c.rows, c.end - c.first, t->cols, j->scale, s + c.first, t->lse + r);
        }
        zero_unseen(s, &c, t->cols);
    }
}

static void forward_tile(const attention_job *j, const head_group *g, const query_tile *t,
                         md_real *scores) {
    times_keys(j, t, (md_gemm){.a = t->q, .lda = j->stride, .b = g->k, .ldb = g->kv_stride},
               scores);
    softmax_seen(j, t, false, scores);
    weigh_values(
        j, t,
        (md_gemm){
            .a = scores, .b = g->v, .ldb = g->kv_stride, .c = j->out + t->out, .ldc = j->width});
}

static void forward_task(void *context, int64_t task, int worker) {
    const attention_job *j = context;
    head_group g = group_of(j, task);
    md_real *scores = md_tape_scratch(j->tape, worker);
    for (int h = g.first_head; h < g.end_head; h++) {
        query_tile t;
        for (int first = j->first; first < j->first + j->rows; first += t.rows) {
            t = tile_at(j, &g, h, first);
            forward_tile(j, &g, &t, scores);
        }
    }
}

/* --- backward -------------------------------------------------------------------------------- */

/* c[keys, D] += p^T a over the keys of the tile; g.c is at the first key of the sequence. */
static void add_to_keys(const attention_job *j, const query_tile *t, const md_real *p, md_gemm g) {
    md_real *keys = g.c;
    g.trans_a = g.add = true, g.n = j->shape.head_dim, g.k = t->rows, g.lda = t->cols;
    for (int i = 0, column = 0; i < MD_KEY_RANGES; column += t->range_cols[i++]) {
        if (t->range_cols[i] == 0) continue;
        g.m = t->range_cols[i];
        g.a = p + column;
        g.c = keys + (int64_t)t->keys.range[i].first * g.ldc;
        j->k->gemm(&g);
    }
}

/* ds in place over dp, exact zeros where a row does not see. */
static void softmax_backward_seen(const attention_job *j, const query_tile *t, const md_real *p,
                                  const md_real *delta, md_real *dp) {
    seen_columns c;
    for (int r = 0; r < t->rows; r += c.rows) {
        int64_t at = (int64_t)r * t->cols;
        c = columns_seen(j, t, r);
        j->k->softmax_backward(c.rows, c.end - c.first, t->cols, j->scale, p + at + c.first,
                               delta + r, dp + at + c.first);
        zero_unseen(dp + at, &c, t->cols);
    }
}

/* The gradients of one tile; those of keys and values add up. */
static void backward_tile(const attention_job *j, const head_group *g, const query_tile *t,
                          md_real *scratch) {
    int64_t base = g->b * j->rows * j->stride, area = (int64_t)QUERY_TILE * t->cols;
    int S = j->stride;
    const md_real *dy = j->dy + t->out;
    md_real *p = scratch, *dp = scratch + area, *delta = dp + area;
    j->k->row_dot(t->rows, j->shape.head_dim, j->width, dy, j->y + t->out, delta);
    times_keys(j, t, (md_gemm){.a = t->q, .lda = S, .b = g->k, .ldb = S}, p);
    softmax_seen(j, t, true, p);
    add_to_keys(j, t, p,
                (md_gemm){.b = dy, .ldb = j->width, .c = j->dqkv + base + g->v_column, .ldc = S});
    times_keys(j, t, (md_gemm){.a = dy, .lda = j->width, .b = g->v, .ldb = S}, dp);
    softmax_backward_seen(j, t, p, delta, dp);
    weigh_values(
        j, t,
        (md_gemm){
            .a = dp, .b = g->k, .ldb = S, .add = j->add, .c = j->dqkv + (t->q - j->qkv), .ldc = S});
    add_to_keys(j, t, dp,
                (md_gemm){.b = t->q, .ldb = S, .c = j->dqkv + base + g->k_column, .ldc = S});
}

static void backward_task(void *context, int64_t task, int worker) {
    const attention_job *j = context;
    head_group g = group_of(j, task);
    md_real *scratch = md_tape_scratch(j->tape, worker);
    md_real *row = j->dqkv + g.b * j->rows * j->stride;
    size_t bytes = (size_t)j->shape.head_dim * sizeof *row;
    for (int r = 0; r < j->rows && !j->add; r++, row += j->stride) {
        memset(row + g.k_column, 0, bytes);
        memset(row + g.v_column, 0, bytes);
    }
    for (int h = g.first_head; h < g.end_head; h++) {
        query_tile t;
        for (int first = 0; first < j->rows; first += t.rows) {
            t = tile_at(j, &g, h, first);
            backward_tile(j, &g, &t, scratch);
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
    const md_attention_mask *m = &shape.mask;
    MD_BUG_IF(qkv->rank != 3 || shape.heads % shape.kv_heads ||
              qkv->dim[2] != (int64_t)(shape.heads + 2 * shape.kv_heads) * shape.head_dim);
    MD_BUG_IF(m->kind != MD_MASK_NONE && m->block < 1);
    MD_BUG_IF(m->lengths && m->kind != MD_MASK_NONE);
    MD_BUG_IF(m->window && (m->kind == MD_MASK_NONE || m->window < m->block));
    return (attention_job){.tape = tape,
                           .k = md_tape_kernels(tape),
                           .shape = shape,
                           .T = (int)qkv->dim[1],
                           .rows = (int)qkv->dim[1],
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
    int64_t need = (int64_t)QUERY_TILE * (2 * (int64_t)j.T + 1);
    if (!j.dqkv || !md_tape_reserve(tape, need)) return;
    md_tape_parallel(tape, "attention backward", n->qkv->dim[0] * n->shape.kv_heads, backward_task,
                     &j);
}

/* Fills j->lse and the result of B sequences. */
static md_tensor *attend(md_tape *tape, attention_job *j, int64_t B) {
    md_tensor *y = md_tape_tensor(tape, 3, (int64_t[]){B, j->rows, j->width});
    j->lse = md_tape_alloc(tape, (size_t)(B * j->shape.heads * j->rows), sizeof *j->lse);
    if (!y || !j->lse || !md_tape_reserve(tape, (int64_t)QUERY_TILE * j->T)) return NULL;
    j->out = y->data;
    md_tape_parallel(tape, "attention", B * j->shape.kv_heads, forward_task, j);
    return y;
}

md_tensor *md_attention(md_tape *tape, md_tensor *qkv, md_attention_shape shape) {
    if (!qkv) return NULL;
    attention_job j = job_of(tape, qkv, shape);
    MD_BUG_IF(shape.mask.kind == MD_MASK_PAIRED && j.T % 2);
    md_tensor *y = attend(tape, &j, qkv->dim[0]);
    if (y && md_tape_wants(tape, qkv)) {
        attention_node *n = md_tape_node(tape, sizeof *n, attention_backward, y);
        if (n) n->qkv = qkv, n->shape = shape, n->lse = j.lse;
    }
    return y;
}

/* --- with caches ----------------------------------------------------------------------------- */

static void store_row(void *context, int64_t row, int worker) {
    const attention_job *j = context;
    (void)worker;
    int64_t asked = (int64_t)j->shape.heads * j->shape.head_dim, kept = j->stride - asked;
    md_real *to = j->caches[row / j->rows] + (j->first + row % j->rows) * kept;
    memcpy(to, j->qkv + row * j->stride + asked, (size_t)kept * sizeof *to);
}

md_tensor *md_attention_cached(md_tape *tape, md_tensor *qkv, md_attention_shape shape,
                               const md_attention_cache *cache) {
    if (!qkv) return NULL;
    attention_job j = job_of(tape, qkv, shape);
    MD_BUG_IF(md_tape_recording(tape) || shape.mask.kind == MD_MASK_PAIRED || shape.mask.lengths);
    MD_BUG_IF(cache->first < 0 || cache->first > cache->T - j.rows);
    j.T = cache->T;
    j.first = cache->first;
    j.caches = cache->kv;
    md_tape_parallel(tape, "cache", qkv->dim[0] * j.rows, store_row, &j);
    return attend(tape, &j, qkv->dim[0]);
}
