/* api/score.c: the bound on a conditional likelihood; see mdlm.h. */
#include <string.h>

#include "api/model.h"
#include "base/memory.h"
#include "diffusion/likelihood.h"

mdlm_score_options mdlm_score_defaults(void) {
    return (mdlm_score_options){.draws = 64, .seed = 1};
}

static mdlm_status score_ids(mdlm_model *m, const md_ids *ids, size_t prompt,
                             const mdlm_score_options *opt, mdlm_score_result *out,
                             mdlm_error *err) {
    md_likelihood sum = {0};
    md_likelihood_options o = {.draws = opt->draws, .batch = 16, .seed = opt->seed};
    uint8_t *keep = md_alloc(ids->count, sizeof *keep, err);
    if (!keep) return MDLM_RUNTIME;
    memset(keep, 1, prompt);
    md_likelihood_batch batch = {.ids = ids->data, .count = 1, .T = (int)ids->count, .keep = keep};
    mdlm_status status = md_likelihood_add(&sum, &m->denoiser, &o, &batch, NULL, err);
    md_free(keep);
    if (status != MDLM_OK) return status;
    md_likelihood_report report = md_likelihood_finish(&sum);
    int tokens = (int)(ids->count - prompt);
    *out = (mdlm_score_result){
        .nelbo = report.nats, .stderr_mc = report.stderr_mc * tokens, .tokens = tokens};
    return MDLM_OK;
}

mdlm_status mdlm_score(mdlm_model *m, const char *prompt, size_t prompt_bytes, const char *response,
                       size_t response_bytes, const mdlm_score_options *opt, mdlm_score_result *out,
                       mdlm_error *err) {
    mdlm_score_options defaults = mdlm_score_defaults();
    int seq_len = md_transformer_config(m->net)->seq_len;
    md_ids ids = {0};
    mdlm_status status;
    if (!opt) opt = &defaults;
    if (opt->draws < 1)
        return md_fail(err, MDLM_USAGE, "%d draws: expected at least 1", opt->draws);
    MD_GOTO(done, status, md_tokenizer_encode(m->tokenizer, prompt, prompt_bytes, &ids, err));
    size_t in_prompt = ids.count;
    MD_GOTO(done, status, md_tokenizer_encode(m->tokenizer, response, response_bytes, &ids, err));
    if (ids.count == in_prompt) {
        status = md_fail(err, MDLM_USAGE, "the response is empty");
    } else if (ids.count > (size_t)seq_len) {
        status = md_fail(err, MDLM_USAGE,
                         "prompt and response make %zu tokens, more than the %d "
                         "that this model was trained on",
                         ids.count, seq_len);
    } else {
        status = score_ids(m, &ids, in_prompt, opt, out, err);
    }
done:
    md_ids_release(&ids);
    return status;
}
