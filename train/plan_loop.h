/* train/plan_loop.h: filling what was left open, in what text and images have in common.
 *
 * Every value chosen here is recorded as chosen in the options (which may be NULL), so that the
 * printed plan and run.json tell the whole truth.
 */
#ifndef MD_TRAIN_PLAN_LOOP_H
#define MD_TRAIN_PLAN_LOOP_H

#include "train/loop_settings.h"

/* Fills an open setting. */
void md_plan_choose(md_options *o, const char *name, int64_t *value, int64_t chosen);
void md_plan_choose_real(md_options *o, const char *name, double *value, double chosen);

/* Warm-up and intervals of validation, samples and checkpoints, once the length is known; with
 * --time intervals are shares of it. */
void md_plan_intervals(md_loop_settings *s, md_options *o);

/* MDLM_USAGE when both --steps and --time are given. */
mdlm_status md_plan_check_length(const md_loop_settings *s, mdlm_error *err);

#endif
