/* base/memory.h: every allocation of the project, and size arithmetic that cannot wrap.
 *
 * All heap memory comes from here or from an arena (base/arena.h), so that one place counts, fails
 * and checks. Sizes from files are multiplied with md_size_mul before they reach an allocator.
 */
#ifndef MD_BASE_MEMORY_H
#define MD_BASE_MEMORY_H

#include "base/error.h"

enum { MD_ALIGNMENT = 64 }; /* bytes: one cache line, one AVX-512 register */

/* False, with *out untouched, when the result does not fit size_t. */
bool md_size_add(size_t a, size_t b, size_t *out);
bool md_size_mul(size_t a, size_t b, size_t *out);
/* Rounds up to a multiple of `alignment` (a power of two). */
bool md_size_align(size_t a, size_t alignment, size_t *out);

/* Zeroed memory for count items of `size` bytes, aligned to MD_ALIGNMENT; large blocks take up real
 * memory where they are touched. NULL, with `err` filled (MDLM_RUNTIME), when there is none or the
 * product wraps. A count of 0 gives a valid pointer. Caller frees with md_free. */
void *md_alloc(size_t count, size_t size, mdlm_error *err);

/* The same for a block that is used as a whole and for long, such as weights: in pages as large as
 * the system has, which are sooner there and sooner found. */
void *md_alloc_whole(size_t count, size_t size, mdlm_error *err);

/* Grows or shrinks an array; new items are not zeroed; old memory stays valid on failure. Accepts
 * NULL. The alignment is malloc's. Use only with pointers from md_realloc (or NULL), and free
 * with md_free. */
void *md_realloc(void *old, size_t count, size_t size, mdlm_error *err);

/* At least `count` numbers at *array, of which *capacity are there; those are kept. MDLM_RUNTIME
 * when there is no memory: what was there stays. Begins with NULL and 0; freed with md_free. */
mdlm_status md_reserve_floats(float **array, size_t *capacity, size_t count, mdlm_error *err);

/* A copy of `text` (NUL-terminated) or of `bytes` bytes of it (plus a NUL). Freed with md_free. */
char *md_strdup(const char *text, mdlm_error *err);
char *md_strndup(const char *text, size_t bytes, mdlm_error *err);

void md_free(void *pointer); /* accepts NULL */

/* Largest resident set of this process so far, bytes. */
int64_t md_peak_rss(void);
/* Bytes that this process may still take, as far as the system tells: memory that nobody needs and
 * free swap, bounded by the limits of its control groups and by its address space's. An estimate:
 * others take memory, too. INT64_MAX when nothing is known. */
int64_t md_memory_available(void);

#endif
