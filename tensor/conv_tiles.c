/* tensor/conv_tiles.c: 3x3 convolutions by Winograd's tiles, F(2x2, 3x3): 2.25 times fewer products
 * than the definition has. Where products round their operands, to bf16, the results are off by 5/3
 * of what the definition's would be: a sum of 9 products of variance 9 for 36 becomes one of 25.
 *
 *     V_p = (B' d B)_p of the 4x4 pixels that a tile of 2x2 results sees       p = 0 .. 15
 *     y   = A' (sum over c of V_p U_p) A                                      U = G g G' of w
 *
 * So a convolution is 16 products [tiles, C] x [C, M]. The same tiles serve the gradients: that of
 * x is a convolution with filters turned round, whose U are those of w in another order, and dU_p =
 * sum over tiles of (A dy A')_p V_p gives dw = G' dU G.
 *
 * Some rows of tiles at a time, perhaps of several images, such that V and the products stay in a
 * core's cache.
 */
#include <string.h>

#include "tensor/conv_internal.h"

enum { SQUARE = 16, TILES_AT_ONCE = 64 };

/* One convolution of stride 1 as tiles: of x forward, of dy backward. */
typedef struct tiled {
    const md_conv_job *j;
    const md_real *from; /* images [Y, X, C] */
    int Y, X, C, scale;
    md_real *to; /* results [Yo, Xo, M] */
    int Yo, Xo, M;
    int rows, cols; /* of tiles in an image */
    int at_once;    /* rows of tiles */
    int images;     /* of a task */
} tiled;

bool md_conv_has_tiles(const md_conv_job *j) {
    const md_conv_shape *s = &j->shape;
    const int least = j->k->tile_least;
    return j->k->tile && s->K == 3 && s->stride == 1 && s->pad == 1 &&
           s->C % MD_TILE_CHANNELS == 0 && s->M % MD_TILE_CHANNELS == 0 && s->C >= least &&
           s->M >= least;
}

static tiled tiled_of(const md_conv_job *j, bool backward) {
    const md_conv_shape *s = &j->shape;
    tiled t = {.j = j, .from = j->x, .Y = s->Y, .X = s->X, .C = s->C, .scale = s->scale};
    t.to = j->y, t.Yo = s->Yo, t.Xo = s->Xo, t.M = s->M;
    if (backward) {
        t.from = j->dy, t.Y = s->Yo, t.X = s->Xo, t.C = s->M, t.scale = 1;
        t.to = j->dx, t.Yo = s->Y * s->scale, t.Xo = s->X * s->scale, t.M = s->C;
    }
    t.rows = (t.Yo + 1) / 2;
    t.cols = (t.Xo + 1) / 2;
    t.at_once = TILES_AT_ONCE / t.cols > 1 ? TILES_AT_ONCE / t.cols : 1;
    t.images = t.at_once / t.rows; /* small ones share a task, unless there are few */
    if (t.images > s->B / 4) t.images = s->B / 4;
    if (t.images < 1) t.images = 1;
    return t;
}

static int64_t most_tiles(const tiled *t) {
    return (int64_t)t->at_once * t->cols;
}

/* Floats of scratch: lines with borders, V, products. */
static int64_t border_room(const tiled *t) {
    return (int64_t)(2 * t->at_once + 2) * (2 * t->cols + 2) * t->C;
}

static int64_t room_of(const tiled *t) {
    return border_room(t) + SQUARE * most_tiles(t) * (t->C + t->M);
}

/* Rows [first, first + count) of tiles of one image. */
typedef struct tile_rows {
    int image, first, count;
} tile_rows;

static tile_rows next_rows(const tiled *t, int at, int end) {
    tile_rows r = {at / t->rows, at % t->rows, t->at_once};
    if (r.count > t->rows - r.first) r.count = t->rows - r.first;
    if (r.count > end - at) r.count = end - at;
    return r;
}

/* The lines that these rows of tiles see. */
static md_bordered borders_of(const tiled *t, tile_rows r, md_real *room) {
    md_bordered b = md_bordered_at(NULL, 2 * r.count + 2, 2 * t->cols + 2, t->C, room);
    md_bordered_fill(NULL,
                     &(md_border_source){.image = t->from + (int64_t)r.image * t->Y * t->X * t->C,
                                         .Y = t->Y,
                                         .X = t->X,
                                         .C = t->C,
                                         .scale = t->scale,
                                         .top = 1,
                                         .left = 1},
                     2 * r.first, &b);
    return b;
}

