/* cli/corpus_shapes.h: the shapes of corpora/shapes.h as a folder of PNG files.
 *
 *     DIR/circle/000017.png ...      a folder for every class, files by number of the image
 *     DIR/captions.jsonl             {"file_name": "circle/000017.png", "text": "a small red ...",
 *                                     "shape", "colour", "size", "position"}, in their order
 *
 * The folder appears whole or not at all.
 */
#ifndef MD_CLI_CORPUS_SHAPES_H
#define MD_CLI_CORPUS_SHAPES_H

#include <stdint.h>

#include "base/error.h"

typedef struct md_shapes_folder {
    const char *folder; /* must be absent or empty: MDLM_USAGE */
    uint64_t seed;
    int64_t first, count;
    int image_size;
    bool quiet; /* no bar */
} md_shapes_folder;

/* MDLM_CANCELLED on a signal. */
mdlm_status md_shapes_export(const md_shapes_folder *what, mdlm_error *err);
/* The first images (64 at most) as a grid in the terminal, if that can show pictures. */
mdlm_status md_shapes_show(const md_shapes_folder *what, bool *shown, mdlm_error *err);

#endif
