/* tokenizer/tokenizer_json.c: loading; see tokenizer_json.h and tokenizer.h. */
#include "tokenizer/tokenizer_json.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

static const size_t LARGEST_FILE = (size_t)256 << 20, LARGEST_CONFIG = (size_t)16 << 20;

bool md_tokenizer_absent(const cJSON *item) {
    return !item || cJSON_IsNull(item);
}

const cJSON *md_tokenizer_member(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

const char *md_tokenizer_type(const cJSON *component) {
    const cJSON *type = md_tokenizer_member(component, "type");
    if (md_tokenizer_absent(component)) return "null";
    return cJSON_IsString(type) ? type->valuestring : "(untyped)";
}

bool md_tokenizer_is(const cJSON *component, const char *type) {
    return strcmp(md_tokenizer_type(component), type) == 0;
}

mdlm_status md_tokenizer_unsupported(const md_tokenizer_file *f, const char *part, const char *what,
                                     mdlm_error *err) {
    return md_fail(err, MDLM_INPUT, "'%s': %s '%s' is not supported", f->vocab.path, part, what);
}

/* Settings that change what encoding gives, in any part of the file: only their neutral values. */
static mdlm_status refuse_settings(const md_tokenizer_file *f, mdlm_error *err) {
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const cJSON *dropout = md_tokenizer_member(f->model, "dropout");
    if (!md_tokenizer_absent(md_tokenizer_member(f->root, "truncation"))) {
        return md_tokenizer_unsupported(f, "feature", "truncation", err);
    }
    if (!md_tokenizer_absent(md_tokenizer_member(f->root, "padding"))) {
        return md_tokenizer_unsupported(f, "feature", "padding", err);
    }
    if (!md_tokenizer_absent(dropout) && !(cJSON_IsNumber(dropout) && dropout->valuedouble == 0)) {
        return md_tokenizer_unsupported(f, "model feature", "dropout", err);
    }
    for (size_t i = 0; i < 2; i++) {
        const cJSON *affix = md_tokenizer_member(f->model, affixes[i]);
        if (md_tokenizer_absent(affix)) continue;
        if (cJSON_IsString(affix) && affix->valuestring[0] == 0) continue;
        return md_tokenizer_unsupported(f, "model feature", affixes[i], err);
    }
    return MDLM_OK;
}

static mdlm_status read_tokenizer(md_tokenizer_file *f, mdlm_error *err) {
    md_tokenizer *tok = f->tok;
    f->model = md_tokenizer_member(f->root, "model");
    if (!cJSON_IsObject(f->model)) {
        return md_fail(err, MDLM_INPUT, "'%s': 'model' is not an object", f->vocab.path);
    }
    /* Old files leave the type out; merges give a BPE model away. */
    bool bpe = md_tokenizer_member(f->model, "type")
                   ? md_tokenizer_is(f->model, "BPE")
                   : md_tokenizer_member(f->model, "merges") != NULL;
    if (!bpe) return md_tokenizer_unsupported(f, "model", md_tokenizer_type(f->model), err);
    MD_TRY(refuse_settings(f, err));
    tok->ignore_merges = cJSON_IsTrue(md_tokenizer_member(f->model, "ignore_merges"));
    MD_TRY(md_tokenizer_file_pipeline(f, err));
    MD_TRY(md_tokenizer_file_vocab(f, err));
    MD_TRY(md_tokenizer_file_merges(f, err));
    MD_TRY(md_tokenizer_file_post_processor(f, err));
    if (tok->kind == MD_TOKENIZER_CHARS && tok->bpe.count > 0) {
        return md_tokenizer_unsupported(f, "model feature", "merges with byte_fallback", err);
    }
    if (tok->cuts.count == 0 && tok->spaces.prefix == MD_PREFIX_NEVER && !tok->spaces.marked)
        md_vocab_settle_kind(&f->vocab);
    return MDLM_OK;
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

/* The tokenizer.json, or what it would be. */
static mdlm_status load_root(const char *path, const char *folder, const char *file,
                             const cJSON *config, cJSON **root, mdlm_error *err) {
    bool parts = false;
    if (md_is_dir(path)) MD_TRY(md_tokenizer_in_parts(folder, &parts, err));
    return parts ? md_tokenizer_join_parts(folder, config, root, err)
                 : md_json_load(file, LARGEST_FILE, root, err);
}

mdlm_status md_tokenizer_load_with(const char *path, const md_token_roles *roles,
                                   md_tokenizer **out, mdlm_error *err) {
    md_tokenizer_file f = {0};
    char *folder = NULL, *file = NULL;
    cJSON *root = NULL, *config = NULL;
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, locate(path, &folder, &file, err));
    MD_GOTO(done, status, load_config(folder, &config, err));
    MD_GOTO(done, status, load_root(path, folder, file, config, &root, err));
    f.root = root;
    f.tok = md_tokenizer_new(MD_TOKENIZER_BPE, err);
    status = f.tok ? MDLM_OK : MDLM_RUNTIME;
    if (status != MDLM_OK) goto done;
    f.vocab = (md_vocab){.path = file, .tok = f.tok};
    MD_GOTO(done, status, read_tokenizer(&f, err));
    MD_GOTO(done, status, md_tokenizer_file_roles(&f, config, roles, err));
    MD_GOTO(done, status, md_tokenizer_file_chat(f.tok, folder, config, err));
    MD_GOTO(done, status, md_tokenizer_prepare(f.tok, err));
    *out = f.tok;
    f.tok = NULL;
done:
    md_tokenizer_free(f.tok);
    md_vocab_release(&f.vocab);
    cJSON_Delete(root);
    cJSON_Delete(config);
    md_free(folder);
    md_free(file);
    return status;
}

mdlm_status md_tokenizer_load(const char *path, md_tokenizer **out, mdlm_error *err) {
    return md_tokenizer_load_with(path, NULL, out, err);
}
