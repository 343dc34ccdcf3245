/* tests/test_sampler_blocks.c: blocks by what the denoiser sees, steps until a block is filled,
 * early stop, and what is settled when. */
#include <math.h>

#include "sampler/blocks.h"
#include "tests/cached_model.h"
#include "tests/failing_memory.h"
#include "tests/suite.h"

enum { T = CACHED_T, BLOCK = 5, SAMPLES = 6, END = 2 };

static md_blocks plan_of(md_sight sight, const md_sampler_options *opt, const uint8_t *given) {
    mdlm_error err = {0};
    cached_model m = {.sight = sight, .block = BLOCK};
    md_denoiser denoiser = cached_denoiser(&m);
    int32_t ids[T];
    md_canvas canvas = {.ids = ids, .given = given, .samples = 1, .length = T};
    md_blocks plan;
    assert_ok(md_blocks_init(&plan, &denoiser, opt, &canvas, &err));
    return plan;
}

/* Each as {first, length, start, end, steps}. */
static void check_plan(const md_blocks *plan, int count, const int (*expected)[5]) {
    ck_assert_int_eq(plan->count, count);
    int64_t steps = 0;
    for (int i = 0; i < count; i++) {
        const md_canvas_block *b = &plan->item[i];
        int found[] = {b->first, b->length, b->start, b->end, b->steps};
        for (int n = 0; n < 5; n++)
            ck_assert_msg(found[n] == expected[i][n], "block %d, number %d: %d, expected %d", i, n,
                          found[n], expected[i][n]);
        ck_assert_int_eq(b->first_step, steps);
        steps += b->most_steps;
        ck_assert_int_le(b->length, plan->longest);
    }
    ck_assert_int_eq(plan->steps, steps);
}

/* Prompt of 3, and the second block of 5 given but for its last. */
static const uint8_t given[T] = {1, 1, 1, [5] = 1, 1, 1, 1};

START_TEST(blocks_are_equal_parts_where_all_is_seen) {
    md_sampler_options opt = md_sampler_defaults();
    const uint8_t none[T] = {[8] = 1, [9] = 1, [23] = 1}; /* 21 are open */
    opt.blocks = 3, opt.steps = 10;
    md_blocks plan = plan_of(MD_SEES_ALL, &opt, none);
    const int expected[][5] = {{0, 7, 0, 7, 4}, {7, 7, 7, 16, 3}, {14, 7, 16, 23, 3}};
    check_plan(&plan, 3, expected);
    md_blocks_release(&plan);
    opt.compat = MD_COMPAT_LLADA; /* whose blocks share no rest */
    plan = plan_of(MD_SEES_ALL, &opt, none);
    const int llada[][5] = {{0, 7, 0, 7, 3}, {7, 7, 7, 16, 3}, {14, 7, 16, 23, 3}};
    check_plan(&plan, 3, llada);
    md_blocks_release(&plan);
}
END_TEST

START_TEST(blocks_are_the_denoisers_own_where_it_has_some) {
    md_sampler_options opt = md_sampler_defaults();
    opt.blocks = 7; /* does not matter */
    md_blocks plan = plan_of(MD_SEES_BLOCKS, &opt, given);
    const int expected[][5] = {{0, 2, 0, 5, 2},
                               {2, 1, 5, 10, 1},
                               {3, 5, 10, 15, 5},
                               {8, 5, 15, 20, 5},
                               {13, 4, 20, 24, 4}};
    check_plan(&plan, 5, expected);
    ck_assert_int_eq(plan.longest, 5);
    md_blocks_release(&plan);
    uint8_t first_ten[T] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    opt.steps = 8;
    plan = plan_of(MD_SEES_BLOCKS, &opt, first_ten);
    const int shared[][5] = {{0, 5, 10, 15, 3}, {5, 5, 15, 20, 3}, {10, 4, 20, 24, 2}};
    check_plan(&plan, 3, shared);
    md_blocks_release(&plan);
}
END_TEST

