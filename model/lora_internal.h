/* model/lora_internal.h: adapters as the files of model/ see them. */
#ifndef MD_MODEL_LORA_INTERNAL_H
#define MD_MODEL_LORA_INTERNAL_H

#include "model/lora.h"
#include "model/transformer_internal.h"

/* Products of a block, in the order of its pass; each of up to three projections of one input. */
enum { MD_LORA_GROUPS = 4, MD_LORA_MODULES = 3 };

/* y = w x + b (a x) */
typedef struct md_adapter {
    md_tensor *a, *b;
} md_adapter;

typedef struct md_block_adapters {
    md_adapter adapter[MD_LORA_GROUPS];
} md_block_adapters;

/* One weight of the network and its part of an adapter: an A that others share, a B of its own. */
typedef struct md_projection {
    const char *name;   /* "blocks.0.q_proj", in the arena */
    const char *weight; /* the network's parameter, without its ".weight"; in the arena */
    const md_tensor *a, *b;
} md_projection;

struct md_lora {
    int rank, layers;
    md_arch arch; /* of the network */
    md_arena *arena;
    md_params *params;
    md_block_adapters *blocks;  /* [layers] */
    md_projection *projections; /* [projection_count] */
    int projection_count;
};

/* Adds B A to rows [first, first + n) of the network's parameter of this name, rows [n, in], if the
 * adapters stand beside it. The bits do not depend on n. */
void md_lora_add_rows(const md_lora *lora, const char *parameter, int64_t first, int64_t n,
                      md_real *rows);

#endif
