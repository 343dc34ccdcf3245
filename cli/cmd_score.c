/* cli/cmd_score.c: `mdlm score`: a bound on log p(response given prompt). */
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"

#define SCORE_OPTIONS(X) \
    X(TEXT, prompt, "", 0, 0, "what is given; may be empty") \
    X(TEXT, response, "", 0, 0, "what is scored") \
    X(INT, mc, 128, 2, 100000, "noise levels drawn")

typedef struct score_options {
    SCORE_OPTIONS(MD_OPTION_FIELD)
} score_options;

#define MD_OPTION_STRUCT score_options
static const md_option table[] = {SCORE_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

static mdlm_status print_json(const mdlm_score_result *r, mdlm_error *err) {
    md_json_line line;
    md_json_begin(&line);
    md_json_put_real(&line, "log_prob_nats", 0 - r->nelbo);
    md_json_put_real(&line, "log_prob_nats_per_token", (0 - r->nelbo) / r->tokens);
    md_json_put_real(&line, "stderr_mc", r->stderr_mc);
    md_json_put_int(&line, "tokens", r->tokens);
    return md_json_end(&line, err);
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const score_options *opt = cli->settings;
    mdlm_model *model = NULL;
    mdlm_score_options how = mdlm_score_defaults();
    mdlm_score_result r;
    if (!*opt->response) {
        return md_fail(err, MDLM_USAGE,
                       "score needs --response: mdlm score --prompt 'To be' "
                       "--response ' or not'");
    }
    how.draws = (int)opt->mc;
    how.seed = (uint64_t)cli->common.seed;
    MD_TRY(md_cli_load(cli, &model, err));
    md_cli_note(cli, "%s: %lld draws%s, seed %lld%s", cli->model, (long long)opt->mc,
                md_cli_defaulted(cli, "mc"), (long long)cli->common.seed,
                md_cli_defaulted(cli, "seed"));
    mdlm_status status = mdlm_score(model, opt->prompt, strlen(opt->prompt), opt->response,
                                    strlen(opt->response), &how, &r, err);
    mdlm_free(model);
    MD_TRY(status);
    if (cli->common.json) return print_json(&r, err);
    return md_cli_print(err, "log p >= %.4f nats +- %.4f, %d tokens, %.4f nats/token\n", -r.nelbo,
                        r.stderr_mc, r.tokens, -r.nelbo / r.tokens);
}

static const md_cli_section sections[] = {{"Score", table}, {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"-p", "prompt"}, {"-r", "response"}, {"--draws", "mc"}, {NULL, NULL}};

const md_command md_cmd_score = {
    .name = "score",
    .arguments = "",
    .summary = "Bound log p(response given prompt).",
    .examples = "  mdlm score --prompt 'To be' --response ' or not to be'\n"
                "  mdlm score -p 'To be' -r ' or not to be' --mc 1024 --json\n",
    .settings_size = sizeof(score_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .run = run,
};
