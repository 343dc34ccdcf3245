/* cli/training.c: see training.h. */
#include "cli/training.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "cli/output.h"
#include "cli/signals.h"

#define NATS_PER_BIT 0.69314718055994530942
enum { LINE_SECONDS = 10 };       /* between lines off a terminal */
static const double redraw = 0.1; /* seconds between pictures on a terminal */

/* --- losses as words -------------------------------------------------------------------------- */

/* " nats/byte", " bits/dim", or nothing for a loss without unit. */
static void unit_text(const md_measure *m, char out[MD_MEASURE_TEXT]) {
    *out = 0;
    if (m->per) snprintf(out, MD_MEASURE_TEXT, " %s/%s", m->bits ? "bits" : "nats", m->per);
}

static void number_text(const md_measure *m, double loss, char out[MD_SHORT_TEXT]) {
    snprintf(out, MD_SHORT_TEXT, m->per ? "%.3f" : "%.4f", loss);
}

/* "2.675 nats/byte (3.859 bits)", or "-" while unknown. */
static void loss_text(const md_measure *m, double loss, char out[128]) {
    char number[MD_SHORT_TEXT], unit[MD_MEASURE_TEXT];
    number_text(m, loss, number);
    unit_text(m, unit);
    if (!isfinite(loss))
        snprintf(out, 128, "-");
    else if (m->per && !m->bits)
        snprintf(out, 128, "%s%s (%.3f bits)", number, unit, loss / NATS_PER_BIT);
    else
        snprintf(out, 128, "%s%s", number, unit);
}

/* --- lines ------------------------------------------------------------------------------------ */

static void place_text(const md_train_event *e, char out[64]) {
    if (e->steps > 0)
        snprintf(out, 64, "step %lld/%lld", (long long)e->step, (long long)e->steps);
    else
        snprintf(out, 64, "step %lld, %.0f%%", (long long)e->step, 100 * e->progress);
}

static mdlm_status live_line(const md_train_event *e, md_buffer *out, mdlm_error *err) {
    const md_measure *m = e->measure;
    char bar[64], place[64], rate[MD_SHORT_TEXT], eta[MD_SHORT_TEXT], loss[MD_SHORT_TEXT];
    char unit[MD_MEASURE_TEXT];
    md_bar_text(e->progress, 6, bar);
    place_text(e, place);
    md_quantity_text(e->items_per_second, rate);
    md_duration_text(e->eta, eta);
    number_text(m, e->train_loss, loss);
    unit_text(m, unit);
    MD_TRY(md_buffer_printf(out, err, "%s %s  ETA %s  train %s", bar, place, eta, loss));
    number_text(m, e->val_loss, loss);
    if (isfinite(e->val_loss)) MD_TRY(md_buffer_printf(out, err, "  val %s", loss));
    /* what 80 columns cut off comes last */
    MD_TRY(md_buffer_printf(out, err, "%s  %s %s/s", unit, rate, m->items));
    if (!m->per || m->bits) return MDLM_OK;
    const double shown = isfinite(e->val_loss) ? e->val_loss : e->train_loss;
    return md_buffer_printf(out, err, "  %.3f bits/%s", shown / NATS_PER_BIT, m->per);
}

static mdlm_status plain_line(const md_train_event *e, md_buffer *out, mdlm_error *err) {
    char place[64], rate[MD_SHORT_TEXT], eta[MD_SHORT_TEXT], train[128], val[128];
    place_text(e, place);
    loss_text(e->measure, e->train_loss, train);
    loss_text(e->measure, e->val_loss, val);
    md_quantity_text(e->items_per_second, rate);
    md_duration_text(e->eta, eta);
    return md_buffer_printf(out, err, "%s: train %s, val %s%s, %s %s/s, %s to go", place, train,
                            val, e->kind == MD_EVENT_EVAL && e->best ? ", best" : "", rate,
                            e->measure->items, eta);
}

static void show_numbers(md_training *t, const md_train_event *e) {
    double now = md_now();
    bool evaluation = e->kind == MD_EVENT_EVAL;
    double interval = t->progress.live ? redraw : LINE_SECONDS;
    if (!evaluation && now - t->drawn < interval) return;
    t->drawn = now;
    md_buffer line = {0};
    if (t->progress.live) {
        if (live_line(e, &line, NULL) == MDLM_OK) md_progress_show(&t->progress, line.data);
    } else if (plain_line(e, &line, NULL) == MDLM_OK) {
        md_progress_print(&t->progress, line.data);
    }
    md_buffer_release(&line);
}

static void show_packing(md_training *t, const md_train_event *e) {
    double now = md_now();
    if (!t->progress.live || now - t->drawn < redraw) return;
    t->drawn = now;
    char line[128], done[MD_SHORT_TEXT], total[MD_SHORT_TEXT];
    md_quantity_text((double)e->done, done);
    md_quantity_text((double)e->total, total);
    if (e->total > 0)
        snprintf(line, sizeof line, "reading the corpus: %s/%s bytes", done, total);
    else
        snprintf(line, sizeof line, "reading the corpus: %s bytes", done);
    md_progress_show(&t->progress, line);
}

