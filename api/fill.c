/* api/fill.c: filling the holes of a canvas; see mdlm.h. */
#include <string.h>

#include "api/model.h"
#include "base/memory.h"
#include "sampler/sampler.h"

struct mdlm_result {
    mdlm_sample *samples;
    int count;
    md_sampler_work work;
    int32_t *ids, *new_ids; /* [count, length], [count, holes]: what the samples point into */
};

/* The canvas that the spans make up. */
typedef struct layout {
    md_ids ids;
    uint8_t *given; /* [ids.count] */
    int holes;
} layout;

static mdlm_status add_hole(layout *l, int32_t mask, int count, mdlm_error *err) {
    for (int i = 0; i < count; i++) MD_TRY(md_ids_push(&l->ids, mask, err));
    l->holes += count;
    return MDLM_OK;
}

static mdlm_status add_ids(layout *l, const mdlm_model *m, const mdlm_span *span, mdlm_error *err) {
    const md_model_config *c = md_transformer_config(m->net);
    for (size_t i = 0; i < span->ids_count; i++) {
        int32_t id = span->ids[i];
        if (id < 0 || id >= c->vocab) {
            return md_fail(err, MDLM_USAGE, "token id %d is not in a vocabulary of %d", id,
                           c->vocab);
        }
        MD_TRY(md_ids_push(&l->ids, id, err));
    }
    return MDLM_OK;
}

static mdlm_status lay_out(layout *l, const mdlm_model *m, const mdlm_span *spans, size_t count,
                           mdlm_error *err) {
    const md_model_config *c = md_transformer_config(m->net);
    for (size_t i = 0; i < count; i++) {
        const mdlm_span *s = &spans[i];
        if ((s->text != NULL) + (s->ids != NULL) + (s->hole != 0) > 1 || s->hole < 0)
            return md_fail(err, MDLM_USAGE, "span %zu must be one of text, ids or a hole", i + 1);
        if (s->hole > c->seq_len)
            return md_fail(err, MDLM_USAGE,
                           "%d new tokens are more than the %d that this model was trained on",
                           s->hole, c->seq_len);
        if (s->hole) MD_TRY(add_hole(l, c->mask_id, s->hole, err));
        if (s->ids) MD_TRY(add_ids(l, m, s, err));
        if (s->text)
            MD_TRY(md_tokenizer_encode(m->tokenizer, s->text, s->text_bytes, &l->ids, err));
    }
    if (l->ids.count > (size_t)c->seq_len) {
        return md_fail(err, MDLM_USAGE,
                       "prompt and new text make %zu tokens, more than the %d that "
                       "this model was trained on",
                       l->ids.count, c->seq_len);
    }
    if (l->ids.count == 0) return md_fail(err, MDLM_USAGE, "there is nothing to fill");
    l->given = md_alloc(l->ids.count, sizeof *l->given, err);
    return l->given ? MDLM_OK : MDLM_RUNTIME;
}

/* Marks what is not a hole. A mask among given ids counts as a hole. */
static void mark_given(layout *l, int32_t mask) {
    l->holes = 0;
    for (size_t i = 0; i < l->ids.count; i++) {
        l->given[i] = l->ids.data[i] != mask;
        l->holes += !l->given[i];
    }
}

static mdlm_status sampler_options(const mdlm_model *m, const mdlm_fill_options *f,
                                   md_sampler_options *o, mdlm_error *err) {
    *o = md_sampler_defaults();
    o->rule = md_rule_find(f->sampler ? f->sampler : "");
    o->steps = f->steps;
    o->blocks = f->blocks;
    o->temperature = f->temperature;
    o->top_k = f->top_k;
    o->top_p = f->top_p;
    o->seed = f->seed;
    o->first_index = f->first_index;
    o->on_step = f->on_step;
    o->user = f->user;
    o->kernels = &m->kernels;
    o->pool = m->pool;
    if (!o->rule)
        return md_fail(err, MDLM_USAGE, "unknown sampler '%s'", f->sampler ? f->sampler : "");
    if (f->samples < 1 || f->samples > 65536)
        return md_fail(err, MDLM_USAGE, "%d samples: expected 1 to 65536", f->samples);
    return MDLM_OK;
}

