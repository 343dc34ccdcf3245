/* tests/test_gguf_write.c: writing GGUF files, and the types whose blocks share scales
 * (tensor/gguf.h, tensor/storage.h). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tests/gguf_bytes.h"
#include "tests/hashed.h"
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

static md_gguf_writer *new_writer(void) {
    md_gguf_writer *w = NULL;
    assert_ok(md_gguf_writer_new(&w, &err));
    return w;
}

START_TEST(the_bytes_written_are_those_of_the_format) {
    static const char *const texts[] = {"one", "", "three"};
    static const md_gguf_string words[] = {{"one", 3}, {"", 0}, {"three", 5}};
    gguf_bytes b = {0};
    char *bytes = NULL;
    size_t size = 0;
    enter();
    md_gguf_writer *w = new_writer();
    assert_ok(md_gguf_put_text(w, "name", "example", &err));
    assert_ok(md_gguf_declare(w, "a", &md_storage_f32, 2, (int64_t[]){2, 3}, &err));
    assert_ok(md_gguf_put_u32(w, "layers", 7, &err));
    assert_ok(md_gguf_declare(w, "b", &md_storage_bf16, 1, (int64_t[]){4}, &err));
    assert_ok(md_gguf_put_flag(w, "flag", true, &err));
    assert_ok(md_gguf_put_f32(w, "eps", 0.5F, &err));
    assert_ok(md_gguf_put_strings(w, "words", words, 3, &err));
    assert_ok(md_gguf_put_ints(w, "types", (const int32_t[]){1, -3}, 2, &err));
    assert_ok(md_gguf_put_floats(w, "scores", (const float[]){0.25F}, 1, &err));
    assert_ok(md_gguf_start(w, path, &err));
    /* In pieces, as rows come. */
    assert_ok(md_gguf_append(w, (const md_real[]){1, 2, 3}, 3, &err));
    assert_ok(md_gguf_append(w, (const md_real[]){4, 5, 6}, 3, &err));
    assert_ok(md_gguf_append(w, (const md_real[]){1, -2, 0, (md_real)0.5}, 4, &err));
    ck_assert(!md_file_exists(path));
    assert_ok(md_gguf_finish(w, &err));
    md_gguf_writer_free(w);

    gguf_bytes_header(&b, 3, 2, 7);
    gguf_bytes_text(&b, "name", "example");
    gguf_bytes_u32_key(&b, "layers", 7);
    gguf_bytes_flag(&b, "flag", 1);
    gguf_bytes_f32(&b, "eps", 0.5F);
    gguf_bytes_texts(&b, "words", texts, 3);
    gguf_bytes_array(&b, "types", 5, 2);
    gguf_bytes_put(&b, (const int32_t[]){1, -3}, 8);
    gguf_bytes_array(&b, "scores", 6, 1);
    gguf_bytes_put(&b, (const float[]){0.25F}, 4);
    gguf_bytes_tensor(&b, "a", (gguf_tensor){.type = 0, .rank = 2, .dim = {3, 2}, .offset = 0});
    gguf_bytes_tensor(&b, "b", (gguf_tensor){.type = 30, .rank = 1, .dim = {4}, .offset = 32});
    gguf_bytes_pad(&b);
    gguf_bytes_put(&b, (const float[]){1, 2, 3, 4, 5, 6}, 24);
    gguf_bytes_pad(&b);
    gguf_bytes_put(&b, (const uint16_t[]){0x3f80, 0xc000, 0, 0x3f00}, 8);
    gguf_bytes_pad(&b);
    assert_ok(md_file_read(path, 1 << 20, &bytes, &size, &err));
    ck_assert_uint_eq(size, b.size);
    ck_assert_int_eq(memcmp(bytes, b.data, size), 0);
    md_free(bytes);
    free(b.data);
    leave();
}
END_TEST

