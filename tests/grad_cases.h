/* tests/grad_cases.h: operators' gradients against central differences, in double precision, for
 * test_grad_ops.c and test_grad_image.c.
 *
 *     static md_tensor *add(md_tape *t, leaves x, const op_case *c) { return md_add(t, x[0], x[1]);
 * } static const op_case cases[] = {{"add", add, .leaf = {{2, {3, 5}}, {2, {3, 5}}}}};
 *     GRAD_TESTS(cases)
 *     ... in main: suite_grad_tests(s, sizeof cases / sizeof *cases);
 *
 * Leaves are filled with random numbers and the result is reduced to a scalar by a random constant
 * (md_dot_constant), unless it is a scalar already. Each case is run four times: against
 * differences, with each leaf frozen, with leaves as parameters, and with one thread against three.
 */
#ifndef TESTS_GRAD_CASES_H
#define TESTS_GRAD_CASES_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tensor/ops.h"
#include "tests/suite.h"

enum { MAX_LEAVES = 4, DIRECTIONS = 3 };

/* With h = 3e-5 a central difference is off by h^2/6 f''' (near 1e-10) and by 1e-16 |f| / h (near
 * 1e-10 too, for scalars of a few tens). Gradients here have norms of about 1. */
static const double STEP = 3e-5, TOLERANCE = 1e-7;

typedef struct op_case op_case;
struct op_case {
    const char *name;
    md_tensor *(*build)(md_tape *tape, md_tensor *const *leaf, const op_case *c);
    struct {
        int rank;
        int64_t dim[MD_MAX_RANK];
    } leaf[MAX_LEAVES]; /* rank 0 ends */
    int arg[3];         /* for `build` */
    md_attention_mask mask;
    int sample; /* elements of a leaf that are moved one by one; 0: all; -1: none */
};

typedef md_tensor *const *leaves;

/* --- running one ----------------------------------------------------------------------------- */

typedef enum leaf_kind { FROZEN, ACTIVATION, PARAMETER } leaf_kind;

typedef struct problem {
    const op_case *op;
    int count;
    int64_t size[MAX_LEAVES];
    double *value[MAX_LEAVES];
    double *grad[MAX_LEAVES]; /* results of the last differentiate */
    md_tensor leaf[MAX_LEAVES];
    double *probe;
    int64_t probe_size;
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
} problem;

static inline double random_value(uint32_t place, int64_t i) {
    return 2 * md_uniform((md_rng){.seed = 3, .stream = MD_STREAM_NOISE}, place, (uint32_t)i) - 1;
}

static inline double *new_doubles(int64_t count) {
    mdlm_error err;
    double *p = md_alloc((size_t)count, sizeof *p, &err);
    if (!p) ck_abort_msg("%s", err.message);
    return p;
}

static inline void problem_init(problem *p, const op_case *op, int threads) {
    mdlm_error err;
    *p = (problem){.op = op};
    assert_ok(md_kernels_init(&p->kernels, NULL, &err));
    p->pool = md_pool_new(threads, &err);
    p->tape = md_tape_new(p->pool, &p->kernels, &err);
    ck_assert(p->pool && p->tape);
    for (; p->count < MAX_LEAVES && op->leaf[p->count].rank; p->count++) {
        int l = p->count;
        md_tensor *t = &p->leaf[l];
        t->rank = op->leaf[l].rank;
        for (int i = 0; i < MD_MAX_RANK; i++) t->dim[i] = i < t->rank ? op->leaf[l].dim[i] : 1;
        p->size[l] = md_tensor_size(t);
        p->value[l] = new_doubles(p->size[l]);
        p->grad[l] = new_doubles(p->size[l]);
        for (int64_t i = 0; i < p->size[l]; i++) p->value[l][i] = random_value((uint32_t)l, i);
    }
}

static inline void problem_release(problem *p) {
    for (int l = 0; l < p->count; l++) {
        md_free(p->value[l]);
        md_free(p->grad[l]);
    }
    md_free(p->probe);
    md_tape_free(p->tape);
    md_pool_free(p->pool);
}

