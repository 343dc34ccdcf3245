/* train/run_folder.h: the folder of a run: claimed, prepared, put in place, locked.
 *
 *     MD_TRY(md_run_check_free(run, overwrite, err));
 *     MD_TRY(md_run_stage(run, &staging, err));            RUN.new-PID: prepare everything in it
 *     MD_TRY(md_run_publish(staging, run, &aside, err));   is RUN now; an old run waits in `aside`
 *     ... once the new run has saved something: md_dir_remove(aside) ...
 *     ... if it never does:                     md_run_undo(run, aside) ...
 *
 * So a failure leaves no half-made run behind, and --overwrite loses the old run only when the new
 * one is worth having. What a killed process left beside the run is removed by the next one.
 */
#ifndef MD_TRAIN_RUN_FOLDER_H
#define MD_TRAIN_RUN_FOLDER_H

#include "base/error.h"

/* Whether a folder holds a run (a run.json). */
bool md_run_exists(const char *run);

/* MDLM_USAGE when `run` is taken: by a run (unless `overwrite`), by a run with foreign files in it,
 * by files that are no run, by a training that is going on, or when it is a symbolic link. */
mdlm_status md_run_check_free(const char *run, bool overwrite, mdlm_error *err);

/* Makes the folder in which a new run is prepared; *staging is freed by the caller. MDLM_WRITE. */
mdlm_status md_run_stage(const char *run, char **staging, mdlm_error *err);

/* Renames the prepared folder to `run`. An old run is moved to *aside (else NULL), freed by the
 * caller. */
mdlm_status md_run_publish(const char *staging, const char *run, char **aside, mdlm_error *err);

/* Removes a run that came to nothing and puts the old one (if `aside`) back. */
void md_run_undo(const char *run, const char *aside);

/* Holds the run's folder for this process until the descriptor is closed: two trainings in one run
 * would spoil it. MDLM_USAGE when another process holds it. */
mdlm_status md_run_lock(const char *run, int *descriptor, mdlm_error *err);

#endif
