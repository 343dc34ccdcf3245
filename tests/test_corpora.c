/* tests/test_corpora.c: readers, splits, packing, and files that lie. */
#include "tests/test_corpora.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/corpora_internal.h"

static const char *put_bytes(const char *name, const void *bytes, size_t size) {
    const char *path = at(name);
    assert_ok(md_file_write(path, bytes, size, &err));
    return path;
}

static const char *put(const char *name, const char *text) {
    return put_bytes(name, text, strlen(text));
}

static const char *put_gz(const char *name, const char *text) {
    const char *path = at(name);
    gzFile gz = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(gz, text, (unsigned)strlen(text)), (int)strlen(text));
    ck_assert_int_eq(gzclose(gz), Z_OK);
    return path;
}

/* All documents of a path, each followed by `|`. */
static mdlm_status read_all(const char *path, md_buffer *out) {
    md_reader *reader = NULL;
    mdlm_status status = md_reader_open(&path, 1, &reader, &err);
    while (status == MDLM_OK) {
        const char *text;
        size_t size;
        bool last;
        status = md_reader_next(reader, &text, &size, &last, &err);
        if (status != MDLM_OK || size == 0) break;
        ck_assert_uint_le(size, MD_PIECE_BYTES);
        status = md_buffer_append(out, text, size, &err);
        if (status == MDLM_OK && last) status = md_buffer_text(out, "|", &err);
    }
    md_reader_free(reader);
    return status;
}

static void assert_reads(const char *path, const char *expected) {
    md_buffer text = {0};
    assert_ok(read_all(path, &text));
    ck_assert_str_eq(text.data, expected);
    md_buffer_release(&text);
}

#define assert_unreadable(path, message) \
    do { \
        md_buffer text_ = {0}; \
        assert_fails(read_all(path, &text_), MDLM_INPUT, message); \
        md_buffer_release(&text_); \
    } while (0)

static mdlm_status pack_with(const char *const *paths, size_t count, const md_pack_options *opt,
                             md_corpus_stats *stats) {
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_bytes(&tok, &err));
    mdlm_status status = md_corpus_pack(paths, count, tok, opt, at("packed"), stats, &err);
    md_tokenizer_free(tok);
    return status;
}

static mdlm_status pack_one(const char *path) {
    md_pack_options opt = md_pack_defaults();
    return pack_with(&path, 1, &opt, NULL);
}

static md_corpus *open_packed(void) {
    md_corpus *corpus = NULL;
    assert_ok(md_corpus_open(at("packed"), &corpus, &err));
    return corpus;
}

/* The part decoded as bytes, end-of-text shown as `|`. */
static char *part_text(const md_corpus *corpus, md_part part) {
    int64_t count = md_corpus_tokens(corpus, part);
    int32_t *ids = md_alloc((size_t)count + 1, sizeof *ids, &err);
    char *text = md_alloc((size_t)count + 1, 1, &err);
    md_corpus_read(corpus, part, 0, ids, count);
    for (int64_t i = 0; i < count; i++) text[i] = ids[i] == 257 ? '|' : (char)ids[i];
    md_free(ids);
    return text;
}

static void assert_part(const md_corpus *corpus, md_part part, const char *expected) {
    char *text = part_text(corpus, part);
    ck_assert_str_eq(text, expected);
    md_free(text);
}

/* --- reading ---------------------------------------------------------------------------------- */

START_TEST(a_plain_file_is_one_document) {
    assert_reads(put("a.txt", "one two\nthree\n"), "one two\nthree\n|");
}
END_TEST

START_TEST(every_line_of_a_jsonl_file_is_a_document) {
    const char *lines = "{\"text\": \"one\\ntwo\"}\n\n{\"id\": 3, \"text\": \"\"}\r\n"
                        "{\"text\": \"gr\\u00fcn\", \"more\": [1, 2]}";
    assert_reads(put("a.jsonl", lines), "one\ntwo|gr\xc3\xbcn|");
}
END_TEST

