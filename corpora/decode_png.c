/* corpora/decode_png.c: PNG by libpng's simplified interface, which hides setjmp and bounds what
 * text and colour chunks may unpack to (8 MB). */
#include "corpora/picture_internal.h"

#ifdef MDLM_HAVE_PNG

#include <png.h>

static mdlm_status fail_png(png_image *image, const md_encoded *file, mdlm_error *err) {
    mdlm_status status =
        md_fail(err, MDLM_INPUT, "'%s' is damaged: %s", file->path, image->message);
    png_image_free(image);
    return status;
}

mdlm_status md_png_decode(const md_encoded *file, bool header_only, md_picture *out,
                          mdlm_error *err) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_memory(&image, file->bytes, file->size)) {
        return fail_png(&image, file, err);
    }
    bool colour = image.format & PNG_FORMAT_FLAG_COLOR,
         alpha = image.format & PNG_FORMAT_FLAG_ALPHA;
    int C = (colour ? 3 : 1) + alpha;
    mdlm_status status = md_picture_check_size(file->path, image.height, image.width, err);
    if (status == MDLM_OK && header_only) {
        *out = (md_picture){.Y = (int)image.height, .X = (int)image.width, .C = C};
    } else if (status == MDLM_OK) {
        /* Without it 16-bit files that do not say otherwise are taken for linear light. */
        image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
        image.format = colour ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
        if (alpha) image.format |= PNG_FORMAT_FLAG_ALPHA;
        status = md_picture_init(out, (int)image.height, (int)image.width, C, err);
        if (status == MDLM_OK && !png_image_finish_read(&image, NULL, out->pixels, 0, NULL)) {
            return fail_png(&image, file, err);
        }
    }
    png_image_free(&image);
    return status;
}

#else

mdlm_status md_png_decode(const md_encoded *file, bool header_only, md_picture *out,
                          mdlm_error *err) {
    (void)header_only, (void)out;
    return md_fail(err, MDLM_INPUT, "cannot read '%s': mdlm was built without libpng", file->path);
}

#endif
