/* tests/test_images.c: sets of images of every format, and files that lie. */
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/file.h"
#include "corpora/images.h"
#include "tests/test_corpora.h"
#include "tests/test_pictures.h"

/* --- IDX -------------------------------------------------------------------------------------- */

typedef struct idx {
    uint8_t bytes[4096];
    size_t size;
} idx;

static idx idx_of(int dimensions, const int64_t *sizes) {
    idx f = {.bytes = {0, 0, 8, (uint8_t)dimensions}, .size = 4};
    size_t items = 1;
    for (int d = 0; d < dimensions; d++) {
        for (int i = 0; i < 4; i++) f.bytes[f.size++] = (uint8_t)(sizes[d] >> (24 - 8 * i));
        items *= (size_t)sizes[d];
    }
    /* Byte i is i modulo 251: every image differs. */
    for (size_t i = 0; i < items && f.size < sizeof f.bytes; i++) {
        f.bytes[f.size++] = (uint8_t)(i % 251);
    }
    return f;
}

static idx images_idx(int64_t N, int64_t Y, int64_t X) {
    return idx_of(3, (int64_t[]){N, Y, X});
}

static idx labels_idx(int64_t N) {
    idx f = idx_of(1, &N);
    for (size_t i = 0; i < (size_t)N; i++) f.bytes[8 + i] = (uint8_t)(i % 3);
    return f;
}

static const char *put(const char *name, const void *bytes, size_t size) {
    const char *path = at(name);
    assert_ok(md_file_write(path, bytes, size, &err));
    return path;
}

static const char *put_idx(const char *name, idx f) {
    return put(name, f.bytes, f.size);
}

static const char *put_gz(const char *name, idx f) {
    const char *path = at(name);
    gzFile gz = gzopen(path, "wb");
    ck_assert_int_eq(gzwrite(gz, f.bytes, (unsigned)f.size), (int)f.size);
    ck_assert_int_eq(gzclose(gz), Z_OK);
    return path;
}

static md_images *open_with(const char *path, md_images_options opt) {
    md_images *set = NULL;
    assert_ok(md_images_open(path, &opt, &set, &err));
    return set;
}

static md_images *open_set(const char *path) {
    return open_with(path, md_images_defaults());
}

static void assert_shape(const md_images *set, int64_t count, int Y, int X, int C) {
    md_images_shape shape = md_images_get_shape(set);
    ck_assert_int_eq(md_images_count(set), count);
    ck_assert_msg(shape.Y == Y && shape.X == X && shape.C == C, "%d x %d x %d", shape.Y, shape.X,
                  shape.C);
}

#define assert_refused_with(path, opt, status, message) \
    do { \
        md_images *set_ = NULL; \
        assert_fails(md_images_open(path, &opt, &set_, &err), status, message); \
        ck_assert_ptr_null(set_); \
    } while (0)

#define assert_refused(path, message) \
    do { \
        md_images_options opt_ = md_images_defaults(); \
        assert_refused_with(path, opt_, MDLM_INPUT, message); \
    } while (0)

START_TEST(idx_images_come_with_the_labels_that_lie_beside_them) {
    put_idx("train-labels-idx1-ubyte", labels_idx(7));
    md_images *set = open_set(put_idx("train-images-idx3-ubyte", images_idx(7, 3, 2)));
    assert_shape(set, 7, 3, 2, 1);
    ck_assert_int_eq(md_images_classes(set), 3);
    ck_assert_str_eq(md_images_class_name(set, 2), "2");
    ck_assert_str_eq(md_images_note(set), "");
    for (int i = 0; i < 7; i++) {
        uint8_t bytes[6];
        md_images_bytes(set, i, bytes);
        for (int k = 0; k < 6; k++) ck_assert_int_eq(bytes[k], 6 * i + k);
        ck_assert_int_eq(md_images_label(set, i), i % 3);
    }
    md_images_free(set);
}
END_TEST

