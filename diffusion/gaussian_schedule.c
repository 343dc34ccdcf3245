/* diffusion/gaussian_schedule.c: see gaussian_schedule.h. */
#include "diffusion/gaussian_schedule.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;
static const double most_beta = .999;    /* Improved DDPM: no step forgets everything */
static const double spread_evenly = 0.1; /* share of the learned schedule's levels */
static const double forget = 1.0 / 256;  /* of a running mean, per image seen */

/* --- betas ----------------------------------------------------------------------------------- */

/* Improved DDPM eq. 17, up to the constant f(0), which cancels. */
static double cosine_abar(double u) {
    double c = cos((u + .008) / 1.008 * pi / 2);
    return c * c;
}

static double logistic(double x) {
    return 1 / (1 + exp(-x));
}

/* Jabri et al. 2022 (2212.11972), algorithm 1, start -3, end 3, tau 1; up to a constant. */
static double sigmoid_abar(double u) {
    return logistic(3) - logistic(6 * u - 3);
}

static double beta_of_abar(double (*abar)(double), int T, int i) {
    return fmin(1 - abar((i + 1.0) / T) / abar((double)i / T), most_beta);
}

double md_beta(md_beta_schedule schedule, int T, int i) {
    double u = (double)i / (T - 1), root;
    switch (schedule) {
    case MD_BETA_LINEAR: return (.1 + (20 - .1) * u) / T;
    case MD_BETA_COSINE: return beta_of_abar(cosine_abar, T, i);
    case MD_BETA_SCALED_LINEAR:
        root = sqrt(.00085) + (sqrt(.012) - sqrt(.00085)) * u;
        return root * root * 1000 / T;
    case MD_BETA_SIGMOID: return beta_of_abar(sigmoid_abar, T, i);
    case MD_BETA_LEARNED: break;
    }
    MD_BUG_IF(true);
    return NAN;
}

/* Lin et al. 2023, algorithm 1: sqrt(abar) is moved and stretched to end at 0 and begin where it
 * began. */
static void end_in_noise(double *log_abar, int T) {
    double first = exp(log_abar[0] / 2), last = exp(log_abar[T - 1] / 2);
    for (int i = 1; i < T; i++) {
        double root = (exp(log_abar[i] / 2) - last) * first / (first - last);
        log_abar[i] = i == T - 1 ? -INFINITY : 2 * log(root);
    }
}

/* Sums of logarithms keep the digits of 1 - abar where abar is near 1. */
void md_gaussian_fill_betas(md_gaussian *p) {
    double log_abar = 0;
    for (int i = 0; i < p->T; i++)
        p->lambda[i] = log_abar += log1p(-md_beta(p->opt.schedule, p->T, i));
    if (p->opt.zero_snr) end_in_noise(p->lambda, p->T);
    for (int i = 0; i < p->T; i++) {
        double sum = p->lambda[i], noise2 = -expm1(sum);
        p->levels[i] = (md_level){.signal = exp(sum / 2), .noise = sqrt(noise2), .time = i};
        p->lambda[i] = sum - log(noise2);
    }
}

/* --- learned --------------------------------------------------------------------------------- */

void md_gaussian_observe(md_gaussian *p, int i, double noise_error) {
    MD_BUG_IF(i < 0 || i >= p->T);
    if (!isfinite(noise_error)) return;
    double place = (MD_LAMBDA_MOST - p->lambda[i]) / (MD_LAMBDA_MOST - MD_LAMBDA_LEAST);
    int knot = (int)fmin(fmax(place, 0) * MD_KNOTS, MD_KNOTS - 1);
    p->rate[knot] += (fmin(noise_error, 1) / 2 - p->rate[knot]) * forget;
}

/* The number of levels from the top down to lambda is proportional to the sum of the shares of the
 * pieces above it. */
void md_gaussian_place(md_gaussian *p) {
    if (p->opt.schedule != MD_BETA_LEARNED) return;
    const double width = (MD_LAMBDA_MOST - MD_LAMBDA_LEAST) / MD_KNOTS;
    double total = 0, share[MD_KNOTS], above = 0;
    int knot = 0;
    for (int k = 0; k < MD_KNOTS; k++) total += p->rate[k];
    for (int k = 0; k < MD_KNOTS; k++) {
        double measured = total > 0 ? p->rate[k] / total : 1.0 / MD_KNOTS;
        share[k] = spread_evenly / MD_KNOTS + (1 - spread_evenly) * measured;
    }
    for (int i = 0; i < p->T; i++) {
        double u = (double)i / (p->T - 1);
        while (knot < MD_KNOTS - 1 && u >= above + share[knot]) above += share[knot++];
        double within = fmin((u - above) / share[knot], 1), depth = (knot + within) * width;
        double lambda = MD_LAMBDA_MOST - depth;
        p->lambda[i] = lambda;
        p->levels[i] = (md_level){.signal = sqrt(logistic(lambda)),
                                  .noise = sqrt(logistic(-lambda)),
                                  .time = 1000 * depth / (MD_LAMBDA_MOST - MD_LAMBDA_LEAST)};
    }
}

mdlm_status md_gaussian_set_rates(md_gaussian *p, const double rate[MD_KNOTS], mdlm_error *err) {
    for (int k = 0; k < MD_KNOTS; k++)
        if (!(rate[k] >= 0 && rate[k] <= .5))
            return md_fail(err, MDLM_INPUT,
                           "rate %d of the learned schedule is %g: expected from 0 to 0.5", k,
                           rate[k]);
    memcpy(p->rate, rate, sizeof p->rate);
    md_gaussian_place(p);
    return MDLM_OK;
}
