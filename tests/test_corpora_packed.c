/* tests/test_corpora_packed.c: packed folders that lie, packing that fails, and the loader. */
#include "tests/test_corpora.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/corpus.h"

static mdlm_status pack(const char *path, const md_pack_options *opt, const char *folder) {
    md_tokenizer *tok = NULL;
    assert_ok(md_tokenizer_bytes(&tok, &err));
    mdlm_status status = md_corpus_pack(&path, 1, tok, opt, folder, NULL, &err);
    md_tokenizer_free(tok);
    return status;
}

/* A packed corpus of `size` bytes, all of it training; position i holds byte i % 251. */
static md_corpus *open_counted(size_t size) {
    unsigned char *bytes = md_alloc(size, 1, &err);
    for (size_t i = 0; i < size; i++) bytes[i] = (unsigned char)(i % 251 ? i % 251 : 251);
    md_pack_options opt = {.val_fraction = 0};
    assert_ok(md_file_write(at("counted"), bytes, size, &err));
    assert_ok(pack(at("counted"), &opt, at("packed")));
    md_free(bytes);
    md_corpus *corpus = NULL;
    assert_ok(md_corpus_open(at("packed"), &corpus, &err));
    return corpus;
}

/* --- folders that lie ------------------------------------------------------------------------- */

/* Two training documents ("one", "two") and one validation document. */
static void pack_small(void) {
    const char *lines = "{\"text\":\"one\"}\n{\"text\":\"two\"}\n";
    md_pack_options opt = md_pack_defaults();
    assert_ok(md_file_write(at("a.jsonl"), lines, strlen(lines), &err));
    assert_ok(md_file_write(at("v.txt"), "three", 5, &err));
    opt.val_file = at("v.txt");
    assert_ok(pack(at("a.jsonl"), &opt, at("packed")));
    md_corpus *corpus = NULL;
    assert_ok(md_corpus_open(at("packed"), &corpus, &err));
    ck_assert_int_eq(md_corpus_tokens(corpus, MD_PART_TRAIN), 7);
    md_corpus_close(corpus);
}

/* Opening the small corpus with one file replaced fails with `message`. */
static void assert_refused(const char *name, const void *bytes, size_t size, const char *message) {
    md_corpus *corpus = NULL;
    pack_small();
    assert_ok(md_file_write(at(name), bytes, size, &err));
    assert_fails(md_corpus_open(at("packed"), &corpus, &err), MDLM_INPUT, message);
    ck_assert_ptr_null(corpus);
}

/* The same with one piece of corpus.json replaced by another. */
static void assert_manifest_refused(const char *from, const char *to, const char *message) {
    char *json = NULL;
    size_t size = 0;
    md_buffer edited = {0};
    pack_small();
    assert_ok(md_file_read(at("packed/corpus.json"), 1 << 20, &json, &size, &err));
    char *found = strstr(json, from);
    ck_assert_msg(found != NULL, "no '%s' in %s", from, json);
    assert_ok(md_buffer_append(&edited, json, (size_t)(found - json), &err));
    assert_ok(md_buffer_text(&edited, to, &err));
    assert_ok(md_buffer_text(&edited, found + strlen(from), &err));
    assert_refused("packed/corpus.json", edited.data, edited.size, message);
    md_buffer_release(&edited);
    md_free(json);
}

START_TEST(a_corrupt_manifest_is_refused) {
    assert_refused("packed/corpus.json", "{", 1, "corpus.json");
    assert_refused("packed/corpus.json", "[]", 2, "corpus.json");
    assert_manifest_refused("mdlm-corpus", "something", "has the format 'something'");
    assert_manifest_refused("\"version\":", "\"versions\":", "version");
    assert_manifest_refused("\"vocab\":", "\"vocab\": -1, \"v\":", "vocab");
    assert_manifest_refused("257", "259", "end_of_text");
    assert_manifest_refused("\"id_bits\":", "\"id_bits\": 32, \"i\":", "id_bits");
    assert_manifest_refused("\"fingerprint\":", "\"fingerprint\": \"12\", \"f\":", "fingerprint");
    assert_manifest_refused("\"train\":", "\"training\":", "no object 'train'");
    assert_manifest_refused("\"sources\":", "\"sauces\":", "no list 'sources'");
    assert_manifest_refused("\"tokens\":", "\"tokens\": 8, \"t\":", "expected 8 items");
    assert_manifest_refused("\"tokens\":", "\"tokens\": 1e15, \"t\":", "train.bin' has 14 bytes");
    assert_manifest_refused("\"tokens\":", "\"tokens\": -7, \"t\":", "tokens");
    assert_manifest_refused("\"documents\":", "\"documents\": 1, \"d\":", "train.docs' has 24");
    assert_manifest_refused("\"documents\":", "\"documents\": 8, \"d\":", "documents");
    assert_manifest_refused("\"bytes\":", "\"bytes\": 5, \"b\":", "its parts have 10 bytes");
}
END_TEST

