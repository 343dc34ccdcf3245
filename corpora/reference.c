/* corpora/reference.c: see reference.h. */
#include "corpora/reference.h"

#include "base/memory.h"
#include "corpora/corpora_internal.h"

enum { IDS_AT_ONCE = 8192 };

struct md_reference {
    /* files */
    char **paths;
    size_t path_count;
    md_split split;
    /* or a packed folder */
    md_corpus *corpus;
    const md_tokenizer *tok;
};

mdlm_status md_reference_files(const char *const *paths, size_t count, double val_fraction,
                               md_reference **out, mdlm_error *err) {
    md_pack_options opt = {.val_fraction = val_fraction};
    md_reference *ref = md_alloc(1, sizeof *ref, err);
    if (!ref) return MDLM_RUNTIME;
    md_tally tally = {0};
    mdlm_status status = MDLM_RUNTIME;
    ref->paths = md_alloc(count, sizeof *ref->paths, err);
    if (!ref->paths) goto done;
    for (; ref->path_count < count; ref->path_count++) {
        ref->paths[ref->path_count] = md_strdup(paths[ref->path_count], err);
        if (!ref->paths[ref->path_count]) goto done;
    }
    MD_GOTO(done, status, md_survey(paths, count, &opt, &tally, &ref->split, err));
    *out = ref, ref = NULL;
done:
    md_tally_release(&tally);
    md_reference_free(ref);
    return status;
}

mdlm_status md_reference_packed(const char *folder, const md_tokenizer *tok, md_reference **out,
                                mdlm_error *err) {
    md_reference *ref = md_alloc(1, sizeof *ref, err);
    if (!ref) return MDLM_RUNTIME;
    ref->tok = tok;
    mdlm_status status = md_corpus_open(folder, &ref->corpus, err);
    if (status == MDLM_OK && !md_corpus_matches(ref->corpus, tok)) {
        status = md_fail(err, MDLM_INPUT, "'%s' was packed with another tokenizer", folder);
    }
    if (status == MDLM_OK) *out = ref, ref = NULL;
    md_reference_free(ref);
    return status;
}

void md_reference_free(md_reference *ref) {
    if (!ref) return;
    for (size_t i = 0; i < ref->path_count; i++) md_free(ref->paths[i]);
    md_free(ref->paths);
    md_split_release(&ref->split);
    md_corpus_close(ref->corpus);
    md_free(ref);
}

typedef struct sink {
    md_reference_fn fn;
    void *user;
} sink;

static mdlm_status read_files(md_reference *ref, md_part part, sink to, mdlm_error *err) {
    md_reader *reader = NULL;
    int64_t document = 0, at = 0;
    bool open = false; /* a document of this part */
    mdlm_status status;
    MD_GOTO(done, status,
            md_reader_open((const char *const *)ref->paths, ref->path_count, &reader, err));
    for (;;) {
        md_piece piece;
        MD_GOTO(done, status, md_reader_piece(reader, &piece, err));
        if (piece.size == 0) break;
        size_t head = md_split_head(&ref->split, &piece, document, at);
        const char *text = part == MD_PART_VAL ? piece.text + head : piece.text;
        size_t size = part == MD_PART_VAL ? piece.size - head : head;
        if (size > 0 || (open && piece.last)) {
            MD_GOTO(done, status, to.fn(to.user, text, size, piece.last, err));
            open = !piece.last;
        }
        document += piece.last;
        at += (int64_t)piece.size;
    }
done:
    md_reader_free(reader);
    return status;
}

/* Tokens [from, end) of a part, which are one document. */
static mdlm_status read_document(md_reference *ref, md_part part, int64_t from, int64_t end,
                                 sink to, mdlm_error *err) {
    int32_t ids[IDS_AT_ONCE];
    md_buffer text = {0};
    mdlm_status status = MDLM_OK;
    for (bool first = true; from < end && status == MDLM_OK; first = false) {
        int64_t count = end - from < IDS_AT_ONCE ? end - from : IDS_AT_ONCE;
        md_corpus_read(ref->corpus, part, from, ids, count);
        from += count;
        md_buffer_clear(&text);
        status = first ? md_tokenizer_decode(ref->tok, ids, (size_t)count, &text, err)
                       : md_tokenizer_decode_more(ref->tok, ids, (size_t)count, &text, err);
        if (status == MDLM_OK) status = to.fn(to.user, text.data, text.size, from == end, err);
    }
    md_buffer_release(&text);
    return status;
}

static mdlm_status read_packed(md_reference *ref, md_part part, sink to, mdlm_error *err) {
    md_corpus_stats stats = md_corpus_get_stats(ref->corpus);
    int64_t documents = part == MD_PART_VAL ? stats.val.documents : stats.train.documents;
    const int64_t *at = md_corpus_documents(ref->corpus, part);
    for (int64_t i = 0; i < documents; i++)
        MD_TRY(read_document(ref, part, at[i], at[i + 1], to, err));
    return MDLM_OK;
}

mdlm_status md_reference_read(md_reference *ref, md_part part, md_reference_fn fn, void *user,
                              mdlm_error *err) {
    sink to = {fn, user};
    return ref->corpus ? read_packed(ref, part, to, err) : read_files(ref, part, to, err);
}
