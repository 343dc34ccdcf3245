/* tensor/weights.h: the tensors of a model's files by name, whatever holds them.
 *
 *     md_weights *weights = NULL;
 *     MD_TRY(md_weights_open("LLaDA-8B", &weights, err));          maps the files
 *     const md_weight *w = md_weights_find(weights, "model.norm.weight");
 *     md_weight_read(w, 0, w->rows, values);                       [rows, cols] as md_real
 *     md_weight_forget(w, 0, w->rows);                             its pages go back to the system
 *     md_weights_close(weights);
 *
 * A source is a list of tensors in mapped files: one .safetensors file, or a folder with
 * model.safetensors, or one with model.safetensors.index.json and the shards that its weight_map
 * names. A format of its own, or a view with other names, builds one with md_weights_new.
 *
 * Refused (MDLM_INPUT), each with its own message: an index that is no object with an object
 * "weight_map" of strings; a file that is named by more than a plain file name (no folders, no
 * "..") or that is not there; a tensor in two files, in another one than the index says, or in only
 * one of index and files; and what tensor/safetensors.h refuses in each file.
 *
 * Memory: pages of a mapping count as this process's while they are in memory, so who has read a
 * tensor for good says so (md_weight_forget); reading it again is always right.
 */
#ifndef MD_TENSOR_WEIGHTS_H
#define MD_TENSOR_WEIGHTS_H

#include "base/error.h"
#include "tensor/params.h"
#include "tensor/storage.h"

enum { MD_WEIGHT_MAX_RANK = 8 };

typedef struct md_weight {
    const char *name;
    const char *file; /* that it lies in, for messages */
    const md_storage *type;
    int rank;
    int64_t dim[MD_WEIGHT_MAX_RANK]; /* as PyTorch orders them: the last one varies fastest */
    const void *data;                /* in the mapping, at any alignment */
    /* 0: rows lie in order. H > 0: in each of H heads, of n rows, row i and row i + n / 2 lie side
     * by side, as 2 i and 2 i + 1 (GGUF's llada does that to the projections that are rotated). */
    int interleaved_heads;
    /* step > 0: rows lie in runs of `run`, from the beginning of one to the next `step` rows (a
     * part of a matrix that holds several). Not with interleaved heads. */
    int64_t run, step;
    /* Set by md_weights_new: as a matrix, of the product of all dimensions but the last rows; a
     * scalar is one row of one. */
    int64_t rows, cols;
    size_t row_bytes;
} md_weight;

typedef struct md_weights md_weights;

mdlm_status md_weights_open(const char *path, md_weights **out, mdlm_error *err);
bool md_weights_in(const char *folder);     /* whether there are any */
void md_weights_close(md_weights *weights); /* accepts NULL */

/* What keeps a list's mappings, released with the source. */
typedef struct md_weights_holder {
    void *context;
    void (*release)(void *context);
} md_weights_holder;

/* A source of `count` tensors, rows, cols and row_bytes left out. Names are copied; the files'
 * names, types and data belong to the holder. `path` is what messages call the source. MDLM_INPUT
 * when two tensors share a name. The holder is the caller's to release after a failure. */
mdlm_status md_weights_new(const char *path, const md_weight *list, int count,
                           md_weights_holder holder, md_weights **out, mdlm_error *err);

const char *md_weights_path(const md_weights *weights);
int md_weights_count(const md_weights *weights);
const md_weight *md_weights_at(const md_weights *weights, int i); /* sorted by name */
/* NULL when there is none. */
const md_weight *md_weights_find(const md_weights *weights, const char *name);
int md_weights_files(const md_weights *weights); /* that the tensors lie in */

int64_t md_weight_size(const md_weight *w); /* elements */
size_t md_weight_bytes(const md_weight *w);

/* Rows [first, first + n) as md_real, out [n, cols]. The type must have numbers (md_weight_check).
 */
void md_weight_read(const md_weight *w, int64_t first, int64_t n, md_real *out);
void md_weight_forget(const md_weight *w, int64_t first, int64_t n);

/* MDLM_INPUT when it holds no real numbers, or when its shape is not the tensor's; messages name
 * its file and both shapes. */
mdlm_status md_weight_check(const md_weight *w, const md_tensor *tensor, mdlm_error *err);

/* The tensor of each parameter, found [md_params_count], under its name behind `prefix` (may be
 * ""). MDLM_INPUT when one is missing, does not fit its parameter, or is no parameter's, unless it
 * is "NAME.rotary_emb.inv_freq": the angles of positions, which some files have and nobody reads.
 */
mdlm_status md_weights_match(const md_weights *weights, const md_params *params, const char *prefix,
                             const md_weight **found, mdlm_error *err);

/* All parameters in the slab's order, values [md_params_size]; untouched on failure. Takes the
 * memory of one tensor. */
mdlm_status md_weights_fill(const md_weights *weights, const md_params *params, const char *prefix,
                            md_real *values, mdlm_error *err);
/* The same from a file or folder. */
mdlm_status md_weights_load_params(const char *path, const md_params *params, const char *prefix,
                                   md_real *values, mdlm_error *err);

#endif
