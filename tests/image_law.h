/* tests/image_law.h: images whose law is known, Gaussian ones: what the best network says of them,
 * as a denoiser and as a number, and what the rules for images make of it.
 *
 * Numbers of an image are independent, N(mean, sd^2); the mean is a class's: label / 4, none: 0.
 *
 *     x0(x) = mean + fraction * (x - signal * mean),
 *     fraction = signal sd^2 / (signal^2 sd^2 + noise^2)
 *
 *     md_gaussian p = gaussian_of((md_gaussian_options){.timesteps = 1000});
 *     double variance = law_variance(&p, &opt, 0.25);             of what a rule makes of sd 1/2
 *     law_model model = {.process = &p, .shape = {8, 8, 3}, .sd = 0.5};
 *     md_image_denoiser denoiser = law_denoiser(&model);
 */
#ifndef TESTS_IMAGE_LAW_H
#define TESTS_IMAGE_LAW_H

#include <math.h>
#include <string.h>

#include "sampler/image_rule.h"
#include "tests/gaussian_process.h"

static inline double law_fraction(md_level at, double variance) {
    return at.signal * variance / (at.signal * at.signal * variance + at.noise * at.noise);
}

/* --- the rules, in numbers ------------------------------------------------------------------- */

/* One number on its way through the levels, all of whose steps are lines: x and the estimate before
 * as multiples of what x was at the start, and the variance of the noise that was added. */
typedef struct law_state {
    double x, before, noise;
} law_state;

/* `variance` is the data's. */
static inline void law_step(law_state *s, const md_image_way *way, double variance) {
    md_image_move move[MD_IMAGE_MOVES];
    int moves = way->options->rule->moves(way, move);
    for (int i = 0; i < moves; i++) {
        const md_image_move *m = &move[i];
        double fraction = law_fraction(m->at, variance), x0 = fraction * s->x;
        double gain = m->keep + m->image * fraction;
        s->x = m->keep * s->x + m->image * x0 + m->before * s->before;
        s->noise =
            gain * gain * s->noise + m->noise * m->noise; /* a rule with noise looks not back */
        s->before = x0;
    }
}

/* Step i from 0 of those that go from level to level. */
static inline md_image_way law_way(const md_gaussian *p, const md_image_sampler_options *opt,
                                   const md_level *levels, int i) {
    return (md_image_way){.process = p,
                          .options = opt,
                          .first = i == 0,
                          .before = levels[i > 0 ? i - 1 : 0],
                          .from = levels[i],
                          .to = levels[i + 1]};
}

/* The state at levels[steps], of a number that was 1 at levels[0]. */
static inline law_state law_walk(const md_gaussian *p, const md_level *levels, int steps,
                                 const md_image_sampler_options *opt, double variance) {
    law_state s = {.x = 1};
    for (int i = 0; i < steps; i++) {
        const md_image_way way = law_way(p, opt, levels, i);
        law_step(&s, &way, variance);
    }
    return s;
}

/* Of samples that start from noise and take the levels of their way. */
static inline double law_variance(const md_gaussian *p, const md_image_sampler_options *opt,
                                  double variance) {
    static md_level levels[4001];
    mdlm_error err;
    const int steps = opt->steps * opt->level_steps;
    ck_assert_int_le(steps, 4000);
    assert_ok(md_image_way_levels(p, opt, levels, &err));
    law_state s = law_walk(p, levels, steps, opt, variance);
    double start = md_gaussian_start(p, levels[0]);
    return start * start * s.x * s.x + s.noise;
}

/* --- runs ------------------------------------------------------------------------------------ */

/* A process of each kind, with a prediction that suits it. */
enum { LAW_KINDS = 5 };
static inline md_gaussian law_kind(int i) {
    static const md_gaussian_options all[LAW_KINDS] = {
        {.schedule = MD_BETA_COSINE, .timesteps = 200},
        {.timesteps = 1000, .zero_snr = true, .prediction = MD_PREDICTS_VELOCITY},
        {.process = MD_PROCESS_VE, .timesteps = 60, .prediction = MD_PREDICTS_IMAGE},
        {.process = MD_PROCESS_FLOW, .timesteps = 100, .prediction = MD_PREDICTS_VELOCITY},
        {.timesteps = 100, .prediction = MD_PREDICTS_SCORE},
    };
    return gaussian_of(all[i]);
}

