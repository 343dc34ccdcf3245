/* cli/cmd_bench.c: `mdlm bench`: how fast this machine trains and generates at a shape, and how
 * much of what its arithmetic units can do that is.
 *
 * Operations of a training step are counted by convention, 6 for each parameter but the embedding
 * and 12 L C T for attention, per token, although the head runs on the masked rows alone; of
 * images, 6 for each multiply-add on the way forward as convolutions are defined, although
 * Winograd's method takes fewer. Those of a sampling step are what is computed.
 */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "cli/bench.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/terminal.h"
#include "tensor/kernels/peak.h"
#include "train/image_plan.h"
#include "train/plan.h"
#include "train/plan_loop.h"

#define BENCH_OPTIONS(X) \
    X(INT, batch_size, 0, 1, 65536, \
      "train, image: sequences or images in a step; the preset's, or 32 images, if not given") \
    X(CHOICE, optimizer, "adamw", 0, 0, "adamw|muon: train, image: update rule") \
    X(REAL, ema, 0.999, 0, 0.999999, "train, image: decay of the averaged weights; 0: none") \
    X(FLAG, checkpoint_activations, false, 0, 0, \
      "train, image: compute each block again in the backward pass") \
    X(INT, num_samples, 0, 1, 65536, "generate: texts written at once; one if not given") \
    X(INT, block_length, 0, 1, 1048576, \
      "generate: positions whose logits a step needs; 32, or --seq-len if that is less") \
    X(CHOICE, cache, "none", 0, 0, \
      "none|prefix|dual: generate: compute everything, what is not before the block, the block") \
    X(INT, vocab_size, 259, 257, 1000000, "rows of the embedding and of the head; bytes: 259") \
    X(CHOICE, dtype, "f32", 0, 0, \
      "f32|bf16|q8_0: operands of matrix products; sums stay f32; q8_0: generate") \
    X(INT, repeat, 0, 1, 100000, \
      "timed repetitions, of which the median counts; if not given 10, or what fits 20 seconds") \
    X(FLAG, profile, false, 0, 0, "add a table of the time in each kind of operator")

/* A transformer on patches takes its layers, dim, heads and ff from the options of text. */
#define IMAGE_OPTIONS(X) \
    X(INT, image_size, 32, 1, 4096, "pixels of a side") \
    X(INT, channels, 3, 1, 4, "1 grey, 3 RGB, 4 RGBA") \
    MD_IMAGE_SHAPE_SETTINGS(X)

/* Of the training settings, only the models' are options here. */
typedef struct bench_options {
    md_train_settings train; /* first: its table describes this struct too */
    md_image_settings image;
    BENCH_OPTIONS(MD_OPTION_FIELD)
} bench_options;

