/* tokenizer/arrays.c: see arrays.h. */
#include "tokenizer/arrays.h"

#include <string.h>

#include "base/memory.h"
#include "tokenizer/vocab.h"

/* U+2581, "lower one eighth block": what SentencePiece writes for a space. */
static const char SPACE_MARK[] = "\u2581";
enum { SPACE_MARK_BYTES = sizeof SPACE_MARK - 1 };

/* --- from arrays -------------------------------------------------------------------------------
 */

static uint8_t flags_of(int32_t type) {
    switch (type) {
    case MD_TYPE_UNKNOWN:
    case MD_TYPE_CONTROL: return MD_SPECIAL;
    case MD_TYPE_UNUSED: return MD_SPECIAL | MD_UNUSED;
    case MD_TYPE_USER: return MD_ADDED;
    default: return 0;
    }
}

static mdlm_status read_tokens(const md_tokenizer_arrays *a, size_t count, md_spelling *spellings,
                               mdlm_error *err) {
    bool chars = strcmp(a->model, "llama") == 0;
    for (size_t id = 0; id < count; id++) {
        int32_t type = a->types ? a->types[id] : MD_TYPE_NORMAL;
        if (type < MD_TYPE_UNDEFINED || type > MD_TYPE_BYTE) {
            return md_fail(err, MDLM_INPUT, "'%s': token %zu has the type %d: expected 0 to %d",
                           a->name, id, type, MD_TYPE_BYTE);
        }
        spellings[id] = (md_spelling){a->tokens[id], flags_of(type)};
        bool space = chars && type == MD_TYPE_NORMAL && a->tokens[id].size == SPACE_MARK_BYTES &&
                     !memcmp(a->tokens[id].data, SPACE_MARK, SPACE_MARK_BYTES);
        if (space) spellings[id].text = (md_text){" ", 1};
    }
    return MDLM_OK;
}

static mdlm_status take_role(md_vocab *v, int32_t given, const char *what, int32_t *id,
                             mdlm_error *err) {
    *id = given;
    if (given < 0) return MDLM_OK;
    if ((size_t)given < v->tok->count) return md_vocab_make_special(v, given, err);
    return md_fail(err, MDLM_INPUT, "'%s': %s is id %d, and there are %zu tokens", v->path, what,
                   given, v->tok->count);
}

static mdlm_status take_roles(md_vocab *v, const md_tokenizer_arrays *a, mdlm_error *err) {
    md_tokenizer *tok = v->tok;
    if (a->roles.mask >= 0 && (size_t)a->roles.mask == tok->count)
        MD_TRY(md_vocab_append_mask(v, err));
    MD_TRY(take_role(v, a->roles.mask, "the mask", &tok->mask, err));
    MD_TRY(take_role(v, a->roles.end_of_text, "end-of-text", &tok->end_of_text, err));
    MD_TRY(take_role(v, a->roles.padding, "padding", &tok->padding, err));
    if (a->bos >= 0) {
        int32_t bos;
        MD_TRY(take_role(v, a->bos, "the beginning of text", &bos, err));
        tok->bos = md_strdup(tok->entries[bos].special, err);
        if (!tok->bos) return MDLM_RUNTIME;
    }
    return md_vocab_check_roles(v, err);
}

static mdlm_status read_words(md_tokenizer *tok, const md_tokenizer_arrays *a, mdlm_error *err) {
    mdlm_error why = {0};
    const char *pre = a->pre ? a->pre : "default";
    mdlm_status status = md_cuts_add_named(&tok->cuts, pre, &tok->ignore_merges, &why);
    if (status == MDLM_OK) return MDLM_OK;
    return md_fail(err, status, "'%s': %s", a->name, why.message);
}

static mdlm_status read_merges(md_vocab *v, const md_tokenizer_arrays *a, mdlm_error *err) {
    for (size_t i = 0; i < a->merge_count; i++) {
        md_text left, right;
        if (!md_vocab_split_merge(&a->merges[i], &left, &right)) {
            return md_fail(err, MDLM_INPUT, "'%s': merge %zu is not a pair of tokens", a->name, i);
        }
        MD_TRY(md_vocab_merge(v, &left, &right, err));
    }
    return MDLM_OK;
}

