/* corpora/matches.h: which parts of some text occur in another one, however large that is.
 *
 *     md_matches *m = NULL;
 *     MD_TRY(md_matches_new(symbols, count, &m, err));              the text that is asked about
 *     for (each piece of the reference)
 *         md_matches_read(m, piece, piece_count, last);
 *     md_matches_finish(m, lengths);
 *     md_matches_free(m);
 *
 * lengths[i] is the length of the longest run of symbols that ends at i and occurs in the
 * reference: an n-gram that ends at i is novel when n > lengths[i], and the largest length is the
 * longest span that was copied. Symbols are numbers (bytes, words); negative ones in the text
 * separate its parts and negative ones in the reference are symbols that the text does not have:
 * neither matches.
 *
 * The suffix automaton of the text (Blumer et al. 1985) runs over the reference once, in time
 * proportional to both together; the reference is not stored. Memory: about 100 bytes for each
 * symbol of the text.
 */
#ifndef MD_CORPORA_MATCHES_H
#define MD_CORPORA_MATCHES_H

#include "base/error.h"

enum { MD_MATCHES_MOST = 1 << 25 };

typedef struct md_matches md_matches;

/* Copies what it needs. MDLM_RUNTIME without memory; count may be 0 and must be at most
 * MD_MATCHES_MOST (MD_BUG_IF). */
mdlm_status md_matches_new(const int32_t *symbols, size_t count, md_matches **out, mdlm_error *err);
void md_matches_free(md_matches *m); /* accepts NULL */

/* A piece of the reference; no match goes on beyond the `last` piece of a document. */
void md_matches_read(md_matches *m, const int32_t *symbols, size_t count, bool last);
/* Fills lengths [count of md_matches_new]. Call it once, at the end. */
void md_matches_finish(md_matches *m, int32_t *lengths);

#endif
