/* cli/cmd_train.c: `mdlm train`: settings to train/, its events to the screen. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "train/train.h"

#define NATS_PER_BIT 0.69314718055994530942
enum { LINE_SECONDS = 10 };       /* between lines off a terminal */
static const double redraw = 0.1; /* seconds between pictures on a terminal */

/* What is on the screen while training runs. */
typedef struct screen {
    md_progress progress;
    double drawn; /* md_now() of the last line */
} screen;

/* "2.675 nats/byte (3.859 bits)", or "-" while unknown. */
static void nelbo_text(double nats, const char *per, char out[64]) {
    if (!isfinite(nats))
        snprintf(out, 64, "-");
    else
        snprintf(out, 64, "%.3f nats/%s (%.3f bits)", nats, per, nats / NATS_PER_BIT);
}

static void place_text(const md_train_event *e, char out[64]) {
    if (e->steps > 0)
        snprintf(out, 64, "step %lld/%lld", (long long)e->step, (long long)e->steps);
    else
        snprintf(out, 64, "step %lld, %.0f%%", (long long)e->step, 100 * e->progress);
}

static mdlm_status live_line(const md_train_event *e, md_buffer *out, mdlm_error *err) {
    char bar[64], place[64], rate[MD_SHORT_TEXT], eta[MD_SHORT_TEXT];
    md_bar_text(e->progress, 6, bar);
    place_text(e, place);
    md_quantity_text(e->items_per_second, rate);
    md_duration_text(e->eta, eta);
    MD_TRY(md_buffer_printf(out, err, "%s %s  ETA %s  train %.3f", bar, place, eta, e->train_loss));
    if (isfinite(e->val_loss)) MD_TRY(md_buffer_printf(out, err, "  val %.3f", e->val_loss));
    /* what 80 columns cut off comes last */
    double shown = isfinite(e->val_loss) ? e->val_loss : e->train_loss;
    return md_buffer_printf(out, err, " nats/%s  %s tok/s  %.3f bits/%s", e->measure->per, rate,
                            shown / NATS_PER_BIT, e->measure->per);
}

static mdlm_status plain_line(const md_train_event *e, md_buffer *out, mdlm_error *err) {
    char place[64], rate[MD_SHORT_TEXT], eta[MD_SHORT_TEXT], train[64], val[64];
    place_text(e, place);
    nelbo_text(e->train_loss, e->measure->per, train);
    nelbo_text(e->val_loss, e->measure->per, val);
    md_quantity_text(e->items_per_second, rate);
    md_duration_text(e->eta, eta);
    return md_buffer_printf(out, err, "%s: train %s, val %s%s, %s tokens/s, %s to go", place, train,
                            val, e->kind == MD_EVENT_EVAL && e->best ? ", best" : "", rate, eta);
}

static void show_numbers(screen *s, const md_train_event *e) {
    double now = md_now();
    bool evaluation = e->kind == MD_EVENT_EVAL;
    double interval = s->progress.live ? redraw : LINE_SECONDS;
    if (!evaluation && now - s->drawn < interval) return;
    s->drawn = now;
    md_buffer line = {0};
    if (s->progress.live) {
        if (live_line(e, &line, NULL) == MDLM_OK) md_progress_show(&s->progress, line.data);
    } else if (plain_line(e, &line, NULL) == MDLM_OK) {
        md_progress_print(&s->progress, line.data);
    }
    md_buffer_release(&line);
}

static void show_packing(screen *s, const md_train_event *e) {
    double now = md_now();
    if (!s->progress.live || now - s->drawn < redraw) return;
    s->drawn = now;
    char line[128], done[MD_SHORT_TEXT], total[MD_SHORT_TEXT];
    md_quantity_text((double)e->done, done);
    md_quantity_text((double)e->total, total);
    if (e->total > 0)
        snprintf(line, sizeof line, "reading the corpus: %s/%s bytes", done, total);
    else
        snprintf(line, sizeof line, "reading the corpus: %s bytes", done);
    md_progress_show(&s->progress, line);
}

/* Text of the library as lines of their own, the first after `label`. */
static void show_text(screen *s, const char *label, const char *text) {
    while (text && *text) {
        size_t size = strcspn(text, "\n");
        md_buffer line = {0};
        if (md_buffer_text(&line, label, NULL) == MDLM_OK &&
            md_terminal_line(&line, text, size, NULL) == MDLM_OK) {
            md_progress_print(&s->progress, line.data);
        }
        md_buffer_release(&line);
        text += size;
        if (*text) text++;
    }
}

