/* model/transformer_load.c: a network from a Hugging Face folder, or from a folder of adapters and
 * the one that they belong to. */
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "model/gguf.h"
#include "model/kind_weights.h"
#include "model/lora.h"
#include "model/transformer_internal.h"

void md_loading_release(md_loading *l) {
    md_lora_free(l->lora);
    md_transformer_free(l->net);
    md_weights_close(l->files);
}

/* The shape that a folder's config.json says, or a GGUF file, and the tensors of a folder or file.
 */
static mdlm_status open_plain(const char *shape, const char *weights, md_loading *l,
                              mdlm_error *err) {
    md_model_config config;
    MD_TRY(md_model_config_load(shape, &config, err));
    MD_TRY(md_transformer_declare(&config, &l->net, err));
    if (md_gguf_is(weights)) return md_gguf_model_open(weights, &config, &l->files, err);
    return md_kind_weights_open(weights, &config, &l->files, err);
}

/* The base's weights and the folder's adapters. What a position sees may have changed with them, so
 * a config.json beside them goes first. */
static mdlm_status open_adapted(const char *folder, const char *weights, md_loading *l,
                                mdlm_error *err) {
    char *base = NULL, *home = NULL;
    mdlm_status status;
    MD_GOTO(done, status, md_lora_base(folder, &base, err));
    MD_GOTO(done, status, md_lora_home(folder, "config.json", &home, err));
    MD_GOTO(done, status, open_plain(home, base, l, err));
    status = md_lora_load(folder, weights, l->net, &l->lora, err);
done:
    md_free(home);
    md_free(base);
    return status;
}

mdlm_status md_loading_open(const char *folder, const char *weights, md_loading *l,
                            mdlm_error *err) {
    if (md_lora_in(folder)) return open_adapted(folder, weights, l, err);
    return open_plain(folder, weights ? weights : folder, l, err);
}

/* --- dtypes ----------------------------------------------------------------------------------- */

/* Numbers from which on a model is computed in what it is stored in: 4 GiB of f32. */
static const int64_t large = INT64_C(1) << 30;

static const struct {
    const md_storage *stored;
    const char *dtype;
} computed_in[] = {{&md_storage_f64, "f32"},   {&md_storage_f32, "f32"},
                   {&md_storage_f16, "bf16"},  {&md_storage_bf16, "bf16"},
                   {&md_storage_q8_0, "q8_0"}, {&md_storage_q4_K, "q8_0"},
                   {&md_storage_q6_K, "q8_0"}};
enum { STORED = sizeof computed_in / sizeof *computed_in };

/* Numbers of the matrices that a dtype is for; NULL: of all. */
static int64_t numbers_for(const md_weights *files, const char *dtype) {
    int64_t numbers = 0;
    for (int i = 0; i < md_weights_count(files); i++) {
        const md_weight *w = md_weights_at(files, i);
        int type = 0;
        while (type < STORED && computed_in[type].stored != w->type) type++;
        if (w->rank < 2 || type == STORED) continue;
        if (!dtype || !strcmp(dtype, computed_in[type].dtype)) numbers += md_weight_size(w);
    }
    return numbers;
}

const char *md_transformer_dtype_for(const md_weights *files) {
    static const char *const dtypes[] = {"f32", "bf16", "q8_0"};
    int most = 0;
    if (numbers_for(files, NULL) <= large) return dtypes[0];
    for (int i = 1; i < 3; i++)
        if (numbers_for(files, dtypes[i]) > numbers_for(files, dtypes[most])) most = i;
    return dtypes[most];
}

mdlm_status md_transformer_dtype(const char *folder, const char *weights, const char **out,
                                 mdlm_error *err) {
    md_loading l = {0};
    mdlm_status status = md_loading_open(folder, weights, &l, err);
    if (status == MDLM_OK) *out = md_transformer_dtype_for(l.files);
    md_loading_release(&l);
    return status;
}

/* --- loading ---------------------------------------------------------------------------------- */

/* Values of every parameter of a sealed network, adapters merged. */
static mdlm_status fill(const md_loading *l, md_transformer *net, mdlm_error *err) {
    md_params *params = net->params;
    MD_TRY(md_weights_fill(l->files, params, "", md_params_values(params), err));
    if (l->lora) md_lora_merge(l->lora, net);
    return MDLM_OK;
}

mdlm_status md_transformer_take(md_transformer *net, const char *folder, mdlm_error *err) {
    md_loading l = {0};
    mdlm_status status = md_loading_open(folder, NULL, &l, err);
    if (status == MDLM_OK) status = fill(&l, net, err);
    md_loading_release(&l);
    return status;
}

mdlm_status md_transformer_load(const char *folder, const char *weights, bool gradients,
                                md_transformer **out, mdlm_error *err) {
    md_loading l = {0};
    mdlm_status status = md_loading_open(folder, weights, &l, err);
    if (status == MDLM_OK) status = md_transformer_seal(l.net, gradients, err);
    if (status == MDLM_OK) status = fill(&l, l.net, err);
    if (status == MDLM_OK) {
        *out = l.net;
        l.net = NULL;
    }
    md_loading_release(&l);
    return status;
}

mdlm_status md_transformer_load_packed(const char *folder, const char *weights,
                                       const md_transformer_packing *how, md_transformer **out,
                                       mdlm_error *err) {
    md_loading l = {0};
    mdlm_status status = md_loading_open(folder, weights, &l, err);
    if (status == MDLM_OK) status = md_transformer_pack_files(l.net, l.files, l.lora, how, err);
    if (status == MDLM_OK) {
        *out = l.net;
        l.net = NULL;
        l.files = NULL; /* the network's */
    }
    md_loading_release(&l);
    return status;
}
