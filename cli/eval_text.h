/* cli/eval_text.h: `mdlm eval [FILE]`: the likelihood of a text under a model, or under two. The
 * options are part of eval's table. */
#ifndef MD_CLI_EVAL_TEXT_H
#define MD_CLI_EVAL_TEXT_H

#include "cli/common.h"

#define MD_EVAL_TEXT_OPTIONS(X) \
    X(CHOICE, method, "nelbo", 0, 0, \
      "nelbo|count|chain: masks drawn independently, exactly so many (LLaDA's; a smaller error " \
      "for " \
      "the same work), or every token given those before it (exact, one evaluation a token)") \
    X(INT, mc, 8, 1, 100000, "noise levels drawn per window; at least 2 for an error") \
    X(CHOICE, split, "auto", 0, 0, \
      "auto|all|val|train: part of the text; auto is all of it, or of the run's own corpus the " \
      "validation part") \
    X(INT, window, 0, 2, 1048576, "tokens in a window; the trained length if not given") \
    X(INT, stride, 0, 1, 1048576, \
      "tokens from a window to the next, which scores that many at its end, given those before " \
      "them; the window if not given") \
    X(TEXT, items, "", 0, 0, \
      "write each document's result to this file (each window's where there is one document)") \
    X(TEXT, compare, "", 0, 0, \
      "a second model: the difference on the same windows and masks, with its error") \
    X(INT, batch_size, 16, 1, 65536, "canvases in one call of the network")

typedef struct md_eval_text_options {
    MD_EVAL_TEXT_OPTIONS(MD_OPTION_FIELD)
} md_eval_text_options;

extern const md_option md_eval_text_table[];

mdlm_status md_eval_text(const md_cli *cli, const md_eval_text_options *opt, mdlm_error *err);

#endif
