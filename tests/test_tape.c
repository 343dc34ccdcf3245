/* tests/test_tape.c: the tape and what runs on it: errors, memory, and bits that stay the same. */
#include <cblas.h>
#include <math.h>
#include <signal.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "tensor/ops.h"
#include "tests/kernel_sets.h"
#include "tests/small_net.h"

enum {
    V = SMALL_V,
    MASK = SMALL_MASK,
    C = SMALL_C,
    SEQ = 300,
    LONG = 259,
    MAX_B = 5
}; /* LONG: more than a tile */

typedef small_net fixture;
_Static_assert((int)MAX_B *LONG <= (int)SMALL_IDS, "room for the ids");

static void fixture_init(fixture *f, const char *set, int threads, int layers) {
    small_net_init(f, set, threads, layers, SEQ);
    md_rng rng = {.seed = 3, .stream = MD_STREAM_MASK};
    for (uint32_t i = 0; i < MAX_B * LONG; i++) f->ids[i] = (int32_t)md_uniform_below(rng, 0, i, V);
}

/* A recorded step on B sequences of T tokens: every third row is predicted. */
static md_tensor *loss_of(fixture *f, int B, int T, double dropout, uint64_t step) {
    int32_t rows[MAX_B * LONG], target[MAX_B * LONG];
    md_real weight[MAX_B * LONG];
    int count = 0;
    for (int i = 0; i < B * T; i += 3, count++) {
        rows[count] = i;
        target[count] = f->ids[i] % MASK;
        weight[count] = (md_real)(i % 4) / 4;
    }
    md_tape_begin(f->tape, true, (md_rng){.seed = 1, .stream = MD_STREAM_DROPOUT, .step = step});
    const md_transformer_training training = {.dropout = dropout};
    md_tensor *h = md_transformer_hidden(f->net, f->tape, f->ids, B, T, &training);
    md_cross_entropy_args args = {.target = target, .weight = weight, .banned = MASK};
    return md_linear_cross_entropy(f->tape, md_gather_rows(f->tape, h, rows, count),
                                   md_transformer_head(f->net), &args);
}

/* --- errors ---------------------------------------------------------------------------------- */

START_TEST(a_sequence_longer_than_the_positions_is_an_error) {
    fixture f;
    mdlm_error err = {0};
    static int32_t ids[SEQ + 1];
    fixture_init(&f, NULL, 1, 2);
    for (int record = 0; record < 2; record++) {
        md_tape_begin(f.tape, record, (md_rng){0});
        ck_assert(md_transformer_hidden(f.net, f.tape, ids, 1, SEQ, NULL) != NULL);
        assert_ok(md_tape_status(f.tape, &err));
        md_tape_begin(f.tape, record, (md_rng){0});
        md_tensor *h = md_transformer_hidden(f.net, f.tape, ids, 1, SEQ + 1, NULL);
        ck_assert(h == NULL);
        assert_fails(md_tape_status(f.tape, &err), MDLM_USAGE, "301 tokens");
        ck_assert(strstr(err.message, "300") != NULL);
    }
    small_net_release(&f);
}
END_TEST

START_TEST(a_failed_step_ends_in_one_error_and_the_next_step_starts_afresh) {
    fixture f;
    mdlm_error err = {0};
    static int32_t ids[SEQ + 1], target[SEQ + 1];
    static md_real weight[SEQ + 1];
    fixture_init(&f, NULL, 1, 2);
    md_tape_begin(f.tape, true, (md_rng){0});
    const md_transformer_training training = {.dropout = 0.1};
    md_tensor *h = md_transformer_hidden(f.net, f.tape, ids, 1, SEQ + 1, &training);
    md_cross_entropy_args args = {.target = target, .weight = weight, .banned = -1};
    md_tensor *loss = md_linear_cross_entropy(f.tape, h, md_transformer_head(f.net), &args);
    ck_assert(loss == NULL);
    assert_fails(md_tape_backward(f.tape, loss, &err), MDLM_USAGE, "301 tokens");
    md_tape_fail(f.tape, MDLM_NUMERIC, "a later error");
    assert_fails(md_tape_status(f.tape, &err), MDLM_USAGE, "301 tokens");
    loss = loss_of(&f, 2, 7, 0.1, 1);
    assert_ok(md_tape_backward(f.tape, loss, &err));
    small_net_release(&f);
}
END_TEST

static const md_attention_shape one_head = {.heads = 1, .kv_heads = 1, .head_dim = 2};

