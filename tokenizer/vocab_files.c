/* tokenizer/vocab_files.c: vocab.json and merges.txt, as older tokenizers are kept; see
 * tokenizer_json.h.
 *
 * What a tokenizer.json says of them follows from the class that tokenizer_config.json names, and
 * its added_tokens_decoder has the added tokens.
 */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "tokenizer/tokenizer_json.h"

static const size_t LARGEST = (size_t)64 << 20;

static mdlm_status exists(const char *folder, const char *name, bool *yes, mdlm_error *err) {
    char *path = md_path_join(folder, name, err);
    if (!path) return MDLM_RUNTIME;
    *yes = md_file_exists(path);
    md_free(path);
    return MDLM_OK;
}

mdlm_status md_tokenizer_in_parts(const char *folder, bool *yes, mdlm_error *err) {
    bool whole = false, vocab = false, merges = false;
    MD_TRY(exists(folder, "tokenizer.json", &whole, err));
    MD_TRY(exists(folder, "vocab.json", &vocab, err));
    MD_TRY(exists(folder, "merges.txt", &merges, err));
    *yes = !whole && vocab && merges;
    return MDLM_OK;
}

static mdlm_status no_memory(mdlm_error *err) {
    return md_fail(err, MDLM_RUNTIME, "out of memory while reading a tokenizer");
}

/* One merge a line; the first line may be "#version: 0.2". */
static mdlm_status add_merges(char *text, cJSON *merges, mdlm_error *err) {
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\n');
        if (next) *next++ = 0;
        size_t size = strlen(line);
        if (size > 0 && line[size - 1] == '\r') line[size - 1] = 0;
        bool version = line == text && strncmp(line, "#version", 8) == 0;
        if (version || !*line) continue;
        cJSON *item = cJSON_CreateString(line);
        if (item && cJSON_AddItemToArray(merges, item)) continue;
        cJSON_Delete(item);
        return no_memory(err);
    }
    return MDLM_OK;
}

/* {"7": {"content": "<a>", ...}} as [{"id": 7, "content": "<a>", ...}] */
static mdlm_status add_decoder(const char *folder, const cJSON *decoder, cJSON *list,
                               mdlm_error *err) {
    const cJSON *item;
    if (!md_tokenizer_absent(decoder) && !cJSON_IsObject(decoder)) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': 'added_tokens_decoder' of tokenizer_config.json is not an object",
                       folder);
    }
    cJSON_ArrayForEach(item, decoder) {
        char *end = NULL;
        double id = strtod(item->string, &end);
        cJSON *token = cJSON_Duplicate(item, true);
        if (!token || !cJSON_AddItemToArray(list, token)) {
            cJSON_Delete(token);
            return no_memory(err);
        }
        if (!cJSON_IsObject(token)) continue; /* refused when it is read */
        cJSON_DeleteItemFromObjectCaseSensitive(token, "id");
        if (!cJSON_AddNumberToObject(token, "id", *end ? -1 : id)) return no_memory(err);
    }
    return MDLM_OK;
}

static bool has_token(const cJSON *list, const char *name) {
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        const cJSON *content = md_tokenizer_member(item, "content");
        if (cJSON_IsString(content) && !strcmp(content->valuestring, name)) return true;
    }
    return false;
}

/* A token of the vocabulary that is special without being listed: the oldest files list none. */
static mdlm_status add_special(const cJSON *vocab, const char *name, cJSON *list, mdlm_error *err) {
    const cJSON *id = md_tokenizer_member(vocab, name);
    if (!cJSON_IsNumber(id) || has_token(list, name)) return MDLM_OK;
    cJSON *token = cJSON_CreateObject();
    bool ok = token && cJSON_AddItemToArray(list, token);
    if (!ok) cJSON_Delete(token);
    ok = ok && cJSON_AddStringToObject(token, "content", name) &&
         cJSON_AddNumberToObject(token, "id", id->valuedouble) &&
         cJSON_AddTrueToObject(token, "special");
    return ok ? MDLM_OK : no_memory(err);
}

