/* train/evaluate.c: see evaluate.h. */
#include "train/evaluate.h"

#include <math.h>

#include "base/memory.h"

enum { CALLS = 2 }; /* network calls between two looks at on_progress, roughly */

/* The windows of an evaluation: `count` of `total`, `room` at a time. */
typedef struct windows {
    const md_corpus *corpus;
    md_part part;
    int seq_len;
    int32_t padding;
    int64_t tokens, total, count;
    const int64_t *documents;         /* start offsets */
    int64_t document_count, document; /* the one that holds the last window read */
    int room, filled;
    int32_t *ids;     /* [room, seq_len] */
    int32_t *lengths; /* [room] */
    int64_t *group;   /* [room] */
} windows;

static const char *part_name(md_part part) {
    return part == MD_PART_TRAIN ? "training" : "validation";
}

/* Some calls' worth of windows, so that a long evaluation hears of a cancellation. */
static int choose_room(const md_evaluate_options *opt, int64_t count) {
    const int64_t wanted = (int64_t)CALLS * opt->batch / opt->draws;
    return (int)(wanted < 1 ? 1 : wanted > count ? count : wanted);
}

static mdlm_status allocate(windows *w, mdlm_error *err) {
    size_t ids;
    if (!md_size_mul((size_t)w->room, (size_t)w->seq_len, &ids)) {
        return md_fail(err, MDLM_RUNTIME, "%d windows of %d tokens are too many", w->room,
                       w->seq_len);
    }
    if (!(w->ids = md_alloc(ids, sizeof *w->ids, err))) return MDLM_RUNTIME;
    if (!(w->lengths = md_alloc((size_t)w->room, sizeof *w->lengths, err))) return MDLM_RUNTIME;
    if (!(w->group = md_alloc((size_t)w->room, sizeof *w->group, err))) return MDLM_RUNTIME;
    return MDLM_OK;
}

static void release(windows *w) {
    md_free(w->ids);
    md_free(w->lengths);
    md_free(w->group);
}

static mdlm_status init(windows *w, const md_evaluate_options *opt, mdlm_error *err) {
    if (w->seq_len < 1) {
        return md_fail(err, MDLM_USAGE, "seq_len is %d: expected at least 1", w->seq_len);
    }
    if (opt->draws < 1 || opt->batch < 1) {
        return md_fail(err, MDLM_USAGE, "%s is %d: expected at least 1",
                       opt->draws < 1 ? "draws" : "batch",
                       opt->draws < 1 ? opt->draws : opt->batch);
    }
    w->tokens = md_corpus_tokens(w->corpus, w->part);
    if (w->tokens < 1) {
        return md_fail(err, MDLM_INPUT, "the %s part of the corpus is empty", part_name(w->part));
    }
    const md_corpus_stats stats = md_corpus_get_stats(w->corpus);
    w->documents = md_corpus_documents(w->corpus, w->part);
    w->document_count = w->part == MD_PART_TRAIN ? stats.train.documents : stats.val.documents;
    w->total = (w->tokens - 1) / w->seq_len + 1;
    const bool some = opt->max_windows > 0 && opt->max_windows < w->total;
    w->count = some ? opt->max_windows : w->total;
    w->room = choose_room(opt, w->count);
    return allocate(w, err);
}

/* floor(k * total / count), without the product. */
static int64_t window_index(const windows *w, int64_t k) {
    return k * (w->total / w->count) + k * (w->total % w->count) / w->count;
}

/* The document of an offset; offsets only grow. */
static int64_t document_of(windows *w, int64_t offset) {
    while (w->document + 1 < w->document_count && w->documents[w->document + 1] <= offset) {
        w->document++;
    }
    return w->document;
}

/* Reads windows first, first + 1, ... of the evaluation, as many as there is room for. */
static void read_windows(windows *w, int64_t first) {
    const int64_t left = w->count - first;
    w->filled = left < w->room ? (int)left : w->room;
    for (int i = 0; i < w->filled; i++) {
        const int64_t offset = window_index(w, first + i) * w->seq_len, rest = w->tokens - offset;
        const int length = rest < w->seq_len ? (int)rest : w->seq_len;
        int32_t *ids = w->ids + (size_t)i * (size_t)w->seq_len;
        md_corpus_read(w->corpus, w->part, offset, ids, length);
        for (int j = length; j < w->seq_len; j++) ids[j] = w->padding;
        w->lengths[i] = length;
        w->group[i] = w->document_count > 1 ? document_of(w, offset) : first + i;
    }
}

static int64_t count_bytes(const windows *w, const md_tokenizer *tok) {
    int64_t bytes = 0;
    for (int i = 0; i < w->filled; i++) {
        const int32_t *ids = w->ids + (size_t)i * (size_t)w->seq_len;
        bytes += md_tokenizer_byte_count(tok, ids, (size_t)w->lengths[i]);
    }
    return bytes;
}

static mdlm_status score(windows *w, const md_denoiser *denoiser, const md_evaluate_options *opt,
                         const md_tokenizer *tok, md_evaluation *e, mdlm_error *err) {
    const md_likelihood_options nelbo = {
        .draws = opt->draws, .batch = opt->batch, .seed = opt->seed};
    md_likelihood sum = {0};
    for (int64_t done = 0; done < w->count;) {
        read_windows(w, done);
        const md_likelihood_batch batch = {.ids = w->ids,
                                           .count = w->filled,
                                           .T = w->seq_len,
                                           .first = done,
                                           .lengths = w->lengths,
                                           .group = w->group};
        MD_TRY(md_likelihood_add(&sum, denoiser, &nelbo, &batch, NULL, err));
        e->bytes += count_bytes(w, tok);
        done += w->filled;
        if (opt->on_progress && opt->on_progress(opt->user, done, w->count) != 0) {
            return md_fail(err, MDLM_CANCELLED, "stopped after %lld of %lld windows",
                           (long long)done, (long long)w->count);
        }
    }
    e->report = md_likelihood_finish(&sum);
    return MDLM_OK;
}

mdlm_status md_evaluate_corpus(const md_denoiser *denoiser, const md_corpus *corpus, md_part part,
                               int seq_len, const md_tokenizer *tok, const md_evaluate_options *opt,
                               md_evaluation *out, mdlm_error *err) {
    windows w = {
        .corpus = corpus, .part = part, .seq_len = seq_len, .padding = md_tokenizer_padding(tok)};
    md_evaluation e = {0};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, init(&w, opt, err));
    MD_GOTO(done, status, score(&w, denoiser, opt, tok, &e, err));
    if (e.bytes < 1) {
        status =
            md_fail(err, MDLM_INPUT, "the %s part of the corpus holds no text", part_name(part));
        goto done;
    }
    e.nats_per_byte = e.report.nats / (double)e.bytes;
    e.bits_per_byte = e.nats_per_byte / log(2.0);
    e.perplexity = exp(e.report.nats_per_token);
    *out = e;
done:
    release(&w);
    return status;
}
