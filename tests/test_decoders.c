/* tests/test_decoders.c: PNG and JPEG of every kind, and files that lie. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "tests/test_corpora.h"
#include "tests/test_pictures.h"

static void assert_refused(const char *path, const char *message) {
    md_picture p = {0};
    assert_fails(md_picture_load(path, &p, &err), MDLM_INPUT, message);
    ck_assert_ptr_nonnull(strstr(err.message, path));
    ck_assert_ptr_null(p.pixels);
}

#if defined(MDLM_HAVE_PNG) || defined(MDLM_HAVE_JPEG)

static char *file_bytes(const char *path, size_t *size) {
    char *bytes = NULL;
    assert_ok(md_file_read(path, 1 << 24, &bytes, size, &err));
    return bytes;
}

/* Without md_file_write's care for the disk, which takes time, as does writing over a file. */
static const char *put(const char *name, const void *bytes, size_t size) {
    const char *path = at(name);
    remove(path);
    FILE *file = fopen(path, "wb");
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
    return path;
}

/* Loading every shorter file fails, and no file with one wrong byte does harm. */
static void damage(const char *path, size_t may_lack) {
    size_t size;
    char *bytes = file_bytes(path, &size);
    md_picture p = {0};
    for (size_t n = 0; n + may_lack < size; n++) {
        const char *cut = put("short", bytes, n);
        ck_assert_msg(md_picture_load(cut, &p, &err) == MDLM_INPUT, "%zu of %zu", n, size);
    }
    for (size_t i = 0; i < size; i++) {
        bytes[i] = (char)~bytes[i];
        mdlm_status status = md_picture_load(put("wrong", bytes, size), &p, &err);
        ck_assert(status == MDLM_OK || status == MDLM_INPUT);
        md_picture_release(&p);
        bytes[i] = (char)~bytes[i];
    }
    md_free(bytes);
}

#endif

START_TEST(a_file_of_another_kind_is_refused_by_name) {
    assert_ok(md_file_write(at("x.png"), "not a picture", 13, &err));
    assert_refused(at("x.png"), "neither a PNG nor a JPEG");
    assert_ok(md_file_write(at("x.jpg"), "", 0, &err));
    assert_refused(at("x.jpg"), "neither a PNG nor a JPEG");
    assert_refused(at("absent.png"), "no such file");
    assert_refused(dir, "is a folder");
}
END_TEST

#ifndef MDLM_HAVE_PNG

START_TEST(without_its_library_a_png_is_refused) {
    assert_refused(save_picture(at("x.png"), 2, 2, 1), "mdlm was built without libpng");
}
END_TEST

#else

#include <png.h>
#include <zlib.h>

typedef struct png_kind {
    int depth, type, interlace;
    int alpha; /* a tRNS chunk: of the first palette entry, or of grey 0 */
} png_kind;

/* A picture whose rows are as the kind asks: `stride` bytes each. */
static const char *write_png(const png_kind *kind, int Y, int X, const uint8_t *rows, int stride) {
    static const png_color palette[] = {{10, 20, 30}, {200, 100, 50}, {1, 2, 3}, {255, 255, 0}};
    static const uint8_t palette_alpha[] = {0};
    const char *path = at("kind.png");
    FILE *file = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_color_16 grey = {.gray = 0};
    png_init_io(png, file);
    png_set_IHDR(png, info, (unsigned)X, (unsigned)Y, kind->depth, kind->type, kind->interlace, 0,
                 0);
    if (kind->type == PNG_COLOR_TYPE_PALETTE) png_set_PLTE(png, info, palette, 4);
    if (kind->alpha) {
        bool colours = kind->type == PNG_COLOR_TYPE_PALETTE;
        png_set_tRNS(png, info, colours ? palette_alpha : NULL, 1, colours ? NULL : &grey);
    }
    png_write_info(png, info);
    png_bytep pointers[64];
    for (int y = 0; y < Y; y++) pointers[y] = (png_bytep)(uintptr_t)(rows + y * stride);
    png_write_image(png, pointers);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(file);
    return path;
}

