/* corpora/encode_png.c: PNG (ISO/IEC 15948) and its animations (the APNG extension) over zlib.
 *
 *     signature  IHDR  [acTL]  IDAT  {fcTL  fdAT}  IEND
 *
 * libpng cannot write animations; what both need is little, so both are written here, with or
 * without libpng. A chunk is its length, its type, its data, and the CRC-32 of type and data;
 * numbers are big-endian. The data of an image are its rows, each after the number of a filter,
 * deflated.
 */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/picture.h"

enum { FILTERS = 5, LEVEL = 6, HEADER_BYTES = 13, CONTROL_BYTES = 26, SEQUENCE_BYTES = 4 };

static void put32(uint8_t *out, uint32_t value) {
    for (int i = 0; i < 4; i++) out[i] = (uint8_t)(value >> (24 - 8 * i));
}

static mdlm_status chunk(md_buffer *out, const char *type, const void *data, size_t size,
                         mdlm_error *err) {
    uint8_t word[4];
    put32(word, (uint32_t)size);
    MD_TRY(md_buffer_append(out, word, 4, err));
    MD_TRY(md_buffer_append(out, type, 4, err));
    MD_TRY(md_buffer_append(out, data, size, err));
    uLong crc = crc32(0, (const Bytef *)type, 4);
    if (size > 0) crc = crc32(crc, data, (uInt)size);
    put32(word, (uint32_t)crc);
    return md_buffer_append(out, word, 4, err);
}

static uint8_t paeth(int left, int up, int corner) {
    int a = abs(up - corner), b = abs(left - corner), c = abs(left + up - 2 * corner);
    return (uint8_t)(a <= b && a <= c ? left : b <= c ? up : corner);
}

/* What filter number `filter` predicts from the bytes left, above, and above left. */
static uint8_t predict(int filter, int left, int up, int corner) {
    switch (filter) {
    case 1: return (uint8_t)left;
    case 2: return (uint8_t)up;
    case 3: return (uint8_t)((left + up) / 2);
    case 4: return paeth(left, up, corner);
    default: return 0;
    }
}

/* One row after its filter; returns the sum of absolute differences, which should be small. */
static uint64_t filter_row(const md_picture *p, int y, int filter, uint8_t *out) {
    size_t C = (size_t)p->C, bytes = (size_t)p->X * C;
    const uint8_t *row = p->pixels + (size_t)y * bytes, *above = y > 0 ? row - bytes : NULL;
    uint64_t sum = 0;
    *out++ = (uint8_t)filter;
    for (size_t i = 0; i < bytes; i++) {
        int left = i >= C ? row[i - C] : 0, up = above ? above[i] : 0;
        int corner = above && i >= C ? above[i - C] : 0;
        out[i] = (uint8_t)(row[i] - predict(filter, left, up, corner));
        sum += (uint64_t)abs((int8_t)out[i]);
    }
    return sum;
}

/* All rows, each with the filter that the standard's heuristic chooses (12.8): the least sum. */
static void filter_rows(const md_picture *p, uint8_t *out) {
    size_t bytes = (size_t)p->X * (size_t)p->C + 1;
    for (int y = 0; y < p->Y; y++, out += bytes) {
        int best = 0;
        uint64_t least = UINT64_MAX;
        for (int filter = 0; filter < FILTERS; filter++) {
            uint64_t sum = filter_row(p, y, filter, out);
            if (sum < least) least = sum, best = filter;
        }
        filter_row(p, y, best, out);
    }
}

/* The data of an image, after `before` zeroed bytes for the caller. Caller frees *out. */
static mdlm_status compress_image(const md_picture *p, size_t before, uint8_t **out, size_t *size,
                                  mdlm_error *err) {
    size_t raw_size = ((size_t)p->X * (size_t)p->C + 1) * (size_t)p->Y;
    uLongf bound = compressBound(raw_size);
    uint8_t *raw = md_alloc(raw_size, 1, err);
    uint8_t *data = raw ? md_alloc(before + bound, 1, err) : NULL;
    mdlm_status status = data ? MDLM_OK : MDLM_RUNTIME;
    if (data) {
        filter_rows(p, raw);
        if (compress2(data + before, &bound, raw, raw_size, LEVEL) != Z_OK) {
            status = md_fail(err, MDLM_RUNTIME, "out of memory: cannot compress an image");
        }
    }
    md_free(raw);
    if (status == MDLM_OK) {
        *out = data, data = NULL;
        *size = before + bound;
    }
    md_free(data);
    return status;
}

