/* sampler/image_loop.c: images in the sampling loop. See image_sampler.h and image_rule.h. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "base/rng.h"
#include "sampler/image_edit.h"
#include "sampler/image_rule.h"

enum { CHUNK = 512 }; /* normals that are drawn at a time */

/* N images of `size` numbers; B of them go into a call of the network. */
typedef struct md_image_loop {
    const md_image_denoiser *denoiser;
    const md_gaussian *process;
    const md_image_sampler_options *opt;
    const md_image_batch *batch;
    size_t size;
    int calls_of;             /* B */
    bool variances;           /* the network says them, too */
    md_level *levels;         /* [way_steps + 1] */
    float *x0;                /* [N, size] the last estimates */
    float *before;            /* [N, size] those before them; 0 at first */
    float *input;             /* [B, size] what the network is shown, where that is not x */
    double *time;             /* [B] */
    float *out;               /* [B, Y, X, outputs] */
    float *guess;             /* [B, size] the predictions in `out`, where it has variances */
    float *said;              /* [B, size] and what it says of those */
    uint8_t *broken;          /* [B] not finite */
    int step;                 /* of the whole way */
    int steps;                /* taken */
    md_image_repeats repeats; /* of steps that are gone through again, with a part known */
    int jumps;                /* back to more noise, so far */
    int round;                /* of the steps before this one */
    int64_t evaluations;
    /* the call at hand: images [first, first + count) */
    const md_image_move *move;
    md_reading read; /* x0 of a prediction */
    int first, count;
} md_image_loop;

md_image_sampler_options md_image_sampler_defaults(const md_image_rule *rule,
                                                   const md_gaussian *process) {
    const md_process_kind kind = process->opt.process;
    const bool karras = kind == MD_PROCESS_VE || (kind == MD_PROCESS_VP && rule->karras);
    return (md_image_sampler_options){
        .rule = rule,
        .steps = rule->steps < process->T ? rule->steps : process->T,
        .level_steps = rule->level_steps > 0 ? rule->level_steps : 1,
        .step_size = 0.5,
        .spacing = karras ? MD_SPACING_KARRAS : MD_SPACING_TRAILING,
        .clip = {.on = true, .most = INFINITY},
        .seed = 1,
        .start = -1,
        .jump = 10,
        .resamplings = 10,
        .batch = 64,
    };
}

/* Of the whole way. */
static int way_steps(const md_image_sampler_options *opt) {
    return opt->steps * opt->level_steps;
}

static int first_step(const md_image_sampler_options *opt) {
    return opt->start < 0 ? 0 : opt->start * opt->level_steps;
}

static md_image_repeats repeats_of(const md_image_sampler_options *opt, bool repaint) {
    return (md_image_repeats){.first = first_step(opt),
                              .steps = way_steps(opt),
                              .jump = opt->jump,
                              .resamplings = repaint ? opt->resamplings : 1};
}

int64_t md_image_sampler_steps(const md_image_sampler_options *opt, bool repaint) {
    const md_image_repeats repeats = repeats_of(opt, repaint);
    return md_image_repeats_steps(&repeats);
}

/* --- before the run -------------------------------------------------------------------------- */

static mdlm_status check_labels(const md_image_denoiser *denoiser, const md_image_batch *batch,
                                mdlm_error *err) {
    for (int k = 0; batch->label && k < batch->samples; k++) {
        if (batch->label[k] >= -1 && batch->label[k] < denoiser->classes) continue;
        if (denoiser->classes == 0)
            return md_fail(err, MDLM_USAGE, "class %d: the model was trained without classes",
                           batch->label[k]);
        return md_fail(err, MDLM_USAGE, "class %d: expected from 0 to %d, or none", batch->label[k],
                       denoiser->classes - 1);
    }
    return MDLM_OK;
}

