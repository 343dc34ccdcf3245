/* train/packed_text.h: a packed corpus as a source of training sequences (train/text_batch.h).
 *
 *     md_packed_text text;
 *     MD_TRY(md_packed_text_init(&text, corpus, tokenizer, seq_len, seed, err));
 *     md_sequences data = md_packed_text_sequences(&text);     no longer than `text`
 *
 * Every token counts. Validation is the bound on the corpus's validation part in nats per byte
 * (train/evaluate.h), on the same windows and draws whatever the run's seed.
 */
#ifndef MD_TRAIN_PACKED_TEXT_H
#define MD_TRAIN_PACKED_TEXT_H

#include "corpora/corpus.h"
#include "train/text_batch.h"

typedef struct md_packed_text {
    const md_corpus *corpus;
    const md_tokenizer *tokenizer;
    md_loader loader;
    bool short_batches; /* false unless set after init: LLaDA cuts 1% of its batches to a random
                           length, so that the model knows short canvases too */
} md_packed_text;

/* MDLM_INPUT when the training part is shorter than seq_len. Nothing to release. */
mdlm_status md_packed_text_init(md_packed_text *text, const md_corpus *corpus,
                                const md_tokenizer *tokenizer, int seq_len, uint64_t seed,
                                mdlm_error *err);
md_sequences md_packed_text_sequences(md_packed_text *text);

#endif
