/* cli/film.c: see film.h. */
#include "cli/film.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { MILLISECONDS = 120, HOLD = 2000 }; /* of a moment, and of the last */

struct md_film {
    const char *folder;
    md_grid grid;
    int samples, rows;
    size_t size;                         /* numbers of an image */
    float *x;                            /* [samples, size] the moment at hand */
    float *strip;                        /* [MOMENTS, rows, size] */
    md_picture picture[MD_FILM_MOMENTS]; /* [moments] */
    int moments;
};

/* Of the images at every moment, and of some over all of them. */
mdlm_status md_film_check(md_grid grid, int samples, int steps, mdlm_error *err) {
    mdlm_error why;
    const int moments = steps < MD_FILM_MOMENTS ? steps : MD_FILM_MOMENTS;
    const int rows = samples < MD_FILM_ROWS ? samples : MD_FILM_ROWS;
    mdlm_status status = md_picture_grid_check(samples, grid, &why);
    grid.columns = moments;
    if (status == MDLM_OK) status = md_picture_grid_check(rows * moments, grid, &why);
    return status == MDLM_OK ? MDLM_OK : md_fail(err, status, "--frames: %s", why.message);
}

mdlm_status md_film_open(const char *folder, md_grid grid, int samples, md_film **out,
                         mdlm_error *err) {
    md_film *f = md_alloc(1, sizeof *f, err);
    if (!f) return MDLM_RUNTIME;
    f->folder = folder;
    f->grid = grid;
    f->samples = samples;
    f->rows = samples < MD_FILM_ROWS ? samples : MD_FILM_ROWS;
    f->size = (size_t)grid.Y * (size_t)grid.X * (size_t)grid.C;
    f->x = md_alloc((size_t)samples, f->size * sizeof *f->x, err);
    f->strip = md_alloc((size_t)(MD_FILM_MOMENTS * f->rows), f->size * sizeof *f->strip, err);
    mdlm_status status = f->x && f->strip ? md_dir_make(folder, err) : MDLM_RUNTIME;
    if (status == MDLM_OK) {
        *out = f;
    } else {
        md_film_free(f);
    }
    return status;
}

void md_film_free(md_film *f) {
    if (!f) return;
    for (int i = 0; i < f->moments; i++) md_picture_release(&f->picture[i]);
    md_free(f->x);
    md_free(f->strip);
    md_free(f);
}

static mdlm_status save(const md_film *f, const md_picture *picture, const char *name,
                        mdlm_error *err) {
    char *path = md_path_join(f->folder, name, err);
    mdlm_status status = path ? md_picture_save(picture, path, err) : MDLM_RUNTIME;
    md_free(path);
    return status;
}

/* Whether this step ends one of the equal parts that the run is cut into. */
static bool is_moment(const md_image_step *s) {
    const int parts = s->steps < MD_FILM_MOMENTS ? s->steps : MD_FILM_MOMENTS;
    return (int64_t)s->step * parts / s->steps > (int64_t)(s->step - 1) * parts / s->steps;
}

mdlm_status md_film_look(md_film *f, const md_image_step *s, mdlm_error *err) {
    char name[32];
    if (!is_moment(s)) return MDLM_OK;
    MD_BUG_IF(f->moments == MD_FILM_MOMENTS || s->samples != f->samples);
    /* noise of ve is far outside of [-1, 1] */
    const double spread = hypot(s->level.signal, s->level.noise);
    const float scale = (float)(1 / fmax(spread, 1));
    for (size_t i = 0; i < (size_t)f->samples * f->size; i++) f->x[i] = scale * s->x[i];
    memcpy(f->strip + (size_t)(f->moments * f->rows) * f->size, f->x,
           (size_t)f->rows * f->size * sizeof *f->x);
    MD_TRY(md_picture_grid(f->x, f->samples, f->grid, &f->picture[f->moments], err));
    f->moments++;
    snprintf(name, sizeof name, "step-%04d.png", s->step);
    return save(f, &f->picture[f->moments - 1], name, err);
}

/* [moments, rows] to [rows, moments]. */
static mdlm_status save_strip(const md_film *f, mdlm_error *err) {
    md_grid grid = f->grid;
    md_picture picture = {0};
    float *turned = md_alloc((size_t)(f->moments * f->rows), f->size * sizeof *turned, err);
    if (!turned) return MDLM_RUNTIME;
    for (int m = 0; m < f->moments; m++)
        for (int r = 0; r < f->rows; r++)
            memcpy(turned + (size_t)(r * f->moments + m) * f->size,
                   f->strip + (size_t)(m * f->rows + r) * f->size, f->size * sizeof *turned);
    grid.columns = f->moments;
    mdlm_status status = md_picture_grid(turned, f->rows * f->moments, grid, &picture, err);
    if (status == MDLM_OK) status = save(f, &picture, "strip.png", err);
    md_picture_release(&picture);
    md_free(turned);
    return status;
}

mdlm_status md_film_save(const md_film *f, mdlm_error *err) {
    if (f->moments == 0) return MDLM_OK;
    char *path = md_path_join(f->folder, "film.png", err);
    if (!path) return MDLM_RUNTIME;
    mdlm_status status =
        md_picture_save_animation(f->picture, f->moments, MILLISECONDS, HOLD, path, err);
    md_free(path);
    return status == MDLM_OK ? save_strip(f, err) : status;
}