static mdlm_status begin(const md_picture *p, md_buffer *out, mdlm_error *err) {
    static const uint8_t colour_types[] = {0, 0, 4, 2, 6}; /* of C channels */
    uint8_t header[HEADER_BYTES] = {[8] = 8 /* bits */, [9] = colour_types[p->C]};
    put32(header, (uint32_t)p->X);
    put32(header + 4, (uint32_t)p->Y);
    MD_TRY(md_buffer_append(out, "\x89PNG\r\n\x1a\n", 8, err));
    return chunk(out, "IHDR", header, sizeof header, err);
}

static mdlm_status image_data(const md_picture *p, md_buffer *out, mdlm_error *err) {
    uint8_t *data = NULL;
    size_t size = 0;
    MD_TRY(compress_image(p, 0, &data, &size, err));
    mdlm_status status = chunk(out, "IDAT", data, size, err);
    md_free(data);
    return status;
}

mdlm_status md_picture_png(const md_picture *p, md_buffer *out, mdlm_error *err) {
    MD_TRY(begin(p, out, err));
    MD_TRY(image_data(p, out, err));
    return chunk(out, "IEND", NULL, 0, err);
}

mdlm_status md_picture_save(const md_picture *p, const char *path, mdlm_error *err) {
    md_buffer png = {0};
    mdlm_status status = md_picture_png(p, &png, err);
    if (status == MDLM_OK) status = md_file_write(path, png.data, png.size, err);
    md_buffer_release(&png);
    return status;
}

/* Frame control and frame data, with sequence numbers 2 i and 2 i + 1. */
static mdlm_status frame(const md_picture *p, int i, int milliseconds, md_buffer *out,
                         mdlm_error *err) {
    uint8_t control[CONTROL_BYTES] = {0}, *data = NULL; /* at (0, 0), over what was there */
    size_t size = 0;
    put32(control, (uint32_t)(2 * i));
    put32(control + 4, (uint32_t)p->X);
    put32(control + 8, (uint32_t)p->Y);
    put32(control + 20, (uint32_t)milliseconds << 16 | 1000); /* a fraction of two 16-bit numbers */
    MD_TRY(chunk(out, "fcTL", control, sizeof control, err));
    MD_TRY(compress_image(p, SEQUENCE_BYTES, &data, &size, err));
    put32(data, (uint32_t)(2 * i + 1));
    mdlm_status status = chunk(out, "fdAT", data, size, err);
    md_free(data);
    return status;
}

static mdlm_status animate(const md_picture *frames, int count, int milliseconds, int hold,
                           md_buffer *out, mdlm_error *err) {
    uint8_t control[8] = {0}; /* number of frames; plays: 0, for ever */
    put32(control, (uint32_t)count);
    MD_TRY(begin(frames, out, err));
    MD_TRY(chunk(out, "acTL", control, sizeof control, err));
    MD_TRY(image_data(&frames[count - 1], out, err));
    for (int i = 0; i < count; i++) {
        MD_TRY(frame(&frames[i], i, i + 1 < count ? milliseconds : hold, out, err));
    }
    return chunk(out, "IEND", NULL, 0, err);
}

mdlm_status md_picture_save_animation(const md_picture *frames, int count, int milliseconds,
                                      int hold, const char *path, mdlm_error *err) {
    MD_BUG_IF(count < 1 || milliseconds < 0 || hold < 0 || milliseconds > 65535 || hold > 65535);
    for (int i = 1; i < count; i++) {
        MD_BUG_IF(frames[i].Y != frames->Y || frames[i].X != frames->X || frames[i].C != frames->C);
    }
    md_buffer png = {0};
    mdlm_status status = animate(frames, count, milliseconds, hold, &png, err);
    if (status == MDLM_OK) status = md_file_write(path, png.data, png.size, err);
    md_buffer_release(&png);
    return status;
}
