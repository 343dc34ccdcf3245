/* cli/image_files.c: see image_files.h. */
#include "cli/image_files.h"

#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/memory.h"

static size_t image_size(const md_image_files *f) {
    return (size_t)f->grid.Y * (size_t)f->grid.X * (size_t)f->grid.C;
}

bool md_image_files_folder(const char *path) {
    const size_t length = strlen(path);
    return (length > 0 && path[length - 1] == '/') || md_is_dir(path);
}

static mdlm_status open_folder(md_image_files *f, mdlm_error *err) {
    MD_TRY(md_dir_make(f->path, err));
    if (access(f->path, W_OK) == 0) return MDLM_OK;
    return md_fail_errno(err, MDLM_WRITE, "cannot write to '%s'", f->path);
}

/* A grid is a PNG, and a file that is not what its name says helps nobody. */
static mdlm_status check_name(const char *path, mdlm_error *err) {
    static const char *const others[] = {".jpg", ".jpeg", ".gif", ".webp", ".bmp", NULL};
    const char *ending = strrchr(path, '.');
    for (int i = 0; ending && others[i]; i++)
        if (strcasecmp(ending, others[i]) == 0)
            return md_fail(err, MDLM_USAGE,
                           "--out '%s': expected the name of a PNG file or a folder", path);
    return MDLM_OK;
}

mdlm_status md_image_files_open(md_image_files *f, const char *path, md_grid grid, int64_t most,
                                mdlm_error *err) {
    *f = (md_image_files){.path = path, .folder = md_image_files_folder(path), .grid = grid};
    if (f->folder) return open_folder(f, err);
    MD_TRY(check_name(path, err));
    mdlm_error why;
    if (most > INT_MAX || md_picture_grid_check((int)most, grid, &why) != MDLM_OK)
        return md_fail(err, MDLM_USAGE,
                       "%s; a folder, as in --out images/, has room for any number", why.message);
    f->x = md_alloc((size_t)most, image_size(f) * sizeof *f->x, err);
    if (!f->x) return MDLM_RUNTIME;
    return md_writer_open(path, &f->writer, err);
}

void md_image_files_release(md_image_files *f) {
    md_free(f->x);
    md_writer_free(f->writer);
    md_picture_release(&f->picture);
    *f = (md_image_files){0};
}

mdlm_status md_image_files_name(const md_image_files *f, int64_t index, md_buffer *out,
                                mdlm_error *err) {
    if (!f->folder) return md_buffer_text(out, f->path, err);
    const bool slash = f->path[strlen(f->path) - 1] == '/';
    return md_buffer_printf(out, err, "%s%s%06lld.png", f->path, slash ? "" : "/",
                            (long long)index);
}

static mdlm_status save_one(const md_image_files *f, const float *x, int64_t index,
                            mdlm_error *err) {
    md_picture picture = {0};
    md_buffer path = {0};
    mdlm_status status = md_picture_grid(x, 1, f->grid, &picture, err);
    if (status == MDLM_OK) status = md_image_files_name(f, index, &path, err);
    if (status == MDLM_OK) status = md_picture_save(&picture, path.data, err);
    md_buffer_release(&path);
    md_picture_release(&picture);
    return status;
}

mdlm_status md_image_files_add(md_image_files *f, const float *x, int count, mdlm_error *err) {
    const size_t size = image_size(f);
    if (!f->folder) memcpy(f->x + (size_t)f->count * size, x, (size_t)count * size * sizeof *x);
    for (int i = 0; i < count; i++, f->count++)
        if (f->folder) MD_TRY(save_one(f, x + (size_t)i * size, f->first + f->count, err));
    return MDLM_OK;
}

mdlm_status md_image_files_close(md_image_files *f, mdlm_error *err) {
    md_buffer png = {0};
    if (f->folder || f->count == 0) return MDLM_OK;
    mdlm_status status = md_picture_grid(f->x, (int)f->count, f->grid, &f->picture, err);
    if (status == MDLM_OK) status = md_picture_png(&f->picture, &png, err);
    if (status == MDLM_OK) status = md_writer_write(f->writer, png.data, png.size, err);
    if (status == MDLM_OK) status = md_writer_commit(f->writer, err);
    md_buffer_release(&png);
    return status;
}
