/* cli/cmd_score.c: `mdlm score`: log p(response given prompt), or a bound on it. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "cli/commands.h"
#include "cli/npy.h"
#include "cli/output.h"
#include "cli/score.h"

#define SCORE_OPTIONS(X) \
    X(TEXT, prompt, "", 0, 0, "what is given; may be empty") \
    X(TEXT, response, "", 0, 0, "what is scored") \
    X(TEXT, file, "", 0, 0, \
      "score the lines of this file: {\"prompt\", \"response\"} or {\"question\", \"choices\", " \
      "\"answer\"}") \
    X(FLAG, chat, false, 0, 0, \
      "as a model is fine-tuned: the prompt is a message, by the model's chat template; the " \
      "response ends with end-of-text") \
    X(CHOICE, method, "nelbo", 0, 0, \
      "nelbo|count|chain: a bound by independent masking, by a drawn number of masks, or -log p " \
      "from left to right") \
    X(INT, mc, 128, 2, 100000, "noise levels drawn") \
    X(REAL, guidance_scale, 1, 0, 100, \
      "1 is off; else logits are pushed away from those without the prompt")

#define LOGITS_OPTIONS(X) \
    X(TEXT, logits, "", 0, 0, "write the network's logits to this .npy file and score nothing") \
    X(TEXT, ids, "", 0, 0, "of this canvas of ids; prompt and response if not given")

typedef struct score_options {
    SCORE_OPTIONS(MD_OPTION_FIELD)
    LOGITS_OPTIONS(MD_OPTION_FIELD)
} score_options;

#define MD_OPTION_STRUCT score_options
static const md_option table[] = {SCORE_OPTIONS(MD_OPTION_ROW){0}};
static const md_option logits_table[] = {LOGITS_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

mdlm_status md_score_text(mdlm_model *model, const char *prompt, const char *response,
                          const mdlm_score_options *opt, md_scored *out, mdlm_error *err) {
    mdlm_score_result r;
    MD_TRY(mdlm_score(model, prompt, strlen(prompt), response, strlen(response), opt, &r, err));
    *out = (md_scored){.log_prob = 0 - r.nelbo, .error = r.stderr_mc, .tokens = r.tokens};
    return MDLM_OK;
}

const char *md_score_relation(const mdlm_model *model, const mdlm_score_options *opt) {
    if (opt->guidance_scale != 1) return "~";
    bool exact = !strcmp(opt->method, "chain") || !strcmp(mdlm_info(model).objective, "ar");
    return exact ? "=" : ">=";
}

/* --- one response ----------------------------------------------------------------------------- */

static mdlm_status score_one(const md_cli *cli, mdlm_model *model, const mdlm_score_options *how,
                             mdlm_error *err) {
    const score_options *opt = cli->settings;
    md_scored s;
    MD_TRY(md_score_text(model, opt->prompt, opt->response, how, &s, err));
    if (!cli->common.json) {
        return md_cli_print(err, "log p %s %.4f nats +- %.4f, %d tokens, %.4f nats/token\n",
                            md_score_relation(model, how), s.log_prob, s.error, s.tokens,
                            s.log_prob / s.tokens);
    }
    md_json_line line;
    md_json_begin(&line);
    md_json_put_real(&line, "log_prob_nats", s.log_prob);
    md_json_put_real(&line, "log_prob_nats_per_token", s.log_prob / s.tokens);
    md_json_put_real(&line, "stderr_mc", s.error);
    md_json_put_int(&line, "tokens", s.tokens);
    md_json_put_string(&line, "method", opt->method);
    return md_json_end(&line, err);
}

/* --- logits ----------------------------------------------------------------------------------- */

/* The ids of --ids, or of prompt and response, which meet as in scoring. */
static mdlm_status read_canvas(const score_options *opt, const mdlm_model *model, md_ids *ids,
                               mdlm_error *err) {
    if (*opt->ids) {
        mdlm_error reason = {0};
        mdlm_status status =
            md_cli_ids_parse(opt->ids, strlen(opt->ids), mdlm_info(model).vocab, ids, &reason);
        if (status == MDLM_INPUT) return md_fail(err, MDLM_USAGE, "--ids: %s", reason.message);
        return status;
    }
    const char *texts[] = {opt->prompt, opt->response};
    for (int i = 0; i < 2; i++) {
        int32_t *part = NULL;
        size_t count = 0;
        mdlm_status status = mdlm_tokenize(model, texts[i], strlen(texts[i]), &part, &count, err);
        for (size_t j = 0; status == MDLM_OK && j < count; j++)
            status = md_ids_push(ids, part[j], err);
        mdlm_ids_free(part);
        MD_TRY(status);
    }
    return MDLM_OK;
}

