/* sampler/loop.c: the sampling loop. See sampler.h and rule.h. */
#include <math.h>

#include "base/arena.h"
#include "base/memory.h"
#include "diffusion/query.h"
#include "sampler/draw.h"
#include "sampler/kept.h"
#include "sampler/steps.h"

typedef struct sampler_run {
    const md_denoiser *denoiser;
    const md_masked *process;
    const md_sampler_options *opt;
    const md_canvas *canvas;
    /* the plan */
    int open_count, block_length, steps;
    /* work space, in the arena; N samples, Y tokens of a block */
    md_arena *arena;
    int32_t *open;         /* [open_count] open positions, ascending */
    md_block_step *sample; /* [N] */
    int32_t *block_ids;    /* [N, Y] */
    uint8_t *want;         /* [N, Y] */
    md_proposal *proposal; /* [N, Y] */
    int *scratch;          /* [N, 2 Y] */
    double *score;         /* [N, Y] */
    float *set_with;       /* [N, Y] */
    int32_t *wanted;       /* [Y] positions of one canvas */
    int *place;            /* [length] canvas position to index in the block */
    float *confidence;     /* [N, length] */
    uint8_t *settled;      /* [N, length] */
    uint8_t *changed;      /* [N] whether this step changed the canvas */
    md_draw *draws;        /* [N, Y] to be made */
    int draw_count;
    md_query query; /* holds the last call of the step until the next step */
    md_kept *kept;
    md_drawer *drawer;
    /* progress */
    int block;
    md_sampler_work work;
} sampler_run;

md_sampler_options md_sampler_defaults(void) {
    return (md_sampler_options){.rule = &md_rule_ancestral,
                                .blocks = 1,
                                .temperature = 1.0,
                                .top_p = 1.0,
                                .threshold = 0.9,
                                .factor = 1.0,
                                .eta = -1.0,
                                .end_of_text_id = -1,
                                .cache = MD_CACHE_EXACT,
                                .kernels = &md_kernels_ref,
                                .keep_logits = MD_QUERY_LOGITS};
}

static mdlm_status check_options(const md_sampler_options *opt, mdlm_error *err) {
    if (opt->steps < 0)
        return md_fail(err, MDLM_USAGE, "--steps %d: expected at least 0", opt->steps);
    if (opt->blocks < 1)
        return md_fail(err, MDLM_USAGE, "--blocks %d: expected at least 1", opt->blocks);
    if (!(opt->temperature >= 0) || !isfinite(opt->temperature))
        return md_fail(err, MDLM_USAGE, "--temperature %g: expected a number from 0",
                       opt->temperature);
    if (opt->top_k < 0)
        return md_fail(err, MDLM_USAGE, "--top-k %d: expected at least 0", opt->top_k);
    if (!(opt->top_p > 0 && opt->top_p <= 1))
        return md_fail(err, MDLM_USAGE, "--top-p %g: expected above 0 and at most 1", opt->top_p);
    if (opt->first_index < 0)
        return md_fail(err, MDLM_USAGE, "--first-index %lld: expected at least 0",
                       (long long)opt->first_index);
    return MDLM_OK;
}

static mdlm_status fail_blocks(int blocks, int open, mdlm_error *err) {
    int below = blocks < open ? blocks : open, above = blocks;
    while (open % below != 0) below--;
    if (blocks > open)
        return md_fail(err, MDLM_USAGE,
                       "--blocks %d does not divide %d tokens: the nearest that "
                       "does is %d",
                       blocks, open, below);
    while (open % above != 0) above++;
    return md_fail(err, MDLM_USAGE,
                   "--blocks %d does not divide %d tokens: the nearest that do "
                   "are %d and %d",
                   blocks, open, below, above);
}

/* Block length and steps, from the number of open positions. */
static mdlm_status plan(sampler_run *r, mdlm_error *err) {
    const md_sampler_options *opt = r->opt;
    const md_canvas *c = r->canvas;
    MD_BUG_IF(!opt->rule || c->samples < 1 || c->length < 1);
    MD_TRY(check_options(opt, err));
    for (int j = 0; j < c->length; j++) r->open_count += !(c->given && c->given[j]);
    if (r->open_count == 0) return MDLM_OK;
    if (r->open_count % opt->blocks != 0) return fail_blocks(opt->blocks, r->open_count, err);
    bool fixed = opt->steps == 0 || opt->rule->one_token_per_step;
    r->steps = fixed ? r->open_count : opt->steps;
    r->block_length = r->open_count / opt->blocks;
    if (r->steps < opt->blocks)
        return md_fail(err, MDLM_USAGE,
                       "--steps %d is too few for --blocks %d: each block takes "
                       "at least one step",
                       r->steps, opt->blocks);
    return MDLM_OK;
}

/* NULL when the product wraps or there is no memory; `ok` collects that. */
static void *take(sampler_run *r, size_t a, size_t b, size_t size, bool *ok) {
    size_t count = 0, bytes = 0;
    void *memory = NULL;
    if (md_size_mul(a, b, &count) && md_size_mul(count, size, &bytes))
        memory = md_arena_alloc(r->arena, bytes);
    *ok = *ok && memory;
    return memory;
}

