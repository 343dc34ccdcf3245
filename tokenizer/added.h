/* tokenizer/added.h: tokens that stand in text as they are written. Private to this folder.
 *
 *     md_added_set set = {0};
 *     MD_TRY(md_added_insert(&set, "<think>", 7, (md_added){.id = 7}, err));
 *     md_added_match m = {0};
 *     while (md_added_find(&set, text, size, &m)) {
 *         text from m.text to m.start, then token m.id
 *     }
 *     text from m.end to size
 *     md_added_release(&set);
 *
 * Of tokens that begin at one place the longest is taken, and the search goes on behind it, as in
 * Hugging Face's library. At most `size` times the longest token's bytes of work.
 */
#ifndef MD_TOKENIZER_ADDED_H
#define MD_TOKENIZER_ADDED_H

#include "tokenizer/table.h"

enum { MD_ADDED_BYTES = 1024 }; /* longest token */

typedef struct md_added {
    int32_t id;
    bool lstrip, rstrip; /* takes white space before it, behind it */
    bool single_word;    /* not beside letters, digits, marks and '_' */
} md_added;

typedef struct md_added_set {
    md_key_map next; /* a trie: node << 9 | byte -> node, node << 9 | 256 -> index of its token */
    uint64_t nodes;
    md_added *tokens;
    size_t count, capacity;
    bool first[256]; /* bytes that a token may begin with */
} md_added_set;

/* MDLM_INPUT for a token of no bytes or more than MD_ADDED_BYTES. Of equal tokens the last wins. */
mdlm_status md_added_insert(md_added_set *set, const char *text, size_t size, md_added token,
                            mdlm_error *err);
void md_added_release(md_added_set *set);

/* Tokens may take white space, and one that begins with white space may follow in it: so the search
 * goes on at `next`, and `start` may come before `text`. Init with {0}. */
typedef struct md_added_match {
    int32_t id;
    size_t text;       /* where the text before the token begins: the last `end` */
    size_t start, end; /* the token with the white space that it takes */
    size_t next;
} md_added_match;

/* The next match. False: none; `end` is then what it was. */
bool md_added_find(const md_added_set *set, const char *text, size_t size, md_added_match *m);

#endif
