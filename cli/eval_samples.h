/* cli/eval_samples.h: `mdlm eval --samples FILE --reference CORPUS`: a report on what a model
 * wrote, with no model at hand. The options are part of eval's table. */
#ifndef MD_CLI_EVAL_SAMPLES_H
#define MD_CLI_EVAL_SAMPLES_H

#include "cli/common.h"

#define MD_EVAL_SAMPLES_OPTIONS(X) \
    X(TEXT, samples, "", 0, 0, \
      "report on the texts of this file, as generate prints them (JSON lines or text)") \
    X(TEXT, reference, "", 0, 0, \
      "text to compare samples with; empty: what the run was trained on") \
    X(INT, order, 6, 1, 7, "bytes in an n-gram of the model that gives samples their perplexity")

typedef struct md_eval_samples_options {
    MD_EVAL_SAMPLES_OPTIONS(MD_OPTION_FIELD)
} md_eval_samples_options;

mdlm_status md_eval_samples(const md_cli *cli, const md_eval_samples_options *opt, mdlm_error *err);

#endif
