/* cli/infill.c: see infill.h. */
#include "cli/infill.h"

#include <ctype.h>
#include <string.h>

#include "base/memory.h"

static const char one[] = "[MASK]", many[] = "[MASK*";

static bool starts_hole(const char *text) {
    return strncmp(text, one, sizeof one - 1) == 0 || strncmp(text, many, sizeof many - 1) == 0;
}

/* Reads the hole at *at and goes behind it. */
static mdlm_status read_hole(const char **at, int longest, int *tokens, mdlm_error *err) {
    const char *start = *at, *c = start + sizeof many - 1;
    int64_t count = 0;
    if (start[sizeof one - 2] == ']') {
        *tokens = 1;
        *at = start + sizeof one - 1;
        return MDLM_OK;
    }
    const char *digits = c;
    for (; isdigit((unsigned char)*c); c++)
        if (count <= longest) count = 10 * count + (*c - '0');
    int shown = (int)strcspn(start, "]");
    shown = shown < 40 ? shown : 40;
    if (*c == '-' && c > digits)
        return md_fail(err, MDLM_USAGE,
                       "--infill: '%.*s]' is reserved for holes of unknown length: give one number",
                       shown, start);
    if (*c != ']' || c == digits)
        return md_fail(err, MDLM_USAGE,
                       "--infill: '%.*s' is no hole: expected [MASK] or [MASK*N]; \\[MASK is text",
                       shown, start);
    if (count < 1 || count > longest)
        return md_fail(err, MDLM_USAGE, "--infill: '%.*s]': expected 1 to %d tokens", shown, start,
                       longest);
    *tokens = (int)count;
    *at = c + 1;
    return MDLM_OK;
}

/* Appends the text up to the next hole or the end, unescaped. */
static mdlm_status read_text(const char **at, md_buffer *text, mdlm_error *err) {
    const char *c = *at;
    while (*c && !starts_hole(c)) {
        size_t slashes = strspn(c, "\\");
        if (slashes == 0 || !starts_hole(c + slashes)) {
            size_t plain = slashes > 0 ? slashes : 1;
            MD_TRY(md_buffer_append(text, c, plain, err));
            c += plain;
            continue;
        }
        MD_TRY(md_buffer_append(text, c, slashes / 2, err));
        c += slashes;
        if (slashes % 2 == 0) break;
        MD_TRY(md_buffer_append(text, c++, 1, err)); /* the bracket */
    }
    *at = c;
    return MDLM_OK;
}

mdlm_status md_infill_parse(const char *text, int longest, md_infill *out, mdlm_error *err) {
    /* A span takes a character at least. Text never grows, so its place does not move. */
    size_t size = strlen(text);
    out->spans = md_alloc(size, sizeof *out->spans, err);
    if (!out->spans) return MDLM_RUNTIME;
    MD_TRY(md_buffer_append(&out->text, text, size, err));
    md_buffer_clear(&out->text);
    while (*text) {
        size_t before = out->text.size;
        MD_TRY(read_text(&text, &out->text, err));
        size_t bytes = out->text.size - before;
        if (bytes > 0)
            out->spans[out->count++] =
                (mdlm_span){.text = out->text.data + before, .text_bytes = bytes};
        if (!*text) break;
        mdlm_span hole = {0};
        MD_TRY(read_hole(&text, longest, &hole.hole, err));
        if (hole.hole > longest - out->holes)
            return md_fail(err, MDLM_USAGE, "--infill: the holes ask for more than %d tokens",
                           longest);
        out->holes += hole.hole;
        out->spans[out->count++] = hole;
    }
    if (out->holes == 0)
        return md_fail(err, MDLM_USAGE, "--infill has no hole: mark one by [MASK] or [MASK*N]");
    return MDLM_OK;
}

void md_infill_release(md_infill *infill) {
    md_free(infill->spans);
    md_buffer_release(&infill->text);
    *infill = (md_infill){0};
}
