/* tests/test_gguf_damage.c: hostile and damaged GGUF files (tensor/gguf.h). */
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

/* The bytes as a file are refused with this message, which names the file. */
static void refuse(gguf_bytes *b, const char *message) {
    md_gguf *f = NULL;
    enter();
    gguf_bytes_save(b, path);
    assert_fails(md_gguf_open(path, &f, &err), MDLM_INPUT, message);
    ck_assert_ptr_null(f);
    ck_assert_ptr_nonnull(strstr(err.message, path));
    leave();
}

/* One tensor, `size` bytes of zeros for its data. */
static void one_tensor(gguf_bytes *b, gguf_tensor t, size_t size) {
    gguf_bytes_header(b, 3, 1, 0);
    gguf_bytes_tensor(b, "x", t);
    gguf_bytes_pad(b);
    gguf_bytes_zeros(b, size);
}

/* ---- What is refused: the header ---- */

START_TEST(a_file_that_is_missing_or_empty_is_refused) {
    md_gguf *f = NULL;
    enter();
    assert_fails(md_gguf_open(path, &f, &err), MDLM_INPUT, "no such file");
    assert_ok(md_file_write(path, "", 0, &err));
    assert_fails(md_gguf_open(path, &f, &err), MDLM_INPUT, "ends within the magic");
    leave();
}
END_TEST

START_TEST(another_magic_is_refused) {
    gguf_bytes b = {0};
    gguf_bytes_whole(&b);
    memcpy(b.data, "GGML", 4);
    refuse(&b, "expected 'GGUF' in front, found 47 47 4d 4c");
}
END_TEST

START_TEST(another_version_is_refused) {
    static const struct {
        uint32_t version;
        const char *message;
    } rows[] = {{0, "expected version 2 or 3, found 0"},
                {1, "expected version 2 or 3, found 1"},
                {4, "expected version 2 or 3, found 4"},
                {0x03000000, "big-endian"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gguf_bytes b = {0};
        gguf_bytes_header(&b, rows[i].version, 0, 0);
        refuse(&b, rows[i].message);
    }
}
END_TEST

START_TEST(counts_that_the_file_cannot_hold_are_refused) {
    static const uint64_t counts[] = {3, 1U << 20, (uint64_t)1 << 60, UINT64_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        gguf_bytes tensors = {0}, keys = {0};
        gguf_bytes_header(&tensors, 3, counts[i], 0);
        refuse(&tensors, "items of the list of tensors in the bytes left");
        gguf_bytes_header(&keys, 3, 0, counts[i]);
        refuse(&keys, "items of the metadata in the bytes left");
    }
}
END_TEST

START_TEST(a_length_past_the_end_is_refused) {
    static const uint64_t lengths[] = {100, (uint64_t)1 << 63, UINT64_MAX, UINT64_MAX - 7};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        gguf_bytes key = {0}, value = {0}, item = {0};
        gguf_bytes_header(&key, 3, 0, 1);
        gguf_bytes_u64(&key, lengths[i]);
        gguf_bytes_zeros(&key, 20);
        refuse(&key, "bytes in a string of a key of the metadata");
        gguf_bytes_header(&value, 3, 0, 1);
        gguf_bytes_key(&value, "k", 8);
        gguf_bytes_u64(&value, lengths[i]);
        refuse(&value, "bytes in a string of the metadata");
        gguf_bytes_header(&item, 3, 0, 1);
        gguf_bytes_array(&item, "k", 8, 2);
        gguf_bytes_string(&item, "ok", 2);
        gguf_bytes_u64(&item, lengths[i]);
        refuse(&item, "bytes in a string of the metadata");
    }
}
END_TEST

