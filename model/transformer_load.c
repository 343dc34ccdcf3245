/* model/transformer_load.c: a network from a Hugging Face folder. */
#include "base/file.h"
#include "base/memory.h"
#include "model/transformer.h"
#include "tensor/safetensors.h"

mdlm_status md_transformer_load(const char *folder, const char *weights, bool gradients,
                                md_transformer **out, mdlm_error *err) {
    md_model_config config;
    md_transformer *net = NULL;
    char *path = NULL;
    mdlm_status status;
    MD_TRY(md_model_config_load(folder, &config, err));
    path = weights ? md_strdup(weights, err) : md_path_join(folder, "model.safetensors", err);
    if (!path) return MDLM_RUNTIME;
    MD_GOTO(done, status, md_transformer_new(&config, gradients, &net, err));
    md_params *params = md_transformer_params(net);
    MD_GOTO(done, status,
            md_safetensors_load_params(path, params, "", md_params_values(params), err));
    *out = net;
    net = NULL;
done:
    md_transformer_free(net);
    md_free(path);
    return status;
}
