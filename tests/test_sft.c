/* tests/test_sft.c: fine-tuning on pairs: what is masked, what counts, what padding must not do. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/suite.h"
#include "tests/test_corpora.h"
#include "train/sft.h"
#include "train/text_task.h"

enum { V = 259, MASK = 256, END = 257, PAD = 258, SEQ_LEN = 24 };

/* Pairs of 5, 8, 12 and 26 tokens (which is too long), and one to validate on. */
static const char pairs_text[] = "{\"prompt\": \"ab\", \"response\": \"c\"}\n"
                                 "{\"prompt\": \"abcd\", \"response\": \"ef\"}\n"
                                 "{\"prompt\": \"abcdef\", \"response\": \"ghij\"}\n"
                                 "{\"prompt\": \"abcdefghij\", \"response\": \"abcdefghijklmn\"}\n";
static const char val_text[] = "{\"prompt\": \"xy\", \"response\": \"z\"}\n"
                               "{\"prompt\": \"xyz\", \"response\": \"xyz\"}\n"
                               "{\"prompt\": \"zx\", \"response\": \"yx\"}\n";

typedef struct fixture {
    md_pool *pool;
    md_kernels kernels;
    md_tape *tape;
    md_tokenizer *tokenizer;
    md_corpus *corpus;
    md_sft sft;
    md_text_task task;
    md_task view;
} fixture;

static fixture f;

static void make_network(const md_objective *objective, int block) {
    md_model_config config = {.layers = 2,
                              .dim = 16,
                              .heads = 2,
                              .kv_heads = 2,
                              .ff = 24,
                              .vocab = V,
                              .seq_len = SEQ_LEN,
                              .rope_theta = 10000,
                              .norm_eps = 1e-5,
                              .mask_id = MASK,
                              .sight = objective->sight,
                              .block_length = block > 1 ? block : 0};
    assert_ok(md_transformer_new(&config, true, &f.task.net, &err));
    md_params *params = md_transformer_params(f.task.net);
    for (int64_t i = 0; i < md_params_size(params); i++) {
        double u = md_uniform((md_rng){.seed = 2, .stream = MD_STREAM_INIT}, 0, (uint32_t)i);
        md_params_values(params)[i] = (md_real)(u - 0.4);
    }
}

static void start(const md_objective *objective, md_sft_padding padding, int block) {
    const char *path = at("a.jsonl");
    md_pack_options pack = {.val_file = at("v.jsonl")};
    md_sft_options o = {.padding = padding, .seq_len = SEQ_LEN, .block = block, .seed = 5};
    f = (fixture){.pool = md_pool_new(1, &err)};
    assert_ok(md_kernels_init(&f.kernels, NULL, &err));
    f.tape = md_tape_new(f.pool, &f.kernels, &err);
    ck_assert(f.pool && f.tape);
    assert_ok(md_tokenizer_bytes(&f.tokenizer, &err));
    assert_ok(md_file_write(at("a.jsonl"), pairs_text, sizeof pairs_text - 1, &err));
    assert_ok(md_file_write(at("v.jsonl"), val_text, sizeof val_text - 1, &err));
    assert_ok(md_pairs_pack(&path, 1, f.tokenizer, &pack, at("packed"), &err));
    assert_ok(md_corpus_open(at("packed"), &f.corpus, &err));
    assert_ok(md_sft_init(&f.sft, f.corpus, f.tokenizer, &o, &err));
    f.task = (md_text_task){.tokenizer = f.tokenizer,
                            .data = md_sft_sequences(&f.sft),
                            .objective = objective,
                            .process = md_masked_process(MD_SCHEDULE_POLY),
                            .tape = f.tape,
                            .seed = 5,
                            .batch = 3,
                            .accum = 1,
                            .seq_len = SEQ_LEN};
    make_network(objective, block);
    assert_ok(md_text_task_init(&f.task, &err));
    f.view = md_text_task_view(&f.task);
}

static void finish(void) {
    md_text_task_release(&f.task);
    md_transformer_free(f.task.net);
    md_sft_release(&f.sft);
    md_corpus_close(f.corpus);
    md_tokenizer_free(f.tokenizer);
    md_tape_free(f.tape);
    md_pool_free(f.pool);
}

static const md_text_batch *read_step(int64_t step) {
    md_text_batch *batch = &f.task.micro;
    assert_ok(f.task.data.read(f.task.data.context, step, (step - 1) * 3, batch, &err));
    return batch;
}

