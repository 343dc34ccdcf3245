/* tokenizer/tokenizer_internal.h: what the files of this folder share.
 *
 * Building a tokenizer: md_tokenizer_new, then md_tokenizer_append for ids 0, 1, 2, ... in order,
 * the three special ids, and md_tokenizer_prepare. The kind decides which of the other fields
 * encoding uses:
 *
 *   bytes   byte_ids
 *   chars   points, and byte_ids for what is not in points
 *   bpe     cuts, byte_ids, bpe, pieces; with spaces.marked points too, and no cuts
 */
#ifndef MD_TOKENIZER_INTERNAL_H
#define MD_TOKENIZER_INTERNAL_H

#include "tokenizer/added.h"
#include "tokenizer/bpe.h"
#include "tokenizer/cuts.h"
#include "tokenizer/spaces.h"
#include "tokenizer/tokenizer.h"

#define MD_MASK_TEXT "<|mask|>"
#define MD_END_OF_TEXT_TEXT "<|endoftext|>"
#define MD_PADDING_TEXT "<|padding|>"

/* What else files say about a token. */
enum {
    MD_SPECIAL = 1, /* of md_spelling; an entry has `special` */
    MD_ADDED = 2,   /* stands in text as it is written */
    MD_LSTRIP = 4,
    MD_RSTRIP = 8,
    MD_SINGLE_WORD = 16,
    MD_NORMALIZED = 32, /* is looked for in the normalised text */
    MD_RAW = 64,        /* of bpe: in the vocabulary, but not spelled in the byte alphabet */
    MD_UNUSED = 128,    /* fills a row */
};

typedef struct md_entry {
    char *special;      /* how files spell it, owned; NULL for an ordinary token */
    size_t start, size; /* its bytes in md_tokenizer.bytes; none for a special token */
    uint8_t flags;
} md_entry;

struct md_tokenizer {
    md_tokenizer_kind kind;
    bool nfc, ignore_merges;
    md_spaces spaces;
    md_cuts cuts;
    md_buffer bytes;
    md_entry *entries; /* by id */
    size_t count, capacity;
    int32_t byte_ids[256]; /* MD_NOT_FOUND: that byte has none */
    md_key_map points;     /* code point -> id */
    md_bpe bpe;
    md_interner pieces; /* words that are one token; which one: */
    int32_t *piece_ids;
    md_added_set added, added_normal, special; /* by the text they are looked for in */
    md_ids before, after; /* what the post-processor puts around a text that stands alone */
    int32_t mask, end_of_text, padding;
    char *chat_template; /* NULL: none */
    char *bos;           /* how bos_token is spelled; NULL: none */
};

/* Without ids yet; byte_ids[b] is b, no cuts. NULL when there is no memory. */
md_tokenizer *md_tokenizer_new(md_tokenizer_kind kind, mdlm_error *err);
/* The next id: an ordinary token of `size` bytes, or a special one when `special` is given. */
mdlm_status md_tokenizer_append(md_tokenizer *tok, const char *bytes, size_t size,
                                const char *special, mdlm_error *err);
/* Builds what encoding looks up: pieces and added tokens. */
mdlm_status md_tokenizer_prepare(md_tokenizer *tok, mdlm_error *err);
/* Appends mask, end-of-text and padding as the next three ids. */
mdlm_status md_tokenizer_append_specials(md_tokenizer *tok, mdlm_error *err);

/* Room for `extra` more ids. */
mdlm_status md_ids_reserve(md_ids *ids, size_t extra, mdlm_error *err);

/* encode.c: md_tokenizer_encode for a part of a text. */
mdlm_status md_tokenizer_encode_at(const md_tokenizer *tok, const char *text, size_t size,
                                   md_place place, md_ids *ids, mdlm_error *err);
/* One id per byte. MDLM_INPUT for a byte without one. */
mdlm_status md_bytes_encode(const md_tokenizer *tok, const char *text, size_t size, md_ids *ids,
                            mdlm_error *err);
/* chars.c */
mdlm_status md_chars_encode(const md_tokenizer *tok, const char *text, size_t size, md_ids *ids,
                            mdlm_error *err);

/* alphabet.c: GPT-2's printable stand-ins for bytes, in which byte-level files spell tokens. */
mdlm_status md_alphabet_spell(const char *bytes, size_t size, md_buffer *text, mdlm_error *err);
/* The way back; *known is false, and nothing is promised of `bytes`, when a character of the text
 * stands for no byte. */
mdlm_status md_alphabet_read(const char *text, size_t size, md_buffer *bytes, bool *known,
                             mdlm_error *err);

/* How an added token is written: its bytes, but for the space that a normalizer which puts one
 * before each part puts before a token that is looked for in normalised text. */
bool md_tokenizer_spaced(const md_tokenizer *tok, uint8_t flags);
const char *md_tokenizer_written(const md_tokenizer *tok, size_t id, size_t *size);
/* Whether an id is a byte, spelled <0xNN>, of a vocabulary that has characters. */
bool md_tokenizer_is_byte(const md_tokenizer *tok, size_t id);
/* tokenizer_save.c: how a vocabulary spells an id; `name` is overwritten. */
mdlm_status md_tokenizer_spell(const md_tokenizer *tok, size_t id, md_buffer *name,
                               mdlm_error *err);

#endif
