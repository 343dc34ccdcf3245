/* corpora/pack.c: text to token ids, once, into the files that training maps.
 *
 * The first pass (survey.c) decides the split and writes nothing; the second tokenizes
 * (packing.c writes).
 */
#include "corpora/corpora_internal.h"

typedef struct packer {
    const md_tokenizer *tok;
    const md_pack_options *opt;
    md_packing out;
    bool in_document[2]; /* by part */
    md_split split;
    md_tally tally, val_tally;
    md_ids ids;
    int64_t done, total; /* bytes, for progress */
} packer;

md_pack_options md_pack_defaults(void) {
    return (md_pack_options){.val_fraction = 0.1};
}

mdlm_status md_pack_options_check(const md_pack_options *opt, mdlm_error *err) {
    if (opt->val_fraction >= 0 && opt->val_fraction < 1) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "the validation fraction is %g: expected 0 <= f < 1",
                   opt->val_fraction);
}

/* Text of the document under way; `last` ends it. */
static mdlm_status add_text(packer *p, md_part part, const char *text, size_t size,
                            mdlm_error *err) {
    md_part_stats *stats = &p->out.parts[part].stats;
    bool first = !p->in_document[part];
    if (first) {
        int32_t end = md_tokenizer_end_of_text(p->tok);
        if (stats->documents > 0) MD_TRY(md_packing_ids(&p->out, part, &end, 1, err));
        MD_TRY(md_packing_document(&p->out, part, err));
        p->in_document[part] = true;
    }
    p->ids.count = 0;
    MD_TRY(first ? md_tokenizer_encode(p->tok, text, size, &p->ids, err)
                 : md_tokenizer_encode_more(p->tok, text, size, &p->ids, err));
    stats->bytes += (int64_t)size;
    return md_packing_ids(&p->out, part, p->ids.data, p->ids.count, err);
}

/* A piece of document number `document` that begins at byte `at` of all text. */
static mdlm_status add_piece(packer *p, const md_piece *piece, int64_t document, int64_t at,
                             mdlm_error *err) {
    size_t head = piece->size; /* bytes of it for training */
    if (p->split.rule == MD_SPLIT_DOCUMENTS) {
        /* A file that grew since the survey: told by md_tally_compare in the end. */
        bool known = document < p->split.documents;
        if (known && p->split.is_val[document]) head = 0;
    } else if (p->split.rule == MD_SPLIT_BYTES) {
        int64_t left = p->split.cut > at ? p->split.cut - at : 0;
        if ((int64_t)head > left) head = (size_t)left;
    }
    if (head > 0) MD_TRY(add_text(p, MD_PART_TRAIN, piece->text, head, err));
    if (head < piece->size)
        MD_TRY(add_text(p, MD_PART_VAL, piece->text + head, piece->size - head, err));
    if (piece->last) p->in_document[MD_PART_TRAIN] = p->in_document[MD_PART_VAL] = false;
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
            MD_GOTO(done, status, add_text(p, MD_PART_VAL, piece.text, piece.size, err));
            if (piece.last) p->in_document[MD_PART_VAL] = false;
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

static mdlm_status finish(packer *p, mdlm_error *err) {
    md_corpus_stats stats = md_packing_stats(&p->out);
    const md_tally *val = p->opt->val_file ? &p->val_tally : NULL;
    cJSON *json = md_manifest_new(p->tok, p->opt, &p->split, &p->tally, val, &stats);
    mdlm_status status = md_packing_commit(&p->out, json, err);
    cJSON_Delete(json);
    return status;
}

mdlm_status md_corpus_pack(const char *const *paths, size_t count, const md_tokenizer *tok,
                           const md_pack_options *opt, const char *folder, md_corpus_stats *stats,
                           mdlm_error *err) {
    MD_TRY(md_pack_options_check(opt, err));
    packer p = {.tok = tok, .opt = opt};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_survey(paths, count, opt, &p.tally, &p.split, err));
    if (opt->val_file)
        MD_GOTO(done, status, md_survey(&opt->val_file, 1, opt, &p.val_tally, NULL, err));
    p.total = p.tally.bytes + p.val_tally.bytes;
    MD_GOTO(done, status, md_packing_open(&p.out, folder, tok, err));
    MD_GOTO(done, status, pack_paths(&p, paths, count, false, err));
    if (opt->val_file) MD_GOTO(done, status, pack_paths(&p, &opt->val_file, 1, true, err));
    MD_GOTO(done, status, finish(&p, err));
    if (stats) *stats = md_packing_stats(&p.out);
done:
    md_packing_release(&p.out);
    md_ids_release(&p.ids);
    md_tally_release(&p.tally);
    md_tally_release(&p.val_tally);
    md_split_release(&p.split);
    return status;
}
