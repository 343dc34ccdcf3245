/* tensor/ops.h: the operators. One function each: it checks shapes, computes, and, when the tape
 * records, leaves a node that knows its derivative. All accept NULL operands (an error happened
 * before) and return NULL after an error. Results live in the tape's arena.
 *
 * Shapes: a tensor [B, T, C] and its rows [N = B*T, C] are interchangeable; where rows are split
 * into tiles, an operator that does not record keeps tiles inside one sequence of a [B, T, C]
 * tensor, so a sequence's bits do not depend on its batch.
 *
 * Recipe for a new operator: tensor/op_NAME.c, its declaration and formula here, its inner loop as
 * an entry of the kernel table when it is worth one, a line in tests/test_grad_ops.c. Those on
 * images are in tensor/ops_image.h and tests/test_grad_image.c.
 */
#ifndef MD_TENSOR_OPS_H
#define MD_TENSOR_OPS_H

#include "tensor/tensor.h"

/* y[n] = w[ids[n]]. w [V, C]; ids [count] in [0, V); result [count, C]. ids are copied. */
md_tensor *md_embedding(md_tape *tape, md_tensor *w, const int32_t *ids, int64_t count);

/* y = x w^T (+ residual). x [.., K], w [M, K], residual NULL or [.., M]; result has x's leading
 * dimensions and M columns. */
md_tensor *md_linear(md_tape *tape, md_tensor *x, md_tensor *w, md_tensor *residual);

/* y = x / sqrt(mean(x^2) + eps) * w over the last dimension. w [C]. */
md_tensor *md_rms_norm(md_tape *tape, md_tensor *x, md_tensor *w, double eps);

/* y = silu(x[.., 0:F]) * x[.., F:2F]; silu(u) = u / (1 + exp(-u)). x [.., 2F]; result [.., F]. */
md_tensor *md_swiglu(md_tape *tape, md_tensor *x);

/* y = a + b, equal sizes. */
md_tensor *md_add(md_tape *tape, md_tensor *a, md_tensor *b);

/* Inverted dropout with the step's key; x itself when p == 0 or the tape does not record. */
md_tensor *md_dropout(md_tape *tape, md_tensor *x, double p);

/* y[i] = x[rows[i]]. x [N, C]; result [count, C]. rows are copied. */
md_tensor *md_gather_rows(md_tape *tape, md_tensor *x, const int32_t *rows, int64_t count);

/* Angles of rotary position embedding: cos and sin [positions, D/2] of p * theta^(-2i/D). */
typedef struct md_rope_table {
    int positions, D;
    double theta;
    md_real *cos, *sin;
} md_rope_table;
mdlm_status md_rope_table_init(md_rope_table *table, int positions, int D, double theta,
                               mdlm_error *err);
/* Makes it at least so long; angles that there are stay the same. Not while an operator runs. */
mdlm_status md_rope_table_reserve(md_rope_table *table, int positions, mdlm_error *err);
void md_rope_table_release(md_rope_table *table);

/* Rotates the first `heads` heads of every row, rotate-half pairs (i, i + D/2); row t of a
 * sequence gets position at.first + t, or at.first + t % at.period unless that is 0 (it divides T).
 * x [B, T, S], S >= heads * D. In place: the result shares x's data, and x must not be used again.
 * MDLM_USAGE in the tape when a position is not in the table. (Su et al. 2021, eq. 34; GPT-NeoX
 * pairing) */
typedef struct md_rope_positions {
    int first, period;
} md_rope_positions;
md_tensor *md_rope(md_tape *tape, md_tensor *x, int heads, const md_rope_table *table,
                   md_rope_positions at);

/* Which rows of its sequence a row sees; zero: all. Blocks of `block` rows are counted from the
 * start, the last may be shorter. The mask is never laid out: products run over what is seen. */
