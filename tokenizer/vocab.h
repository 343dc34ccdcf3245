/* tokenizer/vocab.h: from the spellings and merges of a file to a tokenizer. Private.
 *
 *     md_vocab v = {.path = "x.gguf", .tok = tok};       tok's kind, words and so on are set
 *     MD_TRY(md_vocab_fill(&v, spellings, count, err));  ids are places in the array
 *     MD_TRY(md_vocab_merge(&v, &left, &right, err));    in the order of ranks
 *     MD_TRY(md_tokenizer_prepare(tok, err));            then it can encode
 *     md_vocab_release(&v);
 */
#ifndef MD_TOKENIZER_VOCAB_H
#define MD_TOKENIZER_VOCAB_H

#include "tokenizer/arrays.h"
#include "tokenizer/tokenizer_internal.h"

/* What a file says about one id. */
typedef struct md_spelling {
    md_text text; /* data NULL: nothing */
    uint8_t flags;
} md_spelling;

typedef struct md_vocab {
    const char *path; /* what messages call the file */
    md_tokenizer *tok;
    md_interner names; /* index = id: how the file spells it */
} md_vocab;

/* Fills the entries, byte_ids and points. MDLM_INPUT unless every id has a spelling of its own.
 * A token that is not spelled in the byte alphabet stands for its letters, and no text gives it. A
 * byte may lack a token: then text that has it cannot be encoded. */
mdlm_status md_vocab_fill(md_vocab *v, const md_spelling *spellings, size_t count, mdlm_error *err);
/* Appends a merge. MDLM_INPUT unless both parts and the result are ordinary tokens, the result has
 * the bytes of the parts, and the pair has no merge yet. */
mdlm_status md_vocab_merge(md_vocab *v, const md_text *left, const md_text *right, mdlm_error *err);
/* The two sides of "left right". False when it is something else. */
bool md_vocab_split_merge(const md_text *text, md_text *left, md_text *right);
/* The id of a spelling, or MD_NOT_FOUND. */
int64_t md_vocab_find(const md_vocab *v, const char *text);
/* Makes an added token special: it comes out of no text and stands for none. */
mdlm_status md_vocab_make_special(md_vocab *v, int32_t id, mdlm_error *err);
/* Makes the first id beyond the vocabulary the mask, of a model that was trained with a vocabulary
 * made for others. MDLM_INPUT when something else is spelled "<|mask|>". */
mdlm_status md_vocab_append_mask(md_vocab *v, mdlm_error *err);
/* End-of-text and padding, -1 for none, stand in for each other; MDLM_INPUT when there is still one
 * missing, or the mask, or when the mask is one of them. */
mdlm_status md_vocab_check_roles(md_vocab *v, mdlm_error *err);
/* A bpe tokenizer without merges whose first ids are the bytes is one of bytes. */
void md_vocab_settle_kind(md_vocab *v);
void md_vocab_release(md_vocab *v);

#endif
