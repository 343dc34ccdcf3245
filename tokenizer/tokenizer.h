/* tokenizer/tokenizer.h: text to token ids and back, exactly.
 *
 *     md_tokenizer *tok = NULL;
 *     md_ids ids = {0};
 *     md_buffer text = {0};
 *     MD_TRY(md_tokenizer_bytes(&tok, err));
 *     MD_TRY(md_tokenizer_encode(tok, "To be", 5, &ids, err));       appends 5 ids
 *     MD_TRY(md_tokenizer_decode(tok, ids.data, ids.count, &text, err));
 *
 * Three kinds:
 *   bytes  id = byte; mask 256, end-of-text 257, padding 258; vocabulary 259
 *   chars  one id per Unicode scalar value seen in the corpus (sorted; U+0000 stays a byte), then
 *          256 byte-fallback ids for everything else, then mask, end-of-text, padding
 *   bpe    byte-level byte-pair encoding: id = byte, merges trained on the corpus within words of
 *          GPT-2's pattern, then mask, end-of-text, padding
 * decode(encode(x)) == x for every byte string x, unless NFC normalisation was asked for (then it
 * equals NFC of the valid parts of x; invalid bytes still pass through). Tokenizers of other people
 * may put a space before a text, or drop its own at the beginning, and those with SentencePiece's
 * vocabularies take U+2581 for a space.
 *
 * Special tokens never come out of encoding text, even if the text spells them, and decode to
 * nothing. Added tokens that are not special (of other people's files) come out where the text
 * spells them. Saved and loaded as a Hugging Face tokenizer.json, with which Hugging Face's library
 * gives the same ids for valid UTF-8 that spells no special token (characters that one Unicode
 * version knows and the other does not apart). A tokenizer is read-only once made: threads may
 * share it.
 */
#ifndef MD_TOKENIZER_TOKENIZER_H
#define MD_TOKENIZER_TOKENIZER_H

#include "base/buffer.h"

typedef struct md_tokenizer md_tokenizer;

typedef enum md_tokenizer_kind {
    MD_TOKENIZER_BYTES,
    MD_TOKENIZER_CHARS,
    MD_TOKENIZER_BPE,
} md_tokenizer_kind;

/* A growing list of ids: init with {0}, release with md_ids_release. */
typedef struct md_ids {
    int32_t *data;
    size_t count, capacity;
} md_ids;
mdlm_status md_ids_push(md_ids *ids, int32_t id, mdlm_error *err);
void md_ids_release(md_ids *ids);

/* Constructors return MDLM_OK and a tokenizer that the caller frees. */
mdlm_status md_tokenizer_bytes(md_tokenizer **out, mdlm_error *err);
void md_tokenizer_free(md_tokenizer *tok); /* accepts NULL */

/* Training reads the text through a callback that gives the next piece (a document or a part of
 * one, cut at a safe place for the caller) and its size; size 0 ends. Pieces are tokenized apart.
 */
typedef struct md_text_source {
    mdlm_status (*next)(void *context, const char **text, size_t *size, mdlm_error *err);
    void *context;
} md_text_source;

typedef struct md_bpe_options {
    int vocab_size; /* total, specials included; 260 .. 1,000,000 */
    bool nfc;       /* normalise to NFC first */
} md_bpe_options;

mdlm_status md_tokenizer_train_chars(md_text_source source, md_tokenizer **out, mdlm_error *err);
/* Merges the most frequent pair, of equals the one with the smaller ids, until the vocabulary has
 * the size asked for or no pair occurs twice: then it is smaller. No token is longer than 256
 * bytes. The result depends on the counts of words alone, not on their order. MDLM_USAGE for a
 * size out of range. */
mdlm_status md_tokenizer_train_bpe(md_text_source source, const md_bpe_options *opt,
                                   md_tokenizer **out, mdlm_error *err);

