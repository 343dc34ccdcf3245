/* cli/cmd_convert.c: `mdlm convert`: a model as a Hugging Face folder or a GGUF file, adapters
 * merged. */
#include <string.h>
#include <sys/stat.h>

#include "cli/commands.h"
#include "cli/convert.h"
#include "cli/eta.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "model/lora.h"

#define CONVERT_OPTIONS(X) \
    X(CHOICE, dtype, "f32", 0, 0, \
      "f32|bf16|q8_0: of the weights as they are stored; q8_0, 8 bits with a scale per 32, in " \
      "GGUF " \
      "alone")

typedef struct convert_options {
    CONVERT_OPTIONS(MD_OPTION_FIELD)
} convert_options;

#define MD_OPTION_STRUCT convert_options
static const md_option table[] = {CONVERT_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

static bool ends_in(const char *text, const char *end) {
    const size_t size = strlen(text), tail = strlen(end);
    return size >= tail && !strcmp(text + size - tail, end);
}

static mdlm_status check_target(const md_conversion *c, bool gguf, mdlm_error *err) {
    struct stat info;
    if (lstat(c->out, &info) == 0) {
        return md_fail(err, MDLM_USAGE, "'%s' is there already: name a new %s", c->out,
                       gguf ? "file" : "folder");
    }
    if (gguf || strcmp(c->dtype, "q8_0") != 0) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "--dtype q8_0 is for GGUF: name a file '%s.gguf'", c->out);
}

static mdlm_status convert(md_cli *cli, md_conversion *c, mdlm_error *err) {
    const bool gguf = ends_in(c->out, ".gguf");
    md_eta eta = md_eta_start(cli->common.quiet);
    MD_TRY(check_target(c, gguf, err));
    MD_TRY(md_model_stream_open(c->in, NULL, &c->model, err));
    md_cli_signals_catch();
    c->watch = (md_stream_watch){.on_progress = md_eta_update, .user = &eta};
    md_eta_begin(&eta, "writing");
    mdlm_status status = gguf ? md_convert_to_gguf(c, err) : md_convert_to_folder(c, err);
    md_eta_clear(&eta);
    return status;
}

static mdlm_status report(const md_cli *cli, const md_conversion *c, mdlm_error *err) {
    const int64_t parameters = md_model_config_parameters(md_model_stream_config(c->model));
    char size[MD_SHORT_TEXT];
    md_quantity_text((double)parameters, size);
    md_cli_note(cli, "%s%s parameters in %s; next: mdlm generate --model %s",
                md_lora_in(c->in) ? "adapters merged: " : "", size, c->dtype, c->out);
    if (!cli->common.json) return MDLM_OK;
    md_json_line line;
    md_json_begin(&line);
    md_json_put_string(&line, "out", c->out);
    md_json_put_int(&line, "parameters", parameters);
    md_json_put_string(&line, "dtype", c->dtype);
    md_json_put_flag(&line, "merged", md_lora_in(c->in));
    return md_json_end(&line, err);
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const convert_options *opt = cli->settings;
    md_conversion c = {.in = md_options_positional(cli->options, 0),
                       .out = md_options_positional(cli->options, 1),
                       .dtype = opt->dtype};
    mdlm_status status = convert(cli, &c, err);
    if (status == MDLM_OK) status = report(cli, &c, err);
    md_model_stream_close(c.model);
    return status;
}

static const md_cli_section sections[] = {{"Conversion", table}, {NULL, NULL}};

const md_command md_cmd_convert = {
    .name = "convert",
    .arguments = "IN OUT",
    .summary = "Write a model as a Hugging Face folder or a GGUF file, adapters merged.",
    .examples = "  mdlm convert mdlm-run model                   what the run published\n"
                "  mdlm convert mdlm-run model --dtype bf16      half the size\n"
                "  mdlm convert mdlm-run model.gguf --dtype q8_0   for llama.cpp\n"
                "  mdlm convert model.gguf model                 the other way\n",
    .notes =
        "IN: a run, a Hugging Face folder, a GGUF file, or a folder of LoRA adapters\n"
        "(adapter_config.json names the model that they are merged into). OUT must not exist; it\n"
        "appears when it is complete. A name that ends in .gguf is a GGUF file, for\n"
        "llama-diffusion-cli; others are folders. The model is never in memory as a whole.\n",
    .settings_size = sizeof(convert_options),
    .sections = sections,
    .min_positional = 2,
    .max_positional = 2,
    .run = run,
};
