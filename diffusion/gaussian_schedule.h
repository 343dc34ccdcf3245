/* diffusion/gaussian_schedule.h: where the levels of a variance-preserving chain lie.
 *
 *     double beta = md_beta(MD_BETA_COSINE, 1000, i);
 *
 * and the schedule that is learned from the loss:
 *
 *     md_gaussian_observe(&p, i, loss.noise_error);          for each image of a training step
 *     md_gaussian_place(&p);                                 then, before the next one
 *     config "rates": p.rate [MD_KNOTS]                      saved with the model and, for an exact
 *     MD_TRY(md_gaussian_set_rates(&p, rates, err));         resume, with the training's state
 *
 * Learned. lambda falls from MD_LAMBDA_MOST to MD_LAMBDA_LEAST along a monotone, piecewise linear
 * curve with MD_KNOTS pieces. Its slope is learned. In the limit of many levels the bound is
 *     integral over lambda of rate(lambda),  rate = E (eps_hat - eps)^2 / 2 nats per dimension
 * (VDM eq. 18), whatever the path between the ends; what the path decides is the variance of its
 * estimate, hence of the gradient. VDM learns the path by gradient steps on that variance. Its
 * minimum is known: every step contributes the same, that is levels as dense in lambda as the rate
 * is high. So we measure the rate in training, as a running mean for each piece, and place levels
 * accordingly. What a few levels lose, the sum over i of about rate * (step in lambda)^2 / 2, falls
 * as well. A tenth of the levels is spread evenly, so none of the pieces is ever out of sight.
 * The network is told lambda itself, 1000 (MOST - lambda) / (MOST - LEAST), so that what it has
 * learned stays true when levels move.
 *
 * Draws in training may then be uniform: the levels themselves see to the rest. Loss-aware ones
 * (gaussian_times.h), which image-train takes, follow what the curve has not learned yet.
 *
 * The ends are fixed: at lambda = 12 the noise is .0025, a third of the step between two of the 256
 * values of a pixel; at -10 the prior term is below 1e-4 bits.
 */
#ifndef MD_DIFFUSION_GAUSSIAN_SCHEDULE_H
#define MD_DIFFUSION_GAUSSIAN_SCHEDULE_H

#include "diffusion/gaussian.h"

#define MD_LAMBDA_MOST 12.0
#define MD_LAMBDA_LEAST -10.0

/* beta_i of T, i = 0 .. T-1; not of MD_BETA_LEARNED. */
double md_beta(md_beta_schedule schedule, int T, int i);

/* An image seen at level i whose noise was predicted with this mean squared error per dimension;
 * not finite: ignored. More than 1, what predicting 0 has, counts as 1. */
void md_gaussian_observe(md_gaussian *p, int i, double noise_error);
/* Places the levels by the rates. No-op unless the schedule is MD_BETA_LEARNED. */
void md_gaussian_place(md_gaussian *p);
/* Takes rates that were saved, and places the levels. MDLM_INPUT unless all are from 0 to 1/2; p
 * is then unchanged. */
mdlm_status md_gaussian_set_rates(md_gaussian *p, const double rate[MD_KNOTS], mdlm_error *err);

/* For diffusion/gaussian.c: fills p->levels and p->lambda of a chain with betas, zero_snr
 * included. */
void md_gaussian_fill_betas(md_gaussian *p);

#endif
