/* tokenizer/tokenizer_json.c: loading; see tokenizer_json.h and tokenizer.h. */
#include "tokenizer/tokenizer_json.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static const size_t LARGEST_FILE = (size_t)256 << 20, LARGEST_CONFIG = (size_t)16 << 20;

static bool absent(const cJSON *item) {
    return !item || cJSON_IsNull(item);
}

static const cJSON *member(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* The "type" of a component; "null" when there is none. */
static const char *type_of(const cJSON *component) {
    const cJSON *type = member(component, "type");
    if (absent(component)) return "null";
    return cJSON_IsString(type) ? type->valuestring : "(untyped)";
}

static bool is_type(const cJSON *component, const char *type) {
    return strcmp(type_of(component), type) == 0;
}

static mdlm_status unsupported(const md_tokenizer_file *f, const char *part, const char *what,
                               mdlm_error *err) {
    return md_fail(err, MDLM_INPUT, "'%s': %s '%s' is not supported", f->path, part, what);
}

/* Settings that change what encoding gives, in any part of the file: only their neutral values. */
static mdlm_status refuse_settings(const md_tokenizer_file *f, mdlm_error *err) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const cJSON *dropout = member(f->model, "dropout");
    if (!absent(member(f->root, "truncation"))) {
        return unsupported(f, "feature", "truncation", err);
    }
    if (!absent(member(f->root, "padding"))) return unsupported(f, "feature", "padding", err);
    if (!absent(dropout) && !(cJSON_IsNumber(dropout) && dropout->valuedouble == 0)) {
        return unsupported(f, "model feature", "dropout", err);
    }
    if (cJSON_IsTrue(member(f->model, "ignore_merges"))) {
        return unsupported(f, "model feature", "ignore_merges", err);
    }
    for (size_t i = 0; i < 2; i++) {
        const cJSON *affix = member(f->model, affixes[i]);
        if (absent(affix) || (cJSON_IsString(affix) && affix->valuestring[0] == 0)) continue;
        return unsupported(f, "model feature", affixes[i], err);
    }
    const cJSON *post = member(f->root, "post_processor");
    /* A ByteLevel post-processor only moves offsets. */
    if (absent(post) || is_type(post, "ByteLevel")) return MDLM_OK;
    return unsupported(f, "post_processor", type_of(post), err);
}

static mdlm_status read_normalizer(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    if (absent(node)) return MDLM_OK;
    if (is_type(node, "NFC")) {
        f->tok->nfc = true;
        return MDLM_OK;
    }
    const cJSON *parts = member(node, "normalizers"), *part;
    if (!is_type(node, "Sequence") || !cJSON_IsArray(parts)) {
        return unsupported(f, "normalizer", type_of(node), err);
    }
    cJSON_ArrayForEach(part, parts) {
        if (!is_type(part, "NFC")) return unsupported(f, "normalizer", type_of(part), err);
        f->tok->nfc = true;
    }
    return MDLM_OK;
}

/* Sets the kind, bytes still taken for bpe, and the split. */
static mdlm_status read_pre_tokenizer(md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    if (absent(node) && cJSON_IsTrue(member(f->model, "byte_fallback"))) {
        f->tok->kind = MD_TOKENIZER_CHARS;
        return MDLM_OK;
    }
    if (!is_type(node, "ByteLevel")) return unsupported(f, "pre_tokenizer", type_of(node), err);
    if (!cJSON_IsFalse(member(node, "add_prefix_space"))) { /* Hugging Face's default is true */
        return unsupported(f, "pre_tokenizer feature", "add_prefix_space", err);
    }
    bool regex = !cJSON_IsFalse(member(node, "use_regex"));
    f->tok->kind = MD_TOKENIZER_BPE;
    f->tok->split = regex ? md_split_gpt2 : md_split_none;
    return MDLM_OK;
}