/* Tokens of the prompt, and of prompt and answer, by the ids. */
static void measure(const md_text_batch *batch, int b, int *prompt, int *pair) {
    const int32_t *ids = batch->ids + b * batch->T;
    *prompt = *pair = 0;
    while (ids[*prompt] != '\n') ++*prompt;
    ++*prompt;
    while (ids[*pair] != END) ++*pair;
    ++*pair;
}

START_TEST(pairs_that_do_not_fit_are_counted) {
    start(&md_objective_mdlm, MD_SFT_EXCLUDE, 1);
    ck_assert_int_eq(f.sft.count[MD_PART_TRAIN], 3);
    ck_assert_int_eq(f.sft.skipped[MD_PART_TRAIN], 1);
    ck_assert_int_eq(f.sft.count[MD_PART_VAL], 3);
    ck_assert_int_eq(f.sft.longest, 12);
    ck_assert_int_eq(f.sft.longest_answer, 5);
    md_sft small;
    md_sft_options o = {.seq_len = 4, .block = 1};
    assert_fails(md_sft_init(&small, f.corpus, f.tokenizer, &o, &err), MDLM_INPUT,
                 "none of the 4 pairs to train on fits the trained length of 4 tokens");
    finish();
}
END_TEST

START_TEST(every_pass_goes_through_all_pairs) {
    start(&md_objective_mdlm, MD_SFT_EXCLUDE, 1);
    for (int64_t step = 1; step < 20; step++) { /* three pairs a step: one pass */
        const md_text_batch *batch = read_step(step);
        int sum = 0;
        for (int b = 0; b < 3; b++) sum += batch->lengths[b];
        ck_assert_int_eq(sum, 5 + 8 + 12);
    }
    finish();
}
END_TEST

START_TEST(prompts_and_padding_are_kept_and_weights_are_per_answer) {
    start(&md_objective_mdlm, MD_SFT_EXCLUDE, 1);
    for (int64_t step = 1; step < 40; step++) {
        const md_text_batch *batch = read_step(step);
        f.task.objective->fill(&f.task, step, 0, &f.task.micro);
        ck_assert_int_eq(batch->T, 12);
        for (int i = 0; i < 3 * batch->T; i++) {
            int prompt, pair, b = i / batch->T, j = i % batch->T;
            measure(batch, b, &prompt, &pair);
            ck_assert_int_eq(batch->lengths[b], pair);
            ck_assert_int_eq(batch->scored[b], pair - prompt);
            ck_assert_int_eq(batch->keep[i], j < prompt || j >= pair);
            if (j >= pair) ck_assert_int_eq(batch->ids[i], PAD);
            if (batch->keep[i]) ck_assert_int_eq(batch->noisy[i], batch->ids[i]);
        }
        for (int64_t r = 0; r < batch->count; r++) {
            int b = batch->rows[r] / batch->T;
            ck_assert(!batch->keep[batch->rows[r]]);
            ck_assert_int_eq(batch->noisy[batch->rows[r]], MASK);
            /* of rows of one sequence: w(t) / (3 * answer) */
            double w = (double)batch->weight[r] * 3 * batch->scored[b];
            ck_assert_double_ge(w, 1.99); /* 2/t of the poly schedule, t <= 1 */
            if (r > 0 && batch->rows[r - 1] / batch->T == b)
                ck_assert(batch->weight[r] == batch->weight[r - 1]);
        }
    }
    finish();
}
END_TEST

/* The expected weight of a token of an answer is 1/(sequences * answer): E w(t) (1 - alpha(t)) is
 * the integral of -alpha', 1. */
START_TEST(the_weights_of_an_answer_add_up_to_one) {
    enum { STEPS = 4000 };
    double sum = 0;
    start(&md_objective_mdlm, MD_SFT_EXCLUDE, 1);
    for (int64_t step = 1; step <= STEPS; step++) {
        const md_text_batch *batch = read_step(step);
        f.task.objective->fill(&f.task, step, 0, &f.task.micro);
        for (int64_t r = 0; r < batch->count; r++) sum += (double)batch->weight[r];
    }
    /* A step's sum has a deviation of about 0.6 (masks of answers of 2 to 5 tokens): 0.01 in the
     * mean; four of them. */
    ck_assert_double_eq_tol(sum / STEPS, 1, 0.04);
    finish();
}
END_TEST

static double loss_and_gradient(int sequences, md_real *gradient) {
    double loss = 0;
    md_params *params = md_transformer_params(f.task.net);
    size_t bytes = (size_t)md_params_size(params) * sizeof *gradient;
    f.task.micro.B = f.task.sequences = sequences;
    f.task.parts = 3 / sequences;
    f.view = md_text_task_view(&f.task);
    memset(md_params_grads(params), 0, bytes);
    assert_ok(md_task_run(&f.view, f.tape, (md_rng){.step = 2}, true, &loss, &err));
    memcpy(gradient, md_params_grads(params), bytes);
    return loss;
}

