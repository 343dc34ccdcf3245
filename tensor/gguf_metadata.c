/* tensor/gguf_metadata.c: keys and values of a GGUF file; see gguf.h. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <utf8proc.h>

#include "base/memory.h"
#include "tensor/gguf_internal.h"

static const struct {
    const char *name;
    size_t size; /* bytes; of a string: the least */
} kinds[MD_GGUF_KINDS] = {
    [MD_GGUF_U8] = {"u8", 1},           [MD_GGUF_I8] = {"i8", 1},
    [MD_GGUF_U16] = {"u16", 2},         [MD_GGUF_I16] = {"i16", 2},
    [MD_GGUF_U32] = {"u32", 4},         [MD_GGUF_I32] = {"i32", 4},
    [MD_GGUF_F32] = {"f32", 4},         [MD_GGUF_FLAG] = {"a flag", 1},
    [MD_GGUF_STRING] = {"a string", 8}, [MD_GGUF_ARRAY] = {"an array", 0},
    [MD_GGUF_U64] = {"u64", 8},         [MD_GGUF_I64] = {"i64", 8},
    [MD_GGUF_F64] = {"f64", 8},
};

/* --- reading ---------------------------------------------------------------------------------- */

static mdlm_status take_kind(md_gguf_cursor *c, const char *key, md_gguf_kind *out,
                             mdlm_error *err) {
    uint32_t kind = 0;
    MD_TRY(md_gguf_take_u32(c, "the metadata", &kind, err));
    if (kind >= MD_GGUF_KINDS) {
        return md_fail(err, MDLM_INPUT, "'%s': unknown type of value %u in key '%s'", c->file->path,
                       kind, key);
    }
    *out = (md_gguf_kind)kind;
    return MDLM_OK;
}

static mdlm_status check_flags(const md_gguf_cursor *c, const md_gguf_value *v, mdlm_error *err) {
    for (uint64_t i = 0; i < v->count; i++) {
        if (v->data[i] <= 1) continue;
        return md_fail(err, MDLM_INPUT, "'%s': expected a flag of 0 or 1, found %d, in key '%s'",
                       c->file->path, v->data[i], v->key);
    }
    return MDLM_OK;
}

/* Walks over the items, so that nobody needs to look where they end again. */
static mdlm_status take_items(md_gguf_cursor *c, md_gguf_value *v, mdlm_error *err) {
    v->data = c->at;
    if (v->kind == MD_GGUF_STRING) {
        md_gguf_string ignored;
        for (uint64_t i = 0; i < v->count; i++)
            MD_TRY(md_gguf_take_string(c, "the metadata", &ignored, err));
        return MDLM_OK;
    }
    /* No product can wrap: the count is bounded by the bytes left. */
    const size_t bytes = (size_t)v->count * kinds[v->kind].size;
    MD_TRY(md_gguf_take(c, bytes, "the metadata", &v->data, err));
    return v->kind == MD_GGUF_FLAG ? check_flags(c, v, err) : MDLM_OK;
}

static mdlm_status read_value(md_gguf_cursor *c, md_gguf_value *v, mdlm_error *err) {
    v->count = 1;
    MD_TRY(md_gguf_take_name(c, "a key of the metadata", MD_GGUF_KEY_BYTES, &v->key, err));
    MD_TRY(take_kind(c, v->key, &v->kind, err));
    if (v->kind == MD_GGUF_ARRAY) {
        v->is_array = true;
        MD_TRY(take_kind(c, v->key, &v->kind, err));
        if (v->kind == MD_GGUF_ARRAY) {
            return md_fail(err, MDLM_INPUT, "'%s': an array of arrays in key '%s'", c->file->path,
                           v->key);
        }
        MD_TRY(md_gguf_take_count(c, "an array", kinds[v->kind].size, &v->count, err));
    }
    return take_items(c, v, err);
}

static int by_key(const void *a, const void *b) {
    const md_gguf_value *x = a, *y = b;
    return strcmp(x->key, y->key);
}

