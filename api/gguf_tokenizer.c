/* api/gguf_tokenizer.c: see gguf_tokenizer.h. */
#include "api/gguf_tokenizer.h"

#include "base/memory.h"
#include "model/lora.h"
#include "tokenizer/arrays.h"

#define KEY(name) "tokenizer.ggml." name
#define TEMPLATE_KEY "tokenizer.chat_template"

enum { NAME_BYTES = 64, TEMPLATE_BYTES = 1 << 20 };

/* --- reading ---------------------------------------------------------------------------------- */

/* What the arrays of a file point to. */
typedef struct holding {
    char *model, *pre, *chat_template;
    md_gguf_string *tokens, *merges;
    md_text *texts, *pairs;
    int32_t *types;
    float *scores;
} holding;

static void release(holding *h) {
    md_free(h->model);
    md_free(h->pre);
    md_free(h->chat_template);
    md_free(h->tokens);
    md_free(h->merges);
    md_free(h->texts);
    md_free(h->pairs);
    md_free(h->types);
    md_free(h->scores);
}

static mdlm_status get_texts(const md_gguf *file, const char *key, md_gguf_string **strings,
                             md_text **out, size_t *count, mdlm_error *err) {
    MD_TRY(md_gguf_strings(file, key, strings, count, err));
    *out = md_alloc(*count, sizeof **out, err);
    if (!*out) return MDLM_RUNTIME;
    for (size_t i = 0; i < *count; i++)
        (*out)[i] = (md_text){.data = (*strings)[i].bytes, .size = (*strings)[i].size};
    return MDLM_OK;
}

/* As many as there are tokens. */
static mdlm_status check_count(const md_gguf *file, const char *key, size_t tokens, size_t count,
                               mdlm_error *err) {
    if (count == tokens) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': expected %zu items, found %zu, in key '%s'",
                   md_gguf_path(file), tokens, count, key);
}

static mdlm_status get_id(const md_gguf *file, const char *key, size_t tokens, int32_t *out,
                          mdlm_error *err) {
    int64_t id = -1;
    if (md_gguf_has(file, key)) MD_TRY(md_gguf_int(file, key, 0, (int64_t)tokens - 1, &id, err));
    *out = (int32_t)id;
    return MDLM_OK;
}

static mdlm_status read_names(const md_gguf *file, holding *h, mdlm_error *err) {
    MD_TRY(md_gguf_text(file, KEY("model"), NAME_BYTES, &h->model, err));
    if (md_gguf_has(file, KEY("pre")))
        MD_TRY(md_gguf_text(file, KEY("pre"), NAME_BYTES, &h->pre, err));
    if (!md_gguf_has(file, TEMPLATE_KEY)) return MDLM_OK;
    return md_gguf_text(file, TEMPLATE_KEY, TEMPLATE_BYTES, &h->chat_template, err);
}

/* The id behind the tokens, and before the unused ones that only fill up. */
static int32_t first_free(const int32_t *types, size_t count) {
    while (types && count > 0 && types[count - 1] == MD_TYPE_UNUSED) count--;
    return (int32_t)count;
}

static mdlm_status read_arrays(const md_gguf *file, holding *h, md_tokenizer_arrays *a,
                               mdlm_error *err) {
    size_t count = 0;
    MD_TRY(get_texts(file, KEY("tokens"), &h->tokens, &h->texts, &a->count, err));
    if (md_gguf_has(file, KEY("merges")))
        MD_TRY(get_texts(file, KEY("merges"), &h->merges, &h->pairs, &a->merge_count, err));
    if (md_gguf_has(file, KEY("token_type"))) {
        MD_TRY(md_gguf_ints(file, KEY("token_type"), &h->types, &count, err));
        MD_TRY(check_count(file, KEY("token_type"), a->count, count, err));
    }
    if (md_gguf_has(file, KEY("scores"))) {
        MD_TRY(md_gguf_floats(file, KEY("scores"), &h->scores, &count, err));
        MD_TRY(check_count(file, KEY("scores"), a->count, count, err));
    }
    MD_TRY(get_id(file, KEY("mask_token_id"), a->count, &a->roles.mask, err));
    if (a->roles.mask < 0) a->roles.mask = first_free(h->types, a->count);
    MD_TRY(get_id(file, KEY("eos_token_id"), a->count, &a->roles.end_of_text, err));
    MD_TRY(get_id(file, KEY("padding_token_id"), a->count, &a->roles.padding, err));
    return get_id(file, KEY("bos_token_id"), a->count, &a->bos, err);
}

mdlm_status md_gguf_tokenizer(const md_gguf *file, md_tokenizer **out, mdlm_error *err) {
    holding h = {0};
    md_tokenizer_arrays a = {.name = md_gguf_path(file)};
    mdlm_status status = read_names(file, &h, err);
    if (status == MDLM_OK) status = read_arrays(file, &h, &a, err);
    if (status == MDLM_OK) {
        a.model = h.model;
        a.pre = h.pre;
        a.chat_template = h.chat_template;
        a.tokens = h.texts;
        a.merges = h.pairs;
        a.types = h.types;
        a.scores = h.scores;
        status = md_tokenizer_from_arrays(&a, out, err);
    }
    release(&h);
    return status;
}

