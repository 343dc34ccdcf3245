/* train/coverage.c: see coverage.h. */
#include "train/coverage.h"

#include <math.h>

#include "base/memory.h"

/* A set, and what is known of each of its images. */
typedef struct ball_set {
    md_features rows;
    float *radius;    /* [count] squared, to the k-th neighbour */
    uint8_t *covered; /* [count] in a ball of the other set */
    uint8_t *holds;   /* [count] its own ball holds one of the other set */
} ball_set;

/* Squared; the same for (a, b) and (b, a), and 0 for equal rows. Many sums at a time, which
 * compilers turn into vectors. */
static float distance(const float *a, const float *b, int dim) {
    enum { SUMS = 16 };
    float sum[SUMS] = {0}, all = 0;
    int k = 0;
    for (; k + SUMS <= dim; k += SUMS)
        for (int u = 0; u < SUMS; u++) {
            const float apart = a[k + u] - b[k + u];
            sum[u] += apart * apart;
        }
    for (; k < dim; k++) all += (a[k] - b[k]) * (a[k] - b[k]);
    for (int u = 0; u < SUMS; u++) all += sum[u];
    return all;
}

static const float *row(const ball_set *s, int64_t i) {
    return s->rows.x + i * s->rows.dim;
}

typedef struct search {
    ball_set *of;
    const ball_set *among;
    int k;
} search;

/* Keeps the k smallest, ascending. */
static void insert(float *nearest, int k, float d) {
    if (!(d < nearest[k - 1])) return;
    int i = k - 1;
    for (; i > 0 && nearest[i - 1] > d; i--) nearest[i] = nearest[i - 1];
    nearest[i] = d;
}

/* Task i: the ball of row i. */
static void find_radius(void *context, int64_t i, int worker) {
    const search *s = context;
    float nearest[MD_COVERAGE_MOST];
    (void)worker;
    for (int n = 0; n < s->k; n++) nearest[n] = INFINITY;
    for (int64_t j = 0; j < s->of->rows.count; j++)
        if (j != i) insert(nearest, s->k, distance(row(s->of, i), row(s->of, j), s->of->rows.dim));
    s->of->radius[i] = nearest[s->k - 1];
}

/* Task i: row i among the other set's. */
static void look_around(void *context, int64_t i, int worker) {
    const search *s = context;
    ball_set *of = s->of;
    (void)worker;
    for (int64_t j = 0; j < s->among->rows.count; j++) {
        const float d = distance(row(of, i), row(s->among, j), of->rows.dim);
        of->covered[i] |= d <= s->among->radius[j];
        of->holds[i] |= d <= of->radius[i];
    }
}

static void run(md_pool *pool, search *s, md_task_fn task) {
    const int64_t count = s->of->rows.count;
    if (pool) {
        md_pool_run(pool, "neighbours", count, task, s);
    } else {
        for (int64_t i = 0; i < count; i++) task(s, i, 0);
    }
}

static mdlm_status init(ball_set *s, const md_features *rows, int k, mdlm_error *err) {
    s->rows = *rows;
    if (rows->count <= k)
        return md_fail(err, MDLM_INPUT, "%lld images: %d neighbours need at least %d",
                       (long long)rows->count, k, k + 1);
    s->radius = md_alloc((size_t)rows->count, sizeof *s->radius, err);
    s->covered = md_alloc((size_t)rows->count, sizeof *s->covered, err);
    s->holds = md_alloc((size_t)rows->count, sizeof *s->holds, err);
    return s->radius && s->covered && s->holds ? MDLM_OK : MDLM_RUNTIME;
}

static void release(ball_set *s) {
    md_free(s->radius);
    md_free(s->covered);
    md_free(s->holds);
}

static double share(const uint8_t *flag, int64_t count) {
    int64_t set = 0;
    for (int64_t i = 0; i < count; i++) set += flag[i];
    return (double)set / (double)count;
}

mdlm_status md_coverage_measure(const md_features *real, const md_features *samples, int k,
                                md_pool *pool, md_coverage *out, mdlm_error *err) {
    ball_set r = {0}, s = {0};
    MD_BUG_IF(k < 1 || k > MD_COVERAGE_MOST || real->dim != samples->dim);
    mdlm_status status = init(&r, real, k, err);
    if (status == MDLM_OK) status = init(&s, samples, k, err);
    if (status == MDLM_OK) {
        run(pool, &(search){.of = &r, .k = k}, find_radius);
        run(pool, &(search){.of = &s, .k = k}, find_radius);
        run(pool, &(search){.of = &r, .among = &s, .k = k}, look_around);
        run(pool, &(search){.of = &s, .among = &r, .k = k}, look_around);
        *out = (md_coverage){.precision = share(s.covered, samples->count),
                             .recall = share(r.covered, real->count),
                             .coverage = share(r.holds, real->count)};
    }
    release(&r);
    release(&s);
    return status;
}
