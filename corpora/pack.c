/* corpora/pack.c: text to token ids, once, into the files that training maps.
 *
 * The first pass (survey.c) decides the split and writes nothing; the second tokenizes. Every file
 * is written under a temporary name; the old corpus.json goes before the first rename and the new
 * one comes after the last, so that a folder with a corpus.json is always a whole corpus.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/corpora_internal.h"

typedef struct part_writer {
    md_writer *ids, *documents;
    md_part_stats stats;
    bool in_document;
} part_writer;

typedef struct packer {
    const md_tokenizer *tok;
    const md_pack_options *opt;
    const char *folder;
    size_t made_from; /* length of the first prefix of `folder` that did not exist; 0: none */
    int id_bits;
    int64_t vocab;
    md_split split;
    md_tally tally, val_tally;
    part_writer parts[2];
    md_ids ids;
    int64_t done, total; /* bytes, for progress */
} packer;

md_pack_options md_pack_defaults(void) {
    return (md_pack_options){.val_fraction = 0.1};
}

/* --- writing ---------------------------------------------------------------------------------- */

static mdlm_status write_ids(packer *p, md_writer *out, const int32_t *ids, size_t count,
                             mdlm_error *err) {
    uint16_t narrow[4096];
    const size_t room = sizeof narrow / sizeof *narrow;
    for (size_t i = 0; i < count; i++) MD_BUG_IF(ids[i] < 0 || ids[i] >= p->vocab);
    if (p->id_bits == 32) return md_writer_write(out, ids, count * sizeof *ids, err);
    for (size_t i = 0; i < count; i += room) {
        size_t n = count - i < room ? count - i : room;
        for (size_t k = 0; k < n; k++) narrow[k] = (uint16_t)ids[i + k];
        MD_TRY(md_writer_write(out, narrow, n * sizeof *narrow, err));
    }
    return MDLM_OK;
}

static mdlm_status write_offset(part_writer *part, mdlm_error *err) {
    return md_writer_write(part->documents, &part->stats.tokens, sizeof part->stats.tokens, err);
}

/* Text of the document under way; `last` ends it. */
static mdlm_status add_text(packer *p, part_writer *part, const char *text, size_t size,
                            mdlm_error *err) {
    if (!part->in_document) {
        int32_t end = md_tokenizer_end_of_text(p->tok);
        if (part->stats.documents > 0) {
            MD_TRY(write_ids(p, part->ids, &end, 1, err));
            part->stats.tokens++;
        }
        MD_TRY(write_offset(part, err));
        part->stats.documents++;
        part->in_document = true;
    }
    p->ids.count = 0;
    MD_TRY(md_tokenizer_encode(p->tok, text, size, &p->ids, err));
    MD_TRY(write_ids(p, part->ids, p->ids.data, p->ids.count, err));
    part->stats.tokens += (int64_t)p->ids.count;
    part->stats.bytes += (int64_t)size;
    return MDLM_OK;
}

/* A piece of document number `document` that begins at byte `at` of all text. */
static mdlm_status add_piece(packer *p, const md_piece *piece, int64_t document, int64_t at,
                             mdlm_error *err) {
    part_writer *train = &p->parts[MD_PART_TRAIN], *val = &p->parts[MD_PART_VAL];
    size_t head = md_split_head(&p->split, piece, document, at);
    if (head > 0) MD_TRY(add_text(p, train, piece->text, head, err));
    if (head < piece->size) MD_TRY(add_text(p, val, piece->text + head, piece->size - head, err));
    if (piece->last) train->in_document = val->in_document = false;
    return MDLM_OK;
}

/* The second pass. `val` says that all of it is validation. */
static mdlm_status pack_paths(packer *p, const char *const *paths, size_t count, bool val,
                              mdlm_error *err) {
    md_reader *reader = NULL;
    md_tally again = {0};
    const md_tally *before = val ? &p->val_tally : &p->tally;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_reader_open(paths, count, &reader, err));
    MD_GOTO(done, status, md_tally_init(&again, md_reader_sources(reader), err));
    if (again.count != before->count) {
        status = md_fail(err, MDLM_INPUT, "'%s' changed while it was being packed", paths[0]);
        goto done;
    }
    for (;;) {
        md_piece piece;
        MD_GOTO(done, status, md_reader_piece(reader, &piece, err));
        if (piece.size == 0) break;
        int64_t document = again.documents, at = again.bytes;
        md_tally_add(&again, &piece, NULL);
        if (val) {
            part_writer *part = &p->parts[MD_PART_VAL];
            MD_GOTO(done, status, add_text(p, part, piece.text, piece.size, err));
            if (piece.last) part->in_document = false;
        } else {
            MD_GOTO(done, status, add_piece(p, &piece, document, at, err));
        }
        p->done += (int64_t)piece.size;
        if (p->opt->on_progress && p->opt->on_progress(p->opt->user, p->done, p->total) != 0) {
            status = md_fail(err, MDLM_CANCELLED, "packing was cancelled");
            goto done;
        }
    }
    md_tally_finish(&again);
    status = md_tally_compare(before, &again, err);
done:
    md_tally_release(&again);
    md_reader_free(reader);
    return status;
}

/* --- the folder ------------------------------------------------------------------------------- */