#define MD_OPTION_STRUCT bench_options
static const md_option table[] = {BENCH_OPTIONS(MD_OPTION_ROW){0}};
#undef MD_OPTION_STRUCT
#define IMAGE_ROW(type, name, fallback, min, max, help) \
    {#name, MD_OPTION_##type, offsetof(bench_options, image.name), #fallback, min, max, help},
static const md_option image_table[] = {IMAGE_OPTIONS(IMAGE_ROW){0}};

enum { TRAIN = 1, GENERATE = 2, IMAGE = 4 };

typedef struct what {
    const char *name;
    int kind;
    const char *step, *forward; /* what the times are of */
    const char *unit;           /* what is counted by the second */
    mdlm_status (*run)(const md_bench *bench, md_bench_result *out, mdlm_error *err);
} what;

static const what all[] = {
    {"train", TRAIN, "corruption, forward, loss, backward, optimizer", "corruption, forward, loss",
     "tokens", md_bench_train},
    {"generate", GENERATE, "network, logits of the block, draws", "network, logits of the block",
     "tokens", md_bench_generate},
    {"image", IMAGE, "noise, forward, loss, backward, optimizer", "network on 16 images", "images",
     md_bench_image},
};
enum { KINDS = sizeof all / sizeof *all };

/* Options that not every benchmark has. */
static const struct owned {
    int kinds;
    const char *use;
    const char *names[10];
} owned[] = {
    {TRAIN | IMAGE,
     "mdlm bench train and image",
     {"batch_size", "optimizer", "dropout", "ema", "checkpoint_activations"}},
    {GENERATE, "mdlm bench generate", {"num_samples", "block_length", "cache"}},
    {TRAIN | GENERATE,
     "mdlm bench train and generate",
     {"preset", "kv_heads", "seq_len", "tied", "vocab_size"}},
    {IMAGE,
     "mdlm bench image",
     {"image_size", "channels", "backbone", "base_channels", "channel_mults", "res_blocks",
      "attn_res", "patch_size"}},
};

typedef struct job {
    md_cli *cli;
    bench_options *opt;
    const what *what;
    md_model_config config;
    md_image_config image;
    md_kernels kernels;
    md_bench bench;
    md_bench_result result;
    double peak; /* FLOP/s */
} job;

/* --- what is asked for ------------------------------------------------------------------------ */

static mdlm_status choose(job *j, mdlm_error *err) {
    const char *names[KINDS], *word = md_cli_argument(j->cli);
    for (int i = 0; i < KINDS; i++) {
        names[i] = all[i].name;
        if (!strcmp(word, names[i])) j->what = &all[i];
    }
    if (j->what) return MDLM_OK;
    const char *near = md_suggest(word, names, KINDS);
    if (!near) {
        return md_fail(err, MDLM_USAGE,
                       "there is no benchmark '%s': expected train, generate or image", word);
    }
    return md_fail(err, MDLM_USAGE, "there is no benchmark '%s'; did you mean '%s'?", word, near);
}

/* An option of another benchmark would change nothing: better said than ignored. */
static mdlm_status check_foreign(const job *j, mdlm_error *err) {
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) {
        if (owned[i].kinds & j->what->kind) continue;
        MD_TRY(md_options_refuse(j->cli->options, owned[i].names, owned[i].use, err));
    }
    if (j->what->kind != GENERATE && !strcmp(j->opt->dtype, "q8_0")) {
        return md_fail(err, MDLM_USAGE,
                       "--dtype q8_0 is for mdlm bench generate: training takes f32 or bf16");
    }
    return MDLM_OK;
}

static md_cache_kind cache_kind(const char *name) {
    if (!strcmp(name, "prefix")) return MD_CACHE_PREFIX;
    return strcmp(name, "dual") ? MD_CACHE_NONE : MD_CACHE_DUAL;
}

static mdlm_status plan_text(job *j, mdlm_error *err) {
    bench_options *o = j->opt;
    md_options *options = j->cli->options;
    bool generate = j->what->kind == GENERATE;
    o->train.loop.batch_size = generate ? 1 : o->batch_size; /* 1: nothing to choose */
    MD_TRY(md_plan_model(&o->train, options, 0, &j->config, err));
    j->config.vocab = (int)o->vocab_size;
    j->config.mask_id = 256;
    j->config.end_of_text_id = j->config.padding_id = -1;
    MD_TRY(md_model_config_check(&j->config, err));
    int T = j->config.seq_len;
    if (generate) {
        md_plan_choose(options, "num_samples", &o->num_samples, 1);
        md_plan_choose(options, "block_length", &o->block_length, T < 32 ? T : 32);
        if (o->block_length > T)
            return md_fail(err, MDLM_USAGE, "--block-length %lld does not fit --seq-len %d",
                           (long long)o->block_length, T);
    } else {
        o->batch_size = o->train.loop.batch_size;
    }
    int64_t batch = generate ? o->num_samples : o->batch_size;
    if (batch * T > INT_MAX)
        return md_fail(err, MDLM_USAGE, "%lld sequences of %d tokens are too many at once",
                       (long long)batch, T);
    j->bench.batch = (int)batch;
    j->bench.block_length = (int)o->block_length;
    j->bench.cache = cache_kind(o->cache);
    return MDLM_OK;
}

static mdlm_status plan_images(job *j, mdlm_error *err) {
    md_image_settings *s = &j->opt->image;
    md_train_settings *text = &j->opt->train;
    const int side = (int)s->image_size;
    const md_image_shape shape = {.Y = side, .X = side, .C = (int)s->channels};
    s->task = "generate";
    s->variance = "small";
    s->layers = text->layers;
    s->dim = text->dim;
    s->heads = text->heads;
    s->ff = text->ff;
    MD_TRY(md_image_plan_network(s, j->cli->options, shape, 0, &j->image, err));
    text->layers = s->layers;
    text->dim = s->dim;
    text->heads = s->heads;
    text->ff = s->ff;
    md_plan_choose(j->cli->options, "batch_size", &j->opt->batch_size, 32);
    if (j->opt->batch_size * side * side * shape.C > INT_MAX)
        return md_fail(err, MDLM_USAGE, "%lld images of %dx%d are too many at once",
                       (long long)j->opt->batch_size, side, side);
    j->bench.batch = (int)j->opt->batch_size;
    return MDLM_OK;
}

