/* cli/cmd_eval.c: `mdlm eval`: the bound on the likelihood of a text, with both its errors. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/model.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/eval_samples.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "train/evaluate.h"

#define EVAL_OPTIONS(X) \
    X(CHOICE, method, "nelbo", 0, 0, "nelbo: how the likelihood is bounded") \
    X(INT, mc, 8, 1, 100000, "noise levels drawn per window; at least 2 for an error") \
    X(CHOICE, split, "auto", 0, 0, \
      "auto|all|val|train: part of the text; auto is all of it, or of the run's own corpus the " \
      "validation part") \
    X(INT, window, 0, 2, 1048576, "tokens in a window; the trained length if not given") \
    X(INT, batch_size, 16, 1, 65536, "windows in one call of the network")

typedef struct eval_options {
    EVAL_OPTIONS(MD_OPTION_FIELD)
    MD_EVAL_SAMPLES_OPTIONS(MD_OPTION_FIELD)
} eval_options;

#define MD_OPTION_STRUCT eval_options
static const md_option table[] = {EVAL_OPTIONS(MD_OPTION_ROW){0}};
static const md_option samples_table[] = {MD_EVAL_SAMPLES_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

typedef struct job {
    md_cli *cli;
    const eval_options *opt;
    mdlm_model *model;
    md_corpus *corpus;
    char *temporary;   /* folder of a corpus packed here, removed at the end */
    const char *split; /* "val", "train" or "all": what is scored */
    bool both;         /* both parts of the corpus */
    md_progress progress;
    double start, drawn;
    const char *doing;
} job;

static int on_progress(void *user, int64_t done, int64_t total) {
    job *j = user;
    double now = md_now();
    if (j->progress.live && total > 0 && now - j->drawn > 0.1) {
        char line[160], bar[64], eta[MD_SHORT_TEXT];
        double share = (double)done / (double)total;
        md_bar_text(share, 24, bar);
        md_duration_text(done > 0 ? (now - j->start) * (1 / share - 1) : NAN, eta);
        snprintf(line, sizeof line, "%s %s %.0f%%  ETA %s", j->doing, bar, 100 * share, eta);
        md_progress_show(&j->progress, line);
        j->drawn = now;
    }
    return md_cli_signal();
}

static void begin(job *j, const char *doing) {
    j->doing = doing;
    j->start = md_now();
}

/* --- which text ------------------------------------------------------------------------------- */

static bool has_hash(const cJSON *sources, const char *hash) {
    const cJSON *source;
    cJSON_ArrayForEach(source, sources) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(source, "hash");
        if (cJSON_IsString(item) && strcmp(item->valuestring, hash) == 0) return true;
    }
    return false;
}

static const cJSON *sources_of(const md_corpus *corpus) {
    return cJSON_GetObjectItemCaseSensitive(md_corpus_json(corpus), "sources");
}

/* Whether a plain file is all of a corpus. */
static bool is_whole(const md_corpus *corpus, const char *path) {
    char text[32];
    uint64_t hash;
    if (!corpus || cJSON_GetArraySize(sources_of(corpus)) != 1) return false;
    if (md_is_dir(path) || md_file_hash(path, &hash, NULL) != MDLM_OK) return false;
    snprintf(text, sizeof text, "%016llx", (unsigned long long)hash);
    return has_hash(sources_of(corpus), text);
}

/* How many sources of a packed corpus are also sources of another: .gz, .jsonl, folders too. */
static int shared_sources(const md_corpus *whole, const md_corpus *part) {
    const cJSON *source;
    int count = 0;
    if (!whole) return 0;
    cJSON_ArrayForEach(source, sources_of(part)) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(source, "hash");
        count += cJSON_IsString(item) && has_hash(sources_of(whole), item->valuestring);
    }
    return count;
}