START_TEST(every_open_position_is_a_block_where_only_the_past_is_seen) {
    md_sampler_options opt = md_sampler_defaults();
    uint8_t most[T];
    memset(most, 1, sizeof most);
    most[4] = most[5] = most[20] = 0;
    opt.rule = &md_rule_left, opt.steps = 1, opt.blocks = 2;
    md_blocks plan = plan_of(MD_SEES_PAST, &opt, most);
    const int expected[][5] = {{0, 1, 4, 5, 1}, {1, 1, 5, 6, 1}, {2, 1, 20, 21, 1}};
    check_plan(&plan, 3, expected);
    md_blocks_release(&plan);
}
END_TEST

static mdlm_status run(cached_model *m, const md_sampler_options *opt, int32_t *ids, int samples,
                       md_sampler_work *work, mdlm_error *err) {
    md_denoiser denoiser = cached_denoiser(m);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_canvas canvas = {.ids = ids, .given = given, .samples = samples, .length = T};
    for (int i = 0; i < samples * T; i++) ids[i] = given[i % T] ? END : CACHED_MASK;
    return md_sampler_run(&denoiser, &process, opt, &canvas, work, err);
}

START_TEST(a_rule_that_does_not_go_left_is_refused_where_only_the_past_is_seen) {
    mdlm_error err = {0};
    cached_model m = {.sight = MD_SEES_PAST};
    md_sampler_options opt = md_sampler_defaults();
    int32_t ids[T];
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE,
                 "'ancestral' does not fit: expected a sampler that goes from left to right "
                 "('left')");
    opt.rule = &md_rule_left, opt.edit_threshold = 0.9;
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--edit-threshold");
    ck_assert_int_eq(m.canvases, 0);
}
END_TEST

START_TEST(too_few_steps_for_the_denoisers_blocks_are_refused) {
    mdlm_error err = {0};
    cached_model m = {.sight = MD_SEES_BLOCKS, .block = BLOCK};
    md_sampler_options opt = md_sampler_defaults();
    int32_t ids[T];
    opt.steps = 4;
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--steps 4 is too few for 5");
    opt.steps = 5;
    assert_ok(run(&m, &opt, ids, 1, NULL, &err));
}
END_TEST

/* --- until filled ---------------------------------------------------------------------------- */

START_TEST(blocks_take_as_many_steps_as_the_slowest_sample_needs) {
    mdlm_error err = {0};
    md_sampler_work work;
    int32_t ids[SAMPLES * T];
    int alone[SAMPLES], most = 0;
    for (double tau = 0; tau <= 1; tau += 0.5) {
        cached_model m = {.sight = MD_SEES_BLOCKS, .block = 24}; /* one block */
        md_sampler_options opt = md_sampler_defaults();
        opt.rule = &md_rule_threshold, opt.threshold = tau;
        opt.steps = 3; /* does not matter */
        for (int k = 0; k < SAMPLES; k++) {
            opt.first_index = k;
            assert_ok(run(&m, &opt, ids, 1, &work, &err));
            alone[k] = work.steps;
            if (alone[k] > most || k == 0) most = alone[k];
        }
        opt.first_index = 0;
        assert_ok(run(&m, &opt, ids, SAMPLES, &work, &err));
        ck_assert_int_eq(work.steps, most);
        if (tau == 0) ck_assert_int_eq(most, 1);
        if (tau == 1) ck_assert_int_eq(most, 17); /* one token a step */
        if (tau == 0.5) ck_assert(most > 1 && most < 17);
        for (int i = 0; i < SAMPLES * T; i++) ck_assert_int_ne(ids[i], CACHED_MASK);
    }
}
END_TEST

/* --- early stop ------------------------------------------------------------------------------ */

/* The same draws, cut by hand: after the first block (by its open positions) that holds the end,
 * everything open is the end. */
