/* train/plot.c: see plot.h. */
#include "train/plot.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/file.h"
#include "base/memory.h"

enum { WIDTH = 800, HEIGHT = 500, LEFT = 78, RIGHT = 780, TOP = 46, BOTTOM = 440 };
enum { LINE_POINTS = 1000, X_TICKS = 8, Y_TICKS = 7, DOTS = 200 };

/* Grey has a contrast of 4.5 on white and on black; the lines have 3 and more on both. */
#define GREY "#767676"
#define BLUE "#3b82f6"
#define ORANGE "#e0660b"

static const double LARGEST = 1e12;        /* losses beyond are not drawn */
static const double SMALLEST_RANGE = 1e-6; /* of the vertical axis, relative to its values */
static const double EARLY = 0.05;          /* share of the steps that may leave the picture */
static const double FLATTENED = 2;         /* ... when they stretch the range by this and more */

/* An axis from `low` to `high`, both multiples of `tick`, onto pixels. */
typedef struct axis {
    double low, high, tick;
    double from, to;
} axis;

typedef struct drawing {
    const md_plot *plot;
    axis x, y;
    md_plot_point *line; /* the training's points, averaged */
    size_t line_count;
    const md_plot_point *best; /* NULL when there is none */
    md_buffer out;
} drawing;

static bool is_drawable(const md_plot_point *p) {
    return isfinite(p->value) && fabs(p->value) < LARGEST && isfinite(p->step);
}

/* --- ranges ----------------------------------------------------------------------------------- */

/* The smallest of 1, 2, 5 x 10^n that cuts `range` into at most `ticks` parts. */
static double round_tick(double range, int ticks) {
    const double wanted = range / ticks, power = pow(10, floor(log10(wanted)));
    const double factors[] = {1, 2, 5};
    for (int i = 0; i < 3; i++) {
        if (factors[i] * power >= wanted * (1 - 1e-9)) return factors[i] * power;
    }
    return 10 * power;
}

static axis make_axis(double low, double high, int ticks) {
    const double tick = round_tick(high - low, ticks);
    return (axis){.low = floor(low / tick + 1e-9) * tick,
                  .high = ceil(high / tick - 1e-9) * tick,
                  .tick = tick};
}

static double place(const axis *a, double value) {
    return a->from + (value - a->low) / (a->high - a->low) * (a->to - a->from);
}

typedef struct range {
    double low, high; /* low > high: empty */
} range;

static const range nothing = {.low = DBL_MAX, .high = -DBL_MAX};

static void widen(range *r, double value) {
    r->low = fmin(r->low, value);
    r->high = fmax(r->high, value);
}

/* Values from step `from` on. */
static void widen_all(range *r, const md_plot_point *points, size_t count, double from) {
    for (size_t i = 0; i < count; i++) {
        if (is_drawable(&points[i]) && points[i].step >= from) widen(r, points[i].value);
    }
}

/* The first steps start high; left in, they press all that matters into the lowest tenth. */
static range value_range(const drawing *d, double last_step) {
    const md_plot *p = d->plot;
    range all = nothing, late = nothing;
    widen_all(&all, d->line, d->line_count, 0);
    widen_all(&all, p->val, p->val_count, 0);
    widen_all(&late, d->line, d->line_count, EARLY * last_step);
    widen_all(&late, p->val, p->val_count, EARLY * last_step);
    if (d->best) widen(&late, d->best->value);
    if (all.low > all.high) return (range){0, 1};
    const bool flattened = all.high - all.low > FLATTENED * (late.high - late.low);
    range r = late.high > late.low && flattened ? late : all;
    const double smallest = SMALLEST_RANGE * fmax(1, fmax(fabs(r.low), fabs(r.high)));
    if (r.high - r.low < smallest) {
        const double middle = (r.low + r.high) / 2, half = fmax(0.05 * fabs(middle), 0.05);
        r = (range){middle - half, middle + half};
    }
    return r;
}

static void choose_axes(drawing *d) {
    const md_plot *p = d->plot;
    double last = 0;
    for (size_t i = 0; i < d->line_count; i++) last = fmax(last, d->line[i].step);
    for (size_t i = 0; i < p->val_count; i++) {
        if (is_drawable(&p->val[i])) last = fmax(last, p->val[i].step);
    }
    const range r = value_range(d, last);
    d->x = make_axis(0, fmax(last, X_TICKS), X_TICKS); /* ticks are whole steps */
    d->x.high = fmax(last, 1);                         /* the line ends at the edge */
    d->x.from = LEFT, d->x.to = RIGHT;
    d->y = make_axis(r.low, r.high, Y_TICKS);
    d->y.from = BOTTOM, d->y.to = TOP;
}

