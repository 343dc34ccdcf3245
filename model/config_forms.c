/* model/config_forms.c: the tables of keys. See config_internal.h. */
#include "model/config_internal.h"

#include <limits.h>
#include <string.h>

#define FIELD(f) offsetof(md_model_config, f)
#define SIZE(key, f) \
    { key, MD_KEY_SIZE, FIELD(f), NULL, false }
#define SIZE_OR(key, f) \
    { key, MD_KEY_SIZE, FIELD(f), NULL, true }
#define NUMBER(key, f) \
    { key, MD_KEY_NUMBER, FIELD(f), NULL, false }
#define NUMBER_OR(key, f) \
    { key, MD_KEY_NUMBER, FIELD(f), NULL, true }
#define THETA(key, f) \
    { key, MD_KEY_THETA, FIELD(f), NULL, false }
#define FLAG(key, f) \
    { key, MD_KEY_FLAG, FIELD(f), NULL, false }
#define FLAG_OR(key, f) \
    { key, MD_KEY_FLAG, FIELD(f), NULL, true }
#define ID(key, f) \
    { key, MD_KEY_ID, FIELD(f), NULL, false }
#define FIXED(key, text) \
    { key, MD_KEY_FIXED, 0, text, false }
#define CHECKED(key, text) \
    { key, MD_KEY_CHECKED, 0, text, false }
#define SAID(key, text) \
    { key, MD_KEY_SAID, 0, text, false }
#define END \
    { NULL, MD_KEY_SAID, 0, NULL, false }

/* --- LLaDA, iLLaDA ---------------------------------------------------------------------------- */

#define LLADA_KEYS \
    FIXED("block_type", "\"llama\""), FIXED("layer_norm_type", "\"rms\""), \
        FIXED("activation_type", "\"silu\""), FIXED("rope", "true"), FIXED("alibi", "false"), \
        FIXED("include_bias", "false"), FIXED("bias_for_layer_norm", "false"), \
        FIXED("layer_norm_with_affine", "true"), FIXED("attention_layer_norm", "false"), \
        FIXED("scale_logits", "false"), FIXED("input_emb_norm", "false"), \
        FIXED("block_group_size", "1"), FIXED("multi_query_attention", "null"), \
        FIXED("clip_qkv", "null"), CHECKED("rope_scaling", "null"), \
        CHECKED("quantization_config", "null"), SIZE("d_model", dim), SIZE("n_layers", layers), \
        SIZE("n_heads", heads), SIZE_OR("n_kv_heads", kv_heads), SIZE_OR("mlp_hidden_size", ff), \
        SIZE("max_sequence_length", seq_len), SIZE("vocab_size", vocab), \
        SIZE_OR("embedding_size", vocab), THETA("rope_theta", rope_theta), \
        NUMBER("rms_norm_eps", norm_eps), FLAG("weight_tying", tied), \
        FLAG_OR("include_qkv_bias", qkv_bias), FLAG_OR("shift_logits", shifted), \
        ID("mask_token_id", mask_id), ID("eos_token_id", end_of_text_id), \
        ID("pad_token_id", padding_id), SAID("attention_dropout", "0.0"), \
        SAID("residual_dropout", "0.0"), SAID("embedding_dropout", "0.0"), \
        SAID("rope_full_precision", "true"), SAID("flash_attention", "false"), \
        SAID("use_cache", "false")

static const md_config_key llada_keys[] = {LLADA_KEYS, END};
static const md_config_key block_keys[] = {LLADA_KEYS, SIZE("block_length", block_length), END};

