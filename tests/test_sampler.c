/* tests/test_sampler.c: the sampling loop: plan, blocks, evaluations, trace, cancelling, errors. */
#include <math.h>
#include <string.h>

#include "sampler/rule.h"
#include "tests/failing_memory.h"
#include "tests/suite.h"
#include "tests/table_model.h"

static table_model model;

static void setup(void) {
    table_init(&model);
}

static void clear(int32_t *ids, int count) {
    for (int i = 0; i < count; i++) ids[i] = TABLE_MASK;
}

static mdlm_status run(const md_sampler_options *opt, const md_canvas *canvas,
                       md_sampler_work *work, mdlm_error *err) {
    md_denoiser denoiser = table_denoiser(&model);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    return md_sampler_run(&denoiser, &process, opt, canvas, work, err);
}

START_TEST(a_sample_depends_on_its_index_alone) {
    enum { SAMPLES = 7 };
    for (int n = 0; md_rule_names[n]; n++) {
        mdlm_error err = {0};
        md_sampler_options opt = md_sampler_defaults();
        int32_t together[SAMPLES * TABLE_T], alone[TABLE_T];
        md_canvas all = {.ids = together, .samples = SAMPLES, .length = TABLE_T};
        md_canvas one = {.ids = alone, .samples = 1, .length = TABLE_T};
        opt.rule = md_rule_find(md_rule_names[n]);
        opt.seed = 9, opt.first_index = 3, opt.blocks = 2, opt.steps = 4;
        clear(together, SAMPLES * TABLE_T);
        assert_ok(run(&opt, &all, NULL, &err));
        for (int k = 0; k < SAMPLES; k++) {
            opt.first_index = 3 + k;
            clear(alone, TABLE_T);
            assert_ok(run(&opt, &one, NULL, &err));
            ck_assert_int_eq(memcmp(alone, together + k * TABLE_T, sizeof alone), 0);
        }
        opt.seed = 10, opt.first_index = 3; /* and it does depend on the seed */
        int32_t other[SAMPLES * TABLE_T];
        memcpy(other, together, sizeof other);
        clear(together, SAMPLES * TABLE_T);
        assert_ok(run(&opt, &all, NULL, &err));
        ck_assert_int_ne(memcmp(other, together, sizeof other), 0);
    }
}
END_TEST

/* What the callback saw. */
typedef struct trace {
    int calls, last_step, steps, last_block, blocks;
    int64_t evaluations;
    int cancel_at; /* 0: never */
    bool orderly;  /* every invariant held at every step */
    bool remasks;  /* the rule does */
    const uint8_t *given;
    int32_t before[8 * TABLE_T];
    uint8_t settled[8 * TABLE_T];
} trace;

static bool step_is_orderly(const trace *t, const mdlm_step *s) {
    int per_block = 0;
    for (int j = 0; j < s->length; j++) per_block += !(t->given && t->given[j]);
    per_block /= s->blocks;
    for (int k = 0; k < s->samples; k++) {
        for (int j = 0, open = 0; j < s->length; j++) {
            int at = k * s->length + j;
            bool given = t->given && t->given[j], masked = s->ids[at] == TABLE_MASK;
            int block = given ? -1 : open++ / per_block;
            if (given && (s->confidence[at] != 1 || !s->settled[at])) return false;
            if (given || (t->settled[at] && t->calls > 0))
                if (s->ids[at] != t->before[at]) return false; /* settled tokens stay */
            if (given) continue;
            if (block > s->block && !masked) return false;
            if (block < s->block && masked) return false;
            if (s->settled[at] && masked) return false;
            if (!s->settled[at] && !masked && (!t->remasks || block < s->block)) return false;
            if (masked ? s->confidence[at] != 0 : !(s->confidence[at] > 0)) return false;
        }
    }
    return true;
}

static int watch(void *user, const mdlm_step *s) {
    trace *t = user;
    t->orderly = (t->calls == 0 || t->orderly) && step_is_orderly(t, s) &&
                 s->step == t->calls + 1 && s->block >= t->last_block;
    memcpy(t->before, s->ids, (size_t)(s->samples * s->length) * sizeof *s->ids);
    memcpy(t->settled, s->settled, (size_t)(s->samples * s->length));
    t->calls++;
    t->last_step = s->step, t->steps = s->steps, t->last_block = s->block, t->blocks = s->blocks;
    t->evaluations = s->evaluations;
    return t->cancel_at == s->step;
}

