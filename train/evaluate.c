/* train/evaluate.c: see evaluate.h. */
#include "train/evaluate.h"

#include <math.h>

#include "train/windows.h"

enum { CALLS = 2 }; /* network calls for the windows that are read at once, roughly */

/* A likelihood, with a second model's and the difference. */
typedef struct sums {
    md_likelihood own, other, difference;
} sums;

typedef struct evaluation {
    const md_denoiser *denoiser;
    const md_tokenizer *tok;
    const md_evaluate_options *opt;
    md_windows windows;
    int64_t each; /* canvases of a window under one model */
    int64_t base; /* canvases dealt with before the current measurement */
    int64_t done; /* windows */
    sums all, item;
    int64_t index, offset, bytes; /* of the open item */
    bool open;
    bool paired;
    int64_t all_bytes;
} evaluation;

static int64_t canvases_of(const md_denoiser *d, const md_evaluate_options *opt, int length) {
    if (d->sight == MD_SEES_PAST) return 1;
    if (opt->method != MD_METHOD_CHAIN) return opt->draws;
    return d->sight == MD_SEES_BLOCKS ? d->block_length : length;
}

static int64_t all_canvases(const evaluation *e) {
    int64_t other = e->opt->other ? canvases_of(e->opt->other, e->opt, e->windows.length) : 0;
    return e->windows.count * (e->each + other);
}

static int on_call(void *user, int64_t canvases) {
    const evaluation *e = user;
    if (!e->opt->on_progress) return 0;
    return e->opt->on_progress(e->opt->user, e->base + canvases, all_canvases(e));
}

/* --- items ------------------------------------------------------------------------------------ */

static mdlm_status close_item(evaluation *e, mdlm_error *err) {
    if (!e->open) return MDLM_OK;
    md_likelihood_report own = md_likelihood_finish(&e->item.own);
    md_likelihood_report other = md_likelihood_finish(&e->item.other);
    md_likelihood_report difference = md_likelihood_finish(&e->item.difference);
    double tokens = (double)own.tokens, apart = hypot(own.stderr_mc, other.stderr_mc);
    md_evaluate_item item = {
        .document = e->windows.document_count > 1,
        .index = e->index,
        .offset = e->offset,
        .tokens = own.tokens,
        .bytes = e->bytes,
        .nats = own.nats,
        .stderr_mc = own.stderr_mc * tokens,
        .other_nats = other.nats,
        .diff_nats = difference.nats,
        .diff_stderr_mc = (e->paired ? difference.stderr_mc : apart) * tokens,
    };
    e->open = false;
    return e->opt->on_item ? e->opt->on_item(e->opt->user, &item, err) : MDLM_OK;
}

/* Losses of the same windows: own, the other model's and their difference. */
typedef struct measured {
    md_losses own, other, difference;
} measured;

static void fold(const evaluation *e, const measured *m, int i, int first, int end, sums *to) {
    md_losses_fold(&m->own, i, first, end, &to->own);
    if (!e->opt->other) return;
    md_losses_fold(&m->other, i, first, end, &to->other);
    md_losses_fold(&m->difference, i, first, end, &to->difference);
}

/* Where the item that holds `offset` ends, and which it is. */
static int64_t find_item(const md_windows *w, int i, int64_t offset, int64_t *index) {
    if (w->document_count < 2) {
        *index = w->offset[i] / w->stride;
        return INT64_MAX;
    }
    int64_t d = w->group[i]; /* of the window's first scored token */
    while (d + 1 < w->document_count && w->documents[d + 1] <= offset) d++;
    *index = d;
    return w->documents[d + 1];
}

/* Shares the scored tokens of window i out to items. */
static mdlm_status share_out(evaluation *e, const measured *m, int i, mdlm_error *err) {
    const md_windows *w = &e->windows;
    const int32_t *ids = w->ids + (size_t)i * (size_t)w->length;
    for (int first = w->context[i]; first < w->end[i];) {
        int64_t index, stop = find_item(w, i, w->offset[i] + first, &index) - w->offset[i];
        int end = stop < w->end[i] ? (int)stop : w->end[i];
        if (e->open && index != e->index) MD_TRY(close_item(e, err));
        if (!e->open) {
            e->item = (sums){0};
            e->index = index, e->offset = w->offset[i] + first, e->bytes = 0;
            e->open = true;
        }
        fold(e, m, i, first, end, &e->item);
        int64_t bytes = md_tokenizer_byte_count(e->tok, ids + first, (size_t)(end - first));
        e->bytes += bytes;
        e->all_bytes += bytes;
        first = end;
    }
    return MDLM_OK;
}