static mdlm_status check_options(const md_image_loop *r, mdlm_error *err) {
    const md_image_sampler_options *opt = r->opt;
    const bool ddpm = opt->rule == &md_image_rule_ddpm;
    if (opt->start < -1 || opt->start >= opt->steps)
        return md_fail(err, MDLM_USAGE, "start at step %d: expected one of 0 to %d", opt->start,
                       opt->steps - 1);
    if (!(opt->eta >= 0 && opt->eta <= 1))
        return md_fail(err, MDLM_USAGE, "--eta %g: expected from 0 to 1", opt->eta);
    if (!(opt->step_size > 0 && opt->step_size <= 2))
        return md_fail(err, MDLM_USAGE, "--step-size %g: expected more than 0, up to 2",
                       opt->step_size);
    if (opt->first_index < 0)
        return md_fail(err, MDLM_USAGE, "--first-index %lld: expected at least 0",
                       (long long)opt->first_index);
    if (opt->jump < 1 || opt->resamplings < 1 || opt->resamplings > MD_MOST_RESAMPLINGS)
        return md_fail(err, MDLM_USAGE,
                       "%d resamplings of %d steps: expected from 1 to %d, of at least 1",
                       opt->resamplings, opt->jump, MD_MOST_RESAMPLINGS);
    if (ddpm && r->process->opt.variance == MD_VARIANCE_LEARNED && !r->variances)
        return md_fail(err, MDLM_USAGE,
                       "variance 'learned': the model predicts none, expected 'small' or 'large'");
    return MDLM_OK;
}

/* [n, each] zeroed numbers. */
static mdlm_status take(float **out, int n, size_t each, mdlm_error *err) {
    size_t count = SIZE_MAX;
    md_size_mul((size_t)n, each, &count);
    *out = md_alloc(count, sizeof **out, err);
    return *out ? MDLM_OK : MDLM_RUNTIME;
}

static mdlm_status allocate(md_image_loop *r, mdlm_error *err) {
    const int N = r->batch->samples, B = r->calls_of;
    MD_TRY(take(&r->x0, N, r->size, err));
    MD_TRY(take(&r->before, N, r->size, err));
    MD_TRY(take(&r->input, B, r->size, err));
    MD_TRY(take(&r->out, B, r->variances ? 2 * r->size : r->size, err));
    if (r->variances) {
        MD_TRY(take(&r->guess, B, r->size, err));
        MD_TRY(take(&r->said, B, r->size, err));
    }
    if (!(r->time = md_alloc((size_t)B, sizeof *r->time, err))) return MDLM_RUNTIME;
    if (!(r->broken = md_alloc((size_t)B, sizeof *r->broken, err))) return MDLM_RUNTIME;
    return MDLM_OK;
}

/* Steps at a level, and in all. How many levels there may be is the spacing's to say. */
static mdlm_status check_level_steps(const md_image_sampler_options *opt, mdlm_error *err) {
    const int most = opt->steps < 1 ? MD_MOST_TIMESTEPS : MD_MOST_TIMESTEPS / opt->steps;
    if (opt->level_steps == 1) return MDLM_OK;
    if (opt->rule->level_steps == 0)
        return md_fail(err, MDLM_USAGE, "%d steps at a level: expected 1 with '%s'",
                       opt->level_steps, opt->rule->name);
    if (opt->level_steps > 1 && opt->level_steps <= most) return MDLM_OK;
    return md_fail(err, MDLM_USAGE, "%d steps at each of %d levels: expected from 1 to %d",
                   opt->level_steps, opt->steps, most);
}

/* The levels, of options that make sense. */
static mdlm_status plan(md_image_loop *r, mdlm_error *err) {
    const md_image_sampler_options *opt = r->opt;
    MD_TRY(check_level_steps(opt, err));
    const int steps = opt->steps < 1 ? 0 : way_steps(opt);
    r->levels = md_alloc((size_t)steps + 1, sizeof *r->levels, err);
    if (!r->levels) return MDLM_RUNTIME;
    MD_TRY(md_image_way_levels(r->process, opt, r->levels, err));
    return check_options(r, err);
}

static void release(md_image_loop *r) {
    md_free(r->levels);
    md_free(r->x0);
    md_free(r->before);
    md_free(r->input);
    md_free(r->time);
    md_free(r->out);
    md_free(r->guess);
    md_free(r->said);
    md_free(r->broken);
}

/* --- each image ------------------------------------------------------------------------------ */

static void run_tasks(md_image_loop *r, const char *what, int count, md_task_fn task) {
    if (r->opt->pool) {
        md_pool_run(r->opt->pool, what, count, task, r);
    } else {
        for (int i = 0; i < count; i++) task(r, i, 0);
    }
}

