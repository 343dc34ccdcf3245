/* tests/test_ops_image.c: operators on images, by every set of kernels: against their definitions,
 * and the bits that must not depend on the batch, on the threads, or on what ran before.
 * Convolution has tests of its own (test_conv.c), gradients are in test_grad_image.c. */
#include <cblas.h>
#include <math.h>
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/ops_image.h"
#include "tests/kernel_sets.h"

enum { B = 9, Y = 4, X = 6, C = 36, D = 5, PIXELS = Y * X, OPERANDS = 3 };

typedef md_tensor *const *operands;
typedef const float *const *values;

typedef struct image_op {
    const char *name;
    md_tensor *(*run)(md_tape *tape, operands x);
    void (*define)(values x, double *y); /* of one image; operands of images are that image's */
    struct {
        int rank;
        int64_t dim[MD_MAX_RANK]; /* the first is B, or it is the same for all images */
    } in[OPERANDS];
} image_op;

/* --- definitions ----------------------------------------------------------------------------- */

static double silu_of(double x) {
    return x / (1 + exp(-x));
}

static const md_group_norm_how norm_how = {.groups = 9, .eps = 1e-3, .silu = true};

static md_tensor *run_group_norm(md_tape *t, operands x) {
    return md_group_norm(t, x[0], x[1], x[2], norm_how);
}

/* Mean and 1 / sqrt(variance + eps) of x[first], x[first + 1], .. in `runs` runs of `width`. */
static void moments(const float *x, int runs, int width, int stride, double eps, double *mean,
                    double *rstd) {
    double sum = 0, square = 0, n = (double)runs * width;
    for (int r = 0; r < runs; r++)
        for (int c = 0; c < width; c++) sum += (double)x[r * stride + c];
    *mean = sum / n;
    for (int r = 0; r < runs; r++)
        for (int c = 0; c < width; c++) square += pow((double)x[r * stride + c] - *mean, 2);
    *rstd = 1 / sqrt(square / n + eps);
}

static void define_group_norm(values x, double *y) {
    const int width = C / norm_how.groups;
    for (int c = 0; c < C; c++) {
        double mean, rstd;
        moments(x[0] + c / width * width, PIXELS, width, C, norm_how.eps, &mean, &rstd);
        for (int p = 0; p < PIXELS; p++) {
            double n = ((double)x[0][p * C + c] - mean) * rstd;
            y[p * C + c] = silu_of(n * (double)x[1][c] + (double)x[2][c]);
        }
    }
}

static md_tensor *run_silu(md_tape *t, operands x) {
    return md_silu(t, x[0]);
}

static void define_silu(values x, double *y) {
    for (int i = 0; i < PIXELS * C; i++) y[i] = silu_of((double)x[0][i]);
}

static md_tensor *run_gelu(md_tape *t, operands x) {
    return md_gelu(t, x[0]);
}

/* As it is published: 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
static void define_gelu(values x, double *y) {
    for (int i = 0; i < PIXELS * C; i++) {
        const double u = (double)x[0][i];
        y[i] = 0.5 * u * (1 + tanh(sqrt(2 / acos(-1)) * (u + 0.044715 * u * u * u)));
    }
}

static md_tensor *run_add_channels(md_tape *t, operands x) {
    return md_add_channels(t, x[0], x[1]);
}

static void define_add_channels(values x, double *y) {
    for (int i = 0; i < PIXELS * C; i++) y[i] = (double)x[0][i] + (double)x[1][i % C];
}

static md_tensor *run_concat(md_tape *t, operands x) {
    return md_concat(t, x[0], x[1]);
}

static void define_concat(values x, double *y) {
    for (int p = 0; p < PIXELS; p++)
        for (int c = 0; c < C + D; c++)
            y[p * (C + D) + c] = (double)(c < C ? x[0][p * C + c] : x[1][p * D + c - C]);
}

static md_tensor *run_columns(md_tape *t, operands x) {
    return md_columns(t, x[0], 3, D);
}

static void define_columns(values x, double *y) {
    for (int i = 0; i < PIXELS * D; i++) y[i] = (double)x[0][i / D * C + 3 + i % D];
}

static md_tensor *run_modulated_norm(md_tape *t, operands x) {
    return md_modulated_norm(t, x[0], x[1], x[2], 1e-3);
}

static void define_modulated_norm(values x, double *y) {
    for (int p = 0; p < PIXELS; p++) {
        double mean, rstd;
        moments(x[0] + p * C, 1, C, C, 1e-3, &mean, &rstd);
        for (int c = 0; c < C; c++)
            y[p * C + c] =
                ((double)x[0][p * C + c] - mean) * rstd * (1 + (double)x[1][c]) + (double)x[2][c];
    }
}

static md_tensor *run_gated_add(md_tape *t, operands x) {
    return md_gated_add(t, x[0], x[1], x[2]);
}

static void define_gated_add(values x, double *y) {
    for (int i = 0; i < PIXELS * C; i++)
        y[i] = (double)x[0][i] + (double)x[1][i % C] * (double)x[2][i];
}

enum { P = 2 };

static md_tensor *run_patches(md_tape *t, operands x) {
    return md_patches(t, x[0], P);
}

/* Where channel c of pixel (i, j) is in the patches. */
static int in_patches(int i, int j, int c) {
    int patch = i / P * (X / P) + j / P, pixel = i % P * P + j % P;
    return (patch * P * P + pixel) * C + c;
}

