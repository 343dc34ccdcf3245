/* tokenizer/encode.c: from text to ids; see tokenizer.h.
 *
 *   text -> parts between added tokens -> normalised -> parts between added tokens of normalised
 *   text -> words -> bytes, or characters -> merges
 *
 * which is the order of Hugging Face's library. Most words are one token: a table finds those at
 * once, and gives what merging their bytes would give.
 */
#include <string.h>

#include "base/memory.h"
#include "tokenizer/tokenizer_internal.h"
#include "tokenizer/unicode.h"

typedef struct encoder {
    const md_tokenizer *tok;
    md_ids *ids;
    md_place place; /* of the next part */
    md_bpe_scratch scratch;
    md_buffer normal, spaced;
    mdlm_error *err;
} encoder;

mdlm_status md_bytes_encode(const md_tokenizer *tok, const char *text, size_t size, md_ids *ids,
                            mdlm_error *err) {
    MD_TRY(md_ids_reserve(ids, size, err));
    int32_t *to = ids->data + ids->count;
    for (size_t i = 0; i < size; i++) {
        to[i] = tok->byte_ids[(unsigned char)text[i]];
        if (to[i] >= 0) continue;
        return md_fail(err, MDLM_INPUT, "the vocabulary has no token for the byte 0x%02X",
                       (unsigned char)text[i]);
    }
    ids->count += size;
    return MDLM_OK;
}

/* What merges start from. */
static mdlm_status symbols(const md_tokenizer *tok, const char *word, size_t size, md_ids *ids,
                           mdlm_error *err) {
    return tok->spaces.marked ? md_chars_encode(tok, word, size, ids, err)
                              : md_bytes_encode(tok, word, size, ids, err);
}

static mdlm_status encode_word(void *context, const char *word, size_t size, mdlm_error *err) {
    encoder *e = context;
    int64_t piece = md_interner_find(&e->tok->pieces, word, size);
    if (piece != MD_NOT_FOUND) return md_ids_push(e->ids, e->tok->piece_ids[piece], err);
    size_t first = e->ids->count;
    MD_TRY(symbols(e->tok, word, size, e->ids, err));
    size_t count = e->ids->count - first;
    MD_TRY(md_bpe_apply(&e->tok->bpe, &e->scratch, e->ids->data + first, &count, err));
    e->ids->count = first + count;
    return MDLM_OK;
}

static mdlm_status encode_words(encoder *e, const char *text, size_t size) {
    const md_spaces *spaces = &e->tok->spaces;
    if (!spaces->marked) return md_cuts_each(&e->tok->cuts, text, size, encode_word, e, e->err);
    for (size_t start = 0, end; start < size; start = end) {
        end = md_spaces_word(spaces, text, size, start);
        MD_TRY(encode_word(e, text + start, end - start, e->err));
    }
    return MDLM_OK;
}

static mdlm_status put_spaces(encoder *e, const char **text, size_t *size) {
    md_buffer_clear(&e->spaced);
    MD_TRY(md_spaces_apply(&e->tok->spaces, *text, *size, e->place, &e->spaced, e->err));
    e->place = MD_PLACE_LATER;
    *text = e->spaced.data;
    *size = e->spaced.size;
    return MDLM_OK;
}

/* Metaspace and ByteLevel put a prefix before what the pre-tokenizer gets. */
static bool spaced_late(const md_spaces *s) {
    return s->marked ? s->metaspace : s->prefix != MD_PREFIX_NEVER;
}

/* Text without added tokens. */
static mdlm_status encode_part(encoder *e, const char *text, size_t size) {
    switch (e->tok->kind) {
    case MD_TOKENIZER_BYTES: return md_bytes_encode(e->tok, text, size, e->ids, e->err);
    case MD_TOKENIZER_CHARS: return md_chars_encode(e->tok, text, size, e->ids, e->err);
    case MD_TOKENIZER_BPE: break;
    }
    if (spaced_late(&e->tok->spaces)) MD_TRY(put_spaces(e, &text, &size));
    return encode_words(e, text, size);
}

/* The parts of a text between the tokens of a set, and those tokens. */
static mdlm_status between(encoder *e, const md_added_set *set, const char *text, size_t size,
                           mdlm_status (*part)(encoder *, const char *, size_t)) {
    md_added_match m = {0};
    while (set->count > 0 && md_added_find(set, text, size, &m)) {
        if (m.start > m.text) MD_TRY(part(e, text + m.text, m.start - m.text));
        MD_TRY(md_ids_push(e->ids, m.id, e->err));
        e->place = MD_PLACE_LATER;
    }
    return m.end < size ? part(e, text + m.end, size - m.end) : MDLM_OK;
}

static mdlm_status normalise(encoder *e, const char **text, size_t *size) {
    if (e->tok->nfc) {
        md_buffer_clear(&e->normal);
        MD_TRY(md_nfc(*text, *size, &e->normal, e->err));
        *text = e->normal.data;
        *size = e->normal.size;
    }
    if (!e->tok->spaces.marked || e->tok->spaces.metaspace) return MDLM_OK;
    return put_spaces(e, text, size);
}

static mdlm_status encode_raw(encoder *e, const char *text, size_t size) {
    MD_TRY(normalise(e, &text, &size));
    return between(e, &e->tok->added_normal, text, size, encode_part);
}

