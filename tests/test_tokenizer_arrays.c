/* tests/test_tokenizer_arrays.c: tokenizers as GGUF's arrays, and from them. */
#include "tests/test_tokenizer.h"
#include "tokenizer/arrays.h"

static mdlm_error err;

static md_tokenizer *train_bpe(void) {
    md_tokenizer *tok = NULL;
    md_bpe_options opt = {.vocab_size = 400};
    assert_ok(md_tokenizer_train_bpe(TEXTS("low low low lower newest newest"), &opt, &tok, &err));
    return tok;
}

static md_tokenizer *train_chars(void) {
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_train_chars(TEXTS("low \u00e9\n\u4f60 new"), &tok, &err));
    return tok;
}

static md_tokenizer *make_bytes(void) {
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_bytes(&tok, &err));
    return tok;
}

static bool is_text(const md_text *text, const char *expected) {
    return text->size == strlen(expected) && !memcmp(text->data, expected, text->size);
}

static void check_same(const md_tokenizer *a, const md_tokenizer *b) {
    static const char probe[] = " newest low\xff \u00e9\u4f60 <|mask|>\n\n";
    md_ids x = {0}, y = {0};
    md_buffer back = {0};
    ck_assert_int_eq(md_tokenizer_get_kind(a), md_tokenizer_get_kind(b));
    ck_assert_int_eq(md_tokenizer_vocab_size(a), md_tokenizer_vocab_size(b));
    ck_assert_int_eq(md_tokenizer_mask(a), md_tokenizer_mask(b));
    ck_assert_int_eq(md_tokenizer_end_of_text(a), md_tokenizer_end_of_text(b));
    ck_assert_int_eq(md_tokenizer_padding(a), md_tokenizer_padding(b));
    assert_ok(md_tokenizer_encode(a, probe, sizeof probe - 1, &x, &err));
    assert_ok(md_tokenizer_encode(b, probe, sizeof probe - 1, &y, &err));
    ck_assert_uint_eq(x.count, y.count);
    ck_assert_mem_eq(x.data, y.data, x.count * sizeof *x.data);
    assert_ok(md_tokenizer_decode(b, y.data, y.count, &back, &err));
    ck_assert_str_eq(back.data, probe);
    md_ids_release(&x);
    md_ids_release(&y);
    md_buffer_release(&back);
}

START_TEST(every_kind_survives_its_arrays) {
    md_tokenizer *(*const make[])(void) = {train_bpe, train_chars, make_bytes};
    for (size_t i = 0; i < 3; i++) {
        md_tokenizer *tok = make[i](), *again = NULL;
        md_arena *arena = md_arena_new(&err);
        md_tokenizer_arrays a;
        assert_ok(md_tokenizer_to_arrays(tok, 500, arena, &a, &err));
        ck_assert_uint_eq(a.count, 500);
        a.name = "test";
        assert_ok(md_tokenizer_from_arrays(&a, &again, &err));
        check_same(tok, again);
        md_tokenizer_free(again);
        md_tokenizer_free(tok);
        md_arena_free(arena);
    }
}
END_TEST

