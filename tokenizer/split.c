/* tokenizer/split.c: see split.h. */
#include "tokenizer/split.h"

#include <stdbool.h>
#include <string.h>

#include "tokenizer/unicode.h"

static md_char_class class_at(const char *text, size_t size, size_t *at) {
    return md_class_of(md_utf8_next(text, size, at));
}

/* The end of the run of characters of `class` from `at` on. */
static size_t run_end(const char *text, size_t size, size_t at, md_char_class class) {
    while (at < size) {
        size_t next = at;
        if (class_at(text, size, &next) != class) break;
        at = next;
    }
    return at;
}

/* Bytes of 's 't 're 've 'm 'll 'd at the text, 0 when it is none of them. */
static size_t contraction(const char *text, size_t left) {
    if (left < 2 || text[0] != '\'') return 0;
    if (memchr("stmd", text[1], 4)) return 2;
    if (left < 3) return 0;
    bool two = memcmp(text + 1, "re", 2) == 0 || memcmp(text + 1, "ve", 2) == 0 ||
               memcmp(text + 1, "ll", 2) == 0;
    return two ? 3 : 0;
}

/* \s+(?!\S)|\s+ : all of the run at the end of the text; before a word, all but the last character,
 * which the word may want; that character when it is alone. */
static size_t spaces_end(const char *text, size_t size, size_t start) {
    size_t end = start, last = start;
    while (end < size) {
        size_t next = end;
        if (class_at(text, size, &next) != MD_CLASS_SPACE) break;
        last = end;
        end = next;
    }
    return end == size || last == start ? end : last;
}

size_t md_split_gpt2(const char *text, size_t size, size_t start) {
    size_t short_form = contraction(text + start, size - start);
    if (short_form) return start + short_form;
    size_t at = start;
    md_char_class class = class_at(text, size, &at);
    if (text[start] == ' ' && at < size) {
        md_char_class next = class_at(text, size, &at);
        if (next != MD_CLASS_SPACE) class = next;
    }
    if (class == MD_CLASS_SPACE) return spaces_end(text, size, start);
    return run_end(text, size, at, class);
}

size_t md_split_none(const char *text, size_t size, size_t start) {
    (void)text;
    (void)start;
    return size;
}
