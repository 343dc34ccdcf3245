/* tokenizer/tokenizer_internal.h: what the files of this folder share.
 *
 * Building a tokenizer: md_tokenizer_new, then md_tokenizer_append for ids 0, 1, 2, ... in order,
 * then the three special ids. The kind decides which of the other fields encoding uses:
 *
 *   bytes   byte_ids
 *   chars   points, and byte_ids for what is not in points
 *   bpe     split, byte_ids, bpe
 */
#ifndef MD_TOKENIZER_INTERNAL_H
#define MD_TOKENIZER_INTERNAL_H

#include "tokenizer/bpe.h"
#include "tokenizer/split.h"
#include "tokenizer/tokenizer.h"

#define MD_MASK_TEXT "<|mask|>"
#define MD_END_OF_TEXT_TEXT "<|endoftext|>"
#define MD_PADDING_TEXT "<|padding|>"

typedef struct md_entry {
    char *special;      /* how files spell it, owned; NULL for an ordinary token */
    size_t start, size; /* its bytes in md_tokenizer.bytes; none for a special token */
} md_entry;

struct md_tokenizer {
    md_tokenizer_kind kind;
    bool nfc;
    md_split_fn split;
    md_buffer bytes;
    md_entry *entries; /* by id */
    size_t count, capacity;
    int32_t byte_ids[256];
    md_key_map points; /* code point -> id */
    md_bpe bpe;
    int32_t mask, end_of_text, padding;
    char *chat_template; /* NULL: none */
    char *bos;           /* how bos_token is spelled; NULL: none */
};

/* Without ids yet; byte_ids[b] is b, split is md_split_none. NULL when there is no memory. */
md_tokenizer *md_tokenizer_new(md_tokenizer_kind kind, mdlm_error *err);
/* The next id: an ordinary token of `size` bytes, or a special one when `special` is given. */
mdlm_status md_tokenizer_append(md_tokenizer *tok, const char *bytes, size_t size,
                                const char *special, mdlm_error *err);
/* Appends mask, end-of-text and padding as the next three ids. */
mdlm_status md_tokenizer_append_specials(md_tokenizer *tok, mdlm_error *err);

/* Room for `extra` more ids. */
mdlm_status md_ids_reserve(md_ids *ids, size_t extra, mdlm_error *err);

/* chars.c */
mdlm_status md_chars_encode(const md_tokenizer *tok, const char *text, size_t size, md_ids *ids,
                            mdlm_error *err);

/* alphabet.c: GPT-2's printable stand-ins for bytes, in which byte-level files spell tokens. */
mdlm_status md_alphabet_spell(const char *bytes, size_t size, md_buffer *text, mdlm_error *err);
/* The way back; *known is false, and nothing is promised of `bytes`, when a character of the text
 * stands for no byte. */
mdlm_status md_alphabet_read(const char *text, md_buffer *bytes, bool *known, mdlm_error *err);

#endif
