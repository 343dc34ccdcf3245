/* tensor/storage_blocks.c: GGUF's types, whose blocks share scales; see storage.h. */
#include <string.h>

#include "tensor/kernels/q8.h"
#include "tensor/storage.h"

enum { Q8_BYTES = 34, K_BLOCK = 256, Q4_K_BYTES = 144, Q6_K_BYTES = 210 };

static float load_f16(const uint8_t *p) {
    md_real value;
    md_storage_f16.read(p, 1, &value);
    return (float)value;
}

/* x >= 0 that a half holds exactly, or NaN. */
static void store_f16(float x, uint8_t *p) {
    uint16_t half;
    if (x != x) {
        half = 0x7e00;
    } else if (x < 0x1p-14F) {
        half = (uint16_t)(x * 0x1p24F);
    } else {
        uint32_t u;
        memcpy(&u, &x, sizeof u);
        half = (uint16_t)((u >> 13) - ((127 - 15) << 10));
    }
    memcpy(p, &half, sizeof half);
}

static void read_q8_0_block(const uint8_t *p, md_real *out) {
    const float d = load_f16(p);
    for (int i = 0; i < MD_Q8_BLOCK; i++) out[i] = (md_real)(d * (float)(int8_t)p[2 + i]);
}

static void write_q8_0_block(const md_real *values, uint8_t *p) {
    float x[MD_Q8_BLOCK];
    int8_t q[MD_Q8_BLOCK];
    for (int i = 0; i < MD_Q8_BLOCK; i++) x[i] = (float)values[i];
    store_f16(md_q8_weights(x, q), p);
    memcpy(p + 2, q, sizeof q);
}

/* The scale s and the minimum m of 32 numbers, 6 bits each: those of 0..3 in the low bits of bytes
 * 0..3 and 4..7; of those of 4..7 four bits are in bytes 8..11, two in the others' high bits. */
static void unpack_q4_K(const uint8_t p[12], int group, float *s, float *m) {
    if (group < 4) {
        *s = (float)(p[group] & 63);
        *m = (float)(p[group + 4] & 63);
    } else {
        *s = (float)((p[group + 4] & 15) | (p[group - 4] >> 6) << 4);
        *m = (float)(p[group + 4] >> 4 | (p[group] >> 6) << 4);
    }
}

/* 32 bytes hold 64 numbers: 32 in their low bits, the next 32 in their high ones. */
static void read_q4_K_block(const uint8_t *p, md_real *out) {
    const float d = load_f16(p), dmin = load_f16(p + 2);
    for (int group = 0; group < 8; group++) {
        const uint8_t *q = p + 16 + group / 2 * 32;
        float s, m;
        unpack_q4_K(p + 4, group, &s, &m);
        const float scale = d * s, minimum = dmin * m;
        for (int i = 0; i < 32; i++) {
            const int quant = q[i] >> group % 2 * 4 & 15;
            out[group * 32 + i] = (md_real)(scale * (float)quant - minimum);
        }
    }
}

/* Of each half of the block, 4 x 32 numbers: the low bits of the first two runs of 32 are in the
 * low halves of 64 bytes, of the last two in their high ones; a byte of high bits serves one number
 * of each run. */
static void read_q6_K_block(const uint8_t *p, md_real *out) {
    const float d = load_f16(p + 208);
    for (int run = 0; run < 8; run++) {
        const int half = run / 4, quarter = run % 4;
        const uint8_t *low = p + half * 64 + quarter % 2 * 32, *high = p + 128 + half * 32;
        for (int i = 0; i < 32; i++) {
            const int quant = (low[i] >> quarter / 2 * 4 & 15) | (high[i] >> quarter * 2 & 3) << 4;
            const float scale = d * (float)(int8_t)p[192 + run * 2 + i / 16];
            out[run * 32 + i] = (md_real)(scale * (float)(quant - 32));
        }
    }
}

static void read_q8_0(const void *data, int64_t n, md_real *out) {
    const uint8_t *p = data;
    for (int64_t i = 0; i < n; i += MD_Q8_BLOCK, p += Q8_BYTES) read_q8_0_block(p, out + i);
}

static void write_q8_0(const md_real *values, int64_t n, void *data) {
    uint8_t *p = data;
    for (int64_t i = 0; i < n; i += MD_Q8_BLOCK, p += Q8_BYTES) write_q8_0_block(values + i, p);
}

static void read_q4_K(const void *data, int64_t n, md_real *out) {
    const uint8_t *p = data;
    for (int64_t i = 0; i < n; i += K_BLOCK, p += Q4_K_BYTES) read_q4_K_block(p, out + i);
}

static void read_q6_K(const void *data, int64_t n, md_real *out) {
    const uint8_t *p = data;
    for (int64_t i = 0; i < n; i += K_BLOCK, p += Q6_K_BYTES) read_q6_K_block(p, out + i);
}

const md_storage md_storage_q8_0 = {.name = "q8_0",
                                    .block = MD_Q8_BLOCK,
                                    .bytes = Q8_BYTES,
                                    .read = read_q8_0,
                                    .write = write_q8_0};
const md_storage md_storage_q4_K = {
    .name = "q4_K", .block = K_BLOCK, .bytes = Q4_K_BYTES, .read = read_q4_K};
const md_storage md_storage_q6_K = {
    .name = "q6_K", .block = K_BLOCK, .bytes = Q6_K_BYTES, .read = read_q6_K};
