/* tests/test_shapes.c: images of no file, drawn or random, and the order in which a training sees
 * images. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/images.h"
#include "corpora/shapes.h"
#include "tests/suite.h"

static mdlm_error err;

static md_images *open_shapes(int64_t first, int64_t end, int side, int channels) {
    md_images_options opt = md_images_defaults();
    opt.first = first, opt.end = end;
    opt.image_size = side, opt.channels = channels;
    md_images *set = NULL;
    assert_ok(md_images_open("shapes", &opt, &set, &err));
    return set;
}

/* --- shapes ----------------------------------------------------------------------------------- */

START_TEST(shapes_are_the_default_set_and_image_i_is_the_same_in_every_range) {
    md_images *all = open_shapes(0, -1, 0, 0), *part = open_shapes(1000, 1010, 0, 0);
    md_images_shape shape = md_images_get_shape(all);
    uint8_t a[32 * 32 * 3], b[32 * 32 * 3];
    ck_assert_int_eq(md_images_count(all), MD_SHAPES_COUNT);
    ck_assert(shape.Y == 32 && shape.X == 32 && shape.C == 3);
    for (int i = 0; i < 10; i++) {
        md_images_bytes(all, 1000 + i, a);
        md_images_bytes(part, i, b);
        ck_assert_mem_eq(a, b, sizeof a);
        ck_assert_int_eq(md_images_label(all, 1000 + i), md_images_label(part, i));
    }
    ck_assert(md_images_hash(all) != md_images_hash(part));
    md_images_free(all), md_images_free(part);
}
END_TEST

/* Golden: only sums, products and quotients make a pixel, so it holds on every machine. */
START_TEST(shapes_are_the_same_everywhere) {
    uint64_t hash = 0;
    for (int64_t i = 0; i < 256; i++) {
        uint8_t bytes[32 * 32 * 3];
        md_shape shape = md_shape_of(1, i);
        md_shape_draw(&shape, 32, 3, bytes);
        hash = md_hash(bytes, sizeof bytes, hash);
    }
    ck_assert_msg(hash == UINT64_C(0x12a9f94a65d38167), "%016llx", (unsigned long long)hash);
}
END_TEST

START_TEST(seeds_and_numbers_beyond_32_bits_give_other_shapes) {
    md_shape a = md_shape_of(1, 5), b = md_shape_of(2, 5),
             c = md_shape_of(1, 5 + (INT64_C(1) << 32));
    ck_assert(a.x != b.x && a.x != c.x && b.x != c.x);
}
END_TEST

START_TEST(every_eight_images_show_every_shape_once) {
    for (int64_t block = 0; block < 200; block++) {
        int seen = 0;
        for (int64_t i = 0; i < 8; i++) seen |= 1 << md_shape_of(3, 8 * block + i).kind;
        ck_assert_int_eq(seen, 255);
    }
    int firsts[8] = {0}; /* and in an order of its own each time */
    for (int64_t block = 0; block < 200; block++) firsts[md_shape_of(3, 8 * block).kind]++;
    for (int k = 0; k < 8; k++) ck_assert_int_gt(firsts[k], 0);
}
END_TEST

/* 8,000 draws: each count is within five standard deviations of its mean. */
START_TEST(colours_sizes_and_places_are_uniform) {
    int colours[MD_SHAPE_COLOURS] = {0}, sizes[MD_SHAPE_SIZES] = {0}, places[MD_SHAPE_PLACES] = {0};
    for (int64_t i = 0; i < 8000; i++) {
        md_shape shape = md_shape_of(1, i);
        colours[shape.colour]++, sizes[shape.size]++, places[shape.place]++;
    }
    for (int k = 0; k < MD_SHAPE_COLOURS; k++) ck_assert_int_le(abs(colours[k] - 1000), 148);
    for (int k = 0; k < MD_SHAPE_SIZES; k++) ck_assert_int_le(abs(sizes[k] - 2667), 211);
    for (int k = 0; k < MD_SHAPE_PLACES; k++) ck_assert_int_le(abs(places[k] - 889), 141);
}
END_TEST

START_TEST(captions_say_what_is_drawn) {
    md_shape shape = {.kind = 0, .colour = 0, .size = 0, .place = 0};
    md_buffer text = {0};
    assert_ok(md_shape_caption(&shape, &text, &err));
    ck_assert_str_eq(text.data, "a small red circle at the top left");
    md_buffer_clear(&text);
    shape = (md_shape){.kind = 3, .colour = 6, .size = 2, .place = 4};
    assert_ok(md_shape_caption(&shape, &text, &err));
    ck_assert_str_eq(text.data, "a large purple heart in the centre");
    md_buffer_release(&text);
}
END_TEST

static double luma(const uint8_t *rgb) {
    return .299 * rgb[0] + .587 * rgb[1] + .114 * rgb[2];
}

typedef struct extent {
    int least, most;
} extent;

static void widen(extent *e, int at) {
    if (at < e->least) e->least = at;
    if (at > e->most) e->most = at;
}

