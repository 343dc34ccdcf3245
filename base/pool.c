/* base/pool.c: see pool.h.
 *
 * `gate` is the one word that workers and caller agree on: the number of the job, whether it is
 * open, and how many workers are inside. A worker may enter an open job once, and the caller leaves
 * a job when its tasks are done and the gate is closed and empty. So a worker that wakes late finds
 * the gate closed and is not waited for.
 *
 *     gate:  [ job number : 47 | open : 1 | workers inside : 16 ]
 *
 * Whoever goes to sleep first says so (`sleepers`, `caller_sleeps`) and then looks again; whoever
 * changes the gate looks for sleepers afterwards. All four are sequentially consistent, so one of
 * the two always sees the other.
 */
#include "base/pool.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define GATE_INSIDE UINT64_C(0xffff)
#define GATE_OPEN UINT64_C(0x10000)
#define GATE_JOB UINT64_C(0x20000) /* one more job */

enum { MAX_THREADS = 1024, CACHE_LINE = 64, PAUSES_PER_LOOK = 32 };
static const double spin_seconds = 40e-6;

typedef struct worker {
    md_pool *pool;
    pthread_t thread;
    int index;
} worker;

struct md_pool {
    /* The job: written by the caller while the gate is closed and empty. */
    md_task_fn fn;
    void *context;
    int64_t tasks;

    int threads, started;
    bool may_spin; /* there is a processor for every thread */
    worker *workers;
    pthread_mutex_t mutex;
    pthread_cond_t opened, emptied;
    atomic_bool running, stop, caller_sleeps;

    /* Only the caller's thread touches these. */
    bool profile;
    md_pool_time times[MD_POOL_NAMES];
    int names;

    atomic_int sleepers;
    _Alignas(CACHE_LINE) atomic_uint_least64_t gate;
    _Alignas(CACHE_LINE) atomic_int_least64_t next; /* the next task to hand out */
};

