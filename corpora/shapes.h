/* corpora/shapes.h: the images that come with the project: one shape on a plain ground, drawn.
 *
 *     md_shape shape = md_shape_of(1, 42);
 *     md_shape_caption(&shape, &text, err);              "a small red circle at the top left"
 *     md_shape_draw(&shape, 32, 3, bytes);               [32, 32, 3]
 *
 * Image i is a pure function of (seed, i), and there is one for every i. Its class is its shape;
 * images 8 k to 8 k + 7 show every shape once, so any range is balanced. Colour, size and place are
 * uniform and independent of the class; the ground is light or dark, and far enough from the
 * colour to be seen in grey, too. Edges are anti-aliased by 64 samples a pixel. Only sums, products
 * and quotients go into a pixel, so bytes are the same on every machine.
 */
#ifndef MD_CORPORA_SHAPES_H
#define MD_CORPORA_SHAPES_H

#include <stdint.h>

#include "base/buffer.h"

enum {
    MD_SHAPE_KINDS = 8,
    MD_SHAPE_COLOURS = 8,
    MD_SHAPE_SIZES = 3,
    MD_SHAPE_PLACES = 9,
    MD_SHAPES_SIDE = 32,     /* pixels, if nobody says otherwise */
    MD_SHAPES_COUNT = 50000, /* of the set, if nobody says otherwise */
};

typedef struct md_shape {
    int kind, colour, size, place; /* indices of the names below */
    double y, x, radius;           /* centre and extent; the image is [0, 1] x [0, 1] */
    uint8_t ink[3], ground[3];
} md_shape;

extern const char *const md_shape_kinds[MD_SHAPE_KINDS]; /* names of the classes, sorted */
extern const char *const md_shape_colours[MD_SHAPE_COLOURS];
extern const char *const md_shape_sizes[MD_SHAPE_SIZES];
extern const char *const md_shape_places[MD_SHAPE_PLACES];

md_shape md_shape_of(uint64_t seed, int64_t i);
mdlm_status md_shape_caption(const md_shape *shape, md_buffer *out, mdlm_error *err);
/* Bytes [side, side, channels] of `channels` 1, 3, or 4 (opaque). */
void md_shape_draw(const md_shape *shape, int side, int channels, uint8_t *out);

#endif