static void define_patches(values x, double *y) {
    for (int i = 0; i < PIXELS * C; i++)
        y[in_patches(i / C / X, i / C % X, i % C)] = (double)x[0][i];
}

static md_tensor *run_unpatch(md_tape *t, operands x) {
    return md_unpatch(t, x[0], P, Y, X);
}

static void define_unpatch(values x, double *y) {
    for (int i = 0; i < PIXELS * C; i++)
        y[i] = (double)x[0][in_patches(i / C / X, i / C % X, i % C)];
}

static md_tensor *run_transposed(md_tape *t, operands x) {
    return md_conv2d_transposed(t, x[0], x[1], x[2]);
}

static void define_transposed_of(values x, int K, double *y) {
    const int pad = (K - 2) / 2;
    for (int i = 0; i < 4 * PIXELS * D; i++) y[i] = x[2] ? (double)x[2][i % D] : 0;
    for (int p = 0; p < PIXELS; p++) {
        for (int tap = 0; tap < D * K * K; tap++) {
            int row = p / X * 2 + tap / K % K - pad, col = p % X * 2 + tap % K - pad;
            if (row < 0 || col < 0 || row >= 2 * Y || col >= 2 * X) continue;
            for (int c = 0; c < C; c++)
                y[(row * 2 * X + col) * D + tap / (K * K)] +=
                    (double)x[0][p * C + c] * (double)x[1][tap * C + c];
        }
    }
}

static void define_transposed_4(values x, double *y) {
    define_transposed_of(x, 4, y);
}

static void define_transposed_2(values x, double *y) {
    define_transposed_of(x, 2, y);
}

/* A block of self-attention as a U-Net has it: norm, queries with keys and values by a 1x1
 * convolution, attention of one head over pixels. */
static md_tensor *run_spatial_attention(md_tape *t, operands x) {
    const md_attention_shape shape = {.heads = 1, .kv_heads = 1, .head_dim = C};
    md_tensor *h = x[0] ? md_reshape(t, x[0], 3, (int64_t[]){x[0]->dim[0], PIXELS, C}) : NULL;
    return md_attention(t, md_add_channels(t, md_spent(md_linear(t, h, x[1], NULL)), x[2]), shape);
}

static void define_spatial_attention(values x, double *y) {
    static double qkv[PIXELS][3 * C];
    for (int p = 0; p < PIXELS; p++) {
        for (int m = 0; m < 3 * C; m++) {
            qkv[p][m] = (double)x[2][m];
            for (int c = 0; c < C; c++)
                qkv[p][m] += (double)x[0][p * C + c] * (double)x[1][m * C + c];
        }
    }
    for (int p = 0; p < PIXELS; p++) {
        double weight[PIXELS], sum = 0;
        for (int k = 0; k < PIXELS; k++) {
            double dot = 0;
            for (int c = 0; c < C; c++) dot += qkv[p][c] * qkv[k][C + c];
            sum += weight[k] = exp(dot / sqrt(C));
        }
        for (int c = 0; c < C; c++) {
            y[p * C + c] = 0;
            for (int k = 0; k < PIXELS; k++) y[p * C + c] += weight[k] / sum * qkv[k][2 * C + c];
        }
    }
}