static mdlm_status check_decoder(const md_tokenizer_file *f, const cJSON *node, mdlm_error *err) {
    if (f->tok->kind != MD_TOKENIZER_CHARS) {
        return is_type(node, "ByteLevel") ? MDLM_OK : unsupported(f, "decoder", type_of(node), err);
    }
    const cJSON *parts = member(node, "decoders");
    const cJSON *first = cJSON_IsArray(parts) ? parts->child : NULL;
    const cJSON *second = first ? first->next : NULL;
    if (!is_type(node, "Sequence") || !is_type(first, "ByteFallback") || !is_type(second, "Fuse") ||
        second->next) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': decoder '%s' is not supported: with byte_fallback it must be the "
                       "sequence ByteFallback, Fuse",
                       f->path, type_of(node));
    }
    return MDLM_OK;
}

static bool ids_are_bytes(const md_tokenizer *tok) {
    for (int byte = 0; byte < 256; byte++) {
        if (tok->byte_ids[byte] != byte) return false;
    }
    return true;
}

static mdlm_status read_tokenizer(md_tokenizer_file *f, mdlm_error *err) {
    f->model = member(f->root, "model");
    if (!cJSON_IsObject(f->model)) {
        return md_fail(err, MDLM_INPUT, "'%s': 'model' is not an object", f->path);
    }
    /* Old files leave the type out; merges give a BPE model away. */
    bool bpe =
        member(f->model, "type") ? is_type(f->model, "BPE") : member(f->model, "merges") != 0;
    if (!bpe) return unsupported(f, "model", type_of(f->model), err);
    MD_TRY(refuse_settings(f, err));
    MD_TRY(read_normalizer(f, member(f->root, "normalizer"), err));
    MD_TRY(read_pre_tokenizer(f, member(f->root, "pre_tokenizer"), err));
    MD_TRY(check_decoder(f, member(f->root, "decoder"), err));
    MD_TRY(md_tokenizer_file_vocab(f, err));
    MD_TRY(md_tokenizer_file_merges(f, err));
    md_tokenizer *tok = f->tok;
    if (tok->kind == MD_TOKENIZER_CHARS && tok->bpe.count > 0) {
        return unsupported(f, "model feature", "merges with byte_fallback", err);
    }
    if (tok->kind == MD_TOKENIZER_BPE && tok->split == md_split_none && tok->bpe.count == 0 &&
        ids_are_bytes(tok)) {
        tok->kind = MD_TOKENIZER_BYTES;
    }
    return MDLM_OK;
}

/* The special token that tokenizer_config.json names under `key`, as a string or as an object with
 * "content"; failing that the one spelled `usual`; -1 when there is none. */
static mdlm_status find_role(const md_tokenizer_file *f, const cJSON *config, const char *key,
                             const char *usual, int32_t *id, mdlm_error *err) {
    const cJSON *named = member(config, key);
    if (cJSON_IsObject(named)) named = member(named, "content");
    const char *name = cJSON_IsString(named) ? named->valuestring : usual;
    int64_t found = md_interner_find(&f->names, name, strlen(name));
    if (found != MD_NOT_FOUND && f->tok->entries[found].special) {
        *id = (int32_t)found;
        return MDLM_OK;
    }
    *id = -1;
    if (!cJSON_IsString(named)) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': %s '%s' of tokenizer_config.json is not a special token",
                   f->path, key, name);
}

static mdlm_status find_roles(const md_tokenizer_file *f, const cJSON *config, mdlm_error *err) {
    md_tokenizer *tok = f->tok;
    MD_TRY(find_role(f, config, "mask_token", MD_MASK_TEXT, &tok->mask, err));
    MD_TRY(find_role(f, config, "eos_token", MD_END_OF_TEXT_TEXT, &tok->end_of_text, err));
    MD_TRY(find_role(f, config, "pad_token", MD_PADDING_TEXT, &tok->padding, err));
    if (tok->end_of_text < 0) tok->end_of_text = tok->padding;
    if (tok->padding < 0) tok->padding = tok->end_of_text;
    if (tok->mask < 0 || tok->padding < 0) {
        return md_fail(err, MDLM_INPUT,
                       "'%s' has no %s token: neither a %s in tokenizer_config.json beside it nor "
                       "an added token '%s'",
                       f->path, tok->mask < 0 ? "mask" : "end-of-text",
                       tok->mask < 0 ? "mask_token" : "eos_token",
                       tok->mask < 0 ? MD_MASK_TEXT : MD_END_OF_TEXT_TEXT);
    }
    if (tok->mask == tok->end_of_text || tok->mask == tok->padding) {
        return md_fail(err, MDLM_INPUT, "'%s': the mask token is also end-of-text or padding",
                       f->path);
    }
    return MDLM_OK;
}