START_TEST(blocks_are_filled_from_left_to_right) {
    for (int n = 0; md_rule_names[n]; n++) {
        mdlm_error err = {0};
        trace t = {0};
        md_sampler_options opt = md_sampler_defaults();
        md_sampler_work work;
        int32_t ids[8 * TABLE_T];
        md_canvas canvas = {.ids = ids, .samples = 8, .length = TABLE_T};
        opt.rule = md_rule_find(md_rule_names[n]);
        opt.blocks = 4, opt.steps = 6, opt.on_step = watch, opt.user = &t;
        t.remasks = opt.rule->remasks;
        clear(ids, 8 * TABLE_T);
        clear(t.before, 8 * TABLE_T);
        assert_ok(run(&opt, &canvas, &work, &err));
        int steps = opt.rule->one_token_per_step || opt.rule->until_filled ? 4 : 6;
        ck_assert_msg(t.orderly, "%s", md_rule_names[n]);
        ck_assert_int_eq(t.calls, steps);
        ck_assert_int_eq(t.steps, steps);
        ck_assert_int_eq(t.blocks, 4);
        ck_assert_int_eq(t.last_block, 3);
        ck_assert_int_eq(work.steps, steps);
        ck_assert_int_eq(work.evaluations, t.evaluations);
        for (int i = 0; i < 8 * TABLE_T; i++) ck_assert_int_ne(ids[i], TABLE_MASK);
    }
}
END_TEST

START_TEST(given_tokens_never_change) {
    const uint8_t given[TABLE_T] = {0, 1, 0, 1};
    for (int n = 0; md_rule_names[n]; n++) {
        mdlm_error err = {0};
        trace t = {.given = given};
        md_sampler_options opt = md_sampler_defaults();
        int32_t ids[2 * TABLE_T] = {TABLE_MASK, 2, TABLE_MASK, TABLE_MASK,
                                    TABLE_MASK, 0, TABLE_MASK, 1};
        md_canvas canvas = {.ids = ids, .given = given, .samples = 2, .length = TABLE_T};
        opt.rule = md_rule_find(md_rule_names[n]);
        opt.blocks = 2, opt.on_step = watch, opt.user = &t;
        t.remasks = opt.rule->remasks;
        memcpy(t.before, ids, sizeof ids);
        assert_ok(run(&opt, &canvas, NULL, &err));
        ck_assert_msg(t.orderly, "%s", md_rule_names[n]);
        ck_assert(ids[1] == 2 && ids[3] == TABLE_MASK && ids[5] == 0 && ids[7] == 1);
        ck_assert(ids[0] < TABLE_MASK && ids[2] < TABLE_MASK && ids[4] < TABLE_MASK);
    }
}
END_TEST

/* Keeps the confidences of the last step. */
static int keep_confidence(void *user, const mdlm_step *s) {
    memcpy(user, s->confidence, (size_t)s->length * sizeof *s->confidence);
    return 0;
}

