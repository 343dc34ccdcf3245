/* tests/test_checkpoint.h: a small model in training and its run folder, for test_checkpoint*.c. */
#ifndef TESTS_TEST_CHECKPOINT_H
#define TESTS_TEST_CHECKPOINT_H

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tensor/safetensors.h"
#include "tests/suite.h"
#include "train/checkpoint.h"

static mdlm_error err;
static char *run;

enum { ROWS = 3, COLS = 5, SIZE = ROWS * COLS + COLS };

/* A small model in training: a matrix and a gain. */
typedef struct training {
    md_params *params;
    md_optimizer *optimizer;
} training;

static inline training new_training_with(md_optimizer_kind kind, int64_t cols, double ema) {
    const unsigned flags = MD_PARAM_DECAY | MD_PARAM_ORTHOGONAL;
    training t = {.params = md_params_new(&err)};
    md_params_add(t.params, "blocks.0.weight", 2, (int64_t[]){ROWS, cols}, flags, &err);
    md_params_add(t.params, "norm", 1, (int64_t[]){cols}, 0, &err);
    assert_ok(md_params_seal(t.params, true, &err));
    md_real *values = md_params_values(t.params);
    for (int64_t i = 0; i < md_params_size(t.params); i++) values[i] = (md_real)(0.1 * (double)i);
    md_optimizer_options opt = md_optimizer_defaults();
    opt.kind = kind;
    opt.ema = ema;
    t.optimizer = md_optimizer_new(t.params, &md_kernels_ref, &opt, &err);
    ck_assert_msg(t.optimizer != NULL, "%s", err.message);
    return t;
}

static inline training new_training(int64_t cols, double ema) {
    return new_training_with(MD_OPTIMIZER_ADAMW, cols, ema);
}

static inline void free_training(training *t) {
    md_optimizer_free(t->optimizer);
    md_params_free(t->params);
}

static inline void step(training *t, uint32_t number) {
    md_rng rng = {.seed = 7, .stream = MD_STREAM_NOISE};
    md_real *grad = md_params_grads(t->params);
    for (uint32_t i = 0; i < md_params_size(t->params); i++) {
        grad[i] = (md_real)md_normal(rng, number, i);
    }
    assert_ok(md_optimizer_step(t->optimizer, 0.01, NULL, NULL, &err));
}

static inline mdlm_status save(training *t, int64_t number, int keep) {
    cJSON *state = cJSON_CreateObject();
    cJSON_AddNumberToObject(state, "mark", 0.1 + (double)number);
    md_checkpoint c = {
        .params = t->params, .optimizer = t->optimizer, .step = number, .state = state};
    mdlm_status status = md_checkpoint_save(&c, run, keep, NULL, &err);
    cJSON_Delete(state);
    return status;
}

/* Checkpoints of steps 1, 2, ... last, each after a step of the optimizer. */
static inline training train_to(int last, int keep) {
    training t = new_training(COLS, 0.9);
    for (int i = 1; i <= last; i++) {
        step(&t, (uint32_t)i);
        assert_ok(save(&t, i, keep));
    }
    return t;
}

/* Loads into a new training, checks that its state is step `expected`'s, and returns the note. */
static inline char *load_step(int64_t expected, training *t) {
    char *note = NULL;
    *t = new_training(COLS, 0.9);
    md_checkpoint c = {.params = t->params, .optimizer = t->optimizer};
    assert_ok(md_checkpoint_load(&c, run, &note, &err));
    ck_assert_int_eq(c.step, expected);
    ck_assert_int_eq(md_optimizer_steps(t->optimizer), expected);
    const cJSON *mark = cJSON_GetObjectItem(c.state, "mark");
    ck_assert(cJSON_IsNumber(mark) && mark->valuedouble == 0.1 + (double)expected);
    cJSON_Delete(c.state);
    return note;
}

static inline mdlm_status load(training *t) {
    md_checkpoint c = {.params = t->params, .optimizer = t->optimizer};
    mdlm_status status = md_checkpoint_load(&c, run, NULL, &err);
    if (status == MDLM_OK) cJSON_Delete(c.state);
    return status;
}

static inline void assert_same_bits(const training *a, const training *b) {
    const size_t bytes = (size_t)md_params_size(a->params) * sizeof(md_real);
    ck_assert_mem_eq(md_params_values(a->params), md_params_values(b->params), bytes);
    ck_assert_mem_eq(md_optimizer_first(a->optimizer), md_optimizer_first(b->optimizer), bytes);
    ck_assert_mem_eq(md_optimizer_second(a->optimizer), md_optimizer_second(b->optimizer), bytes);
    ck_assert_mem_eq(md_optimizer_ema(a->optimizer), md_optimizer_ema(b->optimizer), bytes);
    ck_assert_int_eq(md_optimizer_steps(a->optimizer), md_optimizer_steps(b->optimizer));
}

/* RUN/checkpoints/NAME; the two latest stay valid. */
static inline const char *in_run(const char *name) {
    static char paths[2][512];
    static int turn;
    char *path = paths[turn = !turn];
    snprintf(path, sizeof paths[0], "%s/checkpoints/%s", run, name);
    return path;
}

/* "step-2 step-3": what is there, sorted. */
static inline const char *listing(void) {
    static char text[512];
    md_names names = {0};
    text[0] = 0;
    assert_ok(md_dir_list(in_run(""), &names, &err));
    for (size_t i = 0; i < names.count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, sizeof text - used, "%s%s", i ? " " : "", names.items[i]);
    }
    md_names_release(&names);
    return text;
}

static inline void setup(void) {
    run = suite_tmp_dir();
}

static inline void teardown(void) {
    suite_tmp_remove(run);
}

static inline void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

#define add_case(s, test) add(s, #test, test)

#endif
