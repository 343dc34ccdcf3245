/* tests/test_quality.c: words, samples, a reference in two parts, and the report on samples. */
#include "tests/test_corpora.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "corpora/generators.h"
#include "corpora/quality.h"
#include "corpora/words.h"

static void write_text(const char *name, const char *text) {
    assert_ok(md_file_write(at(name), text, strlen(text), &err));
}

/* --- words ------------------------------------------------------------------------------------ */

static mdlm_status list_word(void *user, const char *word, size_t size, mdlm_error *e) {
    MD_TRY(md_buffer_append(user, word, size, e));
    return md_buffer_text(user, "|", e);
}

static void assert_words(const char *text, size_t piece, const char *expected) {
    md_buffer list = {0};
    md_words w = {.on_word = list_word, .user = &list};
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i += piece)
        assert_ok(md_words_add(&w, text + i, size - i < piece ? size - i : piece, &err));
    assert_ok(md_words_end(&w, &err));
    ck_assert_str_eq(list.data ? list.data : "", expected);
    md_buffer_release(&list);
}

START_TEST(words_are_letters_and_digits_with_apostrophes_inside) {
    for (size_t piece = 1; piece <= 40; piece += 13) {
        assert_words("\"Don't!\" said 2 dogs' owners.", piece, "Don't|said|2|dogs|owners|");
        assert_words("'tis caf\xc3\xa9--ok_", piece, "tis|caf\xc3\xa9|ok|");
        assert_words(" ,.' ''", piece, "");
    }
    char text[MD_WORD_BYTES + 2] = "", expected[MD_WORD_BYTES + 5] = "";
    memset(text, 'x', MD_WORD_BYTES + 1);
    memset(expected, 'x', MD_WORD_BYTES);
    strcat(expected, "|x|");
    assert_words(text, 9, expected);
}
END_TEST

static void assert_inner(const char *text, const char *expected) {
    size_t size = strlen(text);
    const char *inner = md_words_inner(text, &size);
    ck_assert_uint_eq(size, strlen(expected));
    ck_assert_mem_eq(inner, expected, size);
}

START_TEST(words_at_the_edges_are_left_out) {
    assert_inner("ing a word an", " a word ");
    assert_inner(" a word ", " a word ");
    assert_inner("oneword", "");
    assert_inner("", "");
}
END_TEST

/* --- samples ---------------------------------------------------------------------------------- */

/* The samples of a file, joined by '|'. */
static void assert_samples(const char *text, const char *expected) {
    md_samples samples = {0};
    md_buffer list = {0};
    write_text("samples", text);
    assert_ok(md_samples_read(&samples, at("samples"), &err));
    for (size_t i = 0; i < samples.count; i++) {
        size_t size;
        const char *sample = md_sample(&samples, i, &size);
        assert_ok(md_buffer_append(&list, sample, size, &err));
        assert_ok(md_buffer_text(&list, "|", &err));
    }
    ck_assert_str_eq(list.data, expected);
    md_buffer_release(&list);
    md_samples_release(&samples);
}

START_TEST(samples_are_read_as_generate_writes_them) {
    assert_samples("one\ntwo\n", "one\ntwo|");
    assert_samples("no line feed", "no line feed|");
    assert_samples("--- sample 0\na\nb\n\n--- sample 1\n--- sample 2\nc\n", "a\nb\n||c|");
    assert_samples("--- sample 7\nlast", "last|");
    assert_samples("--- sample 7", "|");
    assert_samples("before\n--- sample 1\nx --- sample 2\n", "before|x --- sample 2|");
    assert_samples("{\"index\":0,\"text\":\"a\\nb\"}\n\n{\"text\":\"\"}\n{\"text\":\"c\"}",
                   "a\nb||c|");
    assert_samples("{\"text\":\"\\\\u0000\\u0000b\"}", "\\u0000\xef\xbf\xbd"
                                                       "b|");
}
END_TEST

static void assert_no_samples(const char *text, const char *message) {
    md_samples samples = {0};
    write_text("samples", text);
    assert_fails(md_samples_read(&samples, at("samples"), &err), MDLM_INPUT, message);
    md_samples_release(&samples);
}

