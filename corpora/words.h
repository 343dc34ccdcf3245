/* corpora/words.h: the words of a text that comes in pieces.
 *
 *     md_words w = {.on_word = count, .user = &counts};
 *     MD_TRY(md_words_add(&w, piece, size, err));            calls count(user, word, size, err)
 *     MD_TRY(md_words_end(&w, err));                         the last word
 *
 * A word is a run of ASCII letters, digits and bytes above 127 (so all of UTF-8 beyond ASCII), with
 * apostrophes inside it: "don't" is one word, and "dogs'" is "dogs". What is between words is
 * skipped. A run of more than MD_WORD_BYTES bytes is cut into several.
 */
#ifndef MD_CORPORA_WORDS_H
#define MD_CORPORA_WORDS_H

#include "base/error.h"

enum { MD_WORD_BYTES = 64 };

typedef mdlm_status (*md_word_fn)(void *user, const char *word, size_t size, mdlm_error *err);

typedef struct md_words { /* set the first two, the rest to 0 */
    md_word_fn on_word;   /* what it returns but MDLM_OK ends the call */
    void *user;
    char text[MD_WORD_BYTES]; /* the word under way */
    size_t size;
} md_words;

mdlm_status md_words_add(md_words *words, const char *text, size_t size, mdlm_error *err);
/* Ends a word: text that follows begins a new one. */
mdlm_status md_words_end(md_words *words, mdlm_error *err);

/* Cuts off the words at both ends of a text that was itself cut out of another: nobody knows
 * whether they are whole. Returns the rest, of *size bytes. */
const char *md_words_inner(const char *text, size_t *size);

#endif
