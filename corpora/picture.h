/* corpora/picture.h: one picture: read, fitted to a size, made of a model's numbers, written.
 *
 *     md_picture grid = {0};
 *     MD_TRY(md_picture_grid(x, B, (md_grid){.Y = 32, .X = 32, .C = 3}, &grid, err));
 *     status = md_picture_save(&grid, "grid.png", err);
 *     md_picture_release(&grid);
 *
 * Pixels are bytes [Y, X, C], C fastest: 1 grey, 2 grey and alpha, 3 red green blue, 4 with alpha
 * (not multiplied in). A model's numbers are in [-1, 1]: byte b is b / 127.5 - 1.
 *
 * Files come from strangers: PNG (libpng) and JPEG (libjpeg-turbo) of more than MD_PICTURE_SIDE
 * pixels a side or MD_PICTURE_PIXELS in all are refused by their header, before a row is decoded.
 * Every error of reading is MDLM_INPUT and names the file.
 */
#ifndef MD_CORPORA_PICTURE_H
#define MD_CORPORA_PICTURE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

enum {
    MD_PICTURE_SIDE = 16384,
    MD_PICTURE_PIXELS = 1 << 26,
    MD_PICTURE_FILE_BYTES = 1 << 28,
};

typedef struct md_picture { /* init with {0} */
    int Y, X, C;
    uint8_t *pixels; /* owned */
} md_picture;

/* Zeroed (black, transparent) pixels; 1 <= C <= 4. MDLM_RUNTIME when there is no memory. */
mdlm_status md_picture_init(md_picture *p, int Y, int X, int C, mdlm_error *err);
void md_picture_release(md_picture *p); /* the struct is empty again */

/* --- files ------------------------------------------------------------------------------------ */

/* Whether these first bytes of a file are those of a PNG or a JPEG; 8 bytes are enough. */
bool md_picture_known(const void *bytes, size_t size);
/* Reads a PNG or JPEG file with the channels it has: palettes become colours, 16 bits become 8, a
 * transparent colour becomes alpha, CMYK becomes RGB. MDLM_INPUT when it is neither of them, too
 * large, damaged or truncated, or when mdlm was built without the library. */
mdlm_status md_picture_load(const char *path, md_picture *out, mdlm_error *err);
/* Only the header: sets Y, X and C. */
mdlm_status md_picture_probe(const char *path, md_picture *out, mdlm_error *err);

/* PNG, written whole or not at all: MDLM_WRITE. */
mdlm_status md_picture_save(const md_picture *p, const char *path, mdlm_error *err);
/* Appends the PNG to a buffer. */
mdlm_status md_picture_png(const md_picture *p, md_buffer *out, mdlm_error *err);
/* `count` pictures of one size as an animated PNG, each shown for `milliseconds`, the last for
 * `hold`; for ever again from the first. The picture that programs without animation show is the
 * last. */
mdlm_status md_picture_save_animation(const md_picture *frames, int count, int milliseconds,
                                      int hold, const char *path, mdlm_error *err);

/* --- changes ---------------------------------------------------------------------------------- */

/* Other channels, 1, 3 or 4: alpha is composited on white unless it is kept; grey is 0.299 red +
 * 0.587 green + 0.114 blue (Rec. 601). */
mdlm_status md_picture_convert(md_picture *p, int channels, mdlm_error *err);
/* Y x X pixels: each new pixel is the mean of the area it covers (weighted by alpha). Enlarging to
 * a multiple repeats pixels. Y and X are at most MD_PICTURE_SIDE. */
mdlm_status md_picture_resize(md_picture *p, int Y, int X, mdlm_error *err);
/* A square of `size` pixels: the middle of the longer side is cut out, and resized. */
mdlm_status md_picture_fit(md_picture *p, int size, mdlm_error *err);

/* --- from and to a model's numbers ------------------------------------------------------------ */

/* Values of `count` bytes in [-1, 1]: b / 127.5 - 1. */
void md_pixels_to_floats(const uint8_t *bytes, size_t count, float *out);
/* The nearest byte; numbers outside [-1, 1] are clipped, NaN is 0. */
void md_pixels_from_floats(const float *values, size_t count, uint8_t *out);

/* How images are laid out in one picture, row by row, a thin gap between them. */
typedef struct md_grid {
    int Y, X, C; /* of one image */
    int columns; /* 0: near-square */
    int scale;   /* each pixel becomes scale x scale; 0: 1 */
} md_grid;

/* `count` >= 1 images [count, Y, X, C] in [-1, 1]. A filmstrip is a grid whose rows are samples and
 * whose columns are moments: image r * columns + c. Gaps and places without an image are a grey
 * that is neither black nor white. */
mdlm_status md_picture_grid(const float *images, int count, md_grid grid, md_picture *out,
                            mdlm_error *err);
/* Whether so many fit into one picture: MDLM_USAGE when it would be too large. */
mdlm_status md_picture_grid_check(int count, md_grid grid, mdlm_error *err);

#endif
