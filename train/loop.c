/* train/loop.c: see loop.h. */
#include "train/loop.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "train/checkpoint.h"
#include "train/metrics.h"

/* A step whose loss or gradient is not finite is skipped; so many in a row end the training. */
enum { MAX_SKIPPED = 10, METRIC_ROWS = 400 };

/* What a resumed training must know besides weights and moments. */
typedef struct counters {
    int64_t step, items;
    double seconds; /* of the whole loop: what --time is compared with */
    double busy;    /* of optimizer steps alone */
    double smooth, smooth_weight;
    double best; /* best validation so far; INFINITY before the first */
} counters;

typedef struct run {
    const md_loop *loop;
    const md_loop_settings *set;
    const md_task *task;
    mdlm_error *err;
    md_optimizer *optimizer;
    md_metrics *metrics;
    md_lr_schedule schedule;
    counters now;
    double started; /* clock at which now.seconds would have been 0 */
    double last_val, lr, grad_norm;
    double rate; /* items per second, smoothed over a few seconds */
    int skipped; /* in a row */
    int64_t saved_step;
    bool stop; /* the callback asked for it */
} run;

static double progress(const run *r) {
    double p = r->set->time > 0 ? r->now.seconds / r->set->time
                                : (double)r->now.step / (double)r->set->steps;
    return p < 1 ? p : 1;
}

static bool finished(const run *r) {
    return r->set->time > 0 ? r->now.seconds >= r->set->time : r->now.step >= r->set->steps;
}

static double train_loss(const run *r) {
    return r->now.smooth_weight > 0 ? r->now.smooth / r->now.smooth_weight : NAN;
}

static void emit(run *r, md_train_event_kind kind, const char *text, bool best) {
    if (!r->loop->request->on_event) return;
    double p = progress(r), left = 0;
    if (r->set->time > 0) {
        left = r->set->time - r->now.seconds;
    } else if (r->rate > 0) {
        left = (double)(r->set->steps - r->now.step) * (double)r->task->items_per_step / r->rate;
    }
    md_train_event e = {.kind = kind,
                        .text = text,
                        .step = r->now.step,
                        .steps = r->set->time > 0 ? 0 : r->set->steps,
                        .measure = &r->task->measure,
                        .progress = p,
                        .seconds = r->now.seconds,
                        .eta = left > 0 ? left : 0,
                        .items_per_second = r->rate,
                        .train_loss = train_loss(r),
                        .val_loss = r->last_val,
                        .best = best,
                        .lr = r->lr,
                        .grad_norm = r->grad_norm};
    if (r->loop->request->on_event(r->loop->request->user, &e)) r->stop = true;
}

/* --- state of a checkpoint ------------------------------------------------------------------- */

/* The key of the best validation. */
static const char *best_key(const run *r, char out[MD_MEASURE_TEXT]) {
    md_measure_key(&r->task->measure, "best_val", out);
    return out;
}

static mdlm_status save(run *r) {
    char best[MD_MEASURE_TEXT];
    if (r->saved_step == r->now.step) return MDLM_OK;
    cJSON *state = cJSON_CreateObject();
    const struct {
        const char *key;
        double value;
    } items[] = {
        {"step", (double)r->now.step},
        {r->task->measure.items, (double)r->now.items},
        {"seconds", r->now.seconds},
        {"busy_seconds", r->now.busy},
        {"smooth", r->now.smooth},
        {"smooth_weight", r->now.smooth_weight},
        {best_key(r, best), isfinite(r->now.best) ? r->now.best : -1},
        {"seed", (double)r->loop->request->seed},
    };
    bool complete = state != NULL;
    for (size_t i = 0; i < sizeof items / sizeof *items; i++)
        complete = cJSON_AddNumberToObject(state, items[i].key, items[i].value) && complete;
    char *path = NULL;
    mdlm_status status;
    md_checkpoint c = {
        .params = r->task->params, .optimizer = r->optimizer, .step = r->now.step, .state = state};
    if (!complete) {
        status = md_fail(r->err, MDLM_RUNTIME, "out of memory: cannot save");
        goto done;
    }
    if (r->task->save_state)
        MD_GOTO(done, status, r->task->save_state(r->task->context, state, r->err));
    MD_GOTO(done, status,
            md_checkpoint_save(&c, r->loop->request->run, (int)r->set->keep, &path, r->err));
    r->saved_step = r->now.step;
    emit(r, MD_EVENT_SAVED, path, false);
done:
    md_free(path);
    cJSON_Delete(state);
    return status;
}

