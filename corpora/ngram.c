/* corpora/ngram.c: see ngram.h.
 *
 * Only n-grams of the full length are counted while text is read: one access to a table per byte.
 * The shorter ones follow from the different longer ones, which is what Kneser-Ney counts anyway.
 * A key holds the bytes, the last one lowest, below a bit that marks the length.
 */
#include "corpora/ngram.h"

#include <math.h>

#include "base/memory.h"
#include "corpora/counts.h"

static const double smallest_discount = 0.1, largest_discount = 0.9;

struct md_ngram {
    int order;
    size_t bytes;                            /* read so far; all counts fit 32 bits */
    uint64_t window;                         /* the last order - 1 bytes that were read */
    md_counts grams[MD_NGRAM_MAX_ORDER + 1]; /* by length; count: c(hw) */
    md_counts contexts[MD_NGRAM_MAX_ORDER];  /* by length; count: sum of c(hv), extra: N(h) */
    double discount[MD_NGRAM_MAX_ORDER + 1]; /* by length of the n-gram */
};

static uint64_t make_key(uint64_t bytes, int length) {
    uint64_t mark = (uint64_t)1 << (8 * length);
    return (bytes & (mark - 1)) | mark;
}

mdlm_status md_ngram_new(int order, md_ngram **out, mdlm_error *err) {
    MD_BUG_IF(order < 1 || order > MD_NGRAM_MAX_ORDER);
    md_ngram *m = md_alloc(1, sizeof *m, err);
    if (!m) return MDLM_RUNTIME;
    m->order = order;
    *out = m;
    return MDLM_OK;
}

void md_ngram_free(md_ngram *m) {
    if (!m) return;
    for (int k = 0; k <= MD_NGRAM_MAX_ORDER; k++) md_counts_release(&m->grams[k]);
    for (int k = 0; k < MD_NGRAM_MAX_ORDER; k++) md_counts_release(&m->contexts[k]);
    md_free(m);
}

mdlm_status md_ngram_add(md_ngram *m, const char *text, size_t size, bool last, mdlm_error *err) {
    md_counts *grams = &m->grams[m->order];
    if (size > UINT32_MAX - m->bytes) {
        return md_fail(err, MDLM_RUNTIME,
                       "the text is larger than %u bytes, which is all that can be "
                       "counted",
                       UINT32_MAX);
    }
    m->bytes += size;
    for (size_t i = 0; i < size; i++) {
        md_count *entry;
        m->window = m->window << 8 | (unsigned char)text[i];
        MD_TRY(md_counts_add(grams, make_key(m->window, m->order), &entry, err));
        entry->count++;
        if (grams->used > MD_NGRAM_MOST) {
            return md_fail(err, MDLM_RUNTIME,
                           "the text has more than %d different strings of %d bytes: expected a "
                           "smaller text or a lower order",
                           MD_NGRAM_MOST, m->order);
        }
    }
    if (last) m->window = 0;
    return MDLM_OK;
}

/* Every different n-gram of `length` is one more byte that precedes its end. */
static mdlm_status count_shorter(md_ngram *m, int length, mdlm_error *err) {
    const md_count *gram;
    for (size_t at = 0; (gram = md_counts_next(&m->grams[length], &at));) {
        md_count *entry;
        uint64_t key = make_key(gram->key, length - 1);
        MD_TRY(md_counts_add(&m->grams[length - 1], key, &entry, err));
        entry->count++;
    }
    return MDLM_OK;
}

static mdlm_status count_contexts(md_ngram *m, int length, mdlm_error *err) {
    const md_count *gram;
    for (size_t at = 0; (gram = md_counts_next(&m->grams[length], &at));) {
        md_count *context;
        MD_TRY(md_counts_add(&m->contexts[length - 1], gram->key >> 8, &context, err));
        context->count += gram->count;
        context->extra++;
    }
    return MDLM_OK;
}

static double discount_of(const md_counts *grams) {
    int64_t ones = 0, twos = 0;
    const md_count *gram;
    for (size_t at = 0; (gram = md_counts_next(grams, &at));) {
        ones += gram->count == 1;
        twos += gram->count == 2;
    }
    if (ones + twos == 0) return 0.5;
    double d = (double)ones / (double)(ones + 2 * twos);
    return fmin(fmax(d, smallest_discount), largest_discount);
}

mdlm_status md_ngram_finish(md_ngram *m, mdlm_error *err) {
    for (int length = m->order; length >= 1; length--) {
        if (length > 1) MD_TRY(count_shorter(m, length, err));
        MD_TRY(count_contexts(m, length, err));
        m->discount[length] = discount_of(&m->grams[length]);
    }
    return MDLM_OK;
}

double md_ngram_probability(const md_ngram *m, const char *context, size_t size,
                            unsigned char next) {
    double p = 1.0 / 256;
    uint64_t before = 0;
    for (int k = 0; k < m->order && (size_t)k <= size; k++) {
        if (k > 0) before |= (uint64_t)(unsigned char)context[size - (size_t)k] << (8 * (k - 1));
        const md_count *h = md_counts_find(&m->contexts[k], make_key(before, k));
        if (!h) break; /* no longer one was seen either */
        const md_count *hw = md_counts_find(&m->grams[k + 1], make_key(before << 8 | next, k + 1));
        double d = m->discount[k + 1], kept = hw ? hw->count - d : 0;
        p = (kept + d * h->extra * p) / h->count;
    }
    return p;
}

double md_ngram_nats(const md_ngram *m, const char *text, size_t size) {
    double nats = 0;
    size_t longest = (size_t)m->order - 1;
    for (size_t i = 0; i < size; i++) {
        size_t have = i < longest ? i : longest;
        nats -= log(md_ngram_probability(m, text + i - have, have, (unsigned char)text[i]));
    }
    return nats;
}