START_TEST(labels_are_found_compressed_or_not_and_without_them_there_is_a_note) {
    const char *gz = put_gz("t10k-images-idx3-ubyte.gz", images_idx(4, 2, 2));
    md_images *set = open_set(gz);
    ck_assert_int_eq(md_images_classes(set), 0);
    ck_assert_int_eq(md_images_label(set, 0), -1);
    ck_assert_ptr_nonnull(strstr(md_images_note(set), "no file of labels lies beside"));
    md_images_free(set);
    put_idx("t10k-labels-idx1-ubyte", labels_idx(4));
    set = open_set(gz);
    ck_assert_int_eq(md_images_label(set, 2), 2);
    md_images_free(set);
    md_images_options opt = md_images_defaults();
    opt.labels = put_gz("other.gz", labels_idx(4));
    set = open_with(put_idx("x", images_idx(4, 2, 2)), opt);
    ck_assert_int_eq(md_images_label(set, 1), 1);
    md_images_free(set);
    put_gz("x.images.idx3.gz", images_idx(4, 2, 2));
    put_gz("x.labels.idx1.gz", labels_idx(4));
    set = open_set(at("x.images.idx3.gz"));
    ck_assert_int_eq(md_images_classes(set), 3);
    md_images_free(set);
}
END_TEST

START_TEST(a_range_is_a_part_of_the_images_and_of_their_labels) {
    put_idx("labels-idx1", labels_idx(9));
    const char *path = put_idx("images-idx3", images_idx(9, 2, 2));
    md_images_options opt = md_images_defaults();
    assert_ok(md_images_range("4:6", &opt, &err));
    md_images *set = open_with(path, opt);
    uint8_t bytes[4];
    assert_shape(set, 2, 2, 2, 1);
    md_images_bytes(set, 1, bytes);
    ck_assert_int_eq(bytes[0], 20);
    ck_assert_int_eq(md_images_label(set, 1), 5 % 3);
    ck_assert_int_eq(md_images_classes(set), 3); /* of the whole file: parts agree on them */
    md_images_free(set);
    assert_ok(md_images_range("7:", &opt, &err));
    set = open_with(path, opt);
    ck_assert_int_eq(md_images_count(set), 2);
    md_images_free(set);
    opt.end = 10;
    assert_refused_with(path, opt, MDLM_INPUT, "holds the images 0:9: the range 7:10 is no part");
    opt.first = 9, opt.end = -1;
    assert_refused_with(path, opt, MDLM_INPUT, "the range 9:9");
}
END_TEST

START_TEST(ranges_are_two_numbers_with_a_colon) {
    const char *const wrong[] = {"",    ":",     "7",    "3:3",  "4:3",
                                 "a:b", "1:2:3", "-1:3", " 1:2", "1:99999999999999999999"};
    md_images_options opt = md_images_defaults();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_fails(md_images_range(wrong[i], &opt, &err), MDLM_USAGE, "expected A:B");
    }
    ck_assert(opt.first == 0 && opt.end == -1);
    assert_ok(md_images_range(":12", &opt, &err));
    ck_assert(opt.first == 0 && opt.end == 12);
}
END_TEST

START_TEST(images_are_fitted_and_converted_where_it_is_asked_for) {
    md_images_options opt = md_images_defaults();
    opt.image_size = 4, opt.channels = 3;
    md_images *set = open_with(put_idx("x", images_idx(2, 8, 8)), opt);
    uint8_t bytes[48];
    assert_shape(set, 2, 4, 4, 3);
    md_images_bytes(set, 0, bytes);
    ck_assert_int_eq(bytes[0], 5); /* of 0 1 8 9: 4.5, rounded up */
    ck_assert(bytes[1] == 5 && bytes[2] == 5);
    md_images_free(set);
    opt.channels = 2;
    assert_refused_with(at("x"), opt, MDLM_USAGE, "images of 2 channels: expected 1 (grey), 3");
    opt.channels = 0, opt.image_size = 20000;
    assert_refused_with(at("x"), opt, MDLM_USAGE, "an image size of 20000 pixels");
}
END_TEST

START_TEST(idx_of_four_dimensions_has_colours) {
    md_images *set = open_set(put_idx("x", idx_of(4, (int64_t[]){3, 2, 2, 3})));
    uint8_t bytes[12];
    assert_shape(set, 3, 2, 2, 3);
    md_images_bytes(set, 2, bytes);
    ck_assert_int_eq(bytes[11], 35);
    md_images_free(set);
}
END_TEST

