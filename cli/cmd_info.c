/* cli/cmd_info.c: `mdlm info`: what this machine offers, and what a model is. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/gguf_tokenizer.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/pool.h"
#include "cli/commands.h"
#include "cli/info_image.h"
#include "cli/info_weights.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "model/config.h"
#include "model/gguf.h"
#include "model/lora.h"
#include "tensor/kernels.h"
#include "tokenizer/tokenizer.h"
#include "train/objective.h"

typedef struct machine {
    char cpu[128];
    char features[256]; /* separated by spaces */
    const char *kernels;
    const char *bf16, *q8_0; /* the products of these operand types */
    long processors;
    int usable; /* by this process */
    int64_t memory;
} machine;

/* Everything about a model but the values of its weights, so that a large one is described at once.
 */
typedef struct model {
    bool of_images;
    int64_t parameters;
    cJSON *run; /* run.json, NULL where there is none */
    /* of text */
    md_model_config config;
    md_tokenizer *tokenizer;
    char *base; /* of adapters: the folder of the network that they are beside; else NULL */
    md_info_weights weights;
    /* of images */
    md_image_setup setup;
} model;

/* --- machine ---------------------------------------------------------------------------------- */

static void read_cpu_name(char *out, size_t room) {
    snprintf(out, room, "unknown");
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[512];
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || !colon) continue;
        colon += strspn(colon, ": \t");
        snprintf(out, room, "%.*s", (int)strcspn(colon, "\n"), colon);
        break;
    }
    if (file) fclose(file);
}

static void add_feature(machine *m, const char *name, bool present) {
    size_t used = strlen(m->features);
    if (!present) return;
    snprintf(m->features + used, sizeof m->features - used, used ? " %s" : "%s", name);
}

/* The instruction sets that matter to kernels. The builtin wants literals, hence the macro. */
static void read_features(machine *m) {
#if defined(__x86_64__)
#define FEATURE(name) add_feature(m, name, __builtin_cpu_supports(name) != 0)
    __builtin_cpu_init();
    FEATURE("sse4.2");
    FEATURE("avx");
    FEATURE("avx2");
    FEATURE("fma");
    FEATURE("avx512f");
    FEATURE("avx512bw");
    FEATURE("avx512dq");
    FEATURE("avx512vl");
    FEATURE("avx512vnni");
    FEATURE("avx512bf16");
#undef FEATURE
#else
    (void)add_feature, (void)m;
#endif
}

static mdlm_status read_machine(const md_cli *cli, machine *m, mdlm_error *err) {
    md_kernels kernels;
    MD_TRY(md_kernels_init(&kernels, cli->kernels, err));
    m->kernels = kernels.name;
    MD_TRY(md_kernels_set_dtype(&kernels, "bf16", err));
    m->bf16 = kernels.products;
    MD_TRY(md_kernels_set_dtype(&kernels, "q8_0", err));
    m->q8_0 = kernels.products;
    read_cpu_name(m->cpu, sizeof m->cpu);
    read_features(m);
    m->processors = sysconf(_SC_NPROCESSORS_ONLN);
    m->usable = md_pool_default_threads();
    m->memory = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    return MDLM_OK;
}

/* Whether a set of kernels runs on this processor. */
static bool runs_here(const char *name) {
    md_kernels kernels;
    return md_kernels_init(&kernels, name, NULL) == MDLM_OK;
}

static mdlm_status print_machine(const md_cli *cli, const machine *m, mdlm_error *err) {
    const md_cli_blas *blas = &cli->blas;
    MD_TRY(md_cli_print(err, "mdlm        %s\n", mdlm_version()));
    MD_TRY(md_cli_print(err, "processor   %s, %ld online, %d usable\n", m->cpu, m->processors,
                        m->usable));
    MD_TRY(md_cli_print(err, "features    %s\n", *m->features ? m->features : "none known"));
    MD_TRY(md_cli_print(err, "memory      %.1f GiB\n", (double)m->memory / (1 << 30)));
    MD_TRY(md_cli_print(err, "threads     %d%s\n", cli->threads, md_cli_defaulted(cli, "threads")));
    MD_TRY(md_cli_print(err, "kernels     %s (available:", m->kernels));
    for (int i = 0; md_kernels_names[i]; i++) {
        if (runs_here(md_kernels_names[i])) MD_TRY(md_cli_print(err, " %s", md_kernels_names[i]));
    }
    MD_TRY(md_cli_print(err, ")\n"));
    MD_TRY(md_cli_print(err, "products    bf16: %s, q8_0: %s\n", m->bf16, m->q8_0));
    MD_TRY(md_cli_print(err, "BLAS        %s\n", *blas->config ? blas->config : "unknown"));
    if (!*blas->core) return MDLM_OK;
    return md_cli_print(err, "BLAS core   %s (found %s; %s)\n", blas->core, blas->found,
                        blas->reason);
}

