/* tests/test_tokenizer_cuts.c: pre-tokenizers. What behaviours do was checked against Hugging
 * Face's tokenizers 0.23; the functions of tokenizer/split.h are compared with the engine here. */
#include "base/memory.h"
#include "tests/test_tokenizer.h"
#include "tokenizer/cuts.h"
#include "tokenizer/unicode.h"

static mdlm_error err;

static mdlm_status add_word(void *context, const char *word, size_t size, mdlm_error *e) {
    md_buffer *words = context;
    ck_assert_uint_gt(size, 0);
    MD_TRY(md_buffer_append(words, word, size, e));
    return md_buffer_append(words, "\x1f", 1, e);
}

/* Words, each with U+001F behind it. */
static void cut_into(const md_cuts *cuts, const char *text, size_t size, md_buffer *words) {
    md_buffer_clear(words);
    assert_ok(md_buffer_text(words, "", &err));
    assert_ok(md_cuts_each(cuts, text, size, add_word, words, &err));
}

/* Words joined with '|'. */
static void check_words(const md_cuts *cuts, const char *text, const char *expected) {
    md_buffer words = {0};
    cut_into(cuts, text, strlen(text), &words);
    for (size_t i = 0; i < words.size; i++) {
        if (words.data[i] == 0x1f) words.data[i] = '|';
    }
    if (words.size > 0) words.data[words.size - 1] = 0;
    ck_assert_str_eq(words.data, expected);
    md_buffer_release(&words);
}

static void check_cut(md_cut cut, const char *text, const char *expected) {
    md_cuts cuts = {0};
    assert_ok(md_cuts_add(&cuts, &cut, &err));
    check_words(&cuts, text, expected);
    md_cuts_release(&cuts);
}

#define CUT(text, how, ...) ((md_cut){.source = text, .behaviour = how, __VA_ARGS__})

START_TEST(each_behaviour_does_with_matches_what_its_name_says) {
    static const char text[] = "a--b-c-";
    check_cut(CUT("-", MD_CUT_ISOLATED, .literal = true), text, "a|-|-|b|-|c|-");
    check_cut(CUT("-", MD_CUT_REMOVED, .literal = true), text, "a|b|c");
    check_cut(CUT("-", MD_CUT_MERGED_WITH_PREVIOUS, .literal = true), text, "a-|-|b-|c-");
    check_cut(CUT("-", MD_CUT_MERGED_WITH_NEXT, .literal = true), text, "a|-|-b|-c|-");
    check_cut(CUT("-", MD_CUT_CONTIGUOUS, .literal = true), text, "a|--|b|-|c|-");
    check_cut(CUT("-", MD_CUT_REMOVED, .literal = true, .invert = true), text, "-|-|-|-");
    check_cut(CUT("-", MD_CUT_ISOLATED, .literal = true, .invert = true), text, "a|-|-|b|-|c|-");
    check_cut(CUT("-", MD_CUT_MERGED_WITH_NEXT, .literal = true), "--", "-|-");
    check_cut(CUT("-", MD_CUT_REMOVED, .literal = true), "--", "");
    check_cut(CUT("-", MD_CUT_MERGED_WITH_PREVIOUS, .literal = true), "-a", "-|a");
    check_cut(CUT("", MD_CUT_ISOLATED, .literal = true), "ab", "ab");
    check_cut(CUT("--", MD_CUT_ISOLATED, .literal = true), "a---b", "a|--|-b");
}
END_TEST

START_TEST(without_cuts_a_text_is_one_word) {
    md_cuts none = {0};
    check_words(&none, "a b\n\nc", "a b\n\nc");
    check_words(&none, "", "");
}
END_TEST

/* Text in which the expressions differ: letters, numbers, spaces of all kinds, apostrophes. */
static const char *const bits[] = {
    " ",      " ",       "\n",       "\r",     "\t",     "'",          "'s",     "'S",     "'ll",
    "'Ve",    "'\u017f", "a",        "Z",      "1",      "23",         "-",      "!",      "_",
    "\0",     "/",       "l",        "d",      "re",     "\u00e9",     "\u0301", "\u4f60", "\u00a0",
    "\u2028", "\u3000",  "\xc2\x85", "\u00bd", "\u0663", "\U0001f600", "\u212a", "\u01c5"};