static int on_event(void *user, const md_train_event *e) {
    screen *s = user;
    switch (e->kind) {
    case MD_EVENT_PACK: show_packing(s, e); break;
    case MD_EVENT_PLAN: show_text(s, "", e->text); break;
    case MD_EVENT_STEP:
    case MD_EVENT_EVAL: show_numbers(s, e); break;
    case MD_EVENT_SAMPLE: show_text(s, "sample: ", e->text); break;
    case MD_EVENT_SAVED: break; /* often, and nothing to act on */
    case MD_EVENT_NOTE: show_text(s, "note: ", e->text); break;
    }
    return md_cli_signal();
}

/* "val", "answer token" to "val_nelbo_nats_per_answer_token". */
static void put_nelbo(md_json_line *line, const char *which, const char *per, double nats) {
    char key[96];
    snprintf(key, sizeof key, "%s_nelbo_nats_per_%s", which, per);
    for (char *c = key; *c; c++)
        if (*c == ' ') *c = '_';
    md_json_put_real(line, key, nats);
}

static mdlm_status print_json(const md_cli *cli, const md_train_result *r, mdlm_error *err) {
    md_json_line line;
    md_json_begin(&line);
    md_json_put_int(&line, "parameters", r->parameters);
    md_json_put_int(&line, "steps", r->steps);
    md_json_put_int(&line, "tokens", r->items);
    md_json_put_real(&line, "seconds", r->seconds);
    md_json_put_real(&line, "tokens_per_second", r->items_per_second);
    put_nelbo(&line, "train", r->measure.per, r->train_loss);
    put_nelbo(&line, "val", r->measure.per, r->val_loss);
    md_json_put_int(&line, "peak_rss_bytes", r->peak_rss_bytes);
    md_json_put_string(&line, "run", cli->run);
    return md_json_end(&line, err);
}

static void print_summary(const md_cli *cli, const md_train_result *r) {
    char train[64], val[64], seconds[MD_SHORT_TEXT], tokens[MD_SHORT_TEXT], rate[MD_SHORT_TEXT];
    nelbo_text(r->train_loss, r->measure.per, train);
    nelbo_text(r->val_loss, r->measure.per, val);
    md_duration_text(r->seconds, seconds);
    md_quantity_text((double)r->items, tokens);
    md_quantity_text(r->items_per_second, rate);
    md_cli_note(cli, "%s after %lld steps: %s tokens in %s (%s tokens/s)",
                r->stopped ? "stopped" : "done", (long long)r->steps, tokens, seconds, rate);
    md_cli_note(cli, "train %s, validation %s", train, val);
}

static mdlm_status report(const md_cli *cli, const md_train_result *r, mdlm_error *err) {
    md_buffer next = {0};
    mdlm_status status = MDLM_OK;
    print_summary(cli, r);
    if (r->stopped) {
        MD_GOTO(done, status, md_buffer_text(&next, "to go on:        mdlm train --resume", err));
        MD_GOTO(done, status, md_cli_run_flag(cli, &next, err));
        MD_GOTO(done, status, md_buffer_text(&next, "\n", err));
    }
    const md_train_settings *settings = cli->settings;
    MD_GOTO(done, status,
            md_buffer_text(&next,
                           settings->sft ? "to talk to it:    mdlm chat"
                                         : "to let it write: mdlm generate --blocks 8",
                           err));
    MD_GOTO(done, status, md_cli_run_flag(cli, &next, err));
    md_cli_note(cli, "%s", next.data);
    if (cli->common.json) status = print_json(cli, r, err);
done:
    md_buffer_release(&next);
    return status;
}

static mdlm_status train(md_cli *cli, const char **paths, size_t count, mdlm_error *err) {
    screen s = {.progress = md_progress_start(cli->common.quiet)};
    if (!s.progress.live) s.drawn = md_now(); /* the first line tells something */
    md_train_result result = {0};
    md_buffer command = {0};
    MD_TRY(md_cli_command_line(cli, &command, err));
    md_train_request request = {
        .options = cli->options,
        .command = command.data,
        .run = cli->run,
        .paths = paths,
        .path_count = count,
        .seed = (uint64_t)cli->common.seed,
        .seed_given = md_options_origin(cli->options, "seed") == MD_ORIGIN_GIVEN,
        .threads = cli->threads,
        .kernels = cli->kernels,
        .on_event = on_event,
        .user = &s,
    };
    md_cli_signals_catch();
    mdlm_status status = md_train_text(&request, cli->settings, &result, err);
    md_progress_clear(&s.progress);
    md_buffer_release(&command);
    MD_TRY(status);
    return report(cli, &result, err);
}

