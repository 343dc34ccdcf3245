/* tests/test_ngram.c: counting, the n-gram model and the suffix automaton. */
#include "tests/suite.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "corpora/counts.h"
#include "corpora/generators.h"
#include "corpora/matches.h"
#include "corpora/ngram.h"

static mdlm_error err;

static uint64_t draw(uint32_t stream, uint32_t i, uint64_t below) {
    return md_uniform_below((md_rng){.seed = 5, .stream = stream}, 0, i, below);
}

/* --- counts ----------------------------------------------------------------------------------- */

START_TEST(counts_keep_every_key_while_the_table_grows) {
    enum { KEYS = 20000 };
    md_counts counts = {0};
    md_count *entry;
    ck_assert_ptr_null(md_counts_find(&counts, 0));
    for (int pass = 1; pass <= 2; pass++) {
        for (uint64_t key = 0; key < KEYS; key++) {
            assert_ok(md_counts_add(&counts, key << 40, &entry, &err));
            entry->count += (uint32_t)key;
        }
    }
    ck_assert_uint_eq(counts.used, KEYS);
    for (uint64_t key = 0; key < KEYS; key++)
        ck_assert_uint_eq(md_counts_find(&counts, key << 40)->count, 2 * key);
    ck_assert_ptr_null(md_counts_find(&counts, 1));
    size_t seen = 0;
    for (size_t at = 0; md_counts_next(&counts, &at);) seen++;
    ck_assert_uint_eq(seen, KEYS);
    md_counts_release(&counts);
}
END_TEST

/* --- n-grams ---------------------------------------------------------------------------------- */

static md_ngram *train(int order, const char *text, size_t size) {
    md_ngram *m = NULL;
    assert_ok(md_ngram_new(order, &m, &err));
    if (size > 0) assert_ok(md_ngram_add(m, text, size, true, &err));
    assert_ok(md_ngram_finish(m, &err));
    return m;
}

START_TEST(probabilities_sum_to_one_after_any_context) {
    enum { SIZE = 3000 };
    char text[SIZE], context[8];
    /* Few symbols, so that contexts repeat; both ends of the byte range among them. */
    for (uint32_t i = 0; i < SIZE; i++) text[i] = "ab\0\xff z"[draw(1, i, 6)];
    for (int order = 1; order <= MD_NGRAM_MAX_ORDER; order++) {
        md_ngram *m = train(order, text, SIZE);
        for (uint32_t i = 0; i < 60; i++) {
            size_t size = draw(2, i, 9);
            for (uint32_t j = 0; j < size; j++)
                context[j] = "ab\0\xff zq"[draw(3, 8 * i + j, i < 30 ? 6 : 7)];
            double sum = 0;
            for (int b = 0; b < 256; b++) {
                double p = md_ngram_probability(m, context, size, (unsigned char)b);
                ck_assert(p > 0 && p < 1);
                sum += p;
            }
            ck_assert_double_eq_tol(sum, 1, 1e-12); /* 256 roundings of about 1e-16 */
        }
        md_ngram_free(m);
    }
}
END_TEST

/* "abab" has the pairs NUL a (once), ab (twice), ba (once): D = 2 / (2 + 2 * 1). Of single bytes, a
 * comes after NUL and b, b after a alone: counts 2 and 1, D = 1 / (1 + 2 * 1). */
