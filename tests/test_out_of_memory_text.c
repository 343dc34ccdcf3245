/* tests/test_out_of_memory_text.c: every allocation of what reads, writes and judges text fails in
 * turn. */
#include "corpora/quality.h"
#include "tests/fail_in_turn.h"
#include "tests/suite.h"
#include "tokenizer/arrays.h"
#include "tokenizer/chat.h"
#include "tokenizer/fitting.h"

/* From an expression to what may stand on a canvas. */
static mdlm_status make_fitting(mdlm_error *err) {
    static const char pattern[] = "(a|[^b-\xc3\xa9]{2,3})*\\d+";
    md_tokenizer *tok = NULL;
    md_automaton *a = NULL;
    md_fitting *f = NULL;
    MD_TRY(md_tokenizer_bytes(&tok, err));
    int vocab = md_tokenizer_vocab_size(tok);
    mdlm_status status = md_automaton_new(tok, pattern, sizeof pattern - 1, NULL, vocab, &a, err);
    if (status == MDLM_OK) status = md_fitting_new(a, md_tokenizer_mask(tok), 0, 9, &f, err);
    if (status == MDLM_OK) md_fitting_free(f);
    md_automaton_free(a);
    md_tokenizer_free(tok);
    return status;
}

/* This file as the reference, and as the only sample. */
static mdlm_status report_on_samples(mdlm_error *err) {
    const char *path = SOURCE_ROOT "/tests/test_out_of_memory_text.c";
    const md_quality_options options = {.order = 3};
    md_quality_report report;
    md_samples samples = {0};
    md_reference *ref = NULL;
    mdlm_status status = md_samples_read(&samples, path, err);
    if (status == MDLM_OK) status = md_reference_files(&path, 1, 0.1, &ref, err);
    if (status == MDLM_OK) status = md_quality_measure(&samples, ref, &options, &report, err);
    md_reference_free(ref);
    md_samples_release(&samples);
    return status;
}

/* A tokenizer with a template, which is read, evaluated and turned into ids. */
static mdlm_status ask_by_template(mdlm_error *err) {
    static const mdlm_message turns[] = {{.role = "user", .text = "hello", .text_bytes = 5},
                                         {.role = "assistant", .text = "hi", .text_bytes = 2}};
    md_tokenizer *tok = NULL;
    md_chat *chat = NULL;
    md_ids prompt = {0};
    mdlm_status status;
    MD_GOTO(done, status, md_tokenizer_bytes(&tok, err));
    MD_GOTO(done, status, md_tokenizer_set_template(tok, md_chat_plain_template, err));
    MD_GOTO(done, status, md_chat_new(tok, &chat, err));
    status = md_chat_encode(chat, turns, 2, true, &prompt, err);
    if ((status == MDLM_OK) != (prompt.count == 9)) ck_abort_msg("%zu ids", prompt.count);
done:
    md_ids_release(&prompt);
    md_chat_free(chat);
    md_tokenizer_free(tok);
    return status;
}

/* A tokenizer of other people: merges, an added token, two cuts; it encodes, and is written. */
static mdlm_status use_arrays(mdlm_error *err) {
    static const md_text tokens[] = {{"a", 1},   {"b", 1},     {"1", 1},     {"ab", 2},
                                     {"<t>", 3}, {"<eos>", 5}, {"<mask>", 6}};
    static const int32_t types[] = {1, 1, 1, 1, MD_TYPE_USER, MD_TYPE_CONTROL, MD_TYPE_CONTROL};
    static const md_text merge = {"a b", 3};
    md_tokenizer_arrays in = {.name = "x", .model = "gpt2", .pre = "starcoder", .bos = 5}, out;
    in.tokens = tokens, in.types = types, in.count = 7;
    in.merges = &merge, in.merge_count = 1;
    in.roles = (md_token_roles){.mask = 6, .end_of_text = 5, .padding = -1};
    md_tokenizer *tok = NULL;
    md_ids found = {0};
    md_arena *arena = md_arena_new(err);
    mdlm_status status = arena ? MDLM_OK : MDLM_RUNTIME;
    if (status != MDLM_OK) return status;
    MD_GOTO(done, status, md_tokenizer_from_arrays(&in, &tok, err));
    MD_GOTO(done, status, md_tokenizer_encode(tok, "ab1<t>aab", 9, &found, err));
    if (found.count != 5) ck_abort_msg("%zu ids", found.count);
    status = md_tokenizer_to_arrays(tok, 8, arena, &out, err);
done:
    md_ids_release(&found);
    md_tokenizer_free(tok);
    md_arena_free(arena);
    return status;
}

/* --- the tests ------------------------------------------------------------------------------- */

START_TEST(an_expression_on_a_canvas_says_so_and_leaves_nothing) {
    fail_in_turn(make_fitting, 30);
}
END_TEST

START_TEST(a_report_on_samples_says_so_and_leaves_nothing) {
    fail_in_turn(report_on_samples, 40);
}
END_TEST

START_TEST(a_question_by_a_chat_template_says_so_and_leaves_nothing) {
    fail_in_turn(ask_by_template, 12);
}
END_TEST

START_TEST(a_tokenizer_of_arrays_says_so_and_leaves_nothing) {
    fail_in_turn(use_arrays, 20);
}
END_TEST

int main(void) {
    Suite *s = suite_create("out of memory with text");
    suite_case(s, an_expression_on_a_canvas_says_so_and_leaves_nothing);
    suite_case(s, a_report_on_samples_says_so_and_leaves_nothing);
    suite_case(s, a_question_by_a_chat_template_says_so_and_leaves_nothing);
    suite_case(s, a_tokenizer_of_arrays_says_so_and_leaves_nothing);
    return suite_run(s);
}