/* Reads tokenizer.json (a file, or a folder that holds one; at most 256 MB), or a folder that has
 * vocab.json and merges.txt instead. MDLM_INPUT with the reason when it is malformed or uses a
 * feature that is not supported. The special tokens are those that mask_token, eos_token and
 * pad_token of a tokenizer_config.json beside it name, else the added tokens <|mask|>,
 * <|endoftext|> and <|padding|>. There must be a mask; end-of-text and padding stand in for each
 * other.
 *
 * Of other people's files: BPE over bytes, with the normalizer NFC, any Split by an expression or a
 * text (tokenizer/cuts.h), Digits and Punctuation; BPE over characters with SentencePiece's mark
 * for spaces and byte_fallback (tokenizer/spaces.h); added tokens that are not special are found in
 * text as those files ask for. What a post-processor adds around a text is not part of encoding. */
mdlm_status md_tokenizer_load(const char *path, md_tokenizer **out, mdlm_error *err);

/* Which ids have a role; -1: not known. */
typedef struct md_token_roles {
    int32_t mask, end_of_text, padding;
} md_token_roles;
/* The same for the tokenizer of a model whose configuration names ids: they are taken where the
 * tokenizer's own files are silent. A mask that is the first id beyond the vocabulary becomes a
 * token "<|mask|>" (MDLM, SMDM). */
mdlm_status md_tokenizer_load_with(const char *path, const md_token_roles *roles,
                                   md_tokenizer **out, mdlm_error *err);
/* Writes tokenizer.json, and tokenizer_config.json and special_tokens_map.json beside it, into
 * `folder`, which is made if it is not there. `seq_len` becomes model_max_length. */
mdlm_status md_tokenizer_save(const md_tokenizer *tok, const char *folder, int seq_len,
                              mdlm_error *err);

md_tokenizer_kind md_tokenizer_get_kind(const md_tokenizer *tok);
const char *md_tokenizer_kind_name(const md_tokenizer *tok); /* "bytes", "chars", "bpe" */
int md_tokenizer_vocab_size(const md_tokenizer *tok);        /* ids are 0 .. size-1 */
int32_t md_tokenizer_mask(const md_tokenizer *tok);
int32_t md_tokenizer_end_of_text(const md_tokenizer *tok);
int32_t md_tokenizer_padding(const md_tokenizer *tok);
bool md_tokenizer_is_special(const md_tokenizer *tok, int32_t id);

/* Appends the ids of `size` bytes of text. Linear time (up to a logarithm) for any input, but for
 * expressions of other people's files that the engine has to try (then up to limits). On failure
 * `ids` holds what it held before. MDLM_INPUT for a byte that the vocabulary has no token for. */
mdlm_status md_tokenizer_encode(const md_tokenizer *tok, const char *text, size_t size, md_ids *ids,
                                mdlm_error *err);

/* The same for text that goes on from other text or from a hole: no space is put before it. */
mdlm_status md_tokenizer_encode_more(const md_tokenizer *tok, const char *text, size_t size,
                                     md_ids *ids, mdlm_error *err);

/* Appends the bytes of the ids, which a text begins with: a space that encoding put before the text
 * is dropped, where the tokenizer's file says so. Special tokens and ids out of range add nothing.
 */
mdlm_status md_tokenizer_decode(const md_tokenizer *tok, const int32_t *ids, size_t count,
                                md_buffer *text, mdlm_error *err);

/* The same for ids that come later in a text: all their bytes. */
mdlm_status md_tokenizer_decode_more(const md_tokenizer *tok, const int32_t *ids, size_t count,
                                     md_buffer *text, mdlm_error *err);

/* The bytes of one id, not NUL-terminated, owned by the tokenizer; *size 0 for special tokens. */
const char *md_tokenizer_piece(const md_tokenizer *tok, int32_t id, size_t *size);

/* The chat template (tokenizer/template.h) that came with the tokenizer, as written:
 * "chat_template" of tokenizer_config.json, or chat_template.jinja beside it, which then goes
 * first; of several the one named "default". NULL when there is none. Owned by the tokenizer; not
 * yet checked. */
const char *md_tokenizer_template(const md_tokenizer *tok);
/* Sets the template that saving writes: the one thing that changes after a tokenizer is made. */
mdlm_status md_tokenizer_set_template(md_tokenizer *tok, const char *source, mdlm_error *err);

/* How many bytes of source text a run of ids stands for: the unit of nats per byte. */
int64_t md_tokenizer_byte_count(const md_tokenizer *tok, const int32_t *ids, size_t count);

#endif
