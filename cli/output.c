/* cli/output.c: see output.h. */
#include "cli/output.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static mdlm_status write_failed(mdlm_error *err) {
    if (errno == EPIPE) {
        if (err) *err = (mdlm_error){.status = MDLM_WRITE};
        return MDLM_WRITE;
    }
    return md_fail_errno(err, MDLM_WRITE, "cannot write to stdout");
}

mdlm_status md_cli_write(const void *bytes, size_t size, mdlm_error *err) {
    if (size > 0 && fwrite(bytes, 1, size, stdout) != size) return write_failed(err);
    return MDLM_OK;
}

mdlm_status md_cli_print(mdlm_error *err, const char *format, ...) {
    va_list list;
    va_start(list, format);
    int count = vprintf(format, list);
    va_end(list);
    return count < 0 ? write_failed(err) : MDLM_OK;
}

mdlm_status md_cli_flush(mdlm_error *err) {
    /* A failure that an earlier call met is still marked on the stream, without its errno. */
    bool before = ferror(stdout) != 0;
    errno = 0;
    if (fflush(stdout) != 0) return write_failed(err);
    return before ? md_fail(err, MDLM_WRITE, "cannot write to stdout") : MDLM_OK;
}

/* UTF-8 as Unicode defines it: shortest forms only, no surrogates, at most U+10FFFF. */
size_t md_cli_utf8_length(const char *bytes, size_t size) {
    const unsigned char *b = (const unsigned char *)bytes;
    if (size == 0) return 0;
    if (b[0] < 0x80) return 1;
    size_t length = b[0] >= 0xf0 ? 4 : b[0] >= 0xe0 ? 3 : 2;
    if (b[0] < 0xc2 || b[0] > 0xf4 || size < length) return 0;
    unsigned low = 0x80, high = 0xbf;
    if (b[0] == 0xe0) low = 0xa0;
    if (b[0] == 0xed) high = 0x9f;
    if (b[0] == 0xf0) low = 0x90;
    if (b[0] == 0xf4) high = 0x8f;
    if (b[1] < low || b[1] > high) return 0;
    for (size_t i = 2; i < length; i++) {
        if (b[i] < 0x80 || b[i] > 0xbf) return 0;
    }
    return length;
}

static bool failed(const md_json_line *line) {
    return line->error.status != MDLM_OK;
}

static void put(md_json_line *line, const char *bytes, size_t size) {
    if (!failed(line)) (void)md_buffer_append(&line->text, bytes, size, &line->error);
}

static void put_string(md_json_line *line, const char *text) {
    put(line, text, strlen(text));
}

static void put_escaped(md_json_line *line, const char *bytes, size_t size) {
    put_string(line, "\"");
    for (size_t i = 0; i < size;) {
        size_t length = md_cli_utf8_length(bytes + i, size - i);
        unsigned char c = (unsigned char)bytes[i];
        char escape[8];
        if (length == 0) {
            put_string(line, "\xef\xbf\xbd"); /* U+FFFD */
            length = 1;
        } else if (c == '"' || c == '\\') {
            snprintf(escape, sizeof escape, "\\%c", c);
            put_string(line, escape);
        } else if (c == '\n') {
            put_string(line, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            snprintf(escape, sizeof escape, "\\u%04x", c);
            put_string(line, escape);
        } else {
            put(line, bytes + i, length);
        }
        i += length;
    }
    put_string(line, "\"");
}

static void put_key(md_json_line *line, const char *key) {
    if (line->comma) put_string(line, ",");
    line->comma = true;
    if (!key) return;
    put_escaped(line, key, strlen(key));
    put_string(line, ":");
}

void md_json_begin(md_json_line *line) {
    *line = (md_json_line){0};
    put_string(line, "{");
}

void md_json_put_int(md_json_line *line, const char *key, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    put_key(line, key);
    put_string(line, text);
}

void md_json_put_real(md_json_line *line, const char *key, double value) {
    char text[32] = "null";
    for (int digits = 15; isfinite(value) && digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) break;
    }
    put_key(line, key);
    put_string(line, text);
}

void md_json_put_flag(md_json_line *line, const char *key, bool value) {
    put_key(line, key);
    put_string(line, value ? "true" : "false");
}

void md_json_put_text(md_json_line *line, const char *key, const char *bytes, size_t size) {
    put_key(line, key);
    put_escaped(line, bytes, size);
}

void md_json_put_string(md_json_line *line, const char *key, const char *text) {
    put_key(line, key);
    if (text)
        put_escaped(line, text, strlen(text));
    else
        put_string(line, "null");
}

void md_json_put_ids(md_json_line *line, const char *key, const int32_t *ids, size_t count) {
    md_json_open(line, key, '[');
    for (size_t i = 0; i < count; i++) md_json_put_int(line, NULL, ids[i]);
    md_json_close(line, ']');
}

void md_json_open(md_json_line *line, const char *key, char bracket) {
    put_key(line, key);
    put(line, &bracket, 1);
    line->comma = false;
}

void md_json_close(md_json_line *line, char bracket) {
    put(line, &bracket, 1);
    line->comma = true;
}

/* Completes and takes the line; `file` NULL: stdout. */
static mdlm_status end_line(md_json_line *line, md_writer *file, mdlm_error *err) {
    put_string(line, "}\n");
    mdlm_status status = line->error.status;
    if (status != MDLM_OK && err) *err = line->error;
    if (status == MDLM_OK) {
        status = file ? md_writer_write(file, line->text.data, line->text.size, err)
                      : md_cli_write(line->text.data, line->text.size, err);
    }
    md_buffer_release(&line->text);
    return status;
}

mdlm_status md_json_end(md_json_line *line, mdlm_error *err) {
    return end_line(line, NULL, err);
}

mdlm_status md_json_end_in(md_json_line *line, md_writer *file, mdlm_error *err) {
    return end_line(line, file, err);
}

mdlm_status md_cli_ids_text(md_buffer *out, const int32_t *ids, size_t count, mdlm_error *err) {
    for (size_t i = 0; i < count; i++) {
        MD_TRY(md_buffer_printf(out, err, i ? " %d" : "%d", (int)ids[i]));
    }
    return MDLM_OK;
}
