/* tests/test_automaton.c: expressions over tokens, and what fits where on a canvas, against the
 * enumeration of all short canvases. */
#include "tests/test_tokenizer.h"
#include "tokenizer/fitting.h"
#include "tokenizer/regex.h"

enum { FEW = 7 }; /* tokens that canvases are made of */

static mdlm_error err;

typedef struct fixture {
    md_tokenizer *tok;
    md_automaton *a;
    md_regex *re;
    int32_t few[FEW]; /* the drawable ones */
} fixture;

static int32_t id_of(const md_tokenizer *tok, const char *text) {
    for (int32_t id = 0; id < md_tokenizer_vocab_size(tok); id++) {
        size_t size;
        const char *bytes = md_tokenizer_piece(tok, id, &size);
        if (size == strlen(text) && !memcmp(bytes, text, size)) return id;
    }
    ck_abort_msg("no token '%s'", text);
    return -1;
}

/* A BPE tokenizer with tokens of one to three bytes, of which seven may be drawn: end-of-text, a,
 * b, "aa", "ab", and the two bytes of U+00E9. */
static void setup(fixture *f, const char *pattern) {
    static const char *const drawn[] = {"a", "b", "aa", "ab", "\xc3", "\xa9"};
    static const md_bpe_options opt = {.vocab_size = 261};
    *f = (fixture){0};
    assert_ok(md_tokenizer_train_bpe(TEXTS("aa", "aa", "aa", "ab", "ab"), &opt, &f->tok, &err));
    int vocab = md_tokenizer_vocab_size(f->tok) + 3; /* rows that no token has */
    uint8_t *allowed = calloc((size_t)vocab, 1);
    f->few[0] = md_tokenizer_end_of_text(f->tok);
    for (int i = 1; i < FEW; i++) f->few[i] = id_of(f->tok, drawn[i - 1]);
    for (int i = 0; i < FEW; i++) allowed[f->few[i]] = 1;
    assert_ok(md_automaton_new(f->tok, pattern, strlen(pattern), allowed, vocab, &f->a, &err));
    assert_ok(md_regex_new(pattern, strlen(pattern), &f->re, &err));
    free(allowed);
}

static void teardown(fixture *f) {
    md_automaton_free(f->a);
    md_regex_free(f->re);
    md_tokenizer_free(f->tok);
}

/* Whether a canvas of tokens matches, by decoding it: end-of-text is followed by nothing else. */
static bool canvas_matches(const fixture *f, const int32_t *ids, int length) {
    md_buffer text = {0};
    bool fine = true;
    assert_ok(md_buffer_text(&text, "", &err));
    for (int i = 0; i < length; i++)
        fine = fine && !(i > 0 && ids[i - 1] == f->few[0] && ids[i] != f->few[0]);
    assert_ok(md_tokenizer_decode(f->tok, ids, (size_t)length, &text, &err));
    fine = fine && md_regex_matches(f->re, text.data, text.size);
    md_buffer_release(&text);
    return fine;
}

static const char *const patterns[] = {"a*",       "(ab)+",          "[ab]{3}",
                                       "a?b?a?b?", "(a|\xc3\xa9)*b", "aab|b\xc3\xa9",
                                       ".{2}",     "a+b+|\xc3\xa9+"};
enum { PATTERNS = sizeof patterns / sizeof *patterns, LENGTH = 4, CANVASES = 8 * 8 * 8 * 8 };

/* Whether some assignment of the masks of `ids` matches, with position `at` set to `token`. */
static bool some_matches(const bool *match, const int *digits, int at, int token) {
    for (int code = 0; code < 7 * 7 * 7 * 7; code++) {
        int rest = code;
        bool fits = match[code];
        for (int i = 0; i < LENGTH && fits; i++, rest /= 7) {
            int digit = rest % 7;
            fits = i == at ? digit == token : digits[i] == FEW || digits[i] == digit;
        }
        if (fits) return true;
    }
    return false;
}

