/* model/transformer_load.c: a network from a Hugging Face folder, or from a folder of adapters and
 * the one that they belong to. */
#include "base/file.h"
#include "base/memory.h"
#include "model/lora.h"
#include "tensor/weights.h"

/* The network of FOLDER/config.json with the weights of a file. */
static mdlm_status load_from(const char *folder, const char *path, bool gradients,
                             md_transformer **out, mdlm_error *err) {
    md_model_config config;
    md_transformer *net = NULL;
    MD_TRY(md_model_config_load(folder, &config, err));
    MD_TRY(md_transformer_new(&config, gradients, &net, err));
    md_params *params = md_transformer_params(net);
    mdlm_status status = md_weights_load_params(path, params, "", md_params_values(params), err);
    if (status == MDLM_OK) {
        *out = net;
    } else {
        md_transformer_free(net);
    }
    return status;
}

static mdlm_status load_plain(const char *folder, const char *config_folder, bool gradients,
                              md_transformer **out, mdlm_error *err) {
    char *path = md_path_join(folder, "model.safetensors", err);
    if (!path) return MDLM_RUNTIME;
    mdlm_status status = load_from(config_folder, path, gradients, out, err);
    md_free(path);
    return status;
}

/* The base's weights and, on top, the folder's adapters. What a position sees may have changed with
 * them, so a config.json beside them goes first. */
static mdlm_status load_adapted(const char *folder, const char *weights, bool gradients,
                                md_transformer **out, mdlm_error *err) {
    char *base = NULL, *home = NULL;
    md_transformer *net = NULL;
    md_lora *lora = NULL;
    mdlm_status status;
    MD_GOTO(done, status, md_lora_base(folder, &base, err));
    MD_GOTO(done, status, md_lora_home(folder, "config.json", &home, err));
    MD_GOTO(done, status, load_plain(base, home, gradients, &net, err));
    MD_GOTO(done, status, md_lora_load(folder, weights, net, &lora, err));
    md_lora_merge(lora, net);
    *out = net;
    net = NULL;
done:
    md_lora_free(lora);
    md_transformer_free(net);
    md_free(home);
    md_free(base);
    return status;
}

mdlm_status md_transformer_load(const char *folder, const char *weights, bool gradients,
                                md_transformer **out, mdlm_error *err) {
    if (md_lora_in(folder)) return load_adapted(folder, weights, gradients, out, err);
    if (weights) return load_from(folder, weights, gradients, out, err);
    return load_plain(folder, folder, gradients, out, err);
}
