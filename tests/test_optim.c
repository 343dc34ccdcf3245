/* tests/test_optim.c: AdamW, clipping, EMA and the learning-rate schedule (tensor/optim.h). */
#include <math.h>
#include <string.h>

#include "tensor/optim.h"
#include "tests/suite.h"

static mdlm_error err;

/* Numbers of order one, rounded to float a few times per step. */
static const double ROUNDING = 2e-6;

static void assert_near(const md_real *found, const double *expected, int n) {
    for (int i = 0; i < n; i++) ck_assert_double_eq_tol((double)found[i], expected[i], ROUNDING);
}

static md_optimizer *new_optimizer(md_params *params, const md_optimizer_options *opt) {
    md_optimizer *o = md_optimizer_new(params, &md_kernels_ref, opt, &err);
    ck_assert_msg(o != NULL, "%s", err.message);
    return o;
}

/* A matrix [1, 2] that decays and a gain [1] that does not. */
static md_params *three_values(void) {
    md_params *params = md_params_new(&err);
    md_params_add(params, "w", 2, (int64_t[]){1, 2}, MD_PARAM_DECAY, &err);
    md_params_add(params, "g", 1, (int64_t[]){1}, 0, &err);
    assert_ok(md_params_seal(params, true, &err));
    const md_real start[] = {1, -2, (md_real)0.5};
    memcpy(md_params_values(params), start, sizeof start);
    return params;
}

/* Worked out in double precision from the formulas in optim.h. By hand, first step, first value:
 * g = 3 / 5 = 0.6 = m^ = sqrt(v^), so w = 1 - 0.1 (0.6 / 0.61 + 0.1) = 0.8916393; the average's
 * decay is 2 / 11, so it is 2/11 + 9/11 w = 0.9113413. */
START_TEST(three_steps_agree_with_numbers_worked_out_by_hand) {
    static const struct {
        double grad[3], norm, w[3], ema[3];
    } steps[] = {
        {{3, 4, 0},
         5, /* clipped by 1/5 */
         {0.891639344, -2.078765432, 0.5},
         {0.911341282, -2.064444444, 0.5}},
        {{0.1, -0.2, 0.2},
         0.3, /* not clipped */
         {0.805264480, -2.104644827, 0.431300669},
         {0.831783680, -2.094594732, 0.448475502}},
        {{-1, 2, 2},
         3, /* clipped by 1/3 */
         {0.775112873, -2.151172968, 0.357135762},
         {0.792550045, -2.133764280, 0.385240298}},
    };
    md_params *params = three_values();
    md_optimizer_options opt = md_optimizer_defaults();
    opt.eps = 1e-2; /* large enough to show */
    md_optimizer *o = new_optimizer(params, &opt);
    for (int n = 0; n < 3; n++) {
        md_real *grad = md_params_grads(params);
        for (int i = 0; i < 3; i++) grad[i] = (md_real)steps[n].grad[i];
        md_optimizer_info info = {0};
        assert_ok(md_optimizer_step(o, 0.1, NULL, &info, &err));
        ck_assert_double_eq_tol(info.grad_norm, steps[n].norm, ROUNDING);
        assert_near(md_params_values(params), steps[n].w, 3);
        assert_near(md_optimizer_ema(o), steps[n].ema, 3);
        for (int i = 0; i < 3; i++) ck_assert(grad[i] == 0);
        ck_assert_int_eq(md_optimizer_steps(o), n + 1);
    }
    assert_near(md_optimizer_first(o), (double[]){0.024266667, 0.113466667, 0.084666667}, 3);
    assert_near(md_optimizer_second(o), (double[]){0.022275556, 0.053002222, 0.024122222}, 3);
    md_optimizer_free(o);
    md_params_free(params);
}
END_TEST

START_TEST(the_defaults_are_those_of_the_manual) {
    const md_optimizer_options opt = md_optimizer_defaults();
    ck_assert(opt.beta1 == 0.9 && opt.beta2 == 0.95 && opt.eps == 1e-8);
    ck_assert(opt.weight_decay == 0.1 && opt.grad_clip == 1 && opt.ema == 0.999);
}
END_TEST

