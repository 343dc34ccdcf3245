/* model/lora_files.c: adapters in the files of the PEFT library. See lora.h. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/lora_internal.h"
#include "tensor/safetensors.h"
#include "tensor/weights.h"

/* What PEFT puts before the names of the model that it wraps. */
#define PREFIX "base_model.model."

enum { CONFIG_BYTES = 1 << 20 };

/* PEFT takes a text as a regular expression over whole names. A list of last names would mean the
 * head as well, which is an "ff_out" too. */
static const char *const targets[] = {
    [MD_ARCH_LLADA] = ".*\\.blocks\\.\\d+\\.(q_proj|k_proj|v_proj|attn_out|ff_proj|up_proj|ff_out)",
    [MD_ARCH_DREAM] = ".*\\.layers\\.\\d+\\.(self_attn\\.(q_proj|k_proj|v_proj|o_proj)|"
                      "mlp\\.(gate_proj|up_proj|down_proj))",
};

/* --- weights --------------------------------------------------------------------------------- */

static bool add_matrix(md_params *file, const char *name, const char *which, const md_tensor *like,
                       mdlm_error *err) {
    char full[MD_NAME_ROOM + 8];
    snprintf(full, sizeof full, "%s.%s.weight", name, which);
    return md_params_add(file, full, 2, like->dim, 0, err);
}

/* The tensors of the file: A and B of every projection, in turn. Caller frees. */
static md_params *file_tensors(const md_lora *lora, mdlm_error *err) {
    md_params *file = md_params_new(err);
    bool ok = file;
    for (int i = 0; ok && i < lora->projection_count; i++) {
        const md_projection *p = &lora->projections[i];
        ok = add_matrix(file, p->weight, "lora_A", p->a, err) &&
             add_matrix(file, p->weight, "lora_B", p->b, err);
    }
    if (ok && md_params_seal(file, false, err) == MDLM_OK) return file;
    md_params_free(file);
    return NULL;
}

static void copy_values(const md_tensor *from, const md_tensor *to) {
    memcpy(to->data, from->data, (size_t)md_tensor_size(from) * sizeof *to->data);
}

static mdlm_status save_weights(const md_lora *lora, const char *folder, mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    char *path = md_path_join(folder, MD_LORA_WEIGHTS, err);
    md_params *file = path ? file_tensors(lora, err) : NULL;
    if (!file) goto done;
    for (int i = 0; i < lora->projection_count; i++) {
        copy_values(lora->projections[i].a, md_params_tensor(file, 2 * i));
        copy_values(lora->projections[i].b, md_params_tensor(file, 2 * i + 1));
    }
    status = md_safetensors_write_params(path, file, PREFIX, md_params_values(file), err);
done:
    md_params_free(file);
    md_free(path);
    return status;
}

/* Projections that share A must have one A in the file, too. */
static mdlm_status check_shared(const md_lora *lora, const md_params *file, const char *path,
                                mdlm_error *err) {
    const md_projection *p = lora->projections;
    for (int i = 1; i < lora->projection_count; i++) {
        if (p[i].a != p[i - 1].a) continue;
        const md_tensor *a = md_params_tensor(file, 2 * i), *b = md_params_tensor(file, 2 * i - 2);
        if (!memcmp(a->data, b->data, (size_t)md_tensor_size(a) * sizeof *a->data)) continue;
        return md_fail(err, MDLM_INPUT,
                       "'%s': lora_A of '%s' and of '%s' differ: expected one for both", path,
                       p[i - 1].name, p[i].name);
    }
    return MDLM_OK;
}

static mdlm_status load_weights(const md_lora *lora, const char *folder, mdlm_error *err) {
    mdlm_status status = MDLM_RUNTIME;
    char *path = md_path_join(folder, MD_LORA_WEIGHTS, err);
    md_params *file = path ? file_tensors(lora, err) : NULL;
    if (!file) goto done;
    MD_GOTO(done, status, md_weights_load_params(path, file, PREFIX, md_params_values(file), err));
    MD_GOTO(done, status, check_shared(lora, file, path, err));
    for (int i = 0; i < lora->projection_count; i++) {
        copy_values(md_params_tensor(file, 2 * i), lora->projections[i].a);
        copy_values(md_params_tensor(file, 2 * i + 1), lora->projections[i].b);
    }
done:
    md_params_free(file);
    md_free(path);
    return status;
}