START_TEST(operators_pass_null_on_without_an_error_of_their_own) {
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, NULL, 1, 1);
    md_tape_begin(f.tape, true, (md_rng){0});
    md_tensor *x = md_tape_matrix(f.tape, 2, 2);
    const int32_t rows[] = {0};
    const md_real one[] = {1};
    md_rope_table table = {.positions = 1, .D = 2};
    md_cross_entropy_args args = {.target = rows, .weight = one, .banned = -1};
    ck_assert(!md_embedding(f.tape, NULL, rows, 1));
    ck_assert(!md_gather_rows(f.tape, NULL, rows, 1));
    ck_assert(!md_linear(f.tape, NULL, x, NULL));
    ck_assert(!md_linear(f.tape, x, NULL, NULL));
    ck_assert(!md_rms_norm(f.tape, NULL, x, 1e-5));
    ck_assert(!md_rms_norm(f.tape, x, NULL, 1e-5));
    ck_assert(!md_swiglu(f.tape, NULL));
    ck_assert(!md_add(f.tape, NULL, x));
    ck_assert(!md_add(f.tape, x, NULL));
    ck_assert(!md_dropout(f.tape, NULL, 0.5));
    ck_assert(!md_rope(f.tape, NULL, 1, &table, (md_rope_positions){0}));
    ck_assert(!md_attention(f.tape, NULL, one_head));
    ck_assert(!md_reshape(f.tape, NULL, 1, (int64_t[]){4}));
    ck_assert(!md_linear_cross_entropy(f.tape, NULL, x, &args));
    ck_assert(!md_linear_cross_entropy(f.tape, x, NULL, &args));
    ck_assert(!md_dot_constant(f.tape, NULL, one));
    assert_ok(md_tape_status(f.tape, &err));
    small_net_release(&f);
}
END_TEST

START_TEST(after_an_error_every_operator_returns_null) {
    fixture f;
    fixture_init(&f, NULL, 1, 1);
    md_tape_begin(f.tape, true, (md_rng){0});
    md_tensor *x = md_tape_tensor(f.tape, 3, (int64_t[]){1, 2, 6});
    md_tensor *w = md_tape_matrix(f.tape, 6, 6);
    md_tensor *gain = md_tape_tensor(f.tape, 1, (int64_t[]){6});
    memset(x->data, 0, 12 * sizeof *x->data);
    memset(w->data, 0, 36 * sizeof *w->data);
    memset(gain->data, 0, 6 * sizeof *gain->data);
    const int32_t rows[] = {0, 1};
    const md_real ones[12] = {1, 1};
    md_cross_entropy_args args = {.target = rows, .weight = ones, .banned = -1};
    md_tape_fail(f.tape, MDLM_NUMERIC, "stop");
    ck_assert(!md_tape_alloc(f.tape, 1, 1));
    ck_assert(!md_tape_matrix(f.tape, 1, 1));
    ck_assert(!md_embedding(f.tape, w, rows, 2));
    ck_assert(!md_gather_rows(f.tape, x, rows, 2));
    ck_assert(!md_linear(f.tape, x, w, x));
    ck_assert(!md_rms_norm(f.tape, x, gain, 1e-5));
    ck_assert(!md_swiglu(f.tape, x));
    ck_assert(!md_add(f.tape, x, x));
    ck_assert(!md_dropout(f.tape, x, 0.5));
    ck_assert(!md_attention(f.tape, x, one_head));
    ck_assert(!md_reshape(f.tape, x, 1, (int64_t[]){12}));
    ck_assert(!md_linear_cross_entropy(f.tape, x, w, &args));
    ck_assert(!md_dot_constant(f.tape, x, ones));
    small_net_release(&f);
}
END_TEST

START_TEST(a_tensor_that_is_too_large_is_an_error) {
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, NULL, 1, 1);
    const int64_t huge = (int64_t)1 << 62;
    md_tape_begin(f.tape, false, (md_rng){0});
    ck_assert(!md_tape_matrix(f.tape, huge, 1)); /* its bytes do not fit a size */
    assert_fails(md_tape_status(f.tape, &err), MDLM_RUNTIME, "out of memory");
    md_tape_begin(f.tape, false, (md_rng){0});
    ck_assert(!md_tape_tensor(f.tape, 3, (int64_t[]){huge, huge, huge}));
    assert_fails(md_tape_status(f.tape, &err), MDLM_RUNTIME, "out of memory");
    small_net_release(&f);
}
END_TEST

