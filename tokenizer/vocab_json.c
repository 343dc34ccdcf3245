/* tokenizer/vocab_json.c: ids, spellings and merges of a tokenizer.json; see tokenizer_json.h. */
#include <string.h>

#include "base/memory.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode.h"

/* What the file says about one id. */
typedef struct claim {
    const char *name; /* points into the JSON; NULL while nobody claims the id */
    bool special;
} claim;

/* The id in `item`, below `limit`. */
static mdlm_status read_id(const md_tokenizer_file *f, const cJSON *item, const char *name,
                           size_t limit, size_t *id, mdlm_error *err) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= 0 && value < (double)limit) || value != (double)(size_t)value) {
        return md_fail(
            err, MDLM_INPUT,
            "'%s': the id of '%s' is not an integer from 0 to %zu (there are %zu tokens)", f->path,
            name, limit - 1, limit);
    }
    *id = (size_t)value;
    return MDLM_OK;
}

static mdlm_status claim_vocab(const md_tokenizer_file *f, const cJSON *vocab, claim *claims,
                               size_t limit, mdlm_error *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, vocab) {
        size_t id = 0;
        MD_TRY(read_id(f, item, item->string, limit, &id, err));
        if (claims[id].name) {
            return md_fail(err, MDLM_INPUT, "'%s': both '%s' and '%s' have id %zu", f->path,
                           claims[id].name, item->string, id);
        }
        claims[id].name = item->string;
    }
    return MDLM_OK;
}

/* An added token may repeat an entry of the vocabulary, and then only says more about it. */
static mdlm_status claim_added(const md_tokenizer_file *f, const cJSON *added, claim *claims,
                               size_t limit, mdlm_error *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, added) {
        const char *name = NULL;
        bool special = false;
        size_t id = 0;
        MD_TRY(md_json_text(item, "content", f->path, &name, err));
        MD_TRY(md_json_flag(item, "special", f->path, &special, err));
        if (!special) {
            return md_fail(err, MDLM_INPUT,
                           "'%s': added token '%s' that is not special is not supported", f->path,
                           name);
        }
        const cJSON *number = cJSON_GetObjectItemCaseSensitive(item, "id");
        MD_TRY(read_id(f, number, name, limit, &id, err));
        if (claims[id].name && (claims[id].special || strcmp(claims[id].name, name) != 0)) {
            return md_fail(err, MDLM_INPUT, "'%s': both '%s' and '%s' have id %zu", f->path,
                           claims[id].name, name, id);
        }
        claims[id] = (claim){name, true};
    }
    return MDLM_OK;
}

/* The byte of "<0xNN>", or -1. */
static int fallback_byte(const char *name) {
    static const char digits[] = "0123456789ABCDEF";
    if (strlen(name) != 6 || memcmp(name, "<0x", 3) != 0 || name[5] != '>') return -1;
    const char *high = memchr(digits, name[3], 16), *low = memchr(digits, name[4], 16);
    return high && low ? (int)(high - digits) * 16 + (int)(low - digits) : -1;
}

/* chars: one character, or a byte as byte_fallback spells it. */
static mdlm_status append_char(md_tokenizer_file *f, const char *name, mdlm_error *err) {
    int byte = fallback_byte(name);
    if (byte >= 0) {
        f->tok->byte_ids[byte] = (int32_t)f->tok->count;
        return md_tokenizer_append(f->tok, &(char){(char)byte}, 1, NULL, err);
    }
    size_t size = strlen(name), at = 0;
    int32_t c = size > 0 ? md_utf8_next(name, size, &at) : -1;
    if (c < 0 || at != size) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': token '%s' is neither one character nor a byte <0xNN>: only that is "
                       "supported with byte_fallback",
                       f->path, name);
    }
    MD_TRY(md_key_map_put(&f->tok->points, (uint64_t)c, f->tok->count, err));
    return md_tokenizer_append(f->tok, name, size, NULL, err);
}

/* bytes and bpe: a string in the byte alphabet. */
static mdlm_status append_piece(md_tokenizer_file *f, const char *name, mdlm_error *err) {
    md_buffer bytes = {0};
    bool known = false;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, md_alphabet_read(name, &bytes, &known, err));
    if (!known || bytes.size == 0) {
        status = md_fail(err, MDLM_INPUT, "'%s': token '%s' is not spelled in the byte alphabet",
                         f->path, name);
        goto done;
    }
    if (bytes.size == 1) {
        f->tok->byte_ids[(unsigned char)bytes.data[0]] = (int32_t)f->tok->count;
    }
    status = md_tokenizer_append(f->tok, bytes.data, bytes.size, NULL, err);
done:
    md_buffer_release(&bytes);
    return status;
}

static mdlm_status append_claims(md_tokenizer_file *f, const claim *claims, size_t count,
                                 mdlm_error *err) {
    bool chars = f->tok->kind == MD_TOKENIZER_CHARS;
    for (size_t id = 0; id < count; id++) {
        const char *name = claims[id].name;
        size_t index = 0;
        if (!name) return md_fail(err, MDLM_INPUT, "'%s': no token has id %zu", f->path, id);
        MD_TRY(md_interner_add(&f->names, name, strlen(name), &index, err));
        if (index != id) {
            return md_fail(err, MDLM_INPUT, "'%s': token '%s' has two ids: %zu and %zu", f->path,
                           name, index, id);
        }
        if (claims[id].special)
            MD_TRY(md_tokenizer_append(f->tok, NULL, 0, name, err));
        else if (chars)
            MD_TRY(append_char(f, name, err));
        else
            MD_TRY(append_piece(f, name, err));
    }
    return MDLM_OK;
}

