/* tests/test_base_file.c: files, folders and JSON, with what the world does to them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "tests/suite.h"

static char *dir;

static void make_dir(void) {
    dir = suite_tmp_dir();
}

static void remove_dir(void) {
    suite_tmp_remove(dir);
}

/* Paths under the test's folder; the four latest stay valid. */
static const char *in_dir(const char *name) {
    static char paths[4][512];
    static int turn;
    char *path = paths[turn = (turn + 1) % 4];
    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static size_t entries(const char *path) {
    mdlm_error err = {0};
    md_names names = {0};
    assert_ok(md_dir_list(path, &names, &err));
    size_t count = names.count;
    md_names_release(&names);
    return count;
}

START_TEST(a_written_file_reads_back_and_leaves_no_temporary) {
    mdlm_error err = {0};
    assert_ok(md_file_write(in_dir("x"), "old", 3, &err));
    assert_ok(md_file_write(in_dir("x"), "a\0b", 3, &err));
    char *text = NULL;
    size_t size = 0;
    assert_ok(md_file_read(in_dir("x"), 3, &text, &size, &err));
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(text, "a\0b", 4);
    md_free(text);
    ck_assert_uint_eq(entries(dir), 1);
    ck_assert(md_file_exists(in_dir("x")) && !md_is_dir(in_dir("x")));
    ck_assert(md_dir_has(dir, "x") && !md_dir_has(dir, "y") && !md_dir_has(in_dir("x"), "x"));
    int64_t bytes = 0;
    assert_ok(md_file_size(in_dir("x"), &bytes, &err));
    ck_assert_int_eq(bytes, 3);
}
END_TEST

START_TEST(a_file_written_quickly_is_whole_and_alone) {
    mdlm_error err = {0};
    assert_ok(md_file_write_quickly(in_dir("x"), "old", 3, &err));
    assert_ok(md_file_write_quickly(in_dir("x"), "a\0b", 3, &err));
    char *text = NULL;
    size_t size = 0;
    assert_ok(md_file_read(in_dir("x"), 3, &text, &size, &err));
    ck_assert_uint_eq(size, 3);
    ck_assert_mem_eq(text, "a\0b", 4);
    md_free(text);
    ck_assert_uint_eq(entries(dir), 1);
    assert_fails(md_file_write_quickly(in_dir("no/x"), "", 0, &err), MDLM_WRITE, "no/x");
}
END_TEST

START_TEST(an_empty_file_reads_as_an_empty_text) {
    mdlm_error err = {0};
    assert_ok(md_file_write(in_dir("empty"), NULL, 0, &err));
    char *text = NULL;
    size_t size = 9;
    assert_ok(md_file_read(in_dir("empty"), 0, &text, &size, &err));
    ck_assert_uint_eq(size, 0);
    ck_assert_str_eq(text, "");
    md_free(text);
    md_map map = {.size = 9};
    assert_ok(md_map_open(in_dir("empty"), &map, &err));
    ck_assert(!map.data && map.size == 0);
    md_map_release(&map);
}
END_TEST

START_TEST(a_mapping_that_is_forgotten_piece_by_piece_takes_the_memory_of_a_piece) {
    mdlm_error err = {0};
    enum { PIECES = 16, SIZE = 4 << 20 };
    assert_ok(md_file_write(in_dir("long"), "first", 5, &err));
    ck_assert_int_eq(truncate(in_dir("long"), (off_t)PIECES * SIZE), 0); /* the rest is zero */
    md_map map = {0};
    assert_ok(md_map_open(in_dir("long"), &map, &err));
    const char *bytes = map.data;
    const int64_t before = md_peak_rss();
    int64_t sum = 0;
    for (size_t i = 0; i < PIECES; i++) {
        for (size_t j = i * SIZE; j < (i + 1) * SIZE; j += 64) sum += bytes[j];
        md_map_forget(bytes + i * SIZE + 1, SIZE - 2);
    }
    ck_assert_int_eq(sum, 'f');
    ck_assert_int_lt(md_peak_rss() - before, (int64_t)PIECES * SIZE / 2);
    ck_assert_int_eq(memcmp(bytes, "first", 6), 0); /* it is read again */
    md_map_forget(NULL, 0);
    md_map_release(&map);
}
END_TEST

START_TEST(what_cannot_be_read_is_refused_by_name) {
    mdlm_error err = {0};
    char *text = (char *)dir;
    size_t size = 77;
    int64_t bytes = 77;
    md_map map = {.size = 77};
    assert_fails(md_file_read(in_dir("none"), 10, &text, &size, &err), MDLM_INPUT,
                 "/none': no such file or directory");
    assert_fails(md_file_read(dir, 10, &text, &size, &err), MDLM_INPUT, "' is a folder");
    assert_fails(md_file_size(dir, &bytes, &err), MDLM_INPUT, "' is a folder");
    assert_fails(md_map_open(dir, &map, &err), MDLM_INPUT, "' is a folder");
    assert_ok(md_file_write(in_dir("big"), "12345", 5, &err));
    assert_fails(md_file_read(in_dir("big"), 4, &text, &size, &err), MDLM_INPUT,
                 "expected at most 4 bytes, found 5");
    ck_assert_int_eq(mkfifo(in_dir("pipe"), 0600), 0);
    assert_fails(md_file_read(in_dir("pipe"), 4, &text, &size, &err), MDLM_INPUT,
                 "not a regular file");
    ck_assert(text == dir && size == 77 && bytes == 77 && map.size == 77);
}
END_TEST

START_TEST(a_path_that_cannot_be_written_is_refused_by_name) {
    mdlm_error err = {0};
    assert_ok(md_file_write(in_dir("file"), "x", 1, &err));
    md_writer *w = NULL;
    char expected[600];
    snprintf(expected, sizeof expected, "cannot write '%s': not a directory", in_dir("file/x"));
    assert_fails(md_writer_open(in_dir("file/x"), &w, &err), MDLM_WRITE, expected);
    assert_fails(md_writer_open(in_dir("none/x"), &w, &err), MDLM_WRITE,
                 "none/x': no such file or directory");
    assert_fails(md_writer_open(dir, &w, &err), MDLM_WRITE, "it is a folder");
    assert_fails(md_writer_open("/dev/null", &w, &err), MDLM_WRITE, "not a regular file");
    assert_fails(md_dir_make(in_dir("file/x"), &err), MDLM_WRITE, "not a directory");
    assert_fails(md_dir_make(in_dir("file"), &err), MDLM_WRITE, "not a directory");
    assert_fails(md_dir_make("", &err), MDLM_WRITE, "no such file");
    ck_assert_ptr_null(w);
}
END_TEST

START_TEST(a_writer_that_is_not_committed_leaves_the_old_file) {
    mdlm_error err = {0};
    assert_ok(md_file_write(in_dir("x"), "old", 3, &err));
    md_writer *w = NULL;
    assert_ok(md_writer_open(in_dir("x"), &w, &err));
    assert_ok(md_writer_write(w, "new", 3, &err));
    ck_assert_uint_eq(entries(dir), 2);
    md_writer_free(w);
    md_writer_free(NULL);
    ck_assert_uint_eq(entries(dir), 1);
    int64_t bytes = 0;
    assert_ok(md_file_size(in_dir("x"), &bytes, &err));
    ck_assert_int_eq(bytes, 3);
}
END_TEST

START_TEST(a_full_disk_is_reported_and_never_committed) {
    mdlm_error err = {0};
    md_writer *w = NULL;
    assert_ok(md_writer_open(in_dir("x"), &w, &err));
    /* /dev/full stands in for the disk: the writer's next descriptor write fails with ENOSPC. */
    int full = open("/dev/full", O_WRONLY);
    if (full < 0) {
        md_writer_free(w);
        return;
    }
    ck_assert_int_ge(dup2(full, full - 1), 0); /* the writer opened its file just before */
    close(full);
    assert_ok(md_writer_write(w, "x", 1, &err)); /* still in the buffer */
    assert_fails(md_writer_commit(w, &err), MDLM_WRITE, "/x': no space left on device");
    assert_fails(md_writer_write(w, "x", 1, &err), MDLM_WRITE, "an earlier write failed");
    assert_fails(md_writer_commit(w, &err), MDLM_WRITE, "an earlier write failed");
    md_writer_free(w);
    ck_assert_uint_eq(entries(dir), 0);
}
END_TEST

START_TEST(writes_of_every_size_arrive_in_order) {
    mdlm_error err = {0};
    static const size_t sizes[] = {1, 1000, (1 << 20) - 1, 5, 1 << 20, (1 << 20) + 1, 3 << 20, 2};
    enum { TOTAL = 8 << 20 };
    char *bytes = md_alloc(TOTAL, 1, &err);
    for (size_t i = 0; i < TOTAL; i++) bytes[i] = (char)(i * 2654435761u >> 13);
    md_writer *w = NULL;
    assert_ok(md_writer_open(in_dir("x"), &w, &err));
    size_t done = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        assert_ok(md_writer_write(w, bytes + done, sizes[i], &err));
        done += sizes[i];
    }
    assert_ok(md_writer_commit(w, &err));
    md_writer_free(w);
    md_map map = {0};
    assert_ok(md_map_open(in_dir("x"), &map, &err));
    ck_assert_uint_eq(map.size, done);
    ck_assert_int_eq(memcmp(map.data, bytes, done), 0);
    uint64_t hash = 0;
    assert_ok(md_file_hash(in_dir("x"), &hash, &err));
    ck_assert(hash == md_hash(bytes, done, 0));
    md_map_release(&map);
    md_free(bytes);
}
END_TEST

