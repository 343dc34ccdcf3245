/* tokenizer/added.c: see added.h. */
#include "tokenizer/added.h"

#include "base/memory.h"
#include "tokenizer/unicode.h"

enum { TOKEN_HERE = 256 };

static uint64_t edge(uint64_t node, int label) {
    return node << 9 | (uint64_t)label;
}

mdlm_status md_added_insert(md_added_set *set, const char *text, size_t size, md_added token,
                            mdlm_error *err) {
    if (size == 0 || size > MD_ADDED_BYTES) {
        return md_fail(err, MDLM_INPUT, "added token '%.*s' has %zu bytes: expected 1 to %d",
                       size < 40 ? (int)size : 40, text, size, MD_ADDED_BYTES);
    }
    void *grown = md_grow(set->tokens, &set->capacity, set->count + 1, sizeof *set->tokens, err);
    if (!grown) return MDLM_RUNTIME;
    set->tokens = grown;
    uint64_t node = 0;
    for (size_t i = 0; i < size; i++) {
        uint64_t key = edge(node, (unsigned char)text[i]), next = md_key_map_get(&set->next, key);
        if (next == MD_KEY_NONE) {
            next = ++set->nodes;
            MD_TRY(md_key_map_put(&set->next, key, next, err));
        }
        node = next;
    }
    MD_TRY(md_key_map_put(&set->next, edge(node, TOKEN_HERE), set->count, err));
    set->tokens[set->count++] = token;
    set->first[(unsigned char)*text] = true;
    return MDLM_OK;
}

void md_added_release(md_added_set *set) {
    md_key_map_release(&set->next);
    md_free(set->tokens);
    *set = (md_added_set){0};
}

/* The longest token at the place; NULL for none. *end is where it ends. */
static const md_added *longest(const md_added_set *set, const char *text, size_t size, size_t at,
                               size_t *end) {
    const md_added *found = NULL;
    for (uint64_t node = 0; at < size; at++) {
        node = md_key_map_get(&set->next, edge(node, (unsigned char)text[at]));
        if (node == MD_KEY_NONE) break;
        uint64_t token = md_key_map_get(&set->next, edge(node, TOKEN_HERE));
        if (token == MD_KEY_NONE) continue;
        found = &set->tokens[token];
        *end = at + 1;
    }
    return found;
}

/* Where the character that ends at `end` begins. */
static size_t char_before(const char *text, size_t from, size_t end) {
    size_t limit = end - from > 4 ? end - 4 : from, start = end - 1;
    while (start > limit && ((unsigned char)text[start] & 0xc0) == 0x80) start--;
    size_t at = start;
    md_utf8_next(text, end, &at);
    return at == end ? start : end - 1;
}

static int32_t char_at(const char *text, size_t size, size_t at) {
    return md_utf8_next(text, size, &at);
}

static bool beside_words(const char *text, size_t size, size_t start, size_t end) {
    bool left = start > 0 && md_is_word_char(char_at(text, start, char_before(text, 0, start)));
    return left || (end < size && md_is_word_char(char_at(text, size, end)));
}

static bool space_at(const char *text, size_t size, size_t at) {
    return md_class_of(char_at(text, size, at)) == MD_CLASS_SPACE;
}

bool md_added_find(const md_added_set *set, const char *text, size_t size, md_added_match *m) {
    for (size_t at = m->next, end = 0; at < size; at++) {
        if (!set->first[(unsigned char)text[at]]) continue;
        const md_added *token = longest(set, text, size, at, &end);
        if (!token) continue;
        if (token->single_word && beside_words(text, size, at, end)) {
            at = end - 1;
            continue;
        }
        size_t last = m->end;
        *m = (md_added_match){.id = token->id, .text = last, .start = at, .end = end, .next = end};
        while (token->lstrip && m->start > last) {
            size_t before = char_before(text, last, m->start);
            if (!space_at(text, m->start, before)) break;
            m->start = before;
        }
        while (token->rstrip && m->end < size && space_at(text, size, m->end)) {
            md_utf8_next(text, size, &m->end);
        }
        return true;
    }
    return false;
}
