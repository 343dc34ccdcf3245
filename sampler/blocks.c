/* sampler/blocks.c: see blocks.h. */
#include "sampler/blocks.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "sampler/steps.h"

static mdlm_status fail_blocks(int blocks, int open, mdlm_error *err) {
    int below = blocks < open ? blocks : open, above = blocks;
    while (open % below != 0) below--;
    if (blocks > open)
        return md_fail(err, MDLM_USAGE,
                       "--blocks %d does not divide %d tokens: the nearest that "
                       "does is %d",
                       blocks, open, below);
    while (open % above != 0) above++;
    return md_fail(err, MDLM_USAGE,
                   "--blocks %d does not divide %d tokens: the nearest that do "
                   "are %d and %d",
                   blocks, open, below, above);
}

static mdlm_status fail_order(const md_rule *rule, mdlm_error *err) {
    char names[128] = "";
    for (int i = 0; md_rule_names[i]; i++) {
        size_t used = strlen(names);
        if (md_rule_find(md_rule_names[i])->left_to_right)
            snprintf(names + used, sizeof names - used, "%s'%s'", used ? ", " : "",
                     md_rule_names[i]);
    }
    return md_fail(err, MDLM_USAGE,
                   "the model sees no token after the one that it predicts, so '%s' does not fit: "
                   "expected a sampler that goes from left to right (%s)",
                   rule->name, names);
}

static mdlm_status check(const md_blocks *l, const md_denoiser *denoiser,
                         const md_sampler_options *opt, mdlm_error *err) {
    if (opt->steps < 0)
        return md_fail(err, MDLM_USAGE, "--steps %d: expected at least 0", opt->steps);
    if (opt->blocks < 1)
        return md_fail(err, MDLM_USAGE, "--blocks %d: expected at least 1", opt->blocks);
    if (denoiser->sight == MD_SEES_PAST && !opt->rule->left_to_right)
        return fail_order(opt->rule, err);
    if (denoiser->sight == MD_SEES_ALL && l->open_count % opt->blocks != 0)
        return fail_blocks(opt->blocks, l->open_count, err);
    return MDLM_OK;
}

/* Whether the open position i begins a block. */
static bool begins(const md_blocks *l, const md_denoiser *denoiser, int blocks, int i) {
    if (denoiser->sight == MD_SEES_ALL) return i % (l->open_count / blocks) == 0;
    if (denoiser->sight == MD_SEES_PAST || i == 0) return true;
    return l->open[i] / denoiser->block_length != l->open[i - 1] / denoiser->block_length;
}

static void cut(md_blocks *l, const md_denoiser *denoiser, int blocks, int length) {
    for (int i = 0; i < l->open_count; i++) {
        if (begins(l, denoiser, blocks, i))
            l->item[l->count++] = (md_canvas_block){.first = i, .start = l->open[i]};
        md_canvas_block *b = &l->item[l->count - 1];
        b->end = l->open[i] + 1;
        b->length++;
        if (b->length > l->longest) l->longest = b->length;
    }
    if (denoiser->sight != MD_SEES_BLOCKS) return;
    for (int i = 0; i < l->count; i++) {
        md_canvas_block *b = &l->item[i];
        b->start -= b->start % denoiser->block_length;
        b->end =
            length - b->start > denoiser->block_length ? b->start + denoiser->block_length : length;
    }
}

static mdlm_status share_steps(md_blocks *l, const md_denoiser *denoiser,
                               const md_sampler_options *opt, mdlm_error *err) {
    const md_rule *rule = opt->rule;
    bool shared = opt->steps > 0 && !rule->one_token_per_step && !rule->until_filled &&
                  denoiser->sight != MD_SEES_PAST;
    int64_t steps = 0;
    if (shared && opt->steps < l->count)
        return md_fail(err, MDLM_USAGE,
                       "--steps %d is too few for %d blocks: each block takes at least one step",
                       opt->steps, l->count);
    for (int i = 0; i < l->count; i++) {
        md_canvas_block *b = &l->item[i];
        b->steps = shared ? md_steps_of_block(opt, opt->steps, i, l->count) : b->length;
        b->most_steps = b->steps;
        if (rule->until_filled && opt->edit_threshold > 0) b->most_steps *= 2;
        b->first_step = steps;
        steps += b->most_steps;
    }
    l->steps = steps < INT_MAX ? (int)steps : INT_MAX;
    return MDLM_OK;
}

mdlm_status md_blocks_init(md_blocks *l, const md_denoiser *denoiser, const md_sampler_options *opt,
                           const md_canvas *canvas, mdlm_error *err) {
    mdlm_status status = MDLM_OK;
    *l = (md_blocks){0};
    for (int j = 0; j < canvas->length; j++) l->open_count += !(canvas->given && canvas->given[j]);
    MD_GOTO(done, status, check(l, denoiser, opt, err));
    l->open = md_alloc((size_t)l->open_count, sizeof *l->open, err);
    l->item = l->open ? md_alloc((size_t)l->open_count, sizeof *l->item, err) : NULL;
    if (!l->item) {
        status = MDLM_RUNTIME;
        goto done;
    }
    for (int j = 0, n = 0; j < canvas->length; j++)
        if (!(canvas->given && canvas->given[j])) l->open[n++] = j;
    cut(l, denoiser, opt->blocks, canvas->length);
    MD_GOTO(done, status, share_steps(l, denoiser, opt, err));
done:
    if (status != MDLM_OK) md_blocks_release(l);
    return status;
}

void md_blocks_release(md_blocks *l) {
    md_free(l->open);
    md_free(l->item);
    *l = (md_blocks){0};
}