static mdlm_status allocate(sampler_run *r, mdlm_error *err) {
    size_t N = (size_t)r->canvas->samples, T = (size_t)r->canvas->length;
    size_t Y = (size_t)r->block_length;
    bool ok = true;
    if (!(r->arena = md_arena_new(err))) return MDLM_RUNTIME;
    r->open = take(r, 1, (size_t)r->open_count, sizeof *r->open, &ok);
    r->sample = take(r, 1, N, sizeof *r->sample, &ok);
    r->block_ids = take(r, N, Y, sizeof *r->block_ids, &ok);
    r->want = take(r, N, Y, sizeof *r->want, &ok);
    r->proposal = take(r, N, Y, sizeof *r->proposal, &ok);
    r->scratch = take(r, N, 2 * Y, sizeof *r->scratch, &ok);
    r->score = take(r, N, Y, sizeof *r->score, &ok);
    r->set_with = take(r, N, Y, sizeof *r->set_with, &ok);
    r->wanted = take(r, 1, Y, sizeof *r->wanted, &ok);
    r->place = take(r, 1, T, sizeof *r->place, &ok);
    r->confidence = take(r, N, T, sizeof *r->confidence, &ok);
    r->settled = take(r, N, T, sizeof *r->settled, &ok);
    r->changed = take(r, 1, N, sizeof *r->changed, &ok);
    r->draws = take(r, N, Y, sizeof *r->draws, &ok);
    if (!ok)
        return md_fail(err, MDLM_RUNTIME, "out of memory for %d samples of %d tokens",
                       r->canvas->samples, r->canvas->length);
    MD_TRY(md_query_init(&r->query, r->denoiser, r->canvas->length, r->canvas->samples, err));
    r->kept = md_kept_new(r->canvas->samples, r->denoiser->vocab, r->opt->keep_logits, err);
    if (!r->kept) return MDLM_RUNTIME;
    r->drawer = md_drawer_new(r->denoiser->vocab, r->denoiser->mask_id, r->opt, err);
    return r->drawer ? MDLM_OK : MDLM_RUNTIME;
}

static void release(sampler_run *r) {
    md_drawer_free(r->drawer);
    md_kept_free(r->kept);
    md_query_release(&r->query);
    md_arena_free(r->arena);
}

static void start(sampler_run *r) {
    const md_canvas *c = r->canvas;
    size_t T = (size_t)c->length, at = 0;
    for (int j = 0, n = 0; j < c->length; j++) {
        bool given = c->given && c->given[j];
        if (!given) r->place[j] = n % r->block_length, r->open[n++] = j;
    }
    for (int k = 0; k < c->samples; k++) {
        for (int j = 0; j < c->length; j++, at++) {
            bool given = c->given && c->given[j];
            MD_BUG_IF(!given && c->ids[(size_t)k * T + (size_t)j] != r->denoiser->mask_id);
            r->confidence[at] = given ? 1.0F : 0.0F;
            r->settled[at] = given;
        }
    }
}

static void start_block(sampler_run *r, int steps) {
    size_t Y = (size_t)r->block_length;
    for (int k = 0; k < r->canvas->samples; k++) {
        size_t at = (size_t)k * Y;
        r->sample[k] = (md_block_step){
            .length = r->block_length,
            .ids = r->block_ids + at,
            .want = r->want + at,
            .proposal = r->proposal + at,
            .masked = r->block_length,
            .mask_id = r->denoiser->mask_id,
            .steps = steps,
            .options = r->opt,
            .rng = {.seed = r->opt->seed, .stream = MD_STREAM_REMASK},
            .sequence = (uint32_t)(r->opt->first_index + k),
            .set_with = r->set_with + at,
            .scratch = r->scratch + 2 * at,
            .score = r->score + at,
        };
        for (size_t j = 0; j < Y; j++) r->block_ids[at + j] = r->denoiser->mask_id;
    }
}

static void select_positions(sampler_run *r, md_block_step *b, int step) {
    md_steps_at(b, r->process, step);
    b->rng.step = (uint64_t)r->work.steps;
    for (int j = 0; j < b->length; j++) b->want[j] = 0;
    r->opt->rule->select(b);
}

/* Notes a draw for this position of sample k. */
static void add_draw(sampler_run *r, int k, int32_t position, const float *logits) {
    md_rng rng = {.seed = r->opt->seed, .stream = MD_STREAM_TOKEN, .step = (uint64_t)r->work.steps};
    r->draws[r->draw_count++] = (md_draw){
        .logits = logits,
        .u = md_uniform(rng, r->sample[k].sequence, (uint32_t)position),
        .proposal = r->proposal + (size_t)k * (size_t)r->block_length + r->place[position]};
}

