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

void md_compiled_release(md_compiled *c) {
    md_free(c->pattern);
    md_free(c->drawable);
    md_automaton_free(c->automaton);
    *c = (md_compiled){0};
}

/* What may be drawn by the options, end-of-text included. */
static uint8_t *find_drawable(const md_sampler_options *o, int vocab, mdlm_error *err) {
    uint8_t *drawable = md_alloc((size_t)vocab, sizeof *drawable, err);
    if (!drawable) return NULL;
    if (o->allowed)
        memcpy(drawable, o->allowed, (size_t)vocab);
    else
        memset(drawable, 1, (size_t)vocab);
    if (o->end_of_text == MD_END_FORBID && o->end_of_text_id >= 0) drawable[o->end_of_text_id] = 0;
    return drawable;
}

static bool is_compiled(const md_compiled *c, const char *pattern, const uint8_t *drawable,
                        int vocab) {
    return c->automaton && strcmp(c->pattern, pattern) == 0 &&
           memcmp(c->drawable, drawable, (size_t)vocab) == 0;
}

/* Compiles the expression unless the model did so before. */
static mdlm_status compile(mdlm_model *m, const char *pattern, const md_sampler_options *o,
                           mdlm_error *err) {
    int vocab = m->denoiser.vocab;
    md_compiled c = {.drawable = find_drawable(o, vocab, err)};
    mdlm_status status = MDLM_OK;
    if (!c.drawable) return MDLM_RUNTIME;
    if (is_compiled(&m->compiled, pattern, c.drawable, vocab)) goto done;
    c.pattern = md_strdup(pattern, err);
    if (!c.pattern) MD_GOTO(done, status, MDLM_RUNTIME);
    MD_GOTO(done, status,
            md_automaton_new(m->tokenizer, pattern, strlen(pattern), c.drawable, vocab,
                             &c.automaton, err));
    md_compiled_release(&m->compiled);
    m->compiled = c;
    c = (md_compiled){0};
done:
    md_compiled_release(&c);
    return status;
}

mdlm_status md_text_constraint_init(md_text_constraint *out, mdlm_model *m, const md_layout *l,
                                    const mdlm_fill_options *f, const md_sampler_options *o,
                                    mdlm_error *err) {
    int first = f->regex_whole ? 0 : l->first_open, length = (int)l->ids.count;
    MD_TRY(compile(m, f->regex, o, err));
    MD_TRY(md_fitting_new(m->compiled.automaton, m->denoiser.mask_id, first, length, &out->fitting,
                          err));
    MD_TRY(md_fitting_explain(out->fitting, l->ids.data, err));
    out->constraint =
        (md_constraint){.context = out->fitting, .begin = begin, .allow = allow, .fix = fix};
    return MDLM_OK;
}

void md_text_constraint_release(md_text_constraint *c) {
    md_fitting_free(c->fitting);
    *c = (md_text_constraint){0};
}
