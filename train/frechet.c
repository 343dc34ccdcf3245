/* train/frechet.c: see frechet.h. */
#include "train/frechet.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"

enum { ROWS = 256 }; /* centred at a time */

/* Eigenvalues, ascending, and with jobz "V" eigenvectors in place of the matrix: its columns, in
 * our order the rows. Texts are followed by their lengths, as Fortran compilers pass them. */
void dsyevd_(const char *jobz, const char *uplo, const int *n, double *a, const int *lda, double *w,
             double *work, const int *lwork, int *iwork, const int *liwork, int *info, size_t,
             size_t);

struct md_frechet {
    int dim;
    md_pool *pool;
    double trace;      /* of the covariance */
    double *mean;      /* [dim] */
    double *root;      /* [dim, dim] of the covariance */
    int lwork, liwork; /* what LAPACK wants */
};

/* Work space of one thread. */
typedef struct scratch {
    double *mean;     /* [dim] */
    double *cov;      /* [dim, dim] */
    double *product;  /* [dim, dim] */
    double *rows;     /* [ROWS, dim] */
    double *values;   /* [dim] */
    double *work;     /* [lwork] */
    int *iwork;       /* [liwork] */
    uint32_t *weight; /* [count] how often a row counts */
} scratch;

/* --- memory ----------------------------------------------------------------------------------- */

/* Zeroed; `count` rows can be weighed. */
static mdlm_status scratch_init(const md_frechet *f, int64_t count, scratch *s, mdlm_error *err) {
    const size_t d = (size_t)f->dim;
    s->mean = md_alloc(d, sizeof *s->mean, err);
    s->cov = md_alloc(d * d, sizeof *s->cov, err);
    s->product = md_alloc(d * d, sizeof *s->product, err);
    s->rows = md_alloc(ROWS * d, sizeof *s->rows, err);
    s->values = md_alloc(d, sizeof *s->values, err);
    s->work = md_alloc((size_t)f->lwork, sizeof *s->work, err);
    s->iwork = md_alloc((size_t)f->liwork, sizeof *s->iwork, err);
    s->weight = md_alloc((size_t)count, sizeof *s->weight, err);
    const bool complete =
        s->mean && s->cov && s->product && s->rows && s->values && s->work && s->iwork && s->weight;
    return complete ? MDLM_OK : MDLM_RUNTIME;
}

static void scratch_release(scratch *s) {
    md_free(s->mean);
    md_free(s->cov);
    md_free(s->product);
    md_free(s->rows);
    md_free(s->values);
    md_free(s->work);
    md_free(s->iwork);
    md_free(s->weight);
}

void md_frechet_free(md_frechet *f) {
    if (!f) return;
    md_free(f->mean);
    md_free(f->root);
    md_free(f);
}

/* --- a Gaussian ------------------------------------------------------------------------------- */

static mdlm_status check_rows(const md_features *f, mdlm_error *err) {
    MD_BUG_IF(f->dim < 1);
    if (f->count < 2)
        return md_fail(err, MDLM_INPUT, "a Frechet distance needs at least 2 images of each kind");
    for (int64_t i = 0; i < f->count * f->dim; i++)
        if (!isfinite(f->x[i]))
            return md_fail(err, MDLM_NUMERIC, "features of image %lld: not finite",
                           (long long)(i / f->dim));
    return MDLM_OK;
}

static void mean_of(const md_features *f, const uint32_t *weight, double *mean) {
    const size_t d = (size_t)f->dim;
    memset(mean, 0, d * sizeof *mean);
    for (int64_t i = 0; i < f->count; i++)
        for (size_t k = 0; k < d && weight[i] > 0; k++)
            mean[k] += (double)weight[i] * (double)f->x[(size_t)i * d + k];
    for (size_t k = 0; k < d; k++) mean[k] /= (double)f->count;
}

static void copy_upper(double *a, int d) {
    for (int i = 1; i < d; i++)
        for (int k = 0; k < i; k++) a[i * d + k] = a[k * d + i];
}

/* Mean and covariance where row i counts weight[i] times; the weights add up to the count. */
static void moments(const md_features *f, scratch *s) {
    const int d = f->dim;
    mean_of(f, s->weight, s->mean);
    memset(s->cov, 0, (size_t)d * (size_t)d * sizeof *s->cov);
    for (int64_t first = 0; first < f->count; first += ROWS) {
        const int n = f->count - first < ROWS ? (int)(f->count - first) : ROWS;
        for (int i = 0; i < n; i++) {
            const double root = sqrt((double)s->weight[first + i]);
            for (int k = 0; k < d; k++)
                s->rows[i * d + k] = root * ((double)f->x[(first + i) * d + k] - s->mean[k]);
        }
        cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, d, n, 1 / (double)(f->count - 1),
                    s->rows, d, 1, s->cov, d);
    }
    copy_upper(s->cov, d);
}