static const image_op ops[] = {
    {"group_norm", run_group_norm, define_group_norm, {{4, {B, Y, X, C}}, {1, {C}}, {1, {C}}}},
    {"silu", run_silu, define_silu, {{4, {B, Y, X, C}}}},
    {"add_channels of each image",
     run_add_channels,
     define_add_channels,
     {{4, {B, Y, X, C}}, {2, {B, C}}}},
    {"add_channels of all images",
     run_add_channels,
     define_add_channels,
     {{4, {B, Y, X, C}}, {1, {C}}}},
    {"concat", run_concat, define_concat, {{4, {B, Y, X, C}}, {4, {B, Y, X, D}}}},
    {"columns", run_columns, define_columns, {{4, {B, Y, X, C}}}},
    {"modulated_norm",
     run_modulated_norm,
     define_modulated_norm,
     {{3, {B, PIXELS, C}}, {2, {B, C}}, {2, {B, C}}}},
    {"gated_add",
     run_gated_add,
     define_gated_add,
     {{3, {B, PIXELS, C}}, {2, {B, C}}, {3, {B, PIXELS, C}}}},
    {"patches", run_patches, define_patches, {{4, {B, Y, X, C}}}},
    {"unpatch", run_unpatch, define_unpatch, {{3, {B, PIXELS / P / P, P *P *C}}}},
    {"conv2d_transposed, 4x4",
     run_transposed,
     define_transposed_4,
     {{4, {B, Y, X, C}}, {4, {D, 4, 4, C}}, {1, {D}}}},
    {"conv2d_transposed, 2x2",
     run_transposed,
     define_transposed_2,
     {{4, {B, Y, X, C}}, {4, {D, 2, 2, C}}}},
    {"spatial attention",
     run_spatial_attention,
     define_spatial_attention,
     {{4, {B, Y, X, C}}, {2, {3 * C, C}}, {1, {3 * C}}}},
    {"gelu", run_gelu, define_gelu, {{4, {B, Y, X, C}}}},
};
enum { OPS = sizeof ops / sizeof *ops, MOST = B * 4 * PIXELS * 3 * C };

/* --- running one ----------------------------------------------------------------------------- */

typedef struct fixture {
    md_kernels kernels;
    md_pool *pool;
    md_tape *tape;
    md_tensor leaf[OPERANDS];
    float *value[OPERANDS], *grad[OPERANDS];
} fixture;

static float *new_floats(int64_t count) {
    mdlm_error err;
    float *p = md_alloc((size_t)count, sizeof *p, &err);
    if (!p) ck_abort_msg("%s", err.message);
    return p;
}

static void fixture_init(fixture *f, const image_op *op, const md_kernels *k, int threads) {
    mdlm_error err;
    *f = (fixture){.kernels = *k};
    f->pool = md_pool_new(threads, &err);
    f->tape = md_tape_new(f->pool, &f->kernels, &err);
    ck_assert(f->pool && f->tape);
    md_rng rng = {.seed = 4, .stream = MD_STREAM_NOISE};
    for (int i = 0; i < OPERANDS && op->in[i].rank; i++) {
        md_tensor *t = &f->leaf[i];
        *t = (md_tensor){.rank = op->in[i].rank};
        for (int d = 0; d < MD_MAX_RANK; d++) t->dim[d] = d < t->rank ? op->in[i].dim[d] : 1;
        int64_t size = md_tensor_size(t);
        f->value[i] = new_floats(size), f->grad[i] = new_floats(size);
        for (int64_t e = 0; e < size; e++)
            f->value[i][e] = 2 * (float)md_uniform(rng, (uint32_t)i, (uint32_t)e) - 1;
    }
}

static void fixture_release(fixture *f) {
    for (int i = 0; i < OPERANDS; i++) {
        md_free(f->value[i]);
        md_free(f->grad[i]);
    }
    md_tape_free(f->tape);
    md_pool_free(f->pool);
}

static bool of_images(const image_op *op, int i) {
    return op->in[i].dim[0] == B;
}

/* An operand's numbers that belong to one image. */
static const float *image_of(const fixture *f, const image_op *op, int i, int image) {
    return f->value[i] + (of_images(op, i) ? image * md_tensor_size(&f->leaf[i]) / B : 0);
}

