/* tests/test_muon.c: orthogonalised momentum (tensor/muon.h) through the optimizer. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tensor/optim.h"
#include "tests/suite.h"

static mdlm_error err;

enum { ORTHOGONAL = MD_PARAM_DECAY | MD_PARAM_ORTHOGONAL };

/* --- the formulas of muon.h in plain double precision ------------------------------------------
 */

static const double A = 3.4445, B = -4.7750, C = 2.0315;

/* out [m,n] = a [m,k] b [k,n] */
static void product(int m, int n, int k, const double *a, const double *b, double *out) {
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int p = 0; p < k; p++) sum += a[i * k + p] * b[p * n + j];
            out[i * n + j] = sum;
        }
    }
}

static double *transposed(int m, int n, const double *x) {
    double *out = calloc((size_t)(m * n), sizeof *out);
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) out[j * m + i] = x[i * n + j];
    }
    return out;
}

static double *doubles(int64_t n, const md_real *x) {
    double *out = calloc((size_t)n, sizeof *out);
    for (int64_t i = 0; i < n; i++) out[i] = (double)x[i];
    return out;
}

/* X = a X + (b A + c A^2) X with A = X X^T, X [m,n], m <= n. */
static void iterate(int m, int n, double *x) {
    double *t = transposed(m, n, x);
    double *gram = calloc((size_t)(m * m), sizeof *gram), *factor = calloc((size_t)(m * m), 8);
    double *moved = calloc((size_t)(m * n), sizeof *moved);
    product(m, m, n, x, t, gram);
    product(m, m, m, gram, gram, factor);
    for (int i = 0; i < m * m; i++) factor[i] = B * gram[i] + C * factor[i];
    product(m, n, m, factor, x, moved);
    for (int i = 0; i < m * n; i++) x[i] = A * x[i] + moved[i];
    free(t), free(gram), free(factor), free(moved);
}

/* G [m,n] becomes what the update subtracts. */
static double *orthogonalised(int m, int n, const double *g) {
    double norm = 0;
    for (int i = 0; i < m * n; i++) norm += g[i] * g[i];
    double *turned = transposed(m, n, g), *x = m > n ? turned : transposed(n, m, turned);
    for (int i = 0; i < m * n; i++) x[i] /= sqrt(norm) + 1e-7;
    for (int i = 0; i < 5; i++) iterate(m < n ? m : n, m < n ? n : m, x);
    double *out = m > n ? transposed(n, m, x) : x;
    free(turned);
    return out;
}

/* --- models ----------------------------------------------------------------------------------- */

typedef struct shape {
    int rows, cols;
} shape;

/* Wide, tall, square; above and below the sizes of strips; not their multiples. */
static const shape SHAPES[] = {{40, 200}, {200, 33}, {64, 64},  {97, 97},
                               {1, 7},    {5, 1},    {130, 101}};
enum { COUNT = sizeof SHAPES / sizeof *SHAPES };

static void fill(md_real *x, int64_t n, uint64_t seed, uint32_t number) {
    const md_rng rng = {.seed = seed, .stream = MD_STREAM_NOISE};
    for (uint32_t i = 0; i < n; i++) x[i] = (md_real)md_normal(rng, number, i);
}

/* An embedding, the matrices, a gain, and a matrix that does not decay. */
static md_params *new_params(const shape *shapes, int count) {
    char name[16] = "block a";
    md_params *params = md_params_new(&err);
    md_params_add(params, "embedding", 2, (int64_t[]){50, 20}, MD_PARAM_DECAY, &err);
    for (int i = 0; i < count; i++) {
        name[6] = (char)('a' + i);
        md_params_add(params, name, 2, (int64_t[]){shapes[i].rows, shapes[i].cols}, ORTHOGONAL,
                      &err);
    }
    md_params_add(params, "gain", 1, (int64_t[]){17}, 0, &err);
    md_params_add(params, "free", 2, (int64_t[]){20, 10}, MD_PARAM_ORTHOGONAL, &err);
    assert_ok(md_params_seal(params, true, &err));
    fill(md_params_values(params), md_params_size(params), 1, 0);
    return params;
}