/* Eigenvalues of a symmetric matrix, which is lost: eigenvectors take its place, or nothing. */
static mdlm_status eigen(const md_frechet *f, bool vectors, double *a, scratch *s,
                         mdlm_error *err) {
    int info = 0;
    dsyevd_(vectors ? "V" : "N", "U", &f->dim, a, &f->dim, s->values, s->work, &f->lwork, s->iwork,
            &f->liwork, &info, 1, 1);
    if (info == 0) return MDLM_OK;
    return md_fail(err, MDLM_NUMERIC, "the eigenvalues of a covariance do not converge");
}

/* f->root from s->cov: of C = sum l v v^T, sum l^1/2 v v^T. */
static mdlm_status take_root(md_frechet *f, scratch *s, mdlm_error *err) {
    const int d = f->dim;
    for (int k = 0; k < d; k++) f->trace += s->cov[k * d + k];
    MD_TRY(eigen(f, true, s->cov, s, err));
    for (int i = 0; i < d; i++) {
        const double scale = s->values[i] > 0 ? sqrt(sqrt(s->values[i])) : 0;
        for (int k = 0; k < d; k++) s->cov[i * d + k] *= scale;
    }
    cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, d, d, 1, s->cov, d, 0, f->root, d);
    copy_upper(f->root, d);
    return MDLM_OK;
}

/* From the Gaussian in s->mean and s->cov, which is lost. */
static mdlm_status distance(const md_frechet *f, scratch *s, double *out, mdlm_error *err) {
    const int d = f->dim;
    double sum = f->trace;
    for (int k = 0; k < d; k++) {
        const double apart = s->mean[k] - f->mean[k];
        sum += apart * apart + s->cov[k * d + k];
    }
    cblas_dsymm(CblasRowMajor, CblasLeft, CblasUpper, d, d, 1, f->root, d, s->cov, d, 0, s->product,
                d);
    cblas_dsymm(CblasRowMajor, CblasRight, CblasUpper, d, d, 1, f->root, d, s->product, d, 0,
                s->cov, d);
    MD_TRY(eigen(f, false, s->cov, s, err));
    for (int k = 0; k < d; k++)
        if (s->values[k] > 0) sum -= 2 * sqrt(s->values[k]);
    *out = sum > 0 ? sum : 0;
    return MDLM_OK;
}

static void weigh_equally(scratch *s, int64_t count) {
    for (int64_t i = 0; i < count; i++) s->weight[i] = 1;
}

/* --- the reference ---------------------------------------------------------------------------- */

/* How much work space LAPACK wants for eigenvectors, which is more than without. */
static void ask_lapack(md_frechet *f) {
    const int ask = -1;
    double unused = 0, work = 0;
    int iwork = 0, info = 0;
    dsyevd_("V", "U", &f->dim, &unused, &f->dim, &unused, &work, &ask, &iwork, &ask, &info, 1, 1);
    MD_BUG_IF(info != 0);
    f->lwork = (int)work;
    f->liwork = iwork;
}

static mdlm_status build(md_frechet *f, const md_features *reference, mdlm_error *err) {
    const size_t d = (size_t)f->dim;
    scratch s = {0};
    f->mean = md_alloc(d, sizeof *f->mean, err);
    f->root = md_alloc(d * d, sizeof *f->root, err);
    if (!f->mean || !f->root) return MDLM_RUNTIME;
    ask_lapack(f);
    mdlm_status status = scratch_init(f, reference->count, &s, err);
    if (status == MDLM_OK) {
        weigh_equally(&s, reference->count);
        moments(reference, &s);
        memcpy(f->mean, s.mean, d * sizeof *f->mean);
        status = take_root(f, &s, err);
    }
    scratch_release(&s);
    return status;
}

mdlm_status md_frechet_new(const md_features *reference, md_pool *pool, md_frechet **out,
                           mdlm_error *err) {
    MD_TRY(check_rows(reference, err));
    md_frechet *f = md_alloc(1, sizeof *f, err);
    if (!f) return MDLM_RUNTIME;
    f->dim = reference->dim;
    f->pool = pool;
    mdlm_status status = build(f, reference, err);
    if (status == MDLM_OK)
        *out = f;
    else
        md_frechet_free(f);
    return status;
}

