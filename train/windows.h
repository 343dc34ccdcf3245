/* train/windows.h: a part of a corpus in windows, some at a time, with what each of them scores.
 *
 *     md_windows w = {.corpus = corpus, .part = MD_PART_VAL, .length = 128, .stride = 128};
 *     MD_GOTO(done, status, md_windows_init(&w, room, max_windows, err));
 *     for (int64_t done = 0; done < w.count; done += w.filled) {
 *         md_windows_read(&w, done);
 *         use(w.ids, w.keep, w.filled);
 *     }
 *     done: md_windows_release(&w);
 *
 * Window k begins at token k * stride. The first is scored whole, a later one in its last `stride`
 * tokens: those before are context, which earlier windows have scored. The last window may be
 * shorter; the rest of it is padding.
 */
#ifndef MD_TRAIN_WINDOWS_H
#define MD_TRAIN_WINDOWS_H

#include "corpora/corpus.h"

typedef struct md_windows {
    const md_corpus *corpus;
    md_part part;
    int length, stride; /* tokens; 1 <= stride <= length */
    int32_t padding;
    /* set by init */
    int64_t tokens;           /* of the part */
    int64_t total, count;     /* windows of the part; those that are used, evenly spread */
    const int64_t *documents; /* start offsets, and the end of the last */
    int64_t document_count;
    int room;
    /* set by read: windows first .. first + filled - 1 */
    int filled;
    int32_t *ids;     /* [room, length] */
    uint8_t *keep;    /* [room, length] 1: context */
    int *context;     /* [room] how many tokens of it come first */
    int32_t *end;     /* [room] tokens before the padding */
    int64_t *offset;  /* [room] of the window's first token in the part */
    int64_t *group;   /* [room] document of the first scored token, or the window's number where
                         there is one document only */
    int64_t document; /* where the search for the next goes on */
} md_windows;

/* Room for `room` windows at once, at most as many as there are; max_windows 0: all. MDLM_USAGE for
 * a length or stride out of range, MDLM_INPUT for an empty part. Release in any case. */
mdlm_status md_windows_init(md_windows *w, int64_t room, int64_t max_windows, mdlm_error *err);
void md_windows_release(md_windows *w);

/* Reads windows `first`, first + 1, ..., as many as there is room for; `first` only grows. */
void md_windows_read(md_windows *w, int64_t first);

#endif