/* Whether the middle of an extent lies on the side that `third` (0, 1, 2) says. */
static bool lies(extent e, int side, int third) {
    double off = (e.least + e.most + 1 - side) / 2.; /* in pixels */
    return third == 0 ? off < -.5 : third == 2 ? off > .5 : off * off < 5 * 5;
}

START_TEST(shapes_lie_inside_where_their_captions_say_and_stand_out) {
    enum { SIDE = 48 };
    for (int64_t i = 0; i < 300; i++) {
        uint8_t rgb[SIDE][SIDE][3];
        md_shape shape = md_shape_of(1, i);
        md_shape_draw(&shape, SIDE, 3, &rgb[0][0][0]);
        double mass = 0, contrast = luma(shape.ink) - luma(shape.ground);
        ck_assert_double_ge(contrast * contrast, 52 * 52); /* 60, and the ground is 8 off */
        extent rows = {SIDE, -1}, columns = {SIDE, -1};
        for (int k = 0; k < SIDE * SIDE; k++) {
            int y = k / SIDE, x = k % SIDE;
            double ink = (luma(rgb[y][x]) - luma(shape.ground)) / contrast;
            bool edge = y == 0 || x == 0 || y == SIDE - 1 || x == SIDE - 1;
            if (edge) ck_assert_mem_eq(rgb[y][x], shape.ground, 3);
            mass += ink;
            if (ink > .25) widen(&rows, y), widen(&columns, x);
        }
        ck_assert_double_gt(mass / (SIDE * SIDE), .025); /* the least: a small cross */
        ck_assert_msg(lies(rows, SIDE, shape.place / 3) && lies(columns, SIDE, shape.place % 3),
                      "image %d, at the %s, rows %d-%d, columns %d-%d", (int)i,
                      md_shape_places[shape.place], rows.least, rows.most, columns.least,
                      columns.most);
    }
}
END_TEST

START_TEST(grey_and_alpha_shapes_are_the_same_picture) {
    md_shape shape = md_shape_of(1, 77);
    uint8_t rgb[16 * 16 * 3], grey[16 * 16], rgba[16 * 16 * 4];
    md_shape_draw(&shape, 16, 3, rgb);
    md_shape_draw(&shape, 16, 1, grey);
    md_shape_draw(&shape, 16, 4, rgba);
    for (int i = 0; i < 256; i++) {
        ck_assert_mem_eq(rgba + 4 * i, rgb + 3 * i, 3);
        ck_assert_int_eq(rgba[4 * i + 3], 255);
        ck_assert_int_eq(grey[i], (int)(luma(rgb + 3 * i) + .5));
    }
}
END_TEST

START_TEST(a_file_or_folder_of_the_name_shapes_comes_first) {
    char *dir = suite_tmp_dir();
    ck_assert_int_eq(chdir(dir), 0);
    assert_ok(md_file_write("shapes", "text", 4, &err));
    md_images_options opt = md_images_defaults();
    md_images *set = NULL;
    assert_fails(md_images_open("shapes", &opt, &set, &err), MDLM_INPUT, "holds no images");
    suite_tmp_remove(dir);
}
END_TEST

/* --- noise ------------------------------------------------------------------------------------ */

START_TEST(noise_is_any_byte_by_its_seed_and_has_no_label) {
    enum { Y = 9, X = 7, C = 2, COUNT = 64, VALUES = Y * X * C };
    md_images *set[3] = {NULL};
    bool seen[256] = {false};
    uint8_t bytes[VALUES];
    const md_images_shape shape = {.Y = Y, .X = X, .C = C};
    for (int i = 0; i < 3; i++)
        assert_ok(md_images_noise(shape, COUNT, i / 2 ? 2 : 1, &set[i], &err));
    ck_assert_int_eq(md_images_count(set[0]), COUNT);
    ck_assert_int_eq(md_images_classes(set[0]), 0);
    ck_assert_int_eq(md_images_label(set[0], COUNT - 1), -1);
    ck_assert(md_images_hash(set[0]) == md_images_hash(set[1]));
    ck_assert(md_images_hash(set[0]) != md_images_hash(set[2]));
    for (int i = 0; i < COUNT; i++) {
        md_images_bytes(set[0], i, bytes);
        for (int k = 0; k < VALUES; k++) seen[bytes[k]] = true;
    }
    /* Of 8,064 draws: one is left out with a chance of 256 (255/256)^8064, 5e-12. */
    for (int i = 0; i < 256; i++) ck_assert(seen[i]);
    for (int i = 0; i < 3; i++) md_images_free(set[i]);
}
END_TEST

/* --- the order of a training ------------------------------------------------------------------ */

