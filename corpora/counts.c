/* corpora/counts.c: see counts.h. */
#include "corpora/counts.h"

#include "base/memory.h"

enum { FIRST_CAPACITY = 1024 };

static const uint64_t zero_key = 0x9e3779b97f4a7c15; /* stands for 0 */

/* The last step of splitmix64: every bit of the key reaches the low bits. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return x ^ (x >> 31);
}

/* The slot of a key, or the empty one where it belongs. */
static md_count *slot_of(const md_counts *counts, uint64_t key) {
    size_t at = (size_t)mix(key) & (counts->capacity - 1);
    while (counts->slots[at].key != 0 && counts->slots[at].key != key)
        at = (at + 1) & (counts->capacity - 1);
    return &counts->slots[at];
}

static mdlm_status grow(md_counts *counts, mdlm_error *err) {
    md_counts larger = {.capacity = counts->capacity, .used = counts->used};
    if (larger.capacity == 0)
        larger.capacity = FIRST_CAPACITY;
    else if (!md_size_mul(larger.capacity, 2, &larger.capacity))
        return md_fail(err, MDLM_RUNTIME, "out of memory: %zu entries", counts->used);
    larger.slots = md_alloc(larger.capacity, sizeof *larger.slots, err);
    if (!larger.slots) return MDLM_RUNTIME;
    for (size_t i = 0; i < counts->capacity; i++) {
        const md_count *old = &counts->slots[i];
        if (old->key) *slot_of(&larger, old->key) = *old;
    }
    md_free(counts->slots);
    *counts = larger;
    return MDLM_OK;
}

mdlm_status md_counts_add(md_counts *counts, uint64_t key, md_count **out, mdlm_error *err) {
    if (key == 0) key = zero_key;
    if (counts->used >= counts->capacity / 4 * 3) MD_TRY(grow(counts, err));
    md_count *slot = slot_of(counts, key);
    counts->used += slot->key == 0;
    slot->key = key;
    *out = slot;
    return MDLM_OK;
}

const md_count *md_counts_find(const md_counts *counts, uint64_t key) {
    if (counts->used == 0) return NULL;
    const md_count *slot = slot_of(counts, key ? key : zero_key);
    return slot->key ? slot : NULL;
}

const md_count *md_counts_next(const md_counts *counts, size_t *at) {
    while (*at < counts->capacity) {
        const md_count *slot = &counts->slots[(*at)++];
        if (slot->key) return slot;
    }
    return NULL;
}

void md_counts_release(md_counts *counts) {
    md_free(counts->slots);
    *counts = (md_counts){0};
}