enum { BITS = sizeof bits / sizeof *bits, ROUNDS = 1000, BITS_EACH = 24 };

static void random_text(uint64_t seed, size_t round, bool broken, md_buffer *text) {
    md_buffer_clear(text);
    for (size_t i = 0; i < BITS_EACH; i++) {
        int which = draw(seed, round * BITS_EACH + i, broken ? BITS + 3 : BITS);
        const char *bit = which < BITS ? bits[which] : which == BITS ? "\xff" : "\xe4";
        assert_ok(md_buffer_append(text, bit, *bit ? strlen(bit) : 1, &err));
    }
}

#ifdef MDLM_HAVE_ONIG

/* Cuts by this spelling use the engine: another group around it keeps the function away. */
static void add_by_engine(md_cuts *cuts, const char *source) {
    md_buffer spelled = {0};
    assert_ok(md_buffer_printf(&spelled, &err, "(?:%s)", source));
    assert_ok(md_cuts_add(cuts, &(md_cut){.source = spelled.data}, &err));
    ck_assert_ptr_null(cuts->steps[0].split);
    md_buffer_release(&spelled);
}

START_TEST(functions_cut_as_the_engine_does) {
    static const char *const names[] = {"gpt-2", "qwen2", "llama-bpe", "bailingmoe", "starcoder"};
    md_buffer text = {0}, by_hand = {0}, by_engine = {0};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        md_cuts ours = {0}, engine = {0};
        bool ignore;
        assert_ok(md_cuts_add_named(&ours, names[n], &ignore, &err));
        ck_assert_ptr_nonnull(ours.steps[0].split);
        add_by_engine(&engine, ours.steps[0].cut.source);
        if (ours.count == 2) assert_ok(md_cuts_add(&engine, &ours.steps[1].cut, &err));
        for (size_t round = 0; round < ROUNDS; round++) {
            random_text(31 + n, round, round % 4 == 0, &text);
            cut_into(&ours, text.data, text.size, &by_hand);
            cut_into(&engine, text.data, text.size, &by_engine);
            ck_assert_msg(by_hand.size == by_engine.size &&
                              !memcmp(by_hand.data, by_engine.data, by_hand.size),
                          "%s, round %zu:\n%s\n%s", names[n], round, by_hand.data, by_engine.data);
        }
        md_cuts_release(&ours);
        md_cuts_release(&engine);
    }
    md_buffer_release(&text);
    md_buffer_release(&by_hand);
    md_buffer_release(&by_engine);
}
END_TEST

START_TEST(empty_matches_cut_between_characters) {
    check_cut(CUT("(?=[A-Z])", MD_CUT_ISOLATED), "aBcD", "a|Bc|D");
    check_cut(CUT("\\d*", MD_CUT_ISOLATED), "a12b", "a|12|b");
    check_cut(CUT("x*", MD_CUT_ISOLATED), "\u4f60\u597d", "\u4f60|\u597d");
}
END_TEST

START_TEST(cuts_in_a_row_see_pieces_alone) {
    md_cuts cuts = {0};
    assert_ok(md_cuts_add(&cuts, &CUT("-", MD_CUT_REMOVED, .literal = true), &err));
    assert_ok(md_cuts_add(&cuts, &CUT("a$|^b", MD_CUT_ISOLATED), &err));
    check_words(&cuts, "xa-bx", "x|a|b|x");
    md_cuts_release(&cuts);
}
END_TEST