static void encoder_release(encoder *e) {
    md_bpe_scratch_release(&e->scratch);
    md_buffer_release(&e->normal);
    md_buffer_release(&e->spaced);
}

mdlm_status md_tokenizer_encode_at(const md_tokenizer *tok, const char *text, size_t size,
                                   md_place place, md_ids *ids, mdlm_error *err) {
    encoder e = {.tok = tok, .ids = ids, .place = place, .err = err};
    size_t before = ids->count;
    mdlm_status status = between(&e, &tok->added, text, size, encode_raw);
    if (status != MDLM_OK) ids->count = before;
    encoder_release(&e);
    return status;
}

mdlm_status md_tokenizer_encode(const md_tokenizer *tok, const char *text, size_t size, md_ids *ids,
                                mdlm_error *err) {
    return md_tokenizer_encode_at(tok, text, size, MD_PLACE_START, ids, err);
}

mdlm_status md_tokenizer_encode_more(const md_tokenizer *tok, const char *text, size_t size,
                                     md_ids *ids, mdlm_error *err) {
    return md_tokenizer_encode_at(tok, text, size, MD_PLACE_FOLLOWS, ids, err);
}

/* --- what encoding looks up --------------------------------------------------------------------
 */

static mdlm_status add_to_set(md_tokenizer *tok, int32_t id, mdlm_error *err) {
    const md_entry *entry = &tok->entries[id];
    md_added token = {.id = id,
                      .lstrip = (entry->flags & MD_LSTRIP) != 0,
                      .rstrip = (entry->flags & MD_RSTRIP) != 0,
                      .single_word = (entry->flags & MD_SINGLE_WORD) != 0};
    if (entry->special) {
        size_t size = strlen(entry->special);
        return md_added_insert(&tok->special, entry->special, size, token, err);
    }
    size_t size;
    const char *text = md_tokenizer_written(tok, (size_t)id, &size);
    if (!(entry->flags & MD_NORMALIZED)) {
        return md_added_insert(&tok->added, text, size, token, err);
    }
    encoder e = {.tok = tok, .err = err};
    mdlm_status status = normalise(&e, &text, &size);
    if (status == MDLM_OK) status = md_added_insert(&tok->added_normal, text, size, token, err);
    encoder_release(&e);
    return status;
}

/* Enters an ordinary token into the table of words, when its bytes merge to it. */
static mdlm_status add_piece(md_tokenizer *tok, int32_t id, md_bpe_scratch *scratch, md_ids *ids,
                             mdlm_error *err) {
    const md_entry *entry = &tok->entries[id];
    const char *bytes = tok->bytes.data + entry->start;
    size_t index = 0, known = tok->pieces.count;
    ids->count = 0;
    if (!tok->ignore_merges) {
        mdlm_status status = symbols(tok, bytes, entry->size, ids, err);
        if (status == MDLM_INPUT) return MDLM_OK; /* a byte has no token */
        if (status != MDLM_OK) return status;
        size_t count = ids->count;
        MD_TRY(md_bpe_apply(&tok->bpe, scratch, ids->data, &count, err));
        if (count != 1 || ids->data[0] != id) return MDLM_OK;
    } else if (md_tokenizer_is_byte(tok, (size_t)id)) {
        return MDLM_OK; /* the character goes first */
    }
    MD_TRY(md_interner_add(&tok->pieces, bytes, entry->size, &index, err));
    if (index == known) tok->piece_ids[index] = id;
    return MDLM_OK;
}

/* Whether a merge has a space behind another character; see md_spaces. */
static bool merges_cross_words(const md_tokenizer *tok) {
    for (size_t i = 0; i < tok->bpe.count; i++) {
        const md_entry *left = &tok->entries[tok->bpe.merges[i].left];
        const md_entry *right = &tok->entries[tok->bpe.merges[i].right];
        const char *bytes = tok->bytes.data;
        if (bytes[left->start + left->size - 1] != ' ' && bytes[right->start] == ' ') return true;
    }
    return false;
}

mdlm_status md_tokenizer_prepare(md_tokenizer *tok, mdlm_error *err) {
    md_bpe_scratch scratch = {0};
    md_ids ids = {0};
    mdlm_status status = MDLM_OK;
    tok->piece_ids = md_realloc(NULL, tok->count, sizeof *tok->piece_ids, err);
    if (!tok->piece_ids) return MDLM_RUNTIME;
    tok->spaces.runs = tok->spaces.marked && !tok->ignore_merges && !merges_cross_words(tok);
    for (int32_t id = 0; id < (int32_t)tok->count; id++) {
        const md_entry *entry = &tok->entries[id];
        bool added = entry->special || entry->flags & MD_ADDED;
        if (added && !(entry->flags & MD_UNUSED)) {
            MD_GOTO(done, status, add_to_set(tok, id, err));
        } else if (!added && tok->kind == MD_TOKENIZER_BPE && !(entry->flags & MD_RAW)) {
            MD_GOTO(done, status, add_piece(tok, id, &scratch, &ids, err));
        }
    }
done:
    md_bpe_scratch_release(&scratch);
    md_ids_release(&ids);
    return status;
}
