/* tensor/conv_border.c: images with zeros around them, line by line. */
#include <string.h>

#include "tensor/conv_internal.h"

static size_t number_size(const md_kernels *k) {
    return k ? sizeof(float) / (size_t)k->conv_unit : sizeof(md_real);
}

static void put(const md_kernels *k, const md_real *from, int64_t count, char *to) {
    if (k && k->round_rows) {
        k->round_rows(1, (int)count, from, (int)count, to);
    } else {
        memcpy(to, from, (size_t)count * sizeof *from);
    }
}

/* Line `y` of the source, scaled, behind `left` zeros; what is left of `width` is zero. */
static void fill_line(const md_kernels *k, const md_border_source *s, int y, md_bordered *b,
                      char *to) {
    int64_t C = s->C, room = b->width - s->left, whole = (int64_t)s->X * s->scale;
    int64_t pixels = whole < room ? whole : room;
    size_t pixel = (size_t)C * b->size;
    if (y < 0 || y >= s->Y * s->scale) {
        memset(to, 0, (size_t)b->line * b->size);
        return;
    }
    const md_real *from = s->image + (int64_t)(y / s->scale) * s->X * C;
    memset(to, 0, (size_t)s->left * pixel);
    to += (size_t)s->left * pixel;
    if (s->scale == 1) {
        put(k, from, pixels * C, to);
    } else {
        for (int64_t x = 0; x < pixels; x++) {
            if (x % 2 == 0) put(k, from + x / 2 * C, C, to + (size_t)x * pixel);
            if (x % 2 == 1) memcpy(to + (size_t)x * pixel, to + (size_t)(x - 1) * pixel, pixel);
        }
    }
    memset(to + (size_t)pixels * pixel, 0, (size_t)(room - pixels) * pixel);
}

void md_bordered_fill(const md_kernels *k, const md_border_source *s, int first, md_bordered *b) {
    for (int l = 0; l < b->lines; l++) {
        int y = first + l - s->top;
        char *to = b->data + (size_t)(l * b->line) * b->size;
        bool again = l > 0 && s->scale == 2 && y % 2 == 1; /* as the line above */
        if (again) {
            memcpy(to, to - (size_t)b->line * b->size, (size_t)b->line * b->size);
        } else {
            fill_line(k, s, y, b, to);
        }
    }
}

md_bordered md_bordered_at(const md_kernels *k, int lines, int width, int channels, void *data) {
    return (md_bordered){.lines = lines,
                         .width = width,
                         .channels = channels,
                         .data = data,
                         .line = (int64_t)width * channels,
                         .size = number_size(k)};
}
