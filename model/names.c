/* model/names.c: the table of names. See names.h. */
#include "model/names.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LLADA(name) MD_LLADA_PREFIX name ".weight"
#define LLADA_BLOCK(name) MD_LLADA_PREFIX "blocks.#." name ".weight"
#define DREAM_BLOCK(name) "model.layers.#." name ".weight"
#define MDLM(name) "backbone." name ".weight"
#define MDLM_BLOCK(name) "backbone.blocks.#." name ".weight"
#define SMDM_BLOCK(name) "transformer.h.#." name ".weight"
#define GGUF_BLOCK(name) "blk.#." name ".weight"

/* '#' stands for the number of the block. A bias has "bias" in the place of "weight". */
static const char *const table[MD_ROLES][MD_NAMINGS] = {
    [MD_ROLE_EMBEDDING] = {LLADA("wte"), "model.embed_tokens.weight",
                           "backbone.vocab_embed.embedding", "transformer.wte.weight",
                           "token_embd.weight"},
    [MD_ROLE_FINAL_NORM] = {LLADA("ln_f"), "model.norm.weight", MDLM("output_layer.norm_final"),
                            "transformer.ln_f.weight", "output_norm.weight"},
    [MD_ROLE_HEAD] = {LLADA("ff_out"), "lm_head.weight", MDLM("output_layer.linear"),
                      "lm_head.weight", "output.weight"},
    [MD_ROLE_SIGMA_IN] = {[MD_NAMING_MDLM] = MDLM("sigma_map.mlp.0")},
    [MD_ROLE_SIGMA_OUT] = {[MD_NAMING_MDLM] = MDLM("sigma_map.mlp.2")},
    [MD_ROLE_FINAL_MODULATION] = {[MD_NAMING_MDLM] = MDLM("output_layer.adaLN_modulation")},
    [MD_ROLE_ATTN_NORM] = {LLADA_BLOCK("attn_norm"), DREAM_BLOCK("input_layernorm"),
                           MDLM_BLOCK("norm1"), SMDM_BLOCK("norm_1"), GGUF_BLOCK("attn_norm")},
    [MD_ROLE_Q] = {LLADA_BLOCK("q_proj"), DREAM_BLOCK("self_attn.q_proj"), NULL,
                   SMDM_BLOCK("attn.attn.q"), GGUF_BLOCK("attn_q")},
    [MD_ROLE_K] = {LLADA_BLOCK("k_proj"), DREAM_BLOCK("self_attn.k_proj"), NULL,
                   SMDM_BLOCK("attn.attn.k"), GGUF_BLOCK("attn_k")},
    [MD_ROLE_V] = {LLADA_BLOCK("v_proj"), DREAM_BLOCK("self_attn.v_proj"), NULL,
                   SMDM_BLOCK("attn.attn.v"), GGUF_BLOCK("attn_v")},
    [MD_ROLE_QKV] = {[MD_NAMING_MDLM] = MDLM_BLOCK("attn_qkv")},
    [MD_ROLE_ATTN_OUT] = {LLADA_BLOCK("attn_out"), DREAM_BLOCK("self_attn.o_proj"),
                          MDLM_BLOCK("attn_out"), SMDM_BLOCK("attn.proj"),
                          GGUF_BLOCK("attn_output")},
    [MD_ROLE_FF_NORM] = {LLADA_BLOCK("ff_norm"), DREAM_BLOCK("post_attention_layernorm"),
                         MDLM_BLOCK("norm2"), SMDM_BLOCK("norm_2"), GGUF_BLOCK("ffn_norm")},
    [MD_ROLE_GATE] = {LLADA_BLOCK("ff_proj"), DREAM_BLOCK("mlp.gate_proj"), NULL,
                      SMDM_BLOCK("mlp.swiglu.w1"), GGUF_BLOCK("ffn_gate")},
    [MD_ROLE_UP] = {LLADA_BLOCK("up_proj"), DREAM_BLOCK("mlp.up_proj"), MDLM_BLOCK("mlp.0"),
                    SMDM_BLOCK("mlp.swiglu.w2"), GGUF_BLOCK("ffn_up")},
    [MD_ROLE_DOWN] = {LLADA_BLOCK("ff_out"), DREAM_BLOCK("mlp.down_proj"), MDLM_BLOCK("mlp.2"),
                      SMDM_BLOCK("mlp.swiglu.w3"), GGUF_BLOCK("ffn_down")},
    [MD_ROLE_MODULATION] = {[MD_NAMING_MDLM] = MDLM_BLOCK("adaLN_modulation")},
};

static const char weight[] = "weight", bias_word[] = "bias";

bool md_name_of(md_naming naming, md_role role, int layer, bool bias, char out[MD_NAME_ROOM]) {
    const char *pattern = table[role][naming];
    if (!pattern) return false;
    const char *hole = strchr(pattern, '#'), *end = pattern + strlen(pattern);
    if (bias && (size_t)(end - pattern) < sizeof weight) return false;
    if (bias) end -= sizeof weight - 1;
    if (bias && strcmp(end, weight) != 0) return false;
    int used =
        hole ? snprintf(out, MD_NAME_ROOM, "%.*s%d", (int)(hole - pattern), pattern, layer) : 0;
    const char *rest = hole ? hole + 1 : pattern;
    snprintf(out + used, MD_NAME_ROOM - (size_t)used, "%.*s%s", (int)(end - rest), rest,
             bias ? bias_word : "");
    return true;
}

/* The number behind the part of the pattern before its hole; -1 when there is none. */
static int layer_in(const char *pattern, const char *hole, const char *name) {
    const size_t before = (size_t)(hole - pattern);
    char *end;
    if (strncmp(name, pattern, before) != 0 || name[before] < '0' || name[before] > '9') return -1;
    const long layer = strtol(name + before, &end, 10);
    return *end == hole[1] && layer < INT_MAX ? (int)layer : -1;
}

bool md_name_parse(md_naming naming, const char *name, md_role *role, int *layer, bool *bias) {
    char full[MD_NAME_ROOM];
    for (int r = 0; r < MD_ROLES; r++) {
        const char *pattern = table[r][naming], *hole = pattern ? strchr(pattern, '#') : NULL;
        const int number = hole ? layer_in(pattern, hole, name) : -1;
        if (!pattern || (hole && number < 0)) continue;
        for (int b = 0; b < 2; b++) {
            if (!md_name_of(naming, (md_role)r, number, b, full) || strcmp(full, name)) continue;
            *role = (md_role)r;
            *layer = number;
            *bias = b;
            return true;
        }
    }
    return false;
}

bool md_name_translate(const char *name, md_naming from, md_naming to, char out[MD_NAME_ROOM]) {
    md_role role;
    int layer;
    bool bias;
    return md_name_parse(from, name, &role, &layer, &bias) &&
           md_name_of(to, role, layer, bias, out);
}