static mdlm_status read_state(run *r, const cJSON *state) {
    char key[MD_MEASURE_TEXT];
    double best, items;
    struct {
        const char *key;
        double *value;
    } members[] = {
        {r->task->measure.items, &items},         {"seconds", &r->now.seconds},
        {"busy_seconds", &r->now.busy},           {"smooth", &r->now.smooth},
        {"smooth_weight", &r->now.smooth_weight}, {best_key(r, key), &best},
    };
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        MD_TRY(md_json_number(state, members[i].key, "state.json", members[i].value, r->err));
    }
    r->now.items = (int64_t)items;
    r->now.best = best < 0 ? INFINITY : best;
    return r->task->load_state ? r->task->load_state(r->task->context, state, r->err) : MDLM_OK;
}

static mdlm_status resume(run *r) {
    char *note = NULL;
    md_checkpoint c = {.params = r->task->params, .optimizer = r->optimizer};
    mdlm_status status = md_checkpoint_load(&c, r->loop->request->run, &note, r->err);
    if (status == MDLM_OK) {
        r->now.step = r->saved_step = c.step;
        status = read_state(r, c.state);
        cJSON_Delete(c.state);
    }
    if (status == MDLM_OK && note) emit(r, MD_EVENT_NOTE, note, false);
    md_free(note);
    return status;
}

/* --- one step -------------------------------------------------------------------------------- */

mdlm_status md_task_run(const md_task *task, md_tape *tape, md_rng key, bool record, double *loss,
                        mdlm_error *err) {
    int64_t step = (int64_t)key.step;
    *loss = 0;
    for (int micro = 0; micro < task->micro_batches; micro++) {
        md_tensor *part = NULL;
        key.step = (uint64_t)(step * task->micro_batches + micro);
        md_tape_begin(tape, record, key);
        MD_TRY(task->loss(task->context, tape, step, micro, &part, err));
        if (!part) return md_tape_status(tape, err);
        *loss += (double)*part->data;
        if (record) MD_TRY(md_tape_backward(tape, part, err));
    }
    return MDLM_OK;
}

static mdlm_status skip_step(run *r, double loss) {
    int64_t n = md_params_size(r->task->params);
    memset(md_params_grads(r->task->params), 0, (size_t)n * sizeof(md_real));
    if (++r->skipped >= MAX_SKIPPED) {
        return md_fail(r->err, MDLM_NUMERIC,
                       "the loss or its gradient was not finite in %d steps "
                       "in a row (step %lld, loss %g): try a smaller --lr; the last checkpoint is "
                       "kept",
                       MAX_SKIPPED, (long long)r->now.step, loss);
    }
    emit(r, MD_EVENT_NOTE, "the loss or its gradient is not finite: this step is skipped", false);
    return MDLM_OK;
}

static mdlm_status train_step(run *r) {
    double loss, begin = md_now();
    int64_t step = r->now.step + 1;
    r->lr = md_lr_at(&r->schedule, step, progress(r));
    md_rng dropout = {
        .seed = r->loop->request->seed, .stream = MD_STREAM_DROPOUT, .step = (uint64_t)step};
    MD_TRY(md_task_run(r->task, r->loop->tape, dropout, true, &loss, r->err));
    md_optimizer_info info = {.grad_norm = NAN};
    mdlm_status status = MDLM_NUMERIC;
    if (isfinite(loss)) {
        mdlm_error why = {0};
        status = md_optimizer_step(r->optimizer, r->lr, r->loop->pool, &info, &why);
        if (status != MDLM_OK && status != MDLM_NUMERIC)
            return md_fail(r->err, status, "%s", why.message);
    }
    r->now.step = step;
    r->grad_norm = info.grad_norm;
    if (status == MDLM_NUMERIC) {
        MD_TRY(skip_step(r, loss));
    } else {
        const double keep = 0.98;
        r->skipped = 0;
        r->now.smooth = keep * r->now.smooth + (1 - keep) * loss * r->task->unit;
        r->now.smooth_weight = keep * r->now.smooth_weight + (1 - keep);
    }
    double took = md_now() - begin, rate = (double)r->task->items_per_step / took;
    double blend = took < 3 ? took / 3 : 1; /* a mean over about three seconds */
    r->rate = r->rate > 0 ? r->rate + blend * (rate - r->rate) : rate;
    r->now.items += r->task->items_per_step;
    r->now.busy += took;
    r->now.seconds = md_now() - r->started;
    return MDLM_OK;
}