/* The corpus that the model was trained on, or NULL where it is not kept. */
static mdlm_status open_own(const job *j, md_corpus **out, mdlm_error *err) {
    char *folder = md_path_join(j->cli->model, "data", err);
    if (!folder) return MDLM_RUNTIME;
    mdlm_status status = MDLM_OK;
    if (md_is_dir(folder)) status = md_corpus_open(folder, out, err);
    md_free(folder);
    return status;
}

static mdlm_status make_temporary(job *j, mdlm_error *err) {
    const char *root = getenv("TMPDIR");
    char *path = md_path_join(root && *root ? root : "/tmp", "mdlm-eval-XXXXXX", err);
    if (!path) return MDLM_RUNTIME;
    if (!mkdtemp(path)) {
        mdlm_status status = md_fail_errno(err, MDLM_WRITE, "cannot make folder '%s'", path);
        md_free(path);
        return status;
    }
    j->temporary = path;
    return MDLM_OK;
}

/* Packs `path` into a temporary folder, split only when a part of it is asked for. */
static mdlm_status pack(job *j, const char *path, md_corpus **out, mdlm_error *err) {
    bool whole = strcmp(j->opt->split, "auto") == 0 || strcmp(j->opt->split, "all") == 0;
    md_pack_options pack = md_pack_defaults();
    if (whole) pack.val_fraction = 0;
    pack.on_progress = on_progress;
    pack.user = j;
    MD_TRY(make_temporary(j, err));
    begin(j, "reading");
    md_corpus_stats stats;
    MD_TRY(md_corpus_pack(&path, 1, j->model->tokenizer, &pack, j->temporary, &stats, err));
    md_progress_clear(&j->progress);
    j->split = whole ? "all" : j->opt->split;
    return md_corpus_open(j->temporary, out, err);
}

static void choose_own(job *j, const char *what) {
    bool automatic = strcmp(j->opt->split, "auto") == 0;
    j->split = automatic ? "val" : j->opt->split;
    j->both = strcmp(j->split, "all") == 0;
    if (!automatic) return;
    md_cli_note(j->cli, "%s: scoring its validation part (--split all scores everything)", what);
}

static mdlm_status choose_corpus(job *j, mdlm_error *err) {
    const char *path = md_cli_argument(j->cli);
    md_corpus *own = NULL, *other = NULL;
    mdlm_status status = MDLM_OK;
    mdlm_error reason = {0};
    status = open_own(j, &own, &reason);
    if (status != MDLM_OK && !path) {
        status = md_fail(err, status, "%s", reason.message);
        goto done;
    }
    if (status != MDLM_OK) {
        md_cli_note(j->cli, "note: cannot tell whether this is the run's own corpus: %s",
                    reason.message);
    }
    if (!path && !own) {
        status = md_fail(err, MDLM_USAGE, "'%s' keeps no corpus: name a text, mdlm eval text.txt",
                         j->cli->model);
        goto done;
    }
    if (path && !is_whole(own, path)) {
        MD_GOTO(done, status, pack(j, path, &other, err));
        int shared = shared_sources(own, other), all = cJSON_GetArraySize(sources_of(other));
        if (!shared || shared != all || all != cJSON_GetArraySize(sources_of(own))) {
            if (shared) md_cli_note(j->cli, "note: the model was trained on part of this text");
            j->corpus = other, other = NULL;
            goto done;
        }
    }
    choose_own(j,
               path ? "this is the corpus that the model was trained on" : "the run's own corpus");
    j->corpus = own, own = NULL;
done:
    md_corpus_close(own);
    md_corpus_close(other);
    return status;
}

/* --- scoring ---------------------------------------------------------------------------------- */

