/* diffusion/nelbo.c: see nelbo.h. */
#include "diffusion/nelbo.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "diffusion/query.h"

static const double golden = 0.61803398874989484820;

/* One call of md_nelbo_add. A pair is i * draws + k. */
typedef struct nelbo_run {
    const md_denoiser *denoiser;
    const md_nelbo_options *opt;
    const md_nelbo_batch *batch;
    md_query query;
    double *loss;    /* [count * draws] sum over masked of -log p, not yet weighted */
    uint8_t *keep;   /* [T] of one sequence */
    int32_t *noisy;  /* [T] */
    int32_t *masked; /* [T] */
} nelbo_run;

/* u_ik of nelbo.h; 0 with probability 2^-53, when nothing is masked. */
static double draw_time(const md_nelbo_options *opt, int64_t i, int k) {
    md_rng rng = {.seed = opt->seed, .stream = MD_STREAM_EVAL_TIME};
    double offset = md_uniform(rng, 0, 0) + golden * (double)i;
    double v = (k + offset - floor(offset)) / opt->draws;
    return 1.0 - fabs(1.0 - 2.0 * v);
}

static bool is_scored(const md_nelbo_batch *b, int i, int j) {
    if (b->lengths && j >= b->lengths[i]) return false;
    return !(b->keep && b->keep[(size_t)i * (size_t)b->T + (size_t)j]);
}

static int count_scored(const md_nelbo_batch *b, int i) {
    int tokens = 0;
    for (int j = 0; j < b->T; j++) tokens += is_scored(b, i, j);
    return tokens;
}

static mdlm_status check(const nelbo_run *r, mdlm_error *err) {
    const md_nelbo_batch *b = r->batch;
    int vocab = r->denoiser->vocab;
    if (r->opt->draws < 1)
        return md_fail(err, MDLM_USAGE, "draws is %d: expected at least 1", r->opt->draws);
    if (r->opt->batch < 1)
        return md_fail(err, MDLM_USAGE, "batch is %d: expected at least 1", r->opt->batch);
    for (int i = 0; i < b->count; i++) {
        for (int j = 0; j < b->T; j++) {
            int32_t id = b->ids[(size_t)i * (size_t)b->T + (size_t)j];
            if (!is_scored(b, i, j)) continue;
            if (id == r->denoiser->mask_id)
                return md_fail(err, MDLM_INPUT,
                               "the mask (id %d) has no likelihood: position %d "
                               "of sequence %lld",
                               (int)id, j, (long long)(b->first + i));
            if (id < 0 || id >= vocab)
                return md_fail(err, MDLM_INPUT,
                               "token id %d is not in a vocabulary of %d: "
                               "position %d of sequence %lld",
                               (int)id, vocab, j, (long long)(b->first + i));
        }
    }
    return MDLM_OK;
}

static mdlm_status allocate(nelbo_run *r, mdlm_error *err) {
    size_t pairs = 0, T = (size_t)r->batch->T;
    if (!md_size_mul((size_t)r->batch->count, (size_t)r->opt->draws, &pairs))
        return md_fail(err, MDLM_RUNTIME, "%d draws are too many", r->opt->draws);
    int most = pairs < (size_t)r->opt->batch ? (int)pairs : r->opt->batch;
    MD_TRY(md_query_init(&r->query, r->denoiser, r->batch->T, most, err));
    if (!(r->loss = md_alloc(pairs, sizeof *r->loss, err))) return MDLM_RUNTIME;
    if (!(r->keep = md_alloc(T, sizeof *r->keep, err))) return MDLM_RUNTIME;
    if (!(r->noisy = md_alloc(T, sizeof *r->noisy, err))) return MDLM_RUNTIME;
    if (!(r->masked = md_alloc(T, sizeof *r->masked, err))) return MDLM_RUNTIME;
    return MDLM_OK;
}

static void release(nelbo_run *r) {
    md_query_release(&r->query);
    md_free(r->loss);
    md_free(r->keep);
    md_free(r->noisy);
    md_free(r->masked);
}

