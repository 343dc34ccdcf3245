/* tensor/optim.c: clipping, AdamW, EMA. See optim.h; orthogonalised momentum is in muon.c, the
 * learning-rate schedule in lr.c. */
#include "tensor/optim.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "tensor/muon.h"

/* The unit of work and of summation: fixed, so that results do not depend on the threads. */
enum { CHUNK = 16384 };

typedef struct chunk {
    int64_t begin;
    int32_t count;
    bool decay, orthogonal; /* the same for the whole chunk */
} chunk;

struct md_optimizer {
    md_params *params;
    const md_kernels *kernels;
    md_optimizer_options options;
    int64_t steps, size;
    int64_t chunk_count;
    chunk *chunks;
    double *sums; /* of squared gradients, one per chunk */
    md_real *first, *second, *ema;
    md_muon *muon; /* NULL for AdamW */
};

md_optimizer_options md_optimizer_defaults(void) {
    return (md_optimizer_options){.kind = MD_OPTIMIZER_ADAMW,
                                  .beta1 = 0.9,
                                  .beta2 = 0.95,
                                  .eps = 1e-8,
                                  .weight_decay = 0.1,
                                  .grad_clip = 1.0,
                                  .ema = 0.999,
                                  .muon_lr = 5,
                                  .muon_momentum = 0.95};
}

/* What the chunks of a parameter have in common. */
static chunk kind_of(const md_optimizer *o, int i) {
    const unsigned flags = md_params_flags(o->params, i);
    return (chunk){.decay = flags & MD_PARAM_DECAY,
                   .orthogonal =
                       o->options.kind == MD_OPTIMIZER_MUON && (flags & MD_PARAM_ORTHOGONAL)};
}

static bool same_kind(chunk a, chunk b) {
    return a.decay == b.decay && a.orthogonal == b.orthogonal;
}

/* Cuts each run of parameters of one kind into chunks; returns how many. Called twice: with NULL to
 * count, then to fill. */
static int64_t cut(const md_optimizer *o, chunk *chunks) {
    int64_t made = 0, begin = 0;
    const int count = md_params_count(o->params);
    for (int i = 0; i < count;) {
        chunk piece = kind_of(o, i);
        int64_t end = begin;
        for (; i < count && same_kind(kind_of(o, i), piece); i++) {
            end += md_tensor_size(md_params_tensor(o->params, i));
        }
        for (; begin < end; made++) {
            piece.begin = begin;
            piece.count = (int32_t)(end - begin < CHUNK ? end - begin : CHUNK);
            if (chunks) chunks[made] = piece;
            begin += piece.count;
        }
    }
    return made;
}

/* The matrices of MD_PARAM_ORTHOGONAL go to muon.c, each as a whole. */
static bool make_muon(md_optimizer *o, mdlm_error *err) {
    int count = 0;
    int64_t at = 0;
    if (o->options.kind != MD_OPTIMIZER_MUON) return true;
    md_muon_matrix *list = md_alloc((size_t)md_params_count(o->params), sizeof *list, err);
    if (!list) return false;
    for (int i = 0; i < md_params_count(o->params); i++) {
        const md_tensor *t = md_params_tensor(o->params, i);
        if (kind_of(o, i).orthogonal) {
            list[count++] = (md_muon_matrix){.rows = (int)t->dim[0],
                                             .cols = (int)(md_tensor_size(t) / t->dim[0]),
                                             .w = t->data,
                                             .grad = t->grad,
                                             .momentum = o->first + at,
                                             .ema = o->ema ? o->ema + at : NULL,
                                             .decay = kind_of(o, i).decay};
        }
        at += md_tensor_size(t);
    }
    o->muon = md_muon_new(list, count, o->kernels, err);
    md_free(list);
    return o->muon != NULL;
}

static bool allocate(md_optimizer *o, mdlm_error *err) {
    const size_t size = (size_t)o->size, count = (size_t)o->chunk_count;
    if (!(o->chunks = md_alloc(count, sizeof *o->chunks, err))) return false;
    if (!(o->sums = md_alloc(count, sizeof *o->sums, err))) return false;
    if (!(o->first = md_alloc(size, sizeof *o->first, err))) return false;
    if (!(o->second = md_alloc(size, sizeof *o->second, err))) return false;
    if (o->options.ema > 0 && !(o->ema = md_alloc(size, sizeof *o->ema, err))) return false;
    return make_muon(o, err);
}

