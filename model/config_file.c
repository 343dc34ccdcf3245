/* model/config_file.c: config.json and generation_config.json, by the tables of config_forms.c. */
#include "model/config_internal.h"
#include "model/gguf.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

/* --- reading ---------------------------------------------------------------------------------- */

static bool is_missing(const cJSON *root, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, key);
    return !item || cJSON_IsNull(item);
}

mdlm_status md_config_size(const cJSON *root, const char *key, const char *path, int fallback,
                           int *out, mdlm_error *err) {
    int64_t value = fallback;
    if (!fallback || !is_missing(root, key))
        MD_TRY(md_json_int(root, key, path, 1, INT_MAX, &value, err));
    *out = (int)value;
    return MDLM_OK;
}

/* Whether `text` is one of the values between the bars of `list`. */
static bool is_listed(const char *text, const char *list) {
    const size_t size = strlen(text);
    for (const char *at = list; at; at = strchr(at, '|')) {
        at += *at == '|';
        if (!strncmp(at, text, size) && (at[size] == '|' || !at[size])) return true;
    }
    return false;
}

static const char *rope_type(const cJSON *item) {
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(item, "rope_type");
    if (!type) type = cJSON_GetObjectItemCaseSensitive(item, "type");
    return cJSON_GetStringValue(type);
}

/* rope_scaling or rope_parameters that are there: only plain rotary positions are supported. */
static mdlm_status check_rope(const cJSON *item, const char *path, mdlm_error *err) {
    const char *type = rope_type(item);
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(item, "partial_rotary_factor");
    if (!type)
        return md_fail(err, MDLM_INPUT, "'%s': %s has no rope_type, only 'default' is supported",
                       path, item->string);
    if (strcmp(type, "default") != 0)
        return md_fail(err, MDLM_INPUT,
                       "'%s': %s is of the type '%.40s', only 'default' is supported: positions "
                       "that are not scaled",
                       path, item->string, type);
    if (!part || cJSON_IsNull(part) || (cJSON_IsNumber(part) && part->valuedouble == 1))
        return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "'%s': %s rotates a part of each head (partial_rotary_factor), only all of it "
                   "is supported",
                   path, item->string);
}

/* rope_theta where it always was, or in "rope_parameters", where newer files have it. */
static mdlm_status read_theta(const cJSON *root, const md_config_key *key, const char *path,
                              double *out, mdlm_error *err) {
    const cJSON *parameters = cJSON_GetObjectItemCaseSensitive(root, "rope_parameters");
    double inner, outer;
    if (!parameters || cJSON_IsNull(parameters))
        return md_json_number(root, key->name, path, out, err);
    MD_TRY(check_rope(parameters, path, err));
    if (is_missing(parameters, key->name)) return md_json_number(root, key->name, path, out, err);
    MD_TRY(md_json_number(parameters, key->name, path, &inner, err));
    outer = inner;
    if (!is_missing(root, key->name)) MD_TRY(md_json_number(root, key->name, path, &outer, err));
    if (outer != inner)
        return md_fail(err, MDLM_INPUT, "'%s': %s is %g, but %g in rope_parameters", path,
                       key->name, outer, inner);
    *out = inner;
    return MDLM_OK;
}

static mdlm_status check_fixed(const cJSON *root, const md_config_key *key, const char *path,
                               mdlm_error *err) {
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(root, key->name);
    if (!found || cJSON_IsNull(found)) return MDLM_OK;
    if (!strcmp(key->value, "null") && cJSON_IsFalse(found)) return MDLM_OK;
    if (!strcmp(key->name, "rope_scaling") && cJSON_IsObject(found))
        return check_rope(found, path, err);
    char *text = cJSON_PrintUnformatted(found);
    mdlm_status status = MDLM_OK;
    if (!text || !is_listed(text, key->value)) {
        status = md_fail(err, MDLM_INPUT, "'%s': %s is %.60s, only %s is supported", path,
                         key->name, text ? text : "too large", key->value);
    }
    cJSON_free(text);
    return status;
}

