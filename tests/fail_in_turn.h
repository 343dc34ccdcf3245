/* tests/fail_in_turn.h: every allocation of an attempt fails in turn.
 *
 *     fail_in_turn(make_pool, 2);             at least two allocations; each failure is reported
 *
 * The linker puts the functions of this file in the place of the system's (tests/CMakeLists.txt),
 * for our own code alone, so that blocks can be counted: nothing may stay behind. In one file of a
 * program.
 */
#ifndef TESTS_FAIL_IN_TURN_H
#define TESTS_FAIL_IN_TURN_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
void *__real_malloc(size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void __real_free(void *pointer);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
void *__wrap_malloc(size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void __wrap_free(void *pointer);

static struct {
    int left;      /* successes before the first failure; -1: nothing fails */
    bool for_good; /* all fail after it */
    bool failed;   /* it was reached */
    int blocks;    /* held */
} memory = {.left = -1};

static bool fails(void) {
    if (memory.left != 0) {
        memory.left -= memory.left > 0;
        return false;
    }
    memory.failed = true;
    if (!memory.for_good) memory.left = -1;
    return true;
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes) {
    if (fails()) return ENOMEM;
    int status = __real_posix_memalign(out, alignment, bytes);
    memory.blocks += status == 0;
    return status;
}

/* What compilers make of realloc(NULL, bytes). */
void *__wrap_malloc(size_t bytes) {
    if (fails()) return NULL;
    void *block = __real_malloc(bytes);
    memory.blocks += block != NULL;
    return block;
}

void *__wrap_realloc(void *old, size_t bytes) {
    if (fails()) return NULL;
    void *block = __real_realloc(old, bytes);
    memory.blocks += block && !old;
    return block;
}

void __wrap_free(void *pointer) {
    memory.blocks -= pointer != NULL;
    __real_free(pointer);
}

/* Without assertions that hold: Check allocates memory for them. */
typedef mdlm_status (*attempt)(mdlm_error *err);

/* Until nothing fails any more, after at least `least` failures. */
static void fail_in_turn(attempt try, int least) {
    for (int i = 0, n = 0; i < 2; n++) {
        mdlm_error err = {0};
        const int before = memory.blocks;
        memory.left = n, memory.for_good = i, memory.failed = false;
        mdlm_status status = try(&err);
        const int left = memory.blocks - before;
        memory.left = -1;
        ck_assert_msg(left == 0, "allocation %d fails: %d blocks are left", n, left);
        ck_assert_int_eq(status, memory.failed ? MDLM_RUNTIME : MDLM_OK);
        if (memory.failed) {
            ck_assert_msg(strstr(err.message, "out of memory"), "'%s'", err.message);
            continue;
        }
        ck_assert_int_ge(n, least);
        i++, n = -1;
    }
}

#endif
