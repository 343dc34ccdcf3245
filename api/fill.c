/* api/fill.c: filling the holes of a canvas; see mdlm.h. */
#include <math.h>
#include <string.h>

#include "api/constraint.h"
#include "api/fill_options.h"
#include "api/layout.h"
#include "base/memory.h"
#include "sampler/guide.h"

struct mdlm_result {
    mdlm_sample *samples;
    int count;
    md_sampler_work work;
    bool verified; /* drift was measured */
    bool exact;    /* the cache promises what no cache gives */
    md_cache_drift drift;
    /* what the samples point into: [count, length], [count, open], [count, holes] */
    int32_t *ids, *new_ids;
    mdlm_hole *holes;
};

static mdlm_status allocate_result(mdlm_result *r, const md_layout *l, int samples,
                                   mdlm_error *err) {
    size_t N = (size_t)samples, T = l->ids.count;
    r->count = samples;
    r->samples = md_alloc(N, sizeof *r->samples, err);
    r->ids = md_alloc(N * T, sizeof *r->ids, err);
    r->new_ids = md_alloc(N * (size_t)l->open_count, sizeof *r->new_ids, err);
    r->holes = md_alloc(N * (size_t)l->hole_count, sizeof *r->holes, err);
    if (!r->samples || !r->ids || !r->new_ids || !r->holes) return MDLM_RUNTIME;
    for (size_t k = 0; k < N; k++) memcpy(r->ids + k * T, l->ids.data, T * sizeof *r->ids);
    return MDLM_OK;
}

/* Where the texts of a canvas end: at the first end-of-text that was drawn, or behind it all. */
static int find_end(const md_layout *l, const int32_t *ids, int32_t end_of_text) {
    int T = (int)l->ids.count;
    for (int i = 0; i < T && end_of_text >= 0; i++)
        if (!l->given[i] && ids[i] == end_of_text) return i;
    return T;
}

/* Decodes the holes together; each hole's text is a part of that. */
static mdlm_status deliver_holes(mdlm_sample *s, mdlm_hole *holes, const mdlm_model *m,
                                 const md_layout *l, int end, mdlm_error *err) {
    md_buffer text = {0};
    mdlm_status status = md_buffer_text(&text, "", err); /* so that no ids give "" */
    for (size_t n = 0; status == MDLM_OK && n < l->part_count; n++) {
        const md_part *part = &l->parts[n];
        const int32_t *first = &s->ids[part->start];
        size_t before = text.size;
        if (!part->open) continue;
        int stop = part->start + part->length < end ? part->start + part->length : end;
        size_t count = stop > part->start ? (size_t)(stop - part->start) : 0;
        status = part->start == 0
                     ? md_tokenizer_decode(m->tokenizer, first, count, &text, err)
                     : md_tokenizer_decode_more(m->tokenizer, first, count, &text, err);
        holes[s->hole_count++] = (mdlm_hole){
            .start = part->start, .length = part->length, .text_bytes = text.size - before};
    }
    s->holes = holes;
    s->new_text_bytes = text.size;
    s->new_text = md_buffer_take(&text);
    const char *at = s->new_text;
    for (int n = 0; n < s->hole_count; at += holes[n++].text_bytes) holes[n].text = at;
    return status;
}

static mdlm_status deliver_text(mdlm_sample *s, const mdlm_model *m, const md_layout *l, int end,
                                mdlm_error *err) {
    md_buffer text = {0};
    mdlm_status status = md_buffer_text(&text, "", err);
    if (status == MDLM_OK) status = md_layout_text(l, m, s->ids, end, &text, err);
    s->text_bytes = text.size;
    s->text = md_buffer_take(&text);
    return status;
}

/* Splits the filled canvases into what the caller sees. */
static mdlm_status deliver(mdlm_result *r, const mdlm_model *m, const md_layout *l,
                           const md_sampler_options *o, mdlm_error *err) {
    int32_t stop = o->end_of_text == MD_END_STOP ? o->end_of_text_id : -1;
    for (int k = 0; k < r->count; k++) {
        mdlm_sample *s = &r->samples[k];
        const int32_t *ids = r->ids + (size_t)k * l->ids.count;
        int32_t *fresh = r->new_ids + (size_t)k * (size_t)l->open_count;
        *s = (mdlm_sample){
            .index = o->first_index + k, .ids = ids, .length = (int)l->ids.count, .new_ids = fresh};
        for (int i = 0; i < s->length; i++)
            if (!l->given[i]) fresh[s->new_length++] = ids[i];
        int end = find_end(l, ids, stop);
        mdlm_hole *holes = r->holes + (size_t)k * (size_t)l->hole_count;
        MD_TRY(deliver_text(s, m, l, end, err));
        MD_TRY(deliver_holes(s, holes, m, l, end, err));
    }
    return MDLM_OK;
}