static void json_machine(const md_cli *cli, const machine *m, md_json_line *line) {
    md_json_open(line, "machine", '{');
    md_json_put_string(line, "processor", m->cpu);
    md_json_put_string(line, "features", m->features);
    md_json_put_int(line, "processors_online", m->processors);
    md_json_put_int(line, "processors_usable", m->usable);
    md_json_put_int(line, "memory_bytes", m->memory);
    md_json_put_int(line, "threads", cli->threads);
    md_json_put_string(line, "kernels", m->kernels);
    md_json_open(line, "kernels_available", '[');
    for (int i = 0; md_kernels_names[i]; i++) {
        if (runs_here(md_kernels_names[i])) md_json_put_string(line, NULL, md_kernels_names[i]);
    }
    md_json_close(line, ']');
    md_json_open(line, "products", '{');
    md_json_put_string(line, "bf16", m->bf16);
    md_json_put_string(line, "q8_0", m->q8_0);
    md_json_close(line, '}');
    md_json_put_string(line, "blas", cli->blas.config);
    md_json_put_string(line, "blas_core", cli->blas.core);
    md_json_put_string(line, "blas_core_found", cli->blas.found);
    md_json_put_string(line, "blas_core_reason", cli->blas.reason);
    md_json_put_flag(line, "blas_core_by_user", cli->blas.by_user);
    md_json_close(line, '}');
}

/* --- model ------------------------------------------------------------------------------------ */

static mdlm_status read_run(const char *folder, cJSON **out, mdlm_error *err) {
    enum { LARGEST = 1 << 26 };
    char *path = md_path_join(folder, "run.json", err);
    if (!path) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    if (md_file_exists(path)) status = md_json_load(path, LARGEST, out, err);
    md_free(path);
    return status;
}

static void release_model(model *m) {
    md_image_setup_release(&m->setup);
    md_tokenizer_free(m->tokenizer);
    cJSON_Delete(m->run);
    md_free(m->base);
}

/* A run that has published nothing yet has no weights. */
static mdlm_status read_weights(const char *path, const char *kernels, model *m, mdlm_error *err) {
    md_weights *files = NULL;
    mdlm_status status = MDLM_OK;
    if (md_gguf_is(path))
        status = md_gguf_model_open(path, &m->config, &files, err);
    else if (md_weights_in(path))
        status = md_weights_open(path, &files, err);
    if (status == MDLM_OK)
        status = md_info_weights_read(files, &m->config, kernels, &m->weights, err);
    md_weights_close(files);
    return status;
}

static mdlm_status read_model(const char *folder, const char *kernels, model *m, mdlm_error *err) {
    MD_TRY(read_run(folder, &m->run, err));
    m->of_images = md_image_config_in(folder);
    if (m->of_images) {
        MD_TRY(md_image_setup_load(folder, &m->setup, err));
        return md_info_image_parameters(&m->setup, &m->parameters, err);
    }
    MD_TRY(md_model_config_load(folder, &m->config, err));
    MD_TRY(md_model_tokenizer(folder, &m->config, &m->tokenizer, err));
    m->parameters = md_model_config_parameters(&m->config);
    if (md_lora_in(folder)) MD_TRY(md_lora_base(folder, &m->base, err));
    return read_weights(m->base ? m->base : folder, kernels, m, err);
}