START_TEST(an_idx_file_that_lies_is_refused) {
    idx f = images_idx(5, 4, 4);
    assert_refused(put("x", f.bytes, f.size - 1),
                   "promises 5 items of 16 bytes, and it ends in number 4");
    assert_refused(put("x", f.bytes, f.size + 1), "goes on after the 5 items");
    assert_refused(put("x", f.bytes, 9), "is truncated: its header has no end");
    f = images_idx(5, 4, 4);
    f.bytes[2] = 13;
    assert_refused(put_idx("x", f), "IDX numbers of type 13: expected 8, bytes");
    f = images_idx(5, 4, 4);
    f.bytes[1] = 1;
    assert_refused(put_idx("x", f), "holds no images: expected IDX");
    assert_refused(put_idx("x", labels_idx(5)), "has 1 dimensions: expected 3 or 4 (images)");
    assert_refused(put_idx("x", idx_of(4, (int64_t[]){2, 2, 2, 7})), "pixels of 7 bytes");
    assert_refused(put_idx("x", images_idx(0, 4, 4)), "holds nothing");
    assert_refused(put_idx("x", images_idx(4, 0, 4)), "has no pixels");
    assert_refused(put("x", "", 0), "holds no images");
}
END_TEST

/* Headers whose sizes multiply beyond 64 bits, or beyond what a small file can unpack to. */
START_TEST(a_header_of_sizes_that_overflow_is_refused) {
    const int64_t huge[] = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
    assert_refused(put_idx("x", idx_of(3, huge)), "4294967295 x 4294967295 pixels");
    assert_refused(put_idx("x", idx_of(4, huge)), "4294967295 x 4294967295 pixels");
    assert_refused(put_idx("x", images_idx(0xffffffff, 8192, 8192)), "is truncated");
    assert_refused(put_gz("x.gz", images_idx(0xffffffff, 28, 28)), "is truncated");
}
END_TEST

START_TEST(a_compressed_idx_file_that_ends_too_soon_or_too_late_is_refused) {
    idx f = images_idx(50, 4, 4);
    f.size -= 20;
    assert_refused(put_gz("x.gz", f), "it ends in number 48");
    f = images_idx(50, 4, 4);
    f.size += 20;
    assert_refused(put_gz("x.gz", f), "goes on after the 50 items");
    /* Behind the range, too: the file is damaged whatever is used of it. */
    md_images_options opt = md_images_defaults();
    opt.end = 3;
    f.size -= 40;
    assert_refused_with(put_gz("x.gz", f), opt, MDLM_INPUT, "it ends in number 48");
}
END_TEST

START_TEST(labels_must_be_as_many_as_images) {
    put_idx("labels", labels_idx(6));
    assert_refused(put_idx("images", images_idx(7, 2, 2)),
                   "has 6 labels: expected one for each of the 7 images of");
    put_idx("labels", images_idx(7, 2, 2));
    assert_refused(at("images"), "has 3 dimensions: expected 1 (labels)");
    md_images_options opt = md_images_defaults();
    opt.labels = at("absent");
    assert_refused_with(at("images"), opt, MDLM_INPUT, "absent': no such file");
    assert_refused_with("shapes", opt, MDLM_USAGE,
                        "come with IDX files: the format of 'shapes' is shapes");
}
END_TEST

START_TEST(labels_that_a_model_does_not_know_are_refused) {
    put_idx("labels", labels_idx(7));
    md_images_options opt = md_images_defaults();
    const char *path = put_idx("images", images_idx(7, 2, 2));
    opt.classes = 2;
    assert_refused_with(path, opt, MDLM_INPUT, "has the label 2: expected 0 to 1");
    opt.classes = 5;
    md_images *set = open_with(path, opt);
    ck_assert_int_eq(md_images_classes(set), 5);
    ck_assert_int_eq(md_images_label(set, 2), 2);
    md_images_free(set);
}
END_TEST

/* --- CIFAR-10 --------------------------------------------------------------------------------- */

enum { RECORD = 3073 };

