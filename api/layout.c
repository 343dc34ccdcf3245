/* api/layout.c: see layout.h. */
#include "api/layout.h"

#include "base/memory.h"

/* There is room for it: a span of ids makes at most one part an id, any other span one. */
static void add_part(md_layout *l, md_part part) {
    if (part.length > 0 || part.text_bytes > 0) l->parts[l->part_count++] = part;
}

static mdlm_status add_hole(md_layout *l, int32_t mask, int count, mdlm_error *err) {
    md_part part = {.start = (int)l->ids.count, .length = count, .open = true};
    for (int i = 0; i < count; i++) MD_TRY(md_ids_push(&l->ids, mask, err));
    add_part(l, part);
    return MDLM_OK;
}

/* One part for each run of masks, one for each run of other ids. */
static mdlm_status add_ids(md_layout *l, const mdlm_model *m, const mdlm_span *span,
                           mdlm_error *err) {
    const md_model_config *c = md_transformer_config(m->net);
    md_part part = {.start = (int)l->ids.count};
    for (size_t i = 0; i < span->ids_count; i++) {
        int32_t id = span->ids[i];
        if (id < 0 || id >= c->vocab)
            return md_fail(err, MDLM_USAGE, "token id %d is not in a vocabulary of %d", id,
                           c->vocab);
        bool open = id == c->mask_id;
        if (open != part.open) {
            add_part(l, part);
            part = (md_part){.start = (int)l->ids.count, .open = open};
        }
        MD_TRY(md_ids_push(&l->ids, id, err));
        part.length++;
    }
    add_part(l, part);
    return MDLM_OK;
}

static mdlm_status add_text(md_layout *l, const mdlm_model *m, const mdlm_span *span,
                            mdlm_error *err) {
    md_part part = {.text = span->text, .text_bytes = span->text_bytes, .start = (int)l->ids.count};
    MD_TRY(
        part.start == 0
            ? md_tokenizer_encode(m->tokenizer, span->text, span->text_bytes, &l->ids, err)
            : md_tokenizer_encode_more(m->tokenizer, span->text, span->text_bytes, &l->ids, err));
    part.length = (int)l->ids.count - part.start;
    add_part(l, part);
    return MDLM_OK;
}

/* Canvases are counted in ints; models that see a window of the past write on for ever. */
static mdlm_status check_length(size_t tokens, const char *what, const md_model_config *c,
                                mdlm_error *err) {
    enum { LONGEST = 1 << 24 };
    bool bounded = c->sight == MD_SEES_ALL;
    size_t longest = bounded ? (size_t)c->seq_len : LONGEST;
    if (tokens <= longest) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "%s %zu tokens, more than the %zu that %s", what, tokens,
                   longest, bounded ? "this model was trained on" : "a canvas may have");
}

static mdlm_status add_span(md_layout *l, const mdlm_model *m, const mdlm_span *s, size_t number,
                            mdlm_error *err) {
    const md_model_config *c = md_transformer_config(m->net);
    if ((s->text != NULL) + (s->ids != NULL) + (s->hole != 0) > 1 || s->hole < 0)
        return md_fail(err, MDLM_USAGE, "span %zu must be one of text, ids or a hole", number);
    if (s->hole) {
        MD_TRY(check_length((size_t)s->hole, "a hole asks for", c, err));
        MD_TRY(add_hole(l, c->mask_id, s->hole, err));
    }
    if (s->ids) MD_TRY(add_ids(l, m, s, err));
    if (s->text) MD_TRY(add_text(l, m, s, err));
    return check_length(l->ids.count, "prompt and new text make", c, err);
}

static mdlm_status allocate_parts(md_layout *l, const mdlm_span *spans, size_t count,
                                  mdlm_error *err) {
    size_t most = 0;
    for (size_t i = 0; i < count; i++) {
        size_t of_span = spans[i].ids ? spans[i].ids_count : 1;
        if (!md_size_add(most, of_span, &most))
            return md_fail(err, MDLM_USAGE, "span %zu is too long", i + 1);
    }
    l->parts = md_alloc(most, sizeof *l->parts, err);
    return l->parts ? MDLM_OK : MDLM_RUNTIME;
}

static void mark_open(md_layout *l) {
    l->first_open = (int)l->ids.count;
    for (size_t i = 0; i < l->ids.count; i++) l->given[i] = 1;
    for (size_t n = l->part_count; n-- > 0;) {
        const md_part *part = &l->parts[n];
        if (!part->open) continue;
        for (int i = 0; i < part->length; i++) l->given[part->start + i] = 0;
        l->open_count += part->length;
        l->hole_count++;
        l->first_open = part->start;
    }
}

mdlm_status md_layout_make(md_layout *l, const mdlm_model *m, const mdlm_span *spans, size_t count,
                           mdlm_error *err) {
    MD_TRY(allocate_parts(l, spans, count, err));
    for (size_t i = 0; i < count; i++) MD_TRY(add_span(l, m, &spans[i], i + 1, err));
    if (l->ids.count == 0) return md_fail(err, MDLM_USAGE, "there is nothing to fill");
    l->given = md_alloc(l->ids.count, sizeof *l->given, err);
    if (!l->given) return MDLM_RUNTIME;
    mark_open(l);
    return MDLM_OK;
}

void md_layout_release(md_layout *l) {
    md_ids_release(&l->ids);
    md_free(l->given);
    md_free(l->parts);
    *l = (md_layout){0};
}

mdlm_status md_layout_text(const md_layout *l, const mdlm_model *m, const int32_t *ids, int end,
                           md_buffer *text, mdlm_error *err) {
    for (size_t n = 0; n < l->part_count; n++) {
        const md_part *part = &l->parts[n];
        int length = part->start + part->length > end ? end - part->start : part->length;
        if (part->start > end || length < 0) break;
        const int32_t *first = ids + part->start;
        if (part->text)
            MD_TRY(md_buffer_append(text, part->text, part->text_bytes, err));
        else if (part->start == 0)
            MD_TRY(md_tokenizer_decode(m->tokenizer, first, (size_t)length, text, err));
        else
            MD_TRY(md_tokenizer_decode_more(m->tokenizer, first, (size_t)length, text, err));
    }
    return MDLM_OK;
}
