/* cli/score_file.c: `mdlm score --file`: pairs and multiple choice. */
#include <math.h>
#include <string.h>

#include "base/interval.h"
#include "cli/output.h"
#include "cli/score.h"
#include "cli/signals.h"
#include "corpora/items.h"

/* How a choice is compared with the others. */
enum { BY_TOTAL, BY_TOKEN, BY_BYTE, RANKINGS };

static const char *const ranking_keys[RANKINGS] = {"", "_per_token", "_per_byte"};

typedef struct totals {
    int64_t pairs, tokens;
    double log_prob, variance; /* of pairs; Monte Carlo */
    double xx, xn, nn;         /* of pairs: log p and tokens, for the error over pairs */
    int64_t choices, answered;
    int64_t right[RANKINGS]; /* of those with an answer */
    int64_t close;           /* choices whose margin is below its error */
} totals;

typedef struct job {
    const md_cli *cli;
    mdlm_model *model;
    mdlm_score_options how;
    totals sum;
} job;

/* --- pairs ------------------------------------------------------------------------------------ */

static mdlm_status print_pair(const job *j, const md_item *item, const md_scored *s,
                              mdlm_error *err) {
    if (!j->cli->common.json) {
        return md_cli_print(err, "line %lld: log p %s %.4f nats +- %.4f, %d tokens\n",
                            (long long)item->line, md_score_relation(j->model, &j->how),
                            s->log_prob, s->error, s->tokens);
    }
    md_json_line line;
    md_json_begin(&line);
    md_json_put_int(&line, "line", item->line);
    md_json_put_real(&line, "log_prob_nats", s->log_prob);
    md_json_put_real(&line, "stderr_mc", s->error);
    md_json_put_int(&line, "tokens", s->tokens);
    return md_json_end(&line, err);
}

static mdlm_status score_pair(job *j, const md_item *item, const md_scored *s, mdlm_error *err) {
    totals *t = &j->sum;
    double x = s->log_prob, n = s->tokens;
    t->pairs++;
    t->tokens += s->tokens;
    t->log_prob += x;
    t->variance += s->error * s->error;
    t->xx += x * x, t->xn += x * n, t->nn += n * n;
    return print_pair(j, item, s, err);
}

/* --- choices ---------------------------------------------------------------------------------- */

static double divisor(const md_item *item, const md_scored *s, int i, int ranking) {
    if (ranking == BY_TOKEN) return s[i].tokens;
    return ranking == BY_BYTE ? (double)strlen(item->responses[i]) : 1;
}

/* The highest; of equals the first. `except` is left out. */
static int best_choice(const md_item *item, const md_scored *s, int ranking, int except) {
    int best = -1;
    for (int i = 0; i < item->count; i++) {
        if (i == except) continue;
        double value = s[i].log_prob / divisor(item, s, i, ranking);
        if (best < 0 || value > s[best].log_prob / divisor(item, s, best, ranking)) best = i;
    }
    return best;
}

typedef struct verdict {
    int choice[RANKINGS];
    double margin, error; /* between the two highest; of their difference */
} verdict;

static mdlm_status print_choice(const job *j, const md_item *item, const md_scored *s,
                                const verdict *v, mdlm_error *err) {
    if (!j->cli->common.json) {
        const char *right = item->answer < 0                      ? ""
                            : item->answer == v->choice[BY_TOTAL] ? ", right"
                                                                  : ", wrong";
        return md_cli_print(err, "line %lld: choice %d by %.4f nats +- %.4f%s\n",
                            (long long)item->line, v->choice[BY_TOTAL], v->margin, v->error, right);
    }
    md_json_line line;
    md_json_begin(&line);
    md_json_put_int(&line, "line", item->line);
    for (int r = 0; r < RANKINGS; r++) {
        char key[32] = "choice";
        md_json_put_int(&line, strcat(key, ranking_keys[r]), v->choice[r]);
    }
    if (item->answer >= 0) {
        md_json_put_int(&line, "answer", item->answer);
        md_json_put_flag(&line, "correct", item->answer == v->choice[BY_TOTAL]);
    }
    md_json_put_real(&line, "margin_nats", v->margin);
    md_json_put_real(&line, "margin_stderr_mc", v->error);
    md_json_open(&line, "log_prob_nats", '[');
    for (int i = 0; i < item->count; i++) md_json_put_real(&line, NULL, s[i].log_prob);
    md_json_close(&line, ']');
    md_json_open(&line, "stderr_mc", '[');
    for (int i = 0; i < item->count; i++) md_json_put_real(&line, NULL, s[i].error);
    md_json_close(&line, ']');
    md_json_open(&line, "tokens", '[');
    for (int i = 0; i < item->count; i++) md_json_put_int(&line, NULL, s[i].tokens);
    md_json_close(&line, ']');
    return md_json_end(&line, err);
}

static mdlm_status score_choice(job *j, const md_item *item, const md_scored *s, mdlm_error *err) {
    totals *t = &j->sum;
    verdict v;
    for (int r = 0; r < RANKINGS; r++) v.choice[r] = best_choice(item, s, r, -1);
    const md_scored *first = &s[v.choice[BY_TOTAL]];
    const md_scored *second = &s[best_choice(item, s, BY_TOTAL, v.choice[BY_TOTAL])];
    v.margin = first->log_prob - second->log_prob;
    v.error = hypot(first->error, second->error);
    t->choices++;
    t->close += v.margin < v.error;
    t->answered += item->answer >= 0;
    for (int r = 0; r < RANKINGS; r++) t->right[r] += v.choice[r] == item->answer;
    return print_choice(j, item, s, &v, err);
}

/* --- totals ----------------------------------------------------------------------------------- */

