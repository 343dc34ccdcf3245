/* tests/test_gaussian_times.c: which noise levels a training step sees. */
#include <math.h>
#include <string.h>

#include "diffusion/gaussian_times.h"
#include "tests/suite.h"

enum { T = 200 };

static md_times draws(md_times_kind kind) {
    md_times t = {0};
    mdlm_error err;
    assert_ok(md_times_init(&t, kind, T, &err));
    return t;
}

static md_rng step(uint64_t k) {
    return (md_rng){.seed = 5, .stream = MD_STREAM_TIME, .step = k};
}

/* A loss whose size depends on the level and varies. */
static double loss(int i, int k) {
    return 40.0 / (i + 1) * (1 + .5 * sin(i * 12.9898 + k * 78.233));
}

static void warm_up(md_times *t, int rounds) {
    for (int k = 0; k < rounds; k++)
        for (int i = 0; i < T; i++) md_times_observe(t, &i, &(double){loss(i, k)}, 1);
}

START_TEST(a_batch_is_spread_evenly_over_levels) {
    md_times t = draws(MD_TIMES_UNIFORM);
    int seen[T] = {0};
    for (uint64_t k = 0; k < 50; k++) {
        for (int b = 0; b < 40; b++) { /* 40 divides T: each fifth level, from one on */
            md_time_draw draw = md_times_draw(&t, step(k), b, 40);
            ck_assert(draw.weight == 1 && draw.index >= 5 * b && draw.index < 5 * b + 5);
            seen[draw.index]++;
        }
    }
    for (int r = 0; r < 5; r++) { /* each of the five offsets has 10 +- 3 of 50 steps */
        ck_assert_msg(seen[r] > 1 && seen[r] < 22, "offset %d: %d times", r, seen[r]);
        for (int b = 1; b < 40; b++) ck_assert_int_eq(seen[5 * b + r], seen[r]);
    }
    md_times_release(&t);
}
END_TEST

START_TEST(loss_aware_draws_are_uniform_until_every_level_was_seen_ten_times) {
    md_times t = draws(MD_TIMES_LOSS_AWARE), uniform = draws(MD_TIMES_UNIFORM);
    warm_up(&t, MD_TIMES_PAST - 1);
    for (int i = 0; i < T - 1; i++) md_times_observe(&t, &i, &(double){loss(i, 9)}, 1);
    ck_assert_mem_eq(t.sum, uniform.sum, T * sizeof *t.sum);
    ck_assert_double_eq(md_times_draw(&t, step(1), 3, 7).weight, 1);
    md_times_observe(&t, &(int){T - 1}, &(double){NAN}, 1); /* passed over */
    ck_assert_int_eq(t.unknown, 1);
    md_times_observe(&t, &(int){T - 1}, &(double){1}, 1);
    ck_assert(t.unknown == 0 && t.sum[0] > uniform.sum[0]);
    md_times_release(&t);
    md_times_release(&uniform);
}
END_TEST

START_TEST(loss_aware_probabilities_follow_the_last_ten_losses) {
    md_times t = draws(MD_TIMES_LOSS_AWARE);
    double root[T], total = 0, before = 0;
    warm_up(&t, 37);
    for (int i = 0; i < T; i++) {
        double sum = 0;
        for (int k = 27; k < 37; k++) sum += loss(i, k) * loss(i, k);
        total += root[i] = sqrt(sum / 10);
    }
    for (int i = 0; i < T; i++) {
        double p = .999 * root[i] / total + .001 / T;
        ck_assert_double_eq_tol(t.sum[i] - before, p, 1e-14); /* rounding of a sum of 200 */
        before = t.sum[i];
    }
    ck_assert_double_eq(t.sum[T - 1], 1);
    md_times_release(&t);
}
END_TEST

/* Over a batch of many the mean of weight * f is that of f over levels, whatever p is. One part of
 * f falls in p, so that the weights matter. */
START_TEST(loss_aware_weights_make_the_mean_unbiased) {
    md_times t = draws(MD_TIMES_LOSS_AWARE);
    const int B = 200000;
    double right = 0, plain = 0, mean = 0, weights = 0;
    warm_up(&t, 12);
    for (int i = 0; i < T; i++) right += loss(i, 50) / T;
    for (int b = 0; b < B; b++) {
        md_time_draw draw = md_times_draw(&t, step(2), b, B);
        mean += draw.weight * loss(draw.index, 50) / B;
        weights += draw.weight / B;
        plain += loss(draw.index, 50) / B;
    }
    /* Evenly spread draws miss each of 200 levels' shares by 1/B at most, weighted by up to 60. */
    ck_assert_double_eq_tol(mean / right, 1, 1e-3);
    ck_assert_double_eq_tol(weights, 1, 1e-2);
    ck_assert(plain / right > 3); /* what the weights correct */
    md_times_release(&t);
}
END_TEST