/* Three sequences padded to the longest, and each by itself without any padding. */
START_TEST(padding_changes_neither_loss_nor_gradient) {
    static const md_sft_padding paddings[] = {MD_SFT_EXCLUDE, MD_SFT_TAIL, MD_SFT_COUNT};
    for (int p = 0; p < 3; p++) {
        start(&md_objective_mdlm, paddings[p], 1);
        int64_t n = md_params_size(md_transformer_params(f.task.net));
        md_real *together = md_alloc((size_t)n, sizeof *together, &err);
        md_real *apart = md_alloc((size_t)n, sizeof *apart, &err);
        double a = loss_and_gradient(3, together), b = loss_and_gradient(1, apart), largest = 0;
        ck_assert_double_gt(a, 0.1);
        ck_assert_double_eq_tol(a, b, 1e-5 * a); /* sums in another order */
        for (int64_t i = 0; i < n; i++) largest = fmax(largest, fabs((double)together[i]));
        for (int64_t i = 0; i < n; i++)
            ck_assert_double_eq_tol((double)together[i], (double)apart[i], 2e-5 * largest);
        md_free(together);
        md_free(apart);
        finish();
    }
}
END_TEST

/* The hidden states of a sequence are the same bits with more padding behind it. */
START_TEST(more_padding_changes_no_bit) {
    start(&md_objective_mdlm, MD_SFT_EXCLUDE, 1);
    enum { T = 7 };
    int32_t ids[SEQ_LEN] = {'a', 'b', '\n', MASK, 'd', MASK, END};
    const int32_t lengths[] = {T};
    const md_transformer_training training = {.lengths = lengths};
    for (int i = T; i < SEQ_LEN; i++) ids[i] = i % 2 ? PAD : 'q';
    float alone[T * 16];
    md_tape_begin(f.tape, false, (md_rng){0});
    md_tensor *h = md_transformer_hidden(f.task.net, f.tape, ids, 1, T, &training);
    ck_assert_ptr_nonnull(h);
    memcpy(alone, h->data, sizeof alone);
    for (int wide = T + 1; wide <= SEQ_LEN; wide++) {
        md_tape_begin(f.tape, false, (md_rng){0});
        h = md_transformer_hidden(f.task.net, f.tape, ids, 1, wide, &training);
        ck_assert(!memcmp(alone, h->data, sizeof alone));
        md_tape_begin(f.tape, false, (md_rng){0});
        h = md_transformer_hidden(f.task.net, f.tape, ids, 1, wide, NULL);
        ck_assert(memcmp(alone, h->data, sizeof alone) != 0);
    }
    finish();
}
END_TEST

START_TEST(tails_take_all_rooms_and_end_with_blocks) {
    static const int blocks[] = {1, 4};
    for (int k = 0; k < 2; k++) {
        int none = 0, all = 0, T = 0;
        start(blocks[k] > 1 ? &md_objective_block : &md_objective_mdlm, MD_SFT_TAIL, blocks[k]);
        for (int64_t step = 1; step < 300; step++) {
            const md_text_batch *batch = read_step(step);
            for (int b = 0; b < 3; b++) {
                int prompt, pair;
                measure(batch, b, &prompt, &pair);
                ck_assert_int_eq(batch->scored[b], pair - prompt);
                ck_assert_int_eq(batch->lengths[b] % blocks[k], 0);
                ck_assert_int_le(batch->lengths[b], batch->T);
                none += batch->lengths[b] < pair + blocks[k];
                all += batch->lengths[b] == SEQ_LEN;
                if (batch->lengths[b] > T) T = batch->lengths[b];
                for (int j = prompt; j < batch->T; j++) {
                    bool tail = j < batch->lengths[b];
                    ck_assert_int_eq(batch->keep[b * batch->T + j], !tail);
                    if (j >= pair) ck_assert_int_eq(batch->ids[b * batch->T + j], tail ? END : PAD);
                }
            }
        }
        ck_assert_int_eq(T, SEQ_LEN);
        ck_assert_int_gt(none, 100); /* P(tail = 0) = ln 2 / ln(room + 2), a fifth and more */
        ck_assert_int_gt(all, 5);
        finish();
    }
}
END_TEST

