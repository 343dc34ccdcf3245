/* train/windows.c: see windows.h. */
#include "train/windows.h"

#include <string.h>

#include "base/memory.h"

static mdlm_status allocate(md_windows *w, mdlm_error *err) {
    size_t room = (size_t)w->room, ids;
    if (!md_size_mul(room, (size_t)w->length, &ids))
        return md_fail(err, MDLM_RUNTIME, "%d windows of %d tokens are too many", w->room,
                       w->length);
    if (!(w->ids = md_alloc(ids, sizeof *w->ids, err))) return MDLM_RUNTIME;
    if (!(w->keep = md_alloc(ids, sizeof *w->keep, err))) return MDLM_RUNTIME;
    if (!(w->context = md_alloc(room, sizeof *w->context, err))) return MDLM_RUNTIME;
    if (!(w->end = md_alloc(room, sizeof *w->end, err))) return MDLM_RUNTIME;
    if (!(w->offset = md_alloc(room, sizeof *w->offset, err))) return MDLM_RUNTIME;
    if (!(w->group = md_alloc(room, sizeof *w->group, err))) return MDLM_RUNTIME;
    return MDLM_OK;
}

mdlm_status md_windows_init(md_windows *w, int64_t room, int64_t max_windows, mdlm_error *err) {
    if (w->length < 1)
        return md_fail(err, MDLM_USAGE, "a window of %d tokens: expected at least 1", w->length);
    if (w->stride < 1 || w->stride > w->length)
        return md_fail(err, MDLM_USAGE,
                       "a stride of %d tokens: expected 1 to %d, the length of a window", w->stride,
                       w->length);
    w->tokens = md_corpus_tokens(w->corpus, w->part);
    if (w->tokens < 1)
        return md_fail(err, MDLM_INPUT, "the %s part of the corpus is empty",
                       w->part == MD_PART_TRAIN ? "training" : "validation");
    const md_corpus_stats stats = md_corpus_get_stats(w->corpus);
    w->documents = md_corpus_documents(w->corpus, w->part);
    w->document_count = w->part == MD_PART_TRAIN ? stats.train.documents : stats.val.documents;
    int64_t later = w->tokens > w->length ? w->tokens - w->length : 0; /* not in the first */
    w->total = 1 + (later + w->stride - 1) / w->stride;
    w->count = max_windows > 0 && max_windows < w->total ? max_windows : w->total;
    w->room = (int)(room < 1 ? 1 : room > w->count ? w->count : room);
    return allocate(w, err);
}

void md_windows_release(md_windows *w) {
    md_free(w->ids);
    md_free(w->keep);
    md_free(w->context);
    md_free(w->end);
    md_free(w->offset);
    md_free(w->group);
}

/* floor(k * total / count), without the product. */
static int64_t window_index(const md_windows *w, int64_t k) {
    return k * (w->total / w->count) + k * (w->total % w->count) / w->count;
}

/* The document of an offset; offsets only grow. */
static int64_t document_of(md_windows *w, int64_t offset) {
    while (w->document + 1 < w->document_count && w->documents[w->document + 1] <= offset)
        w->document++;
    return w->document;
}

void md_windows_read(md_windows *w, int64_t first) {
    const int64_t left = w->count - first;
    const size_t T = (size_t)w->length;
    w->filled = left < w->room ? (int)left : w->room;
    for (int i = 0; i < w->filled; i++) {
        const int64_t index = window_index(w, first + i), offset = index * w->stride;
        const int64_t rest = w->tokens - offset;
        const int end = rest < w->length ? (int)rest : w->length;
        int32_t *ids = w->ids + (size_t)i * T;
        md_corpus_read(w->corpus, w->part, offset, ids, end);
        for (int j = end; j < w->length; j++) ids[j] = w->padding;
        w->context[i] = index > 0 ? w->length - w->stride : 0;
        memset(w->keep + (size_t)i * T, 0, T);
        memset(w->keep + (size_t)i * T, 1, (size_t)w->context[i]);
        w->end[i] = end;
        w->offset[i] = offset;
        w->group[i] = w->document_count > 1 ? document_of(w, offset + w->context[i]) : first + i;
    }
}
