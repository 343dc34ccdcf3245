/* train/checkpoint_internal.h: what saving and loading checkpoints share.
 *
 *     checkpoint.c       the folder of checkpoints; saving
 *     checkpoint_load.c  checking and loading
 *
 * Names in RUN/checkpoints: step-N; .tmp-step-N while it is written; .old-step-N while another
 * step-N takes its place.
 */
#ifndef MD_TRAIN_CHECKPOINT_INTERNAL_H
#define MD_TRAIN_CHECKPOINT_INTERNAL_H

#include "base/file.h"
#include "train/checkpoint.h"

#define MD_CHECKPOINT_FORMAT "mdlm-checkpoint"
#define MD_CHECKPOINT_MANIFEST "manifest.json"
/* In the metadata of optimizer.safetensors, so that the file's hash covers it. */
#define MD_CHECKPOINT_STEPS "optimizer_steps"
enum { MD_CHECKPOINT_VERSION = 1 };

/* In the order of writing. */
enum {
    MD_CHECKPOINT_RAW,
    MD_CHECKPOINT_EMA,
    MD_CHECKPOINT_OPTIMIZER,
    MD_CHECKPOINT_STATE,
    MD_CHECKPOINT_FILES
};
extern const char *const md_checkpoint_file[MD_CHECKPOINT_FILES];

/* An array as long as the parameters', and where its tensors are. */
typedef struct md_checkpoint_slab {
    int file;
    const char *prefix; /* of the tensors' names */
    md_real *values;
} md_checkpoint_slab;

enum { MD_CHECKPOINT_SLABS = 4 };
/* Fills `out` and returns how many there are: one fewer without an average. */
int md_checkpoint_slabs(const md_checkpoint *c, md_checkpoint_slab out[MD_CHECKPOINT_SLABS]);
/* Whether a slab has a tensor of parameter i: Muon's matrices have no second moment. */
bool md_checkpoint_holds(const md_checkpoint *c, const md_checkpoint_slab *slab, int i);

/* Digits alone, as printf writes them, few enough to be exact in JSON. */
bool md_checkpoint_count(const char *text, int64_t *out);

typedef struct md_checkpoint_item {
    int64_t step;
    bool replaced;    /* .old-step-N: counts only when step-N is not there or not sound */
    const char *name; /* owned by the list */
} md_checkpoint_item;

typedef struct md_checkpoint_list { /* init with {0} */
    char *folder;                   /* RUN/checkpoints */
    md_names names;
    md_checkpoint_item *items; /* newest first */
    size_t count;
} md_checkpoint_list;

/* An empty list when there is no such folder. Release it after a failure, too. */
mdlm_status md_checkpoint_list_fill(md_checkpoint_list *list, const char *run, mdlm_error *err);
void md_checkpoint_list_release(md_checkpoint_list *list);

#endif
