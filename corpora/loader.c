/* corpora/loader.c: which window of a part is training sequence number n.
 *
 *     part    |--offset--|-- window 0 --|-- window 1 --| ... |-- window W-1 --|--- rest ---|
 *
 * The offset is drawn anew for every pass, so that a token does not always meet the same
 * neighbours at the same place. It is below seq_len, and smaller still in a part of less than two
 * windows, so that one window always fits; the number of windows is the same in every pass.
 */
#include "base/rng.h"
#include "corpora/corpora_internal.h"

/* Places of the counter that md_permute, which uses the same key, does not reach. */
enum { OFFSET_SEQUENCE = 0x7fffffff };

static int64_t max_offset(const md_corpus *corpus, md_part part, int seq_len) {
    int64_t spare = md_corpus_tokens(corpus, part) - seq_len;
    return spare < seq_len - 1 ? spare : seq_len - 1;
}

mdlm_status md_loader_init(md_loader *loader, const md_corpus *corpus, md_part part, int seq_len,
                           uint64_t seed, mdlm_error *err) {
    MD_BUG_IF(seq_len < 1);
    int64_t tokens = md_corpus_tokens(corpus, part);
    if (tokens < seq_len) {
        return md_fail(err, MDLM_INPUT,
                       "the %s part has %lld tokens: expected at least the sequence length %d",
                       part == MD_PART_TRAIN ? "training" : "validation", (long long)tokens,
                       seq_len);
    }
    *loader = (md_loader){
        .corpus = corpus,
        .part = part,
        .seq_len = seq_len,
        .seed = seed,
        .windows = (tokens - max_offset(corpus, part, seq_len)) / seq_len,
    };
    return MDLM_OK;
}

int64_t md_loader_offset(const md_loader *loader, int64_t n) {
    MD_BUG_IF(n < 0);
    md_rng rng = {
        .seed = loader->seed, .stream = MD_STREAM_ORDER, .step = (uint64_t)(n / loader->windows)};
    uint64_t offsets = (uint64_t)max_offset(loader->corpus, loader->part, loader->seq_len) + 1;
    uint64_t offset = md_uniform_below(rng, OFFSET_SEQUENCE, 0, offsets);
    uint64_t window = md_permute(rng, (uint64_t)(n % loader->windows), (uint64_t)loader->windows);
    return (int64_t)offset + (int64_t)window * loader->seq_len;
}

void md_loader_read(const md_loader *loader, int64_t first, int count, int32_t *ids) {
    for (int i = 0; i < count; i++) {
        int64_t at = md_loader_offset(loader, first + i);
        md_corpus_read(loader->corpus, loader->part, at, ids + (int64_t)i * loader->seq_len,
                       loader->seq_len);
    }
}
