/* tests/test_grad_ops.c: every operator's gradient against central differences, in double
 * precision. A new operator is a `build` function and a line in `cases`; those on images are in
 * test_grad_image.c. */
#include "tests/grad_cases.h"

/* --- the operators --------------------------------------------------------------------------- */

static const int32_t some_rows[] = {2, 0, 4, 2, 2, 1, 4}; /* of 5: duplicates, and 3 is missing */
enum { SOME_ROWS = sizeof some_rows / sizeof *some_rows };

static md_tensor *embedding(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_embedding(t, x[0], some_rows, SOME_ROWS);
}

static md_tensor *gather(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_gather_rows(t, x[0], some_rows, SOME_ROWS);
}

static md_tensor *linear(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_linear(t, x[0], x[1], NULL);
}

static md_tensor *linear_residual(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_linear(t, x[0], x[1], x[2]);
}

static md_tensor *linear_self_residual(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_linear(t, x[0], x[1], x[0]);
}

/* h is an activation that feeds the product and its residual, and a later sum as well. */
static md_tensor *linear_shared(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *h = md_swiglu(t, x[0]);
    return md_add(t, h, md_linear(t, h, x[1], h));
}

static md_tensor *two_products(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *h = md_linear(t, x[0], x[1], NULL);
    return md_linear(t, h, x[2], md_linear(t, h, x[1], NULL));
}

/* Twice the same function on its own result; the weight is no operand of the checkpoint. */
static md_tensor *gated_product(const void *context, md_tape *t, md_tensor *x) {
    md_tensor *const *w = context;
    return md_linear(t, md_dropout(t, md_swiglu(t, x), 0.4), *w, x);
}

static md_tensor *checkpoint(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor **w = md_tape_alloc(t, 1, sizeof *w);
    if (w) *w = x[1];
    md_tensor *y = w ? md_checkpoint(t, gated_product, w, x[0]) : NULL;
    return y ? md_checkpoint(t, gated_product, w, y) : NULL;
}

/* The gradients of the inner results are written over them. */
static md_tensor *spent(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *n = md_spent(md_rms_norm(t, x[0], x[2], 1e-3));
    md_tensor *u = md_spent(md_linear(t, n, x[1], NULL));
    return md_linear(t, md_spent(md_swiglu(t, u)), x[3], x[0]);
}

static md_tensor *rms_norm(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_rms_norm(t, x[0], x[1], 1e-3); /* an eps large enough to matter */
}

static md_tensor *swiglu(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_swiglu(t, x[0]);
}

static md_tensor *add(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_add(t, x[0], x[1]);
}

static md_tensor *add_to_itself(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *h = md_swiglu(t, x[0]);
    return md_add(t, h, h);
}

/* Two of them in one step draw different masks. */
static md_tensor *dropout(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_dropout(t, md_swiglu(t, md_dropout(t, x[0], 0.3)), 0.1);
}

static md_tensor *dropout_used_twice(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_add(t, md_dropout(t, x[0], 0.5), x[0]);
}

static md_tensor *reshape(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *y = md_reshape(t, x[0], 3, (int64_t[]){2, 3, 4});
    return md_add(t, md_swiglu(t, y), md_swiglu(t, md_reshape(t, y, 2, (int64_t[]){6, 4})));
}

/* arg: heads, D. x is copied by a sum first, since md_rope works in place. */
static md_tensor *rope(md_tape *t, leaves x, const op_case *c) {
    static md_rope_table table; /* in every test's own process */
    mdlm_error err;
    if (!table.cos) assert_ok(md_rope_table_init(&table, 300, c->arg[1], 100, &err));
    ck_assert_int_eq(table.D, c->arg[1]);
    return md_rope(t, md_add(t, x[0], x[0]), c->arg[0], &table, (md_rope_positions){0});
}

