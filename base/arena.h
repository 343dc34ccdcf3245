/* base/arena.h: memory that is taken in order and given back all at once.
 *
 *     md_arena *arena = md_arena_new(err);
 *     for (each step) {
 *         md_arena_mark mark = md_arena_save(arena);
 *         float *x = md_arena_alloc(arena, n * sizeof *x);       owned by the arena
 *         md_arena_rewind(arena, mark);                          x is gone, its memory is kept
 *     }
 *     md_arena_free(arena);
 *
 *     chunk 0 [#### used ####|....free....]  chunk 1 [## used ##|........]  chunk 2 [ kept, empty ]
 *                                                               ^ top
 *
 * Chunks grow geometrically and survive a rewind, so a loop that repeats itself allocates nothing
 * after its first turn.
 */
#ifndef MD_BASE_ARENA_H
#define MD_BASE_ARENA_H

#include "base/error.h"

typedef struct md_arena md_arena;

typedef struct md_arena_mark {
    size_t chunk, used;
} md_arena_mark;

md_arena *md_arena_new(mdlm_error *err); /* NULL on failure; caller frees */
void md_arena_free(md_arena *arena);     /* accepts NULL */

/* Uninitialised memory aligned to MD_ALIGNMENT; NULL when there is none (no error is filled: the
 * caller knows what it was for). */
void *md_arena_alloc(md_arena *arena, size_t bytes);
/* Formatted text in the arena; NULL when there is no memory. */
char *md_arena_printf(md_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

md_arena_mark md_arena_save(const md_arena *arena);
void md_arena_rewind(md_arena *arena, md_arena_mark mark);

size_t md_arena_capacity(const md_arena *arena); /* bytes held from the system */

#endif
