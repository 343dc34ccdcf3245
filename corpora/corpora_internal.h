/* corpora/corpora_internal.h: what the files of this folder share.
 *
 *     sources.c   paths -> the files to read (folders opened up)
 *     input.c     one file -> bytes (plain or .gz)
 *     jsonl.c     bytes -> the values, and the documents, of a .jsonl file
 *     reader.c    files -> documents in pieces of at most MD_PIECE_BYTES
 *     survey.c    a pass over the documents: sizes, hashes, who goes to validation
 *     pack.c      a second pass: token ids of text
 *     pairs.c     the same for prompts and answers, in one pass
 *     packing.c   token ids into the two parts of a folder
 *     manifest.c  corpus.json, written and checked
 *     corpus.c    a packed folder, mapped
 *     loader.c    training sequences in a reproducible order
 *     reference.c files or a packed folder -> the text of a part, again and again
 *     items.c     a .jsonl file -> pairs and choices to score
 *     samples.c   what generate printed -> texts
 */
#ifndef MD_CORPORA_INTERNAL_H
#define MD_CORPORA_INTERNAL_H

#include <zlib.h>

#include "base/buffer.h"
#include "base/file.h"
#include "corpora/corpus.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "packed corpora are little-endian and mapped as they are"
#endif

enum {
    MD_PIECE_BYTES = 1 << 20,
    MD_BINARY_CHECK_BYTES = 64 << 10, /* a NUL byte in these says that a file is not text */
};

/* --- sources ---------------------------------------------------------------------------------- */

typedef struct md_source {
    char *path;
    bool jsonl, gz;
    bool named; /* given by the user, not found in a folder */
} md_source;

typedef struct md_sources { /* init with {0} */
    md_source *items;
    size_t count, capacity;
} md_sources;

/* Adds a file, or the files below a folder: sorted bytewise by name within each folder; hidden
 * files and things that are neither file nor folder are skipped there. */
mdlm_status md_sources_add(md_sources *sources, const char *path, mdlm_error *err);
void md_sources_release(md_sources *sources);

/* --- inputs ----------------------------------------------------------------------------------- */

typedef struct md_input {
    const char *path; /* borrowed */
    int fd;           /* -1 when closed, or when gz owns it */
    gzFile gz;
} md_input;

mdlm_status md_input_open(md_input *in, const md_source *source, mdlm_error *err);
/* The only file that a path names, through the empty `sources`, which must live as long. */
mdlm_status md_input_open_path(md_input *in, md_sources *sources, const char *path,
                               mdlm_error *err);
/* Reads `want` bytes; *got is smaller only at the end of the file. */
mdlm_status md_input_read(md_input *in, char *bytes, size_t want, size_t *got, mdlm_error *err);
void md_input_close(md_input *in); /* accepts a closed one */

/* --- jsonl ------------------------------------------------------------------------------------ */

typedef struct md_jsonl { /* init with {0} */
    bool mend_nul;        /* take the escape of a NUL as U+FFFD, in place of refusing it */
    char *chunk;          /* MD_PIECE_BYTES as read */
    size_t at, used;
    md_buffer line;
    int64_t number; /* of the line, from 1 */
    cJSON *object;
} md_jsonl;

/* The value on the next line that is not blank, owned by the reader until the next call; *value is
 * NULL at the end of the input. MDLM_INPUT names the line. */
mdlm_status md_jsonl_value(md_jsonl *j, md_input *input, const cJSON **value, mdlm_error *err);
/* A string of the object read last; MDLM_INPUT, with the line, when there is none. */
mdlm_status md_jsonl_text(const md_jsonl *j, const md_input *input, const char *key,
                          const char **text, mdlm_error *err);
/* "text" of the next object where it is not empty, owned by the reader until the next call; *text
 * is NULL at the end of the input. */
mdlm_status md_jsonl_next(md_jsonl *j, md_input *input, const char **text, mdlm_error *err);
void md_jsonl_release(md_jsonl *j);

/* --- reader ----------------------------------------------------------------------------------- */

typedef struct md_piece {
    const char *text;
    size_t size;   /* 0 at the end of everything */
    size_t source; /* index of the file */
    bool last;     /* this piece ends its document */
} md_piece;

mdlm_status md_reader_piece(md_reader *reader, md_piece *piece, mdlm_error *err);
const md_sources *md_reader_sources(const md_reader *reader);

/* Where to cut text of more than `limit` bytes: the last place in [1, limit] before a space that
 * follows something else, since a tokenizer's words take their leading space with them; else before
 * other ASCII white space, else at a UTF-8 boundary. */
size_t md_piece_cut(const char *text, size_t limit);

/* --- survey ----------------------------------------------------------------------------------- */

