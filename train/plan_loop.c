/* train/plan_loop.c: see plan_loop.h. */
#include "train/plan_loop.h"

void md_plan_choose(md_options *o, const char *name, int64_t *value, int64_t chosen) {
    if (*value > 0) return;
    *value = chosen;
    if (o) md_options_chosen(o, name);
}

void md_plan_choose_real(md_options *o, const char *name, double *value, double chosen) {
    if (*value > 0) return;
    *value = chosen;
    if (o) md_options_chosen(o, name);
}

void md_plan_intervals(md_loop_settings *s, md_options *o) {
    if (s->time > 0) {
        md_plan_choose(o, "warmup", &s->warmup, 50);
        return;
    }
    int64_t tenth = s->steps / 10 > 0 ? s->steps / 10 : 1;
    md_plan_choose(o, "warmup", &s->warmup, tenth < 100 ? tenth : 100);
    md_plan_choose(o, "eval_every", &s->eval_every, s->steps > 200 ? s->steps / 20 : 10);
    md_plan_choose(o, "sample_every", &s->sample_every, tenth);
    md_plan_choose(o, "save_every", &s->save_every, tenth);
}

mdlm_status md_plan_check_length(const md_loop_settings *s, mdlm_error *err) {
    if (s->steps > 0 && s->time > 0)
        return md_fail(err, MDLM_USAGE, "--steps and --time exclude each other");
    return MDLM_OK;
}
