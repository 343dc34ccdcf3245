/* tests/test_recompute.c: md_checkpoint: what it saves in memory it may not change in bits. */
#include <cblas.h>
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/ops.h"
#include "tests/kernel_sets.h"
#include "tests/small_net.h"

enum { V = SMALL_V, MASK = SMALL_MASK, C = SMALL_C, B = 3, T = 100, ROWS = B * T };

typedef small_net fixture;
_Static_assert((int)ROWS <= (int)SMALL_IDS, "room for the ids");

static double uniform(uint32_t i) {
    return md_uniform((md_rng){.seed = 2, .stream = MD_STREAM_INIT}, 0, i);
}

static void fixture_init(fixture *f, const char *set, int threads, int layers) {
    small_net_init(f, set, threads, layers, T);
    for (int i = 0; i < ROWS; i++) f->ids[i] = (int32_t)(uniform((uint32_t)i) * MASK);
}

static void begin(fixture *f) {
    md_tape_begin(f->tape, true, (md_rng){.seed = 1, .stream = MD_STREAM_DROPOUT, .step = 5});
}

/* The loss of every third row. Gradients are added to the slab. */
static double step(fixture *f, const md_transformer_training *training) {
    mdlm_error err = {0};
    int32_t rows[ROWS], target[ROWS];
    md_real weight[ROWS];
    int count = 0;
    for (int i = 0; i < ROWS; i += 3, count++) {
        rows[count] = i;
        target[count] = f->ids[i];
        weight[count] = (md_real)(i % 4) / 4;
    }
    begin(f);
    md_tensor *h = md_transformer_hidden(f->net, f->tape, f->ids, B, T, training);
    md_cross_entropy_args args = {.target = target, .weight = weight, .banned = MASK};
    md_tensor *loss = md_linear_cross_entropy(f->tape, md_gather_rows(f->tape, h, rows, count),
                                              md_transformer_head(f->net), &args);
    assert_ok(md_tape_backward(f->tape, loss, &err));
    return (double)*loss->data;
}

/* --- bits ------------------------------------------------------------------------------------ */

START_TEST(a_network_has_the_same_loss_and_gradients_with_checkpoints) {
    md_kernels kernels;
    for (int i = 0; next_kernels(&i, "f32", &kernels);) {
        for (int drop = 0; drop < 2; drop++) {
            fixture f[2];
            double loss[2];
            for (int k = 0; k < 2; k++) {
                fixture_init(&f[k], kernels.name, 2 - k, 3);
                const md_transformer_training training = {.dropout = drop ? 0.2 : 0,
                                                          .checkpoint = k == 1};
                loss[k] = step(&f[k], &training);
                loss[k] += step(&f[k], &training); /* a second micro-batch adds up */
            }
            const size_t bytes = (size_t)md_params_size(f[0].params) * sizeof(md_real);
            const md_real *grads = md_params_grads(f[0].params);
            ck_assert(loss[0] == loss[1] && loss[0] > 0);
            ck_assert_msg(!memcmp(grads, md_params_grads(f[1].params), bytes),
                          "'%s' kernels, dropout %d", kernels.name, drop);
            for (int64_t j = 0, zeros = 0; j < md_params_size(f[0].params); j++) {
                zeros += grads[j] == 0;
                ck_assert(zeros <= V * C); /* rows of the embedding and of the banned token */
            }
            for (int k = 0; k < 2; k++) small_net_release(&f[k]);
        }
    }
}
END_TEST

/* A chain of products, dropouts and sums on the network's square weights. */
typedef struct chain {
    md_tensor *const *w;
    int depth; /* checkpoints inside of checkpoints */
    bool checkpoint;
} chain;

static md_tensor *link_of(const void *context, md_tape *tape, md_tensor *x) {
    const chain *c = context;
    md_tensor *y = md_dropout(tape, md_linear(tape, x, c->w[c->depth], NULL), 0.3);
    if (c->depth > 0) {
        const chain *inner = c - 1;
        y = c->checkpoint ? md_checkpoint(tape, link_of, inner, y) : link_of(inner, tape, y);
    }
    return md_add(tape, md_dropout(tape, y, 0.3), x);
}

