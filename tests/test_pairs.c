/* tests/test_pairs.c: prompts and answers: read, split, packed; questions to ask. */
#include "tests/test_corpora.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/generators.h"
#include "corpora/pairs.h"

static md_tokenizer *tok;

static void start(void) {
    setup();
    assert_ok(md_tokenizer_bytes(&tok, &err));
}

static void stop(void) {
    md_tokenizer_free(tok);
    teardown();
}

static void save(const char *name, const char *text) {
    assert_ok(md_file_write(at(name), text, strlen(text), &err));
}

static mdlm_status pack(const char *name, double val_fraction) {
    const char *path = at(name);
    md_pack_options opt = {.val_fraction = val_fraction};
    return md_pairs_pack(&path, 1, tok, &opt, at("packed"), &err);
}

static md_corpus *open_packed(void) {
    md_corpus *corpus = NULL;
    assert_ok(md_corpus_open(at("packed"), &corpus, &err));
    ck_assert(md_corpus_holds_pairs(corpus));
    return corpus;
}

/* Ids of a pair as text, '#' for end-of-text and '|' between prompt and answer. */
static const char *spelled(const md_corpus *corpus, md_part part, int64_t i) {
    static char text[256];
    int32_t ids[200];
    md_packed_pair pair = md_pairs_get(corpus, part, i);
    size_t n = 0;
    md_corpus_read(corpus, part, pair.offset, ids, pair.prompt + pair.answer);
    for (int64_t k = 0; k < pair.prompt + pair.answer; k++) {
        if (k == pair.prompt) text[n++] = '|';
        text[n++] = (char)(ids[k] == md_tokenizer_end_of_text(tok) ? '#' : ids[k]);
    }
    text[n] = 0;
    return text;
}

START_TEST(both_forms_are_prompt_and_answer) {
    save("a.jsonl", "{\"prompt\": \"2 + 3?\", \"response\": \"5\", \"id\": 7}\n\n"
                    "{\"messages\": [{\"role\": \"system\", \"content\": \"be brief\"},"
                    "{\"role\": \"user\", \"content\": \"hi\"},"
                    "{\"role\": \"assistant\", \"content\": \"hello\"},"
                    "{\"role\": \"user\", \"content\": \"bye\"},"
                    "{\"role\": \"assistant\", \"content\": \"so long\"}]}");
    assert_ok(pack("a.jsonl", 0));
    md_corpus *corpus = open_packed();
    ck_assert_int_eq(md_pairs_count(corpus, MD_PART_TRAIN), 2);
    ck_assert_int_eq(md_pairs_count(corpus, MD_PART_VAL), 0);
    ck_assert_str_eq(spelled(corpus, MD_PART_TRAIN, 0), "2 + 3?\n|5#");
    ck_assert_str_eq(spelled(corpus, MD_PART_TRAIN, 1), "be brief\nhi\nhello#bye\n|so long#");
    md_corpus_close(corpus);
}
END_TEST

START_TEST(compressed_files_and_folders_are_read) {
    char name[512];
    assert_ok(md_dir_make(at("in"), &err));
    snprintf(name, sizeof name, "%s/in/b.jsonl.gz", dir);
    gzFile gz = gzopen(name, "wb");
    gzputs(gz, "{\"prompt\": \"b\", \"response\": \"2\"}\n");
    gzclose(gz);
    save("in/a.json", "{\"prompt\": \"a\", \"response\": \"1\"}\n");
    assert_ok(pack("in", 0));
    md_corpus *corpus = open_packed();
    ck_assert_int_eq(md_pairs_count(corpus, MD_PART_TRAIN), 2);
    ck_assert_str_eq(spelled(corpus, MD_PART_TRAIN, 1), "b\n|2#");
    md_corpus_close(corpus);
}
END_TEST

START_TEST(the_tokenizers_template_makes_the_prompt) {
    assert_ok(md_tokenizer_set_template(
        tok,
        "{{ '<|endoftext|>' + messages[0].content }}{% if add_generation_prompt %}>{% endif %}",
        &err));
    save("a.jsonl", "{\"prompt\": \"<|endoftext|>\", \"response\": \"x\"}\n");
    assert_ok(pack("a.jsonl", 0));
    md_corpus *corpus = open_packed();
    ck_assert_str_eq(spelled(corpus, MD_PART_TRAIN, 0), "#<|endoftext|>>|x#");
    md_corpus_close(corpus);
}
END_TEST