static mdlm_status complete_llada(const cJSON *root, const char *path, md_model_config *c,
                                  mdlm_error *err) {
    int scored, ratio;
    MD_TRY(md_config_size(root, "vocab_size", path, 0, &scored, err));
    if (scored > c->vocab) {
        return md_fail(err, MDLM_INPUT,
                       "'%s': embedding_size is %d, expected at least the %d of "
                       "vocab_size",
                       path, c->vocab, scored);
    }
    if (c->kv_heads == 0) c->kv_heads = c->heads;
    if (c->ff > 0) return MDLM_OK;
    MD_TRY(md_config_size(root, "mlp_ratio", path, 4, &ratio, err));
    if (ratio > INT_MAX / c->dim)
        return md_fail(err, MDLM_INPUT, "'%s': mlp_ratio %d is out of range", path, ratio);
    c->ff = ratio * c->dim;
    return MDLM_OK;
}

/* --- Dream ------------------------------------------------------------------------------------ */

/* Biases on q, k and v and the shift are in the code, not in the file. */
static const md_config_key dream_keys[] = {
    FIXED("hidden_act", "\"silu\""),
    FIXED("rope_scaling", "null"),
    FIXED("use_sliding_window", "false"),
    CHECKED("use_mrope", "false"),
    CHECKED("partial_rotary_factor", "1"),
    CHECKED("mlp_bias", "false"),
    CHECKED("block_size", "null"),
    CHECKED("quantization_config", "null"),
    SIZE("hidden_size", dim),
    SIZE("num_hidden_layers", layers),
    SIZE("num_attention_heads", heads),
    SIZE_OR("num_key_value_heads", kv_heads),
    SIZE("intermediate_size", ff),
    SIZE("max_position_embeddings", seq_len),
    SIZE("vocab_size", vocab),
    THETA("rope_theta", rope_theta),
    NUMBER("rms_norm_eps", norm_eps),
    FLAG("tie_word_embeddings", tied),
    FLAG_OR("shift_logits", shifted),
    ID("mask_token_id", mask_id),
    ID("eos_token_id", end_of_text_id),
    ID("pad_token_id", padding_id),
    SAID("attention_dropout", "0.0"),
    SAID("use_cache", "false"),
    END,
};

static mdlm_status complete_dream(const cJSON *root, const char *path, md_model_config *c,
                                  mdlm_error *err) {
    int head;
    if (c->kv_heads == 0) c->kv_heads = c->heads;
    MD_TRY(md_config_size(root, "head_dim", path, INT_MAX, &head, err));
    if (head == INT_MAX || (int64_t)head * c->heads == c->dim) return MDLM_OK;
    return md_fail(err, MDLM_INPUT,
                   "'%s': head_dim is %d, only hidden_size / num_attention_heads "
                   "is supported",
                   path, head);
}

/* --- MDLM ------------------------------------------------------------------------------------- */

static const md_config_key mdlm_keys[] = {
    FIXED("time_conditioning", "false"),
    CHECKED("quantization_config", "null"),
    SIZE("hidden_dim", dim),
    SIZE("n_blocks", layers),
    SIZE("n_heads", heads),
    SIZE("cond_dim", cond_dim),
    SIZE("model_length", seq_len),
    SIZE("vocab_size", vocab),
    ID("mask_token_id", mask_id),
    ID("eos_token_id", end_of_text_id),
    ID("pad_token_id", padding_id),
    SAID("dropout", "0.0"),
    SAID("return_dict", "false"),
    END,
};

/* The mask is the last id where the file does not say. */
static mdlm_status complete_mdlm(const cJSON *root, const char *path, md_model_config *c,
                                 mdlm_error *err) {
    (void)root;
    if (c->dim > INT_MAX / 4)
        return md_fail(err, MDLM_INPUT, "'%s': hidden_dim %d is out of range", path, c->dim);
    c->kv_heads = c->heads;
    c->ff = 4 * c->dim;
    if (c->mask_id < 0) c->mask_id = c->vocab - 1;
    return MDLM_OK;
}

/* --- SMDM ------------------------------------------------------------------------------------- */