typedef struct outcome {
    md_real loss, dx[T * C], dw[3][C * C];
} outcome;

/* x has a use beside the checkpoint, and two checkpoints follow each other. */
static void run_chain(fixture *f, bool checkpoint, bool x_wants, outcome *out) {
    mdlm_error err = {0};
    md_tensor *w[3];
    static md_real ones[T * C];
    begin(f);
    md_tensor *x = md_tape_matrix(f->tape, T, C);
    for (int i = 0; i < T * C; i++) x->data[i] = (md_real)uniform((uint32_t)i), ones[i] = 1;
    x->needs_grad = x_wants;
    for (int i = 0; i < 3; i++) {
        char name[64];
        snprintf(name, sizeof name, MD_LLADA_PREFIX "blocks.%d.attn_out.weight", i);
        w[i] = md_params_tensor(f->params, md_params_find(f->params, name));
    }
    memset(md_params_grads(f->params), 0, (size_t)md_params_size(f->params) * sizeof(md_real));
    chain c[3];
    for (int i = 0; i < 3; i++) c[i] = (chain){w, i, checkpoint};
    md_tensor *y = x;
    for (int i = 0; i < 2; i++)
        y = checkpoint ? md_checkpoint(f->tape, link_of, &c[2], y) : link_of(&c[2], f->tape, y);
    md_tensor *loss = md_dot_constant(f->tape, md_add(f->tape, y, x), ones);
    assert_ok(md_tape_backward(f->tape, loss, &err));
    out->loss = *loss->data;
    for (int i = 0; i < 3; i++) memcpy(out->dw[i], w[i]->grad, sizeof out->dw[i]);
    ck_assert(!x_wants == !x->grad);
    if (x_wants) memcpy(out->dx, x->grad, sizeof out->dx);
}

START_TEST(checkpoints_inside_of_checkpoints_change_no_bit) {
    static outcome plain, kept;
    fixture f;
    fixture_init(&f, NULL, 2, 3);
    for (int wants = 0; wants < 2; wants++) {
        run_chain(&f, false, wants, &plain);
        run_chain(&f, true, wants, &kept);
        ck_assert(plain.loss == kept.loss && plain.dw[0][0] != 0);
        ck_assert(!memcmp(plain.dw, kept.dw, sizeof plain.dw));
        ck_assert(!memcmp(plain.dx, kept.dx, sizeof plain.dx));
    }
    small_net_release(&f);
}
END_TEST

/* --- what needs a gradient ------------------------------------------------------------------- */

static md_tensor *nothing(const void *context, md_tape *tape, md_tensor *x) {
    (void)context;
    (void)tape;
    return x;
}

static md_tensor *twice(const void *context, md_tape *tape, md_tensor *x) {
    int *calls = *(int *const *)context;
    ++*calls;
    return md_add(tape, x, x);
}

START_TEST(a_function_runs_again_only_when_its_gradient_is_wanted) {
    static const md_real ones[6] = {1, 1, 1, 1, 1, 1};
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, NULL, 1, 1);
    int calls = 0, *const context = &calls;
    for (int wants = 0; wants < 2; wants++) {
        calls = 0;
        begin(&f);
        md_tensor *x = md_tape_matrix(f.tape, 2, 3);
        memcpy(x->data, ones, sizeof ones);
        x->needs_grad = wants;
        md_tensor *y = md_checkpoint(f.tape, twice, &context, x);
        (void)md_checkpoint(f.tape, twice, &context, x); /* nobody uses the result */
        y = md_checkpoint(f.tape, nothing, NULL, y);
        ck_assert(y && y->needs_grad == wants && y->data[5] == 2);
        assert_ok(md_tape_backward(f.tape, md_dot_constant(f.tape, y, ones), &err));
        ck_assert_int_eq(calls, wants ? 3 : 2);
        for (int i = 0; wants && i < 6; i++) ck_assert(x->grad[i] == 2);
    }
    small_net_release(&f);
}
END_TEST

START_TEST(without_recording_a_checkpoint_is_a_call) {
    fixture f;
    fixture_init(&f, NULL, 1, 1);
    md_tape_begin(f.tape, false, (md_rng){0});
    md_tensor *x = md_tape_matrix(f.tape, 2, 3);
    ck_assert_ptr_eq(md_checkpoint(f.tape, nothing, NULL, x), x);
    small_net_release(&f);
}
END_TEST

