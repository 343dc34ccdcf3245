/* tokenizer/tokenizer_save.c: writing tokenizer.json, tokenizer_config.json and
 * special_tokens_map.json.
 *
 * Every kind is written as a Hugging Face BPE model (tokenizer_json.h has the table). Special
 * tokens stand both in the vocabulary and among the added tokens: Hugging Face gives an added
 * token that is not in the vocabulary the next free id, whatever id the file says.
 */
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "tokenizer/tokenizer_internal.h"

static mdlm_status no_memory(mdlm_error *err) {
    return md_fail(err, MDLM_RUNTIME, "out of memory while writing a tokenizer");
}

/* cJSON constructors give NULL when there is no memory, and pass a NULL parent on as NULL. */
static bool add_text(cJSON *object, const char *key, const char *text) {
    return cJSON_AddStringToObject(object, key, text) != NULL;
}

static bool add_flag(cJSON *object, const char *key, bool value) {
    return cJSON_AddBoolToObject(object, key, value) != NULL;
}

static bool add_null(cJSON *object, const char *key) {
    return cJSON_AddNullToObject(object, key) != NULL;
}

static bool in_byte_alphabet(const md_tokenizer *tok) {
    return tok->kind != MD_TOKENIZER_CHARS && !tok->spaces.marked;
}

mdlm_status md_tokenizer_spell(const md_tokenizer *tok, size_t id, md_buffer *name,
                               mdlm_error *err) {
    const md_entry *entry = &tok->entries[id];
    bool as_it_is = (entry->flags & (MD_ADDED | MD_RAW)) != 0;
    size_t size;
    const char *piece = md_tokenizer_written(tok, id, &size);
    md_buffer_clear(name);
    if (entry->special) return md_buffer_text(name, entry->special, err);
    if (as_it_is) return md_buffer_append(name, piece, size, err);
    if (in_byte_alphabet(tok)) return md_alphabet_spell(piece, entry->size, name, err);
    if (md_tokenizer_is_byte(tok, id))
        return md_buffer_printf(name, err, "<0x%02X>", (unsigned char)piece[0]);
    return tok->spaces.marked ? md_spaces_mark(piece, entry->size, name, err)
                              : md_buffer_append(name, piece, entry->size, err);
}

static mdlm_status add_vocab(const md_tokenizer *tok, cJSON *model, mdlm_error *err) {
    cJSON *vocab = cJSON_AddObjectToObject(model, "vocab");
    md_buffer name = {0};
    mdlm_status status = vocab ? MDLM_OK : no_memory(err);
    for (size_t id = 0; id < tok->count && status == MDLM_OK; id++) {
        status = md_tokenizer_spell(tok, id, &name, err);
        if (status == MDLM_OK && !cJSON_AddNumberToObject(vocab, name.data, (double)id)) {
            status = no_memory(err);
        }
    }
    md_buffer_release(&name);
    return status;
}

static mdlm_status add_merges(const md_tokenizer *tok, cJSON *model, mdlm_error *err) {
    cJSON *merges = cJSON_AddArrayToObject(model, "merges");
    md_buffer left = {0}, right = {0};
    mdlm_status status = merges ? MDLM_OK : no_memory(err);
    for (size_t i = 0; i < tok->bpe.count && status == MDLM_OK; i++) {
        MD_GOTO(done, status, md_tokenizer_spell(tok, (size_t)tok->bpe.merges[i].left, &left, err));
        MD_GOTO(done, status,
                md_tokenizer_spell(tok, (size_t)tok->bpe.merges[i].right, &right, err));
        MD_GOTO(done, status, md_buffer_text(&left, " ", err));
        MD_GOTO(done, status, md_buffer_append(&left, right.data, right.size, err));
        cJSON *text = cJSON_CreateString(left.data);
        if (!text || !cJSON_AddItemToArray(merges, text)) {
            cJSON_Delete(text);
            status = no_memory(err);
        }
    }
done:
    md_buffer_release(&left);
    md_buffer_release(&right);
    return status;
}

