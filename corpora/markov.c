/* corpora/markov.c: text whose likelihood is known exactly. */
#include <math.h>

#include "base/rng.h"
#include "corpora/generators.h"

enum { N = MD_MARKOV_SYMBOLS, CHAIN_STEP = 0, TEXT_STEP = 1, MAX_POWERS = 100000 };
static const double concentration = 0.3, floor_probability = 1e-4;

static md_rng stream(uint64_t seed, uint64_t step) {
    return (md_rng){.seed = seed, .stream = MD_STREAM_CORPUS, .step = step};
}

/* Gamma(shape < 1) by Marsaglia and Tsang (2000): draw Gamma(shape + 1), then multiply by
 * U^(1/shape). `cell` is the place of the draw. */
static double gamma_draw(md_rng rng, uint32_t cell, double shape) {
    double d = shape + 1 - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (uint32_t attempt = 0;; attempt++) {
        double x = md_normal(rng, cell, 3 * attempt), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        double u = md_uniform(rng, cell, 3 * attempt + 1);
        if (log(u) >= 0.5 * x * x + d - d * v + d * log(v)) continue;
        return d * v * pow(md_uniform(rng, cell, 3 * attempt + 2), 1 / shape);
    }
}

/* start = lim start * next^k. Every entry of `next` is positive, so the limit exists and is unique;
 * it stops when a step changes nothing that a double can see. */
static void find_stationary(md_markov *chain) {
    for (int j = 0; j < N; j++) chain->start[j] = 1.0 / N;
    for (int k = 0; k < MAX_POWERS; k++) {
        double after[N] = {0}, total = 0, change = 0;
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) after[j] += chain->start[i] * chain->next[i][j];
        for (int j = 0; j < N; j++) total += after[j];
        for (int j = 0; j < N; j++) {
            after[j] /= total;
            change = fmax(change, fabs(after[j] - chain->start[j]));
            chain->start[j] = after[j];
        }
        if (change < 1e-16) return;
    }
}

void md_markov_init(md_markov *chain, uint64_t seed) {
    md_rng rng = stream(seed, CHAIN_STEP);
    for (int i = 0; i < N; i++) {
        double draws[N], total = 0;
        for (int j = 0; j < N; j++) {
            draws[j] = gamma_draw(rng, (uint32_t)(i * N + j), concentration);
            total += draws[j];
        }
        /* A mixture with the uniform distribution keeps every probability above the floor. */
        for (int j = 0; j < N; j++)
            chain->next[i][j] = floor_probability + (1 - N * floor_probability) * draws[j] / total;
    }
    find_stationary(chain);
}

double md_markov_entropy_rate(const md_markov *chain) {
    double rate = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            rate -= chain->start[i] * chain->next[i][j] * log(chain->next[i][j]);
    return rate;
}

/* The symbol at which the cumulative probability passes u. */
static int pick(const double *probability, double u) {
    for (int j = 0; j < N - 1; j++) {
        u -= probability[j];
        if (u < 0) return j;
    }
    return N - 1;
}

mdlm_status md_markov_text(const md_markov *chain, uint64_t seed, int64_t bytes, md_buffer *out,
                           mdlm_error *err) {
    md_rng rng = stream(seed, TEXT_STEP);
    const double *from = chain->start;
    char chunk[4096];
    size_t used = 0;
    for (int64_t t = 0; t < bytes; t++) {
        int symbol = pick(from, md_uniform(rng, (uint32_t)(t >> 32), (uint32_t)t));
        from = chain->next[symbol];
        chunk[used++] = (char)('a' + symbol);
        if (used < sizeof chunk && t + 1 < bytes) continue;
        MD_TRY(md_buffer_append(out, chunk, used, err));
        used = 0;
    }
    return MDLM_OK;
}

mdlm_status md_markov_nll(const md_markov *chain, const char *text, size_t bytes, double *nats,
                          mdlm_error *err) {
    const double *from = chain->start;
    double total = 0;
    while (bytes > 0 && text[bytes - 1] == '\n') bytes--;
    for (size_t t = 0; t < bytes; t++) {
        int symbol = text[t] - 'a';
        if (symbol < 0 || symbol >= N) {
            return md_fail(err, MDLM_INPUT, "byte %zu (value %d) is none of the letters a to p", t,
                           (unsigned char)text[t]);
        }
        total -= log(from[symbol]);
        from = chain->next[symbol];
    }
    *nats = total;
    return MDLM_OK;
}
