/* base/json.c: see json.h. */
#include "base/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/number.h"

/* Deepest nesting of a text, and the line (from 1) of the byte at `stop`. Strings are skipped
 * roughly: the text is already known to be malformed. */
static void survey(const char *text, size_t size, size_t stop, size_t *depth, size_t *line) {
    size_t open = 0;
    bool quoted = false;
    *depth = 0;
    *line = 1;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        if (c == '\n' && i < stop) ++*line;
        if (quoted && c == '\\') i++;
        if (c == '"') quoted = !quoted;
        if (quoted) continue;
        if (c == '[' || c == '{') open++;
        if ((c == ']' || c == '}') && open > 0) open--;
        if (open > *depth) *depth = open;
    }
}

static mdlm_status malformed(const char *text, size_t size, size_t stop, const char *name,
                             mdlm_error *err) {
    size_t depth, line;
    survey(text, size, stop, &depth, &line);
    if (depth > CJSON_NESTING_LIMIT) {
        return md_fail(err, MDLM_INPUT,
                       "'%s' is nested too deeply: expected at most %d levels, found %zu", name,
                       CJSON_NESTING_LIMIT, depth);
    }
    return md_fail(err, MDLM_INPUT, "'%s' is not valid JSON: unexpected %s in line %zu", name,
                   stop >= size ? "end" : "text", line);
}

