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

static md_mask_level draw_level(const unit_part *p, int k) {
    const md_likelihood_options *opt = &p->losses->opt;
    return md_mask_level_of(opt->method, md_mask_level_time(opt->seed, opt->draws, p->unit, k),
                            p->open);
}

/* Adds scale times the products of one draw's b and x, d[3]. */
static void add_products(md_scatter *s, double scale, const double d[4]) {
    s->xx += scale * d[3] * d[3];
    s->reach += scale * d[0] * d[0];
    for (int m = 0; m < 3; m++) {
        s->bx[m] += scale * d[m] * d[3];
        for (int n = 0; n < 3; n++) s->bb[m][n] += scale * d[m] * d[n];
    }
}

/* Polynomials in r of degrees 1 to 3, orthogonal over (0,1) (Legendre's, shifted); from its
 * moments, their means. */
static void polynomials(double r, double r2, double r3, double out[3]) {
    out[0] = 2 * r - 1;
    out[1] = 6 * r2 - 6 * r + 1;
    out[2] = 20 * r3 - 30 * r2 + 12 * r - 1;
}

/* One draw: tokens times the polynomials, and x, less `centre`. */
static void deviate(const unit_part *p, int k, const double centre[4], double out[4]) {
    double r = draw_level(p, k).share;
    polynomials(r, r * r, r * r * r, out);
    for (int m = 0; m < 3; m++) out[m] = p->tokens * out[m] - centre[m];
    out[3] = draw_sum(p, k) - centre[3];
}

/* By how much the draws' mean of the polynomials, in `centre`, misses that of all draws. */
static void add_miss(md_likelihood *sum, const unit_part *p, const double centre[4]) {
    md_mask_level level = draw_level(p, 0);
    double mean[3];
    polynomials(md_mask_level_moment(&level, 1), md_mask_level_moment(&level, 2),
                md_mask_level_moment(&level, 3), mean);
    for (int m = 0; m < 3; m++) sum->miss[m] += centre[m] - p->tokens * mean[m];
}

/* x / K is what a draw adds to `nats`. About the mean, K / (K - 1) makes the sum of the squared
 * deviations an unbiased variance. About a line, that of a draw is divided by 1 - h, its leverage
 * h: draws of few masks vary most, and they lie at an end, where the line gives way to them. */
static void add_scatter(md_likelihood *sum, const unit_part *p) {
    int K = p->losses->draws;
    double centre[4] = {0}, zero[4] = {0}, d[4], slope[4] = {0}, squares = 0;
    sum->drawn++;
    if (K < 2) return;
    for (int k = 0; k < K; k++) {
        deviate(p, k, zero, d);
        for (int m = 0; m < 4; m++) centre[m] += d[m] / K;
    }
    for (int k = 0; k < K; k++) {
        deviate(p, k, centre, d);
        add_products(&sum->centred, 1.0 / (K * (K - 1.0)), d);
        for (int m = 0; m < 4; m++) slope[m] += d[0] * d[m];
    }
    sum->centred.dof += K - 1;
    add_miss(sum, p, centre);
    if (K < 4) return;
    squares = slope[0];
    for (int m = 0; m < 4; m++) slope[m] = squares > 0 ? slope[m] / squares : 0;
    for (int k = 0; k < K; k++) {
        deviate(p, k, centre, d);
        double free = 1 - 1.0 / K - (squares > 0 ? d[0] * d[0] / squares : 0);
        if (free < 1e-6) continue; /* the line goes through it */
        sum->straight.reach += d[0] * d[0] / ((double)K * K);
        for (int m = 3; m >= 0; m--) d[m] -= slope[m] * d[0];
        add_products(&sum->straight, 1 / (free * K * K), d);
    }
    sum->straight.dof += K - 2;
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
        if (!l->exact) add_scatter(sum, &p);
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

/* Regresses x on the first `degree` of b, eliminating them in turn; what is left of xx, corrected
 * for its degrees of freedom. A regressor of which hardly anything varies beside the earlier ones
 * is passed over, with slope 0: the second, when all draws are pairs about r and 1-r. (Evenly
 * spread, the second and third vary 3/5 and 3/7 as much as the first.) */
static double regress(const md_scatter *s, int degree, double slope[3]) {
    double a[4][4] = {{0}};
    bool used[3] = {false};
    int64_t dof = s->dof;
    for (int m = 0; m < 3; m++) {
        for (int n = 0; n < 3; n++) a[m][n] = s->bb[m][n];
        a[m][3] = a[3][m] = s->bx[m];
        slope[m] = 0;
    }
    a[3][3] = s->xx;
    for (int m = 0; m < degree; m++) {
        used[m] = a[m][m] > 0.05 * s->reach;
        if (!used[m]) continue;
        dof--;
        for (int row = m + 1; row < 4; row++) {
            double factor = a[row][m] / a[m][m];
            for (int n = m; n < 4; n++) a[row][n] -= factor * a[m][n];
        }
    }
    for (int m = degree - 1; m >= 0; m--) {
        if (!used[m]) continue;
        slope[m] = a[m][3];
        for (int n = m + 1; n < 3; n++) slope[m] -= slope[n] * a[m][n];
        slope[m] /= a[m][m];
    }
    return fmax(a[3][3], 0.0) * (double)s->dof / (double)dof;
}

/* Variance of `nats` from masks: the residual's, and the square of what the fitted curve says the
 * times missed. At least half of the degrees of freedom are left to the residual, up to 3. */
static double mask_variance(const md_likelihood *sum) {
    const md_scatter *c = &sum->centred, *s = &sum->straight;
    double slope[3], unused[3], miss = 0;
    double residual = regress(c, c->dof >= 7 ? 3 : (int)((c->dof - 1) / 2), slope);
    if (s->dof > 0) residual = regress(s, s->dof >= 6 ? 3 : (int)(s->dof / 2), unused);
    for (int m = 0; m < 3; m++) miss += slope[m] * sum->miss[m];
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
    report.stderr_mc = all.drawn == 0        ? 0
                       : all.centred.dof > 0 ? sqrt(mask_variance(&all)) / n
                                             : NAN;
    report.stderr_data = NAN;
    if (all.groups > 1) {
        double r = report.nats_per_token;
        double squares = fmax(all.gxx - 2.0 * r * all.gxn + r * r * all.gnn, 0.0);
        report.stderr_data = sqrt(squares * groups / (groups - 1.0)) / n;
    }
    return report;
}