/* --- configuration --------------------------------------------------------------------------- */

/* Members that say how adapters are applied, as PEFT's defaults have them. */
static const struct {
    const char *key, *value; /* JSON text */
} fixed[] = {
    {"peft_type", "\"LORA\""},       {"bias", "\"none\""},   {"fan_in_fan_out", "false"},
    {"use_rslora", "false"},         {"use_dora", "false"},  {"modules_to_save", "null"},
    {"layers_to_transform", "null"}, {"rank_pattern", "{}"}, {"alpha_pattern", "{}"},
};
enum { FIXED = sizeof fixed / sizeof *fixed };

static mdlm_status check_fixed(const cJSON *root, const char *path, mdlm_error *err) {
    for (int i = 0; i < FIXED; i++) {
        const cJSON *found = cJSON_GetObjectItemCaseSensitive(root, fixed[i].key);
        if (!found || cJSON_IsNull(found)) continue;
        char *text = cJSON_PrintUnformatted(found);
        mdlm_status status = MDLM_OK;
        if (!text || strcmp(text, fixed[i].value) != 0)
            status = md_fail(err, MDLM_INPUT, "'%s': %s is %.60s, only %s is supported", path,
                             fixed[i].key, text ? text : "too large", fixed[i].value);
        cJSON_free(text);
        MD_TRY(status);
    }
    return MDLM_OK;
}

typedef struct lora_config {
    int64_t rank;
    double alpha;
    char *base; /* freed with md_free */
} lora_config;

static mdlm_status parse_config(const cJSON *root, const char *path, lora_config *out,
                                mdlm_error *err) {
    const char *base;
    MD_TRY(check_fixed(root, path, err));
    MD_TRY(md_json_int(root, "r", path, 1, 65536, &out->rank, err));
    MD_TRY(md_json_number(root, "lora_alpha", path, &out->alpha, err));
    if (!(out->alpha > 0))
        return md_fail(err, MDLM_INPUT, "'%s': lora_alpha is %g: expected above 0", path,
                       out->alpha);
    MD_TRY(md_json_text(root, "base_model_name_or_path", path, &base, err));
    out->base = md_strdup(base, err);
    return out->base ? MDLM_OK : MDLM_RUNTIME;
}

static mdlm_status load_config(const char *folder, lora_config *out, mdlm_error *err) {
    cJSON *root = NULL;
    mdlm_status status;
    char *path = md_path_join(folder, MD_LORA_CONFIG, err);
    if (!path) return MDLM_RUNTIME;
    MD_GOTO(done, status, md_json_load(path, CONFIG_BYTES, &root, err));
    status = parse_config(root, path, out, err);
done:
    cJSON_Delete(root);
    md_free(path);
    return status;
}

static cJSON *config_object(const md_lora *lora, const char *base, bool *complete) {
    cJSON *root = cJSON_CreateObject();
    bool ok = root;
    for (int i = 0; i < FIXED; i++)
        ok = cJSON_AddRawToObject(root, fixed[i].key, fixed[i].value) && ok;
    ok = cJSON_AddStringToObject(root, "base_model_name_or_path", base) && ok;
    ok = cJSON_AddNumberToObject(root, "r", lora->rank) && ok;
    ok = cJSON_AddNumberToObject(root, "lora_alpha", lora->rank) && ok;
    ok = cJSON_AddNumberToObject(root, "lora_dropout", 0) && ok;
    ok = cJSON_AddStringToObject(root, "target_modules", targets[lora->arch]) && ok;
    ok = cJSON_AddTrueToObject(root, "inference_mode") && ok;
    *complete = ok;
    return root;
}

