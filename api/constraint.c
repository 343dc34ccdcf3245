/* api/constraint.c: see constraint.h. */
#include "api/constraint.h"

#include <string.h>

#include "base/memory.h"

static bool begin(void *context, const int32_t *ids, int length) {
    (void)length; /* of the canvas that it was made for */
    return md_fitting_begin(context, ids);
}

static void allow(void *context, int position, uint8_t *allowed) {
    md_fitting_allow(context, position, allowed);
}

static void fix(void *context, int position, int32_t token) {
    md_fitting_fix(context, position, token);
}

static mdlm_status make_automaton(md_text_constraint *c, const mdlm_model *m, const char *regex,
                                  const md_sampler_options *o, mdlm_error *err) {
    int vocab = m->denoiser.vocab;
    uint8_t *drawable = md_alloc((size_t)vocab, sizeof *drawable, err);
    if (!drawable) return MDLM_RUNTIME;
    if (o->allowed)
        memcpy(drawable, o->allowed, (size_t)vocab);
    else
        memset(drawable, 1, (size_t)vocab);
    if (o->end_of_text == MD_END_FORBID && o->end_of_text_id >= 0) drawable[o->end_of_text_id] = 0;
    mdlm_status status =
        md_automaton_new(m->tokenizer, regex, strlen(regex), drawable, vocab, &c->automaton, err);
    md_free(drawable);
    return status;
}

mdlm_status md_text_constraint_init(md_text_constraint *out, const mdlm_model *m,
                                    const md_layout *l, const mdlm_fill_options *f,
                                    const md_sampler_options *o, mdlm_error *err) {
    int first = f->regex_whole ? 0 : l->first_open, length = (int)l->ids.count;
    MD_TRY(make_automaton(out, m, f->regex, o, err));
    MD_TRY(md_fitting_new(out->automaton, m->denoiser.mask_id, first, length, &out->fitting, err));
    MD_TRY(md_fitting_explain(out->fitting, l->ids.data, err));
    out->constraint =
        (md_constraint){.context = out->fitting, .begin = begin, .allow = allow, .fix = fix};
    return MDLM_OK;
}

void md_text_constraint_release(md_text_constraint *c) {
    md_fitting_free(c->fitting);
    md_automaton_free(c->automaton);
    *c = (md_text_constraint){0};
}