/* --- points ----------------------------------------------------------------------------------- */

/* Averages runs of drawable points, so that no spike is lost and none stands for its neighbours. */
static mdlm_status average_line(drawing *d, mdlm_error *err) {
    const md_plot *p = d->plot;
    size_t drawable = 0, run = 0;
    for (size_t i = 0; i < p->train_count; i++) drawable += is_drawable(&p->train[i]);
    const size_t length = (drawable + LINE_POINTS - 1) / LINE_POINTS;
    if (!(d->line = md_alloc(LINE_POINTS, sizeof *d->line, err))) return MDLM_RUNTIME;
    for (size_t i = 0; i < p->train_count; i++) {
        if (!is_drawable(&p->train[i])) continue;
        if (run == 0) d->line[d->line_count++] = (md_plot_point){0};
        md_plot_point *mean = &d->line[d->line_count - 1];
        run++;
        mean->step += (p->train[i].step - mean->step) / (double)run;
        mean->value += (p->train[i].value - mean->value) / (double)run;
        if (run == length) run = 0;
    }
    return MDLM_OK;
}

static void find_best(drawing *d) {
    for (size_t i = 0; i < d->plot->val_count; i++) {
        const md_plot_point *p = &d->plot->val[i];
        if (is_drawable(p) && (!d->best || p->value < d->best->value)) d->best = p;
    }
}

/* --- drawing ---------------------------------------------------------------------------------- */

static mdlm_status draw_escaped(drawing *d, const char *text, mdlm_error *err) {
    for (; *text; text++) {
        const char *entity = *text == '&'   ? "&amp;"
                             : *text == '<' ? "&lt;"
                             : *text == '>' ? "&gt;"
                                            : NULL;
        const bool control = (unsigned char)*text < ' '; /* XML has no spelling for these */
        if (entity)
            MD_TRY(md_buffer_text(&d->out, entity, err));
        else
            MD_TRY(md_buffer_append(&d->out, control ? " " : text, 1, err));
    }
    return MDLM_OK;
}

static mdlm_status draw_frame(drawing *d, mdlm_error *err) {
    MD_TRY(md_buffer_printf(
        &d->out, err,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" "
        "height=\"%d\" role=\"img\" font-family=\"sans-serif\" font-size=\"14\" fill=\"" GREY
        "\">\n<title>training and validation loss</title>\n"
        "<clipPath id=\"area\"><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/></clipPath>\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT, LEFT - 6, TOP - 6, RIGHT - LEFT + 12, BOTTOM - TOP + 12));
    MD_TRY(md_buffer_printf(&d->out, err,
                            "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">step"
                            "</text>\n<text transform=\"translate(20 %d) rotate(-90)\" "
                            "text-anchor=\"middle\">",
                            (LEFT + RIGHT) / 2, BOTTOM + 46, (TOP + BOTTOM) / 2));
    MD_TRY(draw_escaped(d, d->plot->unit, err));
    return md_buffer_text(&d->out, "</text>\n", err);
}

/* "20k": thousands and millions of steps when every tick is a multiple of their tenth. */
static mdlm_status draw_x_ticks(drawing *d, mdlm_error *err) {
    const axis *a = &d->x;
    const bool millions = a->tick >= 1e5, thousands = !millions && a->tick >= 1e3;
    const double unit = millions ? 1e6 : thousands ? 1e3 : 1;
    for (int i = 0; a->low + i * a->tick <= a->high; i++) {
        const double value = i * a->tick, x = place(a, value);
        const char *suffix = value > 0 && millions ? "M" : value > 0 && thousands ? "k" : "";
        MD_TRY(md_buffer_printf(&d->out, err,
                                "<path d=\"M%.1f,%dV%d\" stroke=\"" GREY "\"/>\n"
                                "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g%s</text>\n",
                                x, BOTTOM, BOTTOM + 6, x, BOTTOM + 23, value / unit, suffix));
    }
    return MDLM_OK;
}

static mdlm_status draw_y_ticks(drawing *d, mdlm_error *err) {
    const axis *a = &d->y;
    const int decimals = (int)fmax(0, -floor(log10(a->tick) + 1e-9));
    const int count = (int)lround((a->high - a->low) / a->tick);
    for (int i = 0; i <= count; i++) {
        /* A whole multiple: sums of ticks would end in "-0.0". */
        const double value = (floor(a->low / a->tick + 0.5) + i) * a->tick, y = place(a, value);
        MD_TRY(md_buffer_printf(
            &d->out, err,
            "<path d=\"M%d,%.1fH%d\" stroke=\"" GREY "\" stroke-opacity=\"%s\"/>\n"
            "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.*f</text>\n",
            LEFT, y, RIGHT, i == 0 ? "1" : "0.25", LEFT - 8, y + 5, decimals, value));
    }
    return MDLM_OK;
}

/* Points far outside are kept near the picture: some viewers draw in single precision. */
static double clamp_y(double y) {
    return fmin(fmax(y, -10.0 * HEIGHT), 10.0 * HEIGHT);
}

static mdlm_status draw_line(drawing *d, const md_plot_point *points, size_t count,
                             const char *style, mdlm_error *err) {
    size_t drawn = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_drawable(&points[i])) continue;
        MD_TRY(md_buffer_printf(
            &d->out, err, "%s%.1f,%.1f", drawn++ ? "L" : "<path clip-path=\"url(#area)\" d=\"M",
            place(&d->x, points[i].step), clamp_y(place(&d->y, points[i].value))));
    }
    if (drawn == 0) return MDLM_OK;
    /* h0: round caps make a single point visible. */
    return md_buffer_printf(&d->out, err,
                            "%s\" fill=\"none\" stroke-linejoin=\"round\" "
                            "stroke-linecap=\"round\" %s/>\n",
                            drawn == 1 ? "h0" : "", style);
}

