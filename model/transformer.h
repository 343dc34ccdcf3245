/* model/transformer.h: LLaDA's bidirectional transformer.
 *
 *     x = wte[ids]
 *     x = x + attn_out(attention(rope(q_proj n), rope(k_proj n), v_proj n)),  n = rms_norm(x)
 *     x = x + ff_out(silu(ff_proj n) * up_proj n),                            n = rms_norm(x)
 *     logits = ff_out(rms_norm(x))                  (or the embedding when tied)
 *
 * No biases; full attention, grouped K/V heads; rotate-half RoPE; RMSNorm. Time is not an input:
 * the network sees only which tokens are masked (RADD). Parameters have the names of LLaDA's files,
 * with the prefix "model.transformer.".
 *
 *     md_transformer *net = NULL;
 *     MD_TRY(md_transformer_new(&config, true, &net, err));
 *     md_transformer_init(net, seed);
 *     md_tensor *h = md_transformer_hidden(net, tape, ids, B, T, NULL);     [B*T, C]
 */
#ifndef MD_MODEL_TRANSFORMER_H
#define MD_MODEL_TRANSFORMER_H

#include "model/config.h"
#include "tensor/denoiser.h"
#include "tensor/params.h"

#define MD_LLADA_PREFIX "model.transformer."

typedef struct md_transformer md_transformer;

/* Parameters are zero; `gradients`: allocate them. The config must be valid. Caller frees *out. */
mdlm_status md_transformer_new(const md_model_config *config, bool gradients, md_transformer **out,
                               mdlm_error *err);
void md_transformer_free(md_transformer *net); /* accepts NULL */

/* Normal(0, 0.02) weights, the residual projections divided by sqrt(2 layers); gains 1. */
void md_transformer_init(md_transformer *net, uint64_t seed);
const md_model_config *md_transformer_config(const md_transformer *net);
md_params *md_transformer_params(md_transformer *net);

/* What a recorded forward pass may add; nothing else changes the result. */
typedef struct md_transformer_training {
    double dropout;  /* on the residual branches */
    bool checkpoint; /* keep what lies between blocks only, and run each again in backward */
} md_transformer_training;

/* Final normed hidden states [B*T, C] of ids [B, T]. Without recording, memory is one block's and
 * `training` does not matter; NULL: neither of the two. */
md_tensor *md_transformer_hidden(md_transformer *net, md_tape *tape, const int32_t *ids, int B,
                                 int T, const md_transformer_training *training);
/* The head's weight [V, C]. */
md_tensor *md_transformer_head(md_transformer *net);

/* For inference with weights that change no more: packs them once for the tape's kernels, in place
 * of at every use. Once per network. */
mdlm_status md_transformer_pack(md_transformer *net, const md_kernels *kernels, mdlm_error *err);

/* The network as a denoiser. The tape must outlive it and not be recording elsewhere. */
typedef struct md_transformer_view {
    md_transformer *net;
    md_tape *tape;
} md_transformer_view;
md_denoiser md_transformer_denoiser(md_transformer_view *view);

/* Reads a folder's config.json and model.safetensors, or the weights in another file of the same
 * names when `weights` is not NULL. */
mdlm_status md_transformer_load(const char *folder, const char *weights, bool gradients,
                                md_transformer **out, mdlm_error *err);

#endif