static md_optimizer_options muon_options(void) {
    md_optimizer_options o = md_optimizer_defaults();
    o.kind = MD_OPTIMIZER_MUON;
    return o;
}

static md_optimizer *new_optimizer(md_params *params, const md_kernels *kernels,
                                   md_optimizer_options options) {
    md_optimizer *o = md_optimizer_new(params, kernels, &options, &err);
    ck_assert_msg(o != NULL, "%s", err.message);
    return o;
}

typedef struct training {
    md_params *params;
    md_optimizer *optimizer;
} training;

static training new_training(md_optimizer_options options) {
    training t = {.params = new_params(SHAPES, COUNT)};
    t.optimizer = new_optimizer(t.params, &md_kernels_ref, options);
    return t;
}

static void release(training t) {
    md_optimizer_free(t.optimizer);
    md_params_free(t.params);
}

static mdlm_status step(training t, uint32_t number, md_pool *pool) {
    fill(md_params_grads(t.params), md_params_size(t.params), 2, number);
    return md_optimizer_step(t.optimizer, 0.01, pool, NULL, &err);
}

static void assert_same_bits(training a, training b) {
    const size_t bytes = (size_t)md_params_size(a.params) * sizeof(md_real);
    ck_assert_mem_eq(md_params_values(a.params), md_params_values(b.params), bytes);
    ck_assert_mem_eq(md_optimizer_first(a.optimizer), md_optimizer_first(b.optimizer), bytes);
    ck_assert_mem_eq(md_optimizer_second(a.optimizer), md_optimizer_second(b.optimizer), bytes);
    ck_assert_mem_eq(md_optimizer_ema(a.optimizer), md_optimizer_ema(b.optimizer), bytes);
    ck_assert_int_eq(md_optimizer_steps(a.optimizer), md_optimizer_steps(b.optimizer));
}

/* --- one matrix ------------------------------------------------------------------------------- */

/* What a first step with learning rate 1 subtracts from a matrix of zeros, over the factor for its
 * shape: G orthogonalised. Momentum only scales the first gradient. */
static md_real *moved_by(int rows, int cols, const md_real *gradient) {
    const size_t size = (size_t)(rows * cols);
    md_params *params = md_params_new(&err);
    md_params_add(params, "w", 2, (int64_t[]){rows, cols}, ORTHOGONAL, &err);
    assert_ok(md_params_seal(params, true, &err));
    memcpy(md_params_grads(params), gradient, size * sizeof *gradient);
    md_optimizer_options options = muon_options();
    options.muon_lr = 1;
    md_optimizer *o = new_optimizer(params, &md_kernels_ref, options);
    assert_ok(md_optimizer_step(o, 1, NULL, NULL, &err));
    md_real *out = calloc(size, sizeof *out);
    const double scale = rows > cols ? sqrt((double)rows / cols) : 1;
    for (size_t i = 0; i < size; i++) out[i] = -md_params_values(params)[i] / (md_real)scale;
    md_optimizer_free(o);
    md_params_free(params);
    return out;
}

/* Row i of the orthogonal cosine transform of length n at column j. */
static double cosine(int n, int i, int j) {
    return sqrt((i ? 2.0 : 1.0) / n) * cos(M_PI * (j + 0.5) * i / n);
}

/* The matrix with the singular values s and cosines as singular vectors. */
static double *with_values(int rows, int cols, const double *s) {
    double *out = calloc((size_t)(rows * cols), sizeof *out);
    for (int i = 0; i < rows; i++) {
        for (int j = 0; j < cols; j++) {
            double sum = 0;
            for (int k = 0; k < rows && k < cols; k++) {
                sum += cosine(rows, k, i) * s[k] * cosine(cols, k, j);
            }
            out[i * cols + j] = sum;
        }
    }
    return out;
}