/* --- scoring ---------------------------------------------------------------------------------- */

static mdlm_status measure(evaluation *e, const md_likelihood_batch *batch, measured *out,
                           mdlm_error *err) {
    const md_evaluate_options *o = e->opt;
    md_likelihood_options opt = {.method = o->method,
                                 .draws = o->draws,
                                 .batch = o->batch,
                                 .seed = o->seed,
                                 .on_call = on_call,
                                 .user = e};
    MD_TRY(md_losses_measure(&out->own, e->denoiser, &opt, batch, err));
    e->base += e->each * batch->count;
    if (!o->other) return MDLM_OK;
    MD_TRY(md_losses_measure(&out->other, o->other, &opt, batch, err));
    MD_TRY(md_losses_copy(&out->difference, &out->own, err));
    e->base += canvases_of(o->other, o, batch->T) * batch->count;
    e->paired = md_losses_subtract(&out->difference, &out->other);
    return MDLM_OK;
}

static void release(measured *m) {
    md_losses_release(&m->own);
    md_losses_release(&m->other);
    md_losses_release(&m->difference);
}

static mdlm_status score_windows(evaluation *e, mdlm_error *err) {
    md_windows *w = &e->windows;
    measured m = {0};
    mdlm_status status = MDLM_OK;
    md_windows_read(w, e->done);
    const md_likelihood_batch batch = {.ids = w->ids,
                                       .count = w->filled,
                                       .T = w->length,
                                       .first = e->opt->first + e->done,
                                       .lengths = w->end,
                                       .keep = w->keep,
                                       .group = w->group};
    MD_GOTO(done, status, measure(e, &batch, &m, err));
    for (int i = 0; i < w->filled; i++) {
        fold(e, &m, i, 0, w->length, &e->all);
        MD_GOTO(done, status, share_out(e, &m, i, err));
    }
    e->done += w->filled;
done:
    release(&m);
    if (status == MDLM_CANCELLED)
        return md_fail(err, status, "stopped after %lld of %lld windows", (long long)e->done,
                       (long long)w->count);
    return status;
}

static mdlm_status finish(const evaluation *e, md_evaluation *out, mdlm_error *err) {
    md_evaluation r = {.report = md_likelihood_finish(&e->all.own),
                       .bytes = e->all_bytes,
                       .windows = e->windows.count,
                       .other = md_likelihood_finish(&e->all.other),
                       .difference = md_likelihood_finish(&e->all.difference),
                       .paired = e->paired};
    if (r.bytes < 1)
        return md_fail(err, MDLM_INPUT, "the %s part of the corpus holds no text",
                       e->windows.part == MD_PART_TRAIN ? "training" : "validation");
    if (!r.paired) r.difference.stderr_mc = hypot(r.report.stderr_mc, r.other.stderr_mc);
    r.nats_per_byte = r.report.nats / (double)r.bytes;
    r.bits_per_byte = r.nats_per_byte / log(2.0);
    r.perplexity = exp(r.report.nats_per_token);
    *out = r;
    return MDLM_OK;
}

mdlm_status md_evaluate_corpus(const md_denoiser *denoiser, const md_corpus *corpus, md_part part,
                               int seq_len, const md_tokenizer *tok, const md_evaluate_options *opt,
                               md_evaluation *out, mdlm_error *err) {
    evaluation e = {.denoiser = denoiser, .tok = tok, .opt = opt};
    mdlm_status status = MDLM_OK;
    e.windows = (md_windows){.corpus = corpus,
                             .part = part,
                             .length = seq_len,
                             .stride = opt->stride ? opt->stride : seq_len,
                             .padding = md_tokenizer_padding(tok)};
    e.each = canvases_of(denoiser, opt, seq_len);
    if (opt->draws < 1 || opt->batch < 1)
        return md_fail(err, MDLM_USAGE, "%s is %d: expected at least 1",
                       opt->draws < 1 ? "draws" : "batch",
                       opt->draws < 1 ? opt->draws : opt->batch);
    if (seq_len < 1) return md_fail(err, MDLM_USAGE, "seq_len is %d: expected at least 1", seq_len);
    const int64_t room = (int64_t)CALLS * opt->batch / e.each;
    MD_GOTO(done, status, md_windows_init(&e.windows, room, opt->max_windows, err));
    while (e.done < e.windows.count) MD_GOTO(done, status, score_windows(&e, err));
    MD_GOTO(done, status, close_item(&e, err));
    status = finish(&e, out, err);
done:
    md_windows_release(&e.windows);
    return status;
}
