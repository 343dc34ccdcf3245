/* tensor/tape.c: tensors in an arena, nodes in creation order, gradients from a pool. */
#include "tensor/tape_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

/* Memory for operands of products: what operators pack, and md_tape_round. */
enum { ROUNDED_ROWS = MD_PACK_SLOTS, SLOTS };

typedef struct grad_buffer {
    md_real *data;
    int64_t capacity;
    bool used;
} grad_buffer;

struct md_tape {
    md_pool *pool;
    const md_kernels *kernels;
    md_arena *arena;
    bool record;
    bool apart;    /* md_tape_keep_apart */
    bool forgets;  /* in a segment that will be repeated for its gradient */
    md_node *last; /* newest node */
    mdlm_error error;
    md_rng dropout;
    uint32_t dropouts; /* dropout operators so far in this step */

    grad_buffer *grads; /* gradients of activations, recycled */
    size_t grad_count;
    md_real **scratch; /* [threads] */
    int64_t scratch_capacity;
    void *packed[SLOTS];
    size_t packed_capacity[SLOTS];
};

int64_t md_tensor_size(const md_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i < t->rank; i++) n *= t->dim[i];
    return n;
}

int64_t md_tensor_cols(const md_tensor *t) {
    return t->rank ? t->dim[t->rank - 1] : 1;
}

int64_t md_tensor_rows(const md_tensor *t) {
    int64_t n = 1;
    for (int i = 0; i + 1 < t->rank; i++) n *= t->dim[i];
    return n;
}

md_tape *md_tape_new(md_pool *pool, const md_kernels *kernels, mdlm_error *err) {
    md_tape *tape = md_alloc(1, sizeof *tape, err);
    if (!tape) return NULL;
    tape->pool = pool;
    tape->kernels = kernels;
    tape->arena = md_arena_new(err);
    tape->scratch = md_alloc(md_pool_threads(pool), sizeof *tape->scratch, err);
    if (!tape->arena || !tape->scratch) {
        md_tape_free(tape);
        return NULL;
    }
    return tape;
}

void md_tape_free(md_tape *tape) {
    if (!tape) return;
    for (size_t i = 0; i < tape->grad_count; i++) md_free(tape->grads[i].data);
    md_free(tape->grads);
    if (tape->scratch) {
        for (int i = 0; i < md_pool_threads(tape->pool); i++) md_free(tape->scratch[i]);
    }
    md_free(tape->scratch);
    for (int i = 0; i < SLOTS; i++) md_free(tape->packed[i]);
    md_arena_free(tape->arena);
    md_free(tape);
}

void md_tape_begin(md_tape *tape, bool record, md_rng dropout) {
    md_arena_rewind(tape->arena, (md_arena_mark){0});
    tape->record = record;
    tape->apart = false;
    tape->forgets = false;
    tape->last = NULL;
    tape->error = (mdlm_error){0};
    tape->dropout = dropout;
    tape->dropouts = 0;
    for (size_t i = 0; i < tape->grad_count; i++) tape->grads[i].used = false;
}

void md_tape_keep_apart(md_tape *tape) {
    tape->apart = true;
}

bool md_tape_recording(const md_tape *tape) {
    return tape->record;
}

const md_kernels *md_tape_kernels(const md_tape *tape) {
    return tape->kernels;
}

void md_tape_fail(md_tape *tape, mdlm_status status, const char *format, ...) {
    if (tape->error.status != MDLM_OK) return;
    char message[sizeof tape->error.message];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    md_fail(&tape->error, status, "%s", message);
}

mdlm_status md_tape_status(const md_tape *tape, mdlm_error *err) {
    if (err && tape->error.status != MDLM_OK) *err = tape->error;
    return tape->error.status;
}

void *md_tape_alloc(md_tape *tape, size_t count, size_t size) {
    size_t bytes;
    if (tape->error.status != MDLM_OK) return NULL;
    void *p = md_size_mul(count, size, &bytes) ? md_arena_alloc(tape->arena, bytes) : NULL;
    if (!p) md_tape_fail(tape, MDLM_RUNTIME, "out of memory: a step needs more than there is");
    return p;
}

