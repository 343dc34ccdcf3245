/* tests/test_tokenizer.c: what holds for every kind of tokenizer, fresh or loaded. */
#include "tests/test_tokenizer.h"

#include "base/file.h"
#include "tokenizer/unicode.h"

static const char *const corpus[] = {
    "To be, or not to be, that is the question: Whether 'tis nobler in the mind to suffer\n",
    "The slings and arrows of outrageous fortune, or to take arms against a sea of troubles\n",
    "To be or not to be. \u4f60\u597d\uff0c\u4e16\u754c\u3002 \u0434\u0430 \u00e9t\u00e9 12 345\n",
    NULL};

static md_text_source shakespeare(texts *t) {
    t->next = corpus;
    return (md_text_source){texts_next, t};
}

enum { KINDS = 4 };

/* bytes, chars, bpe, and bpe with NFC. */
static md_tokenizer *make(int kind) {
    mdlm_error err = {0};
    texts t;
    md_tokenizer *tok = NULL;
    md_bpe_options opt = {.vocab_size = 320, .nfc = kind == 3};
    if (kind == 0)
        assert_ok(md_tokenizer_bytes(&tok, &err));
    else if (kind == 1)
        assert_ok(md_tokenizer_train_chars(shakespeare(&t), &tok, &err));
    else
        assert_ok(md_tokenizer_train_bpe(shakespeare(&t), &opt, &tok, &err));
    return tok;
}

static md_tokenizer *saved_and_loaded(const md_tokenizer *tok) {
    mdlm_error err = {0};
    char *dir = suite_tmp_dir();
    md_tokenizer *loaded = NULL;
    assert_ok(md_tokenizer_save(tok, dir, 128, &err));
    assert_ok(md_tokenizer_load(dir, &loaded, &err));
    suite_tmp_remove(dir);
    return loaded;
}

static void check_round_trip(const md_tokenizer *tok, const char *text, size_t size, md_ids *ids) {
    mdlm_error err = {0};
    md_buffer back = {0};
    ids->count = 0;
    assert_ok(md_tokenizer_encode(tok, text, size, ids, &err));
    size_t ordinary = 0;
    for (size_t i = 0; i < ids->count; i++) {
        bool in_range = ids->data[i] >= 0 && ids->data[i] < md_tokenizer_vocab_size(tok);
        ordinary += in_range && !md_tokenizer_is_special(tok, ids->data[i]);
    }
    ck_assert_uint_eq(ordinary, ids->count);
    assert_ok(md_tokenizer_decode(tok, ids->data, ids->count, &back, &err));
    ck_assert_uint_eq(back.size, size);
    if (size > 0) ck_assert_mem_eq(back.data, text, size);
    ck_assert_int_eq(md_tokenizer_byte_count(tok, ids->data, ids->count), (int64_t)size);
    md_buffer_release(&back);
}

/* The text comes back, and a tokenizer that was saved and loaded gives the same ids. */
static void check_text(const char *text, size_t size) {
    mdlm_error err = {0};
    md_buffer normal = {0};
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == 3) { /* what is in form C already comes back from there too */
            assert_ok(md_nfc(text, size, &normal, &err));
            text = normal.data;
            size = normal.size;
        }
        md_tokenizer *tok = make(kind), *loaded = saved_and_loaded(tok);
        md_ids ids = {0}, again = {0};
        check_round_trip(tok, text, size, &ids);
        check_round_trip(loaded, text, size, &again);
        ck_assert_uint_eq(ids.count, again.count);
        if (size > 0) ck_assert_mem_eq(ids.data, again.data, ids.count * sizeof *ids.data);
        md_ids_release(&ids);
        md_ids_release(&again);
        md_tokenizer_free(tok);
        md_tokenizer_free(loaded);
    }
    md_buffer_release(&normal);
}

START_TEST(random_bytes_come_back) {
    enum { SIZE = 20000 };
    static char text[SIZE];
    for (size_t i = 0; i < SIZE; i++) text[i] = (char)draw(7, i, 256);
    check_text(text, SIZE);
}
END_TEST

