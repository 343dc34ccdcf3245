/* tests/test_sampler_edit.c: editing of committed tokens: its transition, its end, its limits. */
#include <math.h>

#include "sampler/rule.h"
#include "tests/cached_model.h"
#include "tests/suite.h"
#include "tests/table_model.h"

enum { T = CACHED_T, PROMPT = 4 };

static const uint8_t prompt[T] = {1, 1, 1, 1};

/* --- by hand, at temperature 0 --------------------------------------------------------------- */

typedef struct by_hand {
    int32_t ids[T];
    int steps, edits;
} by_hand;

typedef struct prediction {
    int token;
    double p;
} prediction;

static prediction best_of(const float *l) {
    prediction b = {0, 0};
    for (int v = 1; v < CACHED_MASK; v++)
        if (l[v] > l[b.token]) b.token = v;
    for (int v = 0; v < CACHED_MASK; v++) b.p += exp((double)l[v] - (double)l[b.token]);
    b.p = 1 / b.p;
    return b;
}

/* What stands at [start, end) after a step of the threshold rule; returns how many are edited. */
static int step_by_hand(cached_model *m, const md_sampler_options *opt, by_hand *h, int start,
                        int end) {
    cached_state s = {.model = m};
    prediction p[T];
    int32_t next[T];
    int surest = -1, edits = 0;
    cached_compute(m, &s, h->ids, T, 0, T);
    memcpy(next, h->ids, sizeof next);
    for (int i = start; i < end; i++) {
        float l[CACHED_V];
        cached_row(m, &s, T, i, l);
        p[i] = best_of(l);
        bool masked = h->ids[i] == CACHED_MASK;
        if (masked && (surest < 0 || p[i].p > p[surest].p)) surest = i;
        if (masked && p[i].p >= opt->threshold) next[i] = p[i].token;
        if (masked || p[i].token == h->ids[i] || p[i].p <= opt->edit_threshold) continue;
        next[i] = p[i].token;
        edits++;
    }
    if (surest >= 0) next[surest] = p[surest].token;
    memcpy(h->ids, next, sizeof next);
    h->steps++;
    h->edits += edits;
    return edits;
}

static void fill_by_hand(const md_sampler_options *opt, by_hand *h) {
    cached_model m = {.sight = MD_SEES_ALL};
    int length = (T - PROMPT) / opt->blocks;
    for (int b = 0; b < opt->blocks; b++) {
        int start = PROMPT + b * length, extra = 0;
        for (;;) {
            bool masked = false;
            for (int i = start; i < start + length; i++)
                masked = masked || h->ids[i] == CACHED_MASK;
            int edits = step_by_hand(&m, opt, h, start, start + length);
            if (!masked && (edits == 0 || ++extra == length)) break;
        }
    }
}

static void lay_out(int32_t *ids, int kind) {
    for (int i = 0; i < T; i++) ids[i] = i < PROMPT ? (kind >> i) % CACHED_MASK : CACHED_MASK;
}

START_TEST(the_next_state_at_temperature_zero_is_that_of_the_formula) {
    int edits = 0;
    for (int kind = 0; kind < 40; kind++) {
        mdlm_error err = {0};
        cached_model m = {.sight = MD_SEES_ALL};
        md_denoiser denoiser = cached_denoiser(&m);
        md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
        md_sampler_options opt = md_sampler_defaults();
        md_sampler_work work;
        by_hand expected = {.steps = 0};
        int32_t ids[T];
        md_canvas canvas = {.ids = ids, .given = prompt, .samples = 1, .length = T};
        opt.rule = &md_rule_threshold, opt.threshold = 0.8, opt.edit_threshold = 0.75;
        opt.temperature = 0, opt.blocks = kind % 2 ? 2 : 4;
        lay_out(ids, 7 * kind);
        lay_out(expected.ids, 7 * kind);
        fill_by_hand(&opt, &expected);
        assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, &work, &err));
        ck_assert_msg(!memcmp(ids, expected.ids, sizeof ids), "prompt %d", kind);
        ck_assert_int_eq(work.steps, expected.steps);
        edits += expected.edits;
    }
    ck_assert_int_gt(edits, 100);
}
END_TEST

