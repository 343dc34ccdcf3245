/* tokenizer/table.h: the two hash tables that tokenizers need. Private to this folder.
 *
 *     md_key_map map = {0};                                      64-bit key to 64-bit value
 *     MD_TRY(md_key_map_put(&map, md_pair_key(3, 4), 7, err));
 *     uint64_t value = md_key_map_get(&map, md_pair_key(3, 4));  MD_KEY_NONE when absent
 *     md_key_map_release(&map);
 *
 *     md_interner words = {0};                                   byte string to 0, 1, 2, ...
 *     MD_TRY(md_interner_add(&words, "the", 3, &index, err));    the old index when it is there
 *     md_interner_release(&words);
 *
 * Both grow by doubling, use open addressing with linear probing at a load of at most one half, and
 * do not forget entries. Neither depends on addresses or on a random seed, so that whatever is
 * built from them is the same in every run.
 */
#ifndef MD_TOKENIZER_TABLE_H
#define MD_TOKENIZER_TABLE_H

#include "base/buffer.h"

#define MD_KEY_NONE UINT64_MAX /* never a key, never a value */

typedef struct md_key_slot {
    uint64_t key, value;
} md_key_slot;

typedef struct md_key_map {
    md_key_slot *slots;
    size_t count, capacity; /* capacity is 0 or a power of two */
} md_key_map;

/* The key of two non-negative ids; keys order as (left, right) do. */
static inline uint64_t md_pair_key(int32_t left, int32_t right) {
    return (uint64_t)(uint32_t)left << 32 | (uint32_t)right;
}

/* splitmix64's finaliser: neighbouring keys must not become neighbouring slots. */
static inline uint64_t md_key_mix(uint64_t key) {
    key = (key ^ key >> 30) * 0xbf58476d1ce4e5b9u;
    key = (key ^ key >> 27) * 0x94d049bb133111ebu;
    return key ^ key >> 31;
}

static inline uint64_t md_key_map_get(const md_key_map *map, uint64_t key) {
    if (map->capacity == 0) return MD_KEY_NONE;
    size_t mask = map->capacity - 1;
    for (size_t i = md_key_mix(key) & mask;; i = (i + 1) & mask) {
        if (map->slots[i].key == key) return map->slots[i].value;
        if (map->slots[i].key == MD_KEY_NONE) return MD_KEY_NONE;
    }
}

/* Adds or overwrites. MDLM_RUNTIME when there is no memory, the map is then as it was. */
mdlm_status md_key_map_put(md_key_map *map, uint64_t key, uint64_t value, mdlm_error *err);
void md_key_map_release(md_key_map *map);

typedef struct md_interned {
    size_t start; /* in the interner's bytes */
    uint32_t size, hash;
} md_interned;

typedef struct md_interner {
    md_buffer bytes;
    md_interned *items; /* `count` of them, by index */
    size_t count, capacity;
    uint32_t *slots; /* index + 1; 0 is free */
    size_t slot_count;
} md_interner;

enum { MD_NOT_FOUND = -1 };

/* Finds or adds; *index is the old `count` when the string is new. MDLM_RUNTIME when there is no
 * memory or the strings or their number exceed 32 bits. */
mdlm_status md_interner_add(md_interner *in, const void *bytes, size_t size, size_t *index,
                            mdlm_error *err);
/* The index, or MD_NOT_FOUND. */
int64_t md_interner_find(const md_interner *in, const void *bytes, size_t size);
/* The bytes of one string; valid until the next addition. */
const char *md_interner_text(const md_interner *in, size_t index, size_t *size);
void md_interner_release(md_interner *in);

/* `items` grown, by doubling, to hold at least `needed` items of `size` bytes; *capacity is
 * updated. NULL when there is no memory, `items` is then as it was. */
void *md_grow(void *items, size_t *capacity, size_t needed, size_t size, mdlm_error *err);

#endif
