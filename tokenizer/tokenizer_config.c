/* tokenizer/tokenizer_config.c: what tokenizer_config.json says; see tokenizer_json.h. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tokenizer/tokenizer_json.h"
#include "tokenizer/unicode.h"

static const size_t LARGEST_TEMPLATE = (size_t)16 << 20;

/* The special token that tokenizer_config.json names under `key`, as a string or as an object with
 * "content"; failing that the one spelled `usual`; -1 when there is none. */
static mdlm_status find_role(md_tokenizer_file *f, const cJSON *config, const char *key,
                             const char *usual, int32_t *id, mdlm_error *err) {
    const cJSON *named = md_tokenizer_member(config, key);
    if (cJSON_IsObject(named)) named = md_tokenizer_member(named, "content");
    const char *name = cJSON_IsString(named) ? named->valuestring : usual;
    int64_t found = md_vocab_find(&f->vocab, name);
    *id = -1;
    if (found != MD_NOT_FOUND && f->tok->entries[found].special) *id = (int32_t)found;
    if (*id >= 0 || !cJSON_IsString(named)) return MDLM_OK;
    if (found != MD_NOT_FOUND && f->tok->entries[found].flags & MD_ADDED) {
        *id = (int32_t)found;
        return md_vocab_make_special(&f->vocab, *id, err);
    }
    return md_fail(err, MDLM_INPUT, "'%s': %s '%s' of tokenizer_config.json is not a special token",
                   f->vocab.path, key, name);
}

/* Takes over an id that the model's configuration names, where the files name none. */
static mdlm_status take_role(md_tokenizer_file *f, int32_t given, const char *what, int32_t *id,
                             mdlm_error *err) {
    if (*id >= 0 || given < 0) return MDLM_OK;
    if ((size_t)given >= f->tok->count) {
        return md_fail(err, MDLM_INPUT, "'%s': the model's %s is id %d, and there are %zu tokens",
                       f->vocab.path, what, given, f->tok->count);
    }
    const md_entry *entry = &f->tok->entries[given];
    if (!entry->special && !(entry->flags & MD_ADDED)) {
        return md_fail(err, MDLM_INPUT, "'%s': the model's %s, id %d, is an ordinary token",
                       f->vocab.path, what, given);
    }
    *id = given;
    return md_vocab_make_special(&f->vocab, given, err);
}

mdlm_status md_tokenizer_file_roles(md_tokenizer_file *f, const cJSON *config,
                                    const md_token_roles *roles, mdlm_error *err) {
    md_tokenizer *tok = f->tok;
    MD_TRY(find_role(f, config, "mask_token", MD_MASK_TEXT, &tok->mask, err));
    MD_TRY(find_role(f, config, "eos_token", MD_END_OF_TEXT_TEXT, &tok->end_of_text, err));
    MD_TRY(find_role(f, config, "pad_token", MD_PADDING_TEXT, &tok->padding, err));
    if (roles) {
        MD_TRY(take_role(f, roles->end_of_text, "end-of-text", &tok->end_of_text, err));
        MD_TRY(take_role(f, roles->padding, "padding", &tok->padding, err));
        if (tok->mask < 0 && roles->mask >= 0 && (size_t)roles->mask == tok->count)
            MD_TRY(md_vocab_append_mask(&f->vocab, err));
        MD_TRY(take_role(f, roles->mask, "mask", &tok->mask, err));
    }
    return md_vocab_check_roles(&f->vocab, err);
}

/* "chat_template": a string, or a list of objects with "name" and "template". */
static const char *listed_template(const cJSON *item) {
    if (cJSON_IsString(item)) return item->valuestring;
    const cJSON *entry;
    cJSON_ArrayForEach(entry, item) {
        const cJSON *name = md_tokenizer_member(entry, "name");
        const cJSON *source = md_tokenizer_member(entry, "template");
        if (cJSON_IsString(name) && cJSON_IsString(source) && !strcmp(name->valuestring, "default"))
            return source->valuestring;
    }
    return NULL;
}

mdlm_status md_tokenizer_file_chat(md_tokenizer *tok, const char *folder, const cJSON *config,
                                   mdlm_error *err) {
    const cJSON *bos = md_tokenizer_member(config, "bos_token");
    if (cJSON_IsObject(bos)) bos = md_tokenizer_member(bos, "content");
    if (cJSON_IsString(bos) && !(tok->bos = md_strdup(bos->valuestring, err))) return MDLM_RUNTIME;
    const char *listed = listed_template(md_tokenizer_member(config, "chat_template"));
    char *path = md_path_join(folder, "chat_template.jinja", err), *text = NULL;
    size_t size;
    mdlm_status status = path ? MDLM_OK : MDLM_RUNTIME;
    if (path && md_file_exists(path))
        status = md_file_read(path, LARGEST_TEMPLATE, &text, &size, err);
    if (text) listed = text;
    if (status == MDLM_OK && listed && !md_is_utf8(listed, strlen(listed)))
        status = md_fail(err, MDLM_INPUT, "'%s': the chat template is not UTF-8", folder);
    if (status == MDLM_OK && listed) status = md_tokenizer_set_template(tok, listed, err);
    md_free(text);
    md_free(path);
    return status;
}
