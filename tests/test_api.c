/* tests/test_api.c: the public header, used as another program would. */
#include <math.h>
#include <string.h>

#include "mdlm.h"
#include "tests/model_folder.h"

enum { SEQ_LEN = 24 };

static mdlm_error err;
static char *folder;
static mdlm_model *model;

static void setup(void) {
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_bytes(&tok, &err));
    folder = model_folder(tok, (model_shape){.seq_len = SEQ_LEN, .scale = 1});
    md_tokenizer_free(tok);
    assert_ok(mdlm_load(folder, &(mdlm_load_options){.threads = 2}, &model, &err));
}

static void teardown(void) {
    mdlm_free(model);
    suite_tmp_remove(folder);
}

START_TEST(a_model_describes_itself) {
    mdlm_model_info info = mdlm_info(model);
    ck_assert_str_eq(info.tokenizer, "bytes");
    ck_assert_str_eq(info.objective, "mdlm");
    ck_assert_str_eq(info.dtype, "f32");
    ck_assert_int_eq(info.seq_len, SEQ_LEN);
    ck_assert_int_eq(info.vocab, 259);
    ck_assert_int_eq(info.mask_id, 256);
    ck_assert_int_eq(info.kv_heads, 1);
    ck_assert(info.parameters > 0);
}
END_TEST

START_TEST(a_conversation_becomes_a_prompt) {
    static const mdlm_message turns[] = {{.role = "user", .text = "<|mask|>", .text_bytes = 8},
                                         {.role = "assistant", .text = "b", .text_bytes = 1},
                                         {.role = "user", .text = "c", .text_bytes = 1}};
    static const mdlm_message odd = {.role = "no word", .text = "", .text_bytes = 0};
    int32_t *ids = NULL, *none = NULL;
    size_t count = 0;
    ck_assert(!mdlm_has_chat_template(model));
    assert_ok(mdlm_tokenize_chat(model, turns, 3, &ids, &count, &err));
    ck_assert_uint_eq(count, 9 + 2 + 2);
    ck_assert_int_eq(ids[0], '<'); /* a message's letters make no special token */
    ck_assert_int_eq(ids[8], '\n');
    ck_assert_int_eq(ids[10], 257);
    ck_assert_int_eq(ids[12], '\n');
    assert_fails(mdlm_tokenize_chat(model, &odd, 1, &none, &count, &err), MDLM_INPUT, "'no word'");
    ck_assert_ptr_null(none);
    mdlm_ids_free(ids);
}
END_TEST

START_TEST(spans_stay_and_holes_are_filled) {
    static const char head[] = "Once", tail[] = "\xff.";
    mdlm_span spans[] = {
        {.text = head, .text_bytes = 4}, {.hole = 6}, {.text = tail, .text_bytes = 2}, {.hole = 2}};
    mdlm_fill_options opt = mdlm_fill_defaults();
    mdlm_result *result = NULL;
    opt.samples = 3;
    opt.blocks = 4;
    opt.first_index = 7;
    assert_ok(mdlm_fill(model, spans, 4, &opt, &result, &err));
    ck_assert_int_eq(mdlm_result_count(result), 3);
    for (int i = 0; i < 3; i++) {
        const mdlm_sample *s = mdlm_result_sample(result, i);
        ck_assert_int_eq(s->index, 7 + i);
        ck_assert_int_eq(s->length, 14);
        ck_assert_int_eq(s->new_length, 8);
        ck_assert_mem_eq(s->text, head, 4);
        for (int j = 0; j < s->length; j++) ck_assert(s->ids[j] != 256);
        ck_assert_int_eq(s->ids[10], 0xff);
        ck_assert_mem_eq(s->new_ids, s->ids + 4, 6 * sizeof(int32_t));
        ck_assert_mem_eq(s->new_ids + 6, s->ids + 12, 2 * sizeof(int32_t));
    }
    int steps = 0;
    int64_t evaluations = 0;
    mdlm_result_work(result, &steps, &evaluations);
    ck_assert_int_eq(steps, 8);
    ck_assert(evaluations >= 3 && evaluations <= 24);
    ck_assert_ptr_null(mdlm_result_sample(result, 3));
    mdlm_result_free(result);
}
END_TEST

typedef struct watcher {
    int calls, stop_at, settled;
} watcher;

static int watch(void *user, const mdlm_step *step) {
    watcher *w = user;
    int settled = 0;
    for (int i = 0; i < step->length; i++) settled += step->settled[i];
    ck_assert(settled >= w->settled); /* nothing is masked again by this sampler */
    w->settled = settled;
    return ++w->calls == w->stop_at;
}