typedef enum md_mask_kind {
    MD_MASK_NONE,
    MD_MASK_BLOCKS, /* up to the end of its own block; causal when `block` is 1 */
    MD_MASK_PAIRED, /* block diffusion's layout: T/2 noisy rows, then T/2 clean ones. A noisy row
                       sees those of its own block and the clean rows of earlier blocks, a clean
                       row the clean rows up to the end of its block (BD3-LM, section 3.3) */
} md_mask_kind;
typedef struct md_attention_mask {
    md_mask_kind kind;
    int block;  /* unless MD_MASK_NONE */
    int window; /* >= block: of what it sees, only the last `window` positions up to the end of its
                   block; 0: all */
    const int32_t *lengths; /* MD_MASK_NONE: [B] of each sequence, rows from lengths[b] >= 1 on are
                               padding that no row sees; kept until backward. NULL: none are */
} md_attention_mask;

/* Scaled dot-product attention, softmax(q k^T / sqrt(D)) v over the tokens of the sequence that a
 * token sees. qkv [B, T, (H + 2 KV) * D]: H query heads, KV key heads, KV value heads; query head h
 * uses key/value head h / (H / KV). Result [B, T, H * D]. Keeps the log-sum-exp only; scores exist
 * for a few query rows at a time. A row's bits do not depend on rows that it does not see. */
typedef struct md_attention_shape {
    int heads, kv_heads, head_dim;
    md_attention_mask mask;
} md_attention_shape;
md_tensor *md_attention(md_tape *tape, md_tensor *qkv, md_attention_shape shape);

/* The same of rows [first, first + n) of sequences of T tokens, the other keys and values taken
 * from caches. qkv [B, n, (H + 2 KV) * D]; its keys and values are first stored in the caches.
 * Result [B, n, H * D], the bits that md_attention gives these rows of the whole sequence where the
 * kernels' products do not depend on their tiles (all but OpenBLAS's). Without a gradient
 * (MD_BUG_IF recording); not paired. */
typedef struct md_attention_cache {
    md_real *const *kv; /* [B] caches [T, 2 * KV * D]: rotated keys, then values, of every token */
    int T, first;
} md_attention_cache;
md_tensor *md_attention_cached(md_tape *tape, md_tensor *qkv, md_attention_shape shape,
                               const md_attention_cache *cache);

/* loss = sum over rows of weight[n] * -log softmax(h[n] w^T)[target[n]], the logit of `banned`
 * taken as -infinity (-1: none). h [N, C], w [V, C]; target [N]; weight [N]. Result: a scalar.
 * `row_loss` [N], unless NULL, receives the unweighted losses. Logits exist for a few rows at a
 * time; the gradient is computed on the way forward, so the result must be what md_tape_backward is
 * called on (MD_BUG_IF otherwise). */
typedef struct md_cross_entropy_args {
    const int32_t *target;
    const md_real *weight;
    int32_t banned;
    md_real *row_loss;
} md_cross_entropy_args;
md_tensor *md_linear_cross_entropy(md_tape *tape, md_tensor *h, md_tensor *w,
                                   const md_cross_entropy_args *args);

/* y = fn(context, tape, x), kept without what lies between: backward runs fn again (Chen et al.
 * 2016). Values, gradients and dropout masks have the bits that calling fn would give them; memory
 * is that of the result, and while fn or its backward runs, of one fn. Without recording it is a
 * call of fn. fn is a straight line of operators that does the same each time: it may use
 * parameters and other tensors made before, must not change them or x in place (md_rope of x
 * itself), nor compute the loss. It may hold checkpoints of its own. `context` is not copied: it
 * lives as long as the step, best in memory from md_tape_alloc. */
typedef md_tensor *(*md_checkpoint_fn)(const void *context, md_tape *tape, md_tensor *x);
md_tensor *md_checkpoint(md_tape *tape, md_checkpoint_fn fn, const void *context, md_tensor *x);

/* sum of a * b with a constant b [size of a]: a scalar for tests and probes. */
md_tensor *md_dot_constant(md_tape *tape, md_tensor *a, const md_real *b);

#endif