START_TEST(a_gz_file_reads_like_the_file_inside) {
    assert_reads(put_gz("a.txt.gz", "one two\n"), "one two\n|");
    assert_reads(put_gz("a.jsonl.gz", "{\"text\":\"x\"}\n{\"text\":\"y\"}\n"), "x|y|");
}
END_TEST

START_TEST(a_folder_is_read_in_sorted_order_without_hidden_files) {
    assert_ok(md_dir_make(at("in/b"), &err));
    put("in/c.txt", "third"), put("in/a.txt", "first"),
        put("in/b/x.jsonl", "{\"text\":\"second\"}");
    put("in/.hidden", "no"), put("in/empty.txt", "");
    assert_reads(at("in"), "first|second|third|");
}
END_TEST

START_TEST(pieces_are_cut_before_a_space_and_join_to_the_file) {
    size_t size = 3 * MD_PIECE_BYTES + 12345;
    char *text = md_alloc(size + 1, 1, &err);
    for (size_t i = 0; i < size; i++) text[i] = "word and more   words\n"[i % 22];
    const char *path = put_bytes("long.txt", text, size), *piece;
    md_reader *reader = NULL;
    assert_ok(md_reader_open(&path, 1, &reader, &err));
    size_t done = 0, n = 0, count = 0;
    bool last = false;
    for (;; done += n, count++) {
        assert_ok(md_reader_next(reader, &piece, &n, &last, &err));
        if (n == 0) break;
        ck_assert_mem_eq(piece, text + done, n);
        ck_assert(done == 0 || (text[done] == ' ' && text[done - 1] != ' '));
        ck_assert_int_eq(last, done + n == size);
    }
    ck_assert_uint_eq(done, size);
    ck_assert_uint_eq(count, 4);
    md_reader_free(reader);
    md_free(text);
}
END_TEST

START_TEST(text_without_white_space_is_cut_between_characters) {
    ck_assert_uint_eq(md_piece_cut("abc def", 6), 3);
    ck_assert_uint_eq(md_piece_cut("ab  cd", 5), 2); /* not inside a run */
    ck_assert_uint_eq(md_piece_cut("ab\ncdef", 5), 2);
    ck_assert_uint_eq(md_piece_cut("abcdef", 4), 4);
    ck_assert_uint_eq(md_piece_cut("abc\xc3\xbc_", 4), 3);
    ck_assert_uint_eq(md_piece_cut("a\xf0\x9f\x98\x80_", 4), 1);
    ck_assert_uint_eq(md_piece_cut("\x80\x80\x80\x80\x80\x80\x80", 6), 6); /* not UTF-8 at all */
}
END_TEST

START_TEST(a_file_of_exactly_one_piece_ends_with_it) {
    for (size_t size = MD_PIECE_BYTES - 1; size <= MD_PIECE_BYTES + 1; size++) {
        char *text = md_alloc(size + 2, 1, &err);
        memset(text, 'x', size);
        const char *path = put_bytes("x.txt", text, size);
        text[size] = '|';
        assert_reads(path, text);
        md_free(text);
    }
}
END_TEST

/* --- files that cannot be read ---------------------------------------------------------------- */

START_TEST(a_bad_jsonl_line_is_named_with_its_file) {
    const char *path = put("bad.jsonl", "{\"text\": \"fine\"}\n{\"text\": \"no end}\n");
    assert_unreadable(path, "bad.jsonl' line 2 is not valid JSON");
    assert_unreadable(put("b.jsonl", "\n\n[1]\n"), "line 3: expected an object");
    assert_unreadable(put("c.jsonl", "{\"text\": 7}"), "line 1: expected an object");
    assert_unreadable(put("d.jsonl", "{\"title\": \"x\"}"), "line 1: expected an object");
    assert_unreadable(put("e.jsonl", "{\"text\": \"\"}\n"), "e.jsonl' holds no text");
    assert_unreadable(put_bytes("f.jsonl", "{\"text\": \"a\0b\"}", 14), "line 1 holds a NUL");
    assert_unreadable(put("g.jsonl", "{\"text\": \"a\\u0000b\"}"), "line 1 holds a NUL");
    assert_reads(put("h.jsonl", "{\"text\": \"a\\\\u0000b\"}"), "a\\u0000b|");
}
END_TEST

