/* tests/test_pictures.c: one picture: channels, sizes, grids, PNG and its animations. */
#include <math.h>
#include <zlib.h>

#include "base/file.h"
#include "tests/test_corpora.h"
#include "tests/test_pictures.h"

static md_picture picture_of(int Y, int X, int C, const uint8_t *pixels) {
    md_picture p = {0};
    assert_ok(md_picture_init(&p, Y, X, C, &err));
    memcpy(p.pixels, pixels, (size_t)(Y * X * C));
    return p;
}

static void assert_pixels(md_picture *p, int Y, int X, int C, const uint8_t *pixels) {
    md_picture expected = picture_of(Y, X, C, pixels);
    assert_same_picture(p, &expected);
    md_picture_release(&expected);
    md_picture_release(p);
}

/* --- channels --------------------------------------------------------------------------------- */

START_TEST(grey_is_the_luma_of_rec_601) {
    const uint8_t rgb[] = {255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255, 17, 17, 17};
    md_picture p = picture_of(1, 5, 3, rgb);
    assert_ok(md_picture_convert(&p, 1, &err));
    assert_pixels(&p, 1, 5, 1, (const uint8_t[]){76, 150, 29, 255, 17});
}
END_TEST

START_TEST(alpha_is_composited_on_white_unless_it_is_kept) {
    const uint8_t rgba[] = {200, 100, 0, 128, 9, 9, 9, 0, 150, 2, 3, 200};
    md_picture p = picture_of(1, 3, 4, rgba);
    assert_ok(md_picture_convert(&p, 4, &err));
    ck_assert_mem_eq(p.pixels, rgba, sizeof rgba);
    assert_ok(md_picture_convert(&p, 3, &err));
    assert_pixels(&p, 1, 3, 3, (const uint8_t[]){227, 177, 127, 255, 255, 255, 173, 57, 57});
    md_picture grey = picture_of(1, 2, 2, (const uint8_t[]){0, 128, 40, 255});
    assert_ok(md_picture_convert(&grey, 1, &err));
    assert_pixels(&grey, 1, 2, 1, (const uint8_t[]){127, 40});
}
END_TEST

START_TEST(channels_are_added_without_a_change_of_colour) {
    md_picture p = picture_of(1, 2, 1, (const uint8_t[]){7, 250});
    assert_ok(md_picture_convert(&p, 4, &err));
    assert_pixels(&p, 1, 2, 4, (const uint8_t[]){7, 7, 7, 255, 250, 250, 250, 255});
    md_picture rgb = picture_of(1, 1, 3, (const uint8_t[]){1, 2, 3});
    assert_ok(md_picture_convert(&rgb, 4, &err));
    assert_pixels(&rgb, 1, 1, 4, (const uint8_t[]){1, 2, 3, 255});
}
END_TEST

/* --- sizes ------------------------------------------------------------------------------------ */

START_TEST(shrinking_takes_the_mean_of_the_area_that_a_pixel_covers) {
    const uint8_t even[] = {0, 10, 100, 100, 20, 30, 100, 104, 1, 1, 255, 255, 1, 2, 255, 0};
    md_picture p = picture_of(4, 4, 1, even);
    assert_ok(md_picture_fit(&p, 2, &err));
    assert_pixels(&p, 2, 2, 1, (const uint8_t[]){15, 101, 1, 191});
    /* A new pixel covers one and a half old ones: weights 2/3 and 1/3. */
    const uint8_t odd[] = {0, 90, 180, 0, 90, 180, 0, 90, 180};
    md_picture q = picture_of(3, 3, 1, odd);
    assert_ok(md_picture_fit(&q, 2, &err));
    assert_pixels(&q, 2, 2, 1, (const uint8_t[]){30, 150, 30, 150});
}
END_TEST

