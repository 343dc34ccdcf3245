/* tests/test_out_of_memory.c: every allocation of what trains and asks a network of text fails in
 * turn. Images, text and files have programs of their own. */
#include <string.h>

#include "model/lora.h"
#include "sampler/draw.h"
#include "tensor/ops.h"
#include "tensor/optim.h"
#include "tests/fail_in_turn.h"
#include "tests/suite.h"
#include "train/text_task.h"

/* --- what is tried --------------------------------------------------------------------------- */

enum { V = 23, MASK = 22, T = 37, B = 2 };

static md_pool *pool;
static md_kernels kernels;
static md_transformer *net;
static int32_t ids[B * T];

static const md_model_config config = {.layers = 2,
                                       .dim = 40,
                                       .heads = 4,
                                       .kv_heads = 2,
                                       .ff = 80, /* wide enough for rows rounded before */
                                       .vocab = V,
                                       .seq_len = T,
                                       .rope_theta = 10000,
                                       .norm_eps = 1e-5,
                                       .mask_id = MASK};

static void setup(void) {
    mdlm_error err;
    assert_ok(md_kernels_init(&kernels, NULL, &err));
    assert_ok(md_kernels_set_dtype(&kernels, "bf16", &err));
    pool = md_pool_new(2, &err);
    ck_assert_ptr_nonnull(pool);
    assert_ok(md_transformer_new(&config, true, &net, &err));
    md_transformer_init(net, 1);
    for (int i = 0; i < B * T; i++) ids[i] = i * 5 % V;
}

static void teardown(void) {
    md_transformer_free(net);
    md_pool_free(pool);
}

static mdlm_status make_pool(mdlm_error *err) {
    md_pool *made = md_pool_new(3, err);
    md_pool_free(made);
    return made ? MDLM_OK : err->status;
}

static mdlm_status make_tape(mdlm_error *err) {
    md_tape *tape = md_tape_new(pool, &kernels, err);
    md_tape_free(tape);
    return tape ? MDLM_OK : err->status;
}

static mdlm_status make_network(mdlm_error *err) {
    md_transformer *made = NULL;
    mdlm_status status = md_transformer_new(&config, true, &made, err);
    if ((status == MDLM_OK) != (made != NULL)) ck_abort_msg("status %d", (int)status);
    md_transformer_free(made);
    return status;
}

static mdlm_status make_packed_network(mdlm_error *err) {
    md_transformer *made = NULL;
    MD_TRY(md_transformer_new(&config, false, &made, err));
    mdlm_status status = md_transformer_pack(made, &kernels, err);
    md_transformer_free(made);
    return status;
}

static mdlm_status make_optimizer(md_optimizer_kind kind, mdlm_error *err) {
    md_optimizer_options options = md_optimizer_defaults();
    options.kind = kind;
    options.ema = 0.9;
    md_optimizer *made = md_optimizer_new(md_transformer_params(net), &kernels, &options, err);
    md_optimizer_free(made);
    return made ? MDLM_OK : err->status;
}

static mdlm_status make_adamw(mdlm_error *err) {
    return make_optimizer(MD_OPTIMIZER_ADAMW, err);
}

static mdlm_status make_muon(mdlm_error *err) {
    return make_optimizer(MD_OPTIMIZER_MUON, err);
}

static mdlm_status make_drawer(mdlm_error *err) {
    md_sampler_options options = md_sampler_defaults();
    options.kernels = &kernels;
    options.pool = pool;
    options.top_k = 5;
    md_drawer *made = md_drawer_new(V, MASK, &options, err);
    md_drawer_free(made);
    return made ? MDLM_OK : err->status;
}

static mdlm_status make_adapters(mdlm_error *err) {
    md_lora *made = NULL;
    mdlm_status status = md_lora_new(net, 4, true, &made, err);
    md_lora_free(made);
    return status;
}

/* y = x w^T and both gradients. */
static mdlm_status linear(mdlm_error *err) {
    enum { N = 19, K = 40, M = 200 };
    static md_real x_data[N * K], w_data[M * K], w_grad[M * K], ones[N * M];
    md_tensor x = {.rank = 2, .dim = {N, K, 1, 1}, .needs_grad = true, .data = x_data};
    md_tensor w = {.rank = 2, .dim = {M, K, 1, 1}, .needs_grad = true, .is_param = true};
    w.data = w_data, w.grad = w_grad;
    md_tape *tape = md_tape_new(pool, &kernels, err);
    if (!tape) return err->status;
    md_tape_begin(tape, true, (md_rng){0});
    md_tensor *y = md_dot_constant(tape, md_linear(tape, &x, &w, NULL), ones);
    mdlm_status status = md_tape_backward(tape, y, err);
    md_tape_free(tape);
    return status;
}

static mdlm_status step_on(md_tape *tape, mdlm_error *err) {
    enum { ROWS = 5 };
    static const int32_t rows[ROWS] = {0, 3, 36, 37, 70}, target[ROWS] = {1, 2, 3, 4, 5};
    static const md_real weight[ROWS] = {1, 1, 1, 1, 1};
    const md_transformer_training training = {.dropout = 0.1, .checkpoint = true};
    const md_cross_entropy_args args = {.target = target, .weight = weight, .banned = MASK};
    md_tape_begin(tape, true, (md_rng){.seed = 1, .stream = MD_STREAM_DROPOUT});
    md_tensor *h = md_transformer_hidden(net, tape, ids, B, T, &training);
    h = md_gather_rows(tape, h, rows, ROWS);
    md_tensor *loss = md_linear_cross_entropy(tape, h, md_transformer_head(net), &args);
    return md_tape_backward(tape, loss, err);
}

