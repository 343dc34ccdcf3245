/* tensor/conv_lines.c: convolutions by kernels that read pixels where they lie. An image is copied
 * once, rounded where the products want that, with its border of zeros (and doubled, where it is
 * upsampled); then a pixel's neighbours in a line follow each other in memory, and K lines of them
 * are a row of the product. */
#include <string.h>

#include "tensor/conv_internal.h"

/* Floats that it takes; one line more, which lets kernels read on. */
static int64_t room_for(int lines, int width, int channels, const md_kernels *k) {
    return ((int64_t)lines + 1) * width * channels / k->conv_unit + 2 * k->panel;
}

static bool even(const md_kernels *k, int channels) {
    return k->conv_lines && channels % k->conv_unit == 0;
}

/* --- forward --------------------------------------------------------------------------------- */

/* Lines of the result in a task: few images are cut for several threads. */
enum { TASKS = 8 };

static int band_lines(const md_conv_shape *s) {
    int bands = (TASKS + s->B - 1) / s->B, lines = (s->Yo + bands - 1) / bands;
    return lines < 4 ? s->Yo < 4 ? s->Yo : 4 : lines;
}

static int bands_of(const md_conv_shape *s) {
    return (s->Yo + band_lines(s) - 1) / band_lines(s);
}

static int lines_seen(const md_conv_shape *s, int lines) {
    return (lines - 1) * s->stride + s->K;
}

static md_border_source source_x(const md_conv_job *j, int64_t image) {
    const md_conv_shape *s = &j->shape;
    return (md_border_source){.image = j->x + image * md_conv_pixels_in(s) * s->C,
                              .Y = s->Y,
                              .X = s->X,
                              .C = s->C,
                              .scale = s->scale,
                              .top = s->pad,
                              .left = s->pad};
}

static void forward_band(void *context, int64_t task, int worker) {
    const md_conv_job *j = context;
    const md_conv_shape *s = &j->shape;
    int64_t image = task / bands_of(s);
    int first = (int)(task % bands_of(s)) * band_lines(s), left = s->Yo - first;
    int lines = left < band_lines(s) ? left : band_lines(s);
    md_bordered b = md_bordered_at(j->k, lines_seen(s, lines), lines_seen(s, s->Xo), s->C,
                                   md_tape_scratch(j->tape, worker));
    md_border_source x = source_x(j, image);
    md_bordered_fill(j->k, &x, first * s->stride, &b);
    int64_t row = (image * s->Yo + first) * s->Xo;
    j->k->conv_lines(&(md_conv_lines){.lines = lines,
                                      .width = s->Xo,
                                      .parts = s->K,
                                      .depth = s->K * s->C,
                                      .cols = s->M,
                                      .a = b.data,
                                      .line = s->stride * b.line,
                                      .pixel = (int64_t)s->stride * s->C,
                                      .part = b.line,
                                      .packed = j->packed,
                                      .add = md_conv_begin(j, row, (int64_t)lines * s->Xo),
                                      .c = j->y + row * s->M,
                                      .ldc = s->M});
}

bool md_conv_lines_forward(md_conv_job *j) {
    const md_conv_shape *s = &j->shape;
    int taps = md_conv_taps(s);
    if (!j->packed && md_conv_has_tiles(j)) return md_conv_tiles_forward(j);
    if (!even(j->k, s->C)) return md_conv_columns_forward(j);
    md_pack pack = {.trans = true, .n = s->M, .k = taps, .b = j->w, .ldb = taps};
    if (!j->packed) j->packed = md_tape_pack(j->tape, 0, pack);
    int64_t room = room_for(lines_seen(s, band_lines(s)), lines_seen(s, s->Xo), s->C, j->k);
    if (!j->packed || !md_tape_reserve(j->tape, room)) return false;
    md_tape_parallel(j->tape, "conv", (int64_t)s->B * bands_of(s), forward_band, j);
    return true;
}

/* --- dx: dy with borders, times the filters turned round ------------------------------------- */

void md_conv_fold(const md_conv_job *j, const md_real *fine, md_real *dx) {
    const md_conv_shape *s = &j->shape;
    const int64_t C = s->C, line = 2 * s->X * C;
    for (int64_t y = 0; y < s->Y; y++) {
        for (int64_t x = 0; x < s->X; x++, dx += C) {
            const md_real *a = fine + 2 * y * line + 2 * x * C;
            if (j->add_dx) {
                j->k->accumulate(C, a, dx);
            } else {
                memcpy(dx, a, (size_t)C * sizeof *dx);
            }
            j->k->accumulate(C, a + C, dx);
            j->k->accumulate(C, a + line, dx);
            j->k->accumulate(C, a + line + C, dx);
        }
    }
}

