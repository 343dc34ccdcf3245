/* corpora/picture_fit.c: a picture at another size: the mean over areas, in whole numbers.
 *
 * Along one side, `old` pixels become `new` ones. In units of 1/new of an old pixel, old pixel i
 * covers [i*new, (i+1)*new) and new pixel o covers [o*old, (o+1)*old): the overlap is an integer,
 * and so is the sum, whatever the sizes. Bits do not depend on the machine.
 */
#include "base/memory.h"
#include "corpora/picture.h"

typedef struct side {
    int from;     /* first of the old pixels */
    int old, new; /* how many there are, and how many they become */
} side;

typedef struct fitting {
    const md_picture *picture;
    side y, x;
} fitting;

static int first_under(const side *s, int o) {
    return (int)((int64_t)o * s->old / s->new);
}

static int last_under(const side *s, int o) {
    return (int)(((int64_t)(o + 1) * s->old - 1) / s->new);
}

static uint64_t overlap(const side *s, int64_t i, int64_t o) {
    int64_t a = i * s->new, b = o * s->old;
    int64_t from = a > b ? a : b;
    int64_t to = a + s->new < b + s->old ? a + s->new : b + s->old;
    return (uint64_t)(to - from);
}

static int colours_of(const md_picture *p) {
    return p->C == 2 || p->C == 4 ? p->C - 1 : p->C;
}

/* Sums over the area of one new pixel: of each colour times its alpha, and of alpha. 2^14 pixels a
 * side, 8 bits of colour and 8 of alpha, weights that add up to old * old: less than 2^44. */
static void add_area(const fitting *f, int y, int x, uint64_t sums[4]) {
    const md_picture *p = f->picture;
    int colours = colours_of(p);
    for (int i = first_under(&f->y, y); i <= last_under(&f->y, y); i++) {
        uint64_t down = overlap(&f->y, i, y);
        const uint8_t *row = p->pixels + (size_t)(f->y.from + i) * (size_t)p->X * (size_t)p->C;
        for (int j = first_under(&f->x, x); j <= last_under(&f->x, x); j++) {
            const uint8_t *pixel = row + (size_t)(f->x.from + j) * (size_t)p->C;
            uint64_t weight = down * overlap(&f->x, j, x);
            if (colours < p->C) weight *= pixel[colours];
            for (int c = 0; c < colours; c++) sums[c] += weight * pixel[c];
            sums[3] += weight;
        }
    }
}

static uint8_t rounded(uint64_t sum, uint64_t weight) {
    return (uint8_t)(weight ? (sum + weight / 2) / weight : 0);
}

static mdlm_status resize(md_picture *p, side y, side x, mdlm_error *err) {
    const fitting f = {.picture = p, .y = y, .x = x};
    md_picture out = {0};
    MD_TRY(md_picture_init(&out, y.new, x.new, p->C, err));
    int colours = colours_of(p);
    uint8_t *pixel = out.pixels;
    for (int i = 0; i < y.new; i++) {
        for (int j = 0; j < x.new; j++, pixel += p->C) {
            uint64_t sums[4] = {0};
            add_area(&f, i, j, sums);
            for (int c = 0; c < colours; c++) pixel[c] = rounded(sums[c], sums[3]);
            if (colours < p->C)
                pixel[colours] = rounded(sums[3], (uint64_t)y.old * (uint64_t)x.old);
        }
    }
    md_picture_release(p);
    *p = out;
    return MDLM_OK;
}

mdlm_status md_picture_resize(md_picture *p, int Y, int X, mdlm_error *err) {
    MD_BUG_IF(Y < 1 || Y > MD_PICTURE_SIDE || X < 1 || X > MD_PICTURE_SIDE);
    if (p->Y == Y && p->X == X) return MDLM_OK;
    return resize(p, (side){.old = p->Y, .new = Y}, (side){.old = p->X, .new = X}, err);
}

mdlm_status md_picture_fit(md_picture *p, int size, mdlm_error *err) {
    MD_BUG_IF(size < 1 || size > MD_PICTURE_SIDE);
    if (p->Y == size && p->X == size) return MDLM_OK;
    int s = p->Y < p->X ? p->Y : p->X;
    side y = {.from = (p->Y - s) / 2, .old = s, .new = size};
    side x = {.from = (p->X - s) / 2, .old = s, .new = size};
    return resize(p, y, x, err);
}
