/* diffusion/gaussian_bound.c: see gaussian_bound.h. */
#include "diffusion/gaussian_bound.h"

#include <math.h>

#include "base/arena.h"
#include "base/memory.h"
#include "base/rng.h"

static const double even = .1; /* share of the draws that is spread evenly over levels */

struct md_bound {
    const md_gaussian *p;
    const md_image_denoiser *denoiser;
    md_bound_options opt;
    md_arena *arena; /* all that follows, and this itself */
    md_stratum *strata;
    int count;
    double *mass; /* [T + 1] sums of the q of the levels before one, not normalised */
    int64_t images, evaluations;
    double prior, mean,
        scatter;   /* mean of the images' bits and sum of squared deviations from it */
    double chance; /* sum of squared halves of differences */

    /* One network call: B images of the batch, draw `draw` of 2 * count. */
    const md_bound_batch *batch;
    int first, draw;
    int *level;          /* [B] */
    double *time, *term; /* [B] */
    float *x, *in, *out; /* [B, Y, X, C], what of it the network sees, and its outputs */
    /* [B] of an image over its draws: all its bits, their chance, the first draw of a pair */
    double *total, *luck, *other;
};

/* --- strata ---------------------------------------------------------------------------------- */

/* What a term is worth: see the header. The step to noise alone is endless, and worth nothing. */
static double worth(const md_gaussian *p, int i) {
    double signal = p->levels[i].signal;
    return signal > 0 ? signal * (p->lambda[i - 1] - p->lambda[i]) : 0;
}

static void fill_mass(md_bound *b) {
    int T = b->p->T;
    double total = 0;
    for (int i = 1; i < T; i++) total += worth(b->p, i);
    b->mass[0] = 0, b->mass[1] = 1; /* level 0 is a stratum of its own: any q will do */
    for (int i = 1; i < T; i++) {
        double q = total > 0 ? (1 - even) * worth(b->p, i) / total : 0;
        b->mass[i + 1] = b->mass[i] + q + even / (T - 1);
    }
}

/* Levels from 1 on into count - 1 strata of about equal mass and at least one level. */
static void cut(md_bound *b) {
    int T = b->p->T, at = 1;
    b->strata[0] = (md_stratum){.first = 0, .end = 1};
    for (int k = 1; k < b->count; k++) {
        int last = T - (b->count - 1 - k),
            end = at + 1; /* leaves one level for each that follows */
        double until = b->mass[1] + (b->mass[T] - b->mass[1]) * k / (b->count - 1);
        while (end < last && b->mass[end] < until) end++;
        b->strata[k] = (md_stratum){.first = at, .end = k == b->count - 1 ? T : end};
        at = end;
    }
}

