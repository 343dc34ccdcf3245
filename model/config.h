/* model/config.h: the shape of a transformer, as config.json says it in LLaDA's own keys.
 *
 *     md_model_config c;
 *     MD_TRY(md_model_config_load("mdlm-run", &c, err));
 *
 * Keys (interop): model_type "llada", d_model, n_layers, n_heads, n_kv_heads, mlp_hidden_size,
 * vocab_size, embedding_size, max_sequence_length, rope_theta, rms_norm_eps, weight_tying,
 * mask_token_id, eos_token_id, pad_token_id, and constants that fix the mathematics (block_type
 * "llama", layer_norm_type "rms", activation_type "silu", include_bias false, ...). A file whose
 * constants differ is refused, naming the key. A model that does not see both sides is no LLaDA:
 * its model_type is "mdlm_block", with "block_length", or "mdlm_ar".
 */
#ifndef MD_MODEL_CONFIG_H
#define MD_MODEL_CONFIG_H

#include "base/json.h"
#include "tensor/denoiser.h"

typedef struct md_model_config {
    int layers, dim, heads, kv_heads, ff;
    int vocab;   /* rows of the embedding and of the head */
    int seq_len; /* trained length */
    double rope_theta, norm_eps;
    bool tied; /* head = embedding */
    int32_t mask_id, end_of_text_id, padding_id;
    md_sight sight;   /* which tokens a position sees */
    int block_length; /* MD_SEES_BLOCKS: divides seq_len; else 0 */
} md_model_config;

/* MDLM_USAGE naming the flag when a size is out of range, dim is not a multiple of heads, heads not
 * a multiple of kv_heads, or dim / heads is odd. */
mdlm_status md_model_config_check(const md_model_config *c, mdlm_error *err);
int64_t md_model_config_parameters(const md_model_config *c);

/* FOLDER/config.json of a model of any kind, and its name for messages; both are the caller's to
 * release, after a failure too. MDLM_INPUT when the folder or the file is missing or malformed. */
mdlm_status md_model_json_load(const char *folder, char **path, cJSON **root, mdlm_error *err);
/* Reads FOLDER/config.json: MDLM_INPUT when missing, malformed or not supported. */
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
