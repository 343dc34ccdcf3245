/* tests/golden.h: a network beside PyTorch: numbers that a script has found, and what to find them
 * again with.
 *
 *     golden g;
 *     golden_init(&g, "golden-model", "tied", "avx2");         numbers, kernels, a tape
 *     golden_close(&g, "logits", logits, count, TOLERANCE);
 *     golden_curve(&g, params, loss_of_step, &fixture, CURVE_TOLERANCE);
 *     golden_release(&g);
 */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <math.h>
#include <stdio.h>

#include "base/json.h"
#include "tensor/optim.h"
#include "tests/suite.h"

enum { GOLDEN_STEPS = 10 };

typedef struct golden {
    const char *name, *kernel_set;
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    cJSON *numbers;
} golden;

/* The numbers of TEST_DATA/FOLDER/NAME.json; the strings stay the caller's. */
static void golden_init(golden *g, const char *folder, const char *name, const char *kernel_set) {
    mdlm_error err;
    char path[256];
    *g = (golden){.name = name, .kernel_set = kernel_set};
    assert_ok(md_kernels_init(&g->kernels, kernel_set, &err));
    g->pool = md_pool_new(2, &err);
    g->tape = md_tape_new(g->pool, &g->kernels, &err);
    ck_assert(g->pool && g->tape);
    snprintf(path, sizeof path, TEST_DATA "/%s/%s.json", folder, name);
    assert_ok(md_json_load(path, 1 << 20, &g->numbers, &err));
}

static void golden_release(golden *g) {
    cJSON_Delete(g->numbers);
    md_tape_free(g->tape);
    md_pool_free(g->pool);
}

/* The list of a key, which has `count` numbers. */
static const cJSON *golden_list(const golden *g, const char *key, int64_t count) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(g->numbers, key);
    ck_assert_msg(cJSON_IsArray(list) && cJSON_GetArraySize(list) == count,
                  "%s: '%s' has %d numbers, expected %lld", g->name, key, cJSON_GetArraySize(list),
                  (long long)count);
    return list;
}

/* The norm of the difference over the norm of what PyTorch found. */
static void golden_close(const golden *g, const char *key, const md_real *found, int64_t count,
                         double tolerance) {
    double difference = 0, total = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, golden_list(g, key, count)) {
        const double expected = item->valuedouble, d = (double)*found++ - expected;
        difference += d * d;
        total += expected * expected;
    }
    const double error = sqrt(difference / total);
    ck_assert_msg(error < tolerance, "%s, '%s' kernels: '%s' is off by %g of its norm", g->name,
                  g->kernel_set, key, error);
}

/* Losses and norms of gradients in ten steps of AdamW. */
static inline void golden_curve(golden *g, md_params *params,
                                md_tensor *(*loss_of)(void *context, uint32_t step), void *context,
                                double tolerance) {
    mdlm_error err = {0};
    md_optimizer_options options = md_optimizer_defaults();
    md_optimizer *optimizer = md_optimizer_new(params, &g->kernels, &options, &err);
    md_real curve[GOLDEN_STEPS], norm[GOLDEN_STEPS];
    ck_assert(optimizer != NULL);
    for (uint32_t step = 0; step < GOLDEN_STEPS; step++) {
        md_optimizer_info info;
        md_tensor *loss = loss_of(context, step);
        assert_ok(md_tape_backward(g->tape, loss, &err));
        curve[step] = *loss->data;
        assert_ok(md_optimizer_step(optimizer, 0.01, g->pool, &info, &err));
        norm[step] = (md_real)info.grad_norm;
    }
    golden_close(g, "loss_curve", curve, GOLDEN_STEPS, tolerance);
    golden_close(g, "norm_curve", norm, GOLDEN_STEPS, tolerance);
    md_optimizer_free(optimizer);
}

#endif