START_TEST(formatted_writes_of_every_length_arrive) {
    mdlm_error err = {0};
    char *word = md_alloc(5001, 1, &err);
    memset(word, 'a', 5000);
    md_writer *w = NULL;
    assert_ok(md_writer_open(in_dir("x"), &w, &err));
    for (int length = 505; length < 520; length++) {
        assert_ok(md_writer_printf(w, &err, "%.*s\n", length, word));
    }
    assert_ok(md_writer_printf(w, &err, "%s|%d", word, 7));
    assert_ok(md_writer_commit(w, &err));
    md_writer_free(w);
    char *text = NULL;
    size_t size = 0;
    assert_ok(md_file_read(in_dir("x"), 1 << 20, &text, &size, &err));
    ck_assert_uint_eq(size, 15 * (512 + 1) + 5002);
    ck_assert_str_eq(text + size - 4, "aa|7");
    md_free(text);
    md_free(word);
}
END_TEST

START_TEST(the_hash_is_xxh3) {
    /* Golden values: XXH3_64bits of nothing, and its dependence on the seed. */
    ck_assert(md_hash("", 0, 0) == UINT64_C(0x2d06800538d394c2));
    ck_assert(md_hash("abc", 3, 0) != md_hash("abc", 3, 1));
    ck_assert(md_hash("abc", 3, 0) != md_hash("abd", 3, 0));
}
END_TEST

