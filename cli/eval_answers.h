/* cli/eval_answers.h: `mdlm eval --answers FILE`: the model answers each prompt of a file, and how
 * many answers are the file's responses, letter by letter. The options are part of eval's table. */
#ifndef MD_CLI_EVAL_ANSWERS_H
#define MD_CLI_EVAL_ANSWERS_H

#include "cli/common.h"

#define MD_EVAL_ANSWERS_OPTIONS(X) \
    X(TEXT, answers, "", 0, 0, \
      "answer the prompts of this file (JSON lines, as train --sft takes them) and compare with " \
      "its responses") \
    X(CHOICE, sampler, "confidence", 0, 0, \
      "confidence|margin|entropy|left|random|ancestral|first-hitting|threshold|factor: which " \
      "masks " \
      "a step fills; left if the model sees only the past") \
    X(INT, steps, 0, 1, 1048576, "sampling steps of an answer; one per token if not given") \
    X(INT, blocks, 1, 1, 1048576, "fill an answer in this many equal blocks from left to right") \
    X(REAL, temperature, 0, 0, 100, "of answers; 0: the likeliest token") \
    X(INT, room, 0, 1, 1048576, \
      "tokens of room for an answer; what the longest response takes if not given")

typedef struct md_eval_answers_options {
    MD_EVAL_ANSWERS_OPTIONS(MD_OPTION_FIELD)
    const char *items; /* --items: a line for each answer; "": none */
    int64_t batch_size;
} md_eval_answers_options;

mdlm_status md_eval_answers(const md_cli *cli, const md_eval_answers_options *opt, mdlm_error *err);

#endif
