/* cli/eval_text.c: see eval_text.h. */
#include "cli/eval_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "api/model.h"
#include "base/file.h"
#include "cli/eval_report.h"
#include "cli/eval_source.h"
#include "cli/signals.h"

#define MD_OPTION_STRUCT md_eval_text_options
const md_option md_eval_text_table[] = {MD_EVAL_TEXT_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT

/* A model and what it is to score. */
typedef struct scored {
    mdlm_model *model;
    md_eval_source source;
    int window, stride;
} scored;

typedef struct job {
    const md_cli *cli;
    const md_eval_text_options *opt;
    md_method method;
    scored own, other; /* other.source: of a second tokenizer alone */
    bool same_tokenizer;
    md_writer *items;
    const char *part; /* of the items written now */
    md_eta eta;
} job;

/* --- windows ---------------------------------------------------------------------------------- */

/* A model that sees everything knows no positions beyond its trained length; one that sees blocks
 * or the past looks back over a window of its own. */
static mdlm_status check_window(const scored *s, const char *name, mdlm_error *err) {
    int longest = mdlm_info(s->model).seq_len;
    if (s->window <= longest || s->model->denoiser.sight != MD_SEES_ALL) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "--window %d is longer than the %d tokens of '%s'", s->window,
                   longest, name);
}

static mdlm_status choose_window(const job *j, scored *s, int usual, const char *name,
                                 mdlm_error *err) {
    s->window = j->opt->window > 0 ? (int)j->opt->window : usual;
    if (j->opt->stride > s->window) {
        return md_fail(err, MDLM_USAGE, "--stride %lld is longer than the window of %d tokens",
                       (long long)j->opt->stride, s->window);
    }
    s->stride = j->opt->stride > 0 ? (int)j->opt->stride : s->window;
    return check_window(s, name, err);
}

static mdlm_status choose_windows(job *j, mdlm_error *err) {
    int usual = mdlm_info(j->own.model).canvas;
    if (!j->other.model) return choose_window(j, &j->own, usual, j->cli->model, err);
    int other = mdlm_info(j->other.model).canvas, both = usual < other ? usual : other;
    if (!j->same_tokenizer) {
        MD_TRY(choose_window(j, &j->own, usual, j->cli->model, err));
        return choose_window(j, &j->other, other, j->opt->compare, err);
    }
    MD_TRY(choose_window(j, &j->own, both, j->cli->model, err));
    j->other.window = j->own.window;
    return check_window(&j->other, j->opt->compare, err);
}

/* --- opening ---------------------------------------------------------------------------------- */

static mdlm_status load_other(job *j, mdlm_error *err) {
    md_cli other = *j->cli;
    other.model = other.common.model = j->opt->compare;
    return md_cli_load(&other, &j->other.model, err);
}

/* Different tokens can be compared by bytes alone, and only where both models get all the text. */
static mdlm_status open_other(job *j, mdlm_error *err) {
    j->same_tokenizer = md_corpus_matches(j->own.source.corpus, j->other.model->tokenizer);
    if (j->same_tokenizer) return MDLM_OK;
    const char *path = md_cli_argument(j->cli);
    if (!path || strcmp(j->own.source.split, "all") != 0) {
        return md_fail(err, MDLM_USAGE,
                       "'%s' has another tokenizer than '%s': name a text and score all of it "
                       "(--split all), so that they can be compared by bytes",
                       j->opt->compare, j->cli->model);
    }
    md_cli_note(j->cli,
                "note: '%s' has another tokenizer: compared per byte, masks and windows are not "
                "paired",
                j->opt->compare);
    return md_eval_source_pack(&j->other.source, path, j->other.model->tokenizer, &j->eta, err);
}

static mdlm_status open_all(job *j, mdlm_error *err) {
    MD_TRY(md_method_from_name(j->opt->method, &j->method, err));
    if (*j->opt->items) MD_TRY(md_writer_open(j->opt->items, &j->items, err));
    MD_TRY(md_cli_load(j->cli, &j->own.model, err));
    if (*j->opt->compare) MD_TRY(load_other(j, err));
    MD_TRY(md_eval_source_open(&j->own.source, j->cli, j->own.model->tokenizer, j->opt->split,
                               &j->eta, err));
    if (j->other.model) MD_TRY(open_other(j, err));
    return choose_windows(j, err);
}

