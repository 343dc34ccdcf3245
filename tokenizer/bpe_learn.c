/* tokenizer/bpe_learn.c: learning merges; see md_bpe_learn in bpe.h.
 *
 * All words lie in one row of symbols, each word once, with a wall between words:
 *
 *     place    0   1   2   3   4   5   6   7          after the merge (t, h)
 *     ids      #   t   h   e   #   h   e   #          #  th   .   e   #   h   e   #
 *     lengths  1   1   1   1   1   1   1   1          1   2   2   1   1   1   1   1
 *
 * A symbol lives at its first place; its length stands at its first and at its last place, so that
 * both neighbours are found without links. Every pair keeps the list of places where it was seen,
 * in ascending order; an entry is stale when other symbols are there now. A merge visits only its
 * own places and adjusts only the counts of the pairs around them.
 *
 * Pairs wait in a heap with the count that they had when they entered. All pairs with a new symbol
 * arise in the merge that makes it, and from then on a count only falls; so an entry whose count
 * is out of date goes back with the present one, and the first up-to-date entry is the best pair.
 */
#include <string.h>

#include "base/memory.h"
#include "tokenizer/bpe.h"

enum { WALL = -1, GONE = -2 };

#define NOWHERE UINT32_MAX

typedef struct pair {
    uint64_t key; /* md_pair_key */
    int64_t count;
    uint32_t first, last; /* its list in trainer.seen */
} pair;

typedef struct sighting {
    uint32_t place, next;
} sighting;

typedef struct candidate {
    int64_t count;
    uint64_t key;
    size_t pair;
} candidate;

typedef struct trainer {
    const int64_t *counts;
    int32_t *ids;
    uint32_t *lengths, *words; /* words[place]: whose count applies */

    md_key_map index; /* key -> place in pairs */
    pair *pairs;
    size_t pair_count, pair_capacity;

    sighting *seen;
    size_t seen_count, seen_capacity;
    uint32_t unused; /* list of sightings to use again */

    candidate *heap;
    size_t heap_count, heap_capacity;
} trainer;

static bool better(const candidate *a, const candidate *b) {
    return a->count != b->count ? a->count > b->count : a->key < b->key;
}

static mdlm_status heap_push(trainer *t, size_t which, mdlm_error *err) {
    candidate item = {t->pairs[which].count, t->pairs[which].key, which};
    void *grown = md_grow(t->heap, &t->heap_capacity, t->heap_count + 1, sizeof *t->heap, err);
    if (!grown) return MDLM_RUNTIME;
    t->heap = grown;
    size_t at = t->heap_count++;
    for (; at > 0 && better(&item, &t->heap[(at - 1) / 2]); at = (at - 1) / 2) {
        t->heap[at] = t->heap[(at - 1) / 2];
    }
    t->heap[at] = item;
    return MDLM_OK;
}

static candidate heap_pop(trainer *t) {
    candidate top = t->heap[0], item = t->heap[--t->heap_count];
    size_t at = 0, count = t->heap_count;
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && better(&t->heap[child + 1], &t->heap[child])) child++;
        if (!better(&t->heap[child], &item)) break;
        t->heap[at] = t->heap[child];
    }
    if (count > 0) t->heap[at] = item;
    return top;
}

static mdlm_status new_sighting(trainer *t, uint32_t place, uint32_t *out, mdlm_error *err) {
    uint32_t at = t->unused;
    if (at != NOWHERE) {
        t->unused = t->seen[at].next;
    } else {
        if (t->seen_count >= NOWHERE) {
            return md_fail(err, MDLM_RUNTIME, "too much text to learn merges from");
        }
        void *grown = md_grow(t->seen, &t->seen_capacity, t->seen_count + 1, sizeof *t->seen, err);
        if (!grown) return MDLM_RUNTIME;
        t->seen = grown;
        at = (uint32_t)t->seen_count++;
    }
    t->seen[at] = (sighting){place, NOWHERE};
    *out = at;
    return MDLM_OK;
}

/* Counts the pair at `place`, and remembers the place. */
static mdlm_status raise(trainer *t, int32_t left, int32_t right, uint32_t place, mdlm_error *err) {
    uint64_t key = md_pair_key(left, right), which = md_key_map_get(&t->index, key);
    if (which == MD_KEY_NONE) {
        which = t->pair_count;
        void *grown = md_grow(t->pairs, &t->pair_capacity, which + 1, sizeof *t->pairs, err);
        if (!grown) return MDLM_RUNTIME;
        t->pairs = grown;
        MD_TRY(md_key_map_put(&t->index, key, which, err));
        t->pairs[t->pair_count++] = (pair){.key = key, .first = NOWHERE, .last = NOWHERE};
    }
    uint32_t at = NOWHERE;
    MD_TRY(new_sighting(t, place, &at, err));
    pair *p = &t->pairs[which];
    p->count += t->counts[t->words[place]];
    if (p->first == NOWHERE)
        p->first = at;
    else
        t->seen[p->last].next = at;
    p->last = at;
    return MDLM_OK;
}

static void lower(trainer *t, int32_t left, int32_t right, uint32_t place) {
    uint64_t which = md_key_map_get(&t->index, md_pair_key(left, right));
    MD_BUG_IF(which == MD_KEY_NONE);
    t->pairs[which].count -= t->counts[t->words[place]];
}

