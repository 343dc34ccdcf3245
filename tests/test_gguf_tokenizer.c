/* tests/test_gguf_tokenizer.c: tokenizers in the metadata of GGUF files (api/gguf_tokenizer.h). */
#include <stdio.h>

#include "api/gguf_tokenizer.h"
#include "base/file.h"
#include "base/memory.h"
#include "tests/test_tokenizer.h"

static mdlm_error err;
static char *folder; /* each test runs in a process of its own */
static char path[512];

static void enter(void) {
    folder = suite_tmp_dir();
    snprintf(path, sizeof path, "%s/x.gguf", folder);
}

static void leave(void) {
    suite_tmp_remove(folder);
}

/* A file without tensors. */
static void write_file(const md_tokenizer *tok, int rows) {
    md_gguf_writer *w = NULL;
    assert_ok(md_gguf_writer_new(&w, &err));
    assert_ok(md_gguf_put_tokenizer(w, tok, rows, &err));
    assert_ok(md_gguf_start(w, path, &err));
    assert_ok(md_gguf_finish(w, &err));
    md_gguf_writer_free(w);
}

static md_tokenizer *read_file(void) {
    md_tokenizer *tok = NULL;
    assert_ok(md_model_tokenizer(path, NULL, &tok, &err));
    return tok;
}

static void assert_same(const md_tokenizer *a, const md_tokenizer *b) {
    static const char text[] = "low lower \xc3\xa4\xff\n\n newest\tx 12 <|mask|>";
    md_ids p = {0}, q = {0};
    md_buffer back = {0};
    ck_assert_str_eq(md_tokenizer_kind_name(a), md_tokenizer_kind_name(b));
    ck_assert_int_eq(md_tokenizer_vocab_size(a), md_tokenizer_vocab_size(b));
    ck_assert_int_eq(md_tokenizer_mask(a), md_tokenizer_mask(b));
    ck_assert_int_eq(md_tokenizer_end_of_text(a), md_tokenizer_end_of_text(b));
    ck_assert_int_eq(md_tokenizer_padding(a), md_tokenizer_padding(b));
    assert_ok(md_tokenizer_encode(a, text, sizeof text - 1, &p, &err));
    assert_ok(md_tokenizer_encode(b, text, sizeof text - 1, &q, &err));
    ck_assert_uint_eq(p.count, q.count);
    ck_assert_mem_eq(p.data, q.data, p.count * sizeof *p.data);
    assert_ok(md_tokenizer_decode(b, q.data, q.count, &back, &err));
    ck_assert(back.size == sizeof text - 1 && !memcmp(back.data, text, back.size));
    md_buffer_release(&back);
    md_ids_release(&p);
    md_ids_release(&q);
}

static md_tokenizer *make(int kind) {
    const md_text_source source = TEXTS("low low lower newest newest \xc3\xa4");
    const md_bpe_options opt = {.vocab_size = 270};
    md_tokenizer *tok = NULL;
    if (kind == 0) assert_ok(md_tokenizer_train_bpe(source, &opt, &tok, &err));
    if (kind == 1) assert_ok(md_tokenizer_bytes(&tok, &err));
    if (kind == 2) assert_ok(md_tokenizer_train_chars(source, &tok, &err));
    return tok;
}

START_TEST(every_kind_survives_a_round_trip) {
    for (int kind = 0; kind < 3; kind++) {
        enter();
        md_tokenizer *tok = make(kind);
        assert_ok(md_tokenizer_set_template(tok, "{{ messages }}", &err));
        write_file(tok, md_tokenizer_vocab_size(tok) + 5);
        md_tokenizer *back = read_file();
        assert_same(tok, back);
        ck_assert_str_eq(md_tokenizer_template(back), "{{ messages }}");
        md_tokenizer_free(back);
        md_tokenizer_free(tok);
        leave();
    }
}
END_TEST

START_TEST(there_are_as_many_tokens_as_rows_and_both_ends_of_text) {
    md_gguf *file = NULL;
    md_gguf_string *tokens = NULL;
    size_t count = 0;
    int64_t id = 0;
    enter();
    md_tokenizer *tok = make(0);
    write_file(tok, 300);
    assert_ok(md_gguf_open(path, &file, &err));
    assert_ok(md_gguf_strings(file, "tokenizer.ggml.tokens", &tokens, &count, &err));
    ck_assert_uint_eq(count, 300);
    ck_assert(tokens[299].size == 8 && !memcmp(tokens[299].bytes, "[PAD299]", 8));
    assert_ok(md_gguf_int(file, "tokenizer.ggml.bos_token_id", 0, 299, &id, &err));
    ck_assert_int_eq(id, md_tokenizer_end_of_text(tok));
    md_free(tokens);
    md_gguf_close(file);
    md_tokenizer_free(tok);
    leave();
}
END_TEST