/* --- the law at temperature 1 ---------------------------------------------------------------- */

static table_model table;

/* Two tokens a step from the left. The first two are drawn on an empty canvas, and looked at again
 * while the others are drawn. */
static void enumerate(double threshold, double *law) {
    for (int first = 0; first < 9; first++) {
        int32_t ids[TABLE_T] = {first / 3, first % 3, TABLE_MASK, TABLE_MASK}, kept[TABLE_T];
        int empty = TABLE_CANVASES - 1, half = table_code(ids);
        double mass = table_p(&table, empty, 0, ids[0]) * table_p(&table, empty, 1, ids[1]);
        memcpy(kept, ids, sizeof kept);
        for (int j = 0; j < 2; j++)
            for (int v = 0; v < TABLE_V; v++)
                if (table_p(&table, half, j, v) > threshold)
                    kept[j] = v; /* above 1/2: one at most */
        for (int last = 0; last < 9; last++) {
            kept[2] = last / 3, kept[3] = last % 3;
            law[table_code(kept)] +=
                mass * table_p(&table, half, 2, kept[2]) * table_p(&table, half, 3, kept[3]);
        }
    }
}

START_TEST(the_law_at_temperature_one_is_the_enumerated_one) {
    enum { SAMPLES = 30000 };
    static int32_t ids[SAMPLES * TABLE_T];
    mdlm_error err = {0};
    table_init(&table);
    md_denoiser denoiser = table_denoiser(&table);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = md_sampler_defaults();
    md_canvas canvas = {.ids = ids, .samples = SAMPLES, .length = TABLE_T};
    int count[TABLE_CANVASES] = {0};
    double law[TABLE_CANVASES] = {0}, without[TABLE_CANVASES] = {0};
    opt.rule = &md_rule_left, opt.steps = 2, opt.edit_threshold = 0.6, opt.seed = 11;
    for (int i = 0; i < SAMPLES * TABLE_T; i++) ids[i] = TABLE_MASK;
    assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, NULL, &err));
    for (int k = 0; k < SAMPLES; k++) count[table_code(ids + k * TABLE_T)]++;
    enumerate(0.6, law);
    enumerate(1, without);
    ck_assert_double_gt(chi_square_test(count, law, TABLE_CANVASES), 1e-3);
    ck_assert_double_lt(chi_square_test(count, without, TABLE_CANVASES), 1e-6);
}
END_TEST

/* --- the end --------------------------------------------------------------------------------- */

enum { FLIP_V = 4, FLIP_MASK = 3, FLIP_T = 6 };

/* Sure that a visible token is the next one, and a masked one the first. */
static mdlm_status predict_next(void *context, const int32_t *ids, int B, int length,
                                const int32_t *rows, int count, float *logits, mdlm_error *err) {
    (void)context, (void)B, (void)length, (void)err;
    for (int r = 0; r < count; r++) {
        int32_t id = ids[rows[r]], sure = id == FLIP_MASK ? 0 : (id + 1) % FLIP_MASK;
        for (int v = 0; v < FLIP_V; v++) logits[r * FLIP_V + v] = v == sure ? 20 : 0;
    }
    return MDLM_OK;
}

START_TEST(tokens_that_take_turns_come_to_an_end) {
    mdlm_error err = {0};
    md_denoiser denoiser = {.vocab = FLIP_V, .mask_id = FLIP_MASK, .predict = predict_next};
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = md_sampler_defaults();
    md_sampler_work work;
    int32_t ids[2 * FLIP_T];
    md_canvas canvas = {.ids = ids, .samples = 2, .length = FLIP_T};
    opt.rule = &md_rule_threshold, opt.edit_threshold = 0.9, opt.blocks = 2;
    for (int i = 0; i < 2 * FLIP_T; i++) ids[i] = FLIP_MASK;
    assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, &work, &err));
    ck_assert_int_eq(work.steps, 2 * (1 + 3)); /* one fills the block, three edit it */
    for (int i = 0; i < 2 * FLIP_T; i++) ck_assert_int_eq(ids[i], 0);
    opt.rule = &md_rule_left; /* the first of a block is edited twice, the second once */
    for (int i = 0; i < 2 * FLIP_T; i++) ids[i] = FLIP_MASK;
    assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, &work, &err));
    ck_assert_int_eq(work.steps, 6);
    for (int i = 0; i < 2 * FLIP_T; i++) ck_assert_int_eq(ids[i], 2 - i % 3);
}
END_TEST

