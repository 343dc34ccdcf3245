/* tests/test_corpora_generators.c: tales and the Markov source. */
#include "tests/suite.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/generators.h"

static mdlm_error err;

START_TEST(tales_are_reproducible_and_differ_by_seed) {
    md_buffer a = {0}, b = {0}, c = {0};
    assert_ok(md_tales(5, 20000, &a, &err));
    assert_ok(md_tales(5, 20000, &b, &err));
    assert_ok(md_tales(6, 20000, &c, &err));
    ck_assert_uint_ge(a.size, 20000);
    ck_assert_uint_eq(a.size, b.size);
    ck_assert_mem_eq(a.data, b.data, a.size);
    ck_assert(memcmp(a.data, c.data, 1000) != 0);
    md_buffer_release(&a), md_buffer_release(&b), md_buffer_release(&c);
}
END_TEST

START_TEST(a_longer_text_begins_with_the_shorter_one) {
    md_buffer a = {0}, b = {0};
    assert_ok(md_tales(5, 3000, &a, &err));
    assert_ok(md_tales(5, 9000, &b, &err));
    ck_assert_uint_lt(a.size, b.size);
    ck_assert_mem_eq(a.data, b.data, a.size);
    md_buffer_release(&a), md_buffer_release(&b);
}
END_TEST

START_TEST(the_shipped_tales_are_those_of_seed_1) {
    char *shipped = NULL;
    size_t size = 0;
    md_buffer made = {0};
    assert_ok(md_file_read(SOURCE_ROOT "/corpora/tales.txt", 1 << 24, &shipped, &size, &err));
    ck_assert(size > 600000 && size < 1000000);
    assert_ok(md_tales(1, (int64_t)size, &made, &err));
    ck_assert_uint_eq(made.size, size);
    ck_assert_mem_eq(made.data, shipped, size);
    md_buffer_release(&made);
    md_free(shipped);
}
END_TEST

static bool is_vowel(char c) {
    return c && strchr("aeiou", c) != NULL;
}

/* Slips of the grammar in one place of the text, which begins after `before`. */
static const char *slip(const char *text, size_t i) {
    const char *t = text + i;
    if (strchr("[]{}|\t\r", *t)) return "a bracket or a control character";
    if (strchr(" ,.!?\n", *t) && t[1] == ' ') return *t == ' ' || *t == '\n' ? "two spaces" : NULL;
    if (strchr(".!?,", *t) && strchr(".!?,", t[1]) && t[1]) return "two marks in a row";
    if (strchr(".!?", *t) && *t && t[1] == ' ' && t[2] >= 'a' && t[2] <= 'z')
        return "a sentence in lower case";
    if (strncmp(t, " a ", 3) == 0 && is_vowel(t[3])) return "a before a vowel";
    if (strncmp(t, " an ", 4) == 0 && !is_vowel(t[4])) return "an before a consonant";
    if (*t == '\n' && i > 0 && t[-1] != '\n' && !strchr(".!?\"", t[-1])) return "an open paragraph";
    return NULL;
}

START_TEST(tales_are_clean_text) {
    md_buffer text = {0};
    assert_ok(md_tales(11, 3000000, &text, &err));
    size_t quotes = 0;
    for (size_t i = 0; i < text.size; i++) {
        const char *fault = slip(text.data, i);
        ck_assert_msg(!fault, "%s: ...%.80s...", fault, text.data + (i > 40 ? i - 40 : 0));
        ck_assert(text.data[i] == '\n' || (text.data[i] >= ' ' && text.data[i] < 127));
        quotes += text.data[i] == '"';
        /* Every paragraph closes its quotation marks. */
        if (text.data[i] == '\n') ck_assert_uint_eq(quotes % 2, 0);
    }
    ck_assert_int_eq(text.data[text.size - 1], '\n');
    md_buffer_release(&text);
}
END_TEST

/* --- markov ----------------------------------------------------------------------------------- */

START_TEST(rows_are_distributions_above_the_floor) {
    for (uint64_t seed = 0; seed < 20; seed++) {
        md_markov chain;
        md_markov_init(&chain, seed);
        for (int i = 0; i < MD_MARKOV_SYMBOLS; i++) {
            double total = 0;
            for (int j = 0; j < MD_MARKOV_SYMBOLS; j++) {
                ck_assert_double_ge(chain.next[i][j], 1e-4);
                total += chain.next[i][j];
            }
            ck_assert_double_eq_tol(total, 1, 1e-14); /* 16 roundings */
        }
    }
}
END_TEST

START_TEST(rows_follow_the_dirichlet_law) {
    /* A component of Dirichlet(0.3) over 16 has mean 1/16 and variance m (1 - m) / (16 * 0.3 + 1);
     * the floor scales the deviation by 1 - 16e-4. */
    double sum = 0, n = 0, m = 1.0 / 16;
    for (uint64_t seed = 0; seed < 200; seed++) {
        md_markov chain;
        md_markov_init(&chain, seed);
        for (int i = 0; i < MD_MARKOV_SYMBOLS; i++)
            for (int j = 0; j < MD_MARKOV_SYMBOLS; j++, n++)
                sum += (chain.next[i][j] - m) * (chain.next[i][j] - m);
    }
    double expected = m * (1 - m) / (16 * 0.3 + 1) * (1 - 16e-4) * (1 - 16e-4);
    /* 51,200 squares whose own deviation is some 3 times their mean: 1.3 % of noise. */
    ck_assert_double_eq_tol(sum / n / expected, 1, 0.06);
}
END_TEST