/* Record i: label (first + i) % 10, red i, green 100 + i, blue: the number of the pixel. */
static const char *put_cifar(const char *name, int first, int count) {
    uint8_t *bytes = md_alloc((size_t)count, RECORD, &err);
    for (int i = 0; i < count; i++) {
        uint8_t *record = bytes + i * RECORD;
        record[0] = (uint8_t)((first + i) % 10);
        memset(record + 1, first + i, 1024);
        memset(record + 1025, 100 + first + i, 1024);
        for (int k = 0; k < 1024; k++) record[2049 + k] = (uint8_t)(k % 256);
    }
    const char *path = put(name, bytes, (size_t)count * RECORD);
    md_free(bytes);
    return path;
}

START_TEST(cifar_planes_become_pixels_with_names_of_classes) {
    md_images *set = open_set(put_cifar("test_batch.bin", 0, 12));
    uint8_t bytes[3072];
    assert_shape(set, 12, 32, 32, 3);
    md_images_bytes(set, 11, bytes);
    ck_assert_mem_eq(bytes + 3 * 33, ((const uint8_t[]){11, 111, 33}), 3);
    ck_assert_int_eq(md_images_label(set, 11), 1);
    ck_assert_str_eq(md_images_class_name(set, 1), "automobile");
    md_buffer caption = {0};
    assert_ok(md_images_caption(set, 3, &caption, &err));
    ck_assert_str_eq(caption.data, "cat");
    md_buffer_release(&caption);
    md_images_free(set);
}
END_TEST

START_TEST(a_cifar_folder_is_its_training_batches_in_order) {
    put_cifar("data_batch_2.bin", 5, 4);
    put_cifar("data_batch_1.bin", 0, 5);
    put_cifar("test_batch.bin", 50, 3);
    put("batches.meta.txt", "airplane\n", 9);
    md_images_options opt = md_images_defaults();
    assert_ok(md_images_range("3:7", &opt, &err));
    md_images *set = open_with(dir, opt);
    assert_shape(set, 4, 32, 32, 3);
    for (int i = 0; i < 4; i++) {
        uint8_t bytes[3072];
        md_images_bytes(set, i, bytes);
        ck_assert_int_eq(bytes[0], 3 + i);
        ck_assert_int_eq(md_images_label(set, i), 3 + i);
    }
    md_images_free(set);
}
END_TEST

START_TEST(a_cifar_file_of_the_wrong_size_or_with_wrong_labels_is_refused) {
    uint8_t record[RECORD + 1] = {7};
    assert_refused(put("x.bin", record, RECORD - 1), "has 3072 bytes: expected a multiple of 3073");
    assert_refused(put("x.bin", record, RECORD + 1), "these could be of CIFAR-100");
    assert_refused(put("x.bin", record, 0), "has 0 bytes");
    record[0] = 10;
    assert_refused(put("x.bin", record, RECORD), "image 0 has the label 10: expected 0 to 9");
}
END_TEST

/* --- folders ---------------------------------------------------------------------------------- */

#ifdef MDLM_HAVE_PNG

static void make(const char *name) {
    assert_ok(md_dir_make(at(name), &err));
}

/* A grey picture of 4 x 4 pixels, all `value`. */
static void put_plain(const char *name, int value, int C) {
    md_picture p = {0};
    assert_ok(md_picture_init(&p, 4, 4, C, &err));
    memset(p.pixels, value, (size_t)(16 * C));
    assert_ok(md_picture_save(&p, at(name), &err));
    md_picture_release(&p);
}

static int first_byte(const md_images *set, int64_t i) {
    uint8_t bytes[4096];
    md_images_bytes(set, i, bytes);
    return bytes[0];
}

START_TEST(folders_in_a_folder_are_classes_and_every_range_has_some_of_each) {
    make("dog"), make("cat"), make("cat/deep");
    for (int i = 0; i < 4; i++) {
        char name[32];
        snprintf(name, sizeof name, "dog/%d.png", i);
        put_plain(name, 100 + i, 1);
    }
    put_plain("cat/1.png", 1, 1), put_plain("cat/deep/0.png", 2, 1);
    md_images *set = open_set(dir);
    assert_shape(set, 6, 4, 4, 1);
    ck_assert_int_eq(md_images_classes(set), 2);
    ck_assert_str_eq(md_images_class_name(set, 0), "cat");
    /* Dogs stand at 1/8 3/8 5/8 7/8, cats at 1/4 3/4. */
    const int order[] = {100, 1, 101, 102, 2, 103};
    for (int i = 0; i < 6; i++) {
        ck_assert_int_eq(first_byte(set, i), order[i]);
        ck_assert_int_eq(md_images_label(set, i), order[i] >= 100);
    }
    md_images_free(set);
}
END_TEST