mdlm_status md_gguf_read_metadata(md_gguf *f, md_gguf_cursor *c, int count, mdlm_error *err) {
    f->values = md_alloc((size_t)count, sizeof *f->values, err);
    if (!f->values) return MDLM_RUNTIME;
    for (int i = 0; i < count; i++) MD_TRY(read_value(c, &f->values[i], err));
    f->value_count = count;
    if (count > 0) qsort(f->values, (size_t)count, sizeof *f->values, by_key);
    for (int i = 1; i < count; i++) {
        if (strcmp(f->values[i - 1].key, f->values[i].key) != 0) continue;
        return md_fail(err, MDLM_INPUT, "'%s': the key '%s' is there twice", f->path,
                       f->values[i].key);
    }
    return MDLM_OK;
}

/* --- asking ----------------------------------------------------------------------------------- */

static const md_gguf_value *look_up(const md_gguf *f, const char *key) {
    const md_gguf_value wanted = {.key = key};
    return bsearch(&wanted, f->values, (size_t)f->value_count, sizeof wanted, by_key);
}

bool md_gguf_has(const md_gguf *f, const char *key) {
    return look_up(f, key) != NULL;
}

static mdlm_status get(const md_gguf *f, const char *key, const md_gguf_value **out,
                       mdlm_error *err) {
    *out = look_up(f, key);
    return *out ? MDLM_OK : md_fail(err, MDLM_INPUT, "'%s' has no key '%s'", f->path, key);
}

static mdlm_status wrong_type(const md_gguf *f, const md_gguf_value *v, const char *expected,
                              mdlm_error *err) {
    return md_fail(err, MDLM_INPUT, "'%s': expected %s, found %s%s, in key '%s'", f->path, expected,
                   v->is_array ? "an array of " : "", kinds[v->kind].name, v->key);
}

static bool is_integer(md_gguf_kind kind) {
    return kind <= MD_GGUF_I32 || kind == MD_GGUF_U64 || kind == MD_GGUF_I64;
}

/* Item `i` of integers; false when it does not fit. */
static bool load_integer(const md_gguf_value *v, uint64_t i, int64_t *out) {
    const bool is_signed = v->kind == MD_GGUF_I8 || v->kind == MD_GGUF_I16 ||
                           v->kind == MD_GGUF_I32 || v->kind == MD_GGUF_I64;
    const size_t size = kinds[v->kind].size;
    uint64_t bits = 0;
    memcpy(&bits, v->data + (size_t)i * size, size);
    const uint64_t sign = (uint64_t)1 << (8 * size - 1);
    if (is_signed) bits = (bits ^ sign) - sign;
    *out = (int64_t)bits;
    return is_signed || bits <= INT64_MAX;
}

mdlm_status md_gguf_int(const md_gguf *f, const char *key, int64_t min, int64_t max, int64_t *out,
                        mdlm_error *err) {
    const md_gguf_value *v;
    int64_t value = 0;
    MD_TRY(get(f, key, &v, err));
    if (v->is_array || !is_integer(v->kind)) return wrong_type(f, v, "an integer", err);
    const bool fits = load_integer(v, 0, &value);
    if (!fits || value < min || value > max) {
        return md_fail(err, MDLM_INPUT, "'%s': expected %lld to %lld, found %s%lld, in key '%s'",
                       f->path, (long long)min, (long long)max, fits ? "" : "more than ",
                       fits ? (long long)value : INT64_MAX, key);
    }
    *out = value;
    return MDLM_OK;
}

mdlm_status md_gguf_number(const md_gguf *f, const char *key, double *out, mdlm_error *err) {
    const md_gguf_value *v;
    double value = 0;
    float single = 0;
    MD_TRY(get(f, key, &v, err));
    if (v->is_array || (v->kind != MD_GGUF_F32 && v->kind != MD_GGUF_F64))
        return wrong_type(f, v, "f32 or f64", err);
    if (v->kind == MD_GGUF_F32) {
        memcpy(&single, v->data, sizeof single);
        value = (double)single;
    } else {
        memcpy(&value, v->data, sizeof value);
    }
    if (!(fabs(value) <= DBL_MAX))
        return md_fail(err, MDLM_INPUT, "'%s': a number is not finite in key '%s'", f->path, key);
    *out = value;
    return MDLM_OK;
}