START_TEST(text_in_many_scripts_comes_back) {
    static const char text[] =
        "To be, or not to be? \u4f60\u597d \u0434\u0430\u0301 \u00e9t\u00e9, "
        "\u0928\u092e\u0938\u094d\u0924\u0947 \U0001f468\u200d\U0001f469 "
        "\u05e9\u05dc\u05d5\u05dd \uac00\ub098 \u0e01\u0e47\t\r\n  \u00a0 x";
    check_text(text, sizeof text - 1);
    check_text("", 0);
    check_text("\0a\0", 3);
}
END_TEST

START_TEST(broken_utf8_comes_back) {
    static const char *const broken[] = {
        "\xe4\xbd",    "to \xe4\xbd be",   "\xf0\x9f\x98",      "\xc3",
        "\x80\x80 be", "\xed\xa0\x80",     "\xc0\xaf",          "\xf5\x80\x80\x80",
        "\xff\xfe",    "\xf4\x90\x80\x80", "a\xe4\xe4\xbd\xa0", "\xef\xbf",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        check_text(broken[i], strlen(broken[i]));
    }
}
END_TEST

START_TEST(loading_keeps_the_kind_and_every_id) {
    static const char *const names[KINDS] = {"bytes", "chars", "bpe", "bpe"};
    for (int kind = 0; kind < KINDS; kind++) {
        md_tokenizer *tok = make(kind), *loaded = saved_and_loaded(tok);
        ck_assert_str_eq(md_tokenizer_kind_name(tok), names[kind]);
        ck_assert_str_eq(md_tokenizer_kind_name(loaded), names[kind]);
        ck_assert_int_eq(md_tokenizer_get_kind(loaded), md_tokenizer_get_kind(tok));
        ck_assert_int_eq(md_tokenizer_vocab_size(loaded), md_tokenizer_vocab_size(tok));
        ck_assert_int_eq(md_tokenizer_mask(loaded), md_tokenizer_mask(tok));
        ck_assert_int_eq(md_tokenizer_end_of_text(loaded), md_tokenizer_end_of_text(tok));
        ck_assert_int_eq(md_tokenizer_padding(loaded), md_tokenizer_padding(tok));
        for (int32_t id = 0; id < md_tokenizer_vocab_size(tok); id++) {
            size_t a, b;
            const char *left = md_tokenizer_piece(tok, id, &a);
            const char *right = md_tokenizer_piece(loaded, id, &b);
            ck_assert_uint_eq(a, b);
            if (a > 0) ck_assert_mem_eq(left, right, a);
            ck_assert_int_eq(md_tokenizer_is_special(tok, id), a == 0);
            ck_assert_int_eq(md_tokenizer_is_special(loaded, id), a == 0);
        }
        md_tokenizer_free(tok);
        md_tokenizer_free(loaded);
    }
}
END_TEST

static void check_ids(const md_tokenizer *tok, const char *text, size_t size,
                      const int32_t *expected, size_t count) {
    mdlm_error err = {0};
    md_ids ids = {0};
    assert_ok(md_tokenizer_encode(tok, text, size, &ids, &err));
    ck_assert_uint_eq(ids.count, count);
    ck_assert_mem_eq(ids.data, expected, count * sizeof *expected);
    md_ids_release(&ids);
}

START_TEST(a_byte_is_its_own_id) {
    md_tokenizer *tok = make(0);
    check_ids(tok, "T\0\xff", 3, (int32_t[]){84, 0, 255}, 3);
    ck_assert_int_eq(md_tokenizer_vocab_size(tok), 259);
    ck_assert_int_eq(md_tokenizer_mask(tok), 256);
    ck_assert_int_eq(md_tokenizer_end_of_text(tok), 257);
    ck_assert_int_eq(md_tokenizer_padding(tok), 258);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(characters_are_sorted_and_the_rest_falls_back_to_bytes) {
    mdlm_error err = {0};
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_train_chars(TEXTS("banana", " \u00e9\xff", "nab"), &tok, &err));
    /* space 0, a 1, b 2, n 3, e-acute 4, then byte b is 5 + b */
    ck_assert_int_eq(md_tokenizer_vocab_size(tok), 5 + 256 + 3);
    ck_assert_int_eq(md_tokenizer_mask(tok), 261);
    check_ids(tok, "nab \u00e9", 6, (int32_t[]){3, 1, 2, 0, 4}, 5);
    check_ids(tok, "c\0\u00e8\xff", 5, (int32_t[]){5 + 'c', 5, 5 + 0xc3, 5 + 0xa8, 5 + 0xff}, 5);
    md_tokenizer_free(tok);
}
END_TEST

