/* train/memory.h: whether there is memory to train a network of text.
 *
 *     MD_TRY(md_training_check_memory("LLaDA-8B", &config, settings, 0, err));
 */
#ifndef MD_TRAIN_MEMORY_H
#define MD_TRAIN_MEMORY_H

#include "model/config.h"
#include "train/settings.h"

/* Bytes that hold weights, gradients, the optimizer's state and the average; of a network beside
 * adapters, its weights. What lies between layers comes on top of that. */
int64_t md_training_bytes(const md_model_config *config, const md_train_settings *settings);

/* MDLM_RUNTIME, naming `model`, when these are more than `available`, bytes that may be taken; 0:
 * what the system has. */
mdlm_status md_training_check_memory(const char *model, const md_model_config *config,
                                     const md_train_settings *settings, int64_t available,
                                     mdlm_error *err);

#endif