static void stop_by_hand(const md_blocks *plan, int32_t *ids) {
    bool found = false;
    for (int i = 0; i < plan->count; i++) {
        const md_canvas_block *b = &plan->item[i];
        bool before = found;
        for (int n = b->first; n < b->first + b->length; n++) {
            if (before) ids[plan->open[n]] = END;
            found = found || ids[plan->open[n]] == END;
        }
    }
}

static void check_stop(md_sight sight, const md_rule *rule, int blocks) {
    mdlm_error err = {0};
    cached_model m = {.sight = sight, .block = BLOCK};
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work all, stopped;
    int32_t kept[SAMPLES * T], found[SAMPLES * T];
    opt.rule = rule, opt.blocks = blocks, opt.end_of_text_id = END;
    assert_ok(run(&m, &opt, kept, SAMPLES, &all, &err));
    md_blocks plan = plan_of(sight, &opt, given);
    for (int k = 0; k < SAMPLES; k++) stop_by_hand(&plan, kept + k * T);
    md_blocks_release(&plan);
    opt.end_of_text = MD_END_STOP;
    assert_ok(run(&m, &opt, found, SAMPLES, &stopped, &err));
    ck_assert_msg(!memcmp(kept, found, sizeof found), "'%s' sight %d", rule->name, (int)sight);
    ck_assert_int_lt(stopped.evaluations, all.evaluations);
    for (int k = 0; k < SAMPLES; k++) { /* whatever the neighbours do */
        int32_t alone[T];
        opt.first_index = k;
        assert_ok(run(&m, &opt, alone, 1, &stopped, &err));
        ck_assert_int_eq(memcmp(alone, found + k * T, sizeof alone), 0);
        if (alone[T - 1] == END) ck_assert_int_le(stopped.steps, all.steps);
    }
}

START_TEST(a_block_with_end_of_text_is_the_last) {
    check_stop(MD_SEES_ALL, &md_rule_ancestral, 17);
    check_stop(MD_SEES_ALL, &md_rule_threshold, 17);
    check_stop(MD_SEES_BLOCKS, &md_rule_confidence, 1);
    check_stop(MD_SEES_BLOCKS, &md_rule_remdm_rescale, 1);
    check_stop(MD_SEES_PAST, &md_rule_left, 1);
}
END_TEST

/* What the callback saw last. */
typedef struct last_step {
    int calls, steps;
    int32_t ids[SAMPLES * T];
    uint8_t settled[SAMPLES * T];
    bool went_back; /* a settled token changed or was settled no more */
    bool early;     /* a token of an unfinished block was settled */
} last_step;

static int watch(void *user, const mdlm_step *s) {
    last_step *l = user;
    for (int i = 0; l->calls > 0 && i < s->samples * s->length; i++)
        l->went_back =
            l->went_back || (l->settled[i] && (!s->settled[i] || s->ids[i] != l->ids[i]));
    for (int i = 0; i < s->samples * s->length; i++)
        if (s->step < s->steps && !given[i % T] && s->blocks == 1) l->early |= s->settled[i];
    memcpy(l->ids, s->ids, (size_t)(s->samples * s->length) * sizeof *s->ids);
    memcpy(l->settled, s->settled, (size_t)(s->samples * s->length));
    l->calls++;
    l->steps = s->steps;
    return 0;
}

START_TEST(the_last_trace_shows_what_was_filled_early) {
    mdlm_error err = {0};
    cached_model m = {.sight = MD_SEES_PAST};
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work work;
    last_step last = {0};
    int32_t ids[SAMPLES * T];
    uint8_t only_end[CACHED_V] = {[END] = 1};
    opt.rule = &md_rule_left, opt.end_of_text = MD_END_STOP, opt.end_of_text_id = END;
    opt.allowed = only_end, opt.on_step = watch, opt.user = &last;
    assert_ok(run(&m, &opt, ids, SAMPLES, &work, &err));
    ck_assert_int_eq(work.steps, 1); /* the given ones do not count, the first drawn one does */
    ck_assert_int_eq(last.calls, 1);
    ck_assert_int_eq(last.steps, 17);
    ck_assert_int_eq(memcmp(ids, last.ids, sizeof ids), 0);
    for (int i = 0; i < SAMPLES * T; i++) ck_assert(last.settled[i] && ids[i] == END);
}
END_TEST