static mdlm_status tokenizer_of_file(const char *path, md_tokenizer **out, mdlm_error *err) {
    md_gguf *file = NULL;
    MD_TRY(md_gguf_open(path, &file, err));
    mdlm_status status = md_gguf_tokenizer(file, out, err);
    md_gguf_close(file);
    return status;
}

static mdlm_status tokenizer_of_folder(const char *path, const md_model_config *c,
                                       md_tokenizer **out, mdlm_error *err) {
    md_token_roles roles = {.mask = -1, .end_of_text = -1, .padding = -1};
    char *home = NULL;
    if (c) {
        roles = (md_token_roles){
            .mask = c->mask_id, .end_of_text = c->end_of_text_id, .padding = c->padding_id};
    }
    MD_TRY(md_lora_home(path, "tokenizer.json", &home, err));
    mdlm_status status = md_tokenizer_load_with(home, &roles, out, err);
    md_free(home);
    return status;
}

static mdlm_status check_ids(const char *path, const md_model_config *c, const md_tokenizer *tok,
                             mdlm_error *err) {
    const int ids = md_tokenizer_vocab_size(tok), mask = md_tokenizer_mask(tok);
    if (ids > c->vocab) {
        return md_fail(err, MDLM_INPUT, "'%s': the tokenizer has %d ids, the model only %d", path,
                       ids, c->vocab);
    }
    if (mask == c->mask_id) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': the tokenizer's mask is id %d, the model's %d", path,
                   mask, c->mask_id);
}

mdlm_status md_model_tokenizer(const char *path, const md_model_config *config, md_tokenizer **out,
                               mdlm_error *err) {
    md_tokenizer *tok = NULL;
    MD_TRY(md_gguf_is(path) ? tokenizer_of_file(path, &tok, err)
                            : tokenizer_of_folder(path, config, &tok, err));
    mdlm_status status = config ? check_ids(path, config, tok, err) : MDLM_OK;
    if (status == MDLM_OK) {
        *out = tok;
    } else {
        md_tokenizer_free(tok);
    }
    return status;
}

/* --- writing ---------------------------------------------------------------------------------- */

static mdlm_status put_texts(md_gguf_writer *w, const char *key, const md_text *texts, size_t count,
                             mdlm_error *err) {
    md_gguf_string *list = md_alloc(count, sizeof *list, err);
    if (!list) return MDLM_RUNTIME;
    for (size_t i = 0; i < count; i++)
        list[i] = (md_gguf_string){.bytes = texts[i].data, .size = texts[i].size};
    mdlm_status status = md_gguf_put_strings(w, key, list, count, err);
    md_free(list);
    return status;
}

static mdlm_status put_id(md_gguf_writer *w, const char *key, int32_t id, mdlm_error *err) {
    return id < 0 ? MDLM_OK : md_gguf_put_u32(w, key, (uint32_t)id, err);
}

/* llama.cpp falls back to ids of its own for the begin and the end of a text, so both are always
 * there. */
static mdlm_status put_arrays(md_gguf_writer *w, const md_tokenizer_arrays *a, mdlm_error *err) {
    const int32_t end = a->roles.end_of_text;
    MD_TRY(md_gguf_put_text(w, KEY("model"), a->model, err));
    if (a->pre) MD_TRY(md_gguf_put_text(w, KEY("pre"), a->pre, err));
    MD_TRY(put_texts(w, KEY("tokens"), a->tokens, a->count, err));
    MD_TRY(md_gguf_put_ints(w, KEY("token_type"), a->types, a->count, err));
    if (a->scores) MD_TRY(md_gguf_put_floats(w, KEY("scores"), a->scores, a->count, err));
    if (a->merges) MD_TRY(put_texts(w, KEY("merges"), a->merges, a->merge_count, err));
    MD_TRY(put_id(w, KEY("bos_token_id"), a->bos >= 0 ? a->bos : end, err));
    MD_TRY(put_id(w, KEY("eos_token_id"), end, err));
    MD_TRY(put_id(w, KEY("padding_token_id"), a->roles.padding, err));
    MD_TRY(put_id(w, KEY("mask_token_id"), a->roles.mask, err));
    MD_TRY(md_gguf_put_flag(w, KEY("add_bos_token"), false, err));
    /* Which llama.cpp does before a text in vocabularies with scores, unless it is told not to. */
    if (a->scores) MD_TRY(md_gguf_put_flag(w, KEY("add_space_prefix"), false, err));
    if (!a->chat_template) return MDLM_OK;
    return md_gguf_put_text(w, TEMPLATE_KEY, a->chat_template, err);
}

mdlm_status md_gguf_put_tokenizer(md_gguf_writer *w, const md_tokenizer *tok, int rows,
                                  mdlm_error *err) {
    md_tokenizer_arrays arrays = {0};
    md_arena *arena = md_arena_new(err);
    if (!arena) return MDLM_RUNTIME;
    mdlm_status status = md_tokenizer_to_arrays(tok, rows, arena, &arrays, err);
    if (status == MDLM_OK) status = put_arrays(w, &arrays, err);
    md_arena_free(arena);
    return status;
}
