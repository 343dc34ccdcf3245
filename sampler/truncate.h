/* sampler/truncate.h: top-k and top-p of one row, without sorting a vocabulary.
 *
 * The order is that of probability: the greater logit first, the lower id of equals. What is kept
 * is the beginning of that order up to a last token, the cut. To find it:
 *
 *   1. Tokens are counted and their weights added up in bins of logits, as wide as the spread of
 *      the chunks' greatest logits suggests. The cut lies in the first bin that makes it enough.
 *   2. Among the tokens of this bin, mostly few, a selection (quickselect, by count or by weight)
 *      finds the cut.
 *
 * top_k first, then top_p of what it left, so at most twice. The width of bins decides on time
 * only.
 */
#ifndef MD_SAMPLER_TRUNCATE_H
#define MD_SAMPLER_TRUNCATE_H

#include "tensor/kernels.h"

/* One row of V logits and what is known of it. */
typedef struct md_row {
    const md_kernels *kernels;
    const float *logits;
    int vocab, chunks;
    int32_t banned;
    float scale;     /* 1 / temperature */
    float max;       /* greatest logit but the banned's */
    md_chunk *chunk; /* [chunks]; `sum` is of the weights exp(scale * (l - row's max)) kept */
    float *weight;   /* [MD_CHUNK] of md_row_weights */
    bool cut;        /* whether there is a cut */
    float cut_logit; /* the last token that is kept */
    int32_t cut_id;
} md_row;

/* Fills row->weight for chunk c, 0 at the banned id and for what is cut off; returns its length. */
int md_row_weights(const md_row *row, int c);

/* Work space for one row at a time. NULL on failure; caller frees. */
typedef struct md_truncation md_truncation;
md_truncation *md_truncation_new(int vocab, mdlm_error *err);
void md_truncation_free(md_truncation *work); /* accepts NULL */

/* Sets the row's cut and the sums of its chunks to what is left; returns the sum of all. `sum` is
 * that before. top_k 0: off; top_p in (0,1], 1: off; at least one of them is on. */
double md_truncate(md_truncation *work, md_row *row, double sum, int top_k, double top_p);

#endif
