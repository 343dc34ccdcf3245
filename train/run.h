/* train/run.h: run.json: what was run, and with what, so that it can go on or be repeated. */
#ifndef MD_TRAIN_RUN_H
#define MD_TRAIN_RUN_H

#include "train/train.h"

/* A kind of run: what its run.json holds. Lists end with NULL. */
typedef struct md_run_kind {
    const char *command;            /* what makes it: "train" */
    const char *data;               /* key of what it was trained on: "corpus" */
    const md_option *const *tables; /* options that a resumed run takes over */
    const md_option *const *shape;  /* of these those that shape model or data: they may not change
                                       when it goes on */
    const char *const *state;       /* options besides that the saved state depends on */
} md_run_kind;

/* What of a run is not in its options. */
typedef struct md_run_facts {
    const cJSON *data;
    const char *kernels;
    int64_t parameters;
} md_run_facts;

/* Writes FOLDER/run.json: command, version, options, data, kernels. */
mdlm_status md_run_write(const md_run_kind *kind, const md_train_request *request,
                         const char *folder, const md_run_facts *facts, mdlm_error *err);

/* Reads RUN/run.json of a run that is resumed into the options. What the command line says again
 * must agree where it shapes the model, the data or the optimizer's state (MDLM_USAGE otherwise,
 * and for a run of another kind). *data (unless NULL): what facts.data was, deleted by the caller.
 */
mdlm_status md_run_read(const md_run_kind *kind, const md_train_request *request, uint64_t *seed,
                        cJSON **data, mdlm_error *err);

/* `sources`: a list of objects with a "path" that the run was made of. MDLM_USAGE when the request
 * names another one. */
mdlm_status md_run_check_sources(const md_train_request *request, const cJSON *sources,
                                 mdlm_error *err);

#endif
