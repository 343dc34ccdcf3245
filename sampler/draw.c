/* sampler/draw.c: see draw.h. */
#include "sampler/draw.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "sampler/truncate.h"

enum { TASK_LOGITS = 1 << 14 }; /* rows of a task hold about so many */

/* Of one thread. */
typedef struct space {
    md_chunk *chunk; /* [chunks] */
    float weight[MD_CHUNK];
    md_truncation *truncation; /* NULL when nothing is cut */
    float *logits;             /* [V] of a row that is changed; NULL when none is */
} space;

struct md_drawer {
    md_row row; /* what all rows share */
    md_pool *pool;
    double temperature, top_p;
    int top_k;
    const uint8_t *allowed;  /* [V] or NULL */
    int32_t forbidden, late; /* end-of-text, or -1 */
    bool describes_drawn;    /* proposals tell of the distribution that is drawn from */
    int threads;
    space *spaces; /* [threads] */
};

static bool truncates(const md_drawer *d) {
    return d->temperature > 0 && (d->top_k > 0 || d->top_p < 1.0);
}

/* 1 / temperature, of what a float can hold; at 0 nothing is drawn. */
static float inverse(double temperature) {
    if (temperature == 0) return 1.0F;
    return (float)fmin(fmax(1 / temperature, (double)FLT_MIN), (double)FLT_MAX);
}

/* `changes`: rows are filtered or tempered. */
static bool allocate_space(const md_drawer *d, space *s, bool changes, mdlm_error *err) {
    if (!(s->chunk = md_alloc((size_t)d->row.chunks, sizeof *s->chunk, err))) return false;
    if (truncates(d) && !(s->truncation = md_truncation_new(d->row.vocab, err))) return false;
    if (!changes) return true;
    return (s->logits = md_alloc((size_t)d->row.vocab, sizeof *s->logits, err)) != NULL;
}

static bool allocate(md_drawer *d, bool changes, mdlm_error *err) {
    d->spaces = md_alloc((size_t)d->threads, sizeof *d->spaces, err);
    for (int i = 0; d->spaces && i < d->threads; i++)
        if (!allocate_space(d, &d->spaces[i], changes, err)) return false;
    return d->spaces != NULL;
}

md_drawer *md_drawer_new(int vocab, int32_t mask_id, const md_sampler_options *opt,
                         mdlm_error *err) {
    MD_BUG_IF(!opt->kernels);
    md_drawer *d = md_alloc(1, sizeof *d, err);
    if (!d) return NULL;
    *d = (md_drawer){.row = {.kernels = opt->kernels,
                             .vocab = vocab,
                             .chunks = (vocab - 1) / MD_CHUNK + 1,
                             .banned = mask_id,
                             .scale = inverse(opt->temperature)},
                     .pool = opt->pool,
                     .temperature = opt->temperature,
                     .top_p = opt->top_p,
                     .top_k = opt->top_k < vocab ? opt->top_k : 0,
                     .allowed = opt->allowed,
                     .forbidden = opt->end_of_text == MD_END_FORBID ? opt->end_of_text_id : -1,
                     .late = opt->end_of_text == MD_END_LATE ? opt->end_of_text_id : -1,
                     .describes_drawn = opt->compat == MD_COMPAT_DREAM && opt->temperature > 0,
                     .threads = opt->pool ? md_pool_threads(opt->pool) : 1};
    bool filters = d->allowed || d->forbidden >= 0 || opt->constraint;
    if (allocate(d, filters || d->describes_drawn, err)) return d;
    md_drawer_free(d);
    return NULL;
}

void md_drawer_free(md_drawer *d) {
    if (!d) return;
    for (int i = 0; d->spaces && i < d->threads; i++) {
        md_free(d->spaces[i].chunk);
        md_truncation_free(d->spaces[i].truncation);
        md_free(d->spaces[i].logits);
    }
    md_free(d->spaces);
    md_free(d);
}

/* Sums over the row, relative to its maximum: of the weights, and of w = e^(l - max) and
 * w (l - max). */
typedef struct row_sums {
    double weights, plain, slope;
} row_sums;

/* Sets row->max and brings the sums of the chunks to it. */
static row_sums add_up(md_row *r, double temperature) {
    row_sums sums = {0};
    r->max = -INFINITY;
    for (int c = 0; c < r->chunks; c++) r->max = fmaxf(r->max, r->chunk[c].max);
    for (int c = 0; c < r->chunks; c++) {
        md_chunk *k = &r->chunk[c];
        double gap = (double)k->max - (double)r->max, plain = exp(gap);
        k->sum *= temperature > 0 && temperature != 1.0 ? exp(gap / temperature) : plain;
        sums.weights += k->sum;
        sums.plain += plain * k->plain;
        if (plain > 0) sums.slope += plain * (k->slope + gap * k->plain);
    }
    return sums;
}

/* The most probable token, the lower id of equals, and the logit of the next. */
static int32_t most_probable(const md_row *r, float *next) {
    int best = 0;
    int32_t token = -1;
    *next = -INFINITY;
    while (r->chunk[best].max != r->max) best++;
    for (int c = 0; c < r->chunks; c++)
        if (c != best) *next = fmaxf(*next, r->chunk[c].max);
    int32_t end = (best + 1) * MD_CHUNK < r->vocab ? (best + 1) * MD_CHUNK : r->vocab;
    for (int32_t v = best * MD_CHUNK; v < end; v++) {
        if (v == r->banned) continue;
        if (token < 0 && r->logits[v] == r->max) {
            token = v;
        } else if (r->logits[v] > *next) {
            *next = r->logits[v];
        }
    }
    return token;
}