START_TEST(a_callback_sees_every_step_and_can_cancel) {
    mdlm_span hole = {.hole = 10};
    mdlm_fill_options opt = mdlm_fill_defaults();
    mdlm_result *result = NULL;
    watcher all = {.stop_at = -1}, some = {.stop_at = 4};
    opt.sampler = "first-hitting";
    opt.on_step = watch;
    opt.user = &all;
    assert_ok(mdlm_fill(model, &hole, 1, &opt, &result, &err));
    ck_assert_int_eq(all.calls, 10);
    ck_assert_int_eq(all.settled, 10);
    mdlm_result_free(result);
    opt.user = &some;
    result = NULL;
    ck_assert_int_eq(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_CANCELLED);
    const mdlm_sample *s = mdlm_result_sample(result, 0);
    int masked = 0;
    for (int i = 0; i < 10; i++) masked += s->ids[i] == 256;
    ck_assert_int_eq(masked, 6);
    mdlm_result_free(result);
}
END_TEST

START_TEST(what_makes_no_sense_is_refused) {
    mdlm_result *result = NULL;
    mdlm_span both = {.text = "a", .text_bytes = 1, .hole = 1},
              none = {.text = "", .text_bytes = 0};
    mdlm_span large = {.hole = SEQ_LEN + 1}, hole = {.hole = 9};
    const int32_t ids[] = {1, 999};
    mdlm_span foreign = {.ids = ids, .ids_count = 2};
    mdlm_fill_options opt = mdlm_fill_defaults();
    assert_fails(mdlm_fill(model, &both, 1, NULL, &result, &err), MDLM_USAGE, "span 1");
    assert_fails(mdlm_fill(model, &none, 1, NULL, &result, &err), MDLM_USAGE, "nothing to fill");
    assert_fails(mdlm_fill(model, &large, 1, NULL, &result, &err), MDLM_USAGE, "25 tokens");
    assert_fails(mdlm_fill(model, &foreign, 1, NULL, &result, &err), MDLM_USAGE, "999");
    opt.blocks = 2;
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "nearest");
    opt = mdlm_fill_defaults();
    opt.sampler = "psychic";
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "'psychic'");
    opt = mdlm_fill_defaults();
    opt.samples = 0;
    assert_fails(mdlm_fill(model, &hole, 1, &opt, &result, &err), MDLM_USAGE, "0 samples");
    ck_assert_ptr_null(result);
}
END_TEST

START_TEST(text_and_ids_are_the_same_thing) {
    static const char text[] = "a\0\xc3\xa9\xff";
    int32_t *ids = NULL;
    size_t count = 0, bytes = 0;
    char *back = NULL;
    assert_ok(mdlm_tokenize(model, text, 5, &ids, &count, &err));
    ck_assert_uint_eq(count, 5);
    assert_ok(mdlm_detokenize(model, ids, count, &back, &bytes, &err));
    ck_assert_uint_eq(bytes, 5);
    ck_assert_mem_eq(back, text, 5);
    mdlm_text_free(back);
    mdlm_ids_free(ids);
    assert_ok(mdlm_detokenize(model, NULL, 0, &back, &bytes, &err));
    ck_assert_str_eq(back, "");
    mdlm_text_free(back);
}
END_TEST

/* Random weights of this size say next to nothing: near log 258 nats a token. */
START_TEST(a_score_has_an_error_bar_that_fits) {
    mdlm_score_result a, b;
    mdlm_score_options opt = mdlm_score_defaults();
    assert_ok(mdlm_score(model, "Once", 4, " upon a", 7, NULL, &a, &err));
    ck_assert_int_eq(a.tokens, 7);
    ck_assert(a.stderr_mc > 0);
    ck_assert(fabs(a.nelbo - 7 * log(258)) < 5 * a.stderr_mc + 0.7);
    opt.seed = 2;
    assert_ok(mdlm_score(model, "Once", 4, " upon a", 7, &opt, &b, &err));
    ck_assert(a.nelbo != b.nelbo);
    ck_assert(fabs(a.nelbo - b.nelbo) < 5 * hypot(a.stderr_mc, b.stderr_mc));
    assert_fails(mdlm_score(model, "a", 1, "", 0, NULL, &a, &err), MDLM_USAGE, "empty");
}
END_TEST

