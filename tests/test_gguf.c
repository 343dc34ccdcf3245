/* tests/test_gguf.c: what is read from GGUF files (tensor/gguf.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/gguf_bytes.h"
#include "tests/suite.h"

static mdlm_error err;
static char *folder; /* each test runs in a process of its own */
static char path[512];

static void enter(void) {
    folder = suite_tmp_dir();
    snprintf(path, sizeof path, "%s/x.gguf", folder);
}

static void leave(void) {
    suite_tmp_remove(folder);
}

static md_gguf *open_file(void) {
    md_gguf *f = NULL;
    assert_ok(md_gguf_open(path, &f, &err));
    ck_assert_ptr_nonnull(f);
    return f;
}

START_TEST(tensors_and_metadata_are_read) {
    gguf_bytes b = {0};
    enter();
    gguf_bytes_whole(&b);
    gguf_bytes_save(&b, path);
    md_gguf *f = open_file();
    ck_assert_int_eq(md_gguf_count(f), 2);
    const md_gguf_entry *a = md_gguf_find(f, "a"), *x = md_gguf_entry_at(f, 1);
    ck_assert_ptr_eq(a, md_gguf_entry_at(f, 0));
    ck_assert_int_eq(a->rank, 2);
    ck_assert_int_eq(a->dim[0], 2); /* slowest first */
    ck_assert_int_eq(a->dim[1], 3);
    ck_assert_ptr_eq(a->type, &md_storage_f32);
    md_real out[6];
    a->type->read(a->data, 6, out);
    for (int i = 0; i < 6; i++) ck_assert(out[i] == (md_real)(i + 1));
    ck_assert_str_eq(x->name, "b");
    ck_assert_uint_eq(x->bytes, 8);
    x->type->read(x->data, 4, out);
    ck_assert(out[0] == 1 && out[1] == -2 && out[2] == 0 && out[3] == (md_real)0.5);
    ck_assert_ptr_null(md_gguf_find(f, "c"));
    md_gguf_close(f);
    leave();
}
END_TEST

START_TEST(values_are_typed) {
    gguf_bytes b = {0};
    enter();
    gguf_bytes_whole(&b);
    gguf_bytes_save(&b, path);
    md_gguf *f = open_file();
    int64_t layers = 0;
    double eps = 0;
    bool flag = false;
    char *name = NULL;
    md_gguf_string *words = NULL;
    size_t count = 0;
    assert_ok(md_gguf_int(f, "layers", 1, 7, &layers, &err));
    assert_ok(md_gguf_number(f, "eps", &eps, &err));
    assert_ok(md_gguf_flag(f, "flag", &flag, &err));
    assert_ok(md_gguf_text(f, "name", 7, &name, &err));
    assert_ok(md_gguf_strings(f, "words", &words, &count, &err));
    ck_assert_int_eq(layers, 7);
    ck_assert(eps == 0.5 && flag);
    ck_assert_str_eq(name, "example");
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(words[1].size, 0);
    ck_assert(words[2].size == 5 && !memcmp(words[2].bytes, "three", 5));
    ck_assert(md_gguf_has(f, "eps") && !md_gguf_has(f, "EPS"));
    md_free(name);
    md_free(words);
    md_gguf_close(f);
    leave();
}
END_TEST