static mdlm_status read_arrays(md_vocab *v, const md_tokenizer_arrays *a, mdlm_error *err) {
    size_t count = a->count;
    md_tokenizer *tok = v->tok;
    while (a->types && count > 0 && a->types[count - 1] == MD_TYPE_UNUSED) count--;
    md_spelling *spellings = md_alloc(count, sizeof *spellings, err);
    if (!spellings) return MDLM_RUNTIME;
    mdlm_status status = read_tokens(a, count, spellings, err);
    if (status == MDLM_OK) status = md_vocab_fill(v, spellings, count, err);
    md_free(spellings);
    if (status != MDLM_OK) return status;
    MD_TRY(take_roles(v, a, err));
    if (a->chat_template) MD_TRY(md_tokenizer_set_template(tok, a->chat_template, err));
    if (tok->kind == MD_TOKENIZER_BPE) {
        MD_TRY(read_words(tok, a, err));
        MD_TRY(read_merges(v, a, err));
        md_vocab_settle_kind(v);
    }
    return md_tokenizer_prepare(tok, err);
}

mdlm_status md_tokenizer_from_arrays(const md_tokenizer_arrays *arrays, md_tokenizer **out,
                                     mdlm_error *err) {
    bool chars = strcmp(arrays->model, "llama") == 0;
    if (!chars && strcmp(arrays->model, "gpt2") != 0) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': a tokenizer of the model '%s' is not supported: expected gpt2",
                       arrays->name, arrays->model);
    }
    md_tokenizer *tok = md_tokenizer_new(chars ? MD_TOKENIZER_CHARS : MD_TOKENIZER_BPE, err);
    if (!tok) return MDLM_RUNTIME;
    md_vocab v = {.path = arrays->name, .tok = tok};
    mdlm_status status = read_arrays(&v, arrays, err);
    md_vocab_release(&v);
    if (status == MDLM_OK)
        *out = tok;
    else
        md_tokenizer_free(tok);
    return status;
}

/* --- to arrays ---------------------------------------------------------------------------------
 */

typedef struct writer {
    const md_tokenizer *tok;
    md_arena *arena;
    md_buffer name, joined;
    mdlm_error *err;
} writer;

static void *take(writer *w, size_t count, size_t size) {
    void *memory = count <= SIZE_MAX / size ? md_arena_alloc(w->arena, count * size) : NULL;
    if (!memory) md_fail(w->err, MDLM_RUNTIME, "out of memory for a tokenizer's arrays");
    return memory;
}

/* A copy in the arena. */
static mdlm_status keep(writer *w, const char *text, size_t size, md_text *out) {
    char *copy = take(w, size + 1, 1);
    if (!copy) return MDLM_RUNTIME;
    memcpy(copy, text, size);
    *out = (md_text){copy, size};
    return MDLM_OK;
}

static int32_t type_of(const md_tokenizer *tok, size_t id) {
    const md_entry *entry = &tok->entries[id];
    if (entry->flags & MD_UNUSED) return MD_TYPE_UNUSED;
    if (entry->special) return MD_TYPE_CONTROL;
    if (entry->flags & MD_ADDED) return MD_TYPE_USER;
    return md_tokenizer_is_byte(tok, id) ? MD_TYPE_BYTE : MD_TYPE_NORMAL;
}

static mdlm_status write_token(writer *w, size_t id, md_text *out) {
    if (id >= w->tok->count) {
        md_buffer_clear(&w->name);
        MD_TRY(md_buffer_printf(&w->name, w->err, "[PAD%zu]", id));
        return keep(w, w->name.data, w->name.size, out);
    }
    MD_TRY(md_tokenizer_spell(w->tok, id, &w->name, w->err));
    if (w->tok->kind == MD_TOKENIZER_CHARS && type_of(w->tok, id) == MD_TYPE_NORMAL) {
        if (!strcmp(w->name.data, SPACE_MARK)) {
            return md_fail(w->err, MDLM_INPUT,
                           "a vocabulary of characters that has U+2581 cannot be written as GGUF: "
                           "there it stands for the space");
        }
        if (!strcmp(w->name.data, " ")) return keep(w, SPACE_MARK, SPACE_MARK_BYTES, out);
    }
    return keep(w, w->name.data, w->name.size, out);
}

