/* api/fill_options.h: what a caller of mdlm_fill asked for, as the sampler wants it. */
#ifndef MD_API_FILL_OPTIONS_H
#define MD_API_FILL_OPTIONS_H

#include "api/model.h"
#include "sampler/sampler.h"

/* Everything of `f` but regex and guidance. *allowed [V], NULL when every token is, belongs to the
 * caller (md_free) and must outlive the options. MDLM_USAGE for a word that is not listed, ids out
 * of range, or when no token is left to draw. */
mdlm_status md_fill_options_read(const mdlm_fill_options *f, const mdlm_model *m,
                                 md_sampler_options *out, uint8_t **allowed, mdlm_error *err);

#endif
