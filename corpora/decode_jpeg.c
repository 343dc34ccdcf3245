/* corpora/decode_jpeg.c: JPEG by libjpeg-turbo, whose errors are longjmps: they stay in here.
 *
 * Nothing that must be released is a local variable of the function that calls setjmp: all of it is
 * in the job, which belongs to its caller.
 */
#include "corpora/picture_internal.h"

#ifdef MDLM_HAVE_JPEG

#include <setjmp.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>

/* A progressive file may say little and make the decoder go over all pixels a thousand times. */
enum { MAX_SCANS = 100 };

typedef struct job {
    struct jpeg_error_mgr errors; /* first: the library hands back a pointer to it */
    struct jpeg_progress_mgr progress;
    struct jpeg_decompress_struct decoder;
    jmp_buf fail;
    const md_encoded *file;
    bool header_only;
    md_picture *out;
    mdlm_error *err;
    mdlm_status status;
    uint8_t *row; /* of four inks: [X, 4]; from the library's pool */
} job;

static void on_error(j_common_ptr info) {
    job *j = (job *)info->err;
    char message[JMSG_LENGTH_MAX];
    info->err->format_message(info, message);
    j->status = md_fail(j->err, MDLM_INPUT, "'%s' is damaged: %s", j->file->path, message);
    longjmp(j->fail, 1);
}

/* The library makes up what is missing, in grey: an error here, but for bytes that are too many. */
static void on_message(j_common_ptr info, int level) {
    if (level < 0 && info->err->msg_code != JWRN_EXTRANEOUS_DATA) on_error(info);
}

static void on_progress(j_common_ptr info) {
    job *j = (job *)info->err;
    if (!info->is_decompressor || j->decoder.input_scan_number <= MAX_SCANS) return;
    j->status =
        md_fail(j->err, MDLM_INPUT, "'%s' has more than %d scans", j->file->path, MAX_SCANS);
    longjmp(j->fail, 1);
}

/* Inks to light. Adobe's programs write inks inverted, and mark the file as theirs. */
static void from_inks(const uint8_t *inks, int count, bool inverted, uint8_t *rgb) {
    for (int i = 0; i < count; i++, inks += 4, rgb += 3) {
        unsigned black = inverted ? inks[3] : 255U - inks[3];
        for (int c = 0; c < 3; c++) {
            unsigned light = inverted ? inks[c] : 255U - inks[c];
            rgb[c] = (uint8_t)((light * black + 127) / 255);
        }
    }
}

static void read_rows(job *j) {
    j_decompress_ptr d = &j->decoder;
    bool inks = d->out_color_space == JCS_CMYK;
    if (inks) {
        size_t bytes = (size_t)d->output_width * 4;
        j->row = d->mem->alloc_small((j_common_ptr)d, JPOOL_IMAGE, bytes);
    }
    size_t stride = (size_t)d->output_width * (size_t)j->out->C;
    while (d->output_scanline < d->output_height) {
        uint8_t *to = j->out->pixels + d->output_scanline * stride;
        JSAMPROW row = inks ? j->row : to;
        jpeg_read_scanlines(d, &row, 1);
        if (inks) from_inks(row, (int)d->output_width, d->saw_Adobe_marker, to);
    }
    jpeg_finish_decompress(d);
}

static void decode(job *j) {
    j_decompress_ptr d = &j->decoder;
    if (setjmp(j->fail)) return;
    jpeg_create_decompress(d);
    d->progress = &j->progress;
    jpeg_mem_src(d, j->file->bytes, j->file->size);
    jpeg_read_header(d, TRUE);
    j->status = md_picture_check_size(j->file->path, d->image_height, d->image_width, j->err);
    if (j->status != MDLM_OK) return;
    bool grey = d->jpeg_color_space == JCS_GRAYSCALE, inks = d->num_components == 4;
    d->out_color_space = grey ? JCS_GRAYSCALE : inks ? JCS_CMYK : JCS_RGB;
    d->dct_method = JDCT_ISLOW; /* whole numbers: the same bits on every machine */
    int Y = (int)d->image_height, X = (int)d->image_width, C = grey ? 1 : 3;
    if (j->header_only) {
        *j->out = (md_picture){.Y = Y, .X = X, .C = C};
        return;
    }
    j->status = md_picture_init(j->out, Y, X, C, j->err);
    if (j->status != MDLM_OK) return;
    jpeg_start_decompress(d);
    read_rows(j);
}

mdlm_status md_jpeg_decode(const md_encoded *file, bool header_only, md_picture *out,
                           mdlm_error *err) {
    job j = {.file = file, .header_only = header_only, .out = out, .err = err};
    j.decoder.err = jpeg_std_error(&j.errors);
    j.errors.error_exit = on_error;
    j.errors.emit_message = on_message;
    j.progress.progress_monitor = on_progress;
    decode(&j);
    jpeg_destroy_decompress(&j.decoder);
    return j.status;
}

#else

mdlm_status md_jpeg_decode(const md_encoded *file, bool header_only, md_picture *out,
                           mdlm_error *err) {
    (void)header_only, (void)out;
    return md_fail(err, MDLM_INPUT, "cannot read '%s': mdlm was built without libjpeg", file->path);
}

#endif