/* "chat_template": a string, or a list of objects with "name" and "template". */
static const char *listed_template(const cJSON *item) {
    if (cJSON_IsString(item)) return item->valuestring;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, item) {
        const cJSON *name = member(entry, "name"), *source = member(entry, "template");
        if (cJSON_IsString(name) && cJSON_IsString(source) && !strcmp(name->valuestring, "default"))
            return source->valuestring;
    }
    return NULL;
}

/* What chats need: the template, and how the beginning of text is spelled. */
static mdlm_status read_chat(md_tokenizer *tok, const char *folder, const cJSON *config,
                             mdlm_error *err) {
    const cJSON *bos = member(config, "bos_token");
    if (cJSON_IsObject(bos)) bos = member(bos, "content");
    if (cJSON_IsString(bos) && !(tok->bos = md_strdup(bos->valuestring, err))) return MDLM_RUNTIME;
    const char *listed = listed_template(member(config, "chat_template"));
    char *path = md_path_join(folder, "chat_template.jinja", err), *text = NULL;
    size_t size;
    mdlm_status status = path ? MDLM_OK : MDLM_RUNTIME;
    if (path && md_file_exists(path))
        status = md_file_read(path, LARGEST_CONFIG, &text, &size, err);
    if (status == MDLM_OK && (text || listed))
        status = md_tokenizer_set_template(tok, text ? text : listed, err);
    md_free(text);
    md_free(path);
    return status;
}

/* *config is NULL when there is no such file. */
static mdlm_status load_config(const char *folder, cJSON **config, mdlm_error *err) {
    char *path = md_path_join(folder, "tokenizer_config.json", err);
    if (!path) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    if (md_file_exists(path)) status = md_json_load(path, LARGEST_CONFIG, config, err);
    md_free(path);
    return status;
}

/* The folder of a path and the file in it; both freed with md_free. */
static mdlm_status locate(const char *path, char **folder, char **file, mdlm_error *err) {
    const char *slash = strrchr(path, '/');
    bool is_dir = md_is_dir(path);
    if (is_dir)
        *folder = md_strdup(path, err);
    else if (slash)
        *folder = md_strndup(path, (size_t)(slash - path) + 1, err);
    else
        *folder = md_strdup(".", err);
    if (*folder) *file = is_dir ? md_path_join(path, "tokenizer.json", err) : md_strdup(path, err);
    return *folder && *file ? MDLM_OK : MDLM_RUNTIME;
}

mdlm_status md_tokenizer_load(const char *path, md_tokenizer **out, mdlm_error *err) {
    md_tokenizer_file f = {0};
    char *folder = NULL, *file = NULL;
    cJSON *root = NULL, *config = NULL;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, locate(path, &folder, &file, err));
    MD_GOTO(done, status, md_json_load(file, LARGEST_FILE, &root, err));
    MD_GOTO(done, status, load_config(folder, &config, err));
    f.path = file;
    f.root = root;
    f.tok = md_tokenizer_new(MD_TOKENIZER_BPE, err);
    status = f.tok ? MDLM_OK : MDLM_RUNTIME;
    if (status != MDLM_OK) goto done;
    MD_GOTO(done, status, read_tokenizer(&f, err));
    MD_GOTO(done, status, find_roles(&f, config, err));
    MD_GOTO(done, status, read_chat(f.tok, folder, config, err));
    *out = f.tok;
    f.tok = NULL;
done:
    md_tokenizer_free(f.tok);
    md_interner_release(&f.names);
    cJSON_Delete(root);
    cJSON_Delete(config);
    md_free(folder);
    md_free(file);
    return status;
}
