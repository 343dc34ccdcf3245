/* train/run.h: the run folder: claimed, described, found again.
 *
 * A new run is prepared in RUN.new-PID and renamed to RUN when its corpus, tokenizer and
 * configuration are complete, so a failure leaves no half-made run behind, and --overwrite removes
 * the old run only when the new one is ready to take its place.
 */
#ifndef MD_TRAIN_RUN_H
#define MD_TRAIN_RUN_H

#include "train/train.h"

/* Whether a folder holds a run (a run.json). */
bool md_run_exists(const char *run);

/* MDLM_USAGE when `run` is taken: by a run (unless `overwrite`), or by files that are no run. */
mdlm_status md_run_check_free(const char *run, bool overwrite, mdlm_error *err);

/* Makes the folder in which a new run is prepared; *staging is freed by the caller. MDLM_WRITE. */
mdlm_status md_run_stage(const char *run, char **staging, mdlm_error *err);
/* Renames the prepared folder to `run`, removing an old run. */
mdlm_status md_run_publish(const char *staging, const char *run, mdlm_error *err);

/* Writes FOLDER/run.json: command, version, options, corpus, kernels. */
mdlm_status md_run_write(const md_train_request *request, const char *folder, const cJSON *corpus,
                         const char *kernels, int64_t parameters, mdlm_error *err);

/* Reads RUN/run.json of a run that is resumed into the settings; what the command line says again
 * must agree where it shapes the model or the data (MDLM_USAGE otherwise). */
mdlm_status md_run_read(const md_train_request *request, uint64_t *seed, mdlm_error *err);

#endif