/* All 7^4 canvases, coded base 7, position 0 first. */
static void match_all(const fixture *f, bool *match) {
    for (int code = 0; code < 7 * 7 * 7 * 7; code++) {
        int32_t ids[LENGTH];
        for (int i = 0, rest = code; i < LENGTH; i++, rest /= 7) ids[i] = f->few[rest % 7];
        match[code] = canvas_matches(f, ids, LENGTH);
    }
}

/* Every canvas of four positions, each a mask or one of seven tokens (every 5th for time), every
 * position and token. One fitting goes through all, so that what it keeps is tested as well. */
START_TEST(what_is_allowed_is_what_some_canvas_that_matches_has) {
    fixture f;
    bool match[7 * 7 * 7 * 7];
    md_fitting *fit = NULL;
    setup(&f, patterns[_i]);
    match_all(&f, match);
    int32_t mask = md_tokenizer_mask(f.tok);
    assert_ok(md_fitting_new(f.a, mask, 0, LENGTH, &fit, &err));
    uint8_t *allowed = malloc((size_t)f.a->vocab);
    for (int code = 0; code < CANVASES; code += 5) {
        int digits[LENGTH];
        int32_t ids[LENGTH];
        for (int i = 0, rest = code; i < LENGTH; i++, rest /= 8) {
            digits[i] = rest % 8;
            ids[i] = digits[i] == FEW ? mask : f.few[digits[i]];
        }
        bool possible = md_fitting_begin(fit, ids);
        ck_assert_int_eq(possible, some_matches(match, digits, -1, 0));
        for (int at = 0; at < LENGTH && possible; at++) {
            if (digits[at] != FEW) continue;
            md_fitting_allow(fit, at, allowed);
            int total = 0;
            for (int v = 0; v < f.a->vocab; v++) total += allowed[v];
            for (int v = 0; v < FEW; v++) {
                bool wanted = some_matches(match, digits, at, v);
                ck_assert_int_eq(allowed[f.few[v]], wanted);
                total -= wanted;
            }
            ck_assert_int_eq(total, 0); /* and no token that may not be drawn */
        }
    }
    free(allowed);
    md_fitting_free(fit);
    teardown(&f);
}
END_TEST

/* Fixing from left to right, choosing at random, with some positions left masked: what is fixed is
 * then a canvas that can still be completed, and completing it in a second round matches. */
START_TEST(whatever_is_chosen_of_the_allowed_ends_in_a_match) {
    fixture f;
    md_fitting *fit = NULL;
    enum { LONG = 9 };
    setup(&f, patterns[_i]);
    int32_t mask = md_tokenizer_mask(f.tok);
    assert_ok(md_fitting_new(f.a, mask, 0, LONG, &fit, &err));
    uint8_t *allowed = malloc((size_t)f.a->vocab);
    for (uint64_t seed = 0; seed < 50; seed++) {
        int32_t ids[LONG];
        size_t at = 0;
        for (int i = 0; i < LONG; i++) ids[i] = mask;
        for (int round = 0; round < 3; round++) {
            ck_assert(md_fitting_begin(fit, ids));
            for (int i = 0; i < LONG; i++) {
                if (ids[i] != mask || (round < 2 && draw(seed, at++, 3))) continue;
                int left = 0, pick;
                md_fitting_allow(fit, i, allowed);
                for (int v = 0; v < FEW; v++) left += allowed[f.few[v]];
                ck_assert_int_gt(left, 0);
                pick = draw(seed, at++, left);
                for (int v = 0; v < FEW; v++)
                    if (allowed[f.few[v]] && pick-- == 0) ids[i] = f.few[v];
                md_fitting_fix(fit, i, ids[i]);
            }
        }
        ck_assert_msg(canvas_matches(&f, ids, LONG), "/%s/, seed %d", patterns[_i], (int)seed);
    }
    free(allowed);
    md_fitting_free(fit);
    teardown(&f);
}
END_TEST

