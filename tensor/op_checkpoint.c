/* tensor/op_checkpoint.c: a part of the network that keeps its result alone and is computed again
 * when its gradient is wanted. See ops.h; segments are in tape_internal.h. */
#include "tensor/tape_internal.h"

#include <string.h>

typedef struct checkpoint_node {
    md_node node;
    md_tensor *x;
    md_checkpoint_fn fn;
    const void *context;
    md_segment first; /* how it was computed the first time */
} checkpoint_node;

/* x itself is the operand again, so what fn adds to its gradient meets other contributions in the
 * order that it would without a checkpoint. */
static void checkpoint_backward(md_tape *tape, md_node *node) {
    checkpoint_node *n = (checkpoint_node *)node;
    md_segment s = md_segment_repeat(tape, &n->first);
    md_tensor *y = n->fn(n->context, tape, n->x);
    if (y) {
        md_grad_pass(tape, node->out, y);
        md_segment_backward(tape, &s);
    }
    md_segment_end(tape, &s);
}

/* Ends the segment that y was made in; returns a copy outside of it, where y itself may have lain.
 */
static md_tensor *move_out(md_tape *tape, const md_segment *s, const md_tensor *y) {
    const int rank = y->rank;
    const bool needs_grad = y->needs_grad;
    const size_t bytes = (size_t)md_tensor_size(y) * sizeof *y->data;
    int64_t dim[MD_MAX_RANK];
    md_real *copy = md_grad_take(tape, md_tensor_size(y));
    if (copy) memcpy(copy, y->data, bytes);
    memcpy(dim, y->dim, sizeof dim);
    md_segment_end(tape, s);
    md_tensor *out = md_tape_tensor(tape, rank, dim);
    if (out) memcpy(out->data, copy, bytes);
    if (out) out->needs_grad = needs_grad;
    md_grad_give(tape, copy);
    return out;
}

md_tensor *md_checkpoint(md_tape *tape, md_checkpoint_fn fn, const void *context, md_tensor *x) {
    if (!x || !md_tape_recording(tape)) return fn(context, tape, x);
    const md_segment first = md_segment_begin(tape);
    md_tensor *y = fn(context, tape, x);
    if (!y) {
        md_segment_end(tape, &first);
        return NULL;
    }
    y = move_out(tape, &first, y);
    if (md_tape_wants(tape, y)) {
        checkpoint_node *n = md_tape_node(tape, sizeof *n, checkpoint_backward, y);
        if (n) n->x = x, n->fn = fn, n->context = context, n->first = first;
    }
    return y;
}