START_TEST(every_named_pre_tokenizer_covers_any_bytes) {
    static const char *const names[] = {
        "gpt-2",     "qwen2",   "bailingmoe",   "llama-bpe",   "dbrx",      "starcoder",
        "falcon",    "default", "deepseek-llm", "deepseek-v3", "superbpe",  "deepseek-coder",
        "poro-chat", "viking",  "tekken",       "gpt-4o",      "seed-coder"};
    md_buffer text = {0}, words = {0};
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        md_cuts cuts = {0};
        bool ignore = false;
        char name[MD_PRE_NAME_BYTES];
        assert_ok(md_cuts_add_named(&cuts, names[n], &ignore, &err));
        ck_assert(md_cuts_name(&cuts, ignore, name));
        ck_assert_str_eq(name, names[n]);
        for (size_t round = 0; round < 200; round++) {
            random_text(77, round, true, &text);
            cut_into(&cuts, text.data, text.size, &words);
            size_t kept = 0;
            for (size_t i = 0; i < words.size; i++) {
                if (words.data[i] != 0x1f) words.data[kept++] = words.data[i];
            }
            ck_assert_uint_eq(kept, text.size);
            ck_assert_mem_eq(words.data, text.data, kept);
        }
        md_cuts_release(&cuts);
    }
    md_buffer_release(&text);
    md_buffer_release(&words);
}
END_TEST

START_TEST(expressions_that_cannot_be_read_are_refused) {
    static const char *const sources[][2] = {
        {"a(", "'a(' cannot be read: end pattern with unmatched parenthesis"},
        {"[", "cannot be read"},
        {"\\p{Nonsense}", "cannot be read: invalid character property name"},
        {"a\xff", "cannot be read"},
    };
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        md_cuts cuts = {0};
        assert_fails(md_cuts_add(&cuts, &(md_cut){.source = sources[i][0]}, &err), MDLM_INPUT,
                     sources[i][1]);
        ck_assert_int_eq(cuts.count, 0);
    }
    char *longest = md_alloc(MD_PATTERN_BYTES + 2, 1, &err);
    memset(longest, 'a', MD_PATTERN_BYTES + 1);
    md_cuts cuts = {0};
    assert_fails(md_cuts_add(&cuts, &(md_cut){.source = longest}, &err), MDLM_INPUT,
                 "has 16385 bytes, more than 16384");
    md_free(longest);
    for (int i = 0; i < MD_MOST_CUTS; i++) assert_ok(md_cuts_add(&cuts, &CUT("a", 0), &err));
    assert_fails(md_cuts_add(&cuts, &CUT("a", 0), &err), MDLM_INPUT, "more than 16 parts");
    md_cuts_release(&cuts);
}
END_TEST

/* Both exponential; the second at every place. */
START_TEST(expressions_that_take_too_many_steps_end_with_an_error) {
    static const char *const sources[] = {"(a+)+b", "(?:a|aa)*b"};
    enum { SIZE = 20000 };
    char *text = md_alloc(SIZE, 1, &err);
    memset(text, 'a', SIZE);
    for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
        md_cuts cuts = {0};
        md_buffer words = {0};
        assert_ok(md_cuts_add(&cuts, &(md_cut){.source = sources[i]}, &err));
        assert_fails(md_cuts_each(&cuts, text, SIZE, add_word, &words, &err), MDLM_INPUT, "steps");
        md_buffer_release(&words);
        md_cuts_release(&cuts);
    }
    md_free(text);
}
END_TEST

/* At every letter it reads all that follow, and takes no step back: 2^33 bytes in all. */
START_TEST(expressions_that_read_ahead_in_vain_end_with_an_error) {
    enum { SIZE = 1 << 17 };
    char *text = md_alloc(SIZE, 1, &err);
    md_cuts cuts = {0};
    md_buffer words = {0};
    memset(text, 'a', SIZE);
    assert_ok(md_cuts_add(&cuts, &(md_cut){.source = "a+b"}, &err));
    assert_fails(md_cuts_each(&cuts, text, SIZE, add_word, &words, &err), MDLM_INPUT,
                 "takes more than 1.8 seconds of processor time on this text of 131072 bytes");
    md_cuts_release(&cuts);
    md_buffer_release(&words);
    md_free(text);
}
END_TEST

static mdlm_status count_bytes(void *context, const char *word, size_t size, mdlm_error *e);

/* The limit is some 64 steps back a byte: whoever is within it for these takes linear time. Only
 * the expression that counts threes of digits from behind is not. */
