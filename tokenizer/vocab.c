/* tokenizer/vocab.c: see vocab.h. */
#include "tokenizer/vocab.h"

#include <string.h>

#include "base/memory.h"
#include "tokenizer/unicode.h"

/* A spelling in a message. */
#define SHOWN(text) (text)->size < 200 ? (int)(text)->size : 200, (text)->data

/* The byte of "<0xNN>", or -1. */
static int fallback_byte(const md_text *name) {
    static const char digits[] = "0123456789ABCDEF";
    const char *text = name->data;
    if (name->size != 6 || memcmp(text, "<0x", 3) != 0 || text[5] != '>') return -1;
    const char *high = memchr(digits, text[3], 16), *low = memchr(digits, text[4], 16);
    return high && low ? (int)(high - digits) * 16 + (int)(low - digits) : -1;
}

/* chars: one character, or a byte as byte_fallback spells it. */
static mdlm_status append_char(md_vocab *v, const md_text *name, mdlm_error *err) {
    int byte = fallback_byte(name);
    if (byte >= 0) {
        v->tok->byte_ids[byte] = (int32_t)v->tok->count;
        return md_tokenizer_append(v->tok, &(char){(char)byte}, 1, NULL, err);
    }
    size_t at = 0;
    int32_t c = name->size > 0 ? md_utf8_next(name->data, name->size, &at) : -1;
    if (c < 0 || at != name->size) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': token '%.*s' is neither one character nor a byte <0xNN>: only that "
                       "is supported with byte_fallback",
                       v->path, SHOWN(name));
    }
    MD_TRY(md_key_map_put(&v->tok->points, (uint64_t)c, v->tok->count, err));
    return md_tokenizer_append(v->tok, name->data, name->size, NULL, err);
}

/* bpe with marked spaces: characters, or a byte as byte_fallback spells it. */
static mdlm_status append_marked(md_vocab *v, const md_text *name, mdlm_error *err) {
    md_tokenizer *tok = v->tok;
    int byte = fallback_byte(name);
    if (byte >= 0) {
        tok->byte_ids[byte] = (int32_t)tok->count;
        return md_tokenizer_append(tok, &(char){(char)byte}, 1, NULL, err);
    }
    if (memchr(name->data, ' ', name->size)) { /* no text gives it */
        MD_TRY(md_tokenizer_append(tok, name->data, name->size, NULL, err));
        tok->entries[tok->count - 1].flags = MD_RAW;
        return MDLM_OK;
    }
    md_buffer bytes = {0};
    size_t at = 0;
    mdlm_status status = md_spaces_unmark(name->data, name->size, &bytes, err);
    int32_t c = status == MDLM_OK ? md_utf8_next(bytes.data, bytes.size, &at) : -1;
    if (c >= 0 && at == bytes.size)
        status = md_key_map_put(&tok->points, (uint64_t)c, tok->count, err);
    if (status == MDLM_OK) status = md_tokenizer_append(tok, bytes.data, bytes.size, NULL, err);
    md_buffer_release(&bytes);
    return status;
}

/* bytes and bpe: a string in the byte alphabet. */
static mdlm_status append_piece(md_vocab *v, const md_text *name, mdlm_error *err) {
    md_buffer bytes = {0};
    bool known = false;
    mdlm_status status = MDLM_OK;
    md_tokenizer *tok = v->tok;
    MD_GOTO(done, status, md_alphabet_read(name->data, name->size, &bytes, &known, err));
    if (known && bytes.size == 1) {
        tok->byte_ids[(unsigned char)bytes.data[0]] = (int32_t)tok->count;
    }
    const char *piece = known ? bytes.data : name->data;
    MD_GOTO(done, status,
            md_tokenizer_append(tok, piece, known ? bytes.size : name->size, NULL, err));
    if (!known) tok->entries[tok->count - 1].flags = MD_RAW;
done:
    md_buffer_release(&bytes);
    return status;
}