START_TEST(a_value_of_another_type_or_range_is_refused_by_key) {
    gguf_bytes b = {0};
    int64_t n = 99;
    double x = 99;
    bool flag = true;
    char *text = NULL;
    md_gguf_string *words = NULL;
    int32_t *ints = NULL;
    size_t count = 99;
    enter();
    gguf_bytes_whole(&b);
    gguf_bytes_save(&b, path);
    md_gguf *f = open_file();
    assert_fails(md_gguf_int(f, "heads", 1, 7, &n, &err), MDLM_INPUT, "has no key 'heads'");
    assert_fails(md_gguf_int(f, "layers", 1, 6, &n, &err), MDLM_INPUT,
                 "expected 1 to 6, found 7, in key 'layers'");
    assert_fails(md_gguf_int(f, "name", 1, 7, &n, &err), MDLM_INPUT,
                 "expected an integer, found a string, in key 'name'");
    assert_fails(md_gguf_number(f, "layers", &x, &err), MDLM_INPUT, "expected f32 or f64");
    assert_fails(md_gguf_flag(f, "layers", &flag, &err), MDLM_INPUT, "expected a flag, found u32");
    assert_fails(md_gguf_text(f, "words", 99, &text, &err), MDLM_INPUT,
                 "expected a string, found an array of a string");
    assert_fails(md_gguf_text(f, "name", 6, &text, &err), MDLM_INPUT,
                 "expected at most 6 bytes, found 7");
    assert_fails(md_gguf_strings(f, "name", &words, &count, &err), MDLM_INPUT,
                 "expected an array of strings");
    assert_fails(md_gguf_ints(f, "words", &ints, &count, &err), MDLM_INPUT,
                 "expected an array of integers");
    ck_assert(n == 99 && x == 99 && flag && !text && !words && !ints && count == 99);
    md_gguf_close(f);
    leave();
}
END_TEST

START_TEST(integers_of_every_width_keep_their_sign) {
    static const struct {
        uint32_t kind;
        size_t size;
        int64_t expected;
    } rows[] = {{0, 1, 255},        {1, 1, -1}, {2, 2, 65535}, {3, 2, -1},
                {4, 4, UINT32_MAX}, {5, 4, -1}, {11, 8, -1}};
    static const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gguf_bytes b = {0};
        int64_t found = 0;
        enter();
        gguf_bytes_header(&b, 3, 0, 1);
        gguf_bytes_key(&b, "n", rows[i].kind);
        gguf_bytes_put(&b, ones, rows[i].size);
        gguf_bytes_save(&b, path);
        md_gguf *f = open_file();
        assert_ok(md_gguf_int(f, "n", INT64_MIN, INT64_MAX, &found, &err));
        ck_assert_int_eq(found, rows[i].expected);
        md_gguf_close(f);
        leave();
    }
}
END_TEST

START_TEST(an_integer_beyond_63_bits_is_in_no_range) {
    gguf_bytes b = {0};
    int64_t found = 0;
    enter();
    gguf_bytes_header(&b, 3, 0, 1);
    gguf_bytes_key(&b, "n", 10);
    gguf_bytes_u64(&b, UINT64_MAX);
    gguf_bytes_save(&b, path);
    md_gguf *f = open_file();
    assert_fails(md_gguf_int(f, "n", INT64_MIN, INT64_MAX, &found, &err), MDLM_INPUT,
                 "found more than 9223372036854775807");
    md_gguf_close(f);
    leave();
}
END_TEST

START_TEST(numbers_must_be_finite_and_texts_text) {
    gguf_bytes b = {0};
    double x = 0;
    char *text = NULL;
    enter();
    gguf_bytes_header(&b, 2, 0, 3); /* version 2 is laid out alike */
    gguf_bytes_f32(&b, "nan", NAN);
    gguf_bytes_key(&b, "nul", 8);
    gguf_bytes_string(&b, "a\0b", 3);
    gguf_bytes_text(&b, "bad", "\xff");
    gguf_bytes_save(&b, path);
    md_gguf *f = open_file();
    assert_fails(md_gguf_number(f, "nan", &x, &err), MDLM_INPUT, "not finite in key 'nan'");
    assert_fails(md_gguf_text(f, "nul", 9, &text, &err), MDLM_INPUT, "in key 'nul'");
    assert_fails(md_gguf_text(f, "bad", 9, &text, &err), MDLM_INPUT, "not UTF-8");
    md_gguf_close(f);
    leave();
}
END_TEST

