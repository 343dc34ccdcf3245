/* tests/test_sampler_constraint.c: constrained samples satisfy their constraint at every rule, and
 * follow the law that sampler/constraint.h documents. */
#include <math.h>

#include "sampler/constraint.h"
#include "sampler/rule.h"
#include "tests/suite.h"
#include "tests/table_model.h"

static table_model model;

static void setup(void) {
    table_init(&model);
}

/* --- two constraints by hand ----------------------------------------------------------------- */

typedef struct by_hand {
    bool (*satisfiable)(const int32_t *ids);
    int32_t ids[TABLE_T]; /* the canvas, with what is fixed at this step */
    int last;             /* the position allowed last; -1 after begin */
    bool orderly;         /* positions came in order, each allowed before it was fixed */
    int begun;
} by_hand;

/* In ascending order, masks aside. */
static bool sorted(const int32_t *ids) {
    int32_t most = 0;
    for (int j = 0; j < TABLE_T; j++) {
        if (ids[j] == TABLE_MASK) continue;
        if (ids[j] < most) return false;
        most = ids[j];
    }
    return true;
}

/* Of an even sum, or something is still open. */
static bool even(const int32_t *ids) {
    int sum = 0;
    for (int j = 0; j < TABLE_T; j++) {
        if (ids[j] == TABLE_MASK) return true;
        sum += ids[j];
    }
    return sum % 2 == 0;
}

static bool begin(void *context, const int32_t *ids, int length) {
    by_hand *c = context;
    MD_BUG_IF(length != TABLE_T);
    memcpy(c->ids, ids, sizeof c->ids);
    c->last = -1;
    c->begun++;
    return c->satisfiable(ids);
}

static void allow(void *context, int position, uint8_t *allowed) {
    by_hand *c = context;
    c->orderly = c->orderly && position > c->last && c->ids[position] == TABLE_MASK;
    c->last = position;
    for (int v = 0; v < TABLE_V; v++) {
        c->ids[position] = v;
        allowed[v] = c->satisfiable(c->ids);
    }
    c->ids[position] = TABLE_MASK;
    allowed[TABLE_MASK] = 1; /* it is never drawn all the same */
}

static void fix(void *context, int position, int32_t token) {
    by_hand *c = context;
    c->orderly = c->orderly && position == c->last;
    c->ids[position] = token;
    c->orderly = c->orderly && c->satisfiable(c->ids);
}

static md_constraint constraint_of(by_hand *c) {
    return (md_constraint){.context = c, .begin = begin, .allow = allow, .fix = fix};
}

static mdlm_status run(const md_sampler_options *opt, const md_canvas *canvas,
                       md_sampler_work *work, mdlm_error *err) {
    md_denoiser denoiser = table_denoiser(&model);
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    return md_sampler_run(&denoiser, &process, opt, canvas, work, err);
}

/* --- every sample satisfies ------------------------------------------------------------------ */

enum { SAMPLES = 64 };

static void check_all_satisfy(const md_sampler_options *opt, by_hand *c, const uint8_t *given) {
    mdlm_error err = {0};
    int32_t ids[SAMPLES * TABLE_T], alone[TABLE_T];
    md_canvas canvas = {.ids = ids, .given = given, .samples = SAMPLES, .length = TABLE_T};
    md_sampler_options one = *opt;
    for (int i = 0; i < SAMPLES * TABLE_T; i++) ids[i] = given[i % TABLE_T] ? 1 : TABLE_MASK;
    memcpy(alone, ids, sizeof alone);
    assert_ok(run(opt, &canvas, NULL, &err));
    for (int k = 0; k < SAMPLES; k++) {
        const int32_t *found = ids + k * TABLE_T;
        for (int j = 0; j < TABLE_T; j++) ck_assert_int_ne(found[j], TABLE_MASK);
        ck_assert_msg(c->satisfiable(found), "'%s': %d %d %d %d", opt->rule->name, found[0],
                      found[1], found[2], found[3]);
    }
    canvas.samples = 1, canvas.ids = alone; /* whatever the neighbours */
    one.first_index = SAMPLES - 1;
    assert_ok(run(&one, &canvas, NULL, &err));
    ck_assert_int_eq(memcmp(alone, ids + (SAMPLES - 1) * TABLE_T, sizeof alone), 0);
    ck_assert(c->orderly);
}

START_TEST(every_sample_of_every_rule_satisfies_its_constraint) {
    static const uint8_t givens[][TABLE_T] = {{0}, {0, 0, 1}};
    for (int n = 0; md_rule_names[n]; n++) {
        for (int i = 0; i < 32; i++) {
            by_hand c = {.satisfiable = i & 1 ? sorted : even, .orderly = true};
            md_constraint constraint = constraint_of(&c);
            md_sampler_options opt = md_sampler_defaults();
            opt.rule = md_rule_find(md_rule_names[n]), opt.constraint = &constraint;
            opt.steps = i & 2 ? 2 : 7, opt.temperature = i & 4 ? 0 : 1;
            opt.edit_threshold = i & 8 ? 0.4 : 0, opt.eta = 0.5, opt.seed = 21;
            check_all_satisfy(&opt, &c, givens[i >> 4]);
        }
    }
}
END_TEST