/* --- samples ---------------------------------------------------------------------------------- */

typedef struct measurement {
    const md_frechet *frechet;
    const md_features *samples;
    uint64_t seed;
    int64_t first;     /* number of the first resample of the piece */
    scratch *scratch;  /* [threads] */
    double *distances; /* of each resample; NaN: failed */
} measurement;

/* Task k: the distance of resample first + k. */
static void resample(void *context, int64_t k, int worker) {
    const measurement *m = context;
    scratch *s = &m->scratch[worker];
    const int64_t count = m->samples->count, number = m->first + k;
    const md_rng rng = {.seed = m->seed, .stream = MD_STREAM_BOOTSTRAP, .step = (uint64_t)number};
    memset(s->weight, 0, (size_t)count * sizeof *s->weight);
    for (int64_t i = 0; i < count; i++)
        s->weight[md_uniform_below(rng, (uint32_t)i, 0, (uint64_t)count)]++;
    moments(m->samples, s);
    if (distance(m->frechet, s, &m->distances[number], NULL) != MDLM_OK) m->distances[number] = NAN;
}

static mdlm_status resample_all(measurement *m, const md_frechet_options *opt, mdlm_error *err) {
    enum { PIECE = 16 };
    md_pool *pool = m->frechet->pool;
    for (m->first = 0; m->first < opt->resamples; m->first += PIECE) {
        const int64_t left = opt->resamples - m->first, count = left < PIECE ? left : PIECE;
        if (pool) {
            md_pool_run(pool, "bootstrap", count, resample, m);
        } else {
            for (int64_t k = 0; k < count; k++) resample(m, k, 0);
        }
        if (opt->on_progress && opt->on_progress(opt->user, m->first + count, opt->resamples))
            return md_fail(err, MDLM_CANCELLED, "cancelled");
    }
    for (int k = 0; k < opt->resamples; k++)
        if (isnan(m->distances[k]))
            return md_fail(err, MDLM_NUMERIC, "the eigenvalues of a covariance do not converge");
    return MDLM_OK;
}

static int compare(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The value below which the share p of the sorted numbers lies, between two of them in
 * proportion. */
static double percentile(const double *sorted, int count, double p) {
    const double at = p * (count - 1);
    const int i = at < count - 1 ? (int)at : count - 2;
    return sorted[i] + (at - i) * (sorted[i + 1] - sorted[i]);
}

static void fill_report(double *distances, int count, md_frechet_report *report) {
    double mean = 0;
    report->interval = (md_interval){NAN, NAN};
    report->bias = NAN;
    if (count < 2) return;
    for (int k = 0; k < count; k++) mean += distances[k] / count;
    qsort(distances, (size_t)count, sizeof *distances, compare);
    report->bias = mean - report->distance;
    report->interval.low = fmax(0, percentile(distances, count, 0.025) - report->bias);
    report->interval.high = percentile(distances, count, 0.975) - report->bias;
}

static mdlm_status measure(measurement *m, const md_frechet_options *opt, md_frechet_report *out,
                           mdlm_error *err) {
    md_frechet_report report;
    weigh_equally(m->scratch, m->samples->count);
    moments(m->samples, m->scratch);
    MD_TRY(distance(m->frechet, m->scratch, &report.distance, err));
    MD_TRY(resample_all(m, opt, err));
    fill_report(m->distances, opt->resamples, &report);
    *out = report;
    return MDLM_OK;
}

mdlm_status md_frechet_measure(const md_frechet *f, const md_features *samples,
                               const md_frechet_options *opt, md_frechet_report *out,
                               mdlm_error *err) {
    const int threads = f->pool ? md_pool_threads(f->pool) : 1;
    measurement m = {.frechet = f, .samples = samples, .seed = opt->seed};
    MD_BUG_IF(samples->dim != f->dim || opt->resamples < 0);
    MD_TRY(check_rows(samples, err));
    m.scratch = md_alloc((size_t)threads, sizeof *m.scratch, err);
    m.distances = md_alloc((size_t)opt->resamples, sizeof *m.distances, err);
    mdlm_status status = m.scratch && m.distances ? MDLM_OK : MDLM_RUNTIME;
    for (int i = 0; status == MDLM_OK && i < threads; i++)
        status = scratch_init(f, samples->count, &m.scratch[i], err);
    if (status == MDLM_OK) status = measure(&m, opt, out, err);
    for (int i = 0; m.scratch && i < threads; i++) scratch_release(&m.scratch[i]);
    md_free(m.scratch);
    md_free(m.distances);
    return status;
}