/* --- memory ---------------------------------------------------------------------------------- */

static size_t memory_of(int layers, bool checkpoint) {
    fixture f;
    fixture_init(&f, NULL, 1, layers);
    size_t held = 0;
    for (int turn = 0; turn < 4; turn++) {
        step(&f, &(md_transformer_training){.dropout = 0.1, .checkpoint = checkpoint});
        if (turn == 2) held = md_tape_memory(f.tape);
    }
    ck_assert_uint_eq(md_tape_memory(f.tape), held);
    small_net_release(&f);
    return held;
}

/* 16 more blocks keep their results, C channels a row, and a node of a few dozen numbers; without
 * checkpoints they keep some 15 times as much. The arena doubles, so it holds up to twice that. */
START_TEST(a_block_with_a_checkpoint_keeps_its_result_alone) {
    const size_t results = 16 * (size_t)ROWS * C * sizeof(md_real);
    ck_assert_uint_lt(memory_of(20, true) - memory_of(4, true), 3 * results);
    ck_assert_uint_gt(memory_of(20, false) - memory_of(4, false), 9 * results);
}
END_TEST

/* --- errors ---------------------------------------------------------------------------------- */

static md_tensor *failing(const void *context, md_tape *tape, md_tensor *x) {
    int *calls = *(int *const *)context;
    md_tensor *y = md_add(tape, x, x);
    if (--*calls == 0) md_tape_fail(tape, MDLM_NUMERIC, "enough");
    return *calls == 0 ? NULL : y;
}

START_TEST(an_error_the_first_or_the_second_time_ends_the_step) {
    static const md_real ones[6] = {1, 1, 1, 1, 1, 1};
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, NULL, 1, 1);
    for (int when = 1; when <= 2; when++) {
        int calls = when, *const context = &calls;
        begin(&f);
        md_tensor *x = md_tape_matrix(f.tape, 2, 3);
        memcpy(x->data, ones, sizeof ones);
        x->needs_grad = true;
        md_tensor *y = md_checkpoint(f.tape, failing, &context, x);
        ck_assert(!y == (when == 1));
        assert_fails(md_tape_backward(f.tape, md_dot_constant(f.tape, y, ones), &err), MDLM_NUMERIC,
                     "enough");
        ck_assert(!md_checkpoint(f.tape, failing, &context, NULL));
    }
    ck_assert(step(&f, NULL) > 0); /* and the next one starts afresh */
    small_net_release(&f);
}
END_TEST

static md_tensor *loss_inside(const void *context, md_tape *tape, md_tensor *x) {
    static const int32_t target[T];
    static const md_real weight[T];
    md_cross_entropy_args args = {.target = target, .weight = weight, .banned = -1};
    return md_linear_cross_entropy(tape, x, (md_tensor *)context, &args);
}

START_TEST(a_loss_inside_of_a_checkpoint_is_a_bug) {
    fixture f;
    fixture_init(&f, NULL, 1, 1);
    begin(&f);
    md_tensor *x = md_embedding(f.tape, md_transformer_head(f.net), f.ids, T);
    md_checkpoint(f.tape, loss_inside, md_transformer_head(f.net), x);
}
END_TEST

int main(void) {
    Suite *s = suite_create("recompute");
    openblas_set_num_threads(1); /* as the command line does */
    suite_case(s, a_network_has_the_same_loss_and_gradients_with_checkpoints);
    suite_case(s, checkpoints_inside_of_checkpoints_change_no_bit);
    suite_case(s, a_function_runs_again_only_when_its_gradient_is_wanted);
    suite_case(s, without_recording_a_checkpoint_is_a_call);
    suite_case(s, a_block_with_a_checkpoint_keeps_its_result_alone);
    suite_case(s, an_error_the_first_or_the_second_time_ends_the_step);
    TCase *bug = tcase_create("a loss inside");
    tcase_add_test_raise_signal(bug, a_loss_inside_of_a_checkpoint_is_a_bug, SIGABRT);
    suite_add_tcase(s, bug);
    name_skipped_sets();
    return suite_run(s);
}