START_TEST(a_truncated_or_overlong_part_is_refused) {
    uint16_t ids[8] = {'o', 'n', 'e', 257, 't', 'w', 'o', 'x'};
    assert_refused("packed/train.bin", ids, 13, "train.bin' has 13 bytes: expected 7 items");
    assert_refused("packed/train.bin", ids, 12, "train.bin' has 12 bytes");
    assert_refused("packed/train.bin", ids, 16, "train.bin' has 16 bytes");
    assert_refused("packed/train.bin", ids, 0, "train.bin' has 0 bytes");
    assert_refused("packed/val.docs", ids, 8, "val.docs' has 8 bytes");
}
END_TEST

START_TEST(an_id_outside_the_vocabulary_is_refused) {
    uint16_t ids[7] = {'o', 'n', 'e', 257, 't', 259, 'o'};
    assert_refused("packed/train.bin", ids, sizeof ids, "id 259 at 5 is outside the vocabulary");
}
END_TEST

START_TEST(an_id_that_goes_bad_after_opening_reads_as_end_of_text) {
    const uint16_t bad = 60000;
    md_corpus *corpus = NULL;
    int32_t ids[7];
    pack_small();
    assert_ok(md_corpus_open(at("packed"), &corpus, &err));
    FILE *file = fopen(at("packed/train.bin"), "r+b");
    ck_assert(fseek(file, 4, SEEK_SET) == 0 && fwrite(&bad, sizeof bad, 1, file) == 1);
    ck_assert_int_eq(fclose(file), 0);
    md_corpus_read(corpus, MD_PART_TRAIN, 0, ids, 7);
    ck_assert_int_eq(ids[1], 'n');
    ck_assert_int_eq(ids[2], 257);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(document_offsets_out_of_order_are_refused) {
    const int64_t late[3] = {1, 4, 7}, backwards[3] = {0, 9, 7}, negative[3] = {0, -4, 7},
                  short_of[3] = {0, 4, 6}, hollow[3] = {0, 0, 7};
    assert_refused("packed/train.docs", late, sizeof late, "spans 1 to 7: expected 0 to 7");
    assert_refused("packed/train.docs", short_of, sizeof late, "spans 0 to 6: expected 0 to 7");
    assert_refused("packed/train.docs", backwards, sizeof late, "document 1 ends before");
    assert_refused("packed/train.docs", negative, sizeof late, "document 0 ends before");
    assert_refused("packed/train.docs", hollow, sizeof late, "document 0 ends before");
}
END_TEST

START_TEST(a_folder_without_a_manifest_is_not_a_corpus) {
    md_corpus *corpus = NULL;
    pack_small();
    ck_assert_int_eq(remove(at("packed/corpus.json")), 0);
    assert_fails(md_corpus_open(at("packed"), &corpus, &err), MDLM_INPUT, "corpus.json");
    assert_fails(md_corpus_open(at("nowhere"), &corpus, &err), MDLM_INPUT, "nowhere/corpus.json");
}
END_TEST

/* --- packing that fails ----------------------------------------------------------------------- */

static int cancel_at(void *user, int64_t done, int64_t total) {
    (void)done, (void)total;
    return --*(int *)user == 0;
}

START_TEST(cancelling_leaves_nothing_behind_at_any_point) {
    char text[4001] = {0};
    memset(text, 'x', sizeof text - 1);
    assert_ok(md_dir_make(at("in"), &err));
    for (char name[] = "in/0"; name[3] < '6'; name[3]++)
        assert_ok(md_file_write(at(name), text, sizeof text - 1, &err));
    for (int calls = 1; calls <= 12; calls++) {
        int left = calls;
        md_pack_options opt = {.val_fraction = 0.1, .on_progress = cancel_at, .user = &left};
        assert_fails(pack(at("in"), &opt, at("new/deep/packed")), MDLM_CANCELLED, "cancelled");
        ck_assert(!md_is_dir(at("new")));
    }
}
END_TEST

static void assert_names(const char *folder, const char *expected) {
    md_names names = {0};
    md_buffer all = {0};
    assert_ok(md_dir_list(folder, &names, &err));
    for (size_t i = 0; i < names.count; i++)
        assert_ok(md_buffer_printf(&all, &err, "%s ", names.items[i]));
    ck_assert_str_eq(all.data, expected);
    md_buffer_release(&all);
    md_names_release(&names);
}

START_TEST(a_failure_keeps_the_old_corpus_whole) {
    const char *files = "corpus.json train.bin train.docs val.bin val.docs ";
    pack_small();
    assert_names(at("packed"), files);
    int left = 4; /* two documents surveyed, then two of them packed */
    md_pack_options opt = {.val_fraction = 0.1, .on_progress = cancel_at, .user = &left};
    assert_fails(pack(at("a.jsonl"), &opt, at("packed")), MDLM_CANCELLED, "cancelled");
    assert_names(at("packed"), files);
    md_corpus *corpus = NULL;
    assert_ok(md_corpus_open(at("packed"), &corpus, &err));
    ck_assert_int_eq(md_corpus_tokens(corpus, MD_PART_VAL), 5);
    md_corpus_close(corpus);
}
END_TEST

START_TEST(a_bad_source_makes_no_folder) {
    md_pack_options opt = md_pack_defaults();
    assert_fails(pack(at("none.txt"), &opt, at("packed")), MDLM_INPUT, "none.txt'");
    ck_assert(!md_is_dir(at("packed")));
    assert_ok(md_file_write(at("a.txt"), "text", 4, &err));
    opt.val_file = at("none.jsonl");
    assert_fails(pack(at("a.txt"), &opt, at("packed")), MDLM_INPUT, "none.jsonl'");
    ck_assert(!md_is_dir(at("packed")));
}
END_TEST

static int rewrite(void *user, int64_t done, int64_t total) {
    (void)done;
    if (total == 0) assert_ok(md_file_write(user, "grown since", 11, &err));
    return 0;
}

START_TEST(a_file_that_changes_between_the_passes_is_noticed) {
    assert_ok(md_file_write(at("a.txt"), "text", 4, &err));
    md_pack_options opt = {
        .val_fraction = 0.1, .on_progress = rewrite, .user = (void *)at("a.txt")};
    assert_fails(pack(at("a.txt"), &opt, at("packed")), MDLM_INPUT, "a.txt' changed while");
    ck_assert(!md_is_dir(at("packed")));
}
END_TEST

/* --- loader ----------------------------------------------------------------------------------- */

START_TEST(a_pass_covers_each_window_exactly_once) {
    enum { TOKENS = 5000, LENGTH = 64 };
    md_corpus *corpus = open_counted(TOKENS);
    md_loader loader;
    assert_ok(md_loader_init(&loader, corpus, MD_PART_TRAIN, LENGTH, 7, &err));
    ck_assert_int_eq(loader.windows, (TOKENS - (LENGTH - 1)) / LENGTH);
    for (int64_t pass = 0; pass < 5; pass++) {
        char seen[TOKENS] = {0};
        int64_t phase = md_loader_offset(&loader, pass * loader.windows) % LENGTH;
        for (int64_t i = 0; i < loader.windows; i++) {
            int64_t start = md_loader_offset(&loader, pass * loader.windows + i);
            ck_assert_int_eq(start % LENGTH, phase);
            ck_assert(start >= 0 && start + LENGTH <= TOKENS);
            ck_assert_int_eq(seen[start]++, 0);
        }
    }
    md_corpus_close(corpus);
}
END_TEST

START_TEST(a_sequence_is_a_pure_function_of_its_number) {
    enum { LENGTH = 16, COUNT = 200 };
    md_corpus *corpus = open_counted(1000);
    md_loader loader;
    int32_t together[COUNT * LENGTH], alone[LENGTH];
    assert_ok(md_loader_init(&loader, corpus, MD_PART_TRAIN, LENGTH, 3, &err));
    md_loader_read(&loader, 0, COUNT, together);
    for (int n = COUNT - 1; n >= 0; n--) {
        md_loader_read(&loader, n, 1, alone);
        ck_assert_mem_eq(alone, together + n * LENGTH, sizeof alone);
        int64_t start = md_loader_offset(&loader, n);
        for (int i = 0; i < LENGTH; i++) {
            int64_t place = (start + i) % 251;
            ck_assert_int_eq(alone[i], place ? place : 251);
        }
    }
    md_corpus_close(corpus);
}
END_TEST

START_TEST(passes_and_seeds_differ_in_order_and_offset) {
    enum { LENGTH = 32 };
    md_corpus *corpus = open_counted(20000);
    md_loader a, b;
    assert_ok(md_loader_init(&a, corpus, MD_PART_TRAIN, LENGTH, 1, &err));
    assert_ok(md_loader_init(&b, corpus, MD_PART_TRAIN, LENGTH, 2, &err));
    int same_order = 0, same_seed = 0, phases = 0;
    char phase[LENGTH] = {0};
    for (int64_t i = 0; i < a.windows; i++) {
        int64_t here = md_loader_offset(&a, i) / LENGTH;
        same_order += here == md_loader_offset(&a, i + a.windows) / LENGTH;
        same_seed += here == md_loader_offset(&b, i) / LENGTH;
    }
    /* A random permutation has one fixed point on average, Poisson(1): 12 has odds below 1e-9. */
    ck_assert_int_lt(same_order, 12);
    ck_assert_int_lt(same_seed, 12);
    for (int64_t pass = 0; pass < 40; pass++)
        phases += !phase[md_loader_offset(&a, pass * a.windows) % LENGTH]++;
    ck_assert_int_gt(phases, 15); /* 40 uniform draws of 32 hit 23 different ones on average */
    md_corpus_close(corpus);
}
END_TEST

START_TEST(a_part_shorter_than_two_windows_has_one) {
    for (int tokens = 16; tokens <= 48; tokens++) {
        md_corpus *corpus = open_counted((size_t)tokens);
        md_loader loader;
        int64_t low = tokens, high = 0;
        assert_ok(md_loader_init(&loader, corpus, MD_PART_TRAIN, 16, 5, &err));
        ck_assert_int_eq(loader.windows, tokens < 47 ? 1 : 2);
        for (int64_t n = 0; n < 300; n++) {
            int64_t start = md_loader_offset(&loader, n);
            ck_assert(start >= 0 && start + 16 <= tokens);
            low = start < low ? start : low;
            high = start > high ? start : high;
        }
        ck_assert_int_eq(low, 0); /* 300 draws of at most 33 starts miss one with odds 1e-4 */
        ck_assert_int_eq(high, tokens < 47 ? (tokens < 31 ? tokens - 16 : 15) : 31);
        md_corpus_close(corpus);
    }
}
END_TEST

START_TEST(a_part_shorter_than_a_sequence_is_an_error) {
    md_corpus *corpus = open_counted(15);
    md_loader loader;
    assert_fails(md_loader_init(&loader, corpus, MD_PART_TRAIN, 16, 0, &err), MDLM_INPUT,
                 "training part has 15 tokens: expected at least the sequence length 16");
    assert_fails(md_loader_init(&loader, corpus, MD_PART_VAL, 16, 0, &err), MDLM_INPUT,
                 "validation part has 0 tokens");
    md_corpus_close(corpus);
}
END_TEST

int main(void) {
    Suite *s = suite_create("corpora packed");
    const TTest *tests[] = {
        a_corrupt_manifest_is_refused,
        a_truncated_or_overlong_part_is_refused,
        an_id_outside_the_vocabulary_is_refused,
        an_id_that_goes_bad_after_opening_reads_as_end_of_text,
        document_offsets_out_of_order_are_refused,
        a_folder_without_a_manifest_is_not_a_corpus,
        cancelling_leaves_nothing_behind_at_any_point,
        a_failure_keeps_the_old_corpus_whole,
        a_bad_source_makes_no_folder,
        a_file_that_changes_between_the_passes_is_noticed,
        a_pass_covers_each_window_exactly_once,
        a_sequence_is_a_pure_function_of_its_number,
        passes_and_seeds_differ_in_order_and_offset,
        a_part_shorter_than_two_windows_has_one,
        a_part_shorter_than_a_sequence_is_an_error,
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
