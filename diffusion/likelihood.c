/* diffusion/likelihood.c: asks the network for the losses; see likelihood.h. */
#include "diffusion/likelihood.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "diffusion/likelihood_internal.h"
#include "diffusion/query.h"

enum { MOST_LOSSES = 1 << 22 }; /* 32 MiB of them at once, where a sequence needs no more */

/* One measurement. A canvas is tagged i * draws + k. */
typedef struct measurement {
    const md_denoiser *denoiser;
    md_losses *out;
    md_query query;
    int64_t canvases; /* dealt with, those that needed no evaluation included */
    int32_t *noisy;   /* [T] */
    int32_t *open;    /* [T] scored positions of a unit */
    int32_t *wanted;  /* [T] positions that a canvas is asked for */
} measurement;

mdlm_status md_method_from_name(const char *name, md_method *out, mdlm_error *err) {
    static const char *const names[] = {"nelbo", "count", "chain"};
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (md_method)i;
        return MDLM_OK;
    }
    return md_fail(err, MDLM_USAGE, "unknown method '%s': expected nelbo, count or chain", name);
}

int md_likelihood_open(const md_likelihood_batch *b, int i, int first, int end, int32_t *open) {
    const uint8_t *keep = b->keep ? b->keep + (size_t)i * (size_t)b->T : NULL;
    int count = 0;
    if (b->lengths && end > b->lengths[i]) end = b->lengths[i];
    for (int j = first; j < end; j++) {
        if (keep && keep[j]) continue;
        if (open) open[count] = j;
        count++;
    }
    return count;
}

int64_t md_losses_unit(const md_losses *l, int i, int first) {
    int64_t units = (l->batch.T + l->unit - 1) / l->unit;
    return (l->batch.first + i) * units + first / l->unit;
}

static mdlm_status check(const md_denoiser *denoiser, const md_likelihood_options *opt,
                         const md_likelihood_batch *b, mdlm_error *err) {
    if (opt->draws < 1)
        return md_fail(err, MDLM_USAGE, "draws is %d: expected at least 1", opt->draws);
    if (opt->batch < 1)
        return md_fail(err, MDLM_USAGE, "batch is %d: expected at least 1", opt->batch);
    for (int i = 0; i < b->count; i++) {
        for (int j = 0; j < b->T; j++) {
            int32_t id = b->ids[(size_t)i * (size_t)b->T + (size_t)j];
            if (md_likelihood_open(b, i, j, j + 1, NULL) == 0) continue;
            if (id == denoiser->mask_id)
                return md_fail(err, MDLM_INPUT,
                               "the mask (id %d) has no likelihood: position %d of sequence %lld",
                               (int)id, j, (long long)(b->first + i));
            if (id < 0 || id >= denoiser->vocab)
                return md_fail(err, MDLM_INPUT,
                               "token id %d is not in a vocabulary of %d: position %d of sequence "
                               "%lld",
                               (int)id, denoiser->vocab, j, (long long)(b->first + i));
        }
    }
    return MDLM_OK;
}

static mdlm_status allocate(measurement *m, mdlm_error *err) {
    const md_losses *l = m->out;
    size_t pairs = 0, losses = 0, T = (size_t)l->batch.T;
    if (!md_size_mul((size_t)l->batch.count, (size_t)l->draws, &pairs) ||
        !md_size_mul(pairs, T, &losses))
        return md_fail(err, MDLM_RUNTIME, "%d draws are too many", l->draws);
    if (l->opt.method == MD_METHOD_CHAIN) pairs = losses; /* at most */
    int most = pairs < (size_t)l->opt.batch ? (int)pairs : l->opt.batch;
    MD_TRY(md_query_init(&m->query, m->denoiser, l->batch.T, most, err));
    if (m->denoiser->sight == MD_SEES_BLOCKS) MD_TRY(md_query_pair(&m->query, err));
    if (!(m->out->loss = md_alloc(losses, sizeof *m->out->loss, err))) return MDLM_RUNTIME;
    if (!(m->noisy = md_alloc(T, sizeof *m->noisy, err))) return MDLM_RUNTIME;
    if (!(m->open = md_alloc(T, sizeof *m->open, err))) return MDLM_RUNTIME;
    if (!(m->wanted = md_alloc(T, sizeof *m->wanted, err))) return MDLM_RUNTIME;
    return MDLM_OK;
}

static const int32_t *ids_of(const measurement *m, int64_t i) {
    return m->out->batch.ids + i * m->out->batch.T;
}

static double *losses_of(const measurement *m, int64_t tag) {
    return m->out->loss + tag * m->out->batch.T;
}

