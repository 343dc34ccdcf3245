/* cli/terminal.c: see terminal.h. */
#include "cli/terminal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include "cli/output.h"

enum { DEFAULT_COLUMNS = 80, DEFAULT_ROWS = 24, SMALLEST = 8 };

static bool utf8_locale(void) {
    static const char *const names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = getenv(names[i]);
        if (!value || !*value) continue;
        return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
    }
    return false;
}

md_terminal md_terminal_of(int descriptor) {
    const char *kind = getenv("TERM"), *plain = getenv("NO_COLOR");
    md_terminal t = {.utf8 = utf8_locale(), .columns = DEFAULT_COLUMNS, .rows = DEFAULT_ROWS};
    t.live = isatty(descriptor) && kind && *kind && strcmp(kind, "dumb") != 0;
    t.color = t.live && !(plain && *plain);
    struct winsize size;
    if (t.live && ioctl(descriptor, TIOCGWINSZ, &size) == 0) {
        if (size.ws_col >= SMALLEST) t.columns = size.ws_col;
        if (size.ws_row >= SMALLEST) t.rows = size.ws_row;
    }
    return t;
}

int md_terminal_width(const char *text, size_t size, size_t *length) {
    *length = md_cli_utf8_length(text, size);
    if (*length <= 1) {
        *length = 1;
        return 1;
    }
    utf8proc_int32_t code = 0;
    utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)*length, &code);
    return utf8proc_charwidth(code);
}

static mdlm_status append_safe(md_buffer *out, const char *text, size_t size, bool lines,
                               mdlm_error *err) {
    for (size_t i = 0; i < size;) {
        size_t length = md_cli_utf8_length(text + i, size - i);
        unsigned char c = (unsigned char)text[i];
        bool control = length == 1 && (c < 0x20 || c == 0x7f) && !(lines && c == '\n');
        /* U+0080..U+009F are control characters too, in two bytes. */
        if (length == 2 && c == 0xc2 && (unsigned char)text[i + 1] < 0xa0) control = true;
        const char *shown = control ? " " : length == 0 ? "\xef\xbf\xbd" : NULL;
        if (shown)
            MD_TRY(md_buffer_text(out, shown, err));
        else
            MD_TRY(md_buffer_append(out, text + i, length, err));
        i += length ? length : 1;
    }
    return MDLM_OK;
}

mdlm_status md_terminal_line(md_buffer *out, const char *text, size_t size, mdlm_error *err) {
    return append_safe(out, text, size, false, err);
}

mdlm_status md_terminal_text(md_buffer *out, const char *text, size_t size, mdlm_error *err) {
    return append_safe(out, text, size, true, err);
}

md_progress md_progress_start(bool quiet) {
    return (md_progress){.live = !quiet && md_terminal_of(STDERR_FILENO).live, .quiet = quiet};
}

void md_progress_clear(md_progress *p) {
    if (p->shown) fputs("\r\033[K", stderr);
    p->shown = false;
}

void md_progress_show(md_progress *p, const char *text) {
    if (!p->live || p->quiet) return;
    /* One column stays free: a full line would wrap and could not be taken back. */
    int room = md_terminal_of(STDERR_FILENO).columns - 1, column = 0;
    size_t size = strlen(text), end = 0;
    while (end < size) {
        size_t length;
        int width = md_terminal_width(text + end, size - end, &length);
        if (column + width > room) break;
        column += width;
        end += length;
    }
    fprintf(stderr, "\r%.*s\033[K", (int)end, text);
    fflush(stderr);
    p->shown = true;
}

void md_progress_print(md_progress *p, const char *text) {
    if (p->quiet) return;
    md_progress_clear(p);
    fprintf(stderr, "%s\n", text);
}

void md_bar_text(double share, int width, char out[64]) {
    int filled = isfinite(share) ? (int)(fmin(fmax(share, 0), 1) * width) : 0;
    char *end = out;
    *end++ = '[';
    for (int i = 0; i < width && i < 60; i++) *end++ = i < filled ? '#' : '.';
    *end++ = ']';
    *end = 0;
}

void md_duration_text(double seconds, char out[MD_SHORT_TEXT]) {
    if (!isfinite(seconds) || seconds < 0 || seconds > 1e9) {
        snprintf(out, MD_SHORT_TEXT, "?");
        return;
    }
    long whole = lround(seconds);
    if (seconds < 9.95)
        snprintf(out, MD_SHORT_TEXT, "%.1fs", seconds);
    else if (whole < 60)
        snprintf(out, MD_SHORT_TEXT, "%lds", whole);
    else if (whole < 3600)
        snprintf(out, MD_SHORT_TEXT, "%ldm%02lds", whole / 60, whole % 60);
    else
        snprintf(out, MD_SHORT_TEXT, "%ldh%02ldm", whole / 3600, whole / 60 % 60);
}

void md_quantity_text(double value, char out[MD_SHORT_TEXT]) {
    static const char units[] = {0, 'k', 'M', 'G', 'T'};
    size_t unit = 0;
    while (fabs(value) >= 999.5 && unit + 1 < sizeof units) {
        value /= 1000;
        unit++;
    }
    if (!isfinite(value))
        snprintf(out, MD_SHORT_TEXT, "?");
    else if (unit == 0)
        snprintf(out, MD_SHORT_TEXT, "%.0f", value);
    else
        snprintf(out, MD_SHORT_TEXT, value < 99.95 ? "%.1f%c" : "%.0f%c", value, units[unit]);
}
