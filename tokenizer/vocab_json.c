/* tokenizer/vocab_json.c: ids, spellings and merges of a tokenizer.json; see tokenizer_json.h. */
#include <string.h>

#include "base/memory.h"
#include "tokenizer/tokenizer_json.h"

/* The spellings of a file, by id, while they are collected. */
typedef struct claims {
    const md_tokenizer_file *f;
    md_spelling *items;
    size_t limit; /* there are no more tokens, so no id is larger */
} claims;

/* Pointers into the JSON. */
static md_text text_of(const char *text) {
    return (md_text){text, strlen(text)};
}

/* The id in `item`, below the limit. */
static mdlm_status read_id(const claims *c, const cJSON *item, const char *name, size_t *id,
                           mdlm_error *err) {
    double value = cJSON_IsNumber(item) ? item->valuedouble : -1;
    if (!(value >= 0 && value < (double)c->limit) || value != (double)(size_t)value) {
        return md_fail(
            err, MDLM_INPUT,
            "'%s': the id of '%s' is not an integer from 0 to %zu (there are %zu tokens)",
            c->f->vocab.path, name, c->limit - 1, c->limit);
    }
    *id = (size_t)value;
    return MDLM_OK;
}

static mdlm_status claim_vocab(claims *c, const cJSON *vocab, mdlm_error *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, vocab) {
        size_t id = 0;
        MD_TRY(read_id(c, item, item->string, &id, err));
        if (c->items[id].text.data) {
            return md_fail(err, MDLM_INPUT, "'%s': both '%s' and '%s' have id %zu",
                           c->f->vocab.path, c->items[id].text.data, item->string, id);
        }
        c->items[id].text = text_of(item->string);
    }
    return MDLM_OK;
}

static mdlm_status read_flags(const claims *c, const cJSON *item, uint8_t *flags, mdlm_error *err) {
    static const struct {
        const char *key;
        uint8_t flag;
    } settings[] = {{"lstrip", MD_LSTRIP},
                    {"rstrip", MD_RSTRIP},
                    {"single_word", MD_SINGLE_WORD},
                    {"normalized", MD_NORMALIZED}};
    bool special = false;
    MD_TRY(md_json_flag(item, "special", c->f->vocab.path, &special, err));
    *flags = special ? MD_SPECIAL : MD_ADDED;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++) {
        if (cJSON_IsTrue(md_tokenizer_member(item, settings[i].key))) *flags |= settings[i].flag;
    }
    return MDLM_OK;
}

/* An added token may repeat an entry of the vocabulary, and then only says more about it. */
static mdlm_status claim_added(claims *c, const cJSON *added, mdlm_error *err) {
    const cJSON *item;
    cJSON_ArrayForEach(item, added) {
        const char *name = NULL;
        uint8_t flags = 0;
        size_t id = 0;
        MD_TRY(md_json_text(item, "content", c->f->vocab.path, &name, err));
        MD_TRY(read_flags(c, item, &flags, err));
        MD_TRY(read_id(c, md_tokenizer_member(item, "id"), name, &id, err));
        md_spelling *old = &c->items[id];
        if (old->text.data && (old->flags || strcmp(old->text.data, name) != 0)) {
            return md_fail(err, MDLM_INPUT, "'%s': both '%s' and '%s' have id %zu",
                           c->f->vocab.path, old->text.data, name, id);
        }
        *old = (md_spelling){text_of(name), flags};
    }
    return MDLM_OK;
}

mdlm_status md_tokenizer_file_vocab(md_tokenizer_file *f, mdlm_error *err) {
    const cJSON *vocab = md_tokenizer_member(f->model, "vocab");
    const cJSON *added = md_tokenizer_member(f->root, "added_tokens");
    if (!cJSON_IsObject(vocab)) {
        return md_fail(err, MDLM_INPUT, "'%s': 'vocab' is not an object", f->vocab.path);
    }
    if (!md_tokenizer_absent(added) && !cJSON_IsArray(added)) {
        return md_fail(err, MDLM_INPUT, "'%s': 'added_tokens' is not an array", f->vocab.path);
    }
    claims c = {.f = f};
    c.limit = (size_t)cJSON_GetArraySize(vocab) + (size_t)cJSON_GetArraySize(added);
    c.items = md_alloc(c.limit, sizeof *c.items, err);
    if (!c.items) return MDLM_RUNTIME;
    mdlm_status status = claim_vocab(&c, vocab, err);
    if (status == MDLM_OK) status = claim_added(&c, added, err);
    while (c.limit > 0 && !c.items[c.limit - 1].text.data) c.limit--;
    if (status == MDLM_OK) status = md_vocab_fill(&f->vocab, c.items, c.limit, err);
    md_free(c.items);
    return status;
}

/* The two parts of a merge, as pointers into the JSON. */
static bool read_merge(const cJSON *item, md_text *left, md_text *right) {
    if (cJSON_IsString(item)) {
        md_text whole = text_of(item->valuestring);
        return md_vocab_split_merge(&whole, left, right);
    }
    const cJSON *first = cJSON_IsArray(item) ? item->child : NULL;
    const cJSON *second = first ? first->next : NULL;
    if (!cJSON_IsString(first) || !cJSON_IsString(second) || second->next) return false;
    *left = text_of(first->valuestring);
    *right = text_of(second->valuestring);
    return left->size > 0 && right->size > 0;
}

mdlm_status md_tokenizer_file_merges(md_tokenizer_file *f, mdlm_error *err) {
    const cJSON *merges = md_tokenizer_member(f->model, "merges"), *item;
    if (!cJSON_IsArray(merges)) {
        return md_fail(err, MDLM_INPUT, "'%s': 'merges' is not an array", f->vocab.path);
    }
    cJSON_ArrayForEach(item, merges) {
        md_text left, right;
        if (!read_merge(item, &left, &right)) {
            return md_fail(err, MDLM_INPUT, "'%s': merge %zu is not a pair of tokens",
                           f->vocab.path, f->tok->bpe.count);
        }
        MD_TRY(md_vocab_merge(&f->vocab, &left, &right, err));
    }
    return MDLM_OK;
}
