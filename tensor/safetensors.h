/* tensor/safetensors.h: the safetensors file format, read and written strictly.
 *
 * Reading:
 *     md_safetensors *file = NULL;
 *     MD_TRY(md_safetensors_open("model.safetensors", &file, err));     maps the file
 *     const md_st_entry *e = md_safetensors_find(file, "lm_head.weight");
 *     MD_TRY(md_safetensors_read(file, e, values, err));                converts to float
 *     md_safetensors_close(file);
 * Writing:
 *     md_st_source list[] = {{"a", MD_ST_F32, 2, {3, 4}, values}};
 *     MD_TRY(md_safetensors_write("a.safetensors", list, 1, metadata, err));   atomic
 *
 * Format: u64 little-endian N <= 100,000,000; N bytes of JSON; data. Refused, each with its own
 * message (MDLM_INPUT): a file under 8 bytes, N past the end, malformed JSON, unknown dtype,
 * negative or fractional offsets, overlaps, holes, trailing bytes, shape x dtype != span, duplicate
 * names, a header that is not UTF-8 or has control characters (a NUL would make two names one),
 * more dimensions than MD_ST_MAX_RANK. Leading white space of the header is accepted. The writer
 * pads the header with spaces to a multiple of 8 and orders tensors by element size (descending),
 * then name.
 */
#ifndef MD_TENSOR_SAFETENSORS_H
#define MD_TENSOR_SAFETENSORS_H

#include "base/file.h"
#include "base/json.h"
#include "tensor/params.h"
#include "tensor/storage.h"

typedef enum md_st_dtype {
    MD_ST_F64,
    MD_ST_F32,
    MD_ST_F16,
    MD_ST_BF16,
    MD_ST_I64,
    MD_ST_I32,
    MD_ST_I16,
    MD_ST_I8,
    MD_ST_U8,
    MD_ST_BOOL,
} md_st_dtype;
size_t md_st_dtype_size(md_st_dtype dtype);
const char *md_st_dtype_name(md_st_dtype dtype); /* "F32" */
const md_storage *md_st_dtype_storage(md_st_dtype dtype);

enum { MD_ST_MAX_RANK = 8 };

typedef struct md_st_entry {
    const char *name; /* owned by the file */
    md_st_dtype dtype;
    int rank;
    int64_t dim[MD_ST_MAX_RANK];
    int64_t count;    /* elements */
    const void *data; /* in the mapping, at any alignment */
} md_st_entry;

typedef struct md_safetensors md_safetensors;
mdlm_status md_safetensors_open(const char *path, md_safetensors **out, mdlm_error *err);
void md_safetensors_close(md_safetensors *file); /* accepts NULL */
int md_safetensors_count(const md_safetensors *file);
const md_st_entry *md_safetensors_entry(const md_safetensors *file, int i); /* sorted by name */
/* NULL when there is none. */
const md_st_entry *md_safetensors_find(const md_safetensors *file, const char *name);
/* "__metadata__" or NULL; owned by the file. */
const cJSON *md_safetensors_metadata(const md_safetensors *file);

/* Converts an entry of a float dtype to md_real, out [count]. MDLM_INPUT for other dtypes. Reading
 * a file entry by entry takes the memory of one. */
mdlm_status md_safetensors_read(const md_safetensors *file, const md_st_entry *entry, md_real *out,
                                mdlm_error *err);

typedef struct md_st_source {
    const char *name;
    md_st_dtype dtype;
    int rank;
    int64_t dim[MD_ST_MAX_RANK];
    const void *data; /* may be NULL when there are no elements */
} md_st_source;
/* `metadata`: an object of strings, or NULL. MDLM_USAGE when two tensors share a name. */
mdlm_status md_safetensors_write(const char *path, const md_st_source *list, int count,
                                 const cJSON *metadata, mdlm_error *err);
/* The same for data that are not in memory: `fill` is asked for each tensor in the order of the
 * file, and writes exactly the bytes that its type and shape ask for. */
typedef struct md_st_filler {
    mdlm_status (*fill)(void *context, const md_st_source *source, md_writer *file,
                        mdlm_error *err);
    void *context;
} md_st_filler;
mdlm_status md_safetensors_write_filled(const char *path, const md_st_source *list, int count,
                                        const cJSON *metadata, const md_st_filler *filler,
                                        mdlm_error *err);
/* All parameters as F32, marked {"format": "pt"} as PyTorch's loaders want, with values from an
 * array as long as the slab. */
mdlm_status md_safetensors_write_params(const char *path, const md_params *params,
                                        const char *prefix, const md_real *values, mdlm_error *err);
/* The same in MD_ST_F32 or MD_ST_BF16 (to the nearest, ties to even). */
mdlm_status md_safetensors_write_params_as(const char *path, const md_params *params,
                                           const char *prefix, const md_real *values,
                                           md_st_dtype dtype, mdlm_error *err);

#endif