START_TEST(an_edit_that_does_not_fit_is_not_made) {
    by_hand c = {.satisfiable = sorted, .orderly = true};
    md_constraint constraint = constraint_of(&c);
    md_sampler_options opt = md_sampler_defaults();
    int differs = 0;
    opt.rule = &md_rule_left;
    for (int k = 0; k < SAMPLES; k++) {
        mdlm_error err = {0};
        int32_t plain[] = {TABLE_MASK, TABLE_MASK, TABLE_MASK, TABLE_MASK}, edited[TABLE_T];
        memcpy(edited, plain, sizeof plain);
        md_canvas canvas = {.ids = plain, .samples = 1, .length = TABLE_T};
        opt.first_index = k, opt.edit_threshold = 0, opt.constraint = &constraint;
        assert_ok(run(&opt, &canvas, NULL, &err));
        opt.edit_threshold = 0.4;
        canvas.ids = edited;
        assert_ok(run(&opt, &canvas, NULL, &err));
        ck_assert(sorted(plain) && sorted(edited));
        differs += memcmp(plain, edited, sizeof plain) != 0;
    }
    ck_assert_int_gt(differs, SAMPLES / 8); /* and those that fit are */
}
END_TEST

/* --- the law --------------------------------------------------------------------------------- */

/* Spreads `mass` over the ways to fill the positions of `set` from left to right: each v ~ p of the
 * canvas `code` among what still satisfies. */
static void fill_in_order(bool (*satisfiable)(const int32_t *), int code, int set, int j,
                          int32_t *now, double mass, double *next) {
    while (j < TABLE_T && !(set >> j & 1)) j++;
    if (j == TABLE_T) {
        next[table_code(now)] += mass;
        return;
    }
    double sum = 0, p[TABLE_V] = {0};
    for (int v = 0; v < TABLE_V; v++) {
        now[j] = v;
        if (satisfiable(now)) sum += p[v] = table_p(&model, code, j, v);
    }
    for (int v = 0; v < TABLE_V; v++) {
        now[j] = v;
        if (p[v] > 0) fill_in_order(satisfiable, code, set, j + 1, now, mass * p[v] / sum, next);
    }
    now[j] = TABLE_MASK;
}

static bool anything(const int32_t *ids) {
    (void)ids;
    return true;
}

/* Ancestral sampling in so many steps. */
static void enumerate(bool (*satisfiable)(const int32_t *), int steps, double *law) {
    double now[TABLE_CANVASES] = {0};
    now[TABLE_CANVASES - 1] = 1;
    for (int i = 0; i < steps; i++) {
        double next[TABLE_CANVASES] = {0}, stay = (double)(steps - i - 1) / (steps - i);
        for (int n = 0; n < TABLE_CANVASES * 16; n++) {
            int code = n / 16, set = n % 16;
            int32_t ids[TABLE_T];
            double mass = now[code];
            table_canvas(code, ids);
            for (int j = 0; j < TABLE_T; j++) {
                bool masked = ids[j] == TABLE_MASK, chosen = set >> j & 1;
                mass *= masked ? (chosen ? 1 - stay : stay) : !chosen;
            }
            if (mass > 0) fill_in_order(satisfiable, code, set, 0, ids, mass, next);
        }
        memcpy(now, next, sizeof now);
    }
    memcpy(law, now, sizeof now);
}

/* What rejecting unconstrained samples would give. */
static void reject(bool (*satisfiable)(const int32_t *), double *law) {
    double sum = 0;
    for (int code = 0; code < TABLE_CANVASES; code++) {
        int32_t ids[TABLE_T];
        table_canvas(code, ids);
        if (!satisfiable(ids)) law[code] = 0;
        sum += law[code];
    }
    for (int code = 0; code < TABLE_CANVASES; code++) law[code] /= sum;
}

static void check_law(bool (*satisfiable)(const int32_t *), int steps) {
    enum { MANY = 20000 };
    static int32_t ids[MANY * TABLE_T];
    mdlm_error err = {0};
    by_hand c = {.satisfiable = satisfiable, .orderly = true};
    md_constraint constraint = constraint_of(&c);
    md_sampler_options opt = md_sampler_defaults();
    md_canvas canvas = {.ids = ids, .samples = MANY, .length = TABLE_T};
    int count[TABLE_CANVASES] = {0};
    double law[TABLE_CANVASES], rejected[TABLE_CANVASES];
    opt.steps = steps, opt.constraint = &constraint, opt.seed = 5;
    for (int i = 0; i < MANY * TABLE_T; i++) ids[i] = TABLE_MASK;
    assert_ok(run(&opt, &canvas, NULL, &err));
    for (int k = 0; k < MANY; k++) count[table_code(ids + k * TABLE_T)]++;
    enumerate(satisfiable, steps, law);
    enumerate(anything, steps, rejected);
    reject(satisfiable, rejected);
    ck_assert_double_gt(chi_square_test(count, law, TABLE_CANVASES), 1e-3);
    ck_assert_double_lt(chi_square_test(count, rejected, TABLE_CANVASES), 1e-6);
}

