/* cli/corpus_shapes.c: see corpus_shapes.h. */
#include "cli/corpus_shapes.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/eta.h"
#include "cli/output.h"
#include "cli/preview.h"
#include "cli/signals.h"
#include "corpora/shapes.h"

enum { SHOWN = 64 };

static mdlm_status check_absent_or_empty(const char *folder, mdlm_error *err) {
    if (!md_file_exists(folder)) return MDLM_OK;
    md_names names = {0};
    MD_TRY(md_dir_list(folder, &names, err));
    bool empty = names.count == 0;
    md_names_release(&names);
    if (empty) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "folder '%s' is not empty: choose another --out", folder);
}

/* "DIR/" -> "DIR.new-PID", beside it. Caller frees. */
static char *staging_for(const char *folder, mdlm_error *err) {
    size_t size = strlen(folder);
    while (size > 1 && folder[size - 1] == '/') size--;
    md_buffer path = {0};
    mdlm_status status = md_buffer_append(&path, folder, size, err);
    if (status == MDLM_OK) status = md_buffer_printf(&path, err, ".new-%ld", (long)getpid());
    if (status != MDLM_OK) md_buffer_release(&path);
    return status == MDLM_OK ? md_buffer_take(&path) : NULL;
}

static mdlm_status write_caption(md_writer *file, const char *name, const md_shape *shape,
                                 mdlm_error *err) {
    md_buffer caption = {0};
    md_json_line line;
    MD_TRY(md_shape_caption(shape, &caption, err));
    md_json_begin(&line);
    md_json_put_string(&line, "file_name", name);
    md_json_put_text(&line, "text", caption.data, caption.size);
    md_json_put_string(&line, "shape", md_shape_kinds[shape->kind]);
    md_json_put_string(&line, "colour", md_shape_colours[shape->colour]);
    md_json_put_string(&line, "size", md_shape_sizes[shape->size]);
    md_json_put_string(&line, "position", md_shape_places[shape->place]);
    md_buffer_release(&caption);
    return md_json_end_in(&line, file, err);
}

static mdlm_status write_one(const md_shapes_folder *what, int64_t i, const char *folder,
                             md_picture *picture, md_writer *captions, mdlm_error *err) {
    md_buffer png = {0};
    md_shape shape = md_shape_of(what->seed, i);
    char name[64];
    snprintf(name, sizeof name, "%s/%06lld.png", md_shape_kinds[shape.kind], (long long)i);
    char *path = md_path_join(folder, name, err);
    if (!path) return MDLM_RUNTIME;
    md_shape_draw(&shape, what->image_size, 3, picture->pixels);
    mdlm_status status = md_picture_png(picture, &png, err);
    if (status == MDLM_OK) status = md_file_write_quickly(path, png.data, png.size, err);
    if (status == MDLM_OK) status = write_caption(captions, name, &shape, err);
    md_buffer_release(&png);
    md_free(path);
    return status;
}

static mdlm_status write_all(const md_shapes_folder *what, const char *folder, md_writer *captions,
                             mdlm_error *err) {
    md_picture picture = {0};
    MD_TRY(md_picture_init(&picture, what->image_size, what->image_size, 3, err));
    md_eta eta = md_eta_start(what->quiet);
    md_eta_begin(&eta, "drawing");
    mdlm_status status = MDLM_OK;
    for (int64_t i = 0; status == MDLM_OK && i < what->count; i++) {
        status = write_one(what, what->first + i, folder, &picture, captions, err);
        if (status == MDLM_OK && md_eta_update(&eta, i + 1, what->count)) {
            status = md_fail(err, MDLM_CANCELLED, "interrupted: '%s' is not written", what->folder);
        }
    }
    md_eta_clear(&eta);
    md_picture_release(&picture);
    return status;
}

static mdlm_status fill(const md_shapes_folder *what, const char *folder, mdlm_error *err) {
    for (int k = 0; k < MD_SHAPE_KINDS; k++) {
        char *class = md_path_join(folder, md_shape_kinds[k], err);
        mdlm_status status = class ? md_dir_make(class, err) : MDLM_RUNTIME;
        md_free(class);
        if (status != MDLM_OK) return status;
    }
    char *path = md_path_join(folder, "captions.jsonl", err);
    md_writer *captions = NULL;
    mdlm_status status = path ? md_writer_open(path, &captions, err) : MDLM_RUNTIME;
    if (status == MDLM_OK) status = write_all(what, folder, captions, err);
    if (status == MDLM_OK) status = md_writer_commit(captions, err);
    md_writer_free(captions);
    md_free(path);
    return status;
}

mdlm_status md_shapes_export(const md_shapes_folder *what, mdlm_error *err) {
    MD_TRY(check_absent_or_empty(what->folder, err));
    char *staging = staging_for(what->folder, err);
    if (!staging) return MDLM_RUNTIME;
    md_cli_signals_catch();
    mdlm_status status = fill(what, staging, err);
    if (status == MDLM_OK && rename(staging, what->folder) != 0) {
        status = md_fail_errno(err, MDLM_WRITE, "cannot make folder '%s'", what->folder);
    }
    if (status != MDLM_OK) md_dir_remove(staging, NULL);
    md_free(staging);
    return status;
}

mdlm_status md_shapes_show(const md_shapes_folder *what, bool *shown, mdlm_error *err) {
    int side = what->image_size, count = what->count < SHOWN ? (int)what->count : SHOWN;
    size_t values = (size_t)side * (size_t)side * 3;
    float *images = md_alloc((size_t)count, values * sizeof *images, err);
    uint8_t *bytes = images ? md_alloc(values, 1, err) : NULL;
    md_picture grid = {0};
    mdlm_status status = bytes ? MDLM_OK : MDLM_RUNTIME;
    for (int i = 0; status == MDLM_OK && i < count; i++) {
        md_shape shape = md_shape_of(what->seed, what->first + i);
        md_shape_draw(&shape, side, 3, bytes);
        md_pixels_to_floats(bytes, values, images + (size_t)i * values);
    }
    if (status == MDLM_OK) {
        const md_grid layout = {.Y = side, .X = side, .C = 3};
        status = md_picture_grid(images, count, layout, &grid, err);
    }
    if (status == MDLM_OK) status = md_preview_show(&grid, shown, err);
    md_picture_release(&grid);
    md_free(bytes);
    md_free(images);
    return status;
}
