/* api/score.c: conditional likelihoods, and bare logits; see mdlm.h. */
#include <math.h>
#include <string.h>

#include "api/model.h"
#include "base/memory.h"
#include "diffusion/likelihood.h"
#include "sampler/guide.h"
#include "tokenizer/chat.h"

mdlm_score_options mdlm_score_defaults(void) {
    return (mdlm_score_options){.draws = 64, .seed = 1, .guidance_scale = 1};
}

static mdlm_status check_options(const mdlm_score_options *opt, md_method *method,
                                 mdlm_error *err) {
    *method = MD_METHOD_NELBO;
    if (opt->method) MD_TRY(md_method_from_name(opt->method, method, err));
    if (opt->draws < 1)
        return md_fail(err, MDLM_USAGE, "%d draws: expected at least 1", opt->draws);
    if (opt->index < 0)
        return md_fail(err, MDLM_USAGE, "index %lld: expected 0 or more", (long long)opt->index);
    if (!isfinite(opt->guidance_scale) || opt->guidance_scale < 0) {
        return md_fail(err, MDLM_USAGE, "guidance scale %g: expected 0 or more",
                       opt->guidance_scale);
    }
    return MDLM_OK;
}

static mdlm_status score_ids(mdlm_model *m, const md_ids *ids, size_t prompt,
                             const mdlm_score_options *opt, mdlm_score_result *out,
                             mdlm_error *err) {
    md_likelihood sum = {0};
    md_likelihood_options o = {.draws = opt->draws, .batch = 16, .seed = opt->seed};
    md_denoiser denoiser = m->denoiser;
    md_guide guide = {0};
    uint8_t *keep = NULL;
    int T = (int)ids->count, tokens = (int)(ids->count - prompt);
    mdlm_status status = check_options(opt, &o.method, err);
    if (status != MDLM_OK) return status;
    if (!(keep = md_alloc(ids->count, sizeof *keep, err))) return MDLM_RUNTIME;
    memset(keep, 1, prompt);
    if (opt->guidance_scale != 1) {
        MD_GOTO(done, status,
                md_guide_init(&guide, &m->denoiser, opt->guidance_scale, keep, T, err));
        denoiser = md_guide_denoiser(&guide);
    }
    md_likelihood_batch batch = {
        .ids = ids->data, .count = 1, .T = T, .first = opt->index, .keep = keep};
    MD_GOTO(done, status, md_likelihood_add(&sum, &denoiser, &o, &batch, NULL, err));
    md_likelihood_report report = md_likelihood_finish(&sum);
    *out = (mdlm_score_result){
        .nelbo = report.nats, .stderr_mc = report.stderr_mc * tokens, .tokens = tokens};
done:
    md_guide_release(&guide);
    md_free(keep);
    return status;
}

static mdlm_status encode_prompt(const mdlm_model *m, const char *prompt, size_t bytes, bool chat,
                                 md_ids *ids, mdlm_error *err) {
    if (!chat) return md_tokenizer_encode(m->tokenizer, prompt, bytes, ids, err);
    mdlm_message question = {.role = "user", .text = prompt, .text_bytes = bytes};
    md_chat *how = NULL;
    MD_TRY(md_chat_new(m->tokenizer, &how, err));
    mdlm_status status = md_chat_encode(how, &question, 1, true, ids, err);
    md_chat_free(how);
    return status;
}

mdlm_status mdlm_score(mdlm_model *m, const char *prompt, size_t prompt_bytes, const char *response,
                       size_t response_bytes, const mdlm_score_options *opt, mdlm_score_result *out,
                       mdlm_error *err) {
    mdlm_score_options defaults = mdlm_score_defaults();
    int seq_len = md_transformer_config(m->net)->seq_len;
    md_ids ids = {0};
    mdlm_status status;
    if (!opt) opt = &defaults;
    MD_GOTO(done, status, encode_prompt(m, prompt, prompt_bytes, opt->chat, &ids, err));
    size_t in_prompt = ids.count;
    MD_GOTO(done, status, md_tokenizer_encode(m->tokenizer, response, response_bytes, &ids, err));
    bool empty = ids.count == in_prompt;
    if (opt->chat)
        MD_GOTO(done, status, md_ids_push(&ids, md_tokenizer_end_of_text(m->tokenizer), err));
    if (empty) {
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

mdlm_status mdlm_logits(mdlm_model *m, const int32_t *ids, size_t count, float *logits,
                        mdlm_error *err) {
    const md_model_config *c = md_transformer_config(m->net);
    if (count < 1) return md_fail(err, MDLM_USAGE, "there are no ids");
    if (count > INT32_MAX || (m->denoiser.sight == MD_SEES_ALL && count > (size_t)c->seq_len)) {
        return md_fail(err, MDLM_USAGE, "%zu ids, more than the %d that this model was trained on",
                       count, c->seq_len);
    }
    for (size_t i = 0; i < count; i++) {
        if (ids[i] >= 0 && ids[i] < m->denoiser.vocab) continue;
        return md_fail(err, MDLM_USAGE, "id %d is not in the vocabulary: expected 0 to %d",
                       (int)ids[i], m->denoiser.vocab - 1);
    }
    int32_t *rows = md_alloc(count, sizeof *rows, err);
    if (!rows) return MDLM_RUNTIME;
    for (size_t i = 0; i < count; i++) rows[i] = (int32_t)i;
    mdlm_status status =
        m->denoiser.predict(m->denoiser.context, ids, 1, (int)count, rows, (int)count, logits, err);
    md_free(rows);
    return status;
}
