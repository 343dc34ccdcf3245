/* base/arena.c: see arena.h. */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/memory.h"

/* Under AddressSanitizer memory that is not handed out is poisoned, so that a use after a rewind is
 * reported like a use after free. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(ARENA_POISONS)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

enum { FIRST_CHUNK = 64 << 10 };

typedef struct chunk {
    void *raw;  /* what the system gave */
    char *data; /* the same, aligned */
    size_t size, used;
} chunk;

struct md_arena {
    chunk *chunks;
    size_t count; /* chunks held */
    size_t top;   /* the chunk being filled: those above it are empty */
    size_t capacity;
};

md_arena *md_arena_new(mdlm_error *err) {
    return md_alloc(1, sizeof(md_arena), err);
}

void md_arena_free(md_arena *arena) {
    if (!arena) return;
    for (size_t i = 0; i < arena->count; i++) {
        ASAN_UNPOISON_MEMORY_REGION(arena->chunks[i].data, arena->chunks[i].size);
        md_free(arena->chunks[i].raw);
    }
    md_free(arena->chunks);
    md_free(arena);
}

/* A chunk of at least `bytes`, as large as all the others together. Not zeroed: pages that are
 * never used are never touched. */
static bool add_chunk(md_arena *arena, size_t bytes) {
    size_t size = arena->capacity > FIRST_CHUNK ? arena->capacity : FIRST_CHUNK;
    if (size < bytes) size = bytes;
    size_t total;
    if (!md_size_add(size, MD_ALIGNMENT, &total)) return false;
    chunk *chunks = md_realloc(arena->chunks, arena->count + 1, sizeof *chunks, NULL);
    if (!chunks) return false;
    arena->chunks = chunks;
    char *raw = md_realloc(NULL, total, 1, NULL);
    if (!raw) return false;
    size_t past = (uintptr_t)raw % MD_ALIGNMENT;
    char *data = past ? raw + (MD_ALIGNMENT - past) : raw;
    ASAN_POISON_MEMORY_REGION(data, size);
    chunks[arena->count++] = (chunk){.raw = raw, .data = data, .size = size};
    arena->capacity += size;
    return true;
}

void *md_arena_alloc(md_arena *arena, size_t bytes) {
    size_t padded;
    if (!md_size_align(bytes ? bytes : 1, MD_ALIGNMENT, &padded)) return NULL;
    size_t top = arena->top;
    while (top < arena->count && arena->chunks[top].size - arena->chunks[top].used < padded) top++;
    if (top == arena->count && !add_chunk(arena, padded)) return NULL;
    arena->top = top;
    chunk *c = &arena->chunks[top];
    char *place = c->data + c->used;
    c->used += padded;
    ASAN_UNPOISON_MEMORY_REGION(place, bytes);
    return place;
}

char *md_arena_printf(md_arena *arena, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = length < 0 ? NULL : md_arena_alloc(arena, (size_t)length + 1);
    if (text) vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

md_arena_mark md_arena_save(const md_arena *arena) {
    size_t used = arena->top < arena->count ? arena->chunks[arena->top].used : 0;
    return (md_arena_mark){.chunk = arena->top, .used = used};
}

static void rewind_chunk(chunk *c, size_t used) {
    MD_BUG_IF(used > c->used);
    ASAN_POISON_MEMORY_REGION(c->data + used, c->used - used);
    c->used = used;
}

void md_arena_rewind(md_arena *arena, md_arena_mark mark) {
    MD_BUG_IF(mark.chunk > arena->top);
    if (arena->count == 0) return;
    for (size_t i = mark.chunk + 1; i <= arena->top; i++) rewind_chunk(&arena->chunks[i], 0);
    rewind_chunk(&arena->chunks[mark.chunk], mark.used);
    arena->top = mark.chunk;
}

size_t md_arena_capacity(const md_arena *arena) {
    return arena->capacity;
}