static inline md_tensor *reduce(problem *p, md_tensor *y) {
    int64_t size = md_tensor_size(y);
    if (size > p->probe_size) {
        md_free(p->probe);
        p->probe = new_doubles(size);
        p->probe_size = size;
        for (int64_t i = 0; i < size; i++) p->probe[i] = random_value(100, i);
    }
    return y->rank == 2 && size == 1 ? y : md_dot_constant(p->tape, y, p->probe);
}

/* The scalar, recorded. Leaves are copies, for operators that work in place. */
static inline md_tensor *run(problem *p, const leaf_kind *kind) {
    mdlm_error err = {0};
    md_tensor *list[MAX_LEAVES];
    md_tape_begin(p->tape, true, (md_rng){.seed = 5, .stream = MD_STREAM_DROPOUT});
    for (int l = 0; l < p->count; l++) {
        md_tensor *t = list[l] = &p->leaf[l];
        t->needs_grad = kind[l] != FROZEN;
        t->is_param = kind[l] == PARAMETER;
        t->grad = t->is_param ? p->grad[l] : NULL;
        t->data = md_tape_alloc(p->tape, (size_t)p->size[l], sizeof *t->data);
        ck_assert(t->data != NULL);
        memcpy(t->data, p->value[l], (size_t)p->size[l] * sizeof *t->data);
    }
    md_tensor *y = p->op->build(p->tape, list, p->op);
    ck_assert_msg(y != NULL, "%s: %d", p->op->name, (int)md_tape_status(p->tape, &err));
    return reduce(p, y);
}

static inline double value_of(problem *p) {
    const leaf_kind frozen[MAX_LEAVES] = {FROZEN, FROZEN, FROZEN, FROZEN};
    return *run(p, frozen)->data;
}

/* Gradients to p->grad: overwritten for activations, added to for parameters. */
static inline double differentiate(problem *p, const leaf_kind *kind) {
    mdlm_error err = {0};
    md_tensor *loss = run(p, kind);
    double value = *loss->data;
    assert_ok(md_tape_backward(p->tape, loss, &err));
    for (int l = 0; l < p->count; l++) {
        if (kind[l] != ACTIVATION) continue;
        ck_assert_msg(p->leaf[l].grad != NULL, "%s: leaf %d got no gradient", p->op->name, l);
        memcpy(p->grad[l], p->leaf[l].grad, (size_t)p->size[l] * sizeof(double));
    }
    return value;
}

static const leaf_kind activations[MAX_LEAVES] = {ACTIVATION, ACTIVATION, ACTIVATION, ACTIVATION};
static const leaf_kind parameters[MAX_LEAVES] = {PARAMETER, PARAMETER, PARAMETER, PARAMETER};

/* --- finite differences ---------------------------------------------------------------------- */

/* Slopes of the scalar along single elements of a leaf and along random unit vectors: these cover
 * the elements that are not moved alone. */
typedef struct slopes {
    int64_t size, count;
    int64_t *element;
    double *along; /* of each element */
    double *direction[DIRECTIONS], along_direction[DIRECTIONS];
} slopes;

static inline double central_difference(problem *p, int l, const double *direction,
                                        int64_t element) {
    double *x = p->value[l], f[2], *old = new_doubles(p->size[l]);
    /* A unit vector moves each of many elements very little: its step may be longer. */
    double step = direction ? STEP * pow((double)p->size[l], 0.25) : STEP;
    memcpy(old, x, (size_t)p->size[l] * sizeof *x);
    for (int side = 0; side < 2; side++) {
        double h = side ? -step : step;
        if (direction) {
            for (int64_t i = 0; i < p->size[l]; i++) x[i] = old[i] + h * direction[i];
        } else {
            x[element] = old[element] + h;
        }
        f[side] = value_of(p);
    }
    memcpy(x, old, (size_t)p->size[l] * sizeof *x);
    md_free(old);
    return (f[0] - f[1]) / (2 * step);
}