static mdlm_status plan(job *j, mdlm_error *err) {
    const bench_options *o = j->opt;
    const bool muon = !strcmp(o->optimizer, "muon");
    j->bench = (md_bench){.config = &j->config,
                          .image = &j->image,
                          .seed = (uint64_t)j->cli->common.seed,
                          .repeat = (int)o->repeat,
                          .profile = o->profile,
                          .optimizer = muon ? MD_OPTIMIZER_MUON : MD_OPTIMIZER_ADAMW,
                          .ema = o->ema,
                          .dropout = o->train.dropout,
                          .checkpoint = o->checkpoint_activations};
    return j->what->kind == IMAGE ? plan_images(j, err) : plan_text(j, err);
}

/* Lines of options: general ones, of text, of images. What is about no benchmark follows. */
static bool worth_a_line(const job *j, int line) {
    const bool image = j->what->kind == IMAGE;
    if (line == 1) return !image || j->image.backbone == MD_BACKBONE_DIT;
    return line == 0 || image;
}

static mdlm_status announce(const job *j, mdlm_error *err) {
    md_buffer text = {0};
    mdlm_status status = md_options_describe(j->cli->options, &text, err);
    const char *at = text.data;
    for (int line = 0; status == MDLM_OK && line < 3; line++) {
        const size_t size = strcspn(at, "\n");
        if (worth_a_line(j, line)) md_cli_note(j->cli, "%.*s", (int)size, at);
        at += size + (at[size] != 0);
    }
    md_buffer_release(&text);
    return status;
}

/* --- measuring and telling -------------------------------------------------------------------- */

static mdlm_status measure(job *j, mdlm_error *err) {
    const double peak_seconds = 0.3;
    mdlm_status status = MDLM_RUNTIME;
    j->bench.pool = md_pool_new(j->cli->threads, err);
    if (!j->bench.pool) return MDLM_RUNTIME;
    j->bench.tape = md_tape_new(j->bench.pool, &j->kernels, err);
    if (j->bench.tape) status = j->what->run(&j->bench, &j->result, err);
    if (status == MDLM_OK) j->peak = md_peak_flops(j->bench.pool, j->kernels.dtype, peak_seconds);
    md_tape_free(j->bench.tape);
    md_pool_free(j->bench.pool);
    return status;
}

static void put_times(md_json_line *line, const char *key, const md_bench_times *t) {
    md_json_open(line, key, '{');
    md_json_put_real(line, "lowest", 1e3 * t->lowest);
    md_json_put_real(line, "highest", 1e3 * t->highest);
    md_json_put_int(line, "count", t->count);
    md_json_close(line, '}');
}

static mdlm_status print_json(const job *j, mdlm_error *err) {
    const md_bench_result *r = &j->result;
    const bool image = j->what->kind == IMAGE;
    double flops = r->flops / r->step.median;
    md_json_line line;
    md_json_begin(&line);
    md_json_put_string(&line, "bench", j->what->name);
    md_json_put_int(&line, "parameters", r->parameters);
    md_json_put_real(&line, image ? "images_per_second" : "tokens_per_second",
                     (double)r->items / r->step.median);
    md_json_put_real(&line, "ms_per_step", 1e3 * r->step.median);
    md_json_put_real(&line, "ms_per_forward", 1e3 * r->forward.median);
    md_json_put_real(&line, "gflops", flops / 1e9);
    md_json_put_real(&line, "peak_gflops", j->peak / 1e9);
    md_json_put_real(&line, "share_of_peak", flops / j->peak);
    md_json_put_int(&line, "peak_rss_bytes", md_peak_rss());
    if (!image) md_json_put_int(&line, "positions_per_step", r->positions);
    put_times(&line, "step_ms", &r->step);
    put_times(&line, "forward_ms", &r->forward);
    md_json_put_string(&line, "kernels", j->kernels.name);
    md_json_put_string(&line, "dtype", j->opt->dtype);
    if (j->what->kind != GENERATE) md_json_put_string(&line, "optimizer", j->opt->optimizer);
    md_json_put_int(&line, "threads", j->cli->threads);
    if (j->opt->profile) md_bench_put_profile(&line, r);
    return md_json_end(&line, err);
}

