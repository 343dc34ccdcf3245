/* tests/test_weights.c: sources of tensors, in one file or in shards (tensor/weights.h). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tensor/safetensors.h"
#include "tensor/weights.h"
#include "tests/suite.h"

static mdlm_error err;
static char *folder; /* each test runs in a process of its own */

static const char *in_folder(const char *name) {
    static char paths[4][512];
    static int turn;
    char *path = paths[turn++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", folder, name);
    return path;
}

static void put_index(const char *text) {
    assert_ok(
        md_file_write_quickly(in_folder("model.safetensors.index.json"), text, strlen(text), &err));
}

/* A file with one matrix [2, 3] of f32 numbers first, first + 1, ... */
static void put_shard(const char *file, const char *tensor, float first) {
    float values[6];
    for (int i = 0; i < 6; i++) values[i] = first + (float)i;
    const md_st_source one = {tensor, MD_ST_F32, 2, {2, 3}, values};
    assert_ok(md_safetensors_write(in_folder(file), &one, 1, NULL, &err));
}

#define MAP_A "\"a\": \"one.safetensors\""
#define MAP_B "\"b\": \"two.safetensors\""

/* Two shards, without an index. */
static void enter(void) {
    folder = suite_tmp_dir();
    put_shard("one.safetensors", "a", 1);
    put_shard("two.safetensors", "b", 10);
}

static void leave(void) {
    suite_tmp_remove(folder);
}

static md_weights *open_folder(void) {
    md_weights *w = NULL;
    assert_ok(md_weights_open(folder, &w, &err));
    return w;
}

static void assert_refused(const char *message) {
    md_weights *w = NULL;
    assert_fails(md_weights_open(folder, &w, &err), MDLM_INPUT, message);
    ck_assert_ptr_null(w);
    ck_assert_ptr_nonnull(strstr(err.message, folder));
}

static void refuse_index(const char *text, const char *message) {
    enter();
    put_index(text);
    assert_refused(message);
    leave();
}

/* ---- What is read ---- */

START_TEST(a_folder_of_shards_is_one_source) {
    enter();
    put_index("{\"metadata\": {\"total_size\": 48}, \"weight_map\": {" MAP_B ", " MAP_A "}}");
    ck_assert(md_weights_in(folder));
    md_weights *w = open_folder();
    ck_assert_int_eq(md_weights_count(w), 2);
    ck_assert_int_eq(md_weights_files(w), 2);
    ck_assert_str_eq(md_weights_at(w, 0)->name, "a");
    ck_assert_ptr_null(md_weights_find(w, "c"));
    const md_weight *b = md_weights_find(w, "b");
    ck_assert_ptr_eq(b, md_weights_at(w, 1));
    ck_assert(b->type == &md_storage_f32 && b->rank == 2 && b->rows == 2 && b->cols == 3);
    ck_assert_str_eq(b->file, in_folder("two.safetensors"));
    md_real row[3];
    md_weight_read(b, 1, 1, row);
    ck_assert(row[0] == 13 && row[1] == 14 && row[2] == 15);
    md_weights_close(w);
    leave();
}
END_TEST

START_TEST(one_file_goes_before_an_index) {
    enter();
    put_index("{\"weight_map\": {" MAP_A "}}");
    put_shard("model.safetensors", "whole", 5);
    md_weights *w = open_folder();
    ck_assert_int_eq(md_weights_files(w), 1);
    ck_assert_str_eq(md_weights_at(w, 0)->name, "whole");
    md_weights_close(w);
    leave();
}
END_TEST

START_TEST(what_was_forgotten_is_read_again) {
    enter();
    static float values[64 * 1024];
    static md_real rows[64 * 1024];
    for (int i = 0; i < 64 * 1024; i++) values[i] = (float)i;
    const md_st_source one = {"a", MD_ST_F32, 2, {64, 1024}, values};
    assert_ok(md_safetensors_write(in_folder("model.safetensors"), &one, 1, NULL, &err));
    md_weights *w = open_folder();
    const md_weight *a = md_weights_at(w, 0);
    for (int round = 0; round < 2; round++) {
        md_weight_read(a, 0, 64, rows);
        md_weight_forget(a, 3, 61);
        md_weight_read(a, 40, 2, rows + 40 * 1024);
        for (int i = 0; i < 64 * 1024; i++) ck_assert(rows[i] == i);
    }
    md_weights_close(w);
    leave();
}
END_TEST

/* Two heads of four rows; row i of a head and row i + 2 lie side by side. */
START_TEST(interleaved_rows_are_read_in_order) {
    float rows[8][2];
    static const int lies[8] = {0, 2, 1, 3, 4, 6, 5, 7}; /* which row lies here */
    for (int i = 0; i < 8; i++) rows[i][0] = (float)lies[i], rows[i][1] = (float)-lies[i];
    const md_weight list[] = {{.name = "q",
                               .file = "f",
                               .type = &md_storage_f32,
                               .rank = 2,
                               .dim = {8, 2},
                               .data = rows,
                               .interleaved_heads = 2}};
    md_weights *w = NULL;
    assert_ok(md_weights_new("f", list, 1, (md_weights_holder){0}, &w, &err));
    md_real out[8][2];
    for (int first = 0; first < 8; first++) {
        md_weight_read(md_weights_at(w, 0), first, 8 - first, out[first]);
        for (int i = first; i < 8; i++) ck_assert(out[i][0] == i && out[i][1] == -i);
    }
    md_weights_close(w);
}
END_TEST

START_TEST(scalars_vectors_and_empty_tensors_are_matrices_too) {
    static const float numbers[4] = {1, 2, 3, 4};
    const md_weight list[] = {
        {.name = "d", .type = &md_storage_f32, .rank = 3, .dim = {2, 1, 2}, .data = numbers},
        {.name = "c", .type = &md_storage_f32, .rank = 1, .dim = {4}, .data = numbers},
        {.name = "b", .type = &md_storage_f32, .rank = 0, .data = numbers},
        /* rows beyond any integer, with nothing in them */
        {.name = "a", .type = &md_storage_f32, .rank = 3, .dim = {1LL << 52, 1LL << 11, 0}},
    };
    static const int64_t expected[4][2] = {{0, 0}, {1, 1}, {1, 4}, {2, 2}};
    md_weights *w = NULL;
    assert_ok(md_weights_new("f", list, 4, (md_weights_holder){0}, &w, &err));
    for (int i = 0; i < 4; i++) {
        const md_weight *t = md_weights_at(w, i);
        ck_assert_int_eq(t->rows, expected[i][0]);
        ck_assert_int_eq(t->cols, expected[i][1]);
        ck_assert_uint_eq(md_weight_bytes(t), (size_t)md_weight_size(t) * 4);
    }
    md_weights_close(w);
}
END_TEST

static int released;

static void count_release(void *context) {
    released += *(int *)context;
}

START_TEST(a_source_keeps_names_and_releases_its_holder_once) {
    char name[] = "x";
    int one = 1;
    const md_weight list[] = {{.name = name, .file = "f", .type = &md_storage_f32},
                              {.name = "x", .file = "g", .type = &md_storage_f32}};
    const md_weights_holder holder = {.context = &one, .release = count_release};
    md_weights *w = NULL;
    assert_fails(md_weights_new("m", list, 2, holder, &w, &err), MDLM_INPUT,
                 "both have the tensor 'x'");
    ck_assert_int_eq(released, 0);
    assert_ok(md_weights_new("m", list, 1, holder, &w, &err));
    *name = 'y';
    ck_assert_ptr_nonnull(md_weights_find(w, "x"));
    ck_assert_str_eq(md_weights_path(w), "m");
    md_weights_close(w);
    ck_assert_int_eq(released, 1);
}
END_TEST

/* ---- What is refused ---- */

START_TEST(an_index_without_a_map_of_strings_is_refused) {
    refuse_index("{\"weight_map\": {", "is not valid JSON");
    refuse_index("[]", "has no object \"weight_map\"");
    refuse_index("{\"weight_map\": [\"one.safetensors\"]}", "has no object \"weight_map\"");
    refuse_index("{\"weight_map\": {\"a\": 1}}", "expected the name of a file for tensor 'a'");
    refuse_index("{\"weight_map\": {" MAP_A ", " MAP_A "}}", "the key 'a' twice");
}
END_TEST

START_TEST(a_name_that_leads_out_of_the_folder_is_refused) {
    static const char *const names[] = {
        "../one.safetensors", "/etc/passwd", "sub/one.safetensors", "sub\\\\one", "..", ".", ""};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[128];
        snprintf(text, sizeof text, "{\"weight_map\": {\"a\": \"%s\"}}", names[i]);
        refuse_index(text, "expected a plain file name");
    }
}
END_TEST

