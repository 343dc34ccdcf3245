/* model/names.h: what a network's weights are called, by what they do.
 *
 *     char name[MD_NAME_ROOM];
 *     md_name_of(MD_NAMING_DREAM, MD_ROLE_Q, 3, true, name);   model.layers.3.self_attn.q_proj.bias
 *     md_name_translate("blk.3.attn_q.bias", MD_NAMING_GGUF, MD_NAMING_DREAM, name);    the same
 *
 * A network's parameters have the names of its kind's files (md_model_config.arch), so a folder is
 * read and written without renaming. GGUF has one naming for all kinds. SMDM's files have q, k and
 * v of each group of heads in one matrix, which is read as three (md_smdm_view).
 */
#ifndef MD_MODEL_NAMES_H
#define MD_MODEL_NAMES_H

#include "model/config.h"

typedef enum md_role {
    MD_ROLE_EMBEDDING,
    MD_ROLE_FINAL_NORM,
    MD_ROLE_HEAD,
    MD_ROLE_SIGMA_IN, /* MDLM: the noise level's two layers */
    MD_ROLE_SIGMA_OUT,
    MD_ROLE_FINAL_MODULATION, /* MDLM: shift and scale of the final norm */
    MD_ROLE_ATTN_NORM,        /* from here on: of a block */
    MD_ROLE_Q,
    MD_ROLE_K,
    MD_ROLE_V,
    MD_ROLE_QKV, /* MDLM: all three, one below the other */
    MD_ROLE_ATTN_OUT,
    MD_ROLE_FF_NORM,
    MD_ROLE_GATE,
    MD_ROLE_UP,
    MD_ROLE_DOWN,
    MD_ROLE_MODULATION, /* MDLM: shift, scale and gate of attention, then of the MLP */
    MD_ROLES,
} md_role;

typedef enum md_naming {
    MD_NAMING_LLADA = MD_ARCH_LLADA,
    MD_NAMING_DREAM = MD_ARCH_DREAM,
    MD_NAMING_MDLM = MD_ARCH_MDLM,
    MD_NAMING_SMDM = MD_ARCH_SMDM, /* q, k and v: as md_smdm_view calls them */
    MD_NAMING_GGUF,
    MD_NAMINGS,
} md_naming;

#define MD_LLADA_PREFIX "model.transformer."
enum { MD_NAME_ROOM = 96 };

static inline bool md_role_is_inner(md_role role) {
    return role >= MD_ROLE_ATTN_NORM;
}

/* Of a weight, or of the bias beside it; `layer` of a block, else not read. False when this naming
 * has no such tensor. */
bool md_name_of(md_naming naming, md_role role, int layer, bool bias, char out[MD_NAME_ROOM]);
/* What a name means; *layer is -1 outside of blocks. False when it is none of this naming. */
bool md_name_parse(md_naming naming, const char *name, md_role *role, int *layer, bool *bias);
bool md_name_translate(const char *name, md_naming from, md_naming to, char out[MD_NAME_ROOM]);

#endif