static mdlm_status print_time(const char *label, const md_bench_times *t, const char *text,
                              mdlm_error *err) {
    return md_cli_print(err, "%-11s %10.2f %10.2f %10.2f   %s\n", label, 1e3 * t->median,
                        1e3 * t->lowest, 1e3 * t->highest, text);
}

static mdlm_status print_text(const job *j, mdlm_error *err) {
    const md_bench_result *r = &j->result;
    double flops = r->flops / r->step.median;
    char parameters[MD_SHORT_TEXT];
    md_quantity_text((double)r->parameters, parameters);
    MD_TRY(md_cli_print(err, "%-11s %10s %10s %10s   of %d and %d\n", "ms", "median", "lowest",
                        "highest", r->step.count, r->forward.count));
    MD_TRY(print_time("step", &r->step, j->what->step, err));
    MD_TRY(print_time("forward", &r->forward, j->what->forward, err));
    MD_TRY(md_cli_print(err, "%-11s %10.1f %s/s\n", "speed", (double)r->items / r->step.median,
                        j->what->unit));
    MD_TRY(md_cli_print(err, "%-11s %10.1f GFLOP/s, %.1f%% of the peak\n", "arithmetic",
                        flops / 1e9, 100 * flops / j->peak));
    MD_TRY(md_cli_print(err, "%-11s %10.1f GFLOP/s: %s, %d thread%s, kernels %s\n", "peak",
                        j->peak / 1e9, j->opt->dtype, j->cli->threads,
                        j->cli->threads == 1 ? "" : "s", j->kernels.name));
    MD_TRY(md_cli_print(err, "%-11s %10.1f MiB at most, %s parameters\n", "memory",
                        (double)md_peak_rss() / (1 << 20), parameters));
    return j->opt->profile ? md_bench_print_profile(r, err) : MDLM_OK;
}

static mdlm_status run(md_cli *cli, mdlm_error *err) {
    job j = {.cli = cli, .opt = cli->settings};
    MD_TRY(choose(&j, err));
    MD_TRY(check_foreign(&j, err));
    MD_TRY(plan(&j, err));
    MD_TRY(md_kernels_init(&j.kernels, cli->kernels, err));
    MD_TRY(md_kernels_set_dtype(&j.kernels, j.opt->dtype, err));
    MD_TRY(announce(&j, err));
    MD_TRY(measure(&j, err));
    return cli->common.json ? print_json(&j, err) : print_text(&j, err);
}

static const md_cli_section sections[] = {{"Benchmark", table},
                                          {"Network", md_model_settings_table},
                                          {"Network for images", image_table},
                                          {NULL, NULL}};

static const md_option_alias aliases[] = {
    {"-c", "seq_len"}, {"--ctx-size", "seq_len"}, {NULL, NULL}};

const md_command md_cmd_bench = {
    .name = "bench",
    .arguments = "train|generate|image",
    .summary = "Time training and generation at a shape, against the processor's peak.",
    .examples = "  mdlm bench train                                   the smallest preset\n"
                "  mdlm bench train --preset 10m --dtype bf16\n"
                "  mdlm bench generate --preset 160m --seq-len 256    one step of the sampler\n"
                "  mdlm bench generate --preset 160m --seq-len 256 --cache dual\n"
                "  mdlm bench image --channels 1 --batch-size 64      a U-Net of 1.6 M parameters\n"
                "  mdlm bench image --base-channels 64 --dtype bf16 --profile\n"
                "  mdlm bench train --layers 2 --dim 64 --heads 2 --repeat 3 --json\n",
    .notes =
        "On random data. Operations per token of a training step, by convention: 6 x (parameters "
        "-\nembedding) + 12 x layers x dim x seq-len; the head runs on masked positions only, so "
        "this is a\nlittle more than what is computed. A sampling step counts what it computes: "
        "2 x the parameters\nof the blocks and 4 x layers x dim x seq-len per position, 2 x those "
        "of the head per position\nof the block; its tokens/s are of one token per text and step. "
        "Operations per image: 6 x the\nmultiply-adds of the network as convolutions are defined; "
        "Winograd's method takes fewer. The peak\nis measured in the same run: multiply-adds in "
        "registers, on all threads, of the same --dtype.\n",
    .settings_size = sizeof(bench_options),
    .sections = sections,
    .aliases = aliases,
    .min_positional = 1,
    .max_positional = 1,
    .run = run,
};
