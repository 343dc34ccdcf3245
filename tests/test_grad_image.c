/* tests/test_grad_image.c: the gradient of every operator on images against central differences, in
 * double precision. A new operator is a `build` function and a line in `cases`. */
#include "tensor/ops_image.h"
#include "tests/grad_cases.h"

/* --- the operators --------------------------------------------------------------------------- */

static md_tensor *silu(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_silu(t, x[0]);
}

static md_tensor *silu_twice(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_add(t, md_silu(t, x[0]), md_silu(t, x[0]));
}

static md_tensor *gelu(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_gelu(t, x[0]);
}

static md_tensor *gelu_twice(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_add(t, md_gelu(t, x[0]), md_gelu(t, x[0]));
}

/* arg: groups, silu. An eps large enough to matter. */
static md_tensor *group_norm(md_tape *t, leaves x, const op_case *c) {
    const md_group_norm_how how = {.groups = c->arg[0], .eps = 1e-2, .silu = c->arg[1]};
    return md_group_norm(t, x[0], x[1], x[2], how);
}

/* As in a residual block: x has a gradient already when that of the norm arrives. */
static md_tensor *group_norm_and_skip(md_tape *t, leaves x, const op_case *c) {
    md_tensor *h = md_silu(t, x[0]);
    return md_add(t, group_norm(t, (md_tensor *const[]){h, x[1], x[2]}, c), h);
}

static md_tensor *add_channels(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_add_channels(t, x[0], x[1]);
}

/* In place over the product, whose gradient is that of the sum. */
static md_tensor *add_channels_in_place(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *h = md_spent(md_linear(t, x[0], x[1], NULL));
    md_tensor *y = md_add_channels(t, h, x[2]);
    ck_assert(y->data == h->data);
    return md_silu(t, y);
}

static md_tensor *concat(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_concat(t, x[0], x[1]);
}

static md_tensor *concat_with_itself(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_concat(t, md_concat(t, x[0], x[0]), x[0]);
}

/* Used twice, so that the second gradient adds up. */
static md_tensor *mean_pixels(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *h = md_silu(t, x[0]);
    return md_add(t, md_mean_pixels(t, h), md_mean_pixels(t, h));
}

/* arg: first, count */
static md_tensor *columns(md_tape *t, leaves x, const op_case *c) {
    return md_columns(t, x[0], c->arg[0], c->arg[1]);
}

static md_tensor *overlapping_columns(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_concat(t, md_columns(t, x[0], 0, 4), md_columns(t, x[0], 1, 6));
}

/* A quadratic whose gradient is told, and not derived. */
static md_tensor *known_loss(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *y = md_silu(t, x[0]);
    int64_t size = md_tensor_size(y);
    double sum = 0, *gradient = md_tape_alloc(t, (size_t)size, sizeof *gradient);
    ck_assert(gradient != NULL);
    for (int64_t i = 0; i < size; i++) {
        sum += 0.5 * (double)(i % 3) * y->data[i] * y->data[i];
        gradient[i] = (double)(i % 3) * y->data[i];
    }
    md_tensor *loss = md_known_loss(t, y, sum, gradient);
    for (int64_t i = 0; i < size; i++) gradient[i] = NAN; /* it was copied */
    return loss;
}

static md_tensor *modulated_norm(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_modulated_norm(t, x[0], x[1], x[2], 1e-2);
}

/* As in a transformer of images: shift, scale and gate from one product, the gradient of x from
 * the gate's sum and from the norm. arg: C */
static md_tensor *modulated_block(md_tape *t, leaves x, const op_case *c) {
    int C = c->arg[0];
    md_tensor *h = md_silu(t, x[0]), *moves = md_silu(t, x[1]);
    md_tensor *n =
        md_modulated_norm(t, h, md_columns(t, moves, 0, C), md_columns(t, moves, C, C), 1e-2);
    return md_gated_add(t, h, md_columns(t, moves, 2 * C, C), n);
}

