/* cli/image_files.h: images as PNG files: all in one grid, or a file for each.
 *
 *     md_image_files files = {0};
 *     MD_TRY(md_image_files_open(&files, "grid.png", grid, 64, err));     before the work
 *     for (each batch) MD_TRY(md_image_files_add(&files, x, count, err));
 *     status = md_image_files_close(&files, err);                         writes the grid
 *     md_image_files_release(&files);
 *
 * A path that ends with "/", or is a folder, gets a file an image, 000000.png and so on; any other
 * is the grid's. What stands there already is replaced. So that no work is lost, a place that
 * cannot be written to fails at once.
 */
#ifndef MD_CLI_IMAGE_FILES_H
#define MD_CLI_IMAGE_FILES_H

#include "base/file.h"
#include "corpora/picture.h"

typedef struct md_image_files {
    const char *path;
    bool folder;
    md_grid grid;  /* .scale serves single images, too */
    int64_t first; /* number of the first image */
    int64_t count; /* added */
    float *x;      /* [.., Y, X, C] for the grid */
    md_writer *writer;
    md_picture picture; /* the grid, once it is closed; of a folder, nothing */
} md_image_files;

/* Whether this path gets a file an image. */
bool md_image_files_folder(const char *path);
/* At most `most` images will come. MDLM_USAGE when that is too much for one grid, or when its name
 * is that of another format; MDLM_WRITE. */
mdlm_status md_image_files_open(md_image_files *f, const char *path, md_grid grid, int64_t most,
                                mdlm_error *err);
void md_image_files_release(md_image_files *f); /* accepts an empty struct */

/* x [count, Y, X, C] in [-1, 1]. */
mdlm_status md_image_files_add(md_image_files *f, const float *x, int count, mdlm_error *err);
/* Of no image, nothing is written. */
mdlm_status md_image_files_close(md_image_files *f, mdlm_error *err);

/* The file that image `index` goes to, in `out`: the grid, or a name in the folder. */
mdlm_status md_image_files_name(const md_image_files *f, int64_t index, md_buffer *out,
                                mdlm_error *err);

#endif