START_TEST(files_that_are_no_images_are_skipped_and_told_of) {
    put_plain("b.png", 7, 1);
    put("a.txt", "hello", 5), put("c", "world", 5), put(".hidden.png", "x", 1);
    put("captions.jsonl", "{}", 2);
    md_images *set = open_set(dir);
    assert_shape(set, 1, 4, 4, 1);
    ck_assert_int_eq(md_images_classes(set), 0);
    ck_assert_int_eq(md_images_label(set, 0), -1);
    ck_assert_ptr_nonnull(strstr(md_images_note(set), "skipped 2 files that are no PNG or JPEG"));
    md_images_free(set);
}
END_TEST

START_TEST(a_picture_without_the_usual_ending_is_known_by_its_bytes) {
    put_plain("picture", 7, 1);
    md_images *set = open_set(dir);
    assert_shape(set, 1, 4, 4, 1);
    md_images_free(set);
    set = open_set(at("picture"));
    assert_shape(set, 1, 4, 4, 1);
    ck_assert_int_eq(first_byte(set, 0), 7);
    md_images_free(set);
}
END_TEST

START_TEST(a_folder_without_an_image_is_refused) {
    make("empty");
    assert_refused(at("empty"), "holds no files");
    put("empty/a.txt", "x", 1);
    assert_refused(at("empty"), "holds 1 files, but no PNG or JPEG");
    put("empty/a.png", "x", 1);
    assert_refused(at("empty"), "a.png' is neither a PNG nor a JPEG");
}
END_TEST

START_TEST(images_of_two_sizes_are_refused_by_name_unless_a_size_is_given) {
    put_plain("a.png", 1, 1);
    save_picture(at("b.png"), 6, 9, 1);
    assert_refused(dir, "a.png' 4 x 4, ");
    ck_assert_ptr_nonnull(strstr(
        err.message, "b.png' 9 x 6: expected one (image-train fits them to an --image-size)"));
    md_images_options opt = md_images_defaults();
    opt.image_size = 5;
    md_images *set = open_with(dir, opt);
    assert_shape(set, 2, 5, 5, 1);
    md_images_free(set);
    opt.image_size = 0, opt.end = 1; /* nobody looks at the second */
    set = open_with(dir, opt);
    assert_shape(set, 1, 4, 4, 1);
    md_images_free(set);
}
END_TEST

START_TEST(channels_are_grey_when_all_images_are_grey) {
    put_plain("a.png", 1, 1), put_plain("b.png", 2, 2);
    md_images *set = open_set(dir);
    assert_shape(set, 2, 4, 4, 1);
    md_images_free(set);
    put_plain("c.png", 3, 4);
    set = open_set(dir);
    assert_shape(set, 3, 4, 4, 3);
    ck_assert_int_eq(first_byte(set, 2), 252); /* 3 at alpha 3 on white */
    md_images_free(set);
    md_images_options opt = md_images_defaults();
    opt.channels = 4;
    set = open_with(dir, opt);
    assert_shape(set, 3, 4, 4, 4);
    ck_assert_int_eq(first_byte(set, 2), 3);
    md_images_free(set);
}
END_TEST

START_TEST(labels_of_a_folder_go_by_the_names_that_a_model_knows) {
    make("dog"), make("cat");
    put_plain("dog/0.png", 100, 1), put_plain("cat/0.png", 1, 1);
    static const char *const names[] = {"horse", "dog", "cat"};
    md_images_options opt = md_images_defaults();
    opt.class_names = names, opt.classes = 3;
    md_images *set = open_with(dir, opt);
    ck_assert_int_eq(md_images_classes(set), 3);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(md_images_label(set, i), first_byte(set, i) == 100 ? 1 : 2);
    }
    md_images_free(set);
    opt.classes = 2;
    assert_refused_with(dir, opt, MDLM_INPUT, "images of the class 'cat', which is none of the 2");
}
END_TEST

