/* api/fill_options.c: see fill_options.h. */
#include "api/fill_options.h"

#include <string.h>

#include "base/memory.h"

/* Words in the order of their enumerations; each list ends with NULL. */
static const char *const step_schedules[] = {
    [MD_STEPS_LINEAR] = "linear", [MD_STEPS_COSINE] = "cosine", NULL};
static const char *const compats[] = {
    [MD_COMPAT_NONE] = "none", [MD_COMPAT_LLADA] = "llada", [MD_COMPAT_DREAM] = "dream", NULL};
static const char *const caches[] = {[MD_CACHE_NONE] = "none",
                                     [MD_CACHE_EXACT] = "exact",
                                     [MD_CACHE_PREFIX] = "prefix",
                                     [MD_CACHE_DUAL] = "dual",
                                     NULL};
static const char *const ends[] = {[MD_END_KEEP] = "keep",
                                   [MD_END_STOP] = "stop",
                                   [MD_END_FORBID] = "forbid",
                                   [MD_END_LATE] = "late",
                                   NULL};

/* The index of a word; *out stays what it is for NULL. */
static mdlm_status read_word(const char *what, const char *word, const char *const *list, int *out,
                             mdlm_error *err) {
    if (!word) return MDLM_OK;
    for (int i = 0; list[i]; i++) {
        if (strcmp(list[i], word) != 0) continue;
        *out = i;
        return MDLM_OK;
    }
    return md_fail(err, MDLM_USAGE, "unknown %s '%s'", what, word);
}

static mdlm_status read_words(const mdlm_fill_options *f, md_sampler_options *o, mdlm_error *err) {
    int schedule = MD_STEPS_LINEAR, compat = MD_COMPAT_NONE, cache = MD_CACHE_EXACT;
    int end = MD_END_KEEP;
    MD_TRY(read_word("step schedule", f->step_schedule, step_schedules, &schedule, err));
    MD_TRY(read_word("compatibility", f->compat, compats, &compat, err));
    MD_TRY(read_word("cache", f->cache, caches, &cache, err));
    MD_TRY(read_word("end-of-text rule", f->end_of_text, ends, &end, err));
    o->step_schedule = (md_step_schedule)schedule;
    o->compat = (md_compat)compat;
    o->cache = (md_cache_kind)cache;
    o->end_of_text = (md_end_kind)end;
    return MDLM_OK;
}

static mdlm_status mark_tokens(uint8_t *allowed, const md_model_config *c, const int32_t *ids,
                               size_t count, uint8_t value, mdlm_error *err) {
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || ids[i] >= c->vocab)
            return md_fail(err, MDLM_USAGE, "token id %d is not in a vocabulary of %d", ids[i],
                           c->vocab);
        allowed[ids[i]] = value;
    }
    return MDLM_OK;
}

static mdlm_status read_tokens(const mdlm_fill_options *f, const md_model_config *c,
                               uint8_t *allowed, mdlm_error *err) {
    int left = 0;
    memset(allowed, !f->allowed, (size_t)c->vocab);
    MD_TRY(mark_tokens(allowed, c, f->allowed, f->allowed ? f->allowed_count : 0, 1, err));
    MD_TRY(mark_tokens(allowed, c, f->forbidden, f->forbidden ? f->forbidden_count : 0, 0, err));
    allowed[c->mask_id] = 0;
    for (int v = 0; v < c->vocab; v++) left += allowed[v];
    return left > 0 ? MDLM_OK : md_fail(err, MDLM_USAGE, "no token is left that may be drawn");
}

static void read_numbers(const mdlm_fill_options *f, md_sampler_options *o) {
    o->steps = f->steps;
    o->blocks = f->blocks;
    o->temperature = f->temperature;
    o->top_k = f->top_k;
    o->top_p = f->top_p;
    o->threshold = f->threshold;
    o->factor = f->factor;
    o->eta = f->eta;
    o->alg_temperature = f->alg_temperature;
    o->edit_threshold = f->edit_threshold;
    o->seed = f->seed;
    o->first_index = f->first_index;
    o->on_step = f->on_step;
    o->user = f->user;
}

mdlm_status md_fill_options_read(const mdlm_fill_options *f, const mdlm_model *m,
                                 md_sampler_options *out, uint8_t **allowed, mdlm_error *err) {
    const md_model_config *c = md_transformer_config(m->net);
    const char *sampler = c->sight == MD_SEES_PAST ? "left" : "ancestral";
    md_sampler_options o = md_sampler_defaults();
    uint8_t *tokens = NULL;
    if (f->sampler) sampler = f->sampler;
    o.rule = md_rule_find(sampler);
    if (!o.rule) return md_fail(err, MDLM_USAGE, "unknown sampler '%s'", sampler);
    if (f->samples < 1 || f->samples > 65536)
        return md_fail(err, MDLM_USAGE, "%d samples: expected 1 to 65536", f->samples);
    read_numbers(f, &o);
    MD_TRY(read_words(f, &o, err));
    o.end_of_text_id = md_tokenizer_end_of_text(m->tokenizer);
    o.kernels = &m->kernels;
    o.pool = m->pool;
    if (f->allowed || f->forbidden) {
        tokens = md_alloc((size_t)c->vocab, sizeof *tokens, err);
        if (!tokens) return MDLM_RUNTIME;
        mdlm_status status = read_tokens(f, c, tokens, err);
        if (status != MDLM_OK) {
            md_free(tokens);
            return status;
        }
    }
    o.allowed = tokens;
    *allowed = tokens;
    *out = o;
    return MDLM_OK;
}
