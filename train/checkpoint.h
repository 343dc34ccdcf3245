/* train/checkpoint.h: saving and finding the state of a training, so that no crash loses it.
 *
 *     RUN/checkpoints/step-1200/  raw.safetensors        parameters
 *                                 ema.safetensors        their average (when one is kept)
 *                                 optimizer.safetensors  m.NAME and v.NAME; Muon's have no v
 *                                 state.json             counters, given by the caller
 *                                 manifest.json          size and XXH3 hash of each file, last
 *
 * Written into checkpoints/.tmp-step-1200, every file and the folder synced, then renamed: a reader
 * sees a whole checkpoint or none. Older ones are removed only after that. A checkpoint of the same
 * step is first renamed to .old-step-1200, which loading accepts when step-1200 is not there.
 */
#ifndef MD_TRAIN_CHECKPOINT_H
#define MD_TRAIN_CHECKPOINT_H

#include "base/json.h"
#include "tensor/optim.h"

typedef struct md_checkpoint {
    md_params *params;
    md_optimizer *optimizer;
    int64_t step;
    cJSON *state; /* an object; save: the caller's; load: handed to the caller, who deletes it */
} md_checkpoint;

/* Saves and then removes all but the `keep` newest (at least 1), and all of later steps: those are
 * of a training that was lost, since this one went on from before them. MDLM_WRITE on any failure
 * (nothing half-written is left); MDLM_NUMERIC, nothing written, when a parameter, its average or a
 * moment is not finite. A folder that cannot be removed is no failure: the next save tries again.
 * `path` (may be NULL) receives the folder's name, freed by the caller with md_free. */
mdlm_status md_checkpoint_save(const md_checkpoint *c, const char *run, int keep, char **path,
                               mdlm_error *err);

/* Loads the newest checkpoint whose manifest verifies into params and optimizer and fills step and
 * state. Every file is untrusted: sizes, hashes, shapes and names are checked first. A damaged one
 * is passed over for the one before it; `note` (may be NULL) then receives one line about it, freed
 * by the caller with md_free, and otherwise NULL. MDLM_USAGE when there is no checkpoint;
 * MDLM_INPUT when none is sound. On failure nothing is changed. */
mdlm_status md_checkpoint_load(md_checkpoint *c, const char *run, char **note, mdlm_error *err);

/* The folder of the newest checkpoint whose manifest verifies (every file is read and hashed);
 * *path freed by the caller with md_free. MDLM_USAGE when there is no checkpoint; MDLM_INPUT when
 * none is sound. */
mdlm_status md_checkpoint_newest(const char *run, char **path, mdlm_error *err);

#endif
