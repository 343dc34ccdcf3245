/* cli/view.c: see view.h. */
#include "cli/view.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static const double redraw = 0.05; /* seconds between pictures on a terminal */

/* A picture while it is laid out in lines. */
typedef struct picture {
    const md_view *view;
    md_buffer text; /* lines, each ended by "\n" */
    int column, lines;
    int first_mask_line; /* -1: none */
    bool dim;
    mdlm_error error; /* sticks */
} picture;

static void put(picture *p, const char *bytes, size_t size) {
    if (p->error.status == MDLM_OK) (void)md_buffer_append(&p->text, bytes, size, &p->error);
}

static void put_style(picture *p, bool dim) {
    const char *code = dim ? "\033[2m" : "\033[0m";
    if (p->view->terminal.color && p->dim != dim) put(p, code, strlen(code));
    p->dim = dim;
}

/* Styles end with their line, so that a clipped picture keeps them. */
static void break_line(picture *p) {
    bool dim = p->dim;
    put_style(p, false);
    put(p, "\n", 1);
    p->lines++;
    p->column = 0;
    put_style(p, dim);
}

static void put_cell(picture *p, const char *bytes, size_t size, int width) {
    if (p->column + width > p->view->terminal.columns - 1) break_line(p);
    put(p, bytes, size);
    p->column += width;
}

static void put_mask(picture *p) {
    const char *cell = p->view->terminal.utf8 ? "\xe2\x96\x91" : "_"; /* U+2591 */
    put_style(p, true);
    put_cell(p, cell, strlen(cell), 1);
    if (p->first_mask_line < 0) p->first_mask_line = p->lines;
}

static void put_text(picture *p, const char *text, size_t size) {
    put_style(p, false);
    for (size_t i = 0, length; i < size; i += length) {
        int width = md_terminal_width(text + i, size - i, &length);
        if (text[i] == '\n') {
            break_line(p);
            continue;
        }
        md_buffer clean = {0};
        if (md_terminal_line(&clean, text + i, length, &p->error) == MDLM_OK) {
            put_cell(p, clean.data, clean.size, width);
        }
        md_buffer_release(&clean);
    }
}

static void put_ids(picture *p, const int32_t *ids, size_t count) {
    char *text = NULL;
    size_t size = 0;
    if (p->error.status != MDLM_OK) return;
    if (mdlm_detokenize(p->view->model, ids, count, &text, &size, &p->error) != MDLM_OK) return;
    put_text(p, text, size);
    mdlm_text_free(text);
}

static void lay_out(picture *p, const int32_t *ids, int length) {
    for (int i = 0; i < length;) {
        int end = i;
        while (end < length && ids[end] != p->view->mask_id) end++;
        if (end > i) {
            put_ids(p, ids + i, (size_t)(end - i));
        } else {
            put_mask(p);
            end = i + 1;
        }
        i = end;
    }
    break_line(p);
}

/* Start of line `wanted` in the text, or its end. */
static const char *line_start(const picture *p, int wanted) {
    const char *c = p->text.data;
    for (int line = 0; line < wanted; line++) {
        const char *end = strchr(c, '\n');
        if (!end) break;
        c = end + 1;
    }
    return c;
}

static int clamp(int value, int low, int high) {
    return value > high ? high : value < low ? low : value;
}

/* Overwrites the old picture line by line: nothing is blanked first, so nothing flickers. */
static void draw(md_view *view, const picture *p, const mdlm_step *step) {
    int room = view->terminal.rows - 2, last = p->lines > room ? p->lines - room : 0;
    int middle = p->first_mask_line < 0 ? p->lines : p->first_mask_line;
    int first = last > 0 ? clamp(middle - room / 2, 0, last) : 0;
    int count = p->lines < room ? p->lines : room;
    md_buffer frame = {0};
    if (view->lines > 0) (void)md_buffer_printf(&frame, NULL, "\033[%dA\r", view->lines);
    const char *c = line_start(p, first);
    for (int i = 0; i < count; i++) {
        const char *end = strchr(c, '\n');
        if (!end) break;
        (void)md_buffer_printf(&frame, NULL, "%.*s\033[K\n", (int)(end - c), c);
        c = end + 1;
    }
    (void)md_buffer_printf(&frame, NULL, "[step %d/%d, block %d/%d]\033[K\n\033[J", step->step,
                           step->steps, step->block + 1, step->blocks);
    if (frame.data) fwrite(frame.data, 1, frame.size, stderr);
    fflush(stderr);
    view->lines = count + 1;
    md_buffer_release(&frame);
}

md_view md_view_start(const mdlm_model *model, bool shown, bool forced) {
    md_view view = {.model = model, .terminal = md_terminal_of(STDERR_FILENO)};
    view.mask_id = mdlm_info(model).mask_id;
    view.on = forced || (shown && view.terminal.live && md_terminal_of(STDOUT_FILENO).live);
    return view;
}

void md_view_step(md_view *view, const mdlm_step *step) {
    double now = md_now();
    bool early = view->terminal.live && view->lines > 0 && now - view->drawn < redraw;
    if (!view->on || early) return;
    view->drawn = now;
    picture p = {.view = view, .first_mask_line = -1};
    lay_out(&p, step->ids, step->length);
    if (p.error.status == MDLM_OK) draw(view, &p, step);
    md_buffer_release(&p.text);
}

void md_view_clear(md_view *view) {
    if (view->lines > 0) fprintf(stderr, "\033[%dA\r\033[J", view->lines);
    fflush(stderr);
    view->lines = 0;
}