/* ---- What is refused ---- */

/* A small vocabulary, some of which is another. */
typedef struct vocabulary {
    const char *model, *pre;
    size_t types, merges; /* items of the arrays */
    int32_t mask;         /* -1: none */
    bool tokens;
} vocabulary;

static void put_vocabulary(vocabulary v) {
    static const char alphabet[] = "abcdefgh";
    static const md_gguf_string merge = {"a b", 3};
    md_gguf_string tokens[9];
    int32_t types[16];
    md_gguf_writer *w = NULL;
    for (int i = 0; i < 8; i++) tokens[i] = (md_gguf_string){alphabet + i, 1};
    tokens[8] = (md_gguf_string){"<|mask|>", 8};
    for (int i = 0; i < 16; i++) types[i] = i == 8 ? 3 : 1;
    assert_ok(md_gguf_writer_new(&w, &err));
    if (v.model) assert_ok(md_gguf_put_text(w, "tokenizer.ggml.model", v.model, &err));
    if (v.pre) assert_ok(md_gguf_put_text(w, "tokenizer.ggml.pre", v.pre, &err));
    if (v.tokens) assert_ok(md_gguf_put_strings(w, "tokenizer.ggml.tokens", tokens, 9, &err));
    assert_ok(md_gguf_put_ints(w, "tokenizer.ggml.token_type", types, v.types, &err));
    assert_ok(md_gguf_put_strings(w, "tokenizer.ggml.merges", &merge, v.merges, &err));
    if (v.mask >= 0)
        assert_ok(md_gguf_put_u32(w, "tokenizer.ggml.mask_token_id", (uint32_t)v.mask, &err));
    assert_ok(md_gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 7, &err));
    assert_ok(md_gguf_start(w, path, &err));
    assert_ok(md_gguf_finish(w, &err));
    md_gguf_writer_free(w);
}

START_TEST(a_malformed_vocabulary_is_refused) {
    static const struct {
        vocabulary v;
        const char *message;
    } rows[] = {
        {{NULL, "gpt-2", 9, 0, 8, true}, "has no key 'tokenizer.ggml.model'"},
        {{"bert", "gpt-2", 9, 0, 8, true}, "bert"},
        {{"gpt2", "gpt-9", 9, 0, 8, true}, "gpt-9"},
        {{"gpt2", "gpt-2", 9, 0, 8, false}, "has no key 'tokenizer.ggml.tokens'"},
        {{"gpt2", "gpt-2", 8, 0, 8, true},
         "expected 9 items, found 8, in key 'tokenizer.ggml.token_type'"},
        {{"gpt2", "gpt-2", 9, 0, 9, true}, "expected 0 to 8, found 9"},
        {{"gpt2", "gpt-2", 9, 1, 8, true}, "ab"}, /* no token is the merge's result */
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        md_tokenizer *tok = NULL;
        enter();
        put_vocabulary(rows[i].v);
        assert_fails(md_model_tokenizer(path, NULL, &tok, &err), MDLM_INPUT, rows[i].message);
        ck_assert_ptr_nonnull(strstr(err.message, path));
        ck_assert_ptr_null(tok);
        leave();
    }
}
END_TEST

START_TEST(a_tokenizer_of_another_model_is_refused) {
    md_model_config config = {.vocab = 300, .end_of_text_id = -1, .padding_id = -1};
    md_tokenizer *tok = make(0), *found = NULL;
    enter();
    write_file(tok, 300);
    config.mask_id = md_tokenizer_mask(tok);
    assert_ok(md_model_tokenizer(path, &config, &found, &err));
    md_tokenizer_free(found);
    found = NULL;
    config.mask_id++;
    assert_fails(md_model_tokenizer(path, &config, &found, &err), MDLM_INPUT,
                 "the tokenizer's mask is id");
    config.mask_id--;
    config.vocab = md_tokenizer_vocab_size(tok) - 1;
    assert_fails(md_model_tokenizer(path, &config, &found, &err), MDLM_INPUT, "the model only");
    ck_assert_ptr_null(found);
    md_tokenizer_free(tok);
    leave();
}
END_TEST

int main(void) {
    Suite *s = suite_create("gguf_tokenizer");
    suite_case(s, every_kind_survives_a_round_trip);
    suite_case(s, there_are_as_many_tokens_as_rows_and_both_ends_of_text);
    suite_case(s, a_malformed_vocabulary_is_refused);
    suite_case(s, a_tokenizer_of_another_model_is_refused);
    return suite_run(s);
}