static mdlm_status add_model(const md_tokenizer *tok, cJSON *root, mdlm_error *err) {
    cJSON *model = cJSON_AddObjectToObject(root, "model");
    bool ok = model && add_text(model, "type", "BPE") && add_null(model, "dropout") &&
              add_null(model, "unk_token") && add_null(model, "continuing_subword_prefix") &&
              add_null(model, "end_of_word_suffix") && add_flag(model, "fuse_unk", false) &&
              add_flag(model, "byte_fallback", !in_byte_alphabet(tok)) &&
              add_flag(model, "ignore_merges", tok->ignore_merges);
    if (!ok) return no_memory(err);
    MD_TRY(add_vocab(tok, model, err));
    return add_merges(tok, model, err);
}

static bool add_byte_level_settings(cJSON *node, bool prefix, bool regex) {
    return add_flag(node, "add_prefix_space", prefix) && add_flag(node, "trim_offsets", true) &&
           add_flag(node, "use_regex", regex);
}

static bool add_byte_level(const md_tokenizer *tok, cJSON *root, const char *key, bool regex) {
    cJSON *node = cJSON_AddObjectToObject(root, key);
    return node && add_text(node, "type", "ByteLevel") &&
           add_byte_level_settings(node, tok->spaces.prefix != MD_PREFIX_NEVER, regex);
}

/* A new object at the end of an array; NULL when there is no memory. */
static cJSON *add_item(cJSON *array, const char *type) {
    cJSON *item = cJSON_CreateObject();
    bool ok = item && cJSON_AddItemToArray(array, item);
    if (!ok) cJSON_Delete(item);
    return ok && (!type || add_text(item, "type", type)) ? item : NULL;
}

/* An array under `key` of a new object of the type Sequence; NULL when there is no memory. */
static cJSON *add_sequence(cJSON *root, const char *name, const char *key) {
    cJSON *node = cJSON_AddObjectToObject(root, name);
    return node && add_text(node, "type", "Sequence") ? cJSON_AddArrayToObject(node, key) : NULL;
}

static bool add_split(cJSON *list, const md_cut *cut) {
    cJSON *item = add_item(list, "Split");
    cJSON *pattern = item ? cJSON_AddObjectToObject(item, "pattern") : NULL;
    return pattern && add_text(pattern, cut->literal ? "String" : "Regex", cut->source) &&
           add_text(item, "behavior", md_behaviour_name(cut->behaviour)) &&
           add_flag(item, "invert", cut->invert);
}

/* ByteLevel has GPT-2's expression in it, and others go before it. */
static bool add_pre_tokenizer(const md_tokenizer *tok, cJSON *root) {
    const md_cuts *cuts = &tok->cuts;
    bool gpt2 = md_cuts_are(cuts, md_expression_gpt2);
    if (gpt2 || cuts->count == 0) return add_byte_level(tok, root, "pre_tokenizer", gpt2);
    cJSON *list = add_sequence(root, "pre_tokenizer", "pretokenizers");
    bool ok = list != NULL;
    for (int i = 0; i < cuts->count && ok; i++) ok = add_split(list, &cuts->steps[i].cut);
    cJSON *last = ok ? add_item(list, "ByteLevel") : NULL;
    return last && add_byte_level_settings(last, false, false);
}

static bool add_template_ids(const md_tokenizer *tok, const md_ids *ids, cJSON *single,
                             cJSON *tokens) {
    for (size_t i = 0; i < ids->count; i++) {
        const char *name = tok->entries[ids->data[i]].special;
        cJSON *item = add_item(single, NULL);
        cJSON *token = item ? cJSON_AddObjectToObject(item, "SpecialToken") : NULL;
        if (!token || !add_text(token, "id", name) || !cJSON_AddNumberToObject(token, "type_id", 0))
            return false;
        if (cJSON_GetObjectItemCaseSensitive(tokens, name)) continue;
        cJSON *known = cJSON_AddObjectToObject(tokens, name);
        cJSON *list = cJSON_CreateIntArray(&ids->data[i], 1);
        cJSON *names = cJSON_CreateStringArray(&name, 1);
        bool ok = known && add_text(known, "id", name);
        ok = cJSON_AddItemToObject(known, "ids", list) && ok;
        if (!cJSON_AddItemToObject(known, "tokens", names) || !ok) return false;
    }
    return true;
}

