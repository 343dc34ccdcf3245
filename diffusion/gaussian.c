/* diffusion/gaussian.c: see gaussian.h. */
#include "diffusion/gaussian.h"

#include <math.h>
#include <string.h>

#include "base/memory.h"
#include "diffusion/gaussian_predict.h"
#include "diffusion/gaussian_schedule.h"
#include "diffusion/gaussian_spacing.h"

const char *const md_process_names[] = {"vp", "ve", "flow", NULL};
const char *const md_beta_schedule_names[] = {"linear",  "cosine",  "scaled-linear",
                                              "sigmoid", "learned", NULL};
const char *const md_prediction_names[] = {"eps", "x0", "v", "score", NULL};
const char *const md_variance_names[] = {"small", "large", "learned", NULL};

static const double flow_time = 1000; /* of noise alone */

int md_name_value(const char *const *names, const char *name) {
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0) return i;
    return -1;
}

/* --- the process ----------------------------------------------------------------------------- */

/* The noisiest level is noise alone. */
static bool ends_in_noise(const md_gaussian_options *o) {
    return o->process == MD_PROCESS_FLOW || (o->process == MD_PROCESS_VP && o->zero_snr);
}

static mdlm_status check(const md_gaussian_options *o, mdlm_error *err) {
    int T = o->timesteps;
    bool vp = o->process == MD_PROCESS_VP, learned = vp && o->schedule == MD_BETA_LEARNED;
    if (T < MD_LEAST_TIMESTEPS || T > MD_MOST_TIMESTEPS)
        return md_fail(err, MDLM_USAGE, "%d timesteps: expected from %d to %d", T,
                       MD_LEAST_TIMESTEPS, MD_MOST_TIMESTEPS);
    if (o->zero_snr && (!vp || learned))
        return md_fail(err, MDLM_USAGE,
                       "zero terminal snr is for noise schedules made of betas, "
                       "not for %s",
                       vp ? "'learned'" : md_process_names[o->process]);
    if (vp && !learned && !(md_beta(o->schedule, T, T - 1) < 1))
        return md_fail(err, MDLM_USAGE,
                       "the noise schedule '%s' reaches beta = 1 with %d timesteps: "
                       "expected more than %d",
                       md_beta_schedule_names[o->schedule], T,
                       o->schedule == MD_BETA_LINEAR ? 20 : 12);
    bool of_noise = o->prediction == MD_PREDICTS_NOISE || o->prediction == MD_PREDICTS_SCORE;
    if (ends_in_noise(o) && of_noise)
        return md_fail(err, MDLM_USAGE,
                       "%s ends in noise alone, where a prediction of '%s' says "
                       "nothing about the image: expected 'x0' or 'v'",
                       vp ? "zero terminal snr" : "the process 'flow'",
                       md_prediction_names[o->prediction]);
    return MDLM_OK;
}

static md_level ve_level(double sigma) {
    return (md_level){.signal = 1, .noise = sigma, .time = sigma > 0 ? log(sigma) / 4 : 0};
}

static md_level flow_level(double noise) {
    return (md_level){.signal = 1 - noise, .noise = noise, .time = flow_time * noise};
}

static void fill_pairs(md_gaussian *p) {
    for (int i = 0; i < p->T; i++) {
        md_level at = p->opt.process == MD_PROCESS_VE
                          ? ve_level(md_karras_sigma(MD_EDM_SIGMA_LEAST, MD_EDM_SIGMA_MOST, p->T,
                                                     p->T - 1 - i))
                          : flow_level((i + 1.0) / p->T);
        p->levels[i] = at;
        p->lambda[i] = 2 * (log(at.signal) - log(at.noise));
    }
}

mdlm_status md_gaussian_init(md_gaussian *p, const md_gaussian_options *opt, mdlm_error *err) {
    md_gaussian q = {.opt = *opt, .T = opt->timesteps};
    MD_TRY(check(opt, err));
    q.levels = md_alloc((size_t)q.T, sizeof *q.levels, err);
    q.lambda = md_alloc((size_t)q.T, sizeof *q.lambda, err);
    if (!q.levels || !q.lambda) {
        md_gaussian_release(&q);
        return MDLM_RUNTIME;
    }
    if (opt->process != MD_PROCESS_VP) {
        fill_pairs(&q);
    } else if (opt->schedule != MD_BETA_LEARNED) {
        md_gaussian_fill_betas(&q);
    } else {
        for (int k = 0; k < MD_KNOTS; k++) q.rate[k] = .5; /* of a network that predicts 0 */
        md_gaussian_place(&q);
    }
    *p = q;
    return MDLM_OK;
}

void md_gaussian_release(md_gaussian *p) {
    md_free(p->levels);
    md_free(p->lambda);
    *p = (md_gaussian){0};
}

