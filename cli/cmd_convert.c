/* cli/cmd_convert.c: `mdlm convert`: a model as a whole Hugging Face folder, adapters merged. */
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "model/lora.h"
#include "tensor/safetensors.h"
#include "train/run_folder.h"

#define CONVERT_OPTIONS(X) \
    X(CHOICE, dtype, "f32", 0, 0, "f32|bf16: of the weights as they are stored")

typedef struct convert_options {
    CONVERT_OPTIONS(MD_OPTION_FIELD)
} convert_options;

#define MD_OPTION_STRUCT convert_options
static const md_option table[] = {CONVERT_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

enum { CONFIG_BYTES = 1 << 20, TOKENIZER_BYTES = 256 << 20 };

/* Taken over byte for byte; the first must be there. */
static const char *const tokenizer_files[] = {"tokenizer.json",          "tokenizer_config.json",
                                              "special_tokens_map.json", "added_tokens.json",
                                              "chat_template.jinja",     NULL};

/* A conversion under way. */
typedef struct conversion {
    const char *in, *out;
    bool bf16;
    md_transformer *net;
    char *home;    /* where the tokenizer's files are */
    char *staging; /* what becomes `out` */
} conversion;

static mdlm_status copy_file(const char *from, const char *to, mdlm_error *err) {
    char *bytes = NULL;
    size_t size;
    MD_TRY(md_file_read(from, TOKENIZER_BYTES, &bytes, &size, err));
    mdlm_status status = md_file_write(to, bytes, size, err);
    md_free(bytes);
    return status;
}

static mdlm_status copy_tokenizer(const conversion *c, mdlm_error *err) {
    mdlm_status status = MDLM_OK;
    for (const char *const *name = tokenizer_files; status == MDLM_OK && *name; name++) {
        char *from = md_path_join(c->home, *name, err), *to = md_path_join(c->staging, *name, err);
        bool wanted = name == tokenizer_files || (from && md_file_exists(from));
        if (!from || !to) status = MDLM_RUNTIME;
        if (status == MDLM_OK && wanted) status = copy_file(from, to, err);
        md_free(from);
        md_free(to);
    }
    return status;
}

/* Puts the type of the stored weights into config.json. */
static mdlm_status name_dtype(const char *path, const char *dtype, mdlm_error *err) {
    cJSON *root = NULL;
    MD_TRY(md_json_load(path, CONFIG_BYTES, &root, err));
    cJSON *name = cJSON_CreateString(dtype);
    mdlm_status status = MDLM_RUNTIME;
    if (name && cJSON_ReplaceItemInObjectCaseSensitive(root, "torch_dtype", name)) {
        status = md_json_save(path, root, err);
    } else {
        cJSON_Delete(name);
        md_fail(err, MDLM_RUNTIME, "out of memory: cannot write '%s'", path);
    }
    cJSON_Delete(root);
    return status;
}

static mdlm_status write_model(const conversion *c, mdlm_error *err) {
    md_params *params = md_transformer_params(c->net);
    mdlm_status status = MDLM_RUNTIME;
    char *config = md_path_join(c->staging, "config.json", err);
    char *weights = md_path_join(c->staging, "model.safetensors", err);
    if (!config || !weights) goto done;
    MD_GOTO(done, status, md_model_config_save(md_transformer_config(c->net), c->staging, err));
    if (c->bf16) MD_GOTO(done, status, name_dtype(config, "bfloat16", err));
    status = md_safetensors_write_params_as(weights, params, "", md_params_values(params),
                                            c->bf16 ? MD_ST_BF16 : MD_ST_F32, err);
done:
    md_free(config);
    md_free(weights);
    return status;
}

/* Everything goes into a folder beside, which is renamed when it is complete. */
static mdlm_status convert(conversion *c, mdlm_error *err) {
    struct stat info;
    char *aside = NULL;
    if (lstat(c->out, &info) == 0)
        return md_fail(err, MDLM_USAGE, "'%s' is there already: name a new folder", c->out);
    MD_TRY(md_transformer_load(c->in, NULL, false, &c->net, err));
    MD_TRY(md_lora_home(c->in, *tokenizer_files, &c->home, err));
    MD_TRY(md_run_stage(c->out, &c->staging, err));
    mdlm_status status = copy_tokenizer(c, err);
    if (status == MDLM_OK) status = write_model(c, err);
    if (status == MDLM_OK) status = md_run_publish(c->staging, c->out, &aside, err);
    if (status != MDLM_OK) md_dir_remove(c->staging, NULL);
    md_free(aside);
    return status;
}

static mdlm_status report(const md_cli *cli, const conversion *c, mdlm_error *err) {
    const convert_options *opt = cli->settings;
    const int64_t parameters = md_model_config_parameters(md_transformer_config(c->net));
    char size[MD_SHORT_TEXT];
    md_quantity_text((double)parameters, size);
    md_cli_note(cli, "%s%s parameters in %s; next: mdlm generate --model %s",
                md_lora_in(c->in) ? "adapters merged: " : "", size, opt->dtype, c->out);
    if (!cli->common.json) return MDLM_OK;
    md_json_line line;
    md_json_begin(&line);
    md_json_put_string(&line, "out", c->out);
    md_json_put_int(&line, "parameters", parameters);
    md_json_put_string(&line, "dtype", opt->dtype);
    md_json_put_flag(&line, "merged", md_lora_in(c->in));
    return md_json_end(&line, err);
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const convert_options *opt = cli->settings;
    conversion c = {.in = md_options_positional(cli->options, 0),
                    .out = md_options_positional(cli->options, 1),
                    .bf16 = !strcmp(opt->dtype, "bf16")};
    mdlm_status status = convert(&c, err);
    if (status == MDLM_OK) status = report(cli, &c, err);
    md_transformer_free(c.net);
    md_free(c.home);
    md_free(c.staging);
    return status;
}

static const md_cli_section sections[] = {{"Conversion", table}, {NULL, NULL}};

const md_command md_cmd_convert = {
    .name = "convert",
    .arguments = "IN OUT",
    .summary = "Write a model as a Hugging Face folder of its own, adapters merged.",
    .examples = "  mdlm convert mdlm-run model                 what the run published\n"
                "  mdlm convert mdlm-run model --dtype bf16    half the size\n",
    .notes = "IN: a run, a Hugging Face folder, or a folder of LoRA adapters (adapter_config.json\n"
             "names the model that they are merged into). OUT must not exist; it appears when it\n"
             "is complete.\n",
    .settings_size = sizeof(convert_options),
    .sections = sections,
    .min_positional = 2,
    .max_positional = 2,
    .run = run,
};