START_TEST(folders_are_made_listed_and_removed) {
    mdlm_error err = {0};
    assert_ok(md_dir_make(in_dir("a/b//c/"), &err));
    assert_ok(md_dir_make(in_dir("a/b/c"), &err));
    ck_assert(md_is_dir(in_dir("a/b/c")));
    assert_ok(md_dir_sync(in_dir("a"), &err));
    assert_ok(md_file_write(in_dir("a/b/z"), "", 0, &err));
    assert_ok(md_file_write(in_dir("a/b/\xc3\xa9"), "", 0, &err));
    assert_ok(md_file_write(in_dir("a/b/B"), "", 0, &err));
    md_names names = {0};
    assert_ok(md_dir_list(in_dir("a/b"), &names, &err));
    static const char *const expected[] = {"B", "c", "z", "\xc3\xa9"};
    ck_assert_uint_eq(names.count, 4);
    for (size_t i = 0; i < 4; i++) ck_assert_str_eq(names.items[i], expected[i]);
    md_names_release(&names);
    assert_ok(md_dir_remove(in_dir("a"), &err));
    ck_assert(!md_file_exists(in_dir("a")));
    assert_ok(md_dir_remove(in_dir("a"), &err));
    assert_fails(md_dir_list(in_dir("a"), &names, &err), MDLM_INPUT, "no such file");
    assert_fails(md_dir_sync(in_dir("a"), &err), MDLM_WRITE, "no such file");
}
END_TEST