static bool add_post_processor(const md_tokenizer *tok, cJSON *root) {
    if (tok->before.count == 0 && tok->after.count == 0) return add_null(root, "post_processor");
    cJSON *node = cJSON_AddObjectToObject(root, "post_processor");
    if (!node || !add_text(node, "type", "TemplateProcessing")) return false;
    cJSON *single = cJSON_AddArrayToObject(node, "single");
    cJSON *pair = cJSON_AddArrayToObject(node, "pair");
    cJSON *tokens = cJSON_AddObjectToObject(node, "special_tokens");
    if (!single || !pair || !tokens) return false;
    if (!add_template_ids(tok, &tok->before, single, tokens)) return false;
    for (int side = 0; side < 3; side++) { /* A alone; both of a pair */
        cJSON *item = add_item(side ? pair : single, NULL);
        cJSON *text = item ? cJSON_AddObjectToObject(item, "Sequence") : NULL;
        if (!text || !add_text(text, "id", side == 2 ? "B" : "A")) return false;
        if (!cJSON_AddNumberToObject(text, "type_id", side == 2)) return false;
    }
    return add_template_ids(tok, &tok->after, single, tokens);
}

static bool add_replace(cJSON *list, const char *from, const char *to) {
    cJSON *item = add_item(list, "Replace");
    cJSON *pattern = item ? cJSON_AddObjectToObject(item, "pattern") : NULL;
    return pattern && add_text(pattern, "String", from) && add_text(item, "content", to);
}

static bool add_normalizer(const md_tokenizer *tok, cJSON *root) {
    const md_spaces *spaces = &tok->spaces;
    if (!spaces->marked || spaces->metaspace) {
        if (!tok->nfc) return add_null(root, "normalizer");
        cJSON *node = cJSON_AddObjectToObject(root, "normalizer");
        return node && add_text(node, "type", "NFC");
    }
    cJSON *list = add_sequence(root, "normalizer", "normalizers");
    bool ok = list && (!tok->nfc || add_item(list, "NFC"));
    if (ok && spaces->prefix == MD_PREFIX_ALWAYS) {
        cJSON *item = add_item(list, "Prepend");
        ok = item && add_text(item, "prepend", MD_SPACE_MARK);
    }
    return ok && add_replace(list, " ", MD_SPACE_MARK);
}

static bool add_metaspace(const md_tokenizer *tok, cJSON *root) {
    static const char *const schemes[] = {
        [MD_PREFIX_NEVER] = "never", [MD_PREFIX_FIRST] = "first", [MD_PREFIX_PARTS] = "always"};
    if (!tok->spaces.metaspace) return add_null(root, "pre_tokenizer");
    cJSON *node = cJSON_AddObjectToObject(root, "pre_tokenizer");
    return node && add_text(node, "type", "Metaspace") &&
           add_text(node, "replacement", MD_SPACE_MARK) &&
           add_text(node, "prepend_scheme", schemes[tok->spaces.prefix]) &&
           add_flag(node, "split", tok->spaces.split);
}

/* The decoder of characters and bytes. */
static bool add_fallback(const md_tokenizer *tok, cJSON *root) {
    cJSON *list = add_sequence(root, "decoder", "decoders");
    bool ok = list && (!tok->spaces.marked || add_replace(list, MD_SPACE_MARK, " ")) &&
              add_item(list, "ByteFallback") && add_item(list, "Fuse");
    if (!ok || !tok->spaces.dropped) return ok;
    cJSON *item = add_item(list, "Strip");
    return item && add_text(item, "content", " ") && cJSON_AddNumberToObject(item, "start", 1) &&
           cJSON_AddNumberToObject(item, "stop", 0);
}

static bool add_pipeline(const md_tokenizer *tok, cJSON *root) {
    bool bytes = in_byte_alphabet(tok);
    return add_normalizer(tok, root) &&
           (bytes ? add_pre_tokenizer(tok, root) : add_metaspace(tok, root)) &&
           add_post_processor(tok, root) &&
           (bytes
                ? add_byte_level(tok, root, "decoder", md_cuts_are(&tok->cuts, md_expression_gpt2))
                : add_fallback(tok, root));
}

