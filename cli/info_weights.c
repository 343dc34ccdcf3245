/* cli/info_weights.c: see info_weights.h. */
#include "cli/info_weights.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/terminal.h"
#include "model/transformer.h"

static const char *const dtypes[MD_INFO_DTYPES] = {"f32", "bf16", "q8_0"};

/* Bytes that are stored in each type. */
enum { TYPES = 8 };
typedef struct share {
    const char *name;
    size_t bytes;
} share;

static void add_share(share list[TYPES], const md_weight *w) {
    int i = 0;
    while (i < TYPES - 1 && list[i].name && strcmp(list[i].name, w->type->name) != 0) i++;
    list[i].name = w->type->name;
    list[i].bytes += md_weight_bytes(w);
}

static void name_shares(share list[TYPES], char *out, size_t room) {
    size_t used = 0;
    for (;;) {
        share *most = NULL;
        for (int i = 0; i < TYPES; i++)
            if (list[i].name && (!most || list[i].bytes > most->bytes)) most = &list[i];
        if (!most || used >= room) return;
        used += (size_t)snprintf(out + used, room - used, "%s%s", used ? ", " : "", most->name);
        most->name = NULL;
    }
}

static void read_files(const md_weights *weights, md_info_weights *out) {
    share list[TYPES] = {0};
    for (int i = 0; i < md_weights_count(weights); i++) {
        const md_weight *w = md_weights_at(weights, i);
        add_share(list, w);
        out->bytes += (int64_t)md_weight_bytes(w);
    }
    out->files = md_weights_files(weights);
    name_shares(list, out->stored, sizeof out->stored);
    out->automatic = md_transformer_dtype_for(weights);
}

mdlm_status md_info_weights_read(const md_weights *weights, const md_model_config *config,
                                 const char *kernels, md_info_weights *out, mdlm_error *err) {
    md_info_weights info = {.available = md_memory_available(), .automatic = "f32"};
    if (weights) read_files(weights, &info);
    for (int i = 0; i < MD_INFO_DTYPES; i++) {
        md_kernels k;
        MD_TRY(md_kernels_init(&k, kernels, err));
        MD_TRY(md_kernels_set_dtype(&k, dtypes[i], err));
        MD_TRY(md_transformer_packed_bytes(config, &k, &info.memory[i], err));
    }
    *out = info;
    return MDLM_OK;
}

/* "14.9 GiB", "310 MiB" */
static const char *size_text(int64_t bytes, char out[MD_SHORT_TEXT]) {
    const double mib = (double)bytes / (1 << 20);
    if (mib >= 1024)
        snprintf(out, MD_SHORT_TEXT, "%.1f GiB", mib / 1024);
    else
        snprintf(out, MD_SHORT_TEXT, mib < 10 ? "%.1f MiB" : "%.0f MiB", mib);
    return out;
}

mdlm_status md_info_weights_print(const md_info_weights *w, mdlm_error *err) {
    char size[MD_SHORT_TEXT];
    if (w->files > 0)
        MD_TRY(md_cli_print(err, "weights     %s, %s in %d file%s\n", w->stored,
                            size_text(w->bytes, size), w->files, w->files == 1 ? "" : "s"));
    MD_TRY(md_cli_print(err, "in memory  "));
    for (int i = 0; i < MD_INFO_DTYPES; i++)
        MD_TRY(
            md_cli_print(err, "%s%s %s", i ? ", " : " ", dtypes[i], size_text(w->memory[i], size)));
    MD_TRY(md_cli_print(err, " by --dtype (auto: %s)", w->automatic));
    if (w->available < INT64_MAX)
        MD_TRY(md_cli_print(err, "; available %s", size_text(w->available, size)));
    return md_cli_print(err, "\n");
}

void md_info_weights_json(const md_info_weights *w, md_json_line *line) {
    if (w->files > 0) {
        md_json_put_string(line, "stored_dtype", w->stored);
        md_json_put_int(line, "weight_files", w->files);
        md_json_put_int(line, "weight_bytes", w->bytes);
    }
    md_json_open(line, "memory_bytes", '{');
    for (int i = 0; i < MD_INFO_DTYPES; i++) md_json_put_int(line, dtypes[i], w->memory[i]);
    md_json_close(line, '}');
    md_json_put_string(line, "auto_dtype", w->automatic);
    if (w->available < INT64_MAX) md_json_put_int(line, "memory_available_bytes", w->available);
}
