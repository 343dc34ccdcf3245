/* sampler/canvas_step.c: one step of all samples. See rule.h for what a rule sees of it. */
#include <string.h>

#include "sampler/constraint.h"
#include "sampler/edit.h"
#include "sampler/canvas_loop.h"
#include "sampler/steps.h"

/* --- select ---------------------------------------------------------------------------------- */

/* Notes in wants[k] what the rule and the edits need of sample k. */
static void select_positions(md_canvas_loop *r, int k) {
    md_canvas_sample *s = &r->samples[k];
    md_block_step *b = &s->step;
    md_want *w = &r->wants[k];
    int32_t *positions = r->positions + (size_t)k * (size_t)r->plan.longest;
    b->rng.step = (uint64_t)(r->block->first_step + r->step);
    memset(b->want, 0, (size_t)b->length);
    s->had_masked = b->masked > 0;
    s->edits = 0;
    if (s->had_masked || !r->opt->rule->until_filled) {
        md_steps_at(b, r->process, r->step);
        r->opt->rule->select(b);
    }
    md_edit_mark(b, s->edit);
    w->count = 0;
    for (int j = 0; j < b->length; j++)
        if (b->want[j] || s->edit[j]) positions[w->count++] = md_canvas_open(r)[j];
    w->pending = w->count > 0;
}

/* --- draw ------------------------------------------------------------------------------------ */

static md_draw make_draw(const md_canvas_loop *r, int k, int j, const float *logits) {
    const md_block_step *b = &r->samples[k].step;
    md_rng rng = {.seed = r->opt->seed, .stream = MD_STREAM_TOKEN, .step = b->rng.step};
    return (md_draw){
        .logits = logits,
        .u = md_uniform(rng, b->sequence, (uint32_t)md_canvas_open(r)[j]),
        .proposal = r->proposal + (size_t)k * (size_t)r->plan.longest + (size_t)j,
    };
}

static mdlm_status fail_draw(const md_canvas_loop *r, const md_draw *draw, mdlm_error *err) {
    int j = (int)((draw->proposal - r->proposal) % r->plan.longest);
    int32_t position = md_canvas_open(r)[j];
    if (draw->none_allowed)
        return md_fail(err, MDLM_USAGE,
                       "no token that may stand at position %d has a probability at step %d",
                       position, r->steps + 1);
    return md_fail(err, MDLM_NUMERIC,
                   "logits of position %d at step %d are no distribution: expected finite numbers",
                   position, r->steps + 1);
}

static mdlm_status draw_all(md_canvas_loop *r, md_draw *draws, int count, mdlm_error *err) {
    int drawn = md_drawer_draw(r->drawer, draws, count);
    return drawn == count ? MDLM_OK : fail_draw(r, &draws[drawn], err);
}

/* One draw, given those before it in this step. */
static mdlm_status draw_allowed(md_canvas_loop *r, md_draw *draw, int32_t position,
                                mdlm_error *err) {
    const md_constraint *c = r->opt->constraint;
    draw->allowed = r->allowed;
    c->allow(c->context, position, r->allowed);
    MD_TRY(draw_all(r, draw, 1, err));
    c->fix(c->context, position, draw->proposal->token);
    return MDLM_OK;
}

/* The draws of sample k; adds those that do not depend on each other to the `count` noted. */
static mdlm_status draw_sample(md_canvas_loop *r, int k, int *count, mdlm_error *err) {
    const md_constraint *c = r->opt->constraint;
    const md_canvas_sample *s = &r->samples[k];
    if (c && !c->begin(c->context, md_canvas_ids(r, k), r->canvas->length))
        return md_fail(err, MDLM_USAGE, "nothing satisfies the constraint any more at step %d",
                       r->steps + 1);
    for (int j = 0, i = 0; j < s->step.length; j++) {
        if (!s->step.want[j] && !s->edit[j]) continue;
        md_draw draw = make_draw(r, k, j, r->wants[k].logits[i++]);
        if (c && s->step.want[j]) {
            MD_TRY(draw_allowed(r, &draw, md_canvas_open(r)[j], err));
        } else {
            r->draws[(*count)++] = draw;
        }
    }
    return MDLM_OK;
}

/* --- commit ---------------------------------------------------------------------------------- */

static void set_token(md_canvas_loop *r, int k, int j, int32_t token, double confidence) {
    md_block_step *b = &r->samples[k].step;
    size_t position = (size_t)md_canvas_open(r)[j];
    size_t at = (size_t)k * (size_t)r->canvas->length + position;
    bool masked = token == b->mask_id;
    bool final = !r->opt->rule->remasks && !(r->opt->edit_threshold > 0);
    b->ids[j] = token;
    md_canvas_ids(r, k)[position] = token;
    r->confidence[at] = masked ? 0.0F : (float)confidence;
    r->set_with[(size_t)k * (size_t)r->plan.longest + (size_t)j] = r->confidence[at];
    r->settled[at] = !masked && final;
    r->changed[k] = 1;
}

static bool fits(md_canvas_loop *r, int k, int32_t position, int32_t token) {
    int32_t *ids = md_canvas_ids(r, k), old = ids[position];
    if (!r->opt->constraint) return true;
    ids[position] = r->denoiser->mask_id;
    bool lets = md_constraint_lets(r->opt->constraint, ids, r->canvas->length, &position, 1, token,
                                   r->allowed);
    ids[position] = old;
    return lets;
}

/* Lets the rule commit, carries what it did over to the canvas, and edits what stood there. */
static void commit(md_canvas_loop *r, int k) {
    const md_rule *rule = r->opt->rule;
    md_canvas_sample *s = &r->samples[k];
    md_block_step *b = &s->step;
    const int32_t *open = md_canvas_open(r);
    if (rule->commit && (s->had_masked || !rule->until_filled)) rule->commit(b);
    b->masked = 0;
    for (int j = 0; j < b->length; j++) {
        if (!rule->commit && b->want[j]) b->ids[j] = b->proposal[j].token;
        b->masked += b->ids[j] == b->mask_id;
        if (b->ids[j] != md_canvas_ids(r, k)[open[j]])
            set_token(r, k, j, b->ids[j], b->proposal[j].confidence);
    }
    for (int j = 0; j < b->length; j++) {
        const md_proposal *p = &b->proposal[j];
        if (!md_edit_due(b, s->edit, j) || !fits(r, k, open[j], p->best)) continue;
        set_token(r, k, j, p->best, p->best_confidence);
        s->edits++;
    }
}

/* Samples are independent: each commits as soon as it is answered. */
static mdlm_status answer(md_canvas_loop *r, int count, mdlm_error *err) {
    int draws = 0;
    for (int i = 0; i < count; i++) MD_TRY(draw_sample(r, r->answered[i], &draws, err));
    MD_TRY(draw_all(r, r->draws, draws, err));
    for (int i = 0; i < count; i++) commit(r, r->answered[i]);
    md_ask_changed(r->ask, r->changed);
    return MDLM_OK;
}

mdlm_status md_canvas_step(void *context, mdlm_error *err) {
    md_canvas_loop *r = context;
    int count = 0;
    memset(r->changed, 0, (size_t)r->canvas->samples);
    for (int k = 0; k < r->canvas->samples; k++) {
        if (r->samples[k].done) continue;
        select_positions(r, k);
        if (!r->wants[k].pending) commit(r, k);
    }
    do {
        MD_TRY(md_ask_next(r->ask, r->wants, r->answered, &count, err));
        MD_TRY(answer(r, count, err));
    } while (count > 0);
    return MDLM_OK;
}