START_TEST(an_array_longer_than_the_file_is_refused) {
    static const struct {
        uint32_t kind;
        uint64_t count;
    } rows[] = {{0, 9}, {4, 3}, {4, (uint64_t)1 << 62}, {8, 2}, {8, UINT64_MAX}, {12, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gguf_bytes b = {0};
        gguf_bytes_header(&b, 3, 0, 1);
        gguf_bytes_array(&b, "k", rows[i].kind, rows[i].count);
        gguf_bytes_zeros(&b, 8);
        refuse(&b, "items of an array in the bytes left");
    }
}
END_TEST

START_TEST(an_array_of_arrays_is_refused) {
    gguf_bytes b = {0};
    gguf_bytes_header(&b, 3, 0, 1);
    gguf_bytes_array(&b, "k", 9, 1);
    gguf_bytes_zeros(&b, 64);
    refuse(&b, "an array of arrays in key 'k'");
}
END_TEST

START_TEST(an_unknown_type_of_value_is_refused) {
    gguf_bytes b = {0}, items = {0};
    gguf_bytes_header(&b, 3, 0, 1);
    gguf_bytes_key(&b, "k", 13);
    gguf_bytes_zeros(&b, 8);
    refuse(&b, "unknown type of value 13 in key 'k'");
    gguf_bytes_header(&items, 3, 0, 1);
    gguf_bytes_array(&items, "k", 0xffffffffU, 1);
    refuse(&items, "unknown type of value 4294967295 in key 'k'");
}
END_TEST

START_TEST(a_flag_is_0_or_1) {
    gguf_bytes b = {0};
    gguf_bytes_header(&b, 3, 0, 1);
    gguf_bytes_flag(&b, "k", 2);
    refuse(&b, "expected a flag of 0 or 1, found 2, in key 'k'");
}
END_TEST

START_TEST(a_key_twice_is_refused) {
    gguf_bytes b = {0};
    gguf_bytes_header(&b, 3, 0, 3);
    gguf_bytes_u32_key(&b, "k", 1);
    gguf_bytes_u32_key(&b, "j", 1);
    gguf_bytes_u32_key(&b, "k", 1);
    refuse(&b, "the key 'k' is there twice");
}
END_TEST

START_TEST(a_malformed_key_is_refused) {
    gguf_bytes empty = {0}, latin = {0}, nul = {0};
    gguf_bytes_header(&empty, 3, 0, 1);
    gguf_bytes_u32_key(&empty, "", 1);
    refuse(&empty, "expected 1 to 65535 bytes in a key of the metadata, found 0");
    gguf_bytes_header(&latin, 3, 0, 1);
    gguf_bytes_u32_key(&latin, "k\xe4", 1);
    refuse(&latin, "a key of the metadata is not valid UTF-8");
    gguf_bytes_header(&nul, 3, 0, 1);
    gguf_bytes_string(&nul, "k\0j", 3);
    gguf_bytes_u32(&nul, 4);
    gguf_bytes_u32(&nul, 1);
    refuse(&nul, "a key of the metadata has a control character");
}
END_TEST

START_TEST(an_alignment_that_is_no_power_of_two_is_refused) {
    static const struct {
        uint32_t alignment;
        const char *message;
    } rows[] = {{0, "expected 1 to 4294967295, found 0, in key 'general.alignment'"},
                {3, "the alignment 3 is no power of two"},
                {48, "the alignment 48 is no power of two"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gguf_bytes b = {0};
        gguf_bytes_header(&b, 3, 0, 1);
        gguf_bytes_u32_key(&b, "general.alignment", rows[i].alignment);
        refuse(&b, rows[i].message);
    }
    gguf_bytes text = {0};
    gguf_bytes_header(&text, 3, 0, 1);
    gguf_bytes_text(&text, "general.alignment", "32");
    refuse(&text, "expected an integer, found a string, in key 'general.alignment'");
}
END_TEST

START_TEST(an_alignment_beyond_the_end_is_refused) {
    gguf_bytes b = {0};
    gguf_bytes_header(&b, 3, 1, 1);
    gguf_bytes_u32_key(&b, "general.alignment", (uint32_t)1 << 31);
    gguf_bytes_tensor(&b, "x", (gguf_tensor){.type = 0, .rank = 1, .dim = {1}, .offset = 0});
    gguf_bytes_pad(&b);
    gguf_bytes_zeros(&b, 64);
    refuse(&b, "4 bytes at 0 of the data end past its 0 bytes in tensor 'x'");
}
END_TEST

START_TEST(a_part_of_a_model_is_refused) {
    gguf_bytes b = {0};
    gguf_bytes_header(&b, 3, 0, 1);
    gguf_bytes_u32_key(&b, "split.count", 3);
    refuse(&b, "is one of the 3 parts of a model");
}
END_TEST

/* ---- What is refused: tensors ---- */

START_TEST(a_malformed_name_of_a_tensor_is_refused) {
    static const struct {
        const char *name;
        const char *message;
    } rows[] = {
        {"", "expected 1 to 63 bytes in a tensor's name, found 0"},
        {"0123456789012345678901234567890123456789012345678901234567890123",
         "expected 1 to 63 bytes in a tensor's name, found 64"},
        {"\xc3(", "a tensor's name is not valid UTF-8"},
        {"a\nb", "a tensor's name has a control character"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gguf_bytes b = {0};
        gguf_bytes_header(&b, 3, 1, 0);
        gguf_bytes_tensor(&b, rows[i].name,
                          (gguf_tensor){.type = 0, .rank = 1, .dim = {1}, .offset = 0});
        gguf_bytes_zeros(&b, 64);
        refuse(&b, rows[i].message);
    }
}
END_TEST

START_TEST(two_tensors_of_one_name_are_refused) {
    gguf_bytes b = {0};
    const gguf_tensor first = {.type = 0, .rank = 1, .dim = {8}, .offset = 0};
    const gguf_tensor second = {.type = 0, .rank = 1, .dim = {8}, .offset = 32};
    gguf_bytes_header(&b, 3, 2, 0);
    gguf_bytes_tensor(&b, "x", first);
    gguf_bytes_tensor(&b, "x", second);
    gguf_bytes_pad(&b);
    gguf_bytes_zeros(&b, 64);
    refuse(&b, "two tensors have the name 'x'");
}
END_TEST

START_TEST(a_shape_that_is_none_is_refused) {
    static const struct {
        gguf_tensor t;
        const char *message;
    } rows[] = {
        {{.rank = 0}, "expected 1 to 4 dimensions, found 0, in tensor 'x'"},
        {{.rank = 5, .dim = {1, 1, 1, 1, 1}}, "expected 1 to 4 dimensions, found 5"},
        {{.rank = UINT32_MAX}, "expected 1 to 4 dimensions, found 4294967295"},
        {{.rank = 2, .dim = {4, 0}}, "a dimension is 0 in tensor 'x'"},
        {{.rank = 2, .dim = {(uint64_t)1 << 32, (uint64_t)1 << 32}},
         "the product of the dimensions overflows in tensor 'x'"},
        {{.rank = 1, .dim = {UINT64_MAX}}, "the product of the dimensions overflows"},
        {{.rank = 1, .dim = {(uint64_t)1 << 62}}, "the size overflows in tensor 'x'"},
        /* 2^64 + 1 elements, as products that wrap see them, are one. */
        {{.rank = 3, .dim = {(uint64_t)1 << 21, (uint64_t)1 << 21, (uint64_t)1 << 22}},
         "the product of the dimensions overflows"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gguf_bytes b = {0};
        one_tensor(&b, rows[i].t, 64);
        refuse(&b, rows[i].message);
    }
}
END_TEST

START_TEST(a_type_that_cannot_be_read_is_refused) {
    static const struct {
        gguf_tensor t;
        const char *message;
    } rows[] = {
        {{.type = 4, .rank = 1, .dim = {1}}, "unknown type 4 in tensor 'x'"},
        {{.type = 1000, .rank = 1, .dim = {1}}, "unknown type 1000 in tensor 'x'"},
        {{.type = UINT32_MAX, .rank = 1, .dim = {1}}, "unknown type 4294967295"},
        {{.type = 13, .rank = 1, .dim = {256}}, "type q5_K is not supported"},
        {{.type = 26, .rank = 1, .dim = {1}}, "type i32 is not supported"},
        {{.type = 8, .rank = 2, .dim = {33, 32}},
         "rows of 33 are no whole blocks of 32 of q8_0 in tensor 'x'"},
        {{.type = 12, .rank = 1, .dim = {128}},
         "rows of 128 are no whole blocks of 256 of q4_K in tensor 'x'"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gguf_bytes b = {0};
        one_tensor(&b, rows[i].t, 64);
        refuse(&b, rows[i].message);
    }
}
END_TEST

START_TEST(data_that_are_not_where_they_belong_are_refused) {
    static const struct {
        uint64_t offset; /* of the second tensor; the first has 24 bytes and 8 of padding */
        const char *message;
    } rows[] = {
        {24, "offset 24 is no multiple of the alignment 32 in tensor 'y'"},
        {0, "overlap: expected offset 32, found 0, in tensor 'y'"},
        {64, "hole: expected offset 32, found 64, in tensor 'y'"},
        {(uint64_t)1 << 63, "hole: expected offset 32, found 9223372036854775808"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        gguf_bytes b = {0};
        gguf_bytes_header(&b, 3, 2, 0);
        gguf_bytes_tensor(&b, "x", (gguf_tensor){.type = 0, .rank = 1, .dim = {6}, .offset = 0});
        gguf_bytes_tensor(
            &b, "y", (gguf_tensor){.type = 0, .rank = 1, .dim = {6}, .offset = rows[i].offset});
        gguf_bytes_pad(&b);
        gguf_bytes_zeros(&b, 256);
        refuse(&b, rows[i].message);
    }
}
END_TEST

START_TEST(data_past_the_end_are_refused) {
    const gguf_tensor small = {.type = 0, .rank = 1, .dim = {16}};
    const gguf_tensor large = {.type = 0, .rank = 1, .dim = {(uint64_t)1 << 40}};
    gguf_bytes b = {0}, c = {0}, none = {0};
    one_tensor(&b, small, 63);
    refuse(&b, "64 bytes at 0 of the data end past its 63 bytes in tensor 'x'");
    one_tensor(&c, large, 64);
    refuse(&c, "end past its 64 bytes in tensor 'x'");
    gguf_bytes_header(&none, 3, 1, 0);
    gguf_bytes_tensor(&none, "x", small);
    refuse(&none, "end past its 0 bytes in tensor 'x'");
}
END_TEST

START_TEST(trailing_bytes_are_refused) {
    gguf_bytes b = {0}, empty = {0};
    one_tensor(&b, (gguf_tensor){.type = 0, .rank = 1, .dim = {8}}, 33);
    refuse(&b, "1 trailing bytes after the last tensor");
    gguf_bytes_header(&empty, 3, 0, 0);
    gguf_bytes_pad(&empty);
    gguf_bytes_zeros(&empty, 5);
    refuse(&empty, "5 trailing bytes");
}
END_TEST

/* ---- Damage ---- */

/* Opens whatever lies at `path`: refused with MDLM_INPUT, or all of it can be read. */
static bool opens(void) {
    md_gguf *f = NULL;
    const mdlm_status status = md_gguf_open(path, &f, &err);
    ck_assert_msg(status == MDLM_OK || status == MDLM_INPUT, "%s", err.message);
    volatile unsigned char sum = 0;
    for (int i = 0; f && i < md_gguf_count(f); i++) {
        const md_gguf_entry *e = md_gguf_entry_at(f, i);
        const uint8_t *bytes = e->data;
        for (size_t k = 0; k < e->bytes; k++) sum = (unsigned char)(sum + bytes[k]);
    }
    if (f) {
        md_gguf_string *words = NULL;
        size_t count = 0;
        char *text = NULL;
        if (md_gguf_strings(f, "words", &words, &count, &err) == MDLM_OK)
            for (size_t i = 0; i < count; i++)
                for (size_t k = 0; k < words[i].size; k++)
                    sum = (unsigned char)(sum + (unsigned char)words[i].bytes[k]);
        if (md_gguf_text(f, "name", 100, &text, &err) == MDLM_OK) md_free(text);
        md_free(words);
    }
    md_gguf_close(f);
    return status == MDLM_OK;
}

START_TEST(a_file_cut_anywhere_is_refused) {
    gguf_bytes b = {0};
    enter();
    gguf_bytes_whole(&b);
    for (size_t cut = 0; cut < b.size; cut++) {
        gguf_bytes_save_part(&b, path, cut);
        ck_assert_msg(!opens(), "opened with %zu of %zu bytes", cut, b.size);
    }
    gguf_bytes_save(&b, path);
    ck_assert(opens());
    leave();
}
END_TEST

START_TEST(a_header_with_any_byte_changed_never_crashes) {
    static const uint8_t tries[] = {0, 1, 8, 9, 12, 31, 'a', 0x7f, 0x80, 0xff};
    gguf_bytes b = {0};
    size_t opened = 0;
    enter();
    gguf_bytes_whole(&b);
    const size_t header = b.size - 40; /* without the data */
    for (size_t i = 0; i < header; i++) {
        const uint8_t kept = b.data[i];
        for (size_t k = 0; k < sizeof tries; k++) {
            b.data[i] = tries[k];
            gguf_bytes_save_part(&b, path, b.size);
            opened += opens();
        }
        b.data[i] = kept;
    }
    ck_assert_uint_gt(opened, 0); /* a changed letter of a name is no error */
    ck_assert_uint_lt(opened, header * sizeof tries / 2);
    gguf_bytes_save(&b, path); /* releases */
    leave();
}
END_TEST

static void add_hostile(Suite *s) {
    suite_case(s, a_file_that_is_missing_or_empty_is_refused);
    suite_case(s, another_magic_is_refused);
    suite_case(s, another_version_is_refused);
    suite_case(s, counts_that_the_file_cannot_hold_are_refused);
    suite_case(s, a_length_past_the_end_is_refused);
    suite_case(s, an_array_longer_than_the_file_is_refused);
    suite_case(s, an_array_of_arrays_is_refused);
    suite_case(s, an_unknown_type_of_value_is_refused);
    suite_case(s, a_flag_is_0_or_1);
    suite_case(s, a_key_twice_is_refused);
    suite_case(s, a_malformed_key_is_refused);
    suite_case(s, an_alignment_that_is_no_power_of_two_is_refused);
    suite_case(s, an_alignment_beyond_the_end_is_refused);
    suite_case(s, a_part_of_a_model_is_refused);
    suite_case(s, a_malformed_name_of_a_tensor_is_refused);
    suite_case(s, two_tensors_of_one_name_are_refused);
    suite_case(s, a_shape_that_is_none_is_refused);
    suite_case(s, a_type_that_cannot_be_read_is_refused);
    suite_case(s, data_that_are_not_where_they_belong_are_refused);
    suite_case(s, data_past_the_end_are_refused);
    suite_case(s, trailing_bytes_are_refused);
    suite_case(s, a_file_cut_anywhere_is_refused);
    suite_case(s, a_header_with_any_byte_changed_never_crashes);
}

int main(void) {
    Suite *s = suite_create("gguf_damage");
    add_hostile(s);
    return suite_run(s);
}
