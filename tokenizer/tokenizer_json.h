/* tokenizer/tokenizer_json.h: the steps of reading a tokenizer.json. Private to this folder.
 *
 *   tokenizer_json.c   the file, which features it asks for, the roles of its special tokens
 *   vocab_json.c       ids, their spellings, merges
 *
 * What decides the kind is the structure of the file, so that files from elsewhere load as well:
 *
 *   ByteLevel pre-tokenizer, a vocabulary in the byte alphabet   bpe
 *   the same with use_regex false, no merges, and id = byte      bytes
 *   no pre-tokenizer, byte_fallback, no merges                   chars
 */
#ifndef MD_TOKENIZER_JSON_H
#define MD_TOKENIZER_JSON_H

#include "base/json.h"
#include "tokenizer/tokenizer_internal.h"

typedef struct md_tokenizer_file {
    const char *path; /* for messages */
    const cJSON *root, *model;
    md_tokenizer *tok;
    md_interner names; /* index = id: how the file spells it */
} md_tokenizer_file;

/* Fills the entries, byte_ids and points from model.vocab and added_tokens. MDLM_INPUT unless ids
 * are 0 .. n-1 without holes, spellings are unique, and every byte has a token. */
mdlm_status md_tokenizer_file_vocab(md_tokenizer_file *f, mdlm_error *err);

/* Fills bpe from model.merges, "a b" or ["a", "b"]; needs the vocabulary. MDLM_INPUT unless both
 * parts and the result are ordinary tokens and no pair is listed twice. */
mdlm_status md_tokenizer_file_merges(md_tokenizer_file *f, mdlm_error *err);

#endif