START_TEST(a_pass_shows_every_image_once_and_another_pass_another_order) {
    md_images *set = open_shapes(0, 100, 8, 1);
    md_image_loader loader;
    assert_ok(md_image_loader_init(&loader, set, 10, 37, 5, &err));
    int moved = 0;
    for (int pass = 0; pass < 3; pass++) {
        int seen[100] = {0};
        for (int i = 0; i < 37; i++) {
            int64_t at = md_image_loader_index(&loader, pass * 37 + i);
            ck_assert(at >= 10 && at < 47);
            seen[at]++;
            if (pass > 0) moved += at != md_image_loader_index(&loader, i);
        }
        for (int i = 10; i < 47; i++) ck_assert_int_eq(seen[i], 1);
    }
    ck_assert_int_gt(moved, 60);
    md_images_free(set);
}
END_TEST

START_TEST(examples_do_not_depend_on_how_they_are_batched) {
    enum { SIDE = 8, VALUES = SIDE * SIDE * 3 };
    md_images *set = open_shapes(0, 50, SIDE, 3);
    md_image_loader loader;
    assert_ok(md_image_loader_init(&loader, set, 0, 50, 5, &err));
    loader.flip = true;
    static float whole[12 * VALUES], part[12 * VALUES];
    int32_t labels[12], part_labels[12];
    md_image_loader_read(&loader, 45, 12, whole, labels);
    for (int i = 0; i < 12; i += 3) {
        md_image_loader_read(&loader, 45 + i, 3, part + i * VALUES, part_labels + i);
    }
    ck_assert_mem_eq(whole, part, sizeof whole);
    ck_assert_mem_eq(labels, part_labels, sizeof labels);
    for (int i = 0; i < 12; i++) {
        ck_assert_int_eq(labels[i], md_images_label(set, md_image_loader_index(&loader, 45 + i)));
    }
    md_images_free(set);
}
END_TEST

START_TEST(numbers_are_the_bytes_and_flips_mirror_about_half_of_them) {
    enum { SIDE = 7, VALUES = SIDE * SIDE * 3, COUNT = 400 };
    md_images *set = open_shapes(0, COUNT, SIDE, 3);
    md_image_loader plain, flipped;
    assert_ok(md_image_loader_init(&plain, set, 0, COUNT, 5, &err));
    flipped = plain, flipped.flip = true;
    int mirrored = 0;
    for (int n = 0; n < COUNT; n++) {
        float a[VALUES], b[VALUES], mirror[VALUES];
        uint8_t bytes[VALUES];
        md_image_loader_read(&plain, n, 1, a, NULL);
        md_image_loader_read(&flipped, n, 1, b, NULL);
        md_images_bytes(set, md_image_loader_index(&plain, n), bytes);
        for (int i = 0; i < VALUES; i++) {
            ck_assert_float_eq(a[i], (float)bytes[i] / 127.5F - 1);
            int y = i / (SIDE * 3), x = i / 3 % SIDE, c = i % 3;
            mirror[i] = a[(y * SIDE + SIDE - 1 - x) * 3 + c];
        }
        bool same = !memcmp(a, b, sizeof a);
        if (!same) ck_assert_mem_eq(b, mirror, sizeof b);
        mirrored += !same;
    }
    ck_assert_int_gt(mirrored, 150); /* five standard deviations from half, and 10: few look the */
    ck_assert_int_lt(mirrored, 250); /* same from both sides */
    md_images_free(set);
}
END_TEST

START_TEST(a_loader_takes_a_part_of_the_set) {
    md_images *set = open_shapes(0, 10, 8, 1);
    md_image_loader loader;
    assert_fails(md_image_loader_init(&loader, set, 5, 6, 1, &err), MDLM_INPUT, "images 5:11 of");
    assert_fails(md_image_loader_init(&loader, set, 5, 0, 1, &err), MDLM_INPUT, "images 5:5 of");
    assert_ok(md_image_loader_init(&loader, set, 5, 5, 1, &err));
    md_images_free(set);
}
END_TEST

int main(void) {
    Suite *s = suite_create("shapes");
    suite_case(s, shapes_are_the_default_set_and_image_i_is_the_same_in_every_range);
    suite_case(s, shapes_are_the_same_everywhere);
    suite_case(s, seeds_and_numbers_beyond_32_bits_give_other_shapes);
    suite_case(s, every_eight_images_show_every_shape_once);
    suite_case(s, colours_sizes_and_places_are_uniform);
    suite_case(s, captions_say_what_is_drawn);
    suite_case(s, shapes_lie_inside_where_their_captions_say_and_stand_out);
    suite_case(s, grey_and_alpha_shapes_are_the_same_picture);
    suite_case(s, a_file_or_folder_of_the_name_shapes_comes_first);
    suite_case(s, noise_is_any_byte_by_its_seed_and_has_no_label);
    suite_case(s, a_pass_shows_every_image_once_and_another_pass_another_order);
    suite_case(s, examples_do_not_depend_on_how_they_are_batched);
    suite_case(s, numbers_are_the_bytes_and_flips_mirror_about_half_of_them);
    suite_case(s, a_loader_takes_a_part_of_the_set);
    return suite_run(s);
}
