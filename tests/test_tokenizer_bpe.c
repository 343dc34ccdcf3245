/* tests/test_tokenizer_bpe.c: learning and applying merges. */
#include "tests/test_tokenizer.h"
#include "tokenizer/bpe.h"

static md_tokenizer *trained(md_text_source source, int vocab_size) {
    mdlm_error err = {0};
    md_tokenizer *tok = NULL;
    md_bpe_options opt = {.vocab_size = vocab_size};
    assert_ok(md_tokenizer_train_bpe(source, &opt, &tok, &err));
    return tok;
}

/* Tokens 256, 257, ... are these, and then come the three special ones. */
static void check_learnt(const md_tokenizer *tok, const char *const *pieces, int count) {
    ck_assert_int_eq(md_tokenizer_vocab_size(tok), 256 + count + 3);
    for (int i = 0; i < count; i++) {
        size_t size;
        const char *piece = md_tokenizer_piece(tok, 256 + i, &size);
        ck_assert_msg(size == strlen(pieces[i]) && memcmp(piece, pieces[i], size) == 0,
                      "token %d is '%.*s', expected '%s'", 256 + i, (int)size, piece, pieces[i]);
    }
    ck_assert_int_eq(md_tokenizer_mask(tok), 256 + count);
    ck_assert_int_eq(md_tokenizer_end_of_text(tok), 257 + count);
    ck_assert_int_eq(md_tokenizer_padding(tok), 258 + count);
}

static void check_ids(const md_tokenizer *tok, const char *text, const int32_t *expected,
                      size_t count) {
    mdlm_error err;
    md_ids ids = {0};
    assert_ok(md_tokenizer_encode(tok, text, strlen(text), &ids, &err));
    ck_assert_uint_eq(ids.count, count);
    ck_assert_mem_eq(ids.data, expected, count * sizeof *expected);
    md_ids_release(&ids);
}

START_TEST(one_word_is_learnt_as_by_hand) {
    /* aa 4; then (256,a) and (a,b) twice each, of which (97,98) has the smaller ids; then
     * (256,257) twice; then nothing occurs twice. */
    md_tokenizer *tok = trained(TEXTS("aaabdaaabac"), 1000);
    check_learnt(tok, (const char *const[]){"aa", "ab", "aaab"}, 3);
    check_ids(tok, "aaabdaaabac", (int32_t[]){258, 'd', 258, 'a', 'c'}, 5);
    check_ids(tok, "aaa", (int32_t[]){256, 'a'}, 2);
    check_ids(tok, "aab", (int32_t[]){256, 'b'}, 2);
    md_tokenizer_free(tok);
}
END_TEST

static const char *const low_pieces[] = {"lo", "low",  " low", " n",     "es",
                                         "ew", " new", "est",  " newest"};

