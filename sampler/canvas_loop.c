/* sampler/canvas_loop.c: canvases in the sampling loop. See sampler.h and rule.h. */
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "diffusion/query.h"
#include "sampler/constraint.h"
#include "sampler/canvas_loop.h"

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

/* Of the drawer and of rules; NaN is in no range. */
static mdlm_status check_options(const md_sampler_options *opt, const md_denoiser *denoiser,
                                 mdlm_error *err) {
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
    if (!(opt->threshold >= 0 && opt->threshold <= 1))
        return md_fail(err, MDLM_USAGE, "--threshold %g: expected from 0 to 1", opt->threshold);
    if (!(opt->factor > 0) || !isfinite(opt->factor))
        return md_fail(err, MDLM_USAGE, "--factor %g: expected a number above 0", opt->factor);
    if (!(opt->eta <= 1)) return md_fail(err, MDLM_USAGE, "--eta %g: expected at most 1", opt->eta);
    if (!(opt->alg_temperature >= 0) || !isfinite(opt->alg_temperature))
        return md_fail(err, MDLM_USAGE, "--alg-temp %g: expected a number from 0",
                       opt->alg_temperature);
    if (!(opt->edit_threshold >= 0 && opt->edit_threshold < 1))
        return md_fail(err, MDLM_USAGE, "--edit-threshold %g: expected from 0 to below 1",
                       opt->edit_threshold);
    if (opt->edit_threshold > 0 && denoiser->sight == MD_SEES_PAST)
        return md_fail(err, MDLM_USAGE,
                       "--edit-threshold: the model sees no token after the one that it predicts, "
                       "so there is nothing to look at again");
    return MDLM_OK;
}

/* --- memory ---------------------------------------------------------------------------------- */

/* NULL when the product wraps or there is no memory; `ok` collects that. */
static void *take(md_canvas_loop *r, size_t a, size_t b, size_t size, bool *ok) {
    size_t count = 0, bytes = 0;
    void *memory = NULL;
    if (md_size_mul(a, b, &count) && md_size_mul(count, size, &bytes))
        memory = md_arena_alloc(r->arena, bytes);
    *ok = *ok && memory;
    return memory;
}

static mdlm_status allocate(md_canvas_loop *r, mdlm_error *err) {
    size_t N = (size_t)r->canvas->samples, T = (size_t)r->canvas->length;
    size_t Y = (size_t)r->plan.longest;
    bool ok = true;
    if (!(r->arena = md_arena_new(err))) return MDLM_RUNTIME;
    r->samples = take(r, 1, N, sizeof *r->samples, &ok);
    r->block_ids = take(r, N, Y, sizeof *r->block_ids, &ok);
    r->want = take(r, N, Y, sizeof *r->want, &ok);
    r->edit = take(r, N, Y, sizeof *r->edit, &ok);
    r->proposal = take(r, N, Y, sizeof *r->proposal, &ok);
    r->scratch = take(r, N, 2 * Y, sizeof *r->scratch, &ok);
    r->score = take(r, N, Y, sizeof *r->score, &ok);
    r->set_with = take(r, N, Y, sizeof *r->set_with, &ok);
    r->confidence = take(r, N, T, sizeof *r->confidence, &ok);
    r->settled = take(r, N, T, sizeof *r->settled, &ok);
    r->wants = take(r, 1, N, sizeof *r->wants, &ok);
    r->positions = take(r, N, Y, sizeof *r->positions, &ok);
    r->logits = take(r, N, Y, sizeof *r->logits, &ok);
    r->answered = take(r, 1, N, sizeof *r->answered, &ok);
    r->changed = take(r, 1, N, sizeof *r->changed, &ok);
    r->draws = take(r, N, Y, sizeof *r->draws, &ok);
    r->allowed = take(r, 1, (size_t)r->denoiser->vocab, sizeof *r->allowed, &ok);
    if (!ok)
        return md_fail(err, MDLM_RUNTIME, "out of memory for %d samples of %d tokens",
                       r->canvas->samples, r->canvas->length);
    MD_TRY(md_ask_new(r->denoiser, r->opt, r->canvas, &r->ask, err));
    r->drawer = md_drawer_new(r->denoiser->vocab, r->denoiser->mask_id, r->opt, err);
    return r->drawer ? MDLM_OK : MDLM_RUNTIME;
}

static void release(md_canvas_loop *r) {
    md_drawer_free(r->drawer);
    md_ask_free(r->ask);
    md_arena_free(r->arena);
    md_blocks_release(&r->plan);
}

/* --- blocks ---------------------------------------------------------------------------------- */

static void start(md_canvas_loop *r) {
    const md_canvas *c = r->canvas;
    size_t Y = (size_t)r->plan.longest, at = 0;
    for (int k = 0; k < c->samples; k++) {
        size_t block = (size_t)k * Y;
        r->wants[k] = (md_want){.ids = md_canvas_ids(r, k),
                                .positions = r->positions + block,
                                .logits = r->logits + block};
        r->samples[k] = (md_canvas_sample){.edit = r->edit + block};
        for (int j = 0; j < c->length; j++, at++) {
            bool given = c->given && c->given[j];
            MD_BUG_IF(!given && c->ids[at] != r->denoiser->mask_id);
            r->confidence[at] = given ? 1.0F : 0.0F;
            r->settled[at] = given;
        }
    }
}