START_TEST(a_small_text_has_the_probabilities_of_pencil_and_paper) {
    md_ngram *m = train(2, "abab", 4);
    double a = (2 - 1.0 / 3 + 1.0 / 3 * 2 / 256) / 3, b = (1 - 1.0 / 3 + 1.0 / 3 * 2 / 256) / 3;
    double z = (1.0 / 3 * 2 / 256) / 3, tol = 1e-15; /* a few roundings */
    ck_assert_double_eq_tol(md_ngram_probability(m, "", 0, 'a'), a, tol);
    ck_assert_double_eq_tol(md_ngram_probability(m, "", 0, 'z'), z, tol);
    ck_assert_double_eq_tol(md_ngram_probability(m, "a", 1, 'b'), (2 - .5 + .5 * b) / 2, tol);
    ck_assert_double_eq_tol(md_ngram_probability(m, "a", 1, 'z'), .5 * z / 2, tol);
    ck_assert_double_eq_tol(md_ngram_probability(m, "xb", 2, 'a'), 1 - .5 + .5 * a, tol);
    ck_assert_double_eq_tol(md_ngram_probability(m, "z", 1, 'a'), a, tol); /* never a context */
    double nats = -log(a) - log((2 - .5 + .5 * b) / 2) - log(.5 * b);
    ck_assert_double_eq_tol(md_ngram_nats(m, "abb", 3), nats, 1e-12);
    md_ngram_free(m);
}
END_TEST

START_TEST(a_model_of_nothing_finds_all_bytes_equally_likely) {
    md_ngram *m = train(6, NULL, 0);
    ck_assert_double_eq_tol(md_ngram_nats(m, "any text", 8), 8 * log(256), 1e-12);
    ck_assert_double_eq(md_ngram_nats(m, NULL, 0), 0);
    md_ngram_free(m);
}
END_TEST

START_TEST(pieces_of_a_document_count_like_the_whole) {
    md_buffer text = {0};
    assert_ok(md_tales(3, 20000, &text, &err));
    md_ngram *whole = train(6, text.data, text.size), *pieces = NULL;
    assert_ok(md_ngram_new(6, &pieces, &err));
    for (size_t at = 0; at < text.size; at += 7) {
        size_t left = text.size - at;
        assert_ok(md_ngram_add(pieces, text.data + at, left < 7 ? left : 7, left <= 7, &err));
    }
    assert_ok(md_ngram_finish(pieces, &err));
    ck_assert_double_eq(md_ngram_nats(whole, text.data, 500),
                        md_ngram_nats(pieces, text.data, 500));
    md_ngram_free(whole), md_ngram_free(pieces);
    md_buffer_release(&text);
}
END_TEST

START_TEST(documents_do_not_run_into_each_other) {
    md_ngram *m = NULL;
    assert_ok(md_ngram_new(2, &m, &err));
    for (int i = 0; i < 9; i++) assert_ok(md_ngram_add(m, "ab", 2, true, &err));
    assert_ok(md_ngram_finish(m, &err));
    /* b ends every document: it precedes nothing, so nothing is known after it. */
    ck_assert_double_eq(md_ngram_probability(m, "b", 1, 'a'), md_ngram_probability(m, "", 0, 'a'));
    ck_assert_double_gt(md_ngram_probability(m, "a", 1, 'b'), 0.9);
    md_ngram_free(m);
}
END_TEST

START_TEST(a_markov_chain_is_learnt_to_its_entropy_rate) {
    md_markov chain;
    md_buffer learn = {0}, other = {0};
    md_markov_init(&chain, 1);
    assert_ok(md_markov_text(&chain, 1, 200000, &learn, &err));
    assert_ok(md_markov_text(&chain, 2, 50000, &other, &err));
    double exact;
    assert_ok(md_markov_nll(&chain, other.data, other.size, &exact, &err));
    md_ngram *m = train(2, learn.data, learn.size);
    double nats = md_ngram_nats(m, other.data, other.size);
    /* No model beats the source; 256 probabilities estimated from 200,000 symbols cost it about
     * 256 / (2 * 200,000) = 0.0006 nats a symbol, and discounts a little. */
    ck_assert_double_gt(nats, exact);
    ck_assert_double_lt(nats / 50000, exact / 50000 + 0.003);
    md_ngram_free(m);
    md_buffer_release(&learn), md_buffer_release(&other);
}
END_TEST

/* --- matches ---------------------------------------------------------------------------------- */

/* Whether text[end - n, end) occurs in the reference, between negative symbols and documents. */
static bool occurs(const int32_t *text, size_t end, size_t n, const int32_t *ref, size_t size) {
    for (size_t i = 0; i + n <= size; i++) {
        size_t same = 0;
        while (same < n && ref[i + same] >= 0 && ref[i + same] == text[end - n + same]) same++;
        if (same == n) return true;
    }
    return false;
}