typedef struct md_source_tally {
    char *path;
    int64_t bytes, documents; /* of text: decompressed, and out of its JSON */
    uint64_t hash;            /* XXH3 64 of that text */
} md_source_tally;

/* What a pass over a reader has seen. */
typedef struct md_tally { /* init with {0} */
    md_source_tally *sources;
    size_t count, current;
    int64_t bytes, documents;
    void *source_hash, *document_hash; /* XXH3_state_t */
} md_tally;

mdlm_status md_tally_init(md_tally *tally, const md_sources *sources, mdlm_error *err);
/* When the piece ends its document, *hash (may be NULL) becomes the document's hash. */
void md_tally_add(md_tally *tally, const md_piece *piece, uint64_t *hash);
void md_tally_finish(md_tally *tally);
void md_tally_release(md_tally *tally);
/* MDLM_INPUT naming the first file whose text differs between two passes. */
mdlm_status md_tally_compare(const md_tally *before, const md_tally *after, mdlm_error *err);

typedef enum md_split_rule { MD_SPLIT_BYTES, MD_SPLIT_DOCUMENTS, MD_SPLIT_FILE } md_split_rule;

/* Which document, or which bytes of the only one, are validation. */
typedef struct md_split { /* init with {0} */
    md_split_rule rule;
    int64_t cut;       /* MD_SPLIT_BYTES: first byte of validation */
    uint8_t *is_val;   /* MD_SPLIT_DOCUMENTS: one flag per document */
    int64_t documents; /* flags in use */
    size_t capacity;
} md_split;

/* First pass over `paths`. `split` may be NULL. */
mdlm_status md_survey(const char *const *paths, size_t count, const md_pack_options *opt,
                      md_tally *tally, md_split *split, mdlm_error *err);
/* How many bytes at the start of a piece are training; the rest is validation. The piece is of
 * document number `document`, and `at` bytes of text came before it in all. */
size_t md_split_head(const md_split *split, const md_piece *piece, int64_t document, int64_t at);
void md_split_release(md_split *split);

/* --- packing ---------------------------------------------------------------------------------- */

typedef struct md_packed_part {
    md_writer *ids, *documents;
    md_part_stats stats;
} md_packed_part;

/* A folder being written. */
typedef struct md_packing { /* init with {0} */
    const char *folder;     /* borrowed */
    size_t made_from;       /* length of the first prefix of it that did not exist; 0: none */
    int id_bits;
    int64_t vocab;
    md_packed_part parts[2];
    bool whole; /* committed */
} md_packing;

/* MDLM_USAGE for a val_fraction out of range. */
mdlm_status md_pack_options_check(const md_pack_options *opt, mdlm_error *err);
mdlm_status md_packing_open(md_packing *p, const char *folder, const md_tokenizer *tok,
                            mdlm_error *err);
/* Begins a document, and adds ids (which must lie in the vocabulary) to it. Bytes of text are for
 * the caller to count in parts[].stats. */
mdlm_status md_packing_document(md_packing *p, md_part part, mdlm_error *err);
mdlm_status md_packing_ids(md_packing *p, md_part part, const int32_t *ids, size_t count,
                           mdlm_error *err);
md_corpus_stats md_packing_stats(const md_packing *p);
/* `manifest` becomes corpus.json; NULL (no memory for it) is MDLM_RUNTIME. */
mdlm_status md_packing_commit(md_packing *p, const cJSON *manifest, mdlm_error *err);
/* Removes what a packing that was not committed has made. */
void md_packing_release(md_packing *p);

/* --- manifest --------------------------------------------------------------------------------- */

/* Names of the files of a part: md_part_files[part][0] ids, [1] document offsets. */
extern const char *const md_part_files[2][2];
#define MD_MANIFEST_FILE "corpus.json"

typedef struct md_manifest {
    int64_t vocab;
    int64_t end_of_text;
    int64_t id_bits; /* 16 or 32 */
    uint64_t fingerprint;
    md_corpus_stats stats;
} md_manifest;

int md_id_bits(int64_t vocab);
/* A hash of everything that decides how a tokenizer spells text. */
uint64_t md_fingerprint(const md_tokenizer *tok);

/* Everything that corpus.json says; NULL when there is no memory; caller deletes. `val` is the
 * tally of a --val file or NULL. */
cJSON *md_manifest_new(const md_tokenizer *tok, const md_pack_options *opt, const md_split *split,
                       const md_tally *tally, const md_tally *val, const md_corpus_stats *stats);
/* Checks the members that reading relies on. `name` is what messages call it. */
mdlm_status md_manifest_check(const cJSON *json, const char *name, md_manifest *out,
                              mdlm_error *err);

#endif