static inline void slopes_init(slopes *s, problem *p, int l) {
    mdlm_error err;
    int64_t size = p->size[l];
    s->size = size;
    s->count = p->op->sample && p->op->sample < size ? p->op->sample : size;
    if (s->count < 0) s->count = 0;
    s->element = md_alloc((size_t)s->count, sizeof *s->element, &err);
    s->along = new_doubles(s->count);
    md_rng rng = {.seed = 9, .stream = MD_STREAM_ORDER};
    for (int64_t i = 0; i < s->count; i++) {
        s->element[i] = (int64_t)md_permute(rng, (uint64_t)i, (uint64_t)size);
        s->along[i] = central_difference(p, l, NULL, s->element[i]);
    }
    for (int d = 0; d < DIRECTIONS; d++) {
        double *v = s->direction[d] = new_doubles(size), norm = 0;
        for (int64_t i = 0; i < size; i++) {
            v[i] = random_value(200 + (uint32_t)d, i);
            norm += v[i] * v[i];
        }
        for (int64_t i = 0; i < size; i++) v[i] /= sqrt(norm);
        s->along_direction[d] = central_difference(p, l, v, 0);
    }
}

static inline void slopes_release(slopes *s) {
    md_free(s->element);
    md_free(s->along);
    for (int d = 0; d < DIRECTIONS; d++) md_free(s->direction[d]);
}

/* sqrt(difference / total), 0 when both are. */
static inline double relative(double difference, double total) {
    return difference > 0 ? sqrt(difference / total) : 0;
}

/* Relative error in norm: the larger one of the elements' and of the directions'. */
static inline double error_of(const slopes *s, const double *grad) {
    double difference = 0, total = 0, difference_d = 0, total_d = 0;
    for (int64_t i = 0; i < s->count; i++) {
        double d = grad[s->element[i]] - s->along[i];
        difference += d * d;
        total += s->along[i] * s->along[i];
    }
    for (int k = 0; k < DIRECTIONS; k++) {
        double dot = 0;
        for (int64_t i = 0; i < s->size; i++) dot += grad[i] * s->direction[k][i];
        difference_d += (dot - s->along_direction[k]) * (dot - s->along_direction[k]);
        total_d += s->along_direction[k] * s->along_direction[k];
    }
    return fmax(relative(difference, total), relative(difference_d, total_d));
}

/* --- the tests ------------------------------------------------------------------------------- */

static inline void check_differences(const op_case *c) {
    problem p;
    problem_init(&p, c, 1);
    differentiate(&p, activations);
    differentiate(&p, activations); /* in gradient buffers that are not fresh any more */
    for (int l = 0; l < p.count; l++) {
        slopes s;
        slopes_init(&s, &p, l);
        double *g = p.grad[l], error = error_of(&s, g);
        ck_assert_msg(error < TOLERANCE, "%s, leaf %d: relative error %g", p.op->name, l, error);
        int64_t largest = 0;
        for (int64_t i = 0; i < p.size[l]; i++) {
            if (fabs(g[i]) > fabs(g[largest])) largest = i;
        }
        ck_assert_msg(g[largest] != 0, "%s, leaf %d: the gradient is zero", p.op->name, l);
        g[largest] *= 1.01;
        error = error_of(&s, g);
        ck_assert_msg(error > 10 * TOLERANCE, "%s, leaf %d: one element 1%% off passes: %g",
                      p.op->name, l, error);
        g[largest] /= 1.01;
        for (int64_t i = 0; i < p.size[l]; i++) g[i] *= 1.01;
        error = error_of(&s, g);
        ck_assert_msg(error > 0.009, "%s, leaf %d: all 1%% off passes: %g", p.op->name, l, error);
        slopes_release(&s);
    }
    problem_release(&p);
}

