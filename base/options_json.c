/* base/options_json.c: settings from JSON and to JSON; see options.h. */
#include "base/number.h"
#include "base/options_internal.h"

static const char *kind_of(const cJSON *item) {
    if (cJSON_IsBool(item)) return "a boolean";
    if (cJSON_IsNumber(item)) return "a number";
    if (cJSON_IsString(item)) return "a string";
    if (cJSON_IsArray(item)) return "an array";
    if (cJSON_IsObject(item)) return "an object";
    return "null";
}

/* The value as the command line would write it, in `number` or in the item; NULL, with *expected
 * set, when the type is wrong. */
static const char *text_of(const cJSON *item, md_option_type type, char number[MD_NUMBER_BYTES],
                           const char **expected) {
    switch (type) {
    case MD_OPTION_FLAG:
        *expected = "true or false";
        if (!cJSON_IsBool(item)) return NULL;
        return cJSON_IsTrue(item) ? "true" : "false";
    case MD_OPTION_TEXT:
    case MD_OPTION_CHOICE:
        *expected = "a string";
        return cJSON_IsString(item) ? item->valuestring : NULL;
    case MD_OPTION_TIME:
        *expected = "seconds or a string such as \"10m\"";
        if (cJSON_IsString(item)) return item->valuestring;
        break;
    case MD_OPTION_INT:
    case MD_OPTION_REAL: *expected = "a number"; break;
    }
    if (!cJSON_IsNumber(item)) return NULL;
    md_number_format(item->valuedouble, number);
    return number;
}

static mdlm_status set_member(md_options *o, const cJSON *item, const char *file, mdlm_error *err) {
    md_option_slot *slot = md_options_find(o, item->string);
    if (!slot) return md_options_unknown(o, item->string, file, err);
    char number[MD_NUMBER_BYTES];
    const char *expected = "";
    const char *text = text_of(item, slot->option->type, number, &expected);
    if (!text) {
        return md_fail(err, MDLM_INPUT, "'%s': %s is %s: expected %s", file, item->string,
                       kind_of(item), expected);
    }
    return md_options_assign(o, slot, text, MD_ORIGIN_FILE, file, err);
}

mdlm_status md_options_from_json(md_options *o, const cJSON *object, const char *file,
                                 mdlm_error *err) {
    if (!cJSON_IsObject(object)) {
        return md_fail(err, MDLM_INPUT, "'%s' holds %s: expected an object of options", file,
                       kind_of(object));
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, object) MD_TRY(set_member(o, item, file, err));
    return MDLM_OK;
}

static cJSON *item_of(const md_option_slot *slot) {
    const char *text;
    switch (slot->option->type) {
    case MD_OPTION_INT: return cJSON_CreateNumber((double)*(const int64_t *)slot->place);
    case MD_OPTION_REAL:
    case MD_OPTION_TIME: return cJSON_CreateNumber(*(const double *)slot->place);
    case MD_OPTION_FLAG: return cJSON_CreateBool(*(const bool *)slot->place);
    case MD_OPTION_TEXT:
    case MD_OPTION_CHOICE:
        text = *(const char *const *)slot->place;
        return cJSON_CreateString(text ? text : "");
    }
    md_bug(__FILE__, __LINE__, "unknown type of option");
}

cJSON *md_options_to_json(const md_options *o) {
    cJSON *object = cJSON_CreateObject();
    if (!object) return NULL;
    for (size_t i = 0; i < o->count; i++) {
        if (md_option_slot_is_open(&o->slots[i])) continue;
        cJSON *item = item_of(&o->slots[i]);
        if (item && cJSON_AddItemToObject(object, o->slots[i].option->name, item)) continue;
        cJSON_Delete(item);
        cJSON_Delete(object);
        return NULL;
    }
    return object;
}
