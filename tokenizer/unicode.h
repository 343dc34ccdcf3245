/* tokenizer/unicode.h: UTF-8 that may be broken, seen as code points. Private to this folder.
 *
 *     for (size_t at = 0; at < size;) {
 *         int32_t c = md_utf8_next(text, size, &at);       -1: one byte that is not UTF-8
 *         md_char_class class = md_class_of(c);
 *     }
 *
 * Valid means what RFC 3629 says: no overlong forms, no surrogates, nothing above U+10FFFF. A byte
 * that does not begin a valid sequence stands alone, so any byte string is walked without loss.
 * Categories and normalisation are those of the utf8proc that is linked.
 */
#ifndef MD_TOKENIZER_UNICODE_H
#define MD_TOKENIZER_UNICODE_H

#include "base/buffer.h"

/* The classes that the GPT-2 family of patterns tells apart. */
typedef enum md_char_class {
    MD_CLASS_OTHER,  /* [^\s\p{L}\p{N}], and bytes that are not UTF-8 */
    MD_CLASS_LETTER, /* \p{L} */
    MD_CLASS_NUMBER, /* \p{N} */
    MD_CLASS_SPACE,  /* \s: the property White_Space */
} md_char_class;

/* The code point at *at (which must be less than `size`), or -1; *at moves past it. */
int32_t md_utf8_next(const char *text, size_t size, size_t *at);

/* Whether all of it is valid. */
bool md_is_utf8(const char *text, size_t size);

/* Writes a valid code point, returns the bytes: 1 to 4. */
size_t md_utf8_put(int32_t c, char out[4]);

/* The class of what md_utf8_next gave. */
md_char_class md_class_of(int32_t c);

/* What `\w` matches: letters, marks, decimal digits, letter numbers, connectors like '_', joiners,
 * and the few symbols that count as alphabetic. */
bool md_is_word_char(int32_t c);

/* Appends the text in normalisation form C. Runs of valid UTF-8 between invalid bytes are
 * normalised each for itself and the invalid bytes are kept. O(size) for any input. */
mdlm_status md_nfc(const char *text, size_t size, md_buffer *out, mdlm_error *err);

#endif