static md_tensor *gated_add(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    return md_gated_add(t, x[0], x[1], x[2]);
}

static md_tensor *gated_by_itself(md_tape *t, leaves x, const op_case *c) {
    (void)c;
    md_tensor *h = md_silu(t, x[0]), *gate = md_silu(t, x[1]);
    return md_gated_add(t, md_gated_add(t, h, gate, h), gate, h);
}

/* arg: P */
static md_tensor *patches(md_tape *t, leaves x, const op_case *c) {
    return md_patches(t, x[0], c->arg[0]);
}

/* arg: P, Y, X. Used twice, so that the second gradient adds up. */
static md_tensor *unpatch(md_tape *t, leaves x, const op_case *c) {
    md_tensor *h = md_silu(t, x[0]);
    return md_add(t, md_unpatch(t, h, c->arg[0], c->arg[1], c->arg[2]),
                  md_unpatch(t, h, c->arg[0], c->arg[1], c->arg[2]));
}

static md_tensor *conv_transposed(md_tape *t, leaves x, const op_case *c) {
    return md_conv2d_transposed(t, x[0], x[1], c->arg[0] ? x[2] : NULL);
}

/* Self-attention over pixels: norm, a 1x1 convolution with a bias, one head, and back. arg: C */
static md_tensor *spatial_attention(md_tape *t, leaves x, const op_case *c) {
    const int C = c->arg[0];
    const md_attention_shape shape = {.heads = 1, .kv_heads = 1, .head_dim = C};
    const int64_t B = x[0]->dim[0], pixels = x[0]->dim[1] * x[0]->dim[2];
    md_tensor *ones = md_tape_tensor(t, 1, (int64_t[]){C});
    for (int i = 0; i < C; i++) ones->data[i] = 1;
    md_tensor *n =
        md_group_norm(t, x[0], ones, ones, (md_group_norm_how){.groups = 2, .eps = 1e-2});
    md_tensor *rows = md_reshape(t, n, 3, (int64_t[]){B, pixels, C});
    md_tensor *qkv = md_add_channels(t, md_spent(md_linear(t, rows, x[1], NULL)), x[2]);
    md_tensor *y = md_reshape(t, md_attention(t, qkv, shape), 4, x[0]->dim);
    return md_linear(t, y, x[3], x[0]);
}

