/* model/config.h: the shape of a text network, and config.json, which says it.
 *
 *     md_model_config c;
 *     MD_TRY(md_model_config_load("mdlm-run", &c, err));
 *
 * Folders of four kinds are read and written, told apart by model_type; each has its keys in a
 * table (model/config_forms.c):
 *
 *   "llada"  d_model, n_layers, n_heads, n_kv_heads, mlp_hidden_size, vocab_size, embedding_size,
 *            max_sequence_length, rope_theta, rms_norm_eps, weight_tying, include_qkv_bias, ids
 *   "Dream"  Qwen2's: hidden_size, num_hidden_layers, num_attention_heads, num_key_value_heads,
 *            intermediate_size, vocab_size, max_position_embeddings, tie_word_embeddings, ...
 *   "mdlm"   hidden_dim, n_blocks, n_heads, vocab_size, model_length, cond_dim
 *   "smdm"   lit-gpt's: n_embd, n_layer, n_head, n_query_groups, intermediate_size,
 *            padded_vocab_size, block_size, norm_eps
 *
 * Keys that fix the mathematics (block_type, rope_scaling, time_conditioning, ...) are refused by
 * name when they ask for something else; when they are missing, what is supported is meant. The
 * object rope_parameters of newer files is read as rope_theta, if its rope_type is "default". Keys
 * that change nothing here (dropout, init_std, torch_dtype, ...) are not read. A model that does
 * not see both sides has LLaDA's keys and a type of its own: "mdlm_block", with "block_length", or
 * "mdlm_ar".
 */
#ifndef MD_MODEL_CONFIG_H
#define MD_MODEL_CONFIG_H

#include "base/json.h"
#include "tensor/denoiser.h"

/* Whose network it is: the code that it was published with, which its files are for. */
typedef enum md_arch {
    MD_ARCH_LLADA, /* LLaDA and iLLaDA, and what is trained here */
    MD_ARCH_DREAM, /* LLaDA's mathematics with Qwen2's names, biases on q, k, v, shifted logits */
    MD_ARCH_MDLM,  /* layer norms moved by a condition (adaLN), an MLP of GELU, biases */
    MD_ARCH_SMDM,  /* LLaDA's mathematics with lit-gpt's names; no logit for the mask */
} md_arch;
const char *md_arch_name(md_arch arch); /* "LLaDA", "Dream", "MDLM", "SMDM" */

typedef struct md_model_config {
    int layers, dim, heads, kv_heads, ff;
    int vocab;   /* rows of the embedding */
    int seq_len; /* trained length; of Dream, the most there can be */
    double rope_theta, norm_eps;
    bool tied;                                   /* head = embedding */
    int32_t mask_id, end_of_text_id, padding_id; /* the last two: -1 when there is none */
    md_sight sight;                              /* which tokens a position sees */
    int block_length;                            /* MD_SEES_BLOCKS: divides seq_len; else 0 */
    md_arch arch;
    bool qkv_bias; /* q, k and v have biases */
    /* What the network says of a token it says at the position before: row i of the hidden states
     * that it is asked for is made from position i - 1 (row 0 from 0). */
    bool shifted;
    int unscored; /* rows of the embedding that the head has not: the last ids have no logit */
    int cond_dim; /* MD_ARCH_MDLM: width of the condition; else 0 */
} md_model_config;

/* MDLM_USAGE naming the flag when a size is out of range, dim is not a multiple of heads, heads not
 * a multiple of kv_heads, dim / heads is odd, or the kind of network has no such form. */
mdlm_status md_model_config_check(const md_model_config *c, mdlm_error *err);
int64_t md_model_config_parameters(const md_model_config *c);
/* Tokens of a canvas, a window or a training sequence where nobody says how many: the trained
 * length; but Dream's files say how many positions there are (131072), so at most 2048 of those. */
int md_model_config_canvas(const md_model_config *c);

/* FOLDER/config.json of a model of any kind, and its name for messages; both are the caller's to
 * release, after a failure too. MDLM_INPUT when the folder or the file is missing or malformed. */
mdlm_status md_model_json_load(const char *folder, char **path, cJSON **root, mdlm_error *err);
/* Reads FOLDER/config.json, or the metadata of a GGUF file (model/gguf.h): MDLM_INPUT when missing,
 * malformed or not supported. */
mdlm_status md_model_config_load(const char *folder, md_model_config *out, mdlm_error *err);
/* Writes FOLDER/config.json and FOLDER/generation_config.json. */
mdlm_status md_model_config_save(const md_model_config *c, const char *folder, mdlm_error *err);
bool md_model_config_equal(const md_model_config *a, const md_model_config *b);

/* Named after about their parameters: with a byte vocabulary up to 50m, from 160m on with some
 * 50,000 entries. */
typedef struct md_preset {
    const char *name; /* "1m" ... "1b" */
    int layers, dim, heads, kv_heads, ff, seq_len, batch_size;
} md_preset;
extern const md_preset md_presets[]; /* by size; ends with a NULL name */
const md_preset *md_preset_find(const char *name);

#endif