/* What tile n of these rows sees. */
static md_tile seen_by(const tiled *t, const md_bordered *b, int n) {
    const md_real *line = (const md_real *)(const void *)b->data + 2 * (n / t->cols) * b->line;
    return (md_tile){.C = t->C,
                     .from = line + 2 * (int64_t)(n % t->cols) * t->C,
                     .from_line = b->line,
                     .from_pixel = t->C};
}

/* The tile at row i and column n of an image: its entry in [Y, X, C], and how much of it is there.
 */
static md_tile pixels_of(int Y, int X, int C, int i, int n) {
    return (md_tile){.C = C,
                     .from_line = (int64_t)X * C,
                     .from_pixel = C,
                     .to_line = (int64_t)X * C,
                     .to_pixel = C,
                     .rows = Y - 2 * i < 2 ? 1 : 2,
                     .cols = X - 2 * n < 2 ? 1 : 2};
}

/* V of these rows of tiles, [16][tiles of the band][C] numbers, from tile `at` on. */
static void fill_tiles(const tiled *t, tile_rows r, md_real *border, char *V, int64_t tiles,
                       int64_t at) {
    const size_t size = sizeof(float) / (size_t)t->j->k->conv_unit;
    md_bordered b = borders_of(t, r, border);
    for (int n = 0; n < r.count * t->cols; n++, at++) {
        md_tile v = seen_by(t, &b, n);
        v.to = V + (size_t)(at * t->C) * size;
        v.to_line = 4 * tiles * t->C;
        v.to_pixel = tiles * t->C;
        t->j->k->tile(MD_TILE_INPUT, &v);
    }
}

/* --- forward, and dx ------------------------------------------------------------------------- */

static void store_tiles(const tiled *t, tile_rows r, const md_real *products, int64_t tiles,
                        int64_t at, bool add) {
    for (int i = r.first; i < r.first + r.count; i++) {
        for (int n = 0; n < t->cols; n++, at++) {
            md_tile y = pixels_of(t->Yo, t->Xo, t->M, i, n);
            y.from = products + at * t->M;
            y.from_line = 4 * tiles * t->M;
            y.from_pixel = tiles * t->M;
            y.to = t->to + (((int64_t)r.image * t->Yo + 2 * i) * t->Xo + 2 * n) * t->M;
            y.add = add;
            t->j->k->tile(MD_TILE_OUTPUT, &y);
        }
    }
}

/* Products of a band of `tiles` tiles. */
static void multiply(const tiled *t, const char *V, int64_t tiles, md_real *products) {
    const md_kernels *k = t->j->k;
    const size_t size = sizeof(float) / (size_t)k->conv_unit;
    size_t panels = (size_t)((t->M + k->panel - 1) / k->panel);
    for (int p = 0; p < SQUARE; p++) {
        k->conv_lines(&(md_conv_lines){.lines = 1,
                                       .width = (int)tiles,
                                       .parts = 1,
                                       .depth = t->C,
                                       .cols = t->M,
                                       .a = V + (size_t)(p * tiles * t->C) * size,
                                       .pixel = t->C,
                                       .packed = (const char *)t->j->packed +
                                                 (size_t)p * panels * k->panel_bytes(t->C),
                                       .c = products + p * tiles * t->M,
                                       .ldc = t->M});
    }
}

static int64_t tiles_in_band(const tiled *t, int at, int end) {
    int rows = end - at < t->at_once ? end - at : t->at_once;
    return (int64_t)rows * t->cols;
}

/* Rows of tiles [at, end) of the task's images, `at_once` at a time: with add, results accumulate.
 */
static void convolve(const tiled *t, int at, int end, md_real *scratch, bool add) {
    while (at < end) {
        int64_t tiles = tiles_in_band(t, at, end), done = 0;
        md_real *V = scratch + border_room(t), *products = V + SQUARE * tiles * t->C;
        int stop = at + (int)(tiles / t->cols);
        for (int i = at; i < stop;) {
            tile_rows r = next_rows(t, i, stop);
            fill_tiles(t, r, scratch, (char *)V, tiles, done);
            i += r.count, done += (int64_t)r.count * t->cols;
        }
        multiply(t, (const char *)V, tiles, products);
        for (done = 0; at < stop;) {
            tile_rows r = next_rows(t, at, stop);
            store_tiles(t, r, products, tiles, done, add);
            at += r.count, done += (int64_t)r.count * t->cols;
        }
    }
}