md_tensor *md_tape_tensor(md_tape *tape, int rank, const int64_t *dim) {
    md_tensor *t = md_tape_alloc(tape, 1, sizeof *t);
    if (!t) return NULL;
    *t = (md_tensor){.rank = rank};
    size_t count = 1;
    for (int i = 0; i < MD_MAX_RANK; i++) {
        t->dim[i] = i < rank ? dim[i] : 1;
        MD_BUG_IF(t->dim[i] < 0);
        if (!md_size_mul(count, (size_t)t->dim[i], &count)) count = SIZE_MAX;
    }
    t->data = md_tape_alloc(tape, count, sizeof *t->data);
    return t->data ? t : NULL;
}

md_tensor *md_tape_matrix(md_tape *tape, int64_t rows, int64_t cols) {
    return md_tape_tensor(tape, 2, (int64_t[]){rows, cols});
}

bool md_tape_wants(const md_tape *tape, const md_tensor *x) {
    return tape->record && x && x->needs_grad;
}

void *md_tape_node(md_tape *tape, size_t size, md_backward_fn backward, md_tensor *out) {
    md_node *node = md_tape_alloc(tape, 1, size);
    if (!node) return NULL;
    memset(node, 0, size);
    node->backward = backward;
    node->out = out;
    node->previous = tape->last;
    tape->last = node;
    out->needs_grad = true;
    return node;
}

/* The smallest free buffer that is large enough; grows the pool when there is none. */
md_real *md_grad_take(md_tape *tape, int64_t size) {
    grad_buffer *best = NULL;
    for (size_t i = 0; i < tape->grad_count; i++) {
        grad_buffer *g = &tape->grads[i];
        if (g->used || g->capacity < size) continue;
        if (!best || g->capacity < best->capacity) best = g;
    }
    if (!best) {
        mdlm_error err;
        size_t n = tape->grad_count;
        grad_buffer *grown = md_realloc(tape->grads, n + 1, sizeof *grown, &err);
        if (grown) tape->grads = grown;
        md_real *data = grown ? md_alloc((size_t)size, sizeof *data, &err) : NULL;
        if (!data) {
            md_tape_fail(tape, MDLM_RUNTIME, "out of memory for gradients");
            return NULL;
        }
        best = &tape->grads[n];
        *best = (grad_buffer){.data = data, .capacity = size};
        tape->grad_count = n + 1;
    }
    best->used = true;
    return best->data;
}

void md_grad_give(md_tape *tape, const md_real *buffer) {
    for (size_t i = 0; i < tape->grad_count; i++) {
        if (tape->grads[i].data == buffer) tape->grads[i].used = false;
    }
}

static void drop_grad(md_tape *tape, md_tensor *t) {
    if (t->is_param || !t->grad) return;
    md_grad_give(tape, t->grad);
    t->grad = NULL;
}

md_real *md_grad_begin(md_tape *tape, md_tensor *x, bool *add) {
    if (!x || !x->needs_grad) return NULL;
    MD_BUG_IF(tape->forgets); /* it would come twice */
    MD_BUG_IF(x->spent && x->grad);
    *add = x->grad != NULL;
    if (!x->grad) x->grad = x->spent ? x->data : md_grad_take(tape, md_tensor_size(x));
    return x->grad;
}

typedef struct flat_job {
    const md_kernels *k;
    int64_t size;
    const md_real *from;
    md_real *to;
    bool add;
} flat_job;

static void flat_tile(void *context, int64_t tile, int worker) {
    const flat_job *j = context;
    int64_t first = tile * MD_FLAT_TILE, left = j->size - first;
    int64_t n = left < MD_FLAT_TILE ? left : MD_FLAT_TILE;
    (void)worker;
    if (j->add) {
        j->k->accumulate(n, j->from + first, j->to + first);
    } else {
        memcpy(j->to + first, j->from + first, (size_t)n * sizeof *j->to);
    }
}

void md_grad_add(md_tape *tape, int64_t size, const md_real *from, bool add, md_real *to) {
    flat_job j = {.k = tape->kernels, .size = size, .from = from, .to = to, .add = add};
    md_tape_parallel(tape, "add gradients", (size + MD_FLAT_TILE - 1) / MD_FLAT_TILE, flat_tile,
                     &j);
}

void md_grad_pass(md_tape *tape, md_tensor *out, md_tensor *x) {
    if (!x || !x->needs_grad) return;
    if (x->grad) {
        md_grad_add(tape, md_tensor_size(x), out->grad, true, x->grad);
        return;
    }
    x->grad = out->grad;
    out->grad = NULL;
}