START_TEST(the_start_distribution_is_stationary) {
    for (uint64_t seed = 0; seed < 20; seed++) {
        md_markov chain;
        md_markov_init(&chain, seed);
        double total = 0;
        for (int j = 0; j < MD_MARKOV_SYMBOLS; j++) {
            double after = 0;
            for (int i = 0; i < MD_MARKOV_SYMBOLS; i++) after += chain.start[i] * chain.next[i][j];
            ck_assert_double_eq_tol(after, chain.start[j], 1e-14); /* rounding of 16 products */
            total += chain.start[j];
        }
        ck_assert_double_eq_tol(total, 1, 1e-14);
    }
}
END_TEST

START_TEST(the_entropy_rate_is_what_long_texts_cost) {
    enum { TEXTS = 100, BYTES = 10000 };
    for (uint64_t seed = 1; seed <= 2; seed++) {
        md_markov chain;
        md_markov_init(&chain, seed);
        double sum = 0, squares = 0, rate = md_markov_entropy_rate(&chain), start = 0;
        for (uint64_t k = 0; k < TEXTS; k++) {
            md_buffer text = {0};
            double nats = 0;
            assert_ok(md_markov_text(&chain, 1000 + k, BYTES, &text, &err));
            ck_assert_uint_eq(text.size, BYTES);
            assert_ok(md_markov_nll(&chain, text.data, text.size, &nats, &err));
            sum += nats / TEXTS, squares += nats * nats / TEXTS;
            md_buffer_release(&text);
        }
        for (int i = 0; i < MD_MARKOV_SYMBOLS; i++) start -= chain.start[i] * log(chain.start[i]);
        double error = sqrt((squares - sum * sum) / (TEXTS - 1));
        /* The first symbol costs the entropy of the start. Four standard errors: odds 6e-5. */
        ck_assert_double_eq_tol(sum, start + (BYTES - 1) * rate, 4 * error);
        ck_assert_double_lt(error / sum, 0.01); /* the test is sharp */
    }
}
END_TEST

START_TEST(the_cost_of_a_small_text_is_the_sum_by_hand) {
    md_markov chain = {0};
    for (int i = 0; i < MD_MARKOV_SYMBOLS; i++) {
        chain.start[i] = 1.0 / 16;
        for (int j = 0; j < MD_MARKOV_SYMBOLS; j++) chain.next[i][j] = j == i ? 0.25 : 0.05;
    }
    double nats = 0;
    assert_ok(md_markov_nll(&chain, "aap\n\n", 5, &nats, &err));
    ck_assert_double_eq_tol(nats, log(16) + log(4) + log(20), 1e-12);
    assert_ok(md_markov_nll(&chain, "\n", 1, &nats, &err));
    ck_assert_double_eq(nats, 0);
    nats = 7;
    assert_fails(md_markov_nll(&chain, "aaq", 3, &nats, &err), MDLM_INPUT, "byte 2 (value 113)");
    assert_fails(md_markov_nll(&chain, "a\na", 3, &nats, &err), MDLM_INPUT, "byte 1 (value 10)");
    ck_assert_double_eq(nats, 7); /* untouched */
}
END_TEST

START_TEST(markov_text_is_reproducible_and_grows_at_its_end) {
    md_markov chain;
    md_buffer a = {0}, b = {0};
    md_markov_init(&chain, 4);
    assert_ok(md_markov_text(&chain, 9, 5000, &a, &err));
    assert_ok(md_markov_text(&chain, 9, 10000, &b, &err));
    ck_assert_mem_eq(a.data, b.data, 5000);
    ck_assert_uint_eq(strspn(b.data, "abcdefghijklmnop"), 10000);
    md_buffer_release(&a), md_buffer_release(&b);
}
END_TEST

int main(void) {
    Suite *s = suite_create("corpora generators");
    suite_case(s, tales_are_reproducible_and_differ_by_seed);
    suite_case(s, a_longer_text_begins_with_the_shorter_one);
    suite_case(s, the_shipped_tales_are_those_of_seed_1);
    suite_case(s, tales_are_clean_text);
    suite_case(s, rows_are_distributions_above_the_floor);
    suite_case(s, rows_follow_the_dirichlet_law);
    suite_case(s, the_start_distribution_is_stationary);
    suite_case(s, the_entropy_rate_is_what_long_texts_cost);
    suite_case(s, the_cost_of_a_small_text_is_the_sum_by_hand);
    suite_case(s, markov_text_is_reproducible_and_grows_at_its_end);
    return suite_run(s);
}
