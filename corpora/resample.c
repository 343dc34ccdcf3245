/* corpora/resample.c: see resample.h. */
#include "corpora/resample.h"

#include <math.h>

void md_shrink(const float *x, md_images_shape s, int factor, float *out) {
    MD_BUG_IF(factor < 1 || s.Y % factor != 0 || s.X % factor != 0);
    const double share = 1.0 / factor / factor;
    for (int y = 0; y < s.Y; y += factor)
        for (int column = 0; column < s.X; column += factor)
            for (int c = 0; c < s.C; c++) {
                double sum = 0;
                for (int i = 0; i < factor * factor; i++) {
                    const size_t row = (size_t)(y + i / factor);
                    sum += (double)
                        x[(row * (size_t)s.X + (size_t)(column + i % factor)) * (size_t)s.C +
                          (size_t)c];
                }
                *out++ = (float)(sum * share);
            }
}

/* --- larger ----------------------------------------------------------------------------------- */

enum { TAPS = 4 };

/* Where a new pixel lies between four old ones: from `first` on, some perhaps outside. */
typedef struct taps {
    int first;
    double weight[TAPS];
} taps;

/* Keys 1981, eq. 15. */
static double cubic(double d) {
    d = fabs(d);
    if (d < 1) return (1.5 * d - 2.5) * d * d + 1;
    if (d < 2) return ((-0.5 * d + 2.5) * d - 4) * d + 2;
    return 0;
}

/* Of new pixel i, among `count` old ones. */
static taps find_taps(int i, int factor, int count) {
    const double centre = (i + 0.5) / factor - 0.5;
    taps t = {.first = (int)floor(centre) - 1};
    double sum = 0;
    for (int k = 0; k < TAPS; k++) {
        const bool inside = t.first + k >= 0 && t.first + k < count;
        t.weight[k] = inside ? cubic(centre - (t.first + k)) : 0;
        sum += t.weight[k];
    }
    for (int k = 0; k < TAPS; k++) t.weight[k] /= sum;
    return t;
}

static double interpolate(const float *x, md_images_shape s, const taps *ty, const taps *tx,
                          int c) {
    double sum = 0;
    for (int k = 0; k < TAPS * TAPS; k++) {
        const double weight = ty->weight[k / TAPS] * tx->weight[k % TAPS];
        const int y = ty->first + k / TAPS, column = tx->first + k % TAPS;
        if (weight == 0) continue; /* perhaps outside */
        sum += weight *
               (double)x[((size_t)y * (size_t)s.X + (size_t)column) * (size_t)s.C + (size_t)c];
    }
    return sum;
}

void md_enlarge(const float *x, md_images_shape s, int factor, float *out) {
    MD_BUG_IF(factor < 1);
    for (int y = 0; y < s.Y * factor; y++) {
        const taps ty = find_taps(y, factor, s.Y);
        for (int column = 0; column < s.X * factor; column++) {
            const taps tx = find_taps(column, factor, s.X);
            for (int c = 0; c < s.C; c++) *out++ = (float)interpolate(x, s, &ty, &tx, c);
        }
    }
}

double md_psnr(const float *x, const float *truth, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        const double apart = fmin(fmax((double)x[i], -1), 1) - (double)truth[i];
        sum += apart * apart;
    }
    return fmin(10 * log10(4 * (double)count / sum), 100);
}
