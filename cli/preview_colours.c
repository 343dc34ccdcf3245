/* cli/preview_colours.c: pictures as sixels and as half blocks of text; see preview.h.
 *
 * Both know the colours of a cube of 6 x 6 x 6 alone (half blocks, only where the terminal has no
 * more). Sixels are small enough to mix them: an ordered pattern of 4 x 4 (Bayer 1973) rounds up or
 * down.
 */
#include <string.h>

#include "base/memory.h"
#include "cli/preview_internal.h"

enum { LEVELS = 6, CUBE = LEVELS * LEVELS * LEVELS, BAND = 6, PATTERN = 4 };

/* --- half blocks ------------------------------------------------------------------------------ */

/* The nearest of xterm's levels 0, 95, 135, 175, 215, 255. */
static int xterm_level(int value) {
    return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40;
}

/* ";2;R;G;B" or ";5;N" behind 38 (foreground) or 48 (background). */
static mdlm_status colour(int layer, const uint8_t rgb[3], md_preview how, md_buffer *out,
                          mdlm_error *err) {
    if (how == MD_PREVIEW_BLOCKS) {
        return md_buffer_printf(out, err, "\033[%d;2;%d;%d;%dm", layer, rgb[0], rgb[1], rgb[2]);
    }
    int n = 16 + 36 * xterm_level(rgb[0]) + 6 * xterm_level(rgb[1]) + xterm_level(rgb[2]);
    return md_buffer_printf(out, err, "\033[%d;5;%dm", layer, n);
}

mdlm_status md_preview_blocks(const md_picture *p, md_preview how, md_buffer *out,
                              mdlm_error *err) {
    size_t row = (size_t)p->X * 3;
    for (int y = 0; y < p->Y; y += 2) {
        const uint8_t *upper = p->pixels + (size_t)y * row;
        const uint8_t *lower = y + 1 < p->Y ? upper + row : NULL;
        for (int x = 0; x < p->X; x++, upper += 3) {
            /* A colour that goes on need not be said again. */
            if (x == 0 || memcmp(upper, upper - 3, 3) != 0) {
                MD_TRY(colour(38, upper, how, out, err));
            }
            if (lower && (x == 0 || memcmp(lower, lower - 3, 3) != 0)) {
                MD_TRY(colour(48, lower, how, out, err));
            }
            if (lower) lower += 3;
            MD_TRY(md_buffer_text(out, "\xe2\x96\x80", err)); /* upper half block */
        }
        MD_TRY(md_buffer_text(out, "\033[0m\n", err));
    }
    return MDLM_OK;
}

/* --- sixels ----------------------------------------------------------------------------------- */

/* Number in the cube of the colour of a pixel at (y, x). */
static uint8_t mixed(const uint8_t rgb[3], int y, int x) {
    static const int pattern[PATTERN][PATTERN] = {
        {0, 8, 2, 10}, {12, 4, 14, 6}, {3, 11, 1, 9}, {15, 7, 13, 5}};
    int threshold = 2 * pattern[y % PATTERN][x % PATTERN] + 1; /* of 32: when to round up */
    int index = 0;
    for (int c = 0; c < 3; c++) {
        int scaled = rgb[c] * (LEVELS - 1) * 32 / 255; /* level and its 32nds */
        index = index * LEVELS + scaled / 32 + (scaled % 32 > threshold);
    }
    return (uint8_t)index;
}

static mdlm_status palette(md_buffer *out, mdlm_error *err) {
    for (int i = 0; i < CUBE; i++) {
        const int percent = 100 / (LEVELS - 1);
        MD_TRY(md_buffer_printf(out, err, "#%d;2;%d;%d;%d", i, i / (LEVELS * LEVELS) * percent,
                                i / LEVELS % LEVELS * percent, i % LEVELS * percent));
    }
    return MDLM_OK;
}

/* `count` times the sixel of these six bits. */
static mdlm_status run(int bits, int count, md_buffer *out, mdlm_error *err) {
    char sixel[] = {(char)('?' + bits), 0};
    if (count > 3) return md_buffer_printf(out, err, "!%d%s", count, sixel);
    for (; count > 0; count--) MD_TRY(md_buffer_text(out, sixel, err));
    return MDLM_OK;
}

/* The pixels of one colour in a band of up to six rows of indices, from left to right. */
static mdlm_status colour_of_band(const uint8_t *band, int rows, int X, int index, md_buffer *out,
                                  mdlm_error *err) {
    int last = 0, count = 0;
    MD_TRY(md_buffer_printf(out, err, "#%d", index));
    for (int x = 0; x < X; x++) {
        int bits = 0;
        for (int k = 0; k < rows; k++) bits |= (band[k * X + x] == index) << k;
        if (bits != last) {
            MD_TRY(run(last, count, out, err));
            count = 0;
        }
        last = bits;
        count++;
    }
    MD_TRY(run(last, count, out, err));
    return md_buffer_text(out, "$", err); /* back to the left */
}

static mdlm_status bands(const uint8_t *indices, int Y, int X, md_buffer *out, mdlm_error *err) {
    for (int top = 0; top < Y; top += BAND) {
        int rows = Y - top < BAND ? Y - top : BAND;
        const uint8_t *band = indices + (size_t)top * (size_t)X;
        bool used[CUBE] = {false};
        for (int i = 0; i < rows * X; i++) used[band[i]] = true;
        for (int i = 0; i < CUBE; i++) {
            if (used[i]) MD_TRY(colour_of_band(band, rows, X, i, out, err));
        }
        MD_TRY(md_buffer_text(out, "-", err)); /* the next band */
    }
    return MDLM_OK;
}

mdlm_status md_preview_sixel(const md_picture *p, md_buffer *out, mdlm_error *err) {
    size_t X = (size_t)p->X;
    uint8_t *indices = md_alloc((size_t)p->Y, X, err);
    if (!indices) return MDLM_RUNTIME;
    for (size_t i = 0; i < (size_t)p->Y * X; i++) {
        indices[i] = mixed(p->pixels + 3 * i, (int)(i / X), (int)(i % X));
    }
    mdlm_status status = md_buffer_printf(out, err, "\033P0;1;0q\"1;1;%d;%d", p->X, p->Y);
    if (status == MDLM_OK) status = palette(out, err);
    if (status == MDLM_OK) status = bands(indices, p->Y, p->X, out, err);
    if (status == MDLM_OK) status = md_buffer_text(out, "\033\\\n", err);
    md_free(indices);
    return status;
}
