/* bench/field_plot.h: fields of arrows and clouds of points in the plane, side by side, as SVG.
 *
 *     field_panel panels[] = {{.title = "ring: the score", .dot = x, .dots = 500,
 *                              .arrow = a, .arrows = 200}, ...};
 *     MD_TRY(field_plot_write("score.svg", panels, 6, 3, err));             two rows of three
 *
 * Panels show [-PLANE, PLANE] in both directions, up is up. Transparent, in colours that read on
 * white and on black.
 */
#ifndef BENCH_FIELD_PLOT_H
#define BENCH_FIELD_PLOT_H

#include "base/error.h"

#define FIELD_PLANE 1.2

typedef struct field_arrow {
    double x, y, dx, dy; /* from (x, y) to (x + dx, y + dy) */
} field_arrow;

typedef struct field_panel {
    const char *title;
    const float *dot; /* [dots, 2] */
    int dots;
    const field_arrow *arrow;
    int arrows;
} field_panel;

/* Rows of `columns` panels. Atomic; MDLM_WRITE when the file cannot be written. */
mdlm_status field_plot_write(const char *path, const field_panel *panels, int count, int columns,
                             mdlm_error *err);

#endif
