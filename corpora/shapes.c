/* corpora/shapes.c: see shapes.h. Local coordinates of a shape: x to the right, y up, both in
 * [-1, 1] over the square that holds it. */
#include "corpora/shapes.h"

#include <string.h>

#include "base/rng.h"

typedef struct tint {
    uint8_t rgb[3];
} tint;

const char *const md_shape_kinds[MD_SHAPE_KINDS] = {"circle", "cross",  "diamond", "heart",
                                                    "ring",   "square", "star",    "triangle"};
const char *const md_shape_sizes[MD_SHAPE_SIZES] = {"small", "medium", "large"};
const char *const md_shape_places[MD_SHAPE_PLACES] = {"top left",    "top",    "top right",
                                                      "left",        "centre", "right",
                                                      "bottom left", "bottom", "bottom right"};
const char *const md_shape_colours[MD_SHAPE_COLOURS] = {"red",  "orange", "yellow", "green",
                                                        "cyan", "blue",   "purple", "pink"};
static const tint inks[MD_SHAPE_COLOURS] = {{{222, 45, 38}},  {{245, 130, 32}}, {{252, 210, 40}},
                                            {{52, 160, 70}},  {{40, 190, 200}}, {{40, 90, 210}},
                                            {{150, 80, 190}}, {{245, 130, 180}}};
static const tint grounds[] = {{{242, 240, 234}}, {{214, 226, 240}}, {{240, 226, 206}},
                               {{28, 30, 38}},    {{24, 38, 66}},    {{48, 36, 40}}};
enum { GROUNDS = sizeof grounds / sizeof *grounds, GROUND_JITTER = 8, CONTRAST = 60 };

/* What is drawn at which place of the counter; append only. */
enum { DRAW_COLOUR, DRAW_SIZE, DRAW_PLACE, DRAW_RADIUS, DRAW_Y, DRAW_X, DRAW_GROUND, DRAW_JITTER };
/* Steps of the order of classes, which those of images (i >> 32) do not reach. */
#define ORDER_STEP (UINT64_C(1) << 48)

static const double radii[MD_SHAPE_SIZES][2] = {{.15, .19}, {.24, .29}, {.34, .40}};
#define MARGIN .03 /* of the ground, around the shape at its outermost place */

static double grey(const uint8_t rgb[3]) {
    return .299 * rgb[0] + .587 * rgb[1] + .114 * rgb[2];
}

/* A ground that the ink stands out from, some light or dark ones being too near to it. */
static void choose_ground(md_rng rng, uint32_t i, md_shape *shape) {
    const tint *fit[GROUNDS];
    size_t count = 0;
    for (size_t g = 0; g < GROUNDS; g++) {
        double distance = grey(grounds[g].rgb) - grey(shape->ink);
        if (distance * distance >= CONTRAST * CONTRAST) fit[count++] = &grounds[g];
    }
    MD_BUG_IF(count == 0);
    const tint *ground = fit[md_uniform_below(rng, i, DRAW_GROUND, count)];
    int lighter = (int)md_uniform_below(rng, i, DRAW_JITTER, 2 * GROUND_JITTER + 1) - GROUND_JITTER;
    for (int c = 0; c < 3; c++) shape->ground[c] = (uint8_t)(ground->rgb[c] + lighter);
}

/* A coordinate of the centre in the third `cell` (-1, 0, 1) of the places where the shape fits. */
static double place_in(double u, int cell, double radius) {
    double room = .5 - MARGIN - radius;
    return cell ? .5 + cell * room * (.65 + .35 * u) : .5 + room * .3 * (2 * u - 1);
}

md_shape md_shape_of(uint64_t seed, int64_t i) {
    MD_BUG_IF(i < 0);
    uint64_t number = (uint64_t)i;
    md_rng rng = {.seed = seed, .stream = MD_STREAM_CORPUS, .step = number >> 32};
    md_rng order = {
        .seed = seed, .stream = MD_STREAM_CORPUS, .step = ORDER_STEP + number / MD_SHAPE_KINDS};
    uint32_t at = (uint32_t)number;
    md_shape shape = {
        .kind = (int)md_permute(order, number % MD_SHAPE_KINDS, MD_SHAPE_KINDS),
        .colour = (int)md_uniform_below(rng, at, DRAW_COLOUR, MD_SHAPE_COLOURS),
        .size = (int)md_uniform_below(rng, at, DRAW_SIZE, MD_SHAPE_SIZES),
        .place = (int)md_uniform_below(rng, at, DRAW_PLACE, MD_SHAPE_PLACES),
    };
    const double *range = radii[shape.size];
    shape.radius = range[0] + (range[1] - range[0]) * md_uniform(rng, at, DRAW_RADIUS);
    shape.y = place_in(md_uniform(rng, at, DRAW_Y), shape.place / 3 - 1, shape.radius);
    shape.x = place_in(md_uniform(rng, at, DRAW_X), shape.place % 3 - 1, shape.radius);
    memcpy(shape.ink, inks[shape.colour].rgb, sizeof shape.ink);
    choose_ground(rng, at, &shape);
    return shape;
}

