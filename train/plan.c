/* train/plan.c: see plan.h. */
#include "train/plan.h"

#include <math.h>
#include <string.h>

#include "train/clip.h"
#include "train/objective.h"
#include "train/plan_loop.h"

/* A model small enough to learn a corpus of this many bytes on a processor without idling through
 * it, large enough to use it. */
static const struct {
    int64_t bytes;
    const char *preset;
} preset_for[] = {
    {4 << 20, "1m"},           {30 << 20, "3m"},   {200 << 20, "10m"},
    {INT64_C(1) << 30, "25m"}, {INT64_MAX, "50m"},
};

static const md_preset *choose_preset(const char *name, int64_t corpus_bytes) {
    if (strcmp(name, "auto")) return md_preset_find(name);
    int i = 0;
    while (corpus_bytes > preset_for[i].bytes) i++;
    return md_preset_find(preset_for[i].preset);
}

/* An open head count: the preset's, or the nearest that splits the channels into heads of a usual
 * size when the user chose the width. */
static int64_t heads_for(const md_preset *p, int64_t dim) {
    int64_t size = p->dim / p->heads;
    if (dim == p->dim) return p->heads;
    for (int64_t heads = (dim + size - 1) / size; heads > 1; heads--) {
        if (dim % (2 * heads) == 0) return heads;
    }
    return 1;
}

/* Blocks of 16 tokens, or the next smaller that fill a sequence. */
static int64_t choose_block(int64_t seq_len) {
    int64_t length = 16;
    while (seq_len % length) length--;
    return length;
}

mdlm_status md_plan_model(md_train_settings *s, md_options *o, int64_t corpus_bytes,
                          md_model_config *config, mdlm_error *err) {
    const md_preset *p = choose_preset(s->preset, corpus_bytes);
    MD_BUG_IF(!p);
    md_plan_choose(o, "layers", &s->layers, p->layers);
    md_plan_choose(o, "dim", &s->dim, p->dim);
    md_plan_choose(o, "heads", &s->heads, heads_for(p, s->dim));
    bool grouped = p->kv_heads != p->heads && s->heads == p->heads;
    md_plan_choose(o, "kv_heads", &s->kv_heads, grouped ? p->kv_heads : s->heads);
    int64_t ff = s->dim == p->dim ? p->ff : (s->dim * 8 / 3 + 31) / 32 * 32;
    md_plan_choose(o, "ff", &s->ff, ff);
    md_plan_choose(o, "seq_len", &s->seq_len, p->seq_len);
    md_plan_choose(o, "batch_size", &s->loop.batch_size, p->batch_size);
    *config = (md_model_config){.layers = (int)s->layers,
                                .dim = (int)s->dim,
                                .heads = (int)s->heads,
                                .kv_heads = (int)s->kv_heads,
                                .ff = (int)s->ff,
                                .seq_len = (int)s->seq_len,
                                .rope_theta = 10000,
                                .norm_eps = 1e-5,
                                .tied = s->tied,
                                .vocab = 1,
                                .mask_id = 0};
    return md_model_config_check(config, err);
}

mdlm_status md_plan_objective(md_train_settings *s, md_options *o, md_model_config *config,
                              mdlm_error *err) {
    const md_objective *objective = md_objective_find(s->objective);
    MD_BUG_IF(!objective);
    bool automatic, blocks = objective->sight == MD_SEES_BLOCKS;
    md_clip clip;
    MD_TRY(md_clip_parse(s->noise_clip, &automatic, &clip, err));
    if (objective->sight == MD_SEES_PAST && clip.high - clip.low < 1)
        return md_fail(err, MDLM_USAGE, "--noise-clip %s: --objective %s has no noise levels",
                       s->noise_clip, s->objective);
    if (!blocks && s->block_length > 0)
        return md_fail(err, MDLM_USAGE, "--block-length %lld is for --objective block, not %s",
                       (long long)s->block_length, s->objective);
    if (blocks) md_plan_choose(o, "block_length", &s->block_length, choose_block(config->seq_len));
    config->sight = objective->sight;
    config->block_length = (int)s->block_length;
    return md_model_config_check(config, err);
}

/* About twenty tokens a parameter, but no more than sixty passes over a small corpus. */
static int64_t choose_steps(const md_corpus_stats *stats, const md_model_config *c,
                            int64_t tokens_per_step) {
    double tokens =
        fmin(20.0 * (double)md_model_config_parameters(c), 60.0 * (double)stats->train.tokens);
    double steps = ceil(tokens / (double)tokens_per_step);
    return steps < 200 ? 200 : (int64_t)steps;
}

