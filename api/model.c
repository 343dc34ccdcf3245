/* api/model.c: loading, describing and tokenizing; see mdlm.h. */
#include "api/model.h"

#include <string.h>

#include "api/constraint.h"
#include "api/gguf_tokenizer.h"
#include "base/memory.h"

static mdlm_status load(mdlm_model *m, const char *path, const mdlm_load_options *opt,
                        mdlm_error *err) {
    int threads = opt->threads > 0 ? opt->threads : md_pool_default_threads();
    const char *dtype = opt->dtype;
    MD_TRY(md_kernels_init(&m->kernels, opt->kernels, err));
    if (!dtype || !strcmp(dtype, "auto"))
        MD_TRY(md_transformer_dtype(path, opt->weights, &dtype, err));
    MD_TRY(md_kernels_set_dtype(&m->kernels, dtype, err));
    m->pool = md_pool_new(threads, err);
    if (!m->pool) return MDLM_RUNTIME;
    const md_transformer_packing how = {.kernels = &m->kernels,
                                        .pool = m->pool,
                                        .on_progress = opt->on_progress,
                                        .user = opt->user};
    MD_TRY(md_transformer_load_packed(path, opt->weights, &how, &m->net, err));
    MD_TRY(md_model_tokenizer(path, md_transformer_config(m->net), &m->tokenizer, err));
    m->tape = md_tape_new(m->pool, &m->kernels, err);
    if (!m->tape) return MDLM_RUNTIME;
    m->view = (md_transformer_view){.net = m->net, .tape = m->tape};
    m->denoiser = md_transformer_denoiser(&m->view);
    return MDLM_OK;
}

mdlm_status mdlm_load(const char *path, const mdlm_load_options *opt, mdlm_model **out,
                      mdlm_error *err) {
    mdlm_load_options none = {0};
    mdlm_model *m = md_alloc(1, sizeof *m, err);
    if (!m) return MDLM_RUNTIME;
    mdlm_status status = load(m, path, opt ? opt : &none, err);
    if (status == MDLM_OK) {
        *out = m;
    } else {
        mdlm_free(m);
    }
    return status;
}

void mdlm_free(mdlm_model *m) {
    if (!m) return;
    md_tape_free(m->tape);
    md_pool_free(m->pool);
    md_compiled_release(&m->compiled);
    md_tokenizer_free(m->tokenizer);
    md_transformer_free(m->net);
    md_free(m);
}

mdlm_model_info mdlm_info(const mdlm_model *m) {
    static const char *const objectives[] = {
        [MD_SEES_ALL] = "mdlm", [MD_SEES_BLOCKS] = "block", [MD_SEES_PAST] = "ar"};
    static const char *const dtypes[] = {[MD_F32] = "f32", [MD_BF16] = "bf16", [MD_Q8_0] = "q8_0"};
    const md_model_config *c = md_transformer_config(m->net);
    return (mdlm_model_info){.tokenizer = md_tokenizer_kind_name(m->tokenizer),
                             .objective = objectives[c->sight],
                             .dtype = dtypes[m->kernels.dtype],
                             .block_length = c->block_length,
                             .layers = c->layers,
                             .dim = c->dim,
                             .heads = c->heads,
                             .kv_heads = c->kv_heads,
                             .ff = c->ff,
                             .seq_len = c->seq_len,
                             .canvas = md_model_config_canvas(c),
                             .vocab = c->vocab,
                             .mask_id = c->mask_id,
                             .end_of_text_id = md_tokenizer_end_of_text(m->tokenizer),
                             .parameters = md_model_config_parameters(c)};
}

mdlm_status mdlm_tokenize(const mdlm_model *m, const char *text, size_t bytes, int32_t **out,
                          size_t *count, mdlm_error *err) {
    md_ids ids = {0};
    mdlm_status status = md_tokenizer_encode(m->tokenizer, text, bytes, &ids, err);
    if (status != MDLM_OK) {
        md_ids_release(&ids);
        return status;
    }
    *out = ids.data;
    *count = ids.count;
    return MDLM_OK;
}

void mdlm_ids_free(int32_t *ids) {
    md_free(ids);
}

mdlm_status mdlm_detokenize(const mdlm_model *m, const int32_t *ids, size_t count, char **out,
                            size_t *bytes, mdlm_error *err) {
    md_buffer text = {0};
    mdlm_status status = md_buffer_text(&text, "", err); /* so that no ids give "" */
    if (status == MDLM_OK) status = md_tokenizer_decode(m->tokenizer, ids, count, &text, err);
    if (status == MDLM_OK) {
        *bytes = text.size;
        *out = md_buffer_take(&text);
    }
    md_buffer_release(&text);
    return status;
}

void mdlm_text_free(char *text) {
    md_free(text);
}
