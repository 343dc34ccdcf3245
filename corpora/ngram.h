/* corpora/ngram.h: a byte-level n-gram model, to say how likely text is without a network.
 *
 *     md_ngram *m = NULL;
 *     MD_TRY(md_ngram_new(6, &m, err));
 *     MD_TRY(md_ngram_add(m, text, size, true, err));        a document; more may follow
 *     MD_TRY(md_ngram_finish(m, err));                       from here on it is read-only
 *     double nats = md_ngram_nats(m, sample, sample_size);
 *     md_ngram_free(m);
 *
 * Interpolated Kneser-Ney (Kneser and Ney 1995; Chen and Goodman 1999, section 2.7). With h a
 * context of k bytes, h' the same without its first byte, and w the next byte,
 *
 *     p(w | h) = (max(c(hw) - D, 0) + D N(h) p(w | h')) / sum over v of c(hv)
 *
 * where N(h) counts the bytes v with c(hv) > 0, and the shortest context falls back on 1/256 for
 * each byte. c counts occurrences when hw has `order` bytes; below, it counts the different bytes
 * that precede hw, since the longer counts are used wherever they exist. One discount for each
 * length, D = n1 / (n1 + 2 n2) with n1 and n2 the number of n-grams that count 1 and 2, kept within
 * [0.1, 0.9]. The probabilities of the 256 bytes sum to one after any context, and none is 0.
 *
 * A document begins with nothing before it, which counts as NUL bytes. A text that is scored is
 * taken to begin anywhere: its first bytes have shorter contexts.
 *
 * Memory: about 30 bytes for each different n-gram of any length up to `order`, of which there may
 * be MD_NGRAM_MOST of one length: English has some 10 million of six bytes in 100 MB.
 */
#ifndef MD_CORPORA_NGRAM_H
#define MD_CORPORA_NGRAM_H

#include "base/error.h"

enum { MD_NGRAM_MAX_ORDER = 7, MD_NGRAM_MOST = 25000000 };

typedef struct md_ngram md_ngram;

mdlm_status md_ngram_new(int order, md_ngram **out, mdlm_error *err); /* 1 .. MD_NGRAM_MAX_ORDER */
void md_ngram_free(md_ngram *m);                                      /* accepts NULL */

/* Counts a piece of a document; `last` says that it ends there. MDLM_RUNTIME when there are more
 * than MD_NGRAM_MOST different n-grams, or 4 GiB of text. */
mdlm_status md_ngram_add(md_ngram *m, const char *text, size_t size, bool last, mdlm_error *err);
/* Derives the shorter n-grams, contexts and discounts: once, after the last piece. */
mdlm_status md_ngram_finish(md_ngram *m, mdlm_error *err);

/* p(next | the last order - 1 bytes of the context, or fewer). */
double md_ngram_probability(const md_ngram *m, const char *context, size_t size,
                            unsigned char next);
/* -log p of a text, nats. */
double md_ngram_nats(const md_ngram *m, const char *text, size_t size);

#endif
