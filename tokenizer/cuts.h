/* tokenizer/cuts.h: pre-tokenizers: from text to the words that merges stay within. Private.
 *
 *     md_cuts cuts = {0};
 *     md_cut cut = {.source = "\\p{N}", .behaviour = MD_CUT_ISOLATED};
 *     MD_TRY(md_cuts_add(&cuts, &cut, err));
 *     MD_TRY(md_cuts_each(&cuts, text, size, word, context, err));
 *     md_cuts_release(&cuts);
 *
 * Cuts in a row: each cuts what the one before left, piece by piece, as with Hugging Face's
 * Sequence of Splits and with llama.cpp's lists of expressions. An expression sees its piece alone.
 * No cuts: all of the text is one word.
 *
 * The usual expressions are recognised by their spelling and have functions of their own
 * (tokenizer/split.h); the others need the engine (tokenizer/pattern.h). Bytes that are not UTF-8
 * are characters of no category to either.
 */
#ifndef MD_TOKENIZER_CUTS_H
#define MD_TOKENIZER_CUTS_H

#include "tokenizer/pattern.h"
#include "tokenizer/split.h"

/* GPT-2's expression: what ByteLevel means by use_regex. */
extern const char md_expression_gpt2[], md_expression_qwen2[];

/* What becomes of the matches of an expression; what lies between them is a piece. */
typedef enum md_behaviour {
    MD_CUT_ISOLATED, /* each is a piece */
    MD_CUT_REMOVED,  /* they vanish */
    MD_CUT_MERGED_WITH_PREVIOUS,
    MD_CUT_MERGED_WITH_NEXT,
    MD_CUT_CONTIGUOUS, /* neighbours are one piece */
    MD_BEHAVIOURS
} md_behaviour;
const char *md_behaviour_name(md_behaviour behaviour); /* tokenizer.json's: "Isolated", ... */

typedef struct md_cut {
    const char *source;   /* an expression, or with `literal` the text itself */
    bool literal, invert; /* invert: the matches are what lies between, and the other way round */
    md_behaviour behaviour;
} md_cut;

enum { MD_MOST_CUTS = 16 };

typedef struct md_cut_step {
    md_cut cut; /* the source is owned */
    md_split_fn split;
    md_pattern *pattern; /* when there is no function */
} md_cut_step;

typedef struct md_cuts {
    md_cut_step steps[MD_MOST_CUTS];
    int count;
} md_cuts;

/* MDLM_INPUT for an expression that cannot be read, and for more than MD_MOST_CUTS. The source is
 * copied. */
mdlm_status md_cuts_add(md_cuts *cuts, const md_cut *cut, mdlm_error *err);
void md_cuts_release(md_cuts *cuts);
/* Whether these cuts are just this expression, isolated. */
bool md_cuts_are(const md_cuts *cuts, const char *source);

/* Calls `word` for each word in order, none of them empty; stops with what it returns when that is
 * not MDLM_OK. */
typedef mdlm_status (*md_word_fn)(void *context, const char *word, size_t size, mdlm_error *err);
mdlm_status md_cuts_each(const md_cuts *cuts, const char *text, size_t size, md_word_fn word,
                         void *context, mdlm_error *err);

/* pre_names.c: llama.cpp's names of pre-tokenizers (tokenizer.ggml.pre), as cuts. MDLM_INPUT for a
 * name that is not known. Where the model's own tokenizer.json is known and llama.cpp's expressions
 * are a rewriting of it, the model's are taken. */
mdlm_status md_cuts_add_named(md_cuts *cuts, const char *name, bool *ignore_merges,
                              mdlm_error *err);
/* Their name into `name`; false when they have none. */
enum { MD_PRE_NAME_BYTES = 32 };
bool md_cuts_name(const md_cuts *cuts, bool ignore_merges, char name[MD_PRE_NAME_BYTES]);

#endif