START_TEST(removing_a_folder_does_not_follow_links) {
    mdlm_error err = {0};
    assert_ok(md_dir_make(in_dir("kept"), &err));
    assert_ok(md_file_write(in_dir("kept/x"), "x", 1, &err));
    assert_ok(md_dir_make(in_dir("gone/sub"), &err));
    ck_assert_int_eq(symlink(in_dir("kept"), in_dir("gone/sub/link")), 0);
    ck_assert_int_eq(symlink(in_dir("kept"), in_dir("link")), 0);
    assert_ok(md_dir_remove(in_dir("gone"), &err));
    assert_ok(md_dir_remove(in_dir("link"), &err));
    ck_assert(md_file_exists(in_dir("kept/x")));
    ck_assert(!md_file_exists(in_dir("gone")) && !md_file_exists(in_dir("link")));
    assert_fails(md_dir_remove(in_dir("kept/x"), &err), MDLM_WRITE, "not a folder");
}
END_TEST

START_TEST(paths_are_joined_with_one_slash) {
    static const char *const cases[][3] = {
        {"a", "b", "a/b"}, {"a/", "b", "a/b"}, {"/", "b", "/b"}, {"", "b", "b"}};
    mdlm_error err = {0};
    for (size_t i = 0; i < 4; i++) {
        char *path = md_path_join(cases[i][0], cases[i][1], &err);
        ck_assert_str_eq(path, cases[i][2]);
        md_free(path);
    }
    double before = md_now();
    usleep(2000);
    ck_assert_double_ge(md_now() - before, 0.002);
}
END_TEST

static mdlm_status parse(const char *text, mdlm_error *err) {
    cJSON *root = NULL;
    mdlm_status status = md_json_parse(text, strlen(text), "c.json", &root, err);
    ck_assert((status == MDLM_OK) == (root != NULL));
    cJSON_Delete(root);
    return status;
}

START_TEST(malformed_json_is_refused) {
    mdlm_error err = {0};
    static const char *const texts[] = {"{",        "{\"a\":1",  "[1,",     "{\"a\" 1}", "{a:1}",
                                        "nul",      "\"abc",     "\"\\",    "[1]]",      "{} x",
                                        "{\"a\":}", "\"\\ud800", "[1 2]",   "1 1",       "-",
                                        "'a'",      "{,}",       "\"\\u12", "[\"\\q\"]", "+1"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_fails(parse(texts[i], &err), MDLM_INPUT, "'c.json' is not valid JSON");
    }
    assert_fails(parse("", &err), MDLM_INPUT, "it is empty");
    assert_fails(parse(" \n\t ", &err), MDLM_INPUT, "it is empty");
    assert_fails(parse("{\n\"a\": 1,\n\"b\": x}", &err), MDLM_INPUT, "in line 3");
    assert_fails(parse("{}\n\n}", &err), MDLM_INPUT, "unexpected text in line 3");
    assert_ok(parse(" {\"a\": [1, null, true]} \r\n", &err));
}
END_TEST

START_TEST(every_prefix_of_json_is_refused) {
    mdlm_error err = {0};
    const char *text = "{\"a\": [1.5e3, \"x\\u00e9\\n\"], \"b\": {\"c\": true, \"d\": null}}";
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++) {
        char *prefix = md_alloc(i, 1, &err); /* exactly i bytes: a longer read is found by asan */
        memcpy(prefix, text, i);
        cJSON *root = NULL;
        assert_fails(md_json_parse(prefix, i, "c.json", &root, &err), MDLM_INPUT, "not valid");
        md_free(prefix);
    }
    assert_ok(parse(text, &err));
}
END_TEST