/* Five times the polynomial on each singular value, and the same singular vectors. */
static void check_spectrum(int rows, int cols) {
    const int rank = rows < cols ? rows : cols;
    double s[256], norm = 0;
    for (int k = 0; k < rank; k++) {
        s[k] = pow(10, -1.5 * k / rank); /* condition number 30 */
        norm += s[k] * s[k];
    }
    double *g = with_values(rows, cols, s);
    md_real *gradient = calloc((size_t)(rows * cols), sizeof *gradient);
    for (int i = 0; i < rows * cols; i++) gradient[i] = (md_real)g[i];
    for (int k = 0; k < rank; k++) {
        s[k] /= sqrt(norm);
        for (int i = 0; i < 5; i++) s[k] = A * s[k] + B * pow(s[k], 3) + C * pow(s[k], 5);
        ck_assert_msg(s[k] > 0.68 && s[k] < 1.21, "%d x %d: value %d is %g", rows, cols, k, s[k]);
    }
    double *expected = with_values(rows, cols, s);
    md_real *found = moved_by(rows, cols, gradient);
    /* A is rounded to about 1e-7 of its norm, and five iterations multiply an error of a small
     * singular value's square by at most a^8 = 2e4: 2e-3 of a value, spread over many elements. */
    for (int i = 0; i < rows * cols; i++) {
        ck_assert_double_eq_tol((double)found[i], expected[i], 2e-4);
    }
    free(g), free(gradient), free(expected), free(found);
}

START_TEST(singular_values_follow_the_polynomial_and_vectors_stay) {
    check_spectrum(40, 200);
    check_spectrum(200, 40);
    check_spectrum(97, 97);
    check_spectrum(1, 9);
}
END_TEST

/* X X^T has the squares of the singular values as its eigenvalues: between 0.68^2 = 0.46 and
 * 1.21^2 = 1.47. Diagonal elements lie between them, others within half of their distance. */
static void check_nearly_orthogonal(int rows, int cols) {
    const int side = rows < cols ? rows : cols, length = rows < cols ? cols : rows;
    md_real *gradient = calloc((size_t)(rows * cols), sizeof *gradient);
    fill(gradient, rows * cols, 3, 0);
    md_real *found = moved_by(rows, cols, gradient);
    double *x = doubles(rows * cols, found), *t = transposed(rows, cols, x);
    double *gram = calloc((size_t)(side * side), sizeof *gram);
    product(side, side, length, rows > cols ? t : x, rows > cols ? x : t, gram);
    for (int i = 0; i < side * side; i++) {
        const bool diagonal = i / side == i % side;
        ck_assert_double_ge(gram[i], diagonal ? 0.46 : -0.51);
        ck_assert_double_le(gram[i], diagonal ? 1.47 : 0.51);
    }
    free(gradient), free(found), free(x), free(t), free(gram);
}

START_TEST(a_random_matrix_comes_out_nearly_orthogonal) {
    check_nearly_orthogonal(64, 160);
    check_nearly_orthogonal(160, 64);
}
END_TEST

START_TEST(a_gradient_of_zero_moves_nothing) {
    md_real zero[6] = {0};
    md_real *found = moved_by(2, 3, zero);
    for (int i = 0; i < 6; i++) ck_assert(found[i] == 0);
    free(found);
}
END_TEST

/* --- steps of a whole model ------------------------------------------------------------------- */

/* One parameter in double precision. */
typedef struct reference {
    int rows, cols;
    double *w, *b, *ema;
} reference;

static void reference_step(reference *r, const md_real *grad, double clip, double decay, int n) {
    const int size = r->rows * r->cols;
    const double lr = 0.01 * 5, keep = (1.0 + n) / (10.0 + n);
    const double scale = r->rows > r->cols ? sqrt((double)r->rows / r->cols) : 1;
    double *g = calloc((size_t)size, sizeof *g);
    for (int i = 0; i < size; i++) {
        r->b[i] = 0.95 * r->b[i] + 0.05 * clip * (double)grad[i];
        g[i] = 0.95 * r->b[i] + 0.05 * clip * (double)grad[i];
    }
    double *x = orthogonalised(r->rows, r->cols, g);
    for (int i = 0; i < size; i++) {
        r->w[i] = (1 - lr * decay) * r->w[i] - lr * scale * x[i];
        r->ema[i] = keep * r->ema[i] + (1 - keep) * r->w[i];
    }
    free(g), free(x);
}