START_TEST(lladas_padding_counts_as_answer) {
    start(&md_objective_mdlm, MD_SFT_COUNT, 1);
    const md_text_batch *batch = read_step(1);
    for (int b = 0; b < 3; b++) {
        int prompt, pair;
        measure(batch, b, &prompt, &pair);
        ck_assert_int_eq(batch->lengths[b], 12);
        ck_assert_int_eq(batch->scored[b], 12 - prompt);
    }
    finish();
}
END_TEST

START_TEST(the_choice_of_padding_follows_what_the_model_sees) {
    ck_assert_int_eq(md_sft_padding_for("auto", MD_SEES_ALL), MD_SFT_TAIL);
    ck_assert_int_eq(md_sft_padding_for("auto", MD_SEES_BLOCKS), MD_SFT_TAIL);
    ck_assert_int_eq(md_sft_padding_for("auto", MD_SEES_PAST), MD_SFT_EXCLUDE);
    ck_assert_int_eq(md_sft_padding_for("tail", MD_SEES_PAST), MD_SFT_TAIL);
    ck_assert_int_eq(md_sft_padding_for("count", MD_SEES_PAST), MD_SFT_COUNT);
    ck_assert_int_eq(md_sft_padding_for("exclude", MD_SEES_ALL), MD_SFT_EXCLUDE);
}
END_TEST

/* An autoregressive model's validation is the likelihood, so it can be added up by hand. */
START_TEST(validation_is_nats_per_token_of_the_answers) {
    static const char *const prompts[] = {"xy\n", "xyz\n", "zx\n"};
    static const char *const answers[] = {"z", "xyz", "yx"};
    double nats = 0, value = 0;
    int tokens = 0;
    start(&md_objective_ar, MD_SFT_EXCLUDE, 1);
    md_transformer_view view = {.net = f.task.net, .tape = f.tape};
    md_denoiser model = md_transformer_denoiser(&view);
    for (int i = 0; i < 3; i++) {
        int32_t ids[16], rows[16];
        static float logits[16 * V];
        int prompt = (int)strlen(prompts[i]), T = prompt;
        for (int j = 0; j < prompt; j++) ids[j] = prompts[i][j];
        for (const char *c = answers[i]; *c; c++) ids[T++] = *c;
        ids[T++] = END;
        for (int j = prompt; j < T; j++) rows[j - prompt] = j;
        assert_ok(model.predict(model.context, ids, 1, T, rows, T - prompt, logits, &err));
        for (int j = prompt; j < T; j++, tokens++)
            nats -= md_log_prob(logits + (j - prompt) * V, V, MASK, ids[j]);
    }
    assert_ok(f.task.data.validate(f.task.data.context, &model, true, &value, &err));
    ck_assert_double_eq_tol(value, nats / tokens, 1e-9 * value); /* the same logits, summed */
    finish();
}
END_TEST

/* What a step trains on depends on nothing but its number and the seed. */
START_TEST(steps_are_the_same_in_every_run) {
    int32_t ids[3 * SEQ_LEN], lengths[3];
    for (int turn = 0; turn < 2; turn++) {
        start(&md_objective_mdlm, MD_SFT_TAIL, 1);
        const md_text_batch *batch = read_step(77);
        size_t bytes = sizeof *ids * 3 * (size_t)batch->T;
        if (turn == 0) {
            memcpy(ids, batch->ids, bytes);
            memcpy(lengths, batch->lengths, sizeof lengths);
        } else {
            ck_assert_mem_eq(ids, batch->ids, bytes);
            ck_assert_mem_eq(lengths, batch->lengths, sizeof lengths);
        }
        finish();
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("fine-tuning");
    TCase *c = tcase_create("pairs");
    tcase_set_timeout(c, 60);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, pairs_that_do_not_fit_are_counted);
    tcase_add_test(c, every_pass_goes_through_all_pairs);
    tcase_add_test(c, prompts_and_padding_are_kept_and_weights_are_per_answer);
    tcase_add_test(c, the_weights_of_an_answer_add_up_to_one);
    tcase_add_test(c, padding_changes_neither_loss_nor_gradient);
    tcase_add_test(c, more_padding_changes_no_bit);
    tcase_add_test(c, tails_take_all_rooms_and_end_with_blocks);
    tcase_add_test(c, lladas_padding_counts_as_answer);
    tcase_add_test(c, the_choice_of_padding_follows_what_the_model_sees);
    tcase_add_test(c, validation_is_nats_per_token_of_the_answers);
    tcase_add_test(c, steps_are_the_same_in_every_run);
    suite_add_tcase(s, c);
    return suite_run(s);
}
