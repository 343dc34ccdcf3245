/* corpora/survey.c: a pass over the documents before they are packed: how much there is, a hash of
 * it, and which of it is validation.
 */
#include <float.h>
#include <math.h>

#define XXH_STATIC_LINKING_ONLY /* the size of the state, to allocate it like all the rest */
#include <xxhash.h>

#include "base/memory.h"
#include "corpora/corpora_internal.h"

mdlm_status md_tally_init(md_tally *tally, const md_sources *sources, mdlm_error *err) {
    md_tally t = {.count = sources->count};
    t.sources = md_alloc(sources->count, sizeof *t.sources, err);
    t.source_hash = md_alloc(1, sizeof(XXH3_state_t), err);
    t.document_hash = md_alloc(1, sizeof(XXH3_state_t), err);
    bool ok = t.sources && t.source_hash && t.document_hash;
    for (size_t i = 0; ok && i < t.count; i++) {
        t.sources[i].path = md_strdup(sources->items[i].path, err);
        ok = t.sources[i].path != NULL;
    }
    if (!ok) {
        if (!t.sources) t.count = 0;
        md_tally_release(&t);
        return MDLM_RUNTIME;
    }
    XXH3_64bits_reset(t.source_hash);
    XXH3_64bits_reset(t.document_hash);
    *tally = t;
    return MDLM_OK;
}

void md_tally_release(md_tally *tally) {
    for (size_t i = 0; i < tally->count; i++) md_free(tally->sources[i].path);
    md_free(tally->sources);
    md_free(tally->source_hash);
    md_free(tally->document_hash);
    *tally = (md_tally){0};
}

static void close_source(md_tally *tally) {
    tally->sources[tally->current].hash = XXH3_64bits_digest(tally->source_hash);
    XXH3_64bits_reset(tally->source_hash);
}

void md_tally_add(md_tally *tally, const md_piece *piece, uint64_t *hash) {
    while (tally->current < piece->source) {
        close_source(tally);
        tally->current++;
    }
    md_source_tally *source = &tally->sources[piece->source];
    XXH3_64bits_update(tally->source_hash, piece->text, piece->size);
    XXH3_64bits_update(tally->document_hash, piece->text, piece->size);
    source->bytes += (int64_t)piece->size;
    tally->bytes += (int64_t)piece->size;
    if (!piece->last) return;
    source->documents++;
    tally->documents++;
    if (hash) *hash = XXH3_64bits_digest(tally->document_hash);
    XXH3_64bits_reset(tally->document_hash);
}

void md_tally_finish(md_tally *tally) {
    for (; tally->current < tally->count; tally->current++) close_source(tally);
}

mdlm_status md_tally_compare(const md_tally *before, const md_tally *after, mdlm_error *err) {
    for (size_t i = 0; i < before->count; i++) {
        const md_source_tally *a = &before->sources[i], *b = &after->sources[i];
        if (a->bytes == b->bytes && a->documents == b->documents && a->hash == b->hash) continue;
        return md_fail(err, MDLM_INPUT, "'%s' changed while it was being packed", a->path);
    }
    return MDLM_OK;
}

/* floor((1 - fraction) * bytes), and not one byte less when the product is a whole number that
 * floating point misses. */
static int64_t byte_cut(double fraction, int64_t bytes) {
    double exact = (1 - fraction) * (double)bytes, nearest = round(exact);
    double slack = 4 * DBL_EPSILON * (double)bytes;
    return (int64_t)(fabs(exact - nearest) <= slack ? nearest : floor(exact));
}

static mdlm_status add_flag(md_split *split, bool val, mdlm_error *err) {
    if ((size_t)split->documents == split->capacity) {
        size_t capacity = split->capacity ? 2 * split->capacity : 1024;
        uint8_t *flags = md_realloc(split->is_val, capacity, 1, err);
        if (!flags) return MDLM_RUNTIME;
        split->is_val = flags;
        split->capacity = capacity;
    }
    split->is_val[split->documents++] = val;
    return MDLM_OK;
}

/* What the rules say once all documents are known. */
static void decide(md_split *split, const md_pack_options *opt, int64_t bytes) {
    if (split->rule == MD_SPLIT_FILE) return;
    if (split->documents == 1) {
        split->rule = MD_SPLIT_BYTES;
        split->cut = byte_cut(opt->val_fraction, bytes);
        return;
    }
    split->rule = MD_SPLIT_DOCUMENTS;
    int64_t chosen = 0;
    for (int64_t i = 0; i < split->documents; i++) chosen += split->is_val[i];
    if (opt->val_fraction <= 0 || (chosen > 0 && chosen < split->documents)) return;
    for (int64_t i = 0; i < split->documents; i++) split->is_val[i] = i == split->documents - 1;
}

mdlm_status md_survey(const char *const *paths, size_t count, const md_pack_options *opt,
                      md_tally *tally, md_split *split, mdlm_error *err) {
    md_reader *reader = NULL;
    mdlm_status status = MDLM_OK;
    if (split) split->rule = opt->val_file ? MD_SPLIT_FILE : MD_SPLIT_DOCUMENTS;
    MD_GOTO(done, status, md_reader_open(paths, count, &reader, err));
    MD_GOTO(done, status, md_tally_init(tally, md_reader_sources(reader), err));
    for (;;) {
        md_piece piece;
        uint64_t hash = 0;
        MD_GOTO(done, status, md_reader_piece(reader, &piece, err));
        if (piece.size == 0) break;
        md_tally_add(tally, &piece, &hash);
        if (split && piece.last && split->rule == MD_SPLIT_DOCUMENTS) {
            bool val = (double)(hash >> 11) * 0x1p-53 < opt->val_fraction;
            MD_GOTO(done, status, add_flag(split, val, err));
        }
        if (opt->on_progress && opt->on_progress(opt->user, tally->bytes, 0) != 0) {
            status = md_fail(err, MDLM_CANCELLED, "packing was cancelled");
            goto done;
        }
    }
    md_tally_finish(tally);
    if (split) decide(split, opt, tally->bytes);
done:
    md_reader_free(reader);
    return status;
}

size_t md_split_head(const md_split *split, const md_piece *piece, int64_t document, int64_t at) {
    if (split->rule == MD_SPLIT_DOCUMENTS) {
        /* A file that grew since the survey has documents without a flag. */
        bool val = document < split->documents && split->is_val[document];
        return val ? 0 : piece->size;
    }
    if (split->rule == MD_SPLIT_BYTES) {
        int64_t left = split->cut > at ? split->cut - at : 0;
        if ((int64_t)piece->size > left) return (size_t)left;
    }
    return piece->size;
}

void md_split_release(md_split *split) {
    md_free(split->is_val);
    *split = (md_split){0};
}