static mdlm_status nul_next(void *context, const char **text, size_t *size, mdlm_error *err) {
    int *left = context;
    (void)err;
    *text = "a\0b";
    *size = (*left)-- > 0 ? 3 : 0;
    return MDLM_OK;
}

START_TEST(the_character_nul_stays_a_byte) {
    mdlm_error err = {0};
    md_tokenizer *tok = NULL;
    int left = 1;
    assert_ok(md_tokenizer_train_chars((md_text_source){nul_next, &left}, &tok, &err));
    check_ids(tok, "a\0b", 3, (int32_t[]){0, 2, 1}, 3);
    md_tokenizer *loaded = saved_and_loaded(tok);
    check_ids(loaded, "a\0b", 3, (int32_t[]){0, 2, 1}, 3);
    md_tokenizer_free(tok);
    md_tokenizer_free(loaded);
}
END_TEST

START_TEST(control_characters_and_quotes_survive_the_file) {
    mdlm_error err = {0};
    char text[130] = {0};
    for (int c = 1; c < 128; c++) text[c - 1] = (char)c;
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_train_chars(TEXTS(text, "\u2028\ufffe\U0010ffff"), &tok, &err));
    ck_assert_int_eq(md_tokenizer_vocab_size(tok), 127 + 3 + 256 + 3);
    md_tokenizer *loaded = saved_and_loaded(tok);
    md_ids ids = {0};
    check_round_trip(loaded, text, 127, &ids);
    for (int32_t i = 0; i < 127; i++) ck_assert_int_eq(ids.data[i], i);
    md_ids_release(&ids);
    md_tokenizer_free(tok);
    md_tokenizer_free(loaded);
}
END_TEST

START_TEST(special_tokens_are_never_read_from_text) {
    static const char text[] = "<|mask|>a<|endoftext|><|padding|><0x41>";
    check_text(text, sizeof text - 1); /* checks that no id is special */
}
END_TEST

START_TEST(special_tokens_and_ids_out_of_range_decode_to_nothing) {
    for (int kind = 0; kind < KINDS; kind++) {
        mdlm_error err = {0};
        md_tokenizer *tok = make(kind);
        md_ids ids = {0};
        md_buffer text = {0};
        size_t size = 1;
        assert_ok(md_tokenizer_encode(tok, "b", 1, &ids, &err));
        ck_assert_uint_eq(ids.count, 1);
        int32_t b = ids.data[0];
        int32_t list[] = {md_tokenizer_mask(tok),
                          b,
                          md_tokenizer_end_of_text(tok),
                          -1,
                          b,
                          md_tokenizer_vocab_size(tok),
                          INT32_MAX,
                          INT32_MIN,
                          md_tokenizer_padding(tok)};
        size_t count = sizeof list / sizeof *list;
        assert_ok(md_buffer_text(&text, "x", &err));
        assert_ok(md_tokenizer_decode(tok, list, count, &text, &err));
        ck_assert_str_eq(text.data, "xbb");
        ck_assert_int_eq(md_tokenizer_byte_count(tok, list, count), 2);
        ck_assert_ptr_nonnull(md_tokenizer_piece(tok, md_tokenizer_mask(tok), &size));
        ck_assert_uint_eq(size, 0);
        ck_assert_ptr_nonnull(md_tokenizer_piece(tok, -5, &size));
        ck_assert_uint_eq(size, 0);
        ck_assert(md_tokenizer_is_special(tok, md_tokenizer_padding(tok)));
        ck_assert(!md_tokenizer_is_special(tok, b));
        ck_assert(!md_tokenizer_is_special(tok, -1));
        ck_assert(!md_tokenizer_is_special(tok, md_tokenizer_vocab_size(tok)));
        md_ids_release(&ids);
        md_buffer_release(&text);
        md_tokenizer_free(tok);
    }
}
END_TEST