/* More numbers than are converted at a time, in each type that is written. */
START_TEST(every_type_survives_a_round_trip) {
    enum { ROWS = 7, COLS = 1024, N = ROWS * COLS };
    static const md_storage *const types[] = {&md_storage_f32, &md_storage_bf16, &md_storage_q8_0};
    /* Relative to the largest of a block, 1/2: half a unit in the last place of each. */
    static const double errors[] = {0, 1.0 / 512, 0.5 / 127 + 1e-3};
    md_real *values = malloc(N * sizeof *values), *back = malloc(N * sizeof *back);
    for (uint32_t i = 0; i < N; i++) values[i] = (md_real)unit(5, i);
    for (int k = 0; k < 3; k++) {
        enter();
        md_gguf *f = NULL;
        md_gguf_writer *w = new_writer();
        assert_ok(md_gguf_declare(w, "x", types[k], 2, (int64_t[]){ROWS, COLS}, &err));
        assert_ok(md_gguf_start(w, path, &err));
        assert_ok(md_gguf_append(w, values, N, &err));
        assert_ok(md_gguf_finish(w, &err));
        md_gguf_writer_free(w);
        assert_ok(md_gguf_open(path, &f, &err));
        const md_gguf_entry *e = md_gguf_find(f, "x");
        ck_assert(e->type == types[k] && e->dim[0] == ROWS && e->dim[1] == COLS);
        e->type->read(e->data, N, back);
        double worst = 0;
        for (int i = 0; i < N; i++) worst = fmax(worst, fabs((double)(back[i] - values[i])));
        ck_assert_msg(worst <= 0.5 * errors[k], "%s: %g", types[k]->name, worst);
        ck_assert(k == 0 || worst > 0);
        md_gguf_close(f);
        leave();
    }
    free(values);
    free(back);
}
END_TEST

START_TEST(what_cannot_be_a_tensor_is_not_declared) {
    md_gguf_writer *w = new_writer();
    const char *longest = "012345678901234567890123456789012345678901234567890123456789012";
    char name[66];
    assert_ok(md_gguf_declare(w, longest, &md_storage_f32, 1, (int64_t[]){1}, &err));
    snprintf(name, sizeof name, "%s3", longest);
    assert_fails(md_gguf_declare(w, name, &md_storage_f32, 1, (int64_t[]){1}, &err), MDLM_USAGE,
                 "expected 1 to 63 bytes in a tensor's name");
    assert_fails(md_gguf_declare(w, "", &md_storage_f32, 1, (int64_t[]){1}, &err), MDLM_USAGE,
                 "expected 1 to 63 bytes in a tensor's name");
    assert_fails(md_gguf_declare(w, "x", &md_storage_q8_0, 2, (int64_t[]){32, 48}, &err),
                 MDLM_USAGE, "rows of 48 are no whole blocks of 32 of q8_0 in tensor 'x'");
    const int64_t huge[] = {INT64_MAX, 8};
    assert_fails(md_gguf_declare(w, "x", &md_storage_f32, 2, huge, &err), MDLM_USAGE,
                 "tensor 'x' is too large to write");
    md_gguf_writer_free(w);
}
END_TEST

START_TEST(two_tensors_of_one_name_are_not_written) {
    enter();
    md_gguf_writer *w = new_writer();
    assert_ok(md_gguf_declare(w, "x", &md_storage_f32, 1, (int64_t[]){1}, &err));
    assert_ok(md_gguf_declare(w, "y", &md_storage_f32, 1, (int64_t[]){1}, &err));
    assert_ok(md_gguf_declare(w, "x", &md_storage_f32, 1, (int64_t[]){1}, &err));
    assert_fails(md_gguf_start(w, path, &err), MDLM_USAGE, "have the name 'x'");
    md_gguf_writer_free(w);
    leave();
}
END_TEST

START_TEST(a_value_that_a_type_cannot_hold_is_refused_and_nothing_is_left) {
    static const struct {
        const md_storage *type;
        double value;
    } rows[] = {{&md_storage_f32, NAN},
                {&md_storage_f32, INFINITY},
                {&md_storage_bf16, 3.4e38}, /* rounds to infinity */
                {&md_storage_q8_0, 1e7},    /* its scale is no half */
                {&md_storage_q8_0, NAN}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        md_real values[32] = {0};
        md_names names = {0};
        values[17] = (md_real)rows[i].value;
        enter();
        md_gguf_writer *w = new_writer();
        assert_ok(md_gguf_declare(w, "x", rows[i].type, 1, (int64_t[]){32}, &err));
        assert_ok(md_gguf_start(w, path, &err));
        assert_fails(md_gguf_append(w, values, 32, &err), MDLM_INPUT,
                     "not finite or too large for");
        md_gguf_writer_free(w);
        assert_ok(md_dir_list(folder, &names, &err));
        ck_assert_uint_eq(names.count, 0);
        md_names_release(&names);
        leave();
    }
}
END_TEST

START_TEST(a_failed_write_is_reported) {
    md_gguf_writer *w = new_writer();
    assert_fails(md_gguf_start(w, "/nowhere/x.gguf", &err), MDLM_WRITE, "cannot write");
    md_gguf_writer_free(w);
}
END_TEST