/* The operator on `count` images from `first` on, as parameters when recorded. */
static md_tensor *run(fixture *f, const image_op *op, int first, int count, bool record) {
    mdlm_error err = {0};
    md_tensor part[OPERANDS], *list[OPERANDS] = {NULL};
    md_tape_begin(f->tape, record, (md_rng){0});
    for (int i = 0; i < OPERANDS && op->in[i].rank; i++) {
        part[i] = f->leaf[i];
        if (of_images(op, i)) part[i].dim[0] = count;
        part[i].data = (float *)image_of(f, op, i, first);
        part[i].is_param = part[i].needs_grad = record;
        part[i].grad = f->grad[i];
        f->leaf[i] = record ? part[i] : f->leaf[i];
        list[i] = record ? &f->leaf[i] : &part[i];
    }
    md_tensor *y = op->run(f->tape, list);
    ck_assert_msg(y != NULL, "%s: %d, %s", op->name, (int)md_tape_status(f->tape, &err),
                  err.message);
    return y;
}

/* --- the tests ------------------------------------------------------------------------------- */

START_TEST(operators_do_what_their_definitions_say) {
    const image_op *op = &ops[_i];
    md_kernels k;
    static double exact[MOST];
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        fixture f;
        fixture_init(&f, op, &k, 2);
        const md_tensor *y = run(&f, op, 0, B, false);
        int64_t size = md_tensor_size(y) / B;
        for (int image = 0; image < B; image++) {
            const float *x[OPERANDS] = {NULL};
            for (int i = 0; i < OPERANDS && op->in[i].rank; i++) x[i] = image_of(&f, op, i, image);
            op->define(x, exact);
            for (int64_t i = 0; i < size; i++) {
                double got = (double)y->data[image * size + i];
                /* Sums of up to 200 products of numbers below 1, rounded in any order. */
                if (fabs(got - exact[i]) < 2e-5) continue;
                ck_abort_msg("%s, %s: image %d, element %lld is %.9g, not %.9g", op->name, k.name,
                             image, (long long)i, got, exact[i]);
            }
        }
        fixture_release(&f);
    }
}
END_TEST

START_TEST(an_image_has_the_same_bits_alone_and_in_a_batch) {
    const image_op *op = &ops[_i];
    md_kernels k;
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        if (!strcmp(k.name, "openblas")) continue; /* its products depend on their tiles */
        fixture f;
        fixture_init(&f, op, &k, 2);
        md_tensor *y = run(&f, op, 0, B, false);
        size_t bytes = (size_t)md_tensor_size(y) / B * sizeof *y->data;
        char *all = memcpy(new_floats(md_tensor_size(y)), y->data, bytes * B);
        for (int image = 0; image < B; image += 4) {
            for (int count = 1; count <= 3 && image + count <= B; count++) {
                y = run(&f, op, image, count, false);
                ck_assert_msg(!memcmp(y->data, all + (size_t)image * bytes, bytes * (size_t)count),
                              "%s, %s: %d images from image %d", op->name, k.name, count, image);
            }
        }
        md_free(all);
        fixture_release(&f);
    }
}
END_TEST

/* The result and all gradients of a recorded step, one after the other. */
static int64_t step(fixture *f, const image_op *op, float *to) {
    mdlm_error err = {0};
    md_tensor *y = run(f, op, 0, B, true);
    int64_t at = md_tensor_size(y);
    memcpy(to, y->data, (size_t)at * sizeof *to);
    assert_ok(md_tape_backward(f->tape, md_known_loss(f->tape, y, 0, y->data), &err));
    for (int i = 0; i < OPERANDS && op->in[i].rank; i++) {
        int64_t size = md_tensor_size(&f->leaf[i]);
        memcpy(to + at, f->grad[i], (size_t)size * sizeof *to);
        memset(f->grad[i], 0, (size_t)size * sizeof *to);
        at += size;
    }
    return at;
}