/* --- levels ---------------------------------------------------------------------------------- */

md_level md_gaussian_level(const md_gaussian *p, int i) {
    MD_BUG_IF(i < -1 || i >= p->T);
    return i < 0 ? (md_level){.signal = 1} : p->levels[i];
}

/* vp: the number, between levels, whose lambda this is. */
static double time_of(const md_gaussian *p, double lambda) {
    int low = 0, high = p->T - 1; /* lambda[low] >= lambda > lambda[high] */
    if (lambda >= p->lambda[0]) return p->levels[0].time;
    if (lambda <= p->lambda[high]) return p->levels[high].time;
    while (high - low > 1) {
        int middle = low + (high - low) / 2;
        if (p->lambda[middle] >= lambda)
            low = middle;
        else
            high = middle;
    }
    double part = (p->lambda[low] - lambda) / (p->lambda[low] - p->lambda[high]);
    return p->levels[low].time + part * (p->levels[high].time - p->levels[low].time);
}

md_level md_gaussian_level_at(const md_gaussian *p, double sigma) {
    MD_BUG_IF(!(sigma >= 0));
    if (p->opt.process == MD_PROCESS_VE) return ve_level(sigma);
    bool alone = isinf(sigma);
    if (p->opt.process == MD_PROCESS_FLOW) return flow_level(alone ? 1 : sigma / (1 + sigma));
    double signal = alone ? 0 : 1 / sqrt(1 + sigma * sigma);
    return (md_level){
        .signal = signal, .noise = alone ? 1 : sigma * signal, .time = time_of(p, -2 * log(sigma))};
}

md_level md_gaussian_level_told(const md_gaussian *p, double time) {
    if (p->opt.process == MD_PROCESS_VE) return ve_level(exp(4 * time));
    if (p->opt.process == MD_PROCESS_FLOW) return flow_level(time / flow_time);
    int low = 0, high = p->T - 1; /* time[low] <= time < time[high] */
    if (time <= p->levels[0].time) return p->levels[0];
    if (time >= p->levels[high].time) return p->levels[high];
    while (high - low > 1) {
        const int middle = low + (high - low) / 2;
        if (p->levels[middle].time <= time)
            low = middle;
        else
            high = middle;
    }
    const double first = p->levels[low].time;
    if (time == first) return p->levels[low];
    const double part = (time - first) / (p->levels[high].time - first);
    const double lambda = p->lambda[low] + part * (p->lambda[high] - p->lambda[low]);
    return md_gaussian_level_at(p, exp(-lambda / 2));
}

double md_gaussian_start(const md_gaussian *p, md_level level) {
    return p->opt.process == MD_PROCESS_VE ? level.noise : 1;
}

double md_gaussian_input(const md_gaussian *p, md_level level) {
    if (p->opt.process != MD_PROCESS_VE) return 1;
    return md_edm_scales(level.noise, MD_EDM_SIGMA_DATA).in;
}

/* --- transitions ----------------------------------------------------------------------------- */

/* Half the noise of level 0, where levels are so close that the transition from 1 to 0 has less: a
 * network does not know the image that well. (With betas that rise it never has.) */
static double least_log(const md_gaussian *p) {
    md_level t = p->levels[1], s = p->levels[0];
    return log(fmax(md_gaussian_transition(p, t, s).small, s.noise * s.noise / 2));
}

/* x_t = ratio * x_s + N(0, between): Bayes' rule with q(x_s | x0), VDM appendix A. */
md_transition md_gaussian_transition(const md_gaussian *p, md_level t, md_level s) {
    MD_BUG_IF(!(s.noise * t.signal < t.noise * s.signal));
    double ratio = t.signal / s.signal, kept = ratio * s.noise;
    double between = (t.noise - kept) * (t.noise + kept), noise2 = t.noise * t.noise;
    double all_t = t.signal * t.signal + noise2; /* variance of x_t for data N(0, I) */
    double all_s = s.signal * s.signal + s.noise * s.noise;
    md_transition back = {.image = s.signal * between / noise2,
                          .noisy = kept * s.noise / noise2,
                          .small = s.noise * s.noise * between / noise2,
                          .large = between * all_s / all_t};
    back.log_small = back.small > 0 ? log(back.small) : least_log(p);
    back.log_large = log(back.large);
    return back;
}

double md_gaussian_log_variance(const md_gaussian *p, const md_transition *back, double said) {
    double f = (said + 1) / 2;
    switch (p->opt.variance) {
    case MD_VARIANCE_SMALL: return back->log_small;
    case MD_VARIANCE_LARGE: return back->small > 0 ? back->log_large : back->log_small;
    case MD_VARIANCE_LEARNED: return f * back->log_large + (1 - f) * back->log_small;
    }
    MD_BUG_IF(true);
    return NAN;
}