START_TEST(duplicate_keys_are_refused_at_the_top_and_one_below) {
    mdlm_error err = {0};
    assert_fails(parse("{\"a\":1,\"b\":2,\"a\":3}", &err), MDLM_INPUT, "the key 'a' twice");
    assert_fails(parse("{\"x\":{\"a\":1,\"a\":3}}", &err), MDLM_INPUT, "the key 'a' twice");
    assert_fails(parse("{\"a\":1,\"\\u0061\":3}", &err), MDLM_INPUT, "the key 'a' twice");
    assert_ok(parse("{\"a\":1,\"A\":2,\"x\":{\"a\":1},\"y\":{\"a\":1}}", &err));
}
END_TEST

START_TEST(json_that_is_nested_too_deeply_is_refused) {
    mdlm_error err = {0};
    enum { DEPTH = 100000 };
    char *text = md_alloc(DEPTH + 1, 1, &err);
    memset(text, '[', DEPTH);
    assert_fails(parse(text, &err), MDLM_INPUT, "expected at most 1000 levels, found 100000");
    md_free(text);
}
END_TEST

START_TEST(members_are_checked_for_type_and_range) {
    mdlm_error err = {0};
    const char *text = "{\"i\": 7, \"f\": 1.5, \"s\": \"x\", \"b\": true, \"big\": 1e300,"
                       " \"over\": 1e999, \"edge\": 9007199254740992}";
    cJSON *o = NULL;
    assert_ok(md_json_parse(text, strlen(text), "c.json", &o, &err));
    int64_t i = -1;
    double f = -1;
    const char *s = NULL;
    bool b = false;
    assert_fails(md_json_int(o, "none", "c.json", 0, 9, &i, &err), MDLM_INPUT,
                 "'c.json' has no key 'none'");
    assert_fails(md_json_int(o, "f", "c.json", 0, 9, &i, &err), MDLM_INPUT, "not an integer");
    assert_fails(md_json_int(o, "s", "c.json", 0, 9, &i, &err), MDLM_INPUT, "not an integer");
    assert_fails(md_json_int(o, "b", "c.json", 0, 9, &i, &err), MDLM_INPUT, "not an integer");
    assert_fails(md_json_int(o, "i", "c.json", 8, 9, &i, &err), MDLM_INPUT,
                 "'i' is out of range: expected 8 to 9, found 7");
    assert_fails(md_json_int(o, "i", "c.json", 0, 6, &i, &err), MDLM_INPUT, "expected 0 to 6");
    assert_fails(md_json_int(o, "big", "c.json", INT64_MIN, INT64_MAX, &i, &err), MDLM_INPUT,
                 "out of range");
    assert_fails(md_json_number(o, "over", "c.json", &f, &err), MDLM_INPUT, "not a finite number");
    assert_fails(md_json_number(o, "s", "c.json", &f, &err), MDLM_INPUT, "not a finite number");
    assert_fails(md_json_text(o, "i", "c.json", &s, &err), MDLM_INPUT, "not a string");
    assert_fails(md_json_flag(o, "i", "c.json", &b, &err), MDLM_INPUT, "neither true nor false");
    ck_assert(i == -1 && f == -1 && !s && !b);
    assert_ok(md_json_int(o, "i", "c.json", 7, 7, &i, &err));
    ck_assert_int_eq(i, 7);
    assert_ok(md_json_int(o, "edge", "c.json", 0, INT64_MAX, &i, &err));
    ck_assert_int_eq(i, INT64_C(9007199254740992));
    assert_ok(md_json_number(o, "f", "c.json", &f, &err));
    assert_ok(md_json_text(o, "s", "c.json", &s, &err));
    assert_ok(md_json_flag(o, "b", "c.json", &b, &err));
    ck_assert(f == 1.5 && strcmp(s, "x") == 0 && b);
    cJSON_Delete(o);
}
END_TEST