static const op_case cases[] = {
    {"silu", silu, .leaf = {{3, {2, 3, 5}}}},
    {"silu twice", silu_twice, .leaf = {{3, {2, 3, 5}}}},
    {"gelu", gelu, .leaf = {{3, {2, 3, 5}}}},
    {"gelu twice", gelu_twice, .leaf = {{3, {2, 3, 5}}}},
    {"silu in two tiles", silu_twice, .leaf = {{2, {3, 5500}}}, .sample = 20},
    {"group_norm", group_norm, .leaf = {{4, {2, 3, 2, 6}}, {1, {6}}, {1, {6}}}, .arg = {3}},
    {"group_norm with silu", group_norm, .leaf = {{4, {2, 3, 2, 6}}, {1, {6}}, {1, {6}}},
     .arg = {2, 1}},
    {"group_norm of single channels", group_norm, .leaf = {{3, {3, 5, 4}}, {1, {4}}, {1, {4}}},
     .arg = {4, 1}},
    {"group_norm of all channels", group_norm, .leaf = {{3, {9, 4, 3}}, {1, {3}}, {1, {3}}},
     .arg = {1, 1}},
    {"group_norm in blocks of channels", group_norm,
     .leaf = {{4, {1, 2, 3, 60}}, {1, {60}}, {1, {60}}}, .arg = {12, 1}, .sample = 60},
    {"group_norm in blocks of wide groups", group_norm,
     .leaf = {{4, {1, 2, 3, 40}}, {1, {40}}, {1, {40}}}, .arg = {2}, .sample = 60},
    {"group_norm and a skip", group_norm_and_skip, .leaf = {{4, {2, 3, 3, 6}}, {1, {6}}, {1, {6}}},
     .arg = {3, 1}},
    {"add_channels of each image", add_channels, .leaf = {{4, {3, 2, 4, 5}}, {2, {3, 5}}}},
    {"add_channels of all images", add_channels, .leaf = {{4, {3, 2, 4, 5}}, {1, {5}}}},
    {"add_channels to rows", add_channels, .leaf = {{2, {7, 5}}, {1, {5}}}},
    {"add_channels, a row each", add_channels, .leaf = {{2, {7, 5}}, {2, {7, 5}}}},
    {"add_channels, many rows", add_channels, .leaf = {{3, {2, 137, 40}}, {2, {2, 40}}},
     .sample = 30},
    {"add_channels in place", add_channels_in_place,
     .leaf = {{3, {2, 4, 3}}, {2, {5, 3}}, {2, {2, 5}}}},
    {"concat", concat, .leaf = {{4, {2, 2, 3, 4}}, {4, {2, 2, 3, 3}}}},
    {"concat of rows", concat, .leaf = {{2, {140, 1}}, {2, {140, 3}}}, .sample = 30},
    {"concat with itself", concat_with_itself, .leaf = {{3, {2, 3, 4}}}},
    {"mean_pixels", mean_pixels, .leaf = {{4, {3, 2, 4, 5}}}},
    {"columns", columns, .leaf = {{2, {3, 8}}}, .arg = {2, 5}},
    {"overlapping columns", overlapping_columns, .leaf = {{3, {2, 3, 8}}}},
    {"modulated_norm", modulated_norm, .leaf = {{3, {2, 3, 5}}, {2, {2, 5}}, {2, {2, 5}}}},
    {"modulated_norm of one column", modulated_norm,
     .leaf = {{3, {2, 3, 2}}, {2, {2, 2}}, {2, {2, 2}}}},
    {"modulated_norm, many rows", modulated_norm,
     .leaf = {{3, {2, 137, 4}}, {2, {2, 4}}, {2, {2, 4}}}, .sample = 40},
    {"a modulated block", modulated_block, .leaf = {{3, {2, 3, 4}}, {2, {2, 12}}}, .arg = {4}},
    {"gated_add", gated_add, .leaf = {{3, {2, 3, 5}}, {2, {2, 5}}, {3, {2, 3, 5}}}},
    {"gated_add, many rows", gated_add,
     .leaf = {{3, {2, 137, 20}}, {2, {2, 20}}, {3, {2, 137, 20}}}, .sample = 30},
    {"gated_add of one thing twice", gated_by_itself, .leaf = {{3, {2, 3, 5}}, {2, {2, 5}}}},
    {"patches", patches, .leaf = {{4, {2, 4, 6, 3}}}, .arg = {2}},
    {"patches of a pixel", patches, .leaf = {{4, {2, 2, 3, 3}}}, .arg = {1}},
    {"unpatch", unpatch, .leaf = {{3, {2, 6, 12}}}, .arg = {2, 4, 6}},
    {"conv2d_transposed", conv_transposed, .leaf = {{4, {2, 3, 2, 3}}, {4, {2, 4, 4, 3}}, {1, {2}}},
     .arg = {1}},
    {"conv2d_transposed without overlap", conv_transposed,
     .leaf = {{4, {2, 2, 3, 2}}, {4, {3, 2, 2, 2}}}},
    {"spatial attention", spatial_attention,
     .leaf = {{4, {2, 3, 2, 6}}, {2, {18, 6}}, {1, {18}}, {2, {6, 6}}}, .arg = {6}},
    {"known_loss", known_loss, .leaf = {{3, {2, 3, 5}}}},
};
enum { CASES = sizeof cases / sizeof *cases };

GRAD_TESTS(cases)

int main(void) {
    Suite *s = suite_create("gradients of operators on images");
    suite_grad_tests(s, CASES);
    return suite_run(s);
}
