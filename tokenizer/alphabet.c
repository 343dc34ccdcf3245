/* tokenizer/alphabet.c: GPT-2's byte-to-unicode table.
 *
 * Bytes 0x21-0x7e, 0xa1-0xac and 0xae-0xff stand for themselves as Latin-1 characters; the other 68
 * are U+0100, U+0101, ... in ascending order, so that no token has a space or a control character.
 */
#include "tokenizer/tokenizer_internal.h"
#include "tokenizer/unicode.h"

enum { FIRST_STAND_IN = 0x100, STAND_INS = 68 };

static bool is_itself(int32_t c) {
    return (c >= 0x21 && c <= 0x7e) || (c >= 0xa1 && c <= 0xac) || (c >= 0xae && c <= 0xff);
}

static int32_t letter_of(int byte) {
    if (is_itself(byte)) return byte;
    if (byte <= 0x20) return FIRST_STAND_IN + byte;
    if (byte <= 0xa0) return FIRST_STAND_IN + 0x21 + (byte - 0x7f);
    return FIRST_STAND_IN + STAND_INS - 1; /* 0xad */
}

static int byte_of(int32_t c) {
    if (is_itself(c)) return c;
    int32_t n = c - FIRST_STAND_IN;
    if (n < 0 || n >= STAND_INS) return -1;
    if (n <= 0x20) return n;
    return n < STAND_INS - 1 ? 0x7f + (n - 0x21) : 0xad;
}

mdlm_status md_alphabet_spell(const char *bytes, size_t size, md_buffer *text, mdlm_error *err) {
    for (size_t i = 0; i < size; i++) {
        char letter[4];
        size_t length = md_utf8_put(letter_of((unsigned char)bytes[i]), letter);
        MD_TRY(md_buffer_append(text, letter, length, err));
    }
    return MDLM_OK;
}

mdlm_status md_alphabet_read(const char *text, size_t size, md_buffer *bytes, bool *known,
                             mdlm_error *err) {
    *known = true;
    for (size_t at = 0; at < size && *known;) {
        int byte = byte_of(md_utf8_next(text, size, &at));
        *known = byte >= 0;
        MD_TRY(md_buffer_append(bytes, &(char){(char)byte}, 1, err));
    }
    return MDLM_OK;
}