START_TEST(a_clip_of_zero_leaves_gradients_alone) {
    md_params *params = three_values();
    md_optimizer_options opt = md_optimizer_defaults();
    opt.grad_clip = 0;
    md_optimizer *o = new_optimizer(params, &opt);
    md_params_grads(params)[0] = 300;
    assert_ok(md_optimizer_step(o, 0.1, NULL, NULL, &err));
    ck_assert_double_eq_tol((double)md_optimizer_first(o)[0], 30, 1e-4); /* 0.1 g, float rounding */
    md_optimizer_free(o);
    md_params_free(params);
}
END_TEST

START_TEST(the_average_starts_at_the_weights_and_can_be_left_out) {
    md_params *params = three_values();
    md_optimizer_options opt = md_optimizer_defaults();
    md_optimizer *o = new_optimizer(params, &opt);
    ck_assert_mem_eq(md_optimizer_ema(o), md_params_values(params), 3 * sizeof(md_real));
    md_optimizer_free(o);
    opt.ema = 0;
    o = new_optimizer(params, &opt);
    ck_assert_ptr_null(md_optimizer_ema(o));
    assert_ok(md_optimizer_step(o, 0.1, NULL, NULL, &err));
    md_optimizer_free(o);
    md_params_free(params);
}
END_TEST

START_TEST(the_decay_of_the_average_warms_up_to_its_limit) {
    md_params *params = three_values();
    const md_optimizer_options opt = {.beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .ema = 0.5};
    const int64_t before[] = {0, 6, 7, 1000};
    const double decay[] = {2.0 / 11, 8.0 / 17, 0.5, 0.5}; /* min(.5, (1 + n) / (10 + n)) */
    for (int i = 0; i < 4; i++) {
        md_optimizer *o = new_optimizer(params, &opt);
        md_optimizer_set_steps(o, before[i]);
        md_optimizer_ema(o)[0] = 2; /* no gradient, no decay: the weight stays 1 */
        assert_ok(md_optimizer_step(o, 0.1, NULL, NULL, &err));
        ck_assert_double_eq_tol((double)md_optimizer_ema(o)[0], 1 + decay[i], ROUNDING);
        md_optimizer_free(o);
    }
    md_params_free(params);
}
END_TEST

/* Four parameters that end inside chunks and change the decay from one to the next. */
static const int64_t LARGE[] = {20000, 3, 40000, 16384};

static md_params *large_params(void) {
    md_params *params = md_params_new(&err);
    const char *names[] = {"a", "b", "c", "d"};
    for (int i = 0; i < 4; i++) {
        md_params_add(params, names[i], 1, &LARGE[i], i % 2 ? 0 : MD_PARAM_DECAY, &err);
    }
    assert_ok(md_params_seal(params, true, &err));
    for (int64_t i = 0; i < md_params_size(params); i++) {
        md_params_values(params)[i] = (md_real)sin((double)i);
    }
    return params;
}

static void large_gradient(md_params *params, int step) {
    for (int64_t i = 0; i < md_params_size(params); i++) {
        md_params_grads(params)[i] = (md_real)cos((double)(i * (step + 3)));
    }
}

START_TEST(weight_decay_stops_at_the_edges_of_parameters) {
    md_params *params = large_params();
    md_optimizer_options opt = md_optimizer_defaults();
    opt.weight_decay = 0.5;
    md_optimizer *o = new_optimizer(params, &opt);
    assert_ok(
        md_optimizer_step(o, 1, NULL, NULL, &err)); /* zero gradients: only decay moves weights */
    for (int p = 0; p < 4; p++) {
        const md_tensor *t = md_params_tensor(params, p);
        for (int64_t i = 0; i < LARGE[p]; i++) {
            const int64_t at = t->data + i - md_params_values(params);
            const md_real start = (md_real)sin((double)at);
            /* Halving is exact. */
            ck_assert(t->data[i] == (p % 2 == 0 ? start / 2 : start));
        }
    }
    md_optimizer_free(o);
    md_params_free(params);
}
END_TEST

