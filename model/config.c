/* model/config.c: shapes, presets, config.json. */
#include "model/config.h"

#include <limits.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"

static mdlm_status check_size(const char *flag, int64_t value, int64_t max, mdlm_error *err) {
    if (value >= 1 && value <= max) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "--%s %lld is out of range: expected 1 to %lld", flag,
                   (long long)value, (long long)max);
}

static mdlm_status check_blocks(const md_model_config *c, mdlm_error *err) {
    MD_TRY(check_size("block-length", c->block_length, c->seq_len, err));
    if (c->seq_len % c->block_length == 0) return MDLM_OK;
    int below = c->block_length, above = c->block_length;
    while (c->seq_len % below != 0) below--;
    while (c->seq_len % above != 0) above++;
    return md_fail(err, MDLM_USAGE,
                   "--block-length %d does not divide --seq-len %d: the nearest that do are %d "
                   "and %d",
                   c->block_length, c->seq_len, below, above);
}

mdlm_status md_model_config_check(const md_model_config *c, mdlm_error *err) {
    MD_TRY(check_size("layers", c->layers, 512, err));
    MD_TRY(check_size("dim", c->dim, 65536, err));
    MD_TRY(check_size("heads", c->heads, 1024, err));
    MD_TRY(check_size("kv-heads", c->kv_heads, 1024, err));
    MD_TRY(check_size("ff", c->ff, 262144, err));
    MD_TRY(check_size("vocab-size", c->vocab, 1 << 22, err));
    MD_TRY(check_size("seq-len", c->seq_len, 1 << 20, err));
    if (c->dim % c->heads) {
        return md_fail(err, MDLM_USAGE, "--dim %d is not divisible by --heads %d", c->dim,
                       c->heads);
    }
    if (c->dim / c->heads % 2) {
        return md_fail(err, MDLM_USAGE,
                       "--dim %d over --heads %d gives heads of odd size %d: "
                       "rotary positions need an even one",
                       c->dim, c->heads, c->dim / c->heads);
    }
    if (c->heads % c->kv_heads) {
        return md_fail(err, MDLM_USAGE, "--heads %d is not divisible by --kv-heads %d", c->heads,
                       c->kv_heads);
    }
    if (!(c->rope_theta > 1) || !(c->norm_eps > 0)) {
        return md_fail(err, MDLM_USAGE, "rope_theta must be above 1 and rms_norm_eps above 0");
    }
    if (c->sight == MD_SEES_BLOCKS) MD_TRY(check_blocks(c, err));
    if (c->mask_id < 0 || c->mask_id >= c->vocab) {
        return md_fail(err, MDLM_USAGE, "mask token id %d is not in a vocabulary of %d", c->mask_id,
                       c->vocab);
    }
    return MDLM_OK;
}

int64_t md_model_config_parameters(const md_model_config *c) {
    int64_t C = c->dim, kv = (int64_t)c->kv_heads * (C / c->heads);
    int64_t block = 2 * C + 2 * C * C + 2 * kv * C + 3 * (int64_t)c->ff * C;
    return c->layers * block + C + (c->tied ? 1 : 2) * (int64_t)c->vocab * C;
}

bool md_model_config_equal(const md_model_config *a, const md_model_config *b) {
    return a->layers == b->layers && a->dim == b->dim && a->heads == b->heads &&
           a->kv_heads == b->kv_heads && a->ff == b->ff && a->vocab == b->vocab &&
           a->seq_len == b->seq_len && a->rope_theta == b->rope_theta &&
           a->norm_eps == b->norm_eps && a->tied == b->tied && a->mask_id == b->mask_id &&
           a->sight == b->sight && a->block_length == b->block_length;
}

/* --- config.json ----------------------------------------------------------------------------- */

/* model_type and the class by what a position sees. Only LLaDA's own have classes elsewhere. */
static const struct {
    md_sight sight;
    const char *type, *architecture;
} types[] = {
    {MD_SEES_ALL, "llada", "LLaDAModelLM"},
    {MD_SEES_BLOCKS, "mdlm_block", "MDLMBlockModelLM"},
    {MD_SEES_PAST, "mdlm_ar", "MDLMAutoregressiveModelLM"},
};
enum { TYPES = sizeof types / sizeof *types };

/* Keys whose value fixes the mathematics. Written as they stand; another value is refused; a
 * missing one is taken as said. */
static const struct {
    const char *key, *value; /* JSON text */
} fixed[] = {
    {"block_type", "\"llama\""},
    {"layer_norm_type", "\"rms\""},
    {"activation_type", "\"silu\""},
    {"rope", "true"},
    {"alibi", "false"},
    {"include_bias", "false"},
    {"include_qkv_bias", "false"},
    {"attention_layer_norm", "false"},
    {"scale_logits", "false"},
    {"input_emb_norm", "false"},
    {"block_group_size", "1"},
    {"multi_query_attention", "null"},
    {"clip_qkv", "null"},
};