/* A programmer's mistakes; the process ends. */
START_TEST(a_loss_that_is_not_the_root_is_a_bug) {
    fixture f;
    mdlm_error err;
    fixture_init(&f, NULL, 1, 1);
    md_tensor *loss = loss_of(&f, 1, 5, 0, 1);
    (void)md_tape_backward(f.tape, md_add(f.tape, loss, loss), &err);
}
END_TEST

START_TEST(a_rewind_while_recording_is_a_bug) {
    fixture f;
    fixture_init(&f, NULL, 1, 1);
    md_tape_begin(f.tape, true, (md_rng){0});
    md_tape_rewind(f.tape, md_tape_mark(f.tape));
}
END_TEST

/* --- memory ---------------------------------------------------------------------------------- */

START_TEST(memory_stays_the_same_after_the_second_step) {
    fixture f;
    mdlm_error err = {0};
    size_t after_two = 0;
    fixture_init(&f, NULL, 2, 3);
    for (int step = 1; step <= 7; step++) {
        md_tensor *loss = loss_of(&f, 3, 37, step % 2 ? 0.1 : 0, (uint64_t)step);
        assert_ok(md_tape_backward(f.tape, loss, &err));
        size_t held = md_tape_memory(f.tape);
        if (step == 2) after_two = held;
        if (step > 2) ck_assert_uint_eq(held, after_two);
    }
    ck_assert_uint_gt(after_two, 3 * 37 * C * sizeof(md_real));
    small_net_release(&f);
}
END_TEST