void md_plan_pairs(md_train_settings *s, md_options *o, const md_corpus_stats *stats) {
    enum { STEP_TOKENS = 4096, SMALLEST = 8, LARGEST = 128, SEEN = 200000 };
    int64_t pairs = stats->train.documents / 2, batch = SMALLEST;
    if (pairs < 1) return; /* an error that has its own words */
    while (batch < LARGEST && 2 * batch * stats->train.tokens <= STEP_TOKENS * pairs) batch *= 2;
    md_plan_choose(o, "batch_size", &s->loop.batch_size, batch);
    if (s->loop.time > 0) return;
    double passes = fmin(60, fmax(3, (double)SEEN / (double)pairs));
    double steps = ceil(passes * (double)pairs / (double)(s->loop.batch_size * s->loop.accum));
    md_plan_choose(o, "steps", &s->loop.steps, steps < 50 ? 50 : (int64_t)steps);
}

void md_plan_training(md_train_settings *s, md_options *o, const md_corpus_stats *stats,
                      const md_model_config *c) {
    int64_t tokens_per_step = s->loop.batch_size * s->loop.accum * s->seq_len;
    if (s->loop.time <= 0)
        md_plan_choose(o, "steps", &s->loop.steps, choose_steps(stats, c, tokens_per_step));
    bool muon = !strcmp(s->loop.optimizer, "muon");
    double narrow = fmin(2, sqrt(128.0 / c->dim)); /* wider models want smaller steps */
    md_plan_choose_real(o, "lr", &s->loop.lr, (muon ? 4e-3 : 2e-3) * narrow);
    if (muon) md_plan_choose_real(o, "muon_lr", &s->loop.muon_lr, 0.04 * fmin(1, narrow));
    md_plan_intervals(&s->loop, o);
}

static mdlm_status describe_objective(const md_train_settings *s, const md_model_config *c,
                                      md_buffer *out, mdlm_error *err) {
    const char *title = md_objective_find(s->objective)->title;
    if (c->sight != MD_SEES_BLOCKS) return md_buffer_printf(out, err, "objective: %s\n", title);
    return md_buffer_printf(out, err, "objective: %s, %d tokens a block\n", title, c->block_length);
}

static mdlm_status describe_pairs(const md_train_settings *s, const md_corpus_stats *stats,
                                  md_buffer *out, mdlm_error *err) {
    double per_step = (double)(s->loop.batch_size * s->loop.accum);
    if (s->loop.time > 0) {
        return md_buffer_printf(out, err, "length: %.0f s of training, %.0f pairs a step\n",
                                s->loop.time, per_step);
    }
    double passes = (double)s->loop.steps * per_step / (double)(stats->train.documents / 2);
    return md_buffer_printf(out, err,
                            "length: %lld steps of %.0f pairs, %.1f passes over the pairs\n",
                            (long long)s->loop.steps, per_step, passes);
}

static mdlm_status describe_length(const md_train_settings *s, const md_model_config *c,
                                   const md_corpus_stats *stats, md_buffer *out, mdlm_error *err) {
    double per_step = (double)(s->loop.batch_size * s->loop.accum * s->seq_len);
    MD_TRY(md_buffer_printf(out, err, "model: %.2f M parameters\n",
                            (double)md_model_config_parameters(c) / 1e6));
    if (s->lora > 0)
        MD_TRY(md_buffer_printf(out, err, "trained: adapters of rank %lld\n", (long long)s->lora));
    if (s->sft) return describe_pairs(s, stats, out, err);
    if (s->loop.time > 0) {
        return md_buffer_printf(out, err, "length: %.0f s of training, %.0f tokens a step\n",
                                s->loop.time, per_step);
    }
    double passes = (double)s->loop.steps * per_step / (double)stats->train.tokens;
    return md_buffer_printf(out, err,
                            "length: %lld steps of %.0f tokens, %.1f passes over the "
                            "corpus\n",
                            (long long)s->loop.steps, per_step, passes);
}

mdlm_status md_plan_describe(const md_train_settings *s, const md_options *o,
                             const md_corpus_stats *stats, const md_model_config *c, md_buffer *out,
                             mdlm_error *err) {
    const md_part_stats *parts[] = {&stats->train, &stats->val};
    const char *const names[] = {"train", "validate"};
    for (int i = 0; i < 2; i++) {
        int64_t count = s->sft ? parts[i]->documents / 2 : parts[i]->documents;
        MD_TRY(md_buffer_printf(out, err, "%s: %lld bytes, %lld tokens, %lld %s%s\n", names[i],
                                (long long)parts[i]->bytes, (long long)parts[i]->tokens,
                                (long long)count, s->sft ? "pair" : "document",
                                count == 1 ? "" : "s"));
    }
    MD_TRY(md_buffer_printf(out, err, "vocabulary: %d (%s)\n", c->vocab, s->tokenizer));
    MD_TRY(describe_objective(s, c, out, err));
    MD_TRY(describe_length(s, c, stats, out, err));
    return o ? md_options_describe(o, out, err) : MDLM_OK;
}
