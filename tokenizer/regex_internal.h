/* tokenizer/regex_internal.h: from expression to tree to nondeterministic automaton. Private to
 * regex*.c.
 *
 *     md_re_node *tree;
 *     MD_TRY(md_re_parse(arena, pattern, size, &tree, err));
 *     md_re_nfa nfa = {0};
 *     MD_TRY(md_re_nfa_build(&nfa, tree, err));
 *     md_re_nfa_release(&nfa);
 */
#ifndef MD_TOKENIZER_REGEX_INTERNAL_H
#define MD_TOKENIZER_REGEX_INTERNAL_H

#include "base/arena.h"
#include "tokenizer/regex.h"

/* Code points of a class, sorted and apart from each other, without surrogates. */
typedef struct md_re_range {
    uint32_t low, high;
} md_re_range;

typedef enum md_re_kind {
    MD_RE_CLASS,     /* one of some characters and bytes */
    MD_RE_SEQUENCE,  /* of children; none: the empty text */
    MD_RE_ALTERNATE, /* of children */
    MD_RE_REPEAT,    /* of one child, min to max times; max -1: no bound */
} md_re_kind;

typedef struct md_re_node md_re_node;
struct md_re_node {
    md_re_kind kind;
    const md_re_range *ranges; /* CLASS */
    size_t range_count;
    uint64_t bytes[2]; /* CLASS: bytes 0x80 .. 0xff that stand alone */
    md_re_node **children;
    size_t child_count;
    int min, max; /* REPEAT */
};

/* The tree lives in the arena. */
mdlm_status md_re_parse(md_arena *arena, const char *pattern, size_t size, md_re_node **out,
                        mdlm_error *err);

/* A class while it is read; initialise with {0}. */
typedef struct md_re_set {
    md_re_range *ranges;
    size_t count, capacity;
    uint64_t bytes[2];
} md_re_set;
mdlm_status md_re_set_add(md_re_set *set, uint32_t low, uint32_t high, mdlm_error *err);
/* Adds \d, \w, \s, \D, \W or \S by its letter. */
mdlm_status md_re_set_add_named(md_re_set *set, char letter, mdlm_error *err);
/* Sorts, joins, takes surrogates out; `negate`: of all scalar values what is not in it. */
mdlm_status md_re_set_finish(md_re_set *set, bool negate, mdlm_error *err);
void md_re_set_release(md_re_set *set);

typedef enum md_re_state_kind {
    MD_RE_BYTES, /* goes to `out` on a byte in low .. high */
    MD_RE_SPLIT, /* goes to `out` and to `other` on nothing */
    MD_RE_MATCH,
} md_re_state_kind;

typedef struct md_re_state {
    uint8_t kind, low, high;
    int out, other;
} md_re_state;

typedef struct md_re_nfa {
    md_re_state *states;
    size_t count, capacity;
    int start;
    int work; /* nodes visited */
} md_re_nfa;

/* MDLM_USAGE when it is too large. Release also after a failure. */
mdlm_status md_re_nfa_build(md_re_nfa *nfa, const md_re_node *tree, mdlm_error *err);
void md_re_nfa_release(md_re_nfa *nfa); /* accepts an empty struct */

#endif