/* Asks for the collected canvases. Where a loss is wanted stands its weight. */
static mdlm_status answer(measurement *m, mdlm_error *err) {
    md_query *q = &m->query;
    MD_TRY(md_query_run(q, err));
    for (int n = 0; n < q->count; n++) {
        int64_t tag = q->tag[q->rows[n] / q->T], i = tag / m->out->draws;
        int position = q->rows[n] % q->T;
        const float *logits = q->logits + (size_t)n * (size_t)m->denoiser->vocab;
        double log_p =
            md_log_prob(logits, m->denoiser->vocab, m->denoiser->mask_id, ids_of(m, i)[position]);
        if (!isfinite(log_p))
            return md_fail(err, MDLM_NUMERIC,
                           "log-probability %g of position %d of sequence %lld: expected a finite "
                           "number",
                           log_p, position, (long long)(m->out->batch.first + i));
        losses_of(m, tag)[position] *= -log_p;
    }
    md_query_clear(q);
    const md_likelihood_options *opt = &m->out->opt;
    if (opt->on_call && opt->on_call(opt->user, m->canvases) != 0)
        return md_fail(err, MDLM_CANCELLED, "stopped after %lld canvases", (long long)m->canvases);
    return MDLM_OK;
}

/* Collects `noisy`, or `ids` themselves, as canvas (i, k) with `count` wanted positions. */
static mdlm_status collect(measurement *m, int i, int k, const int32_t *canvas, int count,
                           mdlm_error *err) {
    int64_t tag = (int64_t)i * m->out->draws + k;
    if (count > 0) {
        if (!md_query_fits(&m->query, count)) MD_TRY(answer(m, err));
        if (m->query.clean)
            md_query_add_paired(&m->query, canvas, ids_of(m, i), m->wanted, count, tag);
        else
            md_query_add(&m->query, canvas, m->wanted, count, tag);
    }
    m->canvases++;
    return MDLM_OK;
}

/* Noise for every unit of sequence i; the wanted positions are the masked ones. */
static int draw_noise(measurement *m, int i, int k) {
    const md_losses *l = m->out;
    const md_likelihood_options *opt = &l->opt;
    int64_t sequence = l->batch.first + i;
    md_rng rng = {.seed = opt->seed, .stream = MD_STREAM_EVAL_MASK, .step = (uint64_t)k};
    double *loss = losses_of(m, (int64_t)i * l->draws + k);
    int count = 0, T = l->batch.T;
    memcpy(m->noisy, ids_of(m, i), (size_t)T * sizeof *m->noisy);
    for (int start = 0; start < T; start += l->unit) {
        int end = start + l->unit < T ? start + l->unit : T;
        int open = md_likelihood_open(&l->batch, i, start, end, m->open), first = count;
        if (open == 0) continue;
        double u = md_mask_level_time(opt->seed, opt->draws, md_losses_unit(l, i, start), k);
        md_mask_level level = md_mask_level_of(opt->method, u, open);
        count += md_mask_level_draw(&level, rng, (uint32_t)sequence, m->open, m->wanted + count);
        for (int n = first; n < count; n++) {
            m->noisy[m->wanted[n]] = m->denoiser->mask_id;
            loss[m->wanted[n]] = level.weight;
        }
    }
    return count;
}

/* Step s of the chain: every unit with its first s scored positions visible asks for the next. */
static int draw_step(measurement *m, int i, int s) {
    const md_losses *l = m->out;
    int count = 0, T = l->batch.T;
    memcpy(m->noisy, ids_of(m, i), (size_t)T * sizeof *m->noisy);
    for (int start = 0; start < T; start += l->unit) {
        int end = start + l->unit < T ? start + l->unit : T;
        int open = md_likelihood_open(&l->batch, i, start, end, m->open);
        for (int n = s; n < open; n++) m->noisy[m->open[n]] = m->denoiser->mask_id;
        if (s < open) m->wanted[count++] = m->open[s];
    }
    for (int n = 0; n < count; n++) losses_of(m, i)[m->wanted[n]] = 1;
    return count;
}

static mdlm_status measure_sequence(measurement *m, int i, mdlm_error *err) {
    const md_losses *l = m->out;
    if (m->denoiser->sight == MD_SEES_PAST) {
        int count = md_likelihood_open(&l->batch, i, 0, l->batch.T, m->wanted);
        for (int n = 0; n < count; n++) losses_of(m, i)[m->wanted[n]] = 1;
        return collect(m, i, 0, ids_of(m, i), count, err);
    }
    if (l->exact) {
        for (int s = 0; s < l->unit; s++)
            MD_TRY(collect(m, i, 0, m->noisy, draw_step(m, i, s), err));
        return MDLM_OK;
    }
    for (int k = 0; k < l->draws; k++) MD_TRY(collect(m, i, k, m->noisy, draw_noise(m, i, k), err));
    return MDLM_OK;
}

