/* sampler/image_edit.c: see image_edit.h. */
#include "sampler/image_edit.h"

#include <math.h>

int md_image_edit_start(int steps, double strength) {
    const int left = (int)lrint(strength * steps);
    return steps - (left < 1 ? 1 : left > steps ? steps : left);
}

void md_image_edit_mix(const float *a, const float *b, double share, size_t size, float *out) {
    for (size_t i = 0; i < size; i++)
        out[i] = (float)((1 - share) * (double)a[i] + share * (double)b[i]);
}

bool md_image_repeats_end(const md_image_repeats *r, int step) {
    return step < r->steps && step - r->first >= r->jump && (r->steps - 1 - step) % r->jump == 0;
}

int64_t md_image_repeats_steps(const md_image_repeats *r) {
    const int taken = r->steps - r->first;
    const int64_t ends = (taken - 1) / r->jump;
    return taken + ends * (r->resamplings - 1) * r->jump;
}

md_image_noising md_image_noising_of(md_level s, md_level t) {
    /* Between steps of one level it stays as it is, also where that is noise alone. */
    const double keep = t.signal == s.signal ? 1 : t.signal / s.signal;
    return (md_image_noising){
        .keep = keep, .noise = sqrt(fmax(t.noise * t.noise - keep * keep * s.noise * s.noise, 0))};
}

double md_image_edit_seam(md_image_shape shape, const float *x, const uint8_t *repaint) {
    const int pixels = shape.Y * shape.X;
    double sum = 0;
    int64_t count = 0;
    for (int p = 0; p < pixels; p++) {
        const int right = (p + 1) % shape.X ? p + 1 : p,
                  below = p + shape.X < pixels ? p + shape.X : p;
        const int beside[] = {right, below};
        for (int n = 0; n < 2; n++) {
            if (!repaint[p] == !repaint[beside[n]]) continue;
            for (int c = 0; c < shape.C; c++, count++)
                sum += fabs((double)x[p * shape.C + c] - (double)x[beside[n] * shape.C + c]);
        }
    }
    return count ? sum / (double)count : 0;
}

double md_image_edit_distance(const float *a, const float *b, size_t size) {
    double sum = 0;
    for (size_t i = 0; i < size; i++) sum += pow((double)a[i] - (double)b[i], 2);
    return sqrt(sum / (double)size);
}
