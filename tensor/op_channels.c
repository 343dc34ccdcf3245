/* tensor/op_channels.c: operators on channels: a bias or an image's embedding added to each of its
 * pixels, channels side by side, some of the channels. */
#include "tensor/ops_image.h"
#include "tensor/tape_internal.h"

#include <string.h>

/* --- sum ------------------------------------------------------------------------------------- */

typedef struct add_channels_job {
    const md_kernels *k;
    md_row_tiles tiles;
    md_channel_blocks blocks;
    int C;
    const md_real *x, *b, *dy;
    bool each; /* image has its own b */
    md_real *y;
    md_real *sums; /* [groups, C]: of dy over the rows of a group */
} add_channels_job;

static void add_tile(void *context, int64_t tile, int worker) {
    const add_channels_job *j = context;
    int64_t first;
    int rows;
    (void)worker;
    md_tile_range(&j->tiles, tile, &first, &rows);
    const md_real *b = j->each ? j->b + first / j->tiles.group * j->C : j->b;
    j->k->add_row(rows, j->C, j->x + first * j->C, b, j->y + first * j->C);
}

static void sum_block(void *context, int64_t task, int worker) {
    const add_channels_job *j = context;
    int64_t group = task / j->blocks.count;
    int first = (int)(task % j->blocks.count) * j->blocks.width;
    int width = j->C - first < j->blocks.width ? j->C - first : j->blocks.width;
    (void)worker;
    j->k->sum_rows((int)j->tiles.group, width, j->C, j->dy + group * j->tiles.group * j->C + first,
                   NULL, j->sums + group * j->C + first);
}

typedef struct add_channels_node {
    md_node node;
    md_tensor *x, *b;
} add_channels_node;

static add_channels_job job_of(md_tape *tape, const md_tensor *x, const md_tensor *b) {
    int C = (int)md_tensor_cols(x);
    int64_t rows = md_tensor_rows(x), images = x->rank > 2 || b->rank == 2 ? x->dim[0] : 1;
    add_channels_job j = {.k = md_tape_kernels(tape),
                          .tiles = md_tile_groups(rows, images ? rows / images : 0),
                          .blocks = md_block_channels(images, C, 1),
                          .C = C,
                          .x = x->data,
                          .b = b->data,
                          .each = b->rank == 2};
    MD_BUG_IF(b->rank < 1 || b->rank > 2 || md_tensor_cols(b) != C);
    MD_BUG_IF(j.each && b->dim[0] != images);
    return j;
}

/* db (+)= the sums of its rows. */
static void add_sums(const add_channels_job *j, int64_t groups, bool add, md_real *db) {
    for (int64_t c = 0; c < j->C * (j->each ? groups : 1); c++) {
        double sum = (double)j->sums[c];
        for (int64_t g = 1; g < groups && !j->each; g++) sum += (double)j->sums[g * j->C + c];
        db[c] = add ? db[c] + (md_real)sum : (md_real)sum;
    }
}

static void add_channels_backward(md_tape *tape, md_node *node) {
    add_channels_node *n = (add_channels_node *)node;
    add_channels_job j = job_of(tape, n->x, n->b);
    bool add;
    md_real *db = md_grad_begin(tape, n->b, &add);
    if (db) {
        int64_t groups = j.tiles.group ? j.tiles.rows / j.tiles.group : 0;
        j.dy = node->out->grad;
        j.sums = md_tape_alloc(tape, (size_t)groups * j.C, sizeof *j.sums);
        if (!j.sums) return;
        md_tape_parallel(tape, "add channels backward", groups * j.blocks.count, sum_block, &j);
        add_sums(&j, groups, add, db);
    }
    md_grad_pass(tape, node->out, n->x);
}

/* The same data as another tensor. */
static md_tensor *same_data(md_tape *tape, const md_tensor *x) {
    md_tensor *y = md_tape_alloc(tape, 1, sizeof *y);
    if (!y) return NULL;
    *y = (md_tensor){.rank = x->rank, .data = x->data};
    memcpy(y->dim, x->dim, sizeof y->dim);
    return y;
}

md_tensor *md_add_channels(md_tape *tape, md_tensor *x, md_tensor *b) {
    if (!x || !b) return NULL;
    MD_BUG_IF(x->rank < 2);
    md_tensor *y = x->spent ? same_data(tape, x) : md_tape_tensor(tape, x->rank, x->dim);
    if (!y) return NULL;
    add_channels_job j = job_of(tape, x, b);
    j.y = y->data;
    md_tape_parallel(tape, "add channels", j.tiles.count, add_tile, &j);
    if (md_tape_wants(tape, x) || md_tape_wants(tape, b)) {
        add_channels_node *n = md_tape_node(tape, sizeof *n, add_channels_backward, y);
        if (n) n->x = x, n->b = b;
    }
    return y;
}

/* --- columns side by side -------------------------------------------------------------------- */