static const char *run_text(const model *m, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(m->run, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

/* Whose network it is, and what it has besides what all have. */
static mdlm_status print_kind(const md_model_config *c, mdlm_error *err) {
    const struct {
        bool has;
        const char *text;
    } facts[] = {{c->tied, "head tied to the embedding"},
                 {c->qkv_bias, "biases on q, k and v"},
                 {c->arch == MD_ARCH_MDLM, "adaLN without time, biases but in attention"},
                 {c->shifted, "logits shifted by one"},
                 {c->unscored > 0, "no logit for the mask"}};
    MD_TRY(md_cli_print(err, "kind        %s", md_arch_name(c->arch)));
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
        if (facts[i].has) MD_TRY(md_cli_print(err, ", %s", facts[i].text));
    return md_cli_print(err, "\n");
}

static mdlm_status print_text_model(const model *m, mdlm_error *err) {
    const md_model_config *c = &m->config;
    const int canvas = md_model_config_canvas(c);
    MD_TRY(print_kind(c, err));
    MD_TRY(md_cli_print(err, "shape       layers %d, dim %d, heads %d, kv-heads %d, ff %d\n",
                        c->layers, c->dim, c->heads, c->kv_heads, c->ff));
    MD_TRY(md_cli_print(err, "objective   %s", md_objective_for(c->sight)->name));
    if (c->block_length > 0) MD_TRY(md_cli_print(err, ", blocks of %d tokens", c->block_length));
    MD_TRY(md_cli_print(err, "\n"));
    if (m->base) MD_TRY(md_cli_print(err, "adapters    beside '%s'\n", m->base));
    MD_TRY(md_cli_print(err, "sequence    %d tokens", c->seq_len));
    if (canvas < c->seq_len) MD_TRY(md_cli_print(err, ", %d where nobody says", canvas));
    MD_TRY(md_cli_print(err, "\n"));
    MD_TRY(md_cli_print(err, "tokenizer   %s, vocabulary %d, mask %d, end of text %d\n",
                        md_tokenizer_kind_name(m->tokenizer), c->vocab, (int)c->mask_id,
                        (int)c->end_of_text_id));
    return md_info_weights_print(&m->weights, err);
}

static mdlm_status print_model(const char *folder, const model *m, mdlm_error *err) {
    char size[MD_SHORT_TEXT];
    md_quantity_text((double)m->parameters, size);
    MD_TRY(md_cli_print(err, "\nmodel       %s, %s parameters (%lld)\n", folder, size,
                        (long long)m->parameters));
    MD_TRY(m->of_images ? md_info_image_print(&m->setup, err) : print_text_model(m, err));
    if (run_text(m, "command")) {
        MD_TRY(md_cli_print(err, "made by     %s\n", run_text(m, "command")));
    }
    if (run_text(m, "version")) {
        MD_TRY(md_cli_print(err, "            mdlm %s\n", run_text(m, "version")));
    }
    return MDLM_OK;
}

static void json_text_model(const model *m, md_json_line *line) {
    static const char *const kinds[] = {[MD_ARCH_LLADA] = "llada",
                                        [MD_ARCH_DREAM] = "dream",
                                        [MD_ARCH_MDLM] = "mdlm",
                                        [MD_ARCH_SMDM] = "smdm"};
    const md_model_config *c = &m->config;
    md_json_put_string(line, "kind", kinds[c->arch]);
    md_json_put_int(line, "layers", c->layers);
    md_json_put_int(line, "dim", c->dim);
    md_json_put_int(line, "heads", c->heads);
    md_json_put_int(line, "kv_heads", c->kv_heads);
    md_json_put_int(line, "ff", c->ff);
    md_json_put_int(line, "seq_len", c->seq_len);
    md_json_put_int(line, "canvas", md_model_config_canvas(c));
    md_json_put_flag(line, "tied", c->tied);
    md_json_put_flag(line, "qkv_bias", c->qkv_bias);
    md_json_put_flag(line, "shifted_logits", c->shifted);
    md_json_put_string(line, "objective", md_objective_for(c->sight)->name);
    if (c->block_length > 0) md_json_put_int(line, "block_length", c->block_length);
    if (m->base) md_json_put_string(line, "adapters_of", m->base);
    md_json_put_string(line, "tokenizer", md_tokenizer_kind_name(m->tokenizer));
    md_json_put_int(line, "vocab_size", c->vocab);
    md_json_put_int(line, "mask_id", c->mask_id);
    md_json_put_int(line, "end_of_text_id", c->end_of_text_id);
    md_info_weights_json(&m->weights, line);
}

static void json_model(const char *folder, const model *m, md_json_line *line) {
    md_json_open(line, "model", '{');
    md_json_put_string(line, "path", folder);
    md_json_put_int(line, "parameters", m->parameters);
    if (m->of_images)
        md_info_image_json(&m->setup, line);
    else
        json_text_model(m, line);
    md_json_put_string(line, "command", run_text(m, "command"));
    md_json_put_string(line, "version", run_text(m, "version"));
    md_json_close(line, '}');
}

/* The model named on the command line; the run only if it is there. NULL: none. */
static const char *model_folder(const md_cli *cli) {
    const char *named = md_cli_argument(cli);
    if (named) return named;
    bool asked = *cli->common.model || *cli->common.run;
    return asked || md_is_dir(cli->model) ? cli->model : NULL;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    machine host = {0};
    model m = {0};
    const char *folder = model_folder(cli);
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, read_machine(cli, &host, err));
    if (folder) MD_GOTO(done, status, read_model(folder, cli->kernels, &m, err));
    if (cli->common.json) {
        md_json_line line;
        md_json_begin(&line);
        md_json_put_string(&line, "version", mdlm_version());
        json_machine(cli, &host, &line);
        if (folder) json_model(folder, &m, &line);
        status = md_json_end(&line, err);
    } else {
        MD_GOTO(done, status, print_machine(cli, &host, err));
        if (folder) status = print_model(folder, &m, err);
    }
done:
    release_model(&m);
    return status;
}

const md_command md_cmd_info = {
    .name = "info",
    .arguments = "[MODEL]",
    .summary = "Describe this machine (kernels, BLAS, threads) and a model.",
    .examples = "  mdlm info               the machine, and the run if there is one\n"
                "  mdlm info big --json    the run or model folder 'big'\n"
                "  mdlm info big.gguf      a GGUF file\n",
    .notes = "OpenBLAS's choice of kernels is corrected when it does not use what the processor "
             "has;\nset OPENBLAS_CORETYPE to choose yourself.\n",
    .has_model = true,
    .max_positional = 1,
    .run = run,
};
