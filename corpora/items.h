/* corpora/items.h: what `mdlm score --file` scores: pairs and multiple choice, one a line.
 *
 *     md_items *items = NULL;
 *     md_item item;
 *     MD_TRY(md_items_open("questions.jsonl", &items, err));
 *     for (;;) {
 *         MD_GOTO(done, status, md_items_next(items, &item, err));
 *         if (!item.count) break;
 *         ...
 *     }
 *     done: md_items_free(items);
 *
 *     {"prompt": "2 + 2 =", "response": " 4"}
 *     {"question": "2 + 2 =", "choices": [" 3", " 4"], "answer": 1}
 *
 * "prompt" and "question" are the same thing; "answer" is the index of the right choice, from 0,
 * and may be left out. Other members are ignored, blank lines skipped. Files may be compressed
 * (.gz).
 */
#ifndef MD_CORPORA_ITEMS_H
#define MD_CORPORA_ITEMS_H

#include "base/error.h"

enum { MD_ITEM_MOST_CHOICES = 256 };

/* Texts are NUL-terminated and belong to the reader, until the next call. */
typedef struct md_item {
    int64_t line; /* from 1 */
    const char *prompt;
    int count; /* responses: 1 for a pair, 2 and more for choices; 0 at the end of the file */
    const char *responses[MD_ITEM_MOST_CHOICES];
    int answer; /* -1: not given, or a pair */
} md_item;

typedef struct md_items md_items;
mdlm_status md_items_open(const char *path, md_items **out, mdlm_error *err);
/* MDLM_INPUT names the line: not JSON, no prompt, neither a response nor choices, both, a text that
 * is no string or an empty response, fewer than 2 or more than MD_ITEM_MOST_CHOICES choices, an
 * answer that is no index of one. */
mdlm_status md_items_next(md_items *items, md_item *item, mdlm_error *err);
void md_items_free(md_items *items); /* accepts NULL */

#endif