static mdlm_status score_part(job *j, md_part part, md_evaluation *out, mdlm_error *err) {
    int window = (int)j->opt->window;
    if (window < 1) window = mdlm_info(j->model).seq_len;
    md_evaluate_options opt = {
        .draws = (int)j->opt->mc,
        .batch = (int)j->opt->batch_size,
        .seed = (uint64_t)j->cli->common.seed,
        .on_progress = on_progress,
        .user = j,
    };
    begin(j, part == MD_PART_VAL ? "scoring validation" : "scoring");
    mdlm_status status = md_evaluate_corpus(&j->model->denoiser, j->corpus, part, window,
                                            j->model->tokenizer, &opt, out, err);
    md_progress_clear(&j->progress);
    return status;
}

/* Two parts as one text: totals add, and so do the variances of totals. */
static md_evaluation join(const md_evaluation *a, const md_evaluation *b) {
    md_evaluation sum = *a;
    md_likelihood_report *n = &sum.report;
    double share_a = (double)a->report.tokens, share_b = (double)b->report.tokens;
    double total = share_a + share_b;
    if (total <= 0) return sum;
    n->tokens += b->report.tokens;
    n->sequences += b->report.sequences;
    n->groups += b->report.groups;
    n->nats += b->report.nats;
    n->nats_per_token = n->nats / total;
    n->stderr_mc = hypot(share_a * a->report.stderr_mc, share_b * b->report.stderr_mc) / total;
    n->stderr_data =
        hypot(share_a * a->report.stderr_data, share_b * b->report.stderr_data) / total;
    sum.bytes += b->bytes;
    sum.nats_per_byte = n->nats / (double)sum.bytes;
    sum.bits_per_byte = sum.nats_per_byte / log(2);
    sum.perplexity = exp(n->nats_per_token);
    return sum;
}

static mdlm_status score(job *j, md_evaluation *out, mdlm_error *err) {
    bool val = strcmp(j->split, "val") == 0;
    MD_TRY(score_part(j, val ? MD_PART_VAL : MD_PART_TRAIN, out, err));
    if (!j->both || md_corpus_tokens(j->corpus, MD_PART_VAL) == 0) return MDLM_OK;
    md_evaluation second;
    MD_TRY(score_part(j, MD_PART_VAL, &second, err));
    *out = join(out, &second);
    return MDLM_OK;
}

static mdlm_status print_text(const md_evaluation *e, mdlm_error *err) {
    const md_likelihood_report *n = &e->report;
    double bytes = e->bytes > 0 ? (double)n->tokens / (double)e->bytes : NAN, bits = bytes / log(2);
    MD_TRY(md_cli_print(err, "%-34s %-12s %s\n", "", "+- masks", "+- documents"));
    MD_TRY(md_cli_print(err, "NELBO       %10.4f nats/token   %-12.4f %.4f\n", n->nats_per_token,
                        n->stderr_mc, n->stderr_data));
    MD_TRY(md_cli_print(err, "            %10.4f nats/byte    %-12.4f %.4f\n", e->nats_per_byte,
                        n->stderr_mc * bytes, n->stderr_data * bytes));
    MD_TRY(md_cli_print(err, "            %10.4f bits/byte    %-12.4f %.4f\n", e->bits_per_byte,
                        n->stderr_mc * bits, n->stderr_data * bits));
    MD_TRY(md_cli_print(err, "perplexity  %10.4f per token    %-12.4f %.4f\n", e->perplexity,
                        n->stderr_mc * e->perplexity, n->stderr_data * e->perplexity));
    return md_cli_print(err, "%lld tokens, %lld bytes; an upper bound on -log p\n",
                        (long long)n->tokens, (long long)e->bytes);
}