static void dx_image(void *context, int64_t image, int worker) {
    const md_conv_job *j = context;
    const md_conv_shape *s = &j->shape;
    int Y = s->Y * s->scale, X = s->X * s->scale, border = s->K - 1 - s->pad;
    md_real *dx = j->dx + image * md_conv_pixels_in(s) * s->C;
    md_real *scratch = md_tape_scratch(j->tape, worker), *fine = dx;
    md_bordered b = md_bordered_at(j->k, Y + s->K - 1, X + s->K - 1, s->M, scratch);
    if (s->scale == 2) fine = scratch + room_for(b.lines, b.width, s->M, j->k);
    md_border_source dy = {.image = j->dy + image * md_conv_pixels_out(s) * s->M,
                           .Y = s->Yo,
                           .X = s->Xo,
                           .C = s->M,
                           .scale = 1,
                           .top = border,
                           .left = border};
    md_bordered_fill(j->k, &dy, 0, &b);
    j->k->conv_lines(&(md_conv_lines){.lines = Y,
                                      .width = X,
                                      .parts = s->K,
                                      .depth = s->K * s->M,
                                      .cols = s->C,
                                      .a = b.data,
                                      .line = b.line,
                                      .pixel = s->M,
                                      .part = b.line,
                                      .packed = j->packed,
                                      .add = s->scale == 1 && j->add_dx,
                                      .c = fine,
                                      .ldc = s->C});
    if (s->scale == 2) md_conv_fold(j, fine, dx);
}

bool md_conv_lines_dx(md_conv_job *j) {
    const md_conv_shape *s = &j->shape;
    int taps = md_conv_taps(s), Y = s->Y * s->scale, X = s->X * s->scale;
    if (md_conv_has_tiles(j)) return md_conv_tiles_dx(j);
    if (!even(j->k, s->M) || s->stride > 1) return md_conv_columns_dx(j);
    j->packed = md_tape_pack(j->tape, 0,
                             (md_pack){.n = s->C,
                                       .k = s->K * s->K * s->M,
                                       .b = j->w + taps - s->C,
                                       .ldb = taps,
                                       .parts = s->K * s->K,
                                       .part = -s->C});
    int64_t room = room_for(Y + s->K - 1, X + s->K - 1, s->M, j->k);
    if (s->scale == 2) room += (int64_t)Y * X * s->C;
    if (!j->packed || !md_tape_reserve(j->tape, room)) return false;
    md_tape_parallel(j->tape, "conv dx", s->B, dx_image, j);
    return true;
}

/* --- dw -------------------------------------------------------------------------------------- */

/* dy and x of one image as md_conv_tap reads them. */
typedef struct tap_operands {
    int units;           /* in a line */
    const float *dy, *x; /* x: of tap (0, 0) */
    int64_t dy_step, dy_line;
    int64_t x_step, x_line; /* from a pixel (or pair) to the next, from a line of x to the next */
    int64_t x_tap;          /* from a tap to the next of its line */
} tap_operands;

/* Parts of a worker's scratch, in floats: x and dy with borders, and their pairs. */
typedef struct tap_room {
    int64_t x, dy, x_pairs, dy_pairs;
} tap_room;

static int pairs_in(const md_conv_shape *s) {
    return (s->Xo + 1) / 2;
}

static tap_room rooms(const md_conv_job *j) {
    const md_conv_shape *s = &j->shape;
    int lines = lines_seen(s, s->Yo);
    tap_room r = {.x = room_for(lines + 1, lines_seen(s, s->Xo), s->C, j->k)};
    if (j->k->round_rows) r.dy = room_for(s->Yo, 2 * pairs_in(s), s->M, j->k);
    if (j->k->conv_unit == 2) {
        r.x_pairs = (int64_t)s->K * lines * pairs_in(s) * s->C + 2 * j->k->panel;
        r.dy_pairs = (int64_t)s->Yo * pairs_in(s) * s->M;
    }
    return r;
}

static md_bordered borders_of_x(const md_conv_job *j, int64_t image, float *room) {
    const md_conv_shape *s = &j->shape;
    md_bordered b = md_bordered_at(j->k, lines_seen(s, s->Yo), lines_seen(s, s->Xo), s->C, room);
    md_border_source x = source_x(j, image);
    md_bordered_fill(j->k, &x, 0, &b);
    /* The second pixel of the last pair may be one that is not there: times zero. */
    memset(b.data + (size_t)(b.lines * b.line) * b.size, 0, (size_t)b.line * b.size);
    return b;
}

static md_bordered borders_of_dy(const md_conv_job *j, int64_t image, float *room) {
    const md_conv_shape *s = &j->shape;
    int width = j->k->conv_unit == 2 ? 2 * pairs_in(s) : s->Xo;
    md_bordered b = md_bordered_at(j->k, s->Yo, width, s->M, room);
    md_border_source dy = {.image = j->dy + image * md_conv_pixels_out(s) * s->M,
                           .Y = s->Yo,
                           .X = s->Xo,
                           .C = s->M,
                           .scale = 1};
    md_bordered_fill(j->k, &dy, 0, &b);
    return b;
}

