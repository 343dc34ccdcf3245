/* tokenizer/bpe.h: byte-pair merges, applied and learnt. Private to this folder.
 *
 *     md_bpe bpe = {0};
 *     MD_TRY(md_bpe_add(&bpe, (md_merge){'t', 'h', 256}, err));     rank 0: the first to apply
 *     md_bpe_scratch scratch = {0};
 *     MD_TRY(md_bpe_apply(&bpe, &scratch, ids, &count, err));       in place; count shrinks
 *     md_bpe_scratch_release(&scratch);
 *     md_bpe_release(&bpe);
 *
 * Applying takes, again and again, the adjacent pair of the lowest rank, the leftmost of equals,
 * and puts the pair's result in its place (Sennrich et al. 2016), as Hugging Face's encoder does.
 */
#ifndef MD_TOKENIZER_BPE_H
#define MD_TOKENIZER_BPE_H

#include "tokenizer/table.h"

typedef struct md_merge {
    int32_t left, right, result;
} md_merge;

typedef struct md_bpe {
    md_merge *merges; /* by rank */
    size_t count, capacity;
    md_key_map ranks; /* md_pair_key(left, right) -> rank << 32 | result */
} md_bpe;

/* Appends the merge of the next rank. The pair must not have one yet (MD_BUG_IF). */
mdlm_status md_bpe_add(md_bpe *bpe, md_merge merge, mdlm_error *err);
void md_bpe_release(md_bpe *bpe);

/* Memory for long words, kept from word to word. Init with {0}. */
typedef struct md_bpe_scratch {
    struct md_bpe_node *nodes;
    uint64_t *heap;
    size_t node_capacity, heap_capacity;
} md_bpe_scratch;
void md_bpe_scratch_release(md_bpe_scratch *scratch);

/* Merges one word in place. O(n) merges of O(log n) each. MDLM_INPUT for a word of more than
 * 2^31 - 1 symbols. */
mdlm_status md_bpe_apply(const md_bpe *bpe, md_bpe_scratch *scratch, int32_t *ids, size_t *count,
                         mdlm_error *err);

/* Learns up to `merges` merges. Words have `counts`; ids 0..255 are the bytes and the merge of
 * rank r makes id 256 + r. Always the pair that occurs most often, of equals the one with the
 * smaller ids; stops when none occurs twice. A pair of more than MD_LONGEST_PIECE bytes is passed
 * over. `tokens` is an empty interner and receives the bytes of the ids. */
enum { MD_LONGEST_PIECE = 256 };
mdlm_status md_bpe_learn(const md_interner *words, const int64_t *counts, size_t merges,
                         md_bpe *bpe, md_interner *tokens, mdlm_error *err);

#endif
