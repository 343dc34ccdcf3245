/* tokenizer/fitting.h: which tokens fit where on a canvas whose text must match an expression.
 *
 *     md_fitting *f = NULL;
 *     MD_TRY(md_fitting_new(automaton, mask_id, first, length, &f, err));
 *     MD_TRY(md_fitting_explain(f, ids, err));            an error that says why nothing fits
 *     md_fitting_begin(f, ids);                           false: nothing fits
 *     for (position...) {                                 ascending, masked in ids
 *         md_fitting_allow(f, position, allowed);         [vocab]
 *         md_fitting_fix(f, position, token);             one of the allowed
 *     }
 *     md_fitting_free(f);
 *
 * The tokens from position `first` on, decoded, match the expression from end to end; end-of-text
 * may pad them. Masks become drawable tokens, set tokens are what they are.
 *
 *   B(length) = states that accept,  B(i) = states from which what position i may hold leads to
 *   B(i+1)                                                  what lies to the right still fits
 *   F(first) = {start},              F(i+1) = states of B(i+1) that F(i) leads to
 *   token v fits position i  iff  it leads from F(i) into B(i+1)
 *
 * Exact: what is allowed is a part of some canvas that matches, and nothing else is left out.
 */
#ifndef MD_TOKENIZER_FITTING_H
#define MD_TOKENIZER_FITTING_H

#include "tokenizer/automaton.h"

typedef struct md_fitting md_fitting;

/* The automaton must outlive it. Canvases have `length` ids below the automaton's vocabulary. NULL
 * is never stored on success; caller frees *out. One thread at a time. */
mdlm_status md_fitting_new(const md_automaton *a, int32_t mask_id, int first, int length,
                           md_fitting **out, mdlm_error *err);
void md_fitting_free(md_fitting *f); /* accepts NULL */

/* Takes over the canvas ids [length]; only what changed since the last call is computed again. */
bool md_fitting_begin(md_fitting *f, const int32_t *ids);
void md_fitting_allow(md_fitting *f, int position, uint8_t *allowed);
void md_fitting_fix(md_fitting *f, int position, int32_t token);

/* MDLM_OK when something fits. Else MDLM_USAGE: the given tokens contradict the expression, or
 * there are too few masks (then how many it takes, where they are in one place), or no text has
 * just this many tokens. */
mdlm_status md_fitting_explain(md_fitting *f, const int32_t *ids, mdlm_error *err);

#endif
