/* corpora/quality.c: see quality.h. */
#include "corpora/quality.h"

#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/quality_internal.h"

md_quality_options md_quality_defaults(void) {
    return (md_quality_options){.order = 6};
}

static double share(int64_t part, int64_t whole) {
    return whole > 0 ? (double)part / (double)whole : NAN;
}

/* --- frequencies ------------------------------------------------------------------------------ */

/* Bits; NaN for no symbols. */
static double entropy(const int64_t *counts, size_t kinds) {
    int64_t total = 0;
    double sum = 0;
    for (size_t i = 0; i < kinds; i++) total += counts[i];
    for (size_t i = 0; i < kinds; i++) {
        double p = share(counts[i], total);
        if (counts[i] > 0) sum -= p * log2(p);
    }
    return total > 0 ? sum : NAN;
}

/* Texts first .. end - 1 of an index. */
typedef struct range {
    const md_quality_index *index;
    size_t first, end;
} range;

static size_t text_size(const md_symbols *s, size_t i) {
    return s->at[i + 1] - s->at[i] - 1;
}

static mdlm_status measure_entropy(range r, md_quality *q, mdlm_error *err) {
    const md_symbols *bytes = &r.index->units[MD_UNIT_BYTES];
    const md_symbols *words = &r.index->units[MD_UNIT_WORDS];
    int64_t all[256] = {0};
    double sum = 0;
    int64_t *by_word = md_alloc((size_t)r.index->words, sizeof *by_word, err);
    if (!by_word) return MDLM_RUNTIME;
    for (size_t i = r.first; i < r.end; i++) {
        int64_t own[256] = {0};
        size_t size = text_size(bytes, i);
        for (size_t j = 0; j < size; j++) own[bytes->data[bytes->at[i] + j]]++;
        for (int b = 0; b < 256; b++) all[b] += own[b];
        if (size > 0) sum += entropy(own, 256);
        for (size_t j = 0; j < text_size(words, i); j++) by_word[words->data[words->at[i] + j]]++;
        q->words += (int64_t)text_size(words, i);
        q->bytes += (int64_t)size;
        q->empty += size == 0;
        q->texts++;
    }
    q->entropy_byte = entropy(all, 256);
    q->entropy_word = entropy(by_word, (size_t)r.index->words);
    q->entropy_text = q->texts > q->empty ? sum / (double)(q->texts - q->empty) : NAN;
    md_free(by_word);
    return MDLM_OK;
}

/* Of the n-grams of words, the share that is different: in all texts together, or, `apart`, each
 * within its text. */
static mdlm_status distinct_share(range r, size_t n, bool apart, double *out, mdlm_error *err) {
    const md_symbols *words = &r.index->units[MD_UNIT_WORDS];
    md_counts seen = {0};
    int64_t total = 0;
    mdlm_status status = MDLM_OK;
    for (size_t i = r.first; i < r.end; i++) {
        for (size_t j = 0; j + n <= text_size(words, i); j++) {
            md_count *entry;
            const int32_t *gram = words->data + words->at[i] + j;
            uint64_t key = md_hash(gram, n * sizeof *gram, apart ? i + 1 : 0);
            MD_GOTO(done, status, md_counts_add(&seen, key, &entry, err));
            total++;
        }
    }
    *out = share((int64_t)seen.used, total);
done:
    md_counts_release(&seen);
    return status;
}

/* --- what the reference has ------------------------------------------------------------------- */

/* novel[n] for n = 2 .. MD_NOVELTY, and the longest match with its end. */
static int64_t measure_novelty(range r, int unit, double *novel, size_t *text, size_t *end) {
    const md_symbols *s = &r.index->units[unit];
    int64_t total[MD_NOVELTY + 1] = {0}, missing[MD_NOVELTY + 1] = {0}, longest = 0;
    for (size_t i = r.first; i < r.end; i++) {
        for (size_t j = 0; j < text_size(s, i); j++) {
            int32_t match = s->matches[s->at[i] + j];
            for (int n = 2; n <= MD_NOVELTY && (size_t)n <= j + 1; n++) {
                total[n]++;
                missing[n] += match < n;
            }
            if (match <= longest) continue;
            longest = match;
            *text = i - r.first;
            *end = j + 1;
        }
    }
    for (int n = 2; n <= MD_NOVELTY; n++) novel[n] = share(missing[n], total[n]);
    return longest;
}

static double measure_validity(range r) {
    const md_symbols *words = &r.index->units[MD_UNIT_WORDS];
    int64_t valid = 0, total = 0;
    for (size_t i = r.first; i < r.end; i++) {
        for (size_t j = 0; j < text_size(words, i); j++) {
            valid += words->matches[words->at[i] + j] > 0;
            total++;
        }
    }
    return share(valid, total);
}

static mdlm_status measure(range r, md_quality *q, mdlm_error *err) {
    MD_TRY(measure_entropy(r, q, err));
    for (size_t n = 1; n <= MD_DISTINCT; n++)
        MD_TRY(distinct_share(r, n, false, &q->distinct[n - 1], err));
    MD_TRY(distinct_share(r, 4, true, &q->repetition, err));
    q->repetition = 1 - q->repetition;
    size_t text, end = 0;
    q->copied_words = measure_novelty(r, MD_UNIT_WORDS, q->novel_words, &text, &end);
    q->copied_bytes = measure_novelty(r, MD_UNIT_BYTES, q->novel_bytes, &q->copied_text, &end);
    q->copied_at = q->copied_bytes > 0 ? end - (size_t)q->copied_bytes : 0;
    q->word_validity = measure_validity(r);
    return MDLM_OK;
}

