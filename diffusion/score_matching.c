/* diffusion/score_matching.c: see score_matching.h. */
#include "diffusion/score_matching.h"

#include "base/error.h"

static int directions(const md_implicit *m) {
    return m->slices > 0 ? m->slices : m->D;
}

/* Number d of direction k of point n. */
static double direction(const md_implicit *m, int64_t n, int k, int d) {
    if (m->slices == 0) return k == d;
    return md_uniform(m->rng, (uint32_t)n, (uint32_t)(k * m->D + d)) < 0.5 ? -1 : 1;
}

int md_implicit_rows(const md_implicit *m) {
    return 1 + 2 * directions(m);
}

void md_implicit_points(const md_implicit *m, const float *x, int64_t N, float *rows) {
    MD_BUG_IF(m->D < 1 || m->slices < 0 || !(m->h > 0));
    for (int64_t n = 0; n < N; n++, x += m->D) {
        for (int d = 0; d < m->D; d++) *rows++ = x[d];
        for (int k = 0; k < directions(m); k++) {
            float *ahead = rows, *back = rows + m->D;
            for (int d = 0; d < m->D; d++) {
                const double step = m->h * direction(m, n, k, d);
                ahead[d] = (float)((double)x[d] + step);
                back[d] = (float)((double)x[d] - step);
            }
            rows += 2 * m->D;
        }
    }
}

/* |s|^2 / 2 of the first row, and the differences of the others. */
static double point_loss(const md_implicit *m, const float *score, int64_t n, double share,
                         float *gradient) {
    const int D = m->D;
    const double per_difference = (m->slices > 0 ? 1.0 / m->slices : 1) / (2 * m->h);
    double loss = 0;
    for (int d = 0; d < D; d++) {
        loss += (double)score[d] * (double)score[d] / 2;
        if (gradient) gradient[d] = (float)(share * (double)score[d]);
    }
    for (int k = 0; k < directions(m); k++) {
        const int64_t ahead = (int64_t)(1 + 2 * k) * D, back = ahead + D;
        for (int d = 0; d < D; d++) {
            const double weight = per_difference * direction(m, n, k, d);
            loss += weight * ((double)score[ahead + d] - (double)score[back + d]);
            if (!gradient) continue;
            gradient[ahead + d] = (float)(share * weight);
            gradient[back + d] = (float)(-share * weight);
        }
    }
    return loss;
}

double md_implicit_loss(const md_implicit *m, const float *score, int64_t N, float *gradient) {
    const int64_t size = (int64_t)md_implicit_rows(m) * m->D;
    const double share = 1 / (double)N;
    double sum = 0;
    for (int64_t n = 0; n < N; n++)
        sum += point_loss(m, score + n * size, n, share, gradient ? gradient + n * size : NULL);
    return sum * share;
}