/* The names of lit-gpt's Config: the published files come without one. */
static const md_config_key smdm_keys[] = {
    FIXED("_norm_class", "\"FusedRMSNorm\"|\"RMSNorm\""),
    FIXED("_mlp_class", "\"LLaMAMLP\""),
    FIXED("parallel_residual", "false"),
    FIXED("shared_attention_norm", "false"),
    FIXED("bias", "false"),
    FIXED("rotary_percentage", "1"),
    FIXED("condense_ratio", "1"),
    CHECKED("quantization_config", "null"),
    SIZE("n_embd", dim),
    SIZE("n_layer", layers),
    SIZE("n_head", heads),
    SIZE_OR("n_query_groups", kv_heads),
    SIZE("intermediate_size", ff),
    SIZE("block_size", seq_len),
    {"padded_vocab_size", MD_KEY_SCORED, FIELD(vocab), NULL, false},
    NUMBER_OR("norm_eps", norm_eps),
    NUMBER_OR("rope_base", rope_theta),
    ID("mask_token_id", mask_id),
    ID("eos_token_id", end_of_text_id),
    ID("pad_token_id", padding_id),
    END,
};

static mdlm_status complete_smdm(const cJSON *root, const char *path, md_model_config *c,
                                 mdlm_error *err) {
    (void)root, (void)path, (void)err;
    if (c->kv_heads == 0) c->kv_heads = c->heads;
    if (c->mask_id < 0) c->mask_id = c->vocab - 1;
    return MDLM_OK;
}

/* --- all -------------------------------------------------------------------------------------- */

/* The first of a kind is what it is written as; of LLaDA's, that goes by what positions see. */
static const md_config_form forms[] = {
    {.type = "llada",
     .architecture = "LLaDAModelLM",
     .home = "GSAI-ML/LLaDA-8B-Base",
     .module = "llada",
     .config_class = "LLaDAConfig",
     .auto_class = "AutoModelForCausalLM",
     .keys = llada_keys,
     .complete = complete_llada},
    {.type = "mdlm_block",
     .architecture = "MDLMBlockModelLM",
     .keys = block_keys,
     .start = {.sight = MD_SEES_BLOCKS},
     .complete = complete_llada},
    {.type = "mdlm_ar",
     .architecture = "MDLMAutoregressiveModelLM",
     .keys = llada_keys,
     .start = {.sight = MD_SEES_PAST},
     .complete = complete_llada},
    {.type = "Dream",
     .architecture = "DreamModel",
     .home = "Dream-org/Dream-v0-Base-7B",
     .module = "dream",
     .config_class = "DreamConfig",
     .keys = dream_keys,
     .start = {.arch = MD_ARCH_DREAM, .qkv_bias = true, .shifted = true},
     .complete = complete_dream},
    {.type = "mdlm",
     .architecture = "MDLM",
     .home = "kuleshov-group/mdlm-owt",
     .module = "mdlm",
     .config_class = "MDLMConfig",
     .auto_class = "AutoModelForMaskedLM",
     .keys = mdlm_keys,
     .start = {.arch = MD_ARCH_MDLM, .rope_theta = 10000, .norm_eps = 1e-5},
     .complete = complete_mdlm},
    {.type = "smdm",
     .architecture = "TransEncoder",
     .keys = smdm_keys,
     .start = {.arch = MD_ARCH_SMDM, .rope_theta = 10000, .norm_eps = 1e-5, .unscored = 1},
     .complete = complete_smdm},
};
enum { FORMS = sizeof forms / sizeof *forms };

const char *md_config_form_type(int i) {
    return i < FORMS ? forms[i].type : NULL;
}

const md_config_form *md_config_form_named(const char *type) {
    for (int i = 0; i < FORMS; i++) {
        if (!strcmp(forms[i].type, type)) return &forms[i];
    }
    return NULL;
}

const md_config_form *md_config_form_of(const md_model_config *c) {
    for (int i = 0; i < FORMS; i++) {
        if (forms[i].start.arch == c->arch && forms[i].start.sight == c->sight) return &forms[i];
    }
    md_bug(__FILE__, __LINE__, "a configuration without a form");
}