START_TEST(arrays_are_what_llama_cpp_reads) {
    md_tokenizer *tok = train_bpe();
    md_arena *arena = md_arena_new(&err);
    md_tokenizer_arrays a;
    assert_ok(md_tokenizer_to_arrays(tok, 270, arena, &a, &err));
    ck_assert_str_eq(a.model, "gpt2");
    ck_assert_str_eq(a.pre, "gpt-2");
    ck_assert_ptr_null(a.scores);
    ck_assert(is_text(&a.tokens[' '], "\u0120"));
    ck_assert(is_text(&a.tokens[264], "\u0120newest"));
    ck_assert(is_text(&a.tokens[265], "<|mask|>"));
    ck_assert(is_text(&a.tokens[269], "[PAD269]"));
    ck_assert(is_text(&a.merges[2], "\u0120 low"));
    ck_assert_int_eq(a.types[264], MD_TYPE_NORMAL);
    ck_assert_int_eq(a.types[265], MD_TYPE_CONTROL);
    ck_assert_int_eq(a.types[269], MD_TYPE_UNUSED);
    ck_assert_int_eq(a.bos, -1);
    md_tokenizer_free(tok);
    tok = train_chars();
    assert_ok(md_tokenizer_to_arrays(tok, md_tokenizer_vocab_size(tok), arena, &a, &err));
    ck_assert_str_eq(a.model, "llama");
    ck_assert_uint_eq(a.merge_count, 0);
    ck_assert(is_text(&a.tokens[0], "\n"));
    ck_assert(is_text(&a.tokens[1], "\u2581"));
    ck_assert_int_eq(a.types[1], MD_TYPE_NORMAL);
    size_t byte = a.count - 3 - 256 + 0xff;
    ck_assert(is_text(&a.tokens[byte], "<0xFF>"));
    ck_assert_int_eq(a.types[byte], MD_TYPE_BYTE);
    ck_assert(a.scores && a.scores[5] == 0);
    md_tokenizer_free(tok);
    md_arena_free(arena);
}
END_TEST

START_TEST(a_space_mark_in_a_vocabulary_of_characters_is_refused) {
    md_tokenizer *tok = NULL;
    md_arena *arena = md_arena_new(&err);
    md_tokenizer_arrays a;
    assert_ok(md_tokenizer_train_chars(TEXTS("a\u2581 b"), &tok, &err));
    assert_fails(md_tokenizer_to_arrays(tok, 300, arena, &a, &err), MDLM_INPUT, "U+2581");
    md_tokenizer_free(tok);
    md_arena_free(arena);
}
END_TEST

/* A vocabulary of two bytes, a merge, an added token, and special ones. */
enum { A, B, AB, TAG, EOS, MASK, SMALL };
static const md_text small_tokens[SMALL] = {{"a", 1},     {"b", 1},     {"ab", 2},
                                            {"<tag>", 5}, {"<eos>", 5}, {"<mask>", 6}};
static const md_text small_merges[] = {{"a b", 3}};
static int32_t small_types[SMALL];

static md_tokenizer_arrays small(void) {
    static const int32_t types[SMALL] = {1, 1, 1, MD_TYPE_USER, MD_TYPE_CONTROL, MD_TYPE_CONTROL};
    memcpy(small_types, types, sizeof types);
    return (md_tokenizer_arrays){.name = "x.gguf",
                                 .model = "gpt2",
                                 .pre = "gpt-2",
                                 .tokens = small_tokens,
                                 .types = small_types,
                                 .count = SMALL,
                                 .merges = small_merges,
                                 .merge_count = 1,
                                 .roles = {.mask = MASK, .end_of_text = EOS, .padding = -1},
                                 .bos = -1};
}