static mdlm_status allocate_result(mdlm_result *r, const layout *l, int samples, mdlm_error *err) {
    size_t length = l->ids.count;
    r->count = samples;
    r->samples = md_alloc((size_t)samples, sizeof *r->samples, err);
    r->ids = md_alloc((size_t)samples * length, sizeof *r->ids, err);
    r->new_ids = md_alloc((size_t)samples * ((size_t)l->holes + 1), sizeof *r->new_ids, err);
    if (!r->samples || !r->ids || !r->new_ids) return MDLM_RUNTIME;
    for (int k = 0; k < samples; k++)
        memcpy(r->ids + (size_t)k * length, l->ids.data, length * sizeof *r->ids);
    return MDLM_OK;
}

/* Splits the filled canvases into what the caller sees. */
static mdlm_status deliver(mdlm_result *r, const mdlm_model *m, const layout *l,
                           int64_t first_index, mdlm_error *err) {
    size_t length = l->ids.count;
    for (int k = 0; k < r->count; k++) {
        mdlm_sample *s = &r->samples[k];
        const int32_t *ids = r->ids + (size_t)k * length;
        int32_t *fresh = r->new_ids + (size_t)k * (size_t)l->holes;
        int n = 0;
        for (size_t i = 0; i < length; i++) {
            if (!l->given[i]) fresh[n++] = ids[i];
        }
        *s = (mdlm_sample){.index = first_index + k,
                           .ids = ids,
                           .length = (int)length,
                           .new_ids = fresh,
                           .new_length = n};
        char *text = NULL;
        MD_TRY(mdlm_detokenize(m, ids, length, &text, &s->text_bytes, err));
        s->text = text;
        MD_TRY(mdlm_detokenize(m, fresh, (size_t)n, &text, &s->new_text_bytes, err));
        s->new_text = text;
    }
    return MDLM_OK;
}

static mdlm_status fill(mdlm_model *m, layout *l, const mdlm_fill_options *opt, mdlm_result *r,
                        mdlm_error *err) {
    md_sampler_options o;
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    mark_given(l, md_transformer_config(m->net)->mask_id);
    MD_TRY(sampler_options(m, opt, &o, err));
    MD_TRY(allocate_result(r, l, opt->samples, err));
    md_canvas canvas = {
        .ids = r->ids, .given = l->given, .samples = opt->samples, .length = (int)l->ids.count};
    mdlm_status status = md_sampler_run(&m->denoiser, &process, &o, &canvas, &r->work, err);
    if (status != MDLM_OK && status != MDLM_CANCELLED) return status;
    MD_TRY(deliver(r, m, l, opt->first_index, err));
    return status;
}

mdlm_fill_options mdlm_fill_defaults(void) {
    return (mdlm_fill_options){
        .sampler = "ancestral", .blocks = 1, .temperature = 1, .top_p = 1, .samples = 1, .seed = 1};
}

mdlm_status mdlm_fill(mdlm_model *m, const mdlm_span *spans, size_t count,
                      const mdlm_fill_options *opt, mdlm_result **out, mdlm_error *err) {
    mdlm_fill_options defaults = mdlm_fill_defaults();
    layout l = {0};
    mdlm_result *r = md_alloc(1, sizeof *r, err);
    if (!r) return MDLM_RUNTIME;
    mdlm_status status = lay_out(&l, m, spans, count, err);
    if (status == MDLM_OK) status = fill(m, &l, opt ? opt : &defaults, r, err);
    if (status == MDLM_OK || status == MDLM_CANCELLED) {
        *out = r;
    } else {
        mdlm_result_free(r);
    }
    md_ids_release(&l.ids);
    md_free(l.given);
    return status;
}

int mdlm_result_count(const mdlm_result *r) {
    return r->count;
}

const mdlm_sample *mdlm_result_sample(const mdlm_result *r, int i) {
    return i >= 0 && i < r->count ? &r->samples[i] : NULL;
}

void mdlm_result_work(const mdlm_result *r, int *steps, int64_t *evaluations) {
    *steps = r->work.steps;
    *evaluations = r->work.evaluations;
}

void mdlm_result_free(mdlm_result *r) {
    if (!r) return;
    for (int k = 0; r->samples && k < r->count; k++) {
        md_free((char *)r->samples[k].text);
        md_free((char *)r->samples[k].new_text);
    }
    md_free(r->samples);
    md_free(r->ids);
    md_free(r->new_ids);
    md_free(r);
}