static bool add_added_tokens(const md_tokenizer *tok, cJSON *root) {
    cJSON *tokens = cJSON_AddArrayToObject(root, "added_tokens");
    md_buffer name = {0};
    bool ok = tokens != NULL;
    for (size_t id = 0; id < tok->count && ok; id++) {
        const md_entry *entry = &tok->entries[id];
        if (!entry->special && !(entry->flags & MD_ADDED)) continue;
        cJSON *item = add_item(tokens, NULL);
        ok = item && md_tokenizer_spell(tok, id, &name, NULL) == MDLM_OK &&
             cJSON_AddNumberToObject(item, "id", (double)id) &&
             add_text(item, "content", name.data) &&
             add_flag(item, "single_word", (entry->flags & MD_SINGLE_WORD) != 0) &&
             add_flag(item, "lstrip", (entry->flags & MD_LSTRIP) != 0) &&
             add_flag(item, "rstrip", (entry->flags & MD_RSTRIP) != 0) &&
             add_flag(item, "normalized", (entry->flags & MD_NORMALIZED) != 0) &&
             add_flag(item, "special", entry->special != NULL);
    }
    md_buffer_release(&name);
    return ok;
}

static mdlm_status save_tokenizer(const md_tokenizer *tok, const char *path, mdlm_error *err) {
    cJSON *root = cJSON_CreateObject();
    bool ok = root && add_text(root, "version", "1.0") && add_null(root, "truncation") &&
              add_null(root, "padding") && add_added_tokens(tok, root) && add_pipeline(tok, root);
    mdlm_status status = ok ? add_model(tok, root, err) : no_memory(err);
    if (status == MDLM_OK) status = md_json_save(path, root, err);
    cJSON_Delete(root);
    return status;
}

/* Which special token is which. */
static bool add_roles(const md_tokenizer *tok, cJSON *root) {
    return add_text(root, "mask_token", tok->entries[tok->mask].special) &&
           add_text(root, "eos_token", tok->entries[tok->end_of_text].special) &&
           add_text(root, "pad_token", tok->entries[tok->padding].special) &&
           (!tok->bos || add_text(root, "bos_token", tok->bos));
}

/* What older programs read that of. */
static mdlm_status save_map(const md_tokenizer *tok, const char *path, mdlm_error *err) {
    cJSON *root = cJSON_CreateObject();
    mdlm_status status = add_roles(tok, root) ? md_json_save(path, root, err) : no_memory(err);
    cJSON_Delete(root);
    return status;
}

/* clean_up_tokenization_spaces must be off: where it is on, decoding drops spaces. */
static mdlm_status save_config(const md_tokenizer *tok, const char *path, int seq_len,
                               mdlm_error *err) {
    cJSON *root = cJSON_CreateObject();
    bool ok = root && add_text(root, "tokenizer_class", "PreTrainedTokenizerFast") &&
              cJSON_AddNumberToObject(root, "model_max_length", seq_len) && add_roles(tok, root) &&
              add_flag(root, "clean_up_tokenization_spaces", false) &&
              (!tok->chat_template || add_text(root, "chat_template", tok->chat_template));
    mdlm_status status = ok ? md_json_save(path, root, err) : no_memory(err);
    cJSON_Delete(root);
    return status;
}

mdlm_status md_tokenizer_save(const md_tokenizer *tok, const char *folder, int seq_len,
                              mdlm_error *err) {
    char *file = md_path_join(folder, "tokenizer.json", err);
    char *config = file ? md_path_join(folder, "tokenizer_config.json", err) : NULL;
    char *map = config ? md_path_join(folder, "special_tokens_map.json", err) : NULL;
    mdlm_status status = map ? md_dir_make(folder, err) : MDLM_RUNTIME;
    if (status == MDLM_OK) status = save_tokenizer(tok, file, err);
    if (status == MDLM_OK) status = save_config(tok, config, seq_len, err);
    if (status == MDLM_OK) status = save_map(tok, map, err);
    md_free(file);
    md_free(config);
    md_free(map);
    return status;
}
