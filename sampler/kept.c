/* sampler/kept.c: see kept.h. */
#include "sampler/kept.h"

#include <string.h>

#include "base/memory.h"

typedef struct kept_sample {
    int count;
    int32_t *positions; /* [count] */
    float *logits;      /* [count, V] */
} kept_sample;

struct md_kept {
    int samples, vocab;
    int64_t room; /* numbers that may still be kept */
    kept_sample *sample;
};

md_kept *md_kept_new(int samples, int vocab, int64_t limit, mdlm_error *err) {
    md_kept *kept = md_alloc(1, sizeof *kept, err);
    if (!kept) return NULL;
    *kept = (md_kept){.samples = samples, .vocab = vocab, .room = limit};
    kept->sample = md_alloc((size_t)samples, sizeof *kept->sample, err);
    if (kept->sample) return kept;
    md_free(kept);
    return NULL;
}

static void forget(md_kept *kept, int k) {
    kept_sample *s = &kept->sample[k];
    kept->room += (int64_t)s->count * kept->vocab;
    md_free(s->positions);
    md_free(s->logits);
    *s = (kept_sample){0};
}

void md_kept_free(md_kept *kept) {
    if (!kept) return;
    for (int k = 0; k < kept->samples; k++) forget(kept, k);
    md_free(kept->sample);
    md_free(kept);
}

/* Rows first .. first+count-1 of the query. */
static void keep(md_kept *kept, int k, const md_query *q, int first, int count) {
    size_t V = (size_t)kept->vocab, n = (size_t)count;
    kept_sample s = {.count = count};
    mdlm_error ignored;
    forget(kept, k);
    if ((int64_t)count * kept->vocab > kept->room) return;
    s.positions = md_alloc(n, sizeof *s.positions, &ignored);
    s.logits = md_alloc(n * V, sizeof *s.logits, &ignored);
    if (!s.positions || !s.logits) {
        md_free(s.positions);
        md_free(s.logits);
        return;
    }
    for (int i = 0; i < count; i++) s.positions[i] = q->rows[first + i] % q->T;
    memcpy(s.logits, q->logits + (size_t)first * V, n * V * sizeof *s.logits);
    kept->room -= (int64_t)count * kept->vocab;
    kept->sample[k] = s;
}

void md_kept_update(md_kept *kept, const md_query *q, const uint8_t *changed) {
    for (int k = 0; k < kept->samples; k++)
        if (changed[k]) forget(kept, k);
    for (int canvas = 0, first = 0, end = 0; canvas < q->canvases; canvas++, first = end) {
        int k = (int)q->tag[canvas];
        while (end < q->count && q->rows[end] / q->T == canvas) end++;
        if (!changed[k]) keep(kept, k, q, first, end - first);
    }
}

const float *md_kept_row(const md_kept *kept, int k, int32_t position) {
    const kept_sample *s = &kept->sample[k];
    for (int i = 0; i < s->count; i++)
        if (s->positions[i] == position) return s->logits + (size_t)i * (size_t)kept->vocab;
    return NULL;
}
