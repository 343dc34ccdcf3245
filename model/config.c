/* model/config.c: shapes and presets. Their files are in config_file.c. */
#include "model/config_internal.h"

#include <string.h>

const char *md_arch_name(md_arch arch) {
    static const char *const names[] = {[MD_ARCH_LLADA] = "LLaDA",
                                        [MD_ARCH_DREAM] = "Dream",
                                        [MD_ARCH_MDLM] = "MDLM",
                                        [MD_ARCH_SMDM] = "SMDM"};
    return names[arch];
}

static mdlm_status check_size(const char *flag, int64_t value, int64_t max, mdlm_error *err) {
    if (value >= 1 && value <= max) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "--%s %lld is out of range: expected 1 to %lld", flag,
                   (long long)value, (long long)max);
}

static mdlm_status check_blocks(const md_model_config *c, mdlm_error *err) {
    MD_TRY(check_size("block-length", c->block_length, c->seq_len, err));
    if (c->seq_len % c->block_length == 0) return MDLM_OK;
    int below = c->block_length, above = c->block_length;
    while (c->seq_len % below != 0) below--;
    while (c->seq_len % above != 0) above++;
    return md_fail(err, MDLM_USAGE,
                   "--block-length %d does not divide --seq-len %d: the nearest that do are %d "
                   "and %d",
                   c->block_length, c->seq_len, below, above);
}

/* What the kinds of networks have no form for. */
static mdlm_status check_kind(const md_model_config *c, mdlm_error *err) {
    const bool mdlm = c->arch == MD_ARCH_MDLM;
    const char *name = md_arch_name(c->arch);
    if (c->sight != MD_SEES_ALL && (c->arch != MD_ARCH_LLADA || c->shifted))
        return md_fail(err, MDLM_USAGE,
                       "a network of %s's kind sees all positions: it has only "
                       "--objective mdlm",
                       name);
    if (c->unscored < 0 || c->unscored >= c->vocab || (c->unscored && c->tied))
        return md_fail(err, MDLM_USAGE,
                       "a head of %d rows less than the embedding's %d does not "
                       "fit the model",
                       c->unscored, c->vocab);
    if (mdlm) MD_TRY(check_size("cond-dim", c->cond_dim, 65536, err));
    if (mdlm && (c->tied || c->qkv_bias || c->kv_heads != c->heads || c->shifted || c->unscored))
        return md_fail(err, MDLM_USAGE,
                       "a network of MDLM's kind has a head of its own, as many "
                       "--kv-heads as --heads, and no biases on q, k, v");
    return MDLM_OK;
}

mdlm_status md_model_config_check(const md_model_config *c, mdlm_error *err) {
    MD_TRY(check_size("layers", c->layers, 512, err));
    MD_TRY(check_size("dim", c->dim, 65536, err));
    MD_TRY(check_size("heads", c->heads, 1024, err));
    MD_TRY(check_size("kv-heads", c->kv_heads, 1024, err));
    MD_TRY(check_size("ff", c->ff, 262144, err));
    MD_TRY(check_size("vocab-size", c->vocab, 1 << 22, err));
    MD_TRY(check_size("seq-len", c->seq_len, 1 << 20, err));
    if (c->dim % c->heads) {
        return md_fail(err, MDLM_USAGE, "--dim %d is not divisible by --heads %d", c->dim,
                       c->heads);
    }
    if (c->dim / c->heads % 2) {
        return md_fail(err, MDLM_USAGE,
                       "--dim %d over --heads %d gives heads of odd size %d: "
                       "rotary positions need an even one",
                       c->dim, c->heads, c->dim / c->heads);
    }
    if (c->heads % c->kv_heads) {
        return md_fail(err, MDLM_USAGE, "--heads %d is not divisible by --kv-heads %d", c->heads,
                       c->kv_heads);
    }
    if (!(c->rope_theta > 1) || !(c->norm_eps > 0)) {
        return md_fail(err, MDLM_USAGE, "rope_theta must be above 1 and rms_norm_eps above 0");
    }
    MD_TRY(check_kind(c, err));
    if (c->sight == MD_SEES_BLOCKS) MD_TRY(check_blocks(c, err));
    if (c->mask_id < 0 || c->mask_id >= c->vocab) {
        return md_fail(err, MDLM_USAGE, "mask token id %d is not in a vocabulary of %d", c->mask_id,
                       c->vocab);
    }
    return MDLM_OK;
}

static int64_t linear_size(int64_t in, int64_t out) {
    return (in + 1) * out; /* with a bias */
}

int64_t md_model_config_parameters(const md_model_config *c) {
    const int64_t C = c->dim, kv = (int64_t)c->kv_heads * (C / c->heads), ff = c->ff;
    const int64_t cond = c->cond_dim, head = (int64_t)(c->vocab - c->unscored) * C;
    int64_t block = 2 * C + 2 * C * C + 2 * kv * C, ends = C + (int64_t)c->vocab * C;
    if (c->qkv_bias) block += C + 2 * kv;
    if (c->arch != MD_ARCH_MDLM)
        return c->layers * (block + 3 * ff * C) + ends + (c->tied ? 0 : head);
    block += linear_size(C, ff) + linear_size(ff, C) + linear_size(cond, MD_ADALN_PARTS * C);
    ends += linear_size(MD_SIGMA_FREQUENCIES, cond) + linear_size(cond, cond);
    return c->layers * block + ends + linear_size(cond, 2 * C) + linear_size(C, c->vocab);
}

int md_model_config_canvas(const md_model_config *c) {
    enum { DREAM_CANVAS = 2048 };
    return c->arch == MD_ARCH_DREAM && c->seq_len > DREAM_CANVAS ? DREAM_CANVAS : c->seq_len;
}

bool md_model_config_equal(const md_model_config *a, const md_model_config *b) {
    return a->layers == b->layers && a->dim == b->dim && a->heads == b->heads &&
           a->kv_heads == b->kv_heads && a->ff == b->ff && a->vocab == b->vocab &&
           a->seq_len == b->seq_len && a->rope_theta == b->rope_theta &&
           a->norm_eps == b->norm_eps && a->tied == b->tied && a->mask_id == b->mask_id &&
           a->sight == b->sight && a->block_length == b->block_length && a->arch == b->arch &&
           a->qkv_bias == b->qkv_bias && a->shifted == b->shifted && a->unscored == b->unscored &&
           a->cond_dim == b->cond_dim;
}

/* --- presets --------------------------------------------------------------------------------- */

const md_preset md_presets[] = {
    {"1m", 4, 128, 4, 4, 352, 128, 32},
    {"3m", 6, 192, 6, 6, 512, 192, 24},
    {"10m", 6, 384, 6, 6, 1024, 256, 16},
    {"25m", 8, 512, 8, 8, 1376, 256, 16},
    {"50m", 12, 576, 9, 9, 1536, 512, 16},
    {"160m", 12, 768, 12, 12, 2048, 1024, 8},
    {"400m", 24, 1024, 16, 16, 2752, 1024, 8},
    {"1b", 22, 2048, 32, 4, 5632, 2048, 4},
    {.name = NULL},
};

const md_preset *md_preset_find(const char *name) {
    for (const md_preset *p = md_presets; p->name; p++) {
        if (!strcmp(p->name, name)) return p;
    }
    return NULL;
}