mdlm_status md_shape_caption(const md_shape *shape, md_buffer *out, mdlm_error *err) {
    bool vowel = strchr("aeiou", md_shape_sizes[shape->size][0]) != NULL;
    bool middle = shape->place == MD_SHAPE_PLACES / 2;
    return md_buffer_printf(out, err, "%s %s %s %s %s the %s", vowel ? "an" : "a",
                            md_shape_sizes[shape->size], md_shape_colours[shape->colour],
                            md_shape_kinds[shape->kind], middle ? "in" : "at",
                            md_shape_places[shape->place]);
}

/* --- drawing ---------------------------------------------------------------------------------- */

static double absolute(double v) {
    return v < 0 ? -v : v;
}

static bool in_circle(double x, double y) {
    return x * x + y * y <= .95 * .95;
}

static bool in_cross(double x, double y) {
    x = absolute(x), y = absolute(y);
    return (x <= .3 && y <= .98) || (y <= .3 && x <= .98);
}

static bool in_diamond(double x, double y) {
    return absolute(x) / .72 + absolute(y) <= 1;
}

/* (x^2 + y^2 - 1)^3 <= x^2 y^3, a curve of degree six, moved into the square. */
static bool in_heart(double x, double y) {
    x *= 1.16, y = 1.14 * y + .12;
    double q = x * x + y * y - 1;
    return q * q * q <= x * x * y * y * y;
}

static bool in_ring(double x, double y) {
    double square = x * x + y * y;
    return square <= .98 * .98 && square >= .55 * .55;
}

static bool in_square(double x, double y) {
    return absolute(x) <= .84 && absolute(y) <= .84;
}

/* Two triangles and a bit make a star; its half with x >= 0 is a polygon of these corners. A point
 * is inside when a ray from it to the right crosses the edges an odd number of times. */
static bool in_star(double x, double y) {
    static const double corners[][2] = {{0, 1},         {.2645, .3141},  {1, .2575},
                                        {.428, -.2109}, {.6095, -.9117}, {0, -.53}};
    enum { EDGES = sizeof corners / sizeof *corners - 1 };
    bool inside = false;
    x = absolute(x);
    for (int i = 0; i < EDGES; i++) {
        const double *a = corners[i], *b = corners[i + 1];
        if ((a[1] > y) == (b[1] > y)) continue;
        if (x < a[0] + (y - a[1]) / (b[1] - a[1]) * (b[0] - a[0])) inside = !inside;
    }
    return inside;
}

static bool in_triangle(double x, double y) {
    y += .08; /* its weight is low */
    return y >= -.78 && absolute(x) <= (1.04 - y) / 1.82;
}

static bool (*const inside_of[MD_SHAPE_KINDS])(double x, double y) = {
    in_circle, in_cross, in_diamond, in_heart, in_ring, in_square, in_star, in_triangle};

enum { SAMPLES = 8 }; /* along each side of a pixel */

/* How many of the samples of a pixel lie in the shape. */
static int coverage(const md_shape *shape, int side, int row, int column) {
    bool (*inside)(double, double) = inside_of[shape->kind];
    double step = 1. / SAMPLES, scale = 1 / (side * shape->radius);
    double left = column + step / 2 - shape->x * side, top = row + step / 2 - shape->y * side;
    int count = 0;
    for (int i = 0; i < SAMPLES; i++) {
        double y = -(top + i * step) * scale;
        for (int j = 0; j < SAMPLES; j++) count += inside((left + j * step) * scale, y);
    }
    return count;
}

/* Whether a pixel may touch the square around the shape. */
static bool near(const md_shape *shape, int side, int row, int column) {
    double y = row + .5 - shape->y * side, x = column + .5 - shape->x * side;
    double reach = shape->radius * side + .5;
    return absolute(y) <= reach && absolute(x) <= reach;
}

void md_shape_draw(const md_shape *shape, int side, int channels, uint8_t *out) {
    MD_BUG_IF(side < 1 || (channels != 1 && channels != 3 && channels != 4));
    const int all = SAMPLES * SAMPLES;
    for (int y = 0; y < side; y++) {
        for (int x = 0; x < side; x++, out += channels) {
            int ink = near(shape, side, y, x) ? coverage(shape, side, y, x) : 0;
            uint8_t rgb[3];
            for (int c = 0; c < 3; c++) {
                rgb[c] =
                    (uint8_t)((shape->ink[c] * ink + shape->ground[c] * (all - ink) + all / 2) /
                              all);
            }
            if (channels == 1) {
                out[0] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
                continue;
            }
            memcpy(out, rgb, 3);
            if (channels == 4) out[3] = 255;
        }
    }
}