/* A special or an added token. */
static mdlm_status append_added(md_vocab *v, const md_spelling *spelling, mdlm_error *err) {
    const md_text *name = &spelling->text;
    md_buffer spaced = {0};
    if (!md_tokenizer_spaced(v->tok, spelling->flags))
        return md_tokenizer_append(v->tok, name->data, name->size, NULL, err);
    mdlm_status status = md_buffer_text(&spaced, " ", err);
    if (status == MDLM_OK) status = md_spaces_unmark(name->data, name->size, &spaced, err);
    if (status == MDLM_OK)
        status = md_tokenizer_append(v->tok, spaced.data, spaced.size, NULL, err);
    md_buffer_release(&spaced);
    return status;
}

/* What no spelling is; NULL: nothing is wrong. */
static const char *fault_of(const md_text *name) {
    if (name->size == 0) return "is empty";
    if (memchr(name->data, 0, name->size)) return "has a byte 0";
    return md_is_utf8(name->data, name->size) ? NULL : "is not UTF-8";
}

static mdlm_status append(md_vocab *v, size_t id, const md_spelling *spelling, mdlm_error *err) {
    const md_text *name = &spelling->text;
    size_t index = 0;
    if (!name->data) return md_fail(err, MDLM_INPUT, "'%s': no token has id %zu", v->path, id);
    const char *fault = fault_of(name);
    if (fault)
        return md_fail(err, MDLM_INPUT, "'%s': the token with id %zu %s", v->path, id, fault);
    MD_TRY(md_interner_add(&v->names, name->data, name->size, &index, err));
    if (index != id) {
        return md_fail(err, MDLM_INPUT, "'%s': token '%.*s' has two ids: %zu and %zu", v->path,
                       SHOWN(name), index, id);
    }
    if (!(spelling->flags & (MD_SPECIAL | MD_ADDED))) {
        if (v->tok->kind == MD_TOKENIZER_CHARS) return append_char(v, name, err);
        return v->tok->spaces.marked ? append_marked(v, name, err) : append_piece(v, name, err);
    }
    MD_TRY(append_added(v, spelling, err));
    v->tok->entries[id].flags = spelling->flags & (uint8_t)~MD_SPECIAL;
    return spelling->flags & MD_SPECIAL ? md_vocab_make_special(v, (int32_t)id, err) : MDLM_OK;
}

mdlm_status md_vocab_fill(md_vocab *v, const md_spelling *spellings, size_t count,
                          mdlm_error *err) {
    if (count > INT32_MAX) {
        return md_fail(err, MDLM_INPUT, "'%s': %zu tokens are too many", v->path, count);
    }
    for (int byte = 0; byte < 256; byte++) v->tok->byte_ids[byte] = MD_NOT_FOUND;
    for (size_t id = 0; id < count; id++) MD_TRY(append(v, id, &spellings[id], err));
    return MDLM_OK;
}

int64_t md_vocab_find(const md_vocab *v, const char *text) {
    return md_interner_find(&v->names, text, strlen(text));
}

mdlm_status md_vocab_make_special(md_vocab *v, int32_t id, mdlm_error *err) {
    md_entry *entry = &v->tok->entries[id];
    size_t size;
    const char *name = md_interner_text(&v->names, (size_t)id, &size);
    if (!entry->special) entry->special = md_strndup(name, size, err);
    if (!entry->special) return MDLM_RUNTIME;
    entry->size = 0;
    entry->flags &= (uint8_t)~MD_ADDED;
    return MDLM_OK;
}

mdlm_status md_vocab_append_mask(md_vocab *v, mdlm_error *err) {
    if (md_vocab_find(v, MD_MASK_TEXT) != MD_NOT_FOUND) {
        return md_fail(err, MDLM_INPUT, "'%s': '%s' is an ordinary token, and the mask has none",
                       v->path, MD_MASK_TEXT);
    }
    size_t index = 0;
    MD_TRY(md_interner_add(&v->names, MD_MASK_TEXT, strlen(MD_MASK_TEXT), &index, err));
    v->tok->mask = (int32_t)v->tok->count;
    return md_tokenizer_append(v->tok, NULL, 0, MD_MASK_TEXT, err);
}