/* Normals [at, at + count) of image k for what begins `step` steps from the noise, others after
 * every jump. */
static void draw(const md_image_loop *r, md_stream stream, int step, int64_t k, size_t at,
                 int64_t count, float *z) {
    enum { STEP_BITS = 24 };
    const md_rng rng = {.seed = r->opt->seed,
                        .stream = stream,
                        .step = (uint64_t)step | (uint64_t)r->jumps << STEP_BITS};
    const int64_t index = r->opt->one_noise ? 0 : r->opt->first_index + k;
    md_normal_fill(rng, (uint32_t)index, (uint32_t)at, count, z);
}

/* Task k: what image k starts from: noise, or its source with the noise of the first level. */
static void start_image(void *context, int64_t k, int worker) {
    const md_image_loop *r = context;
    const bool of_source = r->opt->start >= 0;
    const md_level from = r->levels[first_step(r->opt)];
    const float scale = (float)(of_source ? from.noise : md_gaussian_start(r->process, from));
    float *x = r->batch->x + (size_t)k * r->size;
    (void)worker;
    draw(r, MD_STREAM_NOISE, 0, k, 0, (int64_t)r->size, x);
    for (size_t i = 0; i < r->size; i++) x[i] *= scale;
    if (!of_source) return;
    const float *source = r->batch->source + (size_t)k * r->size;
    for (size_t i = 0; i < r->size; i++) x[i] += (float)(from.signal * (double)source[i]);
}

/* What z is multiplied by. */
static void scale_noise(const md_image_loop *r, const float *said, int64_t count, float *z) {
    const md_image_move *m = r->move;
    for (int64_t i = 0; i < count; i++) {
        double sd = m->noise;
        if (m->learned)
            sd = exp(0.5 * md_gaussian_log_variance(r->process, &m->back, (double)said[i]));
        z[i] = (float)(sd * (double)z[i]);
    }
}

static bool is_finite(const float *x, size_t count) {
    bool finite = true;
    for (size_t i = 0; i < count; i++) finite = finite & (fabsf(x[i]) <= FLT_MAX);
    return finite;
}

/* Task i: the move of image i of the call. */
static void move_image(void *context, int64_t i, int worker) {
    md_image_loop *r = context;
    const md_image_move *m = r->move;
    const size_t own = (size_t)i * r->size, at = (size_t)r->first * r->size + own;
    float *x = r->batch->x + at, *x0 = r->x0 + at, *before = r->before + at;
    const float *guess = r->out + own;
    float z[CHUNK] = {0};
    (void)worker;
    if (r->variances) {
        const int C = r->denoiser->shape.C;
        md_prediction_split(r->out + 2 * own, (int64_t)r->size / C, C, r->guess + own,
                            r->said + own);
        guess = r->guess + own;
    }
    md_reading_apply(r->read, x, guess, (int64_t)r->size, x0);
    md_clip_x0_apply(&r->opt->clip, x0, (int64_t)r->size);
    for (size_t j = 0; j < r->size; j += CHUNK) {
        const int count = (int)(r->size - j < CHUNK ? r->size - j : CHUNK);
        if (m->noise > 0 || m->learned) {
            draw(r, MD_STREAM_NOISE, r->step + 1, r->first + i, j, count, z);
            scale_noise(r, r->said ? r->said + own + j : NULL, count, z);
        }
        for (int n = 0; n < count; n++)
            x[j + n] = (float)(m->keep * (double)x[j + n] + m->image * (double)x0[j + n] +
                               m->before * (double)before[j + n] + (double)z[n]);
    }
    r->broken[i] = !is_finite(x, r->size);
}

/* --- where a part of each image is known ------------------------------------------------------ */

/* Task k: known pixels of image k become the source's with the noise of level r->step. */
static void keep_known(void *context, int64_t k, int worker) {
    const md_image_loop *r = context;
    const md_level at = r->levels[r->step];
    const size_t own = (size_t)k * r->size, C = (size_t)r->denoiser->shape.C;
    const uint8_t *repaint = r->batch->repaint + own / C;
    const float *source = r->batch->source + own;
    float *x = r->batch->x + own, z[CHUNK] = {0};
    (void)worker;
    for (size_t j = 0; j < r->size; j += CHUNK) {
        const int count = (int)(r->size - j < CHUNK ? r->size - j : CHUNK);
        if (at.noise > 0) draw(r, MD_STREAM_KNOWN, r->step, k, j, count, z);
        for (size_t i = j; i < j + (size_t)count; i++)
            if (!repaint[i / C])
                x[i] = (float)(at.signal * (double)source[i] + at.noise * (double)z[i - j]);
    }
}