/* 300 prompts, each three times with other responses. */
START_TEST(equal_prompts_stay_on_one_side) {
    md_buffer text = {0};
    for (int i = 0; i < 900; i++)
        assert_ok(md_buffer_printf(&text, &err, "{\"prompt\": \"%d\", \"response\": \"r%d\"}\n",
                                   i % 300, i));
    assert_ok(md_file_write(at("a.jsonl"), text.data, text.size, &err));
    md_buffer_release(&text);
    assert_ok(pack("a.jsonl", 0.2));
    md_corpus *corpus = open_packed();
    int side[300] = {0};
    for (int part = 0; part < 2; part++) {
        for (int64_t i = 0; i < md_pairs_count(corpus, (md_part)part); i++)
            side[atoi(spelled(corpus, (md_part)part, i))] |= 1 << part;
    }
    for (int i = 0; i < 300; i++) ck_assert(side[i] == 1 || side[i] == 2);
    int64_t val = md_pairs_count(corpus, MD_PART_VAL);
    ck_assert_int_eq(md_pairs_count(corpus, MD_PART_TRAIN) + val, 900);
    ck_assert_int_eq(val % 3, 0);
    ck_assert(val > 120 && val < 240); /* 180, give or take 3 deviations of 21 */
    md_corpus_close(corpus);
}
END_TEST

START_TEST(a_val_file_is_the_validation_part) {
    save("a.jsonl", "{\"prompt\": \"a\", \"response\": \"1\"}\n");
    save("v.jsonl", "{\"prompt\": \"v\", \"response\": \"2\"}\n");
    const char *path = at("a.jsonl");
    md_pack_options opt = {.val_fraction = 0.9, .val_file = at("v.jsonl")};
    assert_ok(md_pairs_pack(&path, 1, tok, &opt, at("packed"), &err));
    md_corpus *corpus = open_packed();
    ck_assert_int_eq(md_pairs_count(corpus, MD_PART_TRAIN), 1);
    ck_assert_str_eq(spelled(corpus, MD_PART_VAL, 0), "v\n|2#");
    md_corpus_close(corpus);
}
END_TEST

START_TEST(bad_lines_are_refused_by_number_and_nothing_is_left) {
    static const struct {
        const char *line, *why;
    } bad[] = {
        {"{\"prompt\": \"a\"}", "\"response\""},
        {"{\"prompt\": \"a\", \"response\": 5}", "\"response\""},
        {"{\"prompt\": \"a\", \"response\": \"\"}", "the response is empty"},
        {"\"text\"", "expected an object"},
        {"{\"prompt\": ", "is not valid JSON"},
        {"{\"messages\": []}", "at least two messages"},
        {"{\"messages\": [{\"role\": \"assistant\", \"content\": \"x\"}]}", "at least two"},
        {"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"},"
         "{\"role\": \"user\", \"content\": \"y\"}]}",
         "the last message is not the assistant's"},
        {"{\"messages\": [{\"role\": \"user\"}, {\"role\": \"assistant\", \"content\": \"y\"}]}",
         "\"role\" and \"content\""},
        {"{\"messages\": [{\"role\": \"a b\", \"content\": \"\"},"
         "{\"role\": \"assistant\", \"content\": \"y\"}]}",
         "the role 'a b'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char text[300];
        snprintf(text, sizeof text, "{\"prompt\": \"a\", \"response\": \"1\"}\n\n%s\n",
                 bad[i].line);
        save("a.jsonl", text);
        assert_fails(pack("a.jsonl", 0), MDLM_INPUT, bad[i].why);
        ck_assert_msg(strstr(err.message, "line 3"), "%s", err.message);
        ck_assert(!md_is_dir(at("packed")));
    }
    save("a.jsonl", "\n");
    assert_fails(pack("a.jsonl", 0), MDLM_INPUT, "holds no prompt and response");
    assert_fails(pack("missing.jsonl", 0), MDLM_INPUT, "missing.jsonl");
    assert_fails(pack("a.jsonl", 1), MDLM_USAGE, "0 <= f < 1");
    ck_assert(!md_is_dir(at("packed")));
}
END_TEST

