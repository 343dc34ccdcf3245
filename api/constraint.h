/* api/constraint.h: a regular expression over text, as the sampler's constraint. */
#ifndef MD_API_CONSTRAINT_H
#define MD_API_CONSTRAINT_H

#include "api/layout.h"
#include "sampler/constraint.h"
#include "tokenizer/fitting.h"

typedef struct md_text_constraint {
    md_constraint constraint; /* for md_sampler_options */
    md_fitting *fitting;
} md_text_constraint;

/* For the canvas `l`, with what `o` allows to be drawn. What is compiled stays with the model, for
 * the next call, so one constraint of a model at a time. MDLM_USAGE for a malformed expression and
 * for one that no way to fill the canvas matches, saying why. `out` must stay in place as long as
 * its constraint is used; release also after a failure. */
mdlm_status md_text_constraint_init(md_text_constraint *out, mdlm_model *m, const md_layout *l,
                                    const mdlm_fill_options *f, const md_sampler_options *o,
                                    mdlm_error *err);
void md_text_constraint_release(md_text_constraint *c); /* accepts an empty struct */
void md_compiled_release(md_compiled *c);               /* accepts an empty struct */

#endif
