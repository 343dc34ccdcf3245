/* train/sft.h: supervised fine-tuning: pairs of a prompt and its answer as a source of training
 * sequences (train/text_batch.h).
 *
 *     md_sft sft;
 *     md_sft_options o = {.padding = MD_SFT_TAIL, .seq_len = 128, .block = 1, .seed = 1};
 *     MD_TRY(md_sft_init(&sft, corpus, tokenizer, &o, err));       corpus of md_pairs_pack
 *     md_sequences data = md_sft_sequences(&sft);                  no longer than `sft`
 *     md_sft_release(&sft);
 *
 * A sequence is prompt, answer, tail; the answer ends with end-of-text:
 *
 *     What is 47 + 38?\n  85#  ###...          # end-of-text
 *     keep                answer  tail
 *
 * The prompt is never masked. The loss of a sequence is summed over its answer (and tail) and
 * divided by the answer's length, then averaged over sequences (LLaDA section 2.3). Sequences of a
 * micro-batch differ in length; what fills them up is seen by no row and has no loss, so that a
 * sequence's loss does not depend on its neighbours.
 *
 * The tail. A bidirectional model sees how much room an answer has. Trained on answers that fill
 * their room exactly it learns to read the answer's length off the canvas, and is lost when it is
 * asked to answer on a canvas that is longer. LLaDA's padding with end-of-text to the longest of a
 * batch cures that; where most of what counts is then end-of-text, models come to prefer it to
 * answers. So:
 *
 *   MD_SFT_TAIL     each step draws how much room there is, from none to all of the trained length,
 *                   short tails more often (log-uniform); a tail has its loss, but is not in the
 *                   length that the loss is divided by
 *   MD_SFT_EXCLUDE  no tail. For models that do not look ahead; for others only where the length
 *                   of the answer is told
 *   MD_SFT_COUNT    LLaDA's: a tail up to the longest pair, and it counts as answer in full
 *
 * Where the network sees by blocks a sequence ends with a block: the rest of the block belongs to
 * the tail, or, with MD_SFT_EXCLUDE, is visible end-of-text without a loss.
 *
 * Validation is the bound on -log p of the validation pairs' answers given their prompts, in nats
 * per token of the answer, end-of-text included and tails not: each on a canvas with room for the
 * longest answer (with MD_SFT_EXCLUDE, for its own).
 */
#ifndef MD_TRAIN_SFT_H
#define MD_TRAIN_SFT_H

#include "corpora/pairs.h"
#include "train/text_batch.h"

typedef enum md_sft_padding { MD_SFT_TAIL, MD_SFT_EXCLUDE, MD_SFT_COUNT } md_sft_padding;

typedef struct md_sft_options {
    md_sft_padding padding;
    int seq_len;
    int block; /* sequences are filled up to multiples of this; 1: not */
    uint64_t seed;
} md_sft_options;

typedef struct md_sft {
    const md_corpus *corpus;
    const md_tokenizer *tokenizer;
    md_sft_options options;
    /* by md_part: the pairs that fit seq_len, and how many do not */
    int64_t *pairs[2], count[2], skipped[2];
    int64_t longest, longest_answer; /* tokens, of those that fit */
    double mean;                     /* tokens of a training pair */
} md_sft;

/* Pairs longer than seq_len are left out and counted in `skipped`. MDLM_INPUT when that, or the
 * split, leaves nothing to train or to validate on, and for a corpus without pairs. */
mdlm_status md_sft_init(md_sft *sft, const md_corpus *corpus, const md_tokenizer *tokenizer,
                        const md_sft_options *options, mdlm_error *err);
void md_sft_release(md_sft *sft); /* accepts {0} */
md_sequences md_sft_sequences(md_sft *sft);

/* "tail", "exclude", "count"; "auto" is exclude for a model that sees the past alone, else tail. */
md_sft_padding md_sft_padding_for(const char *name, md_sight sight);

#endif
