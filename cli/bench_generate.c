/* cli/bench_generate.c: a step of the sampler in the middle of a text. See bench.h. */
#include "base/memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "sampler/draw.h"

typedef struct generator {
    const md_bench *bench;
    md_transformer_view view;
    md_denoiser denoiser;
    md_drawer *drawer;
    int32_t *ids; /* [batch, seq_len]: text, then a block of masks, then masks */
    int32_t *rows;
    float *logits; /* [count, V] */
    md_draw *draws;
    md_proposal *proposals;
    int count;      /* rows in all canvases */
    int first, end; /* positions that a step computes */
    void **caches;  /* [batch]; NULL: a step computes everything */
    uint64_t step;
} generator;

static md_cached_call cached_call(const generator *g) {
    return (md_cached_call){.caches = g->caches,
                            .ids = g->ids,
                            .B = g->bench->batch,
                            .T = g->bench->config->seq_len,
                            .first = g->first,
                            .end = g->end,
                            .rows = g->rows,
                            .count = g->count,
                            .logits = g->logits};
}

static mdlm_status time_forward(void *context, mdlm_error *err) {
    generator *g = context;
    const md_denoiser *d = &g->denoiser;
    md_cached_call call = cached_call(g);
    if (g->caches) return d->predict_cached(d->context, &call, err);
    return d->predict(d->context, call.ids, call.B, call.T, call.rows, call.count, call.logits,
                      err);
}

/* The tokens drawn are not kept, so that every step finds the same canvas. */
static mdlm_status time_step(void *context, mdlm_error *err) {
    generator *g = context;
    md_rng rng = {.seed = g->bench->seed, .stream = MD_STREAM_TOKEN, .step = g->step++};
    MD_TRY(time_forward(context, err));
    for (int i = 0; i < g->count; i++)
        g->draws[i] = (md_draw){.logits = g->logits + (size_t)i * (size_t)g->denoiser.vocab,
                                .u = md_uniform(rng, 0, (uint32_t)i),
                                .proposal = &g->proposals[i]};
    if (md_drawer_draw(g->drawer, g->draws, g->count) == g->count) return MDLM_OK;
    return md_fail(err, MDLM_NUMERIC, "logits are no distribution: expected finite numbers");
}

/* Half of what is not the block comes before it, already written. */
static void choose_span(generator *g) {
    const md_bench *b = g->bench;
    g->first = (b->config->seq_len - b->block_length) / 2;
    g->end = b->cache == MD_CACHE_DUAL ? g->first + b->block_length : b->config->seq_len;
}

/* As the first step of a block does it. */
static mdlm_status fill_caches(generator *g, mdlm_error *err) {
    const md_denoiser *d = &g->denoiser;
    if (g->bench->cache == MD_CACHE_NONE) return MDLM_OK;
    g->caches = md_alloc((size_t)g->bench->batch, sizeof *g->caches, err);
    if (!g->caches) return MDLM_RUNTIME;
    for (int k = 0; k < g->bench->batch; k++)
        if (!(g->caches[k] = d->cache_new(d->context, g->bench->config->seq_len, err)))
            return MDLM_RUNTIME;
    md_cached_call call = cached_call(g);
    call.first = 0;
    call.end = call.T;
    return d->predict_cached(d->context, &call, err);
}

static void release(generator *g) {
    for (int k = 0; g->caches && k < g->bench->batch; k++) g->denoiser.cache_free(g->caches[k]);
    md_free(g->caches);
    md_free(g->proposals);
    md_free(g->draws);
    md_free(g->logits);
    md_free(g->rows);
    md_free(g->ids);
    md_drawer_free(g->drawer);
    md_transformer_free(g->view.net);
}

static void lay_out(generator *g) {
    const md_bench *b = g->bench;
    int T = b->config->seq_len, first = g->first;
    md_bench_ids(b, g->ids, (int64_t)b->batch * T);
    for (int k = 0; k < b->batch; k++) {
        for (int j = first; j < T; j++) g->ids[(int64_t)k * T + j] = b->config->mask_id;
        for (int j = 0; j < b->block_length; j++)
            g->rows[k * b->block_length + j] = k * T + first + j;
    }
}

static mdlm_status prepare(generator *g, mdlm_error *err) {
    const md_bench *b = g->bench;
    md_sampler_options options = md_sampler_defaults();
    options.kernels = md_tape_kernels(b->tape);
    options.pool = b->pool;
    MD_TRY(md_transformer_new(b->config, false, &g->view.net, err));
    md_transformer_init(g->view.net, b->seed);
    MD_TRY(md_transformer_pack(g->view.net, md_tape_kernels(b->tape), err));
    g->view.tape = b->tape;
    g->denoiser = md_transformer_denoiser(&g->view);
    g->drawer = md_drawer_new(g->denoiser.vocab, g->denoiser.mask_id, &options, err);
    g->count = b->batch * b->block_length;
    g->ids = md_alloc((size_t)b->batch * (size_t)b->config->seq_len, sizeof *g->ids, err);
    g->rows = md_alloc((size_t)g->count, sizeof *g->rows, err);
    g->logits = md_alloc((size_t)g->count * (size_t)g->denoiser.vocab, sizeof *g->logits, err);
    g->draws = md_alloc((size_t)g->count, sizeof *g->draws, err);
    g->proposals = md_alloc((size_t)g->count, sizeof *g->proposals, err);
    if (!g->drawer || !g->ids || !g->rows || !g->logits) return MDLM_RUNTIME;
    if (!g->draws || !g->proposals) return MDLM_RUNTIME;
    lay_out(g);
    return fill_caches(g, err);
}

static int64_t computed(const generator *g) {
    return g->bench->cache == MD_CACHE_NONE ? g->bench->config->seq_len : g->end - g->first;
}

/* What is computed goes through the blocks and looks at everything, the rows of the block alone go
 * through the head. */
static double step_flops(const generator *g) {
    const md_bench *b = g->bench;
    const md_model_config *c = b->config;
    double head = (double)c->vocab * c->dim, blocks = (double)md_bench_multiplied(c) - head;
    double attention = 4.0 * c->layers * c->dim * c->seq_len;
    return b->batch * ((2 * blocks + attention) * (double)computed(g) + 2 * head * b->block_length);
}

mdlm_status md_bench_generate(const md_bench *bench, md_bench_result *out, mdlm_error *err) {
    generator g = {.bench = bench};
    mdlm_status status;
    choose_span(&g);
    md_bench_result r = {.parameters = md_model_config_parameters(bench->config),
                         .positions = bench->batch * computed(&g),
                         .items = bench->batch,
                         .flops = step_flops(&g)};
    MD_GOTO(done, status, prepare(&g, err));
    MD_GOTO(done, status, md_bench_steps(bench, time_step, &g, &r, err));
    MD_GOTO(done, status, md_bench_time(bench, time_forward, &g, &r.forward, err));
    *out = r;
done:
    release(&g);
    return status;
}
