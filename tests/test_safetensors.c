/* tests/test_safetensors.c: reading and writing safetensors files (tensor/safetensors.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "tensor/safetensors.h"
#include "tensor/weights.h"
#include "tests/suite.h"

static mdlm_error err;
static char *folder; /* each test runs in a process of its own */
static char path[512];

static void enter(void) {
    folder = suite_tmp_dir();
    snprintf(path, sizeof path, "%s/x.safetensors", folder);
}

static void leave(void) {
    suite_tmp_remove(folder);
}

/* Not md_file_write: thousands of files need no fsync. */
static void put_bytes(const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(bytes, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

/* A file with the length `n`, the header, and `size` bytes of data. */
static void put_parts(uint64_t n, const char *header, size_t header_size, const void *data,
                      size_t size) {
    char *bytes = malloc(8 + header_size + size);
    for (int i = 0; i < 8; i++) bytes[i] = (char)(n >> 8 * i);
    memcpy(bytes + 8, header, header_size);
    if (size) memcpy(bytes + 8 + header_size, data, size);
    put_bytes(bytes, 8 + header_size + size);
    free(bytes);
}

static void put(const char *header, const void *data, size_t size) {
    put_parts(strlen(header), header, strlen(header), data, size);
}

static md_safetensors *open_file(void) {
    md_safetensors *f = NULL;
    assert_ok(md_safetensors_open(path, &f, &err));
    ck_assert_ptr_nonnull(f);
    return f;
}

static void assert_refused(const char *message) {
    md_safetensors *f = NULL;
    assert_fails(md_safetensors_open(path, &f, &err), MDLM_INPUT, message);
    ck_assert_ptr_null(f);
    ck_assert_ptr_nonnull(strstr(err.message, path)); /* says which file */
}

/* A file with `size` bytes of zeros for data is refused with this message. */
static void refuse(const char *header, size_t size, const char *message) {
    static const char zeros[64];
    ck_assert_uint_le(size, sizeof zeros);
    enter();
    put(header, zeros, size);
    assert_refused(message);
    leave();
}

static void read_all(const md_safetensors *f, const char *name, md_real *out, int count) {
    const md_st_entry *e = md_safetensors_find(f, name);
    ck_assert_msg(e != NULL, "no tensor '%s'", name);
    ck_assert_int_eq(e->count, count);
    assert_ok(md_safetensors_read(f, e, out, &err));
}

/* ---- What is read ---- */

START_TEST(every_float_type_is_read) {
    enter();
    /* 1.5 and -2 in each. The header has an odd length, so nothing is aligned. */
    static const uint8_t data[] = {
        0,    0,    0,    0,    0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0x00, 0xc0, /* F64 */
        0,    0,    0xc0, 0x3f, 0, 0, 0x00, 0xc0,                               /* F32 */
        0x00, 0x3e, 0x00, 0xc0,                                                 /* F16 */
        0xc0, 0x3f, 0x00, 0xc0,                                                 /* BF16 */
    };
    const char *header = "{\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},"
                         "\"f\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[16,24]},"
                         "\"h\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[24,28]},"
                         "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[28,32]} } ";
    ck_assert_uint_eq(strlen(header) % 2, 1);
    put(header, data, sizeof data);
    md_safetensors *f = open_file();
    for (const char *name = "dfhb"; *name; name++) {
        md_real out[2] = {0};
        read_all(f, (char[]){*name, 0}, out, 2);
        ck_assert_msg(out[0] == (md_real)1.5 && out[1] == -2, "type %c", *name);
    }
    md_safetensors_close(f);
    leave();
}
END_TEST

START_TEST(every_half_is_read_as_the_number_that_it_is) {
    enter();
    uint16_t *data = malloc(65536 * sizeof *data);
    md_real *out = malloc(65536 * sizeof *out);
    for (int i = 0; i < 65536; i++) data[i] = (uint16_t)i;
    put("{\"h\":{\"dtype\":\"F16\",\"shape\":[256,256],\"data_offsets\":[0,131072]}}", data,
        131072);
    md_safetensors *f = open_file();
    read_all(f, "h", out, 65536);
    for (int i = 0; i < 65536; i++) {
        const int exponent = i >> 10 & 31, mantissa = i & 1023;
        double expected = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
        if (exponent == 31) expected = mantissa ? (double)NAN : (double)INFINITY;
        if (i & 0x8000) expected = -expected;
        const double found = (double)out[i];
        ck_assert_msg(isnan(expected) ? isnan(found) : found == expected, "half %04x", i);
        ck_assert(!signbit(found) == !(i & 0x8000));
    }
    md_safetensors_close(f);
    free(data);
    free(out);
    leave();
}
END_TEST

START_TEST(bfloat_keeps_subnormals_infinities_and_nan) {
    enter();
    static const uint16_t data[] = {0x0001, 0x8000, 0x7f80, 0xff80, 0x7fc0, 0x3f81};
    put("{\"b\":{\"dtype\":\"BF16\",\"shape\":[6],\"data_offsets\":[0,12]}}", data, 12);
    md_safetensors *f = open_file();
    md_real out[6];
    read_all(f, "b", out, 6);
    ck_assert((double)out[0] == ldexp(1, -133));
    ck_assert(out[1] == 0 && signbit(out[1]));
    ck_assert(isinf(out[2]) && out[2] > 0 && isinf(out[3]) && out[3] < 0 && isnan(out[4]));
    ck_assert((double)out[5] == 1 + 1.0 / 128);
    md_safetensors_close(f);
    leave();
}
END_TEST

START_TEST(integer_types_are_listed_but_not_converted) {
    enter();
    static const char *const names[] = {"I64", "I32", "I16", "I8", "U8", "BOOL"};
    static const int sizes[] = {8, 4, 2, 1, 1, 1};
    for (int i = 0; i < 6; i++) {
        char header[128];
        snprintf(header, sizeof header,
                 "{\"n\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%d]}}", names[i],
                 sizes[i]);
        put(header, "\1\0\0\0\0\0\0\0", (size_t)sizes[i]);
        md_safetensors *f = open_file();
        const md_st_entry *e = md_safetensors_entry(f, 0);
        ck_assert_str_eq(md_st_dtype_name(e->dtype), names[i]);
        ck_assert_uint_eq(md_st_dtype_size(e->dtype), (size_t)sizes[i]);
        ck_assert_int_eq(((const char *)e->data)[0], 1);
        md_real out[1] = {7};
        assert_fails(md_safetensors_read(f, e, out, &err), MDLM_INPUT, "expected a float dtype");
        ck_assert(out[0] == 7);
        md_safetensors_close(f);
    }
    leave();
}
END_TEST

START_TEST(scalars_and_empty_tensors_are_legal) {
    enter();
    const float one = 1;
    put("{\"scalar\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]},"
        "\"empty\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]},"
        "\"last\":{\"dtype\":\"F64\",\"shape\":[0],\"data_offsets\":[4,4]}}",
        &one, 4);
    md_safetensors *f = open_file();
    ck_assert_int_eq(md_safetensors_count(f), 3);
    ck_assert_int_eq(md_safetensors_find(f, "scalar")->rank, 0);
    ck_assert_int_eq(md_safetensors_find(f, "empty")->rank, 2);
    md_real out[1] = {0};
    read_all(f, "scalar", out, 1);
    ck_assert(out[0] == 1);
    read_all(f, "empty", out, 0);
    read_all(f, "last", out, 0);
    md_safetensors_close(f);
    leave();
}
END_TEST

START_TEST(a_file_without_tensors_is_legal) {
    enter();
    put(" \n{}  ", NULL, 0); /* and white space around the header is accepted */
    md_safetensors *f = open_file();
    ck_assert_int_eq(md_safetensors_count(f), 0);
    ck_assert_ptr_null(md_safetensors_find(f, "x"));
    ck_assert_ptr_null(md_safetensors_metadata(f));
    md_safetensors_close(f);
    leave();
}
END_TEST

START_TEST(an_escaped_backslash_before_u0000_is_only_a_name) {
    enter();
    put("{\"a\\\\u0000\":{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}", NULL, 0);
    md_safetensors *f = open_file();
    ck_assert_str_eq(md_safetensors_entry(f, 0)->name, "a\\u0000");
    md_safetensors_close(f);
    leave();
}
END_TEST

/* ---- What is refused ---- */

#define F32_AT(name, shape, begin, end) \
    "\"" name "\":{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" begin "," end "]}"

START_TEST(a_missing_file_is_refused) {
    enter();
    assert_refused("cannot open");
    leave();
}
END_TEST

START_TEST(a_file_under_eight_bytes_is_refused) {
    enter();
    for (size_t size = 0; size < 8; size++) {
        put_bytes("\2\0\0\0\0\0\0", size);
        assert_refused("too short: expected at least 8 bytes");
    }
    leave();
}
END_TEST

START_TEST(a_header_past_the_end_is_refused) {
    enter();
    put_parts(3, "{}", 2, NULL, 0);
    assert_refused("ends past the end of the file");
    leave();
}
END_TEST

START_TEST(a_header_that_is_too_large_is_refused) {
    enter();
    put_parts(100000001, "{}", 2, NULL, 0);
    assert_refused("header is too large");
    put_parts(UINT64_MAX, "{}", 2, NULL, 0);
    assert_refused("header is too large");
    put_parts(UINT64_MAX - 7, "{}", 2, NULL, 0); /* + 8 wraps to 0 */
    assert_refused("header is too large");
    leave();
}
END_TEST

START_TEST(bad_json_is_refused) {
    refuse("", 0, "not valid JSON");
    refuse("{\"a\":", 0, "not valid JSON");
    refuse("{} x", 0, "not valid JSON");
    refuse("[]", 0, "not a JSON object");
}
END_TEST

START_TEST(deep_json_is_refused) {
    char header[4096];
    memset(header, '[', sizeof header - 1);
    header[sizeof header - 1] = 0;
    refuse(header, 0, "nested too deeply");
}
END_TEST

START_TEST(a_header_that_is_not_utf8_is_refused) {
    refuse("{\"\xff\":1}", 0, "not valid UTF-8 at byte 10");
    refuse("{\"\xc0\x80\":1}", 0, "not valid UTF-8"); /* an overlong NUL */
    refuse("{\"a\xe2\x82", 0, "not valid UTF-8");     /* cut inside a character */
}
END_TEST

START_TEST(a_nul_in_the_header_is_refused) {
    refuse("{\"a\\u0000b\":1}", 0, "control character at byte 11");
    enter();
    put_parts(3, "{}\0", 3, NULL, 0);
    assert_refused("control character at byte 10");
    leave();
}
END_TEST

START_TEST(a_duplicate_name_is_refused) {
    refuse("{" F32_AT("a", "[1]", "0", "4") "," F32_AT("a", "[1]", "4", "8") "}", 8, "'a' twice");
    refuse("{" F32_AT("a", "[1]", "0", "4") "," F32_AT("\\u0061", "[1]", "4", "8") "}", 8,
           "'a' twice");
}
END_TEST

START_TEST(a_duplicate_key_of_a_tensor_is_refused) {
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"shape\":[2],\"data_offsets\":[0,4]}}", 4,
           "'shape' twice");
}
END_TEST

START_TEST(a_tensor_that_is_not_an_object_is_refused) {
    refuse("{\"a\":1}", 0, "no object in tensor 'a'");
}
END_TEST

START_TEST(an_unknown_dtype_is_refused) {
    refuse("{\"a\":{\"dtype\":\"F99\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
           "unknown dtype 'F99' in tensor 'a'");
    refuse("{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
           "the dtype is missing or not a string");
    refuse("{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4,
           "the dtype is missing or not a string");
}
END_TEST

START_TEST(a_malformed_shape_is_refused) {
    refuse("{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, "the shape is missing");
    refuse("{" F32_AT("a", "4", "0", "4") "}", 4, "the shape is missing or not an array");
    refuse("{" F32_AT("a", "[-1]", "0", "4") "}", 4, "a dimension is negative");
    refuse("{" F32_AT("a", "[0.5]", "0", "4") "}", 4, "a dimension is not an integer");
    refuse("{" F32_AT("a", "[\"1\"]", "0", "4") "}", 4, "a dimension is not a number");
    refuse("{" F32_AT("a", "[1,1,1,1,1,1,1,1,1]", "0", "4") "}", 4, "more than 8 dimensions");
}
END_TEST

START_TEST(a_shape_whose_product_overflows_is_refused) {
    refuse("{" F32_AT("a", "[4294967296,4294967296]", "0", "4") "}", 4, "product of the shape");
    /* Only the element size makes it wrap; and a zero does not excuse what comes before it. */
    refuse("{" F32_AT("a", "[4294967296,2147483648]", "0", "4") "}", 4, "product of the shape");
    refuse("{" F32_AT("a", "[4294967296,4294967296,0]", "0", "0") "}", 0, "product of the shape");
    refuse("{" F32_AT("a", "[1000000000000000019884624838656]", "0", "4") "}", 4,
           "a dimension is too large");
}
END_TEST

START_TEST(malformed_offsets_are_refused) {
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, "data_offsets is missing");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "not a pair");
    refuse("{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 4, "not a pair");
    refuse("{" F32_AT("a", "[1]", "null", "4") "}", 4, "an offset is not a number");
}
END_TEST

START_TEST(a_negative_offset_is_refused) {
    refuse("{" F32_AT("a", "[1]", "-4", "0") "}", 4, "an offset is negative");
}
END_TEST

START_TEST(a_fractional_offset_is_refused) {
    refuse("{" F32_AT("a", "[1]", "0", "4.5") "}", 4, "an offset is not an integer");
}
END_TEST

START_TEST(an_offset_that_overflows_is_refused) {
    refuse("{" F32_AT("a", "[1]", "18446744073709551612", "18446744073709551616") "}", 4,
           "an offset is too large");
    refuse("{" F32_AT("a", "[1]", "0", "1e400") "}", 4, "an offset is too large");
}
END_TEST

START_TEST(offsets_in_the_wrong_order_are_refused) {
    refuse("{" F32_AT("a", "[1]", "4", "0") "}", 4, "the data ends before it begins");
}
END_TEST

START_TEST(data_past_the_end_of_the_file_is_refused) {
    refuse("{" F32_AT("a", "[2]", "0", "8") "}", 4,
           "the data ends at 8, past the file's 4 bytes of data, in tensor 'a'");
}
END_TEST

START_TEST(a_shape_that_does_not_fill_its_span_is_refused) {
    refuse("{" F32_AT("a", "[1]", "0", "8") "}", 8,
           "the shape asks for 4 bytes, the offsets for 8, in tensor 'a'");
}
END_TEST

START_TEST(a_hole_is_refused) {
    refuse("{" F32_AT("a", "[1]", "4", "8") "}", 8, "hole at byte 0");
    refuse("{" F32_AT("b", "[1]", "8", "12") "," F32_AT("a", "[1]", "0", "4") "}", 12,
           "hole at byte 4 of the data, before tensor 'b'");
}
END_TEST

START_TEST(an_overlap_is_refused) {
    refuse("{" F32_AT("a", "[2]", "0", "8") "," F32_AT("b", "[2]", "4", "12") "}", 12,
           "overlap at byte 4 of the data, before tensor 'b'");
    refuse("{" F32_AT("a", "[1]", "0", "4") "," F32_AT("b", "[1]", "0", "4") "}", 4, "overlap");
}
END_TEST

START_TEST(trailing_bytes_are_refused) {
    refuse("{" F32_AT("a", "[1]", "0", "4") "}", 7, "3 trailing bytes");
    refuse("{}", 1, "1 trailing bytes");
}
END_TEST

START_TEST(metadata_must_be_strings) {
    refuse("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__ is not an object of strings");
    refuse("{\"__metadata__\":\"a\"}", 0, "__metadata__ is not an object of strings");
}
END_TEST

/* ---- Writing ---- */

/* Reads the file at `path`; freed by the caller. */
static char *get_bytes(size_t *size) {
    char *bytes = NULL;
    assert_ok(md_file_read(path, 1 << 20, &bytes, size, &err));
    return bytes;
}

START_TEST(the_bytes_written_are_those_of_the_format) {
    enter();
    static const uint8_t u = 9, h[2] = {1, 2};
    static const float b = 1, a[2] = {2, 3};
    const md_st_source list[] = {
        {.name = "z", .dtype = MD_ST_U8, .data = &u},
        {.name = "h", .dtype = MD_ST_F16, .rank = 1, .dim = {1}, .data = h},
        {.name = "b", .dtype = MD_ST_F32, .rank = 1, .dim = {1}, .data = &b},
        {.name = "a", .dtype = MD_ST_F32, .rank = 2, .dim = {1, 2}, .data = a},
    };
    assert_ok(md_safetensors_write(path, list, 4, NULL, &err));
    const char *header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[1,2],\"data_offsets\":[0,8]},"
                         "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]},"
                         "\"h\":{\"dtype\":\"F16\",\"shape\":[1],\"data_offsets\":[12,14]},"
                         "\"z\":{\"dtype\":\"U8\",\"shape\":[],\"data_offsets\":[14,15]}}";
    const size_t padded = (strlen(header) + 7) / 8 * 8;
    ck_assert_uint_ne(padded, strlen(header)); /* or the padding is not tested */
    size_t size = 0;
    char *bytes = get_bytes(&size);
    ck_assert_uint_eq(size, 8 + padded + 15);
    uint64_t n;
    memcpy(&n, bytes, 8);
    ck_assert_uint_eq(n, padded);
    ck_assert_mem_eq(bytes + 8, header, strlen(header));
    for (size_t i = strlen(header); i < padded; i++) ck_assert_int_eq(bytes[8 + i], ' ');
    ck_assert_mem_eq(bytes + 8 + padded, a, 8);
    ck_assert_mem_eq(bytes + 8 + padded + 8, &b, 4);
    ck_assert_mem_eq(bytes + 8 + padded + 12, "\1\2\11", 3);
    free(bytes);
    leave();
}
END_TEST

START_TEST(every_type_and_shape_survives_a_round_trip) {
    enter();
    static uint8_t data[10][48];
    md_st_source list[10];
    char names[10][16];
    for (int i = 0; i < 10; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        for (int k = 0; k < 48; k++) data[i][k] = (uint8_t)(i * 48 + k);
        list[i] = (md_st_source){.name = names[i], .dtype = (md_st_dtype)i, .data = data[i]};
        list[i].rank = i % 4;
        for (int d = 0; d < list[i].rank; d++) list[i].dim[d] = d + 1; /* 1, 2, 6 elements */
    }
    list[9].dim[0] = 0;
    list[9].data = NULL;
    assert_ok(md_safetensors_write(path, list, 10, NULL, &err));
    md_safetensors *f = open_file();
    ck_assert_int_eq(md_safetensors_count(f), 10);
    for (int i = 0; i < 10; i++) {
        const md_st_entry *e = md_safetensors_entry(f, i);
        ck_assert_str_eq(e->name, names[i]);
        ck_assert_int_eq((int)e->dtype, i);
        ck_assert_int_eq(e->rank, list[i].rank);
        for (int d = 0; d < e->rank; d++) ck_assert_int_eq(e->dim[d], list[i].dim[d]);
        const size_t bytes = (size_t)e->count * md_st_dtype_size(e->dtype);
        ck_assert(bytes == 0 || memcmp(e->data, data[i], bytes) == 0);
        ck_assert_uint_eq((uintptr_t)e->data % md_st_dtype_size(e->dtype), 0);
    }
    ck_assert_int_eq(md_safetensors_entry(f, 9)->count, 0);
    md_safetensors_close(f);
    leave();
}
END_TEST

START_TEST(long_and_strange_names_survive_a_round_trip) {
    enter();
    char *name = malloc(100001);
    memset(name, 'n', 100000);
    name[100000] = 0;
    const md_st_source list[] = {
        {.name = name, .dtype = MD_ST_U8, .data = "a"},
        {.name = "\"quoted\\\"\n\t\x01 \xc3\xa9", .dtype = MD_ST_U8, .data = "b"},
        {.name = "", .dtype = MD_ST_U8, .data = "c"},
    };
    assert_ok(md_safetensors_write(path, list, 3, NULL, &err));
    md_safetensors *f = open_file();
    for (int i = 0; i < 3; i++) {
        const md_st_entry *e = md_safetensors_find(f, list[i].name);
        ck_assert_msg(e != NULL, "name %d is lost", i);
        ck_assert_mem_eq(e->data, list[i].data, 1);
    }
    md_safetensors_close(f);
    free(name);
    leave();
}
END_TEST

START_TEST(metadata_survives_a_round_trip) {
    enter();
    cJSON *metadata = cJSON_CreateObject();
    cJSON_AddStringToObject(metadata, "format", "mdlm \"1\"");
    const md_st_source list[] = {{.name = "a", .dtype = MD_ST_U8, .data = "x"}};
    assert_ok(md_safetensors_write(path, list, 1, metadata, &err));
    cJSON_Delete(metadata);
    md_safetensors *f = open_file();
    const cJSON *format = cJSON_GetObjectItem(md_safetensors_metadata(f), "format");
    ck_assert_str_eq(cJSON_GetStringValue(format), "mdlm \"1\"");
    ck_assert_int_eq(md_safetensors_count(f), 1);
    md_safetensors_close(f);
    leave();
}
END_TEST

START_TEST(two_tensors_of_one_name_are_not_written) {
    enter();
    const md_st_source list[] = {
        {.name = "a", .dtype = MD_ST_U8, .data = "x"},
        {.name = "b", .dtype = MD_ST_U8, .data = "x"},
        {.name = "a", .dtype = MD_ST_F32, .data = "xxxx"}, /* another size: not a neighbour */
    };
    assert_fails(md_safetensors_write(path, list, 3, NULL, &err), MDLM_USAGE, "'a'");
    const md_st_source reserved[] = {{.name = "__metadata__", .dtype = MD_ST_U8, .data = "x"}};
    assert_fails(md_safetensors_write(path, reserved, 1, NULL, &err), MDLM_USAGE, "__metadata__");
    ck_assert(!md_file_exists(path));
    leave();
}
END_TEST

START_TEST(a_failed_write_is_reported) {
    enter();
    strcat(path, "/in/no/folder");
    const md_st_source list[] = {{.name = "a", .dtype = MD_ST_U8, .data = "x"}};
    assert_fails(md_safetensors_write(path, list, 1, NULL, &err), MDLM_WRITE, path);
    leave();
}
END_TEST

/* ---- Parameters ---- */

static md_params *model(int64_t rows) {
    md_params *params = md_params_new(&err);
    md_params_add(params, "z.weight", 2, (int64_t[]){rows, 3}, MD_PARAM_DECAY, &err);
    md_params_add(params, "a.weight", 1, (int64_t[]){4}, 0, &err);
    assert_ok(md_params_seal(params, false, &err));
    for (int64_t i = 0; i < md_params_size(params); i++) {
        md_params_values(params)[i] = (md_real)i + (md_real)0.5;
    }
    return params;
}

START_TEST(parameters_survive_a_round_trip) {
    enter();
    md_params *params = model(2);
    md_real values[10] = {0};
    assert_ok(md_safetensors_write_params(path, params, "model.", md_params_values(params), &err));
    md_safetensors *f = open_file();
    ck_assert_int_eq(md_safetensors_find(f, "model.z.weight")->dtype, MD_ST_F32);
    const cJSON *metadata = md_safetensors_metadata(f);
    ck_assert_str_eq(cJSON_GetObjectItemCaseSensitive(metadata, "format")->valuestring, "pt");
    md_safetensors_close(f);
    assert_ok(md_weights_load_params(path, params, "model.", values, &err));
    ck_assert_mem_eq(values, md_params_values(params), sizeof values);
    md_params_free(params);
    leave();
}
END_TEST

/* What lies between two bf16 numbers goes to the nearer, a tie to the even one. */
START_TEST(parameters_are_stored_as_bf16_to_the_nearest) {
    enter();
    md_params *params = model(2);
    md_real values[10] = {1, 1.00390625F, 1.01171875F, 1.0040F, -1.0039F, 3e38F};
    static const md_real nearest[6] = {1, 1, 1.015625F, 1.0078125F, -1, 3.00405527e38F};
    assert_ok(md_safetensors_write_params_as(path, params, "", values, MD_ST_BF16, &err));
    md_safetensors *f = open_file();
    ck_assert_int_eq(md_safetensors_find(f, "z.weight")->dtype, MD_ST_BF16);
    md_safetensors_close(f);
    assert_ok(md_weights_load_params(path, params, "", values, &err));
    for (int i = 0; i < 6; i++)
        ck_assert_msg(values[i] == nearest[i], "%d: %.9g", i, (double)values[i]);
    md_params_free(params);
    leave();
}
END_TEST

/* Loading fails with this message and leaves the values alone. */
static void refuse_load(const md_params *params, const char *prefix, const char *message) {
    md_real values[16];
    for (int i = 0; i < 16; i++) values[i] = -1;
    assert_fails(md_weights_load_params(path, params, prefix, values, &err), MDLM_INPUT, message);
    for (int i = 0; i < 16; i++) ck_assert(values[i] == -1);
}

START_TEST(a_missing_tensor_is_named) {
    enter();
    md_params *params = model(2);
    assert_ok(md_safetensors_write_params(path, params, "", md_params_values(params), &err));
    refuse_load(params, "model.", "has no tensor 'model.z.weight'");
    md_params_free(params);
    leave();
}
END_TEST

START_TEST(a_tensor_of_another_shape_is_named_with_both_shapes) {
    enter();
    md_params *params = model(2), *other = model(3);
    assert_ok(md_safetensors_write_params(path, other, "", md_params_values(other), &err));
    refuse_load(params, "", "expected shape [2, 3], found [3, 3], in tensor 'z.weight'");
    md_params_free(params);
    md_params_free(other);
    leave();
}
END_TEST

START_TEST(the_same_size_in_another_rank_is_another_shape) {
    enter();
    static const float zeros[6];
    md_params *params = model(2);
    md_st_source list[] = {
        {.name = "z.weight", .dtype = MD_ST_F32, .rank = 1, .dim = {6}, .data = zeros},
        {.name = "a.weight", .dtype = MD_ST_F32, .rank = 2, .dim = {4, 1}, .data = zeros},
    };
    assert_ok(md_safetensors_write(path, list, 2, NULL, &err));
    refuse_load(params, "", "expected shape [2, 3], found [6]");
    list[0].rank = 2;
    list[0].dim[0] = 2, list[0].dim[1] = 3;
    assert_ok(md_safetensors_write(path, list, 2, NULL, &err));
    refuse_load(params, "", "expected shape [4], found [4, 1]");
    md_params_free(params);
    leave();
}
END_TEST

START_TEST(a_tensor_that_no_parameter_wants_is_named) {
    enter();
    static const float zeros[6];
    md_params *params = model(2);
    const md_st_source list[] = {
        {.name = "z.weight", .dtype = MD_ST_F32, .rank = 2, .dim = {2, 3}, .data = zeros},
        {.name = "a.weight", .dtype = MD_ST_F32, .rank = 1, .dim = {4}, .data = zeros},
        {.name = "extra", .dtype = MD_ST_F32, .rank = 1, .dim = {1}, .data = zeros},
    };
    assert_ok(md_safetensors_write(path, list, 3, NULL, &err));
    refuse_load(params, "", "'extra'");
    md_params_free(params);
    leave();
}
END_TEST

START_TEST(an_integer_tensor_for_a_parameter_is_refused) {
    enter();
    static const float zeros[6];
    md_params *params = model(2);
    const md_st_source list[] = {
        {.name = "z.weight", .dtype = MD_ST_F32, .rank = 2, .dim = {2, 3}, .data = zeros},
        {.name = "a.weight", .dtype = MD_ST_I32, .rank = 1, .dim = {4}, .data = zeros},
    };
    assert_ok(md_safetensors_write(path, list, 2, NULL, &err));
    refuse_load(params, "", "expected a float dtype, found i32, in tensor 'a.weight'");
    md_params_free(params);
    leave();
}
END_TEST

/* ---- Damage ---- */

/* Opens whatever lies at `path`: refused with MDLM_INPUT, or all of it can be read. */
static bool opens(void) {
    md_safetensors *f = NULL;
    const mdlm_status status = md_safetensors_open(path, &f, &err);
    ck_assert_msg(status == MDLM_OK || status == MDLM_INPUT, "%s", err.message);
    volatile unsigned char sum = 0;
    for (int i = 0; f && i < md_safetensors_count(f); i++) {
        const md_st_entry *e = md_safetensors_entry(f, i);
        const uint8_t *bytes = e->data;
        const size_t size = (size_t)e->count * md_st_dtype_size(e->dtype);
        for (size_t k = 0; k < size; k++) sum = (unsigned char)(sum + bytes[k]);
    }
    md_safetensors_close(f);
    return status == MDLM_OK;
}

START_TEST(a_file_cut_anywhere_is_refused) {
    enter();
    md_params *params = model(2);
    assert_ok(md_safetensors_write_params(path, params, "", md_params_values(params), &err));
    size_t size = 0;
    char *bytes = get_bytes(&size);
    for (size_t cut = 0; cut < size; cut++) {
        put_bytes(bytes, cut);
        ck_assert_msg(!opens(), "opened with %zu of %zu bytes", cut, size);
    }
    put_bytes(bytes, size);
    ck_assert(opens());
    free(bytes);
    md_params_free(params);
    leave();
}
END_TEST

START_TEST(a_header_with_any_byte_changed_never_crashes) {
    enter();
    static const char tries[] = {0,   '"', '\\', '{', '}', '[', ']',        ',',
                                 ':', '-', '.',  '9', 'e', ' ', (char)0x80, (char)0xff};
    md_params *params = model(2);
    assert_ok(md_safetensors_write_params(path, params, "", md_params_values(params), &err));
    size_t size = 0, header = 0, opened = 0;
    char *bytes = get_bytes(&size);
    memcpy(&header, bytes, 8);
    for (size_t i = 0; i < 8 + header; i++) {
        const char kept = bytes[i];
        for (size_t k = 0; k < sizeof tries; k++) {
            bytes[i] = tries[k];
            put_bytes(bytes, size);
            opened += opens();
        }
        bytes[i] = kept;
    }
    ck_assert_uint_gt(opened, 0); /* a changed letter of a name is no error */
    ck_assert_uint_lt(opened, (8 + header) * sizeof tries / 2);
    free(bytes);
    md_params_free(params);
    leave();
}
END_TEST

static void add_reading(Suite *s) {
    suite_case(s, every_float_type_is_read);
    suite_case(s, every_half_is_read_as_the_number_that_it_is);
    suite_case(s, bfloat_keeps_subnormals_infinities_and_nan);
    suite_case(s, integer_types_are_listed_but_not_converted);
    suite_case(s, scalars_and_empty_tensors_are_legal);
    suite_case(s, a_file_without_tensors_is_legal);
    suite_case(s, an_escaped_backslash_before_u0000_is_only_a_name);
}

static void add_hostile(Suite *s) {
    suite_case(s, a_missing_file_is_refused);
    suite_case(s, a_file_under_eight_bytes_is_refused);
    suite_case(s, a_header_past_the_end_is_refused);
    suite_case(s, a_header_that_is_too_large_is_refused);
    suite_case(s, bad_json_is_refused);
    suite_case(s, deep_json_is_refused);
    suite_case(s, a_header_that_is_not_utf8_is_refused);
    suite_case(s, a_nul_in_the_header_is_refused);
    suite_case(s, a_duplicate_name_is_refused);
    suite_case(s, a_duplicate_key_of_a_tensor_is_refused);
    suite_case(s, a_tensor_that_is_not_an_object_is_refused);
    suite_case(s, an_unknown_dtype_is_refused);
    suite_case(s, a_malformed_shape_is_refused);
    suite_case(s, a_shape_whose_product_overflows_is_refused);
    suite_case(s, malformed_offsets_are_refused);
    suite_case(s, a_negative_offset_is_refused);
    suite_case(s, a_fractional_offset_is_refused);
    suite_case(s, an_offset_that_overflows_is_refused);
    suite_case(s, offsets_in_the_wrong_order_are_refused);
    suite_case(s, data_past_the_end_of_the_file_is_refused);
    suite_case(s, a_shape_that_does_not_fill_its_span_is_refused);
    suite_case(s, a_hole_is_refused);
    suite_case(s, an_overlap_is_refused);
    suite_case(s, trailing_bytes_are_refused);
    suite_case(s, metadata_must_be_strings);
}

static void add_writing(Suite *s) {
    suite_case(s, the_bytes_written_are_those_of_the_format);
    suite_case(s, every_type_and_shape_survives_a_round_trip);
    suite_case(s, long_and_strange_names_survive_a_round_trip);
    suite_case(s, metadata_survives_a_round_trip);
    suite_case(s, two_tensors_of_one_name_are_not_written);
    suite_case(s, a_failed_write_is_reported);
    suite_case(s, parameters_survive_a_round_trip);
    suite_case(s, parameters_are_stored_as_bf16_to_the_nearest);
    suite_case(s, a_missing_tensor_is_named);
    suite_case(s, a_tensor_of_another_shape_is_named_with_both_shapes);
    suite_case(s, the_same_size_in_another_rank_is_another_shape);
    suite_case(s, a_tensor_that_no_parameter_wants_is_named);
    suite_case(s, an_integer_tensor_for_a_parameter_is_refused);
    suite_case(s, a_file_cut_anywhere_is_refused);
    suite_case(s, a_header_with_any_byte_changed_never_crashes);
}

int main(void) {
    Suite *s = suite_create("safetensors");
    add_reading(s);
    add_hostile(s);
    add_writing(s);
    return suite_run(s);
}
