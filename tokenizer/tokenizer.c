/* tokenizer/tokenizer.c: what all kinds share; see tokenizer.h. */
#include "tokenizer/tokenizer.h"

#include <string.h>

#include "base/memory.h"
#include "tokenizer/tokenizer_internal.h"

mdlm_status md_ids_reserve(md_ids *ids, size_t extra, mdlm_error *err) {
    size_t needed;
    if (!md_size_add(ids->count, extra, &needed)) {
        return md_fail(err, MDLM_RUNTIME, "out of memory: %zu more ids are too many", extra);
    }
    void *grown = md_grow(ids->data, &ids->capacity, needed, sizeof *ids->data, err);
    if (!grown) return MDLM_RUNTIME;
    ids->data = grown;
    return MDLM_OK;
}

mdlm_status md_ids_push(md_ids *ids, int32_t id, mdlm_error *err) {
    MD_TRY(md_ids_reserve(ids, 1, err));
    ids->data[ids->count++] = id;
    return MDLM_OK;
}

void md_ids_release(md_ids *ids) {
    md_free(ids->data);
    *ids = (md_ids){0};
}

md_tokenizer *md_tokenizer_new(md_tokenizer_kind kind, mdlm_error *err) {
    md_tokenizer *tok = md_alloc(1, sizeof *tok, err);
    if (!tok) return NULL;
    tok->kind = kind;
    for (int byte = 0; byte < 256; byte++) tok->byte_ids[byte] = byte;
    return tok;
}

void md_tokenizer_free(md_tokenizer *tok) {
    if (!tok) return;
    for (size_t i = 0; i < tok->count; i++) md_free(tok->entries[i].special);
    md_free(tok->entries);
    md_buffer_release(&tok->bytes);
    md_cuts_release(&tok->cuts);
    md_key_map_release(&tok->points);
    md_bpe_release(&tok->bpe);
    md_interner_release(&tok->pieces);
    md_free(tok->piece_ids);
    md_added_release(&tok->added);
    md_added_release(&tok->added_normal);
    md_added_release(&tok->special);
    md_ids_release(&tok->before);
    md_ids_release(&tok->after);
    md_free(tok->chat_template);
    md_free(tok->bos);
    md_free(tok);
}

bool md_tokenizer_spaced(const md_tokenizer *tok, uint8_t flags) {
    return flags & MD_ADDED && flags & MD_NORMALIZED && tok->spaces.prefix == MD_PREFIX_ALWAYS;
}

const char *md_tokenizer_written(const md_tokenizer *tok, size_t id, size_t *size) {
    const md_entry *entry = &tok->entries[id];
    size_t skipped = md_tokenizer_spaced(tok, entry->flags) ? 1 : 0;
    *size = entry->size - skipped;
    return tok->bytes.data + entry->start + skipped;
}

bool md_tokenizer_is_byte(const md_tokenizer *tok, size_t id) {
    const md_entry *entry = &tok->entries[id];
    if (tok->kind != MD_TOKENIZER_CHARS && !tok->spaces.marked) return false;
    return entry->size == 1 &&
           tok->byte_ids[(unsigned char)tok->bytes.data[entry->start]] == (int32_t)id;
}

mdlm_status md_tokenizer_append(md_tokenizer *tok, const char *bytes, size_t size,
                                const char *special, mdlm_error *err) {
    void *grown = md_grow(tok->entries, &tok->capacity, tok->count + 1, sizeof *tok->entries, err);
    if (!grown) return MDLM_RUNTIME;
    tok->entries = grown;
    md_entry entry = {.start = tok->bytes.size, .size = special ? 0 : size};
    MD_TRY(md_buffer_append(&tok->bytes, bytes, entry.size, err));
    if (special && !(entry.special = md_strdup(special, err))) return MDLM_RUNTIME;
    tok->entries[tok->count++] = entry;
    return MDLM_OK;
}

mdlm_status md_tokenizer_append_specials(md_tokenizer *tok, mdlm_error *err) {
    tok->mask = (int32_t)tok->count;
    MD_TRY(md_tokenizer_append(tok, NULL, 0, MD_MASK_TEXT, err));
    tok->end_of_text = (int32_t)tok->count;
    MD_TRY(md_tokenizer_append(tok, NULL, 0, MD_END_OF_TEXT_TEXT, err));
    tok->padding = (int32_t)tok->count;
    return md_tokenizer_append(tok, NULL, 0, MD_PADDING_TEXT, err);
}