mdlm_status md_tokenizer_file_vocab(md_tokenizer_file *f, mdlm_error *err) {
    const cJSON *vocab = cJSON_GetObjectItemCaseSensitive(f->model, "vocab");
    const cJSON *added = cJSON_GetObjectItemCaseSensitive(f->root, "added_tokens");
    if (!cJSON_IsObject(vocab)) {
        return md_fail(err, MDLM_INPUT, "'%s': 'vocab' is not an object", f->path);
    }
    if (added && !cJSON_IsNull(added) && !cJSON_IsArray(added)) {
        return md_fail(err, MDLM_INPUT, "'%s': 'added_tokens' is not an array", f->path);
    }
    size_t limit = (size_t)cJSON_GetArraySize(vocab) + (size_t)cJSON_GetArraySize(added);
    claim *claims = md_alloc(limit, sizeof *claims, err);
    if (!claims) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, claim_vocab(f, vocab, claims, limit, err));
    MD_GOTO(done, status, claim_added(f, added, claims, limit, err));
    while (limit > 0 && !claims[limit - 1].name) limit--;
    for (int byte = 0; byte < 256; byte++) f->tok->byte_ids[byte] = MD_NOT_FOUND;
    MD_GOTO(done, status, append_claims(f, claims, limit, err));
    for (int byte = 0; byte < 256; byte++) {
        if (f->tok->byte_ids[byte] != MD_NOT_FOUND) continue;
        status = md_fail(err, MDLM_INPUT, "'%s': byte 0x%02X has no token", f->path, byte);
        goto done;
    }
done:
    md_free(claims);
    return status;
}

/* The two parts of a merge, as pointers into the JSON. */
typedef struct parts {
    const char *left, *right;
    size_t left_size, right_size;
} parts;

static bool split_merge(const cJSON *item, parts *out) {
    if (cJSON_IsString(item)) {
        const char *text = item->valuestring, *space = strchr(text, ' ');
        if (!space || strchr(space + 1, ' ')) return false;
        *out = (parts){text, space + 1, (size_t)(space - text), strlen(space + 1)};
    } else {
        const cJSON *left = cJSON_IsArray(item) ? item->child : NULL;
        const cJSON *right = left ? left->next : NULL;
        if (!cJSON_IsString(left) || !cJSON_IsString(right) || right->next) return false;
        *out = (parts){left->valuestring, right->valuestring, strlen(left->valuestring),
                       strlen(right->valuestring)};
    }
    return out->left_size > 0 && out->right_size > 0;
}

/* The id of an ordinary token that a merge names. */
static mdlm_status merge_id(const md_tokenizer_file *f, const char *name, size_t size, int32_t *id,
                            mdlm_error *err) {
    int64_t found = md_interner_find(&f->names, name, size);
    if (found == MD_NOT_FOUND) {
        return md_fail(err, MDLM_INPUT, "'%s': merge %zu needs '%.*s', not in the vocabulary",
                       f->path, f->tok->bpe.count, size < 200 ? (int)size : 200, name);
    }
    if (f->tok->entries[found].special) {
        return md_fail(err, MDLM_INPUT, "'%s': merge %zu uses the special token '%.*s'", f->path,
                       f->tok->bpe.count, size < 200 ? (int)size : 200, name);
    }
    *id = (int32_t)found;
    return MDLM_OK;
}

mdlm_status md_tokenizer_file_merges(md_tokenizer_file *f, mdlm_error *err) {
    const cJSON *merges = cJSON_GetObjectItemCaseSensitive(f->model, "merges"), *item;
    if (!cJSON_IsArray(merges)) {
        return md_fail(err, MDLM_INPUT, "'%s': 'merges' is not an array", f->path);
    }
    md_bpe *bpe = &f->tok->bpe;
    md_buffer joined = {0};
    mdlm_status status = MDLM_OK;
    cJSON_ArrayForEach(item, merges) {
        parts p;
        md_merge m;
        if (!split_merge(item, &p)) {
            status = md_fail(err, MDLM_INPUT, "'%s': merge %zu is not a pair of tokens", f->path,
                             bpe->count);
            goto done;
        }
        md_buffer_clear(&joined);
        MD_GOTO(done, status, md_buffer_append(&joined, p.left, p.left_size, err));
        MD_GOTO(done, status, md_buffer_append(&joined, p.right, p.right_size, err));
        MD_GOTO(done, status, merge_id(f, p.left, p.left_size, &m.left, err));
        MD_GOTO(done, status, merge_id(f, p.right, p.right_size, &m.right, err));
        MD_GOTO(done, status, merge_id(f, joined.data, joined.size, &m.result, err));
        if (md_key_map_get(&bpe->ranks, md_pair_key(m.left, m.right)) != MD_KEY_NONE) {
            status =
                md_fail(err, MDLM_INPUT, "'%s': merge %zu is listed twice", f->path, bpe->count);
            goto done;
        }
        MD_GOTO(done, status, md_bpe_add(bpe, m, err));
    }
done:
    md_buffer_release(&joined);
    return status;
}
