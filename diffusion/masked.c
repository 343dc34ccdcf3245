/* diffusion/masked.c: schedules, corruption and log-probabilities. See masked.h. */
#include "diffusion/masked.h"

#include <math.h>
#include <string.h>

static const char *const schedule_names[] = {
    [MD_SCHEDULE_LINEAR] = "linear",
    [MD_SCHEDULE_COSINE] = "cosine",
    [MD_SCHEDULE_POLY] = "poly",
    [MD_SCHEDULE_GEOMETRIC] = "geometric",
};

md_masked md_masked_process(md_schedule_kind kind) {
    return (md_masked){.kind = kind,
                       .power = 2.0,
                       .sigma_min = 1e-4,
                       .sigma_max = 20.0,
                       .eps = 1e-3,
                       .end = 1.0,
                       .scale = 1.0};
}

mdlm_status md_masked_from_name(const char *name, md_masked *out, mdlm_error *err) {
    for (size_t i = 0; i < sizeof schedule_names / sizeof *schedule_names; i++) {
        if (strcmp(name, schedule_names[i]) != 0) continue;
        *out = md_masked_process((md_schedule_kind)i);
        return MDLM_OK;
    }
    return md_fail(err, MDLM_USAGE,
                   "noise schedule '%s' is unknown: expected linear, cosine, poly or geometric",
                   name);
}

static double geometric_sigma(const md_masked *p, double t) {
    return p->sigma_min * pow(p->sigma_max / p->sigma_min, t);
}

/* 1 - alpha(t), in a form that keeps its digits as t goes to 0. */
static double masked_fraction(const md_masked *p, double t) {
    switch (p->kind) {
    case MD_SCHEDULE_LINEAR: return t;
    case MD_SCHEDULE_COSINE: return sin(M_PI_2 * t);
    case MD_SCHEDULE_POLY: return pow(t, p->power);
    case MD_SCHEDULE_GEOMETRIC: return -expm1(-geometric_sigma(p, t));
    }
    md_bug(__FILE__, __LINE__, "unknown schedule");
}

double md_masked_alpha(const md_masked *p, double t) {
    if (p->kind == MD_SCHEDULE_GEOMETRIC) return exp(-geometric_sigma(p, t));
    return 1.0 - masked_fraction(p, t);
}

double md_masked_weight(const md_masked *p, double t) {
    switch (p->kind) {
    case MD_SCHEDULE_LINEAR: return 1.0 / t;
    case MD_SCHEDULE_COSINE: return M_PI_2 / tan(M_PI_2 * t);
    case MD_SCHEDULE_POLY: return p->power / t;
    case MD_SCHEDULE_GEOMETRIC: {
        double sigma = geometric_sigma(p, t);
        return sigma * log(p->sigma_max / p->sigma_min) / expm1(sigma);
    }
    }
    md_bug(__FILE__, __LINE__, "unknown schedule");
}

double md_masked_time(const md_masked *p, double alpha) {
    double t = 0;
    switch (p->kind) {
    case MD_SCHEDULE_LINEAR: t = 1.0 - alpha; break;
    case MD_SCHEDULE_COSINE: t = asin(1.0 - alpha) / M_PI_2; break;
    case MD_SCHEDULE_POLY: t = pow(1.0 - alpha, 1.0 / p->power); break;
    case MD_SCHEDULE_GEOMETRIC:
        t = log(-log(alpha) / p->sigma_min) / log(p->sigma_max / p->sigma_min);
        break;
    }
    return fmin(fmax(t, 0.0), 1.0);
}

double md_masked_stay(const md_masked *p, double s, double t) {
    if (s <= 0.0) return 0.0;
    return masked_fraction(p, s) / masked_fraction(p, t);
}

void md_masked_clip(md_masked *p, double low, double high) {
    double first = md_masked_time(p, 1.0 - low);
    md_masked whole = md_masked_process(p->kind);
    p->end = md_masked_time(p, 1.0 - high);
    p->scale = (p->end - first) / (high - low);
    p->eps = fmax(first, whole.eps);
}

double md_masked_stratified(const md_masked *p, double u0, int64_t i, int64_t n) {
    double v = u0 + (double)i / (double)n;
    return p->eps + (p->end - p->eps) * (v - floor(v));
}

int md_masked_corrupt(md_rng rng, uint32_t sequence, double alpha, int32_t mask_id,
                      const int32_t *ids, const uint8_t *keep, int T, int32_t *noisy,
                      int32_t *masked) {
    int count = 0;
    for (int j = 0; j < T; j++) {
        bool hide = !(keep && keep[j]) && md_uniform(rng, sequence, (uint32_t)j) >= alpha;
        noisy[j] = hide ? mask_id : ids[j];
        if (hide) masked[count++] = j;
    }
    return count;
}

double md_log_prob(const float *logits, int V, int32_t mask_id, int32_t target) {
    double max = -INFINITY, sum = 0;
    if (target == mask_id) return -INFINITY;
    for (int v = 0; v < V; v++)
        if (v != mask_id && (double)logits[v] > max) max = (double)logits[v];
    for (int v = 0; v < V; v++)
        if (v != mask_id) sum += exp((double)logits[v] - max); /* a NaN reaches the sum */
    return (double)logits[target] - max - log(sum);
}