static int by_key(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Sorted rather than compared pairwise: a vocabulary has 50,000 keys and more. */
static mdlm_status refuse_duplicates(const cJSON *object, const char *name, mdlm_error *err) {
    if (!cJSON_IsObject(object)) return MDLM_OK;
    size_t count = 0;
    const cJSON *member;
    cJSON_ArrayForEach(member, object) count++;
    if (count < 2) return MDLM_OK;
    const char **keys = md_alloc(count, sizeof *keys, err);
    if (!keys) return MDLM_RUNTIME;
    size_t filled = 0;
    cJSON_ArrayForEach(member, object) keys[filled++] = member->string;
    qsort(keys, count, sizeof *keys, by_key);
    mdlm_status status = MDLM_OK;
    for (size_t i = 1; i < count && status == MDLM_OK; i++) {
        if (strcmp(keys[i - 1], keys[i]) != 0) continue;
        status = md_fail(err, MDLM_INPUT, "'%s' has the key '%s' twice", name, keys[i]);
    }
    md_free(keys);
    return status;
}

static mdlm_status check_keys(const cJSON *root, const char *name, mdlm_error *err) {
    MD_TRY(refuse_duplicates(root, name, err));
    const cJSON *member;
    cJSON_ArrayForEach(member, root) MD_TRY(refuse_duplicates(member, name, err));
    return MDLM_OK;
}

static size_t skip_space(const char *text, size_t size, size_t from) {
    while (from < size && strchr(" \t\r\n", text[from]) && text[from]) from++;
    return from;
}

mdlm_status md_json_parse(const char *text, size_t size, const char *name, cJSON **out,
                          mdlm_error *err) {
    if (skip_space(text, size, 0) == size) {
        return md_fail(err, MDLM_INPUT, "'%s' is not valid JSON: it is empty", name);
    }
    const char *end = text;
    cJSON *root = cJSON_ParseWithLengthOpts(text, size, &end, false);
    size_t stop = (size_t)(end - text);
    if (!root) return malformed(text, size, stop, name, err);
    stop = skip_space(text, size, stop);
    mdlm_status status =
        stop < size ? malformed(text, size, stop, name, err) : check_keys(root, name, err);
    if (status == MDLM_OK) {
        *out = root;
    } else {
        cJSON_Delete(root);
    }
    return status;
}

mdlm_status md_json_load(const char *path, size_t max_bytes, cJSON **out, mdlm_error *err) {
    char *text = NULL;
    size_t size = 0;
    MD_TRY(md_file_read(path, max_bytes, &text, &size, err));
    mdlm_status status = md_json_parse(text, size, path, out, err);
    md_free(text);
    return status;
}

/* cJSON writes 15 digits where that is within one rounding error; here numbers are written so that
 * they read back the same. NaN and infinities stay numbers, which cJSON writes as null. */
static bool make_numbers_exact(cJSON *item) {
    if (cJSON_IsNumber(item) && isfinite(item->valuedouble)) {
        char *text = cJSON_malloc(MD_NUMBER_BYTES);
        if (!text) return false;
        md_number_format(item->valuedouble, text);
        item->valuestring = text;
        item->type = (item->type & ~0xff) | cJSON_Raw;
    }
    for (cJSON *child = item->child; child; child = child->next) {
        if (!make_numbers_exact(child)) return false;
    }
    return true;
}

mdlm_status md_json_save(const char *path, const cJSON *value, mdlm_error *err) {
    cJSON *copy = cJSON_Duplicate(value, true);
    char *text = copy && make_numbers_exact(copy) ? cJSON_Print(copy) : NULL;
    cJSON_Delete(copy);
    if (!text) {
        return md_fail(err, MDLM_RUNTIME, "out of memory: cannot write JSON to '%s'", path);
    }
    md_buffer out = {0};
    mdlm_status status = md_buffer_printf(&out, err, "%s\n", text);
    cJSON_free(text);
    if (status == MDLM_OK) status = md_file_write(path, out.data, out.size, err);
    md_buffer_release(&out);
    return status;
}

static mdlm_status find(const cJSON *object, const char *key, const char *name, const cJSON **out,
                        mdlm_error *err) {
    if (!cJSON_IsObject(object)) {
        return md_fail(err, MDLM_INPUT, "'%s' is not a JSON object where '%s' is expected", name,
                       key);
    }
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
    if (!member) return md_fail(err, MDLM_INPUT, "'%s' has no key '%s'", name, key);
    *out = member;
    return MDLM_OK;
}

mdlm_status md_json_int(const cJSON *object, const char *key, const char *name, int64_t min,
                        int64_t max, int64_t *out, mdlm_error *err) {
    const cJSON *member = NULL;
    MD_TRY(find(object, key, name, &member, err));
    double value = member->valuedouble;
    if (!cJSON_IsNumber(member) || floor(value) != value) {
        return md_fail(err, MDLM_INPUT, "'%s': '%s' is not an integer", name, key);
    }
    bool exact = fabs(value) <= MD_EXACT_INT;
    if (!exact || (int64_t)value < min || (int64_t)value > max) {
        char found[MD_NUMBER_BYTES];
        md_number_format(value, found);
        return md_fail(err, MDLM_INPUT,
                       "'%s': '%s' is out of range: expected %lld to %lld, found %s", name, key,
                       (long long)min, (long long)max, found);
    }
    *out = (int64_t)value;
    return MDLM_OK;
}

mdlm_status md_json_number(const cJSON *object, const char *key, const char *name, double *out,
                           mdlm_error *err) {
    const cJSON *member = NULL;
    MD_TRY(find(object, key, name, &member, err));
    if (!cJSON_IsNumber(member) || !isfinite(member->valuedouble)) {
        return md_fail(err, MDLM_INPUT, "'%s': '%s' is not a finite number", name, key);
    }
    *out = member->valuedouble;
    return MDLM_OK;
}

mdlm_status md_json_text(const cJSON *object, const char *key, const char *name, const char **out,
                         mdlm_error *err) {
    const cJSON *member = NULL;
    MD_TRY(find(object, key, name, &member, err));
    if (!cJSON_IsString(member)) {
        return md_fail(err, MDLM_INPUT, "'%s': '%s' is not a string", name, key);
    }
    *out = member->valuestring;
    return MDLM_OK;
}

mdlm_status md_json_flag(const cJSON *object, const char *key, const char *name, bool *out,
                         mdlm_error *err) {
    const cJSON *member = NULL;
    MD_TRY(find(object, key, name, &member, err));
    if (!cJSON_IsBool(member)) {
        return md_fail(err, MDLM_INPUT, "'%s': '%s' is neither true nor false", name, key);
    }
    *out = cJSON_IsTrue(member);
    return MDLM_OK;
}

mdlm_status md_json_numbers(const cJSON *object, const char *key, const char *name, int64_t count,
                            double *out, mdlm_error *err) {
    const cJSON *member = NULL, *item;
    int64_t found = 0;
    MD_TRY(find(object, key, name, &member, err));
    cJSON_ArrayForEach(item, member) {
        bool good = cJSON_IsNumber(item) && isfinite(item->valuedouble);
        if (good && found < count) out[found] = item->valuedouble;
        found += good ? 1 : count + 1; /* too many */
        if (found > count) break;
    }
    if (cJSON_IsArray(member) && found == count) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': '%s' is not a list of %lld numbers", name, key,
                   (long long)count);
}