static void assert_png(png_kind kind, int X, const uint8_t *row, int C, const uint8_t *expected) {
    md_picture p = {0};
    assert_ok(md_picture_load(write_png(&kind, 1, X, row, 0), &p, &err));
    ck_assert_int_eq(p.X, X);
    ck_assert_int_eq(p.C, C);
    ck_assert_mem_eq(p.pixels, expected, (size_t)(X * C));
    md_picture_release(&p);
}

START_TEST(palettes_bits_and_transparent_colours_become_bytes) {
    const png_kind palette = {.depth = 8, .type = PNG_COLOR_TYPE_PALETTE};
    const uint8_t indices[] = {0, 1, 3};
    assert_png(palette, 3, indices, 3, (const uint8_t[]){10, 20, 30, 200, 100, 50, 255, 255, 0});
    const png_kind clear = {.depth = 8, .type = PNG_COLOR_TYPE_PALETTE, .alpha = 1};
    assert_png(clear, 2, indices + 1, 4, (const uint8_t[]){200, 100, 50, 255, 255, 255, 0, 255});
    const png_kind two_bits = {.depth = 2, .type = PNG_COLOR_TYPE_PALETTE};
    assert_png(two_bits, 2, (const uint8_t[]){2 << 6 | 1 << 4}, 3,
               (const uint8_t[]){1, 2, 3, 200, 100, 50});
    const png_kind one_bit = {.depth = 1, .type = PNG_COLOR_TYPE_GRAY};
    assert_png(one_bit, 3, (const uint8_t[]){5 << 5}, 1, (const uint8_t[]){255, 0, 255});
    const png_kind clear_grey = {.depth = 8, .type = PNG_COLOR_TYPE_GRAY, .alpha = 1};
    assert_png(clear_grey, 2, (const uint8_t[]){0, 77}, 2, (const uint8_t[]){0, 0, 77, 255});
}
END_TEST

START_TEST(sixteen_bits_become_the_nearest_eight) {
    const png_kind deep = {.depth = 16, .type = PNG_COLOR_TYPE_GRAY};
    const uint8_t row[] = {0, 0, 0x12, 0x12, 0x80, 0x7f, 0xff, 0xff}; /* b * 257, or nearly */
    assert_png(deep, 4, row, 1, (const uint8_t[]){0, 0x12, 0x80, 255});
    const png_kind colours = {.depth = 16, .type = PNG_COLOR_TYPE_RGB};
    const uint8_t rgb[] = {1, 1, 100, 100, 200, 200};
    assert_png(colours, 1, rgb, 3, (const uint8_t[]){1, 100, 200});
}
END_TEST

START_TEST(interlaced_rows_come_out_in_order) {
    const png_kind kind = {
        .depth = 8, .type = PNG_COLOR_TYPE_RGB, .interlace = PNG_INTERLACE_ADAM7};
    md_picture p = some_picture(13, 11, 3), back = {0};
    assert_ok(md_picture_load(write_png(&kind, 13, 11, p.pixels, 33), &back, &err));
    assert_same_picture(&p, &back);
    md_picture_release(&p), md_picture_release(&back);
}
END_TEST

/* A small PNG whose header promises another size; its checksum is right. */
static const char *lying_png(uint32_t Y, uint32_t X) {
    size_t size;
    char *bytes = file_bytes(save_picture(at("small.png"), 4, 4, 1), &size);
    for (int i = 0; i < 4; i++) {
        bytes[16 + i] = (char)(X >> (24 - 8 * i));
        bytes[20 + i] = (char)(Y >> (24 - 8 * i));
    }
    uLong crc = crc32(0, (const Bytef *)bytes + 12, 17);
    for (int i = 0; i < 4; i++) bytes[29 + i] = (char)(crc >> (24 - 8 * i));
    assert_ok(md_file_write(at("lie.png"), bytes, size, &err));
    md_free(bytes);
    return at("lie.png");
}

