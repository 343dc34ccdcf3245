/* tensor/tape_internal.h: the tape as operators see it.
 *
 *     typedef struct my_node { md_node node; md_tensor *x; } my_node;
 *
 *     static void my_backward(md_tape *tape, md_node *base) {
 *         my_node *n = (my_node *)base;
 *         bool add;
 *         md_real *dx = md_grad_begin(tape, n->x, &add);     NULL: x wants no gradient
 *         if (dx) ... write (or add to) dx from base->out->grad ...
 *     }
 *     ...
 *     if (md_tape_wants(tape, x)) {
 *         my_node *n = md_tape_node(tape, sizeof *n, my_backward, out);
 *         if (n) n->x = x;
 *     }
 */
#ifndef MD_TENSOR_TAPE_INTERNAL_H
#define MD_TENSOR_TAPE_INTERNAL_H

#include "tensor/ops.h"

typedef struct md_node md_node;
typedef void (*md_backward_fn)(md_tape *tape, md_node *node);
struct md_node {
    md_backward_fn backward;
    md_tensor *out;
    md_node *previous;
};

/* Whether an operator on x must leave a node. Accepts NULL. */
bool md_tape_wants(const md_tape *tape, const md_tensor *x);

/* A node in the arena, the first member of a struct of `size` bytes; marks `out` as needing a
 * gradient. NULL when out of memory (the tape then has an error). */
void *md_tape_node(md_tape *tape, size_t size, md_backward_fn backward, md_tensor *out);

/* Where to put a gradient of x. *add: accumulate (there was a contribution before, or x is a
 * parameter) or overwrite. NULL when x wants none. */
md_real *md_grad_begin(md_tape *tape, md_tensor *x, bool *add);

/* to += from, or to = from unless `add`, of `size` elements, in parallel. */
void md_grad_add(md_tape *tape, int64_t size, const md_real *from, bool add, md_real *to);

/* out's gradient is x's gradient: hands the buffer over, or adds it. Last act of a node. */
void md_grad_pass(md_tape *tape, md_tensor *out, md_tensor *x);

/* A buffer of the pool that gradients of activations come from, contents undefined: for what must
 * outlive a segment. NULL when out of memory. */
md_real *md_grad_take(md_tape *tape, int64_t size);
void md_grad_give(md_tape *tape, const md_real *buffer);

/* A part of a recorded step whose nodes and tensors are gone, and their memory given back, before
 * the step ends (op_checkpoint.c). Between begin and end operators do what they always do when the
 * tape records, but no gradient may be computed (MD_BUG_IF). To repeat a segment is to begin one
 * with the dropout masks of the first time, whose gradients are wanted: its backward runs its own
 * nodes, the newest first. Segments nest. */
typedef struct md_segment {
    md_arena_mark mark;
    md_node *before; /* newest node outside */
    uint32_t dropouts;
    bool forgets; /* what was so outside */
} md_segment;
md_segment md_segment_begin(md_tape *tape);
md_segment md_segment_repeat(md_tape *tape, const md_segment *first);
void md_segment_backward(md_tape *tape, const md_segment *segment);
void md_segment_end(md_tape *tape, const md_segment *segment);

/* Runs tasks on the pool; `what` is a literal, see md_pool_run. */
void md_tape_parallel(md_tape *tape, const char *what, int64_t tasks, md_task_fn fn, void *context);

/* Per-worker scratch of at least `count` elements, valid until the worker's next call. All workers'
 * scratch is grown before the tasks start: call md_tape_reserve with the largest count first. */
bool md_tape_reserve(md_tape *tape, int64_t count);
md_real *md_tape_scratch(md_tape *tape, int worker);

/* op(B) packed for gemm_packed, in parallel, in memory of the tape that stays valid until the same
 * slot is packed again; p->to is ignored. NULL when out of memory. */
enum { MD_PACK_SLOTS = 3 };
const void *md_tape_pack(md_tape *tape, int slot, md_pack p);
/* Several of equal sizes, one after another. */
const void *md_tape_pack_all(md_tape *tape, int slot, const md_pack *list, int count);

/* The rows of x as md_gemm's `rounded` wants them, in parallel; valid until the next call. NULL
 * when out of memory. */
const void *md_tape_round(md_tape *tape, const md_tensor *x);

/* The key of the next dropout operator in this step. */
md_rng md_tape_next_dropout(md_tape *tape, uint32_t *index);

/* How an operator splits what is done to each element alone. */
enum { MD_FLAT_TILE = 1 << 14 };

/* How an operator splits rows into tiles: `rows` is cut into groups of `group` rows (a sequence
 * when the tape does not record), each group into tiles of at most MD_ROW_TILE. */
enum { MD_ROW_TILE = 132 };
typedef struct md_row_tiles {
    int64_t rows, group, per_group, count;
} md_row_tiles;
md_row_tiles md_tile_rows(const md_tape *tape, const md_tensor *x);
md_row_tiles md_tile_groups(int64_t rows, int64_t group);
void md_tile_range(const md_row_tiles *tiles, int64_t tile, int64_t *first, int *rows);

/* How an operator splits images where a channel's bits do not depend on the others: each image is
 * a task; where there are few images, blocks of its channels are, `width` (the last may be
 * narrower), a multiple of `unit`. */
typedef struct md_channel_blocks {
    int width, count; /* of an image */
} md_channel_blocks;
md_channel_blocks md_block_channels(int64_t images, int C, int unit);

#endif