START_TEST(a_member_of_something_else_than_an_object_is_refused) {
    mdlm_error err = {0};
    cJSON *array = NULL;
    assert_ok(md_json_parse("[1]", 3, "c.json", &array, &err));
    int64_t i;
    assert_fails(md_json_int(array, "i", "c.json", 0, 9, &i, &err), MDLM_INPUT,
                 "not a JSON object");
    assert_fails(md_json_int(NULL, "i", "c.json", 0, 9, &i, &err), MDLM_INPUT, "not a JSON object");
    cJSON_Delete(array);
}
END_TEST

START_TEST(saved_json_reads_back_to_the_last_bit) {
    static const double values[] = {0.1,  1.0 / 3, 9007199254740991, 9007199254740990, 1e-300,
                                    -2.5, 1e300,   4503599627370497, 123456789,        5e-324};
    enum { COUNT = sizeof values / sizeof *values };
    mdlm_error err = {0};
    cJSON *object = cJSON_CreateObject();
    cJSON_AddItemToObject(object, "v", cJSON_CreateDoubleArray(values, COUNT));
    cJSON_AddNumberToObject(object, "lr", 0.1);
    assert_ok(md_json_save(in_dir("c.json"), object, &err));
    ck_assert(cJSON_IsNumber(cJSON_GetObjectItem(object, "lr"))); /* untouched by the saving */
    cJSON_Delete(object);
    char *text = NULL;
    size_t size = 0;
    assert_ok(md_file_read(in_dir("c.json"), 4096, &text, &size, &err));
    ck_assert_ptr_nonnull(strstr(text, "\"lr\":\t0.1\n}\n"));
    md_free(text);
    cJSON *back = NULL;
    assert_ok(md_json_load(in_dir("c.json"), 4096, &back, &err));
    const cJSON *v = cJSON_GetObjectItem(back, "v");
    for (int i = 0; i < COUNT; i++) ck_assert(cJSON_GetArrayItem(v, i)->valuedouble == values[i]);
    cJSON_Delete(back);
    assert_fails(md_json_load(in_dir("c.json"), 10, &back, &err), MDLM_INPUT, "too large");
}
END_TEST

static void add(Suite *s, const char *name, const TTest *test) {
    TCase *tc = tcase_create(name);
    tcase_add_checked_fixture(tc, make_dir, remove_dir);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test);
    suite_add_tcase(s, tc);
}

int main(void) {
    Suite *s = suite_create("file");
#define ADD(test) add(s, #test, test)
    ADD(a_written_file_reads_back_and_leaves_no_temporary);
    ADD(a_file_written_quickly_is_whole_and_alone);
    ADD(an_empty_file_reads_as_an_empty_text);
    ADD(a_mapping_that_is_forgotten_piece_by_piece_takes_the_memory_of_a_piece);
    ADD(what_cannot_be_read_is_refused_by_name);
    ADD(a_path_that_cannot_be_written_is_refused_by_name);
    ADD(a_writer_that_is_not_committed_leaves_the_old_file);
    ADD(a_full_disk_is_reported_and_never_committed);
    ADD(writes_of_every_size_arrive_in_order);
    ADD(formatted_writes_of_every_length_arrive);
    ADD(the_hash_is_xxh3);
    ADD(folders_are_made_listed_and_removed);
    ADD(removing_a_folder_does_not_follow_links);
    ADD(paths_are_joined_with_one_slash);
    ADD(malformed_json_is_refused);
    ADD(every_prefix_of_json_is_refused);
    ADD(duplicate_keys_are_refused_at_the_top_and_one_below);
    ADD(json_that_is_nested_too_deeply_is_refused);
    ADD(members_are_checked_for_type_and_range);
    ADD(a_member_of_something_else_than_an_object_is_refused);
    ADD(saved_json_reads_back_to_the_last_bit);
    return suite_run(s);
}