START_TEST(confidence_is_the_probability_when_the_token_was_set) {
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    float confidence[TABLE_T];
    int32_t ids[TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    opt.blocks = 4, opt.temperature = 3; /* one token at a time from the left */
    opt.on_step = keep_confidence, opt.user = confidence;
    clear(ids, TABLE_T);
    assert_ok(run(&opt, &canvas, NULL, &err));
    for (int j = 0; j < TABLE_T; j++) {
        int32_t then[TABLE_T];
        for (int i = 0; i < TABLE_T; i++) then[i] = i < j ? ids[i] : TABLE_MASK;
        /* a float in the trace */
        ck_assert_double_eq_tol(confidence[j], table_p(&model, table_code(then), j, ids[j]), 1e-7);
    }
}
END_TEST

START_TEST(an_unchanged_canvas_is_not_evaluated_again) {
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work work;
    int32_t ids[TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    for (int n = 0; md_rule_names[n]; n++) {
        table_init(&model);
        clear(ids, TABLE_T);
        opt.rule = md_rule_find(md_rule_names[n]);
        opt.steps = 1000;                /* most of them change nothing */
        if (opt.rule->remasks) continue; /* the same canvas may come back */
        assert_ok(run(&opt, &canvas, &work, &err));
        if (!opt.rule->until_filled)
            ck_assert_int_eq(work.steps, opt.rule->one_token_per_step ? 4 : 1000);
        for (int code = 0; code < TABLE_CANVASES; code++) ck_assert_int_le(model.seen[code], 1);
        ck_assert_int_le(model.calls, 4);
        ck_assert_int_eq(model.canvases, work.evaluations);
        ck_assert_int_eq(model.idle, 0);
        /* Only rules that choose by proposals look at positions that they do not fill:
         * 4 + 3 + 2 + 1 when they take one at a time. */
        ck_assert_int_ge(model.rows, opt.rule->commit && !opt.rule->until_filled ? 10 : 4);
        ck_assert_int_le(model.rows, opt.rule->commit ? 10 : 4);
    }
}
END_TEST

START_TEST(samples_that_need_it_are_evaluated_in_one_call) {
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work work;
    enum { SAMPLES = 64 };
    int32_t ids[SAMPLES * TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = SAMPLES, .length = TABLE_T};
    clear(ids, SAMPLES * TABLE_T);
    opt.steps = 8;
    assert_ok(run(&opt, &canvas, &work, &err));
    ck_assert_int_le(model.calls, 8);
    ck_assert_int_lt(work.evaluations, SAMPLES * TABLE_T);
    ck_assert_int_eq(model.canvases, work.evaluations);
    ck_assert_int_eq(model.rows, SAMPLES * TABLE_T);
}
END_TEST

START_TEST(steps_are_shared_by_blocks_with_the_rest_first) {
    /* 5 steps on 2 blocks are 3 and 2: of 2 tokens each, random fills 1, 1, 0 and 1, 1. */
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    int32_t ids[TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    const int masked_after[] = {3, 2, 2, 1, 0};
    for (int cancel = 1; cancel <= 5; cancel++) {
        trace t = {.cancel_at = cancel};
        clear(ids, TABLE_T);
        clear(t.before, TABLE_T);
        opt.rule = &md_rule_random, opt.steps = 5, opt.blocks = 2;
        opt.on_step = watch, opt.user = &t;
        assert_fails(run(&opt, &canvas, NULL, &err), MDLM_CANCELLED, "of 5");
        int masked = 0;
        for (int j = 0; j < TABLE_T; j++) masked += ids[j] == TABLE_MASK;
        ck_assert_int_eq(masked, masked_after[cancel - 1]);
        ck_assert_int_eq(t.last_block, cancel > 3);
    }
}
END_TEST

START_TEST(cancelling_delivers_the_partial_canvas) {
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work work = {0};
    int32_t whole[2 * TABLE_T], part[2 * TABLE_T];
    md_canvas canvas = {.ids = whole, .samples = 2, .length = TABLE_T};
    trace t = {.cancel_at = 2};
    opt.rule = &md_rule_confidence, opt.seed = 4;
    clear(whole, 2 * TABLE_T);
    assert_ok(run(&opt, &canvas, NULL, &err));
    canvas.ids = part;
    clear(part, 2 * TABLE_T);
    clear(t.before, 2 * TABLE_T);
    opt.on_step = watch, opt.user = &t;
    assert_fails(run(&opt, &canvas, &work, &err), MDLM_CANCELLED, "after step 2 of 4");
    ck_assert_int_eq(work.steps, 2);
    ck_assert_int_eq(work.evaluations, 4);
    int masked = 0;
    for (int i = 0; i < 2 * TABLE_T; i++) {
        masked += part[i] == TABLE_MASK;
        ck_assert(part[i] == TABLE_MASK || part[i] == whole[i]);
    }
    ck_assert_int_eq(masked, 4);
}
END_TEST

START_TEST(a_canvas_without_holes_is_left_alone) {
    mdlm_error err = {0};
    const uint8_t given[TABLE_T] = {1, 1, 1, 1};
    int32_t ids[TABLE_T] = {2, 1, 0, 2};
    md_canvas canvas = {.ids = ids, .given = given, .samples = 1, .length = TABLE_T};
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work work = {7, 7};
    opt.blocks = 3;
    assert_ok(run(&opt, &canvas, &work, &err));
    ck_assert(work.steps == 0 && work.evaluations == 0 && model.calls == 0);
    ck_assert(ids[0] == 2 && ids[1] == 1 && ids[2] == 0 && ids[3] == 2);
}
END_TEST

START_TEST(blocks_that_do_not_divide_name_the_nearest) {
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    int32_t ids[64];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = 64};
    clear(ids, 64);
    opt.blocks = 7;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE,
                 "--blocks 7 does not divide 64 tokens: the nearest that do are 4 and 8");
    opt.blocks = 33;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "are 32 and 64");
    opt.blocks = 65;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "the nearest that does is 64");
    canvas.length = 13;
    opt.blocks = 3;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "are 1 and 13");
    ck_assert_int_eq(model.calls, 0);
}
END_TEST