static mdlm_status read_key(const cJSON *root, const md_config_key *key, const char *path,
                            md_model_config *c, mdlm_error *err) {
    void *field = (char *)c + key->field;
    int64_t id = -1;
    if (key->optional && is_missing(root, key->name)) return MDLM_OK;
    switch (key->kind) {
    case MD_KEY_SIZE: return md_config_size(root, key->name, path, 0, field, err);
    case MD_KEY_NUMBER: return md_json_number(root, key->name, path, field, err);
    case MD_KEY_THETA: return read_theta(root, key, path, field, err);
    case MD_KEY_FLAG: return md_json_flag(root, key->name, path, field, err);
    case MD_KEY_SCORED:
        MD_TRY(md_json_int(root, key->name, path, 1, INT_MAX - c->unscored, &id, err));
        *(int *)field = (int)id + c->unscored;
        return MDLM_OK;
    case MD_KEY_ID:
        if (!is_missing(root, key->name))
            MD_TRY(md_json_int(root, key->name, path, 0, c->vocab - 1, &id, err));
        *(int32_t *)field = (int32_t)id;
        return MDLM_OK;
    case MD_KEY_FIXED:
    case MD_KEY_CHECKED:
    case MD_KEY_SAID: break;
    }
    return MDLM_OK;
}

static mdlm_status unknown_type(const cJSON *found, const char *path, mdlm_error *err) {
    char known[128] = "";
    size_t used = 0;
    for (int i = 0; md_config_form_type(i); i++) {
        const char *before = i == 0 ? "" : md_config_form_type(i + 1) ? ", " : " and ";
        used += (size_t)snprintf(known + used, sizeof known - used, "%s\"%s\"", before,
                                 md_config_form_type(i));
    }
    char *text = cJSON_PrintUnformatted(found);
    mdlm_status status =
        md_fail(err, MDLM_INPUT, "'%s': model_type is %.60s, only %s are supported", path,
                text ? text : "too large", known);
    cJSON_free(text);
    return status;
}

/* Without a model_type it is LLaDA's. */
static mdlm_status form_in(const cJSON *root, const char *path, const md_config_form **out,
                           mdlm_error *err) {
    const cJSON *found = cJSON_GetObjectItemCaseSensitive(root, "model_type");
    const char *type = found ? cJSON_GetStringValue(found) : md_config_form_type(0);
    *out = type ? md_config_form_named(type) : NULL;
    return *out ? MDLM_OK : unknown_type(found, path, err);
}

