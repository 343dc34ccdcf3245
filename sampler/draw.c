/* sampler/draw.c: see draw.h. */
#include "sampler/draw.h"

#include <math.h>

#include "base/memory.h"

struct md_drawer {
    int vocab;
    int32_t mask_id;
    double temperature, top_p;
    int top_k;
    double *weight; /* [V] proportional to p; 0 for the mask */
    int32_t *order; /* [V] a heap in front, what was popped from it behind */
};

md_drawer *md_drawer_new(int vocab, int32_t mask_id, const md_sampler_options *opt,
                         mdlm_error *err) {
    md_drawer *d = md_alloc(1, sizeof *d, err);
    if (!d) return NULL;
    *d = (md_drawer){.vocab = vocab,
                     .mask_id = mask_id,
                     .temperature = opt->temperature,
                     .top_p = opt->top_p,
                     .top_k = opt->top_k < vocab ? opt->top_k : 0};
    d->weight = md_alloc((size_t)vocab, sizeof *d->weight, err);
    d->order = d->weight ? md_alloc((size_t)vocab, sizeof *d->order, err) : NULL;
    if (d->order) return d;
    md_drawer_free(d);
    return NULL;
}

void md_drawer_free(md_drawer *d) {
    if (!d) return;
    md_free(d->weight);
    md_free(d->order);
    md_free(d);
}

/* The arg-max, the lower id of equals; -1 when the row is no distribution. */
static int32_t most_probable(const md_drawer *d, const float *logits) {
    int32_t best = -1;
    for (int32_t v = 0; v < d->vocab; v++) {
        if (v == d->mask_id) continue;
        if (isnan(logits[v])) return -1;
        if (best < 0 || logits[v] > logits[best]) best = v;
    }
    return best >= 0 && isfinite(logits[best]) ? best : -1;
}

/* Fills weight with exp((l - max) / temperature); returns the sum. */
static double weigh(md_drawer *d, const float *logits, double max, double temperature) {
    double sum = 0;
    for (int32_t v = 0; v < d->vocab; v++) {
        d->weight[v] = v == d->mask_id ? 0.0 : exp(((double)logits[v] - max) / temperature);
        sum += d->weight[v];
    }
    return sum;
}

static bool goes_first(const float *logits, int32_t a, int32_t b) {
    return logits[a] > logits[b] || (logits[a] == logits[b] && a < b);
}

static void sift_down(int32_t *heap, int size, int root, const float *logits) {
    for (;;) {
        int child = 2 * root + 1;
        if (child >= size) return;
        if (child + 1 < size && goes_first(logits, heap[child + 1], heap[child])) child++;
        if (!goes_first(logits, heap[child], heap[root])) return;
        int32_t swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

/* Leaves the weights of top-k and top-p, zeroes the others; returns the new sum. A heap, since
 * usually few of many tokens are popped. */
static double keep_most_probable(md_drawer *d, const float *logits, double sum) {
    int size = 0, most = d->top_k > 0 ? d->top_k : d->vocab, popped = 0;
    double mass = 0;
    for (int32_t v = 0; v < d->vocab; v++)
        if (v != d->mask_id) d->order[size++] = v;
    const int all = size;
    for (int i = size / 2 - 1; i >= 0; i--) sift_down(d->order, size, i, logits);
    while (size > 0 && popped < most) {
        int32_t v = d->order[0];
        d->order[0] = d->order[--size];
        d->order[size] = v;
        sift_down(d->order, size, 0, logits);
        popped++;
        mass += d->weight[v];
        if (d->top_k == 0 && mass >= d->top_p * sum) break;
    }
    for (int i = 0; i < size; i++) d->weight[d->order[i]] = 0;
    if (d->top_k == 0 || d->top_p >= 1.0) return mass;
    double kept = 0;
    for (int i = all - 1; i >= size; i--) { /* most probable first */
        if (kept >= d->top_p * mass) d->weight[d->order[i]] = 0;
        kept += d->weight[d->order[i]];
    }
    return kept;
}

/* The token at which the cumulated weight passes u * sum. */
static int32_t invert(const md_drawer *d, double sum, double u) {
    double target = u * sum, cumulated = 0;
    int32_t last = -1;
    for (int32_t v = 0; v < d->vocab; v++) {
        if (!(d->weight[v] > 0)) continue;
        cumulated += d->weight[v];
        last = v;
        if (cumulated > target) break;
    }
    return last; /* of rounding in the sum, the last one */
}

bool md_drawer_draw(md_drawer *d, const float *logits, double u, md_proposal *out) {
    int32_t token = most_probable(d, logits);
    if (token < 0) return false;
    double max = (double)logits[token], sum = weigh(d, logits, max, 1.0), plain_sum = sum;
    if (d->temperature > 0) {
        if (d->temperature != 1.0) sum = weigh(d, logits, max, d->temperature);
        if (d->top_k > 0 || d->top_p < 1.0) sum = keep_most_probable(d, logits, sum);
        token = invert(d, sum, u);
    }
    *out = (md_proposal){token, exp((double)logits[token] - max) / plain_sum};
    return true;
}
