/* corpora/corpus.h: from files to token ids, packed once, mapped afterwards.
 *
 *     md_pack_options pack = md_pack_defaults();
 *     md_corpus *corpus = NULL;
 *     MD_TRY(md_corpus_pack(paths, count, tok, &pack, "mdlm-run/data", &stats, err));
 *     MD_TRY(md_corpus_open("mdlm-run/data", &corpus, err));
 *     md_corpus_read(corpus, MD_PART_TRAIN, offset, ids, 128);
 *     md_corpus_close(corpus);
 *
 * Inputs: UTF-8 text (any bytes), `.jsonl` (one document per line, member "text"), folders (every
 * file below them, sorted; hidden ones are skipped), each also as `.gz`. Text is streamed: a corpus
 * larger than memory packs in constant memory (zlib, pieces of at most 1 MiB cut at white space;
 * one byte per document is kept) and trains from mapped shards. Files are read twice, so a pipe is
 * refused, and a file that changes in between is an error. Documents are joined by end-of-text: it
 * stands between two documents of a part, not after the last, and is not counted as a byte. Empty
 * documents, blank lines of .jsonl, and empty files below a folder are skipped.
 *
 * Split: one document: the bytes from floor((1 - val_fraction) * n) on are validation. More
 * documents: whole documents by hash of their content (equal documents stay together); if that
 * leaves either part empty, the last document is validation. A val_fraction of 0 leaves the
 * validation part empty. A `--val` file replaces both rules.
 *
 * A packed folder holds train.bin and val.bin (token ids, 16 bits little-endian when the vocabulary
 * fits, else 32), train.docs and val.docs (documents+1 offsets in tokens, 64 bits), and corpus.json
 * (sources with sizes and XXH3 hashes, tokenizer fingerprint, split, counts), written last: a
 * folder without it is not a corpus.
 */
#ifndef MD_CORPORA_CORPUS_H
#define MD_CORPORA_CORPUS_H

#include "base/json.h"
#include "tokenizer/tokenizer.h"

typedef enum md_part { MD_PART_TRAIN, MD_PART_VAL } md_part;

typedef struct md_pack_options {
    double val_fraction;  /* 0 <= f < 1 */
    const char *val_file; /* NULL or a file or folder that is the validation part */
    /* Called now and then with bytes read so far and in total (0 if unknown); non-zero cancels.
     * May be NULL. */
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} md_pack_options;
md_pack_options md_pack_defaults(void); /* 0.1, NULL */

/* What was packed, by part. */
typedef struct md_part_stats {
    int64_t bytes;  /* of source text; end-of-text not counted */
    int64_t tokens; /* end-of-text included */
    int64_t documents;
} md_part_stats;
typedef struct md_corpus_stats {
    md_part_stats train, val;
} md_corpus_stats;

/* Reads `paths` and writes a packed folder (created; its old corpus is replaced at the end).
 * `stats` may be NULL. MDLM_CANCELLED when on_progress says so.
 * MDLM_INPUT when a path is missing, unreadable, malformed .jsonl or .gz (file and line named),
 * empty, or binary (a NUL byte in the first 64 KiB of a file that is not .jsonl: `'x' looks like a
 * binary file`). Nothing is left behind on failure. */
mdlm_status md_corpus_pack(const char *const *paths, size_t count, const md_tokenizer *tok,
                           const md_pack_options *opt, const char *folder, md_corpus_stats *stats,
                           mdlm_error *err);

/* The documents of `paths` one piece after another, for training a tokenizer. */
typedef struct md_reader md_reader;
mdlm_status md_reader_open(const char *const *paths, size_t count, md_reader **out,
                           mdlm_error *err);
/* *text is valid until the next call (or free); *size 0 at the end. *last says that this piece ends
 * its document. `last` may be NULL. */
mdlm_status md_reader_next(md_reader *reader, const char **text, size_t *size, bool *last,
                           mdlm_error *err);
void md_reader_free(md_reader *reader); /* accepts NULL */
/* A tokenizer's view of a reader. */
md_text_source md_reader_source(md_reader *reader);

typedef struct md_corpus md_corpus;
/* Maps a packed folder; every count and extent is checked against the files, ids too in parts of up
 * to 256 MiB (MDLM_INPUT names the file). Caller closes. */
mdlm_status md_corpus_open(const char *folder, md_corpus **out, mdlm_error *err);
void md_corpus_close(md_corpus *corpus); /* accepts NULL */
md_corpus_stats md_corpus_get_stats(const md_corpus *corpus);
int64_t md_corpus_tokens(const md_corpus *corpus, md_part part);
/* Sources, hashes and split ranges as JSON, for run.json; owned by the corpus. */
const cJSON *md_corpus_json(const md_corpus *corpus);
/* Whether the corpus was packed with this very tokenizer (same kind, ids and pieces). */
bool md_corpus_matches(const md_corpus *corpus, const md_tokenizer *tok);

/* Copies `count` ids from `offset`; the range must lie inside the part (MD_BUG_IF). Ids are always
 * below the vocabulary: one that is not (in a part too large to check, or a file changed since) is
 * read as end-of-text. */
void md_corpus_read(const md_corpus *corpus, md_part part, int64_t offset, int32_t *ids,
                    int64_t count);
/* Start offsets of the documents of a part (documents+1 entries, the last is the token count). */
const int64_t *md_corpus_documents(const md_corpus *corpus, md_part part);

/* Training sequences: pass p over the part cuts it into windows of seq_len from an offset that
 * depends on (seed, p), in an order that is a permutation keyed by (seed, p). Sequence number n
 * (0, 1, 2, ... over the whole training) is a pure function of (seed, n): order resumes for free.
 * The part must hold at least seq_len tokens (MDLM_INPUT otherwise, checked by init). */
typedef struct md_loader {
    const md_corpus *corpus;
    md_part part;
    int seq_len;
    uint64_t seed;
    int64_t windows; /* per pass */
} md_loader;
mdlm_status md_loader_init(md_loader *loader, const md_corpus *corpus, md_part part, int seq_len,
                           uint64_t seed, mdlm_error *err);
/* Where sequence number n begins: offset in tokens of the part. */
int64_t md_loader_offset(const md_loader *loader, int64_t n);
/* ids [count, seq_len] of the sequences first .. first+count-1. */
void md_loader_read(const md_loader *loader, int64_t first, int count, int32_t *ids);

#endif