/* Asks for the collected canvases and adds up their losses, each in order of position. */
static mdlm_status answer(nelbo_run *r, mdlm_error *err) {
    md_query *q = &r->query;
    MD_TRY(md_query_run(q, err));
    for (int n = 0; n < q->count; n++) {
        int canvas = q->rows[n] / q->T, position = q->rows[n] % q->T;
        int64_t pair = q->tag[canvas], i = pair / r->opt->draws;
        const float *logits = q->logits + (size_t)n * (size_t)r->denoiser->vocab;
        int32_t target = r->batch->ids[i * q->T + position];
        double log_p = md_log_prob(logits, r->denoiser->vocab, r->denoiser->mask_id, target);
        if (!isfinite(log_p))
            return md_fail(err, MDLM_NUMERIC,
                           "log-probability %g of position %d of sequence %lld: "
                           "expected a finite number",
                           log_p, position, (long long)(r->batch->first + i));
        r->loss[pair] -= log_p;
    }
    md_query_clear(q);
    return MDLM_OK;
}

/* Every draw of one sequence. */
static mdlm_status draw_sequence(nelbo_run *r, int i, mdlm_error *err) {
    const md_nelbo_batch *b = r->batch;
    int64_t sequence = b->first + i;
    for (int j = 0; j < b->T; j++) r->keep[j] = !is_scored(b, i, j);
    for (int k = 0; k < r->opt->draws; k++) {
        md_rng rng = {.seed = r->opt->seed, .stream = MD_STREAM_EVAL_MASK, .step = (uint64_t)k};
        double u = draw_time(r->opt, sequence, k);
        const int32_t *ids = b->ids + (size_t)i * (size_t)b->T;
        int count = md_masked_corrupt(rng, (uint32_t)sequence, 1.0 - u * u, r->denoiser->mask_id,
                                      ids, r->keep, b->T, r->noisy, r->masked);
        if (count == 0) continue;
        if (!md_query_fits(&r->query, count)) MD_TRY(answer(r, err));
        md_query_add(&r->query, r->noisy, r->masked, count, (int64_t)i * r->opt->draws + k);
    }
    return MDLM_OK;
}

static void close_group(md_nelbo *sum) {
    double n = (double)sum->group_tokens;
    if (sum->group_open && n > 0) {
        sum->groups++;
        sum->gxx += sum->group_nats * sum->group_nats;
        sum->gxn += sum->group_nats * n;
        sum->gnn += n * n;
    }
    sum->group_open = false;
    sum->group_nats = 0;
    sum->group_tokens = 0;
}

/* Within-sequence sums of products. x / K is what a draw adds to `nats`; K / (K - 1) makes the sum
 * of their squared deviations an unbiased variance. */
static void add_scatter(md_nelbo *sum, const nelbo_run *r, int i, int tokens, double mean) {
    int K = r->opt->draws;
    double centre[3] = {0};
    if (K < 2) return;
    for (int k = 0; k < K; k++) {
        double u = draw_time(r->opt, r->batch->first + i, k);
        centre[0] += u / K, centre[1] += u * u / K, centre[2] += u * u * u / K;
    }
    for (int k = 0; k < K; k++) {
        double u = draw_time(r->opt, r->batch->first + i, k), scale = 1.0 / (K * (K - 1.0));
        double b[3] = {u - centre[0], u * u - centre[1], u * u * u - centre[2]};
        double loss = r->loss[(int64_t)i * K + k];
        double x = (loss > 0 ? 2.0 / u * loss : 0) - mean;
        sum->sxx += scale * x * x;
        for (int m = 0; m < 3; m++) {
            sum->sbx[m] += scale * tokens * b[m] * x;
            for (int n = 0; n < 3; n++) sum->sbb[m][n] += scale * tokens * tokens * b[m] * b[n];
        }
    }
    for (int m = 0; m < 3; m++) sum->miss[m] += tokens * (centre[m] - 1.0 / (m + 2));
    sum->dof += K - 1;
}