START_TEST(the_middle_of_a_longer_side_is_cut_out) {
    const uint8_t wide[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    md_picture p = picture_of(2, 5, 1, wide);
    assert_ok(md_picture_fit(&p, 2, &err));
    assert_pixels(&p, 2, 2, 1, (const uint8_t[]){2, 3, 7, 8});
    md_picture q = picture_of(5, 2, 1, wide);
    assert_ok(md_picture_fit(&q, 1, &err));
    assert_pixels(&q, 1, 1, 1, (const uint8_t[]){5}); /* of 3 4 5 6: 4.5, rounded up */
}
END_TEST

START_TEST(enlarging_to_a_multiple_repeats_pixels) {
    md_picture p = picture_of(1, 1, 3, (const uint8_t[]){9, 8, 7});
    assert_ok(md_picture_fit(&p, 2, &err));
    assert_pixels(&p, 2, 2, 3, (const uint8_t[]){9, 8, 7, 9, 8, 7, 9, 8, 7, 9, 8, 7});
}
END_TEST

START_TEST(both_sides_may_change_in_their_own_way) {
    md_picture p = picture_of(2, 4, 1, (const uint8_t[]){0, 10, 20, 40, 4, 6, 8, 10});
    assert_ok(md_picture_resize(&p, 4, 2, &err));
    assert_pixels(&p, 4, 2, 1, (const uint8_t[]){5, 30, 5, 30, 5, 9, 5, 9});
}
END_TEST

START_TEST(colours_under_transparent_pixels_do_not_leak) {
    const uint8_t rgba[] = {255, 0, 0, 255, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0};
    md_picture p = picture_of(2, 2, 4, rgba);
    assert_ok(md_picture_fit(&p, 1, &err));
    assert_pixels(&p, 1, 1, 4, (const uint8_t[]){255, 0, 0, 64});
}
END_TEST

START_TEST(a_plain_picture_stays_plain_at_any_size) {
    for (int side = 1; side <= 40; side += 3) {
        md_picture p = {0};
        assert_ok(md_picture_init(&p, 23, 31, 3, &err));
        memset(p.pixels, 201, 23 * 31 * 3);
        assert_ok(md_picture_fit(&p, side, &err));
        ck_assert_int_eq(p.Y, side);
        ck_assert_int_eq(p.X, side);
        for (int i = 0; i < side * side * 3; i++) ck_assert_int_eq(p.pixels[i], 201);
        md_picture_release(&p);
    }
}
END_TEST

/* --- numbers and grids ------------------------------------------------------------------------ */

START_TEST(every_byte_comes_back_from_its_number) {
    uint8_t bytes[256], back[256];
    float values[256];
    for (int i = 0; i < 256; i++) bytes[i] = (uint8_t)i;
    md_pixels_to_floats(bytes, 256, values);
    ck_assert_float_eq(values[0], -1);
    ck_assert_float_eq(values[255], 1);
    ck_assert_float_eq_tol(values[128], 1 / 255.F, 1e-7F); /* one rounding */
    md_pixels_from_floats(values, 256, back);
    ck_assert_mem_eq(bytes, back, 256);
}
END_TEST

START_TEST(numbers_out_of_range_are_clipped_and_nan_is_black) {
    const float values[] = {-1.5F, 7, INFINITY, -INFINITY, NAN, 0.0039F};
    uint8_t bytes[6];
    md_pixels_from_floats(values, 6, bytes);
    ck_assert_mem_eq(bytes, ((const uint8_t[]){0, 255, 255, 0, 0, 128}), 6);
}
END_TEST

START_TEST(a_grid_is_near_square_with_grey_gaps_and_empty_places) {
    const float images[] = {-1, -1, -1, -1, 1, 1, 1, 1, -1, 1, -1, 1};
    md_picture grid = {0};
    assert_ok(md_picture_grid(images, 3, (md_grid){.Y = 2, .X = 2, .C = 1}, &grid, &err));
    const uint8_t expected[] = {0,   0,   128, 255, 255, /**/
                                0,   0,   128, 255, 255, /**/
                                128, 128, 128, 128, 128, /**/
                                0,   255, 128, 128, 128, /**/
                                0,   255, 128, 128, 128};
    assert_pixels(&grid, 5, 5, 1, expected);
}
END_TEST

START_TEST(a_filmstrip_has_the_columns_it_was_given_and_pixels_grow_with_the_scale) {
    const float images[] = {-1, 1, -1};
    md_grid strip = {.Y = 1, .X = 1, .C = 1, .columns = 3, .scale = 2};
    md_picture grid = {0};
    assert_ok(md_picture_grid(images, 3, strip, &grid, &err));
    const uint8_t row[] = {0, 0, 128, 128, 255, 255, 128, 128, 0, 0};
    ck_assert_int_eq(grid.Y, 2);
    ck_assert_int_eq(grid.X, 10);
    ck_assert_mem_eq(grid.pixels, row, 10);
    ck_assert_mem_eq(grid.pixels + 10, row, 10);
    md_picture_release(&grid);
}
END_TEST

START_TEST(a_grid_too_large_for_a_picture_is_refused) {
    const float image[1] = {0};
    md_grid huge = {.Y = 1024, .X = 1024, .C = 1, .columns = 40};
    md_picture grid = {0};
    assert_fails(md_picture_grid(image, 1, huge, &grid, &err), MDLM_USAGE, "42247 x 1024 pixels");
    assert_fails(md_picture_grid_check(1, huge, &err), MDLM_USAGE, "42247 x 1024 pixels");
    huge.columns = 15; /* 15 * 1024 + 14 * 33 */
    assert_ok(md_picture_grid_check(15, huge, &err));
    assert_fails(md_picture_grid_check(75, huge, &err), MDLM_USAGE, "15822 x 5252 pixels");
}
END_TEST

/* --- files ------------------------------------------------------------------------------------ */

#ifdef MDLM_HAVE_PNG

START_TEST(a_png_reads_back_as_it_was_written) {
    const int sizes[][2] = {{1, 1}, {1, 9}, {7, 1}, {16, 16}, {33, 50}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        for (int C = 1; C <= 4; C++) {
            md_picture p = some_picture(sizes[i][0], sizes[i][1], C), back = {0}, header = {0};
            assert_ok(md_picture_save(&p, at("x.png"), &err));
            assert_ok(md_picture_probe(at("x.png"), &header, &err));
            assert_ok(md_picture_load(at("x.png"), &back, &err));
            assert_same_picture(&p, &back);
            ck_assert(header.Y == p.Y && header.X == p.X && header.C == C && !header.pixels);
            md_picture_release(&p), md_picture_release(&back);
        }
    }
}
END_TEST

START_TEST(filters_make_a_gradient_small) {
    md_picture p = {0};
    md_buffer png = {0};
    assert_ok(md_picture_init(&p, 64, 64, 3, &err));
    for (int i = 0; i < 64 * 64; i++) memset(p.pixels + 3 * i, 2 * (i % 64) + i / 64, 3);
    assert_ok(md_picture_png(&p, &png, &err));
    ck_assert_uint_lt(png.size, 600); /* unfiltered: 4,900 bytes */
    md_buffer_release(&png);
    md_picture_release(&p);
}
END_TEST

#endif

START_TEST(a_picture_that_cannot_be_written_says_where) {
    md_picture p = some_picture(2, 2, 1);
    assert_fails(md_picture_save(&p, at("no/x.png"), &err), MDLM_WRITE, "no/x.png");
    md_picture_release(&p);
}
END_TEST

static uint32_t get32(const uint8_t *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

typedef struct chunk {
    char type[5];
    const uint8_t *data;
    size_t size;
} chunk;

/* Cuts a PNG into its chunks, whose checksums must be right. */
static int chunks_of(const uint8_t *bytes, size_t size, chunk *out, int most) {
    int count = 0;
    ck_assert_mem_eq(bytes, "\x89PNG\r\n\x1a\n", 8);
    for (size_t i = 8; i < size; count++) {
        ck_assert_int_lt(count, most);
        chunk *c = &out[count];
        *c = (chunk){.size = get32(bytes + i), .data = bytes + i + 8};
        memcpy(c->type, bytes + i + 4, 4);
        ck_assert_uint_le(i + 12 + c->size, size);
        uLong crc = crc32(0, bytes + i + 4, (uInt)c->size + 4);
        ck_assert_uint_eq(get32(c->data + c->size), crc);
        i += 12 + c->size;
    }
    return count;
}

START_TEST(an_animation_holds_its_frames_in_order_and_shows_the_last_without_animation) {
    md_picture frames[3];
    for (int i = 0; i < 3; i++) {
        frames[i] = some_picture(4, 5, 3);
        memset(frames[i].pixels, 50 * i, 15);
    }
    assert_ok(md_picture_save_animation(frames, 3, 40, 1500, at("x.png"), &err));
    char *bytes = NULL;
    size_t size = 0;
    chunk chunks[16];
    assert_ok(md_file_read(at("x.png"), 1 << 20, &bytes, &size, &err));
    int count = chunks_of((const uint8_t *)bytes, size, chunks, 16);
    const char *const order[] = {"IHDR", "acTL", "IDAT", "fcTL", "fdAT",
                                 "fcTL", "fdAT", "fcTL", "fdAT", "IEND"};
    ck_assert_int_eq(count, 10);
    for (int i = 0; i < count; i++) ck_assert_str_eq(chunks[i].type, order[i]);
    ck_assert_uint_eq(get32(chunks[1].data), 3);
    ck_assert_uint_eq(get32(chunks[1].data + 4), 0); /* for ever */
    for (uint32_t i = 0; i < 3; i++) {
        const chunk *control = &chunks[3 + 2 * i], *data = control + 1;
        ck_assert_uint_eq(control->size, 26);
        ck_assert_uint_eq(get32(control->data), 2 * i);
        ck_assert_uint_eq(get32(control->data + 4), 5);
        ck_assert_uint_eq(get32(control->data + 8), 4);
        ck_assert_uint_eq(get32(control->data + 20), (i < 2 ? 40U : 1500U) << 16 | 1000);
        ck_assert_uint_eq(get32(data->data), 2 * i + 1);
        /* Rows of the frame: a filter, then 15 bytes; the first has nothing above it. */
        uint8_t rows[64];
        uLongf got = sizeof rows;
        ck_assert_int_eq(uncompress(rows, &got, data->data + 4, data->size - 4), Z_OK);
        ck_assert_uint_eq(got, 4 * 16);
        ck_assert_uint_eq(rows[1], 50 * i);
    }
#ifdef MDLM_HAVE_PNG
    md_picture still = {0};
    assert_ok(md_picture_load(at("x.png"), &still, &err));
    assert_same_picture(&still, &frames[2]);
    md_picture_release(&still);
#endif
    for (int i = 0; i < 3; i++) md_picture_release(&frames[i]);
    md_free(bytes);
}
END_TEST

int main(void) {
    Suite *s = suite_create("pictures");
    suite_case(s, grey_is_the_luma_of_rec_601);
    suite_case(s, alpha_is_composited_on_white_unless_it_is_kept);
    suite_case(s, channels_are_added_without_a_change_of_colour);
    suite_case(s, shrinking_takes_the_mean_of_the_area_that_a_pixel_covers);
    suite_case(s, the_middle_of_a_longer_side_is_cut_out);
    suite_case(s, enlarging_to_a_multiple_repeats_pixels);
    suite_case(s, both_sides_may_change_in_their_own_way);
    suite_case(s, colours_under_transparent_pixels_do_not_leak);
    suite_case(s, a_plain_picture_stays_plain_at_any_size);
    suite_case(s, every_byte_comes_back_from_its_number);
    suite_case(s, numbers_out_of_range_are_clipped_and_nan_is_black);
    suite_case(s, a_grid_is_near_square_with_grey_gaps_and_empty_places);
    suite_case(s, a_filmstrip_has_the_columns_it_was_given_and_pixels_grow_with_the_scale);
    suite_case(s, a_grid_too_large_for_a_picture_is_refused);
    TCase *files = tcase_create("files");
    tcase_add_checked_fixture(files, setup, teardown);
#ifdef MDLM_HAVE_PNG
    tcase_add_test(files, a_png_reads_back_as_it_was_written);
    tcase_add_test(files, filters_make_a_gradient_small);
#endif
    tcase_add_test(files, a_picture_that_cannot_be_written_says_where);
    tcase_add_test(files,
                   an_animation_holds_its_frames_in_order_and_shows_the_last_without_animation);
    suite_add_tcase(s, files);
    return suite_run(s);
}
