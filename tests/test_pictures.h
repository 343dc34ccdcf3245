/* tests/test_pictures.h: pictures to test with. */
#ifndef TESTS_TEST_PICTURES_H
#define TESTS_TEST_PICTURES_H

#include <string.h>

#include "base/memory.h"
#include "corpora/picture.h"
#include "tests/suite.h"

/* Pixels that no filter predicts well everywhere: a gradient, with noise in a part of it. */
static inline md_picture some_picture(int Y, int X, int C) {
    md_picture p = {0};
    uint32_t state = 12345;
    ck_assert_int_eq(md_picture_init(&p, Y, X, C, NULL), MDLM_OK);
    for (int y = 0; y < Y; y++) {
        for (int x = 0; x < X * C; x++) {
            state = state * 1664525 + 1013904223;
            int noise = y > Y / 2 ? (int)(state >> 24) : 0;
            p.pixels[y * X * C + x] = (uint8_t)(3 * y + 5 * x + noise);
        }
    }
    return p;
}

static inline void assert_same_picture(const md_picture *a, const md_picture *b) {
    ck_assert_int_eq(a->Y, b->Y);
    ck_assert_int_eq(a->X, b->X);
    ck_assert_int_eq(a->C, b->C);
    ck_assert_mem_eq(a->pixels, b->pixels, (size_t)a->Y * (size_t)a->X * (size_t)a->C);
}

static inline const char *save_picture(const char *path, int Y, int X, int C) {
    md_picture p = some_picture(Y, X, C);
    ck_assert_int_eq(md_picture_save(&p, path, NULL), MDLM_OK);
    md_picture_release(&p);
    return path;
}

#endif
