/* tests/grad_params.h: the gradients of a whole network's parameters against central differences,
 * in double precision, on a few elements of each.
 *
 *     static md_tensor *loss_of(void *context) { ... on a tape that records, always the same ... }
 *     check_param_gradients(&(param_gradients){.name = "tied", .loss = loss_of, .context = &f,
 *                                              .tape = f.tape, .params = params, .elements = 12});
 */
#ifndef TESTS_GRAD_PARAMS_H
#define TESTS_GRAD_PARAMS_H

#include <math.h>

#include "base/rng.h"
#include "tensor/params.h"
#include "tests/suite.h"

/* A central difference is off by h^2/6 f''' and by 1e-16 |f| / h: both near 1e-9 at h = 3e-5, for a
 * loss near 20 whose gradients have norms from 0.1 to 10. */
static const double PARAM_STEP = 3e-5, PARAM_TOLERANCE = 1e-6;

typedef struct param_gradients {
    const char *name; /* of the network, for messages */
    md_tensor *(*loss)(void *context);
    void *context;
    md_tape *tape;
    md_params *params;
    int elements; /* of a parameter that are moved */
} param_gradients;

static double param_slope(const param_gradients *g, md_real *x) {
    double old = *x, value[2];
    for (int side = 0; side < 2; side++) {
        *x = old + (side ? -PARAM_STEP : PARAM_STEP);
        const md_tensor *loss = g->loss(g->context);
        ck_assert(loss != NULL);
        value[side] = *loss->data;
    }
    *x = old;
    return (value[0] - value[1]) / (2 * PARAM_STEP);
}

/* The parameters are frozen afterwards. */
static void check_param_gradients(const param_gradients *g) {
    mdlm_error err = {0};
    assert_ok(md_tape_backward(g->tape, g->loss(g->context), &err));
    md_params_freeze(g->params, true); /* the loss is evaluated from now on, not differentiated */
    for (int i = 0; i < md_params_count(g->params); i++) {
        const md_tensor *t = md_params_tensor(g->params, i);
        const char *name = md_params_name(g->params, i);
        const int64_t size = md_tensor_size(t);
        const md_real *grad = md_params_grads(g->params) + (t->data - md_params_values(g->params));
        double difference = 0, total = 0;
        for (int k = 0; k < g->elements && k < size; k++) {
            md_rng rng = {.seed = 6, .stream = MD_STREAM_ORDER, .step = (uint64_t)i};
            const int64_t at = (int64_t)md_permute(rng, (uint64_t)k, (uint64_t)size);
            const double slope = param_slope(g, t->data + at), d = grad[at] - slope;
            difference += d * d;
            total += slope * slope;
        }
        const double error = sqrt(difference / total);
        ck_assert_msg(total > 1e-9, "%s: '%s' does not matter", g->name, name);
        ck_assert_msg(error < PARAM_TOLERANCE, "%s: '%s' is off by %g of its norm", g->name, name,
                      error);
    }
}

#endif
