/* tokenizer/regex.h: regular expressions over bytes, as deterministic automata.
 *
 *     md_regex *re = NULL;
 *     MD_TRY(md_regex_new("\\d{4}-\\d\\d", 11, &re, err));
 *     bool yes = md_regex_matches(re, "2024-02", 7);            anchored at both ends
 *     md_regex_free(re);
 *
 *   x      the character x; outside of ASCII its UTF-8 bytes
 *   .      any character but line feed, as valid UTF-8
 *   \n \t \r \f \v   \\ \. \[ and any other ASCII punctuation, as itself
 *   \d \w \s         [0-9] [A-Za-z0-9_] [ \t\n\r\f\v];  \D \W \S any other character
 *   \xHH   below 80 that character, from 80 on that one byte (which alone is no valid UTF-8)
 *   [a-z]  [^a-z]    one of, any character but; may hold escapes; "]" stands for itself when first,
 *                    "-" when first or last
 *   xy  x|y  (x)  (?:x)
 *   x* x+ x?  x{m} x{m,} x{m,n}      "{" stands for itself when no bounds follow
 *   ^ at the very start, $ at the very end: accepted, and say nothing new
 *
 * Not regular, or of no use here, and refused: backreferences, look-around, lazy and possessive
 * quantifiers, other anchors, flags, named groups, POSIX and Unicode classes.
 *
 * Thompson's construction, then the subset construction (Aho, Sethi, Ullman, Compilers, 3.7). Both
 * have limits, so that a hostile expression ends with an error within a fraction of a second.
 */
#ifndef MD_TOKENIZER_REGEX_H
#define MD_TOKENIZER_REGEX_H

#include "base/error.h"

typedef struct md_regex md_regex;

enum {
    MD_REGEX_BYTES = 1 << 16,  /* longest expression */
    MD_REGEX_STATES = 1 << 12, /* most states */
    MD_REGEX_DEAD = -1,        /* what follows does not matter: no match */
};

/* MDLM_USAGE for a malformed or unsupported expression, naming what and the byte where (from 1);
 * for one that is too large; and for one that no text matches. Caller frees *out. */
mdlm_status md_regex_new(const char *pattern, size_t size, md_regex **out, mdlm_error *err);
void md_regex_free(md_regex *re); /* accepts NULL */

/* States are 0 .. states-1; 0 is the start. From it, and from each that md_regex_next gives, some
 * text leads to acceptance. */
int md_regex_states(const md_regex *re);
int md_regex_next(const md_regex *re, int state, uint8_t byte); /* or MD_REGEX_DEAD */
bool md_regex_accepts(const md_regex *re, int state);
bool md_regex_matches(const md_regex *re, const char *text, size_t size);

#endif
