/* model/gguf_config.c: the shape of a network as metadata of GGUF; see gguf.h. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "model/gguf.h"

enum { KEY_ROOM = 96, NAME_BYTES = 64 };

static const struct {
    md_arch arch;
    const char *name;
} archs[] = {{MD_ARCH_LLADA, "llada"}, {MD_ARCH_DREAM, "dream"}};
enum { ARCHS = sizeof archs / sizeof *archs };

#define SHIFT_KEY "diffusion.shift_logits"
#define MASK_KEY "tokenizer.ggml.mask_token_id"
#define EOS_KEY "tokenizer.ggml.eos_token_id"
#define PADDING_KEY "tokenizer.ggml.padding_token_id"

/* A file and the prefix of its keys. */
typedef struct source {
    const md_gguf *file;
    const char *arch;
} source;

static const char *key_of(const char *arch, const char *key, char out[KEY_ROOM]) {
    snprintf(out, KEY_ROOM, "%s.%s", arch, key);
    return out;
}

static mdlm_status get_size(const source *s, const char *key, int *out, mdlm_error *err) {
    char full[KEY_ROOM];
    int64_t value = 0;
    MD_TRY(md_gguf_int(s->file, key_of(s->arch, key, full), 1, INT_MAX, &value, err));
    *out = (int)value;
    return MDLM_OK;
}

/* A number that f32 keeps, as the shortest decimal that it is the nearest to: 1e-5, not the
 * 9.99999974e-06 that it becomes. */
static mdlm_status get_number(const source *s, const char *key, double *out, mdlm_error *err) {
    char full[KEY_ROOM], text[32];
    double value = 0;
    MD_TRY(md_gguf_number(s->file, key_of(s->arch, key, full), &value, err));
    for (int digits = 1; digits <= 9; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if ((float)atof(text) == (float)value) break;
    }
    *out = atof(text);
    return MDLM_OK;
}

static mdlm_status get_id(const source *s, const char *key, int vocab, int32_t *out,
                          mdlm_error *err) {
    int64_t value = 0;
    MD_TRY(md_gguf_int(s->file, key, 0, vocab - 1, &value, err));
    *out = (int32_t)value;
    return MDLM_OK;
}

/* --- what is refused -------------------------------------------------------------------------- */

/* A key that may be missing, and must have this value. */
static mdlm_status check_size(const source *s, const char *key, int expected, mdlm_error *err) {
    char full[KEY_ROOM];
    int64_t value = expected;
    if (!md_gguf_has(s->file, key_of(s->arch, key, full))) return MDLM_OK;
    MD_TRY(md_gguf_int(s->file, full, 0, INT_MAX, &value, err));
    if (value == expected) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': %s is %lld, only %d is supported", md_gguf_path(s->file),
                   full, (long long)value, expected);
}

static mdlm_status check_causal(const source *s, mdlm_error *err) {
    char full[KEY_ROOM];
    bool causal = false;
    if (!md_gguf_has(s->file, key_of(s->arch, "attention.causal", full))) return MDLM_OK;
    MD_TRY(md_gguf_flag(s->file, full, &causal, err));
    if (!causal) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': %s is true, only false is supported",
                   md_gguf_path(s->file), full);
}

static mdlm_status check_scaling(const source *s, mdlm_error *err) {
    char full[KEY_ROOM], *type = NULL;
    double factor = 1;
    bool plain = true;
    if (md_gguf_has(s->file, key_of(s->arch, "rope.scaling.type", full))) {
        MD_TRY(md_gguf_text(s->file, full, NAME_BYTES, &type, err));
        plain = !strcmp(type, "none");
        md_free(type);
    }
    if (plain && md_gguf_has(s->file, key_of(s->arch, "rope.scaling.factor", full))) {
        MD_TRY(md_gguf_number(s->file, full, &factor, err));
        plain = factor == 1 || factor == 0; /* 0: llama.cpp's for none */
    }
    if (plain) return MDLM_OK;
    return md_fail(err, MDLM_INPUT, "'%s': %s asks for scaled positions, which are not supported",
                   md_gguf_path(s->file), full);
}

static mdlm_status check_mathematics(const source *s, const md_model_config *c, mdlm_error *err) {
    const int head = c->dim / c->heads;
    MD_TRY(check_causal(s, err));
    MD_TRY(check_scaling(s, err));
    MD_TRY(check_size(s, "rope.dimension_count", head, err));
    MD_TRY(check_size(s, "attention.key_length", head, err));
    MD_TRY(check_size(s, "attention.value_length", head, err));
    return check_size(s, "expert_count", 0, err);
}

/* --- reading ---------------------------------------------------------------------------------- */

static mdlm_status read_arch(const md_gguf *file, md_model_config *c, const char **name,
                             mdlm_error *err) {
    char *text = NULL;
    MD_TRY(md_gguf_text(file, "general.architecture", NAME_BYTES, &text, err));
    int i = 0;
    while (i < ARCHS && strcmp(text, archs[i].name) != 0) i++;
    mdlm_status status = MDLM_OK;
    if (i < ARCHS) {
        c->arch = archs[i].arch;
        *name = archs[i].name;
    } else {
        status = md_fail(err, MDLM_INPUT,
                         "'%s': general.architecture is '%s', only 'llada' and 'dream' are "
                         "supported",
                         md_gguf_path(file), text);
    }
    md_free(text);
    return status;
}