/* Nodes from the newest down to `end`, which is not run. */
static void run_back(md_tape *tape, const md_node *end) {
    for (md_node *node = tape->last; node != end; node = node->previous) {
        if (tape->error.status != MDLM_OK) break;
        if (!node->out->grad) continue; /* nobody used this result */
        node->backward(tape, node);
        drop_grad(tape, node->out);
    }
}

mdlm_status md_tape_backward(md_tape *tape, md_tensor *loss, mdlm_error *err) {
    if (tape->error.status != MDLM_OK) return md_tape_status(tape, err);
    MD_BUG_IF(!loss || md_tensor_size(loss) != 1 || !tape->record);
    bool add;
    md_real *seed = md_grad_begin(tape, loss, &add);
    if (seed) *seed = 1;
    run_back(tape, NULL);
    return md_tape_status(tape, err);
}

md_segment md_segment_begin(md_tape *tape) {
    md_segment s = {.mark = md_arena_save(tape->arena),
                    .before = tape->last,
                    .dropouts = tape->dropouts,
                    .forgets = tape->forgets};
    tape->forgets = true;
    return s;
}

md_segment md_segment_repeat(md_tape *tape, const md_segment *first) {
    md_segment s = md_segment_begin(tape);
    tape->forgets = false;
    tape->dropouts = first->dropouts;
    return s;
}

void md_segment_backward(md_tape *tape, const md_segment *s) {
    run_back(tape, s->before);
}

void md_segment_end(md_tape *tape, const md_segment *s) {
    md_arena_rewind(tape->arena, s->mark);
    tape->last = s->before;
    tape->forgets = s->forgets;
}

void md_tape_parallel(md_tape *tape, const char *what, int64_t tasks, md_task_fn fn,
                      void *context) {
    md_pool_run(tape->pool, what, tasks, fn, context);
}

bool md_tape_reserve(md_tape *tape, int64_t count) {
    if (tape->error.status != MDLM_OK) return false;
    if (count <= tape->scratch_capacity) return true;
    for (int i = 0; i < md_pool_threads(tape->pool); i++) {
        mdlm_error err;
        md_real *grown = md_alloc((size_t)count, sizeof *grown, &err);
        if (!grown) {
            md_tape_fail(tape, MDLM_RUNTIME, "%s", err.message);
            return false;
        }
        md_free(tape->scratch[i]);
        tape->scratch[i] = grown;
    }
    tape->scratch_capacity = count;
    return true;
}

md_real *md_tape_scratch(md_tape *tape, int worker) {
    return tape->scratch[worker];
}

enum { PANELS_PER_TASK = 4, ROUND_ROWS = 32 };

/* Memory of at least this size in a slot. */
static void *slot_memory(md_tape *tape, int slot, size_t count, size_t size) {
    size_t bytes;
    if (tape->error.status != MDLM_OK) return NULL;
    if (!md_size_mul(count, size, &bytes)) bytes = SIZE_MAX;
    if (bytes > tape->packed_capacity[slot]) {
        mdlm_error err;
        void *grown = md_alloc(bytes, 1, &err);
        if (!grown) {
            md_tape_fail(tape, MDLM_RUNTIME, "%s", err.message);
            return NULL;
        }
        md_free(tape->packed[slot]);
        tape->packed[slot] = grown;
        tape->packed_capacity[slot] = bytes;
    }
    return tape->packed[slot];
}

typedef struct pack_job {
    const md_kernels *k;
    const md_pack *list;
    int panels, tasks; /* of one matrix */
    char *to;
    size_t size;
} pack_job;

static void pack_task(void *context, int64_t task, int worker) {
    const pack_job *j = context;
    (void)worker;
    int first = (int)(task % j->tasks) * PANELS_PER_TASK, left = j->panels - first;
    md_pack p = j->list[task / j->tasks];
    p.to = j->to + (size_t)(task / j->tasks) * j->size;
    j->k->pack(&p, first, left < PANELS_PER_TASK ? left : PANELS_PER_TASK);
}