/* The sentence for a canvas written as text, "_" for a mask, over bytes. */
static void explain(const char *pattern, const char *canvas, bool end_of_text, const char *reason) {
    md_tokenizer *tok = NULL;
    md_automaton *a = NULL;
    md_fitting *fit = NULL;
    assert_ok(md_tokenizer_bytes(&tok, &err));
    int32_t ids[64];
    int length = (int)strlen(canvas), vocab = md_tokenizer_vocab_size(tok);
    uint8_t allowed[300];
    memset(allowed, 1, sizeof allowed);
    allowed[md_tokenizer_end_of_text(tok)] = end_of_text;
    for (int i = 0; i < length; i++)
        ids[i] = canvas[i] == '_' ? md_tokenizer_mask(tok) : (uint8_t)canvas[i];
    assert_ok(md_automaton_new(tok, pattern, strlen(pattern), allowed, vocab, &a, &err));
    assert_ok(md_fitting_new(a, md_tokenizer_mask(tok), 0, length, &fit, &err));
    if (reason)
        assert_fails(md_fitting_explain(fit, ids, &err), MDLM_USAGE, reason);
    else
        assert_ok(md_fitting_explain(fit, ids, &err));
    md_fitting_free(fit);
    md_automaton_free(a);
    md_tokenizer_free(tok);
}

START_TEST(an_impossible_canvas_is_explained) {
    explain("\\d{4}-\\d{2}", "_______", true, NULL);
    explain("\\d{4}-\\d{2}", "________", true, NULL);
    explain("\\d{4}-\\d{2}", "________", false, "no text of just 8 tokens");
    explain("\\d{4}-\\d{2}", "_____", true, "at least 7 tokens: there are 5");
    explain("\\d{4}-\\d{2}", "20_-12", true, "at least 2 tokens: there are 1");
    explain("\\d{4}-\\d{2}", "20__-__", true, NULL);
    explain("\\d{4}-\\d{2}", "20_x_-__", true, "contradicts the regular expression at token 3");
    explain("\\d{4}-\\d{2}", "2__-__", true, "holes of these");
    explain("To .{3} or", "To __ or", true, "at least 3 tokens: there are 2");
    explain("To .{3} or", "To ___ o", true, "at its end");
    explain("To .{3} or", "So ___ or", true, "at token 0");
    explain("(ab)+", "__b_aa", true, "at token 5");
}
END_TEST

/* "c" may not be drawn, and is given. */
START_TEST(given_tokens_count_even_when_they_may_not_be_drawn) {
    fixture f;
    md_fitting *fit = NULL;
    setup(&f, "a*c");
    int32_t mask = md_tokenizer_mask(f.tok), c = id_of(f.tok, "c");
    assert_ok(md_fitting_new(f.a, mask, 1, 4, &fit, &err)); /* what is before `first` is free */
    const int32_t last[] = {mask, mask, mask, c}, middle[] = {c, c, mask, mask};
    const int32_t twice[] = {c, mask, c, c};
    ck_assert(md_fitting_begin(fit, last));
    uint8_t *allowed = malloc((size_t)f.a->vocab);
    md_fitting_allow(fit, 1, allowed);
    ck_assert(allowed[id_of(f.tok, "aa")] && !allowed[c] && !allowed[f.few[0]]);
    ck_assert(md_fitting_begin(fit, middle));
    md_fitting_allow(fit, 2, allowed);
    ck_assert(allowed[f.few[0]] && !allowed[id_of(f.tok, "a")]);
    ck_assert(!md_fitting_begin(fit, twice));
    free(allowed);
    md_fitting_free(fit);
    teardown(&f);
}
END_TEST

int main(void) {
    Suite *s = suite_create("expressions over tokens");
    TCase *tc = tcase_create("enumeration");
    tcase_add_loop_test(tc, what_is_allowed_is_what_some_canvas_that_matches_has, 0, PATTERNS);
    tcase_add_loop_test(tc, whatever_is_chosen_of_the_allowed_ends_in_a_match, 0, PATTERNS);
    suite_add_tcase(s, tc);
    suite_case(s, an_impossible_canvas_is_explained);
    suite_case(s, given_tokens_count_even_when_they_may_not_be_drawn);
    return suite_run(s);
}
