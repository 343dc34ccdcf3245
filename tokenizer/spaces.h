/* tokenizer/spaces.h: how a tokenizer treats spaces and the beginning of a text. Private.
 *
 *     md_spaces s = {.marked = true, .prefix = MD_PREFIX_ALWAYS, .dropped = true};   LLaMA 2
 *     MD_TRY(md_spaces_apply(&s, "To be", 5, MD_PLACE_START, &out, err));            " To be"
 *
 * Vocabularies of SentencePiece have U+2581 where a text has a space, and bytes as <0xNN>. Here
 * their tokens have the space itself, and only files are read and written with U+2581; a U+2581 in
 * a text is taken for a space, as in Hugging Face's library. A space is put before a text, so that
 * a word is the same token at its beginning as elsewhere.
 */
#ifndef MD_TOKENIZER_SPACES_H
#define MD_TOKENIZER_SPACES_H

#include "base/buffer.h"

/* U+2581, "lower one eighth block". */
#define MD_SPACE_MARK "\u2581"
enum { MD_SPACE_MARK_BYTES = sizeof MD_SPACE_MARK - 1 };

/* Before which parts of a text a space is put; added tokens stand between parts. */
typedef enum md_prefix {
    MD_PREFIX_NEVER,
    MD_PREFIX_FIRST,  /* the first, unless it begins with one */
    MD_PREFIX_PARTS,  /* each, unless it begins with one */
    MD_PREFIX_ALWAYS, /* each */
} md_prefix;

typedef struct md_spaces {
    bool marked;    /* a SentencePiece vocabulary */
    bool metaspace; /* of marked: done by the pre-tokenizer of that name, not by the normalizer */
    bool split;     /* of metaspace: a word begins at every space */
    bool runs;      /* of marked: no merge has a space behind another character, so that words may
                     * begin where a run of spaces does without changing what merges give */
    bool dropped;   /* decoding drops a space at the beginning */
    md_prefix prefix;
} md_spaces;

/* Where a part of a text stands. */
typedef enum md_place {
    MD_PLACE_START,
    MD_PLACE_LATER,   /* behind an added token */
    MD_PLACE_FOLLOWS, /* it goes on from other text: never a prefix */
} md_place;

/* Appends the part of a text as the model sees it. */
mdlm_status md_spaces_apply(const md_spaces *s, const char *text, size_t size, md_place place,
                            md_buffer *out, mdlm_error *err);
/* Appends text in which spaces are marks, with spaces; or the other way round. */
mdlm_status md_spaces_unmark(const char *text, size_t size, md_buffer *out, mdlm_error *err);
mdlm_status md_spaces_mark(const char *text, size_t size, md_buffer *out, mdlm_error *err);

/* The end of the word at `start`, of text that was applied; start < end <= size. */
size_t md_spaces_word(const md_spaces *s, const char *text, size_t size, size_t start);

#endif
