/* corpora/items.c: see items.h. */
#include "corpora/items.h"

#include "base/memory.h"
#include "corpora/corpora_internal.h"

struct md_items {
    md_sources sources;
    md_input input;
    md_jsonl lines;
};

mdlm_status md_items_open(const char *path, md_items **out, mdlm_error *err) {
    md_items *items = md_alloc(1, sizeof *items, err);
    if (!items) return MDLM_RUNTIME;
    items->input.fd = -1;
    mdlm_status status = md_input_open_path(&items->input, &items->sources, path, err);
    if (status == MDLM_OK) *out = items, items = NULL;
    md_items_free(items);
    return status;
}

void md_items_free(md_items *items) {
    if (!items) return;
    md_jsonl_release(&items->lines);
    md_input_close(&items->input);
    md_sources_release(&items->sources);
    md_free(items);
}

static mdlm_status malformed(const md_items *items, const char *expected, mdlm_error *err) {
    return md_fail(err, MDLM_INPUT, "'%s' line %lld: expected %s", items->input.path,
                   (long long)items->lines.number, expected);
}

static const cJSON *member(const cJSON *object, const char *key) {
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static mdlm_status read_prompt(const md_items *items, const cJSON *object, md_item *item,
                               mdlm_error *err) {
    const cJSON *prompt = member(object, "prompt"), *question = member(object, "question");
    if (!prompt == !question || !cJSON_IsString(prompt ? prompt : question))
        return malformed(items, "a string \"prompt\" or \"question\"", err);
    item->prompt = (prompt ? prompt : question)->valuestring;
    return MDLM_OK;
}

static mdlm_status add_response(const md_items *items, const cJSON *text, md_item *item,
                                mdlm_error *err) {
    if (!cJSON_IsString(text) || !*text->valuestring)
        return malformed(items, "responses that are strings and not empty", err);
    item->responses[item->count++] = text->valuestring;
    return MDLM_OK;
}

static mdlm_status read_choices(const md_items *items, const cJSON *object, md_item *item,
                                mdlm_error *err) {
    const cJSON *choices = member(object, "choices"), *answer = member(object, "answer"), *choice;
    int count = cJSON_IsArray(choices) ? cJSON_GetArraySize(choices) : 0;
    if (count < 2 || count > MD_ITEM_MOST_CHOICES)
        return malformed(items, "a list of 2 to 256 \"choices\"", err);
    cJSON_ArrayForEach(choice, choices) MD_TRY(add_response(items, choice, item, err));
    if (!answer) return MDLM_OK;
    double index = cJSON_IsNumber(answer) ? answer->valuedouble : -1;
    if (!(index >= 0 && index < count) || index != (int)index)
        return malformed(items, "an \"answer\" that is the index of a choice, from 0", err);
    item->answer = (int)index;
    return MDLM_OK;
}

mdlm_status md_items_next(md_items *items, md_item *item, mdlm_error *err) {
    const cJSON *object = NULL;
    md_item next = {.answer = -1};
    MD_TRY(md_jsonl_value(&items->lines, &items->input, &object, err));
    next.line = items->lines.number;
    if (object) {
        if (!cJSON_IsObject(object)) return malformed(items, "an object", err);
        const cJSON *response = member(object, "response");
        if (!response == !member(object, "choices"))
            return malformed(items, "either a \"response\" or \"choices\"", err);
        MD_TRY(read_prompt(items, object, &next, err));
        MD_TRY(response ? add_response(items, response, &next, err)
                        : read_choices(items, object, &next, err));
    }
    *item = next;
    return MDLM_OK;
}