/* Task k: image k goes back to the level r->step, of more noise, from where `jump` steps led. */
static void add_noise(void *context, int64_t k, int worker) {
    const md_image_loop *r = context;
    const md_image_noising how =
        md_image_noising_of(r->levels[r->step + r->opt->jump], r->levels[r->step]);
    float *x = r->batch->x + (size_t)k * r->size, z[CHUNK];
    (void)worker;
    for (size_t j = 0; j < r->size; j += CHUNK) {
        const int count = (int)(r->size - j < CHUNK ? r->size - j : CHUNK);
        draw(r, MD_STREAM_KNOWN, r->step, k, j, count, z);
        for (int i = 0; i < count; i++)
            x[j + i] = (float)(how.keep * (double)x[j + i] + how.noise * (double)z[i]);
    }
}

/* Whether the steps before this one begin again. */
static bool jump_back(md_image_loop *r) {
    if (!r->batch->repaint || !md_image_repeats_end(&r->repeats, r->step)) return false;
    r->round = (r->round + 1) % r->opt->resamplings;
    if (r->round == 0) return false;
    r->step -= r->opt->jump;
    r->jumps++;
    run_tasks(r, "noise", r->batch->samples, add_noise);
    return true;
}

/* --- steps ----------------------------------------------------------------------------------- */

/* What the network is shown of the call's images: x, scaled as the process says. */
static const float *show_network(md_image_loop *r) {
    const float scale = (float)md_gaussian_input(r->process, r->move->at);
    const float *x = r->batch->x + (size_t)r->first * r->size;
    for (int i = 0; i < r->count; i++) r->time[i] = r->move->at.time;
    if (scale == 1) return x;
    for (size_t i = 0; i < (size_t)r->count * r->size; i++) r->input[i] = scale * x[i];
    return r->input;
}

/* One call of the network, and the move of its images. */
static mdlm_status call(md_image_loop *r, mdlm_error *err) {
    const md_image_denoiser *d = r->denoiser;
    const size_t each = (size_t)d->shape.Y * (size_t)d->shape.X * (size_t)d->given;
    const md_image_query query = {.x = show_network(r),
                                  .time = r->time,
                                  .label = r->batch->label ? r->batch->label + r->first : NULL,
                                  .given =
                                      d->given ? r->batch->given + (size_t)r->first * each : NULL,
                                  .B = r->count};
    MD_TRY(d->predict(d->context, &query, r->out, err));
    r->evaluations += r->count;
    run_tasks(r, "sampling step", r->count, move_image);
    for (int i = 0; i < r->count; i++)
        if (r->broken[i])
            return md_fail(err, MDLM_NUMERIC, "image %lld at step %d: its numbers are not finite",
                           (long long)r->opt->first_index + r->first + i, r->step + 1);
    return MDLM_OK;
}

static mdlm_status make_move(md_image_loop *r, const md_image_move *move, mdlm_error *err) {
    const int N = r->batch->samples;
    float *swap = r->before;
    r->before = r->x0, r->x0 = swap;
    r->move = move;
    r->read =
        md_prediction_read(r->process, move->at, r->process->opt.prediction, MD_PREDICTS_IMAGE);
    for (r->first = 0; r->first < N; r->first += r->count) {
        r->count = N - r->first < r->calls_of ? N - r->first : r->calls_of;
        MD_TRY(call(r, err));
    }
    return MDLM_OK;
}

