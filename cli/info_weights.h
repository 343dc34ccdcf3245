/* cli/info_weights.h: what `mdlm info` says of the weights of a model of text: how they are stored,
 * and what memory they take when they are used. Only the heads of files are read. */
#ifndef MD_CLI_INFO_WEIGHTS_H
#define MD_CLI_INFO_WEIGHTS_H

#include "cli/output.h"
#include "model/config.h"
#include "tensor/weights.h"

enum { MD_INFO_DTYPES = 3 };

typedef struct md_info_weights {
    char stored[64]; /* types, what has most bytes first: "bf16, f32" */
    int files;       /* 0: there are none, and the rest is not filled but `memory` */
    int64_t bytes;
    int64_t memory[MD_INFO_DTYPES]; /* packed for inference with --dtype f32, bf16, q8_0 */
    int64_t available;              /* of the system's memory, now */
    const char *automatic;          /* what --dtype auto is */
} md_info_weights;

/* `weights` may be NULL. `kernels`: whose layout; NULL: the best's. */
mdlm_status md_info_weights_read(const md_weights *weights, const md_model_config *config,
                                 const char *kernels, md_info_weights *out, mdlm_error *err);
mdlm_status md_info_weights_print(const md_info_weights *w, mdlm_error *err);
/* Members of an object. */
void md_info_weights_json(const md_info_weights *w, md_json_line *line);

#endif