#endif

START_TEST(the_hash_knows_pixels_labels_and_shape) {
    const char *path = put_idx("images", images_idx(4, 2, 2));
    md_images *set = open_set(path);
    uint64_t unlabelled = md_images_hash(set);
    md_images_free(set);
    put_idx("labels", labels_idx(4));
    set = open_set(path);
    uint64_t labelled = md_images_hash(set);
    ck_assert(labelled != unlabelled);
    const cJSON *json = md_images_json(set);
    char text[17];
    snprintf(text, sizeof text, "%016llx", (unsigned long long)labelled);
    ck_assert_str_eq(cJSON_GetObjectItem(json, "hash")->valuestring, text);
    ck_assert_str_eq(cJSON_GetObjectItem(json, "source")->valuestring, path);
    ck_assert_int_eq(cJSON_GetArraySize(cJSON_GetObjectItem(json, "classes")), 3);
    md_images_free(set);
    idx f = labels_idx(4);
    f.bytes[8] = 1;
    put_idx("labels", f);
    set = open_set(path);
    ck_assert(md_images_hash(set) != labelled);
    md_images_free(set);
    put_idx("labels", labels_idx(4));
    f = images_idx(4, 2, 2);
    f.bytes[f.size - 1] ^= 1;
    set = open_set(put_idx("images", f));
    ck_assert(md_images_hash(set) != labelled);
    md_images_free(set);
    set = open_set(put_idx("images", images_idx(4, 1, 4)));
    ck_assert(md_images_hash(set) != labelled);
    md_images_free(set);
}
END_TEST

START_TEST(a_path_to_nothing_is_refused_and_a_typo_of_shapes_is_guessed) {
    assert_refused(at("absent"), "no such file");
    assert_refused("shape", "did you mean 'shapes'?");
}
END_TEST

int main(void) {
    Suite *s = suite_create("images");
    TCase *c = tcase_create("images");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, idx_images_come_with_the_labels_that_lie_beside_them);
    tcase_add_test(c, labels_are_found_compressed_or_not_and_without_them_there_is_a_note);
    tcase_add_test(c, a_range_is_a_part_of_the_images_and_of_their_labels);
    tcase_add_test(c, ranges_are_two_numbers_with_a_colon);
    tcase_add_test(c, images_are_fitted_and_converted_where_it_is_asked_for);
    tcase_add_test(c, idx_of_four_dimensions_has_colours);
    tcase_add_test(c, an_idx_file_that_lies_is_refused);
    tcase_add_test(c, a_header_of_sizes_that_overflow_is_refused);
    tcase_add_test(c, a_compressed_idx_file_that_ends_too_soon_or_too_late_is_refused);
    tcase_add_test(c, labels_must_be_as_many_as_images);
    tcase_add_test(c, labels_that_a_model_does_not_know_are_refused);
    tcase_add_test(c, cifar_planes_become_pixels_with_names_of_classes);
    tcase_add_test(c, a_cifar_folder_is_its_training_batches_in_order);
    tcase_add_test(c, a_cifar_file_of_the_wrong_size_or_with_wrong_labels_is_refused);
#ifdef MDLM_HAVE_PNG
    tcase_add_test(c, folders_in_a_folder_are_classes_and_every_range_has_some_of_each);
    tcase_add_test(c, files_that_are_no_images_are_skipped_and_told_of);
    tcase_add_test(c, a_picture_without_the_usual_ending_is_known_by_its_bytes);
    tcase_add_test(c, a_folder_without_an_image_is_refused);
    tcase_add_test(c, images_of_two_sizes_are_refused_by_name_unless_a_size_is_given);
    tcase_add_test(c, channels_are_grey_when_all_images_are_grey);
    tcase_add_test(c, labels_of_a_folder_go_by_the_names_that_a_model_knows);
#endif
    tcase_add_test(c, the_hash_knows_pixels_labels_and_shape);
    tcase_add_test(c, a_path_to_nothing_is_refused_and_a_typo_of_shapes_is_guessed);
    suite_add_tcase(s, c);
    return suite_run(s);
}
