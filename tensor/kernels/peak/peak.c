/* tensor/kernels/peak/peak.c: see peak.h. Which loop runs here, and its time on all threads. */
#define PEAK_LANES 4
#define PEAK_CHAINS 12
#define PEAK_FLOPS 2
#define MULTIPLY_ADD(sum, x, y) ((sum) * (x) + (y))
#include "tensor/kernels/peak/loop.h"

#include "base/file.h"

enum {
    ROUNDS = 1 << 14, /* in a task: some 50 microseconds */
    TASKS = 16 /* per thread in a slice: short, so that some slice has the machine to itself */
};

static void run_task(void *context, int64_t task, int worker) {
    const md_peak_loop *loop = context;
    (void)task, (void)worker;
    /* Sums stay ordinary numbers: s / 2 + 1 / 4, or of bf16 s + 1 / 8. Volatile: a result that
     * nobody reads need not be computed. */
    volatile float sum = loop->run(ROUNDS, 0.5F, 0.25F);
    (void)sum;
}

static md_peak_loop choose(md_dtype dtype) {
#if defined(__x86_64__) && !defined(MD_REAL_DOUBLE)
    bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    if (dtype == MD_BF16 && avx512 && __builtin_cpu_supports("avx512bf16"))
        return md_peak_avx512_bf16();
    if (dtype == MD_Q8_0 && avx512 && __builtin_cpu_supports("avx512vnni"))
        return md_peak_avx512_vnni();
    if (avx512) return md_peak_avx512();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return md_peak_avx2();
#endif
    (void)dtype;
    return peak_loop;
}

double md_peak_flops(md_pool *pool, md_dtype dtype, double seconds) {
    md_peak_loop loop = choose(dtype);
    int64_t tasks = (int64_t)md_pool_threads(pool) * TASKS;
    double work = loop.flops * ROUNDS * (double)tasks, best = 0, begin = md_now(), now = begin;
    do {
        double start = now;
        md_pool_run(pool, "peak", tasks, run_task, &loop);
        now = md_now();
        if (now > start && work / (now - start) > best) best = work / (now - start);
    } while (now - begin < seconds);
    return best;
}
