/* corpora/picture_fit.c: a picture of any size as a square: the mean over areas, in whole numbers.
 *
 * One side of the square that is cut out, s pixels, becomes `side` pixels. In units of 1/side of an
 * old pixel, old pixel i covers [i*side, (i+1)*side) and new pixel o covers [o*s, (o+1)*s): the
 * overlap is an integer, and so is the sum, whatever the sizes. Bits do not depend on the machine.
 */
#include "base/memory.h"
#include "corpora/picture.h"

typedef struct fitting {
    const md_picture *from;
    int top, left, s; /* the square that is cut out */
    int side;
} fitting;

static int64_t overlap(const fitting *f, int64_t old, int64_t new) {
    int64_t a = old * f->side, b = new * f->s;
    int64_t from = a > b ? a : b;
    int64_t to = a + f->side < b + f->s ? a + f->side : b + f->s;
    return to - from;
}

/* Sums over the area of one new pixel: of each colour times its alpha, and of alpha. 2^14 pixels a
 * side, 8 bits of colour and 8 of alpha, weights that add up to s * s: less than 2^44. */
static void add_area(const fitting *f, int y, int x, uint64_t sums[4]) {
    const md_picture *p = f->from;
    bool alpha = p->C == 2 || p->C == 4;
    int colours = alpha ? p->C - 1 : p->C;
    int y_end = (int)(((int64_t)(y + 1) * f->s - 1) / f->side);
    int x_end = (int)(((int64_t)(x + 1) * f->s - 1) / f->side);
    for (int i = (int)((int64_t)y * f->s / f->side); i <= y_end; i++) {
        uint64_t down = (uint64_t)overlap(f, i, y);
        const uint8_t *row = p->pixels + (size_t)(f->top + i) * (size_t)p->X * (size_t)p->C;
        for (int j = (int)((int64_t)x * f->s / f->side); j <= x_end; j++) {
            const uint8_t *pixel = row + (size_t)(f->left + j) * (size_t)p->C;
            uint64_t weight = down * (uint64_t)overlap(f, j, x);
            if (alpha) weight *= pixel[colours];
            for (int c = 0; c < colours; c++) sums[c] += weight * pixel[c];
            sums[3] += weight;
        }
    }
}

static uint8_t rounded(uint64_t sum, uint64_t weight) {
    return weight ? (uint8_t)((sum + weight / 2) / weight) : 0;
}

mdlm_status md_picture_fit(md_picture *p, int side, mdlm_error *err) {
    MD_BUG_IF(side < 1 || side > MD_PICTURE_SIDE);
    if (p->Y == side && p->X == side) return MDLM_OK;
    int s = p->Y < p->X ? p->Y : p->X;
    fitting f = {.from = p, .top = (p->Y - s) / 2, .left = (p->X - s) / 2, .s = s, .side = side};
    md_picture out = {0};
    MD_TRY(md_picture_init(&out, side, side, p->C, err));
    bool alpha = p->C == 2 || p->C == 4;
    int colours = alpha ? p->C - 1 : p->C;
    uint8_t *pixel = out.pixels;
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++, pixel += p->C) {
            uint64_t sums[4] = {0};
            add_area(&f, y, x, sums);
            for (int c = 0; c < colours; c++) pixel[c] = rounded(sums[c], sums[3]);
            if (alpha) pixel[colours] = rounded(sums[3], (uint64_t)s * (uint64_t)s);
        }
    }
    md_picture_release(p);
    *p = out;
    return MDLM_OK;
}
