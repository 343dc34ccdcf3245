/* cli/output.h: results on stdout, as text or as one JSON object in a line.
 *
 *     md_json_line line;
 *     md_json_begin(&line);
 *     md_json_put_int(&line, "tokens", 12);
 *     md_json_put_text(&line, "text", text, size);        any bytes; bad UTF-8 becomes U+FFFD
 *     status = md_json_end(&line, err);                   writes the line; releases
 *
 * Errors stick: after the first one the calls do nothing, and md_json_end reports it.
 */
#ifndef MD_CLI_OUTPUT_H
#define MD_CLI_OUTPUT_H

#include "base/buffer.h"
#include "base/file.h"

/* Writes to stdout. MDLM_WRITE when it does not take all; errors may also show up at the flush. */
mdlm_status md_cli_write(const void *bytes, size_t size, mdlm_error *err);
mdlm_status md_cli_print(mdlm_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Flushes stdout: the last word on whether everything was written. The message is empty for a
 * closed pipe: the reader has seen enough and nobody wants to hear of it. */
mdlm_status md_cli_flush(mdlm_error *err);

typedef struct md_json_line {
    md_buffer text;
    mdlm_error error;
    bool comma; /* the next member or element needs one before it */
} md_json_line;

void md_json_begin(md_json_line *line);
void md_json_put_int(md_json_line *line, const char *key, int64_t value);
void md_json_put_real(md_json_line *line, const char *key, double value); /* NaN, inf: null */
void md_json_put_flag(md_json_line *line, const char *key, bool value);
void md_json_put_text(md_json_line *line, const char *key, const char *bytes, size_t size);
void md_json_put_string(md_json_line *line, const char *key, const char *text); /* NULL: null */
void md_json_put_ids(md_json_line *line, const char *key, const int32_t *ids, size_t count);
/* Nested values; key NULL inside a list. */
void md_json_open(md_json_line *line, const char *key, char bracket); /* '{' or '[' */
void md_json_close(md_json_line *line, char bracket);                 /* '}' or ']' */
mdlm_status md_json_end(md_json_line *line, mdlm_error *err);
/* The same into a file. */
mdlm_status md_json_end_in(md_json_line *line, md_writer *file, mdlm_error *err);

/* Length of the valid UTF-8 sequence at the start of `bytes` (1..4), 0 when there is none. */
size_t md_cli_utf8_length(const char *bytes, size_t size);
/* Appends "1 2 3". */
mdlm_status md_cli_ids_text(md_buffer *out, const int32_t *ids, size_t count, mdlm_error *err);

#endif