static int64_t tasks_of(const tiled *t) {
    return (t->j->shape.B + t->images - 1) / t->images;
}

static void task_images(const tiled *t, int64_t task, int *first, int *end) {
    *first = (int)task * t->images;
    *end = *first + t->images < t->j->shape.B ? *first + t->images : t->j->shape.B;
}

static void forward_task(void *context, int64_t task, int worker) {
    const tiled *t = context;
    int first, end;
    task_images(t, task, &first, &end);
    int64_t pixels = (int64_t)t->Yo * t->Xo;
    bool add = false;
    for (int image = first; image < end; image++) add = md_conv_begin(t->j, image * pixels, pixels);
    convolve(t, first * t->rows, end * t->rows, md_tape_scratch(t->j->tape, worker), add);
}

static void dx_task(void *context, int64_t task, int worker) {
    const tiled *t = context;
    const md_conv_shape *s = &t->j->shape;
    md_real *scratch = md_tape_scratch(t->j->tape, worker);
    int first, end;
    task_images(t, task, &first, &end);
    if (s->scale == 1) {
        convolve(t, first * t->rows, end * t->rows, scratch, t->j->add_dx);
        return;
    }
    for (int image = first; image < end; image++) { /* at the doubled size, then summed */
        tiled fine = *t;
        fine.to = scratch + room_of(t) - (int64_t)image * t->Yo * t->Xo * t->M;
        convolve(&fine, image * t->rows, (image + 1) * t->rows, scratch, false);
        md_conv_fold(t->j, scratch + room_of(t), t->j->dx + image * md_conv_pixels_in(s) * s->C);
    }
}

/* --- filters --------------------------------------------------------------------------------- */

typedef struct filters {
    const md_conv_job *j;
    md_real *U; /* [16][M][C] */
} filters;

static void filter_task(void *context, int64_t m, int worker) {
    const filters *f = context;
    const int64_t C = f->j->shape.C, size = C * f->j->shape.M;
    (void)worker;
    f->j->k->tile(MD_TILE_FILTER, &(md_tile){.C = (int)C,
                                             .from = f->j->w + m * 9 * C,
                                             .from_line = 3 * C,
                                             .from_pixel = C,
                                             .to = f->U + m * C,
                                             .to_line = 4 * size,
                                             .to_pixel = size});
}

/* U packed, one after the other; backward that of filters turned round, whose square is U's with
 * lines 0 and 3, and columns 0 and 3, exchanged. */
static bool pack_filters(md_conv_job *j, bool backward) {
    static const int turned[4] = {3, 1, 2, 0};
    const md_conv_shape *s = &j->shape;
    const int64_t size = (int64_t)s->M * s->C;
    filters f = {j, md_grad_take(j->tape, SQUARE * size)};
    md_pack list[SQUARE];
    if (!f.U) return false;
    md_tape_parallel(j->tape, "conv filters", s->M, filter_task, &f);
    for (int p = 0; p < SQUARE; p++) {
        int q = backward ? 4 * turned[p / 4] + turned[p % 4] : p;
        list[p] = (md_pack){.trans = !backward,
                            .n = backward ? s->C : s->M,
                            .k = backward ? s->M : s->C,
                            .b = f.U + q * size,
                            .ldb = s->C};
    }
    j->packed = md_tape_pack_all(j->tape, 0, list, SQUARE);
    md_grad_give(j->tape, f.U);
    return j->packed != NULL;
}

bool md_conv_tiles_forward(md_conv_job *j) {
    tiled t = tiled_of(j, false);
    if (!pack_filters(j, false) || !md_tape_reserve(j->tape, room_of(&t))) return false;
    md_tape_parallel(j->tape, "conv", tasks_of(&t), forward_task, &t);
    return true;
}

bool md_conv_tiles_dx(md_conv_job *j) {
    tiled t = tiled_of(j, true);
    int64_t fine = j->shape.scale == 2 ? (int64_t)t.Yo * t.Xo * t.M : 0;
    if (!pack_filters(j, true) || !md_tape_reserve(j->tape, room_of(&t) + fine)) return false;
    md_tape_parallel(j->tape, "conv dx", tasks_of(&t), dx_task, &t);
    return true;
}

/* --- dw -------------------------------------------------------------------------------------- */

static int64_t dw_room(const tiled *t) {
    return room_of(t) + SQUARE * (int64_t)t->C * t->M;
}

