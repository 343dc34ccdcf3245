/* tokenizer/bpe.c: applying merges; see bpe.h. */
#include "tokenizer/bpe.h"

#include <string.h>

#include "base/memory.h"

/* Up to here a scan for the best pair beats a heap. */
enum { SHORT_WORD = 32 };

#define NOWHERE UINT32_MAX

mdlm_status md_bpe_add(md_bpe *bpe, md_merge merge, mdlm_error *err) {
    uint64_t key = md_pair_key(merge.left, merge.right);
    MD_BUG_IF(md_key_map_get(&bpe->ranks, key) != MD_KEY_NONE);
    void *grown = md_grow(bpe->merges, &bpe->capacity, bpe->count + 1, sizeof *bpe->merges, err);
    if (!grown) return MDLM_RUNTIME;
    bpe->merges = grown;
    MD_TRY(
        md_key_map_put(&bpe->ranks, key, (uint64_t)bpe->count << 32 | (uint32_t)merge.result, err));
    bpe->merges[bpe->count++] = merge;
    return MDLM_OK;
}

void md_bpe_release(md_bpe *bpe) {
    md_free(bpe->merges);
    md_key_map_release(&bpe->ranks);
    *bpe = (md_bpe){0};
}

static uint64_t merge_of(const md_bpe *bpe, int32_t left, int32_t right) {
    return md_key_map_get(&bpe->ranks, md_pair_key(left, right));
}

/* best[i] is the merge of ids[i] and ids[i + 1]: MD_KEY_NONE, the largest value, when there is
 * none; otherwise the order of the values is that of the ranks. */
static size_t apply_short(const md_bpe *bpe, int32_t *ids, size_t count) {
    uint64_t best[SHORT_WORD];
    for (size_t i = 0; i + 1 < count; i++) best[i] = merge_of(bpe, ids[i], ids[i + 1]);
    while (count > 1) {
        size_t at = 0;
        for (size_t i = 1; i + 1 < count; i++) {
            if (best[i] < best[at]) at = i;
        }
        if (best[at] == MD_KEY_NONE) break;
        ids[at] = (int32_t)(uint32_t)best[at];
        count--;
        for (size_t i = at + 1; i < count; i++) ids[i] = ids[i + 1];
        for (size_t i = at + 1; i + 1 < count; i++) best[i] = best[i + 1];
        if (at > 0) best[at - 1] = merge_of(bpe, ids[at - 1], ids[at]);
        if (at + 1 < count) best[at] = merge_of(bpe, ids[at], ids[at + 1]);
    }
    return count;
}

/* A symbol of a long word: a list over the places of ids. */
typedef struct md_bpe_node {
    uint32_t previous, next;
    uint64_t merge; /* with the next symbol; MD_KEY_NONE when there is none, or no symbol here */
} md_bpe_node;

/* A binary min-heap of rank << 32 | place. An entry is stale when the rank of its place changed. */
static void heap_down(uint64_t *heap, size_t count, size_t at) {
    uint64_t item = heap[at];
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= item) break;
        heap[at] = heap[child];
    }
    heap[at] = item;
}

static void heap_push(uint64_t *heap, size_t *count, uint64_t item) {
    size_t at = (*count)++;
    for (; at > 0 && heap[(at - 1) / 2] > item; at = (at - 1) / 2) heap[at] = heap[(at - 1) / 2];
    heap[at] = item;
}

static uint64_t heap_item(uint64_t merge, size_t place) {
    return (merge >> 32) << 32 | place;
}

/* Looks the pair at `place` up again and queues it. */
static void queue_pair(const md_bpe *bpe, md_bpe_scratch *s, size_t *queued, const int32_t *ids,
                       uint32_t place) {
    md_bpe_node *node = &s->nodes[place];
    node->merge = node->next == NOWHERE ? MD_KEY_NONE : merge_of(bpe, ids[place], ids[node->next]);
    if (node->merge != MD_KEY_NONE) heap_push(s->heap, queued, heap_item(node->merge, place));
}

static size_t list_symbols(const md_bpe *bpe, md_bpe_scratch *s, const int32_t *ids, size_t count) {
    size_t queued = 0;
    for (size_t i = 0; i < count; i++) {
        md_bpe_node *node = &s->nodes[i];
        node->previous = i > 0 ? (uint32_t)i - 1 : NOWHERE;
        node->next = i + 1 < count ? (uint32_t)i + 1 : NOWHERE;
        node->merge = i + 1 < count ? merge_of(bpe, ids[i], ids[i + 1]) : MD_KEY_NONE;
        if (node->merge != MD_KEY_NONE) s->heap[queued++] = heap_item(node->merge, i);
    }
    for (size_t i = queued / 2; i-- > 0;) heap_down(s->heap, queued, i);
    return queued;
}

static size_t apply_long(const md_bpe *bpe, md_bpe_scratch *s, int32_t *ids, size_t count) {
    size_t queued = list_symbols(bpe, s, ids, count);
    while (queued > 0) {
        uint64_t top = s->heap[0];
        s->heap[0] = s->heap[--queued];
        if (queued > 0) heap_down(s->heap, queued, 0);
        uint32_t place = (uint32_t)top;
        md_bpe_node *node = &s->nodes[place];
        if (node->merge == MD_KEY_NONE || node->merge >> 32 != top >> 32) continue;
        md_bpe_node *gone = &s->nodes[node->next];
        ids[place] = (int32_t)(uint32_t)node->merge;
        node->next = gone->next;
        gone->merge = MD_KEY_NONE;
        if (node->next != NOWHERE) s->nodes[node->next].previous = place;
        if (node->previous != NOWHERE) queue_pair(bpe, s, &queued, ids, node->previous);
        queue_pair(bpe, s, &queued, ids, place);
    }
    size_t kept = 0;
    for (uint32_t i = 0; i != NOWHERE; i = s->nodes[i].next) ids[kept++] = ids[i];
    return kept;
}

mdlm_status md_bpe_apply(const md_bpe *bpe, md_bpe_scratch *scratch, int32_t *ids, size_t *count,
                         mdlm_error *err) {
    if (*count <= SHORT_WORD) {
        *count = apply_short(bpe, ids, *count);
        return MDLM_OK;
    }
    if (*count > INT32_MAX) {
        return md_fail(err, MDLM_INPUT, "a word of %zu bytes is too long for merges", *count);
    }
    void *nodes =
        md_grow(scratch->nodes, &scratch->node_capacity, *count, sizeof *scratch->nodes, err);
    if (!nodes) return MDLM_RUNTIME;
    scratch->nodes = nodes;
    /* A merge takes at least one entry out and puts at most two in; there are fewer merges and
     * fewer entries at the start than symbols. */
    void *heap =
        md_grow(scratch->heap, &scratch->heap_capacity, 2 * *count, sizeof *scratch->heap, err);
    if (!heap) return MDLM_RUNTIME;
    scratch->heap = heap;
    *count = apply_long(bpe, scratch, ids, *count);
    return MDLM_OK;
}

void md_bpe_scratch_release(md_bpe_scratch *scratch) {
    md_free(scratch->nodes);
    md_free(scratch->heap);
    *scratch = (md_bpe_scratch){0};
}
