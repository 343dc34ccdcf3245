/* corpora/generators.h: text made by a program.
 *
 * tales      short stories from a grammar: simple English that a small model learns in minutes.
 * markov     an order-1 Markov source over 16 letters, whose entropy rate is known exactly, so that
 *            an evaluation can be checked against the truth.
 * questions  sums with their answers, as lines of JSON for fine-tuning: all distinct, so that a
 *            model can be asked what it was not taught.
 */
#ifndef MD_CORPORA_GENERATORS_H
#define MD_CORPORA_GENERATORS_H

#include "base/buffer.h"

/* Appends at least `bytes` bytes of tales (it stops at the end of a tale), a blank line between
 * two. The same seed gives the same text. */
mdlm_status md_tales(uint64_t seed, int64_t bytes, md_buffer *out, mdlm_error *err);

enum { MD_MARKOV_SYMBOLS = 16 }; /* the letters a..p */

typedef struct md_markov {
    double start[MD_MARKOV_SYMBOLS];                   /* stationary distribution */
    double next[MD_MARKOV_SYMBOLS][MD_MARKOV_SYMBOLS]; /* [from][to], rows sum to 1 */
} md_markov;

/* A random chain, rows drawn from a Dirichlet(0.3) with `seed`; every probability at least 1e-4. */
void md_markov_init(md_markov *chain, uint64_t seed);
double md_markov_entropy_rate(const md_markov *chain); /* nats per symbol */
/* Appends `bytes` symbols. */
mdlm_status md_markov_text(const md_markov *chain, uint64_t seed, int64_t bytes, md_buffer *out,
                           mdlm_error *err);
/* -log p of a text under the chain, nats in total; line feeds at the end are skipped. MDLM_INPUT
 * names the first byte that is not a symbol. */
mdlm_status md_markov_nll(const md_markov *chain, const char *text, size_t bytes, double *nats,
                          mdlm_error *err);

/* "What is 47 + 38?" for all pairs of two-digit numbers, each once, in an order drawn from the
 * seed. Questions of different numbers are different, so those from `count` on were not among the
 * first `count`. */
enum { MD_QUESTIONS = 90 * 90 };
/* Appends questions first .. first + count - 1 as lines {"prompt": ..., "response": ...}.
 * MDLM_USAGE when there are not so many. */
mdlm_status md_questions(uint64_t seed, int64_t first, int64_t count, md_buffer *out,
                         mdlm_error *err);

#endif