START_TEST(a_png_bomb_is_refused_by_its_header) {
    assert_refused(lying_png(20000, 10), "10 x 20000 pixels: the most is 16384 a side");
    assert_refused(lying_png(16384, 16384), "16384 x 16384 pixels");
    assert_refused(lying_png(1, 0x7fffffff), "lie.png");
    assert_refused(lying_png(0, 4), "lie.png");
    /* Within the limits, so its rows are looked for, and are not there. */
    assert_refused(lying_png(4000, 4000), "is damaged");
}
END_TEST

START_TEST(no_damage_to_a_png_does_harm) {
    damage(save_picture(at("x.png"), 6, 5, 3), 12); /* the last chunk says nothing */
    const png_kind kind = {.depth = 8, .type = PNG_COLOR_TYPE_PALETTE, .alpha = 1};
    damage(write_png(&kind, 1, 3, (const uint8_t[]){0, 1, 3}, 0), 12);
}
END_TEST

#endif

#ifndef MDLM_HAVE_JPEG

START_TEST(without_its_library_a_jpeg_is_refused) {
    assert_ok(md_file_write(at("x"), "\xff\xd8\xff\xe0", 4, &err));
    assert_refused(at("x"), "mdlm was built without libjpeg");
}
END_TEST

#else

#include <jpeglib.h>

typedef struct jpeg_kind {
    int C; /* 1 grey, 3 RGB, 4 CMYK */
    bool progressive, adobe;
    const jpeg_scan_info *scans; /* NULL: the usual ones */
    int scan_count;
} jpeg_kind;

/* Y x X pixels of one colour. */
static const char *write_jpeg(jpeg_kind kind, int Y, int X, const uint8_t *colour) {
    const char *path = at("kind.jpg");
    FILE *file = fopen(path, "wb");
    struct jpeg_error_mgr errors;
    struct jpeg_compress_struct c = {.err = jpeg_std_error(&errors)};
    jpeg_create_compress(&c);
    jpeg_stdio_dest(&c, file);
    c.image_width = (unsigned)X;
    c.image_height = (unsigned)Y;
    c.input_components = kind.C;
    c.in_color_space = kind.C == 1 ? JCS_GRAYSCALE : kind.C == 3 ? JCS_RGB : JCS_CMYK;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, 100, TRUE);
    if (kind.C == 4) c.write_Adobe_marker = kind.adobe;
    if (kind.progressive) jpeg_simple_progression(&c);
    if (kind.scans) c.scan_info = kind.scans, c.num_scans = kind.scan_count;
    jpeg_start_compress(&c, TRUE);
    uint8_t row[256];
    for (int i = 0; i < X * kind.C; i++) row[i] = colour[i % kind.C];
    JSAMPROW rows = row;
    for (int y = 0; y < Y; y++) jpeg_write_scanlines(&c, &rows, 1);
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    fclose(file);
    return path;
}

/* Within 2: a plain colour at the best quality loses what its rounding to YCbCr and back does. */
static void assert_jpeg(jpeg_kind kind, const uint8_t *colour, int C, const uint8_t *expected) {
    md_picture p = {0}, header = {0};
    const char *path = write_jpeg(kind, 9, 17, colour);
    assert_ok(md_picture_probe(path, &header, &err));
    ck_assert(header.Y == 9 && header.X == 17 && header.C == C);
    assert_ok(md_picture_load(path, &p, &err));
    ck_assert(p.Y == 9 && p.X == 17 && p.C == C);
    for (int i = 0; i < 9 * 17 * C; i++) {
        ck_assert_int_le(abs(p.pixels[i] - expected[i % C]), 2);
    }
    md_picture_release(&p);
}

