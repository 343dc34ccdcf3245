/* tokenizer/chars.c: one id per character, bytes for the rest. */
#include "base/memory.h"
#include "tokenizer/tokenizer_internal.h"
#include "tokenizer/unicode.h"

mdlm_status md_chars_encode(const md_tokenizer *tok, const char *text, size_t size, md_ids *ids,
                            mdlm_error *err) {
    MD_TRY(md_ids_reserve(ids, size, err)); /* a character has at least as many bytes as ids */
    for (size_t at = 0; at < size;) {
        size_t start = at;
        int32_t c = md_utf8_next(text, size, &at);
        uint64_t id = c < 0 ? MD_KEY_NONE : md_key_map_get(&tok->points, (uint64_t)c);
        if (id != MD_KEY_NONE) {
            ids->data[ids->count++] = (int32_t)id;
            continue;
        }
        MD_TRY(md_bytes_encode(tok, text + start, at - start, ids, err));
    }
    return MDLM_OK;
}

enum { CODE_POINTS = 0x110000 };

static mdlm_status build(const uint8_t *seen, md_tokenizer *tok, mdlm_error *err) {
    for (int32_t c = 0; c < CODE_POINTS; c++) {
        if (!seen[c]) continue;
        char piece[4];
        MD_TRY(md_key_map_put(&tok->points, (uint64_t)c, tok->count, err));
        MD_TRY(md_tokenizer_append(tok, piece, md_utf8_put(c, piece), NULL, err));
    }
    for (int byte = 0; byte < 256; byte++) {
        char piece = (char)byte;
        tok->byte_ids[byte] = (int32_t)tok->count;
        MD_TRY(md_tokenizer_append(tok, &piece, 1, NULL, err));
    }
    return md_tokenizer_append_specials(tok, err);
}

mdlm_status md_tokenizer_train_chars(md_text_source source, md_tokenizer **out, mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    uint8_t *seen = md_alloc(CODE_POINTS, sizeof *seen, err);
    md_tokenizer *tok = md_tokenizer_new(MD_TOKENIZER_CHARS, err);
    if (!seen || !tok) goto done;
    for (;;) {
        const char *text = NULL;
        size_t size = 0;
        MD_GOTO(done, status, source.next(source.context, &text, &size, err));
        if (size == 0) break;
        for (size_t at = 0; at < size;) {
            int32_t c = md_utf8_next(text, size, &at);
            if (c > 0) seen[c] = 1; /* U+0000 stays a byte: cJSON cannot hold it as a key */
        }
    }
    MD_GOTO(done, status, build(seen, tok, err));
    MD_GOTO(done, status, md_tokenizer_prepare(tok, err));
    *out = tok;
    tok = NULL;
done:
    md_free(seen);
    md_tokenizer_free(tok);
    return status;
}
