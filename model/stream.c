/* model/stream.c: see stream.h. */
#include "model/stream.h"

#include "base/memory.h"
#include "model/lora_internal.h"

struct md_model_stream {
    md_loading from;
    const md_weight **found; /* [parameters] */
};

mdlm_status md_model_stream_open(const char *path, const char *weights, md_model_stream **out,
                                 mdlm_error *err) {
    md_model_stream *s = md_alloc(1, sizeof *s, err);
    if (!s) return MDLM_RUNTIME;
    mdlm_status status;
    MD_GOTO(failed, status, md_loading_open(path, weights, &s->from, err));
    const md_params *params = s->from.net->params;
    status = MDLM_RUNTIME;
    s->found = md_alloc((size_t)md_params_count(params), sizeof *s->found, err);
    if (!s->found) goto failed;
    MD_GOTO(failed, status, md_weights_match(s->from.files, params, "", s->found, err));
    *out = s;
    return MDLM_OK;
failed:
    md_model_stream_close(s);
    return status;
}

void md_model_stream_close(md_model_stream *s) {
    if (!s) return;
    md_loading_release(&s->from);
    md_free(s->found);
    md_free(s);
}

const md_model_config *md_model_stream_config(const md_model_stream *s) {
    return md_transformer_config(s->from.net);
}

const md_params *md_model_stream_params(const md_model_stream *s) {
    return s->from.net->params;
}

void md_model_stream_rows(const md_model_stream *s, int i, int64_t first, int64_t n, md_real *out) {
    md_weight_read(s->found[i], first, n, out);
    md_weight_forget(s->found[i], first, n);
    if (!s->from.lora) return;
    md_lora_add_rows(s->from.lora, md_params_name(s->from.net->params, i), first, n, out);
}

mdlm_status md_stream_tell(const md_stream_watch *watch, int64_t done, int64_t total,
                           mdlm_error *err) {
    if (!watch || !watch->on_progress || !watch->on_progress(watch->user, done, total))
        return MDLM_OK;
    return md_fail(err, MDLM_CANCELLED, "cancelled");
}