START_TEST(constrained_ancestral_samples_follow_the_documented_law) {
    check_law(sorted, 1);
    check_law(sorted, 3);
    check_law(even, 1);
    check_law(even, 3);
}
END_TEST

/* --- what cannot be -------------------------------------------------------------------------- */

START_TEST(an_impossible_constraint_fails_before_any_evaluation) {
    mdlm_error err = {0};
    by_hand c = {.satisfiable = sorted};
    md_constraint constraint = constraint_of(&c);
    md_sampler_options opt = md_sampler_defaults();
    const uint8_t given[TABLE_T] = {1, 0, 1};
    int32_t ids[] = {0, TABLE_MASK, 2, TABLE_MASK, 2, TABLE_MASK, 1, TABLE_MASK};
    md_canvas canvas = {.ids = ids, .given = given, .samples = 2, .length = TABLE_T};
    opt.constraint = &constraint;
    assert_fails(
        run(&opt, &canvas, NULL, &err), MDLM_USAGE,
        "nothing satisfies the constraint: no text of 4 tokens does, of which 2 are given");
    ck_assert_int_eq(c.begun, 2); /* the second text is the one that cannot be */
    ck_assert_int_eq(model.calls, 0);
    canvas.samples = 1;
    assert_ok(run(&opt, &canvas, NULL, &err));
    ck_assert(sorted(ids) && ids[2] == 2);
}
END_TEST

START_TEST(texts_that_are_alike_are_checked_once) {
    mdlm_error err = {0};
    by_hand c = {.satisfiable = sorted};
    md_constraint constraint = constraint_of(&c);
    int32_t ids[SAMPLES * TABLE_T];
    for (int i = 0; i < SAMPLES * TABLE_T; i++) ids[i] = TABLE_MASK;
    md_canvas canvas = {.ids = ids, .samples = SAMPLES, .length = TABLE_T};
    assert_ok(md_constraint_check(&constraint, &canvas, &err));
    ck_assert_int_eq(c.begun, 1);
}
END_TEST

START_TEST(a_constraint_against_the_allowed_tokens_is_reported) {
    mdlm_error err = {0};
    by_hand c = {.satisfiable = sorted};
    md_constraint constraint = constraint_of(&c);
    md_sampler_options opt = md_sampler_defaults();
    const uint8_t given[TABLE_T] = {1}, small[] = {1, 1, 0, 1};
    int32_t ids[] = {2, TABLE_MASK, TABLE_MASK, TABLE_MASK};
    md_canvas canvas = {.ids = ids, .given = given, .samples = 1, .length = TABLE_T};
    opt.constraint = &constraint, opt.allowed = small, opt.rule = &md_rule_left;
    assert_fails(run(&opt, &canvas, NULL, &err), MDLM_USAGE,
                 "no token that may stand at position 1 has a probability at step 1");
}
END_TEST

START_TEST(end_of_text_fills_the_rest_where_the_constraint_lets_it) {
    int filled = 0, not_filled = 0;
    for (int32_t end = 0; end < TABLE_V; end++) {
        mdlm_error err = {0};
        by_hand c = {.satisfiable = sorted};
        md_constraint constraint = constraint_of(&c);
        md_sampler_options opt = md_sampler_defaults();
        int32_t ids[SAMPLES * TABLE_T];
        md_canvas canvas = {.ids = ids, .samples = SAMPLES, .length = TABLE_T};
        opt.constraint = &constraint, opt.blocks = 2, opt.rule = &md_rule_left;
        opt.end_of_text = MD_END_STOP, opt.end_of_text_id = end;
        for (int i = 0; i < SAMPLES * TABLE_T; i++) ids[i] = TABLE_MASK;
        assert_ok(run(&opt, &canvas, NULL, &err));
        for (int k = 0; k < SAMPLES; k++) {
            const int32_t *x = ids + k * TABLE_T;
            ck_assert(sorted(x));
            if (x[0] != end && x[1] != end) continue;
            bool fits = x[1] <= end; /* what stands there lets it follow */
            if (fits) ck_assert(x[2] == end && x[3] == end);
            filled += fits;
            not_filled += !fits;
        }
    }
    ck_assert_int_gt(filled, 30);
    ck_assert_int_gt(not_filled, 5);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}
#define add_case(s, test) add(s, #test, test)

int main(void) {
    Suite *s = suite_create("sampler constraints");
    add_case(s, every_sample_of_every_rule_satisfies_its_constraint);
    add_case(s, an_edit_that_does_not_fit_is_not_made);
    add_case(s, constrained_ancestral_samples_follow_the_documented_law);
    add_case(s, an_impossible_constraint_fails_before_any_evaluation);
    add_case(s, texts_that_are_alike_are_checked_once);
    add_case(s, a_constraint_against_the_allowed_tokens_is_reported);
    add_case(s, end_of_text_fills_the_rest_where_the_constraint_lets_it);
    return suite_run(s);
}
