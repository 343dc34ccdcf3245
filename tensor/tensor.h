/* tensor/tensor.h: tensors and the tape that differentiates what is done to them.
 *
 *     MD_TRY(md_kernels_init(&kernels, NULL, err));
 *     md_tape *tape = md_tape_new(pool, &kernels, err);
 *     for (each step) {
 *         md_tape_begin(tape, true, dropout_key);                 forgets the last step
 *         md_tensor *h = md_linear(tape, x, w, NULL);             see tensor/ops.h
 *         md_tensor *loss = md_linear_cross_entropy(tape, ...);
 *         MD_TRY(md_tape_backward(tape, loss, err));              adds to the parameters' gradients
 *     }
 *     md_tape_free(tape);
 *
 * Define-by-run: an operator computes at once and, when the tape records and an operand needs a
 * gradient, leaves a node behind. Creation order is topological, so backward walks the nodes in
 * reverse. Everything lives in the tape's arena and disappears at the next md_tape_begin.
 *
 * Gradients. A parameter's gradient lies in its slab and always accumulates (zero it after the
 * optimizer's step). An activation's gradient is taken from a pool at its first contribution,
 * which overwrites; later ones accumulate; it goes back as soon as its node is done.
 *
 * Errors. The first failure is kept in the tape; every operator after it returns NULL, and every
 * operator accepts NULL operands. So a model is a straight line, checked once by
 * md_tape_status or md_tape_backward.
 *
 * Layout: contiguous, row-major. Letters: B batch, T tokens, C channels, H heads, D head size,
 * V vocabulary, N rows (mostly B*T).
 */
#ifndef MD_TENSOR_TENSOR_H
#define MD_TENSOR_TENSOR_H

#include "base/arena.h"
#include "base/pool.h"
#include "base/rng.h"
#include "tensor/kernels.h"
#include "tensor/real.h"

enum { MD_MAX_RANK = 4 };

typedef struct md_tensor {
    int rank;
    int64_t dim[MD_MAX_RANK]; /* trailing unused dimensions are 1 */
    bool needs_grad;
    bool is_param; /* grad lies in a slab and accumulates */
    bool spent;    /* its gradient may be written over its data, see md_spent */
    md_real *data;
    md_real *grad;      /* NULL for an activation without a contribution yet */
    const void *packed; /* of a weight w that changes no more: w^T as the kernel table packs it;
                           NULL: it is packed when it is used */
} md_tensor;

int64_t md_tensor_size(const md_tensor *t); /* elements */
int64_t md_tensor_rows(const md_tensor *t); /* product of all dimensions but the last */
int64_t md_tensor_cols(const md_tensor *t); /* the last dimension */

typedef struct md_tape md_tape;

/* The pool and the kernel table outlive the tape. NULL on failure; caller frees. */
md_tape *md_tape_new(md_pool *pool, const md_kernels *kernels, mdlm_error *err);
void md_tape_free(md_tape *tape); /* accepts NULL */

/* Starts a step: forgets nodes, activations and errors. `record` says whether gradients are
 * wanted; `dropout` keys this step's dropout masks. */
void md_tape_begin(md_tape *tape, bool record, md_rng dropout);
/* For this step: what is recorded keeps the sequences [B, T, C] of a tensor apart, as what is not
 * recorded does, so that values and gradients of each do not depend on its batch. For gradients by
 * the input; those of parameters are sums over the batch anyway. */
void md_tape_keep_apart(md_tape *tape);
bool md_tape_recording(const md_tape *tape);
const md_kernels *md_tape_kernels(const md_tape *tape);

/* A tensor in the arena, contents undefined; rank dimensions follow. NULL after an error. */
md_tensor *md_tape_tensor(md_tape *tape, int rank, const int64_t *dim);
md_tensor *md_tape_matrix(md_tape *tape, int64_t rows, int64_t cols);
/* Arena memory for the step. NULL (and an error in the tape) when there is none. */
void *md_tape_alloc(md_tape *tape, size_t count, size_t size);
/* The same values with other dimensions (same size); shares data and gradient flow. */
md_tensor *md_reshape(md_tape *tape, md_tensor *x, int rank, const int64_t *dim);

/* Promises that x, a result of md_linear, md_rms_norm or md_swiglu, is used once, as the first
 * operand of md_linear or md_swiglu: then nobody needs its values when its gradient is known, which
 * backward writes over them (MD_BUG_IF there is a second contribution). Saves the memory of the
 * gradient. Or, a result of md_linear or md_conv2d, as the first operand of md_add_channels, which
 * then works in place. Returns x; accepts NULL. */
md_tensor *md_spent(md_tensor *x);

/* Sets the tape's error unless there is one already. */
void md_tape_fail(md_tape *tape, mdlm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* The first error of the step, copied to err. */
mdlm_status md_tape_status(const md_tape *tape, mdlm_error *err);

/* Gradients of a scalar (size 1) with respect to everything that needs one. */
mdlm_status md_tape_backward(md_tape *tape, md_tensor *loss, mdlm_error *err);

/* Without recording, a block may run in memory that is reused: mark, compute, copy what stays into
 * memory taken before the mark, rewind. Tensors made after the mark are gone (MD_BUG_IF recording).
 */
md_arena_mark md_tape_mark(md_tape *tape);
void md_tape_rewind(md_tape *tape, md_arena_mark mark);
size_t md_tape_memory(const md_tape *tape); /* bytes held: arena, gradients, scratch */

#endif