START_TEST(matches_are_those_of_brute_force) {
    enum { SIZE = 90, REF = 120, ROUNDS = 60 };
    int32_t text[SIZE], ref[REF], lengths[SIZE];
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint64_t symbols = 1 + round % 4;
        for (uint32_t i = 0; i < SIZE; i++)
            text[i] =
                draw(4, 1000 * round + i, 15) ? (int32_t)draw(5, 1000 * round + i, symbols) : -1;
        for (uint32_t i = 0; i < REF; i++)
            ref[i] = draw(6, 1000 * round + i, 12) ? (int32_t)draw(7, 1000 * round + i, symbols + 1)
                                                   : -1;
        md_matches *m = NULL;
        assert_ok(md_matches_new(text, SIZE, &m, &err));
        for (size_t at = 0; at < REF; at += 11) /* pieces of one document */
            md_matches_read(m, ref + at, REF - at < 11 ? REF - at : 11, false);
        md_matches_finish(m, lengths);
        for (size_t end = 1; end <= SIZE; end++) {
            size_t n = 0;
            while (n < end && text[end - n - 1] >= 0 && occurs(text, end, n + 1, ref, REF)) n++;
            ck_assert_msg(lengths[end - 1] == (int32_t)n, "round %u, %zu: %d, expected %zu", round,
                          end, lengths[end - 1], n);
        }
        md_matches_free(m);
    }
}
END_TEST

START_TEST(a_match_ends_with_its_document) {
    const int32_t text[] = {1, 2, 3}, first[] = {1, 2}, second[] = {3};
    int32_t lengths[3];
    md_matches *m = NULL;
    assert_ok(md_matches_new(text, 3, &m, &err));
    md_matches_read(m, first, 2, true);
    md_matches_read(m, second, 1, true);
    md_matches_finish(m, lengths);
    ck_assert(lengths[0] == 1 && lengths[1] == 2 && lengths[2] == 1);
    md_matches_free(m);
    assert_ok(md_matches_new(NULL, 0, &m, &err));
    md_matches_read(m, first, 2, true);
    md_matches_finish(m, NULL);
    md_matches_free(m);
}
END_TEST

/* Each prefix of such a text has all shorter ones along its links: 10^10 steps if all were walked,
 * far beyond the time that a test may take. */
START_TEST(a_text_of_one_symbol_takes_linear_time) {
    enum { SIZE = 400000 };
    int32_t *text = md_alloc(SIZE, sizeof *text, &err), *lengths = md_alloc(SIZE, 4, &err);
    const int32_t other[] = {1, 0, 0, 1};
    md_matches *m = NULL;
    assert_ok(md_matches_new(text, SIZE, &m, &err));
    md_matches_read(m, other, 4, true);
    md_matches_finish(m, lengths);
    ck_assert(lengths[0] == 1 && lengths[1] == 2 && lengths[SIZE - 1] == 2);
    md_matches_free(m);
    md_free(text), md_free(lengths);
}
END_TEST

int main(void) {
    Suite *s = suite_create("ngram");
    suite_case(s, counts_keep_every_key_while_the_table_grows);
    suite_case(s, probabilities_sum_to_one_after_any_context);
    suite_case(s, a_small_text_has_the_probabilities_of_pencil_and_paper);
    suite_case(s, a_model_of_nothing_finds_all_bytes_equally_likely);
    suite_case(s, pieces_of_a_document_count_like_the_whole);
    suite_case(s, documents_do_not_run_into_each_other);
    suite_case(s, a_markov_chain_is_learnt_to_its_entropy_rate);
    suite_case(s, matches_are_those_of_brute_force);
    suite_case(s, a_match_ends_with_its_document);
    suite_case(s, a_text_of_one_symbol_takes_linear_time);
    return suite_run(s);
}
