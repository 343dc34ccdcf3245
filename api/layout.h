/* api/layout.h: the canvas that spans make up, and its way back to text.
 *
 *     md_layout l = {0};
 *     status = md_layout_make(&l, model, spans, count, err);     the spans' text must outlive it
 *     ... l.ids, l.given ...
 *     status = md_layout_text(&l, model, ids, end, &text, err);
 *     md_layout_release(&l);
 */
#ifndef MD_API_LAYOUT_H
#define MD_API_LAYOUT_H

#include "api/model.h"

/* A stretch of the canvas that is all given or all open. */
typedef struct md_part {
    const char *text; /* a span's own bytes; NULL where ids are to be decoded */
    size_t text_bytes;
    int start, length; /* positions */
    bool open;
} md_part;

typedef struct md_layout {
    md_ids ids;     /* masks where open */
    uint8_t *given; /* [ids.count] */
    md_part *parts; /* of all spans, in order */
    size_t part_count;
    int open_count, hole_count, first_open; /* first_open: ids.count when nothing is */
} md_layout;

/* Tokenizes spans apart. A mask among given ids is open. MDLM_USAGE for a span that is not one of
 * text, ids and a hole, ids out of range, an empty canvas, and one that is longer than the model
 * was trained on (unless it can write on for ever). Release also after a failure. */
mdlm_status md_layout_make(md_layout *l, const mdlm_model *m, const mdlm_span *spans, size_t count,
                           mdlm_error *err);
void md_layout_release(md_layout *l); /* accepts an empty struct */

/* Appends the text of the canvas `ids` up to position `end`: given text as it was given, anything
 * else decoded. */
mdlm_status md_layout_text(const md_layout *l, const mdlm_model *m, const int32_t *ids, int end,
                           md_buffer *text, mdlm_error *err);

#endif
