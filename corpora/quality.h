/* corpora/quality.h: what can be said about samples without a model, beside the same of real text.
 *
 *     md_quality_report report;
 *     md_quality_options opt = md_quality_defaults();
 *     MD_TRY(md_quality_measure(&samples, ref, &opt, &report, err));
 *     printf("%.3f against %.3f\n", report.samples.nats_per_byte, report.held_out.nats_per_byte);
 *
 * The reference is read in two parts. Its training part is what samples are compared with. Its
 * validation part (the held-out text) is measured like samples, cut into texts as long as they are
 * and as many as fit, evenly spread: that is what these figures are for text as good as the
 * reference's, and it depends on the amount and length of texts, as the samples' do. A value that
 * nothing was there to measure is NaN.
 *
 * Memory: about 100 bytes for each byte of the samples, twice; the reference's n-grams
 * (corpora/ngram.h); up to MD_QUALITY_HELD_OUT bytes of held-out text. Time: linear in both.
 */
#ifndef MD_CORPORA_QUALITY_H
#define MD_CORPORA_QUALITY_H

#include "corpora/reference.h"
#include "corpora/samples.h"

enum {
    MD_DISTINCT = 4,              /* distinct-1 .. distinct-4 */
    MD_NOVELTY = 8,               /* n-grams of up to 8 */
    MD_QUALITY_HELD_OUT = 1 << 22 /* bytes of held-out text that are used */
};

/* Words are those of corpora/words.h, without the first and the last of each text where they touch
 * its ends, since they may be cut. N-grams lie within one text. */
typedef struct md_quality {
    int64_t texts, empty, bytes, words;

    /* Entropy of the frequencies of bytes and of words over all texts, and of bytes within a text,
     * averaged over texts (Zheng et al. 2024: a sampler that narrows its distribution has a low
     * perplexity and a low entropy). Plug-in estimates, which grow with the amount of text. Bits.
     */
    double entropy_byte, entropy_word, entropy_text;

    /* Share of the n-grams of words that are different ones, n = 1 .. 4 (Li et al. 2016). */
    double distinct[MD_DISTINCT];
    /* Share of the 4-grams of words that occurred in the same text before (Welleck et al. 2020). */
    double repetition;

    /* Share of the n-grams that do not occur in the reference; [n], n from 2 on. */
    double novel_bytes[MD_NOVELTY + 1], novel_words[MD_NOVELTY + 1];
    /* Share of the words that occur in the reference. */
    double word_validity;
    /* Longest span that occurs in the reference, and where the one in bytes is. */
    int64_t copied_bytes, copied_words;
    size_t copied_text, copied_at;

    /* -log p under an n-gram model of the reference (corpora/ngram.h), with its standard error over
     * texts (of a ratio of means; NaN for fewer than two). Perplexity is exp(nats_per_byte). */
    double nats_per_byte, stderr_nats, bits_per_byte, perplexity;
} md_quality;

typedef struct md_quality_options {
    int order; /* of the n-gram model, in bytes: 1 .. MD_NGRAM_MAX_ORDER */
} md_quality_options;
md_quality_options md_quality_defaults(void); /* 6 */

typedef struct md_quality_report {
    md_quality samples, held_out;
    int64_t reference_bytes; /* of the training part */
    int64_t held_out_bytes;  /* of the validation part, at most MD_QUALITY_HELD_OUT */
} md_quality_report;

/* MDLM_INPUT when there are no samples, or the reference has no training part; errors of reading
 * and of md_ngram_add. `out` is untouched on failure. The likelihood of held-out text is that of
 * all of it, in texts of the samples' mean length. */
mdlm_status md_quality_measure(const md_samples *samples, md_reference *ref,
                               const md_quality_options *opt, md_quality_report *out,
                               mdlm_error *err);

#endif
