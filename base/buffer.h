/* base/buffer.h: a growing byte string.
 *
 *     md_buffer b = {0};
 *     MD_TRY(md_buffer_printf(&b, err, "%d", 3));
 *     use(b.data, b.size);
 *     md_buffer_release(&b);
 */
#ifndef MD_BASE_BUFFER_H
#define MD_BASE_BUFFER_H

#include "base/error.h"

typedef struct md_buffer {
    char *data; /* always NUL-terminated once anything was appended; NULL before */
    size_t size, capacity;
} md_buffer;

mdlm_status md_buffer_append(md_buffer *b, const void *bytes, size_t count, mdlm_error *err);
mdlm_status md_buffer_text(md_buffer *b, const char *text, mdlm_error *err);
mdlm_status md_buffer_printf(md_buffer *b, mdlm_error *err, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void md_buffer_clear(md_buffer *b);   /* size 0, memory kept */
void md_buffer_release(md_buffer *b); /* frees; the struct is empty again */
/* Hands the bytes to the caller (who frees with md_free) and empties the struct. */
char *md_buffer_take(md_buffer *b);

#endif