START_TEST(counted_words_are_learnt_as_by_hand) {
    /* Words: low 1, " low" 2, " lower" 1, " newest" 2. lo and ow 4 (108 < 111); (256,w) 4;
     * (space,257) 3; then pairs that occur twice, in the order of their ids: (32,110), (101,115),
     * (101,119), (259,261), (260,116), (262,263). */
    md_tokenizer *tok = trained(TEXTS("low low low lower newest newest"), 1000);
    check_learnt(tok, low_pieces, 9);
    check_ids(tok, " newest lowest", (int32_t[]){264, 258, 263}, 3);
    check_ids(tok, "slower", (int32_t[]){'s', 257, 'e', 'r'}, 4);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(the_order_and_the_cutting_of_the_corpus_do_not_matter) {
    md_tokenizer *tok = trained(TEXTS(" newest low", " low newest"), 1000);
    md_tokenizer *other = trained(TEXTS(" low low newest newest"), 1000);
    ck_assert_int_eq(md_tokenizer_vocab_size(tok), md_tokenizer_vocab_size(other));
    for (int32_t id = 0; id < md_tokenizer_vocab_size(tok); id++) {
        size_t a, b;
        const char *left = md_tokenizer_piece(tok, id, &a);
        const char *right = md_tokenizer_piece(other, id, &b);
        ck_assert(a == b && memcmp(left, right, a) == 0);
    }
    md_tokenizer_free(tok);
    md_tokenizer_free(other);
}
END_TEST

START_TEST(the_vocabulary_has_the_size_asked_for_when_the_corpus_suffices) {
    md_tokenizer *tok = trained(TEXTS("low low low lower newest newest"), 263);
    check_learnt(tok, low_pieces, 4);
    md_tokenizer_free(tok);
    tok = trained(TEXTS("low low low lower newest newest"), 260);
    check_learnt(tok, low_pieces, 1);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(the_vocabulary_stops_early_when_no_pair_occurs_twice) {
    md_tokenizer *tok = trained(TEXTS("abc def"), 300);
    check_learnt(tok, NULL, 0);
    md_tokenizer_free(tok);
    tok = trained(TEXTS(NULL), 300);
    check_learnt(tok, NULL, 0);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(merges_do_not_cross_words) {
    md_tokenizer *tok = trained(TEXTS("a.a.a.a.a.a.a."), 300);
    check_learnt(tok, NULL, 0);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(vocabulary_sizes_out_of_range_are_refused) {
    mdlm_error err;
    md_tokenizer *tok = NULL;
    static const int sizes[] = {-1, 0, 259, 1000001};
    for (size_t i = 0; i < 4; i++) {
        md_bpe_options opt = {.vocab_size = sizes[i]};
        assert_fails(md_tokenizer_train_bpe(TEXTS("abab"), &opt, &tok, &err), MDLM_USAGE,
                     "expected 260 to 1000000");
        ck_assert_ptr_null(tok);
    }
}
END_TEST

static mdlm_status failing_next(void *context, const char **text, size_t *size, mdlm_error *err) {
    int *calls = context;
    if ((*calls)++ > 0) return md_fail(err, MDLM_INPUT, "the corpus broke");
    *text = "abab abab";
    *size = 9;
    return MDLM_OK;
}

START_TEST(errors_of_the_corpus_are_passed_on) {
    mdlm_error err;
    md_tokenizer *tok = NULL;
    md_bpe_options opt = {.vocab_size = 300};
    int calls = 0;
    md_text_source source = {failing_next, &calls};
    assert_fails(md_tokenizer_train_bpe(source, &opt, &tok, &err), MDLM_INPUT, "corpus broke");
    calls = 0;
    assert_fails(md_tokenizer_train_chars(source, &tok, &err), MDLM_INPUT, "corpus broke");
    ck_assert_ptr_null(tok);
}
END_TEST

/* The plainest way to apply merges: look for the best pair, replace it, start again. */
static size_t apply_naively(const md_bpe *bpe, int32_t *ids, size_t count) {
    for (;;) {
        size_t at = count, rank = bpe->count;
        for (size_t i = 0; i + 1 < count; i++) {
            for (size_t r = 0; r < rank; r++) {
                if (bpe->merges[r].left != ids[i] || bpe->merges[r].right != ids[i + 1]) continue;
                at = i;
                rank = r;
            }
        }
        if (at == count) return count;
        ids[at] = bpe->merges[rank].result;
        for (size_t i = at + 1; i + 1 < count; i++) ids[i] = ids[i + 1];
        count--;
    }
}

START_TEST(merges_apply_by_rank_and_then_from_the_left_in_words_of_any_length) {
    mdlm_error err;
    enum { IDS = 9, LONGEST = 150 };
    size_t merged = 0;
    for (uint64_t seed = 0; seed < 30; seed++) {
        /* Ranks that no training gives: a new pair may come before the one that made it. */
        md_bpe bpe = {0};
        for (size_t i = 0; i < 25; i++) {
            md_merge m = {draw(seed, 3 * i, IDS), draw(seed, 3 * i + 1, IDS),
                          draw(seed, 3 * i + 2, IDS)};
            if (md_key_map_get(&bpe.ranks, md_pair_key(m.left, m.right)) != MD_KEY_NONE) continue;
            assert_ok(md_bpe_add(&bpe, m, &err));
        }
        md_bpe_scratch scratch = {0};
        for (size_t length = 1; length < LONGEST; length++) {
            int32_t ids[LONGEST], expected[LONGEST];
            for (size_t i = 0; i < length; i++) ids[i] = draw(seed + 100, length * 1000 + i, IDS);
            memcpy(expected, ids, sizeof ids);
            size_t count = length, expected_count = apply_naively(&bpe, expected, length);
            assert_ok(md_bpe_apply(&bpe, &scratch, ids, &count, &err));
            ck_assert_uint_eq(count, expected_count);
            ck_assert_mem_eq(ids, expected, count * sizeof *ids);
            merged += length - count;
        }
        md_bpe_scratch_release(&scratch);
        md_bpe_release(&bpe);
    }
    ck_assert_uint_gt(merged, 10000);
}
END_TEST

/* Counts every pair of every word anew for each merge. */
typedef struct naive {
    int32_t words[400][40];
    size_t sizes[400], count, merges;
    md_merge learnt[64];
} naive;

static bool learn_naively(naive *n) {
    static int counts[320][320];
    memset(counts, 0, sizeof counts);
    for (size_t w = 0; w < n->count; w++) {
        for (size_t i = 0; i + 1 < n->sizes[w]; i++) counts[n->words[w][i]][n->words[w][i + 1]]++;
    }
    int best = 1, made = 256 + (int)n->merges;
    md_merge merge = {0};
    for (int a = 0; a < made; a++) {
        for (int b = 0; b < made; b++) {
            if (counts[a][b] <= best) continue;
            best = counts[a][b];
            merge = (md_merge){a, b, made};
        }
    }
    if (best < 2) return false;
    md_bpe one = {.merges = &merge, .count = 1};
    for (size_t w = 0; w < n->count; w++) {
        n->sizes[w] = apply_naively(&one, n->words[w], n->sizes[w]);
    }
    n->learnt[n->merges++] = merge;
    return true;
}

START_TEST(learning_agrees_with_counting_everything_anew) {
    mdlm_error err;
    enum { MERGES = 60 };
    static naive n;
    for (uint64_t seed = 0; seed < 6; seed++) {
        memset(&n, 0, sizeof n);
        md_interner words = {0}, tokens = {0};
        int64_t counts[400] = {0};
        int letters = 1 + draw(seed, 99999, 3); /* few letters: pairs that overlap themselves */
        for (n.count = 0; n.count < 400; n.count++) {
            char word[40];
            size_t size = 1 + (size_t)draw(seed, n.count, letters == 1 ? 12 : 39), index;
            for (size_t i = 0; i < size; i++) {
                word[i] = (char)('a' + draw(seed + 50, n.count * 40 + i, letters));
                n.words[n.count][i] = word[i];
            }
            n.sizes[n.count] = size;
            assert_ok(md_interner_add(&words, word, size, &index, &err));
            counts[index]++;
        }
        while (n.merges < MERGES && learn_naively(&n)) {
        }
        md_bpe bpe = {0};
        assert_ok(md_bpe_learn(&words, counts, MERGES, &bpe, &tokens, &err));
        ck_assert_uint_eq(bpe.count, n.merges);
        ck_assert_uint_gt(bpe.count, 2);
        for (size_t i = 0; i < bpe.count; i++) {
            ck_assert_int_eq(bpe.merges[i].left, n.learnt[i].left);
            ck_assert_int_eq(bpe.merges[i].right, n.learnt[i].right);
            ck_assert_int_eq(bpe.merges[i].result, n.learnt[i].result);
        }
        md_bpe_release(&bpe);
        md_interner_release(&words);
        md_interner_release(&tokens);
    }
}
END_TEST

START_TEST(no_token_is_longer_than_the_longest_piece) {
    enum { SIZE = 100000 };
    static char text[SIZE + 1];
    memset(text, 'a', SIZE);
    md_tokenizer *tok = trained(TEXTS(text), 300);
    size_t longest = 0;
    for (int32_t id = 0; id < md_tokenizer_vocab_size(tok); id++) {
        size_t size;
        (void)md_tokenizer_piece(tok, id, &size);
        if (size > longest) longest = size;
    }
    ck_assert_uint_eq(longest, MD_LONGEST_PIECE);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(tables_find_what_was_put_and_nothing_else) {
    mdlm_error err;
    md_key_map map = {0};
    md_interner in = {0};
    ck_assert(md_key_map_get(&map, 1) == MD_KEY_NONE);
    ck_assert_int_eq(md_interner_find(&in, "x", 1), MD_NOT_FOUND);
    for (uint64_t i = 0; i < 5000; i++) {
        size_t index;
        assert_ok(md_key_map_put(&map, i * i, i, &err));
        assert_ok(md_interner_add(&in, &i, sizeof i, &index, &err));
        ck_assert_uint_eq(index, i);
    }
    for (uint64_t i = 0; i < 5000; i++) {
        size_t index;
        ck_assert(md_key_map_get(&map, i * i) == i);
        ck_assert(md_key_map_get(&map, i * i + 2) == MD_KEY_NONE); /* no two squares differ by 2 */
        assert_ok(md_interner_add(&in, &i, sizeof i, &index, &err));
        ck_assert_uint_eq(index, i);
        uint64_t other = i + 5000;
        ck_assert_int_eq(md_interner_find(&in, &other, sizeof other), MD_NOT_FOUND);
    }
    ck_assert_uint_eq(in.count, 5000);
    md_key_map_release(&map);
    md_interner_release(&in);
}
END_TEST

int main(void) {
    Suite *s = suite_create("tokenizer_bpe");
    suite_case(s, one_word_is_learnt_as_by_hand);
    suite_case(s, counted_words_are_learnt_as_by_hand);
    suite_case(s, the_order_and_the_cutting_of_the_corpus_do_not_matter);
    suite_case(s, the_vocabulary_has_the_size_asked_for_when_the_corpus_suffices);
    suite_case(s, the_vocabulary_stops_early_when_no_pair_occurs_twice);
    suite_case(s, merges_do_not_cross_words);
    suite_case(s, vocabulary_sizes_out_of_range_are_refused);
    suite_case(s, errors_of_the_corpus_are_passed_on);
    suite_case(s, merges_apply_by_rank_and_then_from_the_left_in_words_of_any_length);
    suite_case(s, learning_agrees_with_counting_everything_anew);
    suite_case(s, no_token_is_longer_than_the_longest_piece);
    suite_case(s, tables_find_what_was_put_and_nothing_else);
    return suite_run(s);
}