md_optimizer *md_optimizer_new(md_params *params, const md_kernels *kernels,
                               const md_optimizer_options *opt, mdlm_error *err) {
    MD_BUG_IF(!md_params_grads(params));
    MD_BUG_IF(!(opt->beta1 >= 0 && opt->beta1 < 1) || !(opt->beta2 >= 0 && opt->beta2 < 1));
    MD_BUG_IF(!(opt->muon_momentum >= 0 && opt->muon_momentum < 1) || !(opt->muon_lr >= 0));
    md_optimizer *o = md_alloc(1, sizeof *o, err);
    if (!o) return NULL;
    o->params = params;
    o->kernels = kernels;
    o->options = *opt;
    o->size = md_params_size(params);
    o->chunk_count = cut(o, NULL);
    if (!allocate(o, err)) {
        md_optimizer_free(o);
        return NULL;
    }
    cut(o, o->chunks);
    if (o->ema) memcpy(o->ema, md_params_values(params), (size_t)o->size * sizeof *o->ema);
    return o;
}

void md_optimizer_free(md_optimizer *opt) {
    if (!opt) return;
    md_free(opt->chunks);
    md_free(opt->sums);
    md_free(opt->first);
    md_free(opt->second);
    md_free(opt->ema);
    md_muon_free(opt->muon);
    md_free(opt);
}

static void run(md_pool *pool, int64_t tasks, md_task_fn fn, void *context) {
    if (pool) {
        md_pool_run(pool, "optimizer", tasks, fn, context);
        return;
    }
    for (int64_t task = 0; task < tasks; task++) fn(context, task, 0);
}

static void sum_chunk(void *context, int64_t task, int worker) {
    md_optimizer *o = context;
    const chunk *c = &o->chunks[task];
    (void)worker;
    o->sums[task] = o->kernels->sum_squares(c->count, md_params_grads(o->params) + c->begin);
}

static double gradient_norm(md_optimizer *o, md_pool *pool) {
    run(pool, o->chunk_count, sum_chunk, o);
    double sum = 0;
    for (int64_t i = 0; i < o->chunk_count; i++) sum += o->sums[i];
    return sqrt(sum);
}

typedef struct update {
    const md_optimizer *optimizer;
    md_adamw_args scalars; /* the pointers and the decay are each chunk's own */
} update;

static void update_chunk(void *context, int64_t task, int worker) {
    const update *u = context;
    const md_optimizer *o = u->optimizer;
    const chunk *c = &o->chunks[task];
    (void)worker;
    if (c->orthogonal) return;
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

static md_adamw_args scalars(const md_optimizer *o, double lr, double norm) {
    const md_optimizer_options *opt = &o->options;
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

mdlm_status md_optimizer_step(md_optimizer *opt, double lr, md_pool *pool, md_optimizer_info *info,
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
    if (opt->muon) {
        const md_muon_args args = {.lr = (md_real)(lr * opt->options.muon_lr),
                                   .momentum = (md_real)opt->options.muon_momentum,
                                   .decay = (md_real)opt->options.weight_decay,
                                   .grad_scale = u.scalars.grad_scale,
                                   .ema_decay = u.scalars.ema_decay};
        md_muon_step(opt->muon, &args, pool);
    }
    if (info) *info = (md_optimizer_info){.grad_norm = norm};
    return MDLM_OK;
}

int64_t md_optimizer_steps(const md_optimizer *opt) {
    return opt->steps;
}

void md_optimizer_set_steps(md_optimizer *opt, int64_t steps) {
    MD_BUG_IF(steps < 0);
    opt->steps = steps;
}

md_real *md_optimizer_first(md_optimizer *opt) {
    return opt->first;
}

md_real *md_optimizer_second(md_optimizer *opt) {
    return opt->second;
}

bool md_optimizer_has_second(const md_optimizer *opt, int i) {
    return !kind_of(opt, i).orthogonal;
}

md_real *md_optimizer_ema(md_optimizer *opt) {
    return opt->ema;
}