/* --- likelihood ------------------------------------------------------------------------------- */

/* Of a ratio of means over texts: sums of x = nats, n = bytes. */
typedef struct ratio {
    int64_t count;
    double x, n, xx, xn, nn;
} ratio;

static void add_likelihood(ratio *sum, const md_ngram *m, const char *text, size_t size) {
    double x = md_ngram_nats(m, text, size), n = (double)size;
    if (size == 0) return;
    sum->count++;
    sum->x += x, sum->n += n;
    sum->xx += x * x, sum->xn += x * n, sum->nn += n * n;
}

static void finish_likelihood(const ratio *sum, md_quality *q) {
    double mean = sum->count > 0 ? sum->x / sum->n : NAN, k = (double)sum->count;
    double squares = sum->xx - 2 * mean * sum->xn + mean * mean * sum->nn;
    q->nats_per_byte = mean;
    q->stderr_nats = sum->count > 1 ? sqrt(fmax(squares, 0) * k / (k - 1)) / sum->n : NAN;
    q->bits_per_byte = mean / log(2);
    q->perplexity = exp(mean);
}

/* --- all of it -------------------------------------------------------------------------------- */

typedef struct job {
    md_buffer held_out;
    bool between;     /* a document of the held-out text has ended */
    md_samples texts; /* the samples, then the held-out texts */
    md_quality_index index;
    md_ngram *ngram;
} job;

static mdlm_status hold_out(void *user, const char *text, size_t size, bool last, mdlm_error *err) {
    job *j = user;
    if (size > 0 && j->held_out.size < MD_QUALITY_HELD_OUT) {
        if (j->between) MD_TRY(md_buffer_text(&j->held_out, "\n", err));
        size_t room = MD_QUALITY_HELD_OUT - j->held_out.size;
        MD_TRY(md_buffer_append(&j->held_out, text, size < room ? size : room, err));
        j->between = false;
    }
    if (last && j->held_out.size > 0) j->between = true;
    return MDLM_OK;
}

/* The samples, and held-out texts of their lengths with even gaps between them. */
static mdlm_status gather(job *j, const md_samples *samples, mdlm_error *err) {
    size_t used = 0, size, fitting = 0;
    for (size_t i = 0; i < samples->count; i++) {
        const char *text = md_sample(samples, i, &size);
        MD_TRY(md_samples_add(&j->texts, text, size, err));
    }
    for (; fitting < samples->count; fitting++, used += size) {
        (void)md_sample(samples, fitting, &size);
        if (size > j->held_out.size - used) break;
    }
    size_t spare = j->held_out.size - used, at = 0;
    for (size_t i = 0; i < fitting; i++) {
        (void)md_sample(samples, i, &size);
        const char *text = j->held_out.data ? j->held_out.data + at + spare / fitting * i : "";
        MD_TRY(md_samples_add(&j->texts, text, size, err));
        at += size;
    }
    return MDLM_OK;
}

static void measure_likelihoods(const job *j, const md_samples *samples, md_quality_report *r) {
    ratio sum = {0}, floor = {0};
    size_t size;
    for (size_t i = 0; i < samples->count; i++) {
        const char *text = md_sample(samples, i, &size);
        add_likelihood(&sum, j->ngram, text, size);
    }
    finish_likelihood(&sum, &r->samples);
    size_t length = sum.count > 0 ? samples->text.size / (size_t)sum.count : j->held_out.size;
    for (size_t at = 0; at < j->held_out.size; at += size) {
        size_t left = j->held_out.size - at;
        size = left < length ? left : length;
        add_likelihood(&floor, j->ngram, j->held_out.data + at, size);
    }
    finish_likelihood(&floor, &r->held_out);
}

mdlm_status md_quality_measure(const md_samples *samples, md_reference *ref,
                               const md_quality_options *opt, md_quality_report *out,
                               mdlm_error *err) {
    if (samples->count == 0) return md_fail(err, MDLM_INPUT, "there are no samples");
    job j = {0};
    md_quality_report r = {0};
    mdlm_status status;
    MD_GOTO(done, status, md_ngram_new(opt->order, &j.ngram, err));
    MD_GOTO(done, status, md_reference_read(ref, MD_PART_VAL, hold_out, &j, err));
    MD_GOTO(done, status, gather(&j, samples, err));
    MD_GOTO(done, status, md_quality_index_build(&j.index, &j.texts, err));
    MD_GOTO(done, status, md_quality_index_read(&j.index, ref, j.ngram, &r.reference_bytes, err));
    if (r.reference_bytes == 0) {
        status = md_fail(err, MDLM_INPUT, "the reference has no text but what is held out");
        goto done;
    }
    MD_GOTO(done, status, md_ngram_finish(j.ngram, err));
    range own = {&j.index, 0, samples->count}, other = {&j.index, own.end, j.texts.count};
    MD_GOTO(done, status, measure(own, &r.samples, err));
    MD_GOTO(done, status, measure(other, &r.held_out, err));
    measure_likelihoods(&j, samples, &r);
    r.held_out_bytes = (int64_t)j.held_out.size;
    *out = r;
done:
    md_quality_index_release(&j.index);
    md_ngram_free(j.ngram);
    md_samples_release(&j.texts);
    md_buffer_release(&j.held_out);
    return status;
}
