/* diffusion/gaussian_predict.c: see gaussian_predict.h. */
#include "diffusion/gaussian_predict.h"

#include <math.h>
#include <string.h>

enum { BUCKETS = 1 << 11 };

md_edm md_edm_scales(double sigma, double sigma_data) {
    double sum = sigma * sigma + sigma_data * sigma_data;
    return (md_edm){.skip = sigma_data * sigma_data / sum,
                    .out = sigma * sigma_data / sqrt(sum),
                    .in = 1 / sqrt(sum),
                    .noise = log(sigma) / 4};
}

/* --- readings -------------------------------------------------------------------------------- */

/* x0 of an output. */
static md_reading read_image(const md_gaussian *p, md_level at, md_prediction_kind from) {
    double a = at.signal, b = at.noise;
    bool of_noise = from == MD_PREDICTS_NOISE || from == MD_PREDICTS_SCORE;
    MD_BUG_IF(of_noise && a == 0);
    if (from == MD_PREDICTS_IMAGE) return (md_reading){.x = 0, .out = 1};
    if (from == MD_PREDICTS_NOISE) return (md_reading){.x = 1 / a, .out = -b / a};
    if (from == MD_PREDICTS_SCORE) return (md_reading){.x = 1 / a, .out = b * b / a};
    switch (p->opt.process) {
    case MD_PROCESS_VP: return (md_reading){.x = a, .out = -b};
    case MD_PROCESS_FLOW: return (md_reading){.x = 1, .out = b};
    case MD_PROCESS_VE: break;
    }
    md_edm edm = md_edm_scales(b, MD_EDM_SIGMA_DATA);
    return (md_reading){.x = edm.skip, .out = edm.out};
}

md_reading md_prediction_read(const md_gaussian *p, md_level at, md_prediction_kind from,
                              md_prediction_kind to) {
    if (from == to) return (md_reading){.x = 0, .out = 1};
    if (from == MD_PREDICTS_NOISE && to == MD_PREDICTS_SCORE)
        return (md_reading){.x = 0, .out = -1 / at.noise};
    if (from == MD_PREDICTS_SCORE && to == MD_PREDICTS_NOISE)
        return (md_reading){.x = 0, .out = -at.noise};
    md_reading image = read_image(p, at, from);
    if (to == MD_PREDICTS_IMAGE) return image;
    if (to == MD_PREDICTS_VELOCITY) { /* image = own.x * x + own.out * v */
        md_reading own = read_image(p, at, MD_PREDICTS_VELOCITY);
        MD_BUG_IF(own.out == 0);
        return (md_reading){.x = (image.x - own.x) / own.out, .out = image.out / own.out};
    }
    MD_BUG_IF(at.noise == 0);
    md_reading noise = {.x = (1 - at.signal * image.x) / at.noise,
                        .out = -at.signal * image.out / at.noise};
    if (to == MD_PREDICTS_NOISE) return noise;
    return (md_reading){.x = -noise.x / at.noise, .out = -noise.out / at.noise};
}

void md_reading_apply(md_reading how, const float *x, const float *out, int64_t count,
                      float *result) {
    if (how.x == 0 && how.out == 1) {
        if (result != out) memcpy(result, out, (size_t)count * sizeof *result);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        result[i] = (float)(how.x * (double)x[i] + how.out * (double)out[i]);
}

void md_prediction_split(const float *out, int64_t pixels, int C, float *prediction, float *said) {
    for (int64_t k = 0; k < pixels; k++) {
        for (int c = 0; c < C; c++) {
            prediction[k * C + c] = out[2 * k * C + c];
            said[k * C + c] = out[2 * k * C + C + c];
        }
    }
}

/* --- clipping -------------------------------------------------------------------------------- */

static uint32_t bits_of(float x) {
    uint32_t bits;
    float size = fabsf(x);
    memcpy(&bits, &size, sizeof bits);
    return bits;
}

static float float_of(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* The `rank`-th smallest |x|, from 0. Floats from 0 up are in the order of their bits, so three
 * counts of 11, 11 and 9 of them find it, in a time that no order of the numbers can spoil. */
static float order_statistic(const float *x, int64_t count, int64_t rank) {
    static const int shifts[] = {20, 9, 0}, widths[] = {11, 11, 9};
    uint32_t prefix = 0;
    for (int pass = 0; pass < 3; pass++) {
        int64_t counts[BUCKETS] = {0};
        uint32_t mask = (1U << widths[pass]) - 1, bucket = 0;
        int above = shifts[pass] + widths[pass];
        for (int64_t i = 0; i < count; i++) {
            uint32_t bits = bits_of(x[i]);
            if ((bits >> above) == (prefix >> above)) counts[bits >> shifts[pass] & mask]++;
        }
        while (rank >= counts[bucket]) rank -= counts[bucket++];
        prefix |= bucket << shifts[pass];
    }
    return float_of(prefix);
}

static double quantile(const float *x, int64_t count, double q) {
    double place = q * (double)(count - 1);
    int64_t rank = (int64_t)place;
    double low = (double)order_statistic(x, count, rank);
    if ((double)rank == place) return low;
    double high = (double)order_statistic(x, count, rank + 1);
    return low + (place - (double)rank) * (high - low);
}

void md_clip_x0_apply(const md_clip_x0 *clip, float *x0, int64_t count) {
    if (!clip->on || count == 0) return;
    MD_BUG_IF(clip->quantile > 0 && !(clip->quantile <= 1 && clip->most >= 1));
    double s =
        clip->quantile > 0 ? fmin(fmax(quantile(x0, count, clip->quantile), 1), clip->most) : 1;
    float bound = (float)s;
    for (int64_t i = 0; i < count; i++) {
        float x = x0[i] < -bound ? -bound : x0[i] > bound ? bound : x0[i]; /* NaN stays */
        x0[i] = x / bound;
    }
}

void md_guess(const md_gaussian *p, md_level at, const md_clip_x0 *clip, const float *x,
              const float *prediction, int64_t count, float *x0, float *eps) {
    md_prediction_kind kind = p->opt.prediction;
    md_reading_apply(md_prediction_read(p, at, kind, MD_PREDICTS_IMAGE), x, prediction, count, x0);
    if (clip->on) {
        md_clip_x0_apply(clip, x0, count);
        prediction = x0;
        kind = MD_PREDICTS_IMAGE;
    }
    md_reading_apply(md_prediction_read(p, at, kind, MD_PREDICTS_NOISE), x, prediction, count, eps);
}
