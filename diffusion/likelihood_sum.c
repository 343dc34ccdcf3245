/* diffusion/likelihood_sum.c: from losses to a mean with its errors; see likelihood.h. */
#include <math.h>

#include "diffusion/likelihood_internal.h"

/* Positions [first, end) of a unit whose noise levels go by its `open` scored positions. */
typedef struct unit_part {
    const md_losses *losses;
    int sequence, first, end;
    int64_t unit;
    int open, tokens;
} unit_part;

/* x of draw k. */
static double draw_sum(const unit_part *p, int k) {
    const md_losses *l = p->losses;
    const double *loss =
        l->loss + ((size_t)p->sequence * (size_t)l->draws + (size_t)k) * (size_t)l->batch.T;
    double sum = 0;
    for (int j = p->first; j < p->end; j++) sum += loss[j];
    return sum;
}

static md_level draw_level(const unit_part *p, int k) {
    const md_likelihood_options *opt = &p->losses->opt;
    return md_level_of(opt->method, md_level_time(opt->seed, opt->draws, p->unit, k), p->open);
}

/* Within-unit sums of products. x / K is what a draw adds to `nats`; K / (K - 1) makes the sum of
 * their squared deviations an unbiased variance. */
static void add_scatter(md_likelihood *sum, const unit_part *p, double mean) {
    int K = p->losses->draws;
    double centre[3] = {0}, n = p->tokens;
    sum->drawn++;
    if (K < 2) return;
    for (int k = 0; k < K; k++) {
        double r = draw_level(p, k).share;
        centre[0] += r / K, centre[1] += r * r / K, centre[2] += r * r * r / K;
    }
    for (int k = 0; k < K; k++) {
        double r = draw_level(p, k).share, scale = 1.0 / (K * (K - 1.0));
        double b[3] = {r - centre[0], r * r - centre[1], r * r * r - centre[2]};
        double x = draw_sum(p, k) - mean;
        sum->sxx += scale * x * x;
        for (int m = 0; m < 3; m++) {
            sum->sbx[m] += scale * n * b[m] * x;
            for (int j = 0; j < 3; j++) sum->sbb[m][j] += scale * n * n * b[m] * b[j];
        }
    }
    md_level level = draw_level(p, 0);
    for (int m = 0; m < 3; m++) sum->miss[m] += n * (centre[m] - md_level_moment(&level, m + 1));
    sum->dof += K - 1;
}

static void close_group(md_likelihood *sum) {
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

double md_losses_fold(const md_losses *l, int i, int first, int end, md_likelihood *sum) {
    const md_likelihood_batch *batch = &l->batch;
    int64_t group = batch->group ? batch->group[i] : batch->first + i;
    double nats = 0;
    int tokens = 0;
    for (int start = first - first % l->unit; start < end; start += l->unit) {
        int stop = start + l->unit < batch->T ? start + l->unit : batch->T;
        unit_part p = {.losses = l,
                       .sequence = i,
                       .first = start < first ? first : start,
                       .end = stop < end ? stop : end,
                       .unit = md_losses_unit(l, i, start)};
        double mean = 0;
        p.open = md_likelihood_open(batch, i, start, stop, NULL);
        p.tokens = md_likelihood_open(batch, i, p.first, p.end, NULL);
        if (p.tokens == 0) continue;
        for (int k = 0; k < l->draws; k++) mean += draw_sum(&p, k) / l->draws;
        if (!l->exact) add_scatter(sum, &p, mean);
        nats += mean;
        tokens += p.tokens;
    }
    if (sum->group_open && group != sum->group) close_group(sum);
    sum->group = group;
    sum->group_open = true;
    sum->group_nats += nats;
    sum->group_tokens += tokens;
    sum->nats += nats;
    sum->tokens += tokens;
    sum->sequences++;
    return nats;
}

/* Variance of `nats` from masks: what is left of sxx after eliminating the regressors in turn, and
 * the square of what the fitted curve says the times missed. A regressor that the earlier ones
 * explain is passed over: u^2, when all draws are u and 1-u. */
static double mask_variance(const md_likelihood *sum) {
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

md_likelihood_report md_likelihood_finish(const md_likelihood *sum) {
    md_likelihood all = *sum;
    close_group(&all);
    md_likelihood_report report = {
        .nats = all.nats, .tokens = all.tokens, .sequences = all.sequences, .groups = all.groups};
    double n = (double)all.tokens, groups = (double)all.groups;
    if (all.tokens < 1) return report;
    report.nats_per_token = all.nats / n;
    report.stderr_mc = all.drawn == 0 ? 0 : all.dof > 0 ? sqrt(mask_variance(&all)) / n : NAN;
    report.stderr_data = NAN;
    if (all.groups > 1) {
        double r = report.nats_per_token;
        double squares = fmax(all.gxx - 2.0 * r * all.gxn + r * r * all.gnn, 0.0);
        report.stderr_data = sqrt(squares * groups / (groups - 1.0)) / n;
    }
    return report;
}