/* Asks for the collected canvases and makes all draws noted. */
static mdlm_status answer(sampler_run *r, mdlm_error *err) {
    md_query *q = &r->query;
    MD_TRY(md_query_run(q, err));
    for (int n = 0; n < q->count; n++)
        add_draw(r, (int)q->tag[q->rows[n] / q->T], q->rows[n] % q->T,
                 q->logits + (size_t)n * (size_t)r->denoiser->vocab);
    r->work.evaluations += q->canvases;
    int count = r->draw_count, drawn = md_drawer_draw(r->drawer, r->draws, count);
    r->draw_count = 0;
    if (drawn == count) return MDLM_OK;
    int64_t place = (r->draws[drawn].proposal - r->proposal) % r->block_length;
    return md_fail(err, MDLM_NUMERIC,
                   "logits of position %d at step %d are no distribution: expected finite numbers",
                   r->open[(int64_t)r->block * r->block_length + place], r->work.steps + 1);
}

/* Draws from what is kept of the canvas, or adds it to the next call. */
static mdlm_status propose_sample(sampler_run *r, int k, int count, mdlm_error *err) {
    if (md_kept_has(r->kept, k, r->wanted, count)) {
        for (int i = 0; i < count; i++)
            add_draw(r, k, r->wanted[i], md_kept_row(r->kept, k, r->wanted[i]));
        return MDLM_OK;
    }
    if (!md_query_fits(&r->query, count)) {
        MD_TRY(answer(r, err));
        md_query_clear(&r->query);
    }
    md_query_add(&r->query, r->canvas->ids + (size_t)k * (size_t)r->canvas->length, r->wanted,
                 count, k);
    return MDLM_OK;
}

static mdlm_status propose(sampler_run *r, mdlm_error *err) {
    const int32_t *open = r->open + (size_t)r->block * (size_t)r->block_length;
    md_query_clear(&r->query);
    for (int k = 0; k < r->canvas->samples; k++) {
        int count = 0;
        for (int j = 0; j < r->block_length; j++)
            if (r->sample[k].want[j]) r->wanted[count++] = open[j];
        if (count > 0) MD_TRY(propose_sample(r, k, count, err));
    }
    return answer(r, err);
}

/* Lets the rule commit, and carries what it did over to the canvas. */
static void commit(sampler_run *r, int k) {
    md_block_step *b = &r->sample[k];
    const int32_t *open = r->open + (size_t)r->block * (size_t)r->block_length;
    if (r->opt->rule->commit) r->opt->rule->commit(b);
    b->masked = 0;
    r->changed[k] = 0;
    for (int j = 0; j < b->length; j++) {
        size_t at = (size_t)k * (size_t)r->canvas->length + (size_t)open[j];
        if (!r->opt->rule->commit && b->want[j]) b->ids[j] = b->proposal[j].token;
        bool masked = b->ids[j] == b->mask_id;
        b->masked += masked;
        if (b->ids[j] == r->canvas->ids[at]) continue;
        r->changed[k] = 1;
        r->canvas->ids[at] = b->ids[j];
        r->confidence[at] = masked ? 0.0F : (float)b->proposal[j].confidence;
        r->set_with[(size_t)k * (size_t)r->block_length + (size_t)j] = r->confidence[at];
        r->settled[at] = !masked;
    }
}

static mdlm_status show(const sampler_run *r, mdlm_error *err) {
    if (!r->opt->on_step) return MDLM_OK;
    mdlm_step step = {
        .step = r->work.steps,
        .steps = r->steps,
        .block = r->block,
        .blocks = r->opt->blocks,
        .samples = r->canvas->samples,
        .length = r->canvas->length,
        .ids = r->canvas->ids,
        .confidence = r->confidence,
        .settled = r->settled,
        .evaluations = r->work.evaluations,
    };
    if (r->opt->on_step(r->opt->user, &step) == 0) return MDLM_OK;
    return md_fail(err, MDLM_CANCELLED, "cancelled after step %d of %d", step.step, step.steps);
}

static mdlm_status fill_block(sampler_run *r, mdlm_error *err) {
    int steps = md_steps_of_block(r->opt, r->steps, r->block, r->opt->blocks);
    start_block(r, steps);
    for (int i = 0; i < steps; i++) {
        for (int k = 0; k < r->canvas->samples; k++) select_positions(r, &r->sample[k], i);
        MD_TRY(propose(r, err));
        for (int k = 0; k < r->canvas->samples; k++) commit(r, k);
        md_kept_update(r->kept, &r->query, r->changed);
        r->work.steps++;
        MD_TRY(show(r, err));
    }
    return MDLM_OK;
}

mdlm_status md_sampler_run(const md_denoiser *denoiser, const md_masked *process,
                           const md_sampler_options *opt, const md_canvas *canvas,
                           md_sampler_work *work, mdlm_error *err) {
    sampler_run r = {.denoiser = denoiser, .process = process, .opt = opt, .canvas = canvas};
    mdlm_status status = MDLM_OK;
    MD_GOTO(done, status, plan(&r, err));
    if (r.open_count > 0) {
        MD_GOTO(done, status, allocate(&r, err));
        start(&r);
        for (r.block = 0; r.block < opt->blocks; r.block++)
            MD_GOTO(done, status, fill_block(&r, err));
    }
done:
    if (work && (status == MDLM_OK || status == MDLM_CANCELLED)) *work = r.work;
    release(&r);
    return status;
}