const void *md_tape_pack_all(md_tape *tape, int slot, const md_pack *list, int count) {
    pack_job j = {.k = tape->kernels, .list = list};
    j.panels = (list->n + j.k->panel - 1) / j.k->panel;
    j.tasks = (j.panels + PANELS_PER_TASK - 1) / PANELS_PER_TASK;
    j.size = (size_t)j.panels * j.k->panel_bytes(list->k);
    j.to = slot_memory(tape, slot, (size_t)count, j.size);
    if (j.to) md_tape_parallel(tape, "pack", (int64_t)count * j.tasks, pack_task, &j);
    return j.to;
}

const void *md_tape_pack(md_tape *tape, int slot, md_pack p) {
    return md_tape_pack_all(tape, slot, &p, 1);
}

typedef struct round_job {
    const md_kernels *k;
    const md_tensor *x;
    char *to;
} round_job;

static void round_task(void *context, int64_t task, int worker) {
    const round_job *j = context;
    (void)worker;
    int64_t first = task * ROUND_ROWS, left = md_tensor_rows(j->x) - first;
    int K = (int)md_tensor_cols(j->x), rows = left < ROUND_ROWS ? (int)left : ROUND_ROWS;
    j->k->round_rows(rows, K, j->x->data + first * K, K,
                     j->to + (size_t)first * j->k->rounded_bytes(K));
}

const void *md_tape_round(md_tape *tape, const md_tensor *x) {
    round_job j = {.k = tape->kernels, .x = x};
    size_t rows = (size_t)md_tensor_rows(x);
    j.to = slot_memory(tape, ROUNDED_ROWS, rows + (size_t)j.k->row_slack,
                       j.k->rounded_bytes((int)md_tensor_cols(x)));
    if (!j.to) return NULL;
    md_tape_parallel(tape, "round", (int64_t)(rows + ROUND_ROWS - 1) / ROUND_ROWS, round_task, &j);
    return j.to;
}

md_rng md_tape_next_dropout(md_tape *tape, uint32_t *index) {
    *index = tape->dropouts++;
    return tape->dropout;
}

md_row_tiles md_tile_groups(int64_t rows, int64_t group) {
    md_row_tiles t = {.rows = rows, .group = group};
    t.per_group = (t.group + MD_ROW_TILE - 1) / MD_ROW_TILE;
    t.count = t.group ? t.rows / t.group * t.per_group : 0;
    return t;
}

md_row_tiles md_tile_rows(const md_tape *tape, const md_tensor *x) {
    int64_t rows = md_tensor_rows(x);
    const bool joined = (tape->record && !tape->apart) || x->rank < 3;
    return md_tile_groups(rows, joined ? rows : x->dim[x->rank - 2]);
}

void md_tile_range(const md_row_tiles *tiles, int64_t tile, int64_t *first, int *rows) {
    int64_t inside = tile % tiles->per_group * MD_ROW_TILE;
    int64_t left = tiles->group - inside;
    *first = tile / tiles->per_group * tiles->group + inside;
    *rows = (int)(left < MD_ROW_TILE ? left : MD_ROW_TILE);
}

/* Enough tasks for several threads, none narrower than a line of the cache. */
enum { IMAGE_TASKS = 8, LEAST_CHANNELS = 16 };

md_channel_blocks md_block_channels(int64_t images, int C, int unit) {
    int pieces = images ? (int)((IMAGE_TASKS + images - 1) / images) : 1;
    int width = (C + pieces - 1) / pieces;
    if (width < LEAST_CHANNELS) width = LEAST_CHANNELS;
    width = (width + unit - 1) / unit * unit;
    if (width > C) width = C;
    return (md_channel_blocks){.width = width, .count = (C + width - 1) / width};
}

md_arena_mark md_tape_mark(md_tape *tape) {
    return md_arena_save(tape->arena);
}

void md_tape_rewind(md_tape *tape, md_arena_mark mark) {
    MD_BUG_IF(tape->record);
    md_arena_rewind(tape->arena, mark);
}

size_t md_tape_memory(const md_tape *tape) {
    size_t bytes = md_arena_capacity(tape->arena);
    for (size_t i = 0; i < tape->grad_count; i++)
        bytes += (size_t)tape->grads[i].capacity * sizeof(md_real);
    for (int i = 0; i < SLOTS; i++) bytes += tape->packed_capacity[i];
    return bytes + (size_t)tape->scratch_capacity * sizeof(md_real) * md_pool_threads(tape->pool);
}
