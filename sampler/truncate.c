/* sampler/truncate.c: see truncate.h. */
#include "sampler/truncate.h"

#include <math.h>

#include "base/memory.h"

typedef struct candidate {
    float logit, weight;
    int32_t id;
} candidate;

typedef struct bin {
    double mass;
    int count;
} bin;

/* 64 bins go down to the least of the chunks' greatest logits, the others beyond; the last takes
 * what is left. */
enum { BINS = 512, BINS_OF_GREATEST = 64 };

struct md_truncation {
    bin bins[BINS];
    candidate *candidates; /* [V] */
};

md_truncation *md_truncation_new(int vocab, mdlm_error *err) {
    md_truncation *work = md_alloc(1, sizeof *work, err);
    if (!work) return NULL;
    work->candidates = md_alloc((size_t)vocab, sizeof *work->candidates, err);
    if (work->candidates) return work;
    md_free(work);
    return NULL;
}

void md_truncation_free(md_truncation *work) {
    if (!work) return;
    md_free(work->candidates);
    md_free(work);
}

static bool is_kept(const md_row *r, float logit, int32_t id) {
    return !r->cut || logit > r->cut_logit || (logit == r->cut_logit && id <= r->cut_id);
}

/* Whether nothing of chunk c is kept. */
static bool is_cut_off(const md_row *r, int c) {
    return r->cut && r->chunk[c].max < r->cut_logit;
}

/* is_kept of a whole chunk without branches, since they are hard to predict. */
static void zero_cut(const md_row *r, int32_t first, int n, const float *l, float *restrict w) {
    const float least = r->cut_logit;
    const int32_t last = r->cut_id - first;
    for (int i = 0; i < n; i++) w[i] = (l[i] > least) | ((l[i] == least) & (i <= last)) ? w[i] : 0;
}

int md_row_weights(const md_row *r, int c) {
    int32_t first = c * MD_CHUNK, ban = r->banned - first;
    int n = r->vocab - first < MD_CHUNK ? r->vocab - first : MD_CHUNK;
    const float *l = r->logits + first;
    r->kernels->chunk_weights(n, r->scale, r->max, l, r->weight);
    if (ban >= 0 && ban < n) r->weight[ban] = 0;
    if (r->cut) zero_cut(r, first, n, l, r->weight);
    return n;
}

/* Bins in a unit of logit. */
static float bin_density(const md_row *r) {
    float least = r->max;
    for (int c = 0; c < r->chunks; c++)
        if (r->chunk[c].max < least && r->chunk[c].max > -INFINITY) least = r->chunk[c].max;
    return least < r->max ? BINS_OF_GREATEST / (r->max - least) : 0.0F;
}

/* Never less for a smaller logit; the last bin for -infinity, whatever the density. */
static int bin_of(const md_row *r, float density, float logit) {
    float x = (r->max - logit) * density;
    return x < BINS - 1 ? (int)x : BINS - 1;
}

static void fill_bins(bin *bins, const md_row *r, float density) {
    for (int b = 0; b < BINS; b++) bins[b] = (bin){0};
    for (int c = 0; c < r->chunks; c++) {
        if (is_cut_off(r, c)) continue;
        int32_t first = c * MD_CHUNK;
        int n = md_row_weights(r, c);
        for (int i = 0; i < n; i++) {
            float logit = r->logits[first + i];
            if (first + i == r->banned || !is_kept(r, logit, first + i)) continue;
            bin *b = &bins[bin_of(r, density, logit)];
            b->mass += (double)r->weight[i];
            b->count++;
        }
    }
}

/* The tokens of one bin. */
static int collect(const md_row *r, float density, int b, candidate *out) {
    int count = 0;
    for (int c = 0; c < r->chunks; c++) {
        if (is_cut_off(r, c) || bin_of(r, density, r->chunk[c].max) > b) continue;
        int32_t first = c * MD_CHUNK;
        int n = md_row_weights(r, c);
        for (int i = 0; i < n; i++) {
            float logit = r->logits[first + i];
            if (first + i == r->banned || bin_of(r, density, logit) != b) continue;
            if (is_kept(r, logit, first + i))
                out[count++] = (candidate){logit, r->weight[i], first + i};
        }
    }
    return count;
}

static double mass(const candidate *c, int count) {
    double sum = 0;
    for (int i = 0; i < count; i++) sum += (double)c[i].weight;
    return sum;
}

static bool goes_first(const candidate *a, const candidate *b) {
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

/* Hoare's partition of at least two: [lo, m) all go before [m, hi), and neither is empty. */
static int split(candidate *c, int lo, int hi) {
    const candidate pivot = c[lo + (hi - lo - 1) / 2];
    for (int i = lo, j = hi - 1;; i++, j--) {
        while (goes_first(&c[i], &pivot)) i++;
        while (goes_first(&pivot, &c[j])) j--;
        if (i >= j) return j + 1;
        candidate swap = c[i];
        c[i] = c[j];
        c[j] = swap;
    }
}

/* Moves to the front the fewest first tokens that are `most` or that hold `share` (all, if there is
 * not so much), the last of them to the end of those; returns how many they are. */
static int select_first(candidate *c, int count, int most, double share) {
    double before = 0; /* [0, lo) is not enough, [0, hi) is */
    int lo = 0, hi = count;
    while (hi - lo > 1) {
        int m = split(c, lo, hi);
        double upper = before + mass(c + lo, m - lo);
        if (m >= most || upper >= share) {
            hi = m;
        } else {
            lo = m;
            before = upper;
        }
    }
    return hi;
}

/* Cuts after the fewest first tokens that are `most` or that hold `share`; nowhere when that takes
 * all. */
static void cut(md_truncation *work, md_row *r, int most, double share) {
    float density = bin_density(r);
    bin before = {0};
    int b = 0;
    fill_bins(work->bins, r, density);
    for (; b < BINS; b++) {
        const bin *next = &work->bins[b];
        if (next->count == 0) continue;
        if (before.count + next->count >= most || before.mass + next->mass >= share) break;
        before.count += next->count;
        before.mass += next->mass;
    }
    if (b == BINS) return;
    int count = collect(r, density, b, work->candidates);
    count = select_first(work->candidates, count, most - before.count, share - before.mass);
    r->cut = true;
    r->cut_logit = work->candidates[count - 1].logit;
    r->cut_id = work->candidates[count - 1].id;
}

/* Of what is kept; in four parts, since a sum in one waits for each addition. */
static double chunk_sum(const md_row *r, int c) {
    if (is_cut_off(r, c)) return 0;
    double part[4] = {0};
    int n = md_row_weights(r, c);
    for (int i = n; i % 4 != 0; i++) r->weight[i] = 0;
    for (int i = 0; i < n; i += 4)
        for (int k = 0; k < 4; k++) part[k] += (double)r->weight[i + k];
    return (part[0] + part[1]) + (part[2] + part[3]);
}

static double add_up_chunks(md_row *r) {
    double sum = 0;
    for (int c = 0; c < r->chunks; c++) sum += r->chunk[c].sum = chunk_sum(r, c);
    return sum;
}

double md_truncate(md_truncation *work, md_row *r, double sum, int top_k, double top_p) {
    if (top_k > 0) {
        cut(work, r, top_k, INFINITY);
        sum = add_up_chunks(r);
    }
    if (top_p < 1) {
        cut(work, r, r->vocab, top_p * sum);
        sum = add_up_chunks(r);
    }
    return sum;
}