/* --- validation ------------------------------------------------------------------------------ */

/* Exchanges the weights with their average; twice restores them. */
static void swap_average(run *r) {
    md_real *a = md_params_values(r->task->params), *b = md_optimizer_ema(r->optimizer);
    int64_t n = md_params_size(r->task->params);
    for (int64_t i = 0; b && i < n; i++) {
        md_real keep = a[i];
        a[i] = b[i];
        b[i] = keep;
    }
}

static md_metrics_row metrics_row(const run *r) {
    return (md_metrics_row){.step = r->now.step,
                            .items = r->now.items,
                            .seconds = r->now.seconds,
                            .train_loss = train_loss(r),
                            .val_loss = r->last_val,
                            .lr = r->lr,
                            .grad_norm = r->grad_norm,
                            .items_per_second = r->rate};
}

static mdlm_status validate_average(run *r, bool *best, md_buffer *note) {
    mdlm_error why = {0};
    mdlm_status status = r->task->validate(r->task->context, false, &r->last_val, &why);
    if (status != MDLM_OK && status != MDLM_NUMERIC)
        return md_fail(r->err, status, "%s", why.message);
    if (status == MDLM_NUMERIC || !isfinite(r->last_val))
        return md_fail(
            r->err, MDLM_NUMERIC,
            "the validation loss is not finite after step %lld: try a smaller --lr; the last "
            "checkpoint is kept",
            (long long)r->now.step);
    *best = r->last_val < r->now.best;
    if (*best) {
        r->now.best = r->last_val;
        MD_TRY(r->task->publish(r->task->context, r->err));
    }
    return r->task->adapt ? r->task->adapt(r->task->context, note, r->err) : MDLM_OK;
}

static mdlm_status validate(run *r) {
    bool best = false;
    md_buffer note = {0};
    swap_average(r);
    mdlm_status status = validate_average(r, &best, &note);
    swap_average(r);
    if (status != MDLM_OK) goto done;
    md_metrics_row row = metrics_row(r);
    row.best = best;
    MD_GOTO(done, status, md_metrics_val(r->metrics, &row, r->err));
    emit(r, MD_EVENT_EVAL, NULL, best);
    if (note.data) emit(r, MD_EVENT_NOTE, note.data, false);
    status = md_metrics_plot(r->metrics, r->err);
done:
    md_buffer_release(&note);
    return status;
}

static mdlm_status show_sample(run *r) {
    md_buffer text = {0};
    swap_average(r);
    mdlm_error why = {0};
    mdlm_status status = r->task->sample(r->task->context, r->now.step, &text, &why);
    swap_average(r);
    if (status == MDLM_OK && text.data) emit(r, MD_EVENT_SAMPLE, text.data, false);
    /* Weights that have gone astray show nothing; losses judge them. */
    if (status == MDLM_NUMERIC) status = MDLM_OK;
    if (status != MDLM_OK) md_fail(r->err, status, "%s", why.message);
    md_buffer_release(&text);
    return status;
}

/* --- the loop -------------------------------------------------------------------------------- */

/* With --steps, events fall on multiples; with --time, on equal shares of the budget, unless what
 * is no training has taken a seventh of it so far. */
static bool due(const run *r, int64_t every, double share_before, double share_now) {
    const int shares = 20;
    if (every > 0) return r->now.step % every == 0;
    if (r->set->time <= 0 || floor(share_now * shares) <= floor(share_before * shares))
        return false;
    return r->now.seconds - r->now.busy < r->now.seconds / 7;
}

static mdlm_status housekeeping(run *r, double before) {
    double p = progress(r);
    int64_t rows_every = r->set->time > 0 ? 10 : r->set->steps / METRIC_ROWS + 1;
    emit(r, MD_EVENT_STEP, NULL, false);
    if (r->now.step % rows_every == 0) {
        md_metrics_row row = metrics_row(r);
        MD_TRY(md_metrics_train(r->metrics, &row, r->err));
    }
    bool last = finished(r);
    if (last || due(r, r->set->eval_every, before, p)) MD_TRY(validate(r));
    if (!last && r->task->sample && due(r, r->set->sample_every, before, p)) MD_TRY(show_sample(r));
    if (last || r->stop || r->now.step == 1 || r->now.step == r->set->stop_at ||
        due(r, r->set->save_every, before, p))
        MD_TRY(save(r));
    r->now.seconds = md_now() - r->started;
    return MDLM_OK;
}

