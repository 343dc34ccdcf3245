/* corpora/reference.h: a text in two parts that can be read again and again, to compare with.
 *
 *     md_reference *ref = NULL;
 *     MD_TRY(md_reference_files(paths, count, 0.1, &ref, err));
 *     MD_TRY(md_reference_read(ref, MD_PART_TRAIN, add, user, err));   add(user, piece, size, last,
 * err) md_reference_free(ref);
 *
 * Files are split exactly as md_corpus_pack would (corpora/corpus.h), so the parts are those that a
 * training on them had. A packed corpus is decoded. Nothing is held in memory but a piece.
 */
#ifndef MD_CORPORA_REFERENCE_H
#define MD_CORPORA_REFERENCE_H

#include "corpora/corpus.h"

typedef struct md_reference md_reference;

/* Reads the files once, to know the split: a `val_fraction` in [0, 1) is validation. Errors are
 * those of md_corpus_pack. */
mdlm_status md_reference_files(const char *const *paths, size_t count, double val_fraction,
                               md_reference **out, mdlm_error *err);
/* A packed folder and the tokenizer it was packed with: MDLM_INPUT for another. The tokenizer must
 * outlive the reference. */
mdlm_status md_reference_packed(const char *folder, const md_tokenizer *tok, md_reference **out,
                                mdlm_error *err);
void md_reference_free(md_reference *ref); /* accepts NULL */

/* Calls `fn` with the pieces of a part, in order; what it returns but MDLM_OK ends the call. `last`
 * says that a document ends with the piece; the last piece of a document may be empty. */
typedef mdlm_status (*md_reference_fn)(void *user, const char *text, size_t size, bool last,
                                       mdlm_error *err);
mdlm_status md_reference_read(md_reference *ref, md_part part, md_reference_fn fn, void *user,
                              mdlm_error *err);

#endif