/* ---- Blocks, against gguf-py's quants.py ---- */

enum { SAMPLES = 7 };
static const int places[SAMPLES] = {0, 31, 32, 100, 160, 200, 255};

/* A block of hashed bytes but for its scales, given as halves. */
static void hashed_block(uint32_t stream, uint8_t *block, size_t size) {
    for (uint32_t i = 0; i < size; i++) block[i] = (uint8_t)hash32(stream, i);
}

/* The numbers are float products of small integers, and their sum is exact in double. */
static void compare(const md_storage *type, const uint8_t *block, const double *samples, int count,
                    double sum) {
    md_real out[256];
    double found = 0;
    type->read(block, type->block, out);
    for (int i = 0; i < count; i++)
        ck_assert_msg((double)out[places[i]] == samples[i], "%s %d: %.9g", type->name, places[i],
                      (double)out[places[i]]);
    for (int i = 0; i < type->block; i++) found += (double)out[i] * (i % 7 + 1);
    ck_assert_msg(found == sum, "%s: sum %.17g", type->name, found);
}

START_TEST(blocks_are_read_as_ggml_reads_them) {
    static const double q4_K[SAMPLES] = {80.0263671875,  164.4013671875, 222.25390625,
                                         107.6435546875, 194.6435546875, 22.5400390625,
                                         1.6083984375};
    static const double q6_K[SAMPLES] = {10.41796875, 41.12109375, -1.3125,    5.80078125,
                                         6.50390625,  -0.75,       -7.27734375};
    static const double q8_0[2] = {1.7109375, 6.0595703125};
    uint8_t block[210];
    hashed_block(4, block, 144);
    memcpy(block, (const uint8_t[]){0, 54, 144, 44}, 4); /* 0.375, 0.0712890625 */
    compare(&md_storage_q4_K, block, q4_K, SAMPLES, 85713.7314453125);
    hashed_block(6, block, 210);
    memcpy(block + 208, (const uint8_t[]){0, 162}, 2); /* -0.01171875 */
    compare(&md_storage_q6_K, block, q6_K, SAMPLES, 906.41015625);
    hashed_block(8, block, 34);
    memcpy(block, (const uint8_t[]){144, 44}, 2);
    compare(&md_storage_q8_0, block, q8_0, 2, -44.1279296875);
}
END_TEST

START_TEST(blocks_of_q8_0_are_written_as_ggml_writes_them) {
    md_real values[96];
    uint8_t blocks[102];
    uint64_t hash = 0xcbf29ce484222325U; /* FNV-1a */
    for (uint32_t i = 0; i < 96; i++) values[i] = (md_real)(unit(11, i) * 0.3);
    md_storage_q8_0.write(values, 96, blocks);
    for (int i = 0; i < 102; i++) hash = (hash ^ blocks[i]) * 0x100000001b3U;
    ck_assert_uint_eq(blocks[0], 142);
    ck_assert_uint_eq(blocks[1], 20);
    ck_assert_uint_eq(hash, 0x652574930c73913fU);
}
END_TEST

START_TEST(small_scales_of_q8_0_are_subnormal_halves) {
    md_real values[32] = {0}, back[32];
    uint8_t block[34];
    values[3] = (md_real)(127 * 0x1p-24); /* the smallest half */
    md_storage_q8_0.write(values, 32, block);
    ck_assert(block[0] == 1 && block[1] == 0 && block[2 + 3] == 127);
    md_storage_q8_0.read(block, 32, back);
    for (int i = 0; i < 32; i++) ck_assert(back[i] == values[i]);
    memset(values, 0, sizeof values);
    md_storage_q8_0.write(values, 32, block);
    for (int i = 0; i < 34; i++) ck_assert_uint_eq(block[i], 0);
}
END_TEST

int main(void) {
    Suite *s = suite_create("gguf_write");
    suite_case(s, the_bytes_written_are_those_of_the_format);
    suite_case(s, every_type_survives_a_round_trip);
    suite_case(s, what_cannot_be_a_tensor_is_not_declared);
    suite_case(s, two_tensors_of_one_name_are_not_written);
    suite_case(s, a_value_that_a_type_cannot_hold_is_refused_and_nothing_is_left);
    suite_case(s, a_failed_write_is_reported);
    suite_case(s, blocks_are_read_as_ggml_reads_them);
    suite_case(s, blocks_of_q8_0_are_written_as_ggml_writes_them);
    suite_case(s, small_scales_of_q8_0_are_subnormal_halves);
    return suite_run(s);
}
