/* tokenizer/spaces.c: see spaces.h. */
#include "tokenizer/spaces.h"

#include <string.h>

/* Appends the text with each `from` replaced. */
static mdlm_status replace(const char *text, size_t size, const char *from, const char *to,
                           md_buffer *out, mdlm_error *err) {
    const char *end = text + size, *found;
    size_t length = strlen(from);
    while (text < end && (found = memmem(text, (size_t)(end - text), from, length)) != NULL) {
        MD_TRY(md_buffer_append(out, text, (size_t)(found - text), err));
        MD_TRY(md_buffer_text(out, to, err));
        text = found + length;
    }
    return md_buffer_append(out, text, (size_t)(end - text), err);
}

mdlm_status md_spaces_unmark(const char *text, size_t size, md_buffer *out, mdlm_error *err) {
    return replace(text, size, MD_SPACE_MARK, " ", out, err);
}

mdlm_status md_spaces_mark(const char *text, size_t size, md_buffer *out, mdlm_error *err) {
    return replace(text, size, " ", MD_SPACE_MARK, out, err);
}

static bool begins_with_space(const md_spaces *s, const char *text, size_t size) {
    if (size > 0 && text[0] == ' ') return true;
    return s->marked && size >= MD_SPACE_MARK_BYTES &&
           memcmp(text, MD_SPACE_MARK, MD_SPACE_MARK_BYTES) == 0;
}

static bool takes_prefix(const md_spaces *s, const char *text, size_t size, md_place place) {
    if (size == 0 || place == MD_PLACE_FOLLOWS) return false;
    switch (s->prefix) {
    case MD_PREFIX_NEVER: return false;
    case MD_PREFIX_ALWAYS: return true;
    case MD_PREFIX_FIRST: return place == MD_PLACE_START && !begins_with_space(s, text, size);
    case MD_PREFIX_PARTS: break;
    }
    return !begins_with_space(s, text, size);
}

mdlm_status md_spaces_apply(const md_spaces *s, const char *text, size_t size, md_place place,
                            md_buffer *out, mdlm_error *err) {
    if (takes_prefix(s, text, size, place)) MD_TRY(md_buffer_append(out, " ", 1, err));
    return s->marked ? md_spaces_unmark(text, size, out, err)
                     : md_buffer_append(out, text, size, err);
}

size_t md_spaces_word(const md_spaces *s, const char *text, size_t size, size_t start) {
    if (!s->split && !s->runs) return size;
    for (size_t at = start + 1; at < size; at++) {
        if (text[at] == ' ' && (s->split || text[at - 1] != ' ')) return at;
    }
    return size;
}