mdlm_status md_gguf_flag(const md_gguf *f, const char *key, bool *out, mdlm_error *err) {
    const md_gguf_value *v;
    MD_TRY(get(f, key, &v, err));
    if (v->is_array || v->kind != MD_GGUF_FLAG) return wrong_type(f, v, "a flag", err);
    *out = v->data[0] != 0;
    return MDLM_OK;
}

/* The string at *at, which moves behind it; opening has checked that it lies in the file. */
static md_gguf_string next_string(const uint8_t **at) {
    uint64_t size;
    memcpy(&size, *at, sizeof size);
    const md_gguf_string s = {.bytes = (const char *)*at + sizeof size, .size = (size_t)size};
    *at += sizeof size + s.size;
    return s;
}

mdlm_status md_gguf_text(const md_gguf *f, const char *key, size_t max_bytes, char **out,
                         mdlm_error *err) {
    const md_gguf_value *v;
    MD_TRY(get(f, key, &v, err));
    if (v->is_array || v->kind != MD_GGUF_STRING) return wrong_type(f, v, "a string", err);
    const uint8_t *at = v->data;
    const md_gguf_string s = next_string(&at);
    if (s.size > max_bytes) {
        return md_fail(err, MDLM_INPUT, "'%s': expected at most %zu bytes, found %zu, in key '%s'",
                       f->path, max_bytes, s.size, key);
    }
    utf8proc_int32_t c = 0;
    for (size_t i = 0; i < s.size;) {
        const utf8proc_ssize_t n =
            utf8proc_iterate((const uint8_t *)s.bytes + i, (utf8proc_ssize_t)(s.size - i), &c);
        if (n < 1 || c == 0) {
            return md_fail(err, MDLM_INPUT, "'%s': the text is not UTF-8 without NUL in key '%s'",
                           f->path, key);
        }
        i += (size_t)n;
    }
    char *text = md_strndup(s.bytes, s.size, err);
    if (!text) return MDLM_RUNTIME;
    *out = text;
    return MDLM_OK;
}

mdlm_status md_gguf_strings(const md_gguf *f, const char *key, md_gguf_string **out, size_t *count,
                            mdlm_error *err) {
    const md_gguf_value *v;
    MD_TRY(get(f, key, &v, err));
    if (!v->is_array || v->kind != MD_GGUF_STRING)
        return wrong_type(f, v, "an array of strings", err);
    md_gguf_string *list = md_alloc((size_t)v->count, sizeof *list, err);
    if (!list) return MDLM_RUNTIME;
    const uint8_t *at = v->data;
    for (uint64_t i = 0; i < v->count; i++) list[i] = next_string(&at);
    *out = list;
    *count = (size_t)v->count;
    return MDLM_OK;
}

mdlm_status md_gguf_ints(const md_gguf *f, const char *key, int32_t **out, size_t *count,
                         mdlm_error *err) {
    const md_gguf_value *v;
    MD_TRY(get(f, key, &v, err));
    if (!v->is_array || !is_integer(v->kind)) return wrong_type(f, v, "an array of integers", err);
    int32_t *list = md_alloc((size_t)v->count, sizeof *list, err);
    if (!list) return MDLM_RUNTIME;
    for (uint64_t i = 0; i < v->count; i++) {
        int64_t value = 0;
        if (!load_integer(v, i, &value) || value < INT32_MIN || value > INT32_MAX) {
            md_free(list);
            return md_fail(err, MDLM_INPUT, "'%s': item %llu does not fit 32 bits in key '%s'",
                           f->path, (unsigned long long)i, key);
        }
        list[i] = (int32_t)value;
    }
    *out = list;
    *count = (size_t)v->count;
    return MDLM_OK;
}

mdlm_status md_gguf_floats(const md_gguf *f, const char *key, float **out, size_t *count,
                           mdlm_error *err) {
    const md_gguf_value *v;
    MD_TRY(get(f, key, &v, err));
    if (!v->is_array || v->kind != MD_GGUF_F32) return wrong_type(f, v, "an array of f32", err);
    float *list = md_alloc((size_t)v->count, sizeof *list, err);
    if (!list) return MDLM_RUNTIME;
    if (v->count > 0) memcpy(list, v->data, (size_t)v->count * sizeof *list);
    *out = list;
    *count = (size_t)v->count;
    return MDLM_OK;
}