/* The probability that a token has in the trace, and that rules see, is that of the edit. */
static int keep_confidence(void *user, const mdlm_step *s) {
    memcpy(user, s->confidence, (size_t)s->length * sizeof *s->confidence);
    return 0;
}

START_TEST(an_edited_token_has_the_probability_of_its_edit) {
    mdlm_error err = {0};
    table_init(&table);
    md_denoiser denoiser = table_denoiser(&table);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = md_sampler_defaults();
    float confidence[TABLE_T];
    int edited = 0;
    opt.rule = &md_rule_left, opt.steps = 2, opt.edit_threshold = 0.6;
    opt.on_step = keep_confidence, opt.user = confidence;
    for (int n = 0; n < 50; n++) {
        int32_t ids[TABLE_T] = {TABLE_MASK, TABLE_MASK, TABLE_MASK, TABLE_MASK};
        md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
        opt.first_index = n;
        assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, NULL, &err));
        for (int j = 0; j < 2; j++) { /* when it was drawn, or with any first two when edited */
            bool found =
                fabs((double)confidence[j] - table_p(&table, TABLE_CANVASES - 1, j, ids[j])) < 1e-6;
            for (int first = 0; first < 9; first++) {
                int32_t then[] = {first / 3, first % 3, TABLE_MASK, TABLE_MASK};
                double p = table_p(&table, table_code(then), j, ids[j]);
                bool is_edit =
                    then[j] != ids[j] && p > 0.6 && fabs((double)confidence[j] - p) < 1e-6;
                found = found || is_edit;
                edited += is_edit;
            }
            ck_assert(found);
        }
    }
    ck_assert_int_gt(edited, 10);
}
END_TEST

/* Counts tokens that become token 0 after they were another. */
typedef struct turned {
    int32_t before[TABLE_T];
    int count;
} turned;

static int count_turned(void *user, const mdlm_step *s) {
    turned *t = user;
    for (int j = 0; j < TABLE_T; j++) {
        t->count += s->step > 1 && t->before[j] != TABLE_MASK && t->before[j] != 0 && !s->ids[j];
        t->before[j] = s->ids[j];
    }
    return 0;
}

static int count_edits_to_end(md_end_kind end_of_text) {
    mdlm_error err = {0};
    table_init(&table);
    md_denoiser denoiser = table_denoiser(&table);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options opt = md_sampler_defaults();
    turned t = {.count = 0};
    opt.rule = &md_rule_left, opt.steps = 2, opt.edit_threshold = 0.4;
    opt.end_of_text = end_of_text, opt.end_of_text_id = 0;
    opt.on_step = count_turned, opt.user = &t;
    for (int n = 0; n < 100; n++) {
        int32_t ids[TABLE_T] = {TABLE_MASK, TABLE_MASK, TABLE_MASK, TABLE_MASK};
        md_canvas canvas = {.ids = ids, .samples = 1, .length = TABLE_T};
        opt.first_index = n;
        assert_ok(md_sampler_run(&denoiser, &process, &opt, &canvas, NULL, &err));
    }
    return t.count;
}

START_TEST(nothing_becomes_late_end_of_text) {
    ck_assert_int_gt(count_edits_to_end(MD_END_KEEP), 5);
    ck_assert_int_eq(count_edits_to_end(MD_END_LATE), 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("sampler edits");
    suite_case(s, the_next_state_at_temperature_zero_is_that_of_the_formula);
    suite_case(s, the_law_at_temperature_one_is_the_enumerated_one);
    suite_case(s, tokens_that_take_turns_come_to_an_end);
    suite_case(s, an_edited_token_has_the_probability_of_its_edit);
    suite_case(s, nothing_becomes_late_end_of_text);
    return suite_run(s);
}