/* Length of the shortest prefix of `path` that is not there, or 0 when all of it is. */
static size_t missing_prefix(const char *path, mdlm_error *err) {
    size_t size = strlen(path), found = md_is_dir(path) ? 0 : size;
    char *prefix = found ? md_strdup(path, err) : NULL;
    for (size_t i = 1; prefix && i < size && found == size; i++) {
        if (path[i] != '/') continue;
        prefix[i] = 0;
        if (!md_is_dir(prefix)) found = i;
        prefix[i] = '/';
    }
    md_free(prefix);
    return found;
}

/* Takes back the folders that packing made, as far as they are empty. */
static void remove_made_folders(const packer *p) {
    char *path = p->made_from ? md_strdup(p->folder, NULL) : NULL;
    for (size_t i = path ? strlen(path) : 0; i >= p->made_from && i > 0; i--) {
        if (path[i] != '/' && path[i] != 0) continue;
        path[i] = 0;
        if (rmdir(path) != 0 && errno != ENOENT) break;
    }
    md_free(path);
}

static mdlm_status open_writer(const char *folder, const char *name, md_writer **out,
                               mdlm_error *err) {
    char *path = md_path_join(folder, name, err);
    if (!path) return MDLM_RUNTIME;
    mdlm_status status = md_writer_open(path, out, err);
    md_free(path);
    return status;
}

static mdlm_status open_parts(packer *p, mdlm_error *err) {
    p->made_from = missing_prefix(p->folder, err);
    MD_TRY(md_dir_make(p->folder, err));
    for (int i = 0; i < 2; i++) {
        MD_TRY(open_writer(p->folder, md_part_files[i][0], &p->parts[i].ids, err));
        MD_TRY(open_writer(p->folder, md_part_files[i][1], &p->parts[i].documents, err));
    }
    return MDLM_OK;
}

static void remove_file(const char *folder, const char *name) {
    char *path = md_path_join(folder, name, NULL);
    if (path) (void)unlink(path);
    md_free(path);
}

static void remove_files(const char *folder) {
    remove_file(folder, MD_MANIFEST_FILE);
    for (int i = 0; i < 4; i++) remove_file(folder, md_part_files[i / 2][i % 2]);
}

/* From here on the old corpus is gone: a failure leaves none. */
static mdlm_status commit(packer *p, mdlm_error *err) {
    mdlm_status status = MDLM_OK;
    char *manifest = md_path_join(p->folder, MD_MANIFEST_FILE, err);
    cJSON *json = md_manifest_new(p->tok, p->opt, &p->split, &p->tally,
                                  p->opt->val_file ? &p->val_tally : NULL,
                                  &(md_corpus_stats){p->parts[0].stats, p->parts[1].stats});
    if (!manifest || !json) {
        status = md_fail(err, MDLM_RUNTIME, "out of memory: cannot describe '%s'", p->folder);
        goto done;
    }
    if (unlink(manifest) != 0 && errno != ENOENT) {
        status = md_fail_errno(err, MDLM_WRITE, "cannot replace '%s'", manifest);
        goto done;
    }
    status = md_dir_sync(p->folder, err);
    for (int i = 0; i < 2; i++) {
        if (status == MDLM_OK) status = md_writer_commit(p->parts[i].ids, err);
        if (status == MDLM_OK) status = md_writer_commit(p->parts[i].documents, err);
    }
    if (status == MDLM_OK) status = md_json_save(manifest, json, err);
    if (status != MDLM_OK) remove_files(p->folder);
done:
    cJSON_Delete(json);
    md_free(manifest);
    return status;
}

static void release(packer *p) {
    for (int i = 0; i < 2; i++) {
        md_writer_free(p->parts[i].ids);
        md_writer_free(p->parts[i].documents);
    }
    md_ids_release(&p->ids);
    md_tally_release(&p->tally);
    md_tally_release(&p->val_tally);
    md_split_release(&p->split);
}

mdlm_status md_corpus_pack(const char *const *paths, size_t count, const md_tokenizer *tok,
                           const md_pack_options *opt, const char *folder, md_corpus_stats *stats,
                           mdlm_error *err) {
    if (!(opt->val_fraction >= 0 && opt->val_fraction < 1)) {
        return md_fail(err, MDLM_USAGE, "the validation fraction is %g: expected 0 <= f < 1",
                       opt->val_fraction);
    }
    packer p = {.tok = tok, .opt = opt, .folder = folder, .vocab = md_tokenizer_vocab_size(tok)};
    p.id_bits = md_id_bits(p.vocab);
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_survey(paths, count, opt, &p.tally, &p.split, err));
    if (opt->val_file)
        MD_GOTO(done, status, md_survey(&opt->val_file, 1, opt, &p.val_tally, NULL, err));
    p.total = p.tally.bytes + p.val_tally.bytes;
    MD_GOTO(done, status, open_parts(&p, err));
    MD_GOTO(done, status, pack_paths(&p, paths, count, false, err));
    if (opt->val_file) MD_GOTO(done, status, pack_paths(&p, &opt->val_file, 1, true, err));
    for (int i = 0; i < 2; i++) MD_GOTO(done, status, write_offset(&p.parts[i], err));
    MD_GOTO(done, status, commit(&p, err));
    if (stats) *stats = (md_corpus_stats){p.parts[0].stats, p.parts[1].stats};
done:
    release(&p);
    if (status != MDLM_OK) remove_made_folders(&p);
    return status;
}
