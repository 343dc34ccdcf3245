/* model/transformer_internal.h: the transformer as the files of model/ see it. */
#ifndef MD_MODEL_TRANSFORMER_INTERNAL_H
#define MD_MODEL_TRANSFORMER_INTERNAL_H

#include "model/config_internal.h"
#include "model/layers.h"
#include "model/lora.h"
#include "tensor/weights.h"

/* q, k, v lie side by side in the slab, and so do gate and up: one product each. */
typedef struct md_block {
    md_tensor *attn_norm, *qkv, *attn_out, *ff_norm, *gate_up, *ff_out;
    md_tensor *qkv_bias;            /* NULL: none */
    md_tensor *up_bias, *down_bias; /* MDLM's, whose gate_up is the first matrix of its MLP */
    md_linear_layer modulation;     /* MDLM's: of the condition, MD_ADALN_PARTS * C */
} md_block;

struct md_transformer {
    md_model_config config;
    md_params *params;
    md_block *blocks;
    md_tensor *embedding, *final_norm, *head;
    md_tensor *head_bias;                            /* NULL: none */
    md_linear_layer sigma_in, sigma_out, modulation; /* MDLM's: noise level to condition; the final
                                                         norm's shift and scale */
    md_rope_table rope;                              /* made longer as canvases ask for it */
    const md_lora *lora;                             /* NULL: none */
    void *
        *packed; /* [md_params_count] weights for inference, see md_transformer_pack; NULL: none */
    /* Where matrices have no values: the files that the network is from, which keep the embedding.
     */
    md_weights *files;
    const md_weight *embedding_rows;
};

/* A network whose parameters are declared but have no memory yet. Caller frees *out. */
mdlm_status md_transformer_declare(const md_model_config *config, md_transformer **out,
                                   mdlm_error *err);
/* Gives them memory. */
mdlm_status md_transformer_seal(md_transformer *net, bool gradients, mdlm_error *err);

/* Of a declared network: vectors are read, products packed from `files`, which the network owns
 * then; after a failure they are the caller's, and the network good for md_transformer_free alone.
 * With adapters (may be NULL), those are added. */
mdlm_status md_transformer_pack_files(md_transformer *net, md_weights *files, const md_lora *lora,
                                      const md_transformer_packing *how, mdlm_error *err);

/* What a network is made from, open: the shape that it has, its tensors, and adapters. Init with
 * {0}; release in any case. */
typedef struct md_loading {
    md_transformer *net; /* declared */
    md_weights *files;
    md_lora *lora; /* NULL: none */
} md_loading;
mdlm_status md_loading_open(const char *folder, const char *weights, md_loading *l,
                            mdlm_error *err);
void md_loading_release(md_loading *l);

/* Canvases of T tokens of which positions [first, end) are computed, and the rest of the keys and
 * values comes from caches, which then hold theirs. */
typedef struct md_cached_rows {
    md_real *const *kv; /* [B] caches [layers, T, 2 * KV * D] */
    int B, T, first, end;
    int wanted; /* filled by md_transformer_cached_hidden: the first that it returns */
} md_cached_rows;

/* Final normed hidden states [B, end - first, C]. ids [B, T]. Without a gradient. */
md_tensor *md_transformer_cached_hidden(md_transformer *net, md_tape *tape, const int32_t *ids,
                                        const md_cached_rows *rows);

#endif