static double clip_of(const md_params *params) {
    double sum = 0;
    for (int64_t i = 0; i < md_params_size(params); i++) {
        sum += (double)md_params_grads(params)[i] * (double)md_params_grads(params)[i];
    }
    return fmin(1, 1 / sqrt(sum));
}

static void check_reference(training t, int p, const reference *r) {
    const int64_t at = md_params_tensor(t.params, p)->data - md_params_values(t.params);
    /* Weights of order one lose 1e-7 a step; X is good to 2e-4 (see above) and moves them by 0.05
     * times the factor for the shape, at most 2.5. */
    for (int i = 0; i < r->rows * r->cols; i++) {
        ck_assert_double_eq_tol((double)md_params_values(t.params)[at + i], r->w[i], 2e-5);
        ck_assert_double_eq_tol((double)md_optimizer_ema(t.optimizer)[at + i], r->ema[i], 2e-5);
        ck_assert_double_eq_tol((double)md_optimizer_first(t.optimizer)[at + i], r->b[i], 1e-6);
        ck_assert(md_optimizer_second(t.optimizer)[at + i] == 0);
        ck_assert(md_params_grads(t.params)[at + i] == 0);
    }
}

START_TEST(three_steps_agree_with_plain_double_precision) {
    training t = new_training(muon_options());
    reference list[COUNT + 1];
    for (int i = 0; i <= COUNT; i++) { /* the last: the matrix that does not decay */
        const md_tensor *w = md_params_tensor(t.params, i < COUNT ? i + 1 : COUNT + 2);
        const int64_t n = md_tensor_size(w);
        list[i] = (reference){(int)w->dim[0], (int)w->dim[1], doubles(n, w->data),
                              calloc((size_t)n, sizeof(double)), doubles(n, w->data)};
    }
    for (int n = 1; n <= 3; n++) {
        fill(md_params_grads(t.params), md_params_size(t.params), 2, (uint32_t)n);
        const double clip = clip_of(t.params);
        for (int i = 0; i <= COUNT; i++) {
            const md_tensor *w = md_params_tensor(t.params, i < COUNT ? i + 1 : COUNT + 2);
            reference_step(&list[i], w->grad, clip, i < COUNT ? 0.1 : 0, n);
        }
        assert_ok(step(t, (uint32_t)n, NULL));
    }
    for (int i = 0; i <= COUNT; i++) {
        check_reference(t, i < COUNT ? i + 1 : COUNT + 2, &list[i]);
        free(list[i].w), free(list[i].b), free(list[i].ema);
    }
    release(t);
}
END_TEST

START_TEST(gains_and_the_embedding_take_the_path_of_adamw) {
    training muon = new_training(muon_options()), adamw = new_training(md_optimizer_defaults());
    for (uint32_t n = 0; n < 3; n++) {
        assert_ok(step(muon, n, NULL));
        assert_ok(step(adamw, n, NULL));
    }
    for (int i = 0; i < md_params_count(muon.params); i++) {
        const md_tensor *a = md_params_tensor(muon.params, i);
        const md_tensor *b = md_params_tensor(adamw.params, i);
        const size_t bytes = (size_t)md_tensor_size(a) * sizeof(md_real);
        const bool same = memcmp(a->data, b->data, bytes) == 0;
        const bool orthogonal = md_params_flags(muon.params, i) & MD_PARAM_ORTHOGONAL;
        ck_assert_msg(same != orthogonal, "'%s'", md_params_name(muon.params, i));
    }
    release(muon);
    release(adamw);
}
END_TEST

