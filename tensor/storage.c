/* tensor/storage.c: see storage.h. */
#include "tensor/storage.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "numbers are read as they lie in files");

static float float_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static float float_of_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31,
                   mantissa = half & 1023;
    if (exponent == 0) {
        const float magnitude = (float)mantissa * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    const uint32_t biased = exponent == 31 ? 255 : exponent + (127 - 15);
    return float_of_bits(sign | biased << 23 | mantissa << 13);
}

/* Numbers may start at any byte, hence the copies. */
#define READ(type, convert) \
    const uint8_t *p = data; \
    for (int64_t i = 0; i < n; i++) { \
        type bits; \
        memcpy(&bits, p + (size_t)i * sizeof bits, sizeof bits); \
        out[i] = (md_real)convert; \
    }

static void read_f64(const void *data, int64_t n, md_real *out) {
    READ(double, bits)
}

static void read_f32(const void *data, int64_t n, md_real *out) {
    READ(float, bits)
}

static void read_f16(const void *data, int64_t n, md_real *out) {
    READ(uint16_t, float_of_half(bits))
}

static void read_bf16(const void *data, int64_t n, md_real *out) {
    READ(uint16_t, float_of_bits((uint32_t)bits << 16))
}

static void write_f32(const md_real *values, int64_t n, void *data) {
    uint8_t *p = data;
    for (int64_t i = 0; i < n; i++) {
        const float value = (float)values[i];
        memcpy(p + (size_t)i * sizeof value, &value, sizeof value);
    }
}

static void write_bf16(const md_real *values, int64_t n, void *data) {
    uint8_t *p = data;
    for (int64_t i = 0; i < n; i++) {
        const float value = (float)values[i];
        uint32_t u;
        memcpy(&u, &value, sizeof u);
        u = value != value ? u | 0x400000U : u + 0x7fffU + (u >> 16 & 1);
        const uint16_t bits = (uint16_t)(u >> 16);
        memcpy(p + (size_t)i * sizeof bits, &bits, sizeof bits);
    }
}

const md_storage md_storage_f64 = {.name = "f64", .block = 1, .bytes = 8, .read = read_f64};
const md_storage md_storage_f32 = {
    .name = "f32", .block = 1, .bytes = 4, .read = read_f32, .write = write_f32};
const md_storage md_storage_f16 = {.name = "f16", .block = 1, .bytes = 2, .read = read_f16};
const md_storage md_storage_bf16 = {
    .name = "bf16", .block = 1, .bytes = 2, .read = read_bf16, .write = write_bf16};
