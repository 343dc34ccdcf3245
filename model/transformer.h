/* model/transformer.h: transformers that denoise text: LLaDA's, bidirectional or not, and those of
 * other people (md_arch).
 *
 *     x = wte[ids]
 *     x = x + attn_out(attention(rope(q_proj n), rope(k_proj n), v_proj n)),  n = rms_norm(x)
 *     x = x + ff_out(silu(ff_proj n) * up_proj n),                            n = rms_norm(x)
 *     logits = ff_out(rms_norm(x))                  (or the embedding when tied)
 *
 * Biases on q, k and v alone, where the configuration has them; attention to what its `sight` says,
 * grouped K/V heads; rotate-half RoPE; RMSNorm. Time is not an input: the network sees only which
 * tokens are masked (RADD). Parameters have the names of the kind's files (model/names.h).
 *
 * MDLM's blocks (Sahoo et al. 2024, after DiT) have layer norms, a GELU MLP, and a condition c that
 * moves and gates them, made from a noise level that is always 0:
 *
 *     c = silu(sigma_map(0));  shift, scale, gate, shift', scale', gate' = adaLN_modulation c
 *     x = x + gate attn_out(attention(...)),     n = norm1(x) (1 + scale) + shift
 *     x = x + gate' (mlp.2 gelu(mlp.0 n)),       n = norm2(x) (1 + scale') + shift'
 *     logits = linear(norm_final(x) (1 + scale'') + shift'')
 *
 *     md_transformer *net = NULL;
 *     MD_TRY(md_transformer_new(&config, true, &net, err));
 *     md_transformer_init(net, seed);
 *     md_tensor *h = md_transformer_hidden(net, tape, ids, B, T, NULL);     [B*T, C]
 */
#ifndef MD_MODEL_TRANSFORMER_H
#define MD_MODEL_TRANSFORMER_H

#include "model/config.h"
#include "model/names.h"
#include "tensor/denoiser.h"
#include "tensor/params.h"
#include "tensor/weights.h"

typedef struct md_transformer md_transformer;

/* Parameters are zero; `gradients`: allocate them (MDLM_USAGE for kinds that are for inference
 * alone). The config must be valid. Caller frees *out. */
mdlm_status md_transformer_new(const md_model_config *config, bool gradients, md_transformer **out,
                               mdlm_error *err);
void md_transformer_free(md_transformer *net); /* accepts NULL */

/* Normal(0, 0.02) weights, the residual projections divided by sqrt(2 layers); gains 1. */
void md_transformer_init(md_transformer *net, uint64_t seed);
const md_model_config *md_transformer_config(const md_transformer *net);
md_params *md_transformer_params(md_transformer *net);

/* What a forward pass may add; nothing else changes the result. */
typedef struct md_transformer_training {
    double dropout;         /* on the residual branches */
    bool checkpoint;        /* keep what lies between blocks only, and run each again in backward */
    const int32_t *lengths; /* [B] tokens of each sequence, the rest is padding that no row sees;
                               NULL: none is. MD_SEES_ALL only; kept until backward */
} md_transformer_training;

/* Final normed hidden states [B*T, C] of ids [B, T]; row i is what position i is predicted from.
 * MD_SEES_ALL: every row sees all. MD_SEES_BLOCKS: up to the end of its own block. MD_SEES_PAST:
 * row i is computed from ids[0 .. i-1] (row 0 from the mask's embedding, which has no other use in
 * such a network). A canvas may be longer than the trained length for the last two: a row then sees
 * the last seq_len positions up to the end of its block (or itself). Without recording, memory is
 * one block's, and dropout and checkpoint do not matter. */
md_tensor *md_transformer_hidden(md_transformer *net, md_tape *tape, const int32_t *ids, int B,
                                 int T, const md_transformer_training *training);
/* The network of block diffusion on noisy and clean text at once (BD3-LM): hidden states
 * [B, 2T, C] of the rows `noisy` [B, T] and, behind them in each sequence, `clean` [B, T]. Row i of
 * either half has position i. A noisy row sees the noisy rows of its own block and the clean rows
 * of earlier blocks; a clean row sees the clean rows up to the end of its block. T is a multiple of
 * the block length, unless its last block is shorter. Only for MD_SEES_BLOCKS (MD_BUG_IF). */
md_tensor *md_transformer_paired_hidden(md_transformer *net, md_tape *tape, const int32_t *noisy,
                                        const int32_t *clean, int B, int T,
                                        const md_transformer_training *training);
/* The head's weight [V, C]; what it has besides (a bias, ids that it does not score) is for the
 * denoiser to know. */
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

/* Reads a folder's config.json and its weights (tensor/weights.h), or the weights in another file
 * of the same names when `weights` is not NULL. A folder of adapters (model/lora.h) gives the
 * network that they belong to with them merged; `weights` then holds adapters. */
mdlm_status md_transformer_load(const char *folder, const char *weights, bool gradients,
                                md_transformer **out, mdlm_error *err);

/* The same into a network that is there (not packed): from a folder whose network has the
 * parameters of this one; what its positions see may be another thing. MDLM_INPUT, with nothing
 * changed, where they differ. */
mdlm_status md_transformer_take(md_transformer *net, const char *folder, mdlm_error *err);

typedef struct md_transformer_packing {
    const md_kernels *kernels; /* that will run the network */
    md_pool *pool;             /* NULL: one thread */
    int64_t memory;            /* bytes that may be taken; 0: what the system has */
    /* Bytes of the files that are read, and of all; non-zero cancels. NULL: nobody is told. */
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} md_transformer_packing;

/* The same for inference alone: weights go from the files into the layout of the kernels, some rows
 * at a time, and rows of the embedding stay in the files, so that memory holds every weight once,
 * in the dtype of the kernels, and hardly more: md_params_values is NULL, and there is nothing to
 * train, save or merge. Results have the bits of md_transformer_load and md_transformer_pack.
 * MDLM_RUNTIME, before anything is read, when memory will not do: the message has what each dtype
 * needs. MDLM_CANCELLED. */
mdlm_status md_transformer_load_packed(const char *folder, const char *weights,
                                       const md_transformer_packing *how, md_transformer **out,
                                       mdlm_error *err);
/* Bytes that the packed weights of a network of this shape take. */
mdlm_status md_transformer_packed_bytes(const md_model_config *config, const md_kernels *kernels,
                                        int64_t *out, mdlm_error *err);

/* The dtype (tensor/kernels.h) of inference where nobody chose: "f32"; but of a model whose
 * matrices would take more than 4 GiB then, the one that its files hold most of them in: "bf16" for
 * bf16 and f16, "q8_0" for GGUF's quantised types. By what is stored alone, never by the machine,
 * so that a model gives the same results on any. Strings are constants. */
const char *md_transformer_dtype_for(const md_weights *files);
/* The same for what md_transformer_load takes; only heads of files are read. */
mdlm_status md_transformer_dtype(const char *folder, const char *weights, const char **out,
                                 mdlm_error *err);

#endif
