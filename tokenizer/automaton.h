/* tokenizer/automaton.h: a regular expression as an automaton over a tokenizer's ids.
 *
 *     md_automaton *a = NULL;
 *     MD_TRY(md_automaton_new(tok, "\\d+", 3, allowed, vocab, &a, err));
 *     md_automaton_free(a);
 *
 * A state of the expression (tokenizer/regex.h) and a token lead where the token's bytes lead. One
 * more state, "ended", is where end-of-text leads from every state that accepts, and from itself;
 * so end-of-text pads a text that is shorter than its canvas, and nothing else follows it. Other
 * special tokens, and ids that the tokenizer does not have, lead nowhere.
 *
 * Tokens that lead from every state to the same place form a class: an expression tells few classes
 * apart, so the moves of classes take the place of a table of states times vocabulary.
 */
#ifndef MD_TOKENIZER_AUTOMATON_H
#define MD_TOKENIZER_AUTOMATON_H

#include "tokenizer/tokenizer.h"

typedef struct md_move {
    int16_t from, to;
} md_move;

/* Sets of states are bit sets of `words` words. */
typedef struct md_automaton {
    int states, words, vocab;
    int32_t *class_of; /* [vocab]; class 0 has no moves */
    uint8_t *drawable; /* [vocab] 1: may be drawn, so counts as what a mask may become */
    int classes;
    size_t *first;       /* [classes + 1] where a class's moves start */
    md_move *moves;      /* by class, then by `from` */
    uint64_t *onward;    /* [states, words] where one drawable token leads */
    int (*span)[2];      /* [states] words of onward that may not be 0: from, end. States are near
                            those that they lead to, so they are few */
    uint64_t *accepting; /* [words] */
} md_automaton;

enum { MD_AUTOMATON_START = 0 };

/* `allowed` [vocab]: which ids may be drawn; NULL: all. `vocab` is at least the tokenizer's.
 * MDLM_USAGE for an expression that md_regex_new refuses, or one whose moves would not fit 128 MiB.
 * Caller frees *out. */
mdlm_status md_automaton_new(const md_tokenizer *tok, const char *pattern, size_t size,
                             const uint8_t *allowed, int vocab, md_automaton **out,
                             mdlm_error *err);
void md_automaton_free(md_automaton *a); /* accepts NULL */

static inline bool md_state_in(const uint64_t *set, int state) {
    return set[state / 64] >> state % 64 & 1;
}

static inline void md_state_add(uint64_t *set, int state) {
    set[state / 64] |= (uint64_t)1 << state % 64;
}

/* Where a token leads from the states of `from`, into `to`; where it must come from to lead into
 * the states of `to`, into `from`. Both overwrite; the two sets must not be the same memory. */
void md_automaton_step(const md_automaton *a, const uint64_t *from, int32_t token, uint64_t *to);
void md_automaton_step_back(const md_automaton *a, const uint64_t *to, int32_t token,
                            uint64_t *from);
/* The same for any one drawable token. */
void md_automaton_any(const md_automaton *a, const uint64_t *from, uint64_t *to);
void md_automaton_any_back(const md_automaton *a, const uint64_t *to, uint64_t *from);

#endif