static mdlm_status iterate(run *r) {
    while (!finished(r) && !r->stop && (!r->set->stop_at || r->now.step < r->set->stop_at)) {
        double before = progress(r);
        MD_TRY(train_step(r));
        MD_TRY(housekeeping(r, before));
    }
    return MDLM_OK;
}

/* The report is about the published weights, so they are read back. A run that was stopped before
 * its first validation publishes its average as it is. */
static mdlm_status conclude(run *r, md_train_result *out) {
    bool complete = finished(r);
    if (!isfinite(r->now.best)) {
        swap_average(r);
        mdlm_status status = r->task->publish(r->task->context, r->err);
        swap_average(r);
        MD_TRY(status);
    }
    *out = (md_train_result){.parameters = md_params_size(r->task->params),
                             .steps = r->now.step,
                             .items = r->now.items,
                             .seconds = r->now.seconds,
                             .measure = r->task->measure,
                             .train_loss = train_loss(r),
                             .val_loss = r->now.best,
                             .stopped = !complete};
    out->items_per_second = r->now.busy > 0 ? (double)r->now.items / r->now.busy : 0;
    if (complete) {
        MD_TRY(r->task->reload(r->task->context, r->err));
        MD_TRY(r->task->validate(r->task->context, true, &out->val_loss, r->err));
    }
    if (!isfinite(out->val_loss)) out->val_loss = NAN;
    out->peak_rss_bytes = md_peak_rss();
    return md_metrics_plot(r->metrics, r->err);
}

static mdlm_status lr_kind(const char *name, md_lr_kind *out, mdlm_error *err) {
    static const char *const names[] = {"cosine", "linear", "constant", "wsd"};
    static const md_lr_kind kinds[] = {MD_LR_COSINE, MD_LR_LINEAR, MD_LR_CONSTANT, MD_LR_WSD};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name)) continue;
        *out = kinds[i];
        return MDLM_OK;
    }
    return md_fail(err, MDLM_USAGE, "unknown learning-rate schedule '%s'", name);
}

static mdlm_status prepare(run *r) {
    const md_loop_settings *s = r->set;
    md_optimizer_options o = md_optimizer_defaults();
    if (strcmp(s->optimizer, "muon") == 0) o.kind = MD_OPTIMIZER_MUON;
    o.muon_lr = s->muon_lr / s->lr; /* one schedule for both */
    o.beta2 = s->beta2;
    o.weight_decay = s->weight_decay;
    o.grad_clip = s->grad_clip;
    o.ema = s->ema;
    r->optimizer = md_optimizer_new(r->task->params, md_tape_kernels(r->loop->tape), &o, r->err);
    if (!r->optimizer) return MDLM_RUNTIME;
    r->schedule = (md_lr_schedule){.peak = s->lr, .floor = 0.02, .warmup = s->warmup};
    MD_TRY(lr_kind(s->lr_schedule, &r->schedule.kind, r->err));
    if (s->resume) MD_TRY(resume(r));
    return md_metrics_open(r->loop->request->run, &r->task->measure, r->now.step, &r->metrics,
                           r->err);
}

mdlm_status md_loop_run(const md_loop *loop, md_train_result *result, mdlm_error *err) {
    run r = {.loop = loop,
             .set = loop->set,
             .task = loop->task,
             .err = err,
             .now = {.best = INFINITY},
             .last_val = NAN,
             .saved_step = -1};
    mdlm_status status;
    MD_GOTO(done, status, prepare(&r));
    r.started = md_now() - r.now.seconds;
    MD_GOTO(done, status, iterate(&r));
    if (r.now.step == 0) {
        status = md_fail(err, MDLM_CANCELLED, "stopped before the first step");
        goto done;
    }
    MD_GOTO(done, status, save(&r));
    status = conclude(&r, result);
done:
    md_metrics_close(r.metrics);
    md_optimizer_free(r.optimizer);
    return status;
}
