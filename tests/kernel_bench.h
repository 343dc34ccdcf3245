/* tests/kernel_bench.h: every set of kernels against the plain C one, for test_kernels*.c.
 *
 *     static void check_add(bench *b) {
 *         const float *x = filled(b, b->cols, b->kind);
 *         ... b->k->add(...) ... check_near(b, "y", i, found, expected, tolerance) ...
 *     }
 *
 *     over_sets("add", check_add);
 *
 * Sizes are odd, so that vectors have rests; rows have gaps, which must not change; values are
 * ordinary, large, zero and denormal. Tolerances are bounds on rounding: eps per operation, times
 * the sum of the magnitudes that an element is made of (any order of a sum of n terms stays within
 * n eps of it), plus a few denormals for underflow. Arena memory has poisoned ends under
 * AddressSanitizer: access past a matrix is seen there.
 */
#ifndef TESTS_KERNEL_BENCH_H
#define TESTS_KERNEL_BENCH_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/arena.h"
#include "base/rng.h"
#include "tests/kernel_sets.h"

static const double EPS = FLT_EPSILON;
/* Exponentials may flush what is below the least normal number to zero. */
static const double TINY = 2 * (double)FLT_MIN;

static const int sizes[] = {1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 129};
enum { SIZES = sizeof sizes / sizeof *sizes, ROWS = 3, GAP = 5 };

typedef enum fill_kind { ORDINARY, LARGE, ZERO, DENORMAL, KINDS } fill_kind;
static const char *const kind_names[KINDS] = {"ordinary", "large", "zero", "denormal"};

/* What is being checked, for messages; memory for one check. */
typedef struct bench {
    const md_kernels *k;
    const char *entry;
    int cols;
    fill_kind kind;
    md_arena *arena;
    uint32_t draws;
} bench;

static inline double random_value(bench *b, int64_t i) {
    md_rng rng = {.seed = 8, .stream = MD_STREAM_NOISE};
    return 4 * md_uniform(rng, b->draws, (uint32_t)i) - 2;
}

static inline float *new_floats(bench *b, int64_t n) {
    float *x = md_arena_alloc(b->arena, (size_t)n * sizeof *x);
    if (!x) ck_abort_msg("out of memory");
    return x;
}

/* n numbers of this kind; every call draws others. */
static inline float *filled(bench *b, int64_t n, fill_kind kind) {
    static const double scale[KINDS] = {1, 5e3, 0, 1e-39};
    float *x = new_floats(b, n);
    b->draws++;
    for (int64_t i = 0; i < n; i++) x[i] = (float)(random_value(b, i) * scale[kind]);
    return x;
}

static inline float *copied(bench *b, const float *from, int64_t n) {
    float *x = new_floats(b, n);
    memcpy(x, from, (size_t)n * sizeof *x);
    return x;
}

static inline void check_near(const bench *b, const char *what, int64_t i, double found,
                              double expected, double tolerance) {
    bool same =
        isnan(expected) ? isnan(found) : found == expected || fabs(found - expected) <= tolerance;
    if (same) return; /* even an assertion that holds costs a system call */
    ck_abort_msg("'%s' kernels, %s of %d %s columns: %s[%lld] is %.9g, expected %.9g within %.2g",
                 b->k->name, b->entry, b->cols, kind_names[b->kind], what, (long long)i, found,
                 expected, tolerance);
}

static inline void check_same(const bench *b, const char *what, const float *found,
                              const float *expected, int64_t n) {
    for (int64_t i = 0; i < n; i++)
        check_near(b, what, i, (double)found[i], (double)expected[i], 0);
}

/* Runs `check` for every set that runs here, every size and kind of numbers. */
static inline void over_sets(const char *entry, void (*check)(bench *b)) {
    mdlm_error err;
    bench b = {.entry = entry, .arena = md_arena_new(&err)};
    ck_assert(b.arena != NULL);
    md_kernels kernels;
    b.k = &kernels;
    for (int set = 0; next_kernels(&set, "f32", &kernels);) {
        for (int i = 0; i < SIZES * KINDS; i++) {
            b.cols = sizes[i / KINDS];
            b.kind = (fill_kind)(i % KINDS);
            check(&b);
            md_arena_rewind(b.arena, (md_arena_mark){0});
        }
    }
    md_arena_free(b.arena);
}

/* NaN where `reached`, and only there. */
static inline void check_reach(const bench *b, const char *what, const float *x, int i,
                               bool reached) {
    if (isnan(x[i]) == reached) return;
    ck_abort_msg("'%s' kernels, %d columns: a NaN %s %s[%d]: %g", b->k->name, b->cols,
                 reached ? "does not reach" : "reaches", what, i, (double)x[i]);
}

/* --- what several tests need ----------------------------------------------------------------- */

typedef struct adamw_state {
    float *w, *m, *v, *grad, *ema;
} adamw_state;

static inline md_adamw_args adamw_args(const adamw_state *s, bool ema, float decay) {
    return (md_adamw_args){.w = s->w,
                           .m = s->m,
                           .v = s->v,
                           .grad = s->grad,
                           .ema = ema ? s->ema : NULL,
                           .lr = 0.01f,
                           .beta1 = 0.9f,
                           .beta2 = 0.95f,
                           .eps = 1e-8f,
                           .decay = decay,
                           .grad_scale = 0.7f,
                           .correction1 = 0.19f,
                           .correction2 = 0.0975f,
                           .ema_decay = 0.99f};
}

#endif