mdlm_status md_losses_measure(md_losses *out, const md_denoiser *denoiser,
                              const md_likelihood_options *opt, const md_likelihood_batch *batch,
                              mdlm_error *err) {
    bool blocks = denoiser->sight == MD_SEES_BLOCKS;
    bool exact = denoiser->sight == MD_SEES_PAST || opt->method == MD_METHOD_CHAIN;
    measurement m = {.denoiser = denoiser, .out = out};
    mdlm_status status = MDLM_OK;
    *out = (md_losses){0};
    MD_TRY(check(denoiser, opt, batch, err));
    *out = (md_losses){.batch = *batch,
                       .opt = *opt,
                       .draws = exact ? 1 : opt->draws,
                       .exact = exact,
                       .unit = blocks ? denoiser->block_length : batch->T};
    MD_GOTO(done, status, allocate(&m, err));
    for (int i = 0; i < batch->count; i++) MD_GOTO(done, status, measure_sequence(&m, i, err));
    MD_GOTO(done, status, answer(&m, err));
done:
    md_query_release(&m.query);
    md_free(m.noisy);
    md_free(m.open);
    md_free(m.wanted);
    if (status != MDLM_OK) md_losses_release(out);
    return status;
}

void md_losses_release(md_losses *losses) {
    md_free(losses->loss);
    *losses = (md_losses){0};
}

static size_t loss_count(const md_losses *l) {
    return (size_t)l->batch.count * (size_t)l->draws * (size_t)l->batch.T;
}

mdlm_status md_losses_copy(md_losses *out, const md_losses *losses, mdlm_error *err) {
    double *loss = md_alloc(loss_count(losses), sizeof *loss, err);
    if (!loss) return MDLM_RUNTIME;
    memcpy(loss, losses->loss, loss_count(losses) * sizeof *loss);
    *out = *losses;
    out->loss = loss;
    return MDLM_OK;
}

static bool same_draws(const md_losses *a, const md_losses *b) {
    return a->exact == b->exact && a->unit == b->unit && a->draws == b->draws &&
           a->opt.method == b->opt.method && a->opt.seed == b->opt.seed;
}

/* The mean over draws at one position of sequence i. */
static double mean_loss(const md_losses *l, size_t i, size_t j) {
    double sum = 0;
    for (size_t k = 0; k < (size_t)l->draws; k++)
        sum += l->loss[(i * (size_t)l->draws + k) * (size_t)l->batch.T + j];
    return sum / l->draws;
}

bool md_losses_subtract(md_losses *a, const md_losses *b) {
    size_t count = (size_t)a->batch.count, T = (size_t)a->batch.T;
    MD_BUG_IF(a->batch.ids != b->batch.ids);
    if (same_draws(a, b)) {
        for (size_t n = 0; n < loss_count(a); n++) a->loss[n] -= b->loss[n];
        return true;
    }
    for (size_t i = 0; i < count; i++) /* the means of `a` take the place of its first draws */
        for (size_t j = 0; j < T; j++) a->loss[i * T + j] = mean_loss(a, i, j) - mean_loss(b, i, j);
    a->draws = 1;
    a->exact = true;
    a->unit = a->batch.T;
    return false;
}

/* As many sequences of a batch, from `first` on, as one measurement should hold. */
static md_likelihood_batch cut(const md_likelihood_batch *batch, int draws, int first) {
    int64_t each = (int64_t)draws * batch->T, count = MOST_LOSSES / each;
    md_likelihood_batch part = *batch;
    size_t skip = (size_t)first * (size_t)batch->T;
    part.ids += skip;
    part.first += first;
    if (part.lengths) part.lengths += first;
    if (part.keep) part.keep += skip;
    if (part.group) part.group += first;
    part.count -= first;
    if (count < part.count) part.count = count > 0 ? (int)count : 1;
    return part;
}

mdlm_status md_likelihood_add(md_likelihood *sum, const md_denoiser *denoiser,
                              const md_likelihood_options *opt, const md_likelihood_batch *batch,
                              double *nats, mdlm_error *err) {
    md_likelihood all = *sum;
    MD_TRY(check(denoiser, opt, batch, err));
    if (batch->T < 1) return MDLM_OK;
    for (int first = 0; first < batch->count;) {
        md_likelihood_batch part = cut(batch, opt->draws, first);
        md_losses losses;
        MD_TRY(md_losses_measure(&losses, denoiser, opt, &part, err));
        for (int i = 0; i < part.count; i++) {
            double mean = md_losses_fold(&losses, i, 0, part.T, &all);
            if (nats) nats[first + i] = mean;
        }
        md_losses_release(&losses);
        first += part.count;
    }
    *sum = all;
    return MDLM_OK;
}