static inline void check_frozen(const op_case *c) {
    problem p, q;
    problem_init(&p, c, 1);
    problem_init(&q, c, 1);
    differentiate(&p, activations);
    for (int frozen = 0; frozen < p.count; frozen++) {
        leaf_kind kind[MAX_LEAVES];
        memcpy(kind, activations, sizeof kind);
        kind[frozen] = FROZEN;
        differentiate(&q, kind);
        ck_assert_msg(q.leaf[frozen].grad == NULL, "%s: leaf %d", p.op->name, frozen);
        for (int l = 0; l < p.count; l++) {
            if (l == frozen) continue;
            size_t bytes = (size_t)p.size[l] * sizeof(double);
            ck_assert_msg(!memcmp(p.grad[l], q.grad[l], bytes),
                          "%s: leaf %d changes when leaf %d "
                          "is frozen",
                          p.op->name, l, frozen);
        }
    }
    problem_release(&p);
    problem_release(&q);
}

static inline void check_parameters(const op_case *c) {
    problem p, q;
    problem_init(&p, c, 1);
    problem_init(&q, c, 1);
    differentiate(&p, activations);
    for (int l = 0; l < q.count; l++) {
        for (int64_t i = 0; i < q.size[l]; i++) q.grad[l][i] = 0.25;
    }
    differentiate(&q, parameters);
    differentiate(&q, parameters);
    for (int l = 0; l < p.count; l++) {
        for (int64_t i = 0; i < p.size[l]; i++) {
            /* A few roundings of sums in another order. */
            double expected = 0.25 + 2 * p.grad[l][i], tolerance = 1e-13 * (1 + fabs(expected));
            if (fabs(q.grad[l][i] - expected) < tolerance) continue;
            ck_abort_msg("%s, leaf %d, element %lld: %.17g, expected %.17g", p.op->name, l,
                         (long long)i, q.grad[l][i], expected);
        }
    }
    problem_release(&p);
    problem_release(&q);
}

static inline void check_threads(const op_case *c) {
    problem p, q;
    problem_init(&p, c, 1);
    problem_init(&q, c, 3);
    double a = differentiate(&p, activations), b = differentiate(&q, activations);
    ck_assert_msg(!memcmp(&a, &b, sizeof a), "%s: %.17g and %.17g", p.op->name, a, b);
    for (int l = 0; l < p.count; l++) {
        size_t bytes = (size_t)p.size[l] * sizeof(double);
        ck_assert_msg(!memcmp(p.grad[l], q.grad[l], bytes), "%s: leaf %d", p.op->name, l);
    }
    problem_release(&p);
    problem_release(&q);
}

/* --- of every case --------------------------------------------------------------------------- */

/* Four tests of each of `cases`. */
#define GRAD_TESTS(cases) \
    START_TEST(gradients_agree_with_central_differences_and_wrong_ones_do_not) { \
        check_differences(&(cases)[_i]); \
    } \
    END_TEST \
    START_TEST(a_frozen_input_gets_no_gradient_and_the_others_keep_theirs) { \
        check_frozen(&(cases)[_i]); \
    } \
    END_TEST \
    START_TEST(gradients_of_parameters_add_up_over_passes) { \
        check_parameters(&(cases)[_i]); \
    } \
    END_TEST \
    START_TEST(one_thread_and_three_give_the_same_bits) { \
        check_threads(&(cases)[_i]); \
    } \
    END_TEST

static inline void over_cases(Suite *suite, const char *name, const TTest *test, int count) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, test, 0, count);
    suite_add_tcase(suite, tc);
}

#define suite_grad_tests(suite, count) \
    do { \
        over_cases(suite, "differences", \
                   gradients_agree_with_central_differences_and_wrong_ones_do_not, count); \
        over_cases(suite, "frozen", a_frozen_input_gets_no_gradient_and_the_others_keep_theirs, \
                   count); \
        over_cases(suite, "parameters", gradients_of_parameters_add_up_over_passes, count); \
        over_cases(suite, "threads", one_thread_and_three_give_the_same_bits, count); \
    } while (0)

#endif
