/* base/pool.h: one pool of threads for everything.
 *
 *     md_pool *pool = md_pool_new(2, err);
 *     md_pool_run(pool, "norm", tiles, work, &context);      work(&context, tile, worker) for each
 *     md_pool_free(pool);
 *
 * Tasks are handed out in any order to any worker, so a task must depend on its index alone: then
 * results are the same bits for any number of threads. The calling thread works too. Workers spin
 * briefly for the next job before they sleep, since operators of small models last microseconds.
 */
#ifndef MD_BASE_POOL_H
#define MD_BASE_POOL_H

#include "base/error.h"

typedef struct md_pool md_pool;
/* worker is in [0, md_pool_threads): index of per-thread scratch memory. */
typedef void (*md_task_fn)(void *context, int64_t task, int worker);

md_pool *md_pool_new(int threads, mdlm_error *err); /* threads >= 1; NULL on failure */
void md_pool_free(md_pool *pool);                   /* accepts NULL */
int md_pool_threads(const md_pool *pool);
/* `what` names the job for md_pool_times: a literal, of whose text the pool keeps the address. */
void md_pool_run(md_pool *pool, const char *what, int64_t tasks, md_task_fn fn, void *context);

/* Where the time goes: the wall clock inside md_pool_run by name of the job, from the moment that
 * measuring is switched on (which forgets what there was). Jobs of a 33rd name are not counted. */
enum { MD_POOL_NAMES = 32 };
typedef struct md_pool_time {
    const char *what;
    double seconds;
    int64_t runs;
} md_pool_time;
void md_pool_profile(md_pool *pool, bool on);
/* Copies at most MD_POOL_NAMES entries, in order of first use; returns their number. */
int md_pool_times(const md_pool *pool, md_pool_time times[MD_POOL_NAMES]);
int md_pool_default_threads(void); /* processors this process may run on */

#endif