/* Trains on the files that an earlier run was trained on, as its run.json (--config) has them. */
static mdlm_status train_again(md_cli *cli, mdlm_error *err) {
    enum { LARGEST = 1 << 26 };
    const char *path = cli->common.config;
    cJSON *root = NULL;
    MD_TRY(md_json_load(path, LARGEST, &root, err));
    const cJSON *corpus = cJSON_GetObjectItemCaseSensitive(root, "corpus"), *source;
    const cJSON *sources = cJSON_GetObjectItemCaseSensitive(corpus, "sources");
    mdlm_status status = MDLM_RUNTIME;
    size_t count = 0;
    const char **paths = md_alloc((size_t)cJSON_GetArraySize(sources), sizeof *paths, err);
    if (!paths) goto done;
    cJSON_ArrayForEach(source, sources) {
        MD_GOTO(done, status, md_json_text(source, "path", path, &paths[count], err));
        count++;
    }
    if (count == 0) {
        status = md_fail(err, MDLM_USAGE, "'%s' names no corpus: mdlm train corpus.txt --config %s",
                         path, path);
        goto done;
    }
    status = train(cli, paths, count, err);
done:
    md_free(paths);
    cJSON_Delete(root);
    return status;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    const md_train_settings *settings = cli->settings;
    size_t count = md_options_positional_count(cli->options);
    if (count == 0 && !settings->loop.resume && *cli->common.config) return train_again(cli, err);
    if (count == 0 && !settings->loop.resume) {
        return md_fail(err, MDLM_USAGE, "train needs a corpus: mdlm train corpus.txt");
    }
    const char **paths = md_alloc(count, sizeof *paths, err);
    if (!paths) return MDLM_RUNTIME;
    for (size_t i = 0; i < count; i++) paths[i] = md_options_positional(cli->options, i);
    mdlm_status status = train(cli, paths, count, err);
    md_free(paths);
    return status;
}

static const md_cli_section sections[] = {
    {"Data", md_data_settings_table},
    {"Network", md_model_settings_table},
    {"Objective", md_objective_settings_table},
    {"Training", md_text_loop_table},
    {"Run", md_text_run_table},
    {NULL, NULL},
};

static const md_option_alias aliases[] = {
    {"-c", "seq_len"}, {"--ctx-size", "seq_len"}, {"-m", "init"}, {"--model", "init"}, {NULL, NULL},
};

const md_command md_cmd_train = {
    .name = "train",
    .arguments = "FILE...",
    .summary = "Train a model on text; the size fits the corpus unless you choose it.",
    .examples = "  mdlm train corpus.txt                          everything chosen for you\n"
                "  mdlm train corpus.txt --time 10m               for ten minutes\n"
                "  mdlm train books/ notes.jsonl.gz --preset 10m  folders, .jsonl and .gz too\n"
                "  mdlm train --sft pairs.jsonl --init mdlm-run --run tuned   to answer prompts\n"
                "  mdlm train corpus.txt --layers 6 --dim 384 --heads 6 --steps 5000 --run big\n"
                "  mdlm train corpus.txt --objective block --block-length 16  text of any length\n"
                "  mdlm train corpus.txt --objective ar           the autoregressive baseline\n"
                "  mdlm train --resume                            go on after Ctrl-C\n",
    .notes =
        "FILE is UTF-8 text (any bytes), .jsonl (member \"text\"), a folder, or these as\n"
        ".gz. Ctrl-C saves the run; a second Ctrl-C does not wait for that.\n"
        "With --sft losses are per token of the answers (their end-of-text included). What is\n"
        "learned of the end-of-text after an answer is in the loss, not in those tokens.\n",
    .settings_size = sizeof(md_train_settings),
    .sections = sections,
    .aliases = aliases,
    .max_positional = SIZE_MAX,
    .run = run,
};