static mdlm_status step(void *context, mdlm_error *err) {
    md_image_loop *r = context;
    const bool again = jump_back(r), first = again || r->step == first_step(r->opt);
    const md_level *from = r->levels + r->step;
    md_image_move move[MD_IMAGE_MOVES];
    md_image_way way = {.process = r->process,
                        .options = r->opt,
                        .first = first,
                        .before = first ? *from : from[-1],
                        .from = from[0],
                        .to = from[1]};
    const int moves = r->opt->rule->moves(&way, move);
    for (int i = 0; i < moves; i++) MD_TRY(make_move(r, &move[i], err));
    r->step++;
    if (r->batch->repaint) run_tasks(r, "known pixels", r->batch->samples, keep_known);
    return MDLM_OK;
}

static int start_block(void *context, int block) {
    md_image_loop *r = context;
    (void)block;
    r->step = first_step(r->opt);
    if (r->opt->start < 0 || r->batch->source)
        run_tasks(r, "noise", r->batch->samples, start_image);
    if (r->batch->repaint) run_tasks(r, "known pixels", r->batch->samples, keep_known);
    return r->batch->samples;
}

static int finish(void *context) {
    const md_image_loop *r = context;
    return r->step < r->repeats.steps ? r->batch->samples : 0;
}

static int show(void *context, int taken, int steps) {
    const md_image_loop *r = context;
    if (!r->opt->on_step) return 0;
    const md_image_step shown = {.step = taken,
                                 .steps = steps,
                                 .samples = r->batch->samples,
                                 .shape = r->denoiser->shape,
                                 .x = r->batch->x,
                                 .x0 = r->x0,
                                 .level = r->levels[r->step],
                                 .evaluations = r->evaluations};
    return r->opt->on_step(r->opt->user, &shown);
}

static mdlm_status sample(md_image_loop *r, mdlm_error *err) {
    MD_TRY(plan(r, err));
    const md_sampling loop = {.context = r,
                              .blocks = 1,
                              .steps = (int)md_image_repeats_steps(&r->repeats),
                              .start_block = start_block,
                              .step = step,
                              .finish = finish,
                              .show = show};
    MD_TRY(check_labels(r->denoiser, r->batch, err));
    MD_TRY(allocate(r, err));
    return md_sampling_run(&loop, &r->steps, err);
}

static md_image_loop loop_of(const md_image_denoiser *denoiser, const md_gaussian *process,
                             const md_image_sampler_options *opt) {
    const md_image_shape s = denoiser->shape;
    MD_BUG_IF(!opt->rule || opt->batch < 1);
    MD_BUG_IF(s.Y < 1 || s.X < 1 || s.C < 1 || (double)s.Y * s.X * s.C > UINT32_MAX);
    MD_BUG_IF(denoiser->outputs != s.C && denoiser->outputs != 2 * s.C);
    return (md_image_loop){.denoiser = denoiser,
                           .process = process,
                           .opt = opt,
                           .size = (size_t)s.Y * (size_t)s.X * (size_t)s.C,
                           .variances = denoiser->outputs == 2 * s.C};
}

mdlm_status md_image_sampler_check(const md_image_denoiser *denoiser, const md_gaussian *process,
                                   const md_image_sampler_options *opt, mdlm_error *err) {
    md_image_loop r = loop_of(denoiser, process, opt);
    mdlm_status status = plan(&r, err);
    release(&r);
    return status;
}

mdlm_status md_image_sampler_run(const md_image_denoiser *denoiser, const md_gaussian *process,
                                 const md_image_sampler_options *opt, const md_image_batch *batch,
                                 md_sampler_work *work, mdlm_error *err) {
    md_image_loop r = loop_of(denoiser, process, opt);
    MD_BUG_IF(batch->samples < 1 || (denoiser->given > 0) != (batch->given != NULL));
    MD_BUG_IF(batch->repaint && !batch->source);
    r.batch = batch;
    r.repeats = repeats_of(opt, batch->repaint != NULL);
    r.calls_of = opt->batch < batch->samples ? opt->batch : batch->samples;
    mdlm_status status = sample(&r, err);
    if (status == MDLM_CANCELLED) {
        memcpy(batch->x, r.x0, (size_t)batch->samples * r.size * sizeof *r.x0);
        r.step = r.repeats.steps;
        if (batch->repaint) run_tasks(&r, "known pixels", batch->samples, keep_known);
    }
    if (work && (status == MDLM_OK || status == MDLM_CANCELLED))
        *work = (md_sampler_work){.steps = r.steps, .evaluations = r.evaluations};
    release(&r);
    return status;
}
