/* train/run.h: run.json: what was run, and with what, so that it can go on or be repeated. */
#ifndef MD_TRAIN_RUN_H
#define MD_TRAIN_RUN_H

#include "train/train.h"

/* Writes FOLDER/run.json: command, version, options, corpus, kernels. */
mdlm_status md_run_write(const md_train_request *request, const char *folder, const cJSON *corpus,
                         const char *kernels, int64_t parameters, mdlm_error *err);

/* Reads RUN/run.json of a run that is resumed into the settings. What the command line says again
 * must agree where it shapes the model, the data or the optimizer's state (MDLM_USAGE otherwise).
 */
/* `corpus`: what md_corpus_json says of the run's corpus. MDLM_USAGE when the request names another
 * one. */
mdlm_status md_run_check_corpus(const md_train_request *request, const cJSON *corpus,
                                mdlm_error *err);
mdlm_status md_run_read(const md_train_request *request, uint64_t *seed, mdlm_error *err);

#endif