static mdlm_status check_fixed(const cJSON *root, const char *path, mdlm_error *err) {
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(root, fixed[i].key);
        if (!found) continue;
        char *text = cJSON_PrintUnformatted(found);
        bool same = text && !strcmp(text, fixed[i].value);
        if (!same && cJSON_IsNull(found)) same = true;
        if (!same && cJSON_IsFalse(found) && !strcmp(fixed[i].value, "null")) same = true;
        mdlm_status status = MDLM_OK;
        if (!same) {
            status = md_fail(err, MDLM_INPUT, "'%s': %s is %.60s, only %s is supported", path,
                             fixed[i].key, text ? text : "too large", fixed[i].value);
        }
        cJSON_free(text);
        if (status != MDLM_OK) return status;
    }
    return MDLM_OK;
}

/* A size; `fallback` when the key is missing or null and fallback is not 0. */
static mdlm_status get_size(const cJSON *root, const char *key, const char *path, int fallback,
                            int *out, mdlm_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    int64_t value = fallback;
    if (!fallback || (item && !cJSON_IsNull(item)))
        MD_TRY(md_json_int(root, key, path, 1, INT_MAX, &value, err));
    *out = (int)value;
    return MDLM_OK;
}

static mdlm_status get_id(const cJSON *root, const char *key, const char *path, int vocab,
                          int32_t *out, mdlm_error *err) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    int64_t value = -1;
    if (item && !cJSON_IsNull(item))
        MD_TRY(md_json_int(root, key, path, 0, vocab - 1, &value, err));
    *out = (int32_t)value;
    return MDLM_OK;
}

/* Sight and block length, by model_type; without one it is LLaDA's. */
static mdlm_status read_sight(const cJSON *root, const char *path, md_model_config *c,
                              mdlm_error *err) {
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(root, "model_type");
    const char *name = cJSON_GetStringValue(found);
    int i = 0;
    while (found && i < TYPES && !(name && !strcmp(name, types[i].type))) i++;
    if (i == TYPES) {
        char *text = cJSON_PrintUnformatted(found);
        mdlm_status status = md_fail(err, MDLM_INPUT,
                                     "'%s': model_type is %.60s, only \"llada\", \"mdlm_block\" "
                                     "and \"mdlm_ar\" are supported",
                                     path, text ? text : "too large");
        cJSON_free(text);
        return status;
    }
    c->sight = types[i].sight;
    if (c->sight != MD_SEES_BLOCKS) return MDLM_OK;
    return get_size(root, "block_length", path, 0, &c->block_length, err);
}

static mdlm_status read_config(const cJSON *root, const char *path, md_model_config *c,
                               mdlm_error *err) {
    int vocab;
    MD_TRY(check_fixed(root, path, err));
    MD_TRY(read_sight(root, path, c, err));
    MD_TRY(get_size(root, "d_model", path, 0, &c->dim, err));
    MD_TRY(get_size(root, "n_layers", path, 0, &c->layers, err));
    MD_TRY(get_size(root, "n_heads", path, 0, &c->heads, err));
    MD_TRY(get_size(root, "n_kv_heads", path, c->heads, &c->kv_heads, err));
    MD_TRY(get_size(root, "mlp_hidden_size", path, 0, &c->ff, err));
    MD_TRY(get_size(root, "max_sequence_length", path, 0, &c->seq_len, err));
    MD_TRY(get_size(root, "vocab_size", path, 0, &vocab, err));
    MD_TRY(get_size(root, "embedding_size", path, vocab, &c->vocab, err));
    MD_TRY(md_json_number(root, "rope_theta", path, &c->rope_theta, err));
    MD_TRY(md_json_number(root, "rms_norm_eps", path, &c->norm_eps, err));
    MD_TRY(md_json_flag(root, "weight_tying", path, &c->tied, err));
    MD_TRY(get_id(root, "mask_token_id", path, c->vocab, &c->mask_id, err));
    MD_TRY(get_id(root, "eos_token_id", path, c->vocab, &c->end_of_text_id, err));
    MD_TRY(get_id(root, "pad_token_id", path, c->vocab, &c->padding_id, err));
    mdlm_error why;
    if (md_model_config_check(c, &why) != MDLM_OK)
        return md_fail(err, MDLM_INPUT, "'%s': %s", path, why.message);
    return MDLM_OK;
}