START_TEST(encoding_appends) {
    mdlm_error err = {0};
    md_tokenizer *tok = make(0);
    md_ids ids = {0};
    assert_ok(md_ids_push(&ids, 256, &err));
    assert_ok(md_tokenizer_encode(tok, "ab", 2, &ids, &err));
    assert_ok(md_ids_push(&ids, 257, &err));
    ck_assert_uint_eq(ids.count, 4);
    ck_assert_mem_eq(ids.data, ((int32_t[]){256, 'a', 'b', 257}), 4 * sizeof(int32_t));
    md_ids_release(&ids);
    ck_assert_ptr_null(ids.data);
    md_tokenizer_free(tok);
    md_tokenizer_free(NULL);
}
END_TEST

START_TEST(normalisation_when_asked_for_is_part_of_the_file) {
    mdlm_error err = {0};
    static const char text[] = "e\u0301\xff to \u212b\xc3";
    static const char expected[] = "\u00e9\xff to \u00c5\xc3";
    md_tokenizer *tok = make(3), *loaded = saved_and_loaded(tok), *both[] = {tok, loaded};
    for (size_t i = 0; i < 2; i++) {
        md_ids ids = {0};
        md_buffer back = {0};
        assert_ok(md_tokenizer_encode(both[i], text, sizeof text - 1, &ids, &err));
        assert_ok(md_tokenizer_decode(both[i], ids.data, ids.count, &back, &err));
        ck_assert_str_eq(back.data, expected);
        md_ids_release(&ids);
        md_buffer_release(&back);
        md_tokenizer_free(both[i]);
    }
}
END_TEST

START_TEST(training_twice_writes_the_same_file) {
    for (int kind = 0; kind < KINDS; kind++) {
        mdlm_error err = {0};
        uint64_t hashes[2];
        for (int i = 0; i < 2; i++) {
            char *dir = suite_tmp_dir();
            md_tokenizer *tok = make(kind);
            assert_ok(md_tokenizer_save(tok, dir, 64, &err));
            char *file = md_path_join(dir, "tokenizer.json", &err);
            assert_ok(md_file_hash(file, &hashes[i], &err));
            free(file);
            md_tokenizer_free(tok);
            suite_tmp_remove(dir);
        }
        ck_assert(hashes[0] == hashes[1]);
    }
}
END_TEST

/* Text with long words of several shapes, each a megabyte. */
START_TEST(a_megabyte_without_a_word_break_is_encoded) {
    enum { SIZE = 1000000 };
    char *text = malloc(SIZE);
    ck_assert_ptr_nonnull(text);
    for (int shape = 0; shape < 4; shape++) {
        for (size_t i = 0; i < SIZE; i++) {
            text[i] = shape == 0   ? 'o'
                      : shape == 1 ? ' '
                      : shape == 2 ? "to be"[i % 2]
                                   : (char)('a' + draw(3, i, 26));
        }
        for (int kind = 0; kind < KINDS; kind++) {
            md_tokenizer *tok = make(kind);
            md_ids ids = {0};
            check_round_trip(tok, text, SIZE, &ids);
            if (shape == 3 && kind >= 2) ck_assert_uint_lt(ids.count, SIZE);
            md_ids_release(&ids);
            md_tokenizer_free(tok);
        }
    }
    free(text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer");
    suite_case(s, random_bytes_come_back);
    suite_case(s, text_in_many_scripts_comes_back);
    suite_case(s, broken_utf8_comes_back);
    suite_case(s, loading_keeps_the_kind_and_every_id);
    suite_case(s, a_byte_is_its_own_id);
    suite_case(s, characters_are_sorted_and_the_rest_falls_back_to_bytes);
    suite_case(s, the_character_nul_stays_a_byte);
    suite_case(s, control_characters_and_quotes_survive_the_file);
    suite_case(s, special_tokens_are_never_read_from_text);
    suite_case(s, special_tokens_and_ids_out_of_range_decode_to_nothing);
    suite_case(s, encoding_appends);
    suite_case(s, normalisation_when_asked_for_is_part_of_the_file);
    suite_case(s, training_twice_writes_the_same_file);
    suite_case(s, a_megabyte_without_a_word_break_is_encoded);
    return suite_run(s);
}
