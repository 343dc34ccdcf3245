/* corpora/counts.h: two numbers by a 64-bit key, in one table with open addressing.
 *
 *     md_counts seen = {0};
 *     md_count *c;
 *     MD_TRY(md_counts_add(&seen, md_hash(word, size, 0), &c, err));
 *     c->count++;
 *     const md_count *found = md_counts_find(&seen, key);         NULL when it was never added
 *     md_counts_release(&seen);
 *
 * An entry takes 16 bytes and the table is between 3/8 and 3/4 full, so 21 to 43 bytes an entry;
 * half as much again for the moment in which it grows.
 */
#ifndef MD_CORPORA_COUNTS_H
#define MD_CORPORA_COUNTS_H

#include "base/error.h"

typedef struct md_count {
    uint64_t key; /* 0: an empty slot; the key 0 itself is stored as another */
    uint32_t count, extra;
} md_count;

typedef struct md_counts { /* init with {0} */
    md_count *slots;
    size_t capacity, used;
} md_counts;

/* The entry of a key, new ones zeroed. Valid until the next call that adds. MDLM_RUNTIME when there
 * is no memory. */
mdlm_status md_counts_add(md_counts *counts, uint64_t key, md_count **out, mdlm_error *err);
const md_count *md_counts_find(const md_counts *counts, uint64_t key);
/* The entries in the order of the table, which the keys added and their order decide: *at starts at
 * 0; NULL at the end. */
const md_count *md_counts_next(const md_counts *counts, size_t *at);
void md_counts_release(md_counts *counts);

#endif
