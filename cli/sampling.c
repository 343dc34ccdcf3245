/* cli/sampling.c: see sampling.h. */
#include "cli/sampling.h"

#include <math.h>
#include <stdio.h>

#include "base/memory.h"
#include "cli/token_list.h"

#define MD_OPTION_STRUCT md_cli_sampling
const md_option md_cli_sampling_table[] = {
    MD_CLI_SAMPLING_OPTIONS(MD_OPTION_ROW, "ancestral", 1){0}};
const md_option md_cli_constraint_table[] = {MD_CLI_CONSTRAINT_OPTIONS(MD_OPTION_ROW, "keep"){0}};
const md_option md_cli_answer_sampling_table[] = {
    MD_CLI_SAMPLING_OPTIONS(MD_OPTION_ROW, "confidence", 0){0}};
const md_option md_cli_answer_constraint_table[] = {
    MD_CLI_CONSTRAINT_OPTIONS(MD_OPTION_ROW, "stop"){0}};
#undef MD_OPTION_STRUCT

void md_cli_tokens_release(md_cli_tokens *tokens) {
    md_free(tokens->allowed);
    md_free(tokens->forbidden);
    *tokens = (md_cli_tokens){0};
}

static bool given(const md_cli *cli, const char *name) {
    return md_options_origin(cli->options, name) != MD_ORIGIN_DEFAULT;
}

const char *md_cli_sampler(const md_cli *cli, const md_cli_sampling *s, const mdlm_model *model) {
    bool past = mdlm_info(model).objective[0] == 'a'; /* "ar" */
    return past && !given(cli, "sampler") ? "left" : s->sampler;
}

static void set_numbers(const md_cli_sampling *s, mdlm_fill_options *fill) {
    fill->steps = (int)s->steps;
    fill->temperature = s->temperature;
    fill->top_k = (int)s->top_k;
    fill->top_p = s->top_p;
    fill->threshold = s->threshold;
    fill->factor = s->factor;
    if (s->eta > 0) fill->eta = s->eta;
    fill->alg_temperature = s->alg_temp;
    fill->edit_threshold = s->edit_threshold;
    fill->guidance_scale = s->guidance_scale;
}

mdlm_status md_cli_sampling_fill(const md_cli *cli, const md_cli_sampling *s,
                                 const mdlm_model *model, md_cli_tokens *tokens,
                                 mdlm_fill_options *fill, mdlm_error *err) {
    *fill = mdlm_fill_defaults();
    set_numbers(s, fill);
    fill->sampler = md_cli_sampler(cli, s, model);
    fill->step_schedule = s->step_schedule;
    fill->compat = s->compat;
    fill->cache = s->cache;
    fill->verify_cache = s->verify_cache;
    fill->end_of_text = s->end_of_text;
    if (given(cli, "regex")) fill->regex = s->regex;
    fill->seed = (uint64_t)cli->common.seed;
    if (given(cli, "allow_tokens"))
        MD_TRY(md_token_list_read("--allow-tokens", s->allow_tokens, model, &tokens->allowed,
                                  &fill->allowed_count, err));
    if (given(cli, "forbid_tokens"))
        MD_TRY(md_token_list_read("--forbid-tokens", s->forbid_tokens, model, &tokens->forbidden,
                                  &fill->forbidden_count, err));
    fill->allowed = tokens->allowed;
    fill->forbidden = tokens->forbidden;
    return MDLM_OK;
}

void md_cli_drift_add(mdlm_drift *sum, const mdlm_result *result) {
    mdlm_drift d;
    if (!mdlm_result_drift(result, &d)) return;
    double rows = (double)sum->rows, more = (double)d.rows;
    if (rows + more > 0) sum->kl_mean = (sum->kl_mean * rows + d.kl_mean * more) / (rows + more);
    sum->exact = d.exact;
    sum->rows += d.rows;
    sum->argmax_differs += d.argmax_differs;
    sum->kl_max = fmax(sum->kl_max, d.kl_max);
}

static double percent(const mdlm_drift *d) {
    return d->rows > 0 ? 100.0 * (double)d->argmax_differs / (double)d->rows : 0;
}

void md_cli_drift_note(const md_cli_sampling *s, const mdlm_drift *d) {
    fprintf(stderr,
            "cache %s (%s): %lld rows, another likeliest token in %.2f%%, KL mean %.3g, max %.3g "
            "nats\n",
            s->cache, d->exact ? "exact" : "approximate", (long long)d->rows, percent(d),
            d->kl_mean, d->kl_max);
}

void md_cli_drift_json(md_json_line *line, const mdlm_result *result) {
    mdlm_drift d;
    if (!mdlm_result_drift(result, &d)) return;
    md_json_open(line, "drift", '{');
    md_json_put_flag(line, "exact", d.exact);
    md_json_put_int(line, "rows", d.rows);
    md_json_put_real(line, "argmax_differs_percent", percent(&d));
    md_json_put_real(line, "kl_mean", d.kl_mean);
    md_json_put_real(line, "kl_max", d.kl_max);
    md_json_close(line, '}');
}
