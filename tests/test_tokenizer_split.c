/* tests/test_tokenizer_split.c: where words end, and normalisation. */
#include <utf8proc.h>

#include "tests/test_tokenizer.h"
#include "tokenizer/split.h"
#include "tokenizer/unicode.h"

/* Words of the text joined with '|'. */
static void check_words(const char *text, const char *expected) {
    mdlm_error err;
    md_buffer words = {0};
    size_t size = strlen(text);
    for (size_t start = 0, end; start < size; start = end) {
        end = md_split_gpt2(text, size, start);
        ck_assert(end > start && end <= size);
        if (start > 0) assert_ok(md_buffer_append(&words, "|", 1, &err));
        assert_ok(md_buffer_append(&words, text + start, end - start, &err));
    }
    ck_assert_str_eq(words.data, expected);
    md_buffer_release(&words);
}

START_TEST(a_word_takes_one_space_before_it) {
    check_words("Hello world", "Hello| world");
    check_words(" To be", " To| be");
    check_words("a  b", "a| | b");
    check_words("a    b", "a|   | b");
}
END_TEST

START_TEST(contractions_are_words_of_their_own) {
    check_words("I'm don't we'll they're I've he'd it's",
                "I|'m| don|'t| we|'ll| they|'re| I|'ve| he|'d| it|'s");
    check_words("x's's", "x|'s|'s");
    check_words("'sx", "'s|x");
    check_words("'tis", "'t|is");
}
END_TEST

START_TEST(contractions_need_lower_case_and_the_start_of_a_word) {
    check_words("I'M 'RE", "I|'|M| '|RE");
    check_words("a 's", "a| '|s");
    check_words("''s", "''|s");
    check_words("!'s", "!'|s");
    check_words("'l 'r", "'|l| '|r");
    check_words("'", "'");
    check_words("'l", "'|l");
}
END_TEST

START_TEST(the_last_space_of_a_run_is_left_to_the_word_after_it) {
    check_words("a \n b", "a| \n| b");
    check_words("a\n\nb", "a|\n|\n|b");
    check_words("a \tb", "a| |\t|b");
    check_words("\tx", "\t|x");
    check_words("\n\n\n  x", "\n\n\n | x");
    check_words("  'tis", " | '|tis");
}
END_TEST

START_TEST(trailing_spaces_stay_together) {
    check_words("a  ", "a|  ");
    check_words("a \n", "a| \n");
    check_words(" ", " ");
    check_words("   ", "   ");
}
END_TEST

START_TEST(letters_numbers_and_the_rest_part_ways) {
    check_words("abc123def", "abc|123|def");
    check_words(" 12 3.5", " 12| 3|.|5");
    check_words("Wait...what?!", "Wait|...|what|?!");
    check_words(" !@# snake_case", " !@#| snake|_|case");
    check_words("a\x01\x7f", "a|\x01\x7f");
}
END_TEST

START_TEST(categories_are_those_of_unicode) {
    check_words("你好,世界", "你好|,|世界");
    check_words("na\u00efve \u0434\u0430", "na\u00efve| \u0434\u0430");
    check_words("\u00bd \u2167\u0661", "\u00bd| \u2167\u0661");
    check_words("e\u0301t", "e|\u0301|t");
    check_words("\U0001f600\u200d\U0001f600!", "\U0001f600\u200d\U0001f600!");
    check_words("a\u200bb", "a|\u200b|b");
    check_words("\u02b0\u00aa\u01c5", "\u02b0\u00aa\u01c5");
}
END_TEST

START_TEST(spaces_beyond_ascii_are_spaces_but_lead_no_word) {
    check_words("a\u00a0b", "a|\u00a0|b");
    check_words("a \u00a0b", "a| |\u00a0|b");
    check_words("a\u3000\u2003b", "a|\u3000|\u2003|b");
    check_words("a\u00a0 b", "a|\u00a0| b");
    check_words("\xc2\x85\u2028", "\xc2\x85\u2028");
}
END_TEST

START_TEST(bytes_that_are_not_utf8_are_other_symbols) {
    check_words("a\xff"
                "b",
                "a|\xff|b");
    check_words(" \xff\xfe!", " \xff\xfe!");
    check_words("a\xe4\xbd", "a|\xe4\xbd");
    check_words("a\xed\xa0\x80", "a|\xed\xa0\x80");
    check_words("\xc0\xa0 x", "\xc0\xa0| x");
}
END_TEST