START_TEST(text_is_no_corpus_of_pairs) {
    const char *path = at("a.txt");
    md_pack_options opt = {.val_fraction = 0};
    md_corpus *corpus = NULL;
    save("a.txt", "some text");
    assert_ok(md_corpus_pack(&path, 1, tok, &opt, at("packed"), NULL, &err));
    assert_ok(md_corpus_open(at("packed"), &corpus, &err));
    ck_assert(!md_corpus_holds_pairs(corpus));
    md_corpus_close(corpus);
}
END_TEST

/* --- questions -------------------------------------------------------------------------------- */

START_TEST(questions_are_all_distinct_and_their_answers_right) {
    md_buffer text = {0};
    static bool seen[100][100];
    assert_ok(md_questions(3, 0, MD_QUESTIONS, &text, &err));
    int count = 0;
    for (char *line = strtok(text.data, "\n"); line; line = strtok(NULL, "\n"), count++) {
        int a, b, sum;
        ck_assert_int_eq(
            sscanf(line, "{\"prompt\": \"What is %d + %d?\", \"response\": \"%d\"}", &a, &b, &sum),
            3);
        ck_assert(a >= 10 && a <= 99 && b >= 10 && b <= 99 && !seen[a][b]);
        seen[a][b] = true;
        ck_assert_int_eq(sum, a + b);
    }
    ck_assert_int_eq(count, MD_QUESTIONS);
    md_buffer_release(&text);
}
END_TEST

START_TEST(questions_from_a_number_on_go_on_where_others_end) {
    md_buffer whole = {0}, parts = {0}, other = {0};
    assert_ok(md_questions(1, 0, 60, &whole, &err));
    assert_ok(md_questions(1, 0, 25, &parts, &err));
    assert_ok(md_questions(1, 25, 35, &parts, &err));
    ck_assert_str_eq(whole.data, parts.data);
    assert_ok(md_questions(2, 0, 60, &other, &err));
    ck_assert_str_ne(whole.data, other.data);
    assert_fails(md_questions(1, MD_QUESTIONS, 1, &whole, &err), MDLM_USAGE, "there are 8100");
    md_buffer_release(&whole);
    md_buffer_release(&parts);
    md_buffer_release(&other);
}
END_TEST

/* The command that made them is in corpora/README.md. */
START_TEST(shipped_questions_are_what_the_generator_makes) {
    static const struct {
        const char *path;
        int first, count;
    } files[] = {{SOURCE_ROOT "/corpora/questions.jsonl", 0, 4000},
                 {SOURCE_ROOT "/corpora/questions-held-out.jsonl", 4000, 500}};
    for (int i = 0; i < 2; i++) {
        md_buffer made = {0};
        char *shipped = NULL;
        size_t size = 0;
        assert_ok(md_file_read(files[i].path, 1 << 20, &shipped, &size, &err));
        assert_ok(md_questions(1, files[i].first, files[i].count, &made, &err));
        ck_assert_uint_eq(size, made.size);
        ck_assert(!memcmp(shipped, made.data, size));
        md_free(shipped);
        md_buffer_release(&made);
    }
}
END_TEST

int main(void) {
    Suite *s = suite_create("pairs");
    TCase *c = tcase_create("pairs");
    tcase_add_checked_fixture(c, start, stop);
    tcase_add_test(c, both_forms_are_prompt_and_answer);
    tcase_add_test(c, compressed_files_and_folders_are_read);
    tcase_add_test(c, the_tokenizers_template_makes_the_prompt);
    tcase_add_test(c, equal_prompts_stay_on_one_side);
    tcase_add_test(c, a_val_file_is_the_validation_part);
    tcase_add_test(c, bad_lines_are_refused_by_number_and_nothing_is_left);
    tcase_add_test(c, text_is_no_corpus_of_pairs);
    suite_add_tcase(s, c);
    suite_case(s, questions_are_all_distinct_and_their_answers_right);
    suite_case(s, questions_from_a_number_on_go_on_where_others_end);
    suite_case(s, shipped_questions_are_what_the_generator_makes);
    return suite_run(s);
}