/* The level of stratum s where the share u of its mass is reached. */
static int find(const md_bound *b, const md_stratum *s, double u) {
    double at = b->mass[s->first] + u * (b->mass[s->end] - b->mass[s->first]);
    int low = s->first, high = s->end - 1; /* the first whose mass, with its own, is above */
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (b->mass[middle + 1] > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* --- life ------------------------------------------------------------------------------------ */

static void *take(md_bound *b, size_t count, size_t size, bool *ok) {
    size_t bytes = 0;
    void *memory = md_size_mul(count, size, &bytes) ? md_arena_alloc(b->arena, bytes) : NULL;
    *ok = *ok && memory;
    return memory;
}

static mdlm_status allocate(md_bound *b, mdlm_error *err) {
    md_image_shape shape = b->denoiser->shape;
    size_t B = (size_t)b->opt.batch, pixels = (size_t)shape.Y * (size_t)shape.X;
    size_t numbers = 0, outputs = 0;
    bool ok = md_size_mul(B, pixels * (size_t)shape.C, &numbers) &&
              md_size_mul(B, pixels * (size_t)b->denoiser->outputs, &outputs);
    b->strata = take(b, (size_t)b->count, sizeof *b->strata, &ok);
    b->mass = take(b, (size_t)b->p->T + 1, sizeof *b->mass, &ok);
    b->level = take(b, B, sizeof *b->level, &ok);
    b->time = take(b, B, sizeof *b->time, &ok);
    b->term = take(b, B, sizeof *b->term, &ok);
    b->total = take(b, B, sizeof *b->total, &ok);
    b->luck = take(b, B, sizeof *b->luck, &ok);
    b->other = take(b, B, sizeof *b->other, &ok);
    b->x = take(b, numbers, sizeof *b->x, &ok);
    b->in = take(b, numbers, sizeof *b->in, &ok);
    b->out = take(b, outputs, sizeof *b->out, &ok);
    if (ok) return MDLM_OK;
    return md_fail(err, MDLM_RUNTIME, "out of memory for %d images of %d x %d", b->opt.batch,
                   shape.X, shape.Y);
}

static mdlm_status check(const md_gaussian *p, const md_image_denoiser *denoiser,
                         const md_bound_options *opt, mdlm_error *err) {
    int outputs = denoiser->shape.C * md_gaussian_outputs(&p->opt);
    if (opt->steps < 4)
        return md_fail(err, MDLM_USAGE,
                       "%d evaluations per image for the bound: expected at least 4", opt->steps);
    if (opt->batch < 1)
        return md_fail(err, MDLM_USAGE, "batches of %d images: expected at least 1", opt->batch);
    if (denoiser->outputs != outputs)
        return md_fail(err, MDLM_USAGE,
                       "the model says %d numbers of a pixel: expected %d, with variances '%s'",
                       denoiser->outputs, outputs, md_variance_names[p->opt.variance]);
    return MDLM_OK;
}

mdlm_status md_bound_new(const md_gaussian *p, const md_image_denoiser *denoiser,
                         const md_bound_options *opt, md_bound **out, mdlm_error *err) {
    MD_TRY(check(p, denoiser, opt, err));
    md_arena *arena = md_arena_new(err);
    if (!arena) return MDLM_RUNTIME;
    md_bound *b = md_arena_alloc(arena, sizeof *b);
    if (!b) {
        md_arena_free(arena);
        return md_fail(err, MDLM_RUNTIME, "out of memory");
    }
    int count = opt->steps / 2 + opt->steps % 2;
    *b = (md_bound){.p = p,
                    .denoiser = denoiser,
                    .opt = *opt,
                    .arena = arena,
                    .count = count < p->T ? count : p->T};
    mdlm_status status = allocate(b, err);
    if (status != MDLM_OK) {
        md_bound_free(b);
        return status;
    }
    fill_mass(b);
    cut(b);
    *out = b;
    return MDLM_OK;
}

void md_bound_free(md_bound *b) {
    if (b) md_arena_free(b->arena);
}

/* --- one network call ------------------------------------------------------------------------ */

static size_t size_of(const md_bound *b) {
    md_image_shape s = b->denoiser->shape;
    return (size_t)s.Y * (size_t)s.X * (size_t)s.C;
}

static const float *image_of(const md_bound *b, int k) {
    return b->batch->images + (size_t)(b->first + k) * size_of(b);
}

/* Draws the level and the noise of image k of the call. */
static void corrupt(void *context, int64_t task, int worker) {
    md_bound *b = context;
    (void)worker;
    int k = (int)task;
    size_t size = size_of(b);
    uint32_t number = (uint32_t)(b->batch->first + b->first + k);
    md_rng time = {b->opt.seed, MD_STREAM_EVAL_TIME, (uint64_t)b->draw};
    md_rng noise = {b->opt.seed, MD_STREAM_EVAL_NOISE, (uint64_t)b->draw};
    float *x = b->x + (size_t)k * size, *in = b->in + (size_t)k * size;
    int i = find(b, &b->strata[b->draw / 2], md_uniform(time, number, 0));
    md_level at = md_gaussian_level(b->p, i);
    md_normal_fill(noise, number, 0, (int64_t)size, x);
    md_gaussian_corrupt(b->p, i, image_of(b, k), x, (int64_t)size, x);
    md_reading_apply((md_reading){.x = md_gaussian_input(b->p, at)}, x, x, (int64_t)size, in);
    b->level[k] = i;
    b->time[k] = at.time;
}

/* The estimate that image k's draw gives of its stratum. */
static void measure(void *context, int64_t task, int worker) {
    md_bound *b = context;
    (void)worker;
    int k = (int)task, i = b->level[k];
    md_image_shape s = b->denoiser->shape;
    const md_stratum *stratum = &b->strata[b->draw / 2];
    double all = b->mass[stratum->end] - b->mass[stratum->first], q = b->mass[i + 1] - b->mass[i];
    size_t pixels = (size_t)s.Y * (size_t)s.X;
    md_noisy_image z = {.index = i,
                        .pixels = (int64_t)pixels,
                        .C = s.C,
                        .image = image_of(b, k),
                        .noisy = b->x + (size_t)k * size_of(b),
                        .out = b->out + (size_t)k * pixels * (size_t)b->denoiser->outputs};
    b->term[k] = md_gaussian_term(b->p, &z, b->opt.clip) * all / q;
}

static void each(md_bound *b, const char *what, int count, md_task_fn fn) {
    if (b->opt.pool) {
        md_pool_run(b->opt.pool, what, count, fn, b);
        return;
    }
    for (int k = 0; k < count; k++) fn(b, k, 0);
}

static mdlm_status draw(md_bound *b, int count, mdlm_error *err) {
    const md_image_query query = {.x = b->in,
                                  .time = b->time,
                                  .label = b->batch->labels ? b->batch->labels + b->first : NULL,
                                  .B = count};
    const md_image_denoiser *d = b->denoiser;
    each(b, "corruption", count, corrupt);
    MD_TRY(d->predict(d->context, &query, b->out, err));
    each(b, "bound", count, measure);
    b->evaluations += count;
    if (b->opt.on_call && b->opt.on_call(b->opt.user, b->evaluations))
        return md_fail(err, MDLM_CANCELLED, "cancelled");
    return MDLM_OK;
}

/* --- sums ------------------------------------------------------------------------------------ */

/* Both draws of a stratum, for each image: the sums run over images in their order, whatever the
 * calls. */
static void add_pair(md_bound *b, int count) {
    for (int k = 0; k < count; k++) {
        double mean = (b->other[k] + b->term[k]) / 2, half = (b->other[k] - b->term[k]) / 2;
        b->total[k] += mean;
        b->luck[k] += half * half;
        b->strata[b->draw / 2].bits += mean;
    }
}

static mdlm_status add_image(md_bound *b, int k, double *bits, mdlm_error *err) {
    double prior = md_gaussian_prior(b->p, image_of(b, k), (int64_t)size_of(b));
    double all = prior + b->total[k], off = all - b->mean;
    if (!isfinite(all))
        return md_fail(err, MDLM_NUMERIC, "the bound of image %lld is not a finite number",
                       (long long)(b->batch->first + b->first + k));
    b->prior += prior;
    b->chance += b->luck[k];
    b->mean += off / (double)++b->images;
    b->scatter += off * (all - b->mean); /* Welford 1962 */
    if (bits) bits[b->first + k] = all;
    return MDLM_OK;
}

static mdlm_status add_call(md_bound *b, int count, double *bits, mdlm_error *err) {
    for (int k = 0; k < count; k++) b->total[k] = b->luck[k] = 0;
    for (b->draw = 0; b->draw < 2 * b->count; b->draw++) {
        MD_TRY(draw(b, count, err));
        if (b->draw % 2 == 1) {
            add_pair(b, count);
            continue;
        }
        for (int k = 0; k < count; k++) b->other[k] = b->term[k];
    }
    for (int k = 0; k < count; k++) MD_TRY(add_image(b, k, bits, err));
    return MDLM_OK;
}

mdlm_status md_bound_add(md_bound *b, const md_bound_batch *batch, double *bits, mdlm_error *err) {
    for (int k = 0; batch->labels && k < batch->count; k++)
        if (batch->labels[k] < -1 || batch->labels[k] >= b->denoiser->classes)
            return md_fail(err, MDLM_INPUT, "image %lld is of class %d: expected 0 to %d, or -1",
                           (long long)(batch->first + k), (int)batch->labels[k],
                           b->denoiser->classes - 1);
    b->batch = batch;
    for (b->first = 0; b->first < batch->count; b->first += b->opt.batch) {
        int left = batch->count - b->first, count = left < b->opt.batch ? left : b->opt.batch;
        MD_TRY(add_call(b, count, bits, err));
    }
    return MDLM_OK;
}

md_bound_report md_bound_finish(const md_bound *b) {
    md_bound_report r = {.images = b->images, .evaluations = b->evaluations};
    double n = (double)b->images;
    if (b->images == 0) return r;
    for (int k = b->count - 1; k > 0; k--) r.terms += b->strata[k].bits / n;
    r.prior = b->prior / n;
    r.decoder = b->strata[0].bits / n;
    r.bits_per_dim = r.prior + r.decoder + r.terms;
    r.stderr_mc = sqrt(b->chance) / n;
    r.stderr_data = b->images > 1 ? sqrt(b->scatter / (n - 1) / n) : NAN;
    return r;
}

const md_stratum *md_bound_strata(const md_bound *b, int *count) {
    *count = b->count;
    return b->strata;
}