static mdlm_status add_tokens(const char *folder, const cJSON *config, cJSON *root,
                              mdlm_error *err) {
    const cJSON *vocab = md_tokenizer_member(md_tokenizer_member(root, "model"), "vocab");
    static const char *const roles[] = {"mask_token", "eos_token", "pad_token", "bos_token"};
    cJSON *list = cJSON_AddArrayToObject(root, "added_tokens");
    if (!list) return no_memory(err);
    MD_TRY(add_decoder(folder, md_tokenizer_member(config, "added_tokens_decoder"), list, err));
    MD_TRY(add_special(vocab, MD_END_OF_TEXT_TEXT, list, err)); /* both classes' default */
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        const cJSON *name = md_tokenizer_member(config, roles[i]);
        if (cJSON_IsObject(name)) name = md_tokenizer_member(name, "content");
        if (cJSON_IsString(name)) MD_TRY(add_special(vocab, name->valuestring, list, err));
    }
    return MDLM_OK;
}

/* How the classes cut text. */
static const char gpt2_pipeline[] =
    "{\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\"}}";
static const char qwen2_pipeline[] =
    "{\"normalizer\":{\"type\":\"NFC\"},\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":"
    "["
    "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":\"(?i:'s|'t|'re|'ve|'m|'"
    "ll|"
    "'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|"
    "\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+\"}},"
    "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]},"
    "\"decoder\":{\"type\":\"ByteLevel\"},\"model\":{\"type\":\"BPE\"}}";

static mdlm_status new_root(const char *folder, const cJSON *config, cJSON **root,
                            mdlm_error *err) {
    static const struct {
        const char *name, *pipeline;
    } classes[] = {{"GPT2Tokenizer", gpt2_pipeline},
                   {"GPT2TokenizerFast", gpt2_pipeline},
                   {"Qwen2Tokenizer", qwen2_pipeline},
                   {"Qwen2TokenizerFast", qwen2_pipeline},
                   {"DreamTokenizer", qwen2_pipeline}};
    const cJSON *named = md_tokenizer_member(config, "tokenizer_class");
    const char *name = cJSON_IsString(named) ? named->valuestring : "(none)";
    for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
        if (strcmp(classes[i].name, name)) continue;
        *root = cJSON_Parse(classes[i].pipeline);
        return *root ? MDLM_OK : no_memory(err);
    }
    return md_fail(err, MDLM_INPUT,
                   "'%s' has vocab.json and merges.txt of the tokenizer_class '%s': expected "
                   "GPT2Tokenizer, Qwen2Tokenizer or DreamTokenizer in tokenizer_config.json",
                   folder, name);
}

static mdlm_status fill_model(const char *vocab_path, const char *merges_path, cJSON *model,
                              mdlm_error *err) {
    cJSON *vocab = NULL, *merges = cJSON_AddArrayToObject(model, "merges");
    char *text = NULL;
    size_t size = 0;
    if (!merges) return no_memory(err);
    mdlm_status status = md_json_load(vocab_path, LARGEST, &vocab, err);
    if (status == MDLM_OK && !cJSON_AddItemToObject(model, "vocab", vocab)) {
        cJSON_Delete(vocab);
        status = no_memory(err);
    }
    if (status == MDLM_OK) status = md_file_read(merges_path, LARGEST, &text, &size, err);
    if (status == MDLM_OK) status = add_merges(text, merges, err);
    md_free(text);
    return status;
}

mdlm_status md_tokenizer_join_parts(const char *folder, const cJSON *config, cJSON **root,
                                    mdlm_error *err) {
    cJSON *joined = NULL;
    char *vocab = md_path_join(folder, "vocab.json", err);
    char *merges = vocab ? md_path_join(folder, "merges.txt", err) : NULL;
    mdlm_status status = merges ? new_root(folder, config, &joined, err) : MDLM_RUNTIME;
    if (status == MDLM_OK) {
        cJSON *model = cJSON_GetObjectItemCaseSensitive(joined, "model");
        status = fill_model(vocab, merges, model, err);
        if (status == MDLM_OK) status = add_tokens(folder, config, joined, err);
    }
    if (status == MDLM_OK)
        *root = joined;
    else
        cJSON_Delete(joined);
    md_free(vocab);
    md_free(merges);
    return status;
}
