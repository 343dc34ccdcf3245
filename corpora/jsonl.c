/* corpora/jsonl.c: one JSON value per line; of a corpus, an object with the document in "text". */
#include <string.h>

#include "base/memory.h"
#include "corpora/corpora_internal.h"

enum { MAX_LINE = 1 << 28 }; /* a line is held in memory whole */

/* Reads one line without its line feed; *end when there is none left. */
static mdlm_status next_line(md_jsonl *j, md_input *input, bool *end, mdlm_error *err) {
    md_buffer_clear(&j->line);
    *end = false;
    bool any = false;
    for (;;) {
        if (j->at == j->used) {
            j->at = 0;
            MD_TRY(md_input_read(input, j->chunk, MD_PIECE_BYTES, &j->used, err));
            if (j->used == 0) break;
        }
        const char *from = j->chunk + j->at;
        const char *feed = memchr(from, '\n', j->used - j->at);
        size_t size = feed ? (size_t)(feed - from) : j->used - j->at;
        if (!any) j->number++;
        any = true;
        if (size > MAX_LINE - j->line.size) {
            return md_fail(err, MDLM_INPUT, "'%s' line %lld is longer than %d bytes", input->path,
                           (long long)j->number, MAX_LINE);
        }
        MD_TRY(md_buffer_append(&j->line, from, size, err));
        j->at += size + (feed != NULL);
        if (feed) return MDLM_OK;
    }
    *end = !any;
    return MDLM_OK;
}

static bool is_blank(const md_buffer *line) {
    for (size_t i = 0; i < line->size; i++)
        if (line->data[i] != ' ' && line->data[i] != '\t' && line->data[i] != '\r') return false;
    return true;
}

/* cJSON's strings end at a NUL, so text after one would be lost without a word. */
static bool has_nul(md_buffer *line, bool mend) {
    if (memchr(line->data, 0, line->size)) return true;
    for (size_t i = 0; i + 5 < line->size; i++) {
        if (line->data[i] != '\\') continue;
        if (memcmp(line->data + i + 1, "u0000", 5) == 0) {
            if (!mend) return true;
            memcpy(line->data + i + 1, "ufffd", 5);
        }
        i++; /* the character after a backslash begins no escape */
    }
    return false;
}

static mdlm_status parse_line(md_jsonl *j, const char *path, mdlm_error *err) {
    long long number = (long long)j->number;
    if (has_nul(&j->line, j->mend_nul)) {
        return md_fail(err, MDLM_INPUT, "'%s' line %lld holds a NUL character", path, number);
    }
    mdlm_status status = md_json_parse(j->line.data, j->line.size, path, &j->object, err);
    if (status == MDLM_INPUT) {
        return md_fail(err, MDLM_INPUT, "'%s' line %lld is not valid JSON", path, number);
    }
    return status;
}

mdlm_status md_jsonl_value(md_jsonl *j, md_input *input, const cJSON **value, mdlm_error *err) {
    if (!j->chunk) {
        j->chunk = md_alloc(MD_PIECE_BYTES, 1, err);
        if (!j->chunk) return MDLM_RUNTIME;
    }
    cJSON_Delete(j->object);
    j->object = NULL;
    bool end = false;
    do MD_TRY(next_line(j, input, &end, err));
    while (!end && is_blank(&j->line));
    if (!end) MD_TRY(parse_line(j, input->path, err));
    *value = j->object;
    return MDLM_OK;
}

mdlm_status md_jsonl_next(md_jsonl *j, md_input *input, const char **text, mdlm_error *err) {
    const char *found = NULL;
    while (!found || !*found) {
        const cJSON *value = NULL;
        MD_TRY(md_jsonl_value(j, input, &value, err));
        if (!value) {
            *text = NULL;
            return MDLM_OK;
        }
        MD_TRY(md_jsonl_text(j, input, "text", &found, err));
    }
    *text = found;
    return MDLM_OK;
}

mdlm_status md_jsonl_text(const md_jsonl *j, const md_input *input, const char *key,
                          const char **text, mdlm_error *err) {
    const cJSON *member = NULL;
    if (cJSON_IsObject(j->object)) member = cJSON_GetObjectItemCaseSensitive(j->object, key);
    if (!cJSON_IsString(member)) {
        return md_fail(err, MDLM_INPUT, "'%s' line %lld: expected an object with a string \"%s\"",
                       input->path, (long long)j->number, key);
    }
    *text = member->valuestring;
    return MDLM_OK;
}

void md_jsonl_release(md_jsonl *j) {
    cJSON_Delete(j->object);
    md_buffer_release(&j->line);
    md_free(j->chunk);
    *j = (md_jsonl){0};
}