/* An input's gradient has no node that gives it back: the next step does. */
START_TEST(gradients_of_inputs_go_back_with_the_next_step) {
    fixture f;
    mdlm_error err = {0};
    size_t after_two = 0;
    fixture_init(&f, NULL, 1, 1);
    static const md_real ones[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    for (int step = 1; step <= 5; step++) {
        md_tape_begin(f.tape, true, (md_rng){0});
        md_tensor *x = md_tape_matrix(f.tape, 3, 4);
        memcpy(x->data, ones, sizeof ones);
        x->needs_grad = true;
        md_tensor *loss = md_dot_constant(f.tape, md_add(f.tape, x, x), ones);
        assert_ok(md_tape_backward(f.tape, loss, &err));
        for (int i = 0; i < 12; i++) ck_assert(x->grad[i] == 2);
        if (step == 2) after_two = md_tape_memory(f.tape);
        if (step > 2) ck_assert_uint_eq(md_tape_memory(f.tape), after_two);
    }
    small_net_release(&f);
}
END_TEST

/* Other shapes on the way need no more than their own first turn. */
START_TEST(memory_stays_the_same_when_shapes_alternate) {
    static const int shapes[][2] = {{3, 37}, {1, 100}, {5, 9}};
    fixture f;
    mdlm_error err = {0};
    size_t after_two = 0;
    fixture_init(&f, NULL, 1, 2);
    for (int turn = 1; turn <= 5; turn++) {
        for (int i = 0; i < 3; i++) {
            md_tensor *loss = loss_of(&f, shapes[i][0], shapes[i][1], 0, 1);
            assert_ok(md_tape_backward(f.tape, loss, &err));
            md_tape_begin(f.tape, false, (md_rng){0});
            ck_assert(
                md_transformer_hidden(f.net, f.tape, f.ids, shapes[i][0], shapes[i][1], NULL));
        }
        if (turn == 2) after_two = md_tape_memory(f.tape);
        if (turn > 2) ck_assert_uint_eq(md_tape_memory(f.tape), after_two);
    }
    small_net_release(&f);
}
END_TEST

static size_t memory_of(int layers, bool record) {
    fixture f;
    fixture_init(&f, NULL, 1, layers);
    md_tape_begin(f.tape, record, (md_rng){0});
    ck_assert(md_transformer_hidden(f.net, f.tape, f.ids, 2, 100, NULL) != NULL);
    size_t held = md_tape_memory(f.tape);
    small_net_release(&f);
    return held;
}

START_TEST(without_recording_memory_does_not_depend_on_the_layers) {
    ck_assert_uint_eq(memory_of(2, false), memory_of(9, false));
    ck_assert_uint_gt(memory_of(9, true), 2 * memory_of(2, true));
}
END_TEST

/* --- values ---------------------------------------------------------------------------------- */

/* |x - y| over |y|, in norm. */
static double distance(const md_real *x, const md_real *y, int64_t n) {
    double difference = 0, total = 0;
    for (int64_t i = 0; i < n; i++) {
        difference += ((double)x[i] - (double)y[i]) * ((double)x[i] - (double)y[i]);
        total += (double)y[i] * (double)y[i];
    }
    return sqrt(difference / total);
}

START_TEST(inference_equals_the_recorded_forward_pass) {
    enum { B = 2, T = LONG };
    static md_real recorded[B * T * C];
    md_kernels kernels;
    for (int i = 0; next_kernels(&i, "f32", &kernels);) {
        const char *set = kernels.name;
        fixture f;
        fixture_init(&f, set, 2, 2);
        for (int record = 1; record >= 0; record--) {
            md_tape_begin(f.tape, record, (md_rng){0});
            md_tensor *h = md_transformer_hidden(f.net, f.tape, f.ids, B, T, NULL);
            ck_assert(h && md_tensor_size(h) == B * T * C);
            if (record) memcpy(recorded, h->data, sizeof recorded);
            /* Tiles of rows differ, and with them the last bits of a library's products. */
            double d = distance(h->data, recorded, B * T * C);
            ck_assert_msg(d < 1e-5, "'%s' kernels: %g", set, d);
        }
        small_net_release(&f);
    }
}
END_TEST

START_TEST(a_nan_in_a_weight_reaches_the_loss_and_the_gradients) {
    md_kernels kernels;
    for (int i = 0; next_kernels(&i, "f32", &kernels);) {
        const char *set = kernels.name;
        fixture f;
        mdlm_error err = {0};
        fixture_init(&f, set, 1, 2);
        md_params *params = md_transformer_params(f.net);
        int q = md_params_find(params, MD_LLADA_PREFIX "blocks.0.q_proj.weight");
        ck_assert_int_ge(q, 0);
        md_params_tensor(params, q)->data[5] = NAN;
        md_tensor *loss = loss_of(&f, 2, 7, 0, 1);
        assert_ok(md_tape_backward(f.tape, loss, &err));
        ck_assert_msg(isnan(*loss->data), "'%s' kernels: %g", set, (double)*loss->data);
        ck_assert(isnan(md_transformer_head(f.net)->grad[0]));
        small_net_release(&f);
    }
}
END_TEST

/* --- bits ------------------------------------------------------------------------------------ */

/* Logits of some rows of each of B canvases, the first being canvas `first`. */
static void predict(fixture *f, int first, int B, int T, float *logits) {
    mdlm_error err = {0};
    int32_t rows[MAX_B * LONG];
    int count = 0;
    for (int i = 0; i < B * T; i++) {
        int canvas = first + i / T, t = i % T;
        if (t % (canvas + 2) == 0) rows[count++] = i; /* other rows in each canvas */
    }
    md_transformer_view view = {.net = f->net, .tape = f->tape};
    md_denoiser d = md_transformer_denoiser(&view);
    assert_ok(d.predict(d.context, f->ids + first * T, B, T, rows, count, logits, &err));
}

START_TEST(logits_of_a_canvas_do_not_depend_on_the_batch) {
    static const int lengths[] = {1, 37, LONG};
    static float batch[MAX_B * LONG * V], alone[LONG * V];
    md_kernels kernels;
    for (int i = 0; next_kernels(&i, "f32", &kernels);) {
        const char *set = kernels.name;
        fixture f;
        fixture_init(&f, set, 1, 2);
        for (int l = 0; l < 3; l++) {
            int T = lengths[l], place = 0;
            predict(&f, 0, MAX_B, T, batch);
            for (int canvas = 0; canvas < MAX_B; canvas++) {
                int count = (T + canvas + 1) / (canvas + 2) * V;
                predict(&f, canvas, 1, T, alone);
                ck_assert_msg(!memcmp(alone, batch + place, (size_t)count * sizeof *alone),
                              "'%s' kernels: canvas %d of %d tokens", set, canvas, T);
                place += count;
            }
        }
        small_net_release(&f);
    }
}
END_TEST

START_TEST(hidden_states_of_a_sequence_do_not_depend_on_the_batch) {
    enum { B = 3, T = 37 };
    static md_real batch[B * T * C];
    md_kernels kernels;
    for (int i = 0; next_kernels(&i, "f32", &kernels);) {
        const char *set = kernels.name;
        fixture f;
        fixture_init(&f, set, 2, 2);
        md_tape_begin(f.tape, false, (md_rng){0});
        md_tensor *h = md_transformer_hidden(f.net, f.tape, f.ids, B, T, NULL);
        memcpy(batch, h->data, sizeof batch);
        for (int b = 0; b < B; b++) {
            md_tape_begin(f.tape, false, (md_rng){0});
            h = md_transformer_hidden(f.net, f.tape, f.ids + b * T, 1, T, NULL);
            ck_assert_msg(!memcmp(h->data, batch + b * T * C, T * C * sizeof *batch),
                          "'%s' kernels: sequence %d", set, b);
        }
        small_net_release(&f);
    }
}
END_TEST

START_TEST(threads_do_not_change_a_bit) {
    enum { B = 2, T = LONG };
    md_kernels kernels;
    for (int i = 0; next_kernels(&i, "f32", &kernels);) {
        const char *set = kernels.name;
        fixture f[3];
        md_real loss[3];
        size_t bytes = 0;
        for (int k = 0; k < 3; k++) {
            mdlm_error err = {0};
            fixture_init(&f[k], set, k + 1, 2);
            md_tensor *root = loss_of(&f[k], B, T, 0.1, 1);
            assert_ok(md_tape_backward(f[k].tape, root, &err));
            loss[k] = *root->data;
            md_params *params = md_transformer_params(f[k].net);
            bytes = (size_t)md_params_size(params) * sizeof(md_real);
            ck_assert_msg(!memcmp(&loss[k], &loss[0], sizeof *loss), "'%s' kernels: loss", set);
            ck_assert_msg(!memcmp(md_params_grads(params),
                                  md_params_grads(md_transformer_params(f[0].net)), bytes),
                          "'%s' kernels: gradients with %d threads", set, k + 1);
        }
        ck_assert(bytes > 0 && isfinite(loss[0]) && loss[0] > 0);
        for (int k = 0; k < 3; k++) small_net_release(&f[k]);
    }
}
END_TEST

START_TEST(a_step_repeats_itself) {
    fixture f;
    mdlm_error err = {0};
    fixture_init(&f, NULL, 2, 2);
    md_params *params = md_transformer_params(f.net);
    size_t bytes = (size_t)md_params_size(params) * sizeof(md_real);
    md_real *first = md_alloc((size_t)md_params_size(params), sizeof *first, &err);
    ck_assert(first != NULL);
    for (int turn = 0; turn < 2; turn++) {
        memset(md_params_grads(params), 0, bytes);
        assert_ok(md_tape_backward(f.tape, loss_of(&f, 3, 37, 0.2, 4), &err));
        if (turn == 0) memcpy(first, md_params_grads(params), bytes);
    }
    ck_assert(!memcmp(first, md_params_grads(params), bytes));
    assert_ok(md_tape_backward(f.tape, loss_of(&f, 3, 37, 0.2, 5), &err)); /* other masks */
    ck_assert(memcmp(first, md_params_grads(params), bytes));
    md_free(first);
    small_net_release(&f);
}
END_TEST

/* --- the denoiser's arguments ---------------------------------------------------------------- */

START_TEST(the_denoiser_refuses_what_is_not_a_token_and_recovers) {
    fixture f;
    mdlm_error err = {0};
    float logits[2 * V];
    const int32_t rows[] = {0, 3};
    int32_t ids[] = {1, 2, V, 4};
    static int32_t too_many[SEQ + 1];
    fixture_init(&f, NULL, 1, 2);
    md_transformer_view view = {.net = f.net, .tape = f.tape};
    md_denoiser d = md_transformer_denoiser(&view);
    ck_assert_int_eq(d.vocab, V);
    ck_assert_int_eq(d.mask_id, MASK);
    assert_fails(d.predict(d.context, ids, 1, 4, rows, 2, logits, &err), MDLM_USAGE, "23");
    ids[2] = -1;
    assert_fails(d.predict(d.context, ids, 1, 4, rows, 2, logits, &err), MDLM_USAGE, "-1");
    assert_fails(d.predict(d.context, too_many, 1, SEQ + 1, rows, 2, logits, &err), MDLM_USAGE,
                 "301 tokens");
    ids[2] = MASK;
    assert_ok(d.predict(d.context, ids, 1, 4, rows, 2, logits, &err));
    assert_ok(d.predict(d.context, ids, 1, 4, rows, 0, logits, &err)); /* nothing wanted */
    small_net_release(&f);
}
END_TEST

/* --- dropout --------------------------------------------------------------------------------- */

enum { ROWS = 131, COLS = 203 };

/* Dropout of ones by the n-th dropout operator of a step. */
static md_tensor *dropped(md_tape *tape, uint64_t step, int n, double p, bool record) {
    md_tape_begin(tape, record, (md_rng){.seed = 7, .stream = MD_STREAM_DROPOUT, .step = step});
    md_tensor *x = md_tape_matrix(tape, ROWS, COLS), *y = NULL;
    for (int i = 0; i < ROWS * COLS; i++) x->data[i] = 1;
    for (int i = 0; i <= n; i++) y = md_dropout(tape, x, p);
    return y;
}

START_TEST(dropout_keeps_its_share_and_the_mean) {
    static md_real first[ROWS * COLS];
    fixture f;
    fixture_init(&f, NULL, 2, 1);
    const double p = 0.3;
    for (int other = 0; other < 3; other++) { /* the same, another operator, another step */
        md_tensor *y = dropped(f.tape, other == 2, other == 1, p, true);
        int kept = 0, same = 0;
        for (int i = 0; i < ROWS * COLS; i++) {
            bool scaled = fabs((double)y->data[i] * (1 - p) - 1) < 1e-6; /* float rounding */
            if (y->data[i] != 0 && !scaled) ck_abort_msg("a one became %g", (double)y->data[i]);
            kept += y->data[i] != 0;
            same += y->data[i] == first[i];
        }
        /* Binomial: five standard deviations of the share are 0.014. Two independent masks agree
         * at p^2 + (1-p)^2 = 0.58 of the places. */
        double n = ROWS * COLS;
        ck_assert_double_eq_tol(kept / n, 1 - p, 0.014);
        if (other) ck_assert_double_eq_tol(same / n, 0.58, 0.016);
        if (!other) memcpy(first, y->data, sizeof first);
    }
    md_tensor *again = dropped(f.tape, 0, 0, p, true);
    ck_assert(!memcmp(again->data, first, sizeof first));
    small_net_release(&f);
}
END_TEST

START_TEST(dropout_does_nothing_without_recording) {
    fixture f;
    fixture_init(&f, NULL, 1, 1);
    md_tape_begin(f.tape, false, (md_rng){0});
    md_tensor *x = md_tape_matrix(f.tape, 3, 5);
    ck_assert_ptr_eq(md_dropout(f.tape, x, 0.5), x);
    md_tape_begin(f.tape, true, (md_rng){0});
    x = md_tape_matrix(f.tape, 3, 5);
    ck_assert_ptr_eq(md_dropout(f.tape, x, 0), x);
    small_net_release(&f);
}
END_TEST

static void case_that_aborts(Suite *suite, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_test_raise_signal(tc, test, SIGABRT);
    suite_add_tcase(suite, tc);
}

int main(void) {
    Suite *s = suite_create("tape");
    openblas_set_num_threads(1); /* as the command line does */
    suite_case(s, a_sequence_longer_than_the_positions_is_an_error);
    suite_case(s, a_failed_step_ends_in_one_error_and_the_next_step_starts_afresh);
    suite_case(s, operators_pass_null_on_without_an_error_of_their_own);
    suite_case(s, after_an_error_every_operator_returns_null);
    suite_case(s, a_tensor_that_is_too_large_is_an_error);
    case_that_aborts(s, "not the root", a_loss_that_is_not_the_root_is_a_bug);
    case_that_aborts(s, "rewind", a_rewind_while_recording_is_a_bug);
    suite_case(s, memory_stays_the_same_after_the_second_step);
    suite_case(s, gradients_of_inputs_go_back_with_the_next_step);
    suite_case(s, memory_stays_the_same_when_shapes_alternate);
    suite_case(s, without_recording_memory_does_not_depend_on_the_layers);
    suite_case(s, inference_equals_the_recorded_forward_pass);
    suite_case(s, a_nan_in_a_weight_reaches_the_loss_and_the_gradients);
    suite_case(s, logits_of_a_canvas_do_not_depend_on_the_batch);
    suite_case(s, hidden_states_of_a_sequence_do_not_depend_on_the_batch);
    suite_case(s, threads_do_not_change_a_bit);
    suite_case(s, a_step_repeats_itself);
    suite_case(s, the_denoiser_refuses_what_is_not_a_token_and_recovers);
    suite_case(s, dropout_keeps_its_share_and_the_mean);
    suite_case(s, dropout_does_nothing_without_recording);
    name_skipped_sets();
    return suite_run(s);
}