mdlm_status md_lora_save(const md_lora *lora, const char *folder, const char *base,
                         mdlm_error *err) {
    bool complete;
    mdlm_status status = MDLM_RUNTIME;
    cJSON *root = config_object(lora, base, &complete);
    char *path = md_path_join(folder, MD_LORA_CONFIG, err);
    if (path && complete) status = md_json_save(path, root, err);
    if (path && !complete) md_fail(err, MDLM_RUNTIME, "out of memory: cannot write '%s'", path);
    md_free(path);
    cJSON_Delete(root);
    return status == MDLM_OK ? save_weights(lora, folder, err) : status;
}

/* Theirs is w x + alpha / r b (a x); ours has no factor. */
static void scale_up(const md_lora *lora, double by) {
    for (int i = 0; i < lora->projection_count; i++) {
        const md_tensor *b = lora->projections[i].b;
        for (int64_t j = 0; j < md_tensor_size(b); j++) b->data[j] *= (md_real)by;
    }
}

mdlm_status md_lora_read(md_lora *lora, const char *folder, mdlm_error *err) {
    lora_config config = {0};
    MD_TRY(load_config(folder, &config, err));
    md_free(config.base);
    if (config.rank != lora->rank)
        return md_fail(err, MDLM_INPUT, "the adapters in '%s' have rank %lld: expected %d", folder,
                       (long long)config.rank, lora->rank);
    MD_TRY(load_weights(lora, folder, err));
    scale_up(lora, config.alpha / (double)config.rank);
    return MDLM_OK;
}

mdlm_status md_lora_load(const char *folder, const char *weights, const md_transformer *net,
                         md_lora **out, mdlm_error *err) {
    lora_config config = {0};
    md_lora *lora = NULL;
    mdlm_status status;
    mdlm_error why;
    MD_TRY(load_config(folder, &config, err));
    md_free(config.base);
    status = md_lora_new(net, (int)config.rank, false, &lora, &why);
    if (status == MDLM_USAGE) return md_fail(err, MDLM_INPUT, "'%s': %s", folder, why.message);
    if (status != MDLM_OK) return md_fail(err, status, "%s", why.message);
    if (weights) {
        md_params *params = lora->params;
        status = md_weights_load_params(weights, params, "", md_params_values(params), err);
    } else {
        status = md_lora_read(lora, folder, err);
    }
    if (status == MDLM_OK) {
        *out = lora;
    } else {
        md_lora_free(lora);
    }
    return status;
}

/* --- the network that adapters belong to ----------------------------------------------------- */

bool md_lora_in(const char *folder) {
    return md_dir_has(folder, MD_LORA_CONFIG) && !md_weights_in(folder);
}

mdlm_status md_lora_base(const char *folder, char **out, mdlm_error *err) {
    lora_config config = {0};
    MD_TRY(load_config(folder, &config, err));
    char *base = config.base, *below = NULL;
    mdlm_status status = MDLM_OK;
    if (*base != '/' && !(below = md_path_join(folder, base, err))) status = MDLM_RUNTIME;
    if (below && md_is_dir(below)) {
        *out = below, below = NULL;
    } else if (status == MDLM_OK && md_is_dir(base)) {
        *out = base, base = NULL;
    } else if (status == MDLM_OK) {
        status =
            md_fail(err, MDLM_INPUT,
                    "there is no folder '%s', neither in '%s' nor here: the adapters in '%s' "
                    "belong to the model in it (base_model_name_or_path in " MD_LORA_CONFIG ")",
                    base, folder, folder);
    }
    md_free(base);
    md_free(below);
    return status;
}

mdlm_status md_lora_home(const char *folder, const char *name, char **out, mdlm_error *err) {
    if (md_lora_in(folder) && !md_dir_has(folder, name)) return md_lora_base(folder, out, err);
    char *copy = md_strdup(folder, err);
    if (copy) *out = copy;
    return copy ? MDLM_OK : MDLM_RUNTIME;
}
