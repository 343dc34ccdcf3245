/* cli/npy.h: arrays as NumPy reads them: `numpy.load(path)`.
 *
 *     MD_TRY(md_npy_write("logits.npy", logits, rows, columns, err));
 *
 * Version 1.0 of the format (numpy.lib.format): the magic, a header of 64-byte multiples, then the
 * numbers, little-endian float32 in C order.
 */
#ifndef MD_CLI_NPY_H
#define MD_CLI_NPY_H

#include "base/error.h"

/* data [rows, columns]. Atomic. MDLM_WRITE when the file cannot be written. */
mdlm_status md_npy_write(const char *path, const float *data, size_t rows, size_t columns,
                         mdlm_error *err);

#endif