static int start_block(void *context, int block) {
    md_canvas_loop *r = context;
    int busy = 0;
    r->block = &r->plan.item[block];
    for (int k = 0; k < r->canvas->samples; k++) {
        size_t at = (size_t)k * (size_t)r->plan.longest;
        md_canvas_sample *s = &r->samples[k];
        s->done = s->stopped;
        busy += !s->done;
        s->extra = 0;
        s->step = (md_block_step){
            .length = r->block->length,
            .ids = r->block_ids + at,
            .want = r->want + at,
            .proposal = r->proposal + at,
            .masked = r->block->length,
            .mask_id = r->denoiser->mask_id,
            .steps = r->block->steps,
            .set_with = r->set_with + at,
            .options = r->opt,
            .rng = {.seed = r->opt->seed, .stream = MD_STREAM_REMASK},
            .sequence = (uint32_t)(r->opt->first_index + k),
            .scratch = r->scratch + 2 * at,
            .score = r->score + at,
        };
        for (int j = 0; j < r->block->length; j++) s->step.ids[j] = r->denoiser->mask_id;
    }
    r->step = 0;
    md_ask_start_block(r->ask, r->block);
    return busy;
}

static bool is_done(const md_canvas_loop *r, md_canvas_sample *s) {
    if (r->step + 1 == r->block->most_steps) return true;
    if (!r->opt->rule->until_filled || s->step.masked > 0) return false;
    if (!(r->opt->edit_threshold > 0)) return true;
    if (s->had_masked) return false;
    return s->edits == 0 || ++s->extra == r->block->length;
}

/* Fills what is open behind a block that holds end-of-text, if a constraint lets it. */
static void stop_at_end(md_canvas_loop *r, int k) {
    const md_canvas_sample *s = &r->samples[k];
    const int first = r->block->first + r->block->length, left = r->plan.open_count - first;
    const int32_t *open = r->plan.open + first, end = r->opt->end_of_text_id;
    int32_t *ids = md_canvas_ids(r, k);
    bool found = false;
    for (int j = 0; j < s->step.length; j++) found = found || s->step.ids[j] == end;
    if (!found) return;
    if (r->opt->constraint && !md_constraint_lets(r->opt->constraint, ids, r->canvas->length, open,
                                                  left, end, r->allowed))
        return;
    for (int i = 0; i < left; i++) {
        size_t at = (size_t)k * (size_t)r->canvas->length + (size_t)open[i];
        ids[open[i]] = end;
        r->confidence[at] = 1.0F;
        r->settled[at] = 1;
    }
    r->samples[k].stopped = true;
}

/* Settles the block in samples that are done with it; returns how many are not. */
static int finish(void *context) {
    md_canvas_loop *r = context;
    int busy = 0;
    for (int k = 0; k < r->canvas->samples; k++) {
        md_canvas_sample *s = &r->samples[k];
        uint8_t *settled = r->settled + (size_t)k * (size_t)r->canvas->length;
        if (s->done) continue;
        s->done = is_done(r, s);
        busy += !s->done;
        if (!s->done) continue;
        for (int j = 0; j < s->step.length; j++) settled[md_canvas_open(r)[j]] = 1;
        if (r->opt->end_of_text == MD_END_STOP) stop_at_end(r, k);
    }
    r->step++;
    return busy;
}

static int show(void *context, int taken, int steps) {
    const md_canvas_loop *r = context;
    if (!r->opt->on_step) return 0;
    mdlm_step step = {
        .step = taken,
        .steps = steps,
        .block = (int)(r->block - r->plan.item),
        .blocks = r->plan.count,
        .samples = r->canvas->samples,
        .length = r->canvas->length,
        .ids = r->canvas->ids,
        .confidence = r->confidence,
        .settled = r->settled,
        .evaluations = md_ask_evaluations(r->ask),
    };
    return r->opt->on_step(r->opt->user, &step);
}

static mdlm_status fill(md_canvas_loop *r, mdlm_error *err) {
    const md_sampling loop = {.context = r,
                              .blocks = r->plan.count,
                              .steps = r->plan.steps,
                              .start_block = start_block,
                              .step = md_canvas_step,
                              .finish = finish,
                              .show = show};
    MD_TRY(allocate(r, err));
    start(r);
    return md_sampling_run(&loop, &r->steps, err);
}

mdlm_status md_sampler_run(const md_denoiser *denoiser, const md_masked *process,
                           const md_sampler_options *opt, const md_canvas *canvas,
                           md_sampler_work *work, mdlm_error *err) {
    md_canvas_loop r = {.denoiser = denoiser, .process = process, .opt = opt, .canvas = canvas};
    mdlm_status status = MDLM_OK;
    MD_BUG_IF(!opt->rule || canvas->samples < 1 || canvas->length < 1);
    MD_GOTO(done, status, check_options(opt, denoiser, err));
    MD_GOTO(done, status, md_blocks_init(&r.plan, denoiser, opt, canvas, err));
    if (opt->constraint) MD_GOTO(done, status, md_constraint_check(opt->constraint, canvas, err));
    if (r.plan.open_count > 0) MD_GOTO(done, status, fill(&r, err));
done:
    if (work && (status == MDLM_OK || status == MDLM_CANCELLED))
        *work = (md_sampler_work){.steps = r.steps,
                                  .evaluations = r.ask ? md_ask_evaluations(r.ask) : 0};
    release(&r);
    return status;
}
