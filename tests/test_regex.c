/* tests/test_regex.c: expressions against a backtracking matcher, by hand, and hostile ones. */
#include "tokenizer/regex.h"

#include "base/buffer.h"
#include "tests/test_tokenizer.h"

static mdlm_error err;

static md_regex *compiled(const char *pattern) {
    md_regex *re = NULL;
    assert_ok(md_regex_new(pattern, strlen(pattern), &re, &err));
    return re;
}

static bool matches(const char *pattern, const char *text) {
    md_regex *re = compiled(pattern);
    bool yes = md_regex_matches(re, text, strlen(text));
    md_regex_free(re);
    return yes;
}

/* Texts, ended by NULL, first those that match, then after "|" those that do not. */
static void expect(const char *pattern, const char *const *list) {
    bool wanted = true;
    for (; *list; list++) {
        if (strcmp(*list, "|") == 0)
            wanted = false;
        else
            ck_assert_msg(matches(pattern, *list) == wanted, "/%s/ and '%s'", pattern, *list);
    }
}
#define EXPECT(pattern, ...) expect(pattern, (const char *const[]){__VA_ARGS__, NULL})

START_TEST(the_syntax_means_what_the_header_says) {
    EXPECT("", "", "|", "a");
    EXPECT("abc", "abc", "|", "ab", "abcd", "xabc");
    EXPECT("^a|b$", "a", "b", "|", "", "ab");
    EXPECT("a|", "a", "", "|", "aa");
    EXPECT("(a|b)*c", "c", "abbac", "|", "abba", "cc");
    EXPECT("(?:ab)+", "ab", "abab", "|", "", "aba");
    EXPECT("a{3}", "aaa", "|", "aa", "aaaa");
    EXPECT("a{2,}", "aa", "aaaaa", "|", "a");
    EXPECT("a{1,3}b?", "a", "aaab", "|", "aaaa", "b");
    EXPECT("a{0}", "", "|", "a");
    EXPECT("(a*)*b", "b", "aaab", "|", "a");
    EXPECT("\\d+\\.\\d\\d", "3.14", "|", "3,14", "3.1");
    EXPECT("\\w\\W\\s\\S", "a- b", "_\xc3\xa9\tb", "|", "- ab");
    EXPECT("\\n\\t\\x41\\\\\\[", "\n\tA\\[", "|", "ntx41\\[");
    EXPECT("[a-c]", "a", "b", "c", "|", "d", "-", "");
    EXPECT("[^a-c]", "d", "-", "\xc3\xa9", "\n", "|", "a", "");
    EXPECT("[]a]", "]", "a", "|", "[");
    EXPECT("[^]a]", "b", "|", "]", "a");
    EXPECT("[a-]", "a", "-", "|", "b");
    EXPECT("[\\d.x-z]", "7", ".", "y", "|", "a");
    EXPECT("[\\D]", "a", "|", "7");
    EXPECT("{\"a\": [0-9]+}", "{\"a\": 12}", "|", "{\"a\": }");
    EXPECT("a{,b", "a{,b", "|", "a");
}
END_TEST

