/* base/json.h: what this project asks of JSON, over cJSON.
 *
 *     cJSON *root = NULL;
 *     MD_TRY(md_json_load("config.json", 1 << 20, &root, err));
 *     status = md_json_int(root, "n_layers", "config.json", 1, 1000, &layers, err);
 *     cJSON_Delete(root);
 *
 * Files are untrusted: size is bounded by the caller, nesting by cJSON (1000), duplicate keys of
 * the top-level object and of objects one below it are refused. Numbers are doubles: integers are
 * exact up to 2^53, larger ones parse and are refused only where an integer is asked for.
 */
#ifndef MD_BASE_JSON_H
#define MD_BASE_JSON_H

#include <cjson/cJSON.h>

#include "base/error.h"

/* `name` is what error messages call the text. Caller frees *out with cJSON_Delete. */
mdlm_status md_json_parse(const char *text, size_t size, const char *name, cJSON **out,
                          mdlm_error *err);
mdlm_status md_json_load(const char *path, size_t max_bytes, cJSON **out, mdlm_error *err);
/* Written with indentation and a final newline, atomically; numbers so that they read back the
 * same. */
mdlm_status md_json_save(const char *path, const cJSON *value, mdlm_error *err);

/* Members of an object. A missing member or one of another type or out of range is MDLM_INPUT. */
mdlm_status md_json_int(const cJSON *object, const char *key, const char *name, int64_t min,
                        int64_t max, int64_t *out, mdlm_error *err);
mdlm_status md_json_number(const cJSON *object, const char *key, const char *name, double *out,
                           mdlm_error *err);
/* *out points into the object. */
mdlm_status md_json_text(const cJSON *object, const char *key, const char *name, const char **out,
                         mdlm_error *err);
mdlm_status md_json_flag(const cJSON *object, const char *key, const char *name, bool *out,
                         mdlm_error *err);
/* A list of exactly `count` finite numbers, out [count]; it may be filled in part on failure. */
mdlm_status md_json_numbers(const cJSON *object, const char *key, const char *name, int64_t count,
                            double *out, mdlm_error *err);

#endif