mdlm_status md_model_json_load(const char *folder, char **path, cJSON **root, mdlm_error *err) {
    enum { LARGEST = 1 << 20 };
    if (!md_is_dir(folder))
        return md_fail(err, MDLM_INPUT, "there is no model folder '%s'", folder);
    *path = md_path_join(folder, "config.json", err);
    return *path ? md_json_load(*path, LARGEST, root, err) : MDLM_RUNTIME;
}

mdlm_status md_model_config_load(const char *folder, md_model_config *out, mdlm_error *err) {
    md_model_config c = {0};
    cJSON *root = NULL;
    char *path = NULL;
    mdlm_status status;
    MD_GOTO(done, status, md_model_json_load(folder, &path, &root, err));
    MD_GOTO(done, status, read_config(root, path, &c, err));
    *out = c;
done:
    cJSON_Delete(root);
    md_free(path);
    return status;
}

static mdlm_status save_object(cJSON *root, bool complete, const char *folder, const char *name,
                               mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    char *path = md_path_join(folder, name, err);
    if (path) {
        status =
            complete ? md_json_save(path, root, err) : md_fail(err, MDLM_RUNTIME, "out of memory");
    }
    md_free(path);
    cJSON_Delete(root);
    return status;
}

static bool add_id(cJSON *root, const char *key, int32_t id) {
    return id < 0 ? cJSON_AddNullToObject(root, key) != NULL
                  : cJSON_AddNumberToObject(root, key, id) != NULL;
}

static cJSON *config_object(const md_model_config *c, bool *complete) {
    cJSON *root = cJSON_CreateObject();
    cJSON *classes = cJSON_AddArrayToObject(root, "architectures");
    int type = 0;
    while (types[type].sight != c->sight) type++;
    bool ok = cJSON_AddItemToArray(classes, cJSON_CreateString(types[type].architecture));
    ok = cJSON_AddStringToObject(root, "model_type", types[type].type) && ok;
    if (c->sight == MD_SEES_BLOCKS)
        ok = cJSON_AddNumberToObject(root, "block_length", c->block_length) && ok;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        ok = cJSON_AddRawToObject(root, fixed[i].key, fixed[i].value) && ok;
    const struct {
        const char *key;
        double value;
    } numbers[] = {
        {"d_model", c->dim},           {"n_layers", c->layers},
        {"n_heads", c->heads},         {"n_kv_heads", c->kv_heads},
        {"mlp_hidden_size", c->ff},    {"vocab_size", c->vocab},
        {"embedding_size", c->vocab},  {"max_sequence_length", c->seq_len},
        {"rope_theta", c->rope_theta}, {"rms_norm_eps", c->norm_eps},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        ok = cJSON_AddNumberToObject(root, numbers[i].key, numbers[i].value) && ok;
    ok = cJSON_AddBoolToObject(root, "weight_tying", c->tied) && ok;
    ok = add_id(root, "mask_token_id", c->mask_id) && ok;
    ok = add_id(root, "eos_token_id", c->end_of_text_id) && ok;
    ok = add_id(root, "pad_token_id", c->padding_id) && ok;
    ok = cJSON_AddStringToObject(root, "torch_dtype", "float32") && ok;
    *complete = root && ok;
    return root;
}

mdlm_status md_model_config_save(const md_model_config *c, const char *folder, mdlm_error *err) {
    bool complete;
    cJSON *root = config_object(c, &complete);
    MD_TRY(save_object(root, complete, folder, "config.json", err));
    root = cJSON_CreateObject();
    complete = root && add_id(root, "eos_token_id", c->end_of_text_id) &&
               add_id(root, "pad_token_id", c->padding_id) &&
               add_id(root, "mask_token_id", c->mask_id);
    return save_object(root, complete, folder, "generation_config.json", err);
}

/* --- presets --------------------------------------------------------------------------------- */

const md_preset md_presets[] = {
    {"1m", 4, 128, 4, 4, 352, 128, 32},
    {"3m", 6, 192, 6, 6, 512, 192, 24},
    {"10m", 6, 384, 6, 6, 1024, 256, 16},
    {"25m", 8, 512, 8, 8, 1376, 256, 16},
    {"50m", 12, 576, 9, 9, 1536, 512, 16},
    {"160m", 12, 768, 12, 12, 2048, 1024, 8},
    {"400m", 24, 1024, 16, 16, 2752, 1024, 8},
    {"1b", 22, 2048, 32, 4, 5632, 2048, 4},
    {.name = NULL},
};

const md_preset *md_preset_find(const char *name) {
    for (const md_preset *p = md_presets; p->name; p++) {
        if (!strcmp(p->name, name)) return p;
    }
    return NULL;
}