static void pause_briefly(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static void work(md_pool *pool, int index) {
    for (;;) {
        int64_t task = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        if (task >= pool->tasks) return;
        pool->fn(pool->context, task, index);
    }
}

/* Whether there is something to do for a worker that has been in job `seen`. */
static bool called(md_pool *pool, uint64_t seen) {
    uint64_t gate = atomic_load(&pool->gate);
    return ((gate & GATE_OPEN) && gate / GATE_JOB != seen) || atomic_load(&pool->stop);
}

static bool is_empty(md_pool *pool) {
    return (atomic_load(&pool->gate) & GATE_INSIDE) == 0;
}

static void wait_for_job(md_pool *pool, uint64_t seen) {
    if (pool->may_spin) {
        double end = md_now() + spin_seconds;
        do {
            for (int i = 0; i < PAUSES_PER_LOOK; i++) {
                if (called(pool, seen)) return;
                pause_briefly();
            }
        } while (md_now() < end);
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_fetch_add(&pool->sleepers, 1);
    while (!called(pool, seen)) pthread_cond_wait(&pool->opened, &pool->mutex);
    atomic_fetch_sub(&pool->sleepers, 1);
    pthread_mutex_unlock(&pool->mutex);
}

static void wait_until_empty(md_pool *pool) {
    if (pool->may_spin) {
        double end = md_now() + spin_seconds;
        do {
            for (int i = 0; i < PAUSES_PER_LOOK; i++) {
                if (is_empty(pool)) return;
                pause_briefly();
            }
        } while (md_now() < end);
    }
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->caller_sleeps, true);
    while (!is_empty(pool)) pthread_cond_wait(&pool->emptied, &pool->mutex);
    atomic_store(&pool->caller_sleeps, false);
    pthread_mutex_unlock(&pool->mutex);
}

/* Counts this worker in, unless the job closed meanwhile. */
static bool enter(md_pool *pool, uint64_t *seen) {
    uint64_t gate = atomic_load(&pool->gate);
    do {
        if (!(gate & GATE_OPEN) || gate / GATE_JOB == *seen) return false;
    } while (!atomic_compare_exchange_weak(&pool->gate, &gate, gate + 1));
    *seen = gate / GATE_JOB;
    return true;
}

static void leave(md_pool *pool) {
    uint64_t before = atomic_fetch_sub(&pool->gate, 1);
    if ((before & GATE_INSIDE) != 1 || !atomic_load(&pool->caller_sleeps)) return;
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_signal(&pool->emptied);
    pthread_mutex_unlock(&pool->mutex);
}

static void *worker_main(void *argument) {
    worker *self = argument;
    md_pool *pool = self->pool;
    uint64_t seen = 0;
    for (;;) {
        wait_for_job(pool, seen);
        if (atomic_load(&pool->stop)) return NULL;
        if (!enter(pool, &seen)) continue;
        work(pool, self->index);
        leave(pool);
    }
}

static void wake(md_pool *pool, int64_t wanted) {
    if (atomic_load(&pool->sleepers) == 0) return;
    pthread_mutex_lock(&pool->mutex);
    if (wanted >= pool->threads - 1) {
        pthread_cond_broadcast(&pool->opened);
    } else {
        for (int64_t i = 0; i < wanted; i++) pthread_cond_signal(&pool->opened);
    }
    pthread_mutex_unlock(&pool->mutex);
}

static void run(md_pool *pool, int64_t tasks, md_task_fn fn, void *context) {
    if (pool->threads == 1 || tasks < 2) {
        for (int64_t task = 0; task < tasks; task++) fn(context, task, 0);
    } else {
        pool->fn = fn;
        pool->context = context;
        pool->tasks = tasks;
        atomic_store(&pool->next, 0);
        atomic_fetch_add(&pool->gate, GATE_JOB + GATE_OPEN);
        wake(pool, tasks - 1);
        work(pool, 0);
        atomic_fetch_sub(&pool->gate, GATE_OPEN);
        wait_until_empty(pool);
    }
}

static void count_time(md_pool *pool, const char *what, double seconds) {
    int i = 0;
    while (i < pool->names && strcmp(pool->times[i].what, what) != 0) i++;
    if (i == MD_POOL_NAMES) return;
    if (i == pool->names) pool->times[pool->names++] = (md_pool_time){.what = what};
    pool->times[i].seconds += seconds;
    pool->times[i].runs++;
}

void md_pool_run(md_pool *pool, const char *what, int64_t tasks, md_task_fn fn, void *context) {
    MD_BUG_IF(tasks < 0);
    MD_BUG_IF(atomic_exchange(&pool->running, true)); /* from a task, or from a second thread */
    double start = pool->profile ? md_now() : 0;
    run(pool, tasks, fn, context);
    if (pool->profile) count_time(pool, what, md_now() - start);
    atomic_store(&pool->running, false);
}

void md_pool_profile(md_pool *pool, bool on) {
    pool->profile = on;
    pool->names = 0;
}

int md_pool_times(const md_pool *pool, md_pool_time times[MD_POOL_NAMES]) {
    memcpy(times, pool->times, (size_t)pool->names * sizeof *times);
    return pool->names;
}

static mdlm_status start_workers(md_pool *pool, mdlm_error *err) {
    /* Signals belong to the threads of the program, not to the library's. */
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int failure = 0;
    while (pool->started < pool->threads - 1 && failure == 0) {
        worker *w = &pool->workers[pool->started];
        *w = (worker){.pool = pool, .index = pool->started + 1};
        failure = pthread_create(&w->thread, NULL, worker_main, w);
        if (failure == 0) pool->started++;
    }
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (failure == 0) return MDLM_OK;
    return md_fail(err, MDLM_RUNTIME, "cannot start thread %d of %d", pool->started + 2,
                   pool->threads);
}

md_pool *md_pool_new(int threads, mdlm_error *err) {
    MD_BUG_IF(threads < 1);
    if (threads > MAX_THREADS) {
        md_fail(err, MDLM_RUNTIME, "cannot use %d threads: expected at most %d", threads,
                MAX_THREADS);
        return NULL;
    }
    md_pool *pool = md_alloc(1, sizeof *pool, err);
    if (!pool) return NULL;
    pool->threads = threads;
    pool->may_spin = md_pool_default_threads() >= threads;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->opened, NULL);
    pthread_cond_init(&pool->emptied, NULL);
    pool->workers = md_alloc((size_t)threads, sizeof *pool->workers, err);
    if (!pool->workers || start_workers(pool, err) != MDLM_OK) {
        md_pool_free(pool);
        return NULL;
    }
    return pool;
}

void md_pool_free(md_pool *pool) {
    if (!pool) return;
    pthread_mutex_lock(&pool->mutex);
    atomic_store(&pool->stop, true);
    pthread_cond_broadcast(&pool->opened);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->started; i++) pthread_join(pool->workers[i].thread, NULL);
    pthread_cond_destroy(&pool->emptied);
    pthread_cond_destroy(&pool->opened);
    pthread_mutex_destroy(&pool->mutex);
    md_free(pool->workers);
    md_free(pool);
}

int md_pool_threads(const md_pool *pool) {
    return pool->threads;
}

int md_pool_default_threads(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < MAX_THREADS ? (int)online : 1;
}