START_TEST(a_truncated_or_damaged_gz_is_an_error) {
    char *bytes = NULL;
    size_t size = 0;
    char text[4000];
    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i * i % 23);
    text[sizeof text - 1] = 0;
    assert_ok(md_file_read(put_gz("whole.gz", text), 1 << 20, &bytes, &size, &err));
    for (size_t keep = 2; keep < size; keep++)
        assert_unreadable(put_bytes("cut.txt.gz", bytes, keep), "cut.txt.gz' is truncated");
    assert_unreadable(put_bytes("one.gz", bytes, 1), "is not a gzip file");
    bytes[size - 5] ^= 1; /* the checksum */
    assert_unreadable(put_bytes("sum.gz", bytes, size), "sum.gz' is damaged");
    assert_unreadable(put("plain.gz", "just text"), "is not a gzip file");
    assert_unreadable(put("empty.gz", ""), "empty.gz' is empty");
    md_free(bytes);
}
END_TEST

START_TEST(missing_empty_and_binary_files_are_named) {
    assert_unreadable(at("none.txt"), "none.txt': no such file");
    assert_unreadable(put("empty.txt", ""), "empty.txt' is empty");
    assert_unreadable(put_bytes("bin.dat", "ab\0cd", 5), "bin.dat' looks like a binary file");
    assert_unreadable(put_gz("dir.gz", ""), "dir.gz' is empty");
    assert_ok(md_dir_make(at("hollow"), &err));
    assert_unreadable(at("hollow"), "hollow' holds no files");
    put("hollow/a.txt", "");
    assert_unreadable(at("hollow"), "hold no text");
    ck_assert_int_eq(mkfifo(at("pipe"), 0600), 0);
    assert_unreadable(at("pipe"), "pipe' is neither a file nor a folder");
    ck_assert_int_eq(symlink(at("hollow"), at("hollow/loop")), 0);
    assert_unreadable(at("hollow"), "too many levels of symbolic links");
    char deep[256] = "d";
    for (int i = 0; i < 70; i++) strcat(deep, "/d");
    assert_ok(md_dir_make(at(deep), &err));
    assert_unreadable(at("d"), "nested deeper than 64");
}
END_TEST

START_TEST(an_unreadable_file_is_named) {
    if (geteuid() == 0) return; /* root reads everything */
    const char *path = put("secret.txt", "x");
    ck_assert_int_eq(chmod(path, 0), 0);
    assert_unreadable(path, "secret.txt': permission denied");
}
END_TEST

/* --- splits and packing ----------------------------------------------------------------------- */

START_TEST(one_file_is_split_at_the_exact_byte) {
    char text[1001] = {0};
    for (int n = 1; n <= 1000; n += n < 40 ? 1 : 37) {
        for (int i = 0; i < n; i++) text[i] = (char)('a' + i % 26);
        text[n] = 0;
        md_corpus_stats stats;
        md_pack_options opt = md_pack_defaults();
        const char *path = put("one.txt", text);
        assert_ok(pack_with(&path, 1, &opt, &stats));
        int cut = n * 9 / 10; /* floor(0.9 n) */
        ck_assert_int_eq(stats.train.bytes, cut);
        ck_assert_int_eq(stats.val.bytes, n - cut);
        ck_assert_int_eq(stats.train.tokens, cut);
        md_corpus *corpus = open_packed();
        assert_part(corpus, MD_PART_VAL, text + cut);
        text[cut] = 0;
        assert_part(corpus, MD_PART_TRAIN, text);
        md_corpus_close(corpus);
    }
}
END_TEST