static mdlm_status read_config(const cJSON *root, const char *path, md_model_config *c,
                               mdlm_error *err) {
    const md_config_form *form = NULL;
    mdlm_error why;
    MD_TRY(form_in(root, path, &form, err));
    *c = form->start;
    for (const md_config_key *key = form->keys; key->name; key++)
        if (key->kind == MD_KEY_FIXED || key->kind == MD_KEY_CHECKED)
            MD_TRY(check_fixed(root, key, path, err));
    for (const md_config_key *key = form->keys; key->name; key++)
        MD_TRY(read_key(root, key, path, c, err));
    MD_TRY(form->complete(root, path, c, err));
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

static mdlm_status load_gguf(const char *path, md_model_config *out, mdlm_error *err) {
    md_gguf *file = NULL;
    MD_TRY(md_gguf_open(path, &file, err));
    mdlm_status status = md_gguf_read_config(file, out, err);
    md_gguf_close(file);
    return status;
}

mdlm_status md_model_config_load(const char *folder, md_model_config *out, mdlm_error *err) {
    md_model_config c = {0};
    cJSON *root = NULL;
    char *path = NULL;
    mdlm_status status;
    if (md_gguf_is(folder)) return load_gguf(folder, out, err);
    MD_GOTO(done, status, md_model_json_load(folder, &path, &root, err));
    MD_GOTO(done, status, read_config(root, path, &c, err));
    *out = c;
done:
    cJSON_Delete(root);
    md_free(path);
    return status;
}

/* --- writing ---------------------------------------------------------------------------------- */

static bool add_id(cJSON *root, const char *key, int32_t id) {
    return id < 0 ? cJSON_AddNullToObject(root, key) != NULL
                  : cJSON_AddNumberToObject(root, key, id) != NULL;
}

static bool add_fixed(cJSON *root, const md_config_key *key) {
    char value[64];
    snprintf(value, sizeof value, "%.*s", (int)strcspn(key->value, "|"), key->value);
    return cJSON_AddRawToObject(root, key->name, value) != NULL;
}

/* True when there was memory for it. */
static bool add_key(cJSON *root, const md_config_key *key, const md_model_config *c,
                    const md_model_config *start) {
    const void *field = (const char *)c + key->field;
    const void *usual = (const char *)start + key->field;
    switch (key->kind) {
    case MD_KEY_SIZE:
        if (key->optional && *(const int *)field == *(const int *)usual) return true;
        return cJSON_AddNumberToObject(root, key->name, *(const int *)field) != NULL;
    case MD_KEY_SCORED:
        return cJSON_AddNumberToObject(root, key->name, *(const int *)field - c->unscored) != NULL;
    case MD_KEY_NUMBER:
    case MD_KEY_THETA:
        return cJSON_AddNumberToObject(root, key->name, *(const double *)field) != NULL;
    case MD_KEY_FLAG:
        if (key->optional && *(const bool *)field == *(const bool *)usual) return true;
        return cJSON_AddBoolToObject(root, key->name, *(const bool *)field) != NULL;
    case MD_KEY_ID: return add_id(root, key->name, *(const int32_t *)field);
    case MD_KEY_CHECKED: return true;
    case MD_KEY_FIXED:
    case MD_KEY_SAID: return add_fixed(root, key);
    }
    return false;
}

/* "REPOSITORY--MODULE.CLASS" of auto_map: where Hugging Face's loader finds the code. */
static mdlm_status add_code(cJSON *map, const char *key, const md_config_form *form,
                            const char *part, mdlm_error *err) {
    md_buffer text = {0};
    const bool config = !strcmp(part, "configuration");
    mdlm_status status =
        md_buffer_printf(&text, err, "%s--%s_%s.%s", form->home, part, form->module,
                         config ? form->config_class : form->architecture);
    if (status == MDLM_OK && !cJSON_AddStringToObject(map, key, text.data))
        status = md_fail(err, MDLM_RUNTIME, "out of memory");
    md_buffer_release(&text);
    return status;
}

static mdlm_status add_auto_map(cJSON *root, const md_config_form *form, mdlm_error *err) {
    if (!form->home) return MDLM_OK;
    cJSON *map = cJSON_AddObjectToObject(root, "auto_map");
    if (!map) return md_fail(err, MDLM_RUNTIME, "out of memory");
    MD_TRY(add_code(map, "AutoConfig", form, "configuration", err));
    MD_TRY(add_code(map, "AutoModel", form, "modeling", err));
    return form->auto_class ? add_code(map, form->auto_class, form, "modeling", err) : MDLM_OK;
}

static mdlm_status fill_config(cJSON *root, const md_model_config *c, mdlm_error *err) {
    const md_config_form *form = md_config_form_of(c);
    cJSON *classes = cJSON_AddArrayToObject(root, "architectures");
    bool ok = cJSON_AddItemToArray(classes, cJSON_CreateString(form->architecture));
    ok = cJSON_AddStringToObject(root, "model_type", form->type) && ok;
    if (ok) MD_TRY(add_auto_map(root, form, err));
    for (const md_config_key *key = form->keys; key->name; key++)
        ok = add_key(root, key, c, &form->start) && ok;
    ok = cJSON_AddStringToObject(root, "torch_dtype", "float32") && ok;
    return ok ? MDLM_OK : md_fail(err, MDLM_RUNTIME, "out of memory");
}

static mdlm_status fill_generation(cJSON *root, const md_model_config *c, mdlm_error *err) {
    bool ok = root && add_id(root, "eos_token_id", c->end_of_text_id) &&
              add_id(root, "pad_token_id", c->padding_id) &&
              add_id(root, "mask_token_id", c->mask_id);
    return ok ? MDLM_OK : md_fail(err, MDLM_RUNTIME, "out of memory");
}

static mdlm_status save_object(const md_model_config *c, const char *folder, const char *name,
                               mdlm_status (*fill)(cJSON *, const md_model_config *, mdlm_error *),
                               mdlm_error *err) {
    cJSON *root = cJSON_CreateObject();
    char *path = NULL;
    mdlm_status status;
    MD_GOTO(done, status, fill(root, c, err));
    status = MDLM_RUNTIME;
    path = md_path_join(folder, name, err);
    if (path) status = md_json_save(path, root, err);
done:
    md_free(path);
    cJSON_Delete(root);
    return status;
}

mdlm_status md_model_config_save(const md_model_config *c, const char *folder, mdlm_error *err) {
    MD_TRY(save_object(c, folder, "config.json", fill_config, err));
    return save_object(c, folder, "generation_config.json", fill_generation, err);
}