/* What a run of the sampler needs beside the canvas. */
typedef struct setup {
    md_sampler_options options;
    uint8_t *allowed;
    md_text_constraint constraint;
    md_guide guide;
    md_denoiser denoiser; /* the model's, or guided */
} setup;

static mdlm_status set_up(setup *s, mdlm_model *m, const md_layout *l, const mdlm_fill_options *f,
                          mdlm_error *err) {
    md_sampler_options *o = &s->options;
    int T = (int)l->ids.count;
    double scale = f->guidance_scale;
    MD_TRY(md_fill_options_read(f, m, o, &s->allowed, err));
    s->denoiser = m->denoiser;
    if (!(scale >= 0) || !isfinite(scale))
        return md_fail(err, MDLM_USAGE, "--guidance-scale %g: expected a number from 0", scale);
    if (scale != 1 && l->open_count < T) {
        MD_TRY(md_guide_init(&s->guide, &m->denoiser, scale, l->given, T, err));
        s->denoiser = md_guide_denoiser(&s->guide);
    }
    if (!f->regex) return MDLM_OK;
    MD_TRY(md_text_constraint_init(&s->constraint, m, l, f, o, err));
    o->constraint = &s->constraint.constraint;
    return MDLM_OK;
}

static mdlm_status sample(setup *s, const mdlm_model *m, const md_layout *l,
                          const mdlm_fill_options *f, mdlm_result *r, mdlm_error *err) {
    md_masked process = md_masked_process(MD_SCHEDULE_LINEAR);
    md_sampler_options *o = &s->options;
    MD_TRY(allocate_result(r, l, f->samples, err));
    md_canvas canvas = {
        .ids = r->ids, .given = l->given, .samples = f->samples, .length = (int)l->ids.count};
    r->verified = f->verify_cache;
    r->exact =
        o->cache == MD_CACHE_NONE || o->cache == MD_CACHE_EXACT || m->denoiser.sight != MD_SEES_ALL;
    if (r->verified) o->drift = &r->drift;
    mdlm_status status = md_sampler_run(&s->denoiser, &process, o, &canvas, &r->work, err);
    if (status != MDLM_OK && status != MDLM_CANCELLED) return status;
    MD_TRY(deliver(r, m, l, o, err));
    return status;
}

static mdlm_status fill(mdlm_model *m, const md_layout *l, const mdlm_fill_options *f,
                        mdlm_result *r, mdlm_error *err) {
    setup s = {.allowed = NULL};
    mdlm_status status = set_up(&s, m, l, f, err);
    if (status == MDLM_OK) status = sample(&s, m, l, f, r, err);
    md_text_constraint_release(&s.constraint);
    md_guide_release(&s.guide);
    md_free(s.allowed);
    return status;
}

mdlm_fill_options mdlm_fill_defaults(void) {
    md_sampler_options o = md_sampler_defaults();
    return (mdlm_fill_options){.blocks = o.blocks,
                               .temperature = o.temperature,
                               .top_p = o.top_p,
                               .threshold = o.threshold,
                               .factor = o.factor,
                               .eta = o.eta,
                               .guidance_scale = 1,
                               .samples = 1,
                               .seed = 1};
}

mdlm_status mdlm_fill(mdlm_model *m, const mdlm_span *spans, size_t count,
                      const mdlm_fill_options *opt, mdlm_result **out, mdlm_error *err) {
    mdlm_fill_options defaults = mdlm_fill_defaults();
    md_layout l = {0};
    mdlm_result *r = md_alloc(1, sizeof *r, err);
    if (!r) return MDLM_RUNTIME;
    mdlm_status status = md_layout_make(&l, m, spans, count, err);
    if (status == MDLM_OK) status = fill(m, &l, opt ? opt : &defaults, r, err);
    if (status == MDLM_OK || status == MDLM_CANCELLED) {
        *out = r;
    } else {
        mdlm_result_free(r);
    }
    md_layout_release(&l);
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

bool mdlm_result_drift(const mdlm_result *r, mdlm_drift *out) {
    const md_cache_drift *d = &r->drift;
    if (!r->verified) return false;
    *out = (mdlm_drift){.exact = r->exact,
                        .rows = d->rows,
                        .argmax_differs = d->argmax_differs,
                        .kl_mean = d->rows > 0 ? d->kl_sum / (double)d->rows : 0,
                        .kl_max = d->kl_max};
    return true;
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
    md_free(r->holes);
    md_free(r);
}
