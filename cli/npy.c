/* cli/npy.c: see npy.h. */
#include "cli/npy.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "numbers are written as they are"
#endif

enum { HEADER = 128, PREFIX = 10 }; /* 64 would be too small for the largest shapes */

mdlm_status md_npy_write(const char *path, const float *data, size_t rows, size_t columns,
                         mdlm_error *err) {
    char header[HEADER];
    memset(header, ' ', HEADER);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = HEADER - PREFIX;
    header[9] = 0;
    int used =
        snprintf(header + PREFIX, HEADER - PREFIX,
                 "{'descr': '<f4', 'fortran_order': False, 'shape': (%zu, %zu), }", rows, columns);
    header[PREFIX + used] = ' '; /* snprintf ended the text there */
    header[HEADER - 1] = '\n';
    md_writer *w = NULL;
    mdlm_status status = md_writer_open(path, &w, err);
    if (status == MDLM_OK) status = md_writer_write(w, header, HEADER, err);
    if (status == MDLM_OK) status = md_writer_write(w, data, rows * columns * sizeof *data, err);
    if (status == MDLM_OK) status = md_writer_commit(w, err);
    md_writer_free(w);
    return status;
}