START_TEST(user_tokens_stand_in_text_and_control_tokens_do_not) {
    static const int32_t expected[] = {AB, TAG, A};
    md_tokenizer_arrays a = small();
    md_tokenizer *tok = NULL;
    md_ids ids = {0};
    assert_ok(md_tokenizer_from_arrays(&a, &tok, &err));
    assert_ok(md_tokenizer_encode(tok, "ab<tag>a", 8, &ids, &err));
    ck_assert_uint_eq(ids.count, 3);
    ck_assert_mem_eq(ids.data, expected, sizeof expected);
    assert_fails(md_tokenizer_encode(tok, "<eos>", 5, &ids, &err), MDLM_INPUT, "byte 0x3C");
    md_ids_release(&ids);
    ck_assert(md_tokenizer_is_special(tok, EOS));
    ck_assert(!md_tokenizer_is_special(tok, TAG));
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(a_mask_beyond_the_vocabulary_is_appended) {
    md_tokenizer_arrays a = small();
    md_tokenizer *tok = NULL;
    a.roles.mask = SMALL;
    assert_ok(md_tokenizer_from_arrays(&a, &tok, &err));
    ck_assert_int_eq(md_tokenizer_mask(tok), SMALL);
    ck_assert_int_eq(md_tokenizer_vocab_size(tok), SMALL + 1);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(faults_are_refused_each_with_its_message) {
    static const md_text other_tokens[SMALL] = {{"a", 1},     {"b", 1},     {"ab", 2},
                                                {"<tag>", 5}, {"<tag>", 5}, {"<mask>", 6}};
    static const md_text empty[SMALL] = {{"a", 1}, {"", 0},  {"ab", 2},
                                         {"c", 1}, {"d", 1}, {"e", 1}};
    static const md_text nul[SMALL] = {{"a", 1}, {"b", 1}, {"a\0", 2},
                                       {"c", 1}, {"d", 1}, {"e", 1}};
    static const md_text latin[SMALL] = {{"a", 1}, {"b", 1}, {"\xe4", 1},
                                         {"c", 1}, {"d", 1}, {"e", 1}};
    static const md_text merges[][1] = {
        {{"ab", 2}}, {{"a b c", 5}}, {{"a z", 3}}, {{"b a", 3}}, {{"a <eos>", 7}}};
    struct {
        md_tokenizer_arrays arrays;
        const char *message;
    } faults[] = {
        {small(), "the model 'bert' is not supported"},
        {small(), "the pre-tokenizer 'gpt-9' is not known"},
        {small(), "the pre-tokenizer 'gpt-2 phi-2' is not known"},
        {small(), "the pre-tokenizer '' is not known"},
        {small(), "'<tag>' has two ids: 3 and 4"},
        {small(), "the token with id 1 is empty"},
        {small(), "the token with id 2 has a byte 0"},
        {small(), "merge 0 is not a pair"},
        {small(), "merge 0 is not a pair"},
        {small(), "merge 0 needs 'z'"},
        {small(), "merge 0 needs 'ba'"},
        {small(), "merge 0 uses the special token '<eos>'"},
        {small(), "has no mask token"},
        {small(), "has no end-of-text token"},
        {small(), "the mask is id 8, and there are 6 tokens"},
        {small(), "end-of-text is id 6, and there are 6 tokens"},
        {small(), "the beginning of text is id 99"},
        {small(), "the mask token is also end-of-text"},
        {small(), "the token with id 2 is not UTF-8"},
    };
    faults[0].arrays.model = "bert";
    faults[1].arrays.pre = "gpt-9";
    faults[2].arrays.pre = "gpt-2 phi-2";
    faults[3].arrays.pre = "";
    faults[4].arrays.tokens = other_tokens;
    faults[5].arrays.tokens = empty;
    faults[6].arrays.tokens = nul;
    for (size_t i = 0; i < 5; i++) faults[7 + i].arrays.merges = merges[i];
    faults[12].arrays.roles.mask = -1;
    faults[13].arrays.roles.end_of_text = -1;
    faults[14].arrays.roles.mask = SMALL + 2;
    faults[15].arrays.roles.end_of_text = SMALL;
    faults[16].arrays.bos = 99;
    faults[17].arrays.roles.end_of_text = MASK;
    faults[18].arrays.tokens = latin;
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
        md_tokenizer *tok = NULL;
        assert_fails(md_tokenizer_from_arrays(&faults[i].arrays, &tok, &err), MDLM_INPUT,
                     faults[i].message);
        ck_assert_ptr_null(tok);
    }
    md_tokenizer_arrays typed = small();
    md_tokenizer *tok = NULL;
    small_types[2] = 7;
    assert_fails(md_tokenizer_from_arrays(&typed, &tok, &err), MDLM_INPUT,
                 "token 2 has the type 7: expected 0 to 6");
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer_arrays");
    suite_case(s, every_kind_survives_its_arrays);
    suite_case(s, arrays_are_what_llama_cpp_reads);
    suite_case(s, a_space_mark_in_a_vocabulary_of_characters_is_refused);
    suite_case(s, user_tokens_stand_in_text_and_control_tokens_do_not);
    suite_case(s, a_mask_beyond_the_vocabulary_is_appended);
    suite_case(s, faults_are_refused_each_with_its_message);
    return suite_run(s);
}
