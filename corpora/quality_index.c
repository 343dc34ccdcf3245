/* corpora/quality_index.c: see quality_internal.h. */
#include "base/file.h"
#include "base/memory.h"
#include "corpora/quality_internal.h"
#include "corpora/words.h"

/* --- texts as symbols ------------------------------------------------------------------------- */

static mdlm_status push(md_symbols *s, int32_t symbol, mdlm_error *err) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 4096;
        int32_t *data = md_realloc(s->data, capacity, sizeof *data, err);
        if (!data) return MDLM_RUNTIME;
        s->data = data;
        s->capacity = capacity;
    }
    s->data[s->count++] = symbol;
    return MDLM_OK;
}

static mdlm_status push_word(void *user, const char *word, size_t size, mdlm_error *err) {
    md_quality_index *index = user;
    md_count *entry;
    MD_TRY(md_counts_add(&index->vocabulary, md_hash(word, size, 0), &entry, err));
    if (entry->count == 0) entry->count = (uint32_t)++index->words;
    return push(&index->units[MD_UNIT_WORDS], (int32_t)entry->count - 1, err);
}

static mdlm_status add_text(md_quality_index *index, size_t i, const char *text, size_t size,
                            mdlm_error *err) {
    md_symbols *bytes = &index->units[MD_UNIT_BYTES], *words = &index->units[MD_UNIT_WORDS];
    md_words splitter = {.on_word = push_word, .user = index};
    for (size_t j = 0; j < size; j++) MD_TRY(push(bytes, (unsigned char)text[j], err));
    const char *inner = md_words_inner(text, &size);
    MD_TRY(md_words_add(&splitter, inner, size, err));
    MD_TRY(md_words_end(&splitter, err));
    MD_TRY(push(bytes, -1, err));
    MD_TRY(push(words, -1, err));
    bytes->at[i + 1] = bytes->count;
    words->at[i + 1] = words->count;
    return MDLM_OK;
}

mdlm_status md_quality_index_build(md_quality_index *index, const md_samples *texts,
                                   mdlm_error *err) {
    index->texts = texts->count;
    for (int u = 0; u < MD_UNITS; u++) {
        index->units[u].at = md_alloc(texts->count + 1, sizeof *index->units[u].at, err);
        if (!index->units[u].at) return MDLM_RUNTIME;
    }
    for (size_t i = 0; i < texts->count; i++) {
        size_t size;
        const char *text = md_sample(texts, i, &size);
        MD_TRY(add_text(index, i, text, size, err));
    }
    return MDLM_OK;
}

void md_quality_index_release(md_quality_index *index) {
    for (int u = 0; u < MD_UNITS; u++) {
        md_free(index->units[u].data);
        md_free(index->units[u].at);
        md_free(index->units[u].matches);
    }
    md_counts_release(&index->vocabulary);
    *index = (md_quality_index){0};
}

/* --- the reference ---------------------------------------------------------------------------- */

typedef struct pass {
    const md_quality_index *index;
    md_matches *matches[MD_UNITS];
    md_words splitter;
    md_ngram *ngram;
    int64_t bytes;
} pass;

static mdlm_status match_word(void *user, const char *word, size_t size, mdlm_error *err) {
    pass *p = user;
    (void)err;
    const md_count *known = md_counts_find(&p->index->vocabulary, md_hash(word, size, 0));
    int32_t symbol = known ? (int32_t)known->count - 1 : -1;
    md_matches_read(p->matches[MD_UNIT_WORDS], &symbol, 1, false);
    return MDLM_OK;
}

static void match_bytes(pass *p, const char *text, size_t size, bool last) {
    int32_t symbols[1024];
    size_t used = 0;
    for (size_t i = 0; i < size; i++) {
        symbols[used++] = (unsigned char)text[i];
        if (used < 1024) continue;
        md_matches_read(p->matches[MD_UNIT_BYTES], symbols, used, false);
        used = 0;
    }
    md_matches_read(p->matches[MD_UNIT_BYTES], symbols, used, last);
}

static mdlm_status read_piece(void *user, const char *text, size_t size, bool last,
                              mdlm_error *err) {
    pass *p = user;
    p->bytes += (int64_t)size;
    MD_TRY(md_ngram_add(p->ngram, text, size, last, err));
    match_bytes(p, text, size, last);
    MD_TRY(md_words_add(&p->splitter, text, size, err));
    if (!last) return MDLM_OK;
    MD_TRY(md_words_end(&p->splitter, err));
    md_matches_read(p->matches[MD_UNIT_WORDS], NULL, 0, true);
    return MDLM_OK;
}

mdlm_status md_quality_index_read(md_quality_index *index, md_reference *ref, md_ngram *ngram,
                                  int64_t *bytes, mdlm_error *err) {
    pass p = {.index = index, .ngram = ngram};
    p.splitter = (md_words){.on_word = match_word, .user = &p};
    mdlm_status status;
    for (int u = 0; u < MD_UNITS; u++) {
        md_symbols *s = &index->units[u];
        MD_GOTO(done, status, md_matches_new(s->data, s->count, &p.matches[u], err));
        s->matches = md_alloc(s->count, sizeof *s->matches, err);
        if (!s->matches) {
            status = MDLM_RUNTIME;
            goto done;
        }
    }
    MD_GOTO(done, status, md_reference_read(ref, MD_PART_TRAIN, read_piece, &p, err));
    for (int u = 0; u < MD_UNITS; u++) md_matches_finish(p.matches[u], index->units[u].matches);
    *bytes = p.bytes;
done:
    for (int u = 0; u < MD_UNITS; u++) md_matches_free(p.matches[u]);
    return status;
}