static bool is_exact(const job *j, const mdlm_model *model) {
    return j->method == MD_METHOD_CHAIN || model->denoiser.sight == MD_SEES_PAST;
}

static void describe(const job *j) {
    const md_cli *cli = j->cli;
    const scored *s = &j->own;
    char draws[64], context[96] = "scored whole";
    snprintf(draws, sizeof draws, "%lld draws%s", (long long)j->opt->mc,
             md_cli_defaulted(cli, "mc"));
    if (is_exact(j, s->model)) snprintf(draws, sizeof draws, "nothing drawn");
    if (s->stride < s->window) {
        snprintf(context, sizeof context, "the last %d scored given the %d before, the first whole",
                 s->stride, s->window - s->stride);
    }
    md_cli_note(cli,
                "%s: method %s%s, split %s, %s, windows of %d tokens%s, %s, weights %s%s, seed "
                "%lld%s",
                cli->model, j->opt->method, md_cli_defaulted(cli, "method"), s->source.split, draws,
                s->window, md_cli_defaulted(cli, "window"), context, cli->common.weights,
                md_cli_defaulted(cli, "weights"), (long long)cli->common.seed,
                md_cli_defaulted(cli, "seed"));
}

/* --- scoring ---------------------------------------------------------------------------------- */

static int on_progress(void *user, int64_t done, int64_t total) {
    job *j = user;
    return md_eta_update(&j->eta, done, total);
}

static mdlm_status on_item(void *user, const md_evaluate_item *item, mdlm_error *err) {
    job *j = user;
    return md_eval_write_item(j->items, item, j->part, j->other.model && j->same_tokenizer, err);
}

static mdlm_status score_part(job *j, const scored *s, md_part part, int64_t first,
                              md_evaluation *out, mdlm_error *err) {
    bool own = s == &j->own;
    md_evaluate_options opt = {
        .method = j->method,
        .draws = (int)j->opt->mc,
        .batch = (int)j->opt->batch_size,
        .stride = s->stride,
        .seed = (uint64_t)j->cli->common.seed,
        .first = first,
        .other = own && j->other.model && j->same_tokenizer ? &j->other.model->denoiser : NULL,
        .on_item = own && j->items ? on_item : NULL,
        .on_progress = on_progress,
        .user = j,
    };
    /* Of a text that is not split, all is the training part. */
    bool whole = strcmp(s->source.split, "all") == 0 && !s->source.both;
    j->part = whole ? "all" : part == MD_PART_VAL ? "val" : "train";
    md_eta_begin(&j->eta, part == MD_PART_VAL ? "scoring validation" : "scoring");
    mdlm_status status = md_evaluate_corpus(&s->model->denoiser, s->source.corpus, part, s->window,
                                            s->model->tokenizer, &opt, out, err);
    md_eta_clear(&j->eta);
    return status;
}

/* Two parts as one text: totals add, and so do the variances of totals. */
static md_likelihood_report join_reports(const md_likelihood_report *a,
                                         const md_likelihood_report *b) {
    double share_a = (double)a->tokens, share_b = (double)b->tokens, total = share_a + share_b;
    md_likelihood_report sum = {.nats = a->nats + b->nats,
                                .tokens = a->tokens + b->tokens,
                                .sequences = a->sequences + b->sequences,
                                .groups = a->groups + b->groups};
    if (total <= 0) return sum;
    sum.nats_per_token = sum.nats / total;
    sum.stderr_mc = hypot(share_a * a->stderr_mc, share_b * b->stderr_mc) / total;
    sum.stderr_data = hypot(share_a * a->stderr_data, share_b * b->stderr_data) / total;
    return sum;
}

static md_evaluation join(const md_evaluation *a, const md_evaluation *b) {
    md_evaluation sum = *a;
    sum.report = join_reports(&a->report, &b->report);
    sum.other = join_reports(&a->other, &b->other);
    sum.difference = join_reports(&a->difference, &b->difference);
    sum.bytes += b->bytes;
    sum.windows += b->windows;
    sum.nats_per_byte = sum.report.nats / (double)sum.bytes;
    sum.bits_per_byte = sum.nats_per_byte / log(2);
    sum.perplexity = exp(sum.report.nats_per_token);
    return sum;
}

