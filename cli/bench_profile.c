/* cli/bench_profile.c: where the time of a benchmark's steps went. See bench.h. */
#include "cli/bench.h"

/* What no parallel job accounts for comes last. */
static md_pool_time rest_of(const md_bench_result *r) {
    md_pool_time rest = {.what = "outside of jobs", .seconds = r->step.total};
    for (int i = 0; i < r->jobs; i++) rest.seconds -= r->job[i].seconds;
    return rest;
}

static void put_job(md_json_line *line, const md_bench_result *r, const md_pool_time *t) {
    md_json_open(line, NULL, '{');
    md_json_put_string(line, "what", t->what);
    md_json_put_real(line, "ms_per_step", 1e3 * t->seconds / r->step.count);
    md_json_put_real(line, "runs_per_step", (double)t->runs / r->step.count);
    md_json_close(line, '}');
}

void md_bench_put_profile(md_json_line *line, const md_bench_result *r) {
    md_pool_time rest = rest_of(r);
    md_json_open(line, "profile", '[');
    for (int i = 0; i < r->jobs; i++) put_job(line, r, &r->job[i]);
    put_job(line, r, &rest);
    md_json_close(line, ']');
}

static mdlm_status print_job(const md_bench_result *r, const md_pool_time *t, mdlm_error *err) {
    double each = t->seconds / r->step.count;
    return md_cli_print(err, "%-20s %10.2f %9.1f%% %10.1f\n", t->what, 1e3 * each,
                        100 * t->seconds / r->step.total, (double)t->runs / r->step.count);
}

mdlm_status md_bench_print_profile(const md_bench_result *r, mdlm_error *err) {
    md_pool_time rest = rest_of(r);
    MD_TRY(md_cli_print(err, "\n%-20s %10s %10s %10s\n", "job", "ms/step", "share", "runs/step"));
    for (int i = 0; i < r->jobs; i++) MD_TRY(print_job(r, &r->job[i], err));
    return print_job(r, &rest, err);
}
