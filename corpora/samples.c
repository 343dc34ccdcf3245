/* corpora/samples.c: see samples.h. */
#include "corpora/samples.h"

#include <string.h>

#include "base/memory.h"
#include "corpora/corpora_internal.h"

static const char header[] = "--- sample ";

mdlm_status md_samples_add(md_samples *s, const char *text, size_t size, mdlm_error *err) {
    if (s->count == s->capacity) {
        size_t capacity = s->capacity ? 2 * s->capacity : 64;
        size_t *ends = md_realloc(s->ends, capacity, sizeof *ends, err);
        if (!ends) return MDLM_RUNTIME;
        s->ends = ends;
        s->capacity = capacity;
    }
    MD_TRY(md_buffer_append(&s->text, text, size, err));
    s->ends[s->count++] = s->text.size;
    return MDLM_OK;
}

static mdlm_status read_jsonl(md_samples *s, md_input *input, mdlm_error *err) {
    md_jsonl lines = {.mend_nul = true};
    mdlm_status status;
    for (;;) {
        const cJSON *value = NULL;
        const char *text = NULL;
        MD_GOTO(done, status, md_jsonl_value(&lines, input, &value, err));
        if (!value) break;
        MD_GOTO(done, status, md_jsonl_text(&lines, input, "text", &text, err));
        size_t size = strlen(text), used = s->text.size + s->count;
        if (used >= MD_SAMPLES_MOST || size >= MD_SAMPLES_MOST - used) {
            status = md_fail(err, MDLM_INPUT, "'%s' holds more than %d bytes of samples",
                             input->path, MD_SAMPLES_MOST);
            goto done;
        }
        MD_GOTO(done, status, md_samples_add(s, text, size, err));
    }
done:
    md_jsonl_release(&lines);
    return status;
}

/* The first line from `text` on that is a header, or `end`. */
static const char *next_header(const char *text, const char *end) {
    while (text < end) {
        size_t left = (size_t)(end - text);
        if (left >= sizeof header - 1 && !memcmp(text, header, sizeof header - 1)) return text;
        const char *feed = memchr(text, '\n', left);
        text = feed ? feed + 1 : end;
    }
    return end;
}

static mdlm_status cut_text(md_samples *s, const char *text, size_t size, mdlm_error *err) {
    const char *end = text + size, *at = next_header(text, end);
    if (at == end) return md_samples_add(s, text, size - (text[size - 1] == '\n'), err);
    if (at > text) MD_TRY(md_samples_add(s, text, (size_t)(at - text) - 1, err));
    while (at < end) {
        const char *feed = memchr(at, '\n', (size_t)(end - at));
        const char *from = feed ? feed + 1 : end;
        at = next_header(from, end);
        size_t length = (size_t)(at - from);
        if (length > 0 && from[length - 1] == '\n') length--;
        MD_TRY(md_samples_add(s, from, length, err));
    }
    return MDLM_OK;
}

static mdlm_status read_text(md_samples *s, md_input *input, mdlm_error *err) {
    char *text = md_alloc(MD_SAMPLES_MOST, 1, err);
    if (!text) return MDLM_RUNTIME;
    size_t size = 0;
    mdlm_status status = md_input_read(input, text, MD_SAMPLES_MOST, &size, err);
    if (status == MDLM_OK && size == MD_SAMPLES_MOST) {
        status = md_fail(err, MDLM_INPUT, "'%s' holds more than %d bytes of samples", input->path,
                         MD_SAMPLES_MOST);
    }
    if (status == MDLM_OK && size == 0)
        status = md_fail(err, MDLM_INPUT, "'%s' is empty", input->path);
    if (status == MDLM_OK) status = cut_text(s, text, size, err);
    md_free(text);
    return status;
}

mdlm_status md_samples_read(md_samples *s, const char *path, mdlm_error *err) {
    md_sources sources = {0};
    md_input input = {.fd = -1};
    char first = 0;
    size_t got = 0;
    mdlm_status status;
    MD_GOTO(done, status, md_input_open_path(&input, &sources, path, err));
    MD_GOTO(done, status, md_input_read(&input, &first, 1, &got, err));
    md_input_close(&input);
    MD_GOTO(done, status, md_input_open(&input, &sources.items[0], err));
    status = got > 0 && first == '{' ? read_jsonl(s, &input, err) : read_text(s, &input, err);
done:
    md_input_close(&input);
    md_sources_release(&sources);
    return status;
}

const char *md_sample(const md_samples *s, size_t i, size_t *size) {
    size_t from = i > 0 ? s->ends[i - 1] : 0;
    *size = s->ends[i] - from;
    return s->text.data ? s->text.data + from : "";
}

void md_samples_release(md_samples *s) {
    md_buffer_release(&s->text);
    md_free(s->ends);
    *s = (md_samples){0};
}