START_TEST(loss_aware_draws_have_less_variance) {
    md_times t = draws(MD_TIMES_LOSS_AWARE), uniform = draws(MD_TIMES_UNIFORM);
    double spread[2] = {0};
    warm_up(&t, 10);
    for (int which = 0; which < 2; which++) {
        double sum = 0, squares = 0;
        for (uint64_t k = 0; k < 2000; k++) {
            md_time_draw draw = md_times_draw(which ? &t : &uniform, step(k), 0, 1);
            double x = draw.weight * loss(draw.index, (int)k);
            sum += x, squares += x * x;
        }
        spread[which] = squares / 2000 - sum * sum / 4e6;
    }
    ck_assert_msg(spread[1] < spread[0] / 20, "variance %g, of uniform draws %g", spread[1],
                  spread[0]);
    md_times_release(&t);
    md_times_release(&uniform);
}
END_TEST

START_TEST(a_restored_state_draws_the_same) {
    for (int rounds = 4; rounds <= 14; rounds += 10) {
        md_times t = draws(MD_TIMES_LOSS_AWARE), again = draws(MD_TIMES_LOSS_AWARE);
        mdlm_error err;
        warm_up(&t, rounds);
        warm_up(&again, 11); /* whatever it was */
        ck_assert_int_eq(t.state_count, T * 11);
        assert_ok(md_times_restore(&again, t.past, t.state_count, &err));
        warm_up(&t, 1), warm_up(&again, 1);
        ck_assert_mem_eq(t.sum, again.sum, T * sizeof *t.sum);
        ck_assert_mem_eq(t.past, again.past, T * 11 * sizeof *t.past);
        ck_assert_int_eq(t.unknown, again.unknown);
        md_times_release(&t);
        md_times_release(&again);
    }
}
END_TEST

START_TEST(a_state_that_makes_no_sense_is_refused) {
    md_times t = draws(MD_TIMES_LOSS_AWARE);
    double state[T * 11] = {0}, before;
    mdlm_error err;
    warm_up(&t, 12);
    before = t.sum[17];
    assert_fails(md_times_restore(&t, state, T * 11 - 1, &err), MDLM_INPUT, "expected 2200");
    state[11] = 10.5;
    assert_fails(md_times_restore(&t, state, T * 11, &err), MDLM_INPUT, "a count from 0 to 10");
    state[11] = 11;
    assert_fails(md_times_restore(&t, state, T * 11, &err), MDLM_INPUT, "number 11");
    state[11] = 0, state[13] = INFINITY;
    assert_fails(md_times_restore(&t, state, T * 11, &err), MDLM_INPUT, "a finite number");
    ck_assert(t.unknown == 0 && t.sum[17] == before);
    md_times_release(&t);
    t = draws(MD_TIMES_UNIFORM);
    assert_ok(md_times_restore(&t, NULL, 0, &err));
    md_times_release(&t);
}
END_TEST

START_TEST(logit_normal_draws_have_their_median_where_it_should_be) {
    md_times t = draws(MD_TIMES_LOGIT_NORMAL);
    const int B = 20001;
    int median = md_times_draw(&t, step(3), B / 2, B).index;
    int sixteenth = md_times_draw(&t, step(3), (int)(.158655 * B), B).index;
    /* noise = logistic(.8) = .68997, and one deviation below it logistic(0) = 1/2: levels of 1/200
     * noise each. */
    ck_assert_int_eq(median, 137);
    ck_assert_msg(sixteenth == 99 || sixteenth == 100, "level %d", sixteenth);
    ck_assert_double_eq(t.sum[T - 1], 1);
    ck_assert_double_eq(md_times_draw(&t, step(3), 5, B).weight, 1);
    md_times_release(&t);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gaussian times");
    suite_case(s, a_batch_is_spread_evenly_over_levels);
    suite_case(s, loss_aware_draws_are_uniform_until_every_level_was_seen_ten_times);
    suite_case(s, loss_aware_probabilities_follow_the_last_ten_losses);
    suite_case(s, loss_aware_weights_make_the_mean_unbiased);
    suite_case(s, loss_aware_draws_have_less_variance);
    suite_case(s, a_restored_state_draws_the_same);
    suite_case(s, a_state_that_makes_no_sense_is_refused);
    suite_case(s, logit_normal_draws_have_their_median_where_it_should_be);
    return suite_run(s);
}