typedef struct outcome {
    md_params *params;
    md_optimizer *optimizer;
    double norm;
} outcome;

/* Three steps, threads 0: without a pool. */
static outcome train(int threads) {
    outcome r = {.params = large_params()};
    const md_optimizer_options opt = md_optimizer_defaults();
    r.optimizer = new_optimizer(r.params, &opt);
    md_pool *pool = threads ? md_pool_new(threads, &err) : NULL;
    for (int step = 0; step < 3; step++) {
        large_gradient(r.params, step);
        md_optimizer_info info = {0};
        assert_ok(md_optimizer_step(r.optimizer, 1e-2, pool, &info, &err));
        r.norm = info.grad_norm;
    }
    md_pool_free(pool);
    return r;
}

static void release(outcome r) {
    md_optimizer_free(r.optimizer);
    md_params_free(r.params);
}

static void assert_same_bits(outcome a, outcome b) {
    const size_t bytes = (size_t)md_params_size(a.params) * sizeof(md_real);
    ck_assert(memcmp(&a.norm, &b.norm, sizeof a.norm) == 0);
    ck_assert(memcmp(md_params_values(a.params), md_params_values(b.params), bytes) == 0);
    ck_assert(memcmp(md_optimizer_first(a.optimizer), md_optimizer_first(b.optimizer), bytes) == 0);
    ck_assert(memcmp(md_optimizer_second(a.optimizer), md_optimizer_second(b.optimizer), bytes) ==
              0);
    ck_assert(memcmp(md_optimizer_ema(a.optimizer), md_optimizer_ema(b.optimizer), bytes) == 0);
}

START_TEST(one_thread_and_three_give_the_same_bits) {
    outcome none = train(0), one = train(1), three = train(3);
    ck_assert(three.norm > 0);
    assert_same_bits(one, three);
    assert_same_bits(none, three);
    release(none);
    release(one);
    release(three);
}
END_TEST

START_TEST(the_norm_is_that_of_the_whole_gradient) {
    md_params *params = large_params();
    const md_optimizer_options opt = md_optimizer_defaults();
    md_optimizer *o = new_optimizer(params, &opt);
    large_gradient(params, 0);
    double sum = 0;
    for (int64_t i = 0; i < md_params_size(params); i++) {
        sum += (double)md_params_grads(params)[i] * (double)md_params_grads(params)[i];
    }
    md_optimizer_info info = {0};
    assert_ok(md_optimizer_step(o, 1e-2, NULL, &info, &err));
    /* Another order of summation in double precision. */
    ck_assert_double_eq_tol(info.grad_norm, sqrt(sum), 1e-9);
    md_optimizer_free(o);
    md_params_free(params);
}
END_TEST