mdlm_status md_tokenizer_bytes(md_tokenizer **out, mdlm_error *err) {
    md_tokenizer *tok = md_tokenizer_new(MD_TOKENIZER_BYTES, err);
    if (!tok) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    for (int byte = 0; byte < 256; byte++) {
        char piece = (char)byte;
        MD_GOTO(done, status, md_tokenizer_append(tok, &piece, 1, NULL, err));
    }
    MD_GOTO(done, status, md_tokenizer_append_specials(tok, err));
    MD_GOTO(done, status, md_tokenizer_prepare(tok, err));
    *out = tok;
    tok = NULL;
done:
    md_tokenizer_free(tok);
    return status;
}

md_tokenizer_kind md_tokenizer_get_kind(const md_tokenizer *tok) {
    return tok->kind;
}

const char *md_tokenizer_kind_name(const md_tokenizer *tok) {
    static const char *const names[] = {
        [MD_TOKENIZER_BYTES] = "bytes",
        [MD_TOKENIZER_CHARS] = "chars",
        [MD_TOKENIZER_BPE] = "bpe",
    };
    return names[tok->kind];
}

int md_tokenizer_vocab_size(const md_tokenizer *tok) {
    return (int)tok->count;
}

int32_t md_tokenizer_mask(const md_tokenizer *tok) {
    return tok->mask;
}

int32_t md_tokenizer_end_of_text(const md_tokenizer *tok) {
    return tok->end_of_text;
}

int32_t md_tokenizer_padding(const md_tokenizer *tok) {
    return tok->padding;
}

static bool in_range(const md_tokenizer *tok, int32_t id) {
    return id >= 0 && (size_t)id < tok->count;
}

bool md_tokenizer_is_special(const md_tokenizer *tok, int32_t id) {
    return in_range(tok, id) && tok->entries[id].special != NULL;
}

mdlm_status md_tokenizer_decode_more(const md_tokenizer *tok, const int32_t *ids, size_t count,
                                     md_buffer *text, mdlm_error *err) {
    size_t before = text->size;
    for (size_t i = 0; i < count; i++) {
        size_t size;
        const char *piece = md_tokenizer_piece(tok, ids[i], &size);
        mdlm_status status = md_buffer_append(text, piece, size, err);
        if (status != MDLM_OK) {
            text->size = before;
            return status;
        }
    }
    return MDLM_OK;
}

mdlm_status md_tokenizer_decode(const md_tokenizer *tok, const int32_t *ids, size_t count,
                                md_buffer *text, mdlm_error *err) {
    size_t before = text->size;
    MD_TRY(md_tokenizer_decode_more(tok, ids, count, text, err));
    if (!tok->spaces.dropped || text->size == before || text->data[before] != ' ') return MDLM_OK;
    memmove(text->data + before, text->data + before + 1, text->size - before);
    text->size--;
    return MDLM_OK;
}

const char *md_tokenizer_piece(const md_tokenizer *tok, int32_t id, size_t *size) {
    *size = 0;
    if (!in_range(tok, id) || tok->entries[id].size == 0) return "";
    *size = tok->entries[id].size;
    return tok->bytes.data + tok->entries[id].start;
}

int64_t md_tokenizer_byte_count(const md_tokenizer *tok, const int32_t *ids, size_t count) {
    int64_t total = 0;
    for (size_t i = 0; i < count; i++) {
        if (in_range(tok, ids[i])) total += (int64_t)tok->entries[ids[i]].size;
    }
    return total;
}

const char *md_tokenizer_template(const md_tokenizer *tok) {
    return tok->chat_template;
}

mdlm_status md_tokenizer_set_template(md_tokenizer *tok, const char *source, mdlm_error *err) {
    char *copy = md_strdup(source, err);
    if (!copy) return MDLM_RUNTIME;
    md_free(tok->chat_template);
    tok->chat_template = copy;
    return MDLM_OK;
}