START_TEST(threads_change_no_bit_and_neither_do_steps_before) {
    const image_op *op = &ops[_i];
    static float first[2 * MOST], other[2 * MOST];
    md_kernels k;
    for (int set = 0; next_kernels(&set, "f32", &k);) {
        for (int threads = 1; threads <= 3; threads++) {
            fixture f;
            fixture_init(&f, op, &k, threads);
            int64_t n = step(&f, op, threads == 1 ? first : other);
            for (int again = 0; again < 2; again++) {
                size_t memory = again ? md_tape_memory(f.tape) : 0;
                ck_assert_int_eq(step(&f, op, other), n);
                ck_assert_msg(!memcmp(first, other, (size_t)n * sizeof *first),
                              "%s, %s, %d threads, again %d", op->name, k.name, threads, again);
                if (again) ck_assert_uint_eq(md_tape_memory(f.tape), memory);
            }
            fixture_release(&f);
        }
    }
}
END_TEST

/* --- errors and promises --------------------------------------------------------------------- */

START_TEST(operators_accept_null_and_fail_after_an_error) {
    mdlm_error err = {0};
    fixture f;
    md_kernels k;
    assert_ok(md_kernels_init(&k, NULL, &err));
    for (int i = 0; i < OPS; i++) {
        fixture_init(&f, &ops[i], &k, 1);
        for (int null = 0; null < OPERANDS && ops[i].in[null].rank; null++) {
            md_tensor *list[OPERANDS] = {&f.leaf[0], &f.leaf[1], &f.leaf[2]};
            for (int l = 0; l < OPERANDS; l++) list[l]->data = f.value[l];
            list[null] = NULL;
            if (ops[i].run == run_transposed && null == 2) continue; /* the bias may be NULL */
            md_tape_begin(f.tape, true, (md_rng){0});
            ck_assert_msg(!ops[i].run(f.tape, list), "%s: operand %d", ops[i].name, null);
            assert_ok(md_tape_status(f.tape, &err));
        }
        md_tensor *list[OPERANDS] = {&f.leaf[0], &f.leaf[1], &f.leaf[2]};
        md_tape_fail(f.tape, MDLM_NUMERIC, "stop");
        ck_assert_msg(!ops[i].run(f.tape, list), "%s after an error", ops[i].name);
        assert_fails(md_tape_status(f.tape, &err), MDLM_NUMERIC, "stop");
        fixture_release(&f);
    }
}
END_TEST

START_TEST(a_sum_over_channels_is_in_place_where_its_operand_is_spent) {
    mdlm_error err;
    md_kernels k;
    fixture f;
    assert_ok(md_kernels_init(&k, NULL, &err));
    fixture_init(&f, &ops[2], &k, 1);
    md_tape_begin(f.tape, false, (md_rng){0});
    for (int i = 0; i < 2; i++) f.leaf[i].data = f.value[i];
    md_tensor *h = md_silu(f.tape, &f.leaf[0]);
    ck_assert(md_add_channels(f.tape, h, &f.leaf[1])->data != h->data);
    float before = h->data[7];
    ck_assert(md_add_channels(f.tape, md_spent(h), &f.leaf[1])->data == h->data);
    ck_assert_float_eq(h->data[7], before + f.value[1][7]);
    fixture_release(&f);
}
END_TEST

START_TEST(a_known_loss_that_is_not_the_root_is_a_bug) {
    mdlm_error err;
    md_kernels k;
    fixture f;
    assert_ok(md_kernels_init(&k, NULL, &err));
    fixture_init(&f, &ops[1], &k, 1);
    md_tensor *y = run(&f, &ops[1], 0, B, true);
    md_tensor *loss = md_known_loss(f.tape, y, 2.5, y->data);
    ck_assert_float_eq(*loss->data, 2.5F);
    const md_real two[] = {2};
    (void)md_tape_backward(f.tape, md_dot_constant(f.tape, loss, two), &err);
}
END_TEST

static void over_ops(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test, 0, OPS);
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("operators on images");
    openblas_set_num_threads(1); /* as the command line does */
    over_ops(s, "definitions", operators_do_what_their_definitions_say);
    over_ops(s, "batch", an_image_has_the_same_bits_alone_and_in_a_batch);
    over_ops(s, "threads", threads_change_no_bit_and_neither_do_steps_before);
    suite_case(s, operators_accept_null_and_fail_after_an_error);
    suite_case(s, a_sum_over_channels_is_in_place_where_its_operand_is_spent);
    TCase *bug = tcase_create("a known loss that is not the root");
    tcase_add_test_raise_signal(bug, a_known_loss_that_is_not_the_root_is_a_bug, SIGABRT);
    suite_add_tcase(s, bug);
    name_skipped_sets();
    return suite_run(s);
}
