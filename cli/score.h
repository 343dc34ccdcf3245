/* cli/score.h: what the files of `mdlm score` share.
 *
 *     cmd_score.c     options; one prompt and its response
 *     score_file.c    pairs and multiple choice from a file
 */
#ifndef MD_CLI_SCORE_H
#define MD_CLI_SCORE_H

#include "cli/common.h"

/* log p >= -nelbo as one number with its error. */
typedef struct md_scored {
    double log_prob, error; /* nats */
    int tokens;
} md_scored;

/* Scores text number opt->index. */
mdlm_status md_score_text(mdlm_model *model, const char *prompt, const char *response,
                          const mdlm_score_options *opt, md_scored *out, mdlm_error *err);

/* ">=" for a bound, "=" where log p is exact, "~" for a guided one that is neither. */
const char *md_score_relation(const mdlm_model *model, const mdlm_score_options *opt);

/* Scores every line of a file and prints a line for each, and the totals; see corpora/items.h. The
 * pairs' and choices' number is their place in the file. */
mdlm_status md_score_file(const md_cli *cli, mdlm_model *model, const char *path,
                          const mdlm_score_options *opt, mdlm_error *err);

#endif