START_TEST(options_out_of_range_are_refused) {
    mdlm_error err = {0};
    int32_t ids[TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    const md_sampler_options plain = md_sampler_defaults();
    md_sampler_options opt = plain;
    clear(ids, TABLE_T);
    opt.steps = 3, opt.blocks = 4;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--steps 3");
    opt.rule = &md_rule_first_hitting; /* takes its own number of steps */
    assert_ok(run(&opt, &canvas, NULL, &err));
    clear(ids, TABLE_T);
    opt = plain, opt.steps = -1;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--steps -1");
    opt = plain, opt.blocks = 0;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--blocks 0");
    opt = plain, opt.temperature = -0.5;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--temperature -0.5");
    opt.temperature = NAN;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--temperature");
    opt = plain, opt.top_k = -1;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--top-k -1");
    opt = plain, opt.top_p = 0;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--top-p 0");
    opt.top_p = 1.5;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--top-p 1.5");
    opt = plain, opt.first_index = -1;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE, "--first-index -1");
}
END_TEST

START_TEST(numbers_that_are_not_finite_are_reported) {
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    int32_t ids[TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    clear(ids, TABLE_T);
    model.poison = NAN;
    opt.steps = 1;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_NUMERIC, "position 0 at step 1");
}
END_TEST

START_TEST(a_failing_allocation_is_reported) {
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    int32_t ids[TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    int failures = 0;
    for (;; failures++) {
        clear(ids, TABLE_T);
        memory_left = failures;
        mdlm_status status = run(&opt, &canvas, NULL, &err);
        if (status == MDLM_OK) break;
        ck_assert_int_eq(status, MDLM_RUNTIME);
    }
    memory_left = -1;
    ck_assert_int_ge(failures, 6);
}
END_TEST

static mdlm_status refuse(void *context, const int32_t *ids, int B, int T, const int32_t *rows,
                          int count, float *logits, mdlm_error *err) {
    (void)context, (void)ids, (void)B, (void)T, (void)rows, (void)count, (void)logits;
    return md_fail(err, MDLM_RUNTIME, "the network is out");
}

START_TEST(an_error_of_the_denoiser_is_passed_on) {
    mdlm_error err = {0};
    md_denoiser denoiser = {.vocab = 4, .mask_id = 3, .predict = refuse};
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work work = {7, 7};
    int32_t ids[TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    clear(ids, TABLE_T);
    assert_fails(md_sampler_run(&denoiser, &process, &opt, &canvas, &work, &err), MDLM_RUNTIME,
                 "the network is out");
    ck_assert_int_eq(work.steps, 7);
}
END_TEST

/* A rule that masks again: what the loop promises to rules not yet written. */
static void select_all(md_block_step *b) {
    for (int j = 0; j < b->length; j++) b->want[j] = b->ids[j] == b->mask_id;
}

static void commit_all_then_hide_the_first(md_block_step *b) {
    for (int j = 0; j < b->length; j++)
        if (b->want[j]) b->ids[j] = b->proposal[j].token;
    if (b->s > 0) b->ids[0] = b->mask_id;
}

static int count_masks(void *user, const mdlm_step *s) {
    int *masks = user;
    masks[s->step - 1] = 0;
    for (int j = 0; j < s->length; j++) {
        bool masked = s->ids[j] == TABLE_MASK;
        masks[s->step - 1] += masked;
        ck_assert(s->settled[j] == !masked && (s->confidence[j] > 0) == !masked);
    }
    return 0;
}

START_TEST(a_rule_may_mask_again) {
    const md_rule rule = {
        .name = "again", .select = select_all, .commit = commit_all_then_hide_the_first};
    mdlm_error err = {0};
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work work;
    int masks[3];
    int32_t ids[TABLE_T];
    md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
    clear(ids, TABLE_T);
    opt.rule = &rule, opt.steps = 3, opt.on_step = count_masks, opt.user = masks;
    assert_ok(run(&opt, &canvas, &work, &err));
    ck_assert(masks[0] == 1 && masks[1] == 1 && masks[2] == 0);
    ck_assert_int_eq(work.evaluations, 2); /* the third step finds what the second found */
}
END_TEST

/* Two thirds of the canvases are left as they were; at other steps another position is wanted. */
static void commit_now_and_then(md_block_step *b) {
    bool idle = (b->step + (int)b->sequence) % 3 != 0 && b->s > 0;
    for (int j = 0; j < b->length && !idle; j++)
        if (b->want[j] && (b->s == 0 || b->proposal[j].token != 0))
            b->ids[j] = b->proposal[j].token;
}

static void select_all_or_the_even(md_block_step *b) {
    for (int j = 0; j < b->length; j++)
        b->want[j] = b->ids[j] == b->mask_id && (j % 2 == 0 || b->step % 4 != 0);
}

START_TEST(keeping_logits_saves_evaluations_and_changes_nothing_else) {
    enum { SAMPLES = 9 };
    const md_rule rule = {
        .name = "idle", .select = select_all_or_the_even, .commit = commit_now_and_then};
    int32_t ids[3][SAMPLES * TABLE_T];
    int64_t evaluations[3];
    const int64_t limits[3] = {0, 2 * 2 * (TABLE_V + 1), 1 << 20}; /* none, two, all samples */
    for (int i = 0; i < 3; i++) {
        mdlm_error err = {0};
        md_sampler_options opt = md_sampler_defaults();
        md_sampler_work work;
        md_canvas canvas = {.ids = ids[i], .samples = SAMPLES, .length = TABLE_T};
        table_init(&model);
        clear(ids[i], SAMPLES * TABLE_T);
        opt.rule = &rule, opt.steps = 23, opt.blocks = 2, opt.keep_logits = limits[i];
        assert_ok(run(&opt, &canvas, &work, &err));
        ck_assert_int_eq(model.canvases, work.evaluations);
        ck_assert_int_eq(model.idle, 0);
        evaluations[i] = work.evaluations;
        ck_assert_int_eq(memcmp(ids[i], ids[0], sizeof ids[0]), 0);
    }
    ck_assert_int_lt(evaluations[1], evaluations[0]);
    ck_assert_int_lt(evaluations[2], evaluations[1]);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}
#define add_case(s, test) add(s, #test, test)

int main(void) {
    Suite *s = suite_create("sampler");
    add_case(s, a_sample_depends_on_its_index_alone);
    add_case(s, blocks_are_filled_from_left_to_right);
    add_case(s, given_tokens_never_change);
    add_case(s, confidence_is_the_probability_when_the_token_was_set);
    add_case(s, an_unchanged_canvas_is_not_evaluated_again);
    add_case(s, samples_that_need_it_are_evaluated_in_one_call);
    add_case(s, steps_are_shared_by_blocks_with_the_rest_first);
    add_case(s, cancelling_delivers_the_partial_canvas);
    add_case(s, a_canvas_without_holes_is_left_alone);
    add_case(s, blocks_that_do_not_divide_name_the_nearest);
    add_case(s, options_out_of_range_are_refused);
    add_case(s, numbers_that_are_not_finite_are_reported);
    add_case(s, a_failing_allocation_is_reported);
    add_case(s, an_error_of_the_denoiser_is_passed_on);
    add_case(s, a_rule_may_mask_again);
    add_case(s, keeping_logits_saves_evaluations_and_changes_nothing_else);
    return suite_run(s);
}
