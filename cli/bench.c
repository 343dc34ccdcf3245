/* cli/bench.c: the clock and the random data of the benchmarks. See bench.h. */
#include "cli/bench.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"

enum { REPEAT = 10 };
static const double patience = 20; /* seconds, where nobody said how many repetitions */

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void summarise(double *seconds, int count, md_bench_times *out) {
    qsort(seconds, (size_t)count, sizeof *seconds, compare);
    *out = (md_bench_times){.median = (seconds[(count - 1) / 2] + seconds[count / 2]) / 2,
                            .lowest = seconds[0],
                            .highest = seconds[count - 1],
                            .count = count};
    for (int i = 0; i < count; i++) out->total += seconds[i];
}

/* The first call makes memory, the second finds it warm; where a call is slow, one has to do. */
static mdlm_status warm_up(bool patient, md_bench_fn fn, void *context, mdlm_error *err) {
    double start = md_now();
    MD_TRY(fn(context, err));
    if (!patient && md_now() - start > patience / 8) return MDLM_OK;
    return fn(context, err);
}

mdlm_status md_bench_time(const md_bench *bench, md_bench_fn fn, void *context, md_bench_times *out,
                          mdlm_error *err) {
    bool patient = bench->repeat > 0;
    int most = patient ? bench->repeat : REPEAT, count = 0;
    mdlm_status status = MDLM_OK;
    double *seconds = md_alloc((size_t)most, sizeof *seconds, err);
    if (!seconds) return MDLM_RUNTIME;
    double begin = md_now();
    MD_GOTO(done, status, warm_up(patient, fn, context, err));
    md_pool_profile(bench->pool, bench->profile);
    while (count < most && (patient || count == 0 || md_now() - begin < patience)) {
        double start = md_now();
        MD_GOTO(done, status, fn(context, err));
        seconds[count++] = md_now() - start;
    }
    summarise(seconds, count, out);
done:
    md_free(seconds);
    return status;
}

static int longest_first(const void *a, const void *b) {
    double x = ((const md_pool_time *)a)->seconds, y = ((const md_pool_time *)b)->seconds;
    return (x < y) - (x > y);
}

mdlm_status md_bench_steps(const md_bench *bench, md_bench_fn fn, void *context,
                           md_bench_result *out, mdlm_error *err) {
    MD_TRY(md_bench_time(bench, fn, context, &out->step, err));
    out->jobs = md_pool_times(bench->pool, out->job);
    qsort(out->job, (size_t)out->jobs, sizeof *out->job, longest_first);
    return MDLM_OK;
}

void md_bench_ids(const md_bench *bench, int32_t *ids, int64_t count) {
    md_rng rng = {.seed = bench->seed, .stream = MD_STREAM_CORPUS};
    uint64_t others = (uint64_t)bench->config->vocab - 1;
    for (int64_t i = 0; i < count; i++) {
        rng.step = (uint64_t)i;
        ids[i] = (int32_t)md_uniform_below(rng, 0, 0, others);
        ids[i] += ids[i] >= bench->config->mask_id;
    }
}

int64_t md_bench_multiplied(const md_model_config *c) {
    int64_t embedding = (int64_t)c->vocab * c->dim;
    return md_model_config_parameters(c) - (c->tied ? 0 : embedding);
}
