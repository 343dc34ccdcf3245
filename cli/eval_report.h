/* cli/eval_report.h: what `mdlm eval` prints about a text, and the file of its items. */
#ifndef MD_CLI_EVAL_REPORT_H
#define MD_CLI_EVAL_REPORT_H

#include "cli/eval_text.h"
#include "cli/output.h"
#include "train/evaluate.h"

/* The second model's part. Differences are this model's less the other's; NaN where there is none
 * to be had. */
typedef struct md_eval_comparison {
    const char *model;
    const char *paired;            /* "masks", "windows" or "text": what both had in common */
    md_likelihood_report other;    /* of its own tokens */
    md_likelihood_report by_token; /* the difference; NaN where the tokenizers differ */
    double per_byte, per_byte_mc, per_byte_data;
} md_eval_comparison;

typedef struct md_eval_result {
    md_evaluation text;
    bool exact; /* a likelihood, not a bound on it */
    int window, stride;
    const char *method, *split, *weights;
    bool compared;
    md_eval_comparison comparison;
} md_eval_result;

mdlm_status md_eval_print_text(const md_eval_result *r, mdlm_error *err);
mdlm_status md_eval_print_json(const md_eval_result *r, mdlm_error *err);

/* One line of the file of items. `compared`: it has the other model's part. */
mdlm_status md_eval_write_item(md_writer *file, const md_evaluate_item *item, const char *part,
                               bool compared, mdlm_error *err);

#endif