START_TEST(published_expressions_stay_within_the_limit_on_hostile_text) {
    static const char *const names[] = {"gpt-4o",   "tekken",       "falcon",
                                        "bloom",    "deepseek-llm", "deepseek-coder",
                                        "superbpe", "deepseek-v3"};
    static const char *const pieces[] = {"a",   "A",   " ",  "\n",     "'s",     "1",  "-",
                                         "\t ", " \n", ".1", "\u0301", "\u4f60", "aA", "\xff"};
    enum { SIZE = 1 << 15 };
    char *text = md_alloc(SIZE, 1, &err);
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        md_cuts cuts = {0};
        bool ignore;
        assert_ok(md_cuts_add_named(&cuts, names[n], &ignore, &err));
        for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
            size_t length = strlen(pieces[p]), bytes = 0;
            for (size_t i = 0; i < SIZE - 1; i++) text[i] = pieces[p][i % length];
            text[SIZE - 1] = 'x';
            mdlm_status status = md_cuts_each(&cuts, text, SIZE, count_bytes, &bytes, &err);
            bool counts = strcmp(names[n], "superbpe") == 0 && pieces[p][0] == '1';
            ck_assert_msg(status == (counts ? MDLM_INPUT : MDLM_OK), "%s on '%s': %s", names[n],
                          pieces[p], status ? err.message : "it passed");
            if (!counts) ck_assert_uint_eq(bytes, SIZE);
        }
        md_cuts_release(&cuts);
    }
    md_free(text);
}
END_TEST

#else

START_TEST(without_the_engine_unusual_expressions_are_refused) {
    md_cuts cuts = {0};
    assert_fails(md_cuts_add(&cuts, &CUT("a+", MD_CUT_ISOLATED), &err), MDLM_INPUT,
                 "'a+' needs Oniguruma, which this program was built without");
    assert_ok(md_cuts_add(&cuts, &(md_cut){.source = md_expression_qwen2}, &err));
    check_words(&cuts, "a b", "a| b");
    md_cuts_release(&cuts);
}
END_TEST

#endif

static mdlm_status count_bytes(void *context, const char *word, size_t size, mdlm_error *e) {
    (void)word, (void)e;
    *(size_t *)context += size;
    return MDLM_OK;
}

/* Half a megabyte of one thing: a walk that is quadratic would take an hour. */
START_TEST(long_runs_take_linear_time) {
    static const char *const pieces[] = {"a", " ", "\n", "-", "'", " \n", "\xff", "\t "};
    static const char *const names[] = {"gpt-2", "qwen2", "starcoder"};
    enum { SIZE = 1 << 19 };
    char *text = md_alloc(SIZE, 1, &err);
    for (size_t p = 0; p < sizeof pieces / sizeof *pieces; p++) {
        size_t length = strlen(pieces[p]);
        for (size_t i = 0; i < SIZE - 1; i++) text[i] = pieces[p][i % length];
        text[SIZE - 1] = 'x';
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            md_cuts cuts = {0};
            bool ignore;
            size_t bytes = 0;
            assert_ok(md_cuts_add_named(&cuts, names[n], &ignore, &err));
            assert_ok(md_cuts_each(&cuts, text, SIZE, count_bytes, &bytes, &err));
            ck_assert_uint_eq(bytes, SIZE);
            md_cuts_release(&cuts);
        }
    }
    md_free(text);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer_cuts");
    suite_case(s, each_behaviour_does_with_matches_what_its_name_says);
    suite_case(s, without_cuts_a_text_is_one_word);
#ifdef MDLM_HAVE_ONIG
    suite_case(s, functions_cut_as_the_engine_does);
    suite_case(s, empty_matches_cut_between_characters);
    suite_case(s, cuts_in_a_row_see_pieces_alone);
    suite_case(s, every_named_pre_tokenizer_covers_any_bytes);
    suite_case(s, expressions_that_cannot_be_read_are_refused);
    suite_case(s, expressions_that_take_too_many_steps_end_with_an_error);
    suite_case(s, expressions_that_read_ahead_in_vain_end_with_an_error);
    suite_case(s, published_expressions_stay_within_the_limit_on_hostile_text);
#else
    suite_case(s, without_the_engine_unusual_expressions_are_refused);
#endif
    suite_case(s, long_runs_take_linear_time);
    return suite_run(s);
}