START_TEST(scores_by_other_methods_agree) {
    mdlm_score_result bound, count, chain, guided;
    mdlm_score_options opt = mdlm_score_defaults();
    opt.draws = 256;
    assert_ok(mdlm_score(model, "Once", 4, " upon a", 7, &opt, &bound, &err));
    opt.method = "count";
    assert_ok(mdlm_score(model, "Once", 4, " upon a", 7, &opt, &count, &err));
    ck_assert(fabs(bound.nelbo - count.nelbo) < 5 * hypot(bound.stderr_mc, count.stderr_mc));
    opt.index = 1; /* other masks */
    assert_ok(mdlm_score(model, "Once", 4, " upon a", 7, &opt, &bound, &err));
    ck_assert(bound.nelbo != count.nelbo);
    opt.method = "chain";
    assert_ok(mdlm_score(model, "Once", 4, " upon a", 7, &opt, &chain, &err));
    ck_assert_double_eq(chain.stderr_mc, 0);
    /* Random weights: all orders of 7 tokens are about as good. */
    ck_assert(fabs(chain.nelbo - count.nelbo) < 5 * count.stderr_mc + 0.7);
    opt.guidance_scale = 0; /* forgets the prompt */
    assert_ok(mdlm_score(model, "Once", 4, " upon a", 7, &opt, &guided, &err));
    assert_ok(mdlm_score(model, "zzzz", 4, " upon a", 7, &opt, &chain, &err));
    ck_assert_double_eq(guided.nelbo, chain.nelbo);
    opt.guidance_scale = NAN;
    assert_fails(mdlm_score(model, "a", 1, "b", 1, &opt, &chain, &err), MDLM_USAGE, "guidance");
    opt = mdlm_score_defaults(), opt.method = "guess";
    assert_fails(mdlm_score(model, "a", 1, "b", 1, &opt, &chain, &err), MDLM_USAGE, "guess");
    opt = mdlm_score_defaults(), opt.index = -1;
    assert_fails(mdlm_score(model, "a", 1, "b", 1, &opt, &chain, &err), MDLM_USAGE, "index");
}
END_TEST

/* The chain rule by hand: one canvas a token, those after it masked. */
START_TEST(logits_give_the_chain_of_a_score) {
    enum { PROMPT = 2, LENGTH = 4 };
    const mdlm_model_info info = mdlm_info(model);
    mdlm_score_options opt = mdlm_score_defaults();
    mdlm_score_result chain;
    int32_t ids[LENGTH] = {'a', 'b', info.mask_id, info.mask_id};
    float *logits = calloc((size_t)LENGTH * (size_t)info.vocab, sizeof *logits);
    double nats = 0;
    for (int i = PROMPT; i < LENGTH; i++) {
        double sum = 0;
        assert_ok(mdlm_logits(model, ids, LENGTH, logits, &err));
        const float *row = logits + (ptrdiff_t)i * info.vocab;
        for (int v = 0; v < info.vocab; v++) sum += v == info.mask_id ? 0 : exp(row[v]);
        ids[i] = "abcd"[i];
        nats += log(sum) - row[ids[i]];
    }
    opt.method = "chain";
    assert_ok(mdlm_score(model, "ab", 2, "cd", 2, &opt, &chain, &err));
    ck_assert_double_eq_tol(chain.nelbo, nats, 1e-5); /* logits are floats */
    ids[3] = info.vocab;
    assert_fails(mdlm_logits(model, ids, LENGTH, logits, &err), MDLM_USAGE,
                 "not in the vocabulary");
    assert_fails(mdlm_logits(model, ids, 0, logits, &err), MDLM_USAGE, "no ids");
    free(logits);
}
END_TEST

START_TEST(a_missing_model_is_told_and_nothing_is_returned) {
    mdlm_model *other = NULL;
    assert_fails(mdlm_load("/nowhere/at/all", NULL, &other, &err), MDLM_INPUT, "/nowhere");
    mdlm_load_options strange = {.dtype = "f8"};
    assert_fails(mdlm_load(folder, &strange, &other, &err), MDLM_USAGE, "'f8'");
    ck_assert_ptr_null(other);
    mdlm_free(NULL);
    mdlm_result_free(NULL);
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("the public header");
    add(s, "describe", a_model_describes_itself);
    add(s, "chat", a_conversation_becomes_a_prompt);
    add(s, "fill", spans_stay_and_holes_are_filled);
    add(s, "callback", a_callback_sees_every_step_and_can_cancel);
    add(s, "refusals", what_makes_no_sense_is_refused);
    add(s, "text", text_and_ids_are_the_same_thing);
    add(s, "score", a_score_has_an_error_bar_that_fits);
    add(s, "methods", scores_by_other_methods_agree);
    add(s, "logits", logits_give_the_chain_of_a_score);
    add(s, "missing", a_missing_model_is_told_and_nothing_is_returned);
    return suite_run(s);
}
