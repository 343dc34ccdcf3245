/* corpora/picture_internal.h: what the files that read and write pictures share.
 *
 *     picture.c       memory, channels, a model's numbers
 *     picture_fit.c   sizes
 *     picture_grid.c  many images in one picture
 *     picture_load.c  files -> bytes -> the decoder that knows them
 *     decode_png.c    PNG, by libpng
 *     decode_jpeg.c   JPEG, by libjpeg-turbo
 *     encode_png.c    PNG and animated PNG, by zlib alone
 */
#ifndef MD_CORPORA_PICTURE_INTERNAL_H
#define MD_CORPORA_PICTURE_INTERNAL_H

#include "corpora/picture.h"

/* A file in memory. */
typedef struct md_encoded {
    const char *path; /* for messages */
    const unsigned char *bytes;
    size_t size;
} md_encoded;

/* Fill Y, X and C of `out`, which must be empty, and its pixels unless only the header is wanted.
 * What they leave in it on failure is for the caller to release. */
mdlm_status md_png_decode(const md_encoded *file, bool header_only, md_picture *out,
                          mdlm_error *err);
mdlm_status md_jpeg_decode(const md_encoded *file, bool header_only, md_picture *out,
                           mdlm_error *err);

/* MDLM_INPUT for a header that promises more pixels than MD_PICTURE_SIDE and MD_PICTURE_PIXELS. */
mdlm_status md_picture_check_size(const char *path, uint64_t Y, uint64_t X, mdlm_error *err);

#endif
