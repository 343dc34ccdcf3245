/* tokenizer/table.c: see table.h. */
#include "tokenizer/table.h"

#include <string.h>

#include "base/file.h"
#include "base/memory.h"

enum { FIRST_SLOTS = 64 };

void *md_grow(void *items, size_t *capacity, size_t needed, size_t size, mdlm_error *err) {
    if (items && needed <= *capacity) return items;
    size_t larger = *capacity > 8 ? *capacity : 8;
    while (larger < needed) larger = larger > SIZE_MAX / 2 ? needed : larger * 2;
    void *grown = md_realloc(items, larger, size, err);
    if (grown) *capacity = larger;
    return grown;
}

static void key_map_place(md_key_map *map, uint64_t key, uint64_t value) {
    size_t mask = map->capacity - 1, i = md_key_mix(key) & mask;
    while (map->slots[i].key != MD_KEY_NONE && map->slots[i].key != key) i = (i + 1) & mask;
    if (map->slots[i].key == MD_KEY_NONE) map->count++;
    map->slots[i] = (md_key_slot){key, value};
}

mdlm_status md_key_map_put(md_key_map *map, uint64_t key, uint64_t value, mdlm_error *err) {
    MD_BUG_IF(key == MD_KEY_NONE || value == MD_KEY_NONE);
    if (map->count >= map->capacity / 2) {
        md_key_map larger = {.capacity = map->capacity ? map->capacity * 2 : FIRST_SLOTS};
        larger.slots = md_realloc(NULL, larger.capacity, sizeof *larger.slots, err);
        if (!larger.slots) return MDLM_RUNTIME;
        for (size_t i = 0; i < larger.capacity; i++) larger.slots[i].key = MD_KEY_NONE;
        for (size_t i = 0; i < map->capacity; i++) {
            md_key_slot slot = map->slots[i];
            if (slot.key != MD_KEY_NONE) key_map_place(&larger, slot.key, slot.value);
        }
        md_key_map_release(map);
        *map = larger;
    }
    key_map_place(map, key, value);
    return MDLM_OK;
}

void md_key_map_release(md_key_map *map) {
    md_free(map->slots);
    *map = (md_key_map){0};
}

/* The slot that holds the string, or the free one where it would go. */
static size_t interner_slot(const md_interner *in, const void *bytes, size_t size, uint32_t hash) {
    size_t mask = in->slot_count - 1, i = hash & mask;
    for (; in->slots[i] != 0; i = (i + 1) & mask) {
        const md_interned *item = &in->items[in->slots[i] - 1];
        if (item->hash != hash || item->size != size) continue;
        if (size == 0 || memcmp(in->bytes.data + item->start, bytes, size) == 0) break;
    }
    return i;
}

static mdlm_status interner_rehash(md_interner *in, mdlm_error *err) {
    size_t slot_count = in->slot_count ? in->slot_count * 2 : FIRST_SLOTS;
    uint32_t *slots = md_alloc(slot_count, sizeof *slots, err);
    if (!slots) return MDLM_RUNTIME;
    for (size_t index = 0; index < in->count; index++) {
        size_t i = in->items[index].hash & (slot_count - 1);
        while (slots[i] != 0) i = (i + 1) & (slot_count - 1);
        slots[i] = (uint32_t)index + 1;
    }
    md_free(in->slots);
    in->slots = slots;
    in->slot_count = slot_count;
    return MDLM_OK;
}

mdlm_status md_interner_add(md_interner *in, const void *bytes, size_t size, size_t *index,
                            mdlm_error *err) {
    if (size > UINT32_MAX || in->count >= UINT32_MAX - 1) {
        return md_fail(err, MDLM_RUNTIME, "too many or too long strings for one table");
    }
    if (in->count >= in->slot_count / 2) MD_TRY(interner_rehash(in, err));
    uint32_t hash = (uint32_t)md_hash(bytes, size, 0);
    size_t slot = interner_slot(in, bytes, size, hash);
    if (in->slots[slot] != 0) {
        *index = in->slots[slot] - 1;
        return MDLM_OK;
    }
    void *items = md_grow(in->items, &in->capacity, in->count + 1, sizeof *in->items, err);
    if (!items) return MDLM_RUNTIME;
    in->items = items;
    size_t start = in->bytes.size;
    MD_TRY(md_buffer_append(&in->bytes, bytes, size, err));
    in->items[in->count] = (md_interned){start, (uint32_t)size, hash};
    *index = in->count++;
    in->slots[slot] = (uint32_t)in->count;
    return MDLM_OK;
}

int64_t md_interner_find(const md_interner *in, const void *bytes, size_t size) {
    if (in->count == 0 || size > UINT32_MAX) return MD_NOT_FOUND;
    size_t slot = interner_slot(in, bytes, size, (uint32_t)md_hash(bytes, size, 0));
    return (int64_t)in->slots[slot] - 1;
}

const char *md_interner_text(const md_interner *in, size_t index, size_t *size) {
    *size = in->items[index].size;
    return in->bytes.data + in->items[index].start;
}

void md_interner_release(md_interner *in) {
    md_buffer_release(&in->bytes);
    md_free(in->items);
    md_free(in->slots);
    *in = (md_interner){0};
}