/* Tile n of these rows of dy. */
static md_tile given_to(const tiled *t, tile_rows r, int n) {
    int i = r.first + n / t->cols, j = n % t->cols;
    md_tile y = pixels_of(t->Yo, t->Xo, t->M, i, j);
    y.from = t->j->dy + (((int64_t)r.image * t->Yo + 2 * i) * t->Xo + 2 * j) * t->M;
    return y;
}

/* What conv_tap reads: V [16][units][C] and A dy A' [16][units][M] of a band, in units of one tile,
 * or of two of the same rows. */
typedef struct tap_band {
    int64_t units, at;
    md_real *V, *D;
} tap_band;

static int units_in(const tiled *t, tile_rows r) {
    int unit = t->j->k->conv_unit;
    return (r.count * t->cols + unit - 1) / unit;
}

static void fill_taps(const tiled *t, tile_rows r, md_real *border, tap_band *band) {
    const int tiles = r.count * t->cols, unit = t->j->k->conv_unit;
    md_bordered b = borders_of(t, r, border);
    for (int n = 0; n < tiles; n += unit, band->at++) {
        bool pair = unit == 2 && n + 1 < tiles;
        md_tile v = seen_by(t, &b, n), y = given_to(t, r, n);
        md_tile next_v = pair ? seen_by(t, &b, n + 1) : v,
                next_y = pair ? given_to(t, r, n + 1) : y;
        v.to = band->V + band->at * t->C;
        v.to_line = 4 * band->units * t->C;
        v.to_pixel = band->units * t->C;
        y.to = band->D + band->at * t->M;
        y.to_line = 4 * band->units * t->M;
        y.to_pixel = band->units * t->M;
        v.second = pair ? &next_v : NULL;
        y.second = pair ? &next_y : NULL;
        t->j->k->tile(MD_TILE_INPUT_TAP, &v);
        t->j->k->tile(MD_TILE_GRADIENT_TAP, &y);
    }
}

/* Rows of tiles [at, stop), added to dU. */
static void add_band(const tiled *t, int at, int stop, md_real *scratch, bool add) {
    md_real *dU = scratch + room_of(t);
    tap_band band = {0};
    for (int i = at; i < stop;) {
        tile_rows r = next_rows(t, i, stop);
        band.units += units_in(t, r), i += r.count;
    }
    band.V = scratch + border_room(t);
    band.D = band.V + SQUARE * band.units * t->C;
    while (at < stop) {
        tile_rows r = next_rows(t, at, stop);
        fill_taps(t, r, scratch, &band);
        at += r.count;
    }
    for (int p = 0; p < SQUARE; p++) {
        t->j->k->conv_tap(&(md_conv_tap){.parts = 1,
                                         .units = (int)band.units,
                                         .rows = t->M,
                                         .cols = t->C,
                                         .a = band.D + p * band.units * t->M,
                                         .a_step = t->M,
                                         .b = band.V + p * band.units * t->C,
                                         .b_step = t->C,
                                         .add = add,
                                         .c = dU + (int64_t)p * t->M * t->C,
                                         .ldc = t->C});
    }
}

static void dw_chunk(void *context, int64_t chunk, int worker) {
    const tiled *t = context;
    const int C = t->C, M = t->M;
    md_real *scratch = md_tape_scratch(t->j->tape, worker), *dU = scratch + room_of(t);
    md_real *dw = t->j->partial + chunk * M * 9 * C;
    int first, last;
    md_conv_chunk(t->j, chunk, &first, &last);
    int begin = first * t->rows, end = last * t->rows;
    for (int at = begin, stop; at < end; at = stop) {
        stop = at + t->at_once < end ? at + t->at_once : end;
        add_band(t, at, stop, scratch, at > begin);
    }
    for (int64_t m = 0; m < M; m++) {
        t->j->k->tile(MD_TILE_FILTER_GRADIENT, &(md_tile){.C = C,
                                                          .from = dU + m * C,
                                                          .from_line = 4 * (int64_t)M * C,
                                                          .from_pixel = (int64_t)M * C,
                                                          .to = dw + m * 9 * C,
                                                          .to_line = 3 * (int64_t)C,
                                                          .to_pixel = C});
    }
}

bool md_conv_tiles_dw(md_conv_job *j) {
    tiled t = tiled_of(j, false);
    if (!md_tape_reserve(j->tape, dw_room(&t))) return false;
    md_tape_parallel(j->tape, "conv dw", j->chunks, dw_chunk, &t);
    return true;
}