static mdlm_status draw_dots(drawing *d, mdlm_error *err) {
    const md_plot *p = d->plot;
    const char *radius = p->val_count > DOTS ? "1.5" : "3.5"; /* many: do not hide the line */
    for (size_t i = 0; i < p->val_count; i++) {
        if (!is_drawable(&p->val[i])) continue;
        const double y = place(&d->y, p->val[i].value);
        if (y < TOP - 1 || y > BOTTOM + 1) continue;
        MD_TRY(md_buffer_printf(&d->out, err,
                                "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"%s\" fill=\"" ORANGE "\"/>\n",
                                place(&d->x, p->val[i].step), y, radius));
    }
    if (!d->best) return MDLM_OK;
    return md_buffer_printf(&d->out, err,
                            "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"8\" fill=\"none\" stroke=\"" ORANGE
                            "\" stroke-width=\"2\"/>\n",
                            place(&d->x, d->best->step), place(&d->y, d->best->value));
}

static mdlm_status draw_legend(drawing *d, mdlm_error *err) {
    if (d->line_count == 0 && !d->best) {
        return md_buffer_printf(&d->out, err,
                                "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">nothing measured "
                                "yet</text>\n",
                                (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2);
    }
    MD_TRY(md_buffer_printf(&d->out, err,
                            "<path d=\"M%d,22h26\" stroke=\"" BLUE "\" stroke-width=\"2\"/>\n"
                            "<text x=\"%d\" y=\"27\">training, smoothed</text>\n"
                            "<path d=\"M%d,22h26\" stroke=\"" ORANGE "\" stroke-width=\"2\"/>\n"
                            "<circle cx=\"%d\" cy=\"22\" r=\"3.5\" fill=\"" ORANGE "\"/>\n"
                            "<text x=\"%d\" y=\"27\">validation",
                            LEFT, LEFT + 34, LEFT + 190, LEFT + 203, LEFT + 224));
    if (d->best) {
        MD_TRY(md_buffer_printf(&d->out, err, ", best %.4g at step %.0f", d->best->value,
                                d->best->step));
    }
    return md_buffer_text(&d->out, "</text>\n", err);
}

mdlm_status md_plot_write(const char *path, const md_plot *plot, mdlm_error *err) {
    drawing d = {.plot = plot};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, average_line(&d, err));
    find_best(&d);
    choose_axes(&d);
    MD_GOTO(done, status, draw_frame(&d, err));
    MD_GOTO(done, status, draw_x_ticks(&d, err));
    MD_GOTO(done, status, draw_y_ticks(&d, err));
    MD_GOTO(done, status,
            draw_line(&d, d.line, d.line_count, "stroke=\"" BLUE "\" stroke-width=\"2\"", err));
    MD_GOTO(
        done, status,
        draw_line(&d, plot->val, plot->val_count, "stroke=\"" ORANGE "\" stroke-width=\"2\"", err));
    MD_GOTO(done, status, draw_dots(&d, err));
    MD_GOTO(done, status, draw_legend(&d, err));
    MD_GOTO(done, status, md_buffer_text(&d.out, "</svg>\n", err));
    status = md_file_write(path, d.out.data, d.out.size, err);
done:
    md_free(d.line);
    md_buffer_release(&d.out);
    return status;
}
