/* cli/eval_source.h: which text `mdlm eval` scores, packed for a model.
 *
 *     md_eval_source source = {0};
 *     MD_GOTO(done, status, md_eval_source_open(&source, cli, model->tokenizer, split, &eta, err));
 *     score(source.corpus);
 *     done: md_eval_source_release(&source);
 */
#ifndef MD_CLI_EVAL_SOURCE_H
#define MD_CLI_EVAL_SOURCE_H

#include "cli/common.h"
#include "cli/eta.h"
#include "corpora/corpus.h"

typedef struct md_eval_source {
    md_corpus *corpus;
    char *temporary;   /* folder of a corpus packed here, removed by release */
    const char *split; /* "val", "train" or "all": what is to be scored */
    bool both;         /* "all", and the corpus has two parts */
} md_eval_source;

/* The positional argument, or the corpus of cli->model. `split` "auto" means its validation part
 * where the text is all that the model was trained on, which is said on stderr, else everything. */
mdlm_status md_eval_source_open(md_eval_source *out, const md_cli *cli, const md_tokenizer *tok,
                                const char *split, md_eta *eta, mdlm_error *err);
/* Packs a path whole, whatever it is. */
mdlm_status md_eval_source_pack(md_eval_source *out, const char *path, const md_tokenizer *tok,
                                md_eta *eta, mdlm_error *err);
void md_eval_source_release(md_eval_source *source); /* accepts an empty struct */

#endif