mdlm_status md_vocab_check_roles(md_vocab *v, mdlm_error *err) {
    md_tokenizer *tok = v->tok;
    if (tok->end_of_text < 0) tok->end_of_text = tok->padding;
    if (tok->padding < 0) tok->padding = tok->end_of_text;
    if (tok->mask < 0 || tok->padding < 0) {
        return md_fail(err, MDLM_INPUT,
                       "'%s' has no %s token: neither a %s in tokenizer_config.json beside it nor "
                       "an added token '%s'",
                       v->path, tok->mask < 0 ? "mask" : "end-of-text",
                       tok->mask < 0 ? "mask_token" : "eos_token",
                       tok->mask < 0 ? MD_MASK_TEXT : MD_END_OF_TEXT_TEXT);
    }
    if (tok->mask == tok->end_of_text || tok->mask == tok->padding) {
        return md_fail(err, MDLM_INPUT, "'%s': the mask token is also end-of-text or padding",
                       v->path);
    }
    return MDLM_OK;
}

static bool ids_are_bytes(const md_tokenizer *tok) {
    for (int byte = 0; byte < 256; byte++) {
        if (tok->byte_ids[byte] != byte) return false;
    }
    return true;
}

void md_vocab_settle_kind(md_vocab *v) {
    if (v->tok->kind != MD_TOKENIZER_BPE || v->tok->bpe.count > 0) return;
    if (ids_are_bytes(v->tok)) v->tok->kind = MD_TOKENIZER_BYTES;
}

void md_vocab_release(md_vocab *v) {
    md_interner_release(&v->names);
}

bool md_vocab_split_merge(const md_text *text, md_text *left, md_text *right) {
    const char *space = text->size > 0 ? memchr(text->data, ' ', text->size) : NULL;
    if (!space) return false;
    *left = (md_text){text->data, (size_t)(space - text->data)};
    *right = (md_text){space + 1, text->size - left->size - 1};
    return left->size > 0 && right->size > 0 && !memchr(right->data, ' ', right->size);
}

/* The id of an ordinary token that a merge names. */
static mdlm_status merge_id(const md_vocab *v, const md_text *name, int32_t *id, mdlm_error *err) {
    int64_t found = md_interner_find(&v->names, name->data, name->size);
    if (found == MD_NOT_FOUND) {
        return md_fail(err, MDLM_INPUT, "'%s': merge %zu needs '%.*s', not in the vocabulary",
                       v->path, v->tok->bpe.count, SHOWN(name));
    }
    const md_entry *entry = &v->tok->entries[found];
    if (entry->special || entry->flags & MD_ADDED) {
        return md_fail(err, MDLM_INPUT, "'%s': merge %zu uses the %s token '%.*s'", v->path,
                       v->tok->bpe.count, entry->special ? "special" : "added", SHOWN(name));
    }
    *id = (int32_t)found;
    return MDLM_OK;
}

/* Names that are not spelled in the byte alphabet might join to one that is. */
static bool joins(const md_tokenizer *tok, const md_merge *m) {
    const md_entry *left = &tok->entries[m->left], *right = &tok->entries[m->right];
    const md_entry *result = &tok->entries[m->result];
    const char *bytes = tok->bytes.data;
    return result->size == left->size + right->size &&
           memcmp(bytes + result->start, bytes + left->start, left->size) == 0 &&
           memcmp(bytes + result->start + left->size, bytes + right->start, right->size) == 0;
}

mdlm_status md_vocab_merge(md_vocab *v, const md_text *left, const md_text *right,
                           mdlm_error *err) {
    md_bpe *bpe = &v->tok->bpe;
    md_buffer joined = {0};
    md_merge m = {0};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_buffer_append(&joined, left->data, left->size, err));
    MD_GOTO(done, status, md_buffer_append(&joined, right->data, right->size, err));
    MD_GOTO(done, status, merge_id(v, left, &m.left, err));
    MD_GOTO(done, status, merge_id(v, right, &m.right, err));
    const md_text result = {joined.data, joined.size};
    MD_GOTO(done, status, merge_id(v, &result, &m.result, err));
    if (!joins(v->tok, &m)) {
        status = md_fail(err, MDLM_INPUT, "'%s': merge %zu, '%.*s', has not the bytes of its parts",
                         v->path, bpe->count, SHOWN(&result));
    } else if (md_key_map_get(&bpe->ranks, md_pair_key(m.left, m.right)) != MD_KEY_NONE) {
        status = md_fail(err, MDLM_INPUT, "'%s': merge %zu is listed twice", v->path, bpe->count);
    } else {
        status = md_bpe_add(bpe, m, err);
    }
done:
    md_buffer_release(&joined);
    return status;
}