/* Numbers one by one: x with its borders serves all taps. */
static tap_operands plain_operands(const md_conv_job *j, int64_t image, float *scratch) {
    const md_conv_shape *s = &j->shape;
    tap_room r = rooms(j);
    md_bordered x = borders_of_x(j, image, scratch);
    const float *dy = (const float *)j->dy + image * md_conv_pixels_out(s) * s->M;
    if (j->k->round_rows) dy = (const float *)borders_of_dy(j, image, scratch + r.x).data;
    return (tap_operands){.units = s->Xo,
                          .dy = dy,
                          .x = (const float *)x.data,
                          .dy_step = s->M,
                          .dy_line = (int64_t)s->Xo * s->M,
                          .x_step = (int64_t)s->stride * s->C,
                          .x_line = x.line,
                          .x_tap = s->C};
}

/* Pairs: of x one copy for each tap of a line, since pairs begin where the tap does. */
static tap_operands paired_operands(const md_conv_job *j, int64_t image, float *scratch) {
    const md_conv_shape *s = &j->shape;
    tap_room r = rooms(j);
    int P = pairs_in(s);
    md_bordered x = borders_of_x(j, image, scratch), dy = borders_of_dy(j, image, scratch + r.x);
    float *to = scratch + r.x + r.dy;
    tap_operands o = {.units = P,
                      .x = to,
                      .dy = to + r.x_pairs,
                      .dy_step = s->M,
                      .dy_line = (int64_t)P * s->M,
                      .x_step = s->C,
                      .x_line = (int64_t)P * s->C,
                      .x_tap = (int64_t)x.lines * P * s->C};
    int64_t pixel = (int64_t)s->stride * s->C;
    for (int v = 0; v < s->K; v++)
        for (int l = 0; l < x.lines; l++, to += o.x_line)
            j->k->pair_rows(P, s->C, x.data + (size_t)(l * x.line + (int64_t)v * s->C) * x.size,
                            2 * pixel, pixel, to);
    j->k->pair_rows(s->Yo * P, s->M, dy.data, 2 * (int64_t)s->M, s->M,
                    scratch + r.x + r.dy + r.x_pairs);
    return o;
}

/* Lines at a time such that both operands stay near. */
enum { UNITS_AT_ONCE = 256 };

/* Lines that follow each other in both operands without a gap are one line. */
static void join_lines(const tap_operands *o, md_conv_tap *g) {
    if (g->a_part != g->units * o->dy_step || g->b_part != g->units * o->x_step) return;
    g->units *= g->parts;
    g->parts = 1;
}

static void dw_image(const md_conv_job *j, const tap_operands *o, md_real *dw, bool add) {
    const md_conv_shape *s = &j->shape;
    int step = UNITS_AT_ONCE / o->units, taps = md_conv_taps(s);
    if (step < 1) step = 1;
    for (int l = 0; l < s->Yo; l += step) {
        for (int tap = 0; tap < s->K * s->K; tap++) {
            int u = tap / s->K, v = tap % s->K;
            md_conv_tap g = {.parts = s->Yo - l < step ? s->Yo - l : step,
                             .units = o->units,
                             .rows = s->M,
                             .cols = s->C,
                             .a = o->dy + l * o->dy_line,
                             .a_step = o->dy_step,
                             .a_part = o->dy_line,
                             .b = o->x + (l * s->stride + u) * o->x_line + v * o->x_tap,
                             .b_step = o->x_step,
                             .b_part = s->stride * o->x_line,
                             .add = add || l > 0,
                             .c = dw + tap * s->C,
                             .ldc = taps};
            join_lines(o, &g);
            j->k->conv_tap(&g);
        }
    }
}

static void dw_chunk(void *context, int64_t chunk, int worker) {
    const md_conv_job *j = context;
    const md_conv_shape *s = &j->shape;
    int first, end;
    md_real *dw = j->partial + chunk * s->M * md_conv_taps(s);
    float *scratch = (float *)md_tape_scratch(j->tape, worker);
    md_conv_chunk(j, chunk, &first, &end);
    for (int image = first; image < end; image++) {
        tap_operands o = j->k->conv_unit == 2 ? paired_operands(j, image, scratch)
                                              : plain_operands(j, image, scratch);
        dw_image(j, &o, dw, image > first);
    }
}

bool md_conv_lines_dw(md_conv_job *j) {
    const md_conv_shape *s = &j->shape;
    if (md_conv_has_tiles(j)) return md_conv_tiles_dw(j);
    if (!even(j->k, s->C) || !even(j->k, s->M)) return md_conv_columns_dw(j);
    tap_room r = rooms(j);
    if (!md_tape_reserve(j->tape, r.x + r.dy + r.x_pairs + r.dy_pairs)) return false;
    md_tape_parallel(j->tape, "conv dw", j->chunks, dw_chunk, j);
    return true;
}
