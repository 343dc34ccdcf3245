/* train/plan.h: sensible defaults from the size of the corpus.
 *
 * Every setting that was left open (0 where its bounds exclude 0) gets a value here, recorded as
 * chosen in the options, so that the printed plan and run.json tell the whole truth.
 */
#ifndef MD_TRAIN_PLAN_H
#define MD_TRAIN_PLAN_H

#include "corpora/corpus.h"
#include "model/config.h"
#include "train/settings.h"

/* The shape of the model: explicit settings over the preset (named, or by the corpus's size in
 * bytes; 0 when unknown, as a check before the corpus is read). Fills *config but for vocabulary
 * and ids. MDLM_USAGE when sizes do not fit together. */
mdlm_status md_plan_model(md_train_settings *s, md_options *o, int64_t corpus_bytes,
                          md_model_config *config, mdlm_error *err);

/* What the objective asks of the model: sight and block length; `config` has its seq_len.
 * MDLM_USAGE for settings that do not belong to the objective, or blocks that do not fit. */
mdlm_status md_plan_objective(md_train_settings *s, md_options *o, md_model_config *config,
                              mdlm_error *err);

/* Steps or time, batch, learning rate, warm-up, intervals. `config` complete. */
void md_plan_training(md_train_settings *s, md_options *o, const md_corpus_stats *stats,
                      const md_model_config *config);

/* The same for the batch and the steps of fine-tuning on pairs (two documents each), before the
 * other two: as many tokens a step as elsewhere, and some passes over the pairs. */
void md_plan_pairs(md_train_settings *s, md_options *o, const md_corpus_stats *stats);

/* Several lines for people: corpus, tokenizer, model, training, and where each setting came from.
 */
mdlm_status md_plan_describe(const md_train_settings *s, const md_options *o,
                             const md_corpus_stats *stats, const md_model_config *config,
                             md_buffer *out, mdlm_error *err);

#endif
