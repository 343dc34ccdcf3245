/* tensor/params.h: named parameters in one slab of values and one of gradients.
 *
 *     md_params *params = md_params_new(err);
 *     md_tensor *w = md_params_add(params, "q_proj.weight", 2, (int64_t[]){C, C}, MD_PARAM_DECAY,
 *                                  err);
 *     ...
 *     MD_TRY(md_params_seal(params, true, err));      allocates; w->data and w->grad are set
 *     md_params_free(params);
 *
 * Parameters lie in the order of adding with no gaps, so two matrices with equal columns that were
 * added one after the other are one taller matrix (md_params_span): q, k and v become one product.
 * Optimizer, clipping, EMA and checkpoints are loops over the slab.
 */
#ifndef MD_TENSOR_PARAMS_H
#define MD_TENSOR_PARAMS_H

#include "tensor/tensor.h"

typedef struct md_params md_params;

md_params *md_params_new(mdlm_error *err);
void md_params_free(md_params *params); /* accepts NULL */

/* What the optimizer may do with a parameter; or-ed together. */
enum {
    MD_PARAM_DECAY = 1,      /* weight decay: matrices yes, norm gains no */
    MD_PARAM_ORTHOGONAL = 2, /* Muon: a matrix between hidden channels, not the embedding or head */
};

/* Declares a parameter before sealing. `name` is copied. `flags`: MD_PARAM_*; a vector cannot
 * be orthogonal; filters [M, ..] count as a matrix of M rows. NULL with `err` filled on failure.
 * The tensor is owned by params and stays at its address. */
md_tensor *md_params_add(md_params *params, const char *name, int rank, const int64_t *dim,
                         unsigned flags, mdlm_error *err);
/* Allocates values (zero), and gradients (zero) when `gradients`. */
mdlm_status md_params_seal(md_params *params, bool gradients, mdlm_error *err);

/* The same without matrices: their data stays NULL, for networks whose products read packed weights
 * (md_tensor.packed). Vectors have values, without gaps among themselves; md_params_values is NULL.
 */
mdlm_status md_params_seal_vectors(md_params *params, mdlm_error *err);

int md_params_count(const md_params *params);
const char *md_params_name(const md_params *params, int i);
md_tensor *md_params_tensor(const md_params *params, int i);
unsigned md_params_flags(const md_params *params, int i); /* MD_PARAM_* */
/* -1 when there is none. */
int md_params_find(const md_params *params, const char *name);

int64_t md_params_size(const md_params *params);    /* elements of the slab */
md_real *md_params_values(const md_params *params); /* NULL before sealing, and without matrices */
md_real *md_params_grads(const md_params *params);  /* NULL without gradients */

/* A matrix over `count` consecutive parameters with equal columns, or a vector over consecutive
 * vectors; a tensor owned by params, sharing values and gradients. Before or after sealing. */
md_tensor *md_params_span(md_params *params, int first, int count, mdlm_error *err);
/* The first span that begins with a parameter, or the parameter itself where none does; *count: how
 * many parameters it consists of. */
md_tensor *md_params_whole(const md_params *params, int first, int *count);

/* MDLM_INPUT, naming the file, its tensor and both shapes, when that tensor's shape is not this
 * one's.
 */
mdlm_status md_tensor_check_shape(const md_tensor *t, int rank, const int64_t *dim,
                                  const char *file, const char *name, mdlm_error *err);

/* Marks all parameters as needing gradients or frozen. Sealed without gradients: frozen. */
void md_params_freeze(md_params *params, bool frozen);

#endif