/* Nothing is clipped, so that the law holds. */
static inline md_image_sampler_options law_options(const char *rule, const md_gaussian *p,
                                                   int steps) {
    md_image_sampler_options opt = md_image_sampler_defaults(md_image_rule_find(rule), p);
    opt.steps = steps;
    opt.clip.on = false;
    opt.seed = 3;
    return opt;
}

/* --- the network ----------------------------------------------------------------------------- */

typedef struct law_model {
    const md_gaussian *process;
    md_image_shape shape;
    int outputs; /* C or 2 C */
    double sd;
    double bend; /* bend * sin(3 x) is added to x0, so that it is no line */
    double said; /* of the variance */
    /* what was asked */
    int calls, images, most; /* of them in one call */
    int fail_at, nan_at;     /* calls, counted from 1, that fail, or end in NaN; 0: none */
} law_model;

/* The level that a network is told by its time. */
static inline md_level law_level(const md_gaussian *p, double time) {
    if (p->opt.process == MD_PROCESS_VE) return md_gaussian_level_at(p, exp(4 * time));
    if (p->opt.process == MD_PROCESS_FLOW)
        return (md_level){.signal = 1 - time / 1000, .noise = time / 1000, .time = time};
    int i = (int)time < p->T - 1 ? (int)time : p->T - 2; /* times are numbers of levels */
    if (time == i) return md_gaussian_level(p, i);
    double part = time - i;
    double lambda =
        part < 1 ? p->lambda[i] + part * (p->lambda[i + 1] - p->lambda[i]) : p->lambda[i + 1];
    return md_gaussian_level_at(p, exp(-lambda / 2));
}

static inline double law_x0(const law_model *m, md_level at, double mean, double x) {
    double fraction = law_fraction(at, m->sd * m->sd);
    return mean + fraction * (x - at.signal * mean) + m->bend * sin(3 * x);
}

/* What says x0 as the process predicts. */
static inline double law_prediction(const md_gaussian *p, md_level at, double x0, double x) {
    switch (p->opt.prediction) {
    case MD_PREDICTS_IMAGE: return x0;
    case MD_PREDICTS_NOISE: return (x - at.signal * x0) / at.noise;
    case MD_PREDICTS_SCORE: return -(x - at.signal * x0) / (at.noise * at.noise);
    case MD_PREDICTS_VELOCITY: break;
    }
    double eps = (x - at.signal * x0) / at.noise;
    if (p->opt.process == MD_PROCESS_FLOW) return x0 - eps;
    ck_assert(p->opt.process == MD_PROCESS_VP);
    return at.signal * eps - at.noise * x0;
}

static inline double law_mean(int32_t label) {
    return label < 0 ? 0 : label / 4.0;
}

static inline mdlm_status law_predict(void *context, const md_image_query *q, float *out,
                                      mdlm_error *err) {
    const float *x = q->x;
    const double *time = q->time;
    const int32_t *label = q->label;
    const int B = q->B;
    law_model *m = context;
    const md_image_shape s = m->shape;
    const int pixels = s.Y * s.X;
    m->calls++;
    m->images += B;
    m->most = B > m->most ? B : m->most;
    if (m->calls == m->fail_at) return md_fail(err, MDLM_RUNTIME, "the network is gone");
    for (int b = 0; b < B; b++) {
        const md_level at = law_level(m->process, time[b]);
        const double input = md_gaussian_input(m->process, at),
                     mean = law_mean(label ? label[b] : -1);
        for (int i = 0; i < pixels * s.C; i++, x++) {
            const double own = (double)*x / input, x0 = law_x0(m, at, mean, own);
            float *to = out + (b * pixels + i / s.C) * m->outputs + i % s.C;
            *to = (float)law_prediction(m->process, at, x0, own);
            if (m->outputs == 2 * s.C) to[s.C] = (float)m->said;
        }
    }
    if (m->calls == m->nan_at) out[B * pixels * m->outputs - m->outputs] = NAN;
    return MDLM_OK;
}

enum { LAW_CLASSES = 4 };

static inline md_image_denoiser law_denoiser(law_model *model) {
    if (model->outputs == 0) model->outputs = model->shape.C;
    return (md_image_denoiser){.context = model,
                               .shape = model->shape,
                               .outputs = model->outputs,
                               .classes = LAW_CLASSES,
                               .predict = law_predict};
}

#endif
