/* tests/test_gaussian_times.c: which noise levels a training step sees. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "diffusion/gaussian_times.h"
#include "tests/suite.h"

enum { T = 200 };

static md_times draws_of(md_times_kind kind, md_gaussian_options opt, md_gaussian *p) {
    md_times t = {0};
    mdlm_error err;
    opt.timesteps = T;
    opt.prediction = MD_PREDICTS_IMAGE;
    assert_ok(md_gaussian_init(p, &opt, &err));
    assert_ok(md_times_init(&t, kind, p, &err));
    return t;
}

static md_times draws(md_times_kind kind) {
    md_gaussian p = {0};
    md_times t = draws_of(kind, (md_gaussian_options){.process = MD_PROCESS_FLOW}, &p);
    md_gaussian_release(&p);
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

/* By way of a file, as in a checkpoint. */
START_TEST(a_resumed_training_draws_the_same) {
    char *dir = suite_tmp_dir(), *path = NULL;
    if (asprintf(&path, "%s/state.json", dir) < 0) abort();
    for (int rounds = 4; rounds <= 14; rounds += 10) {
        md_times t = draws(MD_TIMES_LOSS_AWARE), again = draws(MD_TIMES_LOSS_AWARE);
        cJSON *state = cJSON_CreateObject(), *read = NULL;
        mdlm_error err;
        warm_up(&t, rounds);
        warm_up(&again, 11); /* whatever it was */
        assert_ok(md_times_save(&t, state, &err));
        assert_ok(md_json_save(path, state, &err));
        assert_ok(md_json_load(path, 1 << 20, &read, &err));
        assert_ok(md_times_load(&again, read, path, &err));
        warm_up(&t, 1), warm_up(&again, 1);
        ck_assert_mem_eq(t.sum, again.sum, T * sizeof *t.sum);
        ck_assert_mem_eq(t.past, again.past, T * 11 * sizeof *t.past);
        ck_assert_int_eq(t.unknown, again.unknown);
        cJSON_Delete(state);
        cJSON_Delete(read);
        md_times_release(&t);
        md_times_release(&again);
    }
    free(path);
    suite_tmp_remove(dir);
}
END_TEST

/* A state of T levels but for one number, and for how many there are. */
static mdlm_status load_but_for(md_times *t, int at, double value, int count, mdlm_error *err) {
    double numbers[T * 11] = {0};
    cJSON *state = cJSON_CreateObject();
    numbers[at] = value;
    cJSON_AddItemToObject(state, "losses_by_level", cJSON_CreateDoubleArray(numbers, count));
    mdlm_status status = md_times_load(t, state, "state.json", err);
    cJSON_Delete(state);
    return status;
}

START_TEST(a_state_that_makes_no_sense_is_refused) {
    md_times t = draws(MD_TIMES_LOSS_AWARE), uniform = draws(MD_TIMES_UNIFORM);
    mdlm_error err;
    warm_up(&t, 12);
    double before = t.sum[17];
    assert_fails(load_but_for(&t, 0, 0, T * 11 - 1, &err), MDLM_INPUT,
                 "'state.json': 'losses_by_level' is not a list of 2200 numbers");
    assert_fails(load_but_for(&t, 11, 9.5, T * 11, &err), MDLM_INPUT, "of level 1 are 9.5");
    assert_fails(load_but_for(&t, 22, 11, T * 11, &err), MDLM_INPUT, "expected 0 to 10");
    assert_fails(load_but_for(&t, 13, INFINITY, T * 11, &err), MDLM_INPUT, "not a list of 2200");
    ck_assert(t.unknown == 0 && t.sum[17] == before);
    assert_ok(load_but_for(&t, 11, 3, T * 11, &err));
    ck_assert_int_eq(t.unknown, T);
    assert_ok(load_but_for(&uniform, 0, 0, 5, &err)); /* no state, whatever there is */
    md_times_release(&t);
    md_times_release(&uniform);
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

START_TEST(logit_normal_draws_of_a_chain_are_those_of_its_signal_to_noise) {
    static const double share[] = {.158655, .5, .841345};
    static const double log_ratio[] = {0, .8, 1.6}; /* ln(noise/signal) there */
    const int B = 20001;
    md_gaussian p = {0};
    md_times t =
        draws_of(MD_TIMES_LOGIT_NORMAL, (md_gaussian_options){.schedule = MD_BETA_COSINE}, &p);
    for (int k = 0; k < 3; k++) {
        int i = md_times_draw(&t, step(3), (int)(share[k] * B), B).index;
        ck_assert_double_le(-p.lambda[i - 1] / 2, log_ratio[k] + 1e-3); /* B is finite */
        ck_assert_double_ge(-p.lambda[i] / 2, log_ratio[k] - 1e-3);
    }
    md_times_release(&t);
    md_gaussian_release(&p);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gaussian times");
    suite_case(s, logit_normal_draws_of_a_chain_are_those_of_its_signal_to_noise);
    suite_case(s, a_batch_is_spread_evenly_over_levels);
    suite_case(s, loss_aware_draws_are_uniform_until_every_level_was_seen_ten_times);
    suite_case(s, loss_aware_probabilities_follow_the_last_ten_losses);
    suite_case(s, loss_aware_weights_make_the_mean_unbiased);
    suite_case(s, loss_aware_draws_have_less_variance);
    suite_case(s, a_resumed_training_draws_the_same);
    suite_case(s, a_state_that_makes_no_sense_is_refused);
    suite_case(s, logit_normal_draws_have_their_median_where_it_should_be);
    return suite_run(s);
}
