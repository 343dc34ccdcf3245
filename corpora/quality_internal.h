/* corpora/quality_internal.h: texts as numbers, and how much of them the reference has.
 *
 *     quality_index.c    texts -> bytes and words as symbols; the reference read against them
 *     quality.c          symbols and matches -> the report
 */
#ifndef MD_CORPORA_QUALITY_INTERNAL_H
#define MD_CORPORA_QUALITY_INTERNAL_H

#include "corpora/counts.h"
#include "corpora/matches.h"
#include "corpora/ngram.h"
#include "corpora/quality.h"

enum { MD_UNIT_BYTES, MD_UNIT_WORDS, MD_UNITS };

/* All texts in one kind of unit: text i is symbols[at[i]] .. symbols[at[i + 1] - 2], then comes a
 * separator (-1). */
typedef struct md_symbols {
    int32_t *data;
    size_t count, capacity;
    size_t *at;       /* [texts + 1] */
    int32_t *matches; /* [count] as corpora/matches.h has them, once the reference was read */
} md_symbols;

typedef struct md_quality_index { /* init with {0} */
    size_t texts;
    md_symbols units[MD_UNITS];
    md_counts vocabulary; /* hash of a word to its number + 1 */
    int32_t words;        /* different ones */
} md_quality_index;

mdlm_status md_quality_index_build(md_quality_index *index, const md_samples *texts,
                                   mdlm_error *err);
/* Reads the training part of the reference: fills the matches, and counts n-grams (not finished).
 */
mdlm_status md_quality_index_read(md_quality_index *index, md_reference *ref, md_ngram *ngram,
                                  int64_t *bytes, mdlm_error *err);
void md_quality_index_release(md_quality_index *index);

#endif
