/* base/buffer.c: see buffer.h. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

enum { FIRST_CAPACITY = 64 };

/* Room for `count` more bytes and the final NUL. */
static mdlm_status reserve(md_buffer *b, size_t count, mdlm_error *err) {
    size_t needed;
    if (!md_size_add(b->size, count, &needed) || !md_size_add(needed, 1, &needed)) {
        return md_fail(err, MDLM_RUNTIME, "out of memory: a text of %zu more bytes is too long",
                       count);
    }
    if (needed <= b->capacity) return MDLM_OK;
    size_t capacity = b->capacity ? b->capacity : FIRST_CAPACITY;
    while (capacity < needed) capacity = capacity > SIZE_MAX / 2 ? needed : capacity * 2;
    char *data = md_realloc(b->data, capacity, 1, err);
    if (!data) return MDLM_RUNTIME;
    b->data = data;
    b->capacity = capacity;
    return MDLM_OK;
}

mdlm_status md_buffer_append(md_buffer *b, const void *bytes, size_t count, mdlm_error *err) {
    MD_TRY(reserve(b, count, err));
    if (count > 0) memcpy(b->data + b->size, bytes, count);
    b->size += count;
    b->data[b->size] = 0;
    return MDLM_OK;
}

mdlm_status md_buffer_text(md_buffer *b, const char *text, mdlm_error *err) {
    return md_buffer_append(b, text, strlen(text), err);
}

mdlm_status md_buffer_printf(md_buffer *b, mdlm_error *err, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    mdlm_status status = length < 0 ? md_fail(err, MDLM_RUNTIME, "cannot format a text")
                                    : reserve(b, (size_t)length, err);
    if (status == MDLM_OK) {
        vsnprintf(b->data + b->size, (size_t)length + 1, format, again);
        b->size += (size_t)length;
    }
    va_end(again);
    return status;
}

void md_buffer_clear(md_buffer *b) {
    b->size = 0;
    if (b->data) b->data[0] = 0;
}

void md_buffer_release(md_buffer *b) {
    md_free(b->data);
    *b = (md_buffer){0};
}

char *md_buffer_take(md_buffer *b) {
    char *data = b->data;
    *b = (md_buffer){0};
    return data;
}