START_TEST(the_split_byte_is_exact_where_floating_point_is_not) {
    /* (1 - 0.9) * 10 is 0.99999999999999978 in doubles; the rule says 1. */
    const double fractions[] = {0, 0.9, 0.7, 0.3};
    const int expected[] = {10, 1, 3, 7};
    const char *path = put("ten.txt", "0123456789");
    for (int i = 0; i < 4; i++) {
        md_corpus_stats stats;
        md_pack_options opt = {.val_fraction = fractions[i]};
        assert_ok(pack_with(&path, 1, &opt, &stats));
        ck_assert_int_eq(stats.train.bytes, expected[i]);
        ck_assert_int_eq(stats.val.documents, expected[i] < 10);
    }
}
END_TEST

START_TEST(a_split_across_pieces_keeps_every_byte) {
    size_t size = 2 * MD_PIECE_BYTES + 777;
    char *text = md_alloc(size + 1, 1, &err);
    for (size_t i = 0; i < size; i++) text[i] = "some words of text\n"[i % 19];
    md_pack_options opt = {.val_fraction = 0.6};
    const char *path = put("two.txt", text);
    assert_ok(pack_with(&path, 1, &opt, NULL));
    md_corpus *corpus = open_packed();
    size_t cut = (size_t)(0.4 * (double)size);
    assert_part(corpus, MD_PART_VAL, text + cut);
    ck_assert_int_eq(md_corpus_documents(corpus, MD_PART_VAL)[1], size - cut);
    text[cut] = 0;
    assert_part(corpus, MD_PART_TRAIN, text);
    md_corpus_close(corpus);
    md_free(text);
}
END_TEST

START_TEST(many_documents_are_split_whole_and_joined_by_end_of_text) {
    md_buffer lines = {0};
    for (int i = 0; i < 400; i++)
        assert_ok(md_buffer_printf(&lines, &err, "{\"text\": \"<%d>\"}\n", i));
    md_corpus_stats stats;
    md_pack_options opt = md_pack_defaults();
    const char *path = put("many.jsonl", lines.data);
    assert_ok(pack_with(&path, 1, &opt, &stats));
    ck_assert_int_eq(stats.train.documents + stats.val.documents, 400);
    /* Binomial(400, 0.1): 40 and a standard deviation of 6. */
    ck_assert(stats.val.documents > 10 && stats.val.documents < 70);
    md_corpus *corpus = open_packed();
    int next[2] = {-1, -1}, seen = 0;
    for (int part = 0; part < 2; part++) {
        md_part_stats s = part ? stats.val : stats.train;
        char *text = part_text(corpus, (md_part)part), expected[16];
        const int64_t *start = md_corpus_documents(corpus, (md_part)part);
        ck_assert_int_eq(s.tokens, s.bytes + s.documents - 1);
        for (int64_t i = 0; i < s.documents; i++, seen++) {
            int number = atoi(text + start[i] + 1);
            ck_assert_int_gt(number, next[part]); /* in the order of the file */
            next[part] = number;
            snprintf(expected, sizeof expected, "<%d>%s", number, i + 1 < s.documents ? "|" : "");
            ck_assert_int_eq(start[i + 1] - start[i], strlen(expected));
            ck_assert_mem_eq(text + start[i], expected, strlen(expected));
        }
        md_free(text);
    }
    ck_assert_int_eq(seen, 400);
    md_corpus_close(corpus);
    md_buffer_release(&lines);
}
END_TEST

