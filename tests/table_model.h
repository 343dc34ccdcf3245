/* tests/table_model.h: a denoiser small enough to enumerate, and the statistics to judge samples.
 *
 * Vocabulary 3 plus the mask (id 3), 4 positions. Each of the 4^4 canvases has its own distribution
 * at every position, pseudo-random and derived from no joint law, so the order in which tokens are
 * filled matters. The mask's logit is the largest of all: code that forgets SUBS is caught. A
 * canvas is coded base 4, position 0 first.
 */
#ifndef TESTS_TABLE_MODEL_H
#define TESTS_TABLE_MODEL_H

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tensor/denoiser.h"

enum { TABLE_V = 3, TABLE_MASK = 3, TABLE_T = 4, TABLE_CANVASES = 256 };

typedef struct table_model {
    float logits[TABLE_CANVASES][TABLE_T][TABLE_V + 1];
    int calls;                /* of predict */
    int canvases;             /* asked for, in all calls */
    int rows;                 /* asked for, in all calls */
    int largest;              /* canvases in one call */
    int idle;                 /* canvases without a wanted row, and wanted rows that are visible */
    int seen[TABLE_CANVASES]; /* how often each canvas was asked for */
    float poison;             /* added to every logit: NaN makes a broken network */
} table_model;

static inline int table_code(const int32_t *ids) {
    int code = 0;
    for (int j = 0; j < TABLE_T; j++) code = code * 4 + ids[j];
    return code;
}

static inline void table_canvas(int code, int32_t *ids) {
    for (int j = TABLE_T - 1; j >= 0; j--, code /= 4) ids[j] = code % 4;
}

static inline mdlm_status table_predict(void *context, const int32_t *ids, int B, int T,
                                        const int32_t *rows, int count, float *logits,
                                        mdlm_error *err) {
    table_model *m = context;
    (void)err;
    MD_BUG_IF(T != TABLE_T);
    m->calls++;
    m->canvases += B;
    m->rows += count;
    if (B > m->largest) m->largest = B;
    for (int b = 0, r = 0; b < B; b++) {
        int before = r;
        for (; r < count && rows[r] / T == b; r++) {
            if (ids[rows[r]] != TABLE_MASK) m->idle++;
            if (r > 0 && rows[r] <= rows[r - 1]) m->idle++;
        }
        if (r == before) m->idle++;
        m->seen[table_code(ids + (size_t)b * TABLE_T)]++;
    }
    for (int r = 0; r < count; r++) {
        const float *row = m->logits[table_code(ids + rows[r] / T * T)][rows[r] % T];
        for (int v = 0; v <= TABLE_V; v++) logits[r * (TABLE_V + 1) + v] = row[v] + m->poison;
    }
    return MDLM_OK;
}

static inline void table_init(table_model *m) {
    md_rng rng = {.seed = 20240229, .stream = MD_STREAM_CORPUS};
    memset(m, 0, sizeof *m);
    for (uint32_t c = 0; c < TABLE_CANVASES; c++)
        for (uint32_t n = 0; n < TABLE_T * (TABLE_V + 1); n++) {
            uint32_t v = n % (TABLE_V + 1);
            m->logits[c][n / (TABLE_V + 1)][v] =
                v == TABLE_MASK ? 5.0F : (float)(1.3 * md_normal(rng, c, n));
        }
}

static inline md_denoiser table_denoiser(table_model *m) {
    return (md_denoiser){
        .context = m, .vocab = TABLE_V + 1, .mask_id = TABLE_MASK, .predict = table_predict};
}

/* p(v | canvas) at position j, computed on its own here. */
static inline double table_p(const table_model *m, int code, int j, int v) {
    double sum = 0;
    for (int w = 0; w < TABLE_V; w++) sum += exp((double)m->logits[code][j][w]);
    return exp((double)m->logits[code][j][v]) / sum;
}

/* The canvas that the blocks before position `first` and the noise of [first, end) make, what comes
 * after being masked: all that a model of blocks sees there. */
static inline int table_block_code(const int32_t *clean, const int32_t *noisy, int first, int end) {
    int32_t canvas[TABLE_T];
    for (int j = 0; j < TABLE_T; j++)
        canvas[j] = j < first ? clean[j] : j < end ? noisy[j] : TABLE_MASK;
    return table_code(canvas);
}

/* The likelihood bound of one block [first, end), exactly: the integral over p of
 * (1/p) p^l (1-p)^(L-l) for a set of l masked out of L open tokens is B(l, L-l+1) = (l-1)! (L-l)! /
 * L!. With keep[j] position j is always visible; NULL: none. A block that ends before the canvas
 * does not see what follows. */
static inline double table_bound(const table_model *m, const int32_t *ids, const uint8_t *keep,
                                 int first, int end) {
    double sum = 0;
    int open = 0;
    for (int j = first; j < end; j++) open += !(keep && keep[j]);
    for (int set = 1; set < 1 << TABLE_T; set++) {
        int32_t noisy[TABLE_T];
        int l = 0;
        bool allowed = true;
        double loss = 0;
        for (int j = 0; j < TABLE_T; j++) {
            bool masked = set >> j & 1;
            noisy[j] = masked ? TABLE_MASK : ids[j];
            l += masked;
            allowed = allowed && !(masked && (j < first || j >= end || (keep && keep[j])));
        }
        if (!allowed) continue;
        int code = table_block_code(ids, noisy, first, end);
        for (int j = 0; j < TABLE_T; j++)
            if (set >> j & 1) loss -= log(table_p(m, code, j, ids[j]));
        sum += loss * exp(lgamma(l) + lgamma(open - l + 1) - lgamma(open + 1));
    }
    return sum;
}

/* Upper tail of the chi-square law: Q(dof/2, x/2), by series or by continued fraction (Numerical
 * Recipes 6.2). */
static inline double chi_square_tail(double x, int dof) {
    double a = 0.5 * dof, y = 0.5 * x, front = 0;
    if (x <= 0) return 1;
    front = exp(-y + a * log(y) - lgamma(a));
    if (y < a + 1) {
        double term = 1 / a, sum = term;
        for (int n = 1; n < 10000 && term > 1e-17 * sum; n++) sum += term *= y / (a + n);
        return 1 - front * sum;
    }
    double b = y + 1 - a, c = 1e300, d = 1 / b, h = d;
    for (int n = 1; n < 10000; n++) {
        double an = -n * (n - a);
        b += 2;
        d = 1 / (an * d + b);
        c = b + an / c;
        h *= d * c;
        if (fabs(d * c - 1) < 1e-15) break;
    }
    return front * h;
}

/* p-value of Pearson's test of counts against probabilities. Cells that expect fewer than 5 are
 * pooled; an observation where the law has none is impossible: 0. */
static inline double chi_square_test(const int *observed, const double *law, int cells) {
    double n = 0, x = 0, pool_expected = 0, pool_observed = 0;
    int dof = -1;
    for (int i = 0; i < cells; i++) n += observed[i];
    for (int i = 0; i < cells; i++) {
        double expected = n * law[i];
        if (law[i] <= 0 && observed[i] > 0) return 0;
        if (expected < 5) {
            pool_expected += expected, pool_observed += observed[i];
            continue;
        }
        x += (observed[i] - expected) * (observed[i] - expected) / expected;
        dof++;
    }
    if (pool_expected > 0) {
        double gap = pool_observed - pool_expected;
        x += gap * gap / fmax(pool_expected, 1);
        dof++;
    }
    return chi_square_tail(x, dof);
}

#endif