/* Returns the sequence's mean over draws, nats. */
static double add_sequence(md_nelbo *sum, const nelbo_run *r, int i) {
    int K = r->opt->draws, tokens = count_scored(r->batch, i);
    int64_t sequence = r->batch->first + i;
    int64_t group = r->batch->group ? r->batch->group[i] : sequence;
    double mean = 0;
    for (int k = 0; k < K; k++) {
        double loss = r->loss[(int64_t)i * K + k];
        if (loss > 0) mean += 2.0 / draw_time(r->opt, sequence, k) * loss / K;
    }
    if (sum->group_open && group != sum->group) close_group(sum);
    sum->group = group;
    sum->group_open = true;
    sum->group_nats += mean;
    sum->group_tokens += tokens;
    sum->nats += mean;
    sum->tokens += tokens;
    sum->sequences++;
    sum->draws += K;
    if (tokens > 0) add_scatter(sum, r, i, tokens, mean);
    return mean;
}

mdlm_status md_nelbo_add(md_nelbo *sum, const md_denoiser *denoiser, const md_nelbo_options *opt,
                         const md_nelbo_batch *batch, double *nats, mdlm_error *err) {
    nelbo_run r = {.denoiser = denoiser, .opt = opt, .batch = batch};
    mdlm_status status = MDLM_OK;
    MD_TRY(check(&r, err));
    if (batch->count < 1 || batch->T < 1) return MDLM_OK;
    MD_GOTO(done, status, allocate(&r, err));
    for (int i = 0; i < batch->count; i++) MD_GOTO(done, status, draw_sequence(&r, i, err));
    MD_GOTO(done, status, answer(&r, err));
    for (int i = 0; i < batch->count; i++) {
        double mean = add_sequence(sum, &r, i);
        if (nats) nats[i] = mean;
    }
done:
    release(&r);
    return status;
}

/* Variance of `nats` from masks: what is left of sxx after eliminating the regressors in turn, and
 * the square of what the fitted curve says the times missed. A regressor that the earlier ones
 * explain is passed over: u^2, when all draws are u and 1-u. */
static double mask_variance(const md_nelbo *sum) {
    double a[4][4] = {{0}}, slope[3] = {0}, miss = 0;
    int degree = sum->dof >= 7 ? 3 : (int)((sum->dof - 1) / 2), used = 0;
    for (int m = 0; m < 3; m++) {
        for (int n = 0; n < 3; n++) a[m][n] = sum->sbb[m][n];
        a[m][3] = a[3][m] = sum->sbx[m];
    }
    a[3][3] = sum->sxx;
    for (int m = 0; m < degree; m++) {
        if (!(a[m][m] > 1e-9 * sum->sbb[m][m])) continue;
        for (int row = m + 1; row < 4; row++) {
            double factor = a[row][m] / a[m][m];
            for (int n = m; n < 4; n++) a[row][n] -= factor * a[m][n];
        }
        slope[m] = 1; /* in use */
        used++;
    }
    for (int m = degree - 1; m >= 0; m--) {
        if (slope[m] == 0) continue;
        slope[m] = a[m][3] / a[m][m];
        for (int n = m + 1; n < 3; n++) slope[m] -= slope[n] * a[m][n] / a[m][m];
        miss += slope[m] * sum->miss[m];
    }
    double residual = fmax(a[3][3], 0.0) * (double)sum->dof / (double)(sum->dof - used);
    return residual + miss * miss;
}

md_nelbo_report md_nelbo_finish(const md_nelbo *sum) {
    md_nelbo all = *sum;
    close_group(&all);
    md_nelbo_report report = {
        .nats = all.nats, .tokens = all.tokens, .sequences = all.sequences, .groups = all.groups};
    double n = (double)all.tokens, groups = (double)all.groups;
    if (all.tokens < 1) return report;
    report.nats_per_token = all.nats / n;
    if (all.dof > 0) report.stderr_mc = sqrt(mask_variance(&all)) / n;
    if (all.groups > 1) {
        double r = report.nats_per_token;
        double squares = fmax(all.gxx - 2.0 * r * all.gxn + r * r * all.gnn, 0.0);
        report.stderr_data = sqrt(squares * groups / (groups - 1.0)) / n;
    }
    return report;
}