/* Up to two moves of columns between matrices of as many rows. */
typedef struct columns_job {
    const md_kernels *k;
    md_row_tiles tiles;
    md_columns_args part[2]; /* of all rows; the ones without `to` are not wanted */
} columns_job;

static void columns_tile(void *context, int64_t tile, int worker) {
    const columns_job *j = context;
    int64_t first;
    int rows;
    (void)worker;
    md_tile_range(&j->tiles, tile, &first, &rows);
    for (int i = 0; i < 2; i++) {
        md_columns_args part = j->part[i];
        if (!part.to) continue;
        part.rows = rows;
        part.from += first * part.from_stride;
        part.to += first * part.to_stride;
        j->k->columns(&part);
    }
}

static void move_columns(md_tape *tape, const char *what, int64_t rows, columns_job j) {
    j.k = md_tape_kernels(tape);
    j.tiles = md_tile_groups(rows, rows);
    md_tape_parallel(tape, what, j.tiles.count, columns_tile, &j);
}

/* x as columns of y from `first` on. */
static md_columns_args into(const md_tensor *x, const md_tensor *y, int first) {
    int C = (int)md_tensor_cols(x);
    return (md_columns_args){.cols = C,
                             .from_stride = C,
                             .to_stride = (int)md_tensor_cols(y),
                             .from = x->data,
                             .to = y->data + first};
}

/* The gradient of x from that of y, in which x is the columns from `first` on. */
static md_columns_args back_from(md_tape *tape, md_tensor *x, const md_tensor *y, int first) {
    int C = (int)md_tensor_cols(x);
    md_columns_args back = {
        .cols = C, .from_stride = (int)md_tensor_cols(y), .to_stride = C, .from = y->grad + first};
    back.to = md_grad_begin(tape, x, &back.add);
    return back;
}

typedef struct concat_node {
    md_node node;
    md_tensor *a, *b;
} concat_node;

static void concat_backward(md_tape *tape, md_node *node) {
    concat_node *n = (concat_node *)node;
    const md_tensor *y = node->out;
    int C = (int)md_tensor_cols(n->a);
    columns_job j = {0};
    j.part[0] = back_from(tape, n->a, y, 0);
    j.part[1] = back_from(tape, n->b, y, C);
    move_columns(tape, "concat backward", md_tensor_rows(y), j);
}

md_tensor *md_concat(md_tape *tape, md_tensor *a, md_tensor *b) {
    if (!a || !b) return NULL;
    int64_t rows = md_tensor_rows(a), C = md_tensor_cols(a), dim[MD_MAX_RANK];
    MD_BUG_IF(a->rank != b->rank || md_tensor_rows(b) != rows);
    memcpy(dim, a->dim, sizeof dim);
    dim[a->rank - 1] = C + md_tensor_cols(b);
    md_tensor *y = md_tape_tensor(tape, a->rank, dim);
    if (!y) return NULL;
    move_columns(tape, "concat", rows, (columns_job){.part = {into(a, y, 0), into(b, y, (int)C)}});
    if (md_tape_wants(tape, a) || md_tape_wants(tape, b)) {
        concat_node *n = md_tape_node(tape, sizeof *n, concat_backward, y);
        if (n) n->a = a, n->b = b;
    }
    return y;
}

typedef struct columns_node {
    md_node node;
    md_tensor *x;
    int first;
} columns_node;

static void columns_backward(md_tape *tape, md_node *node) {
    columns_node *n = (columns_node *)node;
    const md_tensor *y = node->out;
    bool add;
    md_real *dx = md_grad_begin(tape, n->x, &add);
    if (!dx) return;
    if (!add) memset(dx, 0, (size_t)md_tensor_size(n->x) * sizeof *dx);
    md_columns_args part = into(y, n->x, n->first);
    part.from = y->grad, part.to = dx + n->first, part.add = add;
    move_columns(tape, "columns backward", md_tensor_rows(y), (columns_job){.part = {part}});
}

md_tensor *md_columns(md_tape *tape, md_tensor *x, int first, int count) {
    if (!x) return NULL;
    MD_BUG_IF(x->rank < 1 || first < 0 || count < 0 || first > md_tensor_cols(x) - count);
    int64_t dim[MD_MAX_RANK];
    memcpy(dim, x->dim, sizeof dim);
    dim[x->rank - 1] = count;
    md_tensor *y = md_tape_tensor(tape, x->rank, dim);
    if (!y) return NULL;
    const md_columns_args part = {.cols = count,
                                  .from_stride = (int)md_tensor_cols(x),
                                  .to_stride = count,
                                  .from = x->data + first,
                                  .to = y->data};
    move_columns(tape, "columns", md_tensor_rows(x), (columns_job){.part = {part}});
    if (md_tape_wants(tape, x)) {
        columns_node *n = md_tape_node(tape, sizeof *n, columns_backward, y);
        if (n) n->x = x, n->first = first;
    }
    return y;
}
