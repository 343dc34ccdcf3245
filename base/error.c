/* base/error.c: see error.h. */
#include "base/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A cut message must not end inside a UTF-8 character: terminals and JSON readers choke on it. */
static void trim_partial_character(char *text) {
    size_t size = strlen(text);
    while (size > 0 && ((unsigned char)text[size - 1] & 0xc0) == 0x80) size--;
    if (size > 0 && (unsigned char)text[size - 1] >= 0xc0) size--;
    text[size] = 0;
}

/* Formats into a local first, so that a message may quote the error that it replaces. */
static mdlm_status fill(mdlm_error *err, mdlm_status status, const char *reason, const char *format,
                        va_list args) {
    if (!err) return status;
    char text[sizeof err->message];
    size_t room = sizeof text - strlen(reason);
    int length = vsnprintf(text, room, format, args);
    if (length < 0) text[0] = 0;
    if (length >= 0 && (size_t)length >= room) trim_partial_character(text);
    memcpy(text + strlen(text), reason, strlen(reason) + 1);
    for (char *c = text; *c; c++) {
        if (iscntrl((unsigned char)*c)) *c = '?';
    }
    err->status = status;
    memcpy(err->message, text, sizeof text);
    return status;
}

mdlm_status md_fail(mdlm_error *err, mdlm_status status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fill(err, status, "", format, args);
    va_end(args);
    return status;
}

mdlm_status md_fail_errno(mdlm_error *err, mdlm_status status, const char *format, ...) {
    char text[96], reason[100];
    const char *words = strerror_r(errno, text, sizeof text);
    snprintf(reason, sizeof reason, ": %.96s", words);
    reason[2] = (char)tolower((unsigned char)reason[2]);
    va_list args;
    va_start(args, format);
    fill(err, status, reason, format, args);
    va_end(args);
    return status;
}

_Noreturn void md_bug(const char *file, int line, const char *condition) {
    fprintf(stderr, "BUG: %s:%d: %s\n", file, line, condition);
    abort();
}