/* The token at which the cumulated weight passes u * sum: first its chunk, then itself. */
static int32_t invert(const md_row *r, double sum, double u) {
    double target = u * sum, cumulated = 0;
    int chunk = 0;
    int32_t last = -1;
    for (int c = 0; c < r->chunks; c++) {
        if (!(r->chunk[c].sum > 0)) continue;
        chunk = c;
        if (cumulated + r->chunk[c].sum > target) break;
        cumulated += r->chunk[c].sum;
    }
    int n = md_row_weights(r, chunk);
    for (int i = 0; i < n; i++) {
        if (!(r->weight[i] > 0)) continue;
        cumulated += (double)r->weight[i];
        last = chunk * MD_CHUNK + i;
        if (cumulated > target) break;
    }
    return last; /* of rounding in the sums, the last one */
}

static void keep_allowed(float *logits, const uint8_t *allowed, int vocab) {
    for (int v = 0; allowed && v < vocab; v++) logits[v] = allowed[v] ? logits[v] : -INFINITY;
}

/* The row, or a copy of it in which tokens that may not be drawn have no probability. */
static const float *filter(const md_drawer *d, space *s, const md_draw *one) {
    if (!d->allowed && !one->allowed && d->forbidden < 0) return one->logits;
    MD_BUG_IF(!s->logits);
    memcpy(s->logits, one->logits, (size_t)d->row.vocab * sizeof *s->logits);
    keep_allowed(s->logits, d->allowed, d->row.vocab);
    keep_allowed(s->logits, one->allowed, d->row.vocab);
    if (d->forbidden >= 0) s->logits[d->forbidden] = -INFINITY;
    return s->logits;
}

/* Whether a row that is no distribution is none since all that might be drawn is forbidden. */
static bool is_empty(const md_row *r, const md_draw *one) {
    if (r->logits == one->logits) return false;
    for (int32_t v = 0; v < r->vocab; v++)
        if (v != r->banned && r->logits[v] != -INFINITY) return false;
    return true;
}

/* Of the softmax of the logits. */
static md_proposal describe(const md_row *r, const row_sums *sums, int32_t token, float next) {
    double gap = (double)r->logits[token] - (double)r->max;
    return (md_proposal){
        .best_confidence = 1 / sums->plain,
        .confidence = exp(gap) / sums->plain,
        .entropy = fmax(0, log(sums->plain) - sums->slope / sums->plain),
        .margin = (1 - exp((double)next - (double)r->max)) / sums->plain,
    };
}

/* The logits of chunk c as they are drawn from, -infinity for what has no weight: `out` may be the
 * row itself. */
static void temper(const md_row *r, int c, float *out) {
    const float *l = r->logits + c * MD_CHUNK;
    const float max = r->max, scale = r->scale;
    float *restrict w = r->weight;
    int n = md_row_weights(r, c);
    for (int i = 0; i < n; i++) w[i] = w[i] > 0 ? (l[i] - max) * scale : -INFINITY;
    memcpy(out + c * MD_CHUNK, w, (size_t)n * sizeof *w);
}

/* The same of what the token is drawn from: the softmax of tempered logits, those cut off left out.
 * Writes over the space's logits and chunks. */
static md_proposal describe_drawn(const md_row *drawn, space *s, int32_t token) {
    md_row r = *drawn;
    float next;
    for (int c = 0; c < r.chunks; c++) temper(drawn, c, s->logits);
    r.logits = s->logits;
    r.cut = false;
    r.kernels->chunk_sums(r.vocab, r.banned, 1.0F, r.logits, r.chunk);
    row_sums sums = add_up(&r, 1.0);
    most_probable(&r, &next);
    return describe(&r, &sums, token, next);
}

static void draw(const md_drawer *d, space *s, md_draw *one) {
    md_row r = d->row;
    float next;
    r.logits = filter(d, s, one);
    r.chunk = s->chunk;
    r.weight = s->weight;
    r.kernels->chunk_sums(r.vocab, r.banned, r.scale, r.logits, r.chunk);
    row_sums sums = add_up(&r, d->temperature);
    one->drawn = isfinite(r.max) && !isnan(sums.plain);
    one->none_allowed = !one->drawn && is_empty(&r, one);
    if (!one->drawn) return;
    const int32_t best = most_probable(&r, &next);
    int32_t token = best;
    double sum = sums.weights;
    if (truncates(d)) sum = md_truncate(s->truncation, &r, sum, d->top_k, d->top_p);
    if (d->temperature > 0) token = invert(&r, sum, one->u);
    *one->proposal =
        d->describes_drawn ? describe_drawn(&r, s, token) : describe(&r, &sums, token, next);
    one->proposal->token = token;
    one->proposal->best = best;
    one->proposal->late = token == d->late;
}

typedef struct job {
    const md_drawer *drawer;
    md_draw *draws;
    int count, per_task;
} job;

static void run_task(void *context, int64_t task, int worker) {
    job *j = context;
    int first = (int)task * j->per_task, end = first + j->per_task;
    for (int i = first; i < end && i < j->count; i++)
        draw(j->drawer, &j->drawer->spaces[worker], &j->draws[i]);
}

int md_drawer_draw(md_drawer *d, md_draw *draws, int count) {
    int per_task = d->row.vocab < TASK_LOGITS ? TASK_LOGITS / d->row.vocab : 1, drawn = 0;
    int64_t tasks = ((int64_t)count + per_task - 1) / per_task;
    job j = {.drawer = d, .draws = draws, .count = count, .per_task = per_task};
    if (d->pool) {
        md_pool_run(d->pool, "draw", tasks, run_task, &j);
    } else {
        for (int64_t task = 0; task < tasks; task++) run_task(&j, task, 0);
    }
    while (drawn < count && draws[drawn].drawn) drawn++;
    return drawn;
}
