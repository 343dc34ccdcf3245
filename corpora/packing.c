/* corpora/packing.c: a packed folder being written; see corpora_internal.h.
 *
 * Every file is written under a temporary name; the old corpus.json goes before the first rename
 * and the new one comes after the last, so that a folder with a corpus.json is always a whole
 * corpus.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/corpora_internal.h"

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
static void remove_made_folders(const md_packing *p) {
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

mdlm_status md_packing_open(md_packing *p, const char *folder, const md_tokenizer *tok,
                            mdlm_error *err) {
    *p = (md_packing){.folder = folder, .vocab = md_tokenizer_vocab_size(tok)};
    p->id_bits = md_id_bits(p->vocab);
    p->made_from = missing_prefix(folder, err);
    MD_TRY(md_dir_make(folder, err));
    for (int i = 0; i < 2; i++) {
        MD_TRY(open_writer(folder, md_part_files[i][0], &p->parts[i].ids, err));
        MD_TRY(open_writer(folder, md_part_files[i][1], &p->parts[i].documents, err));
    }
    return MDLM_OK;
}

mdlm_status md_packing_ids(md_packing *p, md_part part, const int32_t *ids, size_t count,
                           mdlm_error *err) {
    uint16_t narrow[4096];
    const size_t room = sizeof narrow / sizeof *narrow;
    md_writer *out = p->parts[part].ids;
    for (size_t i = 0; i < count; i++) MD_BUG_IF(ids[i] < 0 || ids[i] >= p->vocab);
    p->parts[part].stats.tokens += (int64_t)count;
    if (p->id_bits == 32) return md_writer_write(out, ids, count * sizeof *ids, err);
    for (size_t i = 0; i < count; i += room) {
        size_t n = count - i < room ? count - i : room;
        for (size_t k = 0; k < n; k++) narrow[k] = (uint16_t)ids[i + k];
        MD_TRY(md_writer_write(out, narrow, n * sizeof *narrow, err));
    }
    return MDLM_OK;
}

static mdlm_status write_offset(md_packed_part *part, mdlm_error *err) {
    return md_writer_write(part->documents, &part->stats.tokens, sizeof part->stats.tokens, err);
}

mdlm_status md_packing_document(md_packing *p, md_part part, mdlm_error *err) {
    MD_TRY(write_offset(&p->parts[part], err));
    p->parts[part].stats.documents++;
    return MDLM_OK;
}

md_corpus_stats md_packing_stats(const md_packing *p) {
    return (md_corpus_stats){p->parts[MD_PART_TRAIN].stats, p->parts[MD_PART_VAL].stats};
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
mdlm_status md_packing_commit(md_packing *p, const cJSON *manifest, mdlm_error *err) {
    for (int i = 0; i < 2; i++) MD_TRY(write_offset(&p->parts[i], err));
    char *path = md_path_join(p->folder, MD_MANIFEST_FILE, err);
    mdlm_status status = path && manifest ? MDLM_OK : MDLM_RUNTIME;
    if (!manifest) md_fail(err, MDLM_RUNTIME, "out of memory: cannot describe '%s'", p->folder);
    if (status != MDLM_OK) goto done;
    if (unlink(path) != 0 && errno != ENOENT) {
        status = md_fail_errno(err, MDLM_WRITE, "cannot replace '%s'", path);
        goto done;
    }
    status = md_dir_sync(p->folder, err);
    for (int i = 0; i < 2; i++) {
        if (status == MDLM_OK) status = md_writer_commit(p->parts[i].ids, err);
        if (status == MDLM_OK) status = md_writer_commit(p->parts[i].documents, err);
    }
    if (status == MDLM_OK) status = md_json_save(path, manifest, err);
    if (status != MDLM_OK) remove_files(p->folder);
    p->whole = status == MDLM_OK;
done:
    md_free(path);
    return status;
}

void md_packing_release(md_packing *p) {
    for (int i = 0; i < 2; i++) {
        md_writer_free(p->parts[i].ids);
        md_writer_free(p->parts[i].documents);
    }
    if (p->folder && !p->whole) remove_made_folders(p);
    *p = (md_packing){.folder = NULL};
}