static mdlm_status write_tokens(writer *w, size_t rows, md_tokenizer_arrays *out) {
    md_text *tokens = take(w, rows, sizeof *tokens);
    int32_t *types = tokens ? take(w, rows, sizeof *types) : NULL;
    if (!types) return MDLM_RUNTIME;
    for (size_t id = 0; id < rows; id++) {
        MD_TRY(write_token(w, id, &tokens[id]));
        types[id] = id < w->tok->count ? type_of(w->tok, id) : MD_TYPE_UNUSED;
    }
    out->tokens = tokens;
    out->types = types;
    out->count = rows;
    return MDLM_OK;
}

static mdlm_status write_merges(writer *w, md_tokenizer_arrays *out) {
    const md_bpe *bpe = &w->tok->bpe;
    md_text *merges = take(w, bpe->count, sizeof *merges);
    if (!merges) return MDLM_RUNTIME;
    for (size_t i = 0; i < bpe->count; i++) {
        MD_TRY(md_tokenizer_spell(w->tok, (size_t)bpe->merges[i].left, &w->joined, w->err));
        MD_TRY(md_tokenizer_spell(w->tok, (size_t)bpe->merges[i].right, &w->name, w->err));
        MD_TRY(md_buffer_text(&w->joined, " ", w->err));
        MD_TRY(md_buffer_append(&w->joined, w->name.data, w->name.size, w->err));
        MD_TRY(keep(w, w->joined.data, w->joined.size, &merges[i]));
    }
    out->merges = merges;
    out->merge_count = bpe->count;
    return MDLM_OK;
}

/* Words do not matter where there are no merges: any expression will do then. */
static mdlm_status write_pre(writer *w, md_tokenizer_arrays *out) {
    const md_tokenizer *tok = w->tok;
    char name[MD_PRE_NAME_BYTES] = "gpt-2";
    if (tok->kind == MD_TOKENIZER_CHARS) return MDLM_OK;
    if (tok->bpe.count > 0 && !md_cuts_name(&tok->cuts, tok->ignore_merges, name)) {
        return md_fail(w->err, MDLM_INPUT,
                       "the tokenizer cuts words by an expression that llama.cpp has no name for");
    }
    md_text copy;
    MD_TRY(keep(w, name, sizeof name, &copy));
    out->pre = copy.data;
    return MDLM_OK;
}

static int32_t find_special(const md_tokenizer *tok, const char *name) {
    for (size_t id = 0; name && id < tok->count; id++) {
        if (tok->entries[id].special && !strcmp(tok->entries[id].special, name)) return (int32_t)id;
    }
    return -1;
}

static mdlm_status write_scores(writer *w, md_tokenizer_arrays *out) {
    if (w->tok->kind != MD_TOKENIZER_CHARS) return MDLM_OK;
    float *scores = take(w, out->count, sizeof *scores);
    if (!scores) return MDLM_RUNTIME;
    for (size_t i = 0; i < out->count; i++) scores[i] = 0; /* there is nothing to choose from */
    out->scores = scores;
    return MDLM_OK;
}

mdlm_status md_tokenizer_to_arrays(const md_tokenizer *tok, int rows, md_arena *arena,
                                   md_tokenizer_arrays *out, mdlm_error *err) {
    writer w = {.tok = tok, .arena = arena, .err = err};
    md_tokenizer_arrays a = {.model = tok->kind == MD_TOKENIZER_CHARS ? "llama" : "gpt2",
                             .roles = {tok->mask, tok->end_of_text, tok->padding},
                             .bos = find_special(tok, tok->bos),
                             .chat_template = tok->chat_template};
    MD_BUG_IF(rows < (int)tok->count);
    if (tok->spaces.marked || tok->spaces.prefix != MD_PREFIX_NEVER) {
        return md_fail(err, MDLM_INPUT,
                       "a tokenizer that marks spaces or puts one before a text, like "
                       "SentencePiece's, cannot be written as GGUF");
    }
    mdlm_status status = write_pre(&w, &a);
    if (status == MDLM_OK) status = write_tokens(&w, (size_t)rows, &a);
    if (status == MDLM_OK) status = write_merges(&w, &a);
    if (status == MDLM_OK) status = write_scores(&w, &a);
    if (status == MDLM_OK) *out = a;
    md_buffer_release(&w.name);
    md_buffer_release(&w.joined);
    return status;
}