/* Standard error over pairs of log p per token, of a ratio of means. */
static double error_over_pairs(const totals *t) {
    double n = (double)t->tokens, k = (double)t->pairs, mean = t->log_prob / n;
    double squares = t->xx - 2 * mean * t->xn + mean * mean * t->nn;
    return t->pairs > 1 ? sqrt(fmax(squares, 0) * k / (k - 1)) / n : NAN;
}

static void put_accuracy(md_json_line *line, const totals *t, int ranking) {
    char key[32] = "accuracy";
    md_interval ci = md_wilson(t->right[ranking], t->answered);
    strcat(key, ranking_keys[ranking]);
    md_json_put_real(line, key, (double)t->right[ranking] / (double)t->answered);
    md_json_open(line, strcat(key, "_95"), '[');
    md_json_put_real(line, NULL, ci.low);
    md_json_put_real(line, NULL, ci.high);
    md_json_close(line, ']');
}

static mdlm_status print_totals_json(const job *j, mdlm_error *err) {
    const totals *t = &j->sum;
    md_json_line line;
    md_json_begin(&line);
    md_json_put_int(&line, "items", t->pairs + t->choices);
    if (t->pairs > 0) {
        md_json_put_int(&line, "pairs", t->pairs);
        md_json_put_real(&line, "log_prob_nats", t->log_prob);
        md_json_put_real(&line, "log_prob_nats_per_token", t->log_prob / (double)t->tokens);
        md_json_put_real(&line, "stderr_mc", sqrt(t->variance));
        md_json_put_real(&line, "stderr_data_per_token", error_over_pairs(t));
        md_json_put_int(&line, "tokens", t->tokens);
    }
    if (t->choices > 0) {
        md_json_put_int(&line, "choices", t->choices);
        md_json_put_int(&line, "answered", t->answered);
        for (int r = 0; r < RANKINGS && t->answered > 0; r++) put_accuracy(&line, t, r);
        md_json_put_real(&line, "close", (double)t->close / (double)t->choices);
    }
    md_json_put_string(&line, "method", j->how.method);
    return md_json_end(&line, err);
}

static mdlm_status print_pair_totals(const job *j, mdlm_error *err) {
    const totals *t = &j->sum;
    double mean = t->log_prob / (double)t->tokens;
    MD_TRY(md_cli_print(err, "%lld pairs, %lld tokens: log p %s %.4f nats +- %.4f (masks)",
                        (long long)t->pairs, (long long)t->tokens,
                        md_score_relation(j->model, &j->how), t->log_prob, sqrt(t->variance)));
    if (t->pairs < 2) return md_cli_print(err, ", %.4f nats/token\n", mean);
    return md_cli_print(err, ", %.4f nats/token +- %.4f (pairs)\n", mean, error_over_pairs(t));
}

static mdlm_status print_totals(const job *j, mdlm_error *err) {
    static const char *const names[RANKINGS] = {"log p", "log p per token", "log p per byte"};
    const totals *t = &j->sum;
    if (j->cli->common.json) return print_totals_json(j, err);
    if (t->pairs > 0) MD_TRY(print_pair_totals(j, err));
    for (int r = 0; r < RANKINGS && t->answered > 0; r++) {
        md_interval ci = md_wilson(t->right[r], t->answered);
        MD_TRY(md_cli_print(err, "accuracy by %-15s %.3f (%.3f to %.3f), %lld of %lld\n", names[r],
                            (double)t->right[r] / (double)t->answered, ci.low, ci.high,
                            (long long)t->right[r], (long long)t->answered));
    }
    if (t->choices == 0) return MDLM_OK;
    return md_cli_print(err, "%lld of %lld choices are closer than their Monte Carlo error\n",
                        (long long)t->close, (long long)t->choices);
}

/* --- the file --------------------------------------------------------------------------------- */

static mdlm_status score_item(job *j, const char *path, const md_item *item, mdlm_error *err) {
    md_scored scored[MD_ITEM_MOST_CHOICES];
    for (int i = 0; i < item->count; i++) {
        mdlm_error reason = {0};
        mdlm_status status =
            md_score_text(j->model, item->prompt, item->responses[i], &j->how, &scored[i], &reason);
        /* Here it is the file that asks for the impossible. */
        if (status == MDLM_USAGE) status = MDLM_INPUT;
        if (status != MDLM_OK) {
            return md_fail(err, status, "'%s' line %lld: %s", path, (long long)item->line,
                           reason.message);
        }
    }
    MD_TRY(item->count > 1 ? score_choice(j, item, scored, err) : score_pair(j, item, scored, err));
    j->how.index++;
    return MDLM_OK;
}

mdlm_status md_score_file(const md_cli *cli, mdlm_model *model, const char *path,
                          const mdlm_score_options *opt, mdlm_error *err) {
    job j = {.cli = cli, .model = model, .how = *opt};
    md_items *items = NULL;
    md_item item;
    mdlm_status status;
    md_cli_signals_catch();
    MD_GOTO(done, status, md_items_open(path, &items, err));
    for (;;) {
        MD_GOTO(done, status, md_items_next(items, &item, err));
        if (item.count == 0) break;
        MD_GOTO(done, status, score_item(&j, path, &item, err));
        if (md_cli_signal()) {
            status =
                md_fail(err, MDLM_CANCELLED, "cancelled after %lld lines", (long long)item.line);
            goto done;
        }
    }
    if (j.sum.pairs + j.sum.choices == 0)
        status = md_fail(err, MDLM_INPUT, "'%s' holds nothing to score", path);
    else
        status = print_totals(&j, err);
done:
    md_items_free(items);
    return status;
}