START_TEST(jpegs_of_grey_and_of_colours_are_read) {
    const uint8_t colour[] = {200, 40, 90};
    assert_jpeg((jpeg_kind){.C = 1}, colour, 1, colour);
    assert_jpeg((jpeg_kind){.C = 3}, colour, 3, colour);
    assert_jpeg((jpeg_kind){.C = 3, .progressive = true}, colour, 3, colour);
}
END_TEST

START_TEST(inks_become_light_whichever_way_they_are_written) {
    /* Half of the cyan reflects half of the red; black takes a fifth of everything. */
    const uint8_t inks[] = {127, 0, 255, 51}, expected[] = {102, 204, 0};
    const uint8_t inverted[] = {128, 255, 0, 204};
    assert_jpeg((jpeg_kind){.C = 4}, inks, 3, expected);
    assert_jpeg((jpeg_kind){.C = 4, .adobe = true}, inverted, 3, expected);
}
END_TEST

START_TEST(a_jpeg_bomb_is_refused_by_its_header) {
    size_t size;
    char *bytes = file_bytes(write_jpeg((jpeg_kind){.C = 1}, 8, 8, (const uint8_t[]){9}), &size);
    char *frame = memmem(bytes, size, "\xff\xc0", 2);
    ck_assert_ptr_nonnull(frame);
    memcpy(frame + 5, "\x7f\xff\x7f\xff", 4);
    assert_ok(md_file_write(at("bomb.jpg"), bytes, size, &err));
    assert_refused(at("bomb.jpg"), "32767 x 32767 pixels: the most is 16384 a side");
    md_free(bytes);
}
END_TEST

/* Each coefficient of each colour in a scan of its own: 190 of them. */
START_TEST(a_jpeg_of_endless_scans_is_refused) {
    jpeg_scan_info scans[1 + 3 * 63] = {{.comps_in_scan = 3, .component_index = {0, 1, 2}}};
    for (int i = 0; i < 3 * 63; i++) {
        scans[1 + i] = (jpeg_scan_info){
            .comps_in_scan = 1, .component_index = {i / 63}, .Ss = 1 + i % 63, .Se = 1 + i % 63};
    }
    const jpeg_kind kind = {.C = 3, .scans = scans, .scan_count = 1 + 3 * 63};
    assert_refused(write_jpeg(kind, 16, 16, (const uint8_t[]){9, 99, 200}), "more than 100 scans");
}
END_TEST

START_TEST(no_damage_to_a_jpeg_does_harm) {
    const uint8_t colour[] = {200, 40, 90};
    damage(write_jpeg((jpeg_kind){.C = 3}, 9, 10, colour), 0);
    damage(write_jpeg((jpeg_kind){.C = 1, .progressive = true}, 9, 10, colour), 0);
}
END_TEST

#endif

int main(void) {
    Suite *s = suite_create("decoders");
    TCase *c = tcase_create("decoders");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_test(c, a_file_of_another_kind_is_refused_by_name);
#ifdef MDLM_HAVE_PNG
    tcase_add_test(c, palettes_bits_and_transparent_colours_become_bytes);
    tcase_add_test(c, sixteen_bits_become_the_nearest_eight);
    tcase_add_test(c, interlaced_rows_come_out_in_order);
    tcase_add_test(c, a_png_bomb_is_refused_by_its_header);
    tcase_add_test(c, no_damage_to_a_png_does_harm);
#else
    tcase_add_test(c, without_its_library_a_png_is_refused);
#endif
#ifdef MDLM_HAVE_JPEG
    tcase_add_test(c, jpegs_of_grey_and_of_colours_are_read);
    tcase_add_test(c, inks_become_light_whichever_way_they_are_written);
    tcase_add_test(c, a_jpeg_bomb_is_refused_by_its_header);
    tcase_add_test(c, a_jpeg_of_endless_scans_is_refused);
    tcase_add_test(c, no_damage_to_a_jpeg_does_harm);
#else
    tcase_add_test(c, without_its_library_a_jpeg_is_refused);
#endif
    suite_add_tcase(s, c);
    return suite_run(s);
}
