/* cli/convert_gguf.c: a model as a GGUF file; see convert.h. */
#include <string.h>

#include "api/gguf_tokenizer.h"
#include "base/memory.h"
#include "cli/convert.h"
#include "model/gguf.h"

/* llama.cpp's numbers for what most tensors are. */
static const struct {
    const md_storage *type;
    uint32_t file_type;
} types[] = {{&md_storage_f32, 0}, {&md_storage_bf16, 32}, {&md_storage_q8_0, 7}};
enum { TYPES = sizeof types / sizeof *types, QUANTIZATION_VERSION = 2 };

/* The last part of a path, as a name. */
static mdlm_status put_name(md_gguf_writer *w, const char *path, mdlm_error *err) {
    size_t end = strlen(path);
    while (end > 1 && path[end - 1] == '/') end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/') start--;
    char *name = md_strndup(path + start, end - start, err);
    if (!name) return MDLM_RUNTIME;
    mdlm_status status = md_gguf_put_text(w, "general.name", name, err);
    md_free(name);
    return status;
}

static mdlm_status put_metadata(md_gguf_writer *w, const md_conversion *c, uint32_t file_type,
                                mdlm_error *err) {
    const md_model_config *config = md_model_stream_config(c->model);
    md_tokenizer *tok = NULL;
    MD_TRY(md_gguf_put_config(w, config, err));
    MD_TRY(put_name(w, c->in, err));
    MD_TRY(md_gguf_put_u32(w, "general.file_type", file_type, err));
    MD_TRY(md_gguf_put_u32(w, "general.quantization_version", QUANTIZATION_VERSION, err));
    MD_TRY(md_model_tokenizer(c->in, md_model_stream_config(c->model), &tok, err));
    mdlm_status status = md_gguf_put_tokenizer(w, tok, config->vocab, err);
    md_tokenizer_free(tok);
    return status;
}

mdlm_status md_convert_to_gguf(const md_conversion *c, mdlm_error *err) {
    md_gguf_writer *w = NULL;
    mdlm_status status;
    int i = 0;
    while (i < TYPES && strcmp(types[i].type->name, c->dtype) != 0) i++;
    MD_BUG_IF(i == TYPES);
    MD_TRY(md_gguf_writer_new(&w, err));
    MD_GOTO(done, status, put_metadata(w, c, types[i].file_type, err));
    MD_GOTO(done, status, md_gguf_declare_params(w, c->model, types[i].type, err));
    MD_GOTO(done, status, md_gguf_start(w, c->out, err));
    MD_GOTO(done, status, md_gguf_append_params(w, c->model, &c->watch, err));
    status = md_gguf_finish(w, err);
done:
    md_gguf_writer_free(w);
    return status;
}
