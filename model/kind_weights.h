/* model/kind_weights.h: a model's tensors as its network has them.
 *
 *     md_weights *weights = NULL;
 *     MD_TRY(md_kind_weights_open("mdm-1028M", &config, &weights, err));
 *
 * What tensor/weights.h opens; but the files of SMDM (lit-gpt's) hold q, k and v in one matrix
 * "transformer.h.N.attn.attn.weight", in which each group of heads has its queries, then its key,
 * then its value: here they are three tensors (MD_ROLE_Q, _K, _V of model/names.h), and nothing is
 * copied. And files of tied models may hold the head all the same, as a copy of the embedding: it
 * is left out.
 */
#ifndef MD_MODEL_KIND_WEIGHTS_H
#define MD_MODEL_KIND_WEIGHTS_H

#include "model/config.h"
#include "tensor/weights.h"

/* As md_weights_open; MDLM_INPUT, too, when such a matrix does not have the configuration's shape,
 * or when a head that is tied to the embedding has another shape or, in some of its rows, other
 * numbers. */
mdlm_status md_kind_weights_open(const char *path, const md_model_config *config, md_weights **out,
                                 mdlm_error *err);

#endif