START_TEST(an_empty_part_gets_the_last_document) {
    /* Equal documents have equal hashes: the rule by hash puts all of them on one side. */
    const char *paths[] = {put("a.txt", "same"), put("b.txt", "same"), put("c.txt", "same")};
    md_pack_options opt = {.val_fraction = 0.5};
    assert_ok(pack_with(paths, 3, &opt, NULL));
    md_corpus *corpus = open_packed();
    assert_part(corpus, MD_PART_TRAIN, "same|same");
    assert_part(corpus, MD_PART_VAL, "same");
    md_corpus_close(corpus);
}
END_TEST

START_TEST(a_validation_file_replaces_the_split) {
    const char *path = put("train.txt", "all of this is for training");
    md_pack_options opt = md_pack_defaults();
    opt.val_file = put("val.jsonl", "{\"text\":\"x\"}\n{\"text\":\"yz\"}\n");
    assert_ok(pack_with(&path, 1, &opt, NULL));
    md_corpus *corpus = open_packed();
    assert_part(corpus, MD_PART_TRAIN, "all of this is for training");
    assert_part(corpus, MD_PART_VAL, "x|yz");
    md_corpus_close(corpus);
}
END_TEST

START_TEST(the_manifest_names_sources_and_ranges) {
    assert_ok(pack_one(put("src.txt", "0123456789")));
    md_corpus *corpus = open_packed();
    const cJSON *json = md_corpus_json(corpus);
    const cJSON *source = cJSON_GetArrayItem(cJSON_GetObjectItem(json, "sources"), 0);
    char hash[17];
    snprintf(hash, sizeof hash, "%016llx", (unsigned long long)md_hash("0123456789", 10, 0));
    ck_assert_str_eq(cJSON_GetObjectItem(source, "path")->valuestring, at("src.txt"));
    ck_assert_str_eq(cJSON_GetObjectItem(source, "hash")->valuestring, hash);
    const cJSON *split = cJSON_GetObjectItem(json, "split");
    const cJSON *range = cJSON_GetObjectItem(split, "val_bytes");
    ck_assert_int_eq(cJSON_GetArrayItem(range, 0)->valueint, 9);
    ck_assert_int_eq(cJSON_GetArrayItem(range, 1)->valueint, 10);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(a_large_vocabulary_packs_in_32_bits_and_knows_its_tokenizer) {
    md_buffer text = {0};
    for (int c = 0x10000; c < 0x10000 + 66000; c++) {
        char utf8[4] = {(char)(0xf0 | c >> 18), (char)(0x80 | (c >> 12 & 63)),
                        (char)(0x80 | (c >> 6 & 63)), (char)(0x80 | (c & 63))};
        assert_ok(md_buffer_append(&text, utf8, 4, &err));
    }
    const char *path = put_bytes("wide.txt", text.data, text.size);
    md_tokenizer *tok = NULL, *other = NULL;
    md_reader *reader = NULL;
    assert_ok(md_reader_open(&path, 1, &reader, &err));
    assert_ok(md_tokenizer_train_chars(md_reader_source(reader), &tok, &err));
    assert_ok(md_tokenizer_bytes(&other, &err));
    md_pack_options opt = {.val_fraction = 0};
    assert_ok(md_corpus_pack(&path, 1, tok, &opt, at("packed"), NULL, &err));
    md_corpus *corpus = open_packed();
    ck_assert_int_eq(md_corpus_tokens(corpus, MD_PART_TRAIN), 66000);
    int32_t *ids = md_alloc(66000, sizeof *ids, &err);
    md_corpus_read(corpus, MD_PART_TRAIN, 0, ids, 66000);
    md_buffer back = {0};
    assert_ok(md_tokenizer_decode(tok, ids, 66000, &back, &err));
    ck_assert_uint_eq(back.size, text.size);
    ck_assert_mem_eq(back.data, text.data, text.size);
    ck_assert(md_corpus_matches(corpus, tok) && !md_corpus_matches(corpus, other));
    md_free(ids);
    md_buffer_release(&back), md_buffer_release(&text);
    md_corpus_close(corpus);
    md_reader_free(reader);
    md_tokenizer_free(tok), md_tokenizer_free(other);
}
END_TEST

START_TEST(bpe_ids_do_not_depend_on_where_pieces_are_cut) {
    char *text = NULL;
    size_t size = 0;
    md_buffer twice = {0};
    md_ids whole = {0};
    md_tokenizer *tok = NULL;
    md_reader *reader = NULL;
    const char *tales = SOURCE_ROOT "/corpora/tales.txt";
    assert_ok(md_file_read(tales, 1 << 24, &text, &size, &err));
    assert_ok(md_buffer_append(&twice, text, size, &err));
    assert_ok(md_buffer_append(&twice, text, size, &err));
    ck_assert_uint_gt(twice.size, MD_PIECE_BYTES);
    assert_ok(md_reader_open(&tales, 1, &reader, &err));
    md_bpe_options bpe = {.vocab_size = 400};
    assert_ok(md_tokenizer_train_bpe(md_reader_source(reader), &bpe, &tok, &err));
    assert_ok(md_tokenizer_encode(tok, twice.data, twice.size, &whole, &err));
    md_pack_options opt = {.val_fraction = 0};
    const char *path = put_bytes("twice.txt", twice.data, twice.size);
    assert_ok(md_corpus_pack(&path, 1, tok, &opt, at("packed"), NULL, &err));
    md_corpus *corpus = open_packed();
    ck_assert_int_eq(md_corpus_tokens(corpus, MD_PART_TRAIN), whole.count);
    int32_t *ids = md_alloc(whole.count, sizeof *ids, &err);
    md_corpus_read(corpus, MD_PART_TRAIN, 0, ids, (int64_t)whole.count);
    ck_assert_mem_eq(ids, whole.data, whole.count * sizeof *ids);
    md_free(ids), md_free(text);
    md_ids_release(&whole), md_buffer_release(&twice);
    md_corpus_close(corpus);
    md_reader_free(reader);
    md_tokenizer_free(tok);
}
END_TEST

START_TEST(a_validation_fraction_of_one_is_refused) {
    const char *path = put("a.txt", "text");
    md_pack_options opt = {.val_fraction = 1};
    assert_fails(pack_with(&path, 1, &opt, NULL), MDLM_USAGE, "fraction is 1: expected 0 <= f < 1");
}
END_TEST

int main(void) {
    Suite *s = suite_create("corpora");
    const TTest *tests[] = {
        a_plain_file_is_one_document,
        every_line_of_a_jsonl_file_is_a_document,
        a_gz_file_reads_like_the_file_inside,
        a_folder_is_read_in_sorted_order_without_hidden_files,
        pieces_are_cut_before_a_space_and_join_to_the_file,
        text_without_white_space_is_cut_between_characters,
        a_file_of_exactly_one_piece_ends_with_it,
        a_bad_jsonl_line_is_named_with_its_file,
        a_truncated_or_damaged_gz_is_an_error,
        missing_empty_and_binary_files_are_named,
        an_unreadable_file_is_named,
        one_file_is_split_at_the_exact_byte,
        the_split_byte_is_exact_where_floating_point_is_not,
        a_split_across_pieces_keeps_every_byte,
        many_documents_are_split_whole_and_joined_by_end_of_text,
        an_empty_part_gets_the_last_document,
        a_validation_file_replaces_the_split,
        the_manifest_names_sources_and_ranges,
        a_large_vocabulary_packs_in_32_bits_and_knows_its_tokenizer,
        bpe_ids_do_not_depend_on_where_pieces_are_cut,
        a_validation_fraction_of_one_is_refused,
    };
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        TCase *tc = tcase_create(tests[i]->name);
        tcase_set_timeout(tc, 120);
        tcase_add_checked_fixture(tc, setup, teardown);
        tcase_add_test(tc, tests[i]);
        suite_add_tcase(s, tc);
    }
    return suite_run(s);
}
