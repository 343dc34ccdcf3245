/* corpora/picture.c: memory, channels and numbers of pictures; see picture.h. */
#include "corpora/picture.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

mdlm_status md_picture_init(md_picture *p, int Y, int X, int C, mdlm_error *err) {
    MD_BUG_IF(Y < 1 || X < 1 || C < 1 || C > 4);
    size_t row = (size_t)X * (size_t)C; /* X is an int: no overflow in 64 bits */
    uint8_t *pixels = md_alloc((size_t)Y, row, err);
    if (!pixels) return MDLM_RUNTIME;
    *p = (md_picture){.Y = Y, .X = X, .C = C, .pixels = pixels};
    return MDLM_OK;
}

void md_picture_release(md_picture *p) {
    md_free(p->pixels);
    *p = (md_picture){0};
}

/* One pixel of C channels as red, green, blue, alpha. */
static void spread(const uint8_t *pixel, int C, uint8_t rgba[4]) {
    bool grey = C <= 2;
    for (int c = 0; c < 3; c++) rgba[c] = pixel[grey ? 0 : c];
    rgba[3] = C == 2 ? pixel[1] : C == 4 ? pixel[3] : 255;
}

static uint8_t on_white(unsigned value, unsigned alpha) {
    return (uint8_t)((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

static void gather(const uint8_t rgba[4], int channels, uint8_t *out) {
    if (channels == 4) {
        memcpy(out, rgba, 4);
        return;
    }
    uint8_t rgb[3];
    for (int c = 0; c < 3; c++) rgb[c] = on_white(rgba[c], rgba[3]);
    if (channels == 3)
        memcpy(out, rgb, 3);
    else
        out[0] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
}

mdlm_status md_picture_convert(md_picture *p, int channels, mdlm_error *err) {
    MD_BUG_IF(channels != 1 && channels != 3 && channels != 4);
    if (p->C == channels) return MDLM_OK;
    md_picture out = {0};
    MD_TRY(md_picture_init(&out, p->Y, p->X, channels, err));
    size_t count = (size_t)p->Y * (size_t)p->X;
    for (size_t i = 0; i < count; i++) {
        uint8_t rgba[4];
        spread(p->pixels + i * (size_t)p->C, p->C, rgba);
        gather(rgba, channels, out.pixels + i * (size_t)channels);
    }
    md_picture_release(p);
    *p = out;
    return MDLM_OK;
}

void md_pixels_to_floats(const uint8_t *bytes, size_t count, float *out) {
    for (size_t i = 0; i < count; i++) out[i] = (float)bytes[i] / 127.5F - 1;
}

void md_pixels_from_floats(const float *values, size_t count, uint8_t *out) {
    for (size_t i = 0; i < count; i++) {
        /* fmaxf and fminf give the number where the other is NaN. */
        out[i] = (uint8_t)lrintf(fminf(fmaxf((values[i] + 1) * 127.5F, 0), 255));
    }
}