/* The leaf itself goes in: its gradient is rotated back before it arrives. */
static md_tensor *rope_of_a_leaf(md_tape *t, leaves x, const op_case *c) {
    static md_rope_table table;
    mdlm_error err;
    if (!table.cos) assert_ok(md_rope_table_init(&table, 9, c->arg[1], 100, &err));
    return md_rope(t, x[0], c->arg[0], &table, (md_rope_positions){0});
}

/* Positions that begin again, as in block diffusion's pairs, and not at 0. arg: heads, D, period.
 */
static md_tensor *rope_again(md_tape *t, leaves x, const op_case *c) {
    static md_rope_table table;
    mdlm_error err;
    if (!table.cos) assert_ok(md_rope_table_init(&table, 200, c->arg[1], 100, &err));
    const md_rope_positions at = {.first = 3, .period = c->arg[2]};
    return md_rope(t, md_add(t, x[0], x[0]), c->arg[0], &table, at);
}

/* arg: heads, kv_heads, head_dim */
static md_tensor *attention(md_tape *t, leaves x, const op_case *c) {
    const md_attention_shape shape = {
        .heads = c->arg[0], .kv_heads = c->arg[1], .head_dim = c->arg[2], .mask = c->mask};
    return md_attention(t, x[0], shape);
}

/* The second attention sees a tensor that has a gradient already. */
static md_tensor *attention_twice(md_tape *t, leaves x, const op_case *c) {
    md_tensor *y = attention(t, x, c);
    return md_add(t, y, attention(t, x, c));
}

/* arg: the banned id. Uneven weights, some of them zero. */
static md_tensor *cross_entropy(md_tape *t, leaves x, const op_case *c) {
    int64_t N = md_tensor_rows(x[0]), V = x[1]->dim[0];
    int32_t *target = md_tape_alloc(t, (size_t)N, sizeof *target);
    md_real *weight = md_tape_alloc(t, (size_t)N, sizeof *weight);
    ck_assert(target && weight);
    for (int64_t n = 0; n < N; n++) {
        target[n] = (int32_t)((n * 7 + 3) % V);
        if (target[n] == c->arg[0]) target[n] = (target[n] + 1) % (int32_t)V;
        weight[n] = (double)(n % 5) * 0.3;
    }
    md_cross_entropy_args args = {.target = target, .weight = weight, .banned = c->arg[0]};
    return md_linear_cross_entropy(t, x[0], x[1], &args);
}

/* The head's weight has a gradient from the embedding as well. */
static md_tensor *tied_cross_entropy(md_tape *t, leaves x, const op_case *c) {
    md_tensor *h = md_embedding(t, x[0], some_rows, SOME_ROWS);
    return cross_entropy(t, (md_tensor *const[]){md_add(t, h, h), x[0]}, c);
}