START_TEST(a_shard_that_is_not_there_is_named) {
    refuse_index("{\"weight_map\": {" MAP_A ", \"c\": \"three.safetensors\"}}",
                 "names the file 'three.safetensors', which is not there");
}
END_TEST

START_TEST(index_and_files_have_the_same_tensors) {
    refuse_index("{\"weight_map\": {" MAP_A ", " MAP_B ", \"c\": \"one.safetensors\"}}",
                 "'one.safetensors' has no tensor 'c'");
    refuse_index("{\"weight_map\": {" MAP_A ", \"0\": \"two.safetensors\"}}",
                 "'two.safetensors' has no tensor '0'");
    enter();
    const float value = 1;
    const md_st_source two[] = {{"a", MD_ST_F32, 0, {0}, &value}, {"z", MD_ST_F32, 0, {0}, &value}};
    assert_ok(md_safetensors_write(in_folder("one.safetensors"), two, 2, NULL, &err));
    put_index("{\"weight_map\": {" MAP_A "}}");
    assert_refused("does not have tensor 'z' of");
    leave();
}
END_TEST

START_TEST(a_tensor_in_another_file_than_the_index_says_is_refused) {
    refuse_index("{\"weight_map\": {\"a\": \"two.safetensors\", \"b\": \"one.safetensors\"}}",
                 "expected tensor 'a' in 'two.safetensors', found it in 'one.safetensors'");
}
END_TEST

