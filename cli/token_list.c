/* cli/token_list.c: see token_list.h. */
#include "cli/token_list.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/memory.h"

typedef struct reader {
    const char *option, *text;
    const char *at; /* in text */
    const mdlm_model *model;
    md_buffer item; /* bytes of a quoted text */
} reader;

static mdlm_status malformed(const reader *r, const char *expected, mdlm_error *err) {
    return md_fail(err, MDLM_USAGE, "%s '%.100s': expected %s at character %d", r->option, r->text,
                   expected, (int)(r->at - r->text) + 1);
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static mdlm_status read_escape(reader *r, char *byte, mdlm_error *err) {
    static const char names[] = "ntr\"\\", bytes[] = "\n\t\r\"\\";
    const char *found = *r->at ? strchr(names, *r->at) : NULL;
    if (found) {
        *byte = bytes[found - names];
        r->at++;
        return MDLM_OK;
    }
    if (*r->at == 'x' && hex_digit(r->at[1]) >= 0 && hex_digit(r->at[2]) >= 0) {
        *byte = (char)(16 * hex_digit(r->at[1]) + hex_digit(r->at[2]));
        r->at += 3;
        return MDLM_OK;
    }
    return malformed(r, "\\n, \\t, \\r, \\\", \\\\ or \\xHH", err);
}

static mdlm_status read_quoted(reader *r, int32_t *id, mdlm_error *err) {
    const char *start = r->at++;
    md_buffer_clear(&r->item);
    while (*r->at != '"') {
        char byte = *r->at;
        if (!byte) return malformed(r, "a closing quote", err);
        r->at++;
        if (byte == '\\') MD_TRY(read_escape(r, &byte, err));
        MD_TRY(md_buffer_append(&r->item, &byte, 1, err));
    }
    r->at++;
    int32_t *ids = NULL;
    size_t count = 0;
    MD_TRY(mdlm_tokenize(r->model, r->item.data, r->item.size, &ids, &count, err));
    if (count == 1) *id = ids[0];
    mdlm_ids_free(ids);
    if (count == 1) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "%s: %.*s is %zu tokens: expected one", r->option,
                   (int)(r->at - start < 100 ? r->at - start : 100), start, count);
}

static mdlm_status read_id(reader *r, int32_t *id, mdlm_error *err) {
    int vocab = mdlm_info(r->model).vocab;
    if (!isdigit((unsigned char)*r->at)) return malformed(r, "an id or a quoted text", err);
    char *end;
    unsigned long long value = strtoull(r->at, &end, 10);
    if (value >= (unsigned long long)vocab)
        return md_fail(err, MDLM_USAGE, "%s: token id %.*s is not in a vocabulary of %d", r->option,
                       (int)(end - r->at < 30 ? end - r->at : 30), r->at, vocab);
    *id = (int32_t)value;
    r->at = end;
    return MDLM_OK;
}

static void skip_spaces(reader *r) {
    while (isspace((unsigned char)*r->at)) r->at++;
}

static mdlm_status read_items(reader *r, int32_t *ids, size_t *count, mdlm_error *err) {
    for (;;) {
        skip_spaces(r);
        int32_t *to = &ids[*count];
        MD_TRY(*r->at == '"' ? read_quoted(r, to, err) : read_id(r, to, err));
        (*count)++;
        skip_spaces(r);
        if (!*r->at) return MDLM_OK;
        if (*r->at != ',') return malformed(r, "a comma", err);
        r->at++;
    }
}

mdlm_status md_token_list_read(const char *option, const char *text, const mdlm_model *model,
                               int32_t **ids, size_t *count, mdlm_error *err) {
    reader r = {.option = option, .text = text, .at = text, .model = model};
    size_t found = 0;
    int32_t *list = md_alloc(strlen(text) + 1, sizeof *list, err); /* an item takes a character */
    if (!list) return MDLM_RUNTIME;
    mdlm_status status = read_items(&r, list, &found, err);
    md_buffer_release(&r.item);
    if (status != MDLM_OK) {
        md_free(list);
        return status;
    }
    *ids = list;
    *count = found;
    return MDLM_OK;
}