START_TEST(samples_that_cannot_be_read_say_where) {
    md_samples samples = {0};
    assert_no_samples("", "is empty");
    assert_no_samples("{\"text\":\"a\"}\n{\"text\":3}\n",
                      "line 2: expected an object with a string");
    assert_no_samples("{\"text\":\"a\"}\n\n{\"txt\":\"a\"}\n", "line 3");
    assert_no_samples("{\"text\":\"a\"}\n{\"text\":\"b\n", "line 2 is not valid JSON");
    assert_no_samples("{\"text\":\"a\"}\n[1]\n", "line 2");
    assert_fails(md_samples_read(&samples, at("missing"), &err), MDLM_INPUT, "missing");
    assert_ok(md_dir_make(at("folder"), &err));
    assert_fails(md_samples_read(&samples, at("folder"), &err), MDLM_INPUT, "holds no files");
    write_text("folder/a", "a"), write_text("folder/b", "b");
    assert_fails(md_samples_read(&samples, at("folder"), &err), MDLM_INPUT, "holds 2 files");
    ck_assert_uint_eq(samples.count, 0);
}
END_TEST

START_TEST(too_many_samples_are_refused) {
    md_buffer text = {0};
    md_samples samples = {0};
    while (text.size <= MD_SAMPLES_MOST) assert_ok(md_tales(1, 1 << 20, &text, &err));
    assert_ok(md_file_write(at("large"), text.data, text.size, &err));
    assert_fails(md_samples_read(&samples, at("large"), &err), MDLM_INPUT,
                 "holds more than 8388608");
    md_samples_release(&samples);
    md_buffer_release(&text);
}
END_TEST

/* --- the reference ---------------------------------------------------------------------------- */

static mdlm_status collect(void *user, const char *text, size_t size, bool last, mdlm_error *e) {
    if (size > 0) MD_TRY(md_buffer_append(user, text, size, e));
    return last ? md_buffer_text(user, "|", e) : MDLM_OK;
}

static void assert_part(md_reference *ref, md_part part, const char *expected) {
    md_buffer text = {0};
    for (int again = 0; again < 2; again++) { /* it can be read twice */
        md_buffer_clear(&text);
        assert_ok(md_reference_read(ref, part, collect, &text, &err));
        ck_assert_str_eq(text.data ? text.data : "", expected);
    }
    md_buffer_release(&text);
}

static md_reference *open_files(const char *name, double val_fraction) {
    const char *path = at(name);
    md_reference *ref = NULL;
    assert_ok(md_reference_files(&path, 1, val_fraction, &ref, &err));
    return ref;
}

START_TEST(a_reference_has_the_parts_of_a_packed_corpus) {
    md_tokenizer *tok = NULL, *other = NULL;
    md_reference *ref = NULL;
    write_text("one.txt", "0123456789abcdefghij");
    write_text("many.jsonl", "{\"text\":\"first\"}\n{\"text\":\"\"}\n{\"text\":\"second\"}\n");
    assert_ok(md_tokenizer_bytes(&tok, &err));
    for (int packed = 0; packed < 2; packed++) {
        for (int many = 0; many < 2; many++) {
            const char *path = many ? at("many.jsonl") : at("one.txt");
            md_pack_options opt = md_pack_defaults();
            opt.val_fraction = many ? 1e-9 : 0.1; /* of two documents the last is validation */
            assert_ok(md_corpus_pack(&path, 1, tok, &opt, at("packed"), NULL, &err));
            if (packed)
                assert_ok(md_reference_packed(at("packed"), tok, &ref, &err));
            else
                ref = open_files(many ? "many.jsonl" : "one.txt", opt.val_fraction);
            assert_part(ref, MD_PART_TRAIN, many ? "first|" : "0123456789abcdefgh|");
            assert_part(ref, MD_PART_VAL, many ? "second|" : "ij|");
            md_reference_free(ref);
        }
    }
    const char *path = at("one.txt");
    md_reader *reader = NULL;
    assert_ok(md_reader_open(&path, 1, &reader, &err));
    assert_ok(md_tokenizer_train_chars(md_reader_source(reader), &other, &err));
    assert_fails(md_reference_packed(at("packed"), other, &ref, &err), MDLM_INPUT,
                 "another tokenizer");
    md_reader_free(reader);
    md_tokenizer_free(tok), md_tokenizer_free(other);
}
END_TEST

/* --- the report ------------------------------------------------------------------------------- */

static md_quality_report measure(const md_samples *samples, md_reference *ref) {
    md_quality_options opt = md_quality_defaults();
    md_quality_report report;
    assert_ok(md_quality_measure(samples, ref, &opt, &report, &err));
    return report;
}

static void add(md_samples *samples, const char *text) {
    assert_ok(md_samples_add(samples, text, strlen(text), &err));
}

