/* train/plot.h: the picture of a training: losses over steps, as SVG.
 *
 *     md_plot plot = {.unit = "nats per byte", .train = t, .train_count = 900,
 *                     .val = v, .val_count = 12};
 *     MD_TRY(md_plot_write("mdlm-run/loss.svg", &plot, err));
 *
 * 800 x 500 units, transparent, in colours that read on white and on black, generic fonts. Any
 * number of points, in order of steps, none included; those whose value is not finite are left out.
 */
#ifndef MD_TRAIN_PLOT_H
#define MD_TRAIN_PLOT_H

#include "base/error.h"

typedef struct md_plot_point {
    double step, value;
} md_plot_point;

typedef struct md_plot {
    const char *unit;           /* label of the vertical axis */
    const md_plot_point *train; /* drawn as a line, averaged down to at most 1000 points */
    size_t train_count;
    const md_plot_point *val; /* drawn as points on a line, the lowest marked */
    size_t val_count;
} md_plot;

/* Atomic. MDLM_WRITE when the file cannot be written. */
mdlm_status md_plot_write(const char *path, const md_plot *plot, mdlm_error *err);

#endif
