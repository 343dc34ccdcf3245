/* corpora/reader.c: the documents of many files, one piece after another, in constant memory. */
#include <string.h>

#include "base/memory.h"
#include "corpora/corpora_internal.h"

struct md_reader {
    md_sources sources;
    size_t at; /* the source being read */
    bool open;
    md_input input;
    int64_t bytes;     /* of text handed out from this source */
    int64_t all_bytes; /* from all of them */
    /* Plain text: buffer[0, used) of which the first `given` are with the caller. One byte more
     * than a piece is held, so that the last piece is known to be the last. */
    char *buffer;
    size_t used, given;
    /* .jsonl: what is left of the document under way. */
    md_jsonl jsonl;
    const char *text;
    size_t left;
};

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

size_t md_piece_cut(const char *text, size_t limit) {
    for (size_t i = limit; i > 0; i--)
        if (text[i] == ' ' && !is_space(text[i - 1])) return i;
    for (size_t i = limit; i > 0; i--)
        if (is_space(text[i]) && !is_space(text[i - 1])) return i;
    for (size_t i = limit; i > 0; i--)
        if (is_space(text[i])) return i;
    /* A UTF-8 character has at most three continuation bytes; more is not UTF-8. */
    for (size_t i = limit; i > 0 && i + 3 >= limit; i--)
        if (((unsigned char)text[i] & 0xc0) != 0x80) return i;
    return limit;
}

mdlm_status md_reader_open(const char *const *paths, size_t count, md_reader **out,
                           mdlm_error *err) {
    if (count == 0) return md_fail(err, MDLM_INPUT, "no text was given");
    md_reader *r = md_alloc(1, sizeof *r, err);
    if (!r) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    r->input.fd = -1;
    for (size_t i = 0; i < count; i++)
        MD_GOTO(done, status, md_sources_add(&r->sources, paths[i], err));
    r->buffer = md_alloc(MD_PIECE_BYTES + 1, 1, err);
    if (!r->buffer) status = MDLM_RUNTIME;
    if (status == MDLM_OK) *out = r, r = NULL;
done:
    md_reader_free(r);
    return status;
}

void md_reader_free(md_reader *r) {
    if (!r) return;
    md_input_close(&r->input);
    md_jsonl_release(&r->jsonl);
    md_sources_release(&r->sources);
    md_free(r->buffer);
    md_free(r);
}

const md_sources *md_reader_sources(const md_reader *r) {
    return &r->sources;
}

/* The next piece of a plain text; size 0 at its end. */
static mdlm_status text_piece(md_reader *r, md_piece *piece, mdlm_error *err) {
    size_t kept = r->used - r->given, got = 0;
    memmove(r->buffer, r->buffer + r->given, kept);
    r->used = kept, r->given = 0;
    MD_TRY(md_input_read(&r->input, r->buffer + kept, MD_PIECE_BYTES + 1 - kept, &got, err));
    r->used += got;
    if (r->bytes == 0) {
        size_t head = r->used < MD_BINARY_CHECK_BYTES ? r->used : MD_BINARY_CHECK_BYTES;
        if (memchr(r->buffer, 0, head)) {
            return md_fail(err, MDLM_INPUT, "'%s' looks like a binary file: it holds a NUL byte",
                           r->input.path);
        }
    }
    piece->last = r->used <= MD_PIECE_BYTES;
    r->given = piece->last ? r->used : md_piece_cut(r->buffer, MD_PIECE_BYTES);
    piece->text = r->buffer;
    piece->size = r->given;
    return MDLM_OK;
}

static mdlm_status jsonl_piece(md_reader *r, md_piece *piece, mdlm_error *err) {
    if (r->left == 0) {
        MD_TRY(md_jsonl_next(&r->jsonl, &r->input, &r->text, err));
        r->left = r->text ? strlen(r->text) : 0;
    }
    piece->last = r->left <= MD_PIECE_BYTES;
    piece->text = r->text;
    piece->size = piece->last ? r->left : md_piece_cut(r->text, MD_PIECE_BYTES);
    r->left -= piece->size;
    if (r->text) r->text += piece->size;
    return MDLM_OK;
}

static mdlm_status open_source(md_reader *r, mdlm_error *err) {
    MD_TRY(md_input_open(&r->input, &r->sources.items[r->at], err));
    r->open = true;
    r->bytes = 0;
    r->used = r->given = 0;
    r->jsonl.number = 0;
    r->jsonl.at = r->jsonl.used = 0;
    return MDLM_OK;
}

/* An empty file below a folder is no mistake; one that was named is. */
static mdlm_status close_source(md_reader *r, mdlm_error *err) {
    const md_source *source = &r->sources.items[r->at];
    if (r->bytes == 0 && source->named) {
        return md_fail(err, MDLM_INPUT, "'%s' %s", source->path,
                       source->jsonl ? "holds no text" : "is empty");
    }
    md_input_close(&r->input);
    r->open = false;
    r->at++;
    return MDLM_OK;
}

mdlm_status md_reader_piece(md_reader *r, md_piece *piece, mdlm_error *err) {
    while (r->at < r->sources.count) {
        if (!r->open) MD_TRY(open_source(r, err));
        md_piece next = {.source = r->at};
        bool jsonl = r->sources.items[r->at].jsonl;
        MD_TRY(jsonl ? jsonl_piece(r, &next, err) : text_piece(r, &next, err));
        r->bytes += (int64_t)next.size;
        r->all_bytes += (int64_t)next.size;
        if (next.size > 0) {
            *piece = next;
            return MDLM_OK;
        }
        MD_TRY(close_source(r, err));
    }
    if (r->all_bytes == 0) {
        return md_fail(err, MDLM_INPUT, "'%s' and the other files beside it hold no text",
                       r->sources.items[0].path);
    }
    *piece = (md_piece){0};
    return MDLM_OK;
}

mdlm_status md_reader_next(md_reader *r, const char **text, size_t *size, bool *last,
                           mdlm_error *err) {
    md_piece piece;
    MD_TRY(md_reader_piece(r, &piece, err));
    *text = piece.text;
    *size = piece.size;
    if (last) *last = piece.last;
    return MDLM_OK;
}

static mdlm_status source_next(void *context, const char **text, size_t *size, mdlm_error *err) {
    return md_reader_next(context, text, size, NULL, err);
}

md_text_source md_reader_source(md_reader *reader) {
    return (md_text_source){.next = source_next, .context = reader};
}