static const op_case cases[] = {
    {"embedding", embedding, .leaf = {{2, {5, 3}}}},
    {"embedding of several column tiles", embedding, .leaf = {{2, {5, 131}}}, .sample = 60},
    {"gather_rows", gather, .leaf = {{2, {5, 7}}}},
    {"gather_rows of a 3-d tensor", gather, .leaf = {{3, {1, 5, 7}}}},
    {"linear", linear, .leaf = {{3, {2, 3, 5}}, {2, {4, 5}}}},
    {"linear, one by one", linear, .leaf = {{2, {1, 1}}, {2, {1, 1}}}},
    {"linear with residual", linear_residual,
     .leaf = {{3, {2, 3, 5}}, {2, {4, 5}}, {3, {2, 3, 4}}}},
    {"linear with its input as residual", linear_self_residual, .leaf = {{2, {6, 5}}, {2, {5, 5}}}},
    {"linear with a shared activation", linear_shared, .leaf = {{2, {6, 10}}, {2, {5, 5}}}},
    {"a weight used twice", two_products, .leaf = {{2, {6, 5}}, {2, {5, 5}}, {2, {5, 5}}}},
    {"linear, many rows", linear_residual, .leaf = {{2, {517, 3}}, {2, {5, 3}}, {2, {517, 5}}},
     .sample = 40},
    {"linear, many outputs", linear_residual, .leaf = {{2, {3, 5}}, {2, {517, 5}}, {2, {3, 517}}},
     .sample = 40},
    {"linear, many inputs", linear, .leaf = {{2, {3, 1031}}, {2, {131, 1031}}}, .sample = 20},
    {"rms_norm", rms_norm, .leaf = {{3, {2, 3, 7}}, {1, {7}}}},
    {"rms_norm of one column", rms_norm, .leaf = {{2, {4, 1}}, {1, {1}}}},
    {"rms_norm, many rows", rms_norm, .leaf = {{2, {515, 3}}, {1, {3}}}, .sample = 40},
    {"swiglu", swiglu, .leaf = {{3, {2, 3, 10}}}},
    {"checkpoint", checkpoint, .leaf = {{2, {6, 8}}, {2, {8, 4}}}},
    {"spent results", spent, .leaf = {{2, {6, 5}}, {2, {8, 5}}, {1, {5}}, {2, {5, 4}}}},
    {"swiglu, many rows", swiglu, .leaf = {{2, {515, 6}}}, .sample = 40},
    {"add", add, .leaf = {{2, {3, 5}}, {2, {3, 5}}}},
    {"add to itself", add_to_itself, .leaf = {{2, {3, 10}}}},
    {"dropout", dropout, .leaf = {{3, {1, 131, 14}}}, .sample = 100},
    {"dropout used twice", dropout_used_twice, .leaf = {{2, {9, 7}}}},
    {"reshape", reshape, .leaf = {{2, {6, 4}}}},
    {"rope", rope, .leaf = {{3, {2, 5, 15}}}, .arg = {3, 4}},
    {"rope, many positions", rope, .leaf = {{3, {2, 259, 5}}}, .arg = {1, 4}, .sample = 40},
    {"rope of a leaf", rope_of_a_leaf, .leaf = {{3, {2, 5, 7}}}, .arg = {1, 6}},
    {"rope, positions twice", rope_again, .leaf = {{3, {2, 2 * 141, 5}}}, .arg = {1, 4, 141},
     .sample = 40},
    {"attention", attention, .leaf = {{3, {2, 5, 3 * 3 * 4}}}, .arg = {3, 3, 4}},
    {"attention of one token", attention, .leaf = {{3, {3, 1, 6}}}, .arg = {1, 1, 2}},
    {"attention with grouped heads", attention, .leaf = {{3, {2, 7, (4 + 4) * 3}}},
     .arg = {4, 2, 3}},
    {"attention with one key head", attention, .leaf = {{3, {2, 7, (3 + 2) * 2}}},
     .arg = {3, 1, 2}},
    {"attention twice", attention_twice, .leaf = {{3, {1, 7, (2 + 2) * 2}}}, .arg = {2, 1, 2}},
    {"attention, two query tiles", attention, .leaf = {{3, {1, 131, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .sample = 60},
    {"attention, three query tiles", attention, .leaf = {{3, {1, 257, 6}}}, .arg = {1, 1, 2},
     .sample = 40},
    {"attention with padding", attention_twice, .leaf = {{3, {2, 7, (4 + 4) * 2}}},
     .arg = {4, 2, 2}, .mask = {.lengths = (const int32_t[]){4, 7}}},
    {"attention with padding, two query tiles", attention, .leaf = {{3, {1, 133, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {.lengths = (const int32_t[]){97}}, .sample = 60},
    {"causal attention", attention, .leaf = {{3, {2, 7, (4 + 4) * 2}}}, .arg = {4, 2, 2},
     .mask = {MD_MASK_BLOCKS, .block = 1}},
    {"causal attention, two query tiles", attention, .leaf = {{3, {1, 133, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_BLOCKS, .block = 1}, .sample = 60},
    {"causal attention with a window", attention, .leaf = {{3, {1, 9, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_BLOCKS, .block = 1, .window = 4}},
    {"block-causal attention", attention_twice, .leaf = {{3, {2, 11, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_BLOCKS, .block = 4}},
    {"block-causal attention, two query tiles", attention, .leaf = {{3, {1, 263, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_BLOCKS, .block = 30}, .sample = 60},
    {"block-causal attention with a window", attention, .leaf = {{3, {1, 141, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_BLOCKS, .block = 10, .window = 25}, .sample = 60},
    {"paired attention", attention_twice, .leaf = {{3, {2, 2 * 7, (4 + 4) * 2}}}, .arg = {4, 2, 2},
     .mask = {MD_MASK_PAIRED, .block = 3}},
    {"paired attention in blocks of one", attention, .leaf = {{3, {1, 2 * 5, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_PAIRED, .block = 1}},
    {"paired attention of one block", attention, .leaf = {{3, {1, 2 * 5, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_PAIRED, .block = 5}},
    {"paired attention, four query tiles", attention, .leaf = {{3, {1, 2 * 151, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_PAIRED, .block = 50}, .sample = 60},
    {"paired attention with a window", attention, .leaf = {{3, {1, 2 * 13, (2 + 2) * 2}}},
     .arg = {2, 1, 2}, .mask = {MD_MASK_PAIRED, .block = 4, .window = 6}},
    {"cross_entropy", cross_entropy, .leaf = {{2, {6, 5}}, {2, {7, 5}}}, .arg = {-1}},
    {"cross_entropy with a banned id", cross_entropy, .leaf = {{3, {2, 3, 5}}, {2, {7, 5}}},
     .arg = {6}},
    {"cross_entropy, many rows and ids", cross_entropy, .leaf = {{2, {261, 3}}, {2, {131, 3}}},
     .arg = {0}, .sample = 30},
    {"cross_entropy in two chunks", cross_entropy, .leaf = {{2, {390, 2}}, {2, {8193, 2}}},
     .arg = {8000}, .sample = -1}, /* a slope of the sum is lost in its rounding there */
    {"cross_entropy with tied weights", tied_cross_entropy, .leaf = {{2, {5, 3}}}, .arg = {3}},
};
enum { CASES = sizeof cases / sizeof *cases };

GRAD_TESTS(cases)
/* The rows of one batch, and the same rows in two micro-batches. */
START_TEST(micro_batches_give_the_gradient_of_the_whole_batch) {
    enum { N = 7, CUT = 3, C = 3, V = 5 };
    static const op_case shape = {.name = "micro-batches", .leaf = {{2, {N, C}}, {2, {V, C}}}};
    static const int32_t target[N] = {0, 4, 2, 1, 1, 3, 0};
    static const double weight[N] = {1, 0.5, 3, 0, 0.25, 1, 2};
    double whole[V * C], parts[V * C];
    problem p;
    problem_init(&p, &shape, 1);
    for (int pass = 0; pass < 3; pass++) {
        mdlm_error err = {0};
        int first = pass == 2 ? CUT : 0, end = pass == 1 ? CUT : N;
        if (pass < 2) memset(p.grad[1], 0, sizeof whole);
        md_tape_begin(p.tape, true, (md_rng){0});
        md_tensor *w = &p.leaf[1], *x = md_tape_matrix(p.tape, end - first, C);
        memcpy(x->data, p.value[0] + first * C, (size_t)(end - first) * C * sizeof(double));
        w->data = p.value[1], w->grad = p.grad[1], w->is_param = w->needs_grad = true;
        md_cross_entropy_args args = {
            .target = target + first, .weight = weight + first, .banned = -1};
        md_tensor *loss = md_linear_cross_entropy(p.tape, x, w, &args);
        assert_ok(md_tape_backward(p.tape, loss, &err));
        memcpy(pass == 0 ? whole : parts, p.grad[1], sizeof whole);
    }
    /* Sums of seven terms in another order. */
    for (int i = 0; i < V * C; i++) ck_assert_double_eq_tol(parts[i], whole[i], 1e-14);
    problem_release(&p);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gradients of operators");
    suite_grad_tests(s, CASES);
    suite_case(s, micro_batches_give_the_gradient_of_the_whole_batch);
    return suite_run(s);
}