static mdlm_status score(job *j, const scored *s, md_evaluation *out, mdlm_error *err) {
    bool val = strcmp(s->source.split, "val") == 0;
    MD_TRY(score_part(j, s, val ? MD_PART_VAL : MD_PART_TRAIN, 0, out, err));
    if (!s->source.both || md_corpus_tokens(s->source.corpus, MD_PART_VAL) == 0) return MDLM_OK;
    md_evaluation second;
    MD_TRY(score_part(j, s, MD_PART_VAL, out->windows, &second, err));
    *out = join(out, &second);
    return MDLM_OK;
}

/* --- comparing -------------------------------------------------------------------------------- */

static void compare_tokens(const md_evaluation *e, md_eval_comparison *c) {
    double per_byte = (double)e->report.tokens / (double)e->bytes;
    c->paired = e->paired ? "masks" : "windows";
    c->other = e->other;
    c->by_token = e->difference;
    c->per_byte = e->difference.nats / (double)e->bytes;
    c->per_byte_mc = e->difference.stderr_mc * per_byte;
    c->per_byte_data = e->difference.stderr_data * per_byte;
}

/* Errors as if nothing were shared, which errs on the large side. */
static mdlm_status compare_bytes(job *j, const md_evaluation *e, md_eval_comparison *c,
                                 mdlm_error *err) {
    md_evaluation other;
    MD_TRY(score(j, &j->other, &other, err));
    if (other.bytes != e->bytes) {
        return md_fail(err, MDLM_INPUT,
                       "'%s' reads %lld bytes of the text and '%s' %lld: they cannot be compared",
                       j->cli->model, (long long)e->bytes, j->opt->compare, (long long)other.bytes);
    }
    double own_tokens = (double)e->report.tokens, other_tokens = (double)other.report.tokens;
    double bytes = (double)e->bytes;
    const md_likelihood_report *a = &e->report, *b = &other.report;
    c->paired = "text";
    c->other = *b;
    c->by_token =
        (md_likelihood_report){.nats_per_token = NAN, .stderr_mc = NAN, .stderr_data = NAN};
    c->per_byte = (a->nats - b->nats) / bytes;
    c->per_byte_mc = hypot(a->stderr_mc * own_tokens, b->stderr_mc * other_tokens) / bytes;
    c->per_byte_data = hypot(a->stderr_data * own_tokens, b->stderr_data * other_tokens) / bytes;
    return MDLM_OK;
}

static mdlm_status evaluate(job *j, md_eval_result *r, mdlm_error *err) {
    MD_TRY(score(j, &j->own, &r->text, err));
    r->exact = is_exact(j, j->own.model);
    r->window = j->own.window;
    r->stride = j->own.stride;
    r->method = j->opt->method;
    r->split = j->own.source.split;
    r->weights = j->cli->common.weights;
    r->compared = j->other.model != NULL;
    r->comparison.model = j->opt->compare;
    if (!r->compared) return MDLM_OK;
    if (!j->same_tokenizer) return compare_bytes(j, &r->text, &r->comparison, err);
    compare_tokens(&r->text, &r->comparison);
    return MDLM_OK;
}

mdlm_status md_eval_text(const md_cli *cli, const md_eval_text_options *opt, mdlm_error *err) {
    job j = {.cli = cli, .opt = opt, .eta = md_eta_start(cli->common.quiet)};
    md_eval_result result = {0};
    mdlm_status status = MDLM_OK;
    md_cli_signals_catch();
    MD_GOTO(done, status, open_all(&j, err));
    describe(&j);
    MD_GOTO(done, status, evaluate(&j, &result, err));
    if (j.items) MD_GOTO(done, status, md_writer_commit(j.items, err));
    status = cli->common.json ? md_eval_print_json(&result, err) : md_eval_print_text(&result, err);
done:
    md_eta_clear(&j.eta);
    md_writer_free(j.items);
    md_eval_source_release(&j.own.source);
    md_eval_source_release(&j.other.source);
    mdlm_free(j.own.model);
    mdlm_free(j.other.model);
    return status;
}
