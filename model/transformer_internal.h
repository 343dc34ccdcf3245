/* model/transformer_internal.h: the transformer as the files of model/ see it. */
#ifndef MD_MODEL_TRANSFORMER_INTERNAL_H
#define MD_MODEL_TRANSFORMER_INTERNAL_H

#include "model/lora.h"
#include "tensor/ops.h"

/* q, k, v lie side by side in the slab, and so do gate and up: one product each. */
typedef struct md_block {
    md_tensor *attn_norm, *qkv, *attn_out, *ff_norm, *gate_up, *ff_out;
} md_block;

struct md_transformer {
    md_model_config config;
    md_params *params;
    md_block *blocks;
    md_tensor *embedding, *final_norm, *head;
    md_rope_table rope;  /* longer than seq_len once a longer canvas was seen */
    const md_lora *lora; /* NULL: none */
    void **packed;       /* [packed_count] weights for inference, see md_transformer_pack */
    int packed_count;
};

/* Canvases of T tokens of which positions [first, end) are computed, and the rest of the keys and
 * values comes from caches, which then hold theirs. */
typedef struct md_cached_rows {
    md_real *const *kv; /* [B] caches [layers, T, 2 * KV * D] */
    int B, T, first, end;
} md_cached_rows;

/* Final normed hidden states [B, end - first, C]. ids [B, T]. Without a gradient. */
md_tensor *md_transformer_cached_hidden(md_transformer *net, md_tape *tape, const int32_t *ids,
                                        const md_cached_rows *rows);

#endif