START_TEST(saved_state_continues_with_the_same_bits) {
    outcome whole = train(0), part = {.params = large_params()};
    const md_optimizer_options opt = md_optimizer_defaults();
    const size_t bytes = (size_t)md_params_size(part.params) * sizeof(md_real);
    part.optimizer = new_optimizer(part.params, &opt);
    for (int step = 0; step < 3; step++) {
        large_gradient(part.params, step);
        md_optimizer_info info = {0};
        assert_ok(md_optimizer_step(part.optimizer, 1e-2, NULL, &info, &err));
        part.norm = info.grad_norm;
        if (step != 1) continue;
        md_optimizer *fresh = new_optimizer(part.params, &opt); /* as after loading a checkpoint */
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
    outcome r = train(0), untouched = train(0);
    const int64_t size = md_params_size(r.params);
    large_gradient(r.params, 3);
    md_params_grads(r.params)[size - 1] = bad;
    md_optimizer_info info = {.grad_norm = r.norm};
    assert_fails(md_optimizer_step(r.optimizer, 1e-2, NULL, &info, &err), MDLM_NUMERIC, "finite");
    r.norm = info.grad_norm;
    assert_same_bits(r, untouched);
    ck_assert_int_eq(md_optimizer_steps(r.optimizer), 3);
    for (int64_t i = 0; i < size; i++) ck_assert(md_params_grads(r.params)[i] == 0);
    release(r);
    release(untouched);
}

START_TEST(a_gradient_that_is_not_finite_changes_nothing_but_the_gradients) {
    refuse_gradient((md_real)NAN);
    refuse_gradient((md_real)INFINITY);
    refuse_gradient((md_real)-INFINITY);
}
END_TEST

START_TEST(warm_up_is_linear_and_one_based) {
    for (int kind = MD_LR_COSINE; kind <= MD_LR_WSD; kind++) {
        const md_lr_schedule s = {(md_lr_kind)kind, 2.0, 0.02, 10};
        ck_assert_double_eq_tol(md_lr_at(&s, 1, 0), 0.2, 1e-12);
        ck_assert_double_eq_tol(md_lr_at(&s, 5, 0), 1.0, 1e-12);
        ck_assert_double_eq_tol(md_lr_at(&s, 10, 0), 2.0, 1e-12);
        ck_assert_double_eq_tol(md_lr_at(&s, 11, 0), 2.0, 1e-12);
        ck_assert_double_eq_tol(md_lr_at(&s, 9, 1), 1.8, 1e-12); /* progress does not matter yet */
        ck_assert_double_eq_tol(md_lr_at(&s, 10, 1), 2.0, 1e-12);
    }
}
END_TEST

START_TEST(without_warm_up_the_first_step_has_the_peak) {
    const md_lr_schedule s = {MD_LR_COSINE, 3.0, 0, 0};
    ck_assert_double_eq_tol(md_lr_at(&s, 1, 0), 3.0, 1e-12);
}
END_TEST

START_TEST(each_schedule_has_its_shape) {
    static const double at[] = {0, 0.25, 0.5, 0.8, 0.9, 1, 1.5};
    static const double expected[][7] = {
        /* floor 0.1: 0.1 + 0.9 (1 + cos(pi p)) / 2; cos(pi / 4) = 0.70711, cos(0.8 pi) = -0.80902,
         * cos(0.9 pi) = -0.95106 */
        [MD_LR_COSINE] = {1, 0.8681981, 0.55, 0.1859424, 0.1220246, 0.1, 0.1},
        [MD_LR_LINEAR] = {1, 0.775, 0.55, 0.28, 0.19, 0.1, 0.1},
        [MD_LR_CONSTANT] = {1, 1, 1, 1, 1, 1, 1},
        [MD_LR_WSD] = {1, 1, 1, 1, 0.55, 0.1, 0.1},
    };
    for (int kind = MD_LR_COSINE; kind <= MD_LR_WSD; kind++) {
        const md_lr_schedule s = {(md_lr_kind)kind, 4.0, 0.1, 5};
        for (int i = 0; i < 7; i++) {
            /* The table has seven digits. */
            ck_assert_double_eq_tol(md_lr_at(&s, 100, at[i]), 4 * expected[kind][i], 4e-7);
        }
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("optim");
    suite_case(s, three_steps_agree_with_numbers_worked_out_by_hand);
    suite_case(s, the_defaults_are_those_of_the_manual);
    suite_case(s, a_clip_of_zero_leaves_gradients_alone);
    suite_case(s, the_average_starts_at_the_weights_and_can_be_left_out);
    suite_case(s, the_decay_of_the_average_warms_up_to_its_limit);
    suite_case(s, weight_decay_stops_at_the_edges_of_parameters);
    suite_case(s, one_thread_and_three_give_the_same_bits);
    suite_case(s, the_norm_is_that_of_the_whole_gradient);
    suite_case(s, saved_state_continues_with_the_same_bits);
    suite_case(s, a_gradient_that_is_not_finite_changes_nothing_but_the_gradients);
    suite_case(s, warm_up_is_linear_and_one_based);
    suite_case(s, without_warm_up_the_first_step_has_the_peak);
    suite_case(s, each_schedule_has_its_shape);
    return suite_run(s);
}
