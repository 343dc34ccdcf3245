/* corpora/picture_grid.c: many images in one picture. */
#include <math.h>
#include <string.h>

#include "corpora/picture.h"

enum { GAP_VALUE = 128, PIXELS_PER_GAP = 32 };

typedef struct layout {
    md_grid grid; /* no open fields */
    int rows, gap;
} layout;

static layout lay_out(int count, md_grid grid) {
    if (grid.scale == 0) grid.scale = 1;
    if (grid.columns == 0) grid.columns = (int)ceil(sqrt(count));
    int shorter = grid.Y < grid.X ? grid.Y : grid.X;
    return (layout){.grid = grid,
                    .rows = (count + grid.columns - 1) / grid.columns,
                    .gap = (1 + shorter / PIXELS_PER_GAP) * grid.scale};
}

static int64_t extent(int count, int size, const layout *l) {
    return (int64_t)count * size * l->grid.scale + (int64_t)(count - 1) * l->gap;
}

/* Bytes [Y, X, C] of one image into its place, every pixel scale x scale times. */
static void place(const uint8_t *image, const layout *l, int index, md_picture *out) {
    const md_grid *g = &l->grid;
    size_t C = (size_t)g->C, width = (size_t)out->X * C;
    int top = index / g->columns * (g->Y * g->scale + l->gap);
    int left = index % g->columns * (g->X * g->scale + l->gap);
    for (int y = 0; y < g->Y * g->scale; y++) {
        const uint8_t *from = image + (size_t)(y / g->scale) * (size_t)g->X * C;
        uint8_t *to = out->pixels + (size_t)(top + y) * width + (size_t)left * C;
        for (int x = 0; x < g->X * g->scale; x++) {
            memcpy(to + (size_t)x * C, from + (size_t)(x / g->scale) * C, C);
        }
    }
}

mdlm_status md_picture_grid_check(int count, md_grid grid, mdlm_error *err) {
    MD_BUG_IF(count < 1 || grid.columns < 0 || grid.scale < 0);
    layout l = lay_out(count, grid);
    int64_t Y = extent(l.rows, grid.Y, &l), X = extent(l.grid.columns, grid.X, &l);
    if (Y <= MD_PICTURE_SIDE && X <= MD_PICTURE_SIDE && Y * X <= MD_PICTURE_PIXELS) return MDLM_OK;
    return md_fail(err, MDLM_USAGE,
                   "a grid of %d images of %d x %d would have %lld x %lld pixels: the most is %d a "
                   "side, %d in all",
                   count, grid.X, grid.Y, (long long)X, (long long)Y, MD_PICTURE_SIDE,
                   MD_PICTURE_PIXELS);
}

mdlm_status md_picture_grid(const float *images, int count, md_grid grid, md_picture *out,
                            mdlm_error *err) {
    MD_TRY(md_picture_grid_check(count, grid, err));
    layout l = lay_out(count, grid);
    int64_t Y = extent(l.rows, grid.Y, &l), X = extent(l.grid.columns, grid.X, &l);
    md_picture picture = {0}, image = {0};
    mdlm_status status = md_picture_init(&image, grid.Y, grid.X, grid.C, err);
    if (status == MDLM_OK) status = md_picture_init(&picture, (int)Y, (int)X, grid.C, err);
    if (status == MDLM_OK) {
        size_t values = (size_t)grid.Y * (size_t)grid.X * (size_t)grid.C;
        memset(picture.pixels, GAP_VALUE, (size_t)Y * (size_t)X * (size_t)grid.C);
        for (int i = 0; i < count; i++) {
            md_pixels_from_floats(images + (size_t)i * values, values, image.pixels);
            place(image.pixels, &l, i, &picture);
        }
        *out = picture;
    }
    md_picture_release(&image);
    return status;
}