#define assert_near(value, expected) \
    ck_assert_double_eq_tol(value, expected, 1e-12) /* rounding \
                                                     */

START_TEST(a_small_report_has_the_values_of_pencil_and_paper) {
    md_samples samples = {0};
    write_text("ref", "the cat sat on the mat and the dog sat on the log");
    md_reference *ref = open_files("ref", 0);
    add(&samples, " the cat sat on the dog ");
    add(&samples, " a b a b a b ");
    add(&samples, "");
    const md_quality q = measure(&samples, ref).samples;
    ck_assert(q.texts == 3 && q.empty == 1 && q.bytes == 37 && q.words == 12);
    assert_near(q.distinct[0], 7.0 / 12); /* the cat sat on dog a b */
    assert_near(q.distinct[1], 7.0 / 10); /* five, and ab ba */
    assert_near(q.distinct[2], 6.0 / 8);
    assert_near(q.distinct[3], 5.0 / 6);
    assert_near(q.repetition, 1.0 / 6); /* abab comes twice */
    assert_near(q.word_validity, 6.0 / 12);
    assert_near(q.novel_words[2], 5.0 / 10); /* those of a and b */
    assert_near(q.novel_words[3], 5.0 / 8);  /* and: on the dog */
    assert_near(q.novel_words[4], 4.0 / 6);
    assert_near(q.novel_words[6], 2.0 / 2);
    ck_assert(isnan(q.novel_words[7]));
    ck_assert_int_eq(q.copied_words, 5);
    ck_assert_int_eq(q.copied_bytes, 19); /* "the cat sat on the " */
    ck_assert(q.copied_text == 0 && q.copied_at == 1);
    double words =
        -(2 * 1 / 4.0 * log2(1 / 4.0) + 1 / 6.0 * log2(1 / 6.0) + 4 / 12.0 * log2(1 / 12.0));
    assert_near(q.entropy_word, words); /* a and b 3 times, the twice, four once */
    double spaces = -(7 / 13.0 * log2(7 / 13.0) + 6 / 13.0 * log2(3 / 13.0));
    double letters =
        -(7 * log2(7 / 24.0) + 4 * log2(4 / 24.0) + 8 * log2(2 / 24.0) + 5 * log2(1 / 24.0)) /
        24; /* 7 spaces, 4 t, 2 each of aeho, cdgns */
    assert_near(q.entropy_text, (letters + spaces) / 2);
    md_reference_free(ref);
    md_samples_release(&samples);
}
END_TEST

START_TEST(repetition_is_within_a_text_and_distinct_grams_are_across_texts) {
    md_samples samples = {0};
    write_text("ref", "nothing of this");
    md_reference *ref = open_files("ref", 0);
    add(&samples, " a b c d e ");
    add(&samples, " a b c d e ");
    const md_quality q = measure(&samples, ref).samples;
    assert_near(q.repetition, 0);
    assert_near(q.distinct[3], 0.5);
    md_reference_free(ref);
    md_samples_release(&samples);
}
END_TEST

START_TEST(without_held_out_text_its_values_are_missing) {
    md_samples samples = {0};
    write_text("ref", "some words to compare with");
    md_reference *ref = open_files("ref", 0);
    add(&samples, "one sample of words");
    md_quality_report r = measure(&samples, ref);
    ck_assert_int_eq(r.reference_bytes, 26);
    ck_assert_int_eq(r.held_out_bytes, 0);
    ck_assert(isnan(r.held_out.nats_per_byte) && isnan(r.held_out.distinct[0]));
    ck_assert(isfinite(r.samples.nats_per_byte) && isnan(r.samples.stderr_nats));
    assert_near(r.samples.perplexity, exp(r.samples.nats_per_byte));
    md_reference_free(ref);
    md_samples_release(&samples);
}
END_TEST

START_TEST(samples_of_nothing_are_reported_as_such) {
    md_samples samples = {0};
    md_quality_report r;
    md_quality_options opt = md_quality_defaults();
    write_text("ref", "text");
    md_reference *ref = open_files("ref", 0);
    assert_fails(md_quality_measure(&samples, ref, &opt, &r, &err), MDLM_INPUT, "no samples");
    add(&samples, "");
    r = measure(&samples, ref);
    ck_assert(r.samples.texts == 1 && r.samples.empty == 1);
    ck_assert(isnan(r.samples.nats_per_byte) && isnan(r.samples.entropy_byte));
    ck_assert(isnan(r.samples.word_validity) && r.samples.copied_bytes == 0);
    md_reference_free(ref);
    md_samples_release(&samples);
}
END_TEST