static mdlm_status write_logits(const md_cli *cli, mdlm_model *model, mdlm_error *err) {
    const score_options *opt = cli->settings;
    size_t vocab = (size_t)mdlm_info(model).vocab, size = 0;
    md_ids ids = {0};
    float *logits = NULL;
    mdlm_status status;
    MD_GOTO(done, status, read_canvas(opt, model, &ids, err));
    if (!md_size_mul(ids.count, vocab, &size) || !(logits = md_alloc(size, sizeof *logits, err))) {
        status = md_fail(err, MDLM_RUNTIME, "out of memory: logits of %zu ids", ids.count);
        goto done;
    }
    MD_GOTO(done, status, mdlm_logits(model, ids.data, ids.count, logits, err));
    MD_GOTO(done, status, md_npy_write(opt->logits, logits, ids.count, vocab, err));
    if (cli->common.json) {
        md_json_line line;
        md_json_begin(&line);
        md_json_put_string(&line, "logits", opt->logits);
        md_json_put_int(&line, "tokens", (int64_t)ids.count);
        md_json_put_int(&line, "vocab", (int64_t)vocab);
        status = md_json_end(&line, err);
    } else {
        md_cli_note(cli, "logits [%zu, %zu] in '%s'", ids.count, vocab, opt->logits);
    }
done:
    md_free(logits);
    md_ids_release(&ids);
    return status;
}

/* --- the command ------------------------------------------------------------------------------ */

static mdlm_status check(const score_options *opt, mdlm_error *err) {
    bool one = *opt->prompt || *opt->response;
    if (*opt->ids && !*opt->logits)
        return md_fail(err, MDLM_USAGE, "--ids needs --logits FILE.npy");
    if (*opt->logits && *opt->file)
        return md_fail(err, MDLM_USAGE, "--logits and --file exclude each other");
    if (*opt->logits && opt->chat)
        return md_fail(err, MDLM_USAGE, "--logits and --chat exclude each other");
    if (*opt->file && one)
        return md_fail(err, MDLM_USAGE, "--file excludes --prompt and --response");
    if (*opt->ids && one) return md_fail(err, MDLM_USAGE, "--ids excludes --prompt and --response");
    if (*opt->file || *opt->ids || (*opt->logits && one) || *opt->response) return MDLM_OK;
    if (*opt->logits) return md_fail(err, MDLM_USAGE, "--logits needs --ids '1 2 3', or --prompt");
    return md_fail(err, MDLM_USAGE,
                   "score needs --response: mdlm score --prompt 'To be' --response ' or not'; or "
                   "--file");
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const score_options *opt = cli->settings;
    mdlm_model *model = NULL;
    mdlm_score_options how = mdlm_score_defaults();
    MD_TRY(check(opt, err));
    how.method = opt->method;
    how.draws = (int)opt->mc;
    how.seed = (uint64_t)cli->common.seed;
    how.guidance_scale = opt->guidance_scale;
    how.chat = opt->chat;
    MD_TRY(md_cli_load(cli, &model, err));
    mdlm_status status;
    if (opt->chat && !mdlm_has_chat_template(model))
        md_cli_note(cli, "'%s' has no chat template: asking with a plain one", cli->model);
    if (*opt->logits) {
        status = write_logits(cli, model, err);
    } else {
        md_cli_note(cli, "%s: method %s%s, %lld draws%s, guidance scale %g%s, seed %lld%s",
                    cli->model, opt->method, md_cli_defaulted(cli, "method"), (long long)opt->mc,
                    md_cli_defaulted(cli, "mc"), opt->guidance_scale,
                    md_cli_defaulted(cli, "guidance_scale"), (long long)cli->common.seed,
                    md_cli_defaulted(cli, "seed"));
        status = *opt->file ? md_score_file(cli, model, opt->file, &how, err)
                            : score_one(cli, model, &how, err);
    }
    mdlm_free(model);
    return status;
}

static const md_cli_section sections[] = {{"Score", table}, {"Logits", logits_table}, {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"-p", "prompt"}, {"-r", "response"}, {"-f", "file"}, {"--draws", "mc"}, {NULL, NULL}};

const md_command md_cmd_score = {
    .name = "score",
    .arguments = "",
    .summary = "Bound log p(response given prompt); multiple choice; logits.",
    .examples = "  mdlm score --prompt 'To be' --response ' or not to be'\n"
                "  mdlm score -p 'To be' -r ' or not to be' --method chain\n"
                "  mdlm score --file questions.jsonl --json     pairs, or choices and accuracy\n"
                "  mdlm score --file questions.jsonl --chat     of a fine-tuned model\n"
                "  mdlm score --ids '84 111 256' --logits canvas.npy\n",
    .notes =
        "A line of --file is {\"prompt\": \"2 + 2 =\", \"response\": \" 4\"} or\n"
        "{\"question\": \"2 + 2 =\", \"choices\": [\" 3\", \" 4\"], \"answer\": 1}. The choice of "
        "the\n"
        "highest log p is taken; accuracy comes with a 95% interval (Wilson), also with log p per\n"
        "token and per byte, and with the share of items that are closer than their Monte Carlo\n"
        "error. +- is the standard error of the drawn masks; `chain`, and any method with a model\n"
        "trained for ar, draws nothing.\n",
    .settings_size = sizeof(score_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .run = run,
};