START_TEST(characters_outside_of_ascii_are_one_character) {
    EXPECT(".", "a", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "|", "\n", "", "\xc3", "ab",
           "\xff", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80");
    EXPECT("\xc3\xa9+", "\xc3\xa9", "\xc3\xa9\xc3\xa9", "|", "\xc3", "\xc3\xa9\xa9");
    EXPECT("[\xc3\xa0-\xc3\xbc]", "\xc3\xa9", "|", "\xc3\xbd", "a", "\xc3\x9f");
    EXPECT("[^\xc3\xa9]", "\xc3\xa8", "a", "|", "\xc3\xa9", "\xc3");
    EXPECT("[a-\xf4\x8f\xbf\xbf]", "z", "\xee\x80\x80", "|", "A", "\xed\xa0\x80");
    EXPECT("\\xff", "\xff", "|", "\xc3\xbf");
    EXPECT("[\\x80-\\xff]*", "\x80\xff\xc3", "|", "a");
    EXPECT("\\x00", "|", "");
    md_regex *re = compiled("a\\x00b");
    ck_assert(md_regex_matches(re, "a\0b", 3));
    md_regex_free(re);
}
END_TEST

/* A class of characters against a list of all scalar values, byte sequence by byte sequence. */
START_TEST(classes_hold_every_scalar_value_that_they_name) {
    static const char pattern[] =
        "[\xc2\x85-\xe1\x80\x95\xed\x9f\xbf-\xee\x80\x83\xf1\x80\x80\x81]";
    md_regex *in = compiled(pattern), *any = compiled("[\\s\\S]");
    for (uint32_t c = 0; c < 0x110000; c++) {
        char text[4];
        size_t size = 0;
        if (c < 0x80) {
            text[size++] = (char)c;
        } else {
            int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
            static const int lead[] = {0, 0xc0, 0xe0, 0xf0};
            text[size++] = (char)(lead[more] | (int)(c >> 6 * more));
            while (more-- > 0) text[size++] = (char)(0x80 | (c >> 6 * more & 0x3f));
        }
        bool scalar = c < 0xd800 || c > 0xdfff;
        bool named = (c >= 0x85 && c <= 0x1015) || (c >= 0xd7ff && c <= 0xe003) || c == 0x40001;
        if (md_regex_matches(any, text, size) != scalar ||
            md_regex_matches(in, text, size) != (scalar && named))
            ck_abort_msg("U+%04X", (unsigned)c);
    }
    md_regex_free(in);
    md_regex_free(any);
}
END_TEST

static void refuse(const char *pattern, const char *message) {
    md_regex *re = NULL;
    assert_fails(md_regex_new(pattern, strlen(pattern), &re, &err), MDLM_USAGE, message);
    ck_assert_ptr_null(re);
}

START_TEST(what_is_malformed_or_not_supported_is_told_with_its_place) {
    refuse("a(b", "byte 2: '(' without ')'");
    refuse("ab)", "byte 3: ')' without '('");
    refuse("x[ab", "byte 2: '[' without ']'");
    refuse("x[]", "byte 2: '[' without ']'");
    refuse("*a", "byte 1: nothing to repeat");
    refuse("a|+", "byte 3: nothing to repeat");
    refuse("{2}", "byte 1: nothing to repeat");
    refuse("a*?", "byte 3: lazy");
    refuse("a++", "byte 3: lazy");
    refuse("a{2}{3}", "byte 5: lazy");
    refuse("a{3,2}", "wrong way round");
    refuse("a{70000}", "too large");
    refuse("(a)\\1", "byte 4: backreferences");
    refuse("(?=a)", "byte 1: '(?'");
    refuse("(?i)a", "byte 1: '(?'");
    refuse("a\\b", "byte 2: no anchor");
    refuse("a^b", "byte 2: '^'");
    refuse("a$b", "byte 2: '$'");
    refuse("(a$)", "byte 3: '$'");
    refuse("\\pL", "byte 1: this escape");
    refuse("\\x4", "byte 1: '\\x'");
    refuse("a\\", "byte 2: a backslash");
    refuse("[z-a]", "byte 2: a range");
    refuse("[\\d-a]", "byte 2: a range");
    refuse("[a-\\xff]", "byte 2: a range");
    refuse("[[:alpha:]]", "byte 2: POSIX");
    refuse("[^\\xff]", "byte 1: bytes from");
    refuse("a\xff", "byte 2: a byte that is no UTF-8");
    refuse("[^\\s\\S]", "no text matches");
    refuse("a[^\\d\\D]b", "no text matches");
}
END_TEST

/* The limits bound the work, whatever the expression: the suite's time limit would notice. */
START_TEST(hostile_expressions_end_with_an_error) {
    enum { LONG = 1 << 20 };
    char *text = malloc(LONG + 1);
    memset(text, '(', LONG);
    text[LONG] = 0;
    refuse(text, "expected at most 65536");
    text[60000] = 0;
    refuse(text, "nested too deeply");
    memset(text, 'a', 60000);
    refuse(text, "more than 4096 states");
    refuse("(a{1000}){1000}", "too large");
    refuse("((((){1000}){1000}){1000}){1000}", "too large");
    refuse("((a?){500}){500}", "too large");
    refuse("(a|b)*a(a|b){20}", "too complex");
    refuse("(.*a){1000}(.*b){1000}", "too complex");
    refuse("(a?b?c?d?e?f?g?h?){4000}x", "too complex");
    free(text);
}
END_TEST

/* Cutting dead ends must not cut what lives, and must leave nothing that leads nowhere. */
START_TEST(states_that_lead_nowhere_are_cut) {
    md_regex *re = compiled("ab[^\\s\\S]|ac");
    int state = md_regex_next(re, 0, 'a');
    ck_assert_int_ge(state, 0);
    ck_assert_int_eq(md_regex_next(re, state, 'b'), MD_REGEX_DEAD);
    ck_assert(md_regex_accepts(re, md_regex_next(re, state, 'c')));
    md_regex_free(re);
}
END_TEST

/* --- random expressions against a matcher that knows nothing of automata ---------------------- */

/* A tree over the letters a, b, c and U+00E9. */
typedef struct tree {
    enum { LETTER, ANY, NOT_A, PAIR, EITHER, REPEAT } kind;
    int letter, min, max;
    struct tree *left, *right;
} tree;

typedef struct source {
    uint64_t seed;
    size_t at;
} source;

static int next(source *s, int n) {
    return draw(s->seed, s->at++, n);
}

static const char *const letters[] = {"a", "b", "c", "\xc3\xa9"};

static tree *grow(source *s, int depth) {
    tree *t = calloc(1, sizeof *t);
    int kind = next(s, depth > 0 ? 8 : 3);
    if (kind < 3) {
        t->kind = kind == 0 ? ANY : kind == 1 ? NOT_A : LETTER;
        t->letter = next(s, 4);
        return t;
    }
    t->kind = kind < 5 ? PAIR : kind < 6 ? EITHER : REPEAT;
    t->left = grow(s, depth - 1);
    if (t->kind != REPEAT) t->right = grow(s, depth - 1);
    t->min = next(s, 3);
    t->max = next(s, 2) ? -1 : t->min + next(s, 3);
    return t;
}

static void cut(tree *t) {
    if (!t) return;
    cut(t->left);
    cut(t->right);
    free(t);
}

static void write_tree(const tree *t, md_buffer *out) {
    switch (t->kind) {
    case LETTER: assert_ok(md_buffer_text(out, letters[t->letter], &err)); return;
    case ANY: assert_ok(md_buffer_text(out, ".", &err)); return;
    case NOT_A: assert_ok(md_buffer_text(out, "[^a]", &err)); return;
    default: break;
    }
    assert_ok(md_buffer_text(out, "(", &err));
    write_tree(t->left, out);
    if (t->kind == EITHER) assert_ok(md_buffer_text(out, "|", &err));
    if (t->right) write_tree(t->right, out);
    assert_ok(md_buffer_text(out, ")", &err));
    if (t->kind != REPEAT) return;
    if (t->max < 0)
        assert_ok(md_buffer_printf(out, &err, t->min == 0 ? "*" : t->min == 1 ? "+" : "{2,}"));
    else
        assert_ok(md_buffer_printf(out, &err, "{%d,%d}", t->min, t->max));
}

/* Bit j of the result: the tree matches the letters text[i..j). */
static unsigned ends(const tree *t, const int *text, int size, int i);

static unsigned follow_all(const tree *t, const int *text, int size, unsigned from) {
    unsigned to = 0;
    for (int j = 0; j <= size; j++)
        if (from >> j & 1) to |= ends(t, text, size, j);
    return to;
}

static unsigned ends(const tree *t, const int *text, int size, int i) {
    unsigned one = i < size ? 1u << (i + 1) : 0, from = 1u << i, all = 0;
    switch (t->kind) {
    case LETTER: return i < size && text[i] == t->letter ? one : 0;
    case ANY: return one;
    case NOT_A: return i < size && text[i] != 0 ? one : 0;
    case PAIR: return follow_all(t->right, text, size, ends(t->left, text, size, i));
    case EITHER: return ends(t->left, text, size, i) | ends(t->right, text, size, i);
    case REPEAT: break;
    }
    int most = t->max < 0 ? t->min + size + 1 : t->max;
    for (int n = 0; n <= most; n++) {
        if (n >= t->min) all |= from;
        from = follow_all(t->left, text, size, from);
    }
    return all;
}

/* All texts of at most 4 letters, for 2,000 expressions. */
START_TEST(random_expressions_match_what_backtracking_matches) {
    int yes = 0, no = 0;
    for (uint64_t seed = 0; seed < 2000; seed++) {
        source s = {.seed = seed};
        tree *t = grow(&s, 3);
        md_buffer pattern = {0};
        write_tree(t, &pattern);
        md_regex *re = compiled(pattern.data);
        for (int code = 0, size = 0, block = 1; size <= 4; code++) {
            if (code == block) code = 0, block *= 4, size++;
            if (size > 4) break;
            int text[4];
            char bytes[9] = "";
            for (int j = 0, rest = code; j < size; j++, rest /= 4) {
                text[j] = rest % 4;
                strcat(bytes, letters[text[j]]);
            }
            bool wanted = ends(t, text, size, 0) >> size & 1;
            bool found = md_regex_matches(re, bytes, strlen(bytes));
            if (found != wanted) ck_abort_msg("/%s/ and '%s'", pattern.data, bytes);
            yes += wanted;
            no += !wanted;
        }
        md_regex_free(re);
        md_buffer_release(&pattern);
        cut(t);
    }
    ck_assert(yes > 50000 && no > 50000); /* the test sees both */
}
END_TEST

int main(void) {
    Suite *s = suite_create("regular expressions");
    suite_case(s, the_syntax_means_what_the_header_says);
    suite_case(s, characters_outside_of_ascii_are_one_character);
    suite_case(s, classes_hold_every_scalar_value_that_they_name);
    suite_case(s, what_is_malformed_or_not_supported_is_told_with_its_place);
    suite_case(s, hostile_expressions_end_with_an_error);
    suite_case(s, states_that_lead_nowhere_are_cut);
    suite_case(s, random_expressions_match_what_backtracking_matches);
    return suite_run(s);
}