/* Text of the library as lines of their own, the first after `label`. */
static void show_text(md_training *t, const char *label, const char *text) {
    while (text && *text) {
        size_t size = strcspn(text, "\n");
        md_buffer line = {0};
        if (md_buffer_text(&line, label, NULL) == MDLM_OK &&
            md_terminal_line(&line, text, size, NULL) == MDLM_OK) {
            md_progress_print(&t->progress, line.data);
        }
        md_buffer_release(&line);
        text += size;
        if (*text) text++;
    }
}

static int on_event(void *user, const md_train_event *e) {
    md_training *t = user;
    switch (e->kind) {
    case MD_EVENT_PACK: show_packing(t, e); break;
    case MD_EVENT_PLAN: show_text(t, "", e->text); break;
    case MD_EVENT_STEP:
    case MD_EVENT_EVAL: show_numbers(t, e); break;
    case MD_EVENT_SAMPLE: show_text(t, "sample: ", e->text); break;
    case MD_EVENT_SAVED: break; /* often, and nothing to act on */
    case MD_EVENT_NOTE: show_text(t, "note: ", e->text); break;
    }
    return md_cli_signal();
}

mdlm_status md_training_begin(md_training *t, const md_cli *cli, const char *const *paths,
                              size_t count, mdlm_error *err) {
    *t = (md_training){.cli = cli, .progress = md_progress_start(cli->common.quiet)};
    if (!t->progress.live) t->drawn = md_now(); /* the first line tells something */
    MD_TRY(md_cli_command_line(cli, &t->command, err));
    t->request = (md_train_request){
        .options = cli->options,
        .command = t->command.data,
        .run = cli->run,
        .paths = paths,
        .path_count = count,
        .seed = (uint64_t)cli->common.seed,
        .seed_given = md_options_origin(cli->options, "seed") == MD_ORIGIN_GIVEN,
        .threads = cli->threads,
        .kernels = cli->kernels,
        .on_event = on_event,
        .user = t,
    };
    md_cli_signals_catch();
    return MDLM_OK;
}

void md_training_end(md_training *t) {
    md_progress_clear(&t->progress);
    md_buffer_release(&t->command);
    t->request.command = NULL;
}

/* --- the report ------------------------------------------------------------------------------- */

/* "val" to "val_loss", or to "val_nelbo_nats_per_answer_token". */
static void put_loss(md_json_line *line, const md_measure *m, const char *which, bool with_unit,
                     double loss) {
    char key[2 * MD_MEASURE_TEXT + 2], unit[MD_MEASURE_TEXT];
    md_measure_key(m, which, key);
    md_measure_unit(m, unit);
    if (with_unit) snprintf(key + strlen(key), sizeof key - strlen(key), "_%s", unit);
    for (char *c = key; *c; c++)
        if (*c == ' ') *c = '_';
    md_json_put_real(line, key, loss);
}

static mdlm_status print_json(const md_training *t, bool with_unit, mdlm_error *err) {
    const md_train_result *r = &t->result;
    char rate[MD_MEASURE_TEXT];
    md_json_line line;
    md_measure_key(&r->measure, NULL, rate);
    md_json_begin(&line);
    md_json_put_int(&line, "parameters", r->parameters);
    md_json_put_int(&line, "steps", r->steps);
    md_json_put_int(&line, r->measure.items, r->items);
    md_json_put_real(&line, "seconds", r->seconds);
    md_json_put_real(&line, rate, r->items_per_second);
    put_loss(&line, &r->measure, "train", with_unit, r->train_loss);
    put_loss(&line, &r->measure, "val", with_unit, r->val_loss);
    md_json_put_int(&line, "peak_rss_bytes", r->peak_rss_bytes);
    md_json_put_string(&line, "run", t->cli->run);
    return md_json_end(&line, err);
}

static void print_summary(const md_training *t) {
    const md_train_result *r = &t->result;
    char train[128], val[128], seconds[MD_SHORT_TEXT], items[MD_SHORT_TEXT], rate[MD_SHORT_TEXT];
    loss_text(&r->measure, r->train_loss, train);
    loss_text(&r->measure, r->val_loss, val);
    md_duration_text(r->seconds, seconds);
    md_quantity_text((double)r->items, items);
    md_quantity_text(r->items_per_second, rate);
    md_cli_note(t->cli, "%s after %lld steps: %s %s in %s (%s %s/s)",
                r->stopped ? "stopped" : "done", (long long)r->steps, items, r->measure.items,
                seconds, rate, r->measure.items);
    md_cli_note(t->cli, "train %s, validation %s", train, val);
}

mdlm_status md_training_report(const md_training *t, const md_training_words *words,
                               mdlm_error *err) {
    md_buffer next = {0};
    mdlm_status status = MDLM_OK;
    print_summary(t);
    if (t->result.stopped) {
        const char *name = t->cli->command->name;
        MD_GOTO(done, status,
                md_buffer_printf(&next, err, "to go on:        mdlm %s --resume", name));
        MD_GOTO(done, status, md_cli_run_flag(t->cli, &next, err));
        MD_GOTO(done, status, md_buffer_text(&next, "\n", err));
    }
    MD_GOTO(done, status, md_buffer_text(&next, words->next, err));
    MD_GOTO(done, status, md_cli_run_flag(t->cli, &next, err));
    md_cli_note(t->cli, "%s", next.data);
    if (t->cli->common.json) status = print_json(t, words->unit_in_keys, err);
done:
    md_buffer_release(&next);
    return status;
}
