/* tokenizer/unicode.c: see unicode.h. */
#include "tokenizer/unicode.h"

#include <string.h>
#include <utf8proc.h>

#include "base/memory.h"
#include "tokenizer/table.h"

int32_t md_utf8_next(const char *text, size_t size, size_t *at) {
    const utf8proc_uint8_t *from = (const utf8proc_uint8_t *)text + *at;
    if (*from < 0x80) {
        *at += 1;
        return *from;
    }
    size_t left = size - *at;
    utf8proc_int32_t c = -1;
    utf8proc_ssize_t length = utf8proc_iterate(from, left < 4 ? (utf8proc_ssize_t)left : 4, &c);
    *at += length > 0 ? (size_t)length : 1;
    return length > 0 ? c : -1;
}

bool md_is_utf8(const char *text, size_t size) {
    for (size_t at = 0; at < size;) {
        if (md_utf8_next(text, size, &at) < 0) return false;
    }
    return true;
}

size_t md_utf8_put(int32_t c, char out[4]) {
    return (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)out);
}

/* White_Space beyond ASCII, from PropList.txt; stable since Unicode 6.3. */
static bool wide_space(int32_t c) {
    return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 ||
           c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

md_char_class md_class_of(int32_t c) {
    if (c < 0) return MD_CLASS_OTHER;
    if (c < 0x80) {
        if ((c | 32) >= 'a' && (c | 32) <= 'z') return MD_CLASS_LETTER;
        if (c >= '0' && c <= '9') return MD_CLASS_NUMBER;
        return c == ' ' || (c >= '\t' && c <= '\r') ? MD_CLASS_SPACE : MD_CLASS_OTHER;
    }
    if (wide_space(c)) return MD_CLASS_SPACE;
    utf8proc_category_t category = utf8proc_category(c);
    if (category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO) {
        return MD_CLASS_LETTER;
    }
    bool number = category >= UTF8PROC_CATEGORY_ND && category <= UTF8PROC_CATEGORY_NO;
    return number ? MD_CLASS_NUMBER : MD_CLASS_OTHER;
}

/* Symbols with the property Other_Alphabetic: circled and squared letters. */
static bool circled_letter(int32_t c) {
    return (c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) ||
           (c >= 0x1f150 && c <= 0x1f169) || (c >= 0x1f170 && c <= 0x1f189);
}

bool md_is_word_char(int32_t c) {
    if (c < 0) return false;
    utf8proc_category_t category = utf8proc_category(c);
    bool letter = category >= UTF8PROC_CATEGORY_LU && category <= UTF8PROC_CATEGORY_LO;
    bool mark = category >= UTF8PROC_CATEGORY_MN && category <= UTF8PROC_CATEGORY_ME;
    bool other = category == UTF8PROC_CATEGORY_ND || category == UTF8PROC_CATEGORY_NL ||
                 category == UTF8PROC_CATEGORY_PC;
    return letter || mark || other || c == 0x200c || c == 0x200d || circled_letter(c);
}

/* Code points of the segment at hand, and room to sort them. */
typedef struct scratch {
    utf8proc_int32_t *points, *sorted;
    size_t count, capacity, sorted_capacity;
} scratch;

enum { NFC = UTF8PROC_STABLE | UTF8PROC_COMPOSE, LONGEST_DECOMPOSITION = 4, SHORT_RUN = 32 };

static mdlm_status decompose(scratch *s, int32_t c, mdlm_error *err) {
    size_t needed = s->count + LONGEST_DECOMPOSITION;
    void *grown = md_grow(s->points, &s->capacity, needed, sizeof *s->points, err);
    if (!grown) return MDLM_RUNTIME;
    s->points = grown;
    int boundary = 0;
    utf8proc_ssize_t wrote = utf8proc_decompose_char(c, s->points + s->count, LONGEST_DECOMPOSITION,
                                                     (utf8proc_option_t)NFC, &boundary);
    MD_BUG_IF(wrote < 0 || wrote > LONGEST_DECOMPOSITION); /* c is valid, and no canonical
                                                              decomposition is longer */
    s->count += (size_t)wrote;
    return MDLM_OK;
}

static int combining_class(int32_t c) {
    return c < 0x300 ? 0 : utf8proc_get_property(c)->combining_class;
}

/* Stable sort of [from, to) by combining class. utf8proc's own is quadratic in the length of the
 * run, which a hostile text can make a megabyte; hence the counting sort. */
static mdlm_status sort_marks(scratch *s, size_t from, size_t to, mdlm_error *err) {
    utf8proc_int32_t *points = s->points;
    if (to - from <= SHORT_RUN) {
        for (size_t i = from + 1; i < to; i++) {
            utf8proc_int32_t c = points[i];
            size_t j = i;
            for (; j > from && combining_class(points[j - 1]) > combining_class(c); j--) {
                points[j] = points[j - 1];
            }
            points[j] = c;
        }
        return MDLM_OK;
    }
    void *grown = md_grow(s->sorted, &s->sorted_capacity, to - from, sizeof *s->sorted, err);
    if (!grown) return MDLM_RUNTIME;
    s->sorted = grown;
    size_t starts[257] = {0};
    for (size_t i = from; i < to; i++) starts[combining_class(points[i]) + 1]++;
    for (size_t k = 1; k < 257; k++) starts[k] += starts[k - 1];
    for (size_t i = from; i < to; i++) s->sorted[starts[combining_class(points[i])]++] = points[i];
    memcpy(points + from, s->sorted, (to - from) * sizeof *points);
    return MDLM_OK;
}

static mdlm_status order_and_compose(scratch *s, md_buffer *out, mdlm_error *err) {
    for (size_t i = 0; i < s->count;) {
        size_t end = i;
        while (end < s->count && combining_class(s->points[end]) != 0) end++;
        if (end - i > 1) MD_TRY(sort_marks(s, i, end, err));
        i = end > i ? end : i + 1;
    }
    utf8proc_ssize_t length =
        utf8proc_normalize_utf32(s->points, (utf8proc_ssize_t)s->count, (utf8proc_option_t)NFC);
    MD_BUG_IF(length < 0);
    for (utf8proc_ssize_t i = 0; i < length; i++) {
        char bytes[4];
        MD_TRY(md_buffer_append(out, bytes, md_utf8_put(s->points[i], bytes), err));
    }
    s->count = 0;
    return MDLM_OK;
}

static size_t ascii_run(const char *text, size_t size, size_t at) {
    while (at < size && (unsigned char)text[at] < 0x80) at++;
    return at;
}

mdlm_status md_nfc(const char *text, size_t size, md_buffer *out, mdlm_error *err) {
    scratch s = {0};
    mdlm_status status = MDLM_OK;
    size_t at = 0;
    while (at < size) {
        /* ASCII is in form C already, but for its last character, which a mark may follow. */
        size_t ascii = ascii_run(text, size, at);
        size_t keep = ascii < size && ascii > at ? ascii - 1 : ascii;
        MD_GOTO(done, status, md_buffer_append(out, text + at, keep - at, err));
        at = keep;
        while (at < size && (at < ascii || (unsigned char)text[at] >= 0x80)) {
            size_t next = at;
            int32_t c = md_utf8_next(text, size, &next);
            if (c >= 0) {
                MD_GOTO(done, status, decompose(&s, c, err));
            } else {
                MD_GOTO(done, status, order_and_compose(&s, out, err));
                MD_GOTO(done, status, md_buffer_append(out, text + at, 1, err));
            }
            at = next;
        }
        MD_GOTO(done, status, order_and_compose(&s, out, err));
    }
done:
    md_free(s.points);
    md_free(s.sorted);
    return status;
}