/* Puts `made` in the place of the two symbols at `place`. */
static mdlm_status merge_at(trainer *t, uint32_t place, int32_t made, mdlm_error *err) {
    uint32_t second = place + t->lengths[place], after = second + t->lengths[second];
    uint32_t before = place - t->lengths[place - 1];
    int32_t left = t->ids[before], right = t->ids[after];
    if (left >= 0) lower(t, left, t->ids[place], place);
    if (right >= 0) lower(t, t->ids[second], right, place);
    t->ids[place] = made;
    t->ids[second] = GONE;
    t->lengths[place] = t->lengths[after - 1] = after - place;
    if (left >= 0) MD_TRY(raise(t, left, made, before, err));
    if (right >= 0) MD_TRY(raise(t, made, right, place, err));
    return MDLM_OK;
}

static mdlm_status merge_everywhere(trainer *t, size_t which, int32_t made, mdlm_error *err) {
    int32_t left = (int32_t)(t->pairs[which].key >> 32), right = (int32_t)t->pairs[which].key;
    size_t first_new = t->pair_count;
    for (uint32_t at = t->pairs[which].first; at != NOWHERE;) {
        sighting here = t->seen[at];
        t->seen[at].next = t->unused;
        t->unused = at;
        at = here.next;
        if (t->ids[here.place] != left) continue;
        if (t->ids[here.place + t->lengths[here.place]] != right) continue;
        MD_TRY(merge_at(t, here.place, made, err));
    }
    t->pairs[which].count = 0;
    t->pairs[which].first = NOWHERE;
    for (size_t i = first_new; i < t->pair_count; i++) {
        if (t->pairs[i].count > 1) MD_TRY(heap_push(t, i, err));
    }
    return MDLM_OK;
}

static mdlm_status lay_out(trainer *t, const md_interner *words, mdlm_error *err) {
    size_t places = words->bytes.size + words->count + 1;
    if (places >= NOWHERE) return md_fail(err, MDLM_RUNTIME, "too much text to learn merges from");
    t->ids = md_alloc(places, sizeof *t->ids, err);
    t->lengths = md_alloc(places, sizeof *t->lengths, err);
    t->words = md_alloc(places, sizeof *t->words, err);
    if (!t->ids || !t->lengths || !t->words) return MDLM_RUNTIME;
    uint32_t place = 0;
    t->ids[place] = WALL;
    t->lengths[place++] = 1;
    for (size_t w = 0; w < words->count; w++) {
        size_t size;
        const char *text = md_interner_text(words, w, &size);
        for (size_t i = 0; i <= size; i++, place++) {
            t->ids[place] = i < size ? (unsigned char)text[i] : WALL;
            t->lengths[place] = 1;
            t->words[place] = (uint32_t)w;
        }
    }
    for (uint32_t i = 1; i + 1 < places; i++) {
        if (t->ids[i] < 0 || t->ids[i + 1] < 0) continue;
        MD_TRY(raise(t, t->ids[i], t->ids[i + 1], i, err));
    }
    for (size_t i = 0; i < t->pair_count; i++) {
        if (t->pairs[i].count > 1) MD_TRY(heap_push(t, i, err));
    }
    return MDLM_OK;
}

/* The bytes of both tokens in a row; false when there are too many. */
static bool joined(const md_interner *tokens, md_merge merge, char out[MD_LONGEST_PIECE],
                   size_t *size) {
    size_t a, b;
    const char *left = md_interner_text(tokens, (size_t)merge.left, &a);
    const char *right = md_interner_text(tokens, (size_t)merge.right, &b);
    if (a + b > MD_LONGEST_PIECE) return false;
    memcpy(out, left, a);
    memcpy(out + a, right, b);
    *size = a + b;
    return true;
}

static mdlm_status learn(trainer *t, size_t merges, md_bpe *bpe, md_interner *tokens,
                         mdlm_error *err) {
    while (bpe->count < merges && t->heap_count > 0) {
        candidate top = heap_pop(t);
        if (t->pairs[top.pair].count != top.count) {
            if (t->pairs[top.pair].count > 1) MD_TRY(heap_push(t, top.pair, err));
            continue;
        }
        char bytes[MD_LONGEST_PIECE];
        size_t size, index;
        md_merge merge = {(int32_t)(top.key >> 32), (int32_t)top.key, (int32_t)tokens->count};
        if (!joined(tokens, merge, bytes, &size)) continue;
        MD_TRY(md_interner_add(tokens, bytes, size, &index, err));
        /* Never the bytes of an older token: a merge happens everywhere at once, so wherever the
         * parts of both ways to cut those bytes existed, the same way was taken. */
        MD_BUG_IF(index != (size_t)merge.result);
        MD_TRY(md_bpe_add(bpe, merge, err));
        MD_TRY(merge_everywhere(t, top.pair, merge.result, err));
    }
    return MDLM_OK;
}

mdlm_status md_bpe_learn(const md_interner *words, const int64_t *counts, size_t merges,
                         md_bpe *bpe, md_interner *tokens, mdlm_error *err) {
    trainer t = {.counts = counts, .unused = NOWHERE};
    mdlm_status status = MDLM_OK;
    for (int byte = 0; byte < 256; byte++) {
        size_t index;
        MD_GOTO(done, status, md_interner_add(tokens, &(char){(char)byte}, 1, &index, err));
    }
    MD_GOTO(done, status, lay_out(&t, words, err));
    MD_GOTO(done, status, learn(&t, merges, bpe, tokens, err));
done:
    md_free(t.ids);
    md_free(t.lengths);
    md_free(t.words);
    md_free(t.pairs);
    md_free(t.seen);
    md_free(t.heap);
    md_key_map_release(&t.index);
    return status;
}
