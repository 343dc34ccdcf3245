/* corpora/pairs.h: prompts and their answers, for fine-tuning.
 *
 *     MD_TRY(md_pairs_pack(paths, count, tok, &pack, "mdlm-run/data", err));
 *     MD_TRY(md_corpus_open("mdlm-run/data", &corpus, err));
 *     for (int64_t i = 0; i < md_pairs_count(corpus, MD_PART_TRAIN); i++)
 *         md_packed_pair pair = md_pairs_get(corpus, MD_PART_TRAIN, i);
 *     md_corpus_read(corpus, MD_PART_TRAIN, pair.offset, ids, pair.prompt + pair.answer);
 *
 * Files are JSON lines (whatever their names; .gz and folders as elsewhere), one object a line:
 *
 *     {"prompt": "What is 2 + 3?", "response": "5"}
 *     {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}
 *
 * The last message is the assistant's and is the response; what is before it is the prompt. A
 * "prompt" is one message of the user. Other members are ignored, blank lines skipped.
 *
 * Packed, a pair is the prompt's ids by the tokenizer's chat template (tokenizer/chat.h), as they
 * come before an answer, then the answer's: the response and end-of-text.
 */
#ifndef MD_CORPORA_PAIRS_H
#define MD_CORPORA_PAIRS_H

#include "corpora/corpus.h"

enum { MD_PAIR_MESSAGES = 1000 }; /* in a line, at most */

typedef struct md_pair {
    const mdlm_message *prompt; /* [count]; NULL at the end of the files */
    size_t count;
    const char *response; /* never empty */
    size_t response_bytes;
    const char *path; /* where it stands, for messages */
    int64_t line;
} md_pair;

typedef struct md_pair_reader md_pair_reader;
/* The pairs of files, one after another. Caller frees *out. */
mdlm_status md_pair_reader_open(const char *const *paths, size_t count, md_pair_reader **out,
                                mdlm_error *err);
/* The pair is valid until the next call (or free). MDLM_INPUT, with file and line, for what is
 * none of the two forms. */
mdlm_status md_pair_reader_next(md_pair_reader *reader, md_pair *pair, mdlm_error *err);
void md_pair_reader_free(md_pair_reader *reader); /* accepts NULL */

/* Reads pairs and writes a packed folder, which md_corpus_open opens: its documents are prompt,
 * answer, prompt, answer, ... Validation are the pairs of opt->val_file, or a share of the prompts
 * by hash (equal prompts stay together). Errors as md_corpus_pack; nothing is left behind then. */
mdlm_status md_pairs_pack(const char *const *paths, size_t count, const md_tokenizer *tok,
                          const md_pack_options *opt, const char *folder, mdlm_error *err);

/* Whether a packed folder was made by md_pairs_pack; the other two are for such alone. */
bool md_corpus_holds_pairs(const md_corpus *corpus);
int64_t md_pairs_count(const md_corpus *corpus, md_part part);

typedef struct md_packed_pair {
    int64_t offset;         /* of the prompt in the part; the answer follows */
    int64_t prompt, answer; /* tokens, end-of-text included; both at least 1 */
} md_packed_pair;
md_packed_pair md_pairs_get(const md_corpus *corpus, md_part part, int64_t i);

#endif
