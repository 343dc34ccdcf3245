/* corpora/words.c: see words.h. */
#include "corpora/words.h"

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c > 127;
}

mdlm_status md_words_end(md_words *w, mdlm_error *err) {
    size_t size = w->size;
    while (size > 0 && w->text[size - 1] == '\'') size--;
    w->size = 0;
    return size > 0 ? w->on_word(w->user, w->text, size, err) : MDLM_OK;
}

mdlm_status md_words_add(md_words *w, const char *text, size_t size, mdlm_error *err) {
    for (size_t i = 0; i < size; i++) {
        if (is_letter(text[i]) || (text[i] == '\'' && w->size > 0)) {
            if (w->size == MD_WORD_BYTES) MD_TRY(md_words_end(w, err));
            w->text[w->size++] = text[i];
        } else if (w->size > 0) {
            MD_TRY(md_words_end(w, err));
        }
    }
    return MDLM_OK;
}

const char *md_words_inner(const char *text, size_t *size) {
    size_t from = 0, to = *size;
    while (from < to && (is_letter(text[from]) || text[from] == '\'')) from++;
    while (to > from && (is_letter(text[to - 1]) || text[to - 1] == '\'')) to--;
    *size = to - from;
    return text + from;
}
