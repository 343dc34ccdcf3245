/* tensor/optim.c: AdamW. See optim.h; the learning-rate schedule is in lr.c. */
#include "tensor/optim.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"

/* The unit of work and of summation: fixed, so that results do not depend on the threads. */
enum { CHUNK = 16384 };

typedef struct chunk {
    int64_t begin;
    int32_t count;
    bool decay; /* the same for the whole chunk */
} chunk;

struct md_adamw {
    md_params *params;
    const md_kernels *kernels;
    md_adamw_options options;
    int64_t steps, size;
    int64_t chunk_count;
    chunk *chunks;
    double *sums; /* of squared gradients, one per chunk */
    md_real *first, *second, *ema;
};

md_adamw_options md_adamw_defaults(void) {
    return (md_adamw_options){.beta1 = 0.9,
                              .beta2 = 0.95,
                              .eps = 1e-8,
                              .weight_decay = 0.1,
                              .grad_clip = 1.0,
                              .ema = 0.999};
}

/* Cuts each run of parameters with one decay flag into chunks; returns how many. Called twice: with
 * NULL to count, then to fill. */
static int64_t cut(const md_params *params, chunk *chunks) {
    int64_t made = 0, begin = 0;
    const int count = md_params_count(params);
    for (int i = 0; i < count;) {
        const bool decay = md_params_decay(params, i);
        int64_t end = begin;
        for (; i < count && md_params_decay(params, i) == decay; i++) {
            end += md_tensor_size(md_params_tensor(params, i));
        }
        for (; begin < end; made++) {
            const int64_t n = end - begin < CHUNK ? end - begin : CHUNK;
            if (chunks) chunks[made] = (chunk){.begin = begin, .count = (int32_t)n, .decay = decay};
            begin += n;
        }
    }
    return made;
}

static bool allocate(md_adamw *o, mdlm_error *err) {
    const size_t size = (size_t)o->size, count = (size_t)o->chunk_count;
    if (!(o->chunks = md_alloc(count, sizeof *o->chunks, err))) return false;
    if (!(o->sums = md_alloc(count, sizeof *o->sums, err))) return false;
    if (!(o->first = md_alloc(size, sizeof *o->first, err))) return false;
    if (!(o->second = md_alloc(size, sizeof *o->second, err))) return false;
    return o->options.ema <= 0 || (o->ema = md_alloc(size, sizeof *o->ema, err));
}

md_adamw *md_adamw_new(md_params *params, const md_kernels *kernels, const md_adamw_options *opt,
                       mdlm_error *err) {
    MD_BUG_IF(!md_params_grads(params));
    MD_BUG_IF(!(opt->beta1 >= 0 && opt->beta1 < 1) || !(opt->beta2 >= 0 && opt->beta2 < 1));
    md_adamw *o = md_alloc(1, sizeof *o, err);
    if (!o) return NULL;
    o->params = params;
    o->kernels = kernels;
    o->options = *opt;
    o->size = md_params_size(params);
    o->chunk_count = cut(params, NULL);
    if (!allocate(o, err)) {
        md_adamw_free(o);
        return NULL;
    }
    cut(params, o->chunks);
    if (o->ema) memcpy(o->ema, md_params_values(params), (size_t)o->size * sizeof *o->ema);
    return o;
}

void md_adamw_free(md_adamw *opt) {
    if (!opt) return;
    md_free(opt->chunks);
    md_free(opt->sums);
    md_free(opt->first);
    md_free(opt->second);
    md_free(opt->ema);
    md_free(opt);
}

static void run(md_pool *pool, int64_t tasks, md_task_fn fn, void *context) {
    if (pool) {
        md_pool_run(pool, tasks, fn, context);
        return;
    }
    for (int64_t task = 0; task < tasks; task++) fn(context, task, 0);
}

static void sum_chunk(void *context, int64_t task, int worker) {
    md_adamw *o = context;
    const chunk *c = &o->chunks[task];
    (void)worker;
    o->sums[task] = o->kernels->sum_squares(c->count, md_params_grads(o->params) + c->begin);
}

static double gradient_norm(md_adamw *o, md_pool *pool) {
    run(pool, o->chunk_count, sum_chunk, o);
    double sum = 0;
    for (int64_t i = 0; i < o->chunk_count; i++) sum += o->sums[i];
    return sqrt(sum);
}

typedef struct update {
    const md_adamw *optimizer;
    md_adamw_args scalars; /* the pointers and the decay are each chunk's own */
} update;

static void update_chunk(void *context, int64_t task, int worker) {
    const update *u = context;
    const md_adamw *o = u->optimizer;
    const chunk *c = &o->chunks[task];
    (void)worker;
    md_adamw_args args = u->scalars;
    args.w = md_params_values(o->params) + c->begin;
    args.grad = md_params_grads(o->params) + c->begin;
    args.m = o->first + c->begin;
    args.v = o->second + c->begin;
    args.ema = o->ema ? o->ema + c->begin : NULL;
    args.decay = c->decay ? (md_real)o->options.weight_decay : 0;
    o->kernels->adamw(c->count, &args);
}

/* 1 - beta^n for the beta that the kernel has, which is rounded. */
static md_real correction(double beta, double n) {
    return (md_real)(1 - pow((double)(md_real)beta, n));
}

static md_adamw_args scalars(const md_adamw *o, double lr, double norm) {
    const md_adamw_options *opt = &o->options;
    const double n = (double)o->steps;
    const bool clip = opt->grad_clip > 0 && norm > opt->grad_clip;
    return (md_adamw_args){
        .lr = (md_real)lr,
        .beta1 = (md_real)opt->beta1,
        .beta2 = (md_real)opt->beta2,
        .eps = (md_real)opt->eps,
        .grad_scale = (md_real)(clip ? opt->grad_clip / norm : 1),
        .correction1 = correction(opt->beta1, n),
        .correction2 = correction(opt->beta2, n),
        .ema_decay = (md_real)fmin(opt->ema, (1 + n) / (10 + n)),
    };
}

mdlm_status md_adamw_step(md_adamw *opt, double lr, md_pool *pool, md_adamw_info *info,
                          mdlm_error *err) {
    MD_BUG_IF(!(lr >= 0 && isfinite(lr)));
    const double norm = gradient_norm(opt, pool);
    if (!isfinite(norm)) {
        md_real *grads = md_params_grads(opt->params);
        memset(grads, 0, (size_t)opt->size * sizeof *grads);
        return md_fail(err, MDLM_NUMERIC,
                       "the norm of the gradient after %lld steps must be finite, found %f",
                       (long long)opt->steps, norm);
    }
    opt->steps++;
    update u = {.optimizer = opt, .scalars = scalars(opt, lr, norm)};
    run(pool, opt->chunk_count, update_chunk, &u);
    if (info) *info = (md_adamw_info){.grad_norm = norm};
    return MDLM_OK;
}

int64_t md_adamw_steps(const md_adamw *opt) {
    return opt->steps;
}

void md_adamw_set_steps(md_adamw *opt, int64_t steps) {
    MD_BUG_IF(steps < 0);
    opt->steps = steps;
}

md_real *md_adamw_first(md_adamw *opt) {
    return opt->first;
}

md_real *md_adamw_second(md_adamw *opt) {
    return opt->second;
}

md_real *md_adamw_ema(md_adamw *opt) {
    return opt->ema;
}