/* A network of blocks of 9, canvases twice as long as it was trained on. */
static md_transformer *new_block_network(mdlm_error *err) {
    md_transformer *made = NULL;
    md_model_config c = config;
    c.sight = MD_SEES_BLOCKS, c.seq_len = 36, c.block_length = 9;
    return md_transformer_new(&c, false, &made, err) == MDLM_OK ? made : NULL;
}

static mdlm_status ask(md_transformer_view *view, bool cached, mdlm_error *err) {
    enum { LONG = B * T };
    static const int32_t rows[] = {63, 64, 70};
    static float logits[3 * V];
    md_denoiser d = md_transformer_denoiser(view);
    if (!cached) return d.predict_blocks(view, ids, ids, 1, LONG, rows, 3, logits, err);
    void *cache = d.cache_new(view, LONG, err);
    if (!cache) return err->status;
    const md_cached_call call = {.caches = &cache,
                                 .ids = ids,
                                 .B = 1,
                                 .T = LONG,
                                 .first = 63,
                                 .end = 72,
                                 .rows = rows,
                                 .count = 3,
                                 .logits = logits};
    mdlm_status status = d.predict_cached(view, &call, err);
    d.cache_free(cache);
    return status;
}

static mdlm_status answer(bool cached, mdlm_error *err) {
    md_transformer_view view = {.net = new_block_network(err)};
    mdlm_status status = MDLM_RUNTIME;
    if (view.net) view.tape = md_tape_new(pool, &kernels, err);
    if (view.tape) status = ask(&view, cached, err);
    md_tape_free(view.tape);
    md_transformer_free(view.net);
    return status;
}

static mdlm_status answer_pairs(mdlm_error *err) {
    return answer(false, err);
}

static mdlm_status answer_with_a_cache(mdlm_error *err) {
    return answer(true, err);
}

/* A step of training; the tape of one that failed takes the next. */
static mdlm_status train(mdlm_error *err) {
    md_tape *tape = md_tape_new(pool, &kernels, err);
    if (!tape) return err->status;
    mdlm_status status = step_on(tape, err);
    if (status != MDLM_OK) {
        mdlm_error other;
        memory.left = -1;
        if (step_on(tape, &other) != MDLM_OK) ck_abort_msg("%s", other.message);
    }
    md_tape_free(tape);
    return status;
}

static mdlm_status make_text_batch(mdlm_error *err) {
    md_text_batch batch;
    mdlm_status status = md_text_batch_init(&batch, B, T, err);
    md_text_batch_release(&batch);
    return status;
}

static mdlm_status read_ids(void *context, int64_t step, int64_t first, md_text_batch *batch,
                            mdlm_error *err) {
    (void)context, (void)step, (void)first, (void)err;
    for (int i = 0; i < batch->B * batch->T; i++) batch->ids[i] = ids[i % (B * T)] % MASK;
    return MDLM_OK;
}

static mdlm_status predict_nothing(void *context, const int32_t *noisy, const int32_t *clean,
                                   int count, int length, const int32_t *rows, int wanted,
                                   float *logits, mdlm_error *err) {
    (void)context, (void)noisy, (void)clean, (void)count, (void)length, (void)rows, (void)err;
    memset(logits, 0, (size_t)wanted * V * sizeof *logits);
    return MDLM_OK;
}

static mdlm_status measure_clip(mdlm_error *err) {
    enum { SEQUENCES = 64 };
    md_text_task task = {.data = {.read = read_ids},
                         .process = md_masked_process(MD_SCHEDULE_POLY),
                         .seq_len = T,
                         .sequences = SEQUENCES};
    const md_denoiser denoiser = {.vocab = V,
                                  .mask_id = MASK,
                                  .sight = MD_SEES_BLOCKS,
                                  .block_length = T / 4,
                                  .predict_blocks = predict_nothing};
    md_clip clip;
    mdlm_status status = md_text_batch_init(&task.micro, SEQUENCES, T, err);
    if (status == MDLM_OK) status = md_clip_measure(&task, &denoiser, &clip, err);
    md_text_batch_release(&task.micro);
    return status;
}

/* --- the tests ------------------------------------------------------------------------------- */

START_TEST(constructors_say_so_and_leave_nothing) {
    fail_in_turn(make_pool, 2);
    fail_in_turn(make_tape, 3);
    fail_in_turn(make_network, 20);
    fail_in_turn(make_packed_network, 20);
    fail_in_turn(make_adamw, 6);
    fail_in_turn(make_muon, 12);
    fail_in_turn(make_drawer, 8);
    fail_in_turn(make_text_batch, 8);
    fail_in_turn(make_adapters, 8);
}
END_TEST

START_TEST(a_linear_layer_and_its_gradients_say_so_and_leave_nothing) {
    fail_in_turn(linear, 8);
}
END_TEST

START_TEST(a_step_says_so_and_the_next_one_succeeds) {
    fail_in_turn(train, 12);
}
END_TEST

START_TEST(answers_of_a_network_of_blocks_say_so_and_leave_nothing) {
    fail_in_turn(answer_pairs, 20);
    fail_in_turn(answer_with_a_cache, 20);
}
END_TEST

START_TEST(the_choice_of_a_clip_says_so_and_leaves_nothing) {
    fail_in_turn(measure_clip, 20);
}
END_TEST

static void add_case(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("out of memory");
    add_case(s, "constructors", constructors_say_so_and_leave_nothing);
    add_case(s, "linear", a_linear_layer_and_its_gradients_say_so_and_leave_nothing);
    add_case(s, "steps", a_step_says_so_and_the_next_one_succeeds);
    add_case(s, "blocks", answers_of_a_network_of_blocks_say_so_and_leave_nothing);
    add_case(s, "clips", the_choice_of_a_clip_says_so_and_leaves_nothing);
    return suite_run(s);
}