static mdlm_status print_json(const job *j, const md_evaluation *e, mdlm_error *err) {
    md_json_line line;
    md_json_begin(&line);
    md_json_put_real(&line, "nelbo_nats_per_token", e->report.nats_per_token);
    md_json_put_real(&line, "nelbo_nats_per_byte", e->nats_per_byte);
    md_json_put_real(&line, "bits_per_byte", e->bits_per_byte);
    md_json_put_real(&line, "perplexity", e->perplexity);
    /* null where there is no error to be had: one draw, one document */
    md_json_put_real(&line, "stderr_mc", j->opt->mc < 2 ? NAN : e->report.stderr_mc);
    md_json_put_real(&line, "stderr_data", e->report.groups < 2 ? NAN : e->report.stderr_data);
    md_json_put_int(&line, "tokens", e->report.tokens);
    md_json_put_int(&line, "bytes", e->bytes);
    md_json_put_string(&line, "method", j->opt->method);
    md_json_put_string(&line, "split", j->split);
    md_json_put_string(&line, "weights", j->cli->common.weights);
    return md_json_end(&line, err);
}

static mdlm_status report_samples(const md_cli *cli, mdlm_error *err) {
    const eval_options *o = cli->settings;
    if (md_cli_argument(cli)) {
        return md_fail(err, MDLM_USAGE,
                       "--samples takes the place of '%s': the text to compare with "
                       "is --reference",
                       md_cli_argument(cli));
    }
    md_eval_samples_options opt = {o->samples, o->reference, o->order};
    return md_eval_samples(cli, &opt, err);
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const eval_options *given = cli->settings;
    if (*given->samples) return report_samples(cli, err);
    if (*given->reference) {
        return md_fail(err, MDLM_USAGE, "--reference needs --samples FILE, the texts to compare");
    }
    job j = {.cli = cli, .opt = cli->settings, .progress = md_progress_start(cli->common.quiet)};
    md_evaluation result;
    mdlm_status status = MDLM_OK;
    md_cli_signals_catch();
    MD_GOTO(done, status, md_cli_load(cli, &j.model, err));
    MD_GOTO(done, status, choose_corpus(&j, err));
    md_cli_note(cli, "%s: split %s, %lld draws%s in windows of %lld%s, weights %s%s, seed %lld%s",
                cli->model, j.split, (long long)j.opt->mc, md_cli_defaulted(cli, "mc"),
                j.opt->window > 0 ? (long long)j.opt->window : mdlm_info(j.model).seq_len,
                md_cli_defaulted(cli, "window"), cli->common.weights,
                md_cli_defaulted(cli, "weights"), (long long)cli->common.seed,
                md_cli_defaulted(cli, "seed"));
    MD_GOTO(done, status, score(&j, &result, err));
    status = cli->common.json ? print_json(&j, &result, err) : print_text(&result, err);
done:
    md_progress_clear(&j.progress);
    md_corpus_close(j.corpus);
    if (j.temporary) (void)md_dir_remove(j.temporary, NULL);
    md_free(j.temporary);
    mdlm_free(j.model);
    return status;
}

static const md_cli_section sections[] = {
    {"Evaluation", table}, {"Samples", samples_table}, {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"--draws", "mc"}, {"-c", "window"}, {"--ctx-size", "window"}, {NULL, NULL}};

const md_command md_cmd_eval = {
    .name = "eval",
    .arguments = "[FILE]",
    .summary = "Bound the likelihood of a text, with the errors of the bound.",
    .examples = "  mdlm eval other.txt             a text that the model has not seen\n"
                "  mdlm eval                       the validation part of the run's corpus\n"
                "  mdlm eval other.txt --mc 64     a smaller error\n"
                "  mdlm eval corpus.txt --split all --json\n"
                "  mdlm generate --num-samples 64 --json > out.jsonl\n"
                "  mdlm eval --samples out.jsonl --reference corpus.txt   what was written\n",
    .notes = "The bound is in nats; +- is a standard error: of the drawn masks, which more --mc "
             "make smaller,\nand of the documents, which a larger text makes smaller.\n"
             "--samples needs no model: it reports entropy, distinct n-grams, novelty against the "
             "reference,\nand the perplexity under an n-gram model of it, beside the same of "
             "reference text held out.\n",
    .settings_size = sizeof(eval_options),
    .sections = sections,
    .aliases = aliases,
    .has_model = true,
    .max_positional = 1,
    .run = run,
};