START_TEST(what_may_change_is_not_settled) {
    for (int n = 0; md_rule_names[n]; n++) {
        for (double edit = 0; edit < 1; edit += 0.6) {
            mdlm_error err = {0};
            cached_model m = {.sight = MD_SEES_ALL};
            md_sampler_options opt = md_sampler_defaults();
            last_step last = {0};
            int32_t ids[SAMPLES * T];
            opt.rule = md_rule_find(md_rule_names[n]), opt.edit_threshold = edit, opt.eta = 0.5;
            opt.steps = 12, opt.on_step = watch, opt.user = &last;
            assert_ok(run(&m, &opt, ids, SAMPLES, NULL, &err));
            ck_assert_msg(!last.went_back, "'%s'", md_rule_names[n]);
            if (!opt.rule->until_filled)
                ck_assert_msg(last.early == (!opt.rule->remasks && edit == 0), "'%s' %d",
                              md_rule_names[n], (int)last.early);
            for (int i = 0; i < SAMPLES * T; i++) ck_assert(last.settled[i]);
        }
    }
}
END_TEST

START_TEST(options_of_rules_out_of_range_are_refused) {
    const md_sampler_options plain = md_sampler_defaults();
    md_sampler_options opt = plain;
    cached_model m = {.sight = MD_SEES_ALL};
    mdlm_error err = {0};
    int32_t ids[T];
    opt.threshold = 1.5;
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--threshold 1.5");
    opt = plain, opt.factor = 0;
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--factor 0");
    opt = plain, opt.eta = 1.5;
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--eta 1.5");
    opt.eta = NAN;
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--eta");
    opt = plain, opt.alg_temperature = -1;
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--alg-temp -1");
    opt = plain, opt.edit_threshold = 1;
    assert_fails(run(&m, &opt, ids, 1, NULL, &err), MDLM_USAGE, "--edit-threshold 1");
    ck_assert_int_eq(m.canvases, 0);
}
END_TEST

START_TEST(a_failing_allocation_of_a_plan_is_reported) {
    cached_model m = {.sight = MD_SEES_BLOCKS, .block = BLOCK};
    md_sampler_options opt = md_sampler_defaults();
    mdlm_error err = {0};
    int32_t ids[2 * T];
    int failures = 0;
    for (;; failures++) {
        memory_left = failures;
        mdlm_status status = run(&m, &opt, ids, 2, NULL, &err);
        if (status == MDLM_OK) break;
        ck_assert_int_eq(status, MDLM_RUNTIME);
    }
    memory_left = -1;
    ck_assert_int_ge(failures, 12);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sampler blocks");
    suite_case(s, blocks_are_equal_parts_where_all_is_seen);
    suite_case(s, blocks_are_the_denoisers_own_where_it_has_some);
    suite_case(s, every_open_position_is_a_block_where_only_the_past_is_seen);
    suite_case(s, a_rule_that_does_not_go_left_is_refused_where_only_the_past_is_seen);
    suite_case(s, too_few_steps_for_the_denoisers_blocks_are_refused);
    suite_case(s, blocks_take_as_many_steps_as_the_slowest_sample_needs);
    suite_case(s, a_block_with_end_of_text_is_the_last);
    suite_case(s, the_last_trace_shows_what_was_filled_early);
    suite_case(s, what_may_change_is_not_settled);
    suite_case(s, options_of_rules_out_of_range_are_refused);
    suite_case(s, a_failing_allocation_of_a_plan_is_reported);
    return suite_run(s);
}