static mdlm_status read_sizes(const source *s, md_model_config *c, mdlm_error *err) {
    char full[KEY_ROOM];
    MD_TRY(get_size(s, "context_length", &c->seq_len, err));
    MD_TRY(get_size(s, "embedding_length", &c->dim, err));
    MD_TRY(get_size(s, "block_count", &c->layers, err));
    MD_TRY(get_size(s, "feed_forward_length", &c->ff, err));
    MD_TRY(get_size(s, "attention.head_count", &c->heads, err));
    c->kv_heads = c->heads;
    if (md_gguf_has(s->file, key_of(s->arch, "attention.head_count_kv", full)))
        MD_TRY(get_size(s, "attention.head_count_kv", &c->kv_heads, err));
    c->rope_theta = 10000;
    if (md_gguf_has(s->file, key_of(s->arch, "rope.freq_base", full)))
        MD_TRY(get_number(s, "rope.freq_base", &c->rope_theta, err));
    return get_number(s, "attention.layer_norm_rms_epsilon", &c->norm_eps, err);
}

/* One row of the embedding per token. */
static mdlm_status read_vocabulary(const source *s, md_model_config *c, mdlm_error *err) {
    const md_gguf_entry *embedding = md_gguf_find(s->file, "token_embd.weight");
    const char *path = md_gguf_path(s->file);
    if (!embedding || embedding->rank != 2 || embedding->dim[0] > INT_MAX)
        return md_fail(err, MDLM_INPUT, "'%s' has no tensor 'token_embd.weight'", path);
    c->vocab = (int)embedding->dim[0];
    MD_TRY(check_size(s, "vocab_size", c->vocab, err));
    MD_TRY(get_id(s, MASK_KEY, c->vocab, &c->mask_id, err));
    c->end_of_text_id = -1;
    if (md_gguf_has(s->file, EOS_KEY))
        MD_TRY(get_id(s, EOS_KEY, c->vocab, &c->end_of_text_id, err));
    c->padding_id = c->end_of_text_id;
    if (md_gguf_has(s->file, PADDING_KEY))
        MD_TRY(get_id(s, PADDING_KEY, c->vocab, &c->padding_id, err));
    return MDLM_OK;
}

mdlm_status md_gguf_read_config(const md_gguf *file, md_model_config *out, mdlm_error *err) {
    source s = {.file = file};
    md_model_config c = {.sight = MD_SEES_ALL, .shifted = true};
    mdlm_error why;
    MD_TRY(read_arch(file, &c, &s.arch, err));
    MD_TRY(read_sizes(&s, &c, err));
    MD_TRY(read_vocabulary(&s, &c, err));
    if (md_gguf_has(file, SHIFT_KEY)) MD_TRY(md_gguf_flag(file, SHIFT_KEY, &c.shifted, err));
    c.tied = !md_gguf_find(file, "output.weight");
    c.qkv_bias = c.arch == MD_ARCH_DREAM;
    if (md_model_config_check(&c, &why) != MDLM_OK)
        return md_fail(err, MDLM_INPUT, "'%s': %s", md_gguf_path(file), why.message);
    MD_TRY(check_mathematics(&s, &c, err));
    *out = c;
    return MDLM_OK;
}

/* --- writing ---------------------------------------------------------------------------------- */

/* What llama.cpp computes for an architecture. */
static const char *arch_for(const md_model_config *c, mdlm_error *err) {
    const char *reason = NULL, *name = NULL;
    for (int i = 0; i < ARCHS; i++) {
        if (archs[i].arch == c->arch) name = archs[i].name;
    }
    if (!name)
        reason = "its kind of network has no architecture there";
    else if (c->sight != MD_SEES_ALL)
        reason = "its positions do not see the whole canvas";
    else if (c->unscored)
        reason = "its head has fewer rows than its embedding";
    else if (c->qkv_bias != (c->arch == MD_ARCH_DREAM))
        reason = c->qkv_bias ? "its q, k and v have biases" : "its q, k and v have no biases";
    if (!reason) return name;
    md_fail(err, MDLM_USAGE, "a %s model cannot be a GGUF file: %s", md_arch_name(c->arch), reason);
    return NULL;
}

mdlm_status md_gguf_put_config(md_gguf_writer *w, const md_model_config *c, mdlm_error *err) {
    const char *arch = arch_for(c, err);
    char key[KEY_ROOM];
    if (!arch) return MDLM_USAGE;
    const struct {
        const char *key;
        int value;
    } sizes[] = {{"context_length", c->seq_len},
                 {"embedding_length", c->dim},
                 {"block_count", c->layers},
                 {"feed_forward_length", c->ff},
                 {"vocab_size", c->vocab},
                 {"attention.head_count", c->heads},
                 {"attention.head_count_kv", c->kv_heads},
                 {"rope.dimension_count", c->dim / c->heads}};
    MD_TRY(md_gguf_put_text(w, "general.architecture", arch, err));
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        MD_TRY(md_gguf_put_u32(w, key_of(arch, sizes[i].key, key), (uint32_t)sizes[i].value, err));
    }
    MD_TRY(md_gguf_put_f32(w, key_of(arch, "attention.layer_norm_rms_epsilon", key),
                           (float)c->norm_eps, err));
    MD_TRY(md_gguf_put_f32(w, key_of(arch, "rope.freq_base", key), (float)c->rope_theta, err));
    MD_TRY(md_gguf_put_flag(w, key_of(arch, "attention.causal", key), false, err));
    return md_gguf_put_flag(w, SHIFT_KEY, c->shifted, err);
}
