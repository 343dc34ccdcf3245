/* tests/test_base_pool.c: every task runs once, on any number of threads, many times over. */
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/pool.h"
#include "tests/suite.h"

enum { TASKS = 1000 };

typedef struct record {
    int64_t squares[TASKS];
    atomic_int runs[TASKS];
    atomic_int worst_worker;
} record;

static void square(void *context, int64_t task, int worker) {
    record *r = context;
    r->squares[task] = task * task;
    atomic_fetch_add(&r->runs[task], 1);
    int worst = atomic_load(&r->worst_worker);
    while (worker > worst && !atomic_compare_exchange_weak(&r->worst_worker, &worst, worker))
        continue;
}

START_TEST(every_task_runs_once_on_one_to_four_threads) {
    mdlm_error err = {0};
    for (int threads = 1; threads <= 4; threads++) {
        md_pool *pool = md_pool_new(threads, &err);
        ck_assert_ptr_nonnull(pool);
        ck_assert_int_eq(md_pool_threads(pool), threads);
        record *r = md_alloc(1, sizeof *r, &err);
        md_pool_run(pool, "test", TASKS, square, r);
        int64_t sum = 0;
        for (int64_t i = 0; i < TASKS; i++) {
            ck_assert_int_eq(atomic_load(&r->runs[i]), 1);
            sum += r->squares[i];
        }
        ck_assert_int_eq(sum, INT64_C(332833500)); /* (n-1) n (2n-1) / 6 */
        ck_assert_int_lt(atomic_load(&r->worst_worker), threads);
        md_free(r);
        md_pool_free(pool);
    }
    md_pool_free(NULL);
}
END_TEST

typedef struct small_job {
    int64_t base, values[8];
} small_job;

static void add_index(void *context, int64_t task, int worker) {
    (void)worker;
    small_job *job = context;
    job->values[task] = job->base + task;
}

/* The results are read without atomics right after the job: a task that is missing, late or from an
 * older job shows as a wrong value. */
START_TEST(many_small_jobs_in_a_row_are_complete) {
    mdlm_error err = {0};
    for (int threads = 2; threads <= 4; threads++) {
        md_pool *pool = md_pool_new(threads, &err);
        small_job job;
        for (int64_t round = 0; round < 5000; round++) {
            int64_t tasks = 1 + round % 8;
            job.base = round;
            md_pool_run(pool, "test", tasks, add_index, &job);
            for (int64_t i = 0; i < tasks; i++) ck_assert_int_eq(job.values[i], round + i);
        }
        md_pool_free(pool);
    }
}
END_TEST

START_TEST(workers_that_fell_asleep_do_not_hold_up_a_job) {
    mdlm_error err = {0};
    md_pool *pool = md_pool_new(3, &err);
    for (int64_t round = 0; round < 30; round++) {
        usleep(2000);
        small_job job = {.base = 7 * round};
        md_pool_run(pool, "test", 8, add_index, &job);
        for (int64_t i = 0; i < 8; i++) ck_assert_int_eq(job.values[i], 7 * round + i);
    }
    md_pool_free(pool);
}
END_TEST

static void linger(void *context, int64_t task, int worker) {
    (void)worker;
    usleep(task == 0 ? 20000 : 100);
    atomic_fetch_add((atomic_int *)context, 1);
}

START_TEST(a_job_ends_only_after_its_slowest_task) {
    mdlm_error err = {0};
    md_pool *pool = md_pool_new(4, &err);
    for (int round = 0; round < 5; round++) {
        atomic_int done = 0;
        md_pool_run(pool, "test", 6, linger, &done);
        ck_assert_int_eq(atomic_load(&done), 6);
    }
    md_pool_free(pool);
}
END_TEST

static void meet(void *context, int64_t task, int worker) {
    (void)task, (void)worker;
    atomic_int *arrived = context;
    atomic_fetch_add(arrived, 1);
    while (atomic_load(arrived) < 3) usleep(50);
}

START_TEST(tasks_run_at_the_same_time) {
    mdlm_error err = {0};
    md_pool *pool = md_pool_new(3, &err);
    for (int round = 0; round < 20; round++) {
        atomic_int arrived = 0;
        md_pool_run(pool, "test", 3, meet, &arrived); /* would hang with fewer than three workers */
        ck_assert_int_eq(atomic_load(&arrived), 3);
    }
    md_pool_free(pool);
}
END_TEST

static void append(void *context, int64_t task, int worker) {
    small_job *job = context;
    ck_assert_int_eq(worker, 0);
    job->values[job->base++] = task;
}

START_TEST(one_thread_runs_the_tasks_in_order) {
    mdlm_error err = {0};
    md_pool *pool = md_pool_new(1, &err);
    small_job job = {0};
    md_pool_run(pool, "test", 0, append, &job);
    ck_assert_int_eq(job.base, 0);
    md_pool_run(pool, "test", 8, append, &job);
    for (int64_t i = 0; i < 8; i++) ck_assert_int_eq(job.values[i], i);
    md_pool_free(pool);
}
END_TEST

START_TEST(pools_come_and_go_without_work) {
    mdlm_error err = {0};
    for (int i = 0; i < 50; i++) md_pool_free(md_pool_new(1 + i % 4, &err));
    ck_assert_int_ge(md_pool_default_threads(), 1);
    ck_assert_ptr_null(md_pool_new(1000000, &err));
    ck_assert_ptr_nonnull(strstr(err.message, "1000000 threads"));
}
END_TEST

static void nest(void *context, int64_t task, int worker) {
    (void)task, (void)worker;
    small_job job = {0};
    md_pool_run(context, "test", 2, add_index, &job);
}

START_TEST(a_job_inside_a_task_is_a_bug) {
    mdlm_error err = {0};
    md_pool *pool = md_pool_new(2, &err);
    md_pool_run(pool, "test", 4, nest, pool);
}
END_TEST

int main(void) {
    Suite *s = suite_create("pool");
    suite_case(s, every_task_runs_once_on_one_to_four_threads);
    suite_case(s, many_small_jobs_in_a_row_are_complete);
    suite_case(s, workers_that_fell_asleep_do_not_hold_up_a_job);
    suite_case(s, a_job_ends_only_after_its_slowest_task);
    suite_case(s, tasks_run_at_the_same_time);
    suite_case(s, one_thread_runs_the_tasks_in_order);
    suite_case(s, pools_come_and_go_without_work);
    TCase *bugs = tcase_create("bugs");
    tcase_add_test_raise_signal(bugs, a_job_inside_a_task_is_a_bug, SIGABRT);
    suite_add_tcase(s, bugs);
    return suite_run(s);
}