/* More than one batch of matrices, by the kernels that training uses; threads 0: without a pool. */
static training train_large(int threads, const char *dtype) {
    static const shape shapes[] = {{300, 300}, {300, 500}, {290, 300}, {500, 300}, {40, 32}};
    static md_kernels kernels;
    assert_ok(md_kernels_init(&kernels, NULL, &err));
    assert_ok(md_kernels_set_dtype(&kernels, dtype, &err));
    training t = {.params = new_params(shapes, 5)};
    t.optimizer = new_optimizer(t.params, &kernels, muon_options());
    md_pool *pool = threads ? md_pool_new(threads, &err) : NULL;
    for (uint32_t n = 0; n < 2; n++) assert_ok(step(t, n, pool));
    md_pool_free(pool);
    return t;
}

START_TEST(one_thread_and_three_give_the_same_bits) {
    training none = train_large(0, "f32"), one = train_large(1, "f32");
    training three = train_large(3, "f32");
    assert_same_bits(one, three);
    assert_same_bits(none, three);
    release(none);
    release(one);
    release(three);
}
END_TEST

/* Rounded to bf16 the iteration diverges, so it must not see the training's bf16 products. */
START_TEST(bf16_products_change_nothing) {
    training f32 = train_large(1, "f32"), bf16 = train_large(1, "bf16");
    assert_same_bits(f32, bf16);
    release(f32);
    release(bf16);
}
END_TEST

START_TEST(saved_state_continues_with_the_same_bits) {
    training whole = new_training(muon_options()), part = new_training(muon_options());
    const size_t bytes = (size_t)md_params_size(part.params) * sizeof(md_real);
    for (uint32_t n = 0; n < 3; n++) {
        assert_ok(step(whole, n, NULL));
        assert_ok(step(part, n, NULL));
        if (n != 1) continue;
        md_optimizer *fresh = new_optimizer(part.params, &md_kernels_ref, muon_options());
        md_optimizer_set_steps(fresh, md_optimizer_steps(part.optimizer));
        memcpy(md_optimizer_first(fresh), md_optimizer_first(part.optimizer), bytes);
        memcpy(md_optimizer_second(fresh), md_optimizer_second(part.optimizer), bytes);
        memcpy(md_optimizer_ema(fresh), md_optimizer_ema(part.optimizer), bytes);
        md_optimizer_free(part.optimizer);
        part.optimizer = fresh;
    }
    assert_same_bits(whole, part);
    release(whole);
    release(part);
}
END_TEST

static void refuse_gradient(md_real bad) {
    training t = new_training(muon_options()), untouched = new_training(muon_options());
    assert_ok(step(t, 0, NULL));
    assert_ok(step(untouched, 0, NULL));
    const md_tensor *matrix = md_params_tensor(t.params, 2);
    fill(md_params_grads(t.params), md_params_size(t.params), 2, 1);
    matrix->grad[3] = bad;
    assert_fails(md_optimizer_step(t.optimizer, 0.01, NULL, NULL, &err), MDLM_NUMERIC, "finite");
    assert_same_bits(t, untouched);
    for (int64_t i = 0; i < md_params_size(t.params); i++) {
        ck_assert(md_params_grads(t.params)[i] == 0);
    }
    release(t);
    release(untouched);
}

START_TEST(a_gradient_that_is_not_finite_changes_nothing_but_the_gradients) {
    refuse_gradient((md_real)NAN);
    refuse_gradient((md_real)INFINITY);
}
END_TEST

int main(void) {
    Suite *s = suite_create("muon");
    suite_case(s, singular_values_follow_the_polynomial_and_vectors_stay);
    suite_case(s, a_random_matrix_comes_out_nearly_orthogonal);
    suite_case(s, a_gradient_of_zero_moves_nothing);
    suite_case(s, three_steps_agree_with_plain_double_precision);
    suite_case(s, gains_and_the_embedding_take_the_path_of_adamw);
    suite_case(s, one_thread_and_three_give_the_same_bits);
    suite_case(s, bf16_products_change_nothing);
    suite_case(s, saved_state_continues_with_the_same_bits);
    suite_case(s, a_gradient_that_is_not_finite_changes_nothing_but_the_gradients);
    return suite_run(s);
}
