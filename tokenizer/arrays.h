/* tokenizer/arrays.h: a tokenizer from arrays and as arrays, as GGUF files have it.
 *
 *     md_tokenizer_arrays a = {.name = "x.gguf", .model = "gpt2", .pre = "qwen2", .tokens = tokens,
 *                              .types = types, .count = n, .merges = merges, .merge_count = m,
 *                              .roles = {.mask = 151666, .end_of_text = 151643, .padding = -1},
 *                              .bos = -1};
 *     MD_TRY(md_tokenizer_from_arrays(&a, &tok, err));
 *
 *     MD_TRY(md_tokenizer_to_arrays(tok, rows, arena, &a, err));      for a file of `rows` tokens
 *
 * Members have the names and meanings of the metadata tokenizer.ggml.*:
 *
 *   model       "gpt2": byte-level merges.  "llama", written for vocabularies of characters: tokens
 *               with scores, spaces as U+2581, bytes as <0xNN>
 *   pre         which expressions cut text into words (tokenizer/pre_names.c)
 *   types       MD_TYPE_*
 *   merges      "left right", in the byte alphabet, best first
 */
#ifndef MD_TOKENIZER_ARRAYS_H
#define MD_TOKENIZER_ARRAYS_H

#include "base/arena.h"
#include "tokenizer/tokenizer.h"

/* Bytes with a length; not NUL-terminated. */
typedef struct md_text {
    const char *data;
    size_t size;
} md_text;

typedef enum md_token_type {
    MD_TYPE_UNDEFINED = 0,
    MD_TYPE_NORMAL = 1,
    MD_TYPE_UNKNOWN = 2,
    MD_TYPE_CONTROL = 3, /* a special token */
    MD_TYPE_USER = 4,    /* an added token: stands in text as it is written */
    MD_TYPE_UNUSED = 5,
    MD_TYPE_BYTE = 6,
} md_token_type;

typedef struct md_tokenizer_arrays {
    const char *name; /* what messages call the file; not written by md_tokenizer_to_arrays */
    const char *model, *pre;
    const md_text *tokens; /* [count] */
    const int32_t *types;  /* [count]; NULL: all normal */
    const float *scores;   /* [count] for "llama", else NULL */
    size_t count;
    const md_text *merges; /* [merge_count] */
    size_t merge_count;
    md_token_roles roles;
    int32_t bos;               /* -1: none */
    const char *chat_template; /* NULL: none */
} md_tokenizer_arrays;

/* Unused tokens at the end, which only fill the rows of an embedding, are left out. Nothing of the
 * arrays is kept. MDLM_INPUT for a model or pre-tokenizer that is not known, types out of range,
 * and whatever a tokenizer.json would be refused for. Caller frees *out. */
mdlm_status md_tokenizer_from_arrays(const md_tokenizer_arrays *arrays, md_tokenizer **out,
                                     mdlm_error *err);

/* `rows`: how many tokens the file must have, at least the vocabulary; "[PADn]", unused, fills up.
 * *out points into the arena and the tokenizer. MDLM_INPUT for a tokenizer that has no such form:
 * of expressions without a name in llama.cpp, of marked spaces or a space before each text, or of
 * characters with U+2581 beside the space. */
mdlm_status md_tokenizer_to_arrays(const md_tokenizer *tok, int rows, md_arena *arena,
                                   md_tokenizer_arrays *out, mdlm_error *err);

#endif
