/* train/text_batch.c: see text_batch.h. */
#include "train/text_batch.h"

#include "base/memory.h"

mdlm_status md_text_batch_init(md_text_batch *b, int B, int seq_len, mdlm_error *err) {
    size_t n = 0;
    *b = (md_text_batch){.B = B, .T = seq_len, .seq_len = seq_len};
    if (!md_size_mul((size_t)B, (size_t)seq_len, &n))
        return md_fail(err, MDLM_RUNTIME, "%d sequences of %d tokens are too many", B, seq_len);
    b->ids = md_alloc(n, sizeof *b->ids, err);
    b->keep = md_alloc(n, sizeof *b->keep, err);
    b->scored = md_alloc((size_t)B, sizeof *b->scored, err);
    b->lengths = md_alloc((size_t)B, sizeof *b->lengths, err);
    b->noisy = md_alloc(n, sizeof *b->noisy, err);
    b->rows = md_alloc(n, sizeof *b->rows, err);
    b->target = md_alloc(n, sizeof *b->target, err);
    b->weight = md_alloc(n, sizeof *b->weight, err);
    bool complete = b->ids && b->keep && b->scored && b->lengths && b->noisy && b->rows &&
                    b->target && b->weight;
    return complete ? MDLM_OK : MDLM_RUNTIME;
}

void md_text_batch_release(md_text_batch *b) {
    md_free(b->ids);
    md_free(b->keep);
    md_free(b->scored);
    md_free(b->lengths);
    md_free(b->noisy);
    md_free(b->rows);
    md_free(b->target);
    md_free(b->weight);
    *b = (md_text_batch){.B = 0};
}
