/* corpora/picture_load.c: which decoder a file is for; see picture.h. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "corpora/picture_internal.h"

static bool begins_with(const void *bytes, size_t size, const char *magic, size_t length) {
    return size >= length && memcmp(bytes, magic, length) == 0;
}

static bool is_png(const void *bytes, size_t size) {
    return begins_with(bytes, size, "\x89PNG\r\n\x1a\n", 8);
}

static bool is_jpeg(const void *bytes, size_t size) {
    return begins_with(bytes, size, "\xff\xd8\xff", 3);
}

bool md_picture_known(const void *bytes, size_t size) {
    return is_png(bytes, size) || is_jpeg(bytes, size);
}

mdlm_status md_picture_check_size(const char *path, uint64_t Y, uint64_t X, mdlm_error *err) {
    if (Y < 1 || X < 1) return md_fail(err, MDLM_INPUT, "'%s' has no pixels", path);
    if (Y <= MD_PICTURE_SIDE && X <= MD_PICTURE_SIDE && Y * X <= MD_PICTURE_PIXELS) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s' has %llu x %llu pixels: the most is %d a side, %d in all",
                   path, (unsigned long long)X, (unsigned long long)Y, MD_PICTURE_SIDE,
                   MD_PICTURE_PIXELS);
}

static mdlm_status decode(const char *path, bool header_only, md_picture *out, mdlm_error *err) {
    char *bytes = NULL;
    size_t size = 0;
    MD_TRY(md_file_read(path, MD_PICTURE_FILE_BYTES, &bytes, &size, err));
    md_encoded file = {.path = path, .bytes = (const unsigned char *)bytes, .size = size};
    md_picture picture = {0};
    mdlm_status status = is_png(bytes, size) ? md_png_decode(&file, header_only, &picture, err)
                         : is_jpeg(bytes, size)
                             ? md_jpeg_decode(&file, header_only, &picture, err)
                             : md_fail(err, MDLM_INPUT, "'%s' is neither a PNG nor a JPEG", path);
    if (status == MDLM_OK)
        *out = picture;
    else
        md_picture_release(&picture);
    md_free(bytes);
    return status;
}

mdlm_status md_picture_load(const char *path, md_picture *out, mdlm_error *err) {
    return decode(path, false, out, err);
}

mdlm_status md_picture_probe(const char *path, md_picture *out, mdlm_error *err) {
    return decode(path, true, out, err);
}