START_TEST(a_tensor_in_two_files_is_refused) {
    enter();
    put_shard("two.safetensors", "a", 3);
    put_index("{\"weight_map\": {" MAP_A ", " MAP_B "}}");
    assert_refused("both have the tensor 'a'");
    leave();
}
END_TEST

START_TEST(a_folder_without_weights_says_what_it_lacks) {
    enter();
    ck_assert(!md_weights_in(folder)); /* shards without an index are nothing */
    assert_refused("model.safetensors'");
    leave();
}
END_TEST

START_TEST(a_damaged_shard_is_named) {
    enter();
    assert_ok(md_file_write_quickly(in_folder("two.safetensors"), "short", 5, &err));
    put_index("{\"weight_map\": {" MAP_A ", " MAP_B "}}");
    assert_refused("two.safetensors' is too short");
    leave();
}
END_TEST

int main(void) {
    Suite *s = suite_create("weights");
    suite_case(s, a_folder_of_shards_is_one_source);
    suite_case(s, one_file_goes_before_an_index);
    suite_case(s, what_was_forgotten_is_read_again);
    suite_case(s, interleaved_rows_are_read_in_order);
    suite_case(s, scalars_vectors_and_empty_tensors_are_matrices_too);
    suite_case(s, a_source_keeps_names_and_releases_its_holder_once);
    suite_case(s, an_index_without_a_map_of_strings_is_refused);
    suite_case(s, a_name_that_leads_out_of_the_folder_is_refused);
    suite_case(s, a_shard_that_is_not_there_is_named);
    suite_case(s, index_and_files_have_the_same_tensors);
    suite_case(s, a_tensor_in_another_file_than_the_index_says_is_refused);
    suite_case(s, a_tensor_in_two_files_is_refused);
    suite_case(s, a_folder_without_weights_says_what_it_lacks);
    suite_case(s, a_damaged_shard_is_named);
    return suite_run(s);
}