START_TEST(integers_of_arrays_must_fit_32_bits) {
    gguf_bytes b = {0};
    int32_t *list = NULL;
    size_t count = 0;
    enter();
    gguf_bytes_header(&b, 3, 0, 2);
    gguf_bytes_array(&b, "small", 1, 2);
    gguf_bytes_put(&b, (const int8_t[]){-5, 6}, 2);
    gguf_bytes_array(&b, "large", 4, 1);
    gguf_bytes_u32(&b, 0x80000000U);
    gguf_bytes_save(&b, path);
    md_gguf *f = open_file();
    assert_ok(md_gguf_ints(f, "small", &list, &count, &err));
    ck_assert(count == 2 && list[0] == -5 && list[1] == 6);
    md_free(list);
    assert_fails(md_gguf_ints(f, "large", &list, &count, &err), MDLM_INPUT,
                 "item 0 does not fit 32 bits in key 'large'");
    md_gguf_close(f);
    leave();
}
END_TEST

START_TEST(floats_of_arrays_are_any_floats) {
    gguf_bytes b = {0};
    float *list = NULL;
    size_t count = 0;
    enter();
    gguf_bytes_header(&b, 3, 0, 3);
    gguf_bytes_array(&b, "scores", 6, 2);
    gguf_bytes_put(&b, (const float[]){-1.5F, INFINITY}, 8);
    gguf_bytes_array(&b, "none", 6, 0);
    gguf_bytes_array(&b, "doubles", 12, 0);
    gguf_bytes_save(&b, path);
    md_gguf *f = open_file();
    assert_ok(md_gguf_floats(f, "scores", &list, &count, &err));
    ck_assert(count == 2 && list[0] == -1.5F && isinf(list[1]));
    md_free(list);
    assert_ok(md_gguf_floats(f, "none", &list, &count, &err));
    ck_assert_uint_eq(count, 0);
    md_free(list);
    assert_fails(md_gguf_floats(f, "doubles", &list, &count, &err), MDLM_INPUT,
                 "expected an array of f32, found an array of f64");
    md_gguf_close(f);
    leave();
}
END_TEST

START_TEST(the_alignment_is_the_file_s_own) {
    gguf_bytes b = {0};
    enter();
    gguf_bytes_header(&b, 3, 1, 1);
    gguf_bytes_u32_key(&b, "general.alignment", 8);
    gguf_bytes_tensor(&b, "long name",
                      (gguf_tensor){.type = 0, .rank = 1, .dim = {1}, .offset = 0});
    while (b.size % 8) gguf_bytes_zeros(&b, 1);
    ck_assert_uint_ne(b.size % 32, 0);
    gguf_bytes_put(&b, &(const float){3}, 4);
    gguf_bytes_save(&b, path);
    md_gguf *f = open_file();
    md_real x = 0;
    const md_gguf_entry *e = md_gguf_find(f, "long name");
    e->type->read(e->data, 1, &x);
    ck_assert(x == 3);
    md_gguf_close(f);
    leave();
}
END_TEST

START_TEST(the_padding_of_the_last_tensor_may_be_there) {
    gguf_bytes b = {0};
    enter();
    gguf_bytes_whole(&b);
    gguf_bytes_pad(&b);
    gguf_bytes_save(&b, path);
    md_gguf_close(open_file());
    leave();
}
END_TEST

START_TEST(a_file_is_known_by_its_magic) {
    enter();
    assert_ok(md_file_write(path, "GGUF", 4, &err));
    ck_assert(md_gguf_is(path));
    assert_ok(md_file_write(path, "GGU", 3, &err));
    ck_assert(!md_gguf_is(path));
    ck_assert(!md_gguf_is(folder));
    leave();
}
END_TEST

static void add_reading(Suite *s) {
    suite_case(s, tensors_and_metadata_are_read);
    suite_case(s, values_are_typed);
    suite_case(s, a_value_of_another_type_or_range_is_refused_by_key);
    suite_case(s, integers_of_every_width_keep_their_sign);
    suite_case(s, an_integer_beyond_63_bits_is_in_no_range);
    suite_case(s, numbers_must_be_finite_and_texts_text);
    suite_case(s, integers_of_arrays_must_fit_32_bits);
    suite_case(s, floats_of_arrays_are_any_floats);
    suite_case(s, the_alignment_is_the_file_s_own);
    suite_case(s, the_padding_of_the_last_tensor_may_be_there);
    suite_case(s, a_file_is_known_by_its_magic);
}

int main(void) {
    Suite *s = suite_create("gguf");
    add_reading(s);
    return suite_run(s);
}
