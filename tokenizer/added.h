/* tokenizer/added.h: tokens that stand in text as they are written. Private to this folder.
 *
 *     md_added_set set = {0};
 *     MD_TRY(md_added_insert(&set, "<think>", 7, (md_added){.id = 7}, err));
 *     for (md_added_match m; md_added_find(&set, text, size, at, &m); at = m.end) {
 *         text from `at` to m.start, then token m.id
 *     }
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

typedef struct md_added_match {
    int32_t id;
    size_t start, end; /* with the white space that it takes */
} md_added_match;

/* The first match in what lies from `from` on. False: none. */
bool md_added_find(const md_added_set *set, const char *text, size_t size, size_t from,
                   md_added_match *out);

#endif
