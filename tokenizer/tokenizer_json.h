/* tokenizer/tokenizer_json.h: the steps of reading a tokenizer.json. Private to this folder.
 *
 *   tokenizer_json.c     the file, the settings of its model, its kind
 *   pipeline_json.c      pre-tokenizer, decoder, post-processor
 *   spaces_json.c        normalizer, and what SentencePiece's vocabularies need of the others
 *   vocab_json.c         ids, their spellings, merges
 *   tokenizer_config.c   the roles of special tokens, chat templates
 *   vocab_files.c        vocab.json and merges.txt, put together as a tokenizer.json
 *
 * What decides the kind is the structure of the file, so that files from elsewhere load as well:
 *
 *   ByteLevel pre-tokenizer, a vocabulary in the byte alphabet   bpe
 *   a normalizer or pre-tokenizer that marks spaces with U+2581  bpe, spaces.marked
 *   ByteLevel with use_regex false, no merges, and id = byte     bytes
 *   no pre-tokenizer, byte_fallback, no merges                   chars
 */
#ifndef MD_TOKENIZER_JSON_H
#define MD_TOKENIZER_JSON_H

#include "base/json.h"
#include "tokenizer/vocab.h"

typedef struct md_tokenizer_file {
    const cJSON *root, *model;
    md_tokenizer *tok;
    md_vocab vocab;
} md_tokenizer_file;

/* Members: NULL when absent. */
const cJSON *md_tokenizer_member(const cJSON *object, const char *key);
bool md_tokenizer_absent(const cJSON *item); /* missing or null */
/* The "type" of a component; "null" when there is none. */
const char *md_tokenizer_type(const cJSON *component);
bool md_tokenizer_is(const cJSON *component, const char *type);
/* MDLM_INPUT: "'path': part 'what' is not supported" */
mdlm_status md_tokenizer_unsupported(const md_tokenizer_file *f, const char *part, const char *what,
                                     mdlm_error *err);

/* Sets nfc, the words, and the kind, bytes still taken for bpe. */
mdlm_status md_tokenizer_file_pipeline(md_tokenizer_file *f, mdlm_error *err);
/* Its parts in spaces_json.c. The decoder's needs the normalizer and the pre-tokenizer, which may
 * be null, where the normalizer marks spaces. */
mdlm_status md_tokenizer_file_normalizer(md_tokenizer_file *f, const cJSON *node, mdlm_error *err);
mdlm_status md_tokenizer_file_metaspace(md_tokenizer_file *f, const cJSON *node, mdlm_error *err);
mdlm_status md_tokenizer_file_marked_decoder(md_tokenizer_file *f, const cJSON *node,
                                             mdlm_error *err);
/* Needs the vocabulary. */
mdlm_status md_tokenizer_file_post_processor(md_tokenizer_file *f, mdlm_error *err);

/* Fills the vocabulary from model.vocab and added_tokens. MDLM_INPUT unless ids are 0 .. n-1
 * without holes and spellings are unique. */
mdlm_status md_tokenizer_file_vocab(md_tokenizer_file *f, mdlm_error *err);
/* Fills the merges from model.merges, "a b" or ["a", "b"]; needs the vocabulary. */
mdlm_status md_tokenizer_file_merges(md_tokenizer_file *f, mdlm_error *err);

/* Finds mask, end-of-text and padding: by tokenizer_config.json (NULL: there is none), by their
 * usual names, by `roles` (may be NULL). */
mdlm_status md_tokenizer_file_roles(md_tokenizer_file *f, const cJSON *config,
                                    const md_token_roles *roles, mdlm_error *err);
/* What chats need: the template, and how the beginning of text is spelled. */
mdlm_status md_tokenizer_file_chat(md_tokenizer *tok, const char *folder, const cJSON *config,
                                   mdlm_error *err);

/* Whether a folder has vocab.json, merges.txt and no tokenizer.json. */
mdlm_status md_tokenizer_in_parts(const char *folder, bool *yes, mdlm_error *err);
/* What a tokenizer.json of such a folder would say. The class that the configuration names decides
 * the normalizer and the expression; MDLM_INPUT for a class that is not known. */
mdlm_status md_tokenizer_join_parts(const char *folder, const cJSON *config, cJSON **root,
                                    mdlm_error *err);

#endif
