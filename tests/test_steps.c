/* tests/test_steps.c: times and quotas of steps, shares of blocks. */
#include <math.h>

#include "sampler/steps.h"
#include "tests/suite.h"

static const struct {
    md_step_schedule schedule;
    md_compat compat;
} kinds[] = {
    {MD_STEPS_LINEAR, MD_COMPAT_NONE},  {MD_STEPS_COSINE, MD_COMPAT_NONE},
    {MD_STEPS_LINEAR, MD_COMPAT_LLADA}, {MD_STEPS_COSINE, MD_COMPAT_LLADA},
    {MD_STEPS_LINEAR, MD_COMPAT_DREAM}, {MD_STEPS_COSINE, MD_COMPAT_DREAM},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static md_sampler_options options(int kind) {
    md_sampler_options opt = md_sampler_defaults();
    opt.step_schedule = kinds[kind].schedule, opt.compat = kinds[kind].compat;
    return opt;
}

/* Step i of S in a block of m, `masked` of which are left. */
static md_block_step at(const md_sampler_options *opt, int m, int S, int masked, int i) {
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_block_step b = {.length = m, .steps = S, .masked = masked, .options = opt};
    md_steps_at(&b, &process, i);
    return b;
}

START_TEST(quotas_fill_a_block_at_its_last_step) {
    int wrong = 0;
    for (int kind = 0; kind < KINDS; kind++) {
        md_sampler_options opt = options(kind);
        for (int m = 1; m <= 64; m++) {
            for (int S = 1; S <= 80; S++) {
                int masked = m;
                for (int i = 0; i < S; i++) {
                    md_block_step b = at(&opt, m, S, masked, i);
                    wrong += b.quota < 0 || b.quota > masked;
                    masked -= b.quota;
                }
                wrong += masked != 0;
            }
        }
    }
    ck_assert_int_eq(wrong, 0);
}
END_TEST

START_TEST(times_run_from_one_to_zero_without_a_gap) {
    for (int kind = 0; kind < KINDS; kind++) {
        md_sampler_options opt = options(kind);
        for (int S = 1; S <= 80; S++) {
            double t = 1;
            for (int i = 0; i < S; i++) {
                md_block_step b = at(&opt, 8, S, 8, i);
                ck_assert_double_eq(b.t, t);
                ck_assert_double_lt(b.s, b.t);
                ck_assert_double_eq(b.alpha_t, 1 - b.t);
                ck_assert_double_eq(b.alpha_s, 1 - b.s);
                ck_assert_double_eq_tol(b.stay, b.s / b.t, 1e-15); /* rounding */
                t = b.s;
            }
            ck_assert_double_eq(t, 0);
        }
    }
}
END_TEST

START_TEST(linear_quotas_are_lladas) {
    const struct {
        int m, S, n[6];
    } cases[] = {{4, 4, {1, 1, 1, 1}}, {7, 3, {3, 2, 2}},           {5, 1, {5}},
                 {2, 3, {1, 1, 0}},    {32, 5, {7, 7, 6, 6, 6, 0}}, {3, 6, {1, 1, 1, 0, 0, 0}}};
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (int kind = 0; kind < KINDS; kind++) {
            md_sampler_options opt = options(kind);
            if (opt.step_schedule != MD_STEPS_LINEAR || opt.compat == MD_COMPAT_DREAM) continue;
            for (int i = 0; i < cases[c].S; i++)
                ck_assert_int_eq(at(&opt, cases[c].m, cases[c].S, 1, i).quota, cases[c].n[i]);
        }
    }
}
END_TEST

START_TEST(cosine_sets_few_tokens_at_first) {
    /* 12 cos(pi/2 i/4) is 12, 11.09, 8.49, 4.59, 0. */
    const int n[] = {1, 3, 3, 5};
    md_sampler_options opt = options(1);
    for (int i = 0; i < 4; i++) {
        md_block_step b = at(&opt, 12, 4, 12, i);
        ck_assert_int_eq(b.quota, n[i]);
        ck_assert_double_eq_tol(b.t, cos(M_PI_2 * i / 4), 1e-15); /* rounding */
    }
}
END_TEST

START_TEST(dream_rounds_down_and_leaves_the_rest_to_the_last_step) {
    /* m (1 - s/t) = m 0.999 / (S - 0.999 i): of 8 in 4 steps 1.998, 7 * 0.3329, 5 * 0.499, 3. */
    const int n[] = {1, 2, 2, 3};
    md_sampler_options opt = options(4);
    for (int i = 0, masked = 8; i < 4; masked -= n[i++]) {
        md_block_step b = at(&opt, 8, 4, masked, i);
        ck_assert_int_eq(b.quota, n[i]);
        ck_assert_double_eq_tol(b.t, 1 - 0.999 * i / 4, 1e-7); /* a float */
    }
    /* As many steps as tokens: 0.999 of a token is none, and two are left for the end. */
    ck_assert_int_eq(at(&opt, 64, 64, 64, 0).quota, 0);
    ck_assert_int_eq(at(&opt, 64, 64, 2, 62).quota, 0);
    ck_assert_int_eq(at(&opt, 64, 64, 2, 63).quota, 2);
    ck_assert_double_eq_tol(md_steps_dream_time(10, 10), 1e-3, 1e-10); /* a float */
}
END_TEST

START_TEST(blocks_share_steps_with_the_rest_first_unless_llada_drops_it) {
    const int shares[] = {4, 4, 3};
    for (int kind = 0; kind < KINDS; kind++) {
        md_sampler_options opt = options(kind);
        bool llada = opt.compat == MD_COMPAT_LLADA;
        for (int block = 0; block < 3; block++) {
            ck_assert_int_eq(md_steps_of_block(&opt, 11, block, 3), llada ? 3 : shares[block]);
            ck_assert_int_eq(md_steps_of_block(&opt, 12, block, 3), 4);
        }
    }
}
END_TEST

START_TEST(the_noise_schedule_acts_on_the_time_of_steps) {
    md_masked process = md_masked_process(MD_SCHEDULE_POLY); /* alpha = 1 - t^2 */
    md_sampler_options opt = options(0);
    md_block_step b = {.length = 8, .steps = 4, .masked = 8, .options = &opt};
    md_steps_at(&b, &process, 1);
    ck_assert_double_eq_tol(b.alpha_t, 1 - 0.75 * 0.75, 1e-15); /* rounding */
    ck_assert_double_eq_tol(b.alpha_s, 0.75, 1e-15);
    ck_assert_double_eq_tol(b.stay, 0.25 / (0.75 * 0.75), 1e-15);
    process = md_masked_process(MD_SCHEDULE_GEOMETRIC); /* whose alpha(0) is not quite 1 */
    md_steps_at(&b, &process, 3);
    ck_assert_double_eq(b.alpha_s, 1);
    ck_assert_double_eq(b.stay, 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("steps");
    suite_case(s, quotas_fill_a_block_at_its_last_step);
    suite_case(s, times_run_from_one_to_zero_without_a_gap);
    suite_case(s, linear_quotas_are_lladas);
    suite_case(s, cosine_sets_few_tokens_at_first);
    suite_case(s, dream_rounds_down_and_leaves_the_rest_to_the_last_step);
    suite_case(s, blocks_share_steps_with_the_rest_first_unless_llada_drops_it);
    suite_case(s, the_noise_schedule_acts_on_the_time_of_steps);
    return suite_run(s);
}
