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

/* The same whatever the case, by Unicode's folding: U+017F, the long s, is an s. */
static size_t any_contraction(const char *text, size_t left) {
    if (left < 2 || text[0] != '\'') return 0;
    if (left > 2 && memcmp(text + 1, "\u017f", 2) == 0) return 3;
    char small[3] = {'\'', (char)(text[1] | 32), left > 2 ? (char)(text[2] | 32) : 0};
    return contraction(small, left > 2 ? 3 : 2); /* `| 32` makes small letters of letters alone */
}

/* \s+(?!\S)|\s+ : all of the run at the end of the text; before a word, all but the last character,
 * which the word may want; that character when it is alone. With `lines` first \s*[\r\n]+ : up to
 * the last line break of the run. */
static size_t spaces_end(const char *text, size_t size, size_t start, bool lines) {
    size_t end = start, last = start, line = start;
    while (end < size) {
        size_t next = end;
        if (class_at(text, size, &next) != MD_CLASS_SPACE) break;
        if (text[end] == '\n' || text[end] == '\r') line = next;
        last = end;
        end = next;
    }
    if (lines && line > start) return line;
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
    if (class == MD_CLASS_SPACE) return spaces_end(text, size, start, false);
    return run_end(text, size, at, class);
}

static bool breaks_line(char c) {
    return c == '\n' || c == '\r';
}

/* \p{N}{1,most}, one of them read already. */
static size_t numbers_end(const char *text, size_t size, size_t at, int most) {
    for (int count = 1; count < most && at < size; count++) {
        size_t next = at;
        if (class_at(text, size, &next) != MD_CLASS_NUMBER) break;
        at = next;
    }
    return at;
}

static size_t split_by_lines(const char *text, size_t size, size_t start, int most_digits) {
    size_t short_form = any_contraction(text + start, size - start);
    if (short_form) return start + short_form;
    size_t first = start;
    md_char_class class = class_at(text, size, &first);
    if (class == MD_CLASS_LETTER) return run_end(text, size, first, class);
    if (class == MD_CLASS_NUMBER) return numbers_end(text, size, first, most_digits);
    size_t second = first;
    md_char_class next = first < size ? class_at(text, size, &second) : MD_CLASS_SPACE;
    if (next == MD_CLASS_LETTER && !breaks_line(text[start])) {
        return run_end(text, size, second, next);
    }
    bool led = text[start] == ' ' && next == MD_CLASS_OTHER;
    if (class == MD_CLASS_SPACE && !led) return spaces_end(text, size, start, true);
    size_t end = run_end(text, size, led ? second : first, MD_CLASS_OTHER);
    while (end < size && breaks_line(text[end])) end++;
    return end;
}

size_t md_split_qwen2(const char *text, size_t size, size_t start) {
    return split_by_lines(text, size, start, 1);
}

size_t md_split_llama3(const char *text, size_t size, size_t start) {
    return split_by_lines(text, size, start, 3);
}

size_t md_split_numbers(const char *text, size_t size, size_t start) {
    size_t at = start;
    if (class_at(text, size, &at) == MD_CLASS_NUMBER) return at;
    while (at < size) {
        size_t next = at;
        if (class_at(text, size, &next) == MD_CLASS_NUMBER) break;
        at = next;
    }
    return at;
}