START_TEST(words_cover_any_bytes) {
    enum { SIZE = 20000 };
    static char text[SIZE];
    for (size_t i = 0; i < SIZE; i++) {
        text[i] = draw(1, 2 * i, 3) ? " \n'sl\xe4\xbd\xa0"[draw(1, 2 * i + 1, 8)]
                                    : (char)draw(1, 2 * i + 1, 256);
    }
    size_t words = 0;
    for (size_t start = 0, end; start < SIZE; start = end, words++) {
        end = md_split_gpt2(text, SIZE, start);
        ck_assert(end > start && end <= SIZE);
    }
    ck_assert_uint_gt(words, SIZE / 10);
}
END_TEST

static void check_nfc(const char *text, size_t size, const char *expected, size_t expected_size) {
    mdlm_error err;
    md_buffer out = {0};
    assert_ok(md_nfc(text, size, &out, &err));
    ck_assert_uint_eq(out.size, expected_size);
    if (out.size > 0) ck_assert_mem_eq(out.data, expected, out.size);
    md_buffer_release(&out);
}

static void check_nfc_text(const char *text, const char *expected) {
    check_nfc(text, strlen(text), expected, strlen(expected));
}

START_TEST(normalisation_composes_and_orders_marks) {
    check_nfc_text("", "");
    check_nfc_text("plain", "plain");
    check_nfc_text("xe\u0301y", "x\u00e9y");
    check_nfc_text("\u0301e", "\u0301e");
    check_nfc_text("q\u0307\u0323", "q\u0323\u0307");
    check_nfc_text("\u212b \u1112\u1161\u11ab", "\u00c5 \ud55c");
}
END_TEST

START_TEST(normalisation_keeps_invalid_bytes) {
    check_nfc_text("\xff"
                   "e\u0301\xc3",
                   "\xff\u00e9\xc3");
    check_nfc_text("e\xcc", "e\xcc");
    check_nfc_text("e\xff\u0301", "e\xff\u0301");
    check_nfc("e\0\u0301", 4, "e\0\u0301", 4);
}
END_TEST

START_TEST(normalisation_agrees_with_utf8proc_even_on_long_runs_of_marks) {
    static const int32_t starts[] = {'a',    'E',   0x3b1,  0x1112, 0x1161, 0x11ab,
                                     0xac00, 0x915, 0x212b, 0x1f82, ' ',    0x4e00};
    for (uint64_t seed = 0; seed < 40; seed++) {
        char text[8000];
        size_t size = 0;
        int marks = seed < 20 ? 3 : 200; /* a few, or runs that take the counting sort */
        for (size_t i = 0; i < 1500; i++) {
            int32_t c = draw(seed, 2 * i, marks) == 0 ? starts[draw(seed, 2 * i + 1, 12)]
                                                      : 0x300 + draw(seed, 2 * i + 1, 0x70);
            size += md_utf8_put(c, text + size);
        }
        utf8proc_uint8_t *expected = NULL;
        utf8proc_ssize_t length =
            utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &expected,
                         (utf8proc_option_t)(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
        ck_assert_int_gt(length, 0);
        check_nfc(text, size, (const char *)expected, (size_t)length);
        free(expected);
    }
}
END_TEST

START_TEST(a_megabyte_of_marks_is_normalised) {
    enum { MARKS = 500000 };
    char *text = malloc(2 * MARKS);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < MARKS; i++) memcpy(text + 2 * i, i % 2 ? "\u0323" : "\u0301", 2);
    mdlm_error err;
    md_buffer out = {0};
    assert_ok(md_nfc(text, 2 * MARKS, &out, &err));
    ck_assert_uint_eq(out.size, 2 * MARKS);
    ck_assert_mem_eq(out.data, "\u0323\u0323", 4);
    ck_assert_mem_eq(out.data + out.size - 4, "\u0301\u0301", 4);
    md_buffer_release(&out);
    free(text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer_split");
    suite_case(s, a_word_takes_one_space_before_it);
    suite_case(s, contractions_are_words_of_their_own);
    suite_case(s, contractions_need_lower_case_and_the_start_of_a_word);
    suite_case(s, the_last_space_of_a_run_is_left_to_the_word_after_it);
    suite_case(s, trailing_spaces_stay_together);
    suite_case(s, letters_numbers_and_the_rest_part_ways);
    suite_case(s, categories_are_those_of_unicode);
    suite_case(s, spaces_beyond_ascii_are_spaces_but_lead_no_word);
    suite_case(s, bytes_that_are_not_utf8_are_other_symbols);
    suite_case(s, words_cover_any_bytes);
    suite_case(s, normalisation_composes_and_orders_marks);
    suite_case(s, normalisation_keeps_invalid_bytes);
    suite_case(s, normalisation_agrees_with_utf8proc_even_on_long_runs_of_marks);
    suite_case(s, a_megabyte_of_marks_is_normalised);
    return suite_run(s);
}