/* Texts of 250 bytes from other tales. */
static void cut_tales(md_samples *samples, uint64_t seed, size_t count) {
    md_buffer text = {0};
    assert_ok(md_tales(seed, (int64_t)count * 250, &text, &err));
    for (size_t i = 0; i < count; i++)
        assert_ok(md_samples_add(samples, text.data + 250 * i, 250, &err));
    md_buffer_release(&text);
}

START_TEST(text_of_the_same_source_measures_like_held_out_text) {
    md_samples samples = {0};
    md_buffer tales = {0};
    assert_ok(md_tales(1, 200000, &tales, &err));
    assert_ok(md_file_write(at("tales"), tales.data, tales.size, &err));
    md_reference *ref = open_files("tales", 0.1);
    cut_tales(&samples, 2, 60);
    const md_quality_report r = measure(&samples, ref);
    const md_quality *s = &r.samples, *h = &r.held_out;
    ck_assert_int_eq(h->texts, 60);
    ck_assert_int_eq(h->bytes, 60 * 250);
    double error = hypot(s->stderr_nats, h->stderr_nats);
    ck_assert_double_lt(error, 0.03); /* it says something */
    /* Five standard errors, one chance in a million for one seed. */
    ck_assert_double_lt(fabs(s->nats_per_byte - h->nats_per_byte), 5 * error);
    /* Shares of about 3,000 words and their n-grams: within a tenth. */
    ck_assert_double_lt(fabs(s->entropy_byte - h->entropy_byte), 0.1);
    ck_assert_double_lt(fabs(s->distinct[1] - h->distinct[1]), 0.1);
    ck_assert_double_lt(fabs(s->novel_words[4] - h->novel_words[4]), 0.1);
    ck_assert_double_gt(s->word_validity, 0.99);
    md_reference_free(ref);
    md_samples_release(&samples);
    md_buffer_release(&tales);
}
END_TEST

START_TEST(bad_samples_measure_worse_and_copies_are_seen) {
    md_samples good = {0}, bad = {0}, copied = {0};
    md_buffer tales = {0};
    assert_ok(md_tales(1, 100000, &tales, &err));
    assert_ok(md_file_write(at("tales"), tales.data, tales.size, &err));
    md_reference *ref = open_files("tales", 0.1);
    cut_tales(&good, 2, 20);
    for (size_t i = 0; i < good.count; i++) { /* the same bytes, every second one one earlier */
        char text[250];
        size_t size;
        const char *from = md_sample(&good, i, &size);
        for (size_t j = 0; j < 250; j++) text[j] = from[j ^ 1];
        assert_ok(md_samples_add(&bad, text, 250, &err));
        assert_ok(md_samples_add(&copied, tales.data + 1000 * i, 250, &err));
    }
    const md_quality g = measure(&good, ref).samples, b = measure(&bad, ref).samples;
    const md_quality c = measure(&copied, ref).samples;
    assert_near(b.entropy_byte, g.entropy_byte);
    ck_assert_double_gt(b.perplexity, 2 * g.perplexity);
    ck_assert_double_lt(b.word_validity, 0.5);
    ck_assert_double_gt(b.novel_bytes[4], 10 * g.novel_bytes[4]);
    ck_assert_int_eq(c.copied_bytes, 250);
    ck_assert_double_eq(c.novel_bytes[8] + c.novel_words[8], 0);
    ck_assert_double_lt(c.perplexity, g.perplexity);
    md_reference_free(ref);
    md_samples_release(&good), md_samples_release(&bad), md_samples_release(&copied);
    md_buffer_release(&tales);
}
END_TEST

int main(void) {
    Suite *s = suite_create("quality");
    const TTest *tests[] = {
        words_are_letters_and_digits_with_apostrophes_inside,
        words_at_the_edges_are_left_out,
        samples_are_read_as_generate_writes_them,
        samples_that_cannot_be_read_say_where,
        too_many_samples_are_refused,
        a_reference_has_the_parts_of_a_packed_corpus,
        a_small_report_has_the_values_of_pencil_and_paper,
        repetition_is_within_a_text_and_distinct_grams_are_across_texts,
        without_held_out_text_its_values_are_missing,
        samples_of_nothing_are_reported_as_such,
        text_of_the_same_source_measures_like_held_out_text,
        bad_samples_measure_worse_and_copies_are_seen,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_set_timeout(tc, 60);
        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(s, tc);
    }
    return suite_run(s);
}
