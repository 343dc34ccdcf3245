/* tests/failing_memory.h: an allocator that fails on demand, in the place of the system's under
 * base/memory.c. In one file of a program; `memory_left` allocations succeed, -1: all. */
#ifndef TESTS_FAILING_MEMORY_H
#define TESTS_FAILING_MEMORY_H

#include <errno.h>
#include <stdlib.h>

static int memory_left = -1;

int posix_memalign(void **out, size_t alignment, size_t bytes) {
    if (memory_left >= 0 && memory_left-- == 0) return ENOMEM;
    *out = aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
    return *out ? 0 : ENOMEM;
}

#endif
