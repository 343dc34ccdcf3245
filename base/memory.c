/* base/memory.c: see memory.h. */
#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

/* Blocks of this size are mappings of their own, never memory that was in use before. */
static const size_t LARGE = (size_t)64 << 20;
static const size_t HUGE_PAGE = (size_t)2 << 20; /* x86-64's; elsewhere an alignment that does */

bool md_size_add(size_t a, size_t b, size_t *out) {
    if (b > SIZE_MAX - a) return false;
    *out = a + b;
    return true;
}

bool md_size_mul(size_t a, size_t b, size_t *out) {
    if (a != 0 && b > SIZE_MAX / a) return false;
    *out = a * b;
    return true;
}

bool md_size_align(size_t a, size_t alignment, size_t *out) {
    MD_BUG_IF(alignment == 0 || (alignment & (alignment - 1)) != 0);
    size_t sum;
    if (!md_size_add(a, alignment - 1, &sum)) return false;
    *out = sum & ~(alignment - 1);
    return true;
}

/* Bytes to ask the system for: at least one, and no more than a pointer difference can hold. */
static bool request(size_t count, size_t size, size_t *bytes, mdlm_error *err) {
    size_t product;
    if (!md_size_mul(count, size, &product) || product > PTRDIFF_MAX - MD_ALIGNMENT) {
        md_fail(err, MDLM_RUNTIME, "out of memory: %zu items of %zu bytes are too many", count,
                size);
        return false;
    }
    *bytes = product ? product : 1;
    return true;
}

/* Memory of the system is zero when it is first touched, so the whole pages of a large block are
 * left (or, were they touched, given back) to it: what is never used takes no memory, and the rest
 * is cleared by the threads that use it. */
static void clear(char *block, size_t bytes) {
#ifdef __linux__
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t head = (page - (uintptr_t)block % page) % page;
    if (bytes >= LARGE && bytes - head >= page) {
        const size_t pages = (bytes - head) / page * page;
        if (madvise(block + head, pages, MADV_DONTNEED) == 0) {
            memset(block, 0, head);
            memset(block + head + pages, 0, bytes - head - pages);
            return;
        }
    }
#endif
    memset(block, 0, bytes);
}

static void *take(size_t bytes, size_t alignment, mdlm_error *err) {
    void *pointer = NULL;
    if (posix_memalign(&pointer, alignment, bytes) == 0) return pointer;
    md_fail(err, MDLM_RUNTIME, "out of memory: cannot allocate %zu bytes", bytes);
    return NULL;
}

void *md_alloc(size_t count, size_t size, mdlm_error *err) {
    size_t bytes;
    if (!request(count, size, &bytes, err)) return NULL;
    void *pointer = take(bytes, MD_ALIGNMENT, err);
    if (pointer) clear(pointer, bytes);
    return pointer;
}

void *md_alloc_whole(size_t count, size_t size, mdlm_error *err) {
    size_t bytes;
    if (!request(count, size, &bytes, err)) return NULL;
    const bool huge = bytes >= HUGE_PAGE;
    void *pointer = take(bytes, huge ? HUGE_PAGE : MD_ALIGNMENT, err);
    if (!pointer) return NULL;
#ifdef __linux__
    if (huge) (void)madvise(pointer, bytes / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE);
#endif
    clear(pointer, bytes);
    return pointer;
}

void *md_realloc(void *old, size_t count, size_t size, mdlm_error *err) {
    size_t bytes;
    if (!request(count, size, &bytes, err)) return NULL;
    void *pointer = realloc(old, bytes);
    if (!pointer) md_fail(err, MDLM_RUNTIME, "out of memory: cannot allocate %zu bytes", bytes);
    return pointer;
}

mdlm_status md_reserve_floats(float **array, size_t *capacity, size_t count, mdlm_error *err) {
    if (count <= *capacity) return MDLM_OK;
    float *grown = md_realloc(*array, count, sizeof *grown, err);
    if (!grown) return MDLM_RUNTIME;
    *array = grown;
    *capacity = count;
    return MDLM_OK;
}

char *md_strdup(const char *text, mdlm_error *err) {
    return md_strndup(text, strlen(text), err);
}

char *md_strndup(const char *text, size_t bytes, mdlm_error *err) {
    size_t total;
    if (!md_size_add(bytes, 1, &total)) {
        md_fail(err, MDLM_RUNTIME, "out of memory: a text of %zu bytes is too long", bytes);
        return NULL;
    }
    char *copy = md_realloc(NULL, total, 1, err);
    if (!copy) return NULL;
    if (bytes > 0) memcpy(copy, text, bytes);
    copy[bytes] = 0;
    return copy;
}

void md_free(void *pointer) {
    free(pointer);
}

int64_t md_peak_rss(void) {
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) != 0) return 0;
    return (int64_t)usage.ru_maxrss * 1024;
}
