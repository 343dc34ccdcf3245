/* bench/field_plot.c: see field_plot.h. */
#include "bench/field_plot.h"

#include <math.h>

#include "base/buffer.h"
#include "base/file.h"

enum { SIDE = 280, GAP = 16, HEADING = 26 };

/* Grey has a contrast of 4.5 on white and on black, blue and orange 3 and more. */
#define GREY "#767676"
#define BLUE "#3b82f6"
#define ORANGE "#e0660b"

typedef struct place {
    double left, top;
} place;

static double right_of(place at, double x) {
    return at.left + (x + FIELD_PLANE) / (2 * FIELD_PLANE) * SIDE;
}

static double down_of(place at, double y) {
    return at.top + (FIELD_PLANE - y) / (2 * FIELD_PLANE) * SIDE;
}

/* One path: a dot is a line of no length with round ends. */
static mdlm_status write_dots(const field_panel *p, place at, md_buffer *out, mdlm_error *err) {
    MD_TRY(md_buffer_text(out,
                          "<path stroke=\"" BLUE "\" stroke-opacity=\"0.45\" stroke-width=\"3\" "
                          "stroke-linecap=\"round\" d=\"",
                          err));
    for (int i = 0; i < p->dots; i++) {
        const double x = (double)p->dot[2 * i], y = (double)p->dot[2 * i + 1];
        if (!(fabs(x) <= FIELD_PLANE && fabs(y) <= FIELD_PLANE)) continue;
        MD_TRY(md_buffer_printf(out, err, "M%.1f %.1fh0", right_of(at, x), down_of(at, y)));
    }
    return md_buffer_text(out, "\"/>\n", err);
}

/* A shaft, and a head of two strokes. */
static mdlm_status write_arrow(const field_arrow *a, place at, md_buffer *out, mdlm_error *err) {
    const double x = right_of(at, a->x + a->dx), y = down_of(at, a->y + a->dy);
    const double bx = x - right_of(at, a->x), by = y - down_of(at, a->y);
    const double length = hypot(bx, by), head = fmin(4, length / 2);
    if (!(length > 0)) return MDLM_OK;
    const double ux = bx / length * head, uy = by / length * head;
    return md_buffer_printf(out, err, "M%.1f %.1fL%.1f %.1fM%.1f %.1fL%.1f %.1fL%.1f %.1f", x - bx,
                            y - by, x, y, x - ux - uy / 2, y - uy + ux / 2, x, y, x - ux + uy / 2,
                            y - uy - ux / 2);
}

static mdlm_status write_arrows(const field_panel *p, place at, md_buffer *out, mdlm_error *err) {
    MD_TRY(md_buffer_text(
        out, "<path stroke=\"" ORANGE "\" stroke-width=\"1.3\" fill=\"none\" d=\"", err));
    for (int i = 0; i < p->arrows; i++) MD_TRY(write_arrow(&p->arrow[i], at, out, err));
    return md_buffer_text(out, "\"/>\n", err);
}

static mdlm_status write_panel(const field_panel *p, place at, md_buffer *out, mdlm_error *err) {
    MD_TRY(md_buffer_printf(out, err,
                            "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">%s</text>\n"
                            "<rect x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" fill=\"none\" "
                            "stroke=\"" GREY "\" stroke-opacity=\"0.5\"/>\n",
                            at.left + SIDE / 2.0, at.top - 8, p->title, at.left, at.top, SIDE,
                            SIDE));
    if (p->dots > 0) MD_TRY(write_dots(p, at, out, err));
    return p->arrows > 0 ? write_arrows(p, at, out, err) : MDLM_OK;
}

static mdlm_status write_all(const field_panel *panels, int count, int columns, md_buffer *out,
                             mdlm_error *err) {
    const int rows = (count + columns - 1) / columns;
    const int width = columns * (SIDE + GAP) + GAP, height = rows * (SIDE + HEADING + GAP);
    MD_TRY(md_buffer_printf(out, err,
                            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                            "width=\"%d\" height=\"%d\" role=\"img\" font-family=\"sans-serif\" "
                            "font-size=\"14\" fill=\"" GREY "\">\n",
                            width, height, width, height));
    for (int i = 0; i < count; i++) {
        const place at = {.left = GAP + i % columns * (SIDE + GAP),
                          .top = HEADING + i / columns * (SIDE + HEADING + GAP)};
        MD_TRY(write_panel(&panels[i], at, out, err));
    }
    return md_buffer_text(out, "</svg>\n", err);
}

mdlm_status field_plot_write(const char *path, const field_panel *panels, int count, int columns,
                             mdlm_error *err) {
    md_buffer out = {0};
    mdlm_status status = write_all(panels, count, columns, &out, err);
    if (status == MDLM_OK) status = md_file_write(path, out.data, out.size, err);
    md_buffer_release(&out);
    return status;
}
